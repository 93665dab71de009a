from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.builders import an_inspection
from tests.where import vectors
from traceability.codes import CodeRegister
from traceability.errors import LinkRefused, NodeUnreachable, UnitUnknown
from traceability.identifiers import parse
from traceability.nodes import HandleNode
from traceability.resolution import (
    DEFAULT_LINK,
    VOC,
    Link,
    Resolver,
    Wanted,
    choose,
    handle_values,
    linkset,
    public_values,
    selected_values,
)
from traceability.store import TraceStore

HERE = "https://plant.example"
PART = parse("(01)09520123456788(21)A7")
ITEM = parse("(01)09520123456788")
COIL = parse("86.100.12/COIL-1")
FOREIGN = parse("86.200.9/P-1")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_link(name: str, **overrides: Any) -> Link:
    given = {"relation": f"{VOC}{name}", "href": f"https://maker.example/{name}", "title": name, **overrides}
    return Link(**given)


@pytest.fixture
def resolver(store: TraceStore) -> Resolver:
    store.record([an_inspection(unit=COIL), an_inspection(unit=PART)])
    return Resolver(store)


def led_to(resolver: Resolver, code: Any, name: str | None = None, **wanted: Any) -> str | None:
    resolved = resolver.resolve(code, address=HERE)
    link = choose(resolved, relation=None if name is None else f"{VOC}{name}", wanted=Wanted(**wanted))
    return None if link is None else link.href


def test_a_unit_on_record_leads_to_its_page_whatever_its_scheme(resolver: Resolver):
    assert led_to(resolver, COIL) == f"{HERE}/id/86.100.12/COIL-1"
    assert led_to(resolver, PART) == f"{HERE}/id/%2801%2909520123456788%2821%29A7"


def test_every_code_of_a_unit_leads_to_it(resolver: Resolver, store: TraceStore):
    CodeRegister(store).bind(parse("C-7"), COIL)
    assert resolver.resolve(parse("C-7"), address=HERE).record == resolver.resolve(COIL, address=HERE).record


def test_a_vaa_code_leads_to_the_unit_that_is_on_record_in_its_handle_form(
    resolver: Resolver, store: TraceStore
):
    store.record([an_inspection(unit=parse("088.100.12345678/abc"))])
    assert resolver.resolve(parse("VAA08810012345678/abc"), address=HERE).record is not None


def test_nothing_is_known_of_a_code_that_nobody_recorded(resolver: Resolver):
    with pytest.raises(UnitUnknown):
        resolver.resolve(parse("86.100.12/NEVER"), address=HERE)


def test_a_serial_number_inherits_the_links_of_its_trade_item(resolver: Resolver):
    resolver.register(ITEM, a_link("pip", is_default=True))
    resolver.register(ITEM, a_link("instructions"))
    unseen = parse("(01)09520123456788(21)NEVER")
    assert led_to(resolver, unseen) == "https://maker.example/pip"
    assert led_to(resolver, PART, "instructions") == "https://maker.example/instructions"
    assert led_to(resolver, PART) == f"{HERE}/id/%2801%2909520123456788%2821%29A7", "the narrowest default"
    assert led_to(resolver, PART, "recallStatus") is None


def test_the_set_of_links_has_every_level_and_tells_a_default_by_its_kind_too(resolver: Resolver):
    resolver.register(ITEM, a_link("pip", is_default=True, media_type="text/html", languages=("en",)))
    told = linkset(resolver.resolve(PART, address=HERE))["linkset"]
    assert [level["anchor"] for level in told] == [
        f"{HERE}/01/09520123456788/21/A7",
        f"{HERE}/01/09520123456788",
    ]
    item = told[1]
    assert item[DEFAULT_LINK] == [{"href": "https://maker.example/pip", "title": "pip"}]
    assert item[f"{VOC}pip"][0] == {
        "href": "https://maker.example/pip",
        "title": "pip",
        "type": "text/html",
        "hreflang": ["en"],
    }


def test_links_have_the_shape_of_gs1s_model(resolver: Resolver):
    model = json.loads(vectors("resolver_suite", "modelLinkset.json").read_text(encoding="utf-8"))
    allowed = {
        key
        for level in model["linkset"]
        for links in level.values()
        if isinstance(links, list)
        for one in links
        for key in one
    }
    told = linkset(resolver.resolve(PART, address=HERE))
    assert set(told) == set(model)
    for level in told["linkset"]:
        for relation, links in level.items():
            if relation != "anchor":
                assert relation.startswith("https://ref.gs1.org/voc/")
                assert all({"href", "title"} <= set(link) <= allowed for link in links)


