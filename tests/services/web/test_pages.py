from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from uuid_utils.compat import uuid7

from cameras.settings import GigeSettings
from inspection.types import Box, Looked, Piece, RecipeRef, Verdict
from services.station.messages import LaneState, RecipeState
from services.web.pages import STALE_AFTER_S, stale_after_s
from services.web.rendering import quantity_name
from station_config import load_station
from tests.a_station import (
    STATION,
    AStation,
    a_frame_seen,
    a_part,
    a_strip,
    begun_now,
    defects_of,
    hours_of_parts,
)
from tests.builders import a_defect, a_measurement, a_strip_map, a_unit, an_inspection
from tests.drawn_coil import LINKS, UNITS
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.genealogy.recording import record

BROWSER = {"Accept": "text/html"}
WORDS = {
    "zh": {
        Verdict.ACCEPT: "合格",
        Verdict.REVIEW: "待复判",
        Verdict.NOT_INSPECTED: "未检",
        Verdict.REJECT: "不合格",
    },
    "en": {
        Verdict.ACCEPT: "OK",
        Verdict.REVIEW: "Review",
        Verdict.NOT_INSPECTED: "Not inspected",
        Verdict.REJECT: "NG",
    },
}


def _get(client: TestClient, url: str, language: str = "en", **headers: str) -> str:
    answer = client.get(url, headers={**BROWSER, "Accept-Language": language, **headers})
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("verdict", Verdict)
def test_the_tile_says_the_last_verdict_in_colour_shape_and_word(station, client, verdict, language):
    station.runs()
    station.finishes(an_inspection(lane="parts", verdict=verdict))
    panel = _get(client, "/lanes/parts/panel", language)
    tile = panel[panel.index("data-tile") - 100 : panel.index("</div>", panel.index("data-tile"))]
    assert f"verdict-{verdict.name}" in tile
    assert "<svg" in tile
    assert {"OK", "NG", "?", "未检", "Not seen"} & set(tile.replace("<", ">").split(">"))
    assert WORDS[language][verdict] in panel


@pytest.mark.parametrize("failure", ["INS-IN-SETUP", "INS-BYPASSED", "INS-IN-CHALLENGE", "INS-UNPROVEN"])
def test_a_unit_that_was_refused_is_ng_however_the_lane_worked_meanwhile(station, client, failure):
    station.runs()
    seen = an_inspection(lane="parts", verdict=Verdict.REJECT, failures={failure: 1}, frames_failed=1)
    station.finishes(seen)
    assert "<strong>NG</strong>" in _get(client, "/lanes/parts/panel")
    station.finishes(replace(seen, id=uuid7(), verdict=Verdict.NOT_INSPECTED))
    assert "<strong>NG</strong>" not in _get(client, "/lanes/parts/panel")


RECIPE = b"""
name = "reasons"
revision = 1
product = "plate"

[detector]
model = "part-surface"

[[limits]]
kind = "crack"
measure = "length_mm"
review_from = 0.0
reject_from = 10.0

[[limits]]
kind = "stain"
measure = "length_mm"
review_from = 20.0
reject_from = 50.0
"""


def _reason(station: AStation, client: TestClient, language: str = "en", **changes: object) -> str:
    """What the tile says of why a unit, judged by RECIPE, was not accepted."""
    recipe = RecipeRef(name="reasons", revision=1, sha256=station.images.put(RECIPE))
    station.finishes(an_inspection(lane="parts", recipe=recipe, **changes))
    found = re.search(r'<p class="tile-why">(.*?)</p>', _get(client, "/lanes/parts/panel", language))
    return "" if found is None else found.group(1)


CRACK = a_defect(kind="crack", box_mm=Box(0, 0, 12.5, 1))
STAIN = a_defect(kind="stain", box_mm=Box(5, 5, 35, 10))


@pytest.mark.parametrize(("language", "kind"), [("en", "Crack"), ("zh", "裂纹")])
def test_the_tile_names_the_defect_for_which_a_unit_was_refused_and_not_the_longest(
    station, client, language, kind
):
    station.runs()
    told = _reason(station, client, language, verdict=Verdict.REJECT, defects=(STAIN, CRACK))
    assert told.startswith(f"{kind} 12.5 mm")
    assert "+" not in told


