"""Audits of passed parts: parts drawn at random, looked at without knowing what the system said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import CodeAnswer, VerdictName, verdict_name
from services.api.once import OnceRoute
from services.api.sampling import AuditAnswer, passed_audit
from services.api.serving import Here, Moment
from services.api.spc import NOT_FOR_ALL
from services.api.studies import Reader
from services.problems import problems
from traceability.audits import MOST_DRAWN, Draw, draw, drawn_as, draws, looked_at

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)

LOOKS_BACK = timedelta(days=3)


class PartAnswer(BaseModel):
    """`is_bad`: what was found; null before. `verdict`: what the system said; null until all parts were looked at."""

    inspection: UUID
    unit: CodeAnswer
    picture: str | None
    is_bad: bool | None
    verdict: VerdictName | None


class DrawAnswer(BaseModel):
    """`parts` in the order in which they are to be looked at. Once all were: of `audited` passed parts `escaped` were
    bad, and what that says of all of them."""

    id: UUID
    station: str
    lane: str
    why: str
    at: datetime
    person: str
    parts: list[PartAnswer]
    left: int
    escaped: int | None
    audited: int | None
    escapes: AuditAnswer | None

    @staticmethod
    def of(found: Draw) -> DrawAnswer:
        audited, bad = len(found.passed), sum(found.found.get(one.id, False) for one in found.passed)
        is_finished = found.is_finished
        # Where only rejected parts' pictures are kept, a picture says what the system said.
        all_pictured = all(one.picture is not None for one in found.parts)
        return DrawAnswer(
            id=found.id,
            station=found.station,
            lane=found.lane,
            why=found.why,
            at=found.at,
            person=found.person,
            parts=[
                PartAnswer(
                    inspection=one.id,
                    unit=CodeAnswer.of(one.unit),
                    picture=one.picture if is_finished or all_pictured else None,
                    is_bad=found.found.get(one.id),
                    verdict=verdict_name(one.verdict) if is_finished else None,
                )
                for one in found.parts
            ],
            left=sum(one.id not in found.found for one in found.parts),
            escaped=bad if is_finished else None,
            audited=audited if is_finished else None,
            escapes=passed_audit(audited=audited, escapes=bad) if is_finished else None,
        )


class NewAudit(BaseModel):
    """`size` passed parts of the lane, finished from `since` on (default: 3 days); rejected ones come on top."""

    model_config = ConfigDict(extra="forbid")

    lane: str = Field(min_length=1, max_length=100, pattern="^[^/]*$")
    size: int = Field(ge=1, le=MOST_DRAWN)
    why: str = Field(min_length=1, max_length=1000)
    since: Moment | None = None


class Looked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inspection: UUID
    is_bad: bool


@router.get("/audits", responses=problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
def audits_drawn(
    here: Here, caller: Reader, lane: Annotated[str | None, Query(max_length=100)] = None
) -> list[DrawAnswer]:
    """The newest first."""
    return [DrawAnswer.of(one) for one in draws(here.store, lane=lane or None)]


@router.post("/audits", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def new_audit(here: Here, caller: Reader, given: NewAudit) -> DrawAnswer:
    """Draw passed parts at random, and rejected ones among them."""
    now = datetime.now(UTC)
    made = draw(
        here.store,
        station=here.station,
        lane=given.lane,
        size=given.size,
        since=given.since or now - LOOKS_BACK,
        why=given.why,
        by=caller.person,
        at=now,
    )
    return DrawAnswer.of(made)


@router.get("/audits/{id}", responses=NOT_FOR_ALL)
def audit_drawn(here: Here, caller: Reader, id: UUID) -> DrawAnswer:
    """One draw, with what was found so far."""
    return DrawAnswer.of(drawn_as(here.store, id))


@router.post("/audits/{id}/looks", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def look(here: Here, caller: Reader, id: UUID, given: Looked) -> DrawAnswer:
    """Say what was found on a part. With the last one the escapes are kept as a study."""
    made = looked_at(
        here.store, id, given.inspection, is_bad=given.is_bad, by=caller.person, at=datetime.now(UTC)
    )
    return DrawAnswer.of(made)