def test_the_language_and_the_market_of_the_asker_choose_among_links_of_a_kind(resolver: Resolver):
    for language in ("en", "zh"):
        resolver.register(
            ITEM, a_link("pip", href=f"https://maker.example/{language}", languages=(language,))
        )
    resolver.register(ITEM, a_link("pip", href="https://maker.example/cn", languages=("zh",), context="CN"))
    assert led_to(resolver, ITEM, "pip", languages=["zh-CN", "en"]) == "https://maker.example/zh"
    assert led_to(resolver, ITEM, "pip", languages=["de", "en"]) == "https://maker.example/en"
    assert led_to(resolver, ITEM, "pip", languages=["zh"], context="CN") == "https://maker.example/cn"
    resolver.register(
        ITEM, a_link("certificationInfo", href="https://c.example/pdf", media_type="application/pdf")
    )
    resolver.register(
        ITEM, a_link("certificationInfo", href="https://c.example/html", media_type="text/html")
    )
    chosen = led_to(resolver, ITEM, "certificationInfo", media_types=["text/html", "*/*"])
    assert chosen == "https://c.example/html"


def test_a_new_default_takes_the_old_ones_place_and_a_voided_link_is_gone(resolver: Resolver):
    resolver.register(ITEM, a_link("pip", is_default=True))
    resolver.register(ITEM, a_link("homepage", is_default=True))
    assert led_to(resolver, ITEM) == "https://maker.example/homepage"
    assert resolver.void(ITEM, "https://maker.example/pip") == 1
    assert led_to(resolver, ITEM, "pip") is None


@pytest.mark.parametrize(
    ("field", "value"), [("href", "javascript:alert(1)"), ("relation", "pip"), ("title", " ")]
)
def test_a_link_that_no_browser_should_follow_is_refused(resolver: Resolver, field: str, value: str):
    with pytest.raises(LinkRefused) as refused:
        resolver.register(ITEM, a_link("pip", **{field: value}))
    assert refused.value.facts["field"] == field


def test_handle_values_have_the_shape_of_the_published_sample(resolver: Resolver):
    sample = json.loads(vectors("handle", "handle_rest_samples.json").read_text(encoding="utf-8"))
    theirs = next(one for one in sample["resolve_ok"]["body"]["values"] if one["type"] == "URL")
    ours = handle_values(resolver.resolve(COIL, address=HERE))[0]
    assert (set(ours), ours["type"], set(ours["data"])) == (set(theirs), "URL", set(theirs["data"]))
    assert datetime.fromisoformat(ours["timestamp"])
    assert isinstance(ours["ttl"], int)


def test_values_are_chosen_by_index_or_type_or_a_family_of_types():
    values = [{"index": 1, "type": "URL"}, {"index": 2, "type": "URL.CN"}, {"index": 3, "type": "EMAIL"}]

    def chosen(**asked: Any) -> list[int]:
        return [one["index"] for one in selected_values(values, **{"indexes": (), "types": (), **asked})]

    assert chosen() == [1, 2, 3]
    assert chosen(types=["URL"]) == [1]
    assert chosen(types=["URL."]) == [1, 2]
    assert chosen(types=["URL"], indexes=[3]) == [1, 3]
    assert chosen(types=["NOPE"]) == []


def test_administrators_and_keys_are_nobodys_business():
    sample = json.loads(vectors("handle", "handle_rest_samples.json").read_text(encoding="utf-8"))
    values = sample["resolve_ok"]["body"]["values"]
    assert {one["type"] for one in public_values(values)} == {one["type"] for one in values} - {"HS_ADMIN"}


# ------------------------------------------------------------------ other nodes


class ANode:
    """A resolver that answers what it is told to, and counts how often it is asked."""

    name = "https://node.example"

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.answer = answer
        self.is_away = False
        self.asked = 0

    def is_for(self, code: Any) -> bool:
        return str(code).startswith("86.200.")

    def ask(self, code: Any) -> dict[str, Any] | None:
        self.asked += 1
        if self.is_away:
            raise NodeUnreachable("away", action="wait", node=self.name, reason="away")
        return self.answer


def an_answer(ttl: object = 60) -> dict[str, Any]:
    value = {
        "index": 1,
        "type": "URL",
        "data": {"format": "string", "value": "https://p.example"},
        "ttl": ttl,
    }
    return {"responseCode": 1, "handle": str(FOREIGN), "values": [value]}


