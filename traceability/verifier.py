#!/usr/bin/env python3
"""Checks a certificate of inspection, alone: this one file, Python 3.9 or later, and the package `cryptography`.

    python verifier.py certificate.json [--key PUBLIC_KEY_HEX] [--heads heads.jsonl]
    python verifier.py certificate.pdf  ...

It trusts nothing but the key you give it. Ask the maker for the key once, by another way than the certificate's.

What is checked, and by which text:
  record   its canonical JSON (RFC 8785) gives the leaf: H(0x00 || bytes)                 RFC 9162, 2.1.1
  proof    leaf and proof give the root of the head                                        RFC 9162, 2.1.3.2
  head     the maker's Ed25519 signature over the head's canonical JSON                    RFC 8032
  heads    each head that you were given before is a beginning of a later one              RFC 9162, 2.1.4.2
H is SHA-256 or SM3 (GB/T 32905), as the head says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

# ------------------------------------------------------------------ canonical JSON, RFC 8785

LARGEST_INTEGER = 2**53 - 1

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('["\\\\\x00-\x1f]')


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value. Raises ValueError for what has none: NaN, infinity, integers over 2^53 - 1."""
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts).encode("utf-8")


def _write(value: Any, put: Callable[[str], Any]) -> None:
    if value is None or isinstance(value, bool):
        put({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, str):
        put(_text(value))
    elif isinstance(value, (int, float)):
        put(_number(value))
    elif isinstance(value, dict):
        put("{")
        # By UTF-16 code units, as the RFC asks; they differ from code points beyond the basic plane.
        for index, key in enumerate(sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))):
            put(("," if index else "") + _text(key) + ":")
            _write(value[key], put)
        put("}")
    elif isinstance(value, (list, tuple)):
        put("[")
        for index, one in enumerate(value):
            if index:
                put(",")
            _write(one, put)
        put("]")
    else:
        raise ValueError(f"{type(value).__name__} is no JSON")


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no name in JSON")
    return '"' + _ESCAPED.sub(lambda one: _ESCAPES.get(one[0]) or f"\\u{ord(one[0]):04x}", text) + '"'


def _number(value: float) -> str:
    """As ECMAScript writes it (Number::toString): the shortest digits that give the number back."""
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"{value} is beyond 2^53 - 1")
        return str(value)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number in JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # Python's repr has the same shortest digits; only where the point and the exponent stand differs.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    n = len(digits)
    if n <= point <= 21:
        return sign + digits + "0" * (point - n)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if n > 1 else "") + power
