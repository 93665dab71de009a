"""Up and down the genealogy: whole families, and places on them.

Both engines answer alike. A walk is a recursive query over ids alone, which ends on a circle too; measured, closure
tables and label trees gain nothing over it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    literal,
    or_,
    select,
)

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability import tables
from traceability.genealogy.cuts import (
    Cut,
    Face,
    Link,
    Region,
    UnitKind,
    downwards,
    likeliest,
    upwards,
)
from traceability.genealogy.rows import CUT_COLUMNS, cut_of, links_query, links_selected, live_forms, walk
from traceability.rows import portions
from traceability.store import TraceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A unit in a family, under the code that it was given first. What was not said of it is None."""

    unit: IdentifierCode
    kind: UnitKind | None
    length_mm: float | None
    width_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A relative, and where on it. No region: somewhere, because a link on the way says nothing of places."""

    relative: Relative
    probability: float
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Units and the links among them, of which no link is void."""

    relatives: tuple[Relative, ...]
    links: tuple[Link, ...]


def ancestors(store: TraceStore, unit: IdentifierCode) -> tuple[Relative, ...]:
    """All that the unit was made from, itself left out, by code. Raises UnitUnknown."""
    return _all(store, unit, downwards_=False)


def descendants(store: TraceStore, unit: IdentifierCode) -> tuple[Relative, ...]:
    """All that was made from the unit, itself left out, by code. Raises UnitUnknown."""
    return _all(store, unit, downwards_=True)


def place_up(
    store: TraceStore, unit: IdentifierCode, x_mm: float, y_mm: float, *, face: Face | None = None
) -> tuple[Placed, ...]:
    """Where a place on a unit lies on every ancestor, the surest first, then by code. Raises UnitUnknown."""
    start = Region(box_mm=Box(x_mm, y_mm, x_mm, y_mm), face=face)
    with store.reading() as connection:
        root = store.unit_id(connection, unit)
        links = _links_above(connection, root)
        reached = _carried_up(root, start, links)
        return _placed(connection, {id_: one for id_, one in reached.items() if id_ != root})


def places_by_unit(
    store: TraceStore, connection: Connection, unit: IdentifierCode, x_mm: float, y_mm: float
) -> dict[UUID, tuple[Region, ...]]:
    """The same by unit, itself among them; ancestors on which no place is known are left out. Raises UnitUnknown."""
    root = store.unit_id(connection, unit)
    start = Region(box_mm=Box(x_mm, y_mm, x_mm, y_mm))
    reached = _carried_up(root, start, _links_above(connection, root))
    return {id_: regions for id_, (_, regions) in reached.items() if regions}


def truly_above(connection: Connection, unit: UUID) -> list[UUID]:
    """The ancestors of which some is in the unit, as far as cuts say: not a coil that was welded on behind it."""
    form = live_forms(connection, [unit]).get(unit)
    links = _links_above(connection, unit)
    if form is None or form.length_mm is None or form.width_mm is None:
        return sorted({one.parent for one in links})
    whole = Region(box_mm=Box(0.0, 0.0, form.width_mm, form.length_mm))
    return sorted(_carried_up(unit, whole, links).keys() - {unit})


def at_risk(
    store: TraceStore, unit: IdentifierCode, box_mm: Box, *, face: Face | None = None
) -> tuple[Placed, ...]:
    """All made from the unit that may hold some of a box on it, the surest first, then by code. Raises UnitUnknown."""
    with store.reading() as connection:
        root = store.unit_id(connection, unit)
        reached = _carried_down(connection, root, Region(box_mm=box_mm, face=face))
        return _placed(connection, {id_: one for id_, one in reached.items() if id_ != root})


