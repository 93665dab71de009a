"""Units and links onto record: added or voided, never changed; what cannot be is refused with its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import Connection, Table, select, update

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability import database, tables
from traceability.contradictions import Clash, keep_contradictions
from traceability.corrections import Correction, correction_row
from traceability.errors import LinkCycle, LinkOutside, RecordUnknown, RecordVoided
from traceability.genealogy.cuts import ROUNDING_MM, Link, UnitForm
from traceability.genealogy.rows import (
    cut_rows,
    form_row,
    insert,
    link_row,
    links_query,
    links_selected,
    live_forms,
    walk,
)
from traceability.merkle import append
from traceability.people import commit
from traceability.recorded import ON_RECORD, entry
from traceability.rows import portions
from traceability.statements import statement
from traceability.store import TraceStore
from traceability.verifier import canonical

Audit = Callable[[Connection], None]
"""Told last, in the transaction of the change: where a person made it, the audit says so."""

SIGMAS: Final = 3
"""A cut may reach so many of its standard errors beyond the unit: lengths are measured, too."""

_LOCK: Final = 7_105_022_030
"""Two writers of links that do not see each other could close a circle between them."""

_Said = TypeVar("_Said", UnitForm, Link)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a delivery. What was known already is in neither count.

    contradictions  ids of records under which something else is on record: both are kept, the first one counts
    """

    units: int
    links: int
    contradictions: tuple[UUID, ...]


def record(
    store: TraceStore,
    *,
    units: Sequence[UnitForm] = (),
    links: Sequence[Link] = (),
    audit: Audit | None = None,
) -> Recorded:
    """Keep units and links, all or none. Saying the same twice changes nothing; saying again what was voided makes it
    count again, beside the voided record.

    Raises LinkOutside where a cut reaches beyond its unit, LinkCycle where a unit would be its own ancestor,
    RecordVoided where the sender's own id is that of a voided record.
    """
    with store.writing() as connection:
        database.lock(connection, _LOCK)
        codes = chain((one.unit for one in units), *((one.parent, one.child) for one in links))
        named = store.naming(connection, codes)
        unit_of = {code: one.unit_id for code, one in named.items()}
        forms, form_clashes = _new_forms(connection, units, unit_of)
        fresh, link_clashes = _new_links(connection, links)
        form_rows = [form_row(one, unit_of, named[one.unit].identifier_id) for one in forms]
        insert(connection, tables.unit_form, form_rows)
        insert(
            connection,
            tables.link,
            [
                link_row(one, unit_of)
                | {
                    "parent_identifier_id": named[one.parent].identifier_id,
                    "child_identifier_id": named[one.child].identifier_id,
                }
                for one in fresh
            ],
        )
        insert(connection, tables.link_cut, [row for one in fresh for row in cut_rows(one)])
        _refuse_outside(store, connection, forms, fresh)
        _refuse_cycles(connection, fresh, unit_of)
        clashes = [*form_clashes, *link_clashes]
        entries = [*(entry("unit_form", one) for one in forms), *(entry("link", one) for one in fresh)]
        append(connection, [*entries, *keep_contradictions(connection, clashes)], ON_RECORD)
        if audit is not None:
            audit(connection)
    return Recorded(
        units=len(forms), links=len(fresh), contradictions=tuple(dict.fromkeys(one.record for one in clashes))
    )


def id_of(said: UnitForm | Link, *, after: UUID | None = None) -> UUID:
    """An id that the same words have whenever they come, for what has none of its own.

    after  the correction that took the words back before
    """
    words = canonical({key: value for key, value in statement(said).items() if key != "id"}).decode()
    kind = "form" if isinstance(said, UnitForm) else "link"
    return uuid5(NAMESPACE_URL, f"urn:lynceus:{kind}:{words}" + (f":{after}" if after else ""))


def void(
    store: TraceStore, *, link: UUID, id: UUID, reason: str, by: str | None = None, audit: Audit | None = None
) -> None:
    """Take a link back. It stays on record and counts no more; saying so twice changes nothing.

    id  of the correction itself
    by  a person's name; the record holds a commitment to it

    Raises RecordUnknown.
    """
    _void(store, tables.link, link, id=id, reason=reason, by=by, audit=audit)


