"""Our schema of EPCIS documents against the one GS1 publishes, on its examples and on spoilt copies of them."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tests.where import vectors
from traceability.epcis import schema
from traceability.epcis.schema import is_time, is_uri, mistakes

SPOILERS = [None, "", "x", "urn:x:y", 7, -1.5, True, [], {}, ["x"], {"type": "x"}, "2026-11-20T10:00:00Z"]


@cache
def published() -> Draft7Validator:
    text = vectors("epcis", "EPCIS-JSON-Schema.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text), format_checker=schema._formats())


@cache
def examples() -> tuple[dict[str, Any], ...]:
    files = sorted(vectors("epcis", "JSON").rglob("*.jsonld"))
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in files)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        if step != "@context":
            found += places(inner, (*path, step))
    return found


def spoilt(document: dict[str, Any], path: tuple[Any, ...], how: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if how == "gone":
        del inner[path[-1]]
    elif how == "renamed" and isinstance(inner, dict):
        inner["notAField"] = inner.pop(path[-1])
    else:
        inner[path[-1]] = how
    return changed


def test_every_published_example_is_taken():
    assert len(examples()) > 20
    assert [told for document in examples() if (told := mistakes(document))] == []


@settings(max_examples=300)
@given(st.data())
def test_spoilt_documents_are_taken_and_refused_as_by_the_published_schema(data: st.DataObject):
    document = data.draw(st.sampled_from(examples()))
    path = data.draw(st.sampled_from(places(document)))
    changed = spoilt(document, path, data.draw(st.sampled_from(["gone", "renamed", *SPOILERS])))
    assert (mistakes(changed) == ()) == published().is_valid(changed)


def test_every_single_field_of_the_examples_is_missed_as_by_the_published_schema():
    for document in examples():
        for path in places(document):
            changed = spoilt(document, path, "gone")
            assert (mistakes(changed) == ()) == published().is_valid(changed), path


def test_a_mistake_is_told_with_its_place():
    document = next(one for one in examples() if one["type"] == "EPCISDocument")
    event = document["epcisBody"]["eventList"][0]
    told = mistakes(spoilt(document, ("epcisBody", "eventList", 0, "eventTime"), "yesterday"))
    assert event["eventTime"]
    assert told == ("epcisBody/eventList/0/eventTime: 'yesterday' is not a 'date-time'",)


@pytest.mark.parametrize("document", [None, 7, "x", [], {}, {"type": 7}, {"type": "x"}])
def test_what_is_no_document_at_all_is_refused(document: object):
    assert mistakes(document) != ()


def test_addresses_and_times_are_such():
    assert is_uri("https://id.gs1.org/01/09520123456788")
    assert is_uri("geo:50.9,6.9")
    assert not is_uri("no scheme")
    assert is_time("2026-11-20T10:00:00.123+08:00")
    assert not is_time("2026-11-20")
    assert not is_time("2026-02-30T10:00:00Z")
