"""Two GigE Vision cameras for a long time: is a frame lost, does memory or the number of open files grow?

    python -m benchmarks.cameras.soak

Two devices of ours (`lynceus camera simulate`) send pictures of 1024 x 1024 on a network of their own; Lynceus
receives them with its own producer. Ends with status 1 if a frame was lost, or if memory grew by more than 1 % a
minute over the second half.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import psutil

from cameras import open_camera
from cameras.settings import GenicamSettings
from tests.gige import a_network_of_its_own, built_producer
from tests.where import REPOSITORY

ADDRESSES = {"SOAK-1": "127.0.0.1", "SOAK-2": "127.0.0.2"}
ALLOWED_GROWTH_PER_MINUTE = 0.01

BUFFERS = 32
FRAME_RETENTION_US = 1_000_000
"""How long a frame waits for its packets. These devices are programs, which a busy computer stops in mid-frame for
longer than the 0.2 s that libaravis waits; no camera pauses so. The buffers hold what comes meanwhile."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one camera gave so far. `first` and `last` are the device's counts."""

    frames: int = 0
    first: int = 0
    last: int = -1
    failure: str = ""

    @property
    def lost(self) -> int:
        return self.last - self.first + 1 - self.frames


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size-px", type=int, default=1024)
    asked.add_argument("--frames-per-s", type=float, default=15)
    asked.add_argument("--minutes", type=float, default=10)
    given = asked.parse_args()

    built_producer()
    os.environ.setdefault("LYNCEUS_GENTL_FRAME_RETENTION_US", str(FRAME_RETENTION_US))
    done = threading.Event()
    seen = {serial: Seen() for serial in ADDRESSES}
    with ExitStack() as held:
        held.enter_context(a_network_of_its_own())
        for serial, address in ADDRESSES.items():
            held.enter_context(a_device(serial, address, given.size_px, given.frames_per_s))
        threads = [threading.Thread(target=watch, args=(serial, seen[serial], done)) for serial in seen]
        for thread in threads:
            thread.start()
        print("minute   frames     lost   memory MB   open files")
        readings = [*readings_of(given.minutes, seen)]
        done.set()
        for thread in threads:
            thread.join()
    for serial, one in seen.items():
        print(f"{serial}: {one.frames} frames, {one.lost} lost {one.failure}")
    half = readings[len(readings) // 2 :]
    slope = float(np.polyfit([r[0] for r in half], [r[1] for r in half], 1)[0])
    growth = slope / half[0][1]
    print(f"memory over the second half: {growth:+.2%} a minute; open files {half[0][2]} to {half[-1][2]}")
    is_well = all(one.frames and not one.lost and not one.failure for one in seen.values())
    return 0 if is_well and growth <= ALLOWED_GROWTH_PER_MINUTE else 1


def readings_of(minutes: float, seen: dict[str, Seen]) -> Iterator[tuple[float, float, int]]:
    """Each ten seconds: minutes since the start, MB held by this process and those of its cameras, open files."""
    began = time.monotonic()
    rounds = max(2, round(minutes * 6))
    for number in range(1, rounds + 1):
        time.sleep(max(0.0, began + number * minutes * 60 / rounds - time.monotonic()))
        ours = [psutil.Process(), *(p for p in psutil.Process().children(recursive=True) if not is_device(p))]
        memory = sum(process.memory_full_info().pss for process in ours) / 1e6
        files = sum(process.num_fds() for process in ours)
        frames, lost = sum(one.frames for one in seen.values()), sum(one.lost for one in seen.values())
        elapsed = (time.monotonic() - began) / 60
        if number % 6 == 0 or number == rounds:
            print(f"{elapsed:6.1f} {frames:8d} {lost:8d} {memory:11.1f} {files:12d}", flush=True)
        yield elapsed, memory, files


def watch(serial: str, seen: Seen, done: threading.Event) -> None:
    settings = GenicamSettings(producer="lynceus", serial=serial, buffers=BUFFERS)
    try:
        with open_camera(serial, settings) as camera:
            for frame in camera.frames():
                if seen.frames == 0:
                    seen.first = frame.sequence
                seen.frames, seen.last = seen.frames + 1, frame.sequence
                if done.is_set():
                    return
    except Exception as error:  # noqa: BLE001 - the table is to say it, and the other camera goes on
        seen.failure = f"{type(error).__name__}: {error}"


@contextmanager
def a_device(serial: str, address: str, size_px: int, frames_per_s: float) -> Iterator[None]:
    command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
    options = ["--serial", serial, "--address", address, "--show", "parts", "--prepared", "20"]
    options += ["--size", f"{size_px}x{size_px}", "--frames-per-s", str(frames_per_s)]
    with subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as device:
        try:
            assert device.stdout is not None
            if serial not in device.stdout.readline():
                raise SystemExit(f"{serial} did not start")
            yield
        finally:
            device.kill()


def is_device(process: psutil.Process) -> bool:
    return "simulate" in process.cmdline()


if __name__ == "__main__":
    sys.exit(main())
