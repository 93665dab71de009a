"""The ledger: a Merkle tree over all records, to which leaves are only ever added (RFC 9162).

Every record's canonical statement is hashed into a leaf in the transaction that keeps the record. A head is size and
root of the tree at a moment, signed with Ed25519 and kept outside the database: what was changed, taken out or rolled
back afterwards no longer gives the roots of the heads that were kept. How: docs/ledger.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, select, update
from uuid_utils.compat import uuid7

from traceability import database, tables
from traceability.errors import HeadsUnreadable, LedgerForked, LedgerKeyUnreadable, LedgerUnwritable
from traceability.statements import Plain
from traceability.verifier import HASHES, NotProven, canonical, node_hash, prove_head, record_leaf

BLOCK: Final = 256
"""Leaves whose common root is kept, so that a proof reads a block and the roots of the others, not all leaves."""

_LOCK: Final = 7_105_022_031


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record as the ledger takes it."""

    kind: str
    id: UUID
    statement: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """What there is to be held: every kind of record, and all records of some kinds."""

    kinds: tuple[str, ...]
    entries: Callable[[Connection, Collection[str]], Iterable[Entry]]


def append(connection: Connection, entries: Sequence[Entry], on_record: OnRecord) -> None:
    """Add leaves, the last thing a writing transaction does: from here on other writers wait for it.

    The first call on a database begins its ledger with all that is on record; the first one of a version that holds
    more kinds of record takes those in.
    """
    if not entries:
        return
    database.lock(connection, _LOCK)
    row = connection.execute(select(tables.ledger.c.algorithm, tables.ledger.c.kinds)).one_or_none()
    if row is None:
        begin(connection, "sha256", on_record)
        return
    held = set(row.kinds)
    more = [kind for kind in on_record.kinds if kind not in held]
    if more:
        connection.execute(update(tables.ledger).values(kinds=[*row.kinds, *more]))
        # Of a kind that has leaves, somebody has struck it off the list: its records are not taken in unseen.
        more = [kind for kind in more if not _has_leaves(connection, kind)]
        _adopt(connection, row.algorithm, on_record.entries(connection, more))
    _append(connection, row.algorithm, [one for one in entries if one.kind not in more])


def begin(connection: Connection, algorithm: str, on_record: OnRecord) -> None:
    """Begin the ledger, with `sha256` or `sm3`, unless it has begun. What is on record already is its first leaves."""
    assert algorithm in HASHES
    database.lock(connection, _LOCK)
    if connection.execute(select(tables.ledger.c.id)).first() is not None:
        return
    row = {
        "id": 1,
        "origin": f"lynceus-{uuid7()}",
        "algorithm": algorithm,
        "began_at": datetime.now(UTC),
        "kinds": list(on_record.kinds),
    }
    connection.execute(tables.ledger.insert(), row)
    _adopt(connection, algorithm, on_record.entries(connection, on_record.kinds))


def _adopt(connection: Connection, algorithm: str, entries: Iterable[Entry]) -> None:
    portion: list[Entry] = []
    for entry in entries:
        portion.append(entry)
        if len(portion) == 16 * BLOCK:
            _append(connection, algorithm, portion)
            portion = []
    _append(connection, algorithm, portion)


def _has_leaves(connection: Connection, kind: str) -> bool:
    leaf = tables.ledger_leaf.c
    return connection.execute(select(leaf.position).where(leaf.kind == kind).limit(1)).first() is not None


def size_of(connection: Connection) -> int:
    """How many leaves there are, if none was taken out."""
    last: int | None = connection.execute(select(func.max(tables.ledger_leaf.c.position))).scalar_one()
    return 0 if last is None else last + 1


