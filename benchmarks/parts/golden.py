"""How well golden-template comparison finds the defects of DeepPCB's bare boards, on pairs it was not set up with.

PYTHONPATH=. python benchmarks/parts/golden.py [--shared ../shared] [--split val]

A defect is found if a box of what was detected overlaps its box by an intersection over union of at least 0.33, as
the data set's authors count (Tang et al. 2019); each box counts once. Their boxes are drawn 11 px wider than what
differs, and so are ours here.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from inspection.errors import InspectionError
from inspection.types import Detections
from inspection.vision.boxes import overlaps
from inspection.vision.decoding import decode_image
from inspection.vision.golden import GoldenPrint
from models.evaluation import Judged
from models.evaluation import precision as average_precision

KINDS = ("open", "short", "mousebite", "spur", "spurious_copper", "pin_hole")
OVERLAP = 0.33
MARGIN_PX = 9.5
MIN_CONTRAST = 110
"""Of 255. Chosen, like all defaults of GoldenPrint, on half of the training pairs."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--split", choices=["train", "val"], default="val")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    folder = given.shared / "data" / "deeppcb"
    names = (folder / f"{given.split}.txt").read_text().split()
    hits = np.zeros(len(KINDS), int)
    truths = np.zeros(len(KINDS), int)
    reported, refused, took_ms = 0, 0, []
    pictures: list[Judged] = []
    for name in names:
        stem = Path(name).stem.removesuffix("_test")
        golden = GoldenPrint(
            golden=grey(folder / "templates" / f"{stem}_temp.jpg"),
            margin_px=MARGIN_PX,
            min_contrast=MIN_CONTRAST,
            conductors=True,
        )
        picture = grey(folder / name)
        kinds, boxes = labels(folder / "labels" / f"{stem}_test.txt", picture.shape)
        began = time.process_time()
        try:
            found = golden.detect(picture)
        except InspectionError as error:
            print(f"{name}: {error}")
            refused += 1
            pictures.append(judged(kinds, boxes, Detections.none()))
            truths += np.bincount(kinds, minlength=len(KINDS))
            continue
        took_ms.append((time.process_time() - began) * 1e3)
        pictures.append(judged(kinds, boxes, found))
        caught = matched(overlaps(found.xyxy, boxes))
        reported += len(found)
        truths += np.bincount(kinds, minlength=len(KINDS))
        hits += np.bincount(kinds[caught], minlength=len(KINDS))
    precision, recall = hits.sum() / max(reported, 1), hits.sum() / truths.sum()
    print(f"{given.split}: {len(names)} pairs, {truths.sum()} defects, {refused} pairs not inspected")
    print(
        f"precision {precision:.4f}  recall {recall:.4f}  F1 {2 * precision * recall / (precision + recall):.4f}"
    )
    average = average_precision(pictures, KINDS)
    print(f"mAP50 {average.map50:.4f}  mAP50-95 {average.map50_95:.4f}")
    for kind, caught, there in zip(KINDS, hits, truths, strict=True):
        print(f"  {kind:16} {caught:4} of {there:4}  {caught / there:.3f}  AP50 {average.ap50[kind]:.3f}")
    print(f"median {np.median(took_ms):.0f} ms of one core for {picture.shape[1]} x {picture.shape[0]} px")


def judged(kinds: np.ndarray, boxes: np.ndarray, found: Detections) -> Judged:
    return Judged(truth_xyxy=boxes, truth_kind=tuple(KINDS[kind] for kind in kinds), found=found)


def grey(file: Path) -> np.ndarray:
    pixels = decode_image(file.read_bytes())
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def labels(file: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(file, ndmin=2)
    middle, half = rows[:, 1:3], rows[:, 3:5] / 2
    xyxy = np.concatenate([middle - half, middle + half], axis=1) * (shape[1], shape[0], shape[1], shape[0])
    return rows[:, 0].astype(int), xyxy.astype(np.float32)


def matched(shared: np.ndarray) -> np.ndarray:
    """The columns that a row of their own overlaps enough, the surest rows first."""
    free = np.ones(shared.shape[1], bool)
    for row in shared:
        best = int(np.argmax(np.where(free, row, -1))) if free.any() else 0
        if free.any() and row[best] >= OVERLAP:
            free[best] = False
    return np.flatnonzero(~free)


if __name__ == "__main__":
    main()
