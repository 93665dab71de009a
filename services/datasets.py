"""Data sets that a plant labels by itself: folders as YOLO has them, filled from the review queue and from files,
labelled on a page, given out in the formats of labelling tools.

A picture whose label file is there and empty shows no defect; one without a label file was not labelled yet, and is
given to nobody: trained on, it would teach that its defects are none.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import numpy as np

from inspection.errors import InspectionError
from inspection.types import Box, ModelRef
from inspection.vision.decoding import decode_image
from models import ModelStore, open_detector
from models.card import ModelCard, read_card
from models.datasets import balance
from models.errors import LabelsWrong, SetUnfit
from models.in_force import IN_FORCE
from models.labels import (
    PICTURES,
    LabelledFile,
    LabelledSet,
    Truth,
    classes_in,
    label_of,
    read_coco,
    read_yolo,
    with_pictures_in,
    write_classes,
    write_coco,
    write_label,
    write_labels,
    write_whole,
    write_yolo,
)

Format = Literal["yolo", "coco"]

COCO_FILE: Final = "coco.json"
SOURCE_FILE: Final = "source.json"
"""What is said of a set's source and licence, beside its pictures, in every file that goes out."""
LONGEST_SAID: Final = 400
MOST_UNPACKED: Final = 200_000_000
MOST_FILES: Final = 10_000
LONGEST_NAME: Final = 240
"""Bytes of a file's or folder's name. ext4 and NTFS take 255; what is written beside it has a longer ending."""
LONGEST_PATH: Final = 1000
MOST_TRUTHS: Final = 500
MOST_CORNERS: Final = 500


class DataSetUnknown(InspectionError):
    """No data set of that name, or no such picture in it. Facts: name."""

    code = "SVC-DATA-SET-UNKNOWN"


