"""RUN, SETUP and BYPASS: nothing of the last two is accepted, all of it is accounted for, and a bypass ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from inspection.tally import BYPASSED, IN_SETUP
from inspection.types import Limit, Verdict
from services.station import modes as modes_kept
from services.station.messages import LaneMode, ModeWish
from services.station.modes import IN_FORCE, Modes
from services.station.recipes import Wishes
from tests.services.signed_in import signed_in
from tests.services.station.test_lane import Keeps, Plays, Sees, SeesOneMark, a_lane
from traceability.accounts import Accounts, Role

HTML = {"Accept": "text/html"}
REFUSES = Limit(kinds=frozenset({"pits"}), measure="score", review_from=0.5, reject_from=0.5)


class SaysRunAfterTheFirst(Plays):
    """A camera of two parts; somebody has the lane inspect again when the first has come."""

    def __init__(self, engine: Works) -> None:
        super().__init__(0, 1)
        self._engine = engine

    def frames(self):
        for frame in super().frames():
            yield frame
            self._engine.goes("run")


class GoesToSetupAfterTheFirst(Plays):
    """A camera of two frames; somebody begins to work on the lane when the first was inspected."""

    def __init__(self, engine: Works) -> None:
        super().__init__(0, 1)
        self._engine = engine

    def frames(self):
        for frame in super().frames():
            if frame.sequence:
                end = time.monotonic() + 30
                while self._engine.lane.account.results < 1 and time.monotonic() < end:
                    time.sleep(0.005)
                self._engine.goes("setup")
            yield frame


class Works:
    """An engine with one lane of single parts, and what it said about modes."""

    def __init__(self, folder=None, *, detector=None, frames_per_unit=1, refuses=False) -> None:
        self.said: list[LaneMode] = []
        self.changed = threading.Condition()
        self.sink = Keeps()
        self.lane = a_lane(
            self.sink, frames_per_unit=frames_per_unit, **({} if detector is None else {"detector": detector})
        )
        if refuses:
            pipeline = replace(self.lane.recipe.pipeline, limits=(REFUSES,))
            self.lane.recipe = replace(self.lane.recipe, pipeline=pipeline)
        self.modes = Modes({"strip": self.lane}, say=self._say, folder=folder)

    def _say(self, mode: LaneMode) -> None:
        with self.changed:
            self.said.append(mode)
            self.changed.notify_all()

    def goes(self, mode, *, minutes: float | None = None) -> None:
        until = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
        self.modes.change(ModeWish(lane="strip", mode=mode, until=until))

    def inspects(self, parts: int):
        self.sink.done.clear()
        self.lane.run(Plays(*range(parts)), started=lambda: None)
        return self.sink.done[:parts]


def test_a_lane_inspects_until_somebody_says_otherwise():
    engine = Works()
    engine.modes.begin()
    assert [mode.mode for mode in engine.said] == ["run"]
    assert {unit.verdict for unit in engine.inspects(3)} == {Verdict.ACCEPT}


def test_a_bypassed_part_is_never_accepted_and_says_why_and_every_exposure_is_accounted_for():
    engine = Works(detector=Sees(RuntimeError("the detector is what is broken")))
    engine.modes.begin()
    engine.goes("bypass", minutes=30)
    for unit in engine.inspects(3):
        assert unit.verdict is Verdict.NOT_INSPECTED
        assert unit.failures == {BYPASSED: 1}
        assert (unit.triggers, unit.frames_failed, unit.unaccounted) == (1, 1, 0)
    assert engine.lane.account.gap == 0


def test_what_is_seen_in_setup_is_shown_and_counts_for_nothing():
    engine = Works(detector=SeesOneMark(), refuses=True)
    engine.modes.begin()
    engine.goes("setup")
    for unit in engine.inspects(2):
        # Its mark would have it refused, had it come in a shift.
        assert unit.verdict is Verdict.NOT_INSPECTED
        assert IN_SETUP in unit.failures
        assert unit.defects
        assert (unit.triggers, unit.frames_failed, unit.unaccounted) == (1, 1, 0)
    assert engine.lane.account.gap == 0


def test_a_bad_part_that_comes_after_setup_is_refused_and_counted():
    engine = Works(detector=SeesOneMark(), refuses=True)
    engine.modes.begin()
    engine.goes("setup")
    engine.inspects(1)
    engine.goes("run")
    assert [unit.verdict for unit in engine.inspects(1)] == [Verdict.REJECT]


def test_a_unit_that_was_refused_before_the_lane_went_to_setup_stays_refused():
    engine = Works(detector=SeesOneMark(), frames_per_unit=2, refuses=True)
    engine.modes.begin()
    camera = GoesToSetupAfterTheFirst(engine)
    engine.lane.run(camera, started=lambda: None)
    unit = engine.sink.done[0]
    assert (unit.verdict, unit.failures) == (Verdict.REJECT, {IN_SETUP: 1})


@pytest.mark.parametrize("mode", ["setup", "bypass"])
def test_a_part_that_came_before_the_lane_inspects_again_is_not_accepted(mode):
    """It waited behind others: the lane runs by the time it is looked at."""
    engine = Works()
    engine.modes.begin()
    engine.goes(mode, minutes=30 if mode == "bypass" else None)
    camera = SaysRunAfterTheFirst(engine)
    engine.lane.run(camera, started=lambda: None)
    assert engine.sink.done[0].verdict is Verdict.NOT_INSPECTED
    assert engine.sink.done[1].verdict is Verdict.ACCEPT


class Waits(Sees):
    """A detector that is busy until it is told to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def detect(self, image):
        assert self.may_answer.wait(30)
        return super().detect(image)


