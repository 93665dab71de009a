"""A whole station at line rate: camera → lane → verdict → database → page, all that was triggered accounted for.

PYTHONPATH=. python benchmarks/station/line.py wire      our GigE Vision device, at 115 MB/s for 5 minutes
PYTHONPATH=. python benchmarks/station/line.py memory    frames from memory, at 1.2 GB/s for 60 s

[--size 4096x1024] [--rate FRAMES/S] [--seconds S] [--buffers 16] [--hot 0.12] [--workers N]
[--model strip-surface-int8] [--no-screen] [--plc]

The service is a process of its own, as in a station, and a page asks it twice a second. The engine is this process,
with one sink more than a station has, in the place of the reject gate: it takes the time at each verdict. Latency is
from the frame being whole in the computer to its verdict, in order, with the wait for older frames. The device is a
process on the same cores; over the wire, it and the reception are in the share of the cores, which is printed.
`--hot` is defects per megapixel of the drawn strip: 0.12 makes about 1 % of the 256 px squares hot.
With `--plc` each frame is a part, and a PLC's end in a process of its own takes its verdict over Modbus TCP, asking
every millisecond: the time from the frame being whole to the PLC having its verdict is printed, too.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import psutil

from inspection.protocols import Camera, Sink
from inspection.types import Frame, FrameResult, Image, Inspection, InspectionBegun
from inspection.vision.drawing import StripDrawing
from services.ports import why_taken
from services.signals.handshake import Done, Gate
from services.signals.line import Line
from services.signals.modbus import Plc
from services.station.build import build_lane, open_cameras
from services.station.cores import give_cores_to_lanes
from services.station.engine import keep_running
from services.station.lane import Lane
from services.station.link import Address, Courier
from services.station.messages import Message
from services.station.place import ENGINE_LOGS, ServicePlace
from services.station.reporter import Reporter
from services.station.service import run_service
from services.station.write_ahead import WriteAheadLog
from services.telemetry import log_to_stderr
from station_config import StationSettings
from traceability.identifiers import Minter
from traceability.store import TraceStore

DEVICE, SERIAL = "127.87.1.1", "LINE-1"
PREPARED = 16
COIL_S = 10.0
STARTS_WITHIN_S = 90.0
HOST, PLC_PORT, PLC_CYCLE_S = "127.0.0.1", 18502, 0.001
LIMITS = "\n".join(
    f'[[limits]]\nkind = "{kind}"\nmeasure = "score"\nreview_from = 0.3\nreject_from = 0.6\n'
    for kind in ("crazing", "inclusion", "patch", "pits", "scale", "scratch")
)


class Times:
    """A sink: when each verdict came, and how old its frame was."""

    def __init__(self) -> None:
        self.latency_ms: list[float] = []
        self.verdicts: dict[str, int] = {}
        self.steps: dict[str, list[float]] = {}
        self.tiles = self.sent = 0
        self.captured_s: dict[str, float] = {}

    def unit_begun(self, begun: InspectionBegun) -> None:
        pass

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        captured_s = frame.captured_at.timestamp()
        self.latency_ms.append((time.time() - captured_s) * 1000)
        self.captured_s[str(inspection.unit)] = captured_s
        name = result.failure or result.verdict.name
        self.verdicts[name] = self.verdicts.get(name, 0) + 1
        for step, spent in result.timings_ms.items():
            self.steps.setdefault(step, []).append(spent)
        if result.looked is not None:
            self.tiles += result.looked.tiles
            self.sent += result.looked.sent

    def unit_done(self, inspection: Inspection) -> None:
        pass


def take_verdicts(port: int, words: Connection) -> None:
    """Main of the PLC's process: until told to end. Gives when it had the verdict of which unit."""
    had_s: dict[str, float] = {}
    with Plc(HOST, port) as plc:
        words.send("connected")
        while not words.poll():
            read = plc.read(1)
            if read.shown is None:
                time.sleep(PLC_CYCLE_S)
                continue
            had_s[read.shown.code] = time.time()
            plc.take(1, read, Done.LET_PASS if read.gate is Gate.PASS else Done.DIVERTED)
    words.send(had_s)


@contextmanager
def a_plc(
    station: StationSettings, times: Times, say: Callable[[Message], None]
) -> Iterator[tuple[Sink, ...]]:
    """The sinks that tell the PLC, where the station has one."""
    if station.line is None:
        yield ()
        return
    context = get_context("spawn")
    with Line(station.line, station.lanes, wished=lambda wish: None, say=say) as line:
        until_s = time.monotonic() + STARTS_WITHIN_S
        while why_taken(HOST, station.line.port) is None and time.monotonic() < until_s:
            time.sleep(0.05)
        ours, theirs = context.Pipe()
        plc = context.Process(target=take_verdicts, args=(station.line.port, theirs), daemon=True)
        plc.start()
        ours.recv()
        yield line.sinks("line")
        time.sleep(1.0)
        ours.send("end")
        had_s = ours.recv()
        plc.join()
    known = [
        1000 * (at_s - times.captured_s[unit]) for unit, at_s in had_s.items() if unit in times.captured_s
    ]
    p50, p99, p999 = np.percentile(known, [50, 99, 99.9])
    print(
        f"frame to PLC: {len(known)} of {len(times.captured_s)} verdicts taken, p50 {p50:.1f} ms, p99 {p99:.1f}, "
        f"p99.9 {p999:.1f}, max {max(known):.1f}"
    )


