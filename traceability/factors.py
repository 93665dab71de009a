"""What units met that they may be bad for, by unit and in bulk; and where on their surface their defects lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, true

from inspection.types import Box, Strip, Verdict
from traceability import rollups, tables
from traceability.rows import among, inspections_query, inspections_selected, portions
from traceability.samples import Shifts, Window, shift_at
from traceability.store import TraceStore, of_production

MOST_UNITS: Final = 5000
"""What the newest so many units met is looked at: more would show smaller effects, and take seconds."""

MOST_DEFECTS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """One judged unit: whether it was refused (or had a defect of the kind asked for), and all it met.

    factors     as (category, level): recipe, model, station, lane, shift, equipment, program, tool, material
    parameters  of the process steps it came out of, those that are numbers, by name

    Of the steps it came out of those count that had begun before its inspection was over: what was done to it later, as
    its rework or its shipping, was done for the verdict and not the other way round.
    """

    id: UUID
    at: datetime
    is_bad: bool
    factors: frozenset[tuple[str, str]]
    stage: str
    parameters: Mapping[str, float]


def units_met(
    store: TraceStore,
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
    kind: str | None = None,
    shifts: Shifts | None = None,
) -> tuple[Met, ...]:
    """The newest MOST_UNITS judged units finished from `since` on, the newest first."""
    head, code = tables.inspection.c, tables.identifier.c
    rows = (
        select(
            head.id,
            head.station,
            head.lane,
            head.recipe_name,
            head.recipe_revision,
            head.finished_at,
            head.verdict,
            code.unit_id,
        )
        .join(tables.identifier, code.id == head.identifier_id)
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            head.verdict != Verdict.NOT_INSPECTED,
            head.finished_at >= since,
        )
        .order_by(head.finished_at.desc(), head.id.desc())
        .limit(MOST_UNITS)
    )
    model, defect, member, step = (
        tables.inspection_model.c,
        tables.defect.c,
        tables.step_unit.c,
        tables.process_step.c,
    )
    models: dict[UUID, list[tuple[str, str]]] = {}
    with_kind: set[UUID] = set()
    steps_of: dict[UUID, set[UUID]] = {}
    met_in: dict[UUID, set[tuple[str, str]]] = {}
    numbers_in: dict[UUID, dict[str, float]] = {}
    began: dict[UUID, datetime] = {}
    with store.reading() as connection:
        found = connection.execute(rows).all()
        for some in portions([row.id for row in found]):
            named = (
                select(model.inspection_id, model.name, model.version)
                .where(among(connection, model.inspection_id, some))
                .order_by(model.inspection_id, model.position)
            )
            for row in connection.execute(named):
                models.setdefault(row.inspection_id, []).append((row.name, row.version))
            if kind is not None:
                has = select(defect.inspection_id).where(
                    among(connection, defect.inspection_id, some), defect.kind == kind
                )
                with_kind.update(connection.execute(has).scalars())
        for some in portions([row.unit_id for row in found]):
            for row in connection.execute(
                select(member.unit_id, member.step_id).where(
                    among(connection, member.unit_id, some), member.role == "out"
                )
            ):
                steps_of.setdefault(row.unit_id, set()).add(row.step_id)
        every = sorted({one for steps in steps_of.values() for one in steps})
        for some in portions(every):
            for row in connection.execute(
                select(
                    step.id,
                    step.started_at,
                    step.equipment,
                    step.program,
                    step.materials,
                    step.tools,
                    step.parameters,
                ).where(among(connection, step.id, some))
            ):
                began[row.id] = row.started_at
                met_in[row.id] = {
                    ("equipment", row.equipment),
                    *((("program", row.program),) if row.program else ()),
                    *(("material", one) for one in row.materials),
                    *(("tool", one) for one in row.tools),
                }
                numbers_in[row.id] = {
                    name: float(value)
                    for name, value in row.parameters.items()
                    if isinstance(value, int | float)
                }
    plan = shifts or Shifts()
    met = []
    shift: Window | None = None
    # Of thousands of units most met the same: what is the same is made once.
    usual: dict[tuple[Any, ...], tuple[frozenset[tuple[str, str]], str]] = {}
    met_by: dict[tuple[frozenset[tuple[str, str]], frozenset[UUID]], frozenset[tuple[str, str]]] = {}
    for row in found:
        if shift is None or not shift.since <= row.finished_at < shift.until:
            shift = shift_at(row.finished_at, plan)
        of_unit = tuple(models.get(row.id, ()))
        same = (row.station, row.lane, row.recipe_name, row.recipe_revision, shift.since, of_unit)
        if same not in usual:
            usual[same] = (
                frozenset(
                    {
                        ("station", row.station),
                        ("lane", row.lane),
                        ("recipe", f"{row.recipe_name} {row.recipe_revision}"),
                        ("shift", f"{shift.since.astimezone(plan.time_zone):%H:%M}"),
                        *(("model", f"{name} {version}") for name, version in of_unit),
                    }
                ),
                rollups.stage_of(row.recipe_name, row.recipe_revision, of_unit),
            )
        factors, stage = usual[same]
        # By their beginning, not their end: a step may be told by the hour, and the inspection stand inside it.
        steps = frozenset(one for one in steps_of.get(row.unit_id, ()) if began[one] <= row.finished_at)
        if steps and (factors, steps) not in met_by:
            met_by[factors, steps] = factors.union(*(met_in.get(one, ()) for one in steps))
        parameters: dict[str, float] = {}
        for one in sorted(steps):
            parameters |= numbers_in.get(one, {})
        met.append(
            Met(
                id=row.id,
                at=row.finished_at,
                is_bad=row.verdict == Verdict.REJECT if kind is None else row.id in with_kind,
                factors=met_by[factors, steps] if steps else factors,
                stage=stage,
                parameters=parameters,
            )
        )
    return tuple(met)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A defect on its unit's own surface. Its area is that of its pixels, or of its box where those are not known."""

    inspection: UUID
    kind: str
    box_mm: Box
    area_mm2: float