class SaysWhenAllCame(Plays):
    """A camera of three frames that have all come before the first is judged."""

    def __init__(self) -> None:
        super().__init__(0, 1, 2)
        self.all_came = threading.Event()

    def frames(self):
        yield from super().frames()
        self.all_came.set()


@pytest.mark.parametrize(
    "then", [["run"], ["run", "run"], ["challenge", "run"], ["run", "setup", "run", "run"]]
)
def test_parts_that_came_in_setup_are_not_accepted_however_often_the_mode_changes_before_they_are_judged(
    then,
):
    detector, camera = Waits(), SaysWhenAllCame()
    engine = Works(detector=detector)
    engine.lane.holds = 8
    engine.lane.work("setup")
    inspects = threading.Thread(target=engine.lane.run, args=(camera,), kwargs={"started": lambda: None})
    inspects.start()
    assert camera.all_came.wait(30)
    for mode in then:
        engine.lane.work(mode)
    detector.may_answer.set()
    inspects.join()
    assert [unit.failures for unit in engine.sink.done[:3]] == [{IN_SETUP: 1}] * 3
    assert [unit.verdict for unit in engine.sink.done[:3]] == [Verdict.NOT_INSPECTED] * 3


def test_a_bypass_ends_by_itself():
    engine = Works()
    engine.modes.begin()
    engine.goes("bypass", minutes=0.2 / 60)
    with engine.changed:
        assert engine.changed.wait_for(lambda: engine.said[-1].mode == "run", timeout=30)
    assert [mode.mode for mode in engine.said] == ["run", "bypass", "run"]
    assert {unit.verdict for unit in engine.inspects(2)} == {Verdict.ACCEPT}


def test_an_engine_that_starts_again_goes_on_in_the_mode_it_was_in(tmp_path):
    first = Works(tmp_path)
    first.modes.begin()
    first.goes("setup")
    again = Works(tmp_path)
    again.modes.begin()
    assert [mode.mode for mode in again.said] == ["setup"]


def test_a_bypass_that_ended_while_the_engine_was_away_is_over(tmp_path):
    first = Works(tmp_path)
    first.modes.begin()
    first.goes("bypass", minutes=1)
    again = Works(tmp_path)
    again.modes = Modes(
        {"strip": again.lane},
        say=again.said.append,
        folder=tmp_path,
        now=lambda: datetime.now(UTC) + timedelta(minutes=2),
    )
    again.modes.begin()
    assert [mode.mode for mode in again.said] == ["run"]


