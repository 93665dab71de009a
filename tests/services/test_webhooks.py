"""Programs of the plant are told, signed, in order, until they have it; and nobody reaches inside through that."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from services.access import Access
from services.alarms import AlarmBoard, AlarmJournal
from services.station.messages import Alarm
from services.webhooks import (
    DELIVERY,
    GIVE_UP_AFTER,
    LONGEST_AGAIN,
    SIGNATURE,
    TIMESTAMP,
    Target,
    Webhooks,
    WebhookUnusable,
)
from station_config import WebhookSettings
from tests.builders import a_unit, an_inspection
from tests.databases import ENGINES, a_database
from tests.services.signed_in import QUICK, adds, signed_in
from traceability import holds, tables
from traceability.accounts import Accounts, Role, note
from traceability.cases import Act, Cases, Source
from traceability.store import TraceStore
from traceability.told import alarms_left_standing

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"
OUTSIDE, INSIDE = "93.184.216.34", "10.0.0.7"


class Program:
    """What the plant's program took; it answers as it is told to."""

    def __init__(self) -> None:
        self.asked: list[httpx2.Request] = []
        self.answers: Callable[[httpx2.Request], httpx2.Response] = lambda _: httpx2.Response(204)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answers(request)

    @property
    def told(self) -> list[dict]:
        return [json.loads(one.content) for one in self.asked]


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path) -> WebhookSettings:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    return WebhookSettings(
        name="mes",
        url="https://mes.plant/lynceus?line=2",
        secret_file=tmp_path / "secret",
        events=("verdict", "hold", "case", "alarm"),
    )


@pytest.fixture(params=ENGINES)
def store(request, tmp_path):
    with a_database(request.param, tmp_path) as url, TraceStore.open(url) as opened:
        yield opened


def webhooks(store, settings, program, clock, *, address: str = OUTSIDE, station: str = "demo") -> Webhooks:
    return Webhooks(
        store,
        [Target.of(settings)],
        station=station,
        transport=httpx2.MockTransport(program),
        resolve=lambda host, port: [address],
        now=clock,
    )


def refused(store: TraceStore, code: str, **given):
    seen = an_inspection(unit=a_unit(code), verdict=Verdict.REJECT, finished_at=NOON, **given)
    store.record([seen])
    return seen


def test_a_refused_unit_a_hold_and_a_case_are_told_once_and_in_order(store, settings, program, clock):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    seen = refused(store, "86.999.1/BAD")
    store.record([an_inspection(unit=a_unit("86.999.1/GOOD"), finished_at=NOON)])
    hold = uuid7()
    holds.place(store, [seen.unit], ids=[hold], reason="pits", at=NOON, by="engineer")
    person = adds(Access(Accounts(store), hasher=QUICK), Role.ENGINEER)
    case = Cases(store).open(
        source=Source.SIGNAL, key="p:parts", title="too many", text="", by=person, at=NOON
    )
    Cases(store).act(case.id, Act.CAUSE, "a worn tool", by=person, at=NOON)
    telling.tell()
    telling.tell()
    assert [(one["event"], one.get("act")) for one in program.told] == [
        ("verdict", None),
        ("hold", None),
        ("case", "opened"),
        ("case", "cause"),
    ]
    verdict, held, opened, _ = program.told
    assert (verdict["inspection"], verdict["unit"]["code"]) == (str(seen.id), "86.999.1/BAD")
    assert (held["hold"], held["is_held"], held["reason"]) == (str(hold), True, "pits")
    assert opened["case"] == str(case.id)
    numbers = [int(one.headers[DELIVERY]) for one in program.asked]
    assert numbers == sorted(set(numbers))
    # Who did it stays in the plant's own audit.
    assert "engineer" not in "".join(one.content.decode() for one in program.asked)


LOST = Alarm(code="CAM-LOST", lane="parts", since=NOON, withholds=True, facts={"camera": "SIM-1"})


def acts(program: Program) -> list[tuple[str, str, str]]:
    return [(one["lane"], one["code"], one["act"]) for one in program.told]


def test_an_alarm_is_told_when_it_is_raised_and_when_it_is_over(store, settings, program, clock):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    journal = AlarmJournal(store, board, station="one", lanes=["parts"], now=clock)
    journal.keep()
    board.sees("parts", [LOST])
    journal.keep()
    journal.keep()
    board.sees("parts", [])
    journal.keep()
    journal.keep()
    telling.tell()
    assert acts(program) == [("parts", "CAM-LOST", "raised"), ("parts", "CAM-LOST", "over")]
    raised, _ = program.told
    assert (raised["event"], raised["withholds"], raised["at"]) == ("alarm", True, NOON.isoformat())


