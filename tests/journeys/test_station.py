"""The demo station as its user starts it, and with its processes killed under it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from cameras.simulator.protocol import GVCP_PORT
from inspection.tally import FRAME_LOST, OVERRUN
from inspection.types import Inspection, Verdict
from services.access import Access, Right
from services.signals.handshake import Done, Gate
from services.signals.modbus import LineAway, Plc
from services.station.lane import STOPPED
from services.station.records import ENGINE_LOST
from services.station.wired import wired
from station_config import load_station
from tests.gige import built_producer
from tests.ports import a_free_port
from traceability.accounts import Accounts, Role
from traceability.store import TraceStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Ctrl-C is sent as a signal: run on Linux")

PATIENCE_S = 120
"""A guard against waiting for ever, not a promise about speed."""


class Demo:
    """A running `lynceus demo`, or another command that runs a station."""

    def __init__(
        self, folder: Path, port: int, *, without: Sequence[str] = (), command: Sequence[str] = ("demo",)
    ) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "demo.log"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("LYNCEUS_", "PYTEST_"))
        }
        # A library that is installed and does not load is as good as none.
        broken = folder / "broken"
        broken.mkdir()
        for library in without:
            (broken / f"{library}.py").write_text("raise ImportError", encoding="utf-8")
        environment["PYTHONPATH"] = os.pathsep.join([str(broken), environment.get("PYTHONPATH", "")])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("lynceus")), *command, "--port", str(port)],
                cwd=folder,
                env={**environment, "LYNCEUS_LANGUAGE": "en"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, reached: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if reached():
                return
            if self.process.poll() is not None:
                pytest.fail(f"the demo ended while waiting for {what}:\n{self.log.read_text()}")
            time.sleep(0.2)
        pytest.fail(f"waited {PATIENCE_S} s for {what}:\n{self.log.read_text()}")

    def says(self, text: str) -> bool:
        return text in self.log.read_text()

    def get(self, path: str) -> dict:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def children(self) -> list[psutil.Process]:
        """The station's own processes; Python's resource tracker is not one of them."""
        try:
            found = psutil.Process(self.process.pid).children()
            return [child for child in found if any("spawn_main" in word for word in child.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def service(self) -> int | None:
        """The process that serves the pages."""
        port = int(self.url.rsplit(":", 1)[1])
        return next((child.pid for child in self.children() if port in listened_on(child)), None)

    def devices(self) -> dict[str, int]:
        """The process of each simulated camera, by the camera's serial number."""
        said = re.findall(r"(SIM-\S+) \((127\.86\.\d+\.\d+)\)", self.log.read_text())
        by_address = {at: child.pid for child in self.children() for at in answered_at(child)}
        return {serial: by_address[at] for serial, at in said if at in by_address}

    def engine(self) -> int | None:
        service = self.service()
        others = {service, *self.devices().values()}
        return next((child.pid for child in self.children() if service and child.pid not in others), None)

    def lane(self, name: str) -> dict:
        lanes = self.get("/api/v1/station").get("lanes", [])
        return next((lane for lane in lanes if lane["lane"] == name), {})

    def post(self, path: str, said: dict, *, key: str) -> dict:
        asked = urllib.request.Request(
            self.url + path,
            data=json.dumps(said).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    def balances(self, lane: str) -> dict:
        found = self.get("/api/v1/accounting")
        return next((balance for balance in found if balance["lane"] == lane), {})

    def panel(self, lane: str) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/lanes/{lane}/panel", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def store(self) -> TraceStore:
        return TraceStore.open(f"sqlite:///{self.folder / 'var' / 'lynceus.db'}")


def listened_on(process: psutil.Process) -> set[int]:
    try:
        return {one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


def answered_at(process: psutil.Process) -> set[str]:
    """Where a GigE Vision device of this process listens."""
    try:
        return {one.laddr.ip for one in process.net_connections("udp") if one.laddr.port == GVCP_PORT}
    except psutil.NoSuchProcess:
        return set()


def session_of(leader: int) -> list[int]:
    """Every living process of the session that `leader` began."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found


def assert_all_ended(demo: Demo) -> None:
    """Python's resource tracker outlives its parent by the moment it takes to notice."""
    end = time.monotonic() + PATIENCE_S
    while session_of(demo.process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert session_of(demo.process.pid) == []


@contextmanager
def a_demo(
    folder: Path, *, without: Sequence[str] = (), command: Sequence[str] = ("demo",)
) -> Iterator[Demo]:
    demo = Demo(folder, a_free_port(), without=without, command=command)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            os.killpg(demo.process.pid, signal.SIGKILL)
            demo.process.wait()


def test_the_station_starts_survives_the_loss_of_either_process_and_leaves_none_behind(tmp_path):
    with a_demo(tmp_path) as demo:
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        demo.wait(lambda: demo.get("/healthz").get("engine"), "a healthy station")

        with demo.store() as store:
            demo.wait(lambda: {b.lane for b in store.begun()} >= {"strip"}, "a coil in hand")
            engine = demo.engine()
            in_hand = {begun.id for begun in store.begun()}
            os.kill(engine, signal.SIGKILL)
            demo.wait(lambda: demo.engine() not in (None, engine), "another engine")
            demo.wait(lambda: not in_hand & {b.id for b in store.begun()}, "the units in hand to be closed")
            ended = [store.inspection(id) for id in in_hand]
            assert all(inspection is not None for inspection in ended)
            # Some may have been decided just before: these are as they were decided.
            cut_short = [inspection for inspection in ended if ENGINE_LOST in inspection.failures]
            assert cut_short
            assert all(inspection.verdict >= Verdict.NOT_INSPECTED for inspection in cut_short)

            service = demo.service()
            os.kill(service, signal.SIGKILL)
            demo.wait(lambda: demo.get("/healthz").get("engine"), "the service to be back")
            newest = store.latest(simulated=False, limit=1)[0].id
            demo.wait(lambda: store.latest(simulated=False, limit=1)[0].id != newest, "verdicts to go on")
            # Two deaths are no gap: what engine, service and records counted still agrees, and is compared.
            demo.wait(
                lambda: demo.balances("strip").get("recorded", {}).get("units"), "an audit of the records"
            )
            for lane in ("strip", "parts"):
                balance = demo.balances(lane)
                assert balance["balanced"], balance["alarms"]
                assert balance["handed_over"] == balance["recorded"]
                assert (balance["unaccounted"], balance["engine"]["gap"]) == (0, 0)

        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(PATIENCE_S) == 0
        assert_all_ended(demo)
        assert demo.says("Stopped")

        with demo.store() as store:
            assert store.begun() == ()
            live = store.latest(simulated=False, limit=1000)
            # A coil of which not every frame was inspected is never accepted, and says why.
            due = {lane.name: lane.unit.frames for lane in load_station("demo").lanes}
            short = [i for i in live if i.frames_inspected < due[i.lane]]
            assert short
            assert all(i.verdict is not Verdict.ACCEPT and i.failures for i in short)
            reasons = {reason for i in short for reason in i.failures}
            assert ENGINE_LOST in reasons
            assert reasons <= {ENGINE_LOST, STOPPED, FRAME_LOST, OVERRUN}
            # Every part the lane began is on record under its own code, in order, without a hole.
            assert_no_part_is_missing((str(one.unit) for one in live if one.lane == "parts"), engines=2)


def assert_no_part_is_missing(codes: Iterable[str], *, engines: int) -> None:
    """Each engine counts its parts from 1."""
    by_engine: dict[str, list[int]] = {}
    for code in codes:
        engine, number = code.rsplit("-", 1)
        by_engine.setdefault(engine, []).append(int(number))
    assert len(by_engine) == engines
    for numbers in by_engine.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


class AtTheGate:
    """A PLC that takes every verdict, and what it did with each unit. It connects again as often as it must."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.done: dict[str, list[Gate]] = {}
        self.sessions: set[int] = set()

    def __enter__(self) -> "AtTheGate":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        taken = None
        while not self._ending.is_set():
            try:
                with Plc("127.0.0.1", self._port) as plc:
                    while not self._ending.is_set():
                        read = plc.read(1)
                        if read.shown is None:
                            time.sleep(0.02)
                            continue
                        self.sessions.add(read.session)
                        if (read.session, read.shown.number) != taken:
                            self.done.setdefault(read.shown.code, []).append(read.gate)
                            taken = read.session, read.shown.number
                        plc.take(1, read, Done.LET_PASS if read.gate is Gate.PASS else Done.DIVERTED)
            except LineAway:
                time.sleep(0.1)


def test_a_plc_has_each_verdict_once_while_line_service_and_engine_are_killed_and_the_records_agree(tmp_path):
    at = a_free_port()
    (tmp_path / "press.toml").write_text(
        f"""
        name = "press-3"
        code_prefix = "86.1000.5"
        line = {{ host = "127.0.0.1", port = {at}, clients = ["127.0.0.1"], lanes = ["parts"], taken_within_s = 60 }}
        [[lanes]]
        name = "parts"
        title = {{ en = "Parts", zh = "零件" }}
        recipe = "part-demo"
        unit = {{ kind = "part" }}
        camera = {{ driver = "drawn_parts", seed = 3, frames_per_s = 4 }}
        """,
        encoding="utf-8",
    )
    with (
        a_demo(tmp_path, command=("station", "run", "press.toml")) as station,
        AtTheGate(at) as plc,
    ):
        station.wait(lambda: len(plc.done) > 5, "the first verdicts at the gate")
        station.wait(lambda: station.get("/healthz").get("engine"), "a healthy station")
        line = next(
            child.pid
            for child in psutil.Process(station.engine()).children(recursive=True)
            if at in listened_on(child)
        )
        os.kill(line, signal.SIGKILL)
        seen = len(plc.done)
        station.wait(lambda: len(plc.done) > seen + 5, "verdicts at the gate after the line interface died")
        assert len(plc.sessions) == 1

        # Without the service nothing is recorded or shown for a while, and the gate does not notice.
        service = station.service()
        os.kill(service, signal.SIGSTOP)
        seen = len(plc.done)
        station.wait(lambda: len(plc.done) > seen + 5, "verdicts at the gate without the service")
        os.kill(service, signal.SIGKILL)
        os.kill(service, signal.SIGCONT)
        station.wait(lambda: station.get("/healthz").get("engine"), "the service to be back")

        engine = station.engine()
        os.kill(engine, signal.SIGKILL)
        station.wait(lambda: len(plc.sessions) == 2, "verdicts of another engine")
        seen = len(plc.done)
        station.wait(lambda: len(plc.done) > seen + 5, "more of them")
        station.wait(
            lambda: (station.lane("parts").get("line") or {}).get("taken"), "the page to know what was taken"
        )
        told = station.lane("parts")["line"]
        assert told["told"] == told["taken"] + told["waiting"] + told["given_up"]
        assert (told["let_pass"], told["unconfirmed"]) == (0, 0)
        station.wait(lambda: station.balances("parts").get("balanced"), "the accounts to balance")
        with station.store() as store:
            newest = [*plc.done][-1]
            station.wait(
                lambda: newest in {str(one.unit) for one in store.latest(limit=5)}, "the records to follow"
            )
        station.process.send_signal(signal.SIGINT)
        assert station.process.wait(PATIENCE_S) == 0
        assert_all_ended(station)
    with station.store() as store:
        recorded = {str(one.unit): one for one in store.latest(limit=1000)}
    assert all(len(gates) == 1 for gates in plc.done.values())
    for unit, (gate,) in plc.done.items():
        # What the engine had not delivered when it was killed, too: it had written down what the line was told.
        assert (gate is Gate.PASS) == (recorded[unit].verdict is Verdict.ACCEPT), unit
    assert sum(ENGINE_LOST in one.failures for one in recorded.values()) <= 1
    assert_no_part_is_missing(recorded, engines=2)
    assert Gate.DIVERT in [gate for (gate,) in plc.done.values()]


def test_parts_go_on_being_inspected_while_service_and_database_are_away_and_are_on_record_afterwards(
    tmp_path,
):
    """The service is the only one that writes the database: with it away the engine has neither."""
    away_s = 16
    with a_demo(tmp_path) as demo:
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        demo.wait(lambda: demo.get("/healthz").get("engine"), "a healthy station")
        service = demo.service()
        assert service is not None
        # It hangs, which nobody starts again, and is dead only at the end of that time.
        os.kill(service, signal.SIGSTOP)
        began = datetime.now(UTC)
        time.sleep(away_s)
        assert demo.get("/healthz") == {}
        ended = datetime.now(UTC)
        os.kill(service, signal.SIGKILL)
        demo.wait(lambda: demo.get("/healthz").get("engine"), "the service to be back")
        with demo.store() as store:

            def of_that_time() -> list[Inspection]:
                newest = store.latest(simulated=False, limit=1000)
                return [one for one in newest if one.lane == "parts" and began < one.finished_at < ended]

            # One part comes every two seconds.
            demo.wait(lambda: len(of_that_time()) >= away_s // 2 - 2, "the parts of that time on record")
            judged = [one for one in of_that_time() if one.frames_inspected == one.triggers]
            assert len(judged) >= len(of_that_time()) - 1, "a slow machine may drop one; none is let through"
            assert all(one.verdict is not Verdict.ACCEPT for one in of_that_time() if one not in judged)
            numbers = sorted(int(str(one.unit).rsplit("-", 1)[1]) for one in of_that_time())
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            demo.wait(
                lambda: demo.balances("parts").get("recorded", {}).get("units"), "an audit of the records"
            )
            balance = demo.balances("parts")
            assert balance["balanced"], balance["alarms"]
            assert (balance["unaccounted"], balance["engine"]["gap"]) == (0, 0)


needs_viva = pytest.mark.skipif(find_spec("viva_genicam") is None, reason='pip install "lynceus[gige]"')


@pytest.mark.parametrize(
    ("driver", "without"), [("genicam", ()), pytest.param("gige", ("harvesters",), marks=needs_viva)]
)
def test_a_camera_whose_cable_is_pulled_is_named_on_the_page_and_comes_back_by_itself(
    tmp_path, driver, without
):
    if driver == "genicam":
        pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')
        built_producer()
    with ExitStack() as held:
        # As if another demo ran on this computer.
        taken = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        taken.bind((wired(load_station("demo")).devices[0].address, GVCP_PORT))
        demo = held.enter_context(a_demo(tmp_path, without=without))
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        assert demo.lane("strip")["driver"] == demo.lane("parts")["driver"] == driver
        camera = demo.lane("strip")["camera"]
        device = demo.devices()[camera]
        store = held.enter_context(demo.store())
        demo.wait(lambda: {b.lane for b in store.begun()} >= {"strip"}, "a coil in hand")

        # The supervisor is held, so that it does not switch the camera on again before we have looked.
        demo.process.send_signal(signal.SIGSTOP)
        os.kill(device, signal.SIGKILL)
        demo.wait(lambda: demo.lane("strip").get("condition") == "lost", "the lane to say so")
        demo.wait(
            lambda: re.search(f"CAM-(LOST|SILENT|NOT-FOUND).*{camera}", demo.panel("strip")),
            "the page to name it",
        )
        assert demo.lane("parts")["condition"] == "running"

        def cut_short() -> Inspection | None:
            strips = (one for one in store.latest(simulated=False, limit=20) if one.lane == "strip")
            newest = next(strips, None)
            return newest if newest and set(newest.failures) & {"CAM-LOST", "CAM-SILENT"} else None

        demo.wait(cut_short, "the coil in hand to be closed")
        assert cut_short().verdict >= Verdict.NOT_INSPECTED

        demo.process.send_signal(signal.SIGCONT)
        demo.wait(lambda: demo.devices().get(camera, device) != device, "the camera to be switched on again")
        demo.wait(lambda: demo.lane("strip").get("condition") == "running", "the lane to have it again")
        demo.wait(lambda: {b.lane for b in store.begun()} >= {"strip"}, "the next coil")
        # Over, and still there until somebody has seen that it was.
        assert re.search("alarm-returned.*CAM-(LOST|SILENT|NOT-FOUND)", demo.panel("strip"), re.DOTALL)
        assert "alarm-unacknowledged" not in demo.panel("strip")

        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(PATIENCE_S) == 0
        assert_all_ended(demo)


def test_a_recipe_is_changed_in_mid_run_every_exposure_is_accounted_for_and_it_outlives_the_engine(tmp_path):
    with a_demo(tmp_path, without=("harvesters", "viva_genicam")) as demo, ExitStack() as held:
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        store = held.enter_context(demo.store())
        # Somebody who may operate, with a key for a program, as a PLC's gateway has.
        key = a_key_to_operate(store)
        demo.wait(lambda: demo.lane("strip").get("in_hand"), "a coil in view")
        by_the_old_one = demo.lane("strip")["in_hand"]["id"]
        assert (
            demo.post("/api/v1/lanes/strip/recipe", {"number": 2}, key=key)["recipe"] == "strip-demo-exposed"
        )
        demo.wait(
            lambda: (demo.lane("strip").get("recipe") or {}).get("recipe") == "strip-demo-exposed",
            "the other recipe to be in use",
        )
        demo.wait(lambda: store.inspection(UUID(by_the_old_one)), "the coil that was in view to be finished")
        before = store.inspection(UUID(by_the_old_one))
        assert before.recipe.name == "strip-demo"
        assert_accounted_for(before)

        def by_the_new_one() -> list[Inspection]:
            coils = store.latest(simulated=False, lane="strip", limit=20)
            return [coil for coil in coils if coil.recipe.name == "strip-demo-exposed"]

        demo.wait(by_the_new_one, "a coil by the other recipe")
        after = by_the_new_one()[-1]
        assert_accounted_for(after)
        assert demo.balances("strip")["balanced"]

        engine = demo.engine()
        os.kill(engine, signal.SIGKILL)
        demo.wait(lambda: demo.engine() not in (None, engine), "another engine")
        demo.wait(lambda: demo.lane("strip").get("condition") == "running", "the lane to run again")
        assert demo.lane("strip")["recipe"]["recipe"] == "strip-demo-exposed"


def assert_accounted_for(coil: Inspection) -> None:
    """A machine that is busy with other tests may be too slow for a frame. Then it says so; it forgets none."""
    due = next(lane.unit.frames for lane in load_station("demo").lanes if lane.name == coil.lane)
    assert (coil.triggers, coil.unaccounted) == (due, 0)
    assert set(coil.failures) <= {FRAME_LOST, OVERRUN}
    assert coil.frames_lost == sum(coil.failures.values())


def a_key_to_operate(store: TraceStore) -> str:
    access = Access(Accounts(store))
    at = datetime.now(UTC)
    access.accounts.add(
        name="gateway",
        title="PLC gateway",
        role=Role.OPERATOR,
        password_hash=access.hashed_password("four words at line"),
        by=None,
        at=at,
    )
    session = access.sign_in(name="gateway", password="four words at line")
    caller = access.caller(session=session, bearer=None, used=True)
    key, _ = access.make_token(caller, name="plc", rights={Right.OPERATE}, expires_at=at + timedelta(days=1))
    return key


def test_without_a_camera_library_the_demo_draws_and_says_why(tmp_path):
    with a_demo(tmp_path, without=("harvesters", "viva_genicam")) as demo:
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        assert demo.says('pip install "lynceus[gige]"')
        assert demo.lane("strip")["driver"] == "drawn_strip"
        assert demo.lane("parts")["driver"] == "drawn_parts"
        assert demo.devices() == {}


def test_a_station_whose_supervisor_is_killed_leaves_no_process_behind(tmp_path):
    with a_demo(tmp_path) as demo:
        demo.wait(lambda: demo.says("First verdict"), "the first verdict")
        demo.process.kill()
        demo.process.wait()
        assert_all_ended(demo)


def test_a_port_that_is_taken_is_said_with_another_to_use(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        demo = Demo(tmp_path, port)
        assert demo.process.wait(PATIENCE_S) == 1
        assert demo.says("SVC-PORT-TAKEN")
        assert demo.says(f"--port {port + 1}")
        assert not demo.says("Traceback")
