"""Training sets: real pictures and drawn ones, laid out as a YOLO folder, with a digest over all of it.

Group-safe: NEU-DET shows much of its steel more than once (shifted and rotated crops), so the lists that came
with our copy are kept: `train.txt` to learn from, `val.txt` to choose by, and no group of overlapping pictures
in both. Drawn pictures of validation have seeds that no training picture has.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from inspection.types import Box, Image
from inspection.vision.drawing import (
    PART_KINDS,
    STRIP_KINDS,
    DrawnDefect,
    StripDrawing,
    draw_part,
    draw_strip_patch,
)
from models.errors import TrainingDataMissing

# Their class names -> codes of our defect catalogue.
NEU_KINDS = {
    "crazing": "crazing",
    "inclusion": "inclusion",
    "patches": "patch",
    "pitted_surface": "pits",
    "rolled-in_scale": "scale",
    "scratches": "scratch",
}
TILE_KINDS = {
    "Blowhole": "blowhole",
    "Break": "break",
    "Crack": "crack",
    "Fray": "fray",
    "Uneven": "uneven",
}
SPINDLE_KINDS = {"pitting": "pits"}
METAL_KINDS = (*TILE_KINDS.values(), *SPINDLE_KINDS.values())
NEU_LICENCE = (
    "none given by the authors (Northeastern University, K. Song and Y. Yan): research and evaluation only, "
    "until cleared"
)
TILE_LICENCE = (
    "none given by the authors (Y. Huang, C. Qiu, K. Yuan), who welcome its use and ask to be cited: research and "
    "evaluation only, until cleared"
)
SPINDLE_LICENCE = "CC BY-SA 4.0 (BSData; T. Schlagenhauf, M. Landwehr, 2021, arXiv 2103.13003)"
DRAWN_LICENCE = "Apache-2.0 (drawn by inspection/vision/drawing.py)"

# A box of which the crop shows less than this share is no longer recognisably that defect.
_KEPT_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where pictures of a training set came from."""

    name: str
    licence: str
    images: int
    boxes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """A YOLO folder and what is in it. `digest` is over the pictures and labels learnt from."""

    folder: Path
    kinds: tuple[str, ...]
    sources: tuple[Source, ...]
    digest: str

    def save(self) -> None:
        facts = {**asdict(self), "folder": str(self.folder)}
        (self.folder / "set.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TrainingSet:
        facts = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        return cls(
            folder=folder,
            kinds=tuple(facts["kinds"]),
            sources=tuple(Source(**source) for source in facts["sources"]),
            digest=facts["digest"],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """A picture, grey, with its known defects."""

    name: str
    pixels: Image
    truth: tuple[DrawnDefect, ...]


def read_neu(folder: Path, list_name: str) -> list[Labelled]:
    """The pictures of one of NEU-DET's lists, in the order of the list. Raises TrainingDataMissing."""
    return read_yolo(folder, list_name, NEU_KINDS)


def read_tiles(folder: Path, list_name: str) -> list[Labelled]:
    """As `read_neu`, of the magnetic tiles. The few of the kind "Uneven" that nobody has outlined have no box."""
    return read_yolo(folder, list_name, TILE_KINDS)


def read_spindles(folder: Path, list_name: str) -> list[Labelled]:
    """As `read_neu`, of BSData's ball screw spindles, made grey. All of them are pitted."""
    return read_yolo(folder, list_name, SPINDLE_KINDS)


def read_yolo(folder: Path, list_name: str, codes: Mapping[str, str]) -> list[Labelled]:
    """The pictures of a list in a YOLO folder (images/, labels/, classes.txt), grey, in the order of the list.

    codes   their class names -> codes of our defect catalogue

    Raises TrainingDataMissing.
    """
    listing = folder / list_name
    if not listing.exists():
        raise TrainingDataMissing(
            f"{listing} is not there.",
            action="Give the folder that holds the pictures with their lists.",
            path=str(listing),
        )
    classes = (folder / "classes.txt").read_text(encoding="utf-8").split()
    labelled = []
    for line in listing.read_text(encoding="utf-8").split():
        path = folder / line
        pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        label = folder / "labels" / f"{path.stem}.txt"
        truth = _from_yolo(label.read_text(encoding="utf-8"), [codes[one] for one in classes], pixels.shape)
        labelled.append(Labelled(name=path.stem, pixels=pixels, truth=truth))
    return labelled


def _from_yolo(text: str, kinds: Sequence[str], shape: tuple[int, ...]) -> tuple[DrawnDefect, ...]:
    height, width = shape[:2]
    truth = []
    for line in text.splitlines():
        number, *rest = line.split()
        x, y, w, h = (float(value) for value in rest)
        box = Box((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        truth.append(DrawnDefect(kind=kinds[int(number)], box_px=box))
    return tuple(truth)


def drawn_strip(seeds: range, *, clean: bool, size_px: int = 200) -> Iterator[Labelled]:
    """Patches of strip: clean, or with defects, half of them cut by the border as the tiles of a frame are."""
    for seed in seeds:
        if clean:
            drawing = draw_strip_patch(seed, size_px=size_px, kinds=())
            yield Labelled(name=f"clean_{seed}", pixels=drawing.pixels, truth=())
            continue
        if seed % 2:
            drawing = draw_strip_patch(seed, size_px=size_px)
            yield Labelled(name=f"drawn_{seed}", pixels=drawing.pixels, truth=drawing.truth)
            continue
        rng = np.random.default_rng([seed, 100])
        kinds = [STRIP_KINDS[k] for k in rng.integers(0, len(STRIP_KINDS), int(rng.integers(2, 5)))]
        drawing = draw_strip_patch(seed, size_px=size_px * 8 // 5, kinds=kinds)
        left, top = (int(place) for place in rng.integers(0, size_px * 3 // 5, 2))
        window = Box(left, top, left + size_px, top + size_px)
        pixels = np.ascontiguousarray(drawing.pixels[top : top + size_px, left : left + size_px])
        yield Labelled(name=f"drawn_{seed}", pixels=pixels, truth=cropped(drawing.truth, window))


def cropped(truth: Sequence[DrawnDefect], window: Box) -> tuple[DrawnDefect, ...]:
    """What of the defects is recognisable in the window, px of the window."""
    kept = []
    for defect in truth:
        box = defect.box_px
        inside = Box(
            max(box.x1, window.x1) - window.x1,
            max(box.y1, window.y1) - window.y1,
            min(box.x2, window.x2) - window.x1,
            min(box.y2, window.y2) - window.y1,
        )
        if min(inside.width, inside.height) > 4 and inside.area >= _KEPT_SHARE * box.area:
            kept.append(DrawnDefect(kind=defect.kind, box_px=inside))
    return tuple(kept)


def drawn_frames(seed: int, indices: range, *, clean: bool) -> Iterator[Labelled]:
    """Whole frames of one strip, as a line-scan camera delivers them."""
    strip = StripDrawing(seed, defects_per_megapixel=0) if clean else StripDrawing(seed)
    for index in indices:
        drawing = strip.frame(index)
        yield Labelled(name=f"frame_{seed}_{index}", pixels=drawing.pixels, truth=drawing.truth)


def drawn_parts(
    seed: int, indices: range, *, defective_share: float, size_px: int = 400
) -> Iterator[Labelled]:
    """Parts, the first `defective_share` of them with defects."""
    for index in indices:
        defective = index - indices.start < defective_share * len(indices)
        drawing = draw_part(seed, index, size_px=size_px, defective=defective)
        yield Labelled(name=f"part_{index}", pixels=drawing.pixels, truth=drawing.truth)


def make_strip_set(neu: Path, folder: Path, *, drawn: int = 300, clean: int = 360) -> TrainingSet:
    """NEU-DET's train list with drawn strip, defect-free strip included; NEU-DET's val list to choose by."""
    parts = [
        ("NEU-DET train.txt", NEU_LICENCE, read_neu(neu, "train.txt")),
        (
            "drawn strip, with defects",
            DRAWN_LICENCE,
            list(drawn_strip(range(1000, 1000 + drawn), clean=False)),
        ),
        ("drawn strip, defect-free", DRAWN_LICENCE, list(drawn_strip(range(5000, 5000 + clean), clean=True))),
    ]
    return write_set(folder, STRIP_KINDS, parts, choose_by=read_neu(neu, "val.txt"))


def make_part_set(folder: Path, *, images: int = 600, choose_by: int = 150) -> TrainingSet:
    """Drawn parts, two thirds with defects; others, drawn from another seed, to choose by."""
    learn = list(drawn_parts(11, range(images), defective_share=2 / 3))
    choose = list(drawn_parts(12, range(choose_by), defective_share=2 / 3))
    return write_set(folder, PART_KINDS, [("drawn parts", DRAWN_LICENCE, learn)], choose_by=choose)


def make_metal_set(tiles: Path, spindles: Path, folder: Path) -> TrainingSet:
    """Real parts: magnetic tiles and pieces of spindles. Defective tiles twice and every other good one, since two
    thirds of the tiles are good ones, each seen under six lights."""
    some = read_tiles(tiles, "train.txt")
    good, bad = good_tiles(tiles, "train.txt"), [one for one in some if one.truth]
    again = [replace(one, name=f"{one.name}_again") for one in bad]
    learn = read_spindles(spindles, "train.txt")
    pieces = [
        *(piece_of(one, pitted=True) for one in learn),
        *(piece_of(one, pitted=False) for one in learn[::2]),
    ]
    choose = [
        *(one for one in read_tiles(tiles, "val.txt")),
        *(piece_of(one, pitted=True) for one in read_spindles(spindles, "val.txt")),
    ]
    parts = [
        ("magnetic tiles train.txt", TILE_LICENCE, [*bad, *again, *good[::2]]),
        ("BSData train.txt, pieces of 400 px", SPINDLE_LICENCE, [one for one in pieces if one is not None]),
    ]
    return write_set(folder, METAL_KINDS, parts, choose_by=[one for one in choose if one is not None])


def good_tiles(folder: Path, list_name: str) -> list[Labelled]:
    """The magnetic tiles of a list that are called free of defects. A tile without a box may be one not outlined."""
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        free = {Path(row["file"]).stem for row in csv.DictReader(file) if row["image_class"] == "Free"}
    return [one for one in read_tiles(folder, list_name) if one.name in free]


def piece_of(one: Labelled, *, pitted: bool, size_px: int = 400) -> Labelled | None:
    """A square piece of a picture, placed by its name: around one of its defects, or where there is none.

    None where a hundred places do not have it.
    """
    height, width = one.pixels.shape[:2]
    rng = np.random.default_rng(list(f"{one.name} {pitted}".encode()))
    side = min(size_px, height, width)
    for _ in range(100):
        left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        window = Box(left, top, left + side, top + side)
        truth = cropped(one.truth, window)
        touched = any(touch(defect.box_px, window) for defect in one.truth)
        if bool(truth) == pitted and touched == pitted:
            pixels = np.ascontiguousarray(one.pixels[top : top + side, left : left + side])
            return Labelled(name=f"{one.name}_{left}_{top}", pixels=pixels, truth=truth)
    return None


def touch(a: Box, b: Box) -> bool:
    return a.x1 < b.x2 and b.x1 < a.x2 and a.y1 < b.y2 and b.y1 < a.y2


def write_set(
    folder: Path,
    kinds: Sequence[str],
    parts: Sequence[tuple[str, str, Sequence[Labelled]]],
    *,
    choose_by: Sequence[Labelled],
) -> TrainingSet:
    """A YOLO folder as ultralytics reads it.

    parts       name, licence and pictures of each source learnt from
    choose_by   the pictures of `val`
    """
    digest = hashlib.sha256()
    learn_from = [one for _, _, some in parts for one in some]
    for split, pictures in (("train", learn_from), ("val", choose_by)):
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
        for one in pictures:
            label = _to_yolo(one, kinds)
            cv2.imwrite(str(folder / "images" / split / f"{one.name}.png"), one.pixels)
            (folder / "labels" / split / f"{one.name}.txt").write_text(label, encoding="utf-8")
            if split == "train":
                digest.update(one.name.encode() + b"\0" + one.pixels.tobytes() + b"\0" + label.encode())
    names = "\n".join(f"  {number}: {kind}" for number, kind in enumerate(kinds))
    (folder / "data.yaml").write_text(
        f"path: {folder.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}\n", encoding="utf-8"
    )
    made = TrainingSet(
        folder=folder,
        kinds=tuple(kinds),
        sources=tuple(
            Source(name=name, licence=licence, images=len(some), boxes=sum(len(one.truth) for one in some))
            for name, licence, some in parts
        ),
        digest=digest.hexdigest(),
    )
    made.save()
    return made


def _to_yolo(one: Labelled, kinds: Sequence[str]) -> str:
    height, width = one.pixels.shape[:2]
    lines = []
    for defect in one.truth:
        box = defect.box_px
        x, y = (box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height
        size = f"{box.width / width:.6f} {box.height / height:.6f}"
        lines.append(f"{kinds.index(defect.kind)} {x:.6f} {y:.6f} {size}\n")
    return "".join(lines)
