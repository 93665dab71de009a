"""The line interface as the engine has it: a process of its own, a PLC on the wire."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest

from inspection.types import Verdict
from services.live import LiveState
from services.signals import line as line_module
from services.signals.handshake import Done, Gate, LineMode, RecipeStep
from services.signals.line import Line
from services.signals.modbus import LineAway, Plc
from services.station.messages import LaneMode, LaneState, Proof, RecipeState, RecipeWish
from station_config import LineSettings, load_station
from tests.builders import RECIPE, a_unit, an_inspection
from tests.cables import a_cable, cables_can_be_laid
from tests.ports import HERE, a_free_port

LANES = load_station("demo").lanes
PATIENCE_S = 60


class Station:
    """What an engine has around its line interface: it hears of lanes, and says what is wished and how it stands."""

    def __init__(
        self,
        port: int,
        *,
        host=HERE,
        clients=(HERE,),
        taken_within_s=60.0,
        monotonic_s=time.monotonic,
    ) -> None:
        self.port = port
        self.wished, self.said = [], {}
        self.changed = threading.Condition()
        settings = LineSettings.model_validate(
            {
                "host": host,
                "port": port,
                "clients": clients,
                "lanes": ("strip", "parts"),
                "taken_within_s": taken_within_s,
            }
        )
        self.line = Line(settings, LANES, wished=self._wish, say=self._say)

    def _wish(self, wish) -> None:
        with self.changed:
            self.wished.append(wish)
            self.changed.notify_all()

    def _say(self, state) -> None:
        with self.changed:
            self.said[state.lane] = state
            self.changed.notify_all()

    def until(self, reached):
        """What was said of the lane `parts`, once that is so."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: "parts" in self.said and reached(self.said["parts"]), timeout=PATIENCE_S
            ), self.said.get("parts")
            return self.said["parts"]

    def tells(self, *verdicts: Verdict) -> None:
        (sink,) = self.line.sinks("parts")
        for number, verdict in enumerate(verdicts, start=1):
            sink.unit_done(an_inspection(lane="parts", verdict=verdict, unit=a_unit(f"86.1/PART-{number}")))


@contextmanager
def a_station(**how):
    station = Station(a_free_port(), **how)
    with station.line:
        station.until(lambda state: state.is_served)
        yield station


def shown(plc: Plc, reached, *, lane=2):
    """The lane's registers, once that is so."""
    end_s = time.monotonic() + PATIENCE_S
    while not reached(read := plc.read(lane)):
        assert time.monotonic() < end_s, read
        time.sleep(0.01)
    return read


def test_a_plc_takes_the_verdicts_of_units_in_their_order_and_the_counts_balance():
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(Verdict.ACCEPT, Verdict.REJECT, Verdict.NOT_INSPECTED)
        gates = []
        for number in (1, 2, 3):
            read = shown(plc, lambda read, number=number: read.shown and read.shown.number == number)
            assert read.shown.code == f"86.1/PART-{number}"
            gates.append(read.gate)
            plc.take(2, read, Done.LET_PASS if read.gate is Gate.PASS else Done.DIVERTED)
        assert gates == [Gate.PASS, Gate.DIVERT, Gate.DIVERT]
        assert plc.read(1).shown is None
        state = station.until(lambda state: state.taken == 3)
        assert state.told == state.taken + state.waiting + state.given_up
        assert (state.let_pass, state.unconfirmed) == (0, 0)


def test_a_plc_that_lets_a_bad_part_pass_is_an_alarm_that_names_it():
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(Verdict.REJECT)
        plc.take(2, shown(plc, lambda read: read.shown), Done.LET_PASS)
        live = LiveState()
        live.line(station.until(lambda state: state.lets_pass))
        (alarm,) = (one.alarm for one in live.board.shown(datetime.now(UTC)))
        assert (alarm.code, alarm.withholds, alarm.facts["unit"]) == ("LIN-LET-PASS", True, "86.1/PART-1")


def test_a_process_that_is_killed_comes_back_with_what_was_not_taken_and_no_more():
    with a_station() as station:
        with Plc(HERE, station.port) as plc:
            station.tells(Verdict.ACCEPT, Verdict.REJECT)
            before = shown(plc, lambda read: read.waiting == 2)
            plc.take(2, before, Done.LET_PASS)
            station.until(lambda state: state.taken == 1)
        os.kill(station.line.process_id, signal.SIGKILL)
        assert station.until(lambda state: not state.is_served).reason
        station.until(lambda state: state.is_served)
        with Plc(HERE, station.port) as plc:
            after = shown(plc, lambda read: read.shown)
            assert (after.session, after.shown.number, after.waiting) == (before.session, 2, 1)
            # A PLC that does not know whether its answer arrived gives it again.
            plc.take(2, before, Done.LET_PASS)
            assert plc.read(2).shown.number == 2


