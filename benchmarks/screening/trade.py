"""What more speed would cost: all thresholds of a screen raised together, and what is sent on and kept then.

PYTHONPATH=. python benchmarks/screening/trade.py [--model strip-surface-int8] [--data ../shared/data]

The lists are those of recall.py, and so is what counts as kept. `faster` is the processor time of one thread that the
network takes for all tiles, by that of the screen and the tiles which it sends on.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2

from benchmarks.screening.recall import drawn, severstal, share
from inspection.types import Detections, Image, Looked
from inspection.vision.boxes import overlaps
from inspection.vision.screening import Screen, Screened, TilingDetector
from models import open_detector
from models.screens import open_screen

RAISED_BY = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--screen", default="strip-screen")
    parser.add_argument("--version", default=None)
    parser.add_argument("--model", default=None, help="another of the networks that it may stand before")
    parser.add_argument("--released", type=Path, default=None, help="folder of released screens")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    cv2.setNumThreads(1)
    where = {} if given.released is None else {"folder": given.released}
    released = open_screen(given.screen, version=given.version, **where)
    teacher = released.card.teacher
    detector = open_detector(given.model or teacher.name, version=teacher.version)
    print(f"{given.screen} {released.card.version} before {detector.ref.name} {detector.ref.version}")
    for name, pictures in (
        ("Severstal frames", severstal(given.data / "strip_frames_severstal")),
        ("drawn strip 1600 x 400, defects", drawn(range(900, 906), defects_per_megapixel=6.0)),
    ):
        report(name, [one.pixels for one in pictures], released.screen, detector)


def report(name: str, pictures: Sequence[Image], screen: Screen, detector: TilingDetector) -> None:
    began = time.thread_time()
    everywhere = [detector.detect(one) for one in pictures]
    of_all = time.thread_time() - began
    print(
        f"\n{name}\n\n| raised by | sent on | kept | of the kind that loses most | faster |\n|---|---|---|---|---|"
    )
    for by in RAISED_BY:
        raised = replace(screen, thresholds=screen.thresholds + by)
        tiles, sent, found, kept = 0, 0, Counter[str](), Counter[str]()
        began = time.thread_time()
        answers = []
        screened = Screened(raised, detector, most_tiles=10**6, quiet_share=0.0)
        for one in pictures:
            answers.append(screened.detect(one))
            looked = answers[-1].looked or Looked()
            tiles += looked.tiles
            sent += looked.sent
        spent = time.thread_time() - began
        for whole, seen in zip(everywhere, answers, strict=True):
            found.update(whole.kind)
            kept.update(kinds_kept(whole, seen))
        worst = min(found, key=lambda kind: kept[kind] / found[kind])
        print(
            f"| {by:g} | {share(sent, tiles)} | {share(kept.total(), found.total())} | "
            f"{worst} {kept[worst]} of {found[worst]} | {of_all / spent:.1f} |",
            flush=True,
        )


def kinds_kept(whole: Detections, seen: Detections) -> list[str]:
    """Of each finding that is still reported its kind."""
    return [
        kind
        for kind, xyxy in zip(whole.kind, whole.xyxy, strict=True)
        if (overlaps(xyxy[None], seen.xyxy[[other == kind for other in seen.kind]]) >= 0.5).any()
    ]


if __name__ == "__main__":
    main()
