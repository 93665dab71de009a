"""What people should look at next: labels that a model contradicts, and units on which model or people are unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np

from inspection.types import Box, Inspection, Verdict
from inspection.vision.boxes import overlaps
from models.evaluation import Judged
from services.evaluating import Evaluated
from traceability.reviews import Decision, Review, Reviews
from traceability.store import TraceStore

SURE: Final = 0.5
"""From this score on a detection is held against a label, or against there being none."""
FAINT: Final = 0.05
"""A labelled place where the model does not even see so much, it does not see."""
TOUCHES: Final = 0.1
"""Overlap (intersection over union) from which on two boxes are about the same place."""

MOST_UNITS: Final = 10_000

What = Literal["no_label", "other_kind", "not_seen"]
Why = Literal["disagreed", "to_label", "overruled", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A label that may be wrong.

    what      no_label: a sure detection where nothing is labelled. other_kind: a sure detection of another kind where
              this one is labelled. not_seen: a label where the model sees nothing
    kind      the label's, or of `no_label` the detection's; `seen` the detection's kind, None where there is none
    doubt     0..1, how surely the model says otherwise
    """

    picture: str
    what: What
    kind: str
    seen: str | None
    doubt: float
    box_px: Box


def doubts(one: Evaluated) -> tuple[Doubt, ...]:
    """The labels of a set that a model contradicts, the surest contradictions first.

    The model must not have learned from these labels: it would repeat them.
    """
    found = [doubt for seen in one.seen for doubt in _of_picture(seen.picture.name, seen.all, one.kinds)]
    return tuple(sorted(found, key=lambda doubt: (-doubt.doubt, doubt.picture, doubt.box_px.x1)))


def _of_picture(name: str, judged: Judged, known: Sequence[str]) -> Iterator[Doubt]:
    found = judged.found
    shared = overlaps(found.xyxy, judged.truth_xyxy)
    score = found.score.astype(np.float64)
    kinds = np.array(found.kind, object)
    for number, kind in enumerate(judged.truth_kind):
        if kind not in known:
            continue
        there = shared[:, number] >= TOUCHES
        own = float(score[there & (kinds == kind)].max(initial=0.0))
        others = np.flatnonzero(there & (kinds != kind))
        other = others[np.argmax(score[others])] if others.size else None
        box = Box(*(float(side) for side in judged.truth_xyxy[number]))
        if other is not None and score[other] >= SURE and score[other] > 2 * own:
            yield Doubt(
                picture=name,
                what="other_kind",
                kind=kind,
                seen=str(kinds[other]),
                doubt=float(score[other]) - own,
                box_px=box,
            )
        elif own < FAINT:
            yield Doubt(picture=name, what="not_seen", kind=kind, seen=None, doubt=1 - own, box_px=box)
    alone = (shared < TOUCHES).all(axis=1) if shared.shape[1] else np.ones(len(found), np.bool_)
    for extra in np.flatnonzero(alone & (score >= SURE)):
        yield Doubt(
            picture=name,
            what="no_label",
            kind=str(kinds[extra]),
            seen=str(kinds[extra]),
            doubt=float(score[extra]),
            box_px=Box(*(float(side) for side in found.xyxy[extra])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A unit whose picture teaches more than most.

    why   disagreed: a blind repeat was decided otherwise than before. to_label: confirmed for a reason that no
          detection names. overruled: accepted by a person though the model was sure. unsure: withheld, undecided,
          its surest score near `SURE`
    """

    inspection: Inspection
    why: Why
    score: float


_ORDER: Final[dict[Why, int]] = {"disagreed": 0, "to_label": 1, "overruled": 2, "unsure": 3}


def offered(store: TraceStore, *, since: datetime, most: int) -> tuple[Offered, ...]:
    """Of the units since then those to be labelled first: what people disagree about before what nobody has seen."""
    units = [
        one
        for one in store.latest(simulated=False, limit=MOST_UNITS)
        if one.finished_at >= since and one.pictures
    ]
    reviews = Reviews(store).of([one.id for one in units])
    found = []
    for unit in units:
        standing = [one for one in reviews.get(unit.id, ()) if not one.is_taken_back]
        why = _why(unit, standing)
        if why is not None:
            score = max((defect.score for defect in unit.defects), default=0.0)
            found.append(Offered(inspection=unit, why=why, score=score))
    return tuple(sorted(found, key=_first))[:most]


def _why(unit: Inspection, reviews: Sequence[Review]) -> Why | None:
    decided = [one for one in reviews if one.decision is not Decision.SECOND_LOOK]
    if len({one.decision for one in decided}) > 1:
        return "disagreed"
    if not decided:
        return "unsure" if unit.verdict is Verdict.REVIEW else None
    if decided[-1].decision is Decision.ACCEPT:
        return "overruled"
    named = {defect.kind for defect in unit.defects}
    return "to_label" if not named or decided[-1].reason not in {None, *named} else None


def _first(one: Offered) -> tuple[int, float, str]:
    far = abs(one.score - SURE) if one.why == "unsure" else -one.score
    return _ORDER[one.why], far, str(one.inspection.id)