def test_a_process_that_stands_still_is_started_again_with_what_was_not_taken(monkeypatch):
    monkeypatch.setattr(line_module, "SILENT_S", 0.5)
    monkeypatch.setattr(line_module, "RETRY_S", 0.1)
    with a_station() as station:
        station.tells(Verdict.ACCEPT)
        stopped = station.line.process_id
        os.kill(stopped, signal.SIGSTOP)
        station.until(lambda state: not state.is_served)
        station.until(lambda state: state.is_served)
        assert station.line.process_id != stopped
        with Plc(HERE, station.port) as plc:
            assert shown(plc, lambda read: read.shown).shown.number == 1


def test_a_plc_sees_the_engine_live_and_how_the_lane_works():
    now = datetime.now(UTC)
    with a_station() as station, Plc(HERE, station.port) as plc:
        first = plc.read(2)
        assert not first.is_ready
        shown(plc, lambda read: read.pulse != first.pulse)
        state = {"lane": "parts", "camera": "c", "driver": "d", "at": now}
        proof = Proof(due=now, parts=1, caught=0, proven_at=None, missed_at=None)
        for message, mode in (
            (LaneMode(lane="parts", mode="run", at=now), LineMode.STOPPED),
            (LaneState(condition="running", **state), LineMode.RUN),
            (LaneMode(lane="parts", mode="setup", at=now), LineMode.SETUP),
            (LaneMode(lane="parts", mode="bypass", at=now, until=now), LineMode.BYPASS),
            (LaneMode(lane="parts", mode="challenge", at=now), LineMode.CHALLENGE),
            (LaneMode(lane="parts", mode="run", at=now, proof=proof), LineMode.UNPROVEN),
            (LaneState(condition="lost", failure="CAM-LOST", **state), LineMode.CAMERA_LOST),
            (LaneState(condition="stopped", **state), LineMode.STOPPED),
        ):
            station.line.hears(message)
            assert shown(plc, lambda read, mode=mode: read.mode is mode).is_ready == (mode is LineMode.RUN)


def test_a_plc_asks_for_a_recipe_by_its_number_and_sees_how_far_it_is():
    with a_station() as station, Plc(HERE, station.port) as plc:
        for condition, step in (
            ("preparing", RecipeStep.PREPARING),
            ("ready", RecipeStep.READY),
            ("in_use", RecipeStep.IN_USE),
        ):
            if condition == "preparing":
                plc.want_recipe(1, 2)
                with station.changed:
                    assert station.changed.wait_for(lambda: station.wished, timeout=PATIENCE_S)
                assert station.wished == [RecipeWish(lane="strip", recipe="strip-demo-exposed", by_plc=True)]
            station.line.hears(
                RecipeState(
                    lane="strip",
                    recipe="strip-demo-exposed",
                    ref=RECIPE,
                    condition=condition,
                    at=datetime.now(UTC),
                )
            )
            read = shown(plc, lambda read, step=step: read.recipe_state is step, lane=1)
            assert read.recipe_asked == 2
        assert read.recipe == 2
        plc.want_recipe(1, 99)
        shown(plc, lambda read: read.recipe_state is RecipeStep.REFUSED, lane=1)
        assert len(station.wished) == 1


def test_a_plc_whose_recipe_another_took_over_from_does_not_read_that_it_is_in_use():
    with a_station() as station, Plc(HERE, station.port) as plc:
        plc.want_recipe(1, 2)
        shown(plc, lambda read: read.recipe_state is RecipeStep.PREPARING, lane=1)
        for recipe, condition in (
            ("strip-demo-exposed", "ready"),
            ("strip-demo-exposed", "in_use"),
            # Chosen by a person: until the next unit begins the PLC's is still in use.
            ("strip-demo", "ready"),
        ):
            hears_of_recipe(station, recipe, condition)
        shown(plc, lambda read: (read.recipe, read.recipe_state) == (2, RecipeStep.IN_USE), lane=1)
        hears_of_recipe(station, "strip-demo", "in_use")
        read = shown(plc, lambda read: read.recipe == 1, lane=1)
        assert (read.recipe_asked, read.recipe_state) == (2, RecipeStep.NONE)


def test_a_recipe_that_the_plc_asked_for_goes_on_being_prepared_while_another_comes_into_use():
    with a_station() as station, Plc(HERE, station.port) as plc:
        plc.want_recipe(1, 2)
        shown(plc, lambda read: read.recipe_state is RecipeStep.PREPARING, lane=1)
        hears_of_recipe(station, "strip-demo", "in_use")
        assert shown(plc, lambda read: read.recipe == 1, lane=1).recipe_state is RecipeStep.PREPARING


