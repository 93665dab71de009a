"""EPCIS documents, JSON-LD and XML, to events: one tree for both, in the element names of the XML binding.

The JSON binding leaves out the names of list members (`epcList` holds strings, not `epc` elements) and writes words of
the vocabulary bare (`"inspecting"`); both are put back. Source: EPCIS 2.0, 9 and 10; CBV 2.0, 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

CBV = "https://ref.gs1.org/cbv/"
VOC = "https://gs1.org/voc/"

_WORDS: Mapping[tuple[str, str], str] = {
    ("", "bizStep"): f"{CBV}BizStep-",
    ("", "disposition"): f"{CBV}Disp-",
    ("persistentDisposition", "set"): f"{CBV}Disp-",
    ("persistentDisposition", "unset"): f"{CBV}Disp-",
    ("bizTransaction", "type"): f"{CBV}BTT-",
    ("source", "type"): f"{CBV}SDT-",
    ("destination", "type"): f"{CBV}SDT-",
    ("sensorReport", "type"): VOC,
    ("sensorReport", "exception"): VOC,
    ("sensorReport", "component"): f"{CBV}Comp-",
}
"""Which vocabulary a bare word belongs to, by the element it is in and its own name."""

PAIRS = ("bizTransaction", "source", "destination")
"""Elements of a type and a value."""

_MEMBERS: Mapping[str, str] = {
    "epcList": "epc",
    "inputEPCList": "epc",
    "outputEPCList": "epc",
    "childEPCs": "epc",
    "quantityList": "quantityElement",
    "childQuantityList": "quantityElement",
    "inputQuantityList": "quantityElement",
    "outputQuantityList": "quantityElement",
}
"""Names of list members; others are their list's name without `List`."""

_STANDARD = re.compile("https?://ref[.]gs1[.]org/standards/epcis/")
"""Contexts of the standard's own names, whatever its version: every answer has them."""

_COMMENTS = ("rdfs:comment", "comment", "@context", "#text")
_XML_PREFIXES = {"gs1:": VOC, "cbv:": CBV}


class NoEvents(ValueError):
    """No EPCIS document, or one that holds no list of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An element: its name, with `{namespace}` in front where it is the user's own, its text and what is in it.

    is_pair  type and value, in this order
    """

    name: str
    value: str = ""
    children: tuple[Node, ...] = ()
    is_pair: bool = False


def events_of_json(document: Mapping[str, Any]) -> tuple[Node, ...]:
    """The events of a document, of a query's results, or a bare event. Raises NoEvents."""
    prefixes = _prefixes(document.get("@context"))
    ignored = _ignored_json(document, prefixes)
    return tuple(_without(_event(event, prefixes), ignored) for event in json_events(document))


def json_events(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events as they stand in a document. Raises NoEvents."""
    body = document.get("epcisBody")
    found: Any = None
    if isinstance(body, Mapping):
        results = body.get("queryResults")
        if isinstance(results, Mapping) and isinstance(results.get("resultsBody"), Mapping):
            body = results["resultsBody"]
        found = body.get("eventList", [body["event"]] if "event" in body else None)
    elif str(document.get("type", "")).endswith("Event"):
        found = [document]
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise NoEvents("no epcisBody with an eventList")
    return found


def whole_events(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a document as each stands without it: with the names that the document declares beside the
    standard's in an `@context` of its own, and without the fields that it says are a repository's own. Raises NoEvents.
    """
    ignored = _ignored_json(document, _prefixes(document.get("@context")))
    return [_whole(event, document, ignored) for event in json_events(document)]


def own_context(event: Mapping[str, Any]) -> list[Any]:
    """What an event declares beside the standard's names."""
    context = event.get("@context")
    declared = context if isinstance(context, list) else [] if context is None else [context]
    return [one for one in declared if not (isinstance(one, str) and _STANDARD.match(one))]


def events_of_xml(text: str | bytes) -> tuple[Node, ...]:
    """Raises NoEvents, also for XML with a document type: nothing of ours needs one, and entities can be a bomb."""
    head = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if "<!DOCTYPE" in head or "<!ENTITY" in head:
        raise NoEvents("document types are not read")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, ValueError) as error:
        raise NoEvents(str(error)) from error
    events = root.find(".//EventList")
    if events is None:
        raise NoEvents("no EventList")
    ignored = {child.tag for one in root.iter() if one.tag.endswith("}ignoreFields") for child in one}
    return tuple(
        _without(_xml_node(event), ignored)
        for one in events
        for event in (one if one.tag == "extension" else (one,))
    )


# ------------------------------------------------------------------ JSON


