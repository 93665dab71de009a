"""GS1: from any of its spellings to what is identified, and to one canonical spelling of that.

    ]d2010952012345678821ABC·17261231                what a scanner sends; · is U+001D
    (01)09520123456788(21)ABC(17)261231              what stands below the symbol
    https://example.com/01/09520123456788/21/ABC     a Digital Link, of whatever server
    urn:epc:id:sgtin:9520123.045678.ABC              an EPC URN
    9520123456788                                    a bare key, when one says that it is GS1

All are the unit `(01)09520123456788(21)ABC`. What else they carry, dates and weights, does not identify. Of several
primary keys the one that names a single unit does, else the first in a fixed order: goods, documents, shipments,
places. Their order in the text means nothing; a Digital Link says by its path what it is of.
Source: CBV 2.0, 8.9.2 (constrained canonical Digital Link); GS1 General Specifications 25.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from traceability.identifiers.faults import Fault, Reading
from traceability.identifiers.gs1.checks import csum
from traceability.identifiers.gs1.digital_link import CANONICAL_STEM, digital_link, read_digital_link
from traceability.identifiers.gs1.elements import (
    SEPARATORS,
    STRICT,
    SYMBOLOGIES,
    Element,
    Leniency,
    Read,
    bracketed,
    element_string,
    lookup,
    pairing_faults,
    read_bracketed,
    read_element_string,
    table,
)
from traceability.identifiers.gs1.epc import link_of_urn, urn_of_link

SCHEME = "gs1"

_ADDRESSES = ("http://", "https://")

GS = "\x1d"
"""FNC1 as scanners put it into text."""

_FIRST_OF = {
    "01": ("21", "235", "10", "22"),
    "8006": ("21", "10", "22"),
    "414": ("254",),
    "415": ("8020",),
    "8010": ("8011",),
    "8017": ("8019",),
    "8018": ("8019",),
}
"""What narrows a key down: the first of these that is there. A serial number needs no lot beside it."""

_KEYS = (
    # goods and their packages, equipment and parts
    "01", "8006", "00", "8003", "8004", "8010",
    # models of goods; documents and coupons; whoever gives or gets a service
    "8013", "253", "255", "8017", "8018",
    # shipments and consignments
    "402", "401",
    # places and parties
    "414", "417", "415",
)  # fmt: skip
"""All primary keys. Of several on one label the first here is the unit's, and before all that only names its class."""

_OLDER_LABELS = Leniency(short_gtins=True, names=True)

__all__ = [
    "SCHEME",
    "canonical_elements",
    "digital_link_faults",
    "digital_link_of",
    "element_string_of",
    "looks_like",
    "primary_keys",
    "read",
    "urn_of",
]


def looks_like(text: str) -> bool:
    """Whether only GS1 writes like this. Bare digits are not among it: a plant's own numbers are digits too."""
    return (
        text.startswith(("(", "urn:epc:", "]E0", "]E4", *SYMBOLOGIES))
        or text.startswith("^")  # elsewhere it may be part of a Handle
        or GS in text
    )


def primary_keys() -> tuple[str, ...]:
    """The identifiers that a Digital Link can begin with."""
    return tuple(ai for ai, known in table().items() if known.qualifiers is not None)


def digital_link_faults(link: str, *, lenient: bool = False) -> tuple[Fault, ...]:
    """Why an address is no Digital Link."""
    return read_digital_link(link, _OLDER_LABELS if lenient else STRICT).faults


def is_key(ai: str) -> bool:
    """Whether these digits are the identifier of a primary key."""
    known = lookup(ai)
    return known is not None and known.qualifiers is not None


def read(text: str, *, lenient: bool = False) -> Reading:
    """What `text` identifies. Notes say what its elements lack or exclude; another label may make up for it."""
    found = _elements(text, _OLDER_LABELS if lenient else STRICT)
    faults = found.faults
    is_address = text.lower().startswith(_ADDRESSES)
    identity = _identity(found.elements[:1] if is_address else found.elements, found.elements)
    if not faults and not identity:
        faults = (Fault(index=0, reason="no_gs1_key", expected="(01) (00) (8004) …"),)
    return Reading(
        canon=bracketed(identity),
        faults=faults,
        notes=() if faults else pairing_faults(found.elements),
        parts=tuple((f"({one.ai}) {one.known.title}".strip(), one.value) for one in found.elements),
    )


