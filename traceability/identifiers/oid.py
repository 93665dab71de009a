"""Object identifiers: arcs with dots between them, `1.2.156.3001.501`; as a URN, `urn:oid:1.2.156.3001.501`.

China's are below 1.2.156 and 2.16.156, where arcs may also be of letters, capitals meaning nothing.
Source: ITU-T X.660 (roots 0 to 2, second arc to 39 below 0 and 1); RFC 3061; CESI's note on allocation
(GB/T 26231: no leading zeros, up to 100 bytes, letter arcs up to 63).
"""

from __future__ import annotations

import re

from traceability.identifiers.faults import Fault, Reading

SCHEME = "oid"
URN = "urn:oid:"

_CHINA = (["1", "2", "156"], ["2", "16", "156"])
_LONGEST = 100
_LONGEST_LETTER_ARC = 63


def looks_like(text: str) -> bool:
    """Whether it says that it is one, or is digits and dots as a plant number would hardly be."""
    return text.lower().startswith(URN) or re.fullmatch(r"[0-2](\.[0-9]*){2,}", text) is not None


def read(code: str, *, lenient: bool = False) -> Reading:
    """lenient  take leading zeros, as textbooks print them, leave them out and say so"""
    start = len(URN) if code.lower().startswith(URN) else 0
    arcs = code[start:].split(".")
    faults: list[Fault] = []
    notes: list[Fault] = []
    at = start
    for number, arc in enumerate(arcs):
        fault = _arc_fault(arcs, number)
        if fault is not None and fault.reason == "leading_zero" and lenient:
            notes.append(fault.moved(at))
        elif fault is not None:
            faults.append(fault.moved(at))
        at += len(arc) + 1
    if len(arcs) < 2 and not faults:
        faults.append(Fault(index=len(code), reason="oid_needs_two_arcs", expected="."))
    if len(code) - start > _LONGEST:
        faults.append(Fault(index=start + _LONGEST, reason="oid_too_long", expected=f"≤ {_LONGEST}"))
    plain = [(arc.lstrip("0") or "0") if arc.isascii() and arc.isdigit() else arc.lower() for arc in arcs]
    return Reading(
        canon=URN + ".".join(plain),
        faults=tuple(faults),
        notes=tuple(notes),
        parts=(("root", arcs[0]), ("arcs", ".".join(arcs[1:]))),
    )


def _arc_fault(arcs: list[str], number: int) -> Fault | None:
    """What is wrong with an arc, counted from its own beginning."""
    arc = arcs[number]
    if not arc:
        return Fault(index=0, reason="oid_arc_missing", expected="0-9")
    if arcs[:3] in _CHINA and number >= 3:
        wrong = re.search("[^A-Za-z0-9-]", arc)
        if wrong is not None:
            return Fault(index=wrong.start(), reason="character_not_allowed", expected="0-9 A-Z a-z -")
        if not arc.isdigit():
            too_long = len(arc) > _LONGEST_LETTER_ARC
            return (
                Fault(
                    index=_LONGEST_LETTER_ARC, reason="oid_arc_too_long", expected=f"≤ {_LONGEST_LETTER_ARC}"
                )
                if too_long
                else None
            )
    wrong = re.search("[^0-9]", arc)
    if wrong is not None:
        return Fault(index=wrong.start(), reason="non_digit_character", expected="0-9")
    if number == 0 and arc not in ("0", "1", "2"):
        return Fault(index=0, reason="oid_root_unknown", expected="0 1 2")
    if len(arc) > 1 and arc.startswith("0"):
        return Fault(index=0, reason="leading_zero", expected="1-9")
    # Its length first: Python makes no number of more than 4300 digits.
    if number == 1 and arcs[0] in ("0", "1") and (len(arc) > 2 or int(arc) > 39):
        return Fault(index=0, reason="oid_second_arc_too_large", expected="0–39")
    return None
