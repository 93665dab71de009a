"""GS1 Digital Link: elements as a web address, `https://id.gs1.org/01/09520123456788/21/ABC?17=261231`.

Source: GS1 Digital Link Standard: URI Syntax 1.5, 4 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from itertools import product
from types import MappingProxyType
from urllib.parse import quote

from traceability.identifiers.faults import Fault
from traceability.identifiers.gs1.elements import (
    STRICT,
    ApplicationIdentifier,
    Element,
    Leniency,
    Read,
    complete_value_faults,
    lookup,
    pairing_faults,
)

CANONICAL_STEM = "https://id.gs1.org"

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "sscc": "00", "gtin": "01", "lot": "10", "exp": "17", "ser": "21", "cpv": "22", "tpx": "235",
        "gdti": "253", "glnx": "254", "gcn": "255", "ginc": "401", "gsin": "402",
        "gln": "414", "payTo": "415", "partyGln": "417", "party": "417", "grai": "8003", "giai": "8004",
        "itip": "8006", "cpid": "8010", "cpsn": "8011", "gmn": "8013", "gsrnp": "8017", "gsrn": "8018",
        "srin": "8019", "refNo": "8020",
    }
)  # fmt: skip
"""Names of version 1.1 of the standard, which later ones dropped."""

_URI_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")
_LABEL = re.compile("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(slots=True)
class _Reading:
    """What has been made out so far."""

    leniency: Leniency
    elements: list[Element] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def add(self, known: ApplicationIdentifier, raw: str, start: int, *, is_query: bool) -> None:
        """`raw` is the value as it stands in the address, from `start` on."""
        value, places = _decoded(raw, plus_is_blank=is_query)
        if "\0" in value:
            self.faults.append(
                Fault(index=start + places[value.index("\0")], reason="illegal_null", expected="%01–%FF")
            )
            return
        if self.leniency.short_gtins and known.ai == "01" and len(value) in (8, 12, 13):
            missing = 14 - len(value)
            value, places = value.zfill(14), [places[0]] * missing + places
        self.faults += [
            Fault(index=start + places[fault.index], reason=fault.reason, expected=fault.expected)
            for fault in complete_value_faults(known, value)
        ]
        self.elements.append(Element(known=known, value=value, index=start))


def read_digital_link(uri: str, leniency: Leniency = STRICT) -> Read:
    """The elements of an address: those of its path, the primary key first, then those of its query."""
    for index, letter in enumerate(uri):
        if _URI_CHARACTERS.fullmatch(letter) is None:
            return _refused(index, "uri_contains_illegal_characters", "A-Z a-z 0-9 - . _ ~ : / ? # …")
    scheme = next(
        (one for one in ("https://", "HTTPS://", "http://", "HTTP://") if uri.startswith(one)), None
    )
    if scheme is None:
        return _refused(0, "uri_contains_illegal_scheme", "https:// http://")
    host_end = uri.find("/", len(scheme))
    if host_end <= len(scheme):
        return _refused(
            len(uri) if host_end < 0 else host_end, "uri_missing_domain_and_path_info", "example.com/01/…"
        )
    wrong_at = _host_mistake(uri[len(scheme) : host_end])
    if wrong_at is not None:
        return _refused(
            len(scheme) + wrong_at, "domain_is_illegal", "example.com example.com:8443 [2001:db8::1]"
        )
    body = uri.partition("#")[0]
    path, mark, query = body[host_end:].partition("?")
    reading = _Reading(leniency)
    pairs = _path_pairs(path, leniency)
    if not pairs:
        return _refused(
            len(body) - len(query) - len(mark), "no_gs1_dl_keys_found_in_path_info", "/01/ /00/ /8004/ …"
        )
    for known, start, end in pairs:
        reading.add(known, path[start:end], host_end + start, is_query=False)
    in_path = [known.ai for known, _, _ in pairs]
    if tuple(in_path) not in _sequences(pairs[0][0]):
        reading.faults.append(
            Fault(
                index=host_end + pairs[-1][1],
                reason="invalid_key_qualifier_sequence",
                expected=_expected_qualifiers(pairs[0][0]),
            )
        )
    if mark:
        _read_query(reading, query, host_end + len(path) + 1, pairs[0][0], in_path)
    return Read(elements=tuple(reading.elements), faults=tuple(reading.faults))


def _refused(index: int, reason: str, expected: str) -> Read:
    return Read(elements=(), faults=(Fault(index=index, reason=reason, expected=expected),))


def _host_mistake(host: str) -> int | None:
    """Where the name or address of a server stops being one. Nobody's name and password belongs on a label."""
    name, port = host, ""
    if host.startswith("["):
        address, _, rest = host[1:].partition("]")
        try:
            IPv6Address(address)
        except AddressValueError:
            return 1
        if "%" in address or (rest and not rest.startswith(":")):
            return 1
        port = rest[1:]
        has_port = bool(rest)
    else:
        name, colon, port = host.partition(":")
        has_port = bool(colon)
        labels = name.removesuffix(".").split(".")
        if len(name) > 253 or any(_LABEL.fullmatch(label) is None for label in labels):
            return 0
    if has_port and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        return len(host) - len(port)
    return None


def _path_pairs(path: str, leniency: Leniency) -> list[tuple[ApplicationIdentifier, int, int]]:
    """Identifiers in the path and where their values begin and end, from the last primary key on; the rest is stem."""
    pieces = path.split("/")
    starts = [sum(len(piece) + 1 for piece in pieces[:number]) for number in range(len(pieces))]
    pairs: list[tuple[ApplicationIdentifier, int, int]] = []
    for number in range(len(pieces) - 2, 0, -2):
        known = _known(pieces[number], leniency)
        if known is None:
            return []
        start = starts[number + 1]
        pairs.insert(0, (known, start, start + len(pieces[number + 1])))
        if known.qualifiers is not None:
            return pairs
    return []


