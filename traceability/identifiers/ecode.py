"""Ecode (GB/T 31866): version, number system, and the number in it. `000016901234567892` is version 0, number system
0001, and 6901234567892, a trade item of GS1.

All digits, it cannot be told from a plant number by looking: in front of its canonical spelling stands `ecode:`.
Lengths are those of GB/T 31866-2015, table 1; version 0 was given to GS1's keys in 2023.
"""

from __future__ import annotations

import re

from traceability.identifiers.faults import Fault, Reading
from traceability.identifiers.gs1.checks import csum

SCHEME = "ecode"
MARK = "ecode:"

_SYSTEM_DIGITS = {"0": 4, "1": 4, "2": 4, "3": 5, "4": 5}

# Version 0 is bits in the standard: 244 of them are 73 decimal digits.
_LONGEST = {"0": 73, "1": 20, "2": 28, "3": 39}

_GS1_KEY_DIGITS = (8, 12, 13, 14)


def looks_like(text: str) -> bool:
    return text.lower().startswith(MARK)


def read(code: str, *, lenient: bool = False) -> Reading:
    start = len(MARK) if looks_like(code) else 0
    body = code[start:]
    version = body[:1]
    width = _SYSTEM_DIGITS.get(version)
    if width is None:
        reason = "ecode_version_reserved" if version in set("56789") else "ecode_version_unknown"
        return Reading(canon=MARK + body, faults=(Fault(index=start, reason=reason, expected="0–4"),))
    system, number = body[1 : 1 + width], body[1 + width :]
    faults: list[Fault] = []
    wrong = re.search("[^0-9]", system)
    if wrong is not None or len(system) < width:
        at = start + 1 + (len(system) if wrong is None else wrong.start())
        faults.append(Fault(index=at, reason="ecode_system_malformed", expected=f"{width} × 0-9"))
    fault = _number_fault(version, number)
    if fault is not None:
        faults.append(fault.moved(start + 1 + width))
    return Reading(
        canon=MARK + body,
        faults=tuple(faults),
        parts=(("version", version), ("number_system", system), ("number", number)),
    )


def _number_fault(version: str, number: str) -> Fault | None:
    if not number:
        return Fault(index=0, reason="ecode_number_missing", expected="0-9")
    allowed, expected = {
        "3": ("[0-9A-Za-z]", "0-9 A-Z a-z"),
        "4": (None, "0-9 A-Z a-z 汉字 …"),
    }.get(version, ("[0-9]", "0-9"))
    for index, letter in enumerate(number):
        is_right = letter.isprintable() if allowed is None else re.fullmatch(allowed, letter) is not None
        if not is_right:
            return Fault(index=index, reason="character_not_allowed", expected=expected)
    longest = _LONGEST.get(version)
    if longest is not None and len(number) > longest:
        return Fault(index=longest, reason="ecode_number_too_long", expected=f"≤ {longest}")
    if version == "0" and len(number) in _GS1_KEY_DIGITS:
        return csum(number)
    return None
