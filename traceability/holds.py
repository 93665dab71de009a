"""Units on hold and their release, and containment: from one escape to every unit that may have it too.

A suspect is a unit that the same station accepted under the same recipe and models since it was last proven, or one
that was made from such a unit. It is `found` where it is in the plant and nobody holds it, `held`, `shipped`, or
`closed` by a decision; what is not closed is open, and a containment is done when nothing is. On record are those that
it named when it was opened; whoever is known as one later, by a record that came late, stands on the board with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select

from inspection.identity import IdentifierCode
from inspection.types import Inspection, Verdict
from traceability import database, people, tables
from traceability.errors import EscapeLeftOut, HoldMissing, RecordUnknown
from traceability.genealogy.recording import Audit
from traceability.genealogy.rows import insert, walk
from traceability.keeping import keep
from traceability.rows import Found, among, inspections_query, inspections_selected, older, portions
from traceability.steps import PROVEN, SHIPPED, place_of
from traceability.store import TraceStore

Decision = Literal["use_as_is", "rework", "scrap"]
DECISIONS: Final[tuple[Decision, ...]] = ("use_as_is", "rework", "scrap")
State = Literal["found", "held", "shipped", "closed"]
STATES: Final[tuple[State, ...]] = ("found", "held", "shipped", "closed")

_LOCK: Final = 7_105_022_042
"""Two people who hold or decide about one unit at once would each find that nobody did before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nobody may use or ship the unit until it is released. People are commitments to names (`people.py`)."""

    id: UUID
    unit: IdentifierCode
    reason: str
    placed_at: datetime
    placed_by: str | None
    containment: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What was decided about a held unit, and why."""

    id: UUID
    hold: UUID
    decision: Decision
    reason: str
    released_at: datetime
    released_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """One escape, by what its suspects were chosen, and who they are.

    lot    only what was made from it; None: whatever it was made from
    since  the last proof of the station before the escape, or the time that was named; None: from the beginning
    until  the first proof after it, or when the containment was opened
    """

    id: UUID
    escape: UUID
    reason: str
    opened_at: datetime
    opened_by: str | None
    station: str
    recipe_sha256: str
    models: tuple[str, ...]
    lot: IdentifierCode | None
    since: datetime | None
    until: datetime
    suspects: tuple[IdentifierCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    unit: IdentifierCode
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Where a containment stands. `open` is how many suspects wait for a decision.

    suspects  those that it named when it was opened, then those that are known since, by their codes
    """

    containment: Containment
    suspects: tuple[Suspect, ...]

    @property
    def counts(self) -> dict[State, int]:
        counted = Counter(one.state for one in self.suspects)
        return {state: counted[state] for state in STATES}

    @property
    def open(self) -> int:
        return len(self.suspects) - self.counts["closed"]


def place(
    store: TraceStore,
    units: Sequence[IdentifierCode],
    *,
    ids: Sequence[UUID],
    reason: str,
    at: datetime,
    by: str | None,
    containment: UUID | None = None,
    audit: Audit | None = None,
) -> int:
    """Put units on hold, all or none; a unit that is held already stays so. How many were not. Raises UnitUnknown.

    units  that are named twice, or under two of their codes, are held once: under the first
    """
    with store.writing() as connection:
        database.lock(connection, _LOCK)
        unit_ids = {code: store.unit_id(connection, code) for code in units}
        held = set(_held(connection, list(unit_ids.values())))
        named = store.naming(connection, units)
        placed_by = None if by is None else people.commit(connection, by)
        holds = []
        for id_, code in zip(ids, units, strict=True):
            if unit_ids[code] in held:
                continue
            held.add(unit_ids[code])
            holds.append(
                Hold(
                    id=id_,
                    unit=IdentifierCode(scheme=code.scheme, raw=code.canon, canon=code.canon),
                    reason=reason,
                    placed_at=at,
                    placed_by=placed_by,
                    containment=containment,
                )
            )

        def put(new: Sequence[Hold]) -> None:
            rows = [
                {
                    "id": one.id,
                    "unit_id": unit_ids[one.unit],
                    "identifier_id": named[one.unit].identifier_id,
                    "reason": one.reason,
                    "placed_at": one.placed_at,
                    "placed_by": one.placed_by,
                    "containment": one.containment,
                }
                for one in new
            ]
            insert(connection, tables.hold, rows)

        return keep(connection, "hold", holds, put, audit).new


def release(
    store: TraceStore,
    unit: IdentifierCode,
    *,
    id: UUID,
    decision: Decision,
    reason: str,
    at: datetime,
    by: str | None,
    audit: Audit | None = None,
) -> None:
    """Decide about a held unit. Raises UnitUnknown; HoldMissing where nobody holds it."""
    with store.writing() as connection:
        database.lock(connection, _LOCK)
        held = _held(connection, [store.unit_id(connection, unit)])
        if not held:
            raise HoldMissing(
                f"{unit} is not on hold.", action="Check the code; a unit is released once.", unit=str(unit)
            )
        released_by = None if by is None else people.commit(connection, by)
        (hold,) = held.values()
        releases = [
            Release(
                id=id, hold=hold, decision=decision, reason=reason, released_at=at, released_by=released_by
            )
        ]

        def put(new: Sequence[Release]) -> None:
            fields = ("decision", "reason", "released_at", "released_by")
            rows = [
                {"id": one.id, "hold_id": one.hold, **{name: getattr(one, name) for name in fields}}
                for one in new
            ]
            insert(connection, tables.hold_release, rows)

        keep(connection, "hold_release", releases, put, audit)


def holds_of(store: TraceStore, unit: IdentifierCode) -> tuple[tuple[Hold, Release | None], ...]:
    """A unit's holds, oldest first, each with its release. Raises UnitUnknown."""
    with store.reading() as connection:
        id_ = store.unit_id(connection, unit)
        rows = select(tables.hold.c.id).where(tables.hold.c.unit_id == id_)
        holds = holds_from(connection, list(connection.execute(rows).scalars()))
        rows = select(tables.hold_release.c.id).where(
            tables.hold_release.c.hold_id.in_([one.id for one in holds])
        )
        released = {
            one.hold: one for one in releases_from(connection, list(connection.execute(rows).scalars()))
        }
    return tuple(
        (one, released.get(one.id)) for one in sorted(holds, key=lambda one: (one.placed_at, one.id))
    )


def contain(
    store: TraceStore,
    escape: UUID,
    *,
    id: UUID,
    reason: str,
    at: datetime,
    by: str | None,
    lot: IdentifierCode | None = None,
    since: datetime | None = None,
    audit: Callable[[Containment], Audit] | None = None,
) -> Board:
    """Open a containment: name every suspect of a confirmed escape, an inspection that accepted by mistake.

    since  reach back no further than to this time; a proof in between is nearer
    audit  what to say of the containment that was opened

    Raises RecordUnknown, UnitUnknown for the lot; EscapeLeftOut where lot or time leave out the escape itself: such a
    containment might be done at once, and have contained nothing.
    """
    with store.writing() as connection:
        seen = inspections_selected(connection, inspections_query().where(tables.inspection.c.id == escape))
        if not seen:
            raise RecordUnknown(
                f"No inspection {escape} is on record.",
                action="Take the id from the unit's page or its history.",
                id=str(escape),
            )
        lot_id = None if lot is None else store.unit_id(connection, lot)
        _check_not_left_out(connection, seen[0], store.unit_id(connection, seen[0].unit), lot_id, since)
        proofs = _proofs(connection, seen[0].station, seen[0].lane)
        before = [one for one in proofs if one <= seen[0].finished_at]
        after = [one for one in proofs if one > seen[0].finished_at]
        starts = [one for one in (since, max(before, default=None)) if one is not None]
        sought = _Sought(
            containment=id,
            opened_at=at,
            station=seen[0].station,
            recipe_sha256=seen[0].recipe.sha256,
            models=tuple(sorted(model.sha256 for model in seen[0].models)),
            is_simulated=seen[0].simulated,
            lot=lot_id,
            since=max(starts, default=None),
            until=min([*after, at]),
        )
        suspects = _first_codes(connection, sorted(_not_named(connection, sought)))
        opened = Containment(
            id=id,
            escape=escape,
            reason=reason,
            opened_at=at,
            opened_by=None if by is None else people.commit(connection, by),
            station=sought.station,
            recipe_sha256=sought.recipe_sha256,
            models=sought.models,
            lot=None if lot is None else IdentifierCode(scheme=lot.scheme, raw=lot.canon, canon=lot.canon),
            since=sought.since,
            until=sought.until,
            suspects=tuple(sorted(suspects.values(), key=lambda code: code.canon)),
        )
        named = store.naming(connection, [*opened.suspects, *([] if opened.lot is None else [opened.lot])])

        def put(new: Sequence[Containment]) -> None:
            for one in new:
                names = ("id", "escape", "reason", "opened_at", "opened_by", "station", "recipe_sha256")
                row = {name: getattr(one, name) for name in names} | {
                    "models": list(one.models),
                    "lot_identifier_id": None if one.lot is None else named[one.lot].identifier_id,
                    "since": one.since,
                    "until": one.until,
                }
                insert(connection, tables.containment, [row])
                rows = [
                    {
                        "containment_id": one.id,
                        "position": position,
                        "unit_id": named[code].unit_id,
                        "identifier_id": named[code].identifier_id,
                    }
                    for position, code in enumerate(one.suspects)
                ]
                insert(connection, tables.containment_unit, rows)

        keep(connection, "containment", [opened], put, None if audit is None else audit(opened))
        return _board(connection, opened)


def board(store: TraceStore, id: UUID) -> Board:
    """Where a containment stands now. Raises RecordUnknown."""
    with store.reading() as connection:
        found = containments_from(connection, [id])
        if not found:
            raise RecordUnknown(
                f"No containment {id} is on record.",
                action="Take the id from the containment page.",
                id=str(id),
            )
        return _board(connection, found[0])


def boards(store: TraceStore, *, limit: int = 100, before: UUID | None = None) -> tuple[Board, ...]:
    """Containments, the newest first. `before` goes on where an earlier answer ended."""
    of = tables.containment.c
    with store.reading() as connection:
        rows = select(of.id).order_by(of.opened_at.desc(), of.id.desc()).limit(limit)
        if before is not None:
            rows = rows.where(older(of.opened_at, of.id, before))
        ids: list[UUID] = list(connection.execute(rows).scalars())
        found = {one.id: one for one in containments_from(connection, ids)}
        return tuple(_board(connection, found[id_]) for id_ in ids)


def open_holds(store: TraceStore) -> int:
    """How many holds wait for a decision, of all units."""
    rows = select(func.count()).select_from(tables.hold).where(~_is_released())
    with store.reading() as connection:
        count: int = connection.execute(rows).scalar_one()
    return count


def waiting(store: TraceStore, *, limit: int) -> tuple[Hold, ...]:
    """Holds that wait for a decision, the newest first, with the names of who placed them."""
    of = tables.hold.c
    rows = select(of.id).where(~_is_released()).order_by(of.placed_at.desc(), of.id.desc()).limit(limit)
    with store.reading() as connection:
        found = {one.id: one for one in holds_from(connection, list(connection.execute(rows).scalars()))}
        names = people.names(
            connection, [one.placed_by for one in found.values() if one.placed_by is not None]
        )
    held = sorted(found.values(), key=lambda one: (one.placed_at, one.id), reverse=True)
    return tuple(
        one if one.placed_by is None else replace(one, placed_by=names.get(one.placed_by, one.placed_by))
        for one in held
    )


def held_units(connection: Connection) -> set[UUID]:
    """All that are on hold now."""
    return set(connection.execute(select(tables.hold.c.unit_id).where(~_is_released())).scalars())


def contained_units(connection: Connection) -> set[UUID]:
    """Suspects of any containment that wait for a decision."""
    part, contained, hold = tables.containment_unit.c, tables.containment.c, tables.hold.c
    released = tables.hold_release.c
    decided = (
        select(released.id)
        .join(tables.hold, hold.id == released.hold_id)
        .where(hold.unit_id == part.unit_id, released.released_at >= contained.opened_at)
    )
    rows = (
        select(part.unit_id)
        .join(tables.containment, contained.id == part.containment_id)
        .where(~decided.exists())
    )
    waiting: set[UUID] = set(connection.execute(rows).scalars())
    for sought in _sought(connection, select(contained.id)):
        since = _not_named(connection, sought)
        waiting |= since - _closed(connection, sorted(since), sought.opened_at)
    return waiting


# ------------------------------------------------------------------ choosing and counting


def _check_not_left_out(
    connection: Connection, escape: Inspection, unit: UUID, lot: UUID | None, since: datetime | None
) -> None:
    """Raises EscapeLeftOut."""
    is_of_lot = lot is None or unit in set(
        connection.execute(select(walk(lot, downwards=True).c.id)).scalars()
    )
    if is_of_lot and (since is None or since <= escape.finished_at):
        return
    inspected_at = f"{escape.finished_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    raise EscapeLeftOut(
        f"{escape.unit}, inspected at {inspected_at}, would be no suspect of its own escape.",
        action="Name a lot that the unit was made from, and a time before it was inspected.",
        unit=str(escape.unit),
        at=inspected_at,
    )


