"""Units by their code, and what was seen of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from inspection.types import Inspection
from services.api.answers import CodeAnswer, FoundAnswer, InspectionAnswer, UnitAnswer, verdict_name
from services.api.serving import Here, Language, Serving
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
    """A unit and all that was seen of it, oldest first."""
    inspections = here.store.inspections_of(parse(code))
    newest = inspections[-1]
    return UnitAnswer(
        unit=CodeAnswer.of(newest.unit),
        verdict=verdict_name(newest.verdict),
        inspections=[InspectionAnswer.of(one, here.catalogue, language) for one in inspections],
    )


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
