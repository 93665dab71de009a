"""Alarms of the station, and what people do about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.access import AccessHere, Caller
from services.alarms import LONGEST_SHELVED, Shown, State
from services.api.serving import Here, Language, Live, Serving
from services.api.station import Operator, known_lane
from services.live import LiveState
from services.problems import AlarmUnknown, problems
from services.web.alarm_texts import explained
from traceability.accounts import note
from traceability.told import AlarmAct, alarm_subject

router = APIRouter(tags=["station"])

MOST_MINUTES = int(LONGEST_SHELVED.total_seconds() // 60)
Code = Annotated[str, Path(max_length=60, pattern=r"^[A-Z0-9-]+$")]

ACTS = problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
)


class ShownAlarmAnswer(BaseModel):
    """One alarm. `returned`: over by itself, and nobody has acknowledged it yet. `what` and `action` are for people.

    by     who acknowledged or shelved it
    until  when a shelved one asks again
    """

    lane: str
    code: str
    state: State
    since: datetime
    withholds: bool
    what: str
    action: str
    by: str | None
    until: datetime | None

    @staticmethod
    def of(shown: Shown, here: Serving, language: str) -> ShownAlarmAnswer:
        words = explained(shown.alarm, language, here.lane_titles)
        alarm = shown.alarm
        return ShownAlarmAnswer(
            lane=alarm.lane,
            code=alarm.code,
            state=shown.state,
            since=alarm.since,
            withholds=alarm.withholds,
            what=words.what,
            action=words.action,
            by=shown.by,
            until=shown.until,
        )


class Shelving(BaseModel):
    model_config = ConfigDict(extra="forbid")

    minutes: int = Field(ge=1, le=MOST_MINUTES)


@router.get("/alarms", responses=problems(HTTPStatus.NOT_FOUND))
def alarms(here: Here, live: Live, access: AccessHere, language: Language) -> list[ShownAlarmAnswer]:
    """What stands, or stood and was not acknowledged: what asks for somebody first."""
    return [ShownAlarmAnswer.of(one, here, language) for one in live.board.shown(access.now())]


@router.post("/lanes/{lane}/alarms/{code}/acknowledge", status_code=HTTPStatus.NO_CONTENT, responses=ACTS)
def acknowledge(here: Here, live: Live, access: AccessHere, caller: Operator, lane: str, code: Code) -> None:
    """Say that somebody has seen it. One that is over already goes away with that."""
    acknowledge_alarm(here, live, caller, access.now(), lane=lane, code=code)


@router.post("/lanes/{lane}/alarms/{code}/shelve", status_code=HTTPStatus.NO_CONTENT, responses=ACTS)
def shelve(
    here: Here, live: Live, access: AccessHere, caller: Operator, lane: str, code: Code, asked: Shelving
) -> None:
    """Put it out of the way for a time. It goes on withholding what it withholds. One that is over is acknowledged, not
    shelved."""
    shelve_alarm(here, live, caller, access.now(), lane=lane, code=code, minutes=asked.minutes)


def acknowledge_alarm(
    here: Serving, live: LiveState, caller: Caller, at: datetime, *, lane: str, code: str
) -> None:
    """Raises AlarmUnknown, LaneUnknown."""
    name = known_lane(live, lane).lane
    _act(
        here,
        live,
        caller,
        at,
        lane=name,
        code=code,
        action=AlarmAct.ACKNOWLEDGED,
        after={"state": "acknowledged"},
        act=lambda: live.board.acknowledge(name, code, by=caller.person.name),
    )


def shelve_alarm(
    here: Serving, live: LiveState, caller: Caller, at: datetime, *, lane: str, code: str, minutes: int
) -> None:
    """Raises AlarmUnknown, LaneUnknown."""
    name = known_lane(live, lane).lane
    until = at + timedelta(minutes=minutes)
    _act(
        here,
        live,
        caller,
        at,
        lane=name,
        code=code,
        action=AlarmAct.SHELVED,
        after={"state": "shelved", "until": until.isoformat()},
        act=lambda: live.board.shelve(name, code, by=caller.person.name, until=until),
    )


def _act(
    here: Serving,
    live: LiveState,
    caller: Caller,
    at: datetime,
    *,
    lane: str,
    code: str,
    action: AlarmAct,
    after: dict[str, str] | None,
    act: Callable[[], bool],
) -> None:
    shown = next((one for one in live.board.shown(at, lane=lane) if one.alarm.code == code), None)
    if shown is None or (action is AlarmAct.SHELVED and shown.state == "returned"):
        raise _unknown(lane, code)
    with here.store.writing() as connection:
        note(
            connection,
            at=at,
            by=caller.person,
            action=action,
            subject=alarm_subject(here.station, lane, code),
            before={"state": shown.state},
            after=after,
        )
    if not act():
        raise _unknown(lane, code)
    live.answered(lane)


def _unknown(lane: str, code: str) -> AlarmUnknown:
    return AlarmUnknown(
        f"Lane {lane} has no alarm {code} now.", action="It is over; look at the list.", lane=lane, alarm=code
    )
