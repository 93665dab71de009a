"""Units and links onto record: added or voided, never changed; what cannot be is refused with its numbers."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, Table, literal, select, update

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability import database, tables
from traceability.errors import LinkCycle, LinkOutside, RecordUnknown
from traceability.genealogy.cuts import ROUNDING_MM, Cut, Link, LinkKind, UnitForm, UnitKind
from traceability.people import commit
from traceability.rows import Found, Row
from traceability.statements import Plain, statement
from traceability.store import TraceStore, portions
from traceability.verifier import canonical

SIGMAS: Final = 3
"""A cut may reach so many of its standard errors beyond the unit: lengths are measured, too."""

_LOCK: Final = 7_105_022_020
"""Two writers of links that do not see each other could close a circle between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a delivery. What was known already is in neither count.

    contradictions  ids of records under which something else is on record: both are kept, the first one counts
    """

    units: int
    links: int
    contradictions: tuple[UUID, ...]


def record(store: TraceStore, *, units: Sequence[UnitForm] = (), links: Sequence[Link] = ()) -> Recorded:
    """Keep units and links, all or none. Saying the same twice changes nothing.

    Raises LinkOutside where a cut reaches beyond its unit, LinkCycle where a unit would be its own ancestor.
    """
    with store.writing() as connection:
        database.lock(connection, _LOCK)
        codes = chain((one.unit for one in units), *((one.parent, one.child) for one in links))
        named = store.naming(connection, codes)
        unit_of = {code: one.unit_id for code, one in named.items()}
        forms, form_clashes = _new_forms(connection, units, unit_of)
        fresh, link_clashes = _new_links(connection, links)
        form_rows = [_form_row(one, unit_of, named[one.unit].identifier_id) for one in forms]
        insert(connection, tables.unit_form, form_rows)
        insert(
            connection,
            tables.link,
            [
                _link_row(one, unit_of)
                | {
                    "parent_identifier_id": named[one.parent].identifier_id,
                    "child_identifier_id": named[one.child].identifier_id,
                }
                for one in fresh
            ],
        )
        insert(connection, tables.link_cut, [row for one in fresh for row in _cut_rows(one)])
        _refuse_outside(store, connection, forms, fresh)
        _refuse_cycles(connection, fresh, unit_of)
        clashes = [*form_clashes, *link_clashes]
        keep_contradictions(connection, clashes)
    return Recorded(
        units=len(forms), links=len(fresh), contradictions=tuple(dict.fromkeys(one.record for one in clashes))
    )


def void(store: TraceStore, *, link: UUID, id: UUID, reason: str, by: str | None = None) -> None:
    """Take a link back. It stays on record and counts no more; saying so twice changes nothing.

    id  of the correction itself
    by  a person's name; the record holds a commitment to it

    Raises RecordUnknown.
    """
    _void(store, tables.link, link, id=id, reason=reason, by=by)


def void_form(store: TraceStore, *, form: UUID, id: UUID, reason: str, by: str | None = None) -> None:
    """The same for what a unit was said to be, so that it can be said again. Raises RecordUnknown."""
    _void(store, tables.unit_form, form, id=id, reason=reason, by=by)


def _void(store: TraceStore, table: Table, record: UUID, *, id: UUID, reason: str, by: str | None) -> None:
    with store.writing() as connection:
        database.lock(connection, _LOCK)
        row = connection.execute(select(table.c.voided_by).where(table.c.id == record)).one_or_none()
        if row is None:
            raise RecordUnknown(
                f"No {table.name} {record} is on record.",
                action="Take the id from the unit's genealogy.",
                id=str(record),
            )
        if row.voided_by is not None:
            return
        corrected = {"id": id, "record_kind": table.name, "record_id": record, "reason": reason}
        made = {"made_at": datetime.now(UTC), "made_by": None if by is None else commit(connection, by)}
        connection.execute(tables.correction.insert(), corrected | made)
        connection.execute(update(table).where(table.c.id == record).values(voided_by=id))


# ------------------------------------------------------------------ what is new, and what contradicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A statement under the id of a record that says something else."""

    kind: str
    record: UUID
    said: Plain


