"""Whether the records are those that were kept: each against its leaf, the leaves against the heads, the pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, select

from inspection.identity import IdentifierCode
from traceability import tables
from traceability.errors import LedgerForked, PictureAltered, PictureMissing
from traceability.images import ImageStore
from traceability.merkle import BLOCK, Head, Tree, leaves_of, root_of, size_of
from traceability.recorded import KINDS, read
from traceability.retention import Rule, all_given_up
from traceability.statements import statement
from traceability.store import TraceStore
from traceability.verifier import record_leaf

Wrong = Literal[
    "record_altered",
    "record_gone",
    "record_unknown",
    "unit_changed",
    "leaves_missing",
    "block_altered",
    "rolled_back",
    "rewritten",
    "other_ledger",
    "picture_altered",
    "picture_missing",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it was kept. `facts` name it, as `finding.<what>` of the texts says."""

    what: Wrong
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Pictures that are not there because a rule gave them up on a day (UTC), as the ledger has it."""

    rule: Rule
    day: date
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was compared, and what does not fit. `heads` is how many were held against the leaves.

    pictures  that records name; those in `given_up` are among them
    """

    origin: str | None
    algorithm: str | None
    leaves: int
    records: int
    pictures: int
    given_up: tuple[GivenUp, ...]
    heads: int
    findings: tuple[Finding, ...]


_AT_ONCE: Final = 4 * BLOCK


