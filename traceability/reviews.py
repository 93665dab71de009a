"""What a person decided about what the system judged: reviews of withheld units, with blind repeats among them.

Reviews are only ever added; one that was a slip is taken back by another row. The verdict of the inspection stays what
it was: a review stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, insert, or_, select
from uuid_utils.compat import uuid7

from inspection.types import Inspection, Verdict
from traceability import database, people, tables
from traceability.accounts import Person, note
from traceability.errors import ReviewStands, ReviewUnknown
from traceability.merkle import append
from traceability.recorded import ON_RECORD, entry
from traceability.rows import inspections_query, inspections_selected, portions
from traceability.store import TraceStore

TAKE_BACK = timedelta(seconds=10)
"""How long the one who decided may take it back. Afterwards nobody may: who finds that it was wrong tells the quality
engineer, who can put the unit on hold."""

SLACK = timedelta(seconds=3)
"""For the way of the request: what was pressed in time arrives in time."""

REPEAT_ONE_IN = 20
"""Of so many units a reviewer sees, one is a blind repeat."""

REPEAT_AFTER = timedelta(hours=1)
"""So long after a decision nobody remembers the picture."""

_LOCK: Final = 7_105_022_040
"""Of two who decide in the same moment the second one must see what the first one decided."""

REVIEWED = (Verdict.REVIEW, Verdict.REJECT)
"""What waits for a person. A unit that was not inspected is not made good by looking at its pictures."""


class Decision(StrEnum):
    """ACCEPT overrules the system, REJECT confirms it, SECOND_LOOK leaves it to another person."""

    ACCEPT = "accept"
    REJECT = "reject"
    SECOND_LOOK = "second_look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """reason     a kind of defect, or another key; None where nothing was chosen
    is_repeat  decided about a unit that had been decided already, without the reviewer being told: it changes nothing
    """

    id: UUID
    inspection: UUID
    at: datetime
    by: str
    decision: Decision
    reason: str | None
    is_repeat: bool
    is_taken_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A review as it is kept: `by` is a commitment to a name; `takes_back` the one that it undoes."""

    id: UUID
    inspection: UUID
    at: datetime
    by: str
    decision: str
    reason: str | None
    is_repeat: bool
    takes_back: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit to be looked at, and how often this person looks until nothing waits, repeats among that: it falls by one
    with each decision. Nothing says whether it is a repeat."""

    inspection: Inspection
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often a reviewer decided a blind repeat as it had been decided before."""

    by: str
    repeats: int
    agreed: int


