"""A unit's whole life, up and down, in one call; and what bad units have in common that good ones have not.

Counts, not conclusions: whether a difference is chance is for the statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, Select, or_, select

from inspection.identity import IdentifierCode
from inspection.types import Inspection
from traceability import people, tables
from traceability.contradictions import Contradiction, contradictions_of
from traceability.genealogy.rows import walk
from traceability.genealogy.tracing import Relative, relatives_of, truly_above
from traceability.holds import holds_from, releases_from
from traceability.rows import inspections_query, inspections_selected, portions
from traceability.steps import gauges_of, steps_of
from traceability.store import TraceStore

What = Literal["inspection", "step", "gauge", "hold", "hold_release"]
FactorKind = Literal[
    "station", "lane", "recipe", "model", "equipment", "program", "operator", "tool", "material", "made_from"
]

MOST_BELOW: Final = 200
"""Of what was made from a unit, so many units have their events in its life; all of them are in `descendants`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `fact` says it in a word: verdict, step, quantity, reason, decision.

    station, lane  of an inspection, by the names in the station's file; `place` has both in one
    by  who put the unit on hold or decided about it: the name that signs in, or a commitment where it was erased
    """

    at: datetime
    what: What
    id: UUID
    unit: IdentifierCode
    place: str
    fact: str
    by: str | None = None
    station: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """events          of the unit, of all it was made from, and of what was made from it, in order of time
    contradictions  what came a second time about the unit itself and said something else; it counts no more
    """

    unit: Relative
    is_held: bool
    ancestors: tuple[Relative, ...]
    descendants: tuple[Relative, ...]
    events: tuple[Event, ...]
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """How many of the bad and of the good units share it."""

    kind: FactorKind
    value: str
    bad: int
    good: int


def life(store: TraceStore, unit: IdentifierCode) -> Life:
    """Everything on record of a unit and of its relatives, as of one moment. Raises UnitUnknown."""
    with store.reading() as connection:
        root = store.unit_id(connection, unit)
        above = _reached(connection, root, downwards=False)
        below = _reached(connection, root, downwards=True)
        relatives = relatives_of(connection, [root, *above, *below])
        told = [root, *above, *below[:MOST_BELOW]]
        code_of = {id_: relatives[id_].unit for id_ in told}
        events = _events(connection, told, code_of)
        is_held = _is_held(connection, root)
        own = {one.id for one in events if one.unit == code_of[root]} | _said_of(connection, root)
        contradictions = contradictions_of(connection, own)
    return Life(
        unit=relatives[root],
        is_held=is_held,
        ancestors=tuple(sorted((relatives[id_] for id_ in above), key=lambda one: one.unit.canon)),
        descendants=tuple(sorted((relatives[id_] for id_ in below), key=lambda one: one.unit.canon)),
        events=tuple(events),
        contradictions=contradictions,
    )


def common_factors(
    store: TraceStore, bad: Sequence[IdentifierCode], good: Sequence[IdentifierCode] = ()
) -> tuple[Factor, ...]:
    """What bad units share, most of them first, and of those what the fewest good ones share. Raises UnitUnknown.

    Each unit counts once, for what it met itself and what those met that it was made from.
    """
    with store.reading() as connection:
        counted: dict[str, Counter[tuple[FactorKind, str]]] = {"bad": Counter(), "good": Counter()}
        for name, units in (("bad", bad), ("good", good)):
            for unit in {store.unit_id(connection, code) for code in units}:
                counted[name].update(_factors(connection, unit))
    factors = [
        Factor(kind=kind, value=value, bad=count, good=counted["good"][kind, value])
        for (kind, value), count in counted["bad"].items()
    ]
    return tuple(sorted(factors, key=lambda one: (-one.bad, one.good, one.kind, one.value)))


def _factors(connection: Connection, unit: UUID) -> set[tuple[FactorKind, str]]:
    above = truly_above(connection, unit)
    found: set[tuple[FactorKind, str]] = {
        ("made_from", str(one.unit)) for one in relatives_of(connection, above).values()
    }
    for seen in _inspections(connection, [unit, *above]):
        found |= {
            ("station", seen.station),
            ("lane", f"{seen.station} / {seen.lane}"),
            ("recipe", f"{seen.recipe.name} {seen.recipe.revision}"),
        }
        found |= {("model", f"{model.name} {model.version}") for model in seen.models}
    for _, _, step in steps_of(connection, [unit, *above]):
        found.add(("equipment", step.equipment))
        if step.program is not None:
            found.add(("program", step.program))
        if step.operator is not None:
            found.add(("operator", step.operator))
        found |= {("tool", one) for one in step.tools}
        found |= {("material", one) for one in step.materials}
    return found


def _reached(connection: Connection, root: UUID, *, downwards: bool) -> list[UUID]:
    rows = select(walk(root, downwards=downwards).c.id)
    ids: list[UUID] = list(connection.execute(rows).scalars())
    return sorted(id_ for id_ in ids if id_ != root)


def _inspections(connection: Connection, units: Sequence[UUID]) -> list[Inspection]:
    found: list[Inspection] = []
    for some in portions(units):
        found += inspections_selected(
            connection, inspections_query().where(tables.identifier.c.unit_id.in_(some))
        )
    return found


def _events(
    connection: Connection, units: Sequence[UUID], code_of: dict[UUID, IdentifierCode]
) -> list[Event]:
    events: list[Event] = []
    for seen in _inspections(connection, units):
        events.append(
            Event(
                at=seen.finished_at,
                what="inspection",
                id=seen.id,
                unit=seen.unit,
                place=f"{seen.station} / {seen.lane}",
                fact=seen.verdict.name,
                station=seen.station,
                lane=seen.lane,
            )
        )
    # A bath has the same unit in and out, and is one event of its life.
    steps = {(unit, step.id): step for unit, _, step in steps_of(connection, units)}
    for (unit, _), step in steps.items():
        events.append(
            Event(
                at=step.started_at,
                what="step",
                id=step.id,
                unit=code_of[unit],
                place=step.equipment,
                fact=step.kind,
            )
        )
    for unit, series in gauges_of(connection, units):
        events.append(
            Event(
                at=series.measured_at,
                what="gauge",
                id=series.id,
                unit=code_of[unit],
                place=series.gauge,
                fact=series.quantity,
            )
        )
    hold, released = tables.hold.c, tables.hold_release.c
    for some in portions(units):
        ids: list[UUID] = list(connection.execute(select(hold.id).where(hold.unit_id.in_(some))).scalars())
        holds = {one.id: one for one in holds_from(connection, ids)}
        for one in holds.values():
            events.append(
                Event(
                    at=one.placed_at,
                    what="hold",
                    id=one.id,
                    unit=one.unit,
                    place="",
                    fact=one.reason,
                    by=one.placed_by,
                )
            )
        ends: list[UUID] = list(
            connection.execute(select(released.id).where(released.hold_id.in_(ids))).scalars()
        )
        for end in releases_from(connection, ends):
            events.append(
                Event(
                    at=end.released_at,
                    what="hold_release",
                    id=end.id,
                    unit=holds[end.hold].unit,
                    place="",
                    fact=end.decision,
                    by=end.released_by,
                )
            )
    names = people.names(connection, [one.by for one in events if one.by is not None])
    told = [one if one.by is None else replace(one, by=names.get(one.by, one.by)) for one in events]
    return sorted(told, key=lambda one: (one.at, one.id, str(one.unit)))


def _said_of(connection: Connection, unit: UUID) -> set[UUID]:
    """Records of what the unit is, of its links, and of what was seen of it under any of its codes."""
    link, head, named = tables.link.c, tables.inspection.c, tables.identifier.c
    rows: tuple[Select[Any], ...] = (
        select(tables.unit_form.c.id).where(tables.unit_form.c.unit_id == unit),
        select(link.id).where(or_(link.parent_id == unit, link.child_id == unit)),
        select(head.id).join(tables.identifier, named.id == head.identifier_id).where(named.unit_id == unit),
    )
    found: set[UUID] = set()
    for one in rows:
        found |= set(connection.execute(one).scalars())
    return found


def _is_held(connection: Connection, unit: UUID) -> bool:
    hold, released = tables.hold.c, tables.hold_release.c
    decided = select(released.id).where(released.hold_id == hold.id).exists()
    rows: Any = select(hold.id).where(hold.unit_id == unit, ~decided).limit(1)
    return connection.execute(rows).first() is not None
