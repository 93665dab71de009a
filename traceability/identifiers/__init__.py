"""From what was read or typed to an identifier code with one canonical spelling.

    86.100.12/00121336401058520109     a Handle, the form of industrial-internet codes (标识解析)
    VAA08810012345678/abc123           VAA
    urn:oid:1.2.156.3001.501           an object identifier, also without `urn:oid:`
    ecode:000016901234567892           Ecode
    (01)09520123456788(21)ABC          GS1, in any of its spellings
    C-2024.0117                        a plain plant number: what is none of these and has no slash

Which one a text is can be seen by it; where it cannot, one says the scheme. Blanks and line ends around a code are a
scanner's, not the code's, and are dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from inspection.identity import IdentifierCode
from traceability.errors import CodeNotParsed
from traceability.identifiers import ecode, gs1, handle, oid, plain, vaa
from traceability.identifiers.faults import Fault, Reading
from traceability.identifiers.mint import EXAMPLE_PREFIX, Minter, unit_code_of_file

# A PostgreSQL index takes rows of up to 2 704 bytes, and a character is up to 4 bytes of UTF-8.
LONGEST = 500

SCHEMES: Mapping[str, Callable[..., Reading]] = MappingProxyType(
    {scheme.SCHEME: scheme.read for scheme in (handle, vaa, oid, ecode, gs1, plain)}
)
"""How each scheme reads a text."""

RESOLVER_PATH = "/id/"
"""Where resolvers of ours have their units; a code behind it on a label's address is the unit's."""

_BLANKS = " \t\r\n"

_HANDLE_PROXY: Final = re.compile("https?://(?:hdl[.]handle[.]net|dx[.]doi[.]org|doi[.]org)/", re.IGNORECASE)
_RESOLVER: Final = re.compile(f"https?://(?:[^/]+/)+?{RESOLVER_PATH[1:]}", re.IGNORECASE)

__all__ = [
    "EXAMPLE_PREFIX",
    "LONGEST",
    "RESOLVER_PATH",
    "SCHEMES",
    "Examined",
    "Fault",
    "Minter",
    "examine",
    "parse",
    "unit_code_of_file",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """All that can be said about a text.

    code    what it is; None while there are faults
    faults  why it is no code, each with its place (from 0) in the text, counted in composed characters (NFC)
    notes   what is taken, and should not be so
    parts   what it is made up of, as (name, value)
    """

    text: str
    scheme: str
    code: IdentifierCode | None
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]
    parts: tuple[tuple[str, str], ...]


def parse(text: str, *, scheme: str | None = None, lenient: bool = False) -> IdentifierCode:
    """The code in `text`. `parse(str(code)) == code` for every code.

    scheme   one of SCHEMES where the text does not show it: bare digits of GS1 or Ecode
    lenient  take what older labels and textbooks hold: OIDs with leading zeros, short GTINs and names in Digital Links

    Raises CodeNotParsed with the 1-based position of the first character that cannot be, counted in
    composed characters (NFC), as a person would.
    """
    examined = examine(text, scheme=scheme, lenient=lenient)
    if examined.code is not None:
        return examined.code
    first = min(examined.faults, key=lambda fault: fault.index)
    raise CodeNotParsed(
        f"{text!r} is no identifier code: at character {first.index + 1}, {first.expected} was expected.",
        action="Read or type the code again; a code looks like 86.100.12/0012133640 or C-2024.0117.",
        text=text,
        position=first.index + 1,
        expected=first.expected,
        reason=first.reason,
        scheme=examined.scheme,
    )


def examine(
    text: str,
    *,
    scheme: str | None = None,
    lenient: bool = False,
    national_prefixes: Collection[str] = handle.NATIONAL_PREFIXES,
) -> Examined:
    """The same with every fault, and what the code is made up of. Raises nothing.

    national_prefixes  of Handles, as the plant has them (`handle.prefixes_in`); the key depends on none
    """
    composed = unicodedata.normalize("NFC", text)
    code = composed.strip(_BLANKS)
    before = len(composed) - len(composed.lstrip(_BLANKS))
    chosen, code, skipped = (scheme, code, 0) if scheme is not None else _seen(code, lenient)
    own = {"national_prefixes": national_prefixes} if chosen == handle.SCHEME else {}
    reading = SCHEMES[chosen](code, lenient=lenient, **own)
    faults = tuple(fault.moved(before + skipped) for fault in reading.faults)
    if not faults and len(reading.canon) > LONGEST:
        faults = (Fault(index=before + LONGEST, reason="too_long", expected=f"≤ {LONGEST}"),)
    return Examined(
        text=text,
        scheme=chosen,
        code=None if faults else IdentifierCode(scheme=chosen, raw=text, canon=reading.canon),
        faults=faults,
        notes=tuple(note.moved(before + skipped) for note in reading.notes),
        parts=reading.parts,
    )


def _seen(code: str, lenient: bool) -> tuple[str, str, int]:
    """The scheme that a text shows, the code in it, and how many characters stand before that."""
    if re.match("https?://", code, re.IGNORECASE):
        return _seen_in_address(code, lenient)
    if gs1.looks_like(code):
        return gs1.SCHEME, code, 0
    if re.match("][A-Za-z][0-9A-Za-z]", code):
        # The AIM identifier of a symbol that holds no GS1 elements.
        scheme, inner, skipped = _seen(code[3:], lenient)
        return scheme, inner, skipped + 3
    return _scheme_that_shows(code) or (handle.SCHEME if "/" in code else plain.SCHEME), code, 0


def _scheme_that_shows(code: str) -> str | None:
    return next((told.SCHEME for told in (gs1, oid, ecode, vaa) if told.looks_like(code)), None)


def _seen_in_address(address: str, lenient: bool) -> tuple[str, str, int]:
    """The code behind `/id/` of a resolver of ours, or all of the path on a Handle proxy; a Digital Link else.

    Only the path is a code (RFC 3986, 3.3). A code's own `?` and `#` have percent signs there.
    """
    path = re.split("[?#]", address, maxsplit=1)[0]
    proxy = _HANDLE_PROXY.match(path)
    found = proxy or _RESOLVER.match(path)
    if found is None or found.end() == len(path):
        return gs1.SCHEME, address, 0
    step, _, behind = path[found.end() :].partition("/")
    # With no value behind it, it is a plant number as short as an identifier of GS1.
    if behind and gs1.is_key(step):
        return gs1.SCHEME, address, 0
    inner = unicodedata.normalize("NFC", unquote(path[found.end() :]))
    if proxy is None and not _shows_its_scheme(inner) and not gs1.digital_link_faults(path, lenient=lenient):
        return gs1.SCHEME, address, 0
    scheme, code, skipped = _seen(inner, lenient)
    return scheme, code, skipped + found.end()


def _shows_its_scheme(code: str) -> bool:
    """Whether a code behind `/id/` can be taken for no step on the way to a Digital Link, as `/id/line-4/01/…` is.

    A Handle of an enterprise has a prefix of several segments, and what is behind it may look like anything; in a
    prefix of one number nobody can tell it from an identifier of GS1.
    """
    if _scheme_that_shows(code) is not None:
        return True
    prefix = code.partition("/")[0]
    return "." in prefix and not handle.read(f"{prefix}/0").faults
