"""Addresses and forms of the pages about charts, filled with nonsense by hand: each is refused in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.services.api.test_studies import has_measured
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.changes import changes

REPORT = "/spc/capability?measurement=width&although_unstable=x&without_gauge=x"

ADDRESSES = {
    "/spc?lane=abc": ("no lane “abc”", "“abc”的通道"),
    "/spc?lane=😀": ("no lane “😀”", "“😀”的通道"),
    "/spc?kind=abc": ("no kind of defect “abc”", "“abc”的缺陷类别"),
    "/spc?camera=abc": ("no camera “abc”", "“abc”的相机"),
    "/spc?shift=07:77": ("does not have the form asked for", "格式不符"),
    "/spc?by=week": ("&#39;hour&#39;, &#39;shift&#39;", "&#39;hour&#39;, &#39;shift&#39;"),
    "/spc/measured?lane=abc": ("There are: Strip, Parts.", "可选：带钢、零件。"),
    "/spc/measured?measurement=width&chart=pre_control&lower=-1e308&upper=1e308": (
        "1e+100 or less",
        "1e+100",
    ),
    "/spc/measured?measurement=width&chart=dnom&nominals=part-demo%3Dnan": (
        "A nominal is nan",
        "名义值 为 nan",
    ),
    "/spc/capability?lane=abc": ("no lane “abc”", "“abc”的通道"),
    f"{REPORT}&lower=-1e308&upper=1e308": ("1e+100 or less", "1e+100"),
    f"{REPORT}&lower=12&upper=8": ("12.0", "12.0"),
    "/spc/causes?lane=abc": ("no lane “abc”", "“abc”的通道"),
    "/spc/causes?kind=abc": ("no kind of defect “abc”", "“abc”的缺陷类别"),
    "/spc/maps?lane=abc": ("no lane “abc”", "“abc”的通道"),
    "/spc/maps?kind=abc": ("no kind of defect “abc”", "“abc”的缺陷类别"),
    "/spc/inspector?lane=abc": ("no lane “abc”", "“abc”的通道"),
    "/spc/merit?lane=abc": ("no lane “abc”", "“abc”的通道"),
    "/spc/merit?opportunities=-5": ("1 or more", "应不小于 1"),
    "/spc/sampling?found=nan": ("0..1000", "0..1000"),
    "/spc/sampling?found=1.5": ("count is 1.5", "计数 为 1.5"),
    "/spc/sampling?found=abc": ("cannot be read as", "“abc”不是"),
    "/spc/units?id=abc": ("is no identifier", "不是标识符"),
    "/spc/subgroup/20261120T060000Z-20261119T060000Z": ("SPC-SUBGROUP-UNKNOWN", "不是子组"),
}


@pytest.fixture
def engineer(station):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 120))
    return signed_in(station.app(), Role.ENGINEER)


def _wants(language):
    return {"Accept": "text/html", "Accept-Language": language}


def _said(page):
    """The refusal alone: what a page says of itself beside it is in the reader's language anyhow."""
    return " ".join(re.findall(r"<main.*?</main>", page.text, re.DOTALL))


@pytest.mark.parametrize("address", ADDRESSES)
def test_nonsense_in_an_address_is_refused_in_words_and_nothing_is_drawn_from_it(engineer, address):
    for language, said in zip(("en", "zh"), ADDRESSES[address], strict=True):
        page = engineer.get(address, headers=_wants(language))
        assert page.status_code < 500
        assert said in _said(page)
        assert "String should" not in page.text
        assert "Input should" not in page.text
        assert "<position-map" not in page.text
        if "sampling" not in address:
            assert "<spc-chart" not in page.text


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("abc", ("The time of the change is abc", "更换时间 为 abc")),
        ("2026-13-45T00:00", ("from the year 2000 on", "2000 年以后")),
        ("0001-01-01T00:00", ("from the year 2000 on", "2000 年以后")),
        ("2099-01-01T00:00", ("is 2099-01-01 00:00; allowed is not after now", "2099-01-01 00:00")),
    ],
)
def test_a_time_of_a_change_that_is_none_is_refused_and_never_taken_for_now(station, engineer, at, said):
    for language, words in zip(("en", "zh"), said, strict=True):
        sent = {"part": "lens", "changed_lane": "strip", "what": "50 mm", "at": at}
        page = engineer.post("/spc/changes", data=sent, headers=_wants(language))
        assert page.status_code == 422
        assert words in page.text
    assert changes(station.store) == ()


