"""Throughput of Lynceus beside `arv-camera-test`, on one device, by turns in one run.

    python -m benchmarks.cameras.throughput

Both ask the same simulated GigE Vision camera (Aravis') for pictures of 2048 x 2048 as fast as it sends them, on a
network of their own. Beside ours, another Python thread sleeps 1 ms at a time and says how late it wakes: what a
camera that streams takes from the rest of the program. Its lateness without any camera stands beside that.

The device has a processor of its own, as a camera has, and whoever receives has all the others. Sharing them, the
receiver takes the processor from the device, the more so the sooner it is let run, and both figures are the device's.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cameras import open_camera
from cameras.settings import GenicamSettings
from inspection.types import Frame
from tests.gige import a_gige_device

FASTEST_HZ = 200
BYTES_PER_MB = 1e6
NAP_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came in one turn. `lost` in frames."""

    mb_per_s: float
    frames: int
    lost: int


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size-px", type=int, default=2048)
    asked.add_argument("--seconds", type=float, default=10)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()

    theirs, ours, late = [], [], []
    with a_gige_device() as device:
        give_a_processor_of_its_own(device.process_id)
        idle = wakes_late_ms(lambda: time.sleep(given.seconds))
        for _ in range(given.rounds):
            theirs.append(arv_camera_test(given.size_px, given.seconds))
            turn, lateness = lynceus(given.size_px, given.seconds)
            ours.append(turn)
            late.append(lateness)
    print(f"{given.size_px} x {given.size_px}, {given.rounds} turns of {given.seconds:g} s each")
    for name, turns in (("arv-camera-test", theirs), ("Lynceus", ours)):
        rates = " ".join(f"{turn.mb_per_s:6.1f}" for turn in turns)
        print(
            f"{name:16} {median(turns):6.1f} MB/s (turns: {rates}), frames lost: {sum(t.lost for t in turns)}"
        )
    print(f"ratio            {median(ours) / median(theirs):6.2f}")
    for name, lateness in (("no camera", idle), ("acquiring", np.concatenate(late))):
        p50, p99 = np.percentile(lateness, [50, 99])
        print(f"another thread wakes late, {name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")


def median(turns: list[Turn]) -> float:
    return statistics.median(turn.mb_per_s for turn in turns)


def give_a_processor_of_its_own(process_id: int) -> None:
    """The first to this process, the others to ourselves and all that we start."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise SystemExit("There is one processor: device and receiver would share it.")
    # Each thread has its own, and the one that sends is not the first.
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {first})
    os.sched_setaffinity(0, others)


def lynceus(size_px: int, seconds: float) -> tuple[Turn, np.ndarray]:
    """Our turn, from the first frame on, and by how many ms another thread woke late in it."""
    settings = GenicamSettings(
        producer="lynceus", width_px=size_px, height_px=size_px, frames_per_s=FASTEST_HZ, buffers=16
    )
    turns: list[Turn] = []
    with open_camera("top", settings) as camera:
        frames = camera.frames()
        first = next(frames)
        late = wakes_late_ms(lambda: turns.append(_received(frames, first, seconds)))
    return turns[0], late


def _received(frames: Iterator[Frame], first: Frame, seconds: float) -> Turn:
    began = time.monotonic()
    count, received = 0, 0
    for frame in frames:
        count, received = count + 1, received + frame.pixels.nbytes
        took = time.monotonic() - began
        if took >= seconds:
            break
    else:
        raise SystemExit("The frames ended before their time.")
    lost = frame.sequence - first.sequence - count
    return Turn(mb_per_s=received / took / BYTES_PER_MB, frames=count, lost=lost)


def arv_camera_test(size_px: int, seconds: float) -> Turn:
    """Its own figures, a line each second; the first second is left out, as our first frame is."""
    command = ["arv-camera-test-0.8", "-w", str(size_px), "-h", str(size_px), "-f", str(FASTEST_HZ), "-a"]
    with subprocess.Popen(
        ["stdbuf", "-oL", *command, "--no-packet-socket"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        threading.Timer(seconds + 2, process.send_signal, [signal.SIGINT]).start()
        said = process.communicate()[0]
    lines = re.findall(r"([\d.]+)\s*frames?/s.*?([\d.]+)\s*MiB/s", said)[1:]
    if not lines:
        raise SystemExit(f"arv-camera-test says nothing of its speed:\n{said}")
    errors = sum(int(number) for number in re.findall(r"(\d+) error", said))
    return Turn(
        mb_per_s=statistics.fmean(float(rate) for _, rate in lines) * 2**20 / BYTES_PER_MB,
        frames=round(sum(float(rate) for rate, _ in lines)),
        lost=errors,
    )


def wakes_late_ms(work: Callable[[], object]) -> np.ndarray:
    """By how many ms a thread that sleeps 1 ms at a time wakes late, again and again while `work` runs."""
    late: list[float] = []
    done = threading.Event()

    def sleeper() -> None:
        while not done.is_set():
            began = time.perf_counter()
            time.sleep(NAP_S)
            late.append((time.perf_counter() - began - NAP_S) * 1000)

    thread = threading.Thread(target=sleeper)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return np.array(late)


if __name__ == "__main__":
    main()
