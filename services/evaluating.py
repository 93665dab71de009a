"""How good a model is on labelled pictures, and whether another one is better on the same ones: for people and gates.

The released detector is run as a station runs it, twice on each picture: by its card's thresholds, and down to a score
next to nothing for what average precision and curves need.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from inspection.errors import TooManyDetections
from inspection.types import Detections
from models import ReleasedDetector, open_detector
from models.datasets import pixels_of
from models.errors import SetUnfit
from models.evaluation import (
    Judged,
    Misses,
    Operating,
    auroc,
    average_precisions,
    found_defects,
    highest_score,
    misses,
    operating,
    precision,
)
from models.labels import LabelledFile, LabelledSet, line_of
from models.store import ModelStore
from traceability.errors import SpcError
from traceability.spc.agreement import McNemar, exact_share_interval, mcnemar
from traceability.spc.detection import PodCurve, hit_miss

LOWEST: Final = 0.001
"""Score from which on detections count for average precision, as COCO's figures are made."""

THRESHOLDS: Final = tuple(round(step / 50, 2) for step in range(1, 50))

TURNS: Final = 40
"""So often each of two models is timed, in turn, on the pictures of the set: what else the machine does meets both."""

_SIZES: Final = (0, 4, 8, 16, 32, 64, 128, float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A picture and what the model said of it: down to LOWEST, and by the thresholds of its card."""

    picture: LabelledFile
    all: Judged
    judged: Judged
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an escape and an overkill cost, in any money, and which share of the units is defective."""

    escape: float
    overkill: float
    defective_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """One model on one set. `unit_of` names the unit a picture shows; without one, each picture is a unit."""

    model: Mapping[str, Any]
    kinds: tuple[str, ...]
    thresholds: Mapping[str, float]
    seen: tuple[Seen, ...]
    unit_of: Callable[[str], str]

    def units(self) -> tuple[dict[str, float], dict[str, float]]:
        """Highest score of each defective and of each clean unit."""
        score: dict[str, float] = defaultdict(float)
        bad: set[str] = set()
        for one in self.seen:
            unit = self.unit_of(one.picture.name)
            score[unit] = max(score[unit], highest_score(one.all))
            if one.picture.truth:
                bad.add(unit)
        return (
            {unit: value for unit, value in score.items() if unit in bad},
            {unit: value for unit, value in score.items() if unit not in bad},
        )

    def curve(self) -> tuple[Operating, ...]:
        bad, good = self.units()
        return operating(list(bad.values()), list(good.values()), THRESHOLDS)


def evaluate(
    labelled: LabelledSet,
    name: str,
    version: str | None = None,
    *,
    store: ModelStore | None = None,
    threads: int = 1,
    unit: re.Pattern[str] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Evaluated:
    """Run the model over the set. Kinds of the set that the model does not know count as escapes.

    unit   whose first group, found in a picture's name, names its unit

    Raises MOD- errors of the model, SetUnfit where model and set have no kind in common and for a picture that cannot
    be decoded, by its name.
    """
    store = store or ModelStore.of_plant()
    card = store.find(name, version).card
    if not set(card.kinds) & set(labelled.kinds) and any(one.truth for one in labelled.pictures):
        raise SetUnfit(
            f"{labelled.folder} has {', '.join(labelled.kinds)}, {card.name} finds {', '.join(card.kinds)}.",
            action="Say with --as which class of the set is which kind of the model.",
            place=str(labelled.folder),
            wrong=f"{', '.join(labelled.kinds)} ≠ {', '.join(card.kinds)}",
        )
    opened = partial(open_detector, name, version=card.version, store=store, threads=threads)
    low, released = opened(min_score=LOWEST, for_figures=True), opened()
    seen = []
    for picture in labelled.pictures:
        seen.append(_look(labelled, picture, low, released))
        progress()
    return Evaluated(
        model={"name": card.name, "version": card.version, "sha256": card.sha256, "task": card.task},
        kinds=card.kinds,
        thresholds=card.thresholds,
        seen=tuple(seen),
        unit_of=lambda name: _unit(unit, name),
    )


def _look(
    labelled: LabelledSet, picture: LabelledFile, low: ReleasedDetector, released: ReleasedDetector
) -> Seen:
    image = pixels_of(labelled, picture)
    began = time.perf_counter()
    try:
        judged = released.detect(image)
    except TooManyDetections:
        # A station would not have inspected it, nor accepted it: as if so many of the surest had been reported.
        judged = None
    ms = (time.perf_counter() - began) * 1000
    found = low.detect(image)
    return Seen(
        picture=picture,
        all=_judged(picture, found),
        judged=_judged(picture, found if judged is None else judged),
        ms=ms,
    )


def _judged(picture: LabelledFile, found: Detections) -> Judged:
    boxes = [(one.box_px.x1, one.box_px.y1, one.box_px.x2, one.box_px.y2) for one in picture.truth]
    return Judged(
        truth_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        truth_kind=tuple(one.kind for one in picture.truth),
        found=found,
    )


def _unit(pattern: re.Pattern[str] | None, name: str) -> str:
    found = None if pattern is None else pattern.search(name)
    return name if found is None else found.group(1)


def as_json(
    one: Evaluated, *, price: Price | None = None, by: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """All that is known of it. docs/models.md describes it; it is an interface.

    by   picture's name -> what it is counted by beside, such as its lighting

    Raises SetUnfit for a price without defective or without good units.
    """
    everything, judged = [seen.all for seen in one.seen], [seen.judged for seen in one.seen]
    kinds = sorted({*one.kinds, *(kind for judged_ in everything for kind in judged_.truth_kind)})
    # Down to a score next to nothing a map is one piece: how well pieces lie is said of those reported.
    placed = judged if one.model.get("task") == "maps" else everything
    found = precision(placed, kinds)
    bad, good = one.units()
    told: dict[str, Any] = {
        "model": dict(one.model),
        "thresholds": dict(one.thresholds),
        "lowest_score": LOWEST,
        "precision": {
            "map50": found.map50,
            "map50_95": found.map50_95,
            "ap50": found.ap50,
            "ap50_95": {kind: float(average_precisions(placed, kind).mean()) for kind in found.ap50},
        },
        "pictures": _with_intervals(misses(judged)),
        "kinds": {kind: _with_intervals(misses(judged, kind)) for kind in kinds},
        "units": {
            "auroc": _auroc(bad, good),
            "curve": [_point(p) for p in one.curve()],
        },
        "sizes": _by_size(one.seen),
        "places": _by_place(one.seen),
        "ms": {
            share: float(np.percentile([s.ms for s in one.seen], q))
            for share, q in (("p50", 50), ("p95", 95))
        },
        "images": [_image(seen) for seen in one.seen],
    }
    if price is not None:
        if not bad or not good:
            raise SetUnfit(
                f"A price needs defective and good units; there are {len(bad)} and {len(good)}.",
                action="Add pictures of good units, or of defective ones.",
                place=one.seen[0].picture.name,
                wrong=f"{len(bad)} + {len(good)}",
            )
        told["price"] = _priced(one, price)
    if by is not None:
        groups: dict[str, list[Judged]] = defaultdict(list)
        for seen in one.seen:
            groups[by.get(seen.picture.name, "")].append(seen.judged)
        told["by"] = {group: _with_intervals(misses(groups[group])) for group in sorted(groups)}
    return told


def _auroc(bad: Mapping[str, float], good: Mapping[str, float]) -> float | None:
    scores = np.array([*bad.values(), *good.values()], np.float64)
    return auroc(scores, np.arange(len(scores)) < len(bad))


def _with_intervals(counted: Misses) -> dict[str, Any]:
    """Counts with the exact 95 % intervals (Clopper-Pearson) of their shares; null where there is none to count."""
    return {
        "defective": counted.defective,
        "escapes": counted.escapes,
        "escapes_95": _interval(counted.escapes, counted.defective),
        "clean": counted.clean,
        "overkill": counted.overkill,
        "overkill_95": _interval(counted.overkill, counted.clean),
    }


def _interval(count: int, of: int) -> list[float] | None:
    return list(exact_share_interval(count, of)) if of else None


def _point(point: Operating) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "escapes": point.escapes,
        "escapes_95": _interval(point.escapes, point.defective),
        "overkill": point.overkill,
        "overkill_95": _interval(point.overkill, point.clean),
    }


def _by_size(seen: Sequence[Seen]) -> dict[str, Any]:
    """Defects found, by the root of their box's area in px, and the probability of detection fitted to it."""
    sizes = [one.box_px.area**0.5 for each in seen for one in each.picture.truth]
    hits = [bool(hit) for each in seen for hit in found_defects(each.judged)]
    bins = []
    for low, high in pairwise(_SIZES):
        inside = [hit for size, hit in zip(sizes, hits, strict=True) if low <= size < high]
        if inside:
            bins.append(
                {
                    "from_px": low,
                    "below_px": None if high == float("inf") else high,
                    "found": sum(inside),
                    "of": len(inside),
                    "found_95": _interval(sum(inside), len(inside)),
                }
            )
    curve = _pod(sizes, hits)
    return {
        "bins": bins,
        "a90_px": None if curve is None else curve.a90,
        "a90_95_px": None if curve is None else curve.a90_95["likelihood_ratio"],
    }


def _pod(sizes: Sequence[float], hits: Sequence[bool]) -> PodCurve | None:
    """None where none can be fitted: too few, all found, or small ones found as often as large ones."""
    try:
        return hit_miss(sizes, [float(hit) for hit in hits])
    except SpcError:
        return None


def _by_place(seen: Sequence[Seen]) -> dict[str, Any]:
    """Defects found by where their middle lies, in ninths of the picture: "top left" to "bottom right"."""
    found: dict[str, list[bool]] = defaultdict(list)
    for each in seen:
        for one, hit in zip(each.picture.truth, found_defects(each.judged), strict=True):
            across = (one.box_px.x1 + one.box_px.x2) / 2 / each.picture.width_px
            down = (one.box_px.y1 + one.box_px.y2) / 2 / each.picture.height_px
            row = ("top", "middle", "bottom")[min(int(down * 3), 2)]
            found[f"{row} {('left', 'middle', 'right')[min(int(across * 3), 2)]}"].append(bool(hit))
    return {
        place: {"found": sum(hits), "of": len(hits), "found_95": _interval(sum(hits), len(hits))}
        for place, hits in sorted(found.items())
    }


def _priced(one: Evaluated, price: Price) -> dict[str, Any]:
    """The threshold on a unit's highest score that costs least, and the units it judges otherwise than the card."""
    asked = {
        "escape": price.escape,
        "overkill": price.overkill,
        "defective_share": price.defective_share,
    }
    # Of thresholds that cost the same, the highest: fewer stops for the same money.
    best = min(reversed(one.curve()), key=lambda point: point.cost(**asked))
    bad, good = one.units()
    reported = {one.unit_of(seen.picture.name) for seen in one.seen if len(seen.judged.found)}
    card = Operating(
        threshold=0,
        escapes=len(set(bad) - reported),
        defective=len(bad),
        overkill=len(set(good) & reported),
        clean=len(good),
    )
    return {
        **asked,
        "threshold": best.threshold,
        "cost_of_a_unit": best.cost(**asked),
        "cost_of_a_unit_by_card": card.cost(**asked),
        "flips": [
            {"unit": unit, "score": score, "defective": unit in bad, "reported_by_card": unit in reported}
            for unit, score in sorted({**bad, **good}.items())
            if (score >= best.threshold) != (unit in reported)
        ],
    }


def _image(seen: Seen) -> dict[str, Any]:
    return {
        "file": seen.picture.name,
        "width_px": seen.picture.width_px,
        "height_px": seen.picture.height_px,
        "score": round(highest_score(seen.all), 6),
        "reported": sorted(set(seen.judged.found.kind)),
        "truth": [{"kind": one.kind, "box_px": _sides(one.box_px)} for one in seen.picture.truth],
        "detections": [
            {"kind": kind, "score": round(float(score), 6), "box_px": [round(float(side), 3) for side in box]}
            for kind, score, box in zip(
                seen.all.found.kind, seen.all.found.score, seen.all.found.xyxy, strict=True
            )
        ],
    }


def _sides(box: Any) -> list[float]:
    return [round(side, 3) for side in (box.x1, box.y1, box.x2, box.y2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether the challenger is no worse than the champion on one kind's defects, or on the clean pictures.

    counted    defects, or clean pictures; `both` of them right by both models
    p          that as many differences fall to the champion's side if both were equally good (exact, two-sided)
    """

    what: str
    counted: int
    both: int
    only_champion: int
    only_challenger: int
    p: float

    def passed(self, alpha: float = 0.05) -> bool:
        return self.only_challenger >= self.only_champion or self.p >= alpha


def pace_in_turn(
    labelled: LabelledSet, name: str, versions: Sequence[str | None], *, store: ModelStore | None = None
) -> tuple[float, ...]:
    """What each version takes for a picture of the set, in ms, on one thread: of TURNS looks each, one version after
    the other, the tenth percentile, which other work on the machine disturbs least.

    Raises MOD- errors of the model, SetUnfit for a picture that cannot be decoded.
    """
    store = store or ModelStore.of_plant()
    detectors = [open_detector(name, version=version, store=store, threads=1) for version in versions]
    took: list[list[float]] = [[] for _ in detectors]
    for picture in islice(cycle(labelled.pictures), TURNS):
        image = pixels_of(labelled, picture)
        for detector, times in zip(detectors, took, strict=True):
            began = time.perf_counter()
            # What a station would not have inspected has taken its time all the same; the gates count it as wrong.
            with suppress(TooManyDetections):
                detector.detect(image)
            times.append((time.perf_counter() - began) * 1000)
    return tuple(float(np.percentile(times, 10)) for times in took)


def compare(champion: Evaluated, challenger: Evaluated) -> tuple[Gate, ...]:
    """Both on the same pictures, by their cards' thresholds: a McNemar test for each kind's defects, for all of them
    together, and for the clean pictures.

    Raises ValueError where they did not see the same pictures in the same order.
    """
    pairs = list(zip(champion.seen, challenger.seen, strict=True))
    if any(a.picture != b.picture for a, b in pairs):
        raise ValueError("the two models saw different pictures")
    right: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for a, b in pairs:
        if not a.picture.truth:
            right["clean"].append((not len(a.judged.found), not len(b.judged.found)))
        for one, mine, theirs in zip(
            a.picture.truth, found_defects(a.judged), found_defects(b.judged), strict=True
        ):
            right[one.kind].append((bool(mine), bool(theirs)))
            right["all"].append((bool(mine), bool(theirs)))
    return tuple(_gate(what, right[what]) for what in sorted(right))


def _gate(what: str, right: Sequence[tuple[bool, bool]]) -> Gate:
    both, only_first, only_second, neither = (
        right.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    tested: McNemar = mcnemar([[both, only_first], [only_second, neither]])
    return Gate(
        what=what,
        counted=len(right),
        both=both,
        only_champion=tested.only_first,
        only_challenger=tested.only_second,
        p=tested.p_exact,
    )


def column_of(folder: Path, column: str) -> dict[str, str]:
    """A column of the set's `images.csv`, by the names of the pictures under `images/`.

    Raises SetUnfit with the line that is no UTF-8, or has more or fewer values than there are columns.
    """
    file = folder / "images.csv"
    try:
        rows = csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
        header = next(rows, [])
        name, value = header.index("file"), header.index(column)
        found: dict[str, str] = {}
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise _no_table(file, f"line {rows.line_num}: {len(row)} values, {len(header)} columns")
            found[f"images/{row[name]}"] = row[value]
        return found
    except UnicodeDecodeError as error:
        raise _no_table(file, f"line {line_of(error)}: no UTF-8") from error
    except csv.Error as error:
        raise _no_table(file, f"line {rows.line_num}: {error}") from error
    except (OSError, ValueError) as error:
        raise _no_table(file, f"no column {column}") from error


def _no_table(file: Path, wrong: str) -> SetUnfit:
    return SetUnfit(
        f"{file}: {wrong}.",
        action="Mend images.csv in the set's folder, and name one of its columns.",
        place=str(file),
        wrong=wrong,
    )