def hears_of_recipe(station, recipe, condition):
    station.line.hears(
        RecipeState(lane="strip", recipe=recipe, ref=RECIPE, condition=condition, at=datetime.now(UTC))
    )


def test_more_verdicts_than_may_wait_are_given_up_oldest_first_and_counted(monkeypatch):
    monkeypatch.setattr(line_module, "MOST_WAITING", 2)
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(*[Verdict.ACCEPT] * 5)
        read = shown(plc, lambda read: read.given_up == 3)
        assert (read.shown.number, read.waiting) == (4, 2)
        state = station.until(lambda state: state.gives_up)
        assert (state.told, state.waiting, state.given_up) == (5, 2, 3)


def test_a_verdict_that_waits_too_long_is_an_alarm_and_opens_no_gate():
    with a_station(taken_within_s=0.1) as station, Plc(HERE, station.port) as plc:
        station.tells(Verdict.ACCEPT)
        station.until(lambda state: state.is_late)
        read = shown(plc, lambda read: read.shown)
        assert (read.shown.verdict, read.gate) == (Verdict.ACCEPT, Gate.DIVERT)


def test_who_is_not_the_plc_is_hung_up_on():
    with a_station(clients=("127.0.0.2",)) as station:
        with pytest.raises(LineAway), Plc(HERE, station.port) as plc:
            plc.read(1)
        assert station.said["parts"].clients == 0


def test_a_lane_that_is_not_there_is_refused_and_so_is_what_may_not_be_written():
    with a_station() as station, Plc(HERE, station.port) as plc:
        with pytest.raises(LineAway, match="exception_code=2"):
            plc.read(3)
        station.tells(Verdict.ACCEPT)
        read = shown(plc, lambda read: read.shown)
        with pytest.raises(LineAway, match="exception_code=3"):
            plc.take(2, read, 7)
        assert plc.read(2).shown.number == 1


RUBBISH = (
    b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    b"\x00" * 5000,
    b"\xff" * 300,
    # A length that is none; more registers than there are; a function that is none; a frame cut short.
    bytes.fromhex("0001 0000 ffff 01 04 0064 0001".replace(" ", "")),
    bytes.fromhex("0001 0000 0006 01 04 0064 ffff".replace(" ", "")),
    bytes.fromhex("0001 0000 0006 01 63 0064 0001".replace(" ", "")),
    bytes.fromhex("0001 0000 0006 01".replace(" ", "")),
    # Written: a count of 2 with the bytes of none, and with no bytes at all.
    bytes.fromhex("0001 0000 0007 01 10 00a0 0002 00".replace(" ", "")),
    bytes.fromhex("0001 0000 0006 01 10 00a0 0000".replace(" ", "")),
    # Bits, where there are registers only.
    bytes.fromhex("0001 0000 0006 01 05 0064 ff00".replace(" ", "")),
    bytes.fromhex("0001 0000 0006 01 01 0064 0010".replace(" ", "")),
)


def test_rubbish_on_the_wire_takes_nothing_and_the_plc_goes_on():
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(Verdict.ACCEPT)
        before = shown(plc, lambda read: read.shown)
        process = station.line.process_id
        for rubbish in RUBBISH:
            with socket.create_connection((HERE, station.port), timeout=5) as other:
                other.sendall(rubbish)
                other.settimeout(0.2)
                with suppress(OSError):
                    other.recv(300)
        after = plc.read(2)
        assert (after.shown.number, after.session) == (before.shown.number, before.session)
        assert station.line.process_id == process
        state = station.until(lambda state: state.clients == 1)
        assert (state.taken, state.told) == (0, 1)


def asked(number: int, *request: int) -> bytes:
    """As it goes over the wire, header and all; unit 1."""
    return struct.pack(">HHHB", number, 0, len(request) + 1, 1) + bytes(request)


def answers(station, *sent: bytes) -> list[tuple[int, int, bytes]]:
    """Number, function and the rest of each answer to what a PLC sends, until the station hangs up or says no more."""
    with socket.create_connection((HERE, station.port), timeout=5) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.settimeout(1.0)
        for part in sent:
            wire.sendall(part)
        came = b""
        with suppress(OSError):
            while more := wire.recv(4096):
                came += more
    heard = []
    while came:
        number, _, length, _, function = struct.unpack(">HHHBB", came[:8])
        heard.append((number, function, came[8 : 6 + length]))
        came = came[6 + length :]
    return heard


READ_NUMBER = (3, 0, 205, 0, 1)
"""Of the verdict that waits on lane 2."""


def takes(session: int, number: int) -> tuple[int, ...]:
    """Function 16 on lane 2: that verdict is taken, the unit let pass."""
    return (16, *struct.pack(">HHBHHH", 260, 3, 6, session, number, 1))


