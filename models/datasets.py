"""What a set of labelled pictures is worth: its version and balance, what is in it twice, whether a split leaks."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from pathlib import Path, PurePosixPath
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnreadable, ImageUnsuitable
from inspection.types import Image
from inspection.vision.decoding import decode_image
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet

SAME_UP_TO: Final = 40
"""Of 256 bits: pictures whose fingerprints differ in no more show the same, mirrored, turned or re-encoded. Between
the public strip sets and what was held back of them, the smallest distance of different pictures was 58."""

LEAST_LABELLED: Final = 20
"""Pictures, to train from."""
JUDGED_BY: Final = 0.2
"""Of the groups: they teach nothing."""

_SIDE: Final = 16
_SEEDS: Final = 20
_INSPECTION = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """Two pictures that show the same; `bits` by which their fingerprints differ."""

    one: str
    other: str
    bits: int


def pixels_of(labelled: LabelledSet, picture: LabelledFile) -> Image:
    """The decoded picture. Raises SetUnfit, with its name, for one that is cut short or cannot be judged."""
    try:
        return decode_image(labelled.file(picture).read_bytes())
    except (OSError, ImageUnreadable, ImageUnsuitable) as error:
        raise _unfit(labelled, f"{picture.name}: {error}") from error


def version_of(labelled: LabelledSet) -> str:
    """SHA-256 over kinds, pictures' bytes and labels, whatever the order and the names of the files."""
    entries = []
    for one in labelled.pictures:
        truth = sorted(
            f"{t.kind} {t.box_px.x1:.2f} {t.box_px.y1:.2f} {t.box_px.x2:.2f} {t.box_px.y2:.2f} {t.outline_px}"
            for t in one.truth
        )
        entries.append(f"{_digest(labelled, one)} {truth}")
    return hashlib.sha256("\n".join([*labelled.kinds, "", *sorted(entries)]).encode()).hexdigest()


def balance(labelled: LabelledSet) -> dict[str, Any]:
    """Pictures with and without a defect, and of each kind pictures and defects."""
    pictures = Counter(kind for one in labelled.pictures for kind in one.kinds)
    defects = Counter(t.kind for one in labelled.pictures for t in one.truth)
    return {
        "pictures": len(labelled.pictures),
        "good": sum(not one.truth for one in labelled.pictures),
        "kinds": {kind: {"pictures": pictures[kind], "defects": defects[kind]} for kind in labelled.kinds},
    }


def check_fit(labelled: LabelledSet) -> None:
    """Raises SetUnfit for a set without a defect, or in which everything is of one kind and nothing is good."""
    there = {t.kind for one in labelled.pictures for t in one.truth}
    good = any(not one.truth for one in labelled.pictures)
    if not there:
        raise _unfit(labelled, "no picture has a defect")
    if len(there) == 1 and not good:
        raise _unfit(labelled, f"every picture shows {there.pop()}, none is good or shows anything else")


def twice(first: LabelledSet, second: LabelledSet | None = None) -> tuple[Twice, ...]:
    """Pairs that show the same, the closest first: inside of a set, or between two, which is a leak.

    By a perceptual fingerprint in all eight mirrorings and turns. Crops that are shifted against each other are not
    found by it: keep what was cut from one picture in one group (`split`).
    """
    mine = _fingerprints(first)
    theirs = mine if second is None else _fingerprints(second)
    others = first if second is None else second
    # Bits are +1 and -1: the product counts those that agree less those that differ. One turn after the other: of a
    # thousand pictures each takes 4 MB.
    alike = reduce(np.maximum, (mine[:, 0] @ theirs[:, turn].T for turn in range(8)))
    bits = ((_SIDE * _SIDE - alike) / 2).round().astype(int)
    if second is None:
        bits[np.tril_indices(len(bits))] = _SIDE * _SIDE
    found = [
        Twice(one=first.pictures[row].name, other=others.pictures[column].name, bits=int(bits[row, column]))
        for row, column in zip(*np.nonzero(bits <= SAME_UP_TO), strict=True)
    ]
    return tuple(sorted(found, key=lambda pair: (pair.bits, pair.one, pair.other)))


def split(
    labelled: LabelledSet, group: Callable[[LabelledFile], str], *, share: float, seed: str = ""
) -> tuple[LabelledSet, LabelledSet]:
    """To learn from, and about `share` of the groups to choose or judge by. All of a group is on one side.

    group   such as the unit, the coil, the shift, or the picture that crops were cut from
    seed    another one gives another split; the same set and seed always the same, and a picture added moves no other

    Raises SetUnfit where a side would be empty.
    """
    sides: tuple[list[LabelledFile], list[LabelledFile]] = ([], [])
    for one in labelled.pictures:
        drawn = hashlib.sha256(f"{seed}\0{group(one)}".encode()).digest()
        sides[int.from_bytes(drawn[:8], "big") < share * 2**64].append(one)
    if not sides[0] or not sides[1]:
        raise _unfit(labelled, f"{len({group(one) for one in labelled.pictures})} groups cannot be split")
    learn, judge = (
        LabelledSet(folder=labelled.folder, kinds=labelled.kinds, pictures=tuple(side)) for side in sides
    )
    return learn, judge


