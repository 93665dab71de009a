import secrets
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from inspection.types import FrameResult, Verdict
from services.station import link
from services.station.account import Delivered, LaneAccount
from services.station.link import Address, Backlog, Courier, Hello, Reception
from services.station.messages import FrameSeen, FramesUntold, LaneState, ModeWish
from services.station.recipes import Wishes
from tests.builders import an_inspection, an_inspection_begun


@pytest.fixture
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l")
    return Address(path=str(folder / "e"), key=secrets.token_bytes(16))


class Books:
    """A service that keeps what is committed; `fails` makes it refuse so many batches first."""

    def __init__(self, fails: int = 0) -> None:
        self.kept, self.greeted, self.stands, self.gone = [], [], [], threading.Event()
        self._fails = fails
        self._changed = threading.Condition()

    def greet(self, hello):
        self.greeted.append(hello)

    def commit(self, batch):
        if self._fails:
            self._fails -= 1
            raise OSError("disk full")
        with self._changed:
            self.kept.extend(batch)
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.kept) >= number, timeout=20)

    def open(self, address, *, silent_s=link.SILENT_S):
        return Reception(
            address,
            greet=self.greet,
            commit=self.commit,
            stands=self.stands.append,
            gone=self.gone.set,
            silent_s=silent_s,
        )


