"""Changes of camera, lamp and lens: said by a person or a program, each begins a stage of its lane's charts."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.access import Caller
from services.api.cases import Disposer
from services.api.once import OnceRoute
from services.api.serving import Here, Moment, Serving
from services.api.spc import NOT_FOR_ALL, EntryMade
from services.problems import problems
from traceability.changes import Change, Part, changes, record_change

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)


class ChangeAnswer(BaseModel):
    id: UUID
    part: Part
    station: str
    lane: str
    at: datetime
    what: str
    person: str

    @staticmethod
    def of(change: Change) -> ChangeAnswer:
        return ChangeAnswer(
            id=change.id,
            part=change.part,
            station=change.station,
            lane=change.lane,
            at=change.at,
            what=change.what,
            person=change.person,
        )


class ChangeSaid(BaseModel):
    """`at`: when it was changed, not after now; left out: now."""

    model_config = ConfigDict(extra="forbid")

    part: Part
    lane: str = Field(min_length=1, max_length=100, pattern="^[^/]*$")
    what: str = Field(min_length=1, max_length=1000)
    at: Moment | None = None


@router.get("/changes", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def optics_changes(
    here: Here,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
) -> list[ChangeAnswer]:
    """Changes of camera, lamp and lens, in the order in which they happened."""
    return [ChangeAnswer.of(one) for one in changes(here.store, station=station or None, lane=lane or None)]


@router.post("/changes", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def say_change(here: Here, caller: Disposer, said: ChangeSaid) -> EntryMade:
    """Say that a camera, a lamp or a lens was changed: limits start anew there by themselves."""
    return EntryMade(id=change_said(here, caller, said))


def change_said(here: Serving, caller: Caller, said: ChangeSaid) -> UUID:
    """Raises ParameterOutOfRange for a change that is still to come, or of which nobody says what it was."""
    now = datetime.now(UTC)
    return record_change(
        here.store,
        part=said.part,
        station=here.station,
        lane=said.lane,
        at=said.at or now,
        what=said.what,
        by=caller.person,
        said_at=now,
    )
