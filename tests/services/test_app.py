from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from services.app import check_libraries
from services.problems import StaticMissing
from tests.a_station import a_part, an_empty_station, defects_of, hours_of_parts, needs_libraries
from tests.builders import a_unit, an_inspection

NOBODY = "0" * 64
NO_ID = "01a1f891-eac9-777d-b0a2-f33ba62bc3a3"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Rejected and accepted parts of two days, with pictures. Only read by the tests."""
    station = needs_libraries(an_empty_station(tmp_path_factory.mktemp("station")))
    station.runs()
    hours_of_parts(station, [1] * 30, until=datetime.now(UTC), simulated=True)
    part = a_part(3, defective=True)
    station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/PART-1"),
            lane="parts",
            verdict=Verdict.REJECT,
            defects=defects_of(part, lane="parts"),
            pictures=(station.keeps(part, lane="parts"),),
            finished_at=datetime.now(UTC),
        )
    )
    with station.store:
        yield station


REQUESTS = [
    ("/api/v1/station", "/api/v1/station", 200),
    ("/api/v1/units?find=PART", "/api/v1/units", 200),
    ("/api/v1/units?find=", "/api/v1/units", 422),
    ("/api/v1/units", "/api/v1/units", 422),
    ("/api/v1/units/86.999.1/PART-1", "/api/v1/units/{code}", 200),
    ("/api/v1/units/86.999.1/PART-404", "/api/v1/units/{code}", 404),
    ("/api/v1/units/86.100.12/", "/api/v1/units/{code}", 400),
    (f"/api/v1/inspections/{NO_ID}", "/api/v1/inspections/{id}", 404),
    ("/api/v1/inspections/7", "/api/v1/inspections/{id}", 422),
    (f"/api/v1/pictures/{NOBODY}", "/api/v1/pictures/{sha256}", 404),
    ("/api/v1/pictures/../../etc/passwd", None, 404),
    ("/api/v1/pictures/ABC", "/api/v1/pictures/{sha256}", 422),
    ("/api/v1/genealogy/86.999.1/PART-1", "/api/v1/genealogy/{code}", 200),
    ("/api/v1/genealogy/86.999.1/PART-404", "/api/v1/genealogy/{code}", 404),
    ("/api/v1/ancestors/86.999.1/PART-1", "/api/v1/ancestors/{code}", 200),
    ("/api/v1/descendants/86.100.12/", "/api/v1/descendants/{code}", 400),
    ("/api/v1/places/86.999.1/PART-1?x_mm=1&y_mm=2", "/api/v1/places/{code}", 200),
    ("/api/v1/places/86.999.1/PART-1?x_mm=nan&y_mm=2", "/api/v1/places/{code}", 422),
    ("/api/v1/at-risk/86.999.1/PART-1?x1_mm=0&y1_mm=0&x2_mm=1&y2_mm=1", "/api/v1/at-risk/{code}", 200),
    ("/api/v1/at-risk/86.999.1/PART-1", "/api/v1/at-risk/{code}", 422),
    ("/api/v1/proofs/head", "/api/v1/proofs/head", 200),
    ("/api/v1/history/86.999.1/PART-1", "/api/v1/history/{code}", 200),
    ("/api/v1/history/86.999.1/PART-404", "/api/v1/history/{code}", 404),
    ("/api/v1/gauges/86.999.1/PART-1?x_mm=1&y_mm=2", "/api/v1/gauges/{code}", 200),
    ("/api/v1/common-factors?bad=86.999.1/PART-1", "/api/v1/common-factors", 200),
    ("/api/v1/common-factors", "/api/v1/common-factors", 422),
    ("/api/v1/containments", "/api/v1/containments", 200),
    ("/api/v1/handovers", "/api/v1/handovers", 200),
    ("/api/v1/handovers/sheet", "/api/v1/handovers/sheet", 200),
    (f"/api/v1/handovers/{NO_ID}", "/api/v1/handovers/{id}", 404),
    ("/handover", None, 200),
    (f"/handover/{NO_ID}", None, 404),
    (f"/api/v1/containments/{NO_ID}", "/api/v1/containments/{id}", 404),
    ("/api/v1/proofs/consistency?size1=1&size2=2", "/api/v1/proofs/consistency", 200),
    ("/api/v1/proofs/consistency?size1=2&size2=1", "/api/v1/proofs/consistency", 422),
    ("/api/v1/proofs/verifier", "/api/v1/proofs/verifier", 200),
    ("/api/v1/certificates/86.999.1/PART-1", "/api/v1/certificates/{code}", 200),
    ("/api/v1/certificates/86.999.1/PART-1?format=pdf", "/api/v1/certificates/{code}", 200),
    ("/api/v1/certificates/86.999.1/PART-1?format=doc", "/api/v1/certificates/{code}", 422),
    ("/api/v1/certificates/86.999.1/PART-404", "/api/v1/certificates/{code}", 404),
    ("/api/v1/spc/p", "/api/v1/spc/p", 200),
    ("/api/v1/spc/p?by=shift", "/api/v1/spc/p", 200),
    ("/api/v1/spc/p?by=week", "/api/v1/spc/p", 422),
    ("/api/v1/spc/p?since=yesterday", "/api/v1/spc/p", 422),
    ("/api/v1/spc/p?since=2026-11-20T00:00:00", "/api/v1/spc/p", 422),
    ("/api/v1/spc/p?since=1926-11-20T00:00:00Z", "/api/v1/spc/p", 422),
    ("/api/v1/spc/p?lane=nobody", "/api/v1/spc/p", 422),
    ("/api/v1/spc/pareto", "/api/v1/spc/pareto", 200),
    ("/api/v1/spc/changes", "/api/v1/spc/changes", 200),
    ("/api/v1/spc/pareto?by=week", "/api/v1/spc/pareto", 422),
    ("/api/v1/spc/subgroups/20261120T060000Z-20261120T070000Z", "/api/v1/spc/subgroups/{key}", 200),
    ("/api/v1/spc/subgroups/last-tuesday", "/api/v1/spc/subgroups/{key}", 404),
    ("/api/v1/alarms", "/api/v1/alarms", 200),
    ("/api/v1/cases?search=x", "/api/v1/cases", 200),
    ("/api/v1/cases?is_open=perhaps", "/api/v1/cases", 422),
    (f"/api/v1/cases/{NO_ID}", "/api/v1/cases/{id}", 404),
    ("/api/v1/cases/7", "/api/v1/cases/{id}", 422),
    ("/api/v1/accounting", "/api/v1/accounting", 200),
    ("/api/v1/lanes/strip/timings", "/api/v1/lanes/{lane}/timings", 200),
    ("/api/v1/lanes/nobody/timings", "/api/v1/lanes/{lane}/timings", 404),
    ("/api/v1/lanes/strip/frames/999999", "/api/v1/lanes/{lane}/frames/{sequence}", 404),
    ("/api/v1/lanes/strip/recipes", "/api/v1/lanes/{lane}/recipes", 200),
    ("/api/v1/lanes/nobody/recipes", "/api/v1/lanes/{lane}/recipes", 404),
    ("/api/v1/resolve?code=86.999.1/PART-1", "/api/v1/resolve", 200),
    ("/api/v1/resolve?code=86.999.1/PART-404", "/api/v1/resolve", 404),
    ("/api/v1/resolve?code=86.100.12/", "/api/v1/resolve", 400),
    ("/api/v1/resolve", "/api/v1/resolve", 422),
    ("/.well-known/gs1resolver", "/.well-known/gs1resolver", 200),
    ("/api/v1/cameras", "/api/v1/cameras", 200),
    ("/api/v1/recipes", "/api/v1/recipes", 200),
    ("/api/v1/recipes/part-demo", "/api/v1/recipes/{name}", 200),
    ("/api/v1/recipes/nobodys", "/api/v1/recipes/{name}", 404),
    ("/api/v1/recipes/No..body", "/api/v1/recipes/{name}", 422),
    ("/api/v1/cameras/nobody/aids", "/api/v1/cameras/{lane}/aids", 404),
    ("/api/v1/cameras/parts/aids?view=side", "/api/v1/cameras/{lane}/aids", 404),
    ("/api/v1/models", "/api/v1/models", 200),
    ("/api/v1/models/strip-surface", "/api/v1/models/{name}", 200),
    ("/api/v1/models/nobodys", "/api/v1/models/{name}", 404),
    ("/api/v1/models/No..body", "/api/v1/models/{name}", 422),
    ("/epcis/events?perPage=1", "/epcis/events", 200),
    ("/epcis/events?perPage=0", "/epcis/events", 422),
    ("/epcis/events/urn:uuid:0", "/epcis/events/{id}", 404),
    ("/epcis/eventTypes/ObjectEvent/events", "/epcis/eventTypes/{kind}/events", 200),
    ("/epcis/eventTypes/Nothing/events", "/epcis/eventTypes/{kind}/events", 422),
    (f"/epcis/capture/{NO_ID}", "/epcis/capture/{id}", 404),
    ("/healthz", "/healthz", 200),
    ("/metrics", "/metrics", 200),
]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("url", "path", "status"), REQUESTS)
def test_every_answer_is_of_a_kind_the_openapi_document_names(filled, url, path, status, language):
    client = TestClient(filled.app())
    answer = client.get(url, headers={"Accept-Language": language})
    assert answer.status_code == status
    if path is None:
        return
    documented = client.get("/openapi.json").json()["paths"][path]["get"]["responses"][str(status)]
    media_type = answer.headers["content-type"].split(";")[0]
    assert media_type in documented["content"]
    if status >= 400:
        assert media_type == "application/problem+json"
        assert re.search("[\u4e00-\u9fff]", answer.json()["action"] + answer.json()["title"]) is not None or (
            language == "en"
        )


def test_every_route_for_programs_is_in_the_openapi_document(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/api/v1/station",
        "/api/v1/accounting",
        "/api/v1/what-if",
        "/api/v1/lanes/{lane}/mode",
        "/api/v1/lanes/{lane}/recipe",
        "/api/v1/lanes/{lane}/recipes",
        "/api/v1/proofs/head",
        "/api/v1/lanes/{lane}/timings",
        "/api/v1/lanes/{lane}/frames/{sequence}",
        "/api/v1/steps",
        "/api/v1/gauges",
        "/api/v1/gauges/csv",
        "/api/v1/gauges/{code}",
        "/api/v1/history/{code}",
        "/api/v1/common-factors",
        "/api/v1/holds",
        "/api/v1/holds/release",
        "/api/v1/handovers",
        "/api/v1/handovers/sheet",
        "/api/v1/handovers/{id}",
        "/api/v1/handovers/{id}/take",
        "/api/v1/people/{name}/sessions",
        "/api/v1/sessions",
        "/api/v1/sessions/{id}",
        "/api/v1/containments",
        "/api/v1/containments/{id}",
        "/api/v1/events",
        "/api/v1/units",
        "/api/v1/units/{code}",
        "/api/v1/inspections",
        "/api/v1/inspections/{id}",
        "/api/v1/genealogy",
        "/api/v1/genealogy/void",
        "/api/v1/genealogy/{code}",
        "/api/v1/ancestors/{code}",
        "/api/v1/descendants/{code}",
        "/api/v1/places/{code}",
        "/api/v1/at-risk/{code}",
        "/api/v1/proofs/consistency",
        "/api/v1/proofs/verifier",
        "/api/v1/certificates/{code}",
        "/api/v1/picture-room",
        "/api/v1/pictures/{sha256}",
        "/api/v1/spc/capability",
        "/api/v1/spc/capability/file",
        "/api/v1/spc/causes",
        "/api/v1/spc/causes/file",
        "/api/v1/spc/changes",
        "/api/v1/spc/measured",
        "/api/v1/spc/measured/entries",
        "/api/v1/spc/measured/file",
        "/api/v1/spc/inspector",
        "/api/v1/spc/measurements",
        "/api/v1/spc/merit",
        "/api/v1/spc/merit/given",
        "/api/v1/spc/merit/targets",
        "/api/v1/spc/sampling/audit",
        "/api/v1/spc/sampling/continuous",
        "/api/v1/spc/sampling/plan",
        "/api/v1/spc/sampling/switching",
        "/api/v1/spc/sampling/zero",
        "/api/v1/spc/p",
        "/api/v1/spc/p/entries",
        "/api/v1/spc/p/file",
        "/api/v1/spc/positions",
        "/api/v1/spc/positions/file",
        "/api/v1/spc/audits",
        "/api/v1/spc/audits/{id}",
        "/api/v1/spc/audits/{id}/looks",
        "/api/v1/spc/studies",
        "/api/v1/spc/studies/from-record",
        "/api/v1/spc/studies/standing",
        "/api/v1/spc/studies/standing/{id}/end",
        "/api/v1/spc/pareto",
        "/api/v1/spc/pareto/file",
        "/api/v1/spc/subgroups/{key}",
        "/api/v1/resolve",
        "/.well-known/gs1resolver",
        "/api/v1/reviews",
        "/api/v1/reviews/agreement",
        "/api/v1/reviews/next",
        "/api/v1/reviews/{id}",
        "/epcis/capture",
        "/epcis/capture/{id}",
        "/epcis/events",
        "/epcis/events/{id}",
        "/epcis/eventTypes/{kind}/events",
        "/healthz",
        "/metrics",
        "/api/v1/alarms",
        "/api/v1/lanes/{lane}/alarms/{code}/acknowledge",
        "/api/v1/lanes/{lane}/alarms/{code}/shelve",
        "/api/v1/cases",
        "/api/v1/cases/{id}",
        "/api/v1/cases/{id}/acts",
        "/api/v1/cases/{id}/close",
        "/api/v1/audit",
        "/api/v1/system",
        "/api/v1/system/bundle",
        "/api/v1/system/logs/{process}",
        "/api/v1/datasets",
        "/api/v1/datasets/{name}",
        "/api/v1/datasets/{name}/file",
        "/api/v1/datasets/{name}/guess",
        "/api/v1/datasets/{name}/labels",
        "/api/v1/recipes",
        "/api/v1/recipes/brought-in",
        "/api/v1/recipes/{name}",
        "/api/v1/recipes/{name}/file",
        "/api/v1/recipes/{name}/approve",
        "/api/v1/recipes/{name}/difference/{before}/{after}",
        "/api/v1/recipes/{name}/propose",
        "/api/v1/recipes/{name}/publish",
        "/api/v1/cameras",
        "/api/v1/cameras/doctor",
        "/api/v1/cameras/{lane}/aids",
        "/api/v1/cameras/{lane}/bench",
        "/api/v1/models",
        "/api/v1/models/{name}",
        "/api/v1/models/{name}/approve",
        "/api/v1/models/{name}/promote",
        "/api/v1/models/{name}/propose",
        "/api/v1/models/{name}/take-back",
        "/api/v1/training",
        "/api/v1/training/past",
        "/api/v1/people",
        "/api/v1/people/{name}",
        "/api/v1/people/{name}/secret",
        "/api/v1/session",
        "/api/v1/tokens",
        "/api/v1/tokens/{id}",
    }


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/trace",
        "/trace?code=PART",
        "/trace/86.999.1/PART-1",
        "/trace/86.999.1/PART-404",
        "/spc",
        "/spc?by=shift&days=30&lane=parts",
        "/spc/causes",
        "/spc/maps?lane=parts",
        "/spc/inspector?lane=parts",
        "/cameras",
        "/cameras/parts",
        "/recipes",
        "/recipes/part-demo",
        "/models",
        "/models/strip-surface",
        "/nothing",
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_holds_script_or_style_or_anything_from_elsewhere(filled, url, language):
    answer = TestClient(filled.app()).get(url, headers={"Accept": "text/html", "Accept-Language": language})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page = _Page()
    page.feed(answer.text)
    assert page.scripts == 0
    assert page.styles == 0
    assert page.handlers == []
    assert [url for url in page.addresses if not url.startswith(("/", "?", "#"))] == []
    assert page.language == {"zh": "zh-CN", "en": "en"}[language]


def test_a_package_without_the_pages_libraries_says_what_to_run(tmp_path):
    (tmp_path / "htmx.min.js").touch()
    with pytest.raises(StaticMissing, match=r"echarts\.esm\.min\.js") as refused:
        check_libraries(tmp_path)
    assert "scripts/fetch_web_libraries.py" in refused.value.action


def test_a_browser_asks_again_for_scripts_after_an_upgrade(client):
    answer = client.get("/static/lynceus.js")
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/static/lynceus.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_service_that_starts_again_shows_what_it_saw_before(station):
    station.store.record([an_inspection(unit=a_unit("PART-7"), lane="parts"), an_inspection(simulated=True)])
    recent = TestClient(station.app()).get("/api/v1/station").json()["lanes"]
    assert [(lane["lane"], [one["unit"]["code"] for one in lane["recent"]]) for lane in recent] == [
        ("parts", ["PART-7"])
    ]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.styles = 0
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.language = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script" and "src" not in values
        self.styles += tag == "style" or "style" in values
        self.handlers += [name for name in values if name.startswith(("on", "hx-on", "x-"))]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action") and value]
        if tag == "html":
            self.language = values["lang"] or ""