def a_state(number: int) -> LaneState:
    return LaneState(
        lane=str(number),
        camera="c",
        driver="drawn_strip",
        condition="running",
        at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def a_picture(begun) -> FrameSeen:
    result = FrameResult(
        camera="c",
        sequence=0,
        verdict=Verdict.ACCEPT,
        defects=(),
        measurements=(),
        timings_ms={},
        failure=None,
    )
    return FrameSeen(
        inspection_id=begun.id,
        lane=begun.lane,
        captured_at=datetime(2026, 11, 20, tzinfo=UTC),
        result=result,
        jpeg=b"\xff\xd8",
        width_px=1,
        height_px=1,
    )


def test_what_the_engine_sends_arrives_whole_and_in_order(address):
    books = Books()
    with books.open(address), Courier(address) as courier:
        for number in range(300):
            courier.send(a_state(number))
        books.wait_for(300)
    assert [state.lane for state in books.kept] == [str(number) for number in range(300)]


def test_an_engine_that_starts_before_the_service_loses_nothing(address):
    books = Books()
    with Courier(address) as courier:
        courier.send(a_state(1))
        time.sleep(0.1)
        with books.open(address):
            books.wait_for(1)


def test_a_batch_that_could_not_be_stored_comes_again(address):
    books = Books(fails=2)
    with books.open(address), Courier(address) as courier:
        courier.send(a_state(1))
        books.wait_for(1)
    assert [state.lane for state in books.kept] == ["1"]


def test_why_nothing_can_be_stored_is_said_once_however_often_the_engine_comes_again(address, caplog):
    books = Books(fails=3)
    with books.open(address), Courier(address) as courier:
        courier.send(a_state(1))
        books.wait_for(1)
    (said,) = [one for one in caplog.records if "not stored" in one.message]
    assert "disk full" in said.message
    assert said.exc_info is None


def test_an_engine_that_comes_again_says_which_units_it_still_answers_for(address):
    books = Books(fails=1)
    open_unit, finished = an_inspection_begun(), an_inspection_begun()
    with books.open(address), Courier(address) as courier:
        courier.send(open_unit)
        courier.send(finished)
        courier.send(an_inspection(id=finished.id))
        books.wait_for(3)
    assert open_unit.id in books.greeted[-1].in_hand


def test_the_service_hears_when_the_engine_is_gone(address):
    books = Books()
    with books.open(address):
        with Client(address.path, authkey=address.key) as engine:
            engine.send(Hello({}, {}))
        assert books.gone.wait(10)


def test_an_engine_that_hangs_counts_as_gone_though_its_connection_stands(address):
    books = Books()
    with (
        books.open(address, silent_s=0.2),
        Client(address.path, authkey=address.key) as engine,
    ):
        engine.send(Hello({}, {}))
        assert books.gone.wait(10)


def test_an_engine_that_hung_comes_again_once_it_can_and_brings_what_was_not_taken(address):
    books, goes_on = Books(), threading.Event()

    def hangs():
        goes_on.wait(20)
        return ()

    with books.open(address, silent_s=0.2), Courier(address, accounts=hangs) as courier:
        courier.send(a_state(1))
        assert books.gone.wait(10)
        assert books.kept == []
        goes_on.set()
        books.wait_for(1)
    assert [state.lane for state in books.kept] == ["1"]


def test_a_stranger_without_the_key_is_not_let_in_and_the_engine_still_is(address):
    books = Books()
    with books.open(address):
        with pytest.raises((AuthenticationError, OSError, EOFError)):
            Client(address.path, authkey=b"guess")
        with Courier(address) as courier:
            courier.send(a_state(1))
            books.wait_for(1)


def test_with_the_service_away_pictures_are_given_up_and_said_so_and_records_never(address, caplog):
    courier = Courier(address)
    begun = an_inspection_begun()
    courier.send(begun)
    for _ in range(link.PICTURES_KEPT_WAITING + 50):
        courier.send(a_picture(begun))
    courier.send(an_inspection(id=begun.id))
    books = Books()
    with books.open(address), courier:
        books.wait_for(link.PICTURES_KEPT_WAITING + 2)
        deadline = time.monotonic() + 20
        while (not books.stands or books.stands[-1].waiting) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert books.kept[0].id == books.kept[-1].id == begun.id
    # Beside them the number of those that were given up, in one message.
    assert books.kept[-2] == FramesUntold(inspection_id=begun.id, lane=begun.lane, count=50)
    assert books.stands[0].waiting == link.PICTURES_KEPT_WAITING + 3 - link.BATCH
    assert books.stands[-1] == Backlog(waiting=0, given_up=50)
    assert "1000 pictures wait for the service" in caplog.text


def test_a_service_that_was_killed_can_be_started_at_the_same_address(address):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(address.path)
    books = Books()
    with books.open(address), Courier(address) as courier:
        courier.send(a_state(1))
        books.wait_for(1)


def test_a_service_that_ends_leaves_no_thread_waiting_for_an_engine(address):
    reception = Books().open(address)
    with reception:
        pass
    deadline = time.monotonic() + 20
    while any(thread.name == "reception" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(thread.name == "reception" for thread in threading.enumerate())


def test_the_accounts_of_the_lanes_are_told_though_there_is_nothing_else_to_tell(address):
    account = LaneAccount(lane="strip", exposures=3)
    books = Books()
    with books.open(address), Courier(address, accounts=lambda: (account,)):
        deadline = time.monotonic() + 20
        while len(books.stands) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert books.kept == []
    assert [one.accounts for one in books.stands[:2]] == [(account,), (account,)]


def test_a_wish_that_cannot_be_done_costs_no_connection_and_no_record(address, caplog):
    books, wishes = Books(), Wishes()

    def cannot(wish):
        raise OSError("No space left on device")

    reception = Reception(
        address,
        greet=books.greet,
        commit=books.commit,
        stands=books.stands.append,
        gone=books.gone.set,
        wishes=wishes.to_tell,
    )
    wishes.ask_mode(ModeWish(lane="strip", mode="setup"))
    with reception, Courier(address, wished=cannot) as courier:
        courier.send(a_state(1))
        books.wait_for(1)
        courier.send(a_state(2))
        books.wait_for(2)
        assert (len(books.greeted), books.gone.is_set()) == (1, False)
    assert "cannot be done" in caplog.text


def test_an_engine_that_comes_again_says_what_was_taken_from_it_before(address):
    begun, done = an_inspection_begun(), an_inspection()
    books = Books()
    with books.open(address), Courier(address) as courier:
        for message in (
            a_state(1),
            begun,
            a_picture(begun),
            done,
            a_state(2),
            replace(a_state(1), condition="lost"),
        ):
            courier.send(message)
        wait_until(lambda: len(books.kept) == 6 and books.stands)
        # What is refused is not acknowledged, and the connection ends.
        books._fails = 1
        wait_until(lambda: len(books.greeted) == 2)
    again = books.greeted[1]
    # Of each lane the newest word: another service, which never heard it, knows at once how they stand.
    assert [(state.lane, state.condition) for state in again.standing] == [("1", "lost"), ("2", "running")]
    assert again.in_hand == {begun.id: 1}
    assert again.delivered == {"strip": Delivered(units=1, triggers=done.triggers, results=1)}


def wait_until(reached) -> None:
    deadline = time.monotonic() + 20
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.01)