def _proofs(connection: Connection, station: str, lane: str) -> list[datetime]:
    step = tables.process_step.c
    rows = select(step.finished_at).where(
        step.kind == PROVEN, step.equipment.in_((station, place_of(station, lane)))
    )
    return list(connection.execute(rows).scalars())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sought:
    """By what a containment chooses its suspects. `models`: digests; `lot`: the unit."""

    containment: UUID
    opened_at: datetime
    station: str
    recipe_sha256: str
    models: tuple[str, ...]
    is_simulated: bool
    lot: UUID | None
    since: datetime | None
    until: datetime


def _sought(connection: Connection, containments: Select[UUID]) -> list[_Sought]:
    table, head, named = tables.containment, tables.inspection, tables.identifier
    names = ("opened_at", "station", "recipe_sha256", "since", "until")
    rows = (
        select(table, head.c.simulated, named.c.unit_id)
        .join(head, head.c.id == table.c.escape)
        .outerjoin(named, named.c.id == table.c.lot_identifier_id)
        .where(table.c.id.in_(containments))
    )
    return [
        _Sought(
            containment=row["id"],
            models=tuple(row["models"]),
            is_simulated=row["simulated"],
            lot=row["unit_id"],
            **{name: row[name] for name in names},
        )
        for row in connection.execute(rows).mappings()
    ]


