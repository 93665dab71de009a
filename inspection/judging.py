"""From defects to a verdict: per defect, per frame, per unit.

The rules, in the order they are asked:

* a defect of a kind without any limit goes to review: nobody has said that it may pass
* a limit in millimetres on a surface whose scale is not known goes to review: it cannot be applied
* otherwise the strictest of the limits that are reached decides; none reached, the defect is tolerated
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from inspection.types import Defect, Limit, Verdict


def judge_defect(defect: Defect, limits: Iterable[Limit]) -> Verdict:
    """The verdict this one defect asks for. Limits on `count` do not speak here: see `judge_unit`."""
    own = [limit for limit in limits if limit.kind == defect.kind]
    if not own:
        return Verdict.REVIEW
    return max(
        (_reached(limit, _measured(defect, limit)) for limit in own if limit.measure != "count"),
        default=Verdict.ACCEPT,
    )


def judge(defects: Iterable[Defect], limits: Sequence[Limit]) -> Verdict:
    """The verdict of one frame that was inspected. No defect is ACCEPT."""
    return max((judge_defect(defect, limits) for defect in defects), default=Verdict.ACCEPT)


def judge_unit(defects: Sequence[Defect], limits: Sequence[Limit]) -> Verdict:
    """The verdict of all frames of a unit together: each defect, and how many of a kind there are."""
    count = Counter(defect.kind for defect in defects)
    counted = (
        _reached(limit, count[limit.kind])
        for limit in limits
        if limit.measure == "count" and count[limit.kind]
    )
    return max(judge(defects, limits), max(counted, default=Verdict.ACCEPT))


def _measured(defect: Defect, limit: Limit) -> float | None:
    if limit.measure == "score":
        return defect.score
    return defect.length_mm if limit.measure == "length_mm" else defect.area_mm2


def _reached(limit: Limit, value: float | None) -> Verdict:
    if value is None:
        return Verdict.REVIEW
    if limit.reject_from is not None and value >= limit.reject_from:
        return Verdict.REJECT
    if limit.review_from is not None and value >= limit.review_from:
        return Verdict.REVIEW
    return Verdict.ACCEPT