def family(store: TraceStore, unit: IdentifierCode, *, most: int) -> Family:
    """The unit, its ancestors, and what was made from it, nearest first, until there are `most`.

    Raises UnitUnknown.
    """
    with store.reading() as connection:
        root = store.unit_id(connection, unit)
        ids = dict.fromkeys([root])
        parent, child = tables.link.c.parent_id, tables.link.c.child_id
        for here, there in ((child, parent), (parent, child)):
            frontier = [root]
            while frontier and len(ids) < most:
                rows = select(there).where(here.in_(frontier), tables.link.c.voided_by.is_(None))
                found: set[UUID] = set(connection.execute(rows).scalars())
                frontier = sorted(found - ids.keys())[: most - len(ids)]
                ids |= dict.fromkeys(frontier)
        link = tables.link.c
        among = links_query().where(
            link.voided_by.is_(None), link.parent_id.in_(list(ids)), link.child_id.in_(list(ids))
        )
        links = sorted(links_selected(connection, among), key=lambda one: str(one.id))
        relatives = relatives_of(connection, list(ids))
    return Family(relatives=_sorted(relatives.values()), links=tuple(links))


# ------------------------------------------------------------------ walking


def _all(store: TraceStore, unit: IdentifierCode, *, downwards_: bool) -> tuple[Relative, ...]:
    with store.reading() as connection:
        root = store.unit_id(connection, unit)
        reached = walk(root, downwards=downwards_)
        named = tables.identifier
        found = _relatives_query().join(reached, reached.c.id == named.c.unit_id).where(reached.c.id != root)
        rows = _first_codes(connection.execute(found).all())
    return tuple(_relative(row) for row in sorted(rows, key=itemgetter(_CANON, _SCHEME)))


@dataclass(frozen=True, slots=True)
class _Step:
    """One link as far as places go: between which units, by which cuts."""

    parent: UUID
    child: UUID
    cuts: tuple[Cut, ...]


def _links_above(connection: Connection, root: UUID) -> list[_Step]:
    reached, link, cut = walk(root, downwards=False), tables.link, tables.link_cut
    rows = (
        select(*_STEP_COLUMNS)
        .select_from(link.outerjoin(cut, cut.c.link_id == link.c.id))
        .where(link.c.voided_by.is_(None), link.c.child_id.in_(select(reached.c.id)))
        .order_by(link.c.id, cut.c.position)
    )
    return _steps(connection.execute(rows).all())


_STEP_COLUMNS: Final = (
    tables.link.c.id,
    tables.link.c.parent_id,
    tables.link.c.child_id,
    tables.link_cut.c.position,
    *(tables.link_cut.c[name] for name in CUT_COLUMNS),
)
"""In the order in which `_steps` takes them."""


def _steps(rows: Sequence[Any]) -> list[_Step]:
    ends: dict[UUID, tuple[UUID, UUID]] = {}
    cuts: dict[UUID, list[Cut]] = defaultdict(list)
    for id_, parent, child, _, *cut in rows:
        ends[id_] = parent, child
        if cut[0] is not None:
            cuts[id_].append(cut_of(cut))
    return [_Step(parent, child, tuple(cuts[id_])) for id_, (parent, child) in ends.items()]


_Reached = dict[UUID, tuple[float, tuple[Region, ...]]]
"""Per unit: how probably it was reached, and where; nowhere in particular, where a link told no places."""


def _carried_up(root: UUID, start: Region, links: Sequence[_Step]) -> _Reached:
    parents: dict[UUID, list[_Step]] = defaultdict(list)
    due: dict[UUID, int] = defaultdict(int)
    for one in links:
        parents[one.child].append(one)
        due[one.parent] += 1
    reached: _Reached = {root: (1.0, (start,))}
    # A unit is gone up from once all its children have been: it is an ancestor by several ways, perhaps.
    ready = deque([root])
    while ready:
        unit = ready.popleft()
        for one in parents[unit]:
            if unit in reached:
                _reach(reached, one.parent, *_through(reached[unit], one.cuts, upwards))
            due[one.parent] -= 1
            if due[one.parent] == 0:
                ready.append(one.parent)
    return reached


