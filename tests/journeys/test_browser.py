"""A browser uses the pages: from a point to its picture, in both languages, live, and by keyboard alone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Page, expect
from uuid_utils.compat import uuid7

from inspection.types import Box, Verdict
from services.datasets import DataSets
from services.station.messages import LaneMode, LaneState
from tests.a_station import (
    AStation,
    a_frame_seen,
    a_part,
    a_strip,
    an_empty_station,
    begun_now,
    defects_of,
    hours_of_parts,
    needs_libraries,
)
from tests.browsing import served, signs_in
from tests.builders import a_defect, a_strip_map, a_unit, an_inspection
from tests.drawn_coil import LINKS, SEGMENTS, UNITS
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Role
from traceability.genealogy.recording import record
from traceability.holds import contain

WORDS_THAT_MUST_FIT = (
    ".tile strong, .tile-meaning, .counter dt, .counter-line dt, .thumbnail-verdict > span, .mode, .bar a"
)

# Texts that end outside of the box around them.
CUT_OFF = """selector => [...document.querySelectorAll(selector)].filter(text => {
  const box = text.closest(".tile, .counter, .counter-line, .thumbnails a, .bar").getBoundingClientRect();
  const words = document.createRange();
  words.selectNodeContents(text);
  return words.getBoundingClientRect().right > box.right;
}).map(text => text.textContent)"""


@pytest.fixture
def station(tmp_path) -> Iterator[AStation]:
    """A day of parts, half of it simulated, with one bad hour; the engine is running."""
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        hours_of_parts(made, [0, 3, 1, 2] * 5 + [14], until=datetime.now(UTC), simulated=True)
        made.runs()
        yield made


@pytest.fixture
def page(station, browser) -> Iterator[Page]:
    """A page of a fresh browser that fails its test when anything was wrong, or was asked of another host."""
    with served(station.app(language="en")) as address:
        context = browser.new_context(
            base_url=address, viewport={"width": 1280, "height": 800}, locale="en-GB"
        )
        page = context.new_page()
        wrong: list[str] = []
        asked: list[str] = []
        page.on(
            "console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        yield page
        station.live.close()
        context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(address)] == []


def test_a_point_leads_to_its_subgroup_its_unit_and_its_picture(page):
    page.goto("/spc")
    chart = page.locator("spc-chart[data-kind=p].is-drawn")
    box = chart.bounding_box()
    assert box is not None
    # The last of the points: in the drawing area, just left of the labels of the limits.
    chart.click(position={"x": box["width"] - 118 - 12, "y": box["height"] / 2})

    expect(page).to_have_url(re.compile("/spc/subgroup/"))
    expect(page.locator("tbody .badge.verdict-REJECT")).to_have_count(14)
    page.locator("a.code").first.click()

    expect(page.locator("h1.code")).to_contain_text("86.999.1/PART-20-")
    page.locator("image-overlay .overlay-frame").click()

    expect(page).to_have_url(re.compile("/picture/"))
    picture = page.locator("image-overlay img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    for _ in range(3):
        page.go_back()
    expect(page).to_have_url(re.compile("/spc$"))


def test_a_point_is_reached_by_keyboard_alone(page):
    page.goto("/spc")
    page.locator("spc-chart[data-kind=p].is-drawn").focus()
    page.keyboard.press("Home")
    page.keyboard.press("End")
    expect(page.locator("spc-chart[data-kind=p] [aria-live]")).to_contain_text("14 / 20")
    page.keyboard.press("Enter")
    expect(page.locator("tbody .badge.verdict-REJECT")).to_have_count(14)


def test_the_filter_changes_the_chart_and_the_address(page):
    page.goto("/spc")
    page.get_by_role("radio", name="Shift").check()
    expect(page).to_have_url(re.compile("by=shift"))
    expect(page.locator("spc-chart[data-kind=p].is-drawn")).to_be_visible()
    page.reload()
    expect(page.get_by_role("radio", name="Shift")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("radio", name="Hour")).to_be_checked()
    expect(page.locator("spc-chart[data-kind=p].is-drawn")).to_be_visible()


def test_simulated_data_is_marked_on_the_chart(page):
    page.goto("/spc")
    expect(page.locator(".banner-simulated")).to_contain_text("420 of 420 units")


def test_the_language_is_switched_where_one_stands_and_stays(page):
    page.goto("/spc?by=shift")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_url(re.compile("by=shift"))
    page.get_by_role("link", name="追溯").click()
    expect(page.locator("h1")).to_have_text("追溯")


def test_boxes_can_be_taken_off_a_picture_and_put_back(page):
    page.goto("/trace/86.999.1/PART-20-00")
    switch = page.get_by_role("button", name="Show boxes")
    expect(page.locator(".overlay-box").first).to_be_visible()
    switch.press("Space")
    expect(page.locator(".overlay-box").first).to_be_hidden()
    switch.press("Enter")
    expect(page.locator(".overlay-box").first).to_be_visible()


def test_a_picture_that_was_given_up_says_so_in_its_place(browser, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    part = a_part(3, defective=True)
    gone = replace(station.keeps(part, lane="parts"), sha256="0" * 64)
    station.finishes(
        an_inspection(unit=a_unit("PART-1"), pictures=(gone,), defects=defects_of(part, lane="parts"))
    )
    with station.store, served(station.app(language="en")) as address:
        page = browser.new_page()
        page.goto(f"{address}/trace/PART-1?lang=en")
        expect(page.get_by_text("The picture cannot be fetched: it is gone")).to_be_visible()
        expect(page.locator(".overlay-box").first).to_be_hidden()
        page.close()


def test_a_picture_that_was_given_up_stays_marked_when_the_next_unit_comes(browser, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    station.runs()
    gone = replace(station.keeps(a_part(3, defective=True), lane="parts"), sha256="0" * 64)
    station.finishes(
        an_inspection(lane="parts", unit=a_unit("PART-1"), pictures=(gone,), finished_at=datetime.now(UTC))
    )
    with station.store, served(station.app(language="en")) as address:
        page = browser.new_page()
        page.goto(f"{address}/?lang=en")
        thumbnails = page.locator("[data-lane=parts] .thumbnails")
        marked = re.compile("is-missing")
        expect(thumbnails.locator("img")).to_have_class(marked)
        for number in (2, 3):
            unit = a_unit(f"PART-{number}")
            station.finishes(an_inspection(lane="parts", unit=unit, finished_at=datetime.now(UTC)))
            expect(thumbnails.locator("li")).to_have_count(number)
            expect(thumbnails.locator("img")).to_have_class(marked)
        station.live.close()
        page.close()


def test_the_unit_that_was_asked_for_is_in_view_in_its_graph_however_narrow(page, station):
    record(station.store, units=UNITS, links=LINKS)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/trace/{SEGMENTS[2]}")
    expect(page.locator(".family-node")).to_have_count(7)
    frame, unit = (page.locator(one).bounding_box() for one in (".family-scroll", ".family-root rect"))
    assert frame is not None
    assert unit is not None
    assert frame["x"] <= unit["x"]
    assert unit["x"] + unit["width"] <= frame["x"] + frame["width"]


def test_codes_are_found_while_one_types(page):
    page.goto("/trace")
    page.keyboard.type("part-20-1")
    expect(page.locator("#found a")).to_have_count(10)
    page.locator("#found a").first.click()
    expect(page.locator("h1.code")).to_have_text("86.999.1/PART-20-10")


def test_a_new_verdict_is_on_the_tile_without_asking(page, station):
    page.goto("/")
    tile = page.locator("[data-lane=parts] [data-tile]")
    expect(tile).to_contain_text("No verdict yet")
    station.finishes(an_inspection(lane="parts", unit=a_unit("PART-1"), finished_at=datetime.now(UTC)))
    expect(tile.locator("strong")).to_have_text("OK")

    part = a_part(3, defective=True)
    station.finishes(
        an_inspection(
            lane="parts",
            unit=a_unit("PART-2"),
            verdict=Verdict.REJECT,
            defects=defects_of(part, lane="parts"),
            pictures=(station.keeps(part, lane="parts"),),
            finished_at=datetime.now(UTC),
        )
    )
    expect(tile.locator("strong")).to_have_text("NG")
    expect(tile.locator("a")).to_have_text("PART-2")
    expect(tile.locator("[data-age]")).to_contain_text("sec. ago")
    expect(page.locator("[data-lane=parts] .thumbnails li")).to_have_count(2)
    expect(page.locator("[data-lane=parts] .counter.ink-REJECT dd")).to_have_text("1")


def test_the_live_picture_shows_the_frame_and_its_boxes(page, station):
    page.goto("/")
    begun = begun_now(lane="strip", code="86.999.1/COIL-9")
    station.sees(a_frame_seen(a_strip(), begun), begun)
    lane = page.locator("[data-lane=strip]")
    picture = lane.locator(".has-picture canvas")
    expect(picture).to_be_visible()
    # As wide as it is shown, in the proportions of the frame.
    shown = picture.evaluate("canvas => canvas.width / canvas.height")
    assert shown == pytest.approx(800 / 400, rel=0.02)
    expect(lane).to_contain_text("86.999.1/COIL-9")
    expect(lane.locator("[data-frames]")).to_have_text("1")
    is_coloured = """canvas => {
      const read = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
      read.drawImage(canvas, 0, 0);
      const pixels = read.getImageData(0, 0, canvas.width, canvas.height).data;
      for (let at = 0; at < pixels.length; at += 4) if (Math.abs(pixels[at] - pixels[at + 2]) > 60) return true;
      return false;
    }"""
    assert lane.locator("canvas").evaluate(is_coloured)
    switch = lane.get_by_role("button", name="Boxes")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(f"canvas => !({is_coloured})(canvas)", arg=lane.locator("canvas").element_handle())
    page.keyboard.press("Space")
    page.wait_for_function(is_coloured, arg=lane.locator("canvas").element_handle())


def test_a_picture_that_stands_still_turns_grey_and_says_its_age(page, station):
    page.goto("/")
    begun = begun_now(lane="strip", code="86.999.1/COIL-9")
    frozen = a_frame_seen(a_strip(), begun)
    station.sees(replace(frozen, captured_at=datetime.now(UTC) - timedelta(seconds=40)), begun)
    picture = page.locator("[data-lane=strip] .picture")
    expect(picture).to_have_class(re.compile("is-old"))
    expect(picture.locator("[data-picture-age]")).to_have_text(re.compile(r"This picture is 4\d s old"))
    station.live.frame(a_frame_seen(a_strip(1), begun, sequence=1))
    expect(picture).not_to_have_class(re.compile("is-old"))
    expect(picture.locator("[data-picture-age]")).to_be_hidden()


def test_an_engine_that_goes_away_greys_the_verdict_and_says_so(page, station):
    station.finishes(an_inspection(lane="parts", finished_at=datetime.now(UTC)))
    page.goto("/")
    expect(page.locator("#mode")).to_have_text("Running")
    station.live.engine(False)
    expect(page.locator("#mode")).to_have_text("Engine away")
    expect(page.locator("[data-lane=parts] .tile-doubtful")).to_be_visible()


def test_a_page_that_stays_open_says_how_the_station_works_and_when_it_does_not_answer(browser, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    station.runs()
    page = browser.new_page()
    with station.store, served(station.app(language="en")) as address:
        page.goto(f"{address}/trace")
        expect(page.locator("#mode")).to_have_text("Running")
        until = datetime.now(UTC) + timedelta(minutes=30)
        station.live.mode(LaneMode(lane="parts", mode="bypass", at=datetime.now(UTC), until=until))
        expect(page.locator("#mode")).to_have_text("BYPASS: not inspecting", timeout=20_000)
        station.live.close()
    expect(page.locator("#mode")).to_have_text("Station does not answer", timeout=20_000)
    page.close()


def test_a_count_of_suspects_stays_one_number_on_a_phone(page, station):
    escape = next(one for one in station.store.latest(limit=500) if one.verdict is Verdict.ACCEPT)
    since = datetime.now(UTC) - timedelta(hours=30)
    contain(station.store, escape.id, id=uuid7(), reason="burr", at=datetime.now(UTC), by=None, since=since)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/containment")
    counts = page.locator(".board-counts dd")
    expect(counts.first).to_have_text(re.compile(r"^\d{3}$"))
    assert counts.first.evaluate("count => count.getClientRects().length") == 1
    heights = {round(box["height"]) for box in (one.bounding_box() for one in counts.all()) if box}
    assert len(heights) == 1, "none of them breaks"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("mode", "lines"), [("run", 2), ("setup", 3), ("bypass", 3)])
def test_on_a_phone_the_header_leaves_room_for_the_station_and_still_says_how_it_works(
    browser, station, language, mode, lines
):
    station.live.mode(LaneMode(lane="parts", mode=mode, at=datetime.now(UTC)))
    app = station.app(language=language)
    adds(with_quick_passwords(app), Role.INTEGRATOR)
    with served(app) as address:
        context = browser.new_context(base_url=address, viewport={"width": 390, "height": 844})
        context.request.post("/api/v1/session", data={"name": "integrator", "password": PASSWORD})
        page = context.new_page()
        page.goto("/spc")
        header = page.locator("header.bar").bounding_box()
        shown = page.locator("#mode").bounding_box()
        assert header is not None
        assert shown is not None
        assert header["height"] <= lines * 44
        assert 0 <= shown["x"] < shown["x"] + shown["width"] <= 390
        expect(page.locator(".bar-nav [aria-current]")).to_be_in_viewport(ratio=1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        station.live.close()
        context.close()


def test_a_lane_that_is_new_appears_by_itself(browser, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    with station.store, served(station.app(language="en")) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator(".empty")).to_be_visible()
        station.runs()
        expect(page.locator("[data-lane]")).to_have_count(2)
        station.live.close()
        page.close()


def test_a_screen_whose_station_is_gone_says_so_instead_of_looking_well(browser, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    station.runs()
    station.finishes(an_inspection(lane="parts", finished_at=datetime.now(UTC)))
    page = browser.new_page()
    with station.store, served(station.app(language="en")) as address:
        page.goto(address)
        expect(page.locator("[data-lane=parts] strong")).to_have_text("OK")
        station.live.close()
    expect(page.locator("[data-lost]")).to_be_visible()
    expect(page.locator("[data-lane=parts] .is-stale")).to_be_visible()
    expect(page.locator("#mode")).to_have_text("Station does not answer")
    page.close()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "May be of an earlier unit"), ("zh", "可能是之前的单件")]
)
def test_a_panel_that_could_not_be_drawn_anew_stays_says_so_and_comes_back(browser, station, language, words):
    """As while the database is away: the events go on."""
    with served(station.app(language=language)) as address:
        page = browser.new_page()
        page.goto(f"{address}/?lang={language}")
        lane = page.locator("[data-lane=parts]")
        tile = lane.locator("[data-tile]")
        station.finishes(an_inspection(lane="parts", verdict=Verdict.ACCEPT, finished_at=datetime.now(UTC)))
        expect(tile.locator("strong")).to_have_text("OK")
        page.route("**/lanes/parts/panel", lambda route: route.fulfill(status=503, body="<h1>away</h1>"))
        station.finishes(an_inspection(lane="parts", verdict=Verdict.REJECT, finished_at=datetime.now(UTC)))
        expect(tile).to_have_class(re.compile("is-stale"))
        expect(tile).to_contain_text(words)
        expect(lane.locator("h1")).to_have_count(0)
        page.unroute("**/lanes/parts/panel")
        expect(tile.locator("strong")).to_have_text("NG")
        expect(tile).not_to_have_class(re.compile("is-stale"))
        station.live.close()
        page.close()


def test_figures_of_a_picture_that_stands_still_turn_grey_and_say_its_age(browser, station):
    app = station.app(language="en")
    adds(with_quick_passwords(app), Role.INTEGRATOR)
    with served(app) as address:
        page = browser.new_page(base_url=address)
        page.clock.install()
        signs_in(page, "integrator", PASSWORD)
        begun = begun_now(lane="parts", code="86.999.1/PART-9")
        station.sees(a_frame_seen(a_part(3, defective=True), begun), begun)
        page.goto("/cameras/parts")
        view = page.locator("camera-view")
        page.clock.run_for(1000)
        expect(page.locator("[data-value=sharpness]")).not_to_have_text("–")
        expect(view).not_to_have_class(re.compile("is-old"))
        page.clock.run_for(20_000)
        expect(view).to_have_class(re.compile("is-old"))
        expect(view.locator("[data-picture-age]")).to_have_text(re.compile(r"This picture is \d\d s old"))
        station.live.frame(a_frame_seen(a_part(1, defective=True), begun, sequence=1))
        page.clock.run_for(1500)
        expect(view).not_to_have_class(re.compile("is-old"))
        station.live.close()
        page.close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_coil_grows_on_its_map_calls_its_roll_mark_out_and_all_of_it_still_fits(page, station, language):
    for verdict in [*Verdict] * 5:
        station.finishes(an_inspection(lane="strip", verdict=verdict, finished_at=datetime.now(UTC)))
    begun = begun_now(lane="strip", code="86.999.1/COIL-20261120-101530-0009")
    seen = a_frame_seen(a_strip(), begun)
    station.live.begun(begun)
    page.goto(f"/?lang={language}")
    for number in (0, 2):
        shown = replace(seen.result, sequence=number, seen_mm=Box(0, 200 * number, 400, 200 * number + 200))
        station.live.frame(replace(seen, result=replace(shown, repeats=a_strip_map().repeats)))
    expect(page.locator("[data-lane=strip] .banner-repeat")).to_contain_text("1,885.0 mm")
    expect(page.locator("[data-lane=strip] .live-map .map-defect").first).to_be_visible()
    expect(page.locator("[data-lane=strip] .live-map svg")).to_have_attribute(
        "aria-label", re.compile("0.60 m")
    )
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_coils_map_is_walked_by_keyboard_and_leads_to_its_pictures(page, station):
    drawing = a_strip()
    picture = station.keeps(drawing, lane="strip", sequence=41)
    first = a_defect(camera="strip", box_mm=Box(100, 4000, 140, 4200))
    second = a_defect(camera="strip", sequence=99, box_mm=Box(20, 30_000, 30, 30_400))
    unit = a_unit("86.999.1/C-1")
    station.finishes(
        an_inspection(unit=unit, defects=(first, second), pictures=(picture,), strip=a_strip_map())
    )
    page.goto(f"/trace/{unit}")
    page.locator("a.map-defect").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#defect-.*-2$"))
    page.locator("a.map-defect").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/picture/{picture.sha256}"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_everything_fits_the_operators_screen(page, station, language):
    part = a_part(3, defective=True)
    for verdict in [*Verdict] * 5:
        for lane in ("strip", "parts"):
            station.finishes(
                an_inspection(
                    lane=lane,
                    unit=a_unit(f"86.999.1/{lane.upper()}-20261120-101530-{verdict:04d}"),
                    verdict=verdict,
                    pictures=(station.keeps(part, lane=lane),),
                    finished_at=datetime.now(UTC),
                )
            )
    for verdict in Verdict:
        station.finishes(an_inspection(lane="parts", verdict=verdict, finished_at=datetime.now(UTC)))
        page.goto(f"/?lang={language}")
        expect(page.locator(f"[data-lane=parts] .tile.verdict-{verdict.name}")).to_be_visible()
        expect(page.locator(".thumbnails li")).to_have_count(40)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CUT_OFF, WORDS_THAT_MUST_FIT) == []


def test_a_picture_that_a_telephone_turned_is_labelled_as_its_pixels_lie(
    browser, station, tmp_path, monkeypatch
):
    """Its file says that it is to be shown upright; it is inspected, and learnt from, as it lies."""
    monkeypatch.setenv("LYNCEUS_DATASETS", str(tmp_path / "datasets"))
    lying, file = Image.new("RGB", (200, 120)), io.BytesIO()
    lying.paste("white", (0, 0, 40, 40))
    to_be_turned = Image.Exif()
    to_be_turned[ExifTags.Base.Orientation] = 6
    lying.save(file, "JPEG", exif=to_be_turned)
    sets = DataSets.of_plant()
    sets.make("seam", ["scratch"])
    picture = sets.add("seam", "brought/1", file.getvalue())
    app = station.app()
    adds(with_quick_passwords(app), Role.INTEGRATOR)
    with served(app) as address, browser.new_context(base_url=address) as context:
        page = context.new_page()
        signs_in(page, "integrator", PASSWORD)
        page.goto(f"/datasets/seam/label?picture={picture}")
        shown = page.locator(".labelling-picture img")
        expect(shown).to_be_visible()
        seen = Image.open(io.BytesIO(shown.screenshot())).convert("L").resize((200, 120))
        assert [seen.getpixel(place) > 128 for place in ((20, 20), (180, 20), (20, 100))] == [
            True,
            False,
            False,
        ]
        station.live.close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_lost_camera_is_named_with_what_to_do_and_everything_still_fits(page, station, language):
    part = a_part(3, defective=True)
    for number in range(20):
        for lane in ("strip", "parts"):
            station.finishes(
                an_inspection(
                    lane=lane,
                    unit=a_unit(f"86.999.1/{lane.upper()}-20261120-101530-{number:04d}"),
                    pictures=(station.keeps(part, lane=lane),),
                    finished_at=datetime.now(UTC),
                )
            )
    station.live.lane(
        LaneState(
            lane="strip",
            camera="SIM-STRIP-1",
            driver="gige",
            condition="lost",
            at=datetime.now(UTC),
            failure="CAM-NOT-FOUND",
            facts={"camera": "SIM-STRIP-1", "wanted": "SIM-STRIP-1", "found": "SIM-PARTS-1"},
        )
    )
    page.goto(f"/?lang={language}")
    lost = page.locator("[data-lane=strip]")
    expect(lost.locator(".banner-failure")).to_contain_text("SIM-STRIP-1")
    expect(lost.locator(".lane-camera")).to_contain_text("GigE Vision")
    expect(page.locator(".thumbnails li")).to_have_count(40)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_gap_in_the_accounts_says_what_to_do_and_everything_still_fits(page, station, language):
    part = a_part(3, defective=True)
    for number in range(20):
        for lane in ("strip", "parts"):
            station.finishes(
                an_inspection(
                    lane=lane,
                    unit=a_unit(f"86.999.1/{lane.upper()}-20261120-101530-{number:04d}"),
                    pictures=(station.keeps(part, lane=lane),),
                    finished_at=datetime.now(UTC),
                    triggers=40 + (lane == "strip" and number > 9),
                )
            )
    station.accounting.audit()
    page.goto(f"/?lang={language}")
    alarm = page.locator("[data-lane=strip] .banner-alarm")
    expect(alarm).to_contain_text("SVC-UNIT-UNACCOUNTED")
    expect(alarm).to_contain_text("86.999.1/STRIP-20261120-101530-0019")
    expect(alarm.locator(".alarm-action")).to_be_visible()
    expect(page.locator("[data-lane=strip] .lane-balance")).to_have_class(re.compile("counter-wrong"))
    expect(page.locator(".thumbnails li")).to_have_count(40)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