def keep_contradictions(connection: Connection, clashes: Iterable[Clash]) -> None:
    rows = {
        hashlib.sha256(canonical([one.kind, str(one.record), one.said])).hexdigest(): {
            "record_kind": one.kind,
            "record_id": one.record,
            "said": one.said,
            "received_at": datetime.now(UTC),
        }
        for one in clashes
    }
    if rows:
        new = database.insert_new(connection, tables.contradiction, "sha256")
        connection.execute(new, [{"sha256": sha256, **row} for sha256, row in rows.items()])


def _new_forms(
    connection: Connection, units: Sequence[UnitForm], unit_of: Mapping[IdentifierCode, UUID]
) -> tuple[list[UnitForm], list[Clash]]:
    known = live_forms(connection, [unit_of[one.unit] for one in units])
    new: list[UnitForm] = []
    clashes: list[Clash] = []
    for one in units:
        said = known.get(unit_of[one.unit])
        if said is None:
            known[unit_of[one.unit]] = _canonically_named(one)
            new.append(known[unit_of[one.unit]])
        elif _without_id(said) != _without_id(one):
            clashes.append(Clash(kind="unit_form", record=said.id, said=statement(one)))
    return new, clashes


def _without_id(form: UnitForm) -> tuple[object, ...]:
    # Under which of its codes a unit is described is no difference.
    return form.kind, form.length_mm, form.width_mm, form.quantity, form.quantity_unit


def _new_links(connection: Connection, links: Sequence[Link]) -> tuple[list[Link], list[Clash]]:
    known = {
        one.id: one
        for some in portions([one.id for one in links])
        for one in links_selected(connection, links_query().where(tables.link.c.id.in_(some)))
    }
    new: list[Link] = []
    clashes: list[Clash] = []
    for given in links:
        one = _canonically_named(given)
        said = known.get(one.id)
        if said is None:
            known[one.id] = one
            new.append(one)
        elif said != one:
            clashes.append(Clash(kind="link", record=one.id, said=statement(one)))
    return new, clashes


def _canonically_named(record: Any) -> Any:
    """How a code was spelled when it was read is kept with inspections only."""
    names = [name for name in ("unit", "parent", "child") if hasattr(record, name)]
    return replace(record, **{name: _canonical_code(getattr(record, name)) for name in names})


def _canonical_code(code: IdentifierCode) -> IdentifierCode:
    return IdentifierCode(scheme=code.scheme, raw=code.canon, canon=code.canon)


# ------------------------------------------------------------------ what cannot be


def _refuse_outside(
    store: TraceStore, connection: Connection, forms: Sequence[UnitForm], links: Sequence[Link]
) -> None:
    """New links against all forms, and links on record against new forms."""
    described = [one.unit_id for one in store.naming(connection, [one.unit for one in forms]).values()]
    link = tables.link.c
    to_check = {one.id: one for one in links if one.cuts}
    for some in portions(described):
        touching = link.parent_id.in_(some) | link.child_id.in_(some)
        on_record = links_selected(connection, links_query().where(link.voided_by.is_(None), touching))
        to_check |= {one.id: one for one in on_record if one.cuts}
    named = store.naming(connection, [code for one in to_check.values() for code in (one.parent, one.child)])
    form_of = live_forms(connection, list({one.unit_id for one in named.values()}))
    for one in to_check.values():
        parent, child = (form_of.get(named[code].unit_id) for code in (one.parent, one.child))
        for cut in one.cuts:
            per_x, per_y = cut.parent_per_child
            sigma = cut.sigma_x_mm / per_x, cut.sigma_y_mm / per_y
            _refuse_beyond(one, one.parent, parent, cut.parent_mm, (cut.sigma_x_mm, cut.sigma_y_mm))
            _refuse_beyond(one, one.child, child, cut.child_mm, sigma[::-1] if cut.is_turned else sigma)


