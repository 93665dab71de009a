"""How long pictures are kept, what was given up by which rule, and when the room is full.

Records are never deleted for space. A picture is given up by a rule alone, noted in the ledger before it goes; one that
a record needs is given up by none: of a unit on hold or in an open containment, of an escape, of what waits for review.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from traceability import tables
from traceability.errors import DiskFull
from traceability.holds import contained_units, held_units
from traceability.images import ImageStore
from traceability.keeping import keep
from traceability.reviews import REVIEWED, decided_among
from traceability.rows import portions
from traceability.store import TraceStore

OBSERVED: Final = timedelta(days=7)
"""What came within it says how much comes in a day."""

FORESEEN_DAYS: Final = 3650
"""What is further off than ten years is not to be foreseen."""

LOWERED_TO: Final = 0.95
"""Of the room allowed: giving up a little more at once makes looking rare."""

MADE_WAY_WITH: Final = 20
"""Pictures that go before it is noted, where the disk is too full to note anything."""


class PictureClass(StrEnum):
    """ACCEPTED: of units that every inspection accepted. WITHHELD: of any other, decided. NEEDED: never given up.
    UNNAMED: no record names it yet: of units in hand, and what it takes to judge again.
    """

    ACCEPTED = "accepted"
    WITHHELD = "withheld"
    NEEDED = "needed"
    UNNAMED = "unnamed"


class Rule(StrEnum):
    """Why pictures go. ROOM: accepted ones, the oldest first, where there is none left; the others by their age."""

    ROOM = "room"
    ACCEPTED_DAYS = "accepted_days"
    WITHHELD_DAYS = "withheld_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """max_bytes      room for all pictures
    accepted_days  None: as long as there is room
    withheld_days  None: for ever
    """

    max_bytes: int
    accepted_days: int | None = None
    withheld_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Pictures that one rule gave up at one time, by their digests in order."""

    id: UUID
    at: datetime
    rule: Rule
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A picture that is there. `seen_at`: when the newest inspection that names it was finished; None: none does."""

    sha256: str
    size: int
    kind: PictureClass
    seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassNow:
    """Pictures of one class: how many, how large, since when, and how many bytes come in a day."""

    pictures: int
    size: int
    oldest: datetime | None
    per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How full it is and will be, if days go on as the last seven did.

    room         bytes that pictures may take: what is allowed, or less, where the disk has less
    short_in     days until accepted ones are given up to make room; 0: they are now. None: not to be foreseen
    full_in      days until nothing may be given up any more; from then on new pictures cannot be kept
    """

    at: datetime
    room: int
    size: int
    classes: Mapping[PictureClass, ClassNow]
    short_in: float | None
    full_in: float | None


# ------------------------------------------------------------------ what is there


def kept(store: TraceStore, images: ImageStore) -> tuple[Kept, ...]:
    """All pictures that are there, by what records say of them."""
    sizes = images.sizes()
    with store.reading() as connection:
        named = _named(connection, sorted(sizes))
    return tuple(
        Kept(sha256=sha256, size=size, kind=kind, seen_at=seen_at)
        for sha256, size in sizes.items()
        for kind, seen_at in (named.get(sha256, (PictureClass.UNNAMED, None)),)
    )


def _named(connection: Connection, digests: Sequence[str]) -> dict[str, tuple[PictureClass, datetime]]:
    picture, head, code = tables.picture.c, tables.inspection.c, tables.identifier.c
    rows: list[Any] = []
    for some in portions(digests):
        rows += connection.execute(
            select(picture.sha256, head.id, head.finished_at, code.unit_id)
            .join(tables.inspection, head.id == picture.inspection_id)
            .join(tables.identifier, code.id == head.identifier_id)
            .where(picture.sha256.in_(some))
        ).all()
    waiting, withheld = _not_accepted(connection, {row.unit_id for row in rows})
    units = held_units(connection) | contained_units(connection) | waiting
    escapes: set[UUID] = set(connection.execute(select(tables.containment.c.escape)).scalars())
    found: dict[str, tuple[PictureClass, datetime]] = {}
    for row in rows:
        if row.id in escapes or row.unit_id in units:
            kind = PictureClass.NEEDED
        else:
            kind = PictureClass.WITHHELD if row.unit_id in withheld else PictureClass.ACCEPTED
        before = found.get(row.sha256, (kind, row.finished_at))
        found[row.sha256] = max(kind, before[0], key=_STRICTNESS.index), max(row.finished_at, before[1])
    return found


