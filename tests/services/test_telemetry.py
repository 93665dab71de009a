from __future__ import annotations

from datetime import UTC, datetime

from inspection.types import Verdict
from services.live import LiveState
from services.station.link import Backlog
from services.station.messages import LaneState
from tests.a_station import a_frame_seen, a_strip, begun_now
from tests.builders import a_defect, an_inspection


def test_what_the_engine_reports_is_counted_per_lane():
    live = LiveState()
    live.engine(True)
    live.lane(
        LaneState(lane="strip", camera="top", driver="drawn_strip", condition="running", at=datetime.now(UTC))
    )
    live.frame(a_frame_seen(a_strip(), begun_now(lane="strip", code="COIL-1")))
    live.done(
        an_inspection(
            verdict=Verdict.NOT_INSPECTED,
            defects=(a_defect(),),
            frames_inspected=37,
            frames_failed=2,
            frames_lost=1,
            failures={"INS-IMAGE-UNFIT": 2},
        )
    )
    live.metrics.waiting(5)
    live.metrics.backlog(Backlog(waiting=3, given_up=7))
    lines = set(live.metrics.exposition().decode().splitlines())
    assert {
        'frames_inspected_total{lane="strip"} 37.0',
        'frames_lost_total{lane="strip"} 1.0',
        'frames_failed_total{lane="strip"} 2.0',
        'frames_not_inspected_total{failure="INS-IMAGE-UNFIT",lane="strip"} 2.0',
        'frames_unaccounted_total{lane="strip"} 0.0',
        "outbox_waiting 3.0",
        "pictures_waiting 5.0",
        "pictures_given_up 7.0",
        'units_total{lane="strip",verdict="NOT_INSPECTED"} 1.0',
        'defects_total{kind="scratch",lane="strip"} 1.0',
        'step_ms_count{lane="strip",step="detect"} 1.0',
        'lane_running{lane="strip"} 1.0',
        "engine_connected 1.0",
    } <= lines


def test_a_lane_whose_engine_is_away_is_not_said_to_run():
    live = LiveState()
    runs = LaneState(
        lane="strip", camera="top", driver="drawn_strip", condition="running", at=datetime.now(UTC)
    )

    def said() -> bool:
        return 'lane_running{lane="strip"} 1.0' in live.metrics.exposition().decode()

    live.lane(runs)
    live.engine(True)
    assert said()
    live.engine(False)
    assert not said()
    # One that comes again says first how its lanes stand.
    live.lane(runs)
    live.engine(True)
    assert said()


def test_two_stations_in_one_process_do_not_count_for_each_other():
    one, other = LiveState(), LiveState()
    one.done(an_inspection())
    assert "units_total{" not in other.metrics.exposition().decode()