class Reviews:
    """The reviews of a plant, over the same database as its records.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def next_for(
        self,
        person: Person,
        *,
        at: datetime,
        since: datetime,
        station: str | None = None,
        lane: str | None = None,
    ) -> Task | None:
        """The oldest unit that waits for a person, or now and then a blind repeat; None where nothing waits.

        A unit that somebody left for a second look waits for another person than that one.
        """
        with self._store.reading() as connection:
            mine = self._commitment(connection, person)
            waits = _waiting(mine, since=since, station=station, lane=lane)
            fresh: int = connection.execute(select(func.count()).select_from(waits.subquery())).scalar_one()
            if not fresh:
                return None
            decided = self._decided(connection, mine)
            repeats = self._repeats(connection, mine, at=at, station=station, lane=lane)
            if repeats and _draws_repeat(person, decided):
                chosen = repeats[_lot(person, f"{decided}:which") % len(repeats)]
            else:
                oldest = waits.order_by(tables.inspection.c.finished_at, tables.inspection.c.id).limit(1)
                chosen = connection.execute(oldest).scalar_one()
            (found,) = inspections_selected(
                connection, inspections_query().where(tables.inspection.c.id == chosen)
            )
        return Task(inspection=found, waiting=_looks_left(person, decided, fresh=fresh, repeats=len(repeats)))

    def _decided(self, connection: Connection, mine: str | None) -> int:
        """How many decisions of this person stand."""
        if mine is None:
            return 0
        counted = select(func.count()).select_from(tables.review).where(tables.review.c.by == mine, _stands())
        count: int = connection.execute(counted).scalar_one()
        return count

    def _repeats(
        self,
        connection: Connection,
        mine: str | None,
        *,
        at: datetime,
        station: str | None,
        lane: str | None,
    ) -> list[UUID]:
        """Units decided long enough ago that this person did not see again yet, those decided last first."""
        review, head = tables.review.c, tables.inspection.c
        again, back = tables.review.alias("again"), tables.review.alias("taken")
        candidates = (
            select(head.id)
            .join(tables.review, review.inspection_id == head.id)
            .where(
                review.at < at - REPEAT_AFTER,
                review.decision != Decision.SECOND_LOOK.value,
                review.is_repeat.is_(False),
                _stands(),
                ~exists().where(
                    again.c.inspection_id == head.id,
                    again.c.by == mine,
                    again.c.is_repeat,
                    # A slip about a repeat is taken back as any other: it comes again at once.
                    ~exists().where(back.c.takes_back == again.c.id),
                ),
                *([head.station == station] if station else []),
                *([head.lane == lane] if lane else []),
            )
            .order_by(review.at.desc(), review.id)
            .limit(50)
        )
        return list(connection.execute(candidates).scalars())

    def decide(
        self,
        inspection: UUID,
        decision: Decision,
        *,
        by: Person,
        at: datetime,
        reason: str | None = None,
    ) -> Review:
        """Decide about a withheld unit. About one that was decided REPEAT_AFTER ago or longer it is a blind repeat.

        Raises ReviewUnknown for an inspection that needs none; ReviewStands where somebody decided meanwhile, and for
        who left the unit for the second look of another person.
        """
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            verdict: Verdict | None = connection.execute(
                select(tables.inspection.c.verdict).where(tables.inspection.c.id == inspection)
            ).scalar_one_or_none()
            if verdict not in REVIEWED:
                raise ReviewUnknown(
                    f"Inspection {inspection} waits for no review.",
                    action="Go on with the next one.",
                    id=str(inspection),
                )
            standing = self._standing(connection, [inspection])
            decided = next((one for one in standing[::-1] if one.decision is not Decision.SECOND_LOOK), None)
            is_repeat = decided is not None and decided.at < at - REPEAT_AFTER
            stands = decided or next((one for one in standing if one.by == by.name), None)
            if stands is not None and not is_repeat:
                raise ReviewStands(
                    f"{stands.by} decided already: {stands.decision}.",
                    action="Go on with the next one.",
                    by=stands.by,
                    decision=stands.decision.value,
                )
            id_ = uuid7()
            kept = Decided(
                id=id_,
                inspection=inspection,
                at=at,
                by=people.commit(connection, by.name),
                decision=decision.value,
                reason=reason,
                is_repeat=is_repeat,
            )
            _keep(connection, kept)
            note(
                connection,
                at=at,
                by=by,
                action="review.decided",
                subject=f"inspection:{inspection}",
                after={"decision": decision.value, "reason": reason},
            )
        return Review(
            id=id_,
            inspection=inspection,
            at=at,
            by=by.name,
            decision=decision,
            reason=reason,
            is_repeat=is_repeat,
            is_taken_back=False,
        )

    def take_back(self, review: UUID, *, by: Person, at: datetime) -> None:
        """Within TAKE_BACK, by the one who decided. Raises ReviewUnknown for another, a later or a repeated try."""
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            mine = self._commitment(connection, by)
            found = connection.execute(
                select(tables.review.c.inspection_id, tables.review.c.decision).where(
                    tables.review.c.id == review,
                    tables.review.c.by == mine,
                    tables.review.c.takes_back.is_(None),
                    tables.review.c.at >= at - TAKE_BACK - SLACK,
                    _stands(),
                )
            ).one_or_none()
            if found is None or mine is None:
                raise ReviewUnknown(
                    f"Review {review} cannot be taken back.",
                    action="Go on with the next one. If a decision was wrong, tell the quality engineer.",
                    id=str(review),
                )
            kept = Decided(
                id=uuid7(),
                inspection=found.inspection_id,
                at=at,
                by=mine,
                decision=found.decision,
                reason=None,
                is_repeat=False,
                takes_back=review,
            )
            _keep(connection, kept)
            note(
                connection,
                at=at,
                by=by,
                action="review.taken_back",
                subject=f"inspection:{found.inspection_id}",
                before={"decision": found.decision},
            )

    # ------------------------------------------------------------------ finding

    def own(self, review: UUID, *, by: Person) -> Review | None:
        """A decision of this person's that stands, or None."""
        with self._store.reading() as connection:
            mine = self._commitment(connection, by)
            wanted = _reviews().where(tables.review.c.id == review, tables.review.c.by == mine, _stands())
            found = self._read(connection, wanted)
        return found[0] if found else None

    def of(self, inspections: Sequence[UUID]) -> dict[UUID, tuple[Review, ...]]:
        """All reviews of these inspections, oldest first, taken back ones and repeats too."""
        wanted = _reviews().where(tables.review.c.inspection_id.in_(list(inspections)))
        with self._store.reading() as connection:
            found = self._read(connection, wanted)
        return {
            one: tuple(review for review in found if review.inspection == one)
            for one in {review.inspection for review in found}
        }

    def decided(
        self, *, since: datetime, until: datetime, limit: int, before: UUID | None = None
    ) -> tuple[Review, ...]:
        """Decisions that stand, the newest first: what training sets are made from. `before` goes on where an earlier
        answer ended."""
        wanted = (
            _reviews()
            .where(
                tables.review.c.at >= since,
                tables.review.c.at < until,
                tables.review.c.decision != Decision.SECOND_LOOK.value,
                tables.review.c.is_repeat.is_(False),
                _stands(),
            )
            .order_by(None)
            .order_by(tables.review.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            wanted = wanted.where(tables.review.c.id < before)
        with self._store.reading() as connection:
            return tuple(self._read(connection, wanted))

    def found_by_people(self, inspections: Sequence[UUID]) -> tuple[frozenset[UUID], frozenset[UUID]]:
        """Of these those that a person decided to be bad, and to be good; the newest decision that stands counts."""
        review = tables.review.c
        newest: dict[UUID, str] = {}
        with self._store.reading() as connection:
            for some in portions(inspections):
                wanted = (
                    select(review.inspection_id, review.decision)
                    .where(
                        review.inspection_id.in_(some),
                        review.is_repeat.is_(False),
                        review.decision != Decision.SECOND_LOOK.value,
                        _stands(),
                    )
                    .order_by(review.id)
                )
                newest |= {row.inspection_id: row.decision for row in connection.execute(wanted)}
        bad = frozenset(one for one, decision in newest.items() if decision == Decision.REJECT.value)
        return bad, frozenset(newest) - bad

    def agreements(self, *, since: datetime) -> tuple[Agreement, ...]:
        """Of each reviewer: how the blind repeats went. Compared with the decision that stood before."""
        with self._store.reading() as connection:
            repeats = self._read(
                connection,
                _reviews().where(tables.review.c.is_repeat, tables.review.c.at >= since, _stands()),
            )
            standing = {
                one.inspection: one for one in self._standing(connection, [one.inspection for one in repeats])
            }
        return tuple(
            Agreement(
                by=by,
                repeats=sum(one.by == by for one in repeats),
                agreed=sum(one.by == by and _agrees(one, standing) for one in repeats),
            )
            for by in sorted({one.by for one in repeats})
        )

    def _standing(self, connection: Connection, inspections: Sequence[UUID]) -> list[Review]:
        """Reviews that stand, repeats left out, oldest first."""
        wanted = _reviews().where(
            tables.review.c.inspection_id.in_(list(inspections)),
            tables.review.c.is_repeat.is_(False),
            _stands(),
        )
        return self._read(connection, wanted)

    def _read(self, connection: Connection, wanted: Select[*tuple[Any, ...]]) -> list[Review]:
        rows = connection.execute(wanted).mappings().all()
        names = people.names(connection, {row["by"] for row in rows})
        return [
            Review(
                id=row["id"],
                inspection=row["inspection_id"],
                at=row["at"],
                by=names.get(row["by"], row["by"]),
                decision=Decision(row["decision"]),
                reason=row["reason"],
                is_repeat=row["is_repeat"],
                is_taken_back=row["is_taken_back"],
            )
            for row in rows
        ]

    @staticmethod
    def _commitment(connection: Connection, person: Person) -> str | None:
        known = select(tables.person.c.commitment).where(tables.person.c.name == person.name)
        found: str | None = connection.execute(known).scalar_one_or_none()
        return found


def _keep(connection: Connection, one: Decided) -> None:
    row = {name: getattr(one, name) for name in _SAME_IN_ROWS} | {"inspection_id": one.inspection}
    connection.execute(insert(tables.review), row)
    append(connection, [entry("review", one)], ON_RECORD)


_SAME_IN_ROWS: Final = ("id", "at", "by", "decision", "reason", "is_repeat", "takes_back")


def decided_from(connection: Connection, ids: Sequence[UUID]) -> list[Decided]:
    rows = connection.execute(select(tables.review).where(tables.review.c.id.in_(list(ids)))).mappings()
    return [
        Decided(inspection=row["inspection_id"], **{name: row[name] for name in _SAME_IN_ROWS})
        for row in rows
    ]


def decided_among(connection: Connection, inspections: Sequence[UUID]) -> set[UUID]:
    """Those of them about which a decision stands."""
    review = tables.review.c
    found: set[UUID] = set()
    for some in portions(inspections):
        decided = select(review.inspection_id).where(
            review.inspection_id.in_(some),
            review.is_repeat.is_(False),
            review.decision != Decision.SECOND_LOOK.value,
            _stands(),
        )
        found |= set(connection.execute(decided).scalars())
    return found


def _lot(person: Person, draw: str) -> int:
    """0..255, from who decides and the draw: asking again draws no other."""
    return sha256(f"{person.id}:{draw}".encode()).digest()[0]


def _draws_repeat(person: Person, decided: int) -> bool:
    """Whether after so many decisions a person looks at a unit again, if there is one."""
    return decided > 0 and _lot(person, str(decided)) * REPEAT_ONE_IN < 256


def _looks_left(person: Person, decided: int, *, fresh: int, repeats: int) -> int:
    looks = 0
    while fresh:
        if repeats and _draws_repeat(person, decided + looks):
            repeats -= 1
        else:
            fresh -= 1
        looks += 1
    return looks


def _agrees(repeat: Review, standing: dict[UUID, Review]) -> bool:
    before = standing.get(repeat.inspection)
    return before is not None and before.decision is repeat.decision


def _stands() -> ColumnElement[bool]:
    """A review that nobody took back, and that takes none back."""
    back = tables.review.alias("back")
    return and_(
        tables.review.c.takes_back.is_(None), ~exists().where(back.c.takes_back == tables.review.c.id)
    )


def _reviews() -> Select[*tuple[Any, ...]]:
    review = tables.review.c
    back = tables.review.alias("taken")
    return (
        select(
            review.id,
            review.inspection_id,
            review.at,
            review.by,
            review.decision,
            review.reason,
            review.is_repeat,
            exists().where(back.c.takes_back == review.id).label("is_taken_back"),
        )
        .where(review.takes_back.is_(None))
        .order_by(review.id)
    )


def _waiting(mine: str | None, *, since: datetime, station: str | None, lane: str | None) -> Select[Any]:
    """Ids of withheld inspections about which nobody decided, or which another person left for a second look."""
    head, review = tables.inspection.c, tables.review.c
    by_another = review.by != mine if mine is not None else review.by.is_not(None)
    closed = exists().where(
        review.inspection_id == head.id,
        review.is_repeat.is_(False),
        _stands(),
        or_(review.decision != Decision.SECOND_LOOK.value, ~by_another),
    )
    return select(head.id).where(
        head.verdict.in_(REVIEWED),
        head.finished_at >= since,
        head.simulated.is_(False),
        ~closed,
        *([head.station == station] if station else []),
        *([head.lane == lane] if lane else []),
    )
