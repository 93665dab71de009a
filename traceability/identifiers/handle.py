"""Handle form: `<prefix>/<suffix>`, as in 86.100.12/00121336401058520109.

The prefix is dot-separated segments, the first a number; how many is not fixed. Under a national top node they are
country, industry and enterprise. The suffix is the enterprise's own, any printable text, with further slashes if it
likes. Source: Handle syntax, handle.net; 《工业互联网标识解析应用技术》 2.2.1 for the segments.
"""

from __future__ import annotations

from collections.abc import Collection
from string import ascii_letters, digits

from traceability.errors import HandlePrefixesInvalid
from traceability.identifiers.faults import Fault, Reading

SCHEME = "handle"

NATIONAL_PREFIXES = ("86", "88")
"""First segments under which the second is an industry and the third an enterprise, unless the plant says others."""

_SUFFIX = "0-9 A-Z a-z 汉字 …"

# Textbook, table 2-4.
_LONGEST_ENTERPRISE = 20


def prefixes_in(listed: str) -> tuple[str, ...]:
    """First segments from a list with commas, as `86,88`; an empty one has none. Raises HandlePrefixesInvalid."""
    prefixes = tuple(one.strip(" .") for one in listed.split(",") if one.strip())
    if all(one.isascii() and one.isdigit() for one in prefixes):
        return prefixes
    raise HandlePrefixesInvalid(
        f"{listed!r} is no list of Handle prefixes.",
        action="Write numbers with commas between, as 86,88.",
        value=listed,
    )


def read(
    code: str, *, lenient: bool = False, national_prefixes: Collection[str] = NATIONAL_PREFIXES
) -> Reading:
    """ASCII capitals of the prefix mean nothing, those of the suffix do. A trailing slash is kept.

    national_prefixes  what these codes are made up of is told, and noted where it is not as there
    """
    start = len("hdl:") if code.lower().startswith("hdl:") else 0
    prefix, slash, suffix = code[start:].partition("/")
    faults: list[Fault] = []
    at = start
    segments = prefix.split(".")
    for number, segment in enumerate(segments):
        allowed = digits if number == 0 else digits + ascii_letters + "-_"
        expected = "0-9" if number == 0 else "0-9 A-Z a-z - _"
        wrong = next((index for index, letter in enumerate(segment, at) if letter not in allowed), None)
        if wrong is not None or not segment:
            faults.append(
                Fault(
                    index=at if wrong is None else wrong, reason="handle_prefix_malformed", expected=expected
                )
            )
        at += len(segment) + 1
    if not slash:
        faults.append(Fault(index=len(code), reason="handle_slash_missing", expected="/"))
    else:
        wrong = next((index for index, letter in enumerate(suffix, at) if not letter.isprintable()), None)
        if wrong is not None:
            faults.append(Fault(index=wrong, reason="character_not_printable", expected=_SUFFIX))
        elif not suffix:
            faults.append(Fault(index=at, reason="handle_suffix_missing", expected=_SUFFIX))
    return Reading(
        canon=f"{prefix.lower()}/{suffix}",
        faults=tuple(faults),
        notes=_notes(segments, start, national_prefixes),
        parts=_parts(segments, suffix, national_prefixes),
    )


def _notes(segments: list[str], start: int, national_prefixes: Collection[str]) -> tuple[Fault, ...]:
    if segments[0] not in national_prefixes:
        return ()
    if len(segments) < 3:
        at = start + len(".".join(segments))
        return (Fault(index=at, reason="enterprise_missing", expected=f"{segments[0]}.100.12/…"),)
    if len(segments[2]) > _LONGEST_ENTERPRISE:
        at = start + len(segments[0]) + len(segments[1]) + 2 + _LONGEST_ENTERPRISE
        return (Fault(index=at, reason="enterprise_too_long", expected=f"≤ {_LONGEST_ENTERPRISE}"),)
    return ()


def _parts(
    segments: list[str], suffix: str, national_prefixes: Collection[str]
) -> tuple[tuple[str, str], ...]:
    parts = [("prefix", ".".join(segments))]
    if segments[0] in national_prefixes and len(segments) >= 3:
        parts += zip(
            ("country", "industry", "enterprise"), (*segments[:2], ".".join(segments[2:])), strict=True
        )
    return (*parts, ("suffix", suffix))