def places(
    store: TraceStore,
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
    kind: str | None = None,
    limit: int = MOST_DEFECTS,
) -> tuple[Place, ...]:
    """Where defects of production with a place in millimetres lie, of the newest units first."""
    head, defect = tables.inspection.c, tables.defect.c
    wanted: list[ColumnElement[bool]] = of_production(
        tables.inspection, station=station, lane=lane, simulated=None
    )
    rows = (
        select(
            defect.inspection_id,
            defect.kind,
            defect.x1_mm,
            defect.y1_mm,
            defect.x2_mm,
            defect.y2_mm,
            defect.mask_area_mm2,
        )
        .join(tables.inspection, head.id == defect.inspection_id)
        .where(
            *wanted,
            rollups.produced(),
            head.finished_at >= since,
            defect.x1_mm.is_not(None),
            defect.kind == kind if kind is not None else true(),
        )
        .order_by(head.finished_at.desc(), head.id.desc(), defect.position)
        .limit(limit)
    )
    with store.reading() as connection:
        return tuple(
            Place(
                inspection=row.inspection_id,
                kind=row.kind,
                box_mm=Box(row.x1_mm, row.y1_mm, row.x2_mm, row.y2_mm),
                area_mm2=row.mask_area_mm2
                if row.mask_area_mm2 is not None
                else (row.x2_mm - row.x1_mm) * (row.y2_mm - row.y1_mm),
            )
            for row in connection.execute(rows)
        )


def counted_since(
    store: TraceStore,
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
    kind: str | None = None,
) -> tuple[int, int]:
    """Units of production finished since then, and their defects (of that kind), with or without a place."""
    head, defect = tables.inspection.c, tables.defect.c
    wanted = (
        *of_production(tables.inspection, station=station, lane=lane, simulated=None),
        rollups.produced(),
        head.finished_at >= since,
    )
    defects = (
        select(func.count())
        .select_from(tables.defect.join(tables.inspection, head.id == defect.inspection_id))
        .where(*wanted, defect.kind == kind if kind is not None else true())
    )
    units = select(func.count()).select_from(tables.inspection).where(*wanted)
    with store.reading() as connection:
        return connection.execute(units).scalar_one(), connection.execute(defects).scalar_one()


def knows_lane(store: TraceStore, lane: str) -> bool:
    """Whether any unit was ever inspected on it."""
    return _is_there(store, select(tables.inspection.c.id).where(tables.inspection.c.lane == lane))


def knows_kind(store: TraceStore, kind: str) -> bool:
    """Whether a defect of it was ever found."""
    return _is_there(store, select(tables.defect.c.inspection_id).where(tables.defect.c.kind == kind))


def knows_camera(store: TraceStore, camera: str) -> bool:
    """Whether it ever saw a defect, or left a picture."""
    defect, picture = tables.defect.c, tables.picture.c
    return _is_there(store, select(defect.inspection_id).where(defect.camera == camera)) or _is_there(
        store, select(picture.inspection_id).where(picture.camera == camera)
    )


def _is_there(store: TraceStore, wanted: Select[Any]) -> bool:
    with store.reading() as connection:
        return connection.execute(wanted.limit(1)).first() is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A coil on which a mark came again and again, as its inspection found it."""

    inspection: UUID
    unit: str
    finished_at: datetime
    strip: Strip


def marked_coils(
    store: TraceStore,
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
    limit: int = 2000,
) -> tuple[Marked, ...]:
    """Of the newest coils, those with a repeat on them, the newest first."""
    head = tables.inspection.c
    wanted = (
        inspections_query()
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            head.finished_at >= since,
            head.strip.is_not(None),
        )
        .order_by(head.finished_at.desc(), head.id.desc())
        .limit(limit)
    )
    with store.reading() as connection:
        found = inspections_selected(connection, wanted)
    return tuple(
        Marked(inspection=one.id, unit=str(one.unit), finished_at=one.finished_at, strip=one.strip)
        for one in found
        if one.strip is not None and one.strip.repeats
    )


def rolls_used(store: TraceStore, *, since: datetime, limit: int = 500) -> dict[str, float]:
    """Diameters in mm of the rolls that steps since then named among their tools, by the tool's code.

    A step says a roll's diameter as a parameter `diameter_mm <tool>`.
    """
    step = tables.process_step.c
    rows = (
        select(step.tools, step.parameters)
        .where(step.finished_at >= since)
        .order_by(step.finished_at.desc(), step.id)
        .limit(limit)
    )
    found: dict[str, float] = {}
    with store.reading() as connection:
        for row in connection.execute(rows):
            for tool in row.tools:
                size = row.parameters.get(f"diameter_mm {tool}")
                if isinstance(size, int | float) and size > 0:
                    found.setdefault(tool, float(size))
    return found
