"""What was done with units, and what others measured on them: man, machine, material, method, measurement, environment.

Both are records as inspections are: made once, in the ledger, harmless to deliver twice; a second delivery that says
something else is kept beside the first as a contradiction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import hypot
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, select

from inspection.identity import IdentifierCode
from traceability import people, tables
from traceability.genealogy.recording import Audit
from traceability.genealogy.rows import insert
from traceability.genealogy.tracing import places_by_unit
from traceability.keeping import Kept, keep
from traceability.rows import Found, Row, portions
from traceability.store import TraceStore

SHIPPED: Final = "ship"
"""The step with which a unit leaves the plant: what containment counts as shipped."""

PROVEN: Final = "proof"
"""The step that shows that a station sees what it should, as by a master part: what containment reaches back to."""

MISSED: Final = "proof_missed"
"""The step in which it did not."""


def place_of(station: str, lane: str) -> str:
    """A lane, or a camera, of a plant in which several stations may have one of that name: as the audit names it, and
    as steps name it as their equipment, since one lane of a station is proven without the others."""
    return f"{station}/{lane}"


Role = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStep:
    """One thing done, at one place, in one stretch of time.

    kind         `roll`, `weld`, `clean` …: the plant's own words, beside SHIPPED and PROVEN
    equipment    machine or station
    operator     commitment to a name (`people.py`)
    program      method: recipe or program of the machine
    units_in, units_out   what went in and what came out
    materials, tools      codes of lots used up, and of rolls, knives, dies
    parameters   of the machine; `environment` of the place: name -> value, the unit in the name
    """

    id: UUID
    kind: str
    equipment: str
    started_at: datetime
    finished_at: datetime
    operator: str | None = None
    program: str | None = None
    units_in: tuple[IdentifierCode, ...] = ()
    units_out: tuple[IdentifierCode, ...] = ()
    materials: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    environment: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugePoint:
    """One value, at a place of the unit's surface in mm where it has one."""

    value: float
    x_mm: float | None = None
    y_mm: float | None = None
    uncertainty: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeSeries:
    """What one gauge measured on one unit: thickness, crown, flatness, a profile, eddy current."""

    id: UUID
    unit: IdentifierCode
    quantity: str
    unit_of_measure: str
    gauge: str
    measured_at: datetime
    points: tuple[GaugePoint, ...]
    step: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredThere:
    """The value nearest to a place, on the unit itself or on one it was made from. `distance_mm` is how far off."""

    unit: IdentifierCode
    quantity: str
    unit_of_measure: str
    gauge: str
    measured_at: datetime
    value: float
    uncertainty: float | None
    distance_mm: float


def record_steps(
    store: TraceStore,
    steps: Sequence[ProcessStep],
    *,
    operators: Mapping[UUID, str] = MappingProxyType({}),
    audit: Audit | None = None,
) -> Kept:
    """Keep steps, all or none.

    operators  names, by the id of the step; the steps get the commitments to them
    """
    with store.writing() as connection:
        steps = [
            replace(one, operator=people.commit(connection, operators[one.id]))
            if one.id in operators
            else one
            for one in steps
        ]
        codes = [code for one in steps for code in (*one.units_in, *one.units_out)]
        named = store.naming(connection, codes)

        def put(new: Sequence[ProcessStep]) -> None:
            insert(connection, tables.process_step, [_step_row(one) for one in new])
            rows = [
                {
                    "step_id": one.id,
                    "role": role,
                    "position": position,
                    "unit_id": named[code].unit_id,
                    "identifier_id": named[code].identifier_id,
                }
                for one in new
                for role, units in (("in", one.units_in), ("out", one.units_out))
                for position, code in enumerate(units)
            ]
            insert(connection, tables.step_unit, rows)

        return keep(connection, "process_step", [_plainly_named(one) for one in steps], put, audit)


def record_gauges(store: TraceStore, series: Sequence[GaugeSeries], *, audit: Audit | None = None) -> Kept:
    """Keep what gauges measured, all or none."""
    with store.writing() as connection:
        named = store.naming(connection, [one.unit for one in series])

        def put(new: Sequence[GaugeSeries]) -> None:
            rows = [
                {
                    "id": one.id,
                    "unit_id": named[one.unit].unit_id,
                    "identifier_id": named[one.unit].identifier_id,
                    "quantity": one.quantity,
                    "unit_of_measure": one.unit_of_measure,
                    "gauge": one.gauge,
                    "measured_at": one.measured_at,
                    "step": one.step,
                    "points": [
                        [point.x_mm, point.y_mm, point.value, point.uncertainty] for point in one.points
                    ],
                }
                for one in new
            ]
            insert(connection, tables.gauge_series, rows)

        return keep(connection, "gauge_series", [_plainly_named(one) for one in series], put, audit)


def measured_at(
    store: TraceStore, unit: IdentifierCode, x_mm: float, y_mm: float
) -> tuple[MeasuredThere, ...]:
    """What gauges say of a place: of each series on the unit and on its ancestors, the point nearest to it.

    Points without a place are of the whole unit: their distance is 0. In order of time. Raises UnitUnknown.
    """
    with store.reading() as connection:
        where = places_by_unit(store, connection, unit, x_mm, y_mm)
        found = []
        for one in gauges_of(connection, list(where)):
            regions = where[one[0]]
            series = one[1]
            nearest = min(
                (
                    (_distance(point, region.box_mm.x1, region.box_mm.y1), number)
                    for number, point in enumerate(series.points)
                    for region in regions
                ),
                default=None,
            )
            if nearest is None:
                continue
            point = series.points[nearest[1]]
            found.append(
                MeasuredThere(
                    unit=series.unit,
                    quantity=series.quantity,
                    unit_of_measure=series.unit_of_measure,
                    gauge=series.gauge,
                    measured_at=series.measured_at,
                    value=point.value,
                    uncertainty=point.uncertainty,
                    distance_mm=nearest[0],
                )
            )
    return tuple(sorted(found, key=lambda one: (one.measured_at, one.quantity, one.gauge)))


