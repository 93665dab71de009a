"""What an engine's memory does over 100 000 frames, and what one frame allocates.

PYTHONPATH=. python benchmarks/station/memory.py [--frames 100000] [--size 640x256]

One lane as in a station: intake, workers, screen and int8 network, coils of 300 frames, a sink that forgets. Frames
from memory as fast as they are inspected, some with defects. Ends with status 1 if the process is more than 2 % larger
at the end than after a tenth of the frames. Allocations are counted by tracemalloc in another run of 500 frames with
one worker: what Python's objects and numpy's arrays ask for, not what OpenCV and onnxruntime hold inside.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
import tracemalloc
from itertools import count
from math import inf

import cv2
import psutil

from benchmarks.station.line import FromMemory
from inspection.identity import IdentifierCode
from inspection.types import Frame, FrameResult, Inspection, InspectionBegun
from inspection.vision.drawing import StripDrawing
from services.station.build import build_recipe
from services.station.lane import Lane
from services.station.units import CountedUnits
from station_config import load_recipe

RECIPE = "strip-line-rate"
ALLOWED_GROWTH = 0.02
COUNTED_FRAMES = 500


class Forgets:
    """A sink that keeps nothing but numbers."""

    def __init__(self, total: int) -> None:
        self.frames = self.units = 0
        self.sizes_mb: list[float] = []
        self._each = max(total // 10, 1)
        self._process = psutil.Process()

    def unit_begun(self, begun: InspectionBegun) -> None:
        pass

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        self.frames += 1
        if self.frames % self._each == 0:
            self.sizes_mb.append(self._process.memory_info().rss / 2**20)

    def unit_done(self, inspection: Inspection) -> None:
        self.units += 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--size", default="640x256")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    cv2.setNumThreads(1)
    strip = StripDrawing(77, width_px=width, defects_per_megapixel=0.1)
    frames = [strip.frame(index, height_px=height).pixels for index in range(64)]

    def run(number: int, workers: int) -> Forgets:
        numbers, sink = count(), Forgets(number)
        lane = Lane(
            name="line",
            station="memory",
            recipe=build_recipe(load_recipe(RECIPE), workers=workers),
            units=lambda: CountedUnits(
                300, lambda: IdentifierCode(scheme="plain", raw="", canon=f"COIL-{next(numbers)}")
            ),
            sinks=[sink],
            stop=threading.Event(),
        )
        lane.run(FromMemory(frames, inf, number), started=lambda: None)
        assert (sink.frames, lane.account.gap) == (number, 0), lane.account
        return sink

    began = time.monotonic()
    sink = run(given.frames, 2)
    took = time.monotonic() - began
    print(f"{given.frames} frames of {given.size} in {took:.0f} s, {sink.units} units; MB after each tenth:")
    print("  " + "  ".join(f"{size:.1f}" for size in sink.sizes_mb))
    growth = sink.sizes_mb[-1] / sink.sizes_mb[0] - 1
    print(f"growth from the first tenth to the last: {growth:+.2%} (allowed {ALLOWED_GROWTH:.0%})")

    run(10, 1)
    gc.collect()
    tracemalloc.start()
    lane_frames = run(COUNTED_FRAMES, 1).frames
    kept, most = tracemalloc.get_traced_memory()
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    print(
        f"tracemalloc over {lane_frames} frames: {most / 2**20:.1f} MB at most at once, {kept / 2**20:.2f} MB kept; by:"
    )
    for one in snapshot.statistics("filename")[:4]:
        print(
            f"  {one.size / 1024:.0f} kB in {one.count} blocks: {one.traceback[0].filename.rsplit('/', 2)[-1]}"
        )
    return 0 if growth <= ALLOWED_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