def test_an_alarm_that_came_and_went_between_two_looks_is_told_all_the_same_and_again_when_it_comes_again(
    store, settings, program, clock
):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    journal = AlarmJournal(store, board, station="one", lanes=["parts"], now=clock)
    board.sees("parts", [LOST])
    board.sees("parts", [])
    journal.keep()
    board.sees("parts", [LOST])
    journal.keep()
    telling.tell()
    assert [act for _, _, act in acts(program)] == ["raised", "over", "raised"]


def test_an_alarm_that_stood_when_the_service_ended_is_over_and_raised_anew_if_it_still_stands(
    store, settings, program, clock
):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    board.sees("parts", [LOST, replace(LOST, code="CAM-SILENT")])
    AlarmJournal(store, board, station="one", lanes=["parts"], now=clock).keep()
    restarted = AlarmBoard()
    restarted.sees("parts", [LOST])
    AlarmJournal(store, restarted, station="one", lanes=["parts"], now=clock).keep()
    telling.tell()
    assert [(code, act) for _, code, act in acts(program)] == [
        ("CAM-LOST", "raised"),
        ("CAM-SILENT", "raised"),
        ("CAM-LOST", "over"),
        ("CAM-SILENT", "over"),
        ("CAM-LOST", "raised"),
    ]


def test_a_station_that_starts_ends_no_alarm_of_another_on_the_same_database(store, settings, program, clock):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    board.sees("parts", [LOST])
    AlarmJournal(store, board, station="one", lanes=["parts"], now=clock).keep()
    AlarmJournal(store, AlarmBoard(), station="two", lanes=["parts", "strip"], now=clock).keep()
    telling.tell()
    assert acts(program) == [("parts", "CAM-LOST", "raised")]


def test_alarms_of_two_stations_whose_lanes_have_one_name_are_told_apart(store, settings, program, clock):
    telling, one, two = webhooks(store, settings, program, clock), AlarmBoard(), AlarmBoard()
    telling.tell()
    journals = [
        AlarmJournal(store, board, station=station, lanes=["parts"], now=clock)
        for station, board in (("one", one), ("two", two))
    ]
    one.sees("parts", [LOST])
    two.sees("parts", [LOST])
    for journal in journals:
        journal.keep()
    two.sees("parts", [])
    for journal in journals:
        journal.keep()
    telling.tell()
    assert [(told["station"], told["lane"], told["act"]) for told in program.told] == [
        ("one", "parts", "raised"),
        ("two", "parts", "raised"),
        ("two", "parts", "over"),
    ]
    assert alarms_left_standing(store, "one", ["parts"]) == ("alarm:one/parts:CAM-LOST",)
    assert alarms_left_standing(store, "two", ["parts"]) == ()


def test_an_alarm_left_standing_by_an_earlier_version_which_named_no_station_is_over_at_the_next_start(
    store, settings, program, clock
):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    with store.writing() as connection:
        note(connection, at=NOON, by=None, action="alarm.raised", subject="alarm:parts:CAM-LOST")
    AlarmJournal(store, AlarmBoard(), station="one", lanes=["parts"], now=clock).keep()
    telling.tell()
    assert acts(program) == [("parts", "CAM-LOST", "raised"), ("parts", "CAM-LOST", "over")]


def test_an_alarm_of_a_lane_that_the_station_has_no_more_is_over_at_the_next_start(
    store, settings, program, clock
):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    board.sees("parts", [LOST])
    AlarmJournal(store, board, station="one", lanes=["parts", "strip"], now=clock).keep()
    AlarmJournal(store, AlarmBoard(), station="one", lanes=["strip"], now=clock).keep()
    telling.tell()
    assert acts(program) == [("parts", "CAM-LOST", "raised"), ("parts", "CAM-LOST", "over")]


def test_alarms_are_noted_again_after_whatever_kept_them_from_it_for_once(store, settings, program, clock):
    telling, board = webhooks(store, settings, program, clock), AlarmBoard()
    telling.tell()
    stop, asked = threading.Event(), 0

    def now() -> datetime:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("what nobody foresaw")
        return clock()

    board.sees("parts", [LOST])
    journal = AlarmJournal(store, board, station="one", lanes=["parts"], now=now)
    noting = threading.Thread(target=journal.keep_noting, args=(stop,))
    noting.start()
    until = time.monotonic() + 30
    while not alarms_left_standing(store, "one", ["parts"]) and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    noting.join()
    telling.tell()
    assert acts(program) == [("parts", "CAM-LOST", "raised")]