def _not_named(connection: Connection, sought: _Sought) -> set[UUID]:
    """The suspects that a containment does not name: all before it is kept; then those whose records came after it.

    A station that was cut off delivers late what it accepted; so does who tells what was made from what. The database
    leaves out those that are named, so that a board of many costs no more than finding that there are none besides.
    """
    part, link = tables.containment_unit.c, tables.link.c
    named = select(part.unit_id).where(part.containment_id == sought.containment)
    made = _made_from(link.parent_id.in_(named), sought)
    below: set[UUID] = set(connection.execute(_accepted_alike(sought).except_(named)).scalars())
    below |= set(connection.execute(made.except_(named)).scalars())
    found: set[UUID] = set()
    while below:
        found |= below
        further: set[UUID] = set()
        for some in portions(sorted(below)):
            made = _made_from(among(connection, link.parent_id, some), sought)
            further |= set(connection.execute(made.except_(named)).scalars())
        below = further - found
    return found


def _accepted_alike(sought: _Sought) -> Select[UUID]:
    """Units that the station accepted in the time, by the same recipe and models."""
    head, named, model = tables.inspection.c, tables.identifier, tables.inspection_model.c
    wanted: Select[UUID] = (
        select(named.c.unit_id)
        .join(tables.inspection, head.identifier_id == named.c.id)
        .where(
            head.station == sought.station,
            head.recipe_sha256 == sought.recipe_sha256,
            head.verdict == Verdict.ACCEPT,
            head.simulated == sought.is_simulated,
            head.finished_at <= sought.until,
        )
    )
    if sought.since is not None:
        wanted = wanted.where(head.finished_at >= sought.since)
    for sha256 in sought.models:
        same = select(model.inspection_id).where(model.inspection_id == head.id, model.sha256 == sha256)
        wanted = wanted.where(same.exists())
    if sought.lot is not None:
        wanted = wanted.where(named.c.unit_id.in_(select(walk(sought.lot, downwards=True).c.id)))
    return wanted


