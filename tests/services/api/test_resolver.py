"""The resolver over HTTP, by the statements of GS1's conformance suite and Handle's published codes."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx2
import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from tests.builders import an_inspection
from tests.services.signed_in import signed_in
from tests.where import vectors
from traceability.accounts import Role
from traceability.codes import CodeRegister
from traceability.identifiers import parse
from traceability.nodes import HandleNode
from traceability.resolution import VOC, Link, Resolver

PART = parse("(01)09520123456788(21)A7")
ITEM = parse("(01)09520123456788")
COIL = parse("86.100.12/COIL-1")


@pytest.fixture
def resolver(station):
    station.finishes(an_inspection(unit=COIL, verdict=Verdict.REJECT))
    station.finishes(an_inspection(unit=PART))
    made = Resolver(station.store)
    made.register(
        ITEM, Link(relation=f"{VOC}pip", href="https://maker.example/pip", title="Product", is_default=True)
    )
    return made


@pytest.fixture
def asked(client, resolver):
    def ask(url: str, method: str = "GET", **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(method, url, headers=named, follow_redirects=False)

    return ask


def test_a_digital_link_leads_to_the_default_with_its_query_passed_on(asked):
    answer = asked("/01/09520123456788?17=261231&who=me")
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        "https://maker.example/pip?17=261231&who=me",
    )
    assert 'rel="linkset"' in answer.headers["link"]


@pytest.mark.parametrize(
    ("how", "headers"),
    [("?linkType=linkset", {}), ("?linkType=all", {}), ("", {"accept": "application/linkset+json"})],
)
def test_the_set_of_links_is_had_by_parameter_or_by_header(asked, how, headers):
    answer = asked(f"/01/09520123456788/21/A7{how}", **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/linkset+json")
    told = answer.json()["linkset"]
    assert [level["anchor"] for level in told] == [
        "http://testserver/01/09520123456788/21/A7",
        "http://testserver/01/09520123456788",
    ]
    assert "json-ld#context" in answer.headers["link"]


def test_every_level_of_the_path_up_to_the_key_is_in_the_set(asked, resolver):
    resolver.register(
        parse("(01)09520123456788(10)L1"),
        Link(relation=f"{VOC}certificationInfo", href="https://maker.example/lot", title="Lot"),
    )
    told = asked("/01/09520123456788/10/L1/21/A7?linkType=linkset").json()["linkset"]
    assert [level["anchor"].removeprefix("http://testserver") for level in told] == [
        "/01/09520123456788/21/A7",
        "/01/09520123456788/10/L1",
        "/01/09520123456788",
    ]


@pytest.mark.parametrize("name", ["gs1:pip", "https://ref.gs1.org/voc/pip", "https://gs1.org/voc/pip"])
def test_a_kind_of_link_is_led_to_under_each_of_its_names(asked, name):
    answer = asked(f"/01/09520123456788/21/A7?linkType={name}")
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("https://maker.example/pip")


def test_a_kind_of_link_that_is_not_there_is_not_found(asked):
    answer = asked("/01/09520123456788?linkType=gs1:recallStatus")
    assert (answer.status_code, answer.json()["code"]) == (404, "SVC-LINK-MISSING")


@pytest.mark.parametrize(
    "path",
    [
        "/01/09520123456789",
        "/01/9520123456788",
        "/01/09520123456788/21/A/10/L",
        "/01/",
        "/8004/",
        "/01/09520123456788/99/x",
    ],
)
def test_a_malformed_digital_link_is_a_bad_request(asked, path):
    answer = asked(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "TRC-CODE-NOT-PARSED")


def test_a_trade_item_that_nobody_registered_is_not_found_and_never_fine(asked):
    assert asked("/01/00000000000017").status_code == 404
    assert asked("/01/00000000000017?linkType=linkset").status_code == 404


def test_a_trailing_slash_does_no_harm(asked):
    assert asked("/01/09520123456788/").status_code == 307


def test_an_escaped_slash_is_part_of_a_serial_number(asked, resolver, station):
    station.finishes(an_inspection(unit=parse("(01)09520123456788(21)A/7")))
    told = asked("/01/09520123456788/21/A%2F7?linkType=linkset").json()["linkset"]
    assert told[0]["anchor"] == "http://testserver/01/09520123456788/21/A%2F7"


def test_head_and_options_are_answered_and_other_sites_may_ask(asked):
    head = asked("/01/09520123456788", "HEAD")
    assert (head.status_code, head.content) == (307, b"")
    options = asked("/01/09520123456788", "OPTIONS")
    assert options.status_code == 204
    assert "HEAD" in options.headers["access-control-allow-methods"]
    for answer in (head, options, asked("/01/00000000000017"), asked("/api/handles/86.100.12/COIL-1")):
        assert answer.headers["access-control-allow-origin"] == "*"


def test_the_description_names_the_keys_and_qualifiers_that_are_resolved(asked):
    told = asked("/.well-known/gs1resolver").json()
    assert {
        "00",
        "01",
        "253",
        "255",
        "401",
        "402",
        "414",
        "417",
        "8003",
        "8004",
        "8006",
        "8010",
        "8013",
        "8017",
        "8018",
    } <= set(told["supportedPrimaryKeys"])
    assert told["resolverRoot"] == "http://testserver"
    assert asked(told["linksetContext"].removeprefix("http://testserver")).json()["@context"]


def test_links_carry_the_address_that_the_plant_gave(station, resolver):
    app = station.app()
    app.state.serving = replace(app.state.serving, resolver_address="https://id.plant.example")
    told = TestClient(app).get("/01/09520123456788/21/A7?linkType=linkset").json()["linkset"]
    assert told[0]["anchor"] == "https://id.plant.example/01/09520123456788/21/A7"


# ------------------------------------------------------------------ Handle


def test_handles_published_codes_are_kept(asked):
    codes = {
        code: status
        for code, _, status in json.loads(
            vectors("handle", "handle_rest_samples.json").read_text(encoding="utf-8")
        )["response_codes"]
    }
    for path, code in (
        ("86.100.12/COIL-1", 1),
        ("86.100.12/NEVER", 100),
        ("86.100.12/", 102),
        ("86.100.12/COIL-1?type=NOPE", 200),
    ):
        answer = asked(f"/api/handles/{path}")
        assert answer.json()["responseCode"] == code
        assert str(answer.status_code) in codes[code]


def test_a_handle_answers_with_the_address_of_its_page(asked):
    body = asked("/api/handles/86.100.12/COIL-1").json()
    assert body["handle"] == "86.100.12/COIL-1"
    values = {value["type"]: value for value in body["values"]}
    assert values["URL"]["data"] == {"format": "string", "value": "http://testserver/id/86.100.12/COIL-1"}
    assert "<location " in values["10320/LOC"]["data"]["value"]
    assert [one["type"] for one in asked("/api/handles/86.100.12/COIL-1?index=2").json()["values"]] == [
        "10320/LOC"
    ]


def test_any_scheme_has_handles_face(asked):
    assert asked("/api/handles/(01)09520123456788(21)A7").json()["responseCode"] == 1


# ------------------------------------------------------------------ ours


def test_any_code_in_any_spelling_is_resolved(asked, station):
    CodeRegister(station.store).bind(parse("C-7"), COIL)
    for text in ("C-7", "86.100.12%2FCOIL-1", "hdl:86.100.12/COIL-1"):
        answer = asked(f"/api/v1/resolve?code={text}").json()
        assert answer["unit"]["code"] == "86.100.12/COIL-1"
        assert answer["links"][0]["is_default"]
    scanned = asked("/api/v1/resolve?code=%5Dd2010952012345678821A7%1D17261231").json()
    assert scanned["code"] == {"code": "(01)09520123456788(21)A7", "scheme": "gs1"}
    assert asked("/api/v1/resolve?code=86.100.12/NEVER").status_code == 404
    assert asked("/api/v1/resolve?code=(01)09520123456789").status_code == 400


def test_another_nodes_answer_is_passed_on_and_said_to_be_old_when_the_network_is_away(station):
    app = station.app()
    values = [
        {
            "index": 1,
            "type": "URL",
            "data": {"format": "string", "value": "https://other.example/p"},
            "ttl": 0,
        }
    ]
    is_away = False

    def node(request: httpx2.Request) -> httpx2.Response:
        if is_away:
            raise httpx2.ConnectError("cable out")
        return httpx2.Response(200, json={"responseCode": 1, "handle": "86.200.9/P", "values": values})

    # As with a TTL of no time at all: each time the node is asked anew.
    made = Resolver(
        station.store,
        nodes=[HandleNode("https://node.example", ["86"], transport=httpx2.MockTransport(node))],
    )
    app.state.serving = replace(app.state.serving, resolver=made)
    client = TestClient(app)
    assert client.get("/api/v1/resolve?code=86.200.9/P").json()["elsewhere"] == values
    is_away = True
    for auth in ("false", "true"):
        assert client.get(f"/api/handles/86.200.9/P?auth={auth}").json()["values"] == values
    page = client.get("/id/86.200.9/P", headers={"accept": "text/html", "accept-language": "en"})
    assert "https://other.example/p" in page.text
    missing = client.get("/api/handles/86.200.9/Q")
    assert (missing.status_code, missing.json()["responseCode"]) == (500, 2)


# ------------------------------------------------------------------ the public page


@pytest.mark.parametrize(("language", "word"), [("zh", "不合格"), ("en", "NG")])
def test_the_public_page_says_the_verdict_and_withholds_the_rest(asked, language, word):
    answer = asked("/id/86.100.12/COIL-1", accept="text/html", accept_language=language)
    assert answer.status_code == 200
    assert word in answer.text or "verdict-REJECT" in answer.text
    for withheld in ("demo-strip", "station demo", "3c3c3c", "lane"):
        assert withheld not in answer.text


def test_whoever_is_signed_in_is_led_to_the_full_page(station, resolver):
    client = signed_in(station.app(), Role.OPERATOR)
    answer = client.get("/id/86.100.12/COIL-1", headers={"accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/trace/86.100.12/COIL-1")


def test_a_program_gets_the_links_of_the_same_address(asked):
    answer = asked("/id/86.100.12/COIL-1", accept="application/linkset+json")
    assert answer.json()["linkset"][0]["anchor"] == "http://testserver/id/86.100.12/COIL-1"


@pytest.mark.parametrize("code", ["00", "01", "01/7", "86/01/09520123456788"])
def test_a_unit_whose_code_looks_like_a_part_of_a_digital_link_is_found_at_the_address_told_of_it(
    asked, station, code
):
    station.finishes(an_inspection(unit=parse(code)))
    (level,) = asked(f"/id/{code}", accept="application/linkset+json").json()["linkset"]
    again = asked(level["anchor"], accept="application/linkset+json").json()["linkset"]
    assert [one["anchor"] for one in again] == [level["anchor"]]
    assert str(parse(level["anchor"])) == code
    assert asked(level["anchor"], accept="text/html").status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/id/86.100.12/NEVER", 404), ("/id/86.100.12/", 400)])
def test_the_public_page_says_what_is_wrong_with_a_code(asked, path, status):
    answer = asked(path, accept="text/html")
    assert answer.status_code == status
    assert "TRC-" in answer.text


def test_a_registered_unit_that_nobody_inspected_is_said_to_be_so(asked, station):
    CodeRegister(station.store).register(parse("C-9"))
    assert "not inspected yet" in asked("/id/C-9", accept="text/html", accept_language="en").text


def test_the_page_of_a_gs1_unit_names_its_scheme(asked):
    assert "GS1" in asked("/trace/(01)09520123456788(21)A7", accept="text/html", accept_language="en").text


def test_the_search_box_takes_what_a_scanner_sends(asked):
    answer = asked("/trace?code=%5Dd2010952012345678821A7%1D17261231", accept="text/html")
    assert answer.headers["location"] == "/trace/%2801%2909520123456788%2821%29A7"