def unit_of(picture: LabelledFile) -> str:
    """The folder of a unit's pictures, as they come from the review queue; of any other picture, itself."""
    folder = PurePosixPath(picture.name).parent
    return folder.name if _INSPECTION.fullmatch(folder.name) else picture.name


def to_train_from(labelled: LabelledSet) -> tuple[LabelledSet, LabelledSet]:
    """To learn from, and to judge by: no unit and no picture in both, each kind on both sides.

    The same picture is one of the same bytes: parts in one pose all look alike to the fingerprint of `twice`.

    Raises SetUnfit as `check_fit`, for fewer than LEAST_LABELLED, or where a kind is on one unit alone.
    """
    check_fit(labelled)
    count = len(labelled.pictures)
    if count < LEAST_LABELLED:
        raise _unfit(labelled, f"{count} labelled pictures, at least {LEAST_LABELLED} are needed")
    units = Counter(
        kind for _, kind in {(unit_of(one), kind) for one in labelled.pictures for kind in one.kinds}
    )
    if alone := sorted(kind for kind, there in units.items() if there < 2):
        raise _unfit(labelled, f"{', '.join(alone)} on one unit alone, which cannot both teach and judge")
    for seed in range(_SEEDS):
        try:
            learn, judge = split(labelled, unit_of, share=JUDGED_BY, seed=str(seed))
        except SetUnfit:
            continue
        learnt = {_digest(learn, one) for one in learn.pictures}
        unseen = tuple(one for one in judge.pictures if _digest(judge, one) not in learnt)
        if set(units) <= _kinds(learn.pictures) & _kinds(unseen):
            return learn, replace(judge, pictures=unseen)
    raise _unfit(labelled, "it cannot be parted so that each kind both teaches and judges")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A set as a training would part it, and what shows the same in it.

    lists     to learn from and to judge by; or why it cannot be parted so
    leaks     pairs of which one teaches and the other judges; `repeated` all other pairs
    compared  pictures, of the first ones; the lists are of all
    """

    lists: tuple[LabelledSet, LabelledSet] | SetUnfit
    leaks: tuple[Twice, ...]
    repeated: tuple[Twice, ...]
    compared: int


def examined(labelled: LabelledSet, *, most: int) -> Examined:
    """What a set is worth before anything learns from it. Raises nothing: a set that is unfit says why in its lists.

    most  pictures are compared with each other, which takes their number squared
    """
    lists: tuple[LabelledSet, LabelledSet] | SetUnfit
    try:
        lists = to_train_from(labelled)
        learn, judge = ({one.name for one in side.pictures} for side in lists)
    except SetUnfit as error:
        lists, learn, judge = error, set(), set()
    compared = replace(labelled, pictures=labelled.pictures[:most])
    pairs = twice(compared)
    leaks = tuple(pair for pair in pairs if {pair.one, pair.other} & learn and {pair.one, pair.other} & judge)
    leaking = set(leaks)
    return Examined(
        lists=lists,
        leaks=leaks,
        repeated=tuple(pair for pair in pairs if pair not in leaking),
        compared=len(compared.pictures),
    )


def _digest(labelled: LabelledSet, picture: LabelledFile) -> str:
    return hashlib.sha256(labelled.file(picture).read_bytes()).hexdigest()


def _kinds(pictures: Iterable[LabelledFile]) -> set[str]:
    return {kind for one in pictures for kind in one.kinds}


def _fingerprints(labelled: LabelledSet) -> NDArray[np.float32]:
    """(N, 8, 256), +1 or -1: the signs of the low frequencies about their median, of each mirroring and turn."""
    return np.array([_fingerprint_of(labelled, one) for one in labelled.pictures], np.float32)


def _fingerprint_of(labelled: LabelledSet, picture: LabelledFile) -> NDArray[np.int8]:
    file = labelled.file(picture)
    try:
        return _fingerprint(file, file.stat().st_mtime_ns)
    except (OSError, ImageUnreadable, ImageUnsuitable) as error:
        raise _unfit(labelled, f"{picture.name}: {error}") from error


# 2 kB each. Of a page that is opened again only what is new is looked at.
@lru_cache(maxsize=4096)
def _fingerprint(file: Path, _changed_ns: int) -> NDArray[np.int8]:
    image = decode_image(file.read_bytes())
    grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    turned: Sequence[Any] = [np.rot90(side, turn) for side in (small, small[:, ::-1]) for turn in range(4)]
    rows = []
    for one in turned:
        low = cv2.dct(np.ascontiguousarray(one))[:_SIDE, :_SIDE].ravel()
        rows.append(np.where(low > np.median(low), 1, -1))
    return np.array(rows, np.int8)


def _unfit(labelled: LabelledSet, wrong: str) -> SetUnfit:
    return SetUnfit(
        f"{labelled.folder} is no set to learn from or to judge by: {wrong}.",
        action="Add pictures of what is missing, then make the set again.",
        place=str(labelled.folder),
        wrong=wrong,
    )