def _prefixes(context: object) -> dict[str, str]:
    """Namespaces that the document itself declares."""
    declared = context if isinstance(context, list) else [context]
    return {
        prefix: namespace
        for one in declared
        if isinstance(one, Mapping)
        for prefix, namespace in one.items()
        if isinstance(namespace, str)
    }


def _ignored_json(document: Mapping[str, Any], prefixes: Mapping[str, str]) -> set[str]:
    """Fields that the document, or the results in it, say are a repository's own. None of the standard's is, and those
    alone have no prefix."""
    names: set[str] = set()
    waiting: list[Mapping[str, Any]] = [document]
    while waiting:
        for key, value in waiting.pop().items():
            if key.endswith(":ignoreFields") and isinstance(value, list):
                names.update(_name(str(field), prefixes) for field in value if ":" in str(field))
            elif isinstance(value, Mapping) and key != "@context":
                waiting.append(value)
    return names


def _whole(event: Mapping[str, Any], document: Mapping[str, Any], ignored: set[str]) -> dict[str, Any]:
    declared = own_context(document)
    declared += [one for one in own_context(event) if one not in declared]
    prefixes = _prefixes(declared)
    told = {
        name: value
        for name, value in event.items()
        if name != "@context" and _name(name, prefixes) not in ignored
    }
    return {"@context": declared, **told} if declared else told


def _event(event: Mapping[str, Any], prefixes: Mapping[str, str]) -> Node:
    prefixes = {**prefixes, **_prefixes(event.get("@context"))}
    return Node(name=str(event.get("type", "")), children=tuple(_fields(event, "", prefixes)))


def _fields(fields: Mapping[str, Any], parent: str, prefixes: Mapping[str, str]) -> Iterator[Node]:
    for key, value in fields.items():
        if key not in _COMMENTS and not (parent == "" and key == "type"):
            yield from _field(_name(key, prefixes), value, parent, prefixes)


def _field(name: str, value: Any, parent: str, prefixes: Mapping[str, str]) -> Iterator[Node]:
    if name in _MEMBERS or name.endswith("List"):
        member = _MEMBERS.get(name, name.removesuffix("List"))
        listed = value if isinstance(value, list) else [value]
        yield Node(name=name, children=tuple(_node(member, one, name, prefixes) for one in listed))
    elif isinstance(value, list):
        for one in value:
            yield _node(name, one, parent, prefixes)
    else:
        yield _node(name, value, parent, prefixes)


def _node(name: str, value: Any, parent: str, prefixes: Mapping[str, str]) -> Node:
    if not isinstance(value, Mapping):
        return Node(name=name, value=_text(value, parent, name, prefixes))
    children = tuple(_fields(value, name, prefixes))
    if name in PAIRS:
        return _pair(children)
    text = value.get("#text")
    return Node(name=name, value="" if text is None else str(text), children=children)


def _pair(children: tuple[Node, ...]) -> Node:
    return Node(name="", children=tuple(sorted(children, key=lambda one: one.name != "type")), is_pair=True)


def _text(value: Any, parent: str, name: str, prefixes: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    vocabulary = _WORDS.get((parent, name))
    if vocabulary is not None and re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", text):
        return vocabulary + text
    prefix, colon, rest = text.partition(":")
    return prefixes[prefix] + rest if colon and prefix in prefixes else text


def _name(key: str, prefixes: Mapping[str, str]) -> str:
    prefix, colon, rest = key.partition(":")
    return f"{{{prefixes[prefix]}}}{rest}" if colon and prefix in prefixes else key


# ------------------------------------------------------------------ XML


def _xml_node(element: ElementTree.Element) -> Node:
    attributes = [Node(name=name, value=_xml_text(value)) for name, value in element.items()]
    children = tuple(child for one in element for child in _unwrapped(one))
    text = _xml_text((element.text or "").strip())
    if element.tag in PAIRS:
        return _pair((*attributes, Node(name=element.tag, value=text)))
    return Node(name=element.tag, value=text, children=(*attributes, *children))


def _unwrapped(element: ElementTree.Element) -> Iterator[Node]:
    """Wrappers of older versions of the schema mean nothing."""
    if element.tag in ("extension", "baseExtension"):
        for child in element:
            yield from _unwrapped(child)
    else:
        yield _xml_node(element)


def _xml_text(text: str) -> str:
    for prefix, namespace in _XML_PREFIXES.items():
        if text.startswith(prefix):
            return namespace + text.removeprefix(prefix)
    return text


def _without(event: Node, ignored: set[str]) -> Node:
    if not ignored:
        return event
    return Node(name=event.name, children=tuple(one for one in event.children if one.name not in ignored))