def test_what_people_do_about_an_alarm_is_told_without_their_names(station, settings, program, clock):
    settings = settings.model_copy(update={"events": ("alarm",)})
    telling = webhooks(station.store, settings, program, clock)
    telling.tell()
    station.runs()
    station.live.alarms("parts", (LOST,), 0)
    operator = signed_in(station.app(), Role.OPERATOR)
    lane = "/api/v1/lanes/parts/alarms/CAM-LOST"
    assert operator.post(f"{lane}/acknowledge").status_code == 204
    assert operator.post(f"{lane}/shelve", json={"minutes": 15}).status_code == 204
    telling.tell()
    assert [act for _, _, act in acts(program)] == ["acknowledged", "shelved"]
    assert program.told[1]["until"]
    assert "operator" not in "".join(one.content.decode() for one in program.asked)


def test_what_was_before_is_not_told_and_what_is_simulated_neither(store, settings, program, clock):
    refused(store, "86.999.1/BEFORE")
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/MADE-UP", simulated=True)
    telling.tell()
    assert program.asked == []


def test_each_is_signed_with_the_time_so_that_nobody_else_can_and_none_can_be_sent_again_later(
    store, settings, program, clock
):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/BAD")
    telling.tell()
    (asked,) = program.asked
    assert asked.headers[TIMESTAMP] == str(int(NOON.timestamp()))
    signed = asked.headers[TIMESTAMP].encode() + b"." + asked.content
    assert asked.headers[SIGNATURE] == "v1=" + hmac.new(SECRET, signed, "sha256").hexdigest()


def test_what_is_not_taken_is_sent_again_ever_later_and_what_came_after_waits_behind_it(
    store, settings, program, clock
):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/FIRST")
    refused(store, "86.999.1/SECOND")
    program.answers = lambda _: httpx2.Response(503)
    waits = []
    for _ in range(12):
        asked = len(program.asked)
        began = clock.at
        while len(program.asked) == asked:
            clock.at += timedelta(seconds=1)
            telling.tell()
        waits.append((clock.at - began).total_seconds())
    assert waits[1:5] == [5, 10, 20, 40]
    assert max(waits) == LONGEST_AGAIN.total_seconds()
    assert {one["unit"]["code"] for one in program.told} == {"86.999.1/FIRST"}
    assert len({one.headers[DELIVERY] for one in program.asked}) == 1
    program.answers = lambda _: httpx2.Response(200)
    clock.at += LONGEST_AGAIN
    telling.tell()
    assert [one["unit"]["code"] for one in program.told[-2:]] == ["86.999.1/FIRST", "86.999.1/SECOND"]


def test_a_service_that_starts_again_goes_on_where_it_was(store, settings, program, clock):
    first = webhooks(store, settings, program, clock)
    first.tell()
    refused(store, "86.999.1/FIRST")
    program.answers = lambda _: httpx2.Response(500)
    first.tell()
    program.answers = lambda _: httpx2.Response(200)
    again = webhooks(store, settings, program, clock)
    again.tell()
    # It waits as the one before would have.
    assert len(program.asked) == 1
    clock.at += timedelta(seconds=5)
    again.tell()
    assert [one["unit"]["code"] for one in program.told] == ["86.999.1/FIRST"] * 2


def test_programs_of_two_stations_on_one_database_that_have_one_name_are_each_told_all_that_they_asked_for(
    store, settings, program, clock
):
    other = Program()
    two = settings.model_copy(update={"url": "https://mes-two.plant/", "events": ("verdict",)})
    telling = [
        webhooks(store, settings, program, clock, station="one"),
        webhooks(store, two, other, clock, station="two"),
    ]
    for one in telling:
        one.tell()
    seen = refused(store, "86.999.1/BAD")
    holds.place(store, [seen.unit], ids=[uuid7()], reason="pits", at=NOON, by="engineer")
    # The second asks for no holds: going past one, it takes it from nobody.
    for one in reversed(telling):
        one.tell()
    assert [told["event"] for told in program.told] == ["verdict", "hold"]
    assert [told["event"] for told in other.told] == ["verdict"]


def test_a_service_of_this_version_goes_on_where_one_was_that_named_no_station(
    store, settings, program, clock
):
    with store.writing() as connection:
        connection.execute(tables.webhook.insert(), {"name": "mes", "position": 0, "tries": 0})
    refused(store, "86.999.1/NOT-TOLD-YET")
    webhooks(store, settings, program, clock, station="one").tell()
    assert [told["unit"]["code"] for told in program.told] == ["86.999.1/NOT-TOLD-YET"]
    # Whoever comes next is new.
    webhooks(store, settings, program, clock, station="two").tell()
    assert len(program.told) == 1


