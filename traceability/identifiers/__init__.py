"""From what was read or typed to an identifier code with one canonical spelling.

    86.100.12/00121336401058520109   a slash: the industrial-internet form, a Handle (标识解析)
    C-2024.0117                      none: a plain plant number

Blanks and line ends around a code are a scanner's, not the code's, and are dropped.
"""

from __future__ import annotations

import unicodedata

from inspection.identity import IdentifierCode
from traceability.errors import CodeNotParsed
from traceability.identifiers import handle, plain
from traceability.identifiers.mint import EXAMPLE_PREFIX, Minter, unit_code_of_file

# A PostgreSQL index takes rows of up to 2 704 bytes, and a character is up to 4 bytes of UTF-8.
LONGEST = 500

__all__ = ["EXAMPLE_PREFIX", "LONGEST", "Minter", "parse", "unit_code_of_file"]


def parse(text: str) -> IdentifierCode:
    """The code in `text`. `parse(str(code)) == code` for every code.

    Raises CodeNotParsed with the 1-based position of the first character that cannot be, counted in
    composed characters (NFC), as a person would.
    """
    composed = unicodedata.normalize("NFC", text)
    code = composed.strip(" \t\r\n")
    before = len(composed) - len(composed.lstrip(" \t\r\n"))
    scheme = handle if "/" in code else plain
    wrong = scheme.first_mistake(code)
    if wrong is None and len(code) > LONGEST:
        wrong = LONGEST, f"≤ {LONGEST}"
    if wrong is not None:
        index, expected = wrong
        position = before + index + 1
        raise CodeNotParsed(
            f"{text!r} is no identifier code: at character {position}, {expected} was expected.",
            action="Read or type the code again; a code looks like 86.100.12/0012133640 or C-2024.0117.",
            text=text,
            position=position,
            expected=expected,
        )
    return IdentifierCode(scheme=scheme.SCHEME, raw=text, canon=scheme.canon(code))
