from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


def _answers_in(station, url="/trace", *, default="en", cookie=None, accept=None):
    client = TestClient(
        station.app(language=default), cookies={"lynceus_language": cookie} if cookie else None
    )
    headers = {"Accept-Language": accept} if accept is not None else {"Accept-Language": ""}
    return client.get(url, headers=headers).headers["content-language"]


def test_the_language_asked_for_beats_the_one_chosen_before_and_that_the_browsers(station):
    assert _answers_in(station, "/trace?lang=zh", cookie="en", accept="en") == "zh"
    assert _answers_in(station, cookie="zh", accept="en") == "zh"
    assert _answers_in(station, accept="zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert _answers_in(station, default="zh") == "zh"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("en;q=0.3, zh;q=0.7", "zh"),
        ("fr, de;q=0.9", "en"),
        ("fr, zh-TW;q=0.1", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=much", "en"),
        (";;,=q", "en"),
    ],
)
def test_the_browsers_weights_decide(station, accept, language):
    assert _answers_in(station, accept=accept) == language


def test_a_language_we_do_not_have_is_not_chosen(station):
    assert _answers_in(station, "/trace?lang=fr", cookie="xx") == "en"


def test_a_language_asked_for_stays_chosen(station):
    client = TestClient(station.app(language="en"))
    client.get("/trace?lang=zh")
    assert client.get("/trace").headers["content-language"] == "zh"


def test_the_switch_leads_to_the_same_page_in_the_other_language(station):
    page = TestClient(station.app()).get("/spc?by=shift&days=7").text
    assert 'href="/spc?by=shift&amp;days=7&amp;lang=zh"' in page
