"""Known-bad parts as an operator shows them: the engine's own modes behind the pages, a browser before them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from inspection.types import Verdict
from services.station.messages import LaneMode
from services.station.modes import Modes
from station_config import ChallengeSettings
from tests.a_station import STATION, AStation, an_empty_station, needs_libraries
from tests.builders import a_unit
from tests.journeys.test_days import a_desk
from tests.services.station.test_challenges import Engine
from tests.services.station.test_lane import Plays

HOLDS_S = 15.0
"""How long a passed challenge holds here, so that a test sees it end."""

WORDS = {
    "en": {"overdue": "Challenge overdue", "due": "Challenge due", "challenge": "CHALLENGE", "run": "RUN"},
    "zh": {"overdue": "验证逾期", "due": "验证期限", "challenge": "验证", "run": "检测"},
}


@pytest.fixture
def station(tmp_path) -> Iterator[AStation]:
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        made.runs()
        yield made


class Line:
    """The lane `strip` as the engine runs it, which is told what the pages ask for and says what becomes of it."""

    def __init__(self, station: AStation) -> None:
        self._station = station
        self._engine = Engine()
        self._parts = 0
        self.modes = Modes(
            {"strip": self._engine.lane},
            say=self._say,
            folder=None,
            challenges={"strip": ChallengeSettings(every_h=HOLDS_S / 3600, parts=2)},
        )
        self.modes.begin()

    def _say(self, mode: LaneMode) -> None:
        self._station.live.mode(mode)
        self._station.wishes.answered(mode)

    def shows(self, *, bad: bool) -> Verdict:
        self._engine.detector.is_bad = bad
        self._engine.sink.done.clear()
        self._engine.lane.run(Plays(0), started=lambda: None)
        self._parts += 1
        seen = replace(
            self._engine.sink.done[0],
            station=STATION,
            lane="strip",
            unit=a_unit(f"86.999.1/SHOWN-{self._parts}"),
        )
        return self._station.finishes(seen).verdict


@contextmanager
def told(station: AStation, line: Line) -> Iterator[None]:
    """The engine hears what the pages ask for, as over its link."""
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.05):
            for wish in station.wishes.to_tell():
                line.modes.change(wish)

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        yield
    finally:
        over.set()
        listening.join()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_operator_shows_known_bad_parts_and_when_it_is_due_again_nothing_is_accepted(
    station, browser, language
):
    words = WORDS[language]
    line = Line(station)
    with told(station, line), a_desk(station, browser, language) as page:
        page.goto("/sign-in")
        page.locator("input[name=badge]").fill("B-1")
        page.locator("input[name=pin]").fill("2580")
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        lane = page.locator("[data-lane=strip]")
        proof = lane.locator(".lane-proof")
        # Never shown to catch anything: said in the header, above the picture and as an alarm, and nothing is accepted.
        expect(proof).to_contain_text(words["overdue"])
        expect(lane.locator(".banner-alarm")).to_contain_text("INS-UNPROVEN")
        assert line.shows(bad=False) is Verdict.NOT_INSPECTED

        proof.click()
        page.locator("form:has(input[value=challenge]) button").click()
        page.wait_for_url("**/")
        works = lane.locator(".work")
        expect(works).to_contain_text(f"{words['challenge']} 0/2")
        assert line.shows(bad=True) is Verdict.NOT_INSPECTED
        expect(works).to_contain_text("1/2")
        assert line.shows(bad=True) is Verdict.NOT_INSPECTED

        # Both were caught: the lane inspects by itself, and says how long that holds.
        expect(works).to_have_text(words["run"])
        expect(proof).to_contain_text(words["due"])
        expect(proof.locator("time[data-due]")).to_contain_text("1")
        expect(lane.locator(".banner-alarm.alarm-unacknowledged")).to_have_count(0)
        assert line.shows(bad=False) is Verdict.ACCEPT

        # And when it does not hold any more, the interlock is back without anybody having done anything.
        expect(proof).to_contain_text(words["overdue"])
        expect(lane.locator(".banner-alarm.alarm-unacknowledged")).to_contain_text("INS-UNPROVEN")
        assert line.shows(bad=False) is Verdict.NOT_INSPECTED
        expect(lane.locator("[data-tile] .tile-why")).not_to_be_empty()
    counts = station.store.counts(since=datetime(2020, 1, 1, tzinfo=UTC), station=STATION, lane="strip")
    # Two bad parts were shown, and none of them is a refused unit.
    shown = {Verdict.ACCEPT: 1, Verdict.REVIEW: 0, Verdict.NOT_INSPECTED: 4, Verdict.REJECT: 0}
    assert counts.units == shown
    assert counts.unaccounted == 0


def test_a_known_bad_part_that_is_missed_is_said_at_once_and_holds_everything(station, browser):
    line = Line(station)
    with told(station, line), a_desk(station, browser, "en") as page:
        page.goto("/sign-in?next=/lanes/strip/mode")
        page.locator("input[name=badge]").fill("B-1")
        page.locator("input[name=pin]").fill("2580")
        page.keyboard.press("Enter")
        page.locator("form:has(input[value=challenge]) button").click()
        page.wait_for_url("**/")
        lane = page.locator("[data-lane=strip]")
        expect(lane.locator(".work")).to_contain_text("0/2")
        assert line.shows(bad=False) is Verdict.NOT_INSPECTED
        expect(lane.locator(".banner-alarm")).to_contain_text("INS-CHALLENGE-MISSED")
        assert line.shows(bad=False) is Verdict.NOT_INSPECTED
