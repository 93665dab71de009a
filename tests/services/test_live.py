from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from inspection.types import Box, Looked, Stretch, Verdict
from services.live import PLACED, RECENT, LiveState, station_mode
from services.station.messages import LaneMode, LaneState
from tests.a_station import a_frame_seen, a_part, a_strip, begun_now
from tests.builders import a_defect, a_strip_map, an_inspection


def test_a_station_that_has_heard_nothing_has_no_lanes_and_no_engine():
    live = LiveState()
    assert live.lanes() == ()
    assert not live.engine_connected
    assert live.of_lane("strip") is None


def test_a_unit_in_view_counts_its_frames_and_defects_and_keeps_its_worst_verdict():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    good, bad = a_part(1, defective=False), a_strip()
    live.frame(a_frame_seen(bad, begun))
    live.frame(a_frame_seen(good, begun, sequence=1))

    now = live.of_lane("strip")
    assert now is not None
    assert now.in_hand == begun
    assert (now.in_hand_frames, now.in_hand_defects) == (2, len(bad.truth))
    assert now.in_hand_worst is Verdict.REJECT


def test_what_a_screen_let_the_network_see_is_summed_over_the_frames():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    seen = a_frame_seen(a_strip(), begun)
    live.frame(seen)
    assert live.of_lane("strip").looked is None
    screened = replace(
        seen, result=replace(seen.result, looked=Looked(tiles=100, sent=3, sampled=1, escaped=1))
    )
    live.frame(screened)
    live.frame(screened)
    assert live.of_lane("strip").looked == Looked(tiles=200, sent=6, sampled=2, escaped=2)
    lines = set(live.metrics.exposition().decode().splitlines())
    assert {
        'screen_tiles_total{lane="strip",what="all"} 200.0',
        'screen_tiles_total{lane="strip",what="sent"} 6.0',
        'screen_tiles_total{lane="strip",what="sampled"} 2.0',
        'screen_tiles_total{lane="strip",what="escaped"} 2.0',
    } <= lines


def test_a_roll_mark_is_news_of_the_unit_in_view_and_gone_with_the_next():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    seen = a_frame_seen(a_strip(), begun)
    live.frame(seen)
    before = live.of_lane("strip").revision
    repeats = a_strip_map().repeats
    marked = replace(seen, result=replace(seen.result, repeats=repeats))
    live.frame(marked)
    now = live.of_lane("strip")
    assert (now.in_hand_repeats, now.revision) == (repeats, before + 1)
    live.frame(marked)
    assert live.of_lane("strip").revision == before + 1
    live.begun(begun_now(lane="strip", code="COIL-2"))
    assert live.of_lane("strip").in_hand_repeats == ()


def test_the_surface_of_the_coil_in_view_grows_with_its_frames_and_has_its_holes():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    seen = a_frame_seen(a_strip(), begun)
    for top in (200, 400, 1000):
        live.frame(replace(seen, result=replace(seen.result, seen_mm=Box(10, top, 410, top + 200))))
    now = live.of_lane("strip")
    assert now.in_hand_seen_mm == Box(10, 0, 410, 1200)
    assert now.in_hand_unseen == (Stretch(from_mm=0, to_mm=200), Stretch(from_mm=600, to_mm=1000))
    assert len(now.in_hand_placed) == 3 * len(seen.result.defects)
    live.begun(begun_now(lane="strip", code="COIL-2"))
    assert live.of_lane("strip").in_hand_seen_mm is None


def test_a_coil_full_of_defects_keeps_its_newest_for_the_map():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    seen = a_frame_seen(a_strip(), begun)
    crowd = tuple(a_defect(sequence=number) for number in range(PLACED + 7))
    live.frame(replace(seen, result=replace(seen.result, defects=crowd)))
    assert live.of_lane("strip").in_hand_placed == crowd[7:]


def test_a_new_unit_begins_at_nothing():
    live = LiveState()
    first = begun_now(lane="strip", code="COIL-1")
    live.begun(first)
    live.frame(a_frame_seen(a_strip(), first))
    live.begun(begun_now(lane="strip", code="COIL-2"))

    now = live.of_lane("strip")
    assert now is not None
    assert (now.in_hand_frames, now.in_hand_defects, now.in_hand_worst) == (0, 0, None)


def test_a_frame_of_a_unit_that_is_gone_is_shown_but_not_counted_for_the_next():
    live = LiveState()
    late = begun_now(lane="strip", code="COIL-1")
    live.begun(begun_now(lane="strip", code="COIL-2"))
    seen = a_frame_seen(a_strip(), late)
    live.frame(seen)

    now = live.of_lane("strip")
    assert now is not None
    assert now.frame == seen
    assert now.in_hand_frames == 0


def test_a_finished_unit_leaves_the_view_and_leads_the_recent_ones():
    live = LiveState()
    begun = begun_now(lane="parts", code="PART-1")
    live.begun(begun)
    done = an_inspection(id=begun.id, lane="parts")
    live.done(done)

    now = live.of_lane("parts")
    assert now is not None
    assert now.in_hand is None
    assert now.last == done


def test_only_the_last_twelve_units_are_shown_newest_first():
    live = LiveState()
    done = [an_inspection(lane="parts") for _ in range(RECENT + 3)]
    for inspection in done:
        live.done(inspection)

    now = live.of_lane("parts")
    assert now is not None
    assert now.recent == tuple(reversed(done[-RECENT:]))


