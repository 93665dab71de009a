"""EPC URNs and Digital Links of the same thing: `urn:epc:id:sgtin:9520123.456789.7` is
`https://id.gs1.org/01/49520123567895/21/7`.

A URN parts the company's prefix from the rest, which a Digital Link does not show. Where nobody says how long it is,
the table of prefix lengths in biip (Apache-2.0) is asked; this is the only file that knows it.
Both ways only rewrite: values and percent signs stay as they are, and check digits are made, never checked.
Source: GS1 EPC Tag Data Standard 2.1, 6 and 7; CBV 2.0, 8.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from biip import ParseError
from biip.gs1_prefixes import GS1CompanyPrefix

from traceability.identifiers.gs1.checks import check_digit
from traceability.identifiers.gs1.digital_link import CANONICAL_STEM


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scheme:
    """How one kind of EPC is made up.

    digits     of prefix and reference together, before the check digit; 0 where the reference is free text
    indicator  whether the reference's first digit goes in front of the prefix
    has_check  whether a check digit follows
    lead       what stands before the key's digits
    pieces     whether two pairs of digits, piece and total, follow
    qualifier  the identifier of the serial part; "" joins it to the key; None: there is none
    """

    name: str
    ai: str
    digits: int = 0
    indicator: bool = False
    has_check: bool = True
    lead: str = ""
    pieces: bool = False
    qualifier: str | None = None


_SCHEMES = (
    _Scheme(name="sgtin", ai="01", digits=13, indicator=True, qualifier="21"),
    _Scheme(name="upui", ai="01", digits=13, indicator=True, qualifier="235"),
    _Scheme(name="sscc", ai="00", digits=17, indicator=True),
    _Scheme(name="sgln", ai="414", digits=12, qualifier="254"),
    _Scheme(name="pgln", ai="417", digits=12),
    _Scheme(name="grai", ai="8003", digits=12, lead="0", qualifier=""),
    _Scheme(name="gdti", ai="253", digits=12, qualifier=""),
    _Scheme(name="sgcn", ai="255", digits=12, qualifier=""),
    _Scheme(name="giai", ai="8004", has_check=False),
    _Scheme(name="ginc", ai="401", has_check=False),
    _Scheme(name="cpi", ai="8010", has_check=False, qualifier="8011"),
    _Scheme(name="gsin", ai="402", digits=16),
    _Scheme(name="gsrn", ai="8018", digits=17),
    _Scheme(name="gsrnp", ai="8017", digits=17),
    _Scheme(name="itip", ai="8006", digits=13, indicator=True, pieces=True, qualifier="21"),
)
_BY_NAME = {scheme.name: scheme for scheme in _SCHEMES}
_LGTIN = _Scheme(name="lgtin", ai="01", digits=13, indicator=True, qualifier="10")

_WHOLE = "0"
"""The extension of a location number that means the place as a whole."""


def link_of_urn(urn: str, *, stem: str = CANONICAL_STEM) -> str | None:
    """The Digital Link of an EPC, of a class (`urn:epc:class:lgtin:`) or of a pattern that ends in `.*`; else None."""
    found = re.fullmatch(r"urn:epc:(id|class|idpat):([a-z]+):(.+)", urn, re.DOTALL)
    if found is None:
        return None
    kind, name, body = found.groups()
    scheme = _LGTIN if (kind, name) == ("class", "lgtin") else _BY_NAME.get(name) if kind != "class" else None
    if scheme is None:
        return None
    if kind == "idpat":
        if not body.endswith(".*"):
            return None
        body = body.removesuffix(".*")
        if scheme.qualifier is None:
            return None
        body += "."
    return _link(scheme, body, stem, is_class=kind == "idpat")


def _link(scheme: _Scheme, body: str, stem: str, *, is_class: bool) -> str | None:
    prefix, dot, rest = body.partition(".")
    if not dot or re.fullmatch("[0-9]{4,12}", prefix) is None:
        return None
    serial = ""
    if scheme.pieces:
        found = re.fullmatch(r"([0-9]*)\.([0-9]{2})\.([0-9]{2})\.(.*)", rest, re.DOTALL)
        if found is None:
            return None
        reference, pieces, serial = found[1], found[2] + found[3], found[4]
    elif scheme.qualifier is None:
        reference, pieces = rest, ""
    elif scheme.digits:
        reference, _, serial = rest.partition(".")
        pieces = ""
    else:
        reference, _, serial = rest.rpartition(".")
        pieces = ""
    if scheme.digits and (
        len(prefix) + len(reference) != scheme.digits or re.fullmatch("[0-9]*", reference) is None
    ):
        return None
    key = reference[:1] + prefix + reference[1:] if scheme.indicator else prefix + reference
    key = scheme.lead + key + (check_digit(scheme.lead + key) if scheme.has_check else "") + pieces
    link = f"{stem}/{scheme.ai}/{key}"
    if scheme.qualifier is None or is_class or (scheme.ai == "414" and serial == _WHOLE):
        return link
    return link + (f"/{scheme.qualifier}/{serial}" if scheme.qualifier else serial)


def urn_of_link(link: str, *, prefix_digits: int | None = None) -> str | None:
    """The EPC URN of a Digital Link; None where it names no EPC or nobody knows how long its company prefix is.

    prefix_digits  how long the company's prefix is, where one knows
    """
    for scheme in _SCHEMES:
        found = re.search(_pattern(scheme), link, re.DOTALL)
        if found is not None:
            return _urn(scheme, found, prefix_digits)
    return None


def _pattern(scheme: _Scheme) -> str:
    key = "(?P<key>.+)"
    if scheme.digits:
        length = len(scheme.lead) + scheme.digits + scheme.has_check
        key = f"(?P<key>[0-9]{{{length}}})" + ("(?P<pieces>[0-9]{4})" if scheme.pieces else "")
    serial = ""
    if scheme.qualifier == "":
        serial = "(?P<serial>.+)"
    elif scheme.qualifier is not None:
        serial = f"/{scheme.qualifier}/(?P<serial>.+)"
        if scheme.ai == "414":
            serial = f"(?:{serial})?"
    return f"^https?://.*?/{scheme.ai}/{key}{serial}$"


def _urn(scheme: _Scheme, found: re.Match[str], prefix_digits: int | None) -> str | None:
    parts = found.groupdict()
    key = parts["key"][len(scheme.lead) :]
    if scheme.has_check:
        key = key[:-1]
    indicator, key = (key[0], key[1:]) if scheme.indicator else ("", key)
    length = _prefix_digits(key) if prefix_digits is None else prefix_digits
    if length is None or len(key) < length:
        return None
    urn = f"urn:epc:id:{scheme.name}:{key[:length]}.{indicator}{key[length:]}"
    if scheme.pieces:
        urn += f".{parts['pieces'][:2]}.{parts['pieces'][2:]}"
    if scheme.qualifier is not None:
        urn += f".{parts['serial'] or _WHOLE}"
    return urn


def _prefix_digits(key: str) -> int | None:
    """How many digits at the beginning of `key` are the company's, by the prefixes that GS1 has given away."""
    digits = re.match("[0-9]*", key)
    assert digits is not None
    try:
        found = GS1CompanyPrefix.extract(digits[0])
    except ParseError:
        return None
    return None if found is None else len(found.value)