def _distance(point: GaugePoint, x_mm: float, y_mm: float) -> float:
    """Along what the gauge knows of its place: a thickness gauge in the middle knows only how far along."""
    return hypot(
        0.0 if point.x_mm is None else point.x_mm - x_mm, 0.0 if point.y_mm is None else point.y_mm - y_mm
    )


# ------------------------------------------------------------------ rows


def steps_of(connection: Connection, unit_ids: Sequence[UUID]) -> list[tuple[UUID, Role, ProcessStep]]:
    """The steps that units went through, with their part in each, in order of time."""
    part = tables.step_unit.c
    parts: list[Any] = []
    for some in portions(unit_ids):
        parts += connection.execute(
            select(part.unit_id, part.role, part.step_id).where(part.unit_id.in_(some)).distinct()
        ).all()
    steps = {one.id: one for one in steps_from(connection, list({row.step_id for row in parts}))}
    found = [(row.unit_id, row.role, steps[row.step_id]) for row in parts]
    return sorted(found, key=lambda one: (one[2].started_at, one[2].id, str(one[0]), one[1]))


def steps_from(connection: Connection, ids: Sequence[UUID]) -> list[ProcessStep]:
    part, named, table = tables.step_unit, tables.identifier, tables.process_step
    units: dict[tuple[UUID, str], list[IdentifierCode]] = defaultdict(list)
    found: list[ProcessStep] = []
    for some in portions(ids):
        rows = (
            select(part.c.step_id, part.c.role, named.c.scheme, named.c.canon)
            .join(named, named.c.id == part.c.identifier_id)
            .where(part.c.step_id.in_(some))
            .order_by(part.c.step_id, part.c.role, part.c.position)
        )
        for row in connection.execute(rows).mappings():
            units[row["step_id"], row["role"]].append(_code(row))
        for row in connection.execute(
            select(table).where(table.c.id.in_(some)).order_by(table.c.id)
        ).mappings():
            found.append(
                ProcessStep(
                    **{
                        name: row[name]
                        for name in (
                            "id",
                            "kind",
                            "equipment",
                            "started_at",
                            "finished_at",
                            "operator",
                            "program",
                        )
                    },
                    units_in=tuple(units[row["id"], "in"]),
                    units_out=tuple(units[row["id"], "out"]),
                    materials=tuple(row["materials"]),
                    tools=tuple(row["tools"]),
                    parameters=row["parameters"],
                    environment=row["environment"],
                )
            )
    return found


def gauges_of(connection: Connection, unit_ids: Sequence[UUID]) -> list[tuple[UUID, GaugeSeries]]:
    """What was measured on units, in order of time."""
    table = tables.gauge_series.c
    ids: list[UUID] = []
    unit_of: dict[UUID, UUID] = {}
    for some in portions(unit_ids):
        rows = select(table.id, table.unit_id).where(table.unit_id.in_(some))
        for row in connection.execute(rows).mappings():
            ids.append(row["id"])
            unit_of[row["id"]] = row["unit_id"]
    found = [(unit_of[one.id], one) for one in gauges_from(connection, ids)]
    return sorted(found, key=lambda one: (one[1].measured_at, one[1].id))


def gauges_from(connection: Connection, ids: Sequence[UUID]) -> list[GaugeSeries]:
    table, named = tables.gauge_series, tables.identifier
    found: list[GaugeSeries] = []
    for some in portions(ids):
        rows = (
            select(table, named.c.scheme, named.c.canon)
            .join(named, named.c.id == table.c.identifier_id)
            .where(table.c.id.in_(some))
            .order_by(table.c.id)
        )
        for row in connection.execute(rows).mappings():
            points = tuple(
                GaugePoint(x_mm=x, y_mm=y, value=value, uncertainty=uncertainty)
                for x, y, value, uncertainty in row["points"]
            )
            found.append(
                GaugeSeries(
                    **{
                        name: row[name]
                        for name in ("id", "quantity", "unit_of_measure", "gauge", "measured_at", "step")
                    },
                    unit=_code(row),
                    points=points,
                )
            )
    return found


def _step_row(step: ProcessStep) -> Row:
    names = ("id", "kind", "equipment", "started_at", "finished_at", "operator", "program")
    return {name: getattr(step, name) for name in names} | {
        "materials": list(step.materials),
        "tools": list(step.tools),
        "parameters": dict(step.parameters),
        "environment": dict(step.environment),
    }


def _code(row: Found) -> IdentifierCode:
    return IdentifierCode(scheme=row["scheme"], raw=row["canon"], canon=row["canon"])


def _plainly_named(record: Any) -> Any:
    """How a code was spelled when it was read is kept with inspections only."""

    def plain(code: IdentifierCode) -> IdentifierCode:
        return IdentifierCode(scheme=code.scheme, raw=code.canon, canon=code.canon)

    if isinstance(record, GaugeSeries):
        return replace(record, unit=plain(record.unit))
    assert isinstance(record, ProcessStep)
    return replace(
        record,
        units_in=tuple(plain(code) for code in record.units_in),
        units_out=tuple(plain(code) for code in record.units_out),
    )
