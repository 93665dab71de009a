"""TraceStore: the one door to the records. Speaks in the types of `inspection`, never in rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    true,
)
from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from inspection.types import Inspection, InspectionBegun, Verdict
from traceability import database, rollups, tables
from traceability.books import Books
from traceability.books import books as books_of
from traceability.contradictions import Clash, keep_contradictions
from traceability.errors import UnitUnknown
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry
from traceability.rows import (
    among,
    begun_from,
    begun_row,
    child_rows,
    inspection_row,
    inspections_query,
    inspections_selected,
    portions,
)
from traceability.statements import statement

_Key = tuple[str, str]
"""Scheme and canon: under what a code is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of all that was seen in a window of time.

    units       inspections finished in the window, per verdict; every verdict is there, 0 included
    triggers    exposures the units were due, by their devices' own counts
    unaccounted exposures by which the frame counts of single inspections miss their triggers, in either
                direction: a surplus here does not hide a gap there. Anything but 0 is a fault of ours.
    in_hand     units in view now and not yet finished, whatever the window
    """

    units: dict[Verdict, int]
    triggers: int
    frames_inspected: int
    frames_failed: int
    frames_lost: int
    unaccounted: int
    in_hand: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a code names: its row, and the unit behind it, which may have other codes."""

    identifier_id: int
    unit_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitGap:
    """A unit on a lane, and by how many exposures its record does not add up."""

    lane: str
    unit: IdentifierCode
    unaccounted: int


