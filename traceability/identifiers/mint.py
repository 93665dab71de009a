"""Codes for units that come without one: each coil and part of a demo, each picture of a folder."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from threading import Lock

from inspection.identity import IdentifierCode
from traceability.identifiers import handle

# 999 is registered to nobody, as arc 2.999 of the object identifiers, so that no example claims a real code.
EXAMPLE_PREFIX = "86.999.1"


class Minter:
    """Makes codes that no other start of the same station made: start time and a count per kind.

    prefix      the enterprise's own, as 86.100.12
    started_at  when this station started; two starts are at least a second apart, and stations that share
                a prefix differ in the kinds they make
    """

    def __init__(self, prefix: str, *, started_at: datetime) -> None:
        self._prefix = prefix
        # UTC: local time comes twice when summer time ends.
        self._start = f"{started_at.astimezone(UTC):%Y%m%d-%H%M%S}"
        self._made: Counter[str] = Counter()
        self._lock = Lock()

    def mint(self, kind: str) -> IdentifierCode:
        """`86.999.1/COIL-20261120-101530-0001` for the first "COIL". Lanes may ask at the same time."""
        with self._lock:
            self._made[kind] += 1
            count = self._made[kind]
        return _code(f"{self._prefix}/{kind}-{self._start}-{count:04d}")


def unit_code_of_file(sha256: str, *, prefix: str = EXAMPLE_PREFIX) -> IdentifierCode:
    """The code of a picture nobody named: the same bytes are the same unit, wherever they lie."""
    return _code(f"{prefix}/IMG-{sha256[:16]}")


def _code(text: str) -> IdentifierCode:
    return IdentifierCode(scheme=handle.SCHEME, raw=text, canon=handle.read(text).canon)