def test_the_tile_says_why_a_unit_was_not_inspected_and_not_what_was_seen_of_it(station, client):
    station.runs()
    told = _reason(
        station,
        client,
        verdict=Verdict.NOT_INSPECTED,
        defects=(CRACK,),
        failures={"INS-IMAGE-DARK": 1},
        frames_failed=1,
    )
    assert told == "too dark"


def test_the_tile_names_no_defect_where_none_asked_for_the_verdict(station, client):
    """Refused for something else, or by a recipe whose text is not kept."""
    station.runs()
    small = replace(STAIN, box_mm=Box(5, 5, 6, 6))
    assert _reason(station, client, verdict=Verdict.REJECT, defects=(small,)) == ""
    station.finishes(an_inspection(lane="parts", verdict=Verdict.REJECT, defects=(CRACK,)))
    assert "tile-why" not in _get(client, "/lanes/parts/panel")


def test_a_lane_whose_camera_may_be_still_for_long_is_believed_for_as_long():
    lane = load_station("demo").lanes[0]
    patient = GigeSettings(driver="gige", serial="1", silent_after_s=120.0)
    assert stale_after_s(lane) == STALE_AFTER_S
    assert stale_after_s(lane.model_copy(update={"camera": patient})) > 120.0


def test_only_an_accepted_unit_is_ever_green(station, client):
    station.runs()
    for verdict in set(Verdict) - {Verdict.ACCEPT}:
        station.finishes(an_inspection(lane="parts", verdict=verdict))
        assert "tile verdict-ACCEPT" not in _get(client, "/lanes/parts/panel")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_roll_mark_is_called_out_by_its_period_while_its_coil_is_in_view_and_after(
    station, client, language
):
    station.runs()
    begun = begun_now(lane="strip", code="COIL-1")
    seen = a_frame_seen(a_strip(), begun)
    repeats = a_strip_map().repeats
    station.sees(replace(seen, result=replace(seen.result, repeats=repeats)), begun)
    words = {
        "zh": ("辊印，周期 1,885.0 mm", "上一卷有辊印"),
        "en": ("Roll mark every 1,885.0 mm", "Last coil: roll"),
    }
    assert words[language][0] in _get(client, "/lanes/strip/panel", language)
    (told,) = client.get("/api/v1/station").json()["lanes"][-1]["in_hand"]["repeats"]
    assert (told["kind"], told["period_mm"], told["hits"]) == ("pits", 1885, 8)
    station.finishes(an_inspection(id=begun.id, lane="strip", strip=a_strip_map()))
    assert words[language][1] in _get(client, "/lanes/strip/panel", language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_a_screen_holds_back_and_lets_escape_stands_with_the_counts(station, client, language):
    station.runs()
    begun = begun_now(lane="strip", code="COIL-1")
    seen = a_frame_seen(a_strip(), begun)
    words = {
        "zh": ("初筛拦下", "尚未抽查", "至多 1.00%"),
        "en": ("Screen holds", "nothing sampled", "at most 1.00 %"),
    }
    held_back, not_yet, at_most = words[language]

    def panel(looked):
        station.sees(replace(seen, result=replace(seen.result, looked=looked)), begun)
        return _get(client, "/lanes/strip/panel", language)

    assert held_back not in panel(None)
    first = panel(Looked(tiles=1000, sent=50))
    assert "95.0" in first
    assert not_yet in first
    # The rule of three: none of 298 sampled means at most 1 %.
    assert at_most in panel(Looked(sampled=298))
    assert "counter-wrong" in panel(Looked(sampled=1, escaped=1)).split(f"<dt>{held_back}")[1]


def test_the_coil_in_view_has_a_map_as_far_as_it_has_come_and_a_part_has_none(station, client):
    station.runs()
    begun = begun_now(lane="strip", code="COIL-1")
    seen = a_frame_seen(a_strip(), begun)
    shown = replace(seen.result, seen_mm=Box(0, 600, 400, 800), repeats=a_strip_map().repeats)
    station.sees(replace(seen, result=shown), begun)
    drawn = _get(client, "/lanes/strip/map")
    assert "so far 0.80 m" in drawn
    assert drawn.count('class="map-defect"') == len(seen.result.defects)
    assert 'fill="url(#unseen-strip)"' in drawn
    assert "map-repeat" in drawn
    assert "<svg" not in _get(client, "/lanes/parts/map")
    assert client.get("/lanes/nobody/map", headers=BROWSER).status_code == 404


def test_a_verdict_of_a_lane_that_stopped_is_marked_doubtful(station, client):
    station.runs()
    station.finishes(an_inspection(lane="parts"))
    assert "tile-doubtful" not in _get(client, "/lanes/parts/panel")
    station.live.lane(
        LaneState(
            lane="parts",
            camera="right",
            driver="drawn_strip",
            condition="lost",
            at=datetime.now(UTC),
            failure="CAM-SILENT",
            facts={"camera": "right", "timeout_s": 2, "incomplete": 0},
        )
    )
    panel = _get(client, "/lanes/parts/panel")
    assert "tile-doubtful" in panel
    assert "Camera right sent no whole picture for 2 s" in panel


def test_a_verdict_without_the_engine_is_marked_doubtful(station, client):
    station.runs()
    station.finishes(an_inspection(lane="parts"))
    station.live.engine(False)
    assert "tile-doubtful" in _get(client, "/lanes/parts/panel")


def test_a_failure_whose_facts_did_not_come_along_is_shown_by_its_code(station, client):
    station.live.lane(
        LaneState(
            lane="parts",
            camera="right",
            driver="drawn_strip",
            condition="stopped",
            at=datetime.now(UTC),
            failure="XYZ-FUTURE",
        )
    )
    assert "XYZ-FUTURE" in _get(client, "/")


def test_the_counters_balance_and_say_so(station, client):
    station.runs()
    station.finishes(an_inspection(lane="parts", frames_inspected=40, finished_at=datetime.now(UTC)))
    panel = _get(client, "/lanes/parts/panel")
    assert "Unaccounted" in panel
    assert "0 of 40" in panel


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "曝光 41 = 已判 39 + 未判 1 + 丢失 1 + 去向不明 0"),
        ("en", "41 exposures = 39 judged + 1 not judged + 1 lost + 0 unaccounted"),
    ],
)
def test_the_exposures_of_the_shift_and_what_became_of_them_are_an_equation(station, client, language, words):
    station.runs()
    lost = an_inspection(
        lane="strip",
        verdict=Verdict.NOT_INSPECTED,
        finished_at=datetime.now(UTC),
        frames_inspected=39,
        frames_failed=1,
        frames_lost=1,
    )
    station.finishes(lost)
    assert words in _get(client, "/lanes/strip/panel", language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_gap_in_the_accounts_is_an_alarm_with_what_to_do(station, client, language):
    station.runs()
    wrong = an_inspection(lane="strip", finished_at=datetime.now(UTC), triggers=43, unit=a_unit("COIL-9"))
    station.finishes(wrong)
    station.accounting.audit()
    panel = _get(client, "/lanes/strip/panel", language)
    assert "SVC-UNIT-UNACCOUNTED" in panel
    assert "COIL-9" in panel[panel.index("SVC-UNIT-UNACCOUNTED") :]
    assert {"zh": "不得放行", "en": "Do not let these units pass"}[language] in panel
    (balance,) = client.get("/api/v1/accounting").json()
    assert (balance["balanced"], balance["unaccounted"]) == (False, 3)
    (lane,) = (one for one in client.get("/api/v1/station").json()["lanes"] if one["lane"] == "strip")
    assert [alarm["code"] for alarm in lane["alarms"]] == ["SVC-UNIT-UNACCOUNTED"]
    assert 'alarm{code="SVC-UNIT-UNACCOUNTED",lane="strip"} 1.0' in client.get("/metrics").text


def test_a_simulated_unit_is_never_shown_without_saying_so(station, client):
    until = datetime.now(UTC)
    hours_of_parts(station, [1, 1], until=until, simulated=True)
    unit = "86.999.1/PART-00-00"
    (inspection,) = station.store.inspections_of(a_unit(unit))
    key = client.get("/api/v1/spc/p").json()["points"][0]["key"]
    for url in (
        "/trace",
        f"/trace/{unit}",
        f"/spc/subgroup/{key}",
        f"/picture/{inspection.pictures[0].sha256}?inspection={inspection.id}",
        "/spc",
    ):
        assert "Simulated" in _get(client, url) or "simulated data" in _get(client, url)
        assert "模拟" in _get(client, url, "zh")


@pytest.mark.parametrize(("language", "name"), [("en", "<td>Parts</td>"), ("zh", "<td>零件</td>")])
def test_the_latest_units_are_of_lanes_as_people_call_them(station, client, language, name):
    hours_of_parts(station, [1], until=datetime.now(UTC), simulated=False)
    assert name in _get(client, "/trace", language)


def test_an_empty_station_says_what_is_missing(station, client):
    assert "not connected" in _get(client, "/")
    station.live.engine(True)
    assert "no lane has reported" in _get(client, "/")
    assert "Not enough data" in _get(client, "/spc")
    assert "No unit has been recorded yet" in _get(client, "/trace")


def test_a_plants_server_begins_with_its_charts(station):
    answer = TestClient(station.app(has_live=False)).get("/", headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/spc")


def test_the_trace_tells_what_was_seen_by_which_camera_model_and_recipe(station, client):
    part = a_part(3, defective=True)
    station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/P-1"),
            lane="parts",
            verdict=Verdict.NOT_INSPECTED,
            defects=defects_of(part, lane="parts"),
            pictures=(station.keeps(part, lane="parts"),),
            measurements=(a_measurement(),),
            frames_inspected=1,
            frames_failed=1,
            frames_lost=2,
            failures={"INS-IMAGE-UNFIT": 1},
        )
    )
    page = _get(client, "/trace/86.999.1/P-1")
    for told in (
        "86.999.1/P-1",
        "demo-strip rev. 3",
        "3c" * 32,
        "strip 1.0.0",
        "5e" * 32,
        "4 due = 1 inspected + 1 not judged + 2 lost",
        "INS-IMAGE-UNFIT",
        "too dark, too bright or without contrast",
        "1,250.250 mm",
        f"{defects_of(part, lane='parts')[0].length_mm:,.2f}",
    ):
        assert told in page
    assert page.count('class="overlay-box"') == len(part.truth)
    # A file for programs says so, and is saved: nobody is left on a page of JSON.
    link = re.search(r'<a [^>]*href="/api/v1/inspections/[^>]*>[^<]*', page).group()
    assert ("download=" in link, link.endswith("Download as data (JSON)")) == (True, True)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_trace_of_a_coil_has_its_map_and_calls_its_roll_mark_out_by_period(station, client, language):
    strip = a_strip()
    picture = station.keeps(strip, lane="strip", sequence=41)
    scratch = a_defect(
        camera="strip", box_mm=Box(100, 4000, 101, 4200), pieces=(Piece(sequence=42, box_px=Box(1, 0, 9, 9)),)
    )
    unseen = a_defect(camera="strip", sequence=99, box_mm=Box(20, 100, 30, 400))
    done = station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/C-1"),
            defects=(scratch, unseen),
            pictures=(picture,),
            strip=a_strip_map(),
            measurements=(a_measurement(name="width"),),
            grade="B",
        )
    )
    page = _get(client, "/trace/86.999.1/C-1", language)
    assert "1,885.0 ± 0.40 mm" in page
    assert f'href="/picture/{picture.sha256}?inspection={done.id}" aria-label="1. ' in page
    assert f'href="#defect-{done.id}-2"' in page
    assert f'id="defect-{done.id}-2"' in page
    assert "map-unjudged" in page
    assert {"zh": "未检：0.20 m", "en": "Not inspected: 0.20 m"}[language] in page
    assert {"zh": "宽度（平均）", "en": "Width, mean"}[language] in page
    assert {"zh": "等级", "en": "Grade"}[language] in page