def _carried_down(connection: Connection, root: UUID, start: Region) -> _Reached:
    reached: _Reached = {root: (1.0, (start,))}
    frontier = dict(reached)
    while frontier:
        below = _links_below(connection, frontier)
        for _ in range(LEVELS):
            frontier = _one_down(frontier, below, reached)
    return reached


def _one_down(frontier: _Reached, below: Mapping[UUID, Sequence[_Step]], reached: _Reached) -> _Reached:
    """What is reached from the frontier by one link, added to what was; returns what of it is news."""
    found: _Reached = {}
    for parent, here in frontier.items():
        for one in below.get(parent, ()):
            _reach(found, one.child, *_through(here, one.cuts, downwards))
    news: _Reached = {}
    for unit, (probability, regions) in found.items():
        before = reached.get(unit)
        _reach(reached, unit, probability, regions)
        if reached[unit] != before:
            news[unit] = probability, regions
    return news


def _through(
    reached: tuple[float, tuple[Region, ...]], cuts: Sequence[Cut], carry: Any
) -> tuple[float, tuple[Region, ...]]:
    """What comes out at the other end of a link; probability 0: it does not lead there."""
    probability, regions = reached
    if not cuts or not regions:
        return probability, ()
    carried = [one for region in regions for cut in cuts if (one := carry(region, cut)) is not None]
    return max((one.probability for one in carried), default=0.0), likeliest(carried)


def _reach(reached: _Reached, unit: UUID, probability: float, regions: tuple[Region, ...]) -> None:
    if probability == 0.0:
        return
    before, known = reached.get(unit, (0.0, None))
    # Somewhere on the unit, by one way: then no rectangle bounds where.
    both = () if known == () or regions == () else likeliest([*(known or ()), *regions])
    reached[unit] = max(before, probability), both


LEVELS: Final = 8
"""So many links down are asked for at once: each question of a server costs more than what it answers."""

_WIDE: Final = 1e12
"""Millimetres beyond any unit: anywhere on it."""


def _links_below(connection: Connection, frontier: _Reached) -> dict[UUID, list[_Step]]:
    """Links from these units down LEVELS, by their parents; from one alone what may hold some of its regions."""
    low, high, sigma = -_WIDE, _WIDE, 0.0
    if len(frontier) == 1:
        ((_, regions),) = frontier.values()
        if regions:
            low = min(one.box_mm.y1 for one in regions)
            high = max(one.box_mm.y2 for one in regions)
            sigma = max(one.sigma_y_mm for one in regions)
    below: dict[UUID, list[_Step]] = defaultdict(list)
    for some in portions(list(frontier)):
        asked = {"units": some, "low": low, "high": high, "sigma": sigma}
        for one in _steps(connection.execute(_BELOW, asked).all()):
            below[one.parent].append(one)
    return below


def _below() -> Select[Any]:
    """A walk that carries along where on each unit the place may lie, from `low` to `high` with an error of `sigma`.

    It only leaves out what cannot hold any of it, so it may be coarse: errors are added, not their squares, and across
    the strip, or where the child was turned, anything may.
    """
    unit, link, cut = tables.unit.c, tables.link.c, tables.link_cut.c
    given = (cast(bindparam(name), Double).label(name) for name in ("low", "high", "sigma"))
    seeds = select(unit.id, *given, literal(1).label("level"))
    walk = seeds.where(unit.id.in_(bindparam("units", expanding=True))).cte("below", recursive=True)
    here, (joined, holds) = walk.c, _joined_below(walk)
    stretch = (cut.child_y2_mm - cut.child_y1_mm) / (cut.parent_y2_mm - cut.parent_y1_mm)

    def on_child(place: ColumnElement[float]) -> ColumnElement[float]:
        clipped = case(
            (place < cut.parent_y1_mm, cut.parent_y1_mm),
            (place > cut.parent_y2_mm, cut.parent_y2_mm),
            else_=place,
        )
        along = (clipped - cut.parent_y1_mm) * stretch
        return case((cut.is_reversed, cut.child_y2_mm - along), else_=cut.child_y1_mm + along)

    anywhere = or_(cut.link_id.is_(None), cut.is_turned, here.low <= -_WIDE)
    low, high = on_child(here.low), on_child(here.high)
    further = select(
        link.child_id,
        case((anywhere, -_WIDE), (cut.is_reversed, high), else_=low),
        case((anywhere, _WIDE), (cut.is_reversed, low), else_=high),
        case((anywhere, 0.0), else_=(here.sigma + cut.sigma_y_mm) * stretch),
        here.level + 1,
    )
    walk = walk.union(further.select_from(joined).where(here.level < LEVELS, holds))
    joined, holds = _joined_below(walk)
    # Of a unit that is reached by several ways each link comes several times.
    return select(*_STEP_COLUMNS).select_from(joined).where(holds).distinct().order_by(link.id, cut.position)


