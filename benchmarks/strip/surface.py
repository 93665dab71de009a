"""What a coil's surface costs: finding the edges of a 4096 × 1024 frame, and memory over a long coil.

PYTHONPATH=. python benchmarks/strip/surface.py
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from inspection.repeats import RepeatRules
from inspection.strip import StripRules
from inspection.tally import UnitTally
from inspection.types import Box, Defect, EdgePoint, Frame, FrameResult, Measurement, Surface, Verdict
from inspection.vision.edges import StripEdges
from inspection.vision.welds import WeldFinder
from tests.builders import an_inspection_begun

SURFACE = Surface(name="top", x_mm_per_px=0.3, y_mm_per_px=0.3)
RULES = StripRules(
    surface=SURFACE,
    repeats=RepeatRules(shortest_mm=500, longest_mm=2500, across_mm=10, along_mm=5),
)
RUNS = 40


def a_frame() -> Frame:
    grey = np.random.default_rng(1).normal(110, 8, (1024, 4096))
    grey[:, :200] = grey[:, -200:] = 20
    pixels = grey.clip(0, 255).astype(np.uint8)
    return Frame(pixels=pixels, camera="top", sequence=0, captured_at=datetime.now(UTC))


def fastest_ms(step: Callable[[], object]) -> float:
    """The fastest of several: what else runs on the computer only adds."""
    times = []
    for _ in range(RUNS):
        began = perf_counter()
        step()
        times.append(1000 * (perf_counter() - began))
    return min(times)


def kept_kb(frame: Frame, frames: int, *, defect_each: int) -> float:
    """What a tally holds in the end; `defect_each` so many frames has one defect, 0: none has."""
    tally = UnitTally(an_inspection_begun(), (), after=-1, strip=RULES)
    tracemalloc.start()
    for sequence in range(frames):
        tally.due(sequence)
        top = tally.place(frame).y_origin_mm
        defects: tuple[Defect, ...] = ()
        if defect_each and sequence % defect_each == 0:
            mm = Box(100, top + 10, 110, top + 30)
            defects = (Defect(kind="pits", score=0.9, box_px=mm, box_mm=mm, camera="top", sequence=sequence),)
        tally.add(
            FrameResult(
                camera="top",
                sequence=sequence,
                verdict=Verdict.ACCEPT,
                defects=defects,
                measurements=(Measurement(name="width", value=1109.0, unit="mm"),),
                timings_ms={},
                seen_mm=Box(0, top, 1228.8, top + 307.2),
                edges=tuple(EdgePoint(y_mm=top + 19.2 * n, left_mm=60, right_mm=1169) for n in range(16)),
            )
        )
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / 1024


def main() -> None:
    frame, finder = a_frame(), StripEdges(surface=SURFACE)
    edges = finder.find(frame.pixels, frame)
    print(f"edges of a frame: {fastest_ms(lambda: finder.find(frame.pixels, frame)):.2f} ms")
    print(f"mirrored beyond them: {fastest_ms(lambda: finder.mirrored(frame.pixels, edges)):.2f} ms")
    welds = WeldFinder(surface=SURFACE, longest_mm=40)
    print(f"welds looked for: {fastest_ms(lambda: welds.find(frame.pixels, edges)):.2f} ms")
    for frames in (1_000, 10_000, 100_000):
        print(f"{frames} frames without a defect: {kept_kb(frame, frames, defect_each=0):.0f} kB kept")
    for frames in (1_000, 10_000):
        print(
            f"{frames} frames, every tenth with a defect: {kept_kb(frame, frames, defect_each=10):.0f} kB kept"
        )


if __name__ == "__main__":
    main()