class ArchiveUnfit(InspectionError):
    """What was sent is no archive of a data set. Facts: wrong."""

    code = "SVC-ARCHIVE-UNFIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Whose pictures they are and what may be done with them, as somebody said it; empty: nobody did."""

    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """`waiting` are pictures that nobody labelled yet; `labelled` all others, None where there are none."""

    name: str
    provenance: Provenance
    kinds: tuple[str, ...]
    pictures: tuple[str, ...]
    waiting: tuple[str, ...]
    labelled: LabelledSet | None

    def guessers(self, store: ModelStore) -> tuple[ModelCard, ...]:
        """Of the models in force, those that find any of the set's kinds, who finds most of them first. Raises
        ModelMismatch."""
        cards = [
            read_card(store.folder_of(name, version) / "card.toml")
            for name in store.versions()
            if (version := store.in_force(name)) is not None
        ]
        known = {card.name: len(set(card.kinds) & set(self.kinds)) for card in cards}
        return tuple(sorted((card for card in cards if known[card.name]), key=lambda card: -known[card.name]))

    def all_labelled(self) -> LabelledSet:
        """Raises SetUnfit where nothing is."""
        if self.labelled is None:
            raise SetUnfit(
                f"Nothing of {self.name} is labelled.",
                action="Label a picture first.",
                place=self.name,
                wrong="nothing is labelled",
            )
        return self.labelled

    @property
    def as_source(self) -> str:
        """What the card of a model that learns from it calls it."""
        return f"{self.name} ({self.provenance.source})" if self.provenance.source else self.name

    def taught(self, card: ModelCard) -> bool:
        """Whether that model learned from it, by its card, whatever was said of the set's source then."""
        sources = () if card.training is None else card.training.sources
        return any(one.name == self.name or one.name.startswith(f"{self.name} (") for one in sources)

    @property
    def balance(self) -> Mapping[str, Any]:
        if self.labelled is None:
            return {"pictures": 0, "good": 0, "kinds": {}}
        return balance(self.labelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A data set that is there and cannot be read, and why."""

    name: str
    error: InspectionError


@dataclass(frozen=True, slots=True)
class DataSets:
    """All that lie in a folder: LYNCEUS_DATASETS, else `var/datasets` here."""

    folder: Path

    @staticmethod
    def of_plant() -> DataSets:
        return DataSets(Path(os.environ.get("LYNCEUS_DATASETS") or Path("var", "datasets")))

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(file.parent.name for file in self.folder.glob("*/classes.txt")))

    def all(self) -> tuple[DataSet | Unreadable, ...]:
        """Every one: what is wrong with one of them hides no other."""
        found: list[DataSet | Unreadable] = []
        for name in self.names():
            try:
                found.append(self.find(name))
            except InspectionError as error:
                found.append(Unreadable(name=name, error=error))
        return tuple(found)

    def make(self, name: str, kinds: Sequence[str]) -> DataSet:
        """An empty one. Raises SetUnfit where the name is taken, or no kind is given."""
        place = self.folder / name
        wrong = "it is there already" if place.exists() else None if kinds else "it has no kind of defect"
        if wrong is not None:
            raise SetUnfit(
                f"{name} cannot be made: {wrong}.",
                action="Give it another name, and at least one kind.",
                place=name,
                wrong=wrong,
            )
        (place / "images").mkdir(parents=True)
        write_classes(place, kinds)
        return self.find(name)

    def find(self, name: str) -> DataSet:
        """Raises DataSetUnknown, LabelsWrong."""
        if name not in self.names():
            raise _unknown(name)
        place = self.folder / name
        pictures = _pictures(place)
        waiting = tuple(one for one in pictures if not label_of(place / one).exists())
        done = [one for one in pictures if one not in set(waiting)]
        labelled = None
        if done:
            whole = read_yolo(place)
            labelled = replace(whole, pictures=tuple(one for one in whole.pictures if one.name in set(done)))
        return DataSet(
            name=name,
            provenance=_provenance(place),
            kinds=tuple(dict.fromkeys(classes_in(place))),
            pictures=pictures,
            waiting=waiting,
            labelled=labelled,
        )

    def describe(self, name: str, provenance: Provenance) -> None:
        """In place of what was said before. Raises DataSetUnknown."""
        if name not in self.names():
            raise _unknown(name)
        _describe(self.folder / name, provenance)

    def picture(self, name: str, picture: str) -> Path:
        """Chosen among those that are there: a name is no path. Raises DataSetUnknown."""
        if name not in self.names() or picture not in _pictures(self.folder / name):
            raise _unknown(f"{name}: {picture}")
        return self.folder / name / picture

    def truth(self, name: str, picture: str) -> LabelledFile:
        """What is labelled on one picture; nothing on one that waits. Raises DataSetUnknown, LabelsWrong."""
        file = self.picture(name, picture)
        found = self.find(name)
        for one in () if found.labelled is None else found.labelled.pictures:
            if one.name == picture:
                return one
        height, width = decode_image(file.read_bytes()).shape[:2]
        return LabelledFile(name=picture, width_px=width, height_px=height, truth=())

    def add(self, name: str, picture: str, data: bytes) -> str:
        """A picture that waits to be labelled, under `images/`. Raises DataSetUnknown, ImageUnreadable."""
        if name not in self.names():
            raise _unknown(name)
        decode_image(data)
        suffix = ".png" if data.startswith(b"\x89PNG") else ".jpg"
        place = self.folder / name / "images" / f"{picture}{suffix}"
        write_whole(place, data)
        return place.relative_to(self.folder / name).as_posix()

    def add_all(self, name: str, given: Mapping[str, bytes]) -> None:
        """Pictures as `add` takes them, by what they are called: all of them, or none. Raises as `add`."""
        for data in given.values():
            decode_image(data)
        for picture, data in given.items():
            self.add(name, picture, data)

    def label(self, name: str, picture: str, given: Sequence[Mapping[str, Any]]) -> LabelledFile:
        """What is on a picture; nothing says that it is good. Raises DataSetUnknown, LabelsWrong."""
        before = self.truth(name, picture)
        if len(given) > MOST_TRUTHS:
            raise _wrong(name, f"{len(given)} on one picture; {MOST_TRUTHS} are kept")
        # With their numbers: the labels of the other pictures are by them, so the classes stay as they are.
        kinds = classes_in(self.folder / name)
        truth = tuple(_truth(one, number, kinds, before, name) for number, one in enumerate(given, 1))
        done = replace(before, truth=truth)
        write_label(self.folder / name, kinds, done)
        return done

    def guess(
        self, name: str, picture: str, model: str, *, store: ModelStore
    ) -> tuple[ModelRef, tuple[Truth, ...]]:
        """What the version in force of a model sees on a picture, of the set's kinds alone, the surest first; and which
        version that is. Boxes, also where the model finds outlines. Nothing is kept: a guess is no label.

        Raises DataSetUnknown, LabelsWrong; MOD- errors of the model.
        """
        image = decode_image(self.picture(name, picture).read_bytes())
        kinds = self.find(name).kinds
        detector = open_detector(model, version=IN_FORCE, store=store)
        found = detector.detect(image)
        height, width = image.shape[:2]
        # Some networks draw boxes a little beyond the picture, where no label may lie.
        sides = np.clip(found.xyxy, 0, (width, height, width, height)).tolist()
        seen = [
            Truth(kind=kind, box_px=Box(*box))
            for kind, box in zip(found.kind, sides, strict=True)
            if kind in kinds and box[0] < box[2] and box[1] < box[3]
        ]
        return detector.ref, tuple(seen[:MOST_TRUTHS])

    def archive(self, name: str, format: Format) -> bytes:
        """All that is labelled, good pictures too, as a zip. Raises DataSetUnknown, LabelsWrong, SetUnfit."""
        found = self.find(name)
        labelled = found.all_labelled()
        with tempfile.TemporaryDirectory() as made:
            out = Path(made)
            write_yolo(labelled, out)
            if format == "coco":
                write_coco(read_yolo(out), out / COCO_FILE)
            _describe(out, found.provenance)
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                for file in sorted(out.rglob("*")):
                    if file.is_file():
                        archive.write(file, file.relative_to(out).as_posix())
        return packed.getvalue()

    def bring_in(self, name: str, data: bytes) -> DataSet:
        """A new data set from a zip with YOLO's folders, or with COCO tables beside their pictures. What an archive
        of ours says of source and licence is kept.

        Raises ArchiveUnfit, LabelsWrong, TrainingDataMissing, SetUnfit where the name is taken.
        """
        place = self.folder / name
        if place.exists():
            raise _taken(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Laid out aside and read back before it is a set: one that cannot be read would be in everybody's way.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as made:
            unpacked, aside = Path(made, "zip"), DataSets(Path(made, "sets"))
            unpacked.mkdir()
            try:
                labelled, waiting = _read_archive(data, unpacked)
                said = sorted(unpacked.rglob(SOURCE_FILE))
                provenance = _provenance(said[0].parent) if said else Provenance()
                _lay_out(labelled, waiting, aside.folder / name)
                _describe(aside.folder / name, provenance)
                aside.find(name)
            except InspectionError as error:
                raise _without(aside.folder, _without(unpacked, error)) from error
            try:
                (aside.folder / name).rename(place)
            except OSError as error:
                if place.exists():
                    raise _taken(name) from error
                raise
        return self.find(name)


def _lay_out(labelled: LabelledSet, waiting: Collection[str], folder: Path) -> None:
    """All its pictures, and labels for those that do not wait."""
    laid = with_pictures_in(labelled, folder)
    done = tuple(
        one for one, was in zip(laid.pictures, labelled.pictures, strict=True) if was.name not in waiting
    )
    write_labels(replace(laid, pictures=done))


def _read_archive(data: bytes, unpacked: Path) -> tuple[LabelledSet, frozenset[str]]:
    """What is in it, and the names of those pictures that nobody labelled."""
    _unpack(data, unpacked)
    classes = sorted(unpacked.rglob("classes.txt"))
    tables = _tables(unpacked, instead=not classes)
    if tables:
        # A picture of a table without a label in it was looked at: it is a good one.
        return _read_tables(tables, unpacked), frozenset()
    beside = [one for one in classes if (one.parent / "images").is_dir()] or classes[:1]
    if len(beside) > 1:
        raise _unfit(f"{_named(beside, unpacked)}: more than one data set")
    labelled = read_yolo(beside[0].parent if beside else unpacked)
    unlabelled = (one.name for one in labelled.pictures if not label_of(labelled.file(one)).exists())
    return labelled, frozenset(unlabelled)


def _tables(unpacked: Path, *, instead: bool) -> list[Path]:
    """COCO's: other JSON lies beside YOLO's labels too. Where there are no YOLO classes `instead` what is broken, or
    alone, is taken for one: reading it then says what is wrong with it."""
    found = sorted(one for one in unpacked.rglob("*.json") if one.name != SOURCE_FILE)
    tables = [one for one in found if _is_table(one)]
    return tables or (found[:1] if instead else [])


def _is_table(file: Path) -> bool:
    try:
        told = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and {"images", "annotations"} <= told.keys()


def _read_tables(tables: Sequence[Path], unpacked: Path) -> LabelledSet:
    """One set: such as the three of a set that is parted into what teaches and what judges. Only of the same
    categories: a picture was not looked at for those that its table lacks."""
    for name in (name for table in tables for name in _named_in(table)):
        _check_name(name)
    read = [read_coco(table, _pictures_of_coco(table)) for table in tables]
    if len(read) == 1:
        return read[0]
    if len({frozenset(one.kinds) for one in read}) > 1:
        raise _unfit(f"{_named(tables, unpacked)} have other categories")
    pictures = [
        replace(picture, name=one.file(picture).relative_to(unpacked).as_posix())
        for one in read
        for picture in one.pictures
    ]
    for name, often in Counter(one.name for one in pictures).items():
        if often > 1:
            raise _unfit(f"{name} is in more than one of {_named(tables, unpacked)}")
    return LabelledSet(folder=unpacked, kinds=read[0].kinds, pictures=tuple(pictures))


def _named(files: Sequence[Path], unpacked: Path) -> str:
    return ", ".join(one.relative_to(unpacked).as_posix() for one in files)


def _without(unpacked: Path, error: InspectionError) -> InspectionError:
    """The same refusal by the paths inside the archive: where it was unpacked says nothing to who sent it."""

    def told(text: str) -> str:
        return text.replace(f"{unpacked}/", "").replace(str(unpacked), "zip")

    facts = {key: told(value) if isinstance(value, str) else value for key, value in error.facts.items()}
    return type(error)(told(error.what), action=told(error.action), **facts)


def _named_in(table: Path) -> list[str]:
    """Of COCO's pictures; none where that cannot be read: reading the table then says what is wrong with it."""
    try:
        return [str(one["file_name"]) for one in json.loads(table.read_text(encoding="utf-8-sig"))["images"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _check_name(name: str) -> None:
    """Raises ArchiveUnfit for a name that no file can have."""
    try:
        parts = [part.encode("utf-8") for part in PurePosixPath(name).parts]
    except UnicodeEncodeError as error:
        raise _unfit(f"{name[:40]!a}: half a surrogate pair, which is no text") from error
    if max(map(len, parts), default=0) > LONGEST_NAME or sum(map(len, parts)) > LONGEST_PATH:
        raise _unfit(f"{name[:40]!r}…: a name of more than {LONGEST_NAME} bytes, or {LONGEST_PATH} in all")


def _pictures_of_coco(table: Path) -> Path:
    """Its pictures lie beside the file, or under `images` there: where the first of them is."""
    first = next(iter(_named_in(table)), None)
    if first is None:
        return table.parent
    inside = table.parent / "images"
    return inside if not (table.parent / first).exists() and (inside / first).exists() else table.parent


def _unpack(data: bytes, into: Path) -> None:
    """Pictures, texts and tables alone, none outside of `into`, and no more than is allowed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > MOST_UNPACKED:
                raise _unfit(f"{len(entries)} files, or more than {MOST_UNPACKED // 1_000_000} MB unpacked")
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                    raise _unfit(f"{entry.filename!r} leads out of it")
                if path.suffix.lower() not in PICTURES | {".txt", ".json"}:
                    continue
                if "__MACOSX" in path.parts or path.name.startswith("._"):
                    # What a Mac notes beside each file, under that file's name.
                    continue
                _check_name(entry.filename)
                place = into / path
                place.parent.mkdir(parents=True, exist_ok=True)
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise _unfit(f"{entry.filename!r} is packed by method {entry.compress_type}")
                place.write_bytes(archive.read(entry))
    # RuntimeError: it wants a password. UnicodeDecodeError: a name that says it is UTF-8, and is not.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, UnicodeDecodeError) as error:
        raise _unfit(str(error) or type(error).__name__) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        # A name is a file and a folder at once. What else goes wrong in writing is not the archive's fault.
        raise _unfit(str(error) or type(error).__name__) from error


def _truth(
    given: Mapping[str, Any], number: int, kinds: Sequence[str], picture: LabelledFile, name: str
) -> Truth:
    """Raises LabelsWrong."""
    width, height = picture.width_px, picture.height_px
    try:
        kind = str(given["kind"])
        outline = tuple((float(x), float(y)) for x, y in given.get("outline") or ())
        if outline:
            across, down = [x for x, _ in outline], [y for _, y in outline]
            sides = [min(across), min(down), max(across), max(down)]
        else:
            sides = [float(side) for side in given["box"]]
        box = Box(*sides)
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(name, f"{number}: neither a box nor an outline ({error})") from error
    if len(outline) > MOST_CORNERS:
        raise _wrong(name, f"{number}: an outline of {len(outline)} corners; {MOST_CORNERS} are kept")
    if kind not in kinds:
        raise _wrong(name, f"{number}: {kind!r} is none of {', '.join(kinds)}")
    is_number = all(math.isfinite(side) for corner in outline for side in corner)
    fits = is_number and 0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height
    if not fits or (outline and len(outline) < 3):
        raise _wrong(name, f"{number}: {kind} lies outside of {width} x {height} px, or has no area")
    return Truth(kind=kind, box_px=box, outline_px=outline)


def _provenance(place: Path) -> Provenance:
    """What its file says; a file that says nothing that can be read is as none."""
    try:
        told = json.loads((place / SOURCE_FILE).read_text(encoding="utf-8"))
        source, licence = told["source"], told["licence"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Provenance()
    return Provenance(source=_said(source), licence=_said(licence))


def _said(text: object) -> str:
    """One line of it, of the length that a form takes."""
    return " ".join(text.split())[:LONGEST_SAID] if isinstance(text, str) else ""


def _describe(place: Path, provenance: Provenance) -> None:
    told = {"source": _said(provenance.source), "licence": _said(provenance.licence)}
    write_whole(place / SOURCE_FILE, f"{json.dumps(told, ensure_ascii=False)}\n".encode())


def _pictures(place: Path) -> tuple[str, ...]:
    return tuple(
        sorted(
            file.relative_to(place).as_posix()
            for file in (place / "images").rglob("*")
            if file.suffix.lower() in PICTURES
        )
    )


def _taken(name: str) -> SetUnfit:
    return SetUnfit(
        f"{name} is there already.",
        action="Give it another name.",
        place=name,
        wrong="it is there already",
    )


def _unknown(name: str) -> DataSetUnknown:
    return DataSetUnknown(
        f"There is no data set, or picture, {name}.", action="Choose one from the list.", name=name
    )


def _unfit(wrong: str) -> ArchiveUnfit:
    return ArchiveUnfit(
        f"This is no archive of a data set: {wrong}.",
        action="Send a zip with images, labels and classes.txt, or pictures and COCO files of the same categories.",
        wrong=wrong,
    )


def _wrong(place: str, mistake: str) -> LabelsWrong:
    return LabelsWrong(
        f"A label of {place} cannot be right: {mistake}.",
        action="Draw it again.",
        count=1,
        place=place,
        mistakes=f"  • {mistake}",
    )
