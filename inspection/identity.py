"""What is inspected, and under which code it is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierCode:
    """A unit's code in an identifier-resolution system. Two codes are the same when scheme and canon are.

    scheme  "handle", "plain", …: the parsers in `traceability/identifiers` say which exist
    raw     as it was read or typed
    canon   the canonical spelling, the key under which records are found
    """

    scheme: str
    raw: str
    canon: str

    def __str__(self) -> str:
        return self.canon

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdentifierCode):
            return NotImplemented
        return (self.scheme, self.canon) == (other.scheme, other.canon)

    def __hash__(self) -> int:
        return hash((self.scheme, self.canon))
