"""What the record says of the inspection itself: how long verdicts took, the scores of what it passed, how often people
overruled its rejects, and what audits of passed parts found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import exists, func, select

from inspection.types import Verdict
from traceability import tables
from traceability.database import plain_rows
from traceability.reviews import Decision
from traceability.store import TraceStore, of

MOST_UNITS: Final = 20_000
"""Of the newest so many units times and scores are read, unit by unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Oldest first.

    latency_s  of each unit, from its first trigger to its verdict
    scores     of each passed unit that had detections: the highest of them, 0..1
    reviewed   of rejects, by when they were judged: whether a person found the unit good
    rejected, passed  how many units there were in all
    """

    latency_s: tuple[tuple[datetime, float], ...]
    scores: tuple[tuple[datetime, float], ...]
    reviewed: tuple[tuple[datetime, bool], ...]
    rejected: int
    passed: int


def own_series(
    store: TraceStore, *, since: datetime, until: datetime | None, station: str | None, lane: str
) -> Own:
    head, defect, review = tables.inspection.c, tables.defect.c, tables.review.c
    wanted = [
        *of(tables.inspection, station=station, lane=lane, simulated=None),
        head.finished_at >= since,
        *([] if until is None else [head.finished_at < until]),
    ]
    newest = head.finished_at.desc()
    times = (
        select(head.finished_at, head.started_at)
        .where(*wanted, head.verdict != Verdict.NOT_INSPECTED)
        .order_by(newest)
        .limit(MOST_UNITS)
    )
    scores = (
        select(head.finished_at, func.max(defect.score))
        .join(tables.defect, defect.inspection_id == head.id)
        .where(*wanted, head.verdict == Verdict.ACCEPT)
        .group_by(head.id, head.finished_at)
        .order_by(newest)
        .limit(MOST_UNITS)
    )
    back = tables.review.alias("back")
    decided = (
        select(head.id, head.finished_at, review.decision)
        .join(tables.review, review.inspection_id == head.id)
        .where(
            *wanted,
            head.verdict == Verdict.REJECT,
            review.takes_back.is_(None),
            review.is_repeat.is_(False),
            review.decision != Decision.SECOND_LOOK.value,
            ~exists().where(back.c.takes_back == review.id),
        )
        .order_by(head.finished_at, review.id)
    )
    counts = (
        select(head.verdict, func.count())
        .where(*wanted, head.verdict.in_((Verdict.ACCEPT, Verdict.REJECT)))
        .group_by(head.verdict)
    )
    with store.reading() as connection:
        latency = [(at, (at - begun).total_seconds()) for at, begun in plain_rows(connection, times)]
        highest = [(at, float(score)) for at, score in plain_rows(connection, scores)]
        # Of several decisions about a unit the last one stands.
        stands = {id: (at, decision) for id, at, decision in plain_rows(connection, decided)}
        units = {verdict: int(number) for verdict, number in plain_rows(connection, counts)}
    return Own(
        latency_s=tuple(reversed(latency)),
        scores=tuple(reversed(highest)),
        reviewed=tuple((at, decision == Decision.ACCEPT.value) for at, decision in stands.values()),
        rejected=units.get(Verdict.REJECT, 0),
        passed=units.get(Verdict.ACCEPT, 0),
    )


def by_hour(series: Sequence[tuple[datetime, float]]) -> dict[datetime, list[float]]:
    """Values by the hour, on the local clock, that they fall into."""
    found: dict[datetime, list[float]] = {}
    for at, value in series:
        hour = at.astimezone().replace(minute=0, second=0, microsecond=0)
        found.setdefault(hour, []).append(value)
    return found