def _not_accepted(connection: Connection, units: Collection[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Of these units those that wait for review, and those that any of their inspections did not accept."""
    head, code = tables.inspection.c, tables.identifier.c
    rows: list[Any] = []
    for some in portions(sorted(units)):
        rows += connection.execute(
            select(head.id, head.verdict, head.simulated, code.unit_id)
            .join(tables.identifier, code.id == head.identifier_id)
            .where(code.unit_id.in_(some), head.verdict != Verdict.ACCEPT)
        ).all()
    asked = {row.id: row.unit_id for row in rows if row.verdict in REVIEWED and not row.simulated}
    decided = decided_among(connection, list(asked))
    return {unit for id, unit in asked.items() if id not in decided}, {row.unit_id for row in rows}


_STRICTNESS: Final = (PictureClass.ACCEPTED, PictureClass.WITHHELD, PictureClass.NEEDED)
"""Of several records that name a picture the strictest counts."""


def forecast(store: TraceStore, images: ImageStore, rules: Rules, *, at: datetime) -> Forecast:
    """See Forecast."""
    there = kept(store, images)
    size = sum(one.size for one in there)
    free = images.free_bytes()
    room = rules.max_bytes if free is None else min(rules.max_bytes, size + free)
    classes = {kind: _class_now([one for one in there if one.kind is kind], at) for kind in PictureClass}
    coming = sum(one.per_day for one in classes.values())
    stays = sum(one.size for kind, one in classes.items() if kind is not PictureClass.ACCEPTED)
    staying = sum(one.per_day for kind, one in classes.items() if kind is not PictureClass.ACCEPTED)
    if rules.withheld_days is not None:
        # As many go as come, once the oldest are so old; what of them is still needed then cannot be foreseen.
        steady = classes[PictureClass.UNNAMED].size + staying * rules.withheld_days
        staying = staying if max(stays, steady) > room else 0.0
    return Forecast(
        at=at,
        room=room,
        size=size,
        classes=classes,
        short_in=_days(room - size, coming),
        full_in=_days(room - stays, staying),
    )


def _class_now(there: Sequence[Kept], at: datetime) -> ClassNow:
    seen = [(one.seen_at, one.size) for one in there if one.seen_at is not None]
    oldest = min((seen_at for seen_at, _ in seen), default=None)
    since = at - OBSERVED if oldest is None else max(at - OBSERVED, oldest)
    # Of less than a day nothing can be said of a day.
    days = max((at - since) / timedelta(days=1), 1.0)
    return ClassNow(
        pictures=len(there),
        size=sum(one.size for one in there),
        oldest=oldest,
        per_day=sum(size for seen_at, size in seen if seen_at >= since) / days,
    )


def _days(left: int, per_day: float) -> float | None:
    if left <= 0:
        return 0.0
    return left / per_day if left < per_day * FORESEEN_DAYS else None


# ------------------------------------------------------------------ giving up


def prune(
    store: TraceStore,
    images: ImageStore,
    rules: Rules,
    *,
    at: datetime,
    in_hand: Collection[str] = (),
) -> tuple[Pruning, ...]:
    """Give up what the rules say; what was given up, by rule. May leave more than is allowed: then nothing else may go.

    in_hand  digests that records will name which are not written yet

    Raises what TraceStore does, and PicturesNotWritable.
    """
    due = _due(kept(store, images), rules, at, in_hand)
    if not any(due.values()):
        return ()
    try:
        prunings = _note(store, due, at)
    except DiskFull:
        # Noting it takes room, too.
        with store.reading() as connection:
            due = _still_due(connection, due)
        first = [one.sha256 for rule in Rule for one in due[rule]][:MADE_WAY_WITH]
        for sha256 in first:
            images.remove(sha256)
        prunings = _note(store, due, at, gone=first)
    # Noted first: what is found missing was given up, whatever happens in between.
    for one in prunings:
        for sha256 in one.pictures:
            images.remove(sha256)
    return prunings


def _due(
    there: Sequence[Kept], rules: Rules, at: datetime, in_hand: Collection[str]
) -> dict[Rule, list[Kept]]:
    due: dict[Rule, list[Kept]] = defaultdict(list)
    size = sum(one.size for one in there)
    may_go = sorted(
        (one.seen_at, one.sha256, one) for one in there if one.seen_at and one.sha256 not in in_hand
    )
    by_age = (
        (PictureClass.ACCEPTED, Rule.ACCEPTED_DAYS, rules.accepted_days),
        (PictureClass.WITHHELD, Rule.WITHHELD_DAYS, rules.withheld_days),
    )
    for kind, rule, days in by_age:
        if days is not None:
            last = at - timedelta(days=days)
            due[rule] = [one for seen_at, _, one in may_go if one.kind is kind and seen_at < last]
    size -= sum(one.size for some in due.values() for one in some)
    if size > rules.max_bytes:
        gone = {one.sha256 for some in due.values() for one in some}
        for _, _, one in may_go:
            if size <= LOWERED_TO * rules.max_bytes:
                break
            if one.kind is PictureClass.ACCEPTED and one.sha256 not in gone:
                due[Rule.ROOM].append(one)
                size -= one.size
    return due


def _still_due(
    connection: Connection, due: Mapping[Rule, Sequence[Kept]], gone: Collection[str] = ()
) -> dict[Rule, list[Kept]]:
    """Without those of which records say something else by now: somebody held the unit, or it was seen again."""
    now = _named(connection, [one.sha256 for some in due.values() for one in some])
    return {
        rule: [
            one
            for one in due.get(rule, ())
            if one.sha256 in gone or now.get(one.sha256) == (one.kind, one.seen_at)
        ]
        for rule in Rule
    }


def _note(
    store: TraceStore, due: Mapping[Rule, Sequence[Kept]], at: datetime, gone: Collection[str] = ()
) -> tuple[Pruning, ...]:
    """Enter what goes now. `gone`: what went already."""
    with store.writing() as connection:
        # Listing all pictures takes minutes, in which somebody may have put a unit on hold.
        still_due = _still_due(connection, due, gone)
        prunings = tuple(
            Pruning(id=uuid7(), at=at, rule=rule, pictures=tuple(sorted(one.sha256 for one in some)))
            for rule, some in still_due.items()
            if some
        )

        def put(new: Sequence[Pruning]) -> None:
            rows = [{"id": one.id, "at": one.at, "rule": one.rule.value} for one in new]
            connection.execute(tables.pruning.insert(), rows)
            pictures = [{"pruning_id": one.id, "sha256": sha256} for one in new for sha256 in one.pictures]
            connection.execute(tables.pruned_picture.insert(), pictures)

        if prunings:
            keep(connection, "pruning", prunings, put)
    return prunings


# ------------------------------------------------------------------ what was given up


def prunings_from(connection: Connection, ids: Sequence[UUID]) -> list[Pruning]:
    table, part = tables.pruning, tables.pruned_picture.c
    pictures: dict[UUID, list[str]] = defaultdict(list)
    for some in portions(ids):
        wanted = select(part.pruning_id, part.sha256).where(part.pruning_id.in_(some)).order_by(part.sha256)
        for row in connection.execute(wanted):
            pictures[row.pruning_id].append(row.sha256)
    return [
        Pruning(id=row["id"], at=row["at"], rule=Rule(row["rule"]), pictures=tuple(pictures[row["id"]]))
        for some in portions(ids)
        for row in connection.execute(select(table).where(table.c.id.in_(some))).mappings()
    ]


def given_up(store: TraceStore, sha256: str) -> Pruning | None:
    """When and by which rule a picture went, the last time; None: by none."""
    table, part = tables.pruning.c, tables.pruned_picture.c
    rows = (
        select(table.id)
        .join(tables.pruned_picture, part.pruning_id == table.id)
        .where(part.sha256 == sha256)
        .order_by(table.at.desc(), table.id.desc())
        .limit(1)
    )
    with store.reading() as connection:
        ids: list[UUID] = list(connection.execute(rows).scalars())
        return next(iter(prunings_from(connection, ids)), None)


Gone = tuple[Rule, datetime]


def all_given_up(connection: Connection, digests: Sequence[str]) -> dict[str, Gone]:
    """Of these pictures those that a rule gave up, with the last time."""
    table, part = tables.pruning.c, tables.pruned_picture.c
    found: dict[str, Gone] = {}
    for some in portions(digests):
        rows = (
            select(part.sha256, table.rule, table.at)
            .join(tables.pruning, part.pruning_id == table.id)
            .where(part.sha256.in_(some))
            .order_by(table.at, table.id)
        )
        found |= {row.sha256: (Rule(row.rule), row.at) for row in connection.execute(rows)}
    return found
