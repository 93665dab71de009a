"""Handle form: `<prefix>/<suffix>`, as in 86.100.12/00121336401058520109.

The prefix is dot-separated segments (country, industry, enterprise; how many is not fixed), the first a
number. The suffix is the enterprise's own, any printable text, with further slashes if it likes.
Source: Handle syntax, handle.net; prefixes of the national nodes begin with 86 or 88, which we do not check.
"""

from __future__ import annotations

from string import ascii_letters, digits

SCHEME = "handle"


def first_mistake(code: str) -> tuple[int, str] | None:
    """Index of the first character that cannot be, and what could stand there."""
    prefix, _, suffix = code.partition("/")
    start = 0
    for number, segment in enumerate(prefix.split(".")):
        allowed = digits if number == 0 else digits + ascii_letters + "-_"
        expected = "0-9" if number == 0 else "0-9 A-Z a-z - _"
        for index, letter in enumerate(segment, start):
            if letter not in allowed:
                return index, expected
        if not segment:
            return start, expected
        start += len(segment) + 1
    # Here `start` is where the suffix begins.
    for index, letter in enumerate(suffix, start):
        if not letter.isprintable():
            return index, "0-9 A-Z a-z 汉字 …"
    return None if suffix else (start, "0-9 A-Z a-z 汉字 …")


def canon(code: str) -> str:
    """ASCII capitals of the prefix mean nothing, those of the suffix do. A trailing slash is kept."""
    prefix, _, suffix = code.partition("/")
    return f"{prefix.lower()}/{suffix}"