class FromMemory:
    """A camera whose frames lie in memory, one every 1 / rate seconds."""

    def __init__(self, frames: list[Image], rate: float, count: int) -> None:
        self._frames = frames
        self._rate = rate
        self._count = count
        self._left = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def frames(self) -> Iterator[Frame]:
        began = time.monotonic()
        for number in range(self._count):
            wait = began + number / self._rate - time.monotonic()
            if self._left.wait(wait) if wait > 0 else self._left.is_set():
                return
            pixels = self._frames[number % len(self._frames)]
            yield Frame(pixels=pixels, camera="memory", sequence=number, captured_at=datetime.now(UTC))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", choices=["wire", "memory"])
    parser.add_argument("--size", default="4096x1024")
    parser.add_argument("--rate", type=float, default=None, help="frames a second")
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--hot", type=float, default=0.12)
    parser.add_argument("--model", default="strip-surface-int8")
    parser.add_argument("--no-screen", action="store_true")
    parser.add_argument("--plc", action="store_true")
    parser.add_argument("--buffers", type=int, default=16, help="frames that wait for a busy lane at most")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    rate = given.rate
    if rate is None:
        rate = (115e6 if given.source == "wire" else 1.2e9) / (width * height)
    seconds = given.seconds or (300.0 if given.source == "wire" else 60.0)
    log_to_stderr(logging.WARNING)
    give_cores_to_lanes()
    strip = StripDrawing(77, width_px=width, defects_per_megapixel=given.hot)
    frames = [strip.frame(index, height_px=height).pixels for index in range(PREPARED)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        station = a_station(folder, given, width, height, rate)
        # Where the cameras have a process of their own, they end by themselves; here the count says when.
        camera: Camera
        if given.source == "wire":
            held.enter_context(a_device(folder, frames, rate))
            camera = open_cameras(station.lanes[0])
        else:
            camera = FromMemory(frames, rate, int(seconds * rate))
        times, page = run(station, folder, camera, seconds, is_endless=given.source == "wire")
        report(given, times, page, folder, width * height, seconds)
    return 0


def a_station(
    folder: Path, given: argparse.Namespace, width: int, height: int, rate: float
) -> StationSettings:
    # The share of quiet places is that of the recipe for line rate which comes with the product.
    screen = (
        ""
        if given.no_screen
        else '[detector.screen]\nmodel = "strip-screen"\nmost_tiles = 100000\nquiet_share = 0.0002\n'
    )
    recipe = folder / "line.toml"
    recipe.write_text(
        'name = "line"\nrevision = 1\nproduct = "strip"\n'
        f'[detector]\nmodel = "{given.model}"\n{screen}'
        f"[surface]\nx_mm_per_px = 0.25\ny_mm_per_px = 0.25\n{'' if given.plc else '[strip]'}\n{LIMITS}",
        encoding="utf-8",
    )
    camera = {
        "driver": "genicam",
        "producer": "lynceus",
        "device": DEVICE,
        "frames_per_s": max(rate, 1.0),
        "buffers": given.buffers,
    }
    lane = {
        "name": "line",
        "title": {"en": "Line", "zh": "产线"},
        "recipe": "line",
        "workers": given.workers,
        "unit": {"kind": "part"} if given.plc else {"kind": "coil", "frames": max(1, round(COIL_S * rate))},
        "camera": camera,
    }
    line = {"host": HOST, "port": PLC_PORT, "clients": [HOST], "lanes": ["line"]} if given.plc else None
    station = StationSettings.model_validate(
        {"name": "line", "code_prefix": "86.999.1", "lanes": [lane], "line": line}
    )
    # A recipe is called by its name in a station's settings; here its file lies in a folder that will be gone.
    lanes = tuple(one.model_copy(update={"recipe": str(recipe)}) for one in station.lanes)
    return station.model_copy(update={"lanes": lanes})


@contextmanager
def a_device(folder: Path, frames: list[Image], rate: float) -> Iterator[None]:
    shown = folder / "shown"
    shown.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(shown / f"{number:03}.png"), frame)
    command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
    command += ["--address", DEVICE, "--serial", SERIAL, "--show", str(shown), "--prepared", str(len(frames))]
    with subprocess.Popen(
        [*command, "--frames-per-s", f"{rate:.3f}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        print(process.stdout.readline().strip())
        try:
            yield
        finally:
            process.terminate()


def run(
    station: StationSettings, folder: Path, camera: Camera, seconds: float, *, is_endless: bool
) -> tuple[Times, list[float]]:
    """The station for so many seconds; what was timed at its verdicts, and how long the page's answers took, ms."""
    address = Address(path=str(folder / "socket"), key=secrets.token_bytes(32))
    place = ServicePlace(
        database=f"sqlite:///{folder / 'line.db'}",
        pictures=str(folder / "pictures"),
        folder=folder,
        ledger=folder / "ledger",
        host="127.0.0.1",
        port=18437,
        language="en",
        seed_history=None,
    )
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    service = context.Process(target=run_service, args=(station, address, place, theirs))
    service.start()
    word = ours.recv()
    if word != "ready":
        raise word
    times, stop, asked_ms = Times(), threading.Event(), []
    lanes: list[Lane] = []
    with (
        WriteAheadLog(folder / ENGINE_LOGS / station.name) as log,
        Courier(address, log=log) as courier,
        Reporter(courier, keeps_up=lambda: not lanes[0].is_behind) as reporter,
        a_plc(station, times, courier.send) as to_plc,
    ):
        lane = build_lane(
            station,
            station.lanes[0],
            minter=Minter("86.999.1", started_at=datetime.now(UTC)),
            sinks=(log, *to_plc, times, reporter),
            stop=stop,
        )
        lanes.append(lane)
        gc.collect()
        gc.freeze()

        def ask() -> None:
            while not stop.wait(0.5):
                began = time.perf_counter()
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{place.port}/api/v1/station", timeout=10
                ) as answer:
                    json.load(answer)
                asked_ms.append(1000 * (time.perf_counter() - began))

        page = threading.Thread(target=ask)
        thread = threading.Thread(
            target=keep_running,
            args=(lane, lambda: camera),
            kwargs={"camera": "line", "driver": "genicam", "say": courier.send},
        )
        busy = {
            name: psutil.Process(pid)
            for name, pid in (("engine", os.getpid()), ("service", service.pid or 0))
        }
        thread.start()
        page.start()
        waiting_s = time.monotonic() + STARTS_WITHIN_S
        while not times.latency_ms and time.monotonic() < waiting_s:
            time.sleep(0.01)
        before = {name: sum(one.cpu_times()[:2]) for name, one in busy.items()}
        began = time.monotonic()
        # Frames from memory end by themselves, and then the lane would open the camera again: a little later.
        time.sleep(seconds if is_endless else seconds + 0.5)
        stop.set()
        lane.leave()
        thread.join(30)
        took = time.monotonic() - began
        for name, one in busy.items():
            cores = (sum(one.cpu_times()[:2]) - before[name]) / took
            print(f"{name}: {cores:.2f} cores, {one.memory_info().rss >> 20} MB")
        page.join()
        print(f"account: {lane.account}, gap {lane.account.gap}")
    service.terminate()
    service.join(20)
    return times, asked_ms


def report(
    given: argparse.Namespace, times: Times, page: list[float], folder: Path, frame_bytes: int, seconds: float
) -> None:
    latency = np.array(times.latency_ms)
    p50, p99, p999 = np.percentile(latency, [50, 99, 99.9])
    rate = len(latency) / seconds
    print(
        f"{given.source} {given.size} {given.model}, screen {not given.no_screen}, {given.workers} workers: "
        f"{len(latency)} frames, {rate:.1f}/s, {rate * frame_bytes / 1e6:.0f} MB/s; sent on "
        f"{times.sent / max(times.tiles, 1):.2%}"
    )
    print(f"frame to verdict: p50 {p50:.1f} ms, p99 {p99:.1f}, p99.9 {p999:.1f}, max {latency.max():.1f}")
    print(
        "steps, median and p99, ms: "
        + ", ".join(
            f"{step} {np.median(values):.2f} {np.percentile(values, 99):.2f}"
            for step, values in times.steps.items()
        )
    )
    asked = f"p50 {np.median(page):.0f} ms, p99 {np.percentile(page, 99):.0f}"
    print(f"results: {times.verdicts}; the page answers in {asked}")
    with TraceStore.open(f"sqlite:///{folder / 'line.db'}") as store:
        units = store.latest(limit=100_000)
    print(
        f"on record: {len(units)} units, {sum(u.triggers for u in units)} triggers = "
        f"{sum(u.frames_inspected for u in units)} inspected + {sum(u.frames_failed for u in units)} failed + "
        f"{sum(u.frames_lost for u in units)} lost + {sum(u.unaccounted for u in units)} unaccounted; "
        f"{sum(len(u.pictures) for u in units)} pictures"
    )


if __name__ == "__main__":
    sys.exit(main())
