"""Units by their code, and what was seen of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from inspection.types import Inspection, Verdict
from services.api.answers import (
    CodeAnswer,
    FoundAnswer,
    InspectionAnswer,
    UnitAnswer,
    VerdictName,
)
from services.api.paging import NEXT, Paged
from services.api.serving import Here, Language, Moment, Serving
from services.problems import InspectionUnknown, problems
from traceability.identifiers import parse

router = APIRouter(tags=["units"])


@router.get("/units", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def find(
    here: Here,
    find: Annotated[str, Query(min_length=1, max_length=500, description="part of a code")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> FoundAnswer:
    """Codes that hold the text, capitals or not; those that begin with it first."""
    return FoundAnswer(codes=[CodeAnswer.of(code) for code in here.store.find(find, limit)])


@router.get("/units/{code:path}", responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND))
def unit(here: Here, language: Language, code: str) -> UnitAnswer:
    """A unit and all that was seen of it, oldest first; `verdict` is null where no station inspected it."""
    asked = parse(code)
    return UnitAnswer.of(asked, here.store.inspections_of(asked), here.catalogue, language)


@router.get("/inspections", responses=NEXT)
def inspections(
    here: Here,
    language: Language,
    page: Paged,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    verdict: Annotated[list[VerdictName] | None, Query(description="one of these")] = None,
    since: Annotated[Moment | None, Query(description="finished then or later")] = None,
    until: Annotated[Moment | None, Query(description="finished before")] = None,
) -> list[InspectionAnswer]:
    """Inspections as they began, the newest first."""
    found = here.store.listed(
        station=station,
        lane=lane,
        verdicts=None if verdict is None else [Verdict[name] for name in verdict],
        since=since,
        until=until,
        before=page.before,
        limit=page.limit,
    )
    page.told([one.id for one in found])
    return [InspectionAnswer.of(one, here.catalogue, language) for one in found]


@router.get("/inspections/{id}", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def inspection(here: Here, language: Language, id: UUID) -> InspectionAnswer:
    """One inspection."""
    return InspectionAnswer.of(recorded(here, id), here.catalogue, language)


def recorded(here: Serving, id: UUID) -> Inspection:
    """Raises InspectionUnknown."""
    found = here.store.inspection(id)
    if found is None:
        raise InspectionUnknown(
            f"No inspection {id} is recorded.", action="Look for the unit by its code.", id=str(id)
        )
    return found