def test_what_a_plc_asks_in_one_breath_is_done_and_answered_one_after_the_other():
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(*[Verdict.ACCEPT] * 3)
        session = shown(plc, lambda read: read.waiting == 3).session
        together = b"".join(
            [
                asked(1, *takes(session, 1)),
                asked(2, *READ_NUMBER),
                asked(3, *takes(session, 2)),
                asked(4, *READ_NUMBER),
            ]
        )
        heard = answers(station, together)
        assert [(number, function) for number, function, _ in heard] == [(1, 16), (2, 3), (3, 16), (4, 3)]
        assert (heard[1][2], heard[3][2]) == (b"\x02\x00\x02", b"\x02\x00\x03")
        assert station.until(lambda state: state.taken == 2).waiting == 1


def test_a_request_that_comes_in_pieces_is_answered_once():
    with a_station() as station:
        whole = asked(1, *READ_NUMBER)
        assert [number for number, _, _ in answers(station, *(bytes([one]) for one in whole))] == [1]


def test_what_was_sent_before_the_plc_hung_up_is_done():
    with a_station() as station, Plc(HERE, station.port) as plc:
        station.tells(*[Verdict.ACCEPT] * 20)
        session = shown(plc, lambda read: read.waiting == 20).session
        with socket.create_connection((HERE, station.port), timeout=5) as wire:
            wire.sendall(b"".join(asked(number, *takes(session, number)) for number in range(1, 21)))
        station.until(lambda state: state.taken == 20)


def test_after_what_is_no_modbus_the_connection_ends_and_what_came_before_is_answered():
    with a_station() as station:
        # A PLC that waits for answers on a connection that gives none would wait for good.
        began = time.monotonic()
        heard = answers(station, asked(1, *READ_NUMBER) + b"GET / HTTP/1.1\r\n\r\n" + asked(2, *READ_NUMBER))
        assert [number for number, _, _ in heard] == [1]
        assert time.monotonic() - began < 0.9
        assert station.until(lambda state: state.clients == 0).is_served


@pytest.mark.parametrize("function", [1, 2, 5, 7, 8, 15, 22, 43])
def test_functions_that_read_or_write_no_registers_are_refused_and_change_nothing(function):
    with a_station() as station:
        heard = answers(station, asked(1, function, 1, 6, 0xFF, 0) + asked(2, *READ_NUMBER))
        assert [(number, answered) for number, answered, _ in heard] == [(1, 0x80 | function), (2, 3)]
        assert heard[0][2] == b"\x01"


def test_a_plc_whose_cable_is_pulled_is_gone_though_it_never_hung_up():
    connects = "import socket, time; wire = socket.create_connection(('10.9.0.1', 5020)); time.sleep(600)"
    with cables_can_be_laid(), a_cable("plc0", here="10.9.0.1/24", there="10.9.0.2/24") as far:
        station = Station(5020, host="10.9.0.1", clients=("10.9.0.2",))
        with station.line:
            station.until(lambda state: state.is_served)
            away = ["nsenter", "-t", str(far.pid), "-n", sys.executable, "-c", connects]
            with subprocess.Popen(away) as plc:
                try:
                    station.until(lambda state: state.clients == 1)
                    far.run("ip", "link", "set", "dev", "plc0", "down")
                    station.until(lambda state: state.clients == 0)
                finally:
                    plc.kill()


def test_an_address_that_is_taken_is_said_and_tried_again(monkeypatch):
    monkeypatch.setattr(line_module, "RETRY_S", 0.1)
    with socket.socket() as other:
        other.bind((HERE, 0))
        other.listen()
        station = Station(other.getsockname()[1])
        with station.line:
            live = LiveState()
            live.line(station.until(lambda state: state.reason))
            (alarm,) = (one.alarm for one in live.board.shown(datetime.now(UTC)))
            assert (alarm.code, alarm.facts["address"]) == ("LIN-NOT-SERVED", f"{HERE}:{station.port}")
            station.tells(Verdict.ACCEPT)
            other.close()
            station.until(lambda state: state.is_served and not state.reason)
            with Plc(HERE, station.port) as plc:
                shown(plc, lambda read: read.shown and read.shown.number == 1)


def test_no_plc_for_a_while_is_an_alarm(monkeypatch):
    monkeypatch.setattr(line_module, "ALONE_S", 2.0)
    with a_station() as station:
        station.until(lambda state: state.is_alone)
        with Plc(HERE, station.port):
            station.until(lambda state: not state.is_alone and state.clients == 1)


def test_lanes_that_the_plc_has_nothing_to_do_with_tell_it_nothing():
    station = Station(a_free_port())
    assert station.line.sinks("other") == ()
    station.line.hears(LaneMode(lane="other", mode="run", at=datetime.now(UTC)))