class TraceStore:
    """Records and finds inspections. Any number of threads and processes may use the same database.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The database at `url`, its tables made or upgraded where needed: see `database.open_engine`."""
        return cls(database.open_engine(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    # ------------------------------------------------------------------ recording

    def begin(self, begun: Sequence[InspectionBegun]) -> None:
        """Note units that came into view. Saying it twice, or after the result, changes nothing."""
        if not begun:
            return
        with database.writing(self._engine) as connection:
            recorded = _existing(connection, [one.id for one in begun])
            rows = [begun_row(one) for one in begun if one.id not in recorded]
            if rows:
                connection.execute(database.insert_new(connection, tables.inspection_begun, "id"), rows)

    def record(self, inspections: Sequence[Inspection]) -> int:
        """Keep finished inspections, all or none, and say how many were new.

        An inspection whose id is known already is left as it is: delivering twice is harmless. Where the second one
        says something else, it is kept beside the first as a contradiction.
        """
        if not inspections:
            return 0
        with database.writing(self._engine) as connection:
            named = self.naming(connection, [one.unit for one in inspections])
            by_id: dict[UUID, Inspection] = {}
            for one in inspections:
                by_id.setdefault(one.id, one)
            heads = [inspection_row(one, named[one.unit].identifier_id) for one in by_id.values()]
            added: Sequence[UUID] = (
                connection.execute(
                    database.insert_new(connection, tables.inspection, "id").returning(
                        tables.inspection.c.id
                    ),
                    heads,
                )
                .scalars()
                .all()
            )
            new = [by_id[id_] for id_ in added]
            for table, rows in child_rows(new).items():
                if rows:
                    connection.execute(table.insert(), rows)
            for ids in portions(list(by_id)):
                finished = tables.inspection_begun.c.id.in_(ids)
                connection.execute(delete(tables.inspection_begun).where(finished))
            rollups.add(connection, new)
            entries = [entry("inspection", one) for one in new]
            entries += keep_contradictions(
                connection, self._contradicted(connection, inspections, set(added))
            )
            append(connection, entries, ON_RECORD)
        return len(new)

    def _contradicted(
        self, connection: Connection, inspections: Sequence[Inspection], added: set[UUID]
    ) -> list[Clash]:
        """Deliveries under the id of an inspection that say something else than it does."""
        first: dict[UUID, Inspection] = {}
        for ids in portions(list({one.id for one in inspections} - added)):
            wanted = inspections_query().where(tables.inspection.c.id.in_(ids))
            first |= {one.id: one for one in inspections_selected(connection, wanted)}
        clashes = []
        for one in inspections:
            record = first.setdefault(one.id, one)
            # What was delivered once, as nearly all is, is not put into words only to be compared with itself.
            if record is one:
                continue
            said = statement(one)
            if statement(record) != said:
                clashes.append(Clash(kind="inspection", record=one.id, said=said))
        return clashes

    def naming(self, connection: Connection, codes: Iterable[IdentifierCode]) -> dict[IdentifierCode, Named]:
        """The units of all codes, those not yet known added, each with a unit of its own."""
        # In one order for all: two writers that wait for each other's codes would wait for ever.
        wanted = sorted({_key(code): code for code in codes}.items())
        known = _known(connection, [key for key, _ in wanted])
        missing = [key for key, _ in wanted if key not in known]
        if missing:
            now = datetime.now(UTC)
            units = {key: uuid7() for key in missing}
            connection.execute(
                tables.unit.insert(), [{"id": id_, "created_at": now} for id_ in units.values()]
            )
            connection.execute(
                database.insert_new(connection, tables.identifier, "scheme", "canon"),
                [
                    {"unit_id": unit_id, "scheme": scheme, "canon": canon}
                    for (scheme, canon), unit_id in units.items()
                ],
            )
            # Another writer may have named the same unit a moment ago: then ours was not needed.
            taken = exists().where(tables.identifier.c.unit_id == tables.unit.c.id)
            for ids in portions(list(units.values())):
                connection.execute(delete(tables.unit).where(tables.unit.c.id.in_(ids), ~taken))
            known |= _known(connection, missing)
        return {code: known[key] for key, code in wanted}

    # ------------------------------------------------------------------ finding

    def begun(self, *, station: str | None = None) -> tuple[InspectionBegun, ...]:
        """Units in hand, oldest first: seen to begin and never finished; of one station, or of all."""
        rows = select(tables.inspection_begun).order_by(
            tables.inspection_begun.c.started_at, tables.inspection_begun.c.id
        )
        if station is not None:
            rows = rows.where(tables.inspection_begun.c.station == station)
        with self.reading() as connection:
            return tuple(begun_from(row) for row in connection.execute(rows).mappings())

    def inspection(self, id: UUID) -> Inspection | None:
        with self.reading() as connection:
            found = inspections_selected(connection, inspections_query().where(tables.inspection.c.id == id))
        return found[0] if found else None

    def inspections_of(self, unit: IdentifierCode) -> tuple[Inspection, ...]:
        """All that was seen of a unit, under any of its codes, oldest first. Raises UnitUnknown.

        Empty for a unit that is on record and that no station inspected: of such a one only its kin or its codes are
        known.
        """
        with self.reading() as connection:
            wanted = inspections_query().where(tables.identifier.c.unit_id == self.unit_id(connection, unit))
            wanted = wanted.order_by(tables.inspection.c.started_at, tables.inspection.c.id)
            return inspections_selected(connection, wanted)

    def latest(
        self,
        *,
        station: str | None = None,
        lane: str | None = None,
        verdicts: Collection[Verdict] | None = None,
        simulated: bool | None = None,
        limit: int = 12,
    ) -> tuple[Inspection, ...]:
        """The inspections finished last, newest first."""
        wanted = inspections_query().where(
            *of(tables.inspection, station=station, lane=lane, simulated=simulated)
        )
        if verdicts is not None:
            wanted = wanted.where(tables.inspection.c.verdict.in_(list(verdicts)))
        wanted = wanted.order_by(tables.inspection.c.finished_at.desc(), tables.inspection.c.id.desc())
        with self.reading() as connection:
            return inspections_selected(connection, wanted.limit(limit))

    def listed(
        self,
        *,
        station: str | None = None,
        lane: str | None = None,
        verdicts: Collection[Verdict] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: UUID | None = None,
        limit: int,
    ) -> tuple[Inspection, ...]:
        """Inspections by when they began, newest first; `before` goes on where an earlier answer ended.

        since, until  when they were finished, half-open
        """
        at = tables.inspection.c
        wanted = inspections_query().where(
            *of(tables.inspection, station=station, lane=lane, simulated=None),
            *(() if verdicts is None else (at.verdict.in_(list(verdicts)),)),
            *(() if since is None else (at.finished_at >= since,)),
            *(() if until is None else (at.finished_at < until,)),
            *(() if before is None else (at.id < before,)),
        )
        with self.reading() as connection:
            return inspections_selected(connection, wanted.order_by(at.id.desc()).limit(limit))

    def find(self, text: str, limit: int = 20) -> tuple[IdentifierCode, ...]:
        """Codes that hold `text`, capitals or not; those that begin with it first, then by spelling."""
        if not text or not text.isprintable():
            return ()
        canon = tables.identifier.c.canon
        # Only ASCII letters are folded, by both engines: see the collation in `tables`.
        sought = "".join(letter.lower() if letter.isascii() else letter for letter in text)
        begins = func.lower(canon).startswith(sought, autoescape=True)
        rows = (
            select(tables.identifier.c.scheme, canon)
            .where(func.lower(canon).contains(sought, autoescape=True))
            .order_by(case((begins, 0), else_=1), canon, tables.identifier.c.scheme)
            .limit(limit)
        )
        with self.reading() as connection:
            return tuple(
                IdentifierCode(scheme=row.scheme, raw=row.canon, canon=row.canon)
                for row in connection.execute(rows)
            )

    def counts(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        station: str | None = None,
        lane: str | None = None,
        simulated: bool | None = None,
    ) -> Counts:
        """What was finished from `since` up to, not including, `until` (None: up to now)."""
        end = until or datetime.now(UTC)
        first, last = rollups.whole_quarters(since, end)
        rollup, head = tables.rollup_units.c, tables.inspection.c
        frames = (head.frames_inspected, head.frames_failed, head.frames_lost)
        unaccounted = func.abs(head.triggers - sum(frames[1:], frames[0]))

        def wanted(table: Table) -> list[ColumnElement[bool]]:
            return of(table, station=station, lane=lane, simulated=simulated)

        counted = (rollup.units, rollup.triggers, rollup.frames_inspected, rollup.frames_failed)
        summed = (
            select(
                rollup.verdict,
                *(func.sum(part) for part in (*counted, rollup.frames_lost, rollup.unaccounted)),
            )
            .where(*wanted(tables.rollup_units), rollup.quarter >= first, rollup.quarter < last)
            .group_by(rollup.verdict)
        )
        # Whole quarters of an hour come from their sums; what is before and after from the records themselves.
        latest: ColumnElement[bool] = head.finished_at < end if until is not None else true()
        beside = or_(
            and_(head.finished_at >= since, head.finished_at < first),
            and_(head.finished_at >= last, latest),
        )
        rest = (
            select(
                head.verdict,
                func.count(),
                *(func.sum(part) for part in (head.triggers, *frames, unaccounted)),
            )
            .where(*wanted(tables.inspection), beside)
            .group_by(head.verdict)
        )
        begun = tables.inspection_begun.c
        in_hand = select(func.count()).select_from(tables.inspection_begun)
        if station is not None:
            in_hand = in_hand.where(begun.station == station)
        if lane is not None:
            in_hand = in_hand.where(begun.lane == lane)
        found = {verdict: [0] * 6 for verdict in Verdict}
        with self.reading() as connection:
            for rows in (summed, rest):
                for verdict, *numbers in database.plain_rows(connection, rows):
                    found[verdict] = [
                        old + int(new) for old, new in zip(found[verdict], numbers, strict=True)
                    ]
            # What is in hand is being looked at: it is never simulated.
            waiting = 0 if simulated else connection.execute(in_hand).scalar_one()
        sums = [sum(column) for column in zip(*found.values(), strict=True)]
        return Counts(
            units={verdict: numbers[0] for verdict, numbers in found.items()},
            triggers=sums[1],
            frames_inspected=sums[2],
            frames_failed=sums[3],
            frames_lost=sums[4],
            unaccounted=sums[5],
            in_hand=waiting,
        )

    def books(self, *, station: str, since: datetime, until: datetime) -> dict[str, Books]:
        """By lane, what was handed over to be recorded, and what the records say: see `books.py`."""
        with self.reading() as connection:
            return books_of(connection, station=station, since=since, until=until)

    def with_gaps(self, *, station: str, since: datetime, limit: int = 1000) -> tuple[UnitGap, ...]:
        """Units finished from `since` on whose frames do not add up to their triggers, oldest first."""
        head = tables.inspection.c
        unaccounted = head.triggers - head.frames_inspected - head.frames_failed - head.frames_lost
        rows = (
            select(
                head.lane,
                head.read_as,
                tables.identifier.c.scheme,
                tables.identifier.c.canon,
                unaccounted.label("unaccounted"),
            )
            .join(tables.identifier, tables.identifier.c.id == head.identifier_id)
            .where(
                *of(tables.inspection, station=station, lane=None, simulated=False),
                head.finished_at >= since,
                unaccounted != 0,
            )
            .order_by(head.finished_at, head.id)
            .limit(limit)
        )
        with self.reading() as connection:
            return tuple(
                UnitGap(
                    lane=row.lane,
                    unit=IdentifierCode(scheme=row.scheme, raw=row.read_as, canon=row.canon),
                    unaccounted=abs(row.unaccounted),
                )
                for row in connection.execute(rows)
            )

    # ------------------------------------------------------------------ for the other modules of this package

    def reading(self) -> AbstractContextManager[Connection]:
        """As of one moment."""
        return database.reading(self._engine)

    def writing(self) -> AbstractContextManager[Connection]:
        """Whole or not at all."""
        return database.writing(self._engine)

    def unit_id(self, connection: Connection, code: IdentifierCode) -> UUID:
        """The unit that a code names. Raises UnitUnknown."""
        named = _known(connection, [_key(code)]).get(_key(code))
        if named is None:
            raise unit_unknown(code)
        return named.unit_id


def of(
    table: Table, *, station: str | None, lane: str | None, simulated: bool | None
) -> list[ColumnElement[bool]]:
    """Conditions on the inspection table, or on a rollup of it; None stands for any."""
    wanted = ((table.c.station, station), (table.c.lane, lane), (table.c.simulated, simulated))
    return [column == value for column, value in wanted if value is not None]


FILES_STATION: Final = "bench"
FILES_LANE: Final = "files"
"""Where pictures are inspected that somebody has in files: on record as every unit is, and produced by no line."""


def of_production(
    table: Table, *, station: str | None, lane: str | None, simulated: bool | None
) -> list[ColumnElement[bool]]:
    """As `of`, for what is counted and charted: without what was inspected from files, unless its station or lane is
    asked for by name."""
    wanted = of(table, station=station, lane=lane, simulated=simulated)
    if station is None and lane is None:
        wanted.append(or_(table.c.station != FILES_STATION, table.c.lane != FILES_LANE))
    return wanted


def unit_unknown(unit: IdentifierCode) -> UnitUnknown:
    return UnitUnknown(
        f"Nothing is recorded under {unit}.",
        action="Check the code, also its capitals, or search for a part of it.",
        unit=str(unit),
    )


def _key(code: IdentifierCode) -> _Key:
    return code.scheme, code.canon


def _existing(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    for some in portions(ids):
        rows = select(tables.inspection.c.id).where(tables.inspection.c.id.in_(some))
        found.update(connection.execute(rows).scalars())
    return found


def _known(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, Named]:
    found: dict[_Key, Named] = {}
    table = tables.identifier.c
    # By scheme: of ten thousand pairs in one statement PostgreSQL says that they are nested too deep.
    by_scheme = defaultdict[str, list[str]](list)
    for scheme, canon in keys:
        by_scheme[scheme].append(canon)
    for scheme, canons in by_scheme.items():
        for some in portions(canons):
            rows = select(table.canon, table.id, table.unit_id).where(
                table.scheme == scheme, among(connection, table.canon, some)
            )
            for row in connection.execute(rows):
                found[scheme, row.canon] = Named(identifier_id=row.id, unit_id=row.unit_id)
    return found
