"""Plain plant numbers: letters and digits of any script, and `. _ - : # +` between or around them.

No slash, which would make a Handle of it, and no blank, which a label cannot be told from its margin by.
"""

from __future__ import annotations

from traceability.identifiers.faults import Fault, Reading

SCHEME = "plain"

_MARKS = "._-:#+"
_EXPECTED = "0-9 A-Z a-z 汉字 . _ - : # +"


def read(code: str, *, lenient: bool = False) -> Reading:
    """Capitals are kept: two numbers that differ by them may be two coils."""
    faults = [
        Fault(index=index, reason="character_not_allowed", expected=_EXPECTED)
        for index, letter in enumerate(code)
        if not (letter.isalnum() or letter in _MARKS)
    ]
    if not code:
        faults.append(Fault(index=0, reason="nothing_there", expected=_EXPECTED))
    return Reading(canon=code, faults=tuple(faults))
