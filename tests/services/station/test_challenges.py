"""Known-bad parts: until the lane has caught them, after it missed one and when the next are overdue, nothing is
accepted; and what was shown counts for nothing else."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from inspection.tally import IN_CHALLENGE, UNPROVEN
from inspection.types import Detections, Limit, Verdict
from services.station.messages import LaneMode, ModeWish, Proof
from services.station.modes import Modes
from services.station.proofs import keep_proof
from station_config import ChallengeSettings
from tests.a_station import hours_of_parts
from tests.services.signed_in import signed_in
from tests.services.station.test_lane import Keeps, Plays, SeesOneMark, a_lane
from tests.services.station.test_modes import fills_the_disk
from traceability.accounts import Accounts, Role

HTML = {"Accept": "text/html"}
NOW = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)
REFUSES = Limit(kinds=frozenset({"pits"}), measure="score", review_from=0.5, reject_from=0.5)


class Sees(SeesOneMark):
    """A detector that finds a mark on the parts that lie there, unless it is blind."""

    is_bad = False
    is_blind = False

    def detect(self, image):
        return super().detect(image) if self.is_bad and not self.is_blind else Detections.none()


class Engine:
    """With one lane of single parts that is to be challenged every four hours, by two parts."""

    def __init__(self, folder=None, *, at: datetime = NOW, parts: int = 2) -> None:
        self.at, self.said, self.sink, self.detector = at, [], Keeps(), Sees()
        self.lane = a_lane(self.sink, frames_per_unit=1, detector=self.detector)
        pipeline = replace(self.lane.recipe.pipeline, limits=(REFUSES,))
        self.lane.recipe = replace(self.lane.recipe, pipeline=pipeline)
        self.modes = Modes(
            {"strip": self.lane},
            say=self.said.append,
            folder=folder,
            challenges={"strip": ChallengeSettings(every_h=4, parts=parts)},
            now=lambda: self.at,
        )
        self.modes.begin()

    def goes(self, mode) -> None:
        self.modes.change(ModeWish(lane="strip", mode=mode))

    def shows(self, *, bad: bool, blind: bool = False):
        """One part, and what becomes of it."""
        self.detector.is_bad, self.detector.is_blind = bad, blind
        self.sink.done.clear()
        self.lane.run(Plays(0), started=lambda: None)
        return self.sink.done[0]

    def passes(self) -> None:
        self.goes("challenge")
        for _ in range(2):
            self.shows(bad=True)

    @property
    def proof(self) -> Proof:
        return self.said[-1].proof


def test_a_lane_that_was_never_proven_accepts_nothing():
    engine = Engine()
    part = engine.shows(bad=False)
    assert (part.verdict, part.failures) == (Verdict.NOT_INSPECTED, {UNPROVEN: 1})
    assert engine.said[-1].is_unproven


def test_what_is_refused_while_unproven_is_seen_and_counts_for_nothing():
    assert Engine().shows(bad=True).defects


def test_once_all_known_bad_parts_are_caught_the_lane_accepts_again():
    engine = Engine()
    engine.goes("challenge")
    first = engine.shows(bad=True)
    assert (first.verdict, first.failures) == (Verdict.NOT_INSPECTED, {IN_CHALLENGE: 1})
    assert (engine.said[-1].mode, engine.proof.caught) == ("challenge", 1)
    engine.shows(bad=True)
    assert (engine.said[-1].mode, engine.proof.proven_at, engine.proof.due) == (
        "run",
        NOW,
        NOW + timedelta(hours=4),
    )
    assert engine.shows(bad=False).verdict is Verdict.ACCEPT
    assert engine.shows(bad=True).verdict is Verdict.REJECT
    assert engine.lane.account.gap == 0


def test_a_part_that_is_missed_ends_the_challenge_and_nothing_is_accepted_until_all_are_caught():
    engine = Engine()
    engine.passes()
    engine.goes("challenge")
    engine.shows(bad=True)
    engine.shows(bad=True, blind=True)
    assert (engine.said[-1].mode, engine.said[-1].is_unproven, engine.proof.missed_at) == ("run", True, NOW)
    assert engine.shows(bad=False).failures == {UNPROVEN: 1}
    engine.passes()
    assert engine.proof.missed_at is None
    assert engine.shows(bad=False).verdict is Verdict.ACCEPT


def test_a_challenge_that_is_given_up_changes_nothing_and_its_parts_do_not_count_later():
    engine = Engine()
    engine.goes("challenge")
    engine.shows(bad=True)
    engine.goes("run")
    assert engine.said[-1].is_unproven
    engine.goes("challenge")
    engine.shows(bad=True)
    assert engine.said[-1].mode == "challenge"


def test_a_bad_part_of_everyday_is_none_of_those_that_are_shown():
    engine = Engine()
    engine.shows(bad=True)
    assert (engine.proof.caught, engine.proof.proven_at) == (0, None)


def test_an_overdue_challenge_is_told_and_withholds():
    engine = Engine()
    told = threading.Event()
    quick = ChallengeSettings(every_h=0.3 / 3600)
    modes = Modes(
        {"strip": engine.lane},
        say=lambda mode: told.set() if mode.proof.proven_at is not None and mode.is_unproven else None,
        folder=None,
        challenges={"strip": quick},
    )
    modes.begin()
    modes.change(ModeWish(lane="strip", mode="challenge"))
    engine.shows(bad=True)
    assert told.wait(30)
    assert engine.shows(bad=False).failures == {UNPROVEN: 1}


def test_a_proof_outlives_the_engine_and_a_challenge_does_not(tmp_path):
    first = Engine(tmp_path)
    first.passes()
    first.goes("challenge")
    first.shows(bad=True)
    again = Engine(tmp_path, at=NOW + timedelta(hours=3))
    assert (again.said[-1].mode, again.said[-1].is_unproven, again.proof.caught) == ("run", False, 0)
    assert again.shows(bad=False).verdict is Verdict.ACCEPT
    late = Engine(tmp_path, at=NOW + timedelta(hours=4))
    assert late.shows(bad=False).verdict is Verdict.NOT_INSPECTED


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_was_put_back_does_not_make_a_proof_last_longer(tmp_path, years):
    Engine(tmp_path).passes()
    again = Engine(tmp_path, at=NOW + years * timedelta(days=365))
    assert again.shows(bad=False).verdict is Verdict.NOT_INSPECTED


def test_a_known_bad_part_on_a_full_disk_has_its_record_and_the_challenge_ends(tmp_path):
    engine = Engine(tmp_path, parts=1)
    engine.goes("challenge")
    fills_the_disk(tmp_path)
    part = engine.shows(bad=True)
    assert (part.verdict, part.failures) == (Verdict.NOT_INSPECTED, {IN_CHALLENGE: 1})
    assert (engine.said[-1].mode, engine.proof.proven_at) == ("run", NOW)
    assert engine.shows(bad=False).verdict is Verdict.ACCEPT
    assert engine.lane.account.gap == 0


def test_an_engine_that_starts_again_after_a_miss_on_a_full_disk_does_not_go_by_the_proof_before(tmp_path):
    engine = Engine(tmp_path)
    engine.passes()
    fills_the_disk(tmp_path)
    engine.goes("challenge")
    engine.shows(bad=True, blind=True)
    again = Engine(tmp_path, at=NOW + timedelta(hours=1))
    assert again.shows(bad=False).verdict is Verdict.NOT_INSPECTED
    again.goes("run")
    assert again.shows(bad=False).failures == {UNPROVEN: 1}


def test_a_lane_is_said_to_be_unproven_when_its_proof_ends_though_the_clock_was_put_back(tmp_path):
    engine, is_told = Engine(), threading.Event()
    modes = Modes(
        {"strip": engine.lane},
        say=lambda mode: is_told.set() if mode.proof.proven_at is not None and mode.is_unproven else None,
        folder=tmp_path,
        challenges={"strip": ChallengeSettings(every_h=0.3 / 3600)},
        # It does not come to the end of the proof, however long one waits.
        now=lambda: NOW,
    )
    modes.begin()
    modes.change(ModeWish(lane="strip", mode="challenge"))
    engine.shows(bad=True)
    assert is_told.wait(30)
    assert engine.shows(bad=False).failures == {UNPROVEN: 1}
    # Nor does one that starts again go by the proof.
    again = Engine(tmp_path)
    assert again.said[-1].is_unproven


# ---------------------------------------------------------------------- in the service


def _stands(station, *, due: timedelta, missed: bool = False) -> LaneMode:
    at = datetime.now(UTC)
    proof = Proof(
        due=at + due,
        parts=2,
        caught=0,
        proven_at=at - timedelta(hours=1),
        missed_at=at if missed else None,
    )
    mode = LaneMode(lane="parts", mode="run", at=at, proof=proof)
    station.live.mode(mode)
    return mode


@pytest.mark.parametrize(
    ("due", "missed", "code"),
    [(-1, False, "INS-UNPROVEN"), (-1, True, "INS-CHALLENGE-MISSED"), (60, False, None)],
)
def test_an_unproven_lane_is_an_alarm_that_says_what_to_do(station, due, missed, code):
    station.runs()
    _stands(station, due=timedelta(minutes=due), missed=missed)
    alarms = TestClient(station.app()).get("/api/v1/alarms").json()
    assert [one["code"] for one in alarms] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("Challenge due", "CHALLENGE DUE")), ("zh", ("验证期限", "验证到期"))]
)
def test_the_screen_counts_down_and_then_says_that_nothing_is_accepted(station, language, words):
    station.runs()
    client = TestClient(station.app(), headers=HTML | {"Accept-Language": language})
    _stands(station, due=timedelta(hours=2))
    before = client.get("/").text
    assert (words[0] in before, "data-due" in before, words[1] in before) == (True, True, False)
    _stands(station, due=timedelta(hours=-2))
    after = client.get("/").text
    assert (words[1] in after, "data-due" in after, "proof-due" in after) == (True, False, True)


def test_an_operator_begins_a_challenge_where_one_is_set_and_nowhere_else(station):
    station.runs()
    operator = signed_in(station.app(), Role.OPERATOR)
    _stands(station, due=timedelta(hours=-2))
    assert "challenge" in operator.get("/lanes/parts/mode", headers=HTML).text
    assert operator.post("/api/v1/lanes/parts/mode", json={"mode": "challenge"}).status_code == 202
    refused = operator.post("/api/v1/lanes/strip/mode", json={"mode": "challenge"})
    assert (refused.status_code, refused.json()["code"]) == (422, "SVC-NO-CHALLENGE")
    assert [wish.lane for wish in station.wishes.to_tell()] == ["parts"]


def test_containment_reaches_back_to_the_last_challenge_of_that_lane_alone(station):
    hours_of_parts(station, [1, 1, 1], until=datetime.now(UTC), simulated=False)
    client = signed_in(station.app(), Role.ENGINEER)
    accepted = client.get("/api/v1/inspections?verdict=ACCEPT&limit=500").json()
    proven_at = datetime.fromisoformat(accepted[9]["finished_at"])
    proof = Proof(due=proven_at, parts=2, caught=2, proven_at=proven_at, missed_at=None)
    for lane in ("strip", "parts"):
        mode = LaneMode(lane=lane, mode="run", at=proven_at, proof=proof)
        for _ in range(2):
            keep_proof(station.store, "demo", mode)
        said = {"escape": accepted[0]["id"], "reason": "a complaint"}
        since = client.post("/api/v1/containments", json=said).json()["since"]
        assert since == (None if lane == "strip" else accepted[9]["finished_at"])
    kept = [one for one in Accounts(station.store).audit(limit=50) if one.action == "challenge.passed"]
    assert len(kept) == 2
