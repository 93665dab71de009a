"""What a screen sends on, and what it keeps of what the network finds when it looks everywhere.

PYTHONPATH=. python benchmarks/screening/recall.py [--model strip-surface-int8] [--data ../shared/data]

No picture measured on has taught the screen, nor set its thresholds. A finding is kept end to end when the network,
shown only the tiles that the screen sends on, reports a box of the same kind that overlaps it by half or more. It
is on a candidate when a cell under its own box stood out: the stricter question, because a tile may be sent on for
another reason, and the only telling one for pictures that are a single tile.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Box, Looked
from inspection.vision.boxes import overlaps
from inspection.vision.cells import CELL_PX
from inspection.vision.drawing import DrawnDefect, StripDrawing
from inspection.vision.screening import Cells, Screen, Screened, TilingDetector
from inspection.vision.tiles import Tile
from models import open_detector
from models.screens import open_screen
from models.training.dataset import Labelled, drawn_strip, read_neu


@dataclass(slots=True)
class Count:
    """Of one kind: findings of the network everywhere, kept end to end, on a candidate; labels, on a candidate."""

    found: int = 0
    kept: int = 0
    on_candidate: int = 0
    labels: int = 0
    labels_on_candidate: int = 0


@dataclass(slots=True)
class Tally:
    pictures: int = 0
    tiles: int = 0
    sent: int = 0
    alarmed: int = 0
    kinds: dict[str, Count] = field(default_factory=dict)

    def of(self, kind: str) -> Count:
        return self.kinds.setdefault(kind, Count())

    def sum(self, what: str) -> int:
        return sum(getattr(one, what) for one in self.kinds.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--screen", default="strip-screen")
    parser.add_argument("--version", default=None)
    parser.add_argument("--model", default=None, help="another of the networks that it may stand before")
    parser.add_argument("--released", type=Path, default=None, help="folder of released screens")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    where = {} if given.released is None else {"folder": given.released}
    released = open_screen(given.screen, version=given.version, **where)
    teacher = released.card.teacher
    detector = open_detector(given.model or teacher.name, version=teacher.version)
    print(f"{given.screen} {released.card.version} before {detector.ref.name} {detector.ref.version}\n")
    print(
        "| pictures | tiles | with a finding | sent on | findings | kept | on a candidate | labels touched |"
    )
    print("|---|---|---|---|---|---|---|---|")
    tallies = {}
    for name, pictures in sets(given.data):
        tallies[name] = tally = measured(pictures, released.screen, detector)
        print(
            f"| {name} ({tally.pictures}) | {tally.tiles} | {share(tally.alarmed, tally.tiles)} | "
            f"{share(tally.sent, tally.tiles)} | {line(tally)}",
            flush=True,
        )
    print(
        "\n| pictures | kind | findings | kept | on a candidate | labels touched |\n|---|---|---|---|---|---|"
    )
    for name, tally in tallies.items():
        for kind, count in sorted(tally.kinds.items()):
            print(f"| {name} | {kind} | {line(Tally(kinds={kind: count}))}")


def line(tally: Tally) -> str:
    found, labels = tally.sum("found"), tally.sum("labels")
    return (
        f"{found} | {share(tally.sum('kept'), found)} | {share(tally.sum('on_candidate'), found)} | "
        f"{share(tally.sum('labels_on_candidate'), labels)}{f' of {labels}' if labels else ''} |"
    )


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def sets(data: Path) -> Iterator[tuple[str, Iterable[Labelled]]]:
    yield "NEU-DET val", read_neu(data / "neu_det", "val.txt")
    yield "Severstal frames", severstal(data / "strip_frames_severstal")
    yield "magnetic tiles val", magnetic_tiles(data / "magnetic_tile")
    yield "drawn strip 1600 x 400, defects", drawn(range(900, 906), defects_per_megapixel=6.0)
    yield "drawn strip 1600 x 400, clean", drawn(range(910, 914), defects_per_megapixel=0.0)
    yield "drawn patches, defect-free", drawn_strip(range(8000, 8100), clean=True)


def drawn(seeds: range, *, defects_per_megapixel: float) -> Iterator[Labelled]:
    for seed in seeds:
        strip = StripDrawing(seed, width_px=1600, defects_per_megapixel=defects_per_megapixel)
        for index in range(5):
            drawing = strip.frame(index)
            yield Labelled(name=f"{seed}_{index}", pixels=drawing.pixels, truth=drawing.truth)


def severstal(folder: Path) -> Iterator[Labelled]:
    """The labels there are of other kinds than ours; they are counted as they are called there."""
    for path in sorted((folder / "images").glob("*.jpg")):
        yield labelled(path, folder / "labels", {number: f"class {number + 1}" for number in range(4)})


def magnetic_tiles(folder: Path) -> Iterator[Labelled]:
    kinds = dict(enumerate((folder / "classes.txt").read_text(encoding="utf-8").split()))
    for name in (folder / "val.txt").read_text(encoding="utf-8").split():
        yield labelled(folder / name, folder / "labels", kinds)


def labelled(path: Path, labels: Path, kinds: dict[int, str]) -> Labelled:
    pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
    label = labels / f"{path.stem}.txt"
    text = label.read_text(encoding="utf-8") if label.exists() else ""
    height, width = pixels.shape
    truth = []
    for row in text.splitlines():
        number, x, y, w, h = (float(value) for value in row.split())
        box = Box((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        truth.append(DrawnDefect(kind=kinds[int(number)], box_px=box))
    return Labelled(name=path.stem, pixels=pixels, truth=tuple(truth))


def measured(pictures: Iterable[Labelled], screen: Screen, detector: TilingDetector) -> Tally:
    tally = Tally()
    screened_by = Screened(screen, detector, most_tiles=10**6, quiet_share=0.0)
    for one in pictures:
        candidates = screen.candidates(one.pixels)
        everywhere = detector.detect(one.pixels)
        screened = screened_by.detect(one.pixels)
        looked = screened.looked or Looked()
        tiles = detector.tiles((one.pixels.shape[0], one.pixels.shape[1]))
        tally.pictures += 1
        tally.tiles += len(tiles)
        tally.sent += looked.sent
        tally.alarmed += sum(touches(everywhere.xyxy, tile) for tile in tiles)
        for kind, xyxy in zip(everywhere.kind, everywhere.xyxy, strict=True):
            count = tally.of(kind)
            same = screened.xyxy[[other == kind for other in screened.kind]]
            count.found += 1
            count.kept += bool((overlaps(xyxy[None], same) >= 0.5).any())
            count.on_candidate += is_on_candidate(xyxy, candidates)
        for defect in one.truth:
            box = defect.box_px
            count = tally.of(defect.kind)
            count.labels += 1
            count.labels_on_candidate += is_on_candidate(
                np.array([box.x1, box.y1, box.x2, box.y2]), candidates
            )
    return tally


def touches(xyxy: NDArray[np.float32], tile: Tile) -> bool:
    return bool(
        (
            (xyxy[:, 0] < tile.right)
            & (xyxy[:, 2] > tile.left)
            & (xyxy[:, 1] < tile.bottom)
            & (xyxy[:, 3] > tile.top)
        ).any()
    )


def is_on_candidate(xyxy: NDArray[np.floating], candidates: Cells) -> bool:
    left, top = (int(value) // CELL_PX for value in xyxy[:2])
    right, bottom = (int(-(-value // CELL_PX)) for value in xyxy[2:])
    return bool(candidates[top : max(bottom, top + 1), left : max(right, left + 1)].any())


if __name__ == "__main__":
    main()