def test_an_inspection_reported_twice_is_shown_once():
    live = LiveState()
    done = an_inspection(lane="parts")
    live.done(done)
    live.done(done)

    now = live.of_lane("parts")
    assert now is not None
    assert now.recent == (done,)


def test_what_the_store_remembers_comes_after_what_was_just_seen():
    live = LiveState()
    fresh, older, oldest = (an_inspection(lane="parts") for _ in range(3))
    live.done(fresh)
    live.remember([fresh, older, oldest])

    now = live.of_lane("parts")
    assert now is not None
    assert now.recent == (fresh, older, oldest)


def test_a_lane_that_lost_its_camera_says_why():
    live = LiveState()
    live.lane(
        LaneState(
            lane="strip",
            camera="top",
            driver="drawn_strip",
            condition="lost",
            at=datetime.now(UTC),
            failure="CAM-SILENT",
            facts={"camera": "top"},
        )
    )
    now = live.of_lane("strip")
    assert now is not None
    assert (now.condition, now.failure, now.facts) == ("lost", "CAM-SILENT", {"camera": "top"})


def test_the_revision_changes_with_everything_but_a_frame():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    before = live.revision
    live.frame(a_frame_seen(a_strip(), begun))
    assert live.revision == before
    live.engine(True)
    assert live.revision != before


def test_a_watcher_is_woken_from_the_feeding_thread():
    live = LiveState()

    async def watch() -> bool:
        with live.watched() as watcher:
            feeding = threading.Thread(target=live.engine, args=(True,))
            feeding.start()
            woken = await watcher.changed(timeout_s=30)
            feeding.join()
            return woken

    assert asyncio.run(watch())


def test_changes_between_two_looks_wake_a_watcher_once():
    live = LiveState()

    async def watch() -> tuple[bool, bool]:
        with live.watched() as watcher:
            live.engine(True)
            live.engine(False)
            return await watcher.changed(timeout_s=30), await watcher.changed(timeout_s=0)

    assert asyncio.run(watch()) == (True, False)


def test_feeding_goes_on_after_the_watchers_server_has_stopped():
    live = LiveState()

    async def watch_without_leaving() -> None:
        live.watched().__enter__()

    asyncio.run(watch_without_leaving())
    live.engine(True)
    assert live.engine_connected


def test_many_feeders_lose_no_frame():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    seen = a_frame_seen(a_strip(), begun)
    feeders = [threading.Thread(target=lambda: [live.frame(seen) for _ in range(200)]) for _ in range(4)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()

    now = live.of_lane("strip")
    assert now is not None
    assert now.in_hand_frames == now.frames == 800


@pytest.mark.parametrize(
    ("strip", "parts", "mode"),
    [
        ("running", "running", "run"),
        ("lost", "running", "camera_lost"),
        ("stopped", "running", "lane_stopped"),
        ("lost", "lost", "camera_lost"),
        ("stopped", "stopped", "stopped"),
        ("starting", "starting", "starting"),
    ],
)
def test_a_station_of_which_one_lane_does_not_look_is_not_said_to_be_running(strip, parts, mode):
    live = LiveState()
    live.engine(True)
    for lane, condition in (("strip", strip), ("parts", parts)):
        live.lane(LaneState(lane=lane, camera="C", driver="gige", condition=condition, at=datetime.now(UTC)))
        live.mode(LaneMode(lane=lane, mode="run", at=datetime.now(UTC)))
    assert station_mode(live) == mode


def test_a_station_is_not_said_to_be_running_before_the_mode_of_each_lane_that_runs_is_known():
    live = LiveState()
    live.engine(True)
    now = datetime.now(UTC)
    for lane in ("strip", "parts"):
        live.lane(LaneState(lane=lane, camera="C", driver="gige", condition="running", at=now))
    assert station_mode(live) == "unknown"
    live.mode(LaneMode(lane="strip", mode="run", at=now))
    assert station_mode(live) == "unknown"
    live.mode(LaneMode(lane="parts", mode="run", at=now))
    assert station_mode(live) == "run"
    # Of a lane that left the station only what is on record is known.
    live.remember([an_inspection(lane="gone")])
    assert station_mode(live) == "run"


@pytest.mark.parametrize(
    ("language", "words"), [("en", "A lane&#39;s mode is not known"), ("zh", "有通道尚未报告运行方式")]
)
def test_the_header_says_that_a_mode_is_not_known(station, language, words):
    station.runs(mode=None)
    said = TestClient(station.app()).get("/mode", headers={"Accept-Language": language}).text
    assert words in said
    assert "mode-unknown" in said


def test_a_bypass_is_said_louder_than_a_lost_camera_and_a_lost_camera_louder_than_setup():
    live = LiveState()
    live.engine(True)
    now = datetime.now(UTC)
    for lane, condition in (("strip", "lost"), ("parts", "running")):
        live.lane(LaneState(lane=lane, camera="C", driver="gige", condition=condition, at=now))
    live.mode(LaneMode(lane="parts", mode="setup", at=now, until=None, proof=None))
    assert station_mode(live) == "camera_lost"
    live.mode(LaneMode(lane="parts", mode="bypass", at=now, until=now, proof=None))
    assert station_mode(live) == "bypass"