def _made_from(parents: ColumnElement[bool], sought: _Sought) -> Select[UUID]:
    """What was made from suspects, unless it came on record after its parent had been found fit, as it is or reworked.

    Of what was scrapped nothing can be made any more: what is said of that afterwards was said late.
    """
    link, hold, released = tables.link.c, tables.hold.c, tables.hold_release.c
    said, decided = tables.ledger_leaf.alias("said"), tables.ledger_leaf.alias("decided")
    fit_before = (
        select(released.id)
        .join(tables.hold, hold.id == released.hold_id)
        .join(decided, and_(decided.c.record_id == released.id, decided.c.kind == "hold_release"))
        .join(said, and_(said.c.record_id == link.id, said.c.kind == "link"))
        .where(
            hold.unit_id == link.parent_id,
            released.released_at >= sought.opened_at,
            released.decision != "scrap",
            decided.c.position < said.c.position,
        )
    )
    return select(link.child_id).where(parents, link.voided_by.is_(None), ~fit_before.exists())


def _first_codes(connection: Connection, units: Sequence[UUID]) -> dict[UUID, IdentifierCode]:
    found: dict[UUID, IdentifierCode] = {}
    named = tables.identifier.c
    for some in portions(units):
        rows = (
            select(named.unit_id, named.scheme, named.canon).where(named.unit_id.in_(some)).order_by(named.id)
        )
        for row in connection.execute(rows).mappings():
            found.setdefault(row["unit_id"], _code(row))
    return found


