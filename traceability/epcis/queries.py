"""What is asked for, and whether an event is that. Pure. Source: EPCIS 2.0, 8.2.7.1 (SimpleEventQuery)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from traceability.epcis.documents import CBV
from traceability.epcis.events import key_of_epc

_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "epcList": ("epc", "epc"),
    "childEPCs": ("child", "epc"),
    "inputEPCList": ("input", "epc"),
    "outputEPCList": ("output", "epc"),
    "quantityList": ("class", "epcClass"),
    "childQuantityList": ("class", "epcClass"),
    "inputQuantityList": ("input_class", "epcClass"),
    "outputQuantityList": ("output_class", "epcClass"),
}
"""As what the members of a list take part in an event, and the field of a member that names it."""

MATCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "MATCH_anyEPC": ("epc", "child", "parent", "input", "output"),
    "MATCH_epc": ("epc", "child"),
    "MATCH_parentID": ("parent",),
    "MATCH_inputEPC": ("input",),
    "MATCH_outputEPC": ("output",),
    "MATCH_epcClass": ("class",),
    "MATCH_inputEPCClass": ("input_class",),
    "MATCH_outputEPCClass": ("output_class",),
    "MATCH_anyEPCClass": ("class", "input_class", "output_class"),
}
"""Roles that a query parameter looks into."""

IN_ERROR: Final = "in_error"
"""As what an event takes part in the declaration that it is in error."""

_CLASSES: Final = frozenset(MATCHES["MATCH_anyEPCClass"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for; what is left out is not asked. Times: from, and up to but not including."""

    kinds: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    biz_steps: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    read_points: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    recorded_since: datetime | None = None
    recorded_until: datetime | None = None
    matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Place = tuple[datetime, str]
"""Where a page ends: the time and key of its last event."""


def place_of(event: Mapping[str, Any]) -> Place:
    return time_of(event["eventTime"]), key_of(event)


def key_of(event: Mapping[str, Any]) -> str:
    """What tells an event from all others. That is its id; but who declares an event to be in error says it once more
    under the same id, which no declaration is part of (CBV 2.0, 8.9). No id holds a blank."""
    id_, declared = str(event["eventID"]), event.get("errorDeclaration")
    if declared is None:
        return id_
    return f"{id_} {sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()}"


def time_of(text: str) -> datetime:
    """Of a time that the schema has let through."""
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00")).astimezone(UTC)


def items_of(event: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What an event names, and as what."""
    items = {("parent", key_of_epc(event["parentID"]))} if isinstance(event.get("parentID"), str) else set()
    if "errorDeclaration" in event:
        items.add((IN_ERROR, event["eventID"]))
    for name, (role, member) in _LISTS.items():
        for one in event.get(name, ()):
            epc = one.get(member) if isinstance(one, Mapping) else one
            if isinstance(epc, str):
                items.add((role, key_of_epc(epc)))
    return items


def kept_roles(parameter: str) -> tuple[str, ...]:
    """Roles under which the database may have what a parameter looks for.

    Earlier versions kept all classes as `class`, inputs and outputs too; `fits` tells them apart by the event itself.
    """
    roles = MATCHES[parameter]
    return (*roles, "class") if _CLASSES.intersection(roles) else roles


def has_words(
    query: Query, *, kind: str | None, action: str | None, biz_step: str | None, disposition: str | None
) -> bool:
    """Whether an event that says this may be what was asked for."""
    return all(
        not allowed or said in allowed
        for allowed, said in (
            (query.kinds, kind),
            (query.actions, action),
            (biz_steps(query), word(biz_step, "BizStep-")),
            (dispositions(query), word(disposition, "Disp-")),
        )
    )


def fits(event: Mapping[str, Any], query: Query) -> bool:
    """Whether an event, of ours or received, is what was asked for."""
    if not has_words(
        query,
        kind=event.get("type"),
        action=event.get("action"),
        biz_step=event.get("bizStep"),
        disposition=event.get("disposition"),
    ):
        return False
    if query.read_points and (event.get("readPoint") or {}).get("id") not in query.read_points:
        return False
    items = items_of(event) if query.matches else set()
    return all(
        any((role, key_of_epc(epc)) in items for role in MATCHES[parameter] for epc in epcs)
        for parameter, epcs in query.matches.items()
    )


def biz_steps(query: Query) -> list[str | None]:
    return [word(one, "BizStep-") for one in query.biz_steps]


def dispositions(query: Query) -> list[str | None]:
    return [word(one, "Disp-") for one in query.dispositions]


def word(text: str | None, kind: str) -> str | None:
    """A word of the vocabulary as its address."""
    if text is None:
        return None
    for older in ("urn:epcglobal:cbv:bizstep:", "urn:epcglobal:cbv:disp:"):
        text = text.removeprefix(older)
    return text if ":" in text else f"{CBV}{kind}{text}"