def _append(connection: Connection, algorithm: str, entries: Sequence[Entry]) -> None:
    if not entries:
        return
    first = size_of(connection)
    hashes = [record_leaf(one.kind, one.statement, algorithm) for one in entries]
    rows = [
        {"position": position, "kind": one.kind, "record_id": one.id, "hash": hash_.hex()}
        for position, (one, hash_) in enumerate(zip(entries, hashes, strict=True), first)
    ]
    connection.execute(tables.ledger_leaf.insert(), rows)
    full = range(first // BLOCK, (first + len(entries)) // BLOCK)
    if full:
        begun = first % BLOCK
        leaves = leaves_of(connection, first - begun, first) + hashes
        blocks = [
            {"number": number, "hash": root_of(leaves[start : start + BLOCK], algorithm).hex()}
            for start, number in zip(range(0, len(leaves), BLOCK), full, strict=False)
        ]
        connection.execute(tables.ledger_block.insert(), blocks)


def leaves_of(connection: Connection, start: int, end: int) -> list[bytes]:
    """The hashes of leaves from `start` up to, not including, `end`."""
    leaf = tables.ledger_leaf.c
    rows = select(leaf.hash).where(leaf.position >= start, leaf.position < end).order_by(leaf.position)
    hashes: Iterable[str] = connection.execute(rows).scalars()
    return [bytes.fromhex(one) for one in hashes]


def root_of(hashes: Sequence[bytes], algorithm: str) -> bytes:
    """The root over leaves: RFC 9162, 2.1.1. None at all: the hash of nothing is no root of ours."""
    level = list(hashes)
    while len(level) > 1:
        # Pairing from the left gives the RFC's tree, in which the left part is the largest power of two.
        level = [
            node_hash(level[at], level[at + 1], algorithm) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


class Tree:
    """The first `size` leaves of a database's ledger, for proofs. Reads through a connection of its caller's.

    Raises LedgerForked where leaves are missing from the table.
    """

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self.size = size
        self._leaves: dict[int, list[bytes]] = {}
        self._known: dict[tuple[int, int], bytes] = {}
        row = connection.execute(select(tables.ledger)).mappings().one()
        self.origin: str = row["origin"]
        self.algorithm: str = row["algorithm"]

    def root(self) -> bytes:
        return self._root(0, self.size)

    def leaf(self, index: int) -> bytes:
        return self._block(index // BLOCK)[index % BLOCK]

    def inclusion(self, index: int) -> list[bytes]:
        """The proof that leaf `index` is in the tree: RFC 9162, 2.1.3.1."""
        start, end, path = 0, self.size, list[bytes]()
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, size: int) -> list[bytes]:
        """The proof that the tree of the first `size` leaves is a beginning of this one: RFC 9162, 2.1.4.1."""
        start, end, path, is_whole = 0, self.size, list[bytes](), True
        while end != size:
            middle = start + _split(end - start)
            if size <= middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start, is_whole = middle, False
        if not is_whole:
            path.append(self._root(start, end))
        return path[::-1]

    def _root(self, start: int, end: int) -> bytes:
        known = self._known.get((start, end))
        if known is not None:
            return known
        if start % BLOCK == 0 and end - start == BLOCK and start // BLOCK in self._blocks:
            root = self._blocks[start // BLOCK]
        elif start // BLOCK == (end - 1) // BLOCK:
            block = self._block(start // BLOCK)
            root = root_of(block[start % BLOCK : (end - 1) % BLOCK + 1], self.algorithm)
        else:
            middle = start + _split(end - start)
            root = node_hash(self._root(start, middle), self._root(middle, end), self.algorithm)
        self._known[start, end] = root
        return root

    @cached_property
    def _blocks(self) -> dict[int, bytes]:
        rows = self._connection.execute(select(tables.ledger_block)).mappings()
        return {row["number"]: bytes.fromhex(row["hash"]) for row in rows}

    def _block(self, number: int) -> list[bytes]:
        if number not in self._leaves:
            start, end = number * BLOCK, min((number + 1) * BLOCK, self.size)
            leaves = leaves_of(self._connection, start, end)
            if len(leaves) != end - start:
                raise LedgerForked(
                    f"Of leaves {start} … {end - 1} of the ledger {len(leaves)} are there.",
                    action="Run `lynceus ledger verify` and compare with a backup before anything is written.",
                    reason=f"{start} … {end - 1}: {len(leaves)}",
                )
            self._leaves[number] = leaves
        return self._leaves[number]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


# ------------------------------------------------------------------ heads

Head = dict[str, Any]
"""origin, algorithm, size, root, time, key, signature: JSON as it is kept and certified."""


class Sealer:
    """Signs heads and keeps them in a file outside the database, each after the one before.

    folder  holds `key.pem`, made when there is none and readable by its owner alone, and `heads.jsonl`; keep copies of
            both elsewhere. What was kept by others (certificates, reports, other stations) is as good a witness.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = _open_key(folder / "key.pem")

    @property
    def public_key(self) -> bytes:
        return public_bytes(self._key)

    def sign(self, content: bytes) -> bytes:
        """An Ed25519 signature over a report of ours, by the key that signs heads."""
        return self._key.sign(content)

    def heads(self) -> list[Head]:
        """What was kept, oldest first. Raises HeadsUnreadable."""
        return read_heads(self._folder / "heads.jsonl")

    def seal(self, connection: Connection) -> Head | None:
        """A head over all leaves: the last one where nothing came since, else a new one, signed and kept.

        None where there is nothing yet to seal, nor ever was.
        Raises LedgerForked where the last head is of another history: that is not signed over.
        """
        size = size_of(connection)
        last = next(iter(self.heads()[::-1]), None)
        if last is not None and last["size"] > size:
            raise _forked(f"the last head has {last['size']} leaves, the database {size}")
        if size == 0:
            return None
        tree = Tree(connection, size)
        root = tree.root().hex()
        if last is not None:
            if last["origin"] != tree.origin:
                raise _forked(f"the last head is of {last['origin']}, the database is {tree.origin}")
            if Tree(connection, last["size"]).root().hex() != last["root"]:
                raise _forked(f"the first {last['size']} leaves no longer give the root of the last head")
            if last["size"] == size:
                return last
        head: Head = {
            "origin": tree.origin,
            "algorithm": tree.algorithm,
            "size": size,
            "root": root,
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "key": self.public_key.hex(),
        }
        head["signature"] = self._key.sign(canonical(head)).hex()
        self._keep(head)
        return head

    def _keep(self, head: Head) -> None:
        file = self._folder / "heads.jsonl"
        try:
            with file.open("a+b", buffering=0) as heads:
                heads.seek(0)
                there = heads.readall()
                ended = _ended(there)
                before = min(len(ended), len(there))
                heads.truncate(before)
                new = ended[before:] + canonical(head) + b"\n"
                try:
                    while new:
                        new = new[heads.write(new) :]
                    os.fsync(heads.fileno())
                except OSError:
                    # A full disk takes the beginning of a head, too.
                    heads.truncate(before)
                    raise
        except OSError as error:
            raise _unreadable(file, error.strerror or str(error)) from error


def read_heads(file: Path) -> list[Head]:
    """The heads of a file, one JSON object a line; none where there is no file. Raises HeadsUnreadable."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, getattr(error, "strerror", None) or "not UTF-8") from error
    heads = []
    for number, line in enumerate(lines, 1):
        # What has no end of line is nothing, or was broken off while it was written: that head was never kept.
        if number == len(lines) and not _is_json(line):
            break
        try:
            head = json.loads(line)
            prove_head(head, bytes.fromhex(head["key"]))
            if not isinstance(head["size"], int):
                raise ValueError(head["size"])
        except (ValueError, KeyError, TypeError, AttributeError, NotProven) as error:
            raise _unreadable(file, f"line {number} is no signed head") from error
        heads.append(head)
    return heads


def _ended(kept: bytes) -> bytes:
    """What the next head is put behind: whole heads, each with its end of line."""
    whole = kept.rfind(b"\n") + 1
    return kept + b"\n" if _is_json(kept[whole:]) else kept[:whole]


def _is_json(line: str | bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _make_key(file: Path) -> None:
    """A new key. Raises LedgerUnwritable, and leaves no part of a key behind."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made readable by its owner alone, before there is anything in it to read.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as made:
                made.write(pem)
        except OSError:
            # A full disk takes the name and not the key: at the next start that would be one that is spoilt.
            file.unlink(missing_ok=True)
            raise
    except OSError as error:
        folder = str(file.parent.absolute())
        reason = error.strerror or str(error)
        raise LedgerUnwritable(
            f"Nothing can be written to the ledger's folder {folder}: {reason}.",
            action="Free the disk, mend its permissions, or name another folder for the ledger; its key is made there, "
            "and nothing was signed yet.",
            folder=folder,
            reason=reason,
        ) from error


def _open_key(file: Path) -> Ed25519PrivateKey:
    try:
        if not file.exists():
            _make_key(file)
        found = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "no private key in PEM"
        raise LedgerKeyUnreadable(
            f"The ledger's key {file} cannot be read: {reason}.",
            action="Restore it from its copy; without it no head can be signed as before.",
            file=str(file),
            reason=reason,
        ) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise LedgerKeyUnreadable(
            f"The ledger's key {file} is no Ed25519 key.",
            action="Restore it from its copy; without it no head can be signed as before.",
            file=str(file),
            reason="not Ed25519",
        )
    return found


def _unreadable(file: Path, reason: str) -> HeadsUnreadable:
    return HeadsUnreadable(
        f"The heads in {file} cannot be used: {reason}.",
        action="Compare the file with its copy; do not delete it, it is the proof.",
        file=str(file),
        reason=reason,
    )


def _forked(reason: str) -> LedgerForked:
    return LedgerForked(
        f"The ledger is not the one that was signed: {reason}.",
        action="Run `lynceus ledger verify` and compare with a backup before anything is written.",
        reason=reason,
    )
