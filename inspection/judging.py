"""From defects to a verdict, per defect, per frame and per unit, and to a unit's grade.

The rules, in the order they are asked:

* a defect of a kind without a general limit goes to review: nobody has said that it may pass. Limits for a zone or
  from a size on make a recipe stricter there; they do not let anything pass
* what cannot be compared goes to review: millimetres where the scale is not known, a place in a zone where no edge
  was found, a value that is no number
* otherwise the strictest of the limits that are reached decides; none reached, the defect is tolerated

So one defect more, or a larger one, never makes a verdict milder or a grade better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, isfinite
from typing import TypeGuard

from inspection.types import Box, Defect, Grade, Limit, Measurement, Repeat, Tolerance, Verdict, Zone

_OF_UNITS = ("count", "per_m", "repeat_hits")

DENSITY_WINDOW_MM = 1000.0
"""`per_m` counts what any stretch of this length shows."""


def judge_defect(defect: Defect, limits: Iterable[Limit]) -> Verdict:
    """The verdict this one defect asks for. Limits on a whole unit do not speak here: see `judge_unit`."""
    own = [limit for limit in limits if limit.is_about(defect)]
    verdicts = [_asked_of(defect, limit) for limit in own if limit.measure not in _OF_UNITS]
    if not any(limit.is_general for limit in own):
        verdicts.append(Verdict.REVIEW)
    return max(verdicts, default=Verdict.ACCEPT)


def judge(defects: Iterable[Defect], limits: Sequence[Limit]) -> Verdict:
    """The verdict of one frame that was inspected. No defect is ACCEPT."""
    return max((judge_defect(defect, limits) for defect in defects), default=Verdict.ACCEPT)


def judge_measurements(measured: Iterable[Measurement], tolerances: Iterable[Tolerance]) -> Verdict:
    """The verdict of what was measured. Twice the standard uncertainty decides (ISO 14253-1): within its tolerance by
    more than that is ACCEPT, outside by more is REJECT, and nobody knows in between: REVIEW. So is what was not
    measured, or is no number."""
    values = {one.name: one for one in measured}
    return max((_conforms(values.get(one.name), one) for one in tolerances), default=Verdict.ACCEPT)


def _conforms(one: Measurement | None, tolerance: Tolerance) -> Verdict:
    lower, upper = _or(tolerance.lower, -inf), _or(tolerance.upper, inf)
    unsure = 2 * (0.0 if one is None else one.uncertainty or 0.0)
    if one is None or not (isfinite(one.value) and isfinite(unsure)):
        return Verdict.REVIEW
    if one.value + unsure < lower or one.value - unsure > upper:
        return Verdict.REJECT
    return Verdict.ACCEPT if lower <= one.value - unsure and one.value + unsure <= upper else Verdict.REVIEW


def judge_unit(defects: Sequence[Defect], limits: Sequence[Limit], repeats: Sequence[Repeat] = ()) -> Verdict:
    """The verdict of all frames of a unit together: each defect, how many there are, and which of them repeat.

    A repeat of a kind without a limit for repeats goes to review: the roll goes on marking.
    """
    counted = [_asked_of_all(defects, repeats, limit) for limit in limits if limit.measure in _OF_UNITS]
    repeats_limited = {kind for limit in limits if limit.measure == "repeat_hits" for kind in limit.kinds}
    if any(repeat.kind not in repeats_limited for repeat in repeats):
        counted.append(Verdict.REVIEW)
    return max(judge(defects, limits), max(counted, default=Verdict.ACCEPT))


def grade_of(
    defects: Sequence[Defect], grades: Iterable[Grade], repeats: Sequence[Repeat] = ()
) -> Grade | None:
    """The first of `grades`, the best first, none of whose limits is reached. None: no grade fits."""
    return next((grade for grade in grades if _fits(defects, repeats, grade)), None)


def _fits(defects: Sequence[Defect], repeats: Sequence[Repeat], grade: Grade) -> bool:
    return all(
        _asked_of_all(defects, repeats, limit) is Verdict.ACCEPT
        if limit.measure in _OF_UNITS
        else all(_asked_of(defect, limit) is Verdict.ACCEPT for defect in defects if limit.is_about(defect))
        for limit in grade.limits
    )


def _asked_of(defect: Defect, limit: Limit) -> Verdict:
    speaks = _speaks_of(defect, limit)
    if speaks is False:
        return Verdict.ACCEPT
    reached = _reached(limit, _measured(defect, limit))
    return reached if speaks else max(reached, Verdict.REVIEW)


def _asked_of_all(defects: Iterable[Defect], repeats: Iterable[Repeat], limit: Limit) -> Verdict:
    if limit.measure == "repeat_hits":
        hits = (repeat.hits for repeat in repeats if repeat.kind in limit.kinds)
        return max((_reached(limit, value) for value in hits), default=Verdict.ACCEPT)
    own = [one for one in defects if limit.is_about(one) and _speaks_of(one, limit) is not False]
    if not own:
        return Verdict.ACCEPT
    if limit.measure == "count":
        return _reached(limit, len(own))
    placed = [one.box_mm for one in own if _is_sound(one.box_mm)]
    # Nobody knows where the others lie: they may be on the same metre.
    unplaced = len(own) - len(placed)
    reached = _reached(limit, _most_on_a_metre(placed) + unplaced)
    return max(reached, Verdict.REVIEW) if unplaced else reached


def _most_on_a_metre(boxes: Iterable[Box]) -> int:
    """The most boxes that any stretch of one metre shows at least a part of."""
    steps: list[tuple[float, int]] = []
    for box in boxes:
        # Stretches that begin between these two show some of it. One that only touches it does not.
        steps += ((box.y1 - DENSITY_WINDOW_MM, 1), (box.y2, -1))
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def _measured(defect: Defect, limit: Limit) -> float | None:
    if limit.measure == "score":
        return defect.score
    if not _is_sound(defect.box_mm):
        return None
    return defect.length_mm if limit.measure == "length_mm" else defect.area_mm2


def _reached(limit: Limit, value: float | None) -> Verdict:
    if value is None or not isfinite(value):
        return Verdict.REVIEW
    if limit.reject_from is not None and value >= limit.reject_from:
        return Verdict.REJECT
    if limit.review_from is not None and value >= limit.review_from:
        return Verdict.REVIEW
    return Verdict.ACCEPT


def _is_sound(box: Box | None) -> TypeGuard[Box]:
    return box is not None and -inf < box.x1 <= box.x2 < inf and -inf < box.y1 <= box.y2 < inf


def _speaks_of(defect: Defect, limit: Limit) -> bool | None:
    """Whether a limit of its kind is for this defect; None: that cannot be said."""
    length_mm = defect.length_mm if _is_sound(defect.box_mm) else None
    is_long = True if limit.min_length_mm is None else _at_least(length_mm, limit.min_length_mm)
    is_there = True if limit.zone is None else _is_in(limit.zone, defect)
    if is_long is False or is_there is False:
        return False
    return None if is_long is None or is_there is None else True


def _is_in(zone: Zone, defect: Defect) -> bool | None:
    asked = (
        _at_least(
            None if defect.edge_near_mm is None else -defect.edge_near_mm, -_or(zone.edge_within_mm, inf)
        ),
        _at_least(defect.edge_far_mm, _or(zone.edge_beyond_mm, -inf)),
        True if zone.box_mm is None else _touch(zone.box_mm, defect.box_mm),
    )
    if any(answer is False for answer in asked):
        return False
    return None if any(answer is None for answer in asked) else True


def _at_least(value: float | None, bound: float) -> bool | None:
    if bound == -inf:
        return True
    return None if value is None or not isfinite(value) else value >= bound


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _touch(zone: Box, box: Box | None) -> bool | None:
    if not _is_sound(box):
        return None
    return box.x1 < zone.x2 and zone.x1 < box.x2 and box.y1 < zone.y2 and zone.y1 < box.y2
