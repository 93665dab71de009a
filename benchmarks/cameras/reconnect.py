"""A camera, and the camera's process, killed again and again in mid-stream: does the lane carry on by itself?

    python -m benchmarks.cameras.reconnect

A device of ours (`lynceus camera simulate`) on a network of its own, received with our producer, harvesters and a
process of its own, by a lane as a station runs it. Ends with status 1 if a lane did not come back with its settings,
if a unit in hand was accepted, or if memory or open files of the lane's process grew.

    noticed    from the kill until the lane says that its camera is lost
    recovered  from then, or from when the device is there again if that is later, until its first frame
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import psutil

from cameras import open_camera
from cameras.settings import GenicamSettings
from inspection.identity import IdentifierCode
from inspection.pipeline import Pipeline
from inspection.types import (
    Detections,
    Frame,
    FrameResult,
    Image,
    Inspection,
    InspectionBegun,
    RecipeRef,
    Surface,
    Verdict,
)
from services.station.engine import keep_running
from services.station.lane import Lane, ReadyRecipe
from services.station.messages import LaneState
from services.station.units import CountedUnits
from tests.gige import a_network_of_its_own, built_producer
from tests.where import REPOSITORY

SERIAL = "AGAIN-1"
FRAMES_PER_UNIT = 10
MID_STREAM_FRAMES = 25
GIVE_UP_S = 60.0
ALLOWED_GROWTH_MB = 5.0

SETTINGS = GenicamSettings(
    producer="lynceus", serial=SERIAL, width_px=320, height_px=240, exposure_us=2000.0, frames_per_s=20.0
)
"""Not what the device has of itself when it comes back: a frame of another size shows settings not applied."""


@dataclass(slots=True)
class Watched:
    """The lane's sink and all that it says, with times."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    lost_s: float = 0.0
    lost_code: str = ""
    frame_s: float = 0.0
    frames: int = 0
    wrong_size: int = 0
    units: Counter[str] = field(default_factory=Counter)

    def say(self, state: LaneState) -> None:
        with self.changed:
            if state.condition == "lost" and not self.lost_s:
                self.lost_s, self.lost_code = time.monotonic(), state.failure or ""
            elif state.condition == "running":
                self.frames, self.frame_s = 0, 0.0
            self.changed.notify_all()

    def unit_begun(self, begun: InspectionBegun) -> None:
        pass

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        with self.changed:
            self.frame_s = self.frame_s or time.monotonic()
            self.frames += 1
            self.wrong_size += frame.pixels.shape[:2] != (SETTINGS.height_px, SETTINGS.width_px)
            self.changed.notify_all()

    def unit_done(self, inspection: Inspection) -> None:
        is_accepted = inspection.verdict is Verdict.ACCEPT
        self.units["accepted" if is_accepted else "not inspected"] += 1
        if is_accepted and inspection.frames_inspected != FRAMES_PER_UNIT:
            self.units["accepted without all of its frames"] += 1

    def forget(self) -> None:
        with self.changed:
            self.lost_s, self.lost_code = 0.0, ""

    def wait(self, reached: Callable[[Watched], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: reached(self), GIVE_UP_S)


class FindsNothing:
    def detect(self, image: Image) -> Detections:
        return Detections.none()


class Device:
    """`lynceus camera simulate`, as a process that can be killed."""

    def start(self) -> None:
        command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
        options = ["--serial", SERIAL, "--show", "parts", "--prepared", "4"]
        self._process = subprocess.Popen(
            [*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if SERIAL not in self._process.stdout.readline():
            raise SystemExit("the device did not start")

    def kill(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def kill_and_start(self, away_s: float) -> None:
        self.kill()
        time.sleep(away_s)
        self.start()


def kill_the_cameras_process() -> None:
    (process,) = [child for child in multiprocessing.active_children() if child.name == "camera top"]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--times", type=int, default=20, help="of each kind")
    asked.add_argument("--away-s", type=float, default=2.0, help="how long the device is away")
    given = asked.parse_args()

    built_producer()
    watched, device = Watched(), Device()
    lane = a_lane(watched)
    with a_network_of_its_own():
        device.start()
        running = threading.Thread(
            target=keep_running,
            args=(lane, partial(open_camera, "top", SETTINGS)),
            kwargs={"camera": "top", "driver": SETTINGS.driver, "say": watched.say},
            daemon=True,
        )
        running.start()
        try:
            is_well = all(
                [
                    again_and_again(
                        "device", partial(device.kill_and_start, given.away_s), watched, given.times
                    ),
                    again_and_again("camera's process", kill_the_cameras_process, watched, given.times),
                ]
            )
        finally:
            lane.stop.set()
            lane.leave()
            running.join()
            device.kill()
    print(f"units: {dict(watched.units)}; frames of another size: {watched.wrong_size}")
    is_right = not watched.units["accepted without all of its frames"] and not watched.wrong_size
    return 0 if is_well and is_right else 1


def again_and_again(what: str, kill: Callable[[], None], watched: Watched, times: int) -> bool:
    noticed, recovered, codes = [], [], Counter[str]()
    held = []
    print(f"{what} killed\n     noticed s  recovered s  as                memory MB  open files")
    for number in range(1, times + 1):
        watched.forget()
        if not watched.wait(lambda seen: seen.frames >= MID_STREAM_FRAMES):
            print(f"{number:3}  the frames do not go on")
            return False
        began_s = time.monotonic()
        kill()
        there_s = time.monotonic()
        if not watched.wait(lambda seen: bool(seen.lost_s) and seen.frame_s > seen.lost_s):
            print(f"{number:3}  does not come back")
            return False
        noticed.append(watched.lost_s - began_s)
        recovered.append(watched.frame_s - max(watched.lost_s, there_s))
        codes[watched.lost_code] += 1
        held.append((psutil.Process().memory_full_info().uss / 1e6, psutil.Process().num_fds()))
        print(
            f"{number:3}  {noticed[-1]:9.2f}  {recovered[-1]:11.2f}  {watched.lost_code:16}"
            f"  {held[-1][0]:9.1f}  {held[-1][1]:10}",
            flush=True,
        )
    for name, values in (("noticed", noticed), ("recovered", recovered)):
        print(f"{name:9} median {statistics.median(values):.2f} s, longest {max(values):.2f} s")
    growth_mb, files = float(held[-1][0] - held[0][0]), int(held[-1][1] - held[0][1])
    print(f"as {dict(codes)}; memory {growth_mb:+.1f} MB and open files {files:+} from first to last\n")
    return growth_mb <= ALLOWED_GROWTH_MB and files <= 0


def a_lane(watched: Watched) -> Lane:
    numbers = count(1)

    def mint() -> IdentifierCode:
        code = f"U{next(numbers)}"
        return IdentifierCode(scheme="plain", raw=code, canon=code)

    return Lane(
        name="top",
        station="reconnect",
        recipe=ReadyRecipe(
            ref=RecipeRef(name="none", revision=1, sha256="0" * 64),
            models=(),
            pipeline=Pipeline(detector=FindsNothing(), surface=Surface(name="top"), limits=()),
        ),
        units=partial(CountedUnits, FRAMES_PER_UNIT, mint),
        sinks=[watched],
        stop=threading.Event(),
    )


if __name__ == "__main__":
    sys.exit(main())
