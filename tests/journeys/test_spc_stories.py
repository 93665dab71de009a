"""A quality engineer looks through the demo's two shifts of history, and finds the four things that happened."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect, sync_playwright

from services.station.history import BAD_LOT, MARKED_ROLL, simulate_shifts
from services.web.rendering import SPC_SECTIONS
from station_config import load_station
from tests.a_station import AStation, an_empty_station, needs_libraries

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)

SEED = 20261120
"""The demo's own."""


@pytest.fixture(scope="module")
def station(tmp_path_factory) -> Iterator[AStation]:
    made = needs_libraries(an_empty_station(tmp_path_factory.mktemp("stories")))
    with made.store:
        simulate_shifts(made.store, made.images, load_station("demo"), seed=SEED)
        made.runs()
        yield made


@pytest.fixture(scope="module")
def address(station) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(station.app(), host="127.0.0.1", port=port, log_level="warning"))
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started:
        assert running.is_alive()
    yield f"http://127.0.0.1:{port}"
    station.live.close()
    server.should_exit = True
    running.join()


@pytest.fixture(scope="module")
def page(address) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("not there: apt-get install -y chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        page = browser.new_page(base_url=address, viewport={"width": 1280, "height": 800}, locale="en-GB")
        wrong: list[str] = []
        page.on(
            "console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        browser.close()
    assert wrong == []


def test_the_strip_that_grew_wider_shows_as_signals_after_its_hour_and_leads_to_a_unit(page):
    page.goto("/spc/measured?measurement=width&lane=strip")
    expect(page.locator("spc-chart[data-part=location].is-drawn")).to_be_visible()
    expect(page.locator(".signals li").nth(50)).to_be_attached()
    page.locator(".signals li a").first.click()
    expect(page).to_have_url(re.compile("/trace/"))


def test_the_change_of_model_looks_like_a_shift_and_is_none_once_the_inspection_is_asked(page):
    page.goto("/spc?lane=parts&stages=none")
    expect(page.locator("spc-chart[data-kind=p].is-drawn")).to_be_visible()
    expect(page.locator(".signals li").first).to_be_attached()
    page.goto("/spc?lane=parts")
    expect(page.locator(".signals .nothing")).to_be_visible()
    page.get_by_role("link", name="Inspector").click()
    page.locator("select[name=lane]").select_option("parts")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".answer-word")).to_have_text("The inspection moved.")
    expect(page.locator(".answer tr.is-shown").first).to_contain_text("Recipe, model or optics")
    expect(page.locator("spc-chart[data-part=corrected].is-drawn")).to_be_visible()
    expect(page.locator("figure", has=page.locator("[data-part=corrected]"))).to_contain_text("Signals: 0.")


def test_the_marked_roll_is_named(page):
    page.goto("/spc/maps?lane=strip")
    expect(page.locator("position-map.is-drawn")).to_be_visible()
    rows = page.locator(".signals tbody tr")
    expect(rows).to_have_count(18)
    expect(rows.first).to_contain_text(MARKED_ROLL)
    rows.first.get_by_role("link").click()
    expect(page.locator(".strip-map, svg").first).to_be_visible()


def test_the_bad_lot_stands_out_and_its_odds_stay_within_each_model(page):
    page.goto("/spc/causes?lane=parts")
    first = page.locator("tr.is-shown", has_text="Material lot").first
    expect(first).to_contain_text(BAD_LOT)
    expect(page.locator("tr.is-shown", has_text="Material lot")).to_have_count(1)


def test_no_capability_of_the_strip_that_moved_unless_somebody_says_why(page):
    page.goto("/spc/capability?measurement=width&lane=strip&lower=397&upper=399&naming=aiag_2005")
    expect(page.locator(".gate")).to_contain_text("SPC-NOT-STABLE")
    page.locator("input[name=although_unstable]").fill("asked for by the customer")
    page.locator("input[name=without_gauge]").fill("study planned for Friday")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".table-facts")).to_contain_text("study planned for Friday")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_way_to_the_other_charts_is_one_row(page, language):
    page.goto(f"/spc?lang={language}")
    rows = {round(link.bounding_box()["y"]) for link in page.locator(".spc-pages a").all()}
    assert len(rows) == 1
    page.goto("/spc?lang=en")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("section", [name for name, _ in SPC_SECTIONS])
def test_every_page_comes_in_both_languages(station, section, language):
    url = dict(SPC_SECTIONS)[section]
    answer = TestClient(station.app()).get(url, params={"lang": language}, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answer.text
