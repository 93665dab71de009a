"""Refused units, or units with a kind of defect, one by one where they are rare: what lay between two of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from sqlalchemy import exists, func, literal, select

from inspection.types import Verdict
from traceability import rollups, tables
from traceability.changes import changes, stage_after
from traceability.samples import MOST_SUBGROUPS, Counting, judged_between, models_of
from traceability.store import TraceStore, of_production


@dataclass(frozen=True, slots=True, kw_only=True)
class RareEvent:
    """A unit that was refused, or has the kind of defect asked for, and what lies between it and the one before.

    count    what was found on it: 1 for a unit, where units are counted
    between  units that were judged in between, neither of the two counted
    hours    from the end of that inspection to the end of this one; 0 where both ended at once
    """

    id: UUID
    at: datetime
    count: int
    between: int
    hours: float
    stage: str
    simulated: bool


def rare_events(
    store: TraceStore,
    *,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    kind: str | None = None,
    counting: Counting = "units",
) -> tuple[RareEvent, ...]:
    """The newest from `since` on, oldest first; the first of them only begins what lies before the second.

    kind      None: refused units; else judged units that have such a defect
    counting  defects: judged units that have any, or any of the kind, and how many
    """
    head, defect = tables.inspection.c, tables.defect.c
    end = until or datetime.now(UTC)
    found_on_it = [defect.inspection_id == head.id, *([] if kind is None else [defect.kind == kind])]
    if kind is None and counting == "units":
        is_event = head.verdict == Verdict.REJECT
    else:
        is_event = (head.verdict != Verdict.NOT_INSPECTED) & exists().where(*found_on_it)
    defects = select(func.count()).select_from(tables.defect).where(*found_on_it).scalar_subquery()
    rows = (
        select(
            head.id,
            head.finished_at,
            head.recipe_name,
            head.recipe_revision,
            head.simulated,
            head.lane,
            (literal(1) if counting == "units" else defects).label("found"),
        )
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            head.finished_at >= since,
            head.finished_at < end,
            is_event,
        )
        .order_by(head.finished_at.desc(), head.id.desc())
        .limit(MOST_SUBGROUPS + 1)
    )
    happened = changes(store, station=station, lane=lane)
    with store.reading() as connection:
        found = connection.execute(rows).all()[::-1]
        moments = [row.finished_at for row in found]
        at_once = Counter(moments)
        judged = judged_between(connection, moments, station=station, lane=lane)
        models = models_of(connection, [row.id for row in found])
    return tuple(
        RareEvent(
            id=row.id,
            at=row.finished_at,
            count=row.found,
            # Counted from the one before on, which is in it, with all that ended together with it.
            between=max(units - at_once[before.finished_at], 0),
            hours=(row.finished_at - before.finished_at).total_seconds() / 3600,
            stage=stage_after(
                rollups.stage_of(row.recipe_name, row.recipe_revision, models.get(row.id, [])),
                row.finished_at,
                happened,
                lane=row.lane,
            ),
            simulated=row.simulated,
        )
        for (before, row), units in zip(pairwise(found), judged, strict=True)
    )
