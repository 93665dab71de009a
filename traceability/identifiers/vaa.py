"""VAA: codes of the issuing agency that the China Academy of Information and Communications Technology is under
ISO/IEC 15459. `VAA08810012345678/abc123` is agency VAA, country 088, industry 100, enterprise 12345678, and the
enterprise's own suffix.

The widths 3 and 3 are those of the published examples; an enterprise has up to 20 letters and digits.
Source: 《工业互联网标识解析应用技术》 2.2.1; AIM register of issuing agency codes, 2020-06-23.
"""

from __future__ import annotations

import re
from string import ascii_letters, digits

from traceability.identifiers.faults import Fault, Reading

SCHEME = "vaa"
AGENCY = "VAA"

_SUFFIX = "0-9 A-Z a-z 汉字 …"
_COUNTRY = slice(3, 6)
_INDUSTRY = slice(6, 9)
_LONGEST_ENTERPRISE = 20


def looks_like(text: str) -> bool:
    return text.startswith(AGENCY) and "/" in text


def read(code: str, *, lenient: bool = False) -> Reading:
    body, slash, suffix = code.partition("/")
    faults: list[Fault] = []
    if not code.startswith(AGENCY):
        faults.append(Fault(index=0, reason="vaa_agency_missing", expected=AGENCY))
    for index in range(3, 9):
        if index >= len(body) or body[index] not in digits:
            faults.append(Fault(index=min(index, len(body)), reason="vaa_prefix_malformed", expected="0-9"))
            break
    enterprise = body[9:]
    wrong = next(
        (index for index, letter in enumerate(enterprise, 9) if letter not in digits + ascii_letters), None
    )
    if wrong is not None or not enterprise:
        at = len(body) if wrong is None else wrong
        faults.append(Fault(index=at, reason="vaa_prefix_malformed", expected="0-9 A-Z a-z"))
    elif len(enterprise) > _LONGEST_ENTERPRISE:
        faults.append(
            Fault(
                index=9 + _LONGEST_ENTERPRISE,
                reason="enterprise_too_long",
                expected=f"≤ {_LONGEST_ENTERPRISE}",
            )
        )
    if not slash:
        faults.append(Fault(index=len(code), reason="handle_slash_missing", expected="/"))
    elif not suffix:
        faults.append(Fault(index=len(code), reason="handle_suffix_missing", expected=_SUFFIX))
    else:
        wrong = next(
            (index for index, letter in enumerate(suffix, len(body) + 1) if not letter.isprintable()), None
        )
        if wrong is not None:
            faults.append(Fault(index=wrong, reason="character_not_printable", expected=_SUFFIX))
    return Reading(
        canon=code,
        faults=tuple(faults),
        parts=(
            ("agency", body[:3]),
            ("country", body[_COUNTRY]),
            ("industry", body[_INDUSTRY]),
            ("enterprise", enterprise),
            ("suffix", suffix),
        ),
    )


def handle_of(canon: str) -> str | None:
    """The same code in Handle form, with dots between its fields: `088.100.12345678/abc123`."""
    found = re.fullmatch(f"{AGENCY}([0-9]{{3}})([0-9]{{3}})([^/]+)/(.+)", canon, re.DOTALL)
    return None if found is None else f"{found[1]}.{found[2]}.{found[3].lower()}/{found[4]}"