def void_form(
    store: TraceStore, *, form: UUID, id: UUID, reason: str, by: str | None = None, audit: Audit | None = None
) -> None:
    """The same for what a unit was said to be, so that it can be said again. Raises RecordUnknown."""
    _void(store, tables.unit_form, form, id=id, reason=reason, by=by, audit=audit)


def _void(
    store: TraceStore,
    table: Table,
    record: UUID,
    *,
    id: UUID,
    reason: str,
    by: str | None,
    audit: Audit | None,
) -> None:
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
        made = Correction(
            id=id,
            kind=table.name,
            record=record,
            reason=reason,
            made_at=datetime.now(UTC),
            made_by=None if by is None else commit(connection, by),
        )
        connection.execute(tables.correction.insert(), correction_row(made))
        connection.execute(update(table).where(table.c.id == record).values(voided_by=id))
        append(connection, [entry("correction", made)], ON_RECORD)
        if audit is not None:
            audit(connection)


# ------------------------------------------------------------------ what is new, and what contradicts


def _new_forms(
    connection: Connection, units: Sequence[UnitForm], unit_of: Mapping[IdentifierCode, UUID]
) -> tuple[list[UnitForm], list[Clash]]:
    known = live_forms(connection, [unit_of[one.unit] for one in units])
    again = [one for one in units if unit_of[one.unit] in known]
    anew = _said_anew(connection, tables.unit_form, [one for one in units if unit_of[one.unit] not in known])
    taken = _on_record(connection, tables.unit_form, [one.id for one in anew])
    new: list[UnitForm] = []
    clashes: list[Clash] = []
    for one in (*again, *anew):
        said = known.get(unit_of[one.unit])
        if said is None and one.id in taken:
            # The id is that of what another unit was said to be.
            clashes.append(Clash(kind="unit_form", record=one.id, said=statement(one)))
        elif said is None:
            known[unit_of[one.unit]] = _canonically_named(one)
            taken[one.id] = None
            new.append(known[unit_of[one.unit]])
        elif _without_id(said) != _without_id(one):
            clashes.append(Clash(kind="unit_form", record=said.id, said=statement(one)))
    return new, clashes


def _without_id(form: UnitForm) -> tuple[object, ...]:
    # Under which of its codes a unit is described is no difference.
    return form.kind, form.length_mm, form.width_mm, form.quantity, form.quantity_unit


def _new_links(connection: Connection, links: Sequence[Link]) -> tuple[list[Link], list[Clash]]:
    anew = _said_anew(connection, tables.link, links)
    known = {
        one.id: one
        for some in portions([one.id for one in anew])
        for one in links_selected(connection, links_query().where(tables.link.c.id.in_(some)))
    }
    new: list[Link] = []
    clashes: list[Clash] = []
    for given in anew:
        one = _canonically_named(given)
        said = known.get(one.id)
        if said is None:
            known[one.id] = one
            new.append(one)
        elif said != one:
            clashes.append(Clash(kind="link", record=one.id, said=statement(one)))
    return new, clashes


def _said_anew(connection: Connection, table: Table, said: Sequence[_Said]) -> list[_Said]:
    """Each under an id that no voided record has: words that were taken back come under the next id of theirs."""
    anew = list(said)
    while voided := {
        id_: by
        for id_, by in _on_record(connection, table, [one.id for one in anew]).items()
        if by is not None
    }:
        for place, one in enumerate(anew):
            if one.id in voided:
                if id_of(said[place]) != said[place].id:
                    raise _voided(table, said[place].id)
                anew[place] = replace(one, id=id_of(said[place], after=voided[one.id]))
    return anew


def _on_record(connection: Connection, table: Table, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Of these ids those on record, each with the correction that took it back."""
    found: dict[UUID, UUID | None] = {}
    for some in portions(ids):
        rows = connection.execute(select(table.c.id, table.c.voided_by).where(table.c.id.in_(some)))
        found |= {row.id: row.voided_by for row in rows}
    return found


def _voided(table: Table, id: UUID) -> RecordVoided:
    return RecordVoided(
        f"{table.name} {id} was voided and counts no more.",
        action="Say it again under another id, or without one.",
        id=str(id),
        kind=table.name,
    )


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