def test_a_defect_is_boxed_in_every_frame_that_shows_some_of_it(station, client):
    pictures = [station.keeps(a_strip(number), lane="strip", sequence=number) for number in (41, 42, 43)]
    scratch = a_defect(camera="strip", pieces=(Piece(sequence=42, box_px=Box(77, 0, 88, 99)),))
    done = station.finishes(an_inspection(pictures=tuple(pictures), defects=(scratch,)))

    def boxes(picture):
        return _get(client, f"/picture/{picture.sha256}?inspection={done.id}").count('class="overlay-box"')

    assert [boxes(picture) for picture in pictures] == [1, 1, 0]
    assert 'x="77' in _get(client, f"/picture/{pictures[1].sha256}?inspection={done.id}")


def test_a_code_scanned_whole_leads_straight_to_its_unit(station, client):
    station.finishes(an_inspection(unit=a_unit("86.999.1/P-1")))
    answer = client.get("/trace?code=%2086.999.1/P-1%0D%0A", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/trace/86.999.1/P-1")


def test_the_code_of_a_unit_that_nobody_inspected_leads_straight_to_it_too(station, client):
    record(station.store, units=UNITS, links=LINKS)
    answer = client.get("/trace?code=STRIP-A1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/trace/STRIP-A1")


def test_a_part_of_a_code_leads_to_a_list(station, client):
    station.finishes(an_inspection(unit=a_unit("86.999.1/P-1")))
    assert 'href="/trace/86.999.1/P-1"' in _get(client, "/trace?code=P-1")


def test_what_is_typed_finds_codes_as_a_part_of_the_page(station, client):
    station.finishes(an_inspection(unit=a_unit("86.999.1/P-1")))
    part = _get(client, "/trace?code=p-", **{"HX-Request": "true"})
    assert "<html" not in part
    assert 'href="/trace/86.999.1/P-1"' in part
    assert "No recorded code holds “zzz”" in _get(client, "/trace?code=zzz", **{"HX-Request": "true"})


def test_an_unknown_code_says_so_and_offers_what_is_like_it(station, client):
    station.finishes(an_inspection(unit=a_unit("C-2024.0117")))
    answer = client.get("/trace/C-2024.011", headers=BROWSER)
    assert answer.status_code == 404
    assert "TRC-UNIT-UNKNOWN" in answer.text
    assert 'href="/trace/C-2024.0117"' in answer.text


def test_a_picture_belongs_to_its_inspection(station, client):
    strip = a_strip()
    mine = station.keeps(strip, lane="strip")
    other = station.keeps(a_part(1, defective=False), lane="parts")
    done = station.finishes(an_inspection(pictures=(mine,), defects=defects_of(strip, lane="strip")))
    page = _get(client, f"/picture/{mine.sha256}?inspection={done.id}")
    assert page.count('class="overlay-box"') == len(strip.truth)
    refused = client.get(f"/picture/{other.sha256}?inspection={done.id}", headers=BROWSER)
    assert (refused.status_code, "TRC-PICTURE-MISSING" in refused.text) == (404, True)


def test_boxes_are_drawn_only_on_the_frame_they_were_found_in(station, client):
    strip, clean = a_strip(), a_part(1, defective=False)
    pictures = (
        station.keeps(strip, lane="strip", sequence=41),
        station.keeps(clean, lane="strip", sequence=42),
    )
    done = station.finishes(
        an_inspection(pictures=pictures, defects=defects_of(strip, lane="strip", sequence=41))
    )
    assert 'class="overlay-box"' in _get(client, f"/picture/{pictures[0].sha256}?inspection={done.id}")
    assert 'class="overlay-box"' not in _get(client, f"/picture/{pictures[1].sha256}?inspection={done.id}")


def test_the_chart_can_be_read_without_its_picture(station, client):
    hours_of_parts(station, [0, 3, 1, 2] * 5 + [12], until=datetime.now(UTC), simulated=False)
    page = _get(client, "/spc")
    asked = client.get("/api/v1/spc/p", params={"station": STATION})
    keys = [point["url"] for point in asked.json()["points"]]
    assert all(f'href="{url}"' in page for url in keys)
    assert "One point beyond the limits" in page


def test_the_filter_asks_for_the_charts_part_of_the_page_only(station, client):
    hours_of_parts(station, [1] * 3, until=datetime.now(UTC), simulated=False)
    part = _get(client, "/spc?by=hour&days=1", **{"HX-Request": "true"})
    assert "<html" not in part
    assert "<spc-chart" in part


def test_a_subgroup_shows_its_units_and_their_pictures(station, client):
    until = datetime.now(UTC).astimezone().replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    hours_of_parts(station, [2], until=until, simulated=False)
    since = until - timedelta(hours=1)
    page = _get(client, f"/spc/subgroup/{since:%Y%m%dT%H%M%SZ}-{until:%Y%m%dT%H%M%SZ}")
    assert page.count("/picture/") == 2
    assert page.count('href="/trace/86.999.1/') == 20


def test_a_page_of_a_lane_that_does_not_exist_names_those_that_do(station, client):
    station.runs()
    answer = client.get("/lanes/nobody/panel", headers=BROWSER)
    assert answer.status_code == 404
    assert "parts, strip" in answer.text


def test_a_unit_in_view_is_named_with_what_was_seen_so_far(station, client):
    station.runs()
    begun = begun_now(lane="strip", code="86.999.1/COIL-9")
    strip = a_strip()
    station.sees(a_frame_seen(strip, begun), begun)
    panel = _get(client, "/lanes/strip/panel")
    assert "86.999.1/COIL-9" in panel
    assert f"<b data-defects>{len(strip.truth)}</b>" in panel


def test_pictures_inspected_from_files_are_no_part_of_the_stations_chart(station, client):
    until = datetime.now(UTC)
    hours_of_parts(station, [1, 0, 2], until=until, simulated=False)
    before = _get(client, "/spc")
    station.store.record(
        [an_inspection(finished_at=until - timedelta(minutes=90), station="bench", verdict=Verdict.REJECT)]
    )
    assert _points(before) == _points(_get(client, "/spc"))
    assert _points(before) != _points(_get(client, "/spc?station=bench"))


def _points(page: str) -> list[str]:
    """The rows of the table of points."""
    return [row.split("</tr>")[0] for row in page.split("<tr")[1:] if "/spc/subgroup/" in row]


@pytest.mark.parametrize(
    ("language", "take_up", "ready"),
    [
        ("zh", "从下一件起启用", "下一件：strip-demo-exposed"),
        ("en", "From the next unit", "Next unit: strip-demo-exposed"),
    ],
)
def test_an_order_that_is_scanned_leads_to_its_recipe_which_is_taken_up_with_the_next_unit(
    station, client, language, take_up, ready
):
    station.runs()
    page = _get(client, "/lanes/strip/recipe?order=AUTO-4711", language)
    meant = page[page.index('class="is-meant"') :]
    assert meant.index("strip-demo-exposed") < meant.index(take_up)
    operator = signed_in(station.app(), Role.OPERATOR)
    answer = operator.post("/lanes/strip/recipe?recipe=strip-demo-exposed", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    (wish,) = station.wishes.to_tell()
    state = RecipeState(lane="strip", recipe=wish.recipe, ref=None, condition="ready", at=datetime.now(UTC))
    station.live.recipe(state)
    assert ready in _get(client, "/lanes/strip/panel", language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_recipe_that_was_refused_says_why_and_an_order_nobody_knows_too(station, client, language):
    station.runs()
    assert "CFG-RECIPE-NOT-CHOSEN" in _get(client, "/lanes/strip/recipe?order=X-1", language)
    station.live.recipe(
        RecipeState(
            lane="strip",
            recipe="strip-demo-exposed",
            ref=None,
            condition="refused",
            at=datetime.now(UTC),
            failure="SVC-RECIPE-FAILED",
            facts={"lane": "strip", "recipe": "strip-demo-exposed", "reason": "no memory"},
        )
    )
    assert "no memory" in _get(client, "/lanes/strip/recipe", language)
    assert "recipe-refused" in _get(client, "/lanes/strip/panel", language)


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ("检测", "出图到判定")), ("en", ("Detection", "Frame to verdict"))]
)
def test_the_timings_of_a_lane_name_its_steps_and_show_the_frame_that_is_asked_for(
    station, client, language, words
):
    station.runs()
    assert _get(client, "/lanes/strip/timings", language)
    begun = begun_now(lane="strip", code="COIL-7")
    seen = a_frame_seen(a_strip(), begun, sequence=41)
    times = {"wait": 3.0, "detect": 40.0, "total": 43.0}
    station.sees(replace(seen, result=replace(seen.result, timings_ms=times)), begun)
    page = _get(client, "/lanes/strip/timings?frame=41", language)
    assert all(word in page for word in words)
    assert "COIL-7" in page
    assert "43.00 ms" in page
    assert "SVC-FRAME-UNKNOWN" in _get(client, "/lanes/strip/timings?frame=42", language)
    trace = client.get("/api/v1/lanes/strip/frames/41").json()
    assert (trace["unit"], trace["timings_ms"]) == ("COIL-7", times)
    answer = client.get("/api/v1/lanes/strip/timings").json()
    assert [one["step"] for one in answer["steps"]] == ["wait", "detect", "total"]
    assert answer["slowest"][0]["sequence"] == 41


def test_a_quantity_of_one_of_several_views_has_the_views_name_before_its_own():
    assert quantity_name("en", "top.image_mean") == "top: Brightness of the picture"
    assert quantity_name("zh", "top.image_mean") == "top: 画面亮度"
    assert quantity_name("en", "bore 0.5 in") == "bore 0.5 in"
