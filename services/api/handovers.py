"""Shifts: the sheet of the one at hand, handing it over, and taking it over in the next."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.access import AccessHere, Caller
from services.api.answers import VerdictName, verdict_name
from services.api.once import OnceRoute
from services.api.paging import NEXT, Paged
from services.api.serving import Here, Live, Serving
from services.api.station import Operator
from services.live import LiveState
from services.problems import problems
from services.station.messages import Mode
from traceability.handovers import Handover, Handovers

router = APIRouter(prefix="/handovers", tags=["station"], route_class=OnceRoute)

LONGEST: Final = 4000

REFUSED = problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
)


class RefusedForAnswer(BaseModel):
    """A kind of defect, and how many units of the shift were refused with it."""

    kind: str
    units: int


class LaneSheetAnswer(BaseModel):
    """What became of a lane's shift so far: units by verdict, and exposures, which are those inspected, failed, lost
    and unaccounted."""

    lane: str
    units: dict[VerdictName, int]
    triggers: int
    frames_inspected: int
    frames_failed: int
    frames_lost: int
    unaccounted: int
    refused_for: list[RefusedForAnswer]
    recipe: str | None
    revision: int | None
    mode: Mode | None
    mode_until: datetime | None
    challenge_due: datetime | None


class StandingAnswer(BaseModel):
    lane: str
    code: str
    state: str
    since: datetime


class SheetAnswer(BaseModel):
    """The shift that began at `since`, as it stood at `at`."""

    since: datetime
    at: datetime
    lanes: list[LaneSheetAnswer]
    alarms: list[StandingAnswer]


class TakenAnswer(BaseModel):
    at: datetime
    by: str
    text: str


class HandoverAnswer(BaseModel):
    """`taken`: null until somebody of the next shift said that they know."""

    id: UUID
    station: str
    at: datetime
    by: str
    text: str
    sheet: SheetAnswer
    taken: TakenAnswer | None

    @staticmethod
    def of(one: Handover) -> HandoverAnswer:
        taken = one.taken
        return HandoverAnswer(
            id=one.id,
            station=one.station,
            at=one.at,
            by=one.by,
            text=one.text,
            sheet=SheetAnswer.model_validate(one.sheet),
            taken=None if taken is None else TakenAnswer(at=taken.at, by=taken.by, text=taken.text),
        )


class NewHandover(BaseModel):
    """`text`: what the next shift has to know beside the sheet."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=LONGEST)


@router.get("", responses=NEXT)
def handovers(here: Here, page: Paged) -> list[HandoverAnswer]:
    """The newest first."""
    found = Handovers(here.store).all(limit=page.limit, before=page.before)
    page.told([one.id for one in found])
    return [HandoverAnswer.of(one) for one in found]


@router.get("/sheet", responses=problems(HTTPStatus.NOT_FOUND))
def sheet(here: Here, live: Live, access: AccessHere) -> SheetAnswer:
    """The shift at hand, as it would be handed over now."""
    return sheet_of(here, live, access.now())


@router.get("/{id}", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def handover(here: Here, id: UUID) -> HandoverAnswer:
    return HandoverAnswer.of(Handovers(here.store).of(id))


@router.post("", status_code=HTTPStatus.CREATED, responses=REFUSED)
def hand_over(
    here: Here, live: Live, access: AccessHere, caller: Operator, given: NewHandover
) -> HandoverAnswer:
    """Hand the shift over as it stands."""
    return HandoverAnswer.of(hand_over_now(here, live, access.now(), caller, given.text))


@router.post("/{id}/take", responses=REFUSED | problems(HTTPStatus.CONFLICT))
def take(here: Here, access: AccessHere, caller: Operator, id: UUID, given: NewHandover) -> HandoverAnswer:
    """Take the shift over: by another person than who handed it over, once."""
    taken = Handovers(here.store).take_over(id, text=given.text, by=caller.person, at=access.now())
    return HandoverAnswer.of(taken)


def hand_over_now(here: Serving, live: LiveState, at: datetime, caller: Caller, text: str) -> Handover:
    stood = sheet_of(here, live, at).model_dump(mode="json")
    return Handovers(here.store).hand_over(
        station=here.station, text=text, sheet=stood, by=caller.person, at=at
    )


def sheet_of(here: Serving, live: LiveState, at: datetime) -> SheetAnswer:
    lanes = []
    begins = []
    for lane in here.lanes():
        begun, counts = here.shift_counts.of_lane(lane.lane)
        begins.append(begun)
        top = here.shift_counts.refused_for(lane.lane, since=begun)
        mode, recipe = lane.mode, lane.recipe
        lanes.append(
            LaneSheetAnswer(
                lane=lane.lane,
                units={verdict_name(verdict): number for verdict, number in counts.units.items()},
                triggers=counts.triggers,
                frames_inspected=counts.frames_inspected,
                frames_failed=counts.frames_failed,
                frames_lost=counts.frames_lost,
                unaccounted=counts.unaccounted,
                refused_for=[RefusedForAnswer(kind=kind, units=units) for kind, units in top],
                recipe=None if recipe is None else recipe.recipe,
                revision=None if recipe is None or recipe.ref is None else recipe.ref.revision,
                mode=None if mode is None else mode.mode,
                mode_until=None if mode is None else mode.until,
                challenge_due=None if mode is None or mode.proof is None else mode.proof.due,
            )
        )
    standing = [
        StandingAnswer(lane=one.alarm.lane, code=one.alarm.code, state=one.state, since=one.alarm.since)
        for one in live.board.shown(at)
    ]
    return SheetAnswer(since=min(begins, default=at), at=at, lanes=lanes, alarms=standing)