def test_what_nobody_takes_for_a_day_is_left_out_and_the_audit_says_so(store, settings, program, clock):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/NEVER")
    refused(store, "86.999.1/NEXT")
    program.answers = lambda request: httpx2.Response(400 if b"NEVER" in request.content else 200)
    telling.tell()
    clock.at += GIVE_UP_AFTER
    telling.tell()
    assert program.told[-1]["unit"]["code"] == "86.999.1/NEXT"
    given_up = Accounts(store).audit(limit=1)[0]
    assert (given_up.action, given_up.subject) == ("webhook.given_up", "webhook:demo/mes")
    assert given_up.reason == "status 400"


@pytest.mark.parametrize(
    "address",
    [
        INSIDE,
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "192.168.1.1",
        "172.16.0.1",
        "fd00::1",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.7",
    ],
)
def test_a_name_that_leads_inside_is_not_asked_unless_the_plant_allows_it(
    store, settings, program, clock, address
):
    telling = webhooks(store, settings, program, clock, address=address)
    telling.tell()
    refused(store, "86.999.1/BAD")
    telling.tell()
    assert program.asked == []
    allowed = settings.model_copy(update={"may_be_inside": True})
    clock.at += timedelta(seconds=5)
    webhooks(store, allowed, program, clock, address=address).tell()
    assert len(program.asked) == 1


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(store, settings, program, clock):
    """A name that leads outside when it is looked at and inside when it is asked would else get past."""
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/BAD")
    telling.tell()
    (asked,) = program.asked
    assert (asked.url.host, asked.url.port or 443) == (OUTSIDE, 443)
    assert asked.url.query == b"line=2"
    assert asked.headers["host"] == "mes.plant"
    assert asked.extensions["sni_hostname"] == "mes.plant"


def test_a_program_that_sends_elsewhere_is_not_followed(store, settings, program, clock):
    telling = webhooks(store, settings, program, clock)
    telling.tell()
    refused(store, "86.999.1/BAD")
    program.answers = lambda _: httpx2.Response(307, headers={"Location": "http://127.0.0.1/"})
    telling.tell()
    assert len(program.asked) == 1


def test_a_program_that_cannot_be_told_for_whatever_reason_silences_no_other(store, settings, program, clock):
    told = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host == "mes.plant":
            raise RuntimeError("what nobody foresaw")
        return [OUTSIDE]

    def takes(request: httpx2.Request) -> httpx2.Response:
        told.set()
        return httpx2.Response(204)

    program.answers = takes
    andon = settings.model_copy(update={"name": "andon", "url": "https://andon.plant/in"})
    telling = Webhooks(
        store,
        [Target.of(settings), Target.of(andon)],
        station="demo",
        transport=httpx2.MockTransport(program),
        resolve=resolve,
        now=clock,
    )
    telling.tell()
    refused(store, "86.999.1/BAD")
    stop = threading.Event()
    thread = threading.Thread(target=telling.keep_telling, args=(stop,), daemon=True)
    thread.start()
    try:
        assert told.wait(timeout=30)
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    assert {one.headers["host"] for one in program.asked} == {"andon.plant"}


def test_a_program_whose_name_is_chinese_is_told_under_its_name_in_ascii(store, settings, program, clock):
    chinese = settings.model_copy(update={"url": "https://工厂.cn:8443/in"})
    telling = webhooks(store, chinese, program, clock)
    telling.tell()
    refused(store, "86.999.1/BAD")
    telling.tell()
    assert [one.headers["host"] for one in program.asked] == ["xn--fmrp5v.cn:8443"]


@pytest.mark.parametrize(
    "url",
    [
        "https://mes.plant:84430/in",
        "https://mes.plant:0/in",
        "https://mes.plant:mes/in",
        "https://:8443/in",
        "https://mes..plant/in",
        f"https://{'m' * 64}.plant/in",
        "https://[::1/in",
    ],
)
def test_an_address_that_nothing_can_be_sent_to_is_refused_where_it_is_set(settings, url):
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(settings.model_dump() | {"url": url})


@pytest.mark.parametrize("secret", [None, b"short"])
def test_a_secret_that_keeps_nobody_out_keeps_the_service_from_starting(settings, secret, tmp_path):
    file: Path = tmp_path / "other"
    if secret is not None:
        file.write_bytes(secret)
    with pytest.raises(WebhookUnusable):
        Target.of(settings.model_copy(update={"secret_file": file}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://mes.plant/"},
        {"url": "https://user:word@mes.plant/"},
        {"url": "file:///etc/passwd"},
        {"events": ()},
        {"events": ("everything",)},
    ],
)
def test_an_address_in_the_clear_or_with_a_password_and_unknown_events_are_refused(settings, wrong):
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate(settings.model_dump() | wrong)
