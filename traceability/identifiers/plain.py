"""Plain plant numbers: letters and digits of any script, and `. _ - : # +` between or around them.

No slash, which would make a Handle of it, and no blank, which a label cannot be told from its margin by.
"""

from __future__ import annotations

SCHEME = "plain"

_MARKS = "._-:#+"


def first_mistake(code: str) -> tuple[int, str] | None:
    """Index of the first character that cannot be, and what could stand there."""
    expected = "0-9 A-Z a-z 汉字 . _ - : # +"
    for index, letter in enumerate(code):
        if not (letter.isalnum() or letter in _MARKS):
            return index, expected
    return None if code else (0, expected)


def canon(code: str) -> str:
    """Capitals are kept: two numbers that differ by them may be two coils."""
    return code
