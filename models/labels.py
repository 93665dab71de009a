"""Labelled pictures in the formats that labelling tools use: YOLO (boxes, outlines), COCO, Pascal VOC, class folders.

Whatever the format, a picture without a defect stays in the set. A label that cannot be right is refused with its file
and line, all of them at once: trained on, it would teach the wrong thing without anybody noticing.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import uuid4
from xml.etree import ElementTree

from PIL import Image, UnidentifiedImageError

from inspection.types import Box
from models.errors import LabelsWrong, TrainingDataMissing

PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
GOOD: Final = "good"
"""The class folder of pictures without a defect."""

# Class names of public sets that mean one of our catalogue's codes.
KNOWN_AS: Final[Mapping[str, str]] = {
    "patches": "patch",
    "pitted_surface": "pits",
    "pitting": "pits",
    "rolled-in_scale": "scale",
    "scratches": "scratch",
}
GOOD_NAMES: Final = frozenset({GOOD, "free", "ok", "normal", "clean"})

# Labelling tools round to whole px, and to six digits of the picture's side.
_ROUNDING_PX: Final = 1.0
_MISTAKES_TOLD: Final = 20
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A known defect. `outline_px` corners of the line around it, where the labels have one, else empty."""

    kind: str
    box_px: Box
    outline_px: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFile:
    """`name` is the picture's path under the set's folder, with /."""

    name: str
    width_px: int
    height_px: int
    truth: tuple[Truth, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted({one.kind for one in self.truth}))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """`listed_twice` lines of the list named a picture that it had named before: each counts once."""

    folder: Path
    kinds: tuple[str, ...]
    pictures: tuple[LabelledFile, ...]
    listed_twice: int = 0

    def file(self, picture: LabelledFile) -> Path:
        return self.folder / picture.name


def read_yolo(
    folder: Path, list_file: Path | None = None, *, codes: Mapping[str, str] | None = None
) -> LabelledSet:
    """A YOLO folder: `images/`, `labels/` with the same paths, `classes.txt` with a name a line (or all in one line).

    list_file  the pictures to take, one path a line, from the folder or absolute; without one all of `images/`
    codes      their class names -> codes of our catalogue; those not named are taken as they are, or as `KNOWN_AS`

    Lines are `class x y w h` in shares of the picture, or `class x1 y1 x2 y2 x3 y3 …`: an outline.
    Raises LabelsWrong, TrainingDataMissing.
    """
    wrong = _Mistakes(folder)
    kinds = [_code(name, codes) for name in _class_names(folder / "classes.txt", wrong)]
    pictures = []
    listed = _listed(folder, list_file, wrong)
    paths = dict.fromkeys(listed)
    for path in paths:
        size = _size(path, wrong)
        label = label_of(path)
        if size is None:
            continue
        truth = []
        for number, line in enumerate(_lines(label, wrong), 1):
            if line.strip():
                found = _yolo_line(line, kinds, size, partial(wrong.add, label, number))
                truth += [found] if found is not None else []
        pictures.append(_picture(folder, path, size, truth))
    made = _made(folder, kinds, pictures, wrong)
    return replace(made, listed_twice=len(listed) - len(paths))


def classes_in(folder: Path) -> tuple[str, ...]:
    """The codes in a set's `classes.txt`, each at its number; two names may be of one code. Raises as `read_yolo`."""
    wrong = _Mistakes(folder)
    names = _class_names(folder / "classes.txt", wrong)
    wrong.raise_any()
    return tuple(_code(name, None) for name in names)


def _class_names(file: Path, wrong: _Mistakes) -> list[str]:
    """One a line, as a name may have several words. A single line is the older form: all names, with blanks between."""
    lines = [line.strip() for line in _text(file).rstrip().split("\n")]
    if len(lines) == 1:
        return lines[0].split()
    for number, line in enumerate(lines, 1):
        if not line:
            # Left out, it would give every class behind it another number than the labels mean.
            wrong.add(file, number, "no name of a class")
    return lines


def _lines(label: Path, wrong: _Mistakes) -> list[str]:
    try:
        return label.read_text("utf-8-sig").splitlines() if label.exists() else []
    except UnicodeDecodeError as error:
        wrong.add(label, line_of(error), "no UTF-8")
        return []