def _held(connection: Connection, units: Sequence[UUID]) -> dict[UUID, UUID]:
    """Of these units those that are on hold, with the hold."""
    hold = tables.hold.c
    found: dict[UUID, UUID] = {}
    for some in portions(units):
        rows = select(hold.unit_id, hold.id).where(hold.unit_id.in_(some), ~_is_released())
        found |= {row["unit_id"]: row["id"] for row in connection.execute(rows).mappings()}
    return found


def _is_released() -> ColumnElement[bool]:
    released = tables.hold_release.c
    return select(released.id).where(released.hold_id == tables.hold.c.id).exists()


def _closed(connection: Connection, units: Sequence[UUID], opened_at: datetime) -> set[UUID]:
    """Of these units those about which it was decided since."""
    hold, released = tables.hold, tables.hold_release
    closed: set[UUID] = set()
    for some in portions(units):
        rows = (
            select(hold.c.unit_id)
            .join(released, released.c.hold_id == hold.c.id)
            .where(hold.c.unit_id.in_(some), released.c.released_at >= opened_at)
        )
        closed |= set(connection.execute(rows).scalars())
    return closed


def _board(connection: Connection, containment: Containment) -> Board:
    part, named, step, step_unit = (
        tables.containment_unit.c,
        tables.identifier.c,
        tables.process_step,
        tables.step_unit,
    )
    rows = (
        select(part.unit_id, named.scheme, named.canon)
        .join(tables.identifier, named.id == part.identifier_id)
        .where(part.containment_id == containment.id)
        .order_by(part.position)
    )
    units = {row["unit_id"]: _code(row) for row in connection.execute(rows).mappings()}
    (sought,) = _sought(connection, select(literal(containment.id, tables.containment.c.id.type)))
    since = _first_codes(connection, sorted(_not_named(connection, sought)))
    units |= sorted(since.items(), key=lambda one: one[1].canon)
    held = _held(connection, list(units))
    closed = _closed(connection, list(units), containment.opened_at)
    shipped: set[UUID] = set()
    for some in portions(list(units)):
        left = (
            select(step_unit.c.unit_id)
            .join(step, step.c.id == step_unit.c.step_id)
            .where(step.c.kind == SHIPPED, step_unit.c.unit_id.in_(some))
        )
        shipped |= set(connection.execute(left).scalars())

    def state(unit: UUID) -> State:
        if unit in held:
            return "held"
        if unit in closed:
            return "closed"
        return "shipped" if unit in shipped else "found"

    return Board(
        containment=containment,
        suspects=tuple(Suspect(unit=code, state=state(unit)) for unit, code in units.items()),
    )


# ------------------------------------------------------------------ rows


def holds_from(connection: Connection, ids: Sequence[UUID]) -> list[Hold]:
    hold, named = tables.hold, tables.identifier
    names = ("id", "reason", "placed_at", "placed_by", "containment")
    return [
        Hold(unit=_code(row), **{name: row[name] for name in names})
        for some in portions(ids)
        for row in connection.execute(
            select(hold, named.c.scheme, named.c.canon)
            .join(named, named.c.id == hold.c.identifier_id)
            .where(hold.c.id.in_(some))
        ).mappings()
    ]


def releases_from(connection: Connection, ids: Sequence[UUID]) -> list[Release]:
    table = tables.hold_release
    names = ("id", "decision", "reason", "released_at", "released_by")
    return [
        Release(hold=row["hold_id"], **{name: row[name] for name in names})
        for some in portions(ids)
        for row in connection.execute(select(table).where(table.c.id.in_(some))).mappings()
    ]


def containments_from(connection: Connection, ids: Sequence[UUID]) -> list[Containment]:
    table, named, part = tables.containment, tables.identifier, tables.containment_unit
    found: list[Containment] = []
    for some in portions(ids):
        rows = (
            select(table, named.c.scheme, named.c.canon)
            .outerjoin(named, named.c.id == table.c.lot_identifier_id)
            .where(table.c.id.in_(some))
        )
        for row in connection.execute(rows).mappings().all():
            suspects = (
                select(named.c.scheme, named.c.canon)
                .join(part, part.c.identifier_id == named.c.id)
                .where(part.c.containment_id == row["id"])
                .order_by(part.c.position)
            )
            names = ("id", "escape", "reason", "opened_at", "opened_by", "station", "recipe_sha256")
            found.append(
                Containment(
                    **{name: row[name] for name in (*names, "since", "until")},
                    models=tuple(row["models"]),
                    lot=None if row["scheme"] is None else _code(row),
                    suspects=tuple(_code(one) for one in connection.execute(suspects).mappings()),
                )
            )
    return found


def _code(row: Found) -> IdentifierCode:
    return IdentifierCode(scheme=row["scheme"], raw=row["canon"], canon=row["canon"])