def _refuse_beyond(
    link: Link, unit: IdentifierCode, form: UnitForm | None, box: Box, sigma_mm: tuple[float, float]
) -> None:
    if form is None:
        return
    for side, low, high, size, sigma in (
        ("length_mm", box.y1, box.y2, form.length_mm, sigma_mm[1]),
        ("width_mm", box.x1, box.x2, form.width_mm, sigma_mm[0]),
    ):
        slack = SIGMAS * sigma + ROUNDING_MM
        if size is not None and (low < -slack or high > size + slack):
            raise LinkOutside(
                f"Link {link.id} cuts {low:g} … {high:g} mm of {unit}, whose {side} is {size:g} "
                f"(± {slack:.3g} allowed).",
                action="Correct the cut, or void what was said of the unit and say its size again.",
                link=str(link.id),
                unit=str(unit),
                side=side,
                from_mm=low,
                to_mm=high,
                size_mm=size,
                slack_mm=round(slack, 3),
            )


def _refuse_cycles(
    connection: Connection, links: Sequence[Link], unit_of: Mapping[IdentifierCode, UUID]
) -> None:
    """What is on record has no circle, so a new one passes through a new link and comes back to its parent."""
    below: dict[UUID, set[UUID]] = defaultdict(set)
    code_of = {}
    for one in links:
        below[unit_of[one.parent]].add(unit_of[one.child])
        code_of[unit_of[one.parent]], code_of[unit_of[one.child]] = one.parent, one.child
    parents = set(below)
    for unit in {child for children in below.values() for child in children}:
        # A child that is new has nothing below it but what this delivery says.
        below[unit] |= parents & _descendants(connection, unit) - {unit}
    if circle := _circle(below):
        codes = [str(code_of[unit]) for unit in circle if unit in code_of]
        raise LinkCycle(
            f"{codes[0]} would be its own ancestor, through {' → '.join(codes)}.",
            action="Check which is the parent and which the child; void a wrong link before the right one is added.",
            unit=codes[0],
            path=" → ".join(codes),
        )


def _descendants(connection: Connection, unit: UUID) -> set[UUID]:
    link = tables.link.c
    first = select(link.child_id).where(link.parent_id == unit, link.voided_by.is_(None)).limit(1)
    if connection.execute(first).first() is None:
        return set()
    return set(connection.execute(select(walk(unit, downwards=True).c.id)).scalars())


def _circle(below: Mapping[UUID, set[UUID]]) -> list[UUID]:
    """The units of a circle in the order they are passed, the first one again at the end; [] where there is none."""
    done: set[UUID] = set()
    for start in below:
        path: list[UUID] = []
        at: dict[UUID, int] = {}
        waiting = [(start, iter(sorted(below.get(start, ()))))]
        at[start] = 0
        path.append(start)
        if start in done:
            continue
        while waiting:
            unit, rest = waiting[-1]
            following = next((one for one in rest if one not in done), None)
            if following is None:
                done.add(unit)
                del at[unit]
                path.pop()
                waiting.pop()
            elif following in at:
                return [*path[at[following] :], following]
            else:
                at[following] = len(path)
                path.append(following)
                waiting.append((following, iter(sorted(below.get(following, ())))))
    return []


# ------------------------------------------------------------------ rows


def walk(unit: UUID, *, downwards: bool) -> Any:
    """A recursive query whose column `id` has the unit and all below it, or above it. Ends on a circle, too."""
    here, there = (
        (tables.link.c.parent_id, tables.link.c.child_id)
        if downwards
        else (tables.link.c.child_id, tables.link.c.parent_id)
    )
    start: Select[Any] = select(literal(unit, tables.unit.c.id.type).label("id"))
    found = start.cte("walk", recursive=True)
    further = select(there).where(here == found.c.id, tables.link.c.voided_by.is_(None))
    return found.union(further)


def live_forms(connection: Connection, unit_ids: Sequence[UUID]) -> dict[UUID, UnitForm]:
    """What units are said to be, as far as it was said."""
    form, named = tables.unit_form, tables.identifier
    found: dict[UUID, UnitForm] = {}
    for some in portions(unit_ids):
        rows = (
            select(form, named.c.scheme, named.c.canon)
            .join(named, named.c.id == form.c.identifier_id)
            .where(form.c.unit_id.in_(some), form.c.voided_by.is_(None))
        )
        found |= {row["unit_id"]: form_from(row) for row in connection.execute(rows).mappings()}
    return found