def _elements(text: str, leniency: Leniency) -> Read:
    if text.startswith("("):
        return read_bracketed(text, leniency)
    if text.lower().startswith(_ADDRESSES):
        return read_digital_link(text, leniency)
    if text.startswith("urn:epc:"):
        # Bare, these would part the link that it becomes; a URN has them as %2F, %3F and %23 (TDS 2.1, 6).
        link = None if re.search("[/?#]", text) else link_of_urn(text)
        if link is None:
            fault = Fault(index=len("urn:epc:"), reason="epc_not_understood", expected="id:sgtin:… id:sscc:…")
            return Read(elements=(), faults=(fault,))
        found = read_digital_link(link)
        # Where in the URN a mistake of the link stands, nobody can say: some of its digits were moved.
        return Read(elements=found.elements, faults=tuple(replace(one, index=0) for one in found.faults))
    if text.startswith(("]E0", "]E4")):
        return _moved(_bare_key(text[3:]), 3)
    if text.startswith(SYMBOLOGIES) or text[:1] in SEPARATORS:
        return read_element_string(text)
    if GS in text:
        # A scanner that was told to leave out the first FNC1.
        return _moved(read_element_string(GS + text), -1)
    return _bare_key(text)


def _bare_key(text: str) -> Read:
    """A GTIN of 8, 12, 13 or 14 digits, or the 18 of a shipping unit."""
    ai = {8: "01", 12: "01", 13: "01", 14: "01", 18: "00"}.get(len(text))
    fault = Fault(index=len(text), reason="no_length_of_a_key", expected="8 12 13 14 18 × 0-9")
    if ai is not None:
        fault_found = csum(text)
        known = lookup(ai)
        assert known is not None
        if fault_found is None:
            value = text.zfill(14) if ai == "01" else text
            return Read(elements=(Element(known=known, value=value, index=0),), faults=())
        fault = fault_found
    return Read(elements=(), faults=(fault,))


def _moved(found: Read, by: int) -> Read:
    return Read(elements=found.elements, faults=tuple(fault.moved(by) for fault in found.faults))


def _identity(among: Sequence[Element], found: Sequence[Element]) -> tuple[Element, ...]:
    """The key and what narrows it down, in whatever order they were found.

    among  elements that may be the key
    """
    by_ai = {one.ai: one for one in found}
    keys = [one for one in among if one.known.qualifiers is not None]
    if not keys:
        return ()
    key = min(keys, key=lambda one: (not _names_one_unit(one, by_ai), _KEYS.index(one.ai)))
    narrowing = next((by_ai[ai] for ai in _FIRST_OF.get(key.ai, ()) if ai in by_ai), None)
    return (key,) if narrowing is None else (key, narrowing)


def _names_one_unit(key: Element, by_ai: Mapping[str, Element]) -> bool:
    """Whether it is no class: a pallet with an SSCC is not every pallet of the trade item that it also is."""
    if key.ai in ("01", "8006"):
        return "21" in by_ai or "235" in by_ai
    if key.ai == "8003":
        return len(key.value) > _GRAI_DIGITS
    if key.ai == "8010":
        return "8011" in by_ai
    return key.ai in ("00", "8004")


_GRAI_DIGITS = 14
"""Of a returnable asset's kind; its serial number follows."""


def canonical_elements(canon: str) -> tuple[Element, ...]:
    """The elements of a canonical spelling."""
    return read_bracketed(canon).elements


def digital_link_of(canon: str, *, stem: str) -> str:
    """The Digital Link of a canonical spelling on a server, `stem` being its address."""
    link, _ = digital_link(canonical_elements(canon), stem=stem)
    return link


def element_string_of(canon: str) -> str:
    """As a symbol holds it, with `^` for FNC1."""
    return element_string(canonical_elements(canon))


def urn_of(canon: str, *, prefix_digits: int | None = None) -> str | None:
    """The EPC URN; None where there is none, or nobody knows how long its company prefix is."""
    return urn_of_link(digital_link_of(canon, stem=CANONICAL_STEM), prefix_digits=prefix_digits)