def _known(name: str, leniency: Leniency) -> ApplicationIdentifier | None:
    return lookup(NAMES.get(name, name) if leniency.names else name, leniency)


def _sequences(key: ApplicationIdentifier) -> set[tuple[str, ...]]:
    """All that may stand in the path with this key: any of its qualifiers, in their order."""
    assert key.qualifiers is not None
    return {
        (key.ai, *(ai for ai, taken in zip(one, choice, strict=True) if taken))
        for one in key.qualifiers
        for choice in product((False, True), repeat=len(one))
    }


def _expected_qualifiers(key: ApplicationIdentifier) -> str:
    return " | ".join("".join(f"/{ai}/…" for ai in one) for one in key.qualifiers or ()) or f"/{key.ai}/…"


def _read_query(
    reading: _Reading, query: str, start: int, key: ApplicationIdentifier, in_path: Sequence[str]
) -> None:
    for at, name, raw in _parameters(query):
        if raw is None:
            continue  # a word without a value is somebody else's
        known = _known(name, reading.leniency)
        here = start + at
        if known is None:
            if name.isascii() and name.isdigit():
                reading.faults.append(Fault(index=here, reason="unknown_ai_in_query_params", expected="AI"))
            continue
        if any(one.ai == known.ai for one in reading.elements):
            reading.faults.append(Fault(index=here, reason="duplicate_ai", expected=f"1 × {known.ai}"))
        elif known.is_attribute is False or (
            known.is_attribute is None and not reading.leniency.unknown_attributes
        ):
            reading.faults.append(
                Fault(index=here, reason="ai_is_not_valid_data_attribute", expected="17 37 99 …")
            )
        elif _fits_into(in_path, known.ai, _sequences(key)):
            reading.faults.append(
                Fault(index=here, reason="ai_should_be_in_path_info", expected=_expected_qualifiers(key))
            )
        reading.add(known, raw, here + len(name) + 1, is_query=True)


def _parameters(query: str) -> Iterator[tuple[int, str, str | None]]:
    """Where each begins, its name and its value; None where it has no equals sign."""
    place = 0
    for one in query.split("&"):
        name, equals, value = one.partition("=")
        if one:
            yield place, name, value if equals else None
        place += len(one) + 1


def _fits_into(in_path: Sequence[str], ai: str, sequences: set[tuple[str, ...]]) -> bool:
    return any((*in_path[:place], ai, *in_path[place:]) in sequences for place in range(1, len(in_path) + 1))


def _decoded(raw: str, *, plus_is_blank: bool) -> tuple[str, list[int]]:
    """Percent signs undone; and where in `raw` each character of the value, and its end, stands."""
    value = ""
    places: list[int] = []
    place = 0
    while place < len(raw):
        places.append(place)
        if re.match("%[0-9A-Fa-f]{2}", raw[place:]):
            value += chr(int(raw[place + 1 : place + 3], 16))
            place += 3
        else:
            value += " " if plus_is_blank and raw[place] == "+" else raw[place]
            place += 1
    return value, [*places, len(raw)]


def digital_link(
    elements: Sequence[Element], *, stem: str = CANONICAL_STEM, leniency: Leniency = STRICT
) -> tuple[str, tuple[Fault, ...]]:
    """The address of these elements, and what hinders it. The first primary key is the key; with the most of its
    qualifiers in the path, the rest in the query, those of fixed length first."""
    once = [one for number, one in enumerate(elements) if not _is_there(one, elements[:number])]
    faults = list(pairing_faults(once))
    key = next((one for one in once if one.known.qualifiers is not None), None)
    if key is None:
        return "", (Fault(index=0, reason="no_gs1_dl_keys", expected="(01) (00) (8004) …"),)
    assert key.known.qualifiers is not None
    by_ai = {one.ai: one for one in once}
    chosen = max(key.known.qualifiers, key=lambda one: sum(ai in by_ai for ai in one))
    in_path = [key, *(by_ai[ai] for ai in chosen if ai in by_ai)]
    rest = [one for one in once if one not in in_path]
    for one in rest:
        if one.known.is_attribute is False or (
            one.known.is_attribute is None and not leniency.unknown_attributes
        ):
            faults.append(
                Fault(index=one.index, reason="ai_is_not_valid_data_attribute", expected="17 37 99 …")
            )
    path = "".join(f"/{one.ai}/{quote(one.value, safe='')}" for one in in_path)
    ordered = sorted(rest, key=lambda one: one.known.needs_separator)
    query = "&".join(f"{one.ai}={quote(one.value, safe='')}" for one in ordered)
    return stem.removesuffix("/") + path + (f"?{query}" if query else ""), tuple(faults)


def _is_there(one: Element, among: Sequence[Element]) -> bool:
    return any(other.ai == one.ai and other.value == one.value for other in among)


def without_names(uri: str) -> str:
    """The same address with numbers for the names of older versions: `/gtin/` becomes `/01/`, `lot=` `10=`."""
    address, mark, query = uri.partition("?")
    head = re.match("[A-Za-z]+://[^/]*", address)
    start = head.end() if head else 0
    path = "/".join(NAMES.get(piece, piece) for piece in address[start:].split("/"))
    parameters = [one.partition("=") for one in query.split("&")]
    changed = "&".join(NAMES.get(name, name) + equals + value for name, equals, value in parameters)
    return address[:start] + path + mark + changed
