"""GS1 elements: an Application Identifier and its value. Read from element strings and from their bracketed form.

    ^010952012345678821ABC^17261231        as scanners send them; ^ stands for FNC1, in text the character U+001D
    (01)09520123456788(21)ABC(17)261231    as printed below a symbol

What an identifier holds is in `application_identifiers.txt`. Source: GS1 General Specifications 25, 3 and 7.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from traceability.identifiers.faults import Fault
from traceability.identifiers.gs1.checks import CHARACTER_SETS, CHECKS

SEPARATORS = "^\x1d"
"""FNC1: in GS1's own test data, and as scanners put it into text."""

SYMBOLOGIES = ("]C1", "]e0", "]d2", "]Q3", "]J1", "]L6")
"""AIM symbology identifiers of symbols that hold GS1 elements: Code 128, DataBar, DataMatrix, QR, DotCode, PDF417."""

_UNKNOWN_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        **{f"{prefix:02}": 2 for prefix in (*range(5), *range(10, 23), 30, 37, *range(90, 100))},
        **{f"{prefix:02}": 3 for prefix in (23, 24, 25, 40, 41, 42, 71)},
        **{f"{prefix:02}": 4 for prefix in (*range(31, 37), 39, 43, 70, 72, 80, 81, 82)},
    }
)
"""How many digits identifiers with these first two have, those not yet given away included (7.8.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a value: how long, of which characters, and which checks it must pass."""

    characters: str
    shortest: int
    longest: int
    is_optional: bool
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationIdentifier:
    """What an identifier stands for.

    needs_separator  whether FNC1 must follow its value where more follows
    is_attribute     whether a Digital Link may have it in its query; None: nobody knows
    requires         for each of these, one of its groups must be there as a whole; `nn` stands for any digits
    excludes         none of these may be there
    qualifiers       None where it is no primary key; else sequences of what may qualify it, of which one is chosen
    """

    ai: str
    title: str
    needs_separator: bool
    is_attribute: bool | None
    parts: tuple[Part, ...]
    requires: tuple[tuple[tuple[str, ...], ...], ...] = ()
    excludes: tuple[str, ...] = ()
    qualifiers: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One identifier and its value. `index` says where in the text that was read the value begins."""

    known: ApplicationIdentifier
    value: str
    index: int

    @property
    def ai(self) -> str:
        return self.known.ai


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read: elements in their order, and every fault. With faults the elements are what could be made out."""

    elements: tuple[Element, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leniency:
    """What older labels hold and a strict reader refuses.

    short_gtins         GTINs of 8, 12 or 13 digits in a Digital Link, to be filled up with zeros
    names               `gtin`, `ser`, `lot` … for 01, 21, 10 … in a Digital Link
    unknown             identifiers that are not given away yet, in brackets and queries
    unknown_attributes  such ones as attributes of a Digital Link
    """

    short_gtins: bool = False
    names: bool = False
    unknown: bool = False
    unknown_attributes: bool = False


STRICT = Leniency()


@cache
def table() -> Mapping[str, ApplicationIdentifier]:
    """Every identifier that GS1 has given away, by its digits."""
    text = (
        files("traceability.identifiers.gs1")
        .joinpath("application_identifiers.txt")
        .read_text(encoding="utf-8")
    )
    known: dict[str, ApplicationIdentifier] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            known.update((entry.ai, entry) for entry in _entries(line))
    return MappingProxyType(known)


def _entries(line: str) -> Iterator[ApplicationIdentifier]:
    body, _, title = line.partition(" # ")
    ais, *words = body.split()
    flags = words.pop(0) if re.fullmatch("[*?]+", words[0]) else ""
    parts = tuple(_part(word) for word in words if re.match(r"\[?[NXYZ]\.*\d", word))
    pairs = [word for word in words if re.match("req=|ex=|dlpkey", word)]
    keys = [word.partition("=")[2] for word in pairs if word.startswith("dlpkey")]
    first, _, last = ais.partition("-")
    for number in range(int(first), int(last or first) + 1):
        yield ApplicationIdentifier(
            ai=f"{number:0{len(first)}}",
            title=title,
            needs_separator="*" not in flags,
            is_attribute="?" in flags,
            parts=parts,
            requires=tuple(
                tuple(tuple(group.split("+")) for group in word.removeprefix("req=").split(","))
                for word in pairs
                if word.startswith("req=")
            ),
            excludes=tuple(
                other
                for word in pairs
                if word.startswith("ex=")
                for other in word.removeprefix("ex=").split(",")
            ),
            qualifiers=tuple(tuple(one.split(",")) if one else () for one in keys[0].split("|"))
            if keys
            else None,
        )


def _part(word: str) -> Part:
    form, *checks = word.split(",")
    found = re.fullmatch(r"(\[?)([NXYZ])(\.\.)?(\d+)\]?", form)
    assert found is not None, word
    optional, characters, ranged, length = found.groups()
    return Part(
        characters=characters,
        shortest=1 if ranged else int(length),
        longest=int(length),
        is_optional=bool(optional),
        checks=tuple(checks),
    )


def _unknown(ai: str) -> ApplicationIdentifier:
    part = Part(characters="X", shortest=1, longest=90, is_optional=False, checks=())
    return ApplicationIdentifier(ai=ai, title="", needs_separator=True, is_attribute=None, parts=(part,))


def lookup(ai: str, leniency: Leniency = STRICT) -> ApplicationIdentifier | None:
    """The identifier of exactly these digits."""
    known = table().get(ai)
    if known is not None or not leniency.unknown or re.fullmatch("[0-9]{2,4}", ai) is None:
        return known
    return _unknown(ai) if _UNKNOWN_LENGTHS.get(ai[:2], len(ai)) == len(ai) else None


def value_faults(known: ApplicationIdentifier, value: str) -> tuple[int, tuple[Fault, ...]]:
    """How much of `value` the identifier takes, and what is wrong with that: at most one fault for each part."""
    place = 0
    faults: list[Fault] = []
    for part in known.parts:
        piece = value[place : place + part.longest]
        if part.is_optional and not piece:
            continue
        fault = _part_fault(part, piece)
        if fault is not None:
            faults.append(fault.moved(place))
        place += len(piece)
    return place, tuple(faults)


def _part_fault(part: Part, piece: str) -> Fault | None:
    fault = CHARACTER_SETS[part.characters](piece)
    if fault is not None:
        return fault
    if len(piece) < part.shortest:
        expected = f"{part.shortest} × {'0-9' if part.characters == 'N' else 'A-Z 0-9 …'}"
        return Fault(index=len(piece), reason="ai_data_too_short", expected=expected)
    return next((found for check in part.checks if (found := CHECKS[check](piece)) is not None), None)


def complete_value_faults(known: ApplicationIdentifier, value: str) -> tuple[Fault, ...]:
    """The same for a value of which nothing may be left over."""
    if not value:
        return (Fault(index=0, reason="ai_value_is_empty", expected="0-9 A-Z …"),)
    taken, faults = value_faults(known, value)
    if taken < len(value):
        return (*faults, Fault(index=taken, reason="ai_data_too_long", expected=f"≤ {taken}"))
    return faults


def read_element_string(text: str) -> Read:
    """The elements of what a scanner sent, FNC1 first. A symbology identifier may stand for that FNC1."""
    place = next((len(one) for one in SYMBOLOGIES if text.startswith(one)), 0)
    if text[place : place + 1] and text[place] in SEPARATORS:
        place += 1
    elif place == 0:
        return Read(
            elements=(), faults=(Fault(index=0, reason="missing_fnc1_in_first_position", expected="FNC1"),)
        )
    if place == len(text):
        return Read(elements=(), faults=(Fault(index=place, reason="ai_data_is_empty", expected="0-9"),))
    elements: list[Element] = []
    faults: list[Fault] = []
    while place < len(text):
        end = next((at for at in range(place, len(text)) if text[at] in SEPARATORS), len(text))
        known = next(
            (table()[text[place:to]] for to in range(place + 2, place + 5) if text[place:to] in table()), None
        )
        if known is None:
            faults.append(Fault(index=place, reason="no_ai_for_prefix", expected="AI"))
            place = end + 1
            continue
        start = place + len(known.ai)
        taken, wrong = value_faults(known, text[start:end])
        faults += [fault.moved(start) for fault in wrong]
        elements.append(Element(known=known, value=text[start : start + taken], index=start))
        place = start + taken
        if place < end and known.needs_separator:
            faults.append(Fault(index=place, reason="ai_data_too_long", expected="FNC1"))
            place = end
        elif taken == 0 and not wrong:
            faults.append(Fault(index=start, reason="ai_value_is_empty", expected="0-9 A-Z …"))
        if place == end:
            place += 1
    return Read(elements=tuple(elements), faults=tuple(faults))


def read_bracketed(text: str, leniency: Leniency = STRICT) -> Read:
    r"""The elements of the form with brackets. A bracket in a value is written `\(`."""
    elements: list[Element] = []
    faults: list[Fault] = []
    place = 0
    if not text:
        faults.append(Fault(index=0, reason="ai_data_is_empty", expected="("))
    while place < len(text):
        if text[place] != "(":
            faults.append(Fault(index=place, reason="opening_bracket_missing", expected="("))
            break
        closing = text.find(")", place)
        if closing < 0:
            faults.append(Fault(index=len(text), reason="closing_bracket_missing", expected=")"))
            break
        known = lookup(text[place + 1 : closing], leniency)
        start = closing + 1
        value, places, place = _bracketed_value(text, start)
        if known is None:
            faults.append(
                Fault(
                    index=closing - len(text[:closing].rpartition("(")[2]),
                    reason="ai_unrecognised",
                    expected="AI",
                )
            )
            continue
        faults += [
            Fault(index=places[fault.index], reason=fault.reason, expected=fault.expected)
            for fault in complete_value_faults(known, value)
        ]
        elements.append(Element(known=known, value=value, index=start))
    return Read(elements=tuple(elements), faults=tuple(faults))


def _bracketed_value(text: str, start: int) -> tuple[str, list[int], int]:
    """The value from `start` on, where each of its characters and its end stand, and where the next bracket is."""
    value = ""
    places: list[int] = []
    place = start
    while place < len(text) and text[place] != "(":
        if text.startswith("\\(", place):
            place += 1
        value += text[place]
        places.append(place)
        place += 1
    return value, [*places, place], place


def bracketed(elements: Sequence[Element]) -> str:
    return "".join(f"({one.ai}){one.value.replace('(', chr(92) + '(')}" for one in elements)


def element_string(elements: Sequence[Element], separator: str = "^") -> str:
    """As a symbol holds them: FNC1 first, and behind values of no fixed length where more follows."""
    text = separator
    for place, one in enumerate(elements):
        text += one.ai + one.value
        if one.known.needs_separator and place < len(elements) - 1:
            text += separator
    return text


def pairing_faults(elements: Sequence[Element]) -> tuple[Fault, ...]:
    """What must go together and does not, what must not and does, and what is there twice with two values.

    To be asked of all that marks one item: one label may carry what the other one lacks (7.8.7).
    """
    there = {one.ai for one in elements}
    faults: list[Fault] = []
    for number, one in enumerate(elements):
        if any(other.ai == one.ai and other.value != one.value for other in elements[:number]):
            faults.append(
                Fault(index=one.index, reason="repeated_ai_with_other_value", expected=f"({one.ai})")
            )
        for other in sorted(there - {one.ai}):
            if any(_matches(other, pattern) for pattern in one.known.excludes):
                faults.append(
                    Fault(index=one.index, reason="ais_exclude_each_other", expected=f"≠ ({other})")
                )
        for groups in one.known.requires:
            if not any(all(_has(there - {one.ai}, ai) for ai in group) for group in groups):
                expected = " / ".join(" + ".join(f"({ai})" for ai in group) for group in groups)
                faults.append(Fault(index=one.index, reason="required_ai_missing", expected=expected))
    return tuple(faults)


def _has(there: set[str], pattern: str) -> bool:
    return any(_matches(ai, pattern) for ai in there)


def _matches(ai: str, pattern: str) -> bool:
    return re.fullmatch(pattern.replace("n", "[0-9]"), ai) is not None