def test_who_cannot_tell_in_which_mode_the_station_was_accepts_nothing(tmp_path):
    (tmp_path / IN_FORCE).write_text("{", encoding="utf-8")
    engine = Works(tmp_path)
    engine.modes.begin()
    assert [mode.mode for mode in engine.said] == ["setup"]


def test_a_mode_holds_and_is_told_while_the_disk_is_full_and_is_kept_when_there_is_room_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(modes_kept, "KEEP_AGAIN_S", 0.05)
    engine = Works(tmp_path)
    engine.modes.begin()
    no_room = fills_the_disk(tmp_path)
    engine.goes("bypass")
    assert [mode.mode for mode in engine.said] == ["run", "bypass"]
    assert engine.inspects(1)[0].failures == {BYPASSED: 1}
    no_room.rmdir()
    kept = tmp_path / IN_FORCE
    end = time.monotonic() + 30
    while "bypass" not in kept.read_text(encoding="utf-8") and time.monotonic() < end:
        time.sleep(0.01)
    again = Works(tmp_path)
    again.modes.begin()
    assert [mode.mode for mode in again.said] == ["bypass"]


def test_an_engine_that_starts_again_while_the_disk_is_full_does_not_go_by_a_mode_that_is_over(tmp_path):
    engine = Works(tmp_path)
    engine.modes.begin()
    fills_the_disk(tmp_path)
    engine.goes("bypass")
    again = Works(tmp_path)
    again.modes.begin()
    assert [mode.mode for mode in again.said] == ["setup"]


def fills_the_disk(folder) -> Path:
    """What is in the way of the file's next text: it is refused, as a full disk refuses it."""
    in_the_way = (folder / IN_FORCE).with_suffix(".new")
    in_the_way.mkdir()
    return in_the_way


def test_a_mode_that_is_asked_for_before_the_lanes_are_there_waits_for_them():
    engine = Works()
    engine.goes("setup")
    engine.modes.begin()
    assert [mode.mode for mode in engine.said] == ["run", "setup"]


def test_each_engine_that_comes_is_asked_until_one_answers():
    wishes = Wishes()
    wish = ModeWish(lane="strip", mode="setup")
    wishes.ask_mode(wish)
    wishes.ask("strip", "strip-demo")
    assert len(wishes.to_tell()) == 2
    wishes.greet()
    assert wish in wishes.to_tell()
    wishes.answered(LaneMode(lane="strip", mode="setup", at=datetime.now(UTC)))
    wishes.greet()
    assert [type(one).__name__ for one in wishes.to_tell()] == ["RecipeWish"]


# ---------------------------------------------------------------------- asked for over HTTP

MODES = "/api/v1/lanes/parts/mode"
BYPASS = {"mode": "bypass", "reason": "detector replaced", "minutes": 30}


@pytest.mark.parametrize(
    ("role", "asked", "status"),
    [
        (None, {"mode": "run"}, 401),
        (Role.AUDITOR, {"mode": "run"}, 403),
        (Role.OPERATOR, {"mode": "run"}, 202),
        (Role.OPERATOR, {"mode": "setup"}, 403),
        (Role.OPERATOR, BYPASS, 403),
        (Role.INTEGRATOR, {"mode": "setup"}, 202),
        (Role.INTEGRATOR, BYPASS, 403),
        (Role.ENGINEER, BYPASS, 202),
        (Role.ADMINISTRATOR, BYPASS, 403),
        (Role.ENGINEER, BYPASS | {"reason": "  "}, 422),
        (Role.ENGINEER, {"mode": "bypass", "reason": "why"}, 422),
        (Role.ENGINEER, BYPASS | {"minutes": 481}, 422),
        (Role.ENGINEER, {"mode": "off"}, 422),
    ],
)
def test_a_mode_is_changed_by_who_may_and_a_bypass_has_a_reason_and_an_end(station, role, asked, status):
    station.runs()
    client = TestClient(station.app()) if role is None else signed_in(station.app(), role)
    assert client.post(MODES, json=asked).status_code == status
    assert len(station.wishes.to_tell()) == (status == 202)