def _joined_below(walk: CTE) -> tuple[FromClause, ColumnElement[bool]]:
    """Links and cuts below the units of a walk, and whether one may hold some of the place there."""
    link, cut, here = tables.link, tables.link_cut.c, walk.c
    margin = 4 * (here.sigma + cut.sigma_y_mm) + 1.0
    near = and_(cut.parent_y1_mm - margin <= here.high, cut.parent_y2_mm + margin >= here.low)
    joined = walk.join(link, and_(link.c.parent_id == here.id, link.c.voided_by.is_(None)))
    return joined.outerjoin(tables.link_cut, cut.link_id == link.c.id), or_(cut.link_id.is_(None), near)


_BELOW: Final = _below()


# ------------------------------------------------------------------ units by their codes


def _placed(connection: Connection, reached: _Reached) -> tuple[Placed, ...]:
    relatives = relatives_of(connection, list(reached))
    placed = [
        Placed(relative=relatives[id_], probability=probability, regions=regions)
        for id_, (probability, regions) in reached.items()
    ]
    return tuple(sorted(placed, key=lambda one: (-one.probability, *_by_code(one.relative))))


def relatives_of(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Relative]:
    """Units by their ids."""
    found: dict[UUID, Relative] = {}
    for some in portions(ids):
        rows = connection.execute(_relatives_query().where(tables.identifier.c.unit_id.in_(some))).all()
        found |= {UUID(row[_UNIT]): _relative(row) for row in _first_codes(rows)}
    return found


_UNIT, _ID, _SCHEME, _CANON = range(4)


def _relatives_query() -> Select[Any]:
    """A row for each code of a unit. Its id as text: making and hashing 20 000 ids takes as long as their rows."""
    named, form = tables.identifier, tables.unit_form
    return select(
        cast(named.c.unit_id, String),
        named.c.id,
        named.c.scheme,
        named.c.canon,
        form.c.kind,
        form.c.length_mm,
        form.c.width_mm,
    ).select_from(named.outerjoin(form, and_(form.c.unit_id == named.c.unit_id, form.c.voided_by.is_(None))))


def _first_codes(rows: Sequence[Any]) -> Iterable[Any]:
    """Of each unit the row of the code that it was given first."""
    newest_first = sorted(rows, key=itemgetter(_ID), reverse=True)
    return {row[_UNIT]: row for row in newest_first}.values()


def _relative(row: Any) -> Relative:
    _, _, scheme, canon, kind, length_mm, width_mm = row
    return Relative(
        unit=IdentifierCode(scheme=scheme, raw=canon, canon=canon),
        kind=None if kind is None else _KINDS[kind],
        length_mm=length_mm,
        width_mm=width_mm,
    )


_KINDS: Final = {kind.value: kind for kind in UnitKind}


def _sorted(relatives: Iterable[Relative]) -> tuple[Relative, ...]:
    return tuple(sorted(relatives, key=_by_code))


_by_code: Final = attrgetter("unit.canon", "unit.scheme")
