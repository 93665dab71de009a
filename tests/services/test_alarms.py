"""Alarms as ISA-18.2 has them: raised, acknowledged, back to normal, shelved; and by whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from services.alarms import AlarmBoard, AlarmJournal
from services.station.messages import Alarm, LaneState
from tests.builders import NOON
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role

HTML = {"Accept": "text/html"}
LOST = Alarm(code="CAM-LOST", lane="parts", since=NOON, withholds=True, facts={"camera": "SIM-1"})


def _states(board: AlarmBoard, at=NOON) -> list[str]:
    return [one.state for one in board.shown(at)]


def test_an_alarm_that_is_acknowledged_stays_until_it_is_over():
    board = AlarmBoard()
    board.sees("parts", [LOST])
    assert _states(board) == ["unacknowledged"]
    assert board.acknowledge("parts", "CAM-LOST", by="wang")
    board.sees("parts", [LOST])
    assert _states(board) == ["acknowledged"]
    board.sees("parts", [])
    assert _states(board) == []


def test_an_alarm_that_nobody_saw_stays_when_it_is_over_and_asks_anew_when_it_comes_again():
    board = AlarmBoard()
    board.sees("parts", [LOST])
    board.sees("parts", [])
    assert _states(board) == ["returned"]
    board.sees("parts", [LOST])
    assert _states(board) == ["unacknowledged"]
    board.sees("parts", [])
    board.acknowledge("parts", "CAM-LOST", by="wang")
    assert _states(board) == []


def test_a_shelved_alarm_comes_back_when_its_time_is_over():
    board = AlarmBoard()
    board.sees("parts", [LOST])
    board.shelve("parts", "CAM-LOST", by="wang", until=NOON + timedelta(minutes=15))
    assert _states(board, NOON + timedelta(minutes=14)) == ["shelved"]
    assert _states(board, NOON + timedelta(minutes=15)) == ["unacknowledged"]


def test_what_is_over_is_not_shelved_and_so_never_comes_back():
    board = AlarmBoard()
    board.sees("parts", [LOST])
    board.sees("parts", [])
    assert not board.shelve("parts", "CAM-LOST", by="wang", until=NOON + timedelta(minutes=15))
    assert _states(board, NOON + timedelta(minutes=15)) == ["returned"]


def test_what_asks_for_somebody_comes_first_and_other_lanes_keep_theirs():
    board = AlarmBoard()
    other = Alarm(code="SVC-ACCOUNT-GAP", lane="strip", since=NOON, withholds=True, facts={})
    board.sees("parts", [LOST])
    board.acknowledge("parts", "CAM-LOST", by="wang")
    board.sees("strip", [other])
    assert [one.alarm.code for one in board.shown(NOON)] == ["SVC-ACCOUNT-GAP", "CAM-LOST"]
    assert [one.alarm.code for one in board.shown(NOON, lane="parts")] == ["CAM-LOST"]


def test_nobody_answers_an_alarm_that_there_is_not():
    board = AlarmBoard()
    assert not board.acknowledge("parts", "CAM-LOST", by="wang")
    assert not board.shelve("parts", "CAM-LOST", by="wang", until=NOON)


# ---------------------------------------------------------------------- over HTTP


@pytest.fixture
def lost(station):
    """A station whose second camera is lost."""
    station.runs()
    station.live.lane(
        LaneState(
            lane="parts",
            camera="SIM-1",
            driver="gige",
            condition="lost",
            at=NOON,
            failure="CAM-LOST",
            facts={},
        )
    )
    return station


ACKNOWLEDGE = "/api/v1/lanes/parts/alarms/CAM-LOST/acknowledge"
SHELVE = "/api/v1/lanes/parts/alarms/CAM-LOST/shelve"


def test_a_lost_camera_is_an_alarm_that_an_operator_acknowledges_and_the_audit_says_who(lost):
    operator = signed_in(lost.app(), Role.OPERATOR)
    (alarm,) = operator.get("/api/v1/alarms").json()
    assert (alarm["code"], alarm["state"], alarm["withholds"]) == ("CAM-LOST", "unacknowledged", True)
    assert operator.post(ACKNOWLEDGE).status_code == 204
    (alarm,) = operator.get("/api/v1/alarms").json()
    assert (alarm["state"], alarm["by"]) == ("acknowledged", "operator")
    newest = Accounts(lost.store).audit(limit=1)[0]
    assert (newest.action, newest.subject) == ("alarm.acknowledged", "alarm:demo/parts:CAM-LOST")


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "The connection to camera SIM-1 was lost."), ("zh", "与相机 SIM-1 的连接已中断。")],
)
def test_the_drivers_words_stand_beside_an_alarm_in_their_own_language_and_not_within_it(
    station, language, said
):
    facts = {"camera": "SIM-1", "reason": "stream closed"}
    state = LaneState(
        lane="parts", camera="SIM-1", driver="gige", condition="lost", at=NOON, failure="CAM-LOST"
    )
    station.runs()
    station.live.lane(replace(state, facts=facts))
    client = signed_in(station.app(), Role.OPERATOR)
    spoken = {"Accept": "text/html", "Accept-Language": language}
    (alarm,) = client.get("/api/v1/alarms", headers=spoken).json()
    assert alarm["what"] == said
    assert "stream closed" not in client.get("/", headers=spoken).text
    assert '<q lang="en">stream closed</q>' in client.get("/alarms", headers=spoken).text


def test_a_camera_that_is_lost_again_and_again_is_one_alarm(lost):
    operator = signed_in(lost.app(), Role.OPERATOR)
    operator.post(ACKNOWLEDGE)
    state = LaneState(
        lane="parts", camera="SIM-1", driver="gige", condition="lost", at=NOON, failure="CAM-LOST", facts={}
    )
    lost.live.lane(state)
    assert [one["state"] for one in operator.get("/api/v1/alarms").json()] == ["acknowledged"]
    lost.runs()
    assert operator.get("/api/v1/alarms").json() == []


@pytest.mark.parametrize(
    ("role", "path", "asked", "status"),
    [
        (None, ACKNOWLEDGE, None, 401),
        (Role.AUDITOR, ACKNOWLEDGE, None, 403),
        (Role.OPERATOR, SHELVE, {"minutes": 15}, 204),
        (Role.OPERATOR, SHELVE, {"minutes": 481}, 422),
        (Role.OPERATOR, SHELVE, {}, 422),
        (Role.AUDITOR, SHELVE, {"minutes": 15}, 403),
        (Role.OPERATOR, ACKNOWLEDGE.replace("LOST", "GONE"), None, 404),
        (Role.OPERATOR, ACKNOWLEDGE.replace("parts", "nobody"), None, 404),
        (Role.OPERATOR, ACKNOWLEDGE.replace("CAM-LOST", "no_code"), None, 422),
    ],
)
def test_who_may_operate_answers_alarms_that_there_are(lost, role, path, asked, status):
    client = TestClient(lost.app()) if role is None else signed_in(lost.app(), role)
    assert client.post(path, json=asked).status_code == status


def test_an_alarm_that_was_over_before_somebody_shelved_it_is_told_no_second_time(lost):
    """Whoever presses the button of a page that was drawn before."""
    operator = signed_in(lost.app(), Role.OPERATOR)
    journal = AlarmJournal(lost.store, lost.live.board, station="demo", lanes=["strip", "parts"])
    journal.keep()
    lost.runs()
    journal.keep()
    refused = operator.post(SHELVE, json={"minutes": 15})
    assert (refused.status_code, refused.json()["code"]) == (404, "SVC-ALARM-UNKNOWN")
    journal.keep()
    noted = [one.action for one in reversed(Accounts(lost.store).audit(limit=10)) if "alarm" in one.action]
    assert noted == ["alarm.raised", "alarm.over"]


def test_every_alarm_that_stands_is_among_the_metrics_until_it_is_over(lost):
    operator = signed_in(lost.app(), Role.OPERATOR)

    def metric() -> list[str]:
        lines = operator.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("alarm{")]

    assert metric() == ['alarm{code="CAM-LOST",lane="parts"} 1.0']
    assert operator.post(SHELVE, json={"minutes": 15}).status_code == 204
    assert metric() == ['alarm{code="CAM-LOST",lane="parts"} 1.0']
    lost.runs()
    assert metric() == ['alarm{code="CAM-LOST",lane="parts"} 0.0']


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_station_shows_the_alarm_with_one_button_and_the_list_shows_all(lost, language):
    operator = signed_in(lost.app(), Role.OPERATOR)
    headers = HTML | {"Accept-Language": language}
    assert 'data-key="F2"' in operator.get("/", headers=headers).text
    assert "/lanes/parts/alarms/CAM-LOST/shelve" in operator.get("/alarms", headers=headers).text
    assert operator.post("/lanes/parts/alarms/CAM-LOST/acknowledge").headers["location"] == "/"
    assert 'data-key="F2"' not in operator.get("/", headers=headers).text
    shelved = operator.post("/lanes/parts/alarms/CAM-LOST/shelve", data={"minutes": 15})
    assert shelved.headers["location"] == "/alarms"
    assert "CAM-LOST" not in operator.get("/", headers=headers).text
    assert "CAM-LOST" in operator.get("/alarms", headers=headers).text