def test_who_bypassed_why_and_until_when_is_in_the_audit(station):
    station.runs()
    signed_in(station.app(), Role.ENGINEER).post(MODES, json=BYPASS)
    (entry,) = (one for one in Accounts(station.store).audit(limit=9) if one.action == "lane.mode")
    assert (entry.person, entry.subject, entry.reason) == ("engineer", "lane:demo/parts", "detector replaced")
    assert entry.after["mode"] == "bypass"
    assert entry.after["until"] == station.wishes.to_tell()[0].until.isoformat()


@pytest.mark.parametrize(("language", "words"), [("en", "BYPASS"), ("zh", "旁路")])
def test_a_bypass_is_on_every_screen_of_the_station(station, language, words):
    station.runs()
    until = datetime.now(UTC) + timedelta(minutes=30)
    station.live.mode(LaneMode(lane="parts", mode="bypass", at=datetime.now(UTC), until=until))
    client = TestClient(station.app())
    html = client.get("/", headers=HTML | {"Accept-Language": language}).text
    assert "mode-bypass" in html
    assert "work-bypass" in html
    assert words in html
    # Whoever reviews, looks up or draws a chart sees it too, and as long as the page stays open.
    for path in ("/alarms", "/trace", "/spc", "/cases", "/sign-in", "/mode"):
        shown = client.get(path, headers=HTML | {"Accept-Language": language}).text
        assert "mode-bypass" in shown
        assert words in shown
    lanes = {lane["lane"]: lane for lane in client.get("/api/v1/station").json()["lanes"]}
    assert lanes["parts"]["mode"]["mode"] == "bypass"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_form_says_what_a_bypass_means_and_refuses_one_without_a_reason(station, language):
    station.runs()
    engineer = signed_in(station.app(), Role.ENGINEER)
    headers = HTML | {"Accept-Language": language}
    assert engineer.get("/lanes/parts/mode", headers=headers).status_code == 200
    refused = engineer.post("/lanes/parts/mode", data={"mode": "bypass", "minutes": 30}, headers=headers)
    assert refused.status_code == 422
    assert "SVC-BYPASS-INCOMPLETE" in refused.text
    done = engineer.post("/lanes/parts/mode", data=BYPASS)
    assert (done.status_code, done.headers["location"]) == (303, "/")


def test_a_bypass_that_was_refused_comes_back_with_the_minutes_that_were_asked_for(station):
    station.runs()
    engineer = signed_in(station.app(), Role.ENGINEER)
    refused = engineer.post("/lanes/parts/mode", data=BYPASS | {"reason": " ", "minutes": 15}, headers=HTML)
    assert refused.status_code == 422
    assert "<option selected>15</option>" in refused.text


@pytest.mark.parametrize(
    ("language", "words", "run"), [("en", "MODE NOT KNOWN", ">RUN"), ("zh", "方式未知", ">检测<")]
)
def test_a_lane_whose_mode_is_not_known_is_not_said_to_inspect(station, language, words, run):
    station.runs(mode=None)
    engineer = signed_in(station.app(), Role.ENGINEER)
    headers = HTML | {"Accept-Language": language}
    station.live.mode(LaneMode(lane="strip", mode="run", at=datetime.now(UTC)))
    known, unknown = (
        engineer.get(f"/lanes/{lane}/panel", headers=headers).text for lane in ("strip", "parts")
    )
    assert (run in known, words in known) == (True, False)
    assert (run in unknown, words in unknown) == (False, True)
    asked = engineer.get("/lanes/parts/mode", headers=headers).text
    assert words in asked
    assert 'name="mode" value="run"' in asked
    assert words in engineer.get("/handover", headers=headers).text