def links_query() -> Select[Any]:
    """To be narrowed, then given to `links_selected`."""
    parent, child = tables.identifier.alias("parent"), tables.identifier.alias("child")
    link = tables.link
    return (
        select(
            link,
            parent.c.scheme.label("parent_scheme"),
            parent.c.canon.label("parent_canon"),
            child.c.scheme.label("child_scheme"),
            child.c.canon.label("child_canon"),
        )
        .join(parent, parent.c.id == link.c.parent_identifier_id)
        .join(child, child.c.id == link.c.child_identifier_id)
    )


def links_selected(connection: Connection, wanted: Select[Any]) -> list[Link]:
    heads = connection.execute(wanted).mappings().all()
    cuts: dict[UUID, list[Cut]] = defaultdict(list)
    table = tables.link_cut
    for some in portions([head["id"] for head in heads]):
        rows = select(table).where(table.c.link_id.in_(some)).order_by(table.c.position)
        for row in connection.execute(rows).mappings():
            cuts[row["link_id"]].append(cut_from(row))
    return [
        Link(
            id=head["id"],
            parent=_code(head["parent_scheme"], head["parent_canon"]),
            child=_code(head["child_scheme"], head["child_canon"]),
            kind=LinkKind(head["kind"]),
            cuts=tuple(cuts[head["id"]]),
            step=head["step"],
            quantity=head["quantity"],
        )
        for head in heads
    ]


def form_from(row: Found) -> UnitForm:
    return UnitForm(
        id=row["id"],
        unit=_code(row["scheme"], row["canon"]),
        kind=UnitKind(row["kind"]),
        length_mm=row["length_mm"],
        width_mm=row["width_mm"],
        quantity=row["quantity"],
        quantity_unit=row["quantity_unit"],
    )


_SIDES: Final = ("x1", "y1", "x2", "y2")


def cut_from(row: Found) -> Cut:
    return Cut(
        parent_mm=Box(*(row[f"parent_{side}_mm"] for side in _SIDES)),
        child_mm=Box(*(row[f"child_{side}_mm"] for side in _SIDES)),
        is_reversed=row["is_reversed"],
        is_mirrored=row["is_mirrored"],
        is_turned=row["is_turned"],
        is_flipped=row["is_flipped"],
        sigma_x_mm=row["sigma_x_mm"],
        sigma_y_mm=row["sigma_y_mm"],
    )


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _form_row(form: UnitForm, unit_of: Mapping[IdentifierCode, UUID], identifier_id: int) -> Row:
    return {
        "id": form.id,
        "unit_id": unit_of[form.unit],
        "identifier_id": identifier_id,
        "kind": form.kind.value,
        "length_mm": form.length_mm,
        "width_mm": form.width_mm,
        "quantity": form.quantity,
        "quantity_unit": form.quantity_unit,
    }


def _link_row(link: Link, unit_of: Mapping[IdentifierCode, UUID]) -> Row:
    return {
        "id": link.id,
        "parent_id": unit_of[link.parent],
        "child_id": unit_of[link.child],
        "kind": link.kind.value,
        "step": link.step,
        "quantity": link.quantity,
    }


def _cut_rows(link: Link) -> list[Row]:
    return [
        {
            "link_id": link.id,
            "position": position,
            **{f"parent_{side}_mm": getattr(cut.parent_mm, side) for side in _SIDES},
            **{f"child_{side}_mm": getattr(cut.child_mm, side) for side in _SIDES},
            "is_reversed": cut.is_reversed,
            "is_mirrored": cut.is_mirrored,
            "is_turned": cut.is_turned,
            "is_flipped": cut.is_flipped,
            "sigma_x_mm": cut.sigma_x_mm,
            "sigma_y_mm": cut.sigma_y_mm,
        }
        for position, cut in enumerate(link.cuts)
    ]


def _code(scheme: str, canon: str) -> IdentifierCode:
    return IdentifierCode(scheme=scheme, raw=canon, canon=canon)