def test_a_code_of_another_node_is_asked_for_there_once_while_the_answer_is_fresh(store: TraceStore):
    node = ANode(an_answer())
    resolver = Resolver(store, nodes=[node])
    first = resolver.elsewhere(FOREIGN, now=NOW)
    assert (first["values"][0]["type"], first["stale"]) == ("URL", False)
    resolver.elsewhere(FOREIGN, now=NOW + timedelta(seconds=59))
    assert node.asked == 1
    resolver.elsewhere(FOREIGN, now=NOW + timedelta(seconds=61))
    resolver.elsewhere(FOREIGN, now=NOW + timedelta(seconds=62), anew=True)
    assert node.asked == 3


def test_without_a_network_an_old_answer_is_given_and_said_to_be_old(store: TraceStore):
    node = ANode(an_answer())
    resolver = Resolver(store, nodes=[node])
    resolver.elsewhere(FOREIGN, now=NOW)
    node.is_away = True
    later = Resolver(store, nodes=[node]).elsewhere(FOREIGN, now=NOW + timedelta(days=30))
    assert (later["values"], later["stale"]) == (an_answer()["values"], True)
    with pytest.raises(NodeUnreachable):
        resolver.elsewhere(parse("86.200.9/P-2"), now=NOW)


def test_a_code_that_its_node_does_not_know_is_asked_for_again_soon(store: TraceStore):
    node = ANode(None)
    resolver = Resolver(store, nodes=[node])
    for seconds in (0, 300, 900):
        with pytest.raises(UnitUnknown):
            resolver.elsewhere(FOREIGN, now=NOW + timedelta(seconds=seconds))
    assert node.asked == 2


def test_no_node_is_asked_for_a_code_that_is_none_of_its(store: TraceStore):
    node = ANode(an_answer())
    with pytest.raises(UnitUnknown):
        Resolver(store, nodes=[node]).elsewhere(parse("88.1/x"))
    assert node.asked == 0


@pytest.mark.parametrize("ttl", ["soon", -1, 0, True, None, 10**12])
def test_an_answer_is_kept_no_longer_than_a_day_whatever_its_ttl(store: TraceStore, ttl: object):
    node = ANode(an_answer(ttl))
    resolver = Resolver(store, nodes=[node])
    resolver.elsewhere(FOREIGN, now=NOW)
    resolver.elsewhere(FOREIGN, now=NOW + timedelta(days=2))
    assert node.asked == 2


def over_http(answer: Any) -> HandleNode:
    return HandleNode("https://node.example/", ["86", "20.500"], transport=httpx2.MockTransport(answer))


def test_a_nodes_recorded_records_are_understood():
    folder = vectors("handle", "pyhandle", "tests", "resources")
    files = [file for file in sorted(folder.iterdir()) if file.name.startswith("handlerecord")]
    assert files
    for file in files:
        record = json.loads(file.read_text(encoding="utf-8"))
        node = over_http(lambda request, record=record: httpx2.Response(200, json=record))
        answer = node.ask(FOREIGN)
        assert answer is not None
        assert answer["values"] == record["values"]


def test_a_handle_is_escaped_on_the_way_to_its_node():
    asked = []
    node = over_http(
        lambda request: asked.append(request.url) or httpx2.Response(404, json={"responseCode": 100})
    )
    assert node.ask(parse("86.1/a b?#%/c")) is None
    assert str(asked[0]) == "https://node.example/api/handles/86.1/a%20b%3F%23%25/c"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>"),
        httpx2.Response(500, json={"responseCode": 2}),
        httpx2.Response(200, json=[1]),
        httpx2.Response(200, json={"responseCode": 1, "values": "x"}),
        httpx2.Response(302, headers={"location": "http://elsewhere"}),
    ],
)
def test_an_answer_that_is_none_counts_as_no_answer(answer: httpx2.Response):
    with pytest.raises(NodeUnreachable) as refused:
        over_http(lambda request: answer).ask(FOREIGN)
    assert refused.value.facts["node"] == "https://node.example"


def test_a_node_that_cannot_be_reached_is_said():
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    with pytest.raises(NodeUnreachable):
        over_http(away).ask(FOREIGN)


def test_a_node_answers_for_its_prefix_and_all_below_it():
    node = over_http(lambda request: httpx2.Response(200))
    assert [node.is_for(parse(text)) for text in ("86.1.2/x", "86/x", "860.1/x", "20.500.12/x", "C-7")] == [
        True,
        True,
        False,
        True,
        False,
    ]