def test_a_change_on_a_lane_that_nobody_knows_is_refused(station, engineer):
    sent = {"part": "lens", "changed_lane": "nolane", "what": "50 mm"}
    page = engineer.post("/spc/changes", data=sent, headers=_wants("en"))
    assert page.status_code == 422
    assert "There is no lane “nolane” here. There are: Strip, Parts." in page.text
    assert changes(station.store) == ()


@pytest.mark.parametrize(
    "sent",
    [
        {"numbers": "incoming_lots = nan"},
        {"numbers": "incoming_lots = -4"},
        {"numbers": "incoming_lots = 1.5"},
        {"numbers": "incoming_lots = 1e308"},
        {"numbers": "revenue = inf"},
        {"suppliers": "a, nan, 1, 1, 1, 1, 1, 1"},
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_numbers_typed_for_figures_of_merit_are_refused_by_name(engineer, sent, language):
    page = engineer.post("/spc/merit/given", data=sent, headers=_wants(language))
    assert page.status_code == 422
    assert "SPC-PARAMETER" in page.text


@pytest.mark.parametrize("kind", ["type_one", "bias"])
def test_readings_so_large_that_their_squares_are_no_numbers_are_refused(engineer, kind):
    sent = {
        "kind": kind,
        "characteristic": "w",
        "readings": "1e308\n-1e308\n1",
        "tolerance": "1",
        "reference": "1",
    }
    page = engineer.post("/spc/studies", data=sent, headers=_wants("en"))
    assert page.status_code == 422
    assert "-1e+100 … 1e+100" in page.text
    assert engineer.get("/api/v1/spc/studies").json() == []


def test_the_columns_that_readings_lack_are_named_in_the_readers_language(engineer):
    sent = {"kind": "crossed", "characteristic": "w", "readings": "abc"}
    page = engineer.post("/spc/studies", data=sent, headers=_wants("zh"))
    assert "零件、评价人、值" in page.text


def _statistics_that_take(engineer, name):
    """Addresses of the interface for programs, their names filled in, for which `name` may be asked."""
    for path, does in engineer.get("/openapi.json").json()["paths"].items():
        asked = {one["name"] for one in does.get("get", {}).get("parameters", ())}
        if path.startswith("/api/v1/spc") and name in asked:
            yield re.sub(r"{\w+}", "1", path)


@pytest.mark.parametrize("name", ["lane", "kind", "camera"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_program_that_asks_for_what_nobody_has_heard_of_is_told_instead_of_shown_nothing(
    engineer, name, language
):
    addresses = list(_statistics_that_take(engineer, name))
    assert len(addresses) > 3
    for address in addresses:
        answer = engineer.get(address, params={name: "nowhere"}, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (422, "SPC-CHOICE-UNKNOWN"), address
        assert "nowhere" in answer.json()["title"]


def test_of_a_lane_that_has_inspected_nothing_yet_it_is_said_that_there_is_too_little(station):
    answer = TestClient(station.app()).get("/api/v1/spc/p", params={"lane": "parts"})
    assert answer.json()["code"] == "SPC-TOO-FEW"


def test_a_camera_that_saw_no_defect_has_a_chart_and_one_that_nobody_knows_is_refused(station):
    station.runs()
    seen = station.live.lanes()[0].cameras[0]
    page = signed_in(station.app(), Role.ENGINEER).get("/spc", params={"camera": seen, "lang": "en"})
    assert "There is no camera" not in page.text
    assert f'value="{seen}" selected' in page.text
    page = signed_in(station.app(), Role.ENGINEER).get("/spc", params={"camera": "nowhere", "lang": "en"})
    assert "There is no camera" in page.text