def verify(
    store: TraceStore,
    *,
    heads: Sequence[Head] = (),
    images: ImageStore | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verified:
    """Compare everything on record with the ledger, and the ledger with heads that were kept elsewhere.

    heads     signatures already checked (`ledger.read_heads`); without any, a database that was rolled back, or
              rewritten whole, cannot be told from the true one
    images    where the pictures are; None: they are not looked at
    progress  told how many leaves of how many were compared
    """
    findings: list[Finding] = []
    with store.reading() as connection:
        begun = connection.execute(select(tables.ledger)).mappings().one_or_none()
        size = size_of(connection)
        algorithm = "sha256" if begun is None else str(begun["algorithm"])
        records, seen = 0, set[str]()
        for start in range(0, size, _AT_ONCE):
            end = min(start + _AT_ONCE, size)
            compared = _compare_leaves(connection, start, end, algorithm, findings)
            records += sum(compared.values())
            seen |= compared.keys()
            progress(end, size)
        # A kind that has leaves is held, whatever the list says; one without is taken in with the next record.
        held = seen if begun is None else seen | {*begun["kinds"]}
        findings += _records_without_leaf(connection, [one for one in KINDS if begun is None or one in held])
        findings += _units_changed(connection)
        if begun is not None:
            findings += _blocks(connection, size, algorithm)
        for head in heads:
            findings += _against(connection, head, size, None if begun is None else str(begun["origin"]))
        looked = None if images is None else _look_at_pictures(connection, images)
    if looked is not None:
        with store.reading() as connection:
            # Asked anew: looking takes hours, and what a rule gave up meanwhile was noted after the first question.
            _account_for_missing(connection, looked)
        findings += looked.findings
    return Verified(
        origin=None if begun is None else begun["origin"],
        algorithm=None if begun is None else algorithm,
        leaves=size,
        records=records,
        pictures=0 if looked is None else looked.pictures,
        given_up=()
        if looked is None
        else tuple(
            GivenUp(rule=rule, day=day, pictures=count)
            for (rule, day), count in sorted(looked.given_up.items())
        ),
        heads=len(heads),
        findings=tuple(findings),
    )


def _compare_leaves(
    connection: Connection, start: int, end: int, algorithm: str, findings: list[Finding]
) -> Counter[str]:
    """Records of a stretch of leaves against their hashes; returns how many leaves there are of each kind."""
    leaf = tables.ledger_leaf
    rows = (
        connection.execute(
            select(leaf).where(leaf.c.position >= start, leaf.c.position < end).order_by(leaf.c.position)
        )
        .mappings()
        .all()
    )
    if len(rows) != end - start:
        there = {row["position"] for row in rows}
        missing = [position for position in range(start, end) if position not in there]
        findings.append(_finding("leaves_missing", first=missing[0], last=missing[-1], count=len(missing)))
    of_kind: dict[str, list[UUID]] = defaultdict(list)
    for row in rows:
        of_kind[row["kind"]].append(row["record_id"])
    records = {kind: read(connection, kind, ids) for kind, ids in of_kind.items() if kind in KINDS}
    for row in rows:
        kind, id_ = row["kind"], row["record_id"]
        record = records.get(kind, {}).get(id_)
        if record is None:
            findings.append(_finding("record_gone", kind=kind, id=str(id_), position=row["position"]))
        elif record_leaf(kind, statement(record), algorithm).hex() != row["hash"]:
            findings.append(
                _finding(
                    "record_altered",
                    kind=kind,
                    id=str(id_),
                    position=row["position"],
                    unit=", ".join(_units_of(record)),
                )
            )
    return Counter(row["kind"] for row in rows)


def _units_of(record: Any) -> list[str]:
    named = [getattr(record, name, None) for name in ("unit", "parent", "child")]
    return [str(code) for code in named if isinstance(code, IdentifierCode)]


def _records_without_leaf(connection: Connection, kinds: Sequence[str]) -> Iterator[Finding]:
    """What nobody of ours put there; and what lost its leaf with the end of the ledger."""
    leaf = tables.ledger_leaf.c
    for kind in kinds:
        table, _ = KINDS[kind]
        known = select(leaf.record_id).where(leaf.kind == kind, leaf.record_id == table.c.id).exists()
        rows = select(table.c.id).where(~known).order_by(table.c.id)
        for row in connection.execute(rows).mappings():
            yield _finding("record_unknown", kind=kind, id=str(row["id"]))


def _units_changed(connection: Connection) -> Iterator[Finding]:
    """Rows whose unit is not the one that their code names: the code is in the ledger, the unit's own id is not."""
    for table, unit, code in (
        (tables.link, tables.link.c.parent_id, tables.link.c.parent_identifier_id),
        (tables.link, tables.link.c.child_id, tables.link.c.child_identifier_id),
        (tables.unit_form, tables.unit_form.c.unit_id, tables.unit_form.c.identifier_id),
    ):
        named = tables.identifier.c
        rows = (
            select(table.c.id, named.canon)
            .join(tables.identifier, named.id == code)
            .where(named.unit_id != unit)
            .order_by(table.c.id)
        )
        for row in connection.execute(rows).mappings():
            yield _finding("unit_changed", kind=table.name, id=str(row["id"]), unit=row["canon"])


def _blocks(connection: Connection, size: int, algorithm: str) -> Iterator[Finding]:
    kept = {row["number"]: row["hash"] for row in connection.execute(select(tables.ledger_block)).mappings()}
    for number in range(size // BLOCK):
        leaves = leaves_of(connection, number * BLOCK, (number + 1) * BLOCK)
        # Where leaves are missing that was said already.
        if len(leaves) == BLOCK and root_of(leaves, algorithm).hex() != kept.pop(number, None):
            yield _finding("block_altered", first=number * BLOCK, last=(number + 1) * BLOCK - 1)


def _against(connection: Connection, head: Head, size: int, origin: str | None) -> Iterator[Finding]:
    facts = {"size": head["size"], "time": head["time"], "there": size}
    if head["origin"] != origin:
        yield _finding("other_ledger", origin=head["origin"], here=str(origin), **facts)
    elif head["size"] > size:
        yield _finding("rolled_back", **facts)
    else:
        try:
            root = Tree(connection, head["size"]).root().hex()
        except LedgerForked:
            root = ""
        if root != head["root"]:
            yield _finding("rewritten", **facts)


@dataclass(slots=True)
class _Looked:
    """What became of the pictures that records name. `missing`: by which inspection, finished when."""

    pictures: int
    findings: list[Finding]
    missing: dict[str, tuple[UUID, datetime]]
    given_up: Counter[tuple[Rule, date]]


def _look_at_pictures(connection: Connection, images: ImageStore) -> _Looked:
    """Each picture that a record names: as it was stored, altered, or missing."""
    picture, head = tables.picture.c, tables.inspection.c
    rows = (
        select(picture.sha256, picture.inspection_id, head.finished_at)
        .join(tables.inspection, head.id == picture.inspection_id)
        .order_by(picture.sha256, head.finished_at, head.id)
    )
    # By the newest inspection that names it: what a rule gave up before that one was kept anew for it.
    named = {row.sha256: (row.inspection_id, row.finished_at) for row in connection.execute(rows)}
    looked = _Looked(pictures=len(named), findings=[], missing={}, given_up=Counter())
    for sha256, (inspection, finished_at) in named.items():
        try:
            images.read(sha256)
        except PictureAltered as error:
            found = error.facts["found"]
            looked.findings.append(
                _finding("picture_altered", sha256=sha256, inspection=str(inspection), found=found)
            )
        except PictureMissing:
            looked.missing[sha256] = inspection, finished_at
    return looked


def _account_for_missing(connection: Connection, looked: _Looked) -> None:
    """Each that is missing was given up by a rule since it was seen, or is a finding."""
    gone = all_given_up(connection, list(looked.missing))
    for sha256, (inspection, finished_at) in looked.missing.items():
        rule, at = gone.get(sha256, (None, None))
        if rule is None or at is None or at < finished_at:
            looked.findings.append(_finding("picture_missing", sha256=sha256, inspection=str(inspection)))
        else:
            looked.given_up[rule, at.date()] += 1


def _finding(what: Wrong, **facts: object) -> Finding:
    return Finding(what=what, facts=facts)