def _yolo_line(
    line: str, kinds: Sequence[str], size: tuple[int, int], wrong: Callable[[str], None]
) -> Truth | None:
    width, height = size
    try:
        number, *rest = line.split()
        values = [float(value) for value in rest]
        kind = kinds[int(number)] if int(number) >= 0 else None
    except IndexError:
        wrong(f"class {number} of {len(kinds)} (0 to {len(kinds) - 1})")
        return None
    except ValueError:
        wrong(f"no numbers: {line[:60]!r}")
        return None
    if kind is None or len(values) < 4 or (len(values) > 4 and len(values) % 2):
        wrong(f"neither a box nor an outline: {line[:60]!r}")
        return None
    outline: tuple[tuple[float, float], ...] = ()
    if len(values) == 4:
        x, y, w, h = values
        box = Box((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    else:
        outline = tuple((x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True))
        box = _around(outline)
    return _checked(kind, box, outline, size, wrong)


def write_yolo(labelled: LabelledSet, folder: Path) -> None:
    """The set as a YOLO folder, pictures copied. A truth with an outline is written as one."""
    write_labels(with_pictures_in(labelled, folder))


def with_pictures_in(labelled: LabelledSet, folder: Path) -> LabelledSet:
    """The set with its pictures copied into a YOLO folder, in the same order; none of its labels is written."""
    copied = []
    for one, place in zip(labelled.pictures, _places(labelled), strict=True):
        name = f"images/{place}"
        _copy(labelled.file(one), folder / name)
        copied.append(replace(one, name=name))
    return replace(labelled, folder=folder, pictures=tuple(copied))


def write_labels(labelled: LabelledSet) -> None:
    """YOLO's labels and class names beside pictures that lie under `images/` of the set's folder already.

    Raises LabelsWrong, and writes nothing, where two pictures would share a file of labels: p.jpg and p.png.
    """
    wrong = _Mistakes(labelled.folder)
    seen: dict[Path, str] = {}
    for one in labelled.pictures:
        label = label_of(labelled.file(one))
        if seen.setdefault(label, one.name) != one.name:
            wrong.add(label, "-", f"would hold the labels of {seen[label]} and of {one.name}")
    wrong.raise_any()
    write_classes(labelled.folder, labelled.kinds)
    for one in labelled.pictures:
        write_label(labelled.folder, labelled.kinds, one)


def write_classes(folder: Path, kinds: Sequence[str]) -> None:
    _text_file(folder / "classes.txt", "".join(f"{kind}\n" for kind in kinds))


def write_label(folder: Path, kinds: Sequence[str], picture: LabelledFile) -> None:
    """YOLO's labels of one picture, by the numbers that `classes.txt` gives the kinds already."""
    lines = []
    for truth in picture.truth:
        if truth.outline_px:
            values = [
                side for x, y in truth.outline_px for side in (x / picture.width_px, y / picture.height_px)
            ]
        else:
            box = truth.box_px
            values = [
                (box.x1 + box.x2) / 2 / picture.width_px,
                (box.y1 + box.y2) / 2 / picture.height_px,
                box.width / picture.width_px,
                box.height / picture.height_px,
            ]
        lines.append(f"{kinds.index(truth.kind)} {' '.join(f'{value:.8f}' for value in values)}\n")
    _text_file(label_of(folder / picture.name), "".join(lines))


def read_coco(file: Path, images: Path, *, codes: Mapping[str, str] | None = None) -> LabelledSet:
    """COCO's JSON with `images`, `annotations` (bbox x y w h, segmentation polygons) and `categories`.

    Raises as `read_yolo`.
    """
    wrong = _Mistakes(file)
    try:
        told = json.loads(_text(file))
        categories = {one["id"]: _code(str(one["name"]), codes) for one in told["categories"]}
        by_image: dict[Any, list[Any]] = {one["id"]: [] for one in told["images"]}
        times = Counter(one["id"] for one in told["images"])
        names = [PurePosixPath(str(one["file_name"])) for one in told["images"]]
        for one in told["annotations"]:
            if one["image_id"] in by_image:
                by_image[one["image_id"]].append(one)
            else:
                wrong.add(file, one["id"], f"of the picture {one['image_id']}, which is not there")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _wrong(file, 1, f"  • no COCO labels: {error!r}") from error
    for number in (number for number, often in times.items() if often > 1):
        wrong.add(file, number, "the number of more than one picture: nobody knows whose its labels are")
    pictures = []
    taken: set[PurePosixPath] = set()
    for name, entry in zip(names, told["images"], strict=True):
        if name in taken:
            wrong.add(file, entry["id"], f"{str(name)!r} is a picture of the table already")
            continue
        taken.add(name)
        if name.is_absolute() or ".." in name.parts or set("\\\0") & set(str(name)):
            # Tables come by upload, too: a picture is in its folder, or it is not of this set.
            wrong.add(file, entry["id"], f"{str(name)!r} leads out of the folder of the pictures")
            continue
        path = images / name
        size = _size(path, wrong)
        if size is None:
            continue
        if size != (entry.get("width", size[0]), entry.get("height", size[1])):
            wrong.add(file, entry["id"], f"{path.name} is {size}, not {entry['width']} x {entry['height']}")
        truth = []
        for one in by_image[entry["id"]]:
            found = _coco_truth(one, categories, size, partial(wrong.add, file, one.get("id")))
            truth += [found] if found is not None else []
        pictures.append(_picture(images, path, size, truth))
    return _made(images, categories.values(), pictures, wrong)


def _coco_truth(
    one: Mapping[str, Any], categories: Mapping[Any, str], size: tuple[int, int], wrong: Callable[[str], None]
) -> Truth | None:
    number = one.get("category_id")
    kind = categories.get(number) if isinstance(number, int | str) else None
    if kind is None:
        wrong(f"class {one.get('category_id')!r}, which is not among the categories")
        return None
    try:
        x, y, w, h = (float(value) for value in one["bbox"])
        polygons = one.get("segmentation") or []
        corners = polygons[0] if isinstance(polygons, list) and len(polygons) == 1 else []
        outline = tuple((float(a), float(b)) for a, b in zip(corners[::2], corners[1::2], strict=True))
        # Two corners are a line. Written as YOLO's four numbers, they would be read as another box.
        outline = outline if len(outline) > 2 else ()
    except (ValueError, KeyError, TypeError):
        wrong("without a box of four numbers")
        return None
    return _checked(kind, Box(x, y, x + w, y + h), outline, size, wrong)


def write_coco(labelled: LabelledSet, file: Path) -> None:
    """The labels as COCO's JSON; the pictures stay where they are."""
    numbers = {kind: number for number, kind in enumerate(labelled.kinds, 1)}
    annotations: list[dict[str, object]] = []
    for image, one in enumerate(labelled.pictures, 1):
        for truth in one.truth:
            box = truth.box_px
            corners = [round(side, 4) for corner in truth.outline_px for side in corner]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": numbers[truth.kind],
                    "bbox": [round(side, 4) for side in (box.x1, box.y1, box.width, box.height)],
                    "area": round(box.area, 4),
                    "segmentation": [corners] if corners else [],
                    "iscrowd": 0,
                }
            )
    told = {
        "images": [
            {"id": number, "file_name": one.name, "width": one.width_px, "height": one.height_px}
            for number, one in enumerate(labelled.pictures, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": kind} for kind, number in numbers.items()],
    }
    _text_file(file, json.dumps(told, indent=1))


def read_voc(folder: Path, *, codes: Mapping[str, str] | None = None) -> LabelledSet:
    """Pascal VOC: `JPEGImages/` (or `images/`) and `Annotations/` with an XML file for each; without one, no defect.

    VOC counts px from 1 and both corners belong to the box: x1 = xmin - 1, x2 = xmax. Raises as `read_yolo`.
    """
    images = next((folder / name for name in ("JPEGImages", "images") if (folder / name).is_dir()), None)
    if images is None:
        raise _missing(folder / "JPEGImages")
    wrong = _Mistakes(folder)
    pictures, kinds = [], set()
    for path in _pictures_in(images):
        size = _size(path, wrong)
        if size is None:
            continue
        label = folder / "Annotations" / path.relative_to(images).with_suffix(".xml")
        truth = []
        for number, entry in enumerate(_voc_objects(label, wrong), 1):
            kind = _code(entry.findtext("name", ""), codes)
            if not kind:
                wrong.add(label, number, "an object without a name")
                continue
            kinds.add(kind)
            try:
                x1, y1, x2, y2 = (
                    float(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")
                )
            except ValueError:
                wrong.add(label, number, "a bndbox without four numbers")
                continue
            found = _checked(
                kind,
                Box(x1 - 1, y1 - 1, x2, y2),
                (),
                size,
                partial(wrong.add, label, number),
            )
            truth += [found] if found is not None else []
        pictures.append(_picture(folder, path, size, truth))
    return _made(folder, sorted(kinds), pictures, wrong)


def _voc_objects(label: Path, wrong: _Mistakes) -> Sequence[ElementTree.Element]:
    if not label.exists():
        return ()
    try:
        text = _xml_text(label.read_bytes())
        # Entities that unfold into gigabytes need a document type; labels have none.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ElementTree.ParseError("document types are not read")
        return ElementTree.fromstring(text).findall("object")  # noqa: S314 - without a document type, see above
    except UnicodeDecodeError as error:
        wrong.add(label, line_of(error), f"no {error.encoding}")
        return ()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        wrong.add(label, 1, str(error))
        return ()


def _xml_text(data: bytes) -> str:
    """As its declaration says, in any encoding that Python knows: the parser itself has no GBK.

    Raises UnicodeDecodeError, and LookupError for an encoding that nobody knows.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8))
    if declared is None or data.startswith(codecs.BOM_UTF8):
        return data.decode("utf-8-sig")
    return data.decode(declared[1].decode("ascii"))


def write_voc(labelled: LabelledSet, folder: Path) -> None:
    """The set as Pascal VOC, pictures copied, boxes rounded to whole px as VOC has them."""
    for one, under in zip(labelled.pictures, _places(labelled), strict=True):
        place = folder / "JPEGImages" / under
        _copy(labelled.file(one), place)
        root = ElementTree.Element("annotation")
        ElementTree.SubElement(root, "filename").text = place.name
        size = ElementTree.SubElement(root, "size")
        for name, value in (("width", one.width_px), ("height", one.height_px), ("depth", 3)):
            ElementTree.SubElement(size, name).text = str(value)
        for truth in one.truth:
            entry = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(entry, "name").text = truth.kind
            bounds = ElementTree.SubElement(entry, "bndbox")
            box = truth.box_px
            corners = (round(box.x1) + 1, round(box.y1) + 1, round(box.x2), round(box.y2))
            for name, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
                ElementTree.SubElement(bounds, name).text = str(corner)
        label = folder / "Annotations" / place.relative_to(folder / "JPEGImages").with_suffix(".xml")
        _text_file(label, ElementTree.tostring(root, encoding="unicode"))


def read_class_folders(folder: Path, *, codes: Mapping[str, str] | None = None) -> LabelledSet:
    """A folder for each class, `good` (or free, ok, normal, clean) for pictures without a defect.

    Where on the picture the defect is nobody says: its box is the whole picture. Raises as `read_yolo`.
    """
    wrong = _Mistakes(folder)
    pictures, kinds = [], []
    for place in sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else ():
        kind = None if place.name.lower() in GOOD_NAMES else _code(place.name, codes)
        kinds += [kind] if kind is not None and kind not in kinds else []
        for path in _pictures_in(place):
            size = _size(path, wrong)
            if size is not None:
                whole = Box(0, 0, size[0], size[1])
                truth = [] if kind is None else [Truth(kind=kind, box_px=whole)]
                pictures.append(_picture(folder, path, size, truth))
    return _made(folder, kinds, pictures, wrong)


def write_class_folders(labelled: LabelledSet, folder: Path) -> None:
    """Pictures copied into a folder for their kind, or `good`, in folders as they were there.

    Raises LabelsWrong for one with several kinds, and for kinds that no folder can be called: `../a` would be written
    elsewhere, `a/b` be read as a, and `ok` as good.
    """
    if unfit := sorted(
        {kind for one in labelled.pictures for kind in one.kinds if not _names_a_folder(kind)}
    ):
        mistakes = "\n".join(
            f"  • {kind!r} is no name for a folder of defects" for kind in unfit[:_MISTAKES_TOLD]
        )
        raise _wrong(labelled.folder, len(unfit), mistakes)
    if several := [one for one in labelled.pictures if len(one.kinds) > 1]:
        mistakes = "\n".join(f"  • {one.name}: {', '.join(one.kinds)}" for one in several[:_MISTAKES_TOLD])
        raise _wrong(labelled.folder, len(several), mistakes)
    for one, place in zip(labelled.pictures, set_apart(map(_class_place, labelled.pictures)), strict=True):
        _copy(labelled.file(one), folder / place)


def _class_place(picture: LabelledFile) -> PurePosixPath:
    kind, name = picture.kinds[0] if picture.kinds else GOOD, _under_images(picture.name)
    # What came out of class folders goes back into the same ones.
    return name if name.parts[0] == kind and len(name.parts) > 1 else kind / name


def _names_a_folder(kind: str) -> bool:
    # The rules of Windows forbid what those of POSIX do, and more.
    return kind not in {"..", *GOOD_NAMES} and PureWindowsPath(kind).name == kind


class _Mistakes:
    """All that is wrong with a set's labels, so that they are mended at once."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._told: list[str] = []

    def add(self, file: Path, at: object, told: str) -> None:
        self._told.append(f"  • {file.name}, {at}: {told}")

    def raise_any(self) -> None:
        if self._told:
            raise _wrong(self._place, len(self._told), "\n".join(self._told[:_MISTAKES_TOLD]))


def _wrong(place: Path, count: int, mistakes: str) -> LabelsWrong:
    return LabelsWrong(
        f"{count} labels of {place} cannot be right:\n{mistakes}",
        action="Mend them in the labelling tool, or take these pictures out of the set.",
        place=str(place),
        count=count,
        mistakes=mistakes,
    )


def _missing(path: Path) -> TrainingDataMissing:
    return TrainingDataMissing(
        f"{path} is not there, or holds no picture.",
        action="Name the folder that holds the pictures.",
        path=str(path),
    )


def _checked(
    kind: str,
    box: Box,
    outline: tuple[tuple[float, float], ...],
    size: tuple[int, int],
    wrong: Callable[[str], None],
) -> Truth | None:
    """The truth, cut at the picture's border where rounding put it over. None, and told, where it cannot be right."""
    width, height = size
    if not all(math.isfinite(side) for corner in outline for side in corner):
        wrong(f"{kind} has a corner that is no number")
        return None
    for there in (box, _around(outline)) if outline else (box,):
        over = max(-there.x1, -there.y1, there.x2 - width, there.y2 - height)
        inside = _cut(there, size)
        told = f"{kind} at {', '.join(f'{side:.1f}' for side in (there.x1, there.y1, there.x2, there.y2))}"
        if not over <= _ROUNDING_PX:
            wrong(f"{told} lies outside of the picture of {width} x {height} px")
            return None
        if not (inside.width > 0 and inside.height > 0):
            wrong(f"{told} has no area")
            return None
    corners = tuple((min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) for x, y in outline)
    return Truth(kind=kind, box_px=_cut(box, size), outline_px=corners)


def _cut(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    return Box(max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height)))


def _made(
    folder: Path, kinds: Iterable[str], pictures: Sequence[LabelledFile], wrong: _Mistakes
) -> LabelledSet:
    kinds = tuple(dict.fromkeys(kinds))
    for kind in kinds:
        # A line of classes.txt is a name: an empty one, or one of two lines, would shift all that follow.
        if not kind or not kind.isprintable():
            wrong.add(folder, "-", f"{kind!r} is no name of a class")
    wrong.raise_any()
    if not pictures:
        raise _missing(folder)
    return LabelledSet(folder=folder, kinds=kinds, pictures=tuple(pictures))


def _picture(folder: Path, path: Path, size: tuple[int, int], truth: Sequence[Truth]) -> LabelledFile:
    name = path.relative_to(folder).as_posix()
    return LabelledFile(name=name, width_px=size[0], height_px=size[1], truth=tuple(truth))


def _code(name: str, codes: Mapping[str, str] | None) -> str:
    if codes is not None and name in codes:
        return codes[name]
    # Files of class names have one a line, or parted by spaces: a name of two words would be two classes there.
    return KNOWN_AS.get(name.lower(), "-".join(name.lower().split()))


def _listed(folder: Path, list_file: Path | None, wrong: _Mistakes) -> list[Path]:
    """Each under the folder as it was named, however the list says it; as often as it is listed."""
    if list_file is None:
        return _pictures_in(folder / "images")
    paths = []
    for number, line in enumerate(_text(list_file).splitlines(), 1):
        if line.strip():
            name = _name_in(folder, line.strip())
            if name is not None:
                paths.append(folder / name)
            else:
                wrong.add(list_file, number, f"{line.strip()!r} lies outside of {folder}")
    return paths


def _name_in(folder: Path, listed: str) -> Path | None:
    """A listed path from the folder on, without `..`. None where it leads out of it."""
    try:
        real = (folder / listed).resolve()
    except (OSError, ValueError, RuntimeError):
        # A path with NUL, or links that go round.
        return None
    if not real.is_relative_to(folder.resolve()):
        return None
    # A picture may be a link to another one, and has labels of its own: only the folder's own links are followed.
    path = Path(os.path.normpath(Path.cwd() / folder / listed))
    for top in (Path(os.path.normpath(Path.cwd() / folder)), folder.resolve()):
        if path.is_relative_to(top):
            return path.relative_to(top)
    return real.relative_to(folder.resolve())


def _pictures_in(folder: Path) -> list[Path]:
    return (
        sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
        if folder.is_dir()
        else []
    )


def _size(path: Path, wrong: _Mistakes) -> tuple[int, int] | None:
    if path.suffix.lower() not in PICTURES:
        # Written into a folder, it would be no picture of the set to whoever reads that.
        wrong.add(path, "-", f"is none of {', '.join(sorted(PICTURES))}")
        return None
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        wrong.add(path, "-", f"cannot be read as a picture: {error}")
        return None


def _around(outline: Sequence[tuple[float, float]]) -> Box:
    across, down = zip(*outline, strict=True)
    return Box(min(across), min(down), max(across), max(down))


def label_of(picture: Path) -> Path:
    """Where a picture's labels lie, as YOLO finds them: the same path with the last `images` replaced."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _under_images(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    return (
        PurePosixPath(*path.parts[1:])
        if len(path.parts) > 1 and path.parts[0] in ("images", "JPEGImages")
        else path
    )


def _places(labelled: LabelledSet) -> list[PurePosixPath]:
    """A place for each picture, no two of which differ by their suffix alone: they would share a file of labels."""
    return set_apart(_under_images(one.name) for one in labelled.pictures)


def set_apart(names: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """The same names; one that is there already, but for its suffix or for capitals, gets a number: p.jpg, p-2.png."""
    apart: list[PurePosixPath] = []
    taken: set[str] = set()
    for name in names:
        stems = (f"{name.stem}-{number}" if number > 1 else name.stem for number in count(1))
        free = (name.with_stem(stem) for stem in stems)
        place = next(one for one in free if str(one.with_suffix("")).casefold() not in taken)
        taken.add(str(place.with_suffix("")).casefold())
        apart.append(place)
    return apart


def line_of(error: UnicodeDecodeError) -> int:
    """The line, from 1, of the byte that does not belong there."""
    return error.object[: error.start].count(b"\n") + 1


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _missing(file) from error
    except UnicodeDecodeError as error:
        raise _wrong(file, 1, f"  • {file.name}, {line_of(error)}: no UTF-8") from error


def _text_file(file: Path, text: str) -> None:
    write_whole(file, text.encode())


def write_whole(file: Path, data: bytes) -> None:
    """In a file beside it, which then takes its place: who reads finds the former one or this one. Of labels cut short,
    by a full disk or by a kill, nothing is left but a file that says that the picture is good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{uuid4().hex}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(file)
    except OSError:
        with suppress(OSError):  # what could not be written need not be removable either
            unfinished.unlink()
        raise
