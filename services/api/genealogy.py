"""What was made from what: taken in, voided, walked up and down, and places carried through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from uuid_utils.compat import uuid7

from inspection.types import Box
from services.access import Caller, Right, needs
from services.api.answers import CodeAnswer, Corners
from services.api.serving import Here
from services.problems import problems
from traceability.accounts import note
from traceability.genealogy import recording, tracing
from traceability.genealogy.cuts import Cut, Face, Link, LinkKind, Region, UnitForm, UnitKind
from traceability.identifiers import LONGEST, parse
from traceability.store import TraceStore

router = APIRouter(tags=["genealogy"])

MOST_AT_ONCE = 10_000
"""Units, and links, of one delivery."""

MOST_SHOWN = 1000

Code = Annotated[str, Field(min_length=1, max_length=LONGEST, description="identifier code")]
Millimetres = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Rectangle = Annotated[
    tuple[Millimetres, Millimetres, Millimetres, Millimetres], Field(description="x1, y1, x2, y2 in mm")
]
Sigma = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e6)]
Size = Annotated[float | None, Field(allow_inf_nan=False, gt=0, le=1e9)]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class Said(BaseModel):
    """What is delivered: unknown fields are refused, they would be lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitSaid(Said):
    """What a unit is. Lengths along y, widths along x."""

    unit: Code
    kind: UnitKind
    length_mm: Size = None
    width_mm: Size = None
    quantity: Annotated[float | None, Field(allow_inf_nan=False, ge=0)] = None
    quantity_unit: Annotated[str | None, Field(max_length=40)] = None
    id: UUID | None = None

    def form(self) -> UnitForm:
        form = UnitForm(
            **self.model_dump(exclude={"unit", "id"}), unit=parse(self.unit), id=self.id or UUID(int=0)
        )
        return form if self.id else replace(form, id=recording.id_of(form))


class CutSaid(Said):
    """The rectangle of the parent that became a rectangle of the child, and how it lies there."""

    parent_mm: Rectangle
    child_mm: Rectangle
    is_reversed: bool = False
    is_mirrored: bool = False
    is_turned: bool = False
    is_flipped: bool = False
    sigma_x_mm: Sigma = 0.0
    sigma_y_mm: Sigma = 0.0

    @model_validator(mode="after")
    def _has_areas(self) -> CutSaid:
        self.cut()
        return self

    def cut(self) -> Cut:
        statements = self.model_dump(exclude={"parent_mm", "child_mm"})
        return Cut(parent_mm=Box(*self.parent_mm), child_mm=Box(*self.child_mm), **statements)

    @staticmethod
    def of(cut: Cut) -> CutSaid:
        return CutSaid(
            **_fields(cut) | {"parent_mm": corners(cut.parent_mm), "child_mm": corners(cut.child_mm)}
        )


class LinkSaid(Said):
    """One parent of one child. Without an id it gets one from what it says, so that it may come twice."""

    parent: Code
    child: Code
    kind: LinkKind
    cuts: Annotated[list[CutSaid], Field(max_length=1000)] = []
    step: UUID | None = None
    quantity: Annotated[float | None, Field(allow_inf_nan=False, ge=0)] = None
    id: UUID | None = None

    def link(self) -> Link:
        link = Link(
            id=self.id or UUID(int=0),
            parent=parse(self.parent),
            child=parse(self.child),
            kind=self.kind,
            cuts=tuple(cut.cut() for cut in self.cuts),
            step=self.step,
            quantity=self.quantity,
        )
        return link if self.id else replace(link, id=recording.id_of(link))


class DeliverySaid(Said):
    units: Annotated[list[UnitSaid], Field(max_length=MOST_AT_ONCE)] = []
    links: Annotated[list[LinkSaid], Field(max_length=MOST_AT_ONCE)] = []

    def record(self, store: TraceStore, audit: recording.Audit | None = None) -> RecordedAnswer:
        done = recording.record(
            store,
            units=[one.form() for one in self.units],
            links=[one.link() for one in self.links],
            audit=audit,
        )
        return RecordedAnswer(
            units=done.units, links=done.links, contradictions=[str(id_) for id_ in done.contradictions]
        )


class VoidSaid(Said):
    """Exactly one of the two: a link, or what a unit was said to be."""

    link: UUID | None = None
    form: UUID | None = None
    reason: Reason

    @model_validator(mode="after")
    def _is_one(self) -> VoidSaid:
        if (self.link is None) == (self.form is None):
            raise ValueError("either link or form")
        return self


class RecordedAnswer(BaseModel):
    """How much was new. `contradictions`: ids under which something else is on record; both are kept."""

    units: int
    links: int
    contradictions: list[str]


class RelativeAnswer(BaseModel):
    unit: CodeAnswer
    kind: UnitKind | None
    length_mm: float | None
    width_mm: float | None

    @staticmethod
    def of(relative: tracing.Relative) -> RelativeAnswer:
        return RelativeAnswer(
            unit=CodeAnswer.of(relative.unit),
            kind=relative.kind,
            length_mm=relative.length_mm,
            width_mm=relative.width_mm,
        )


class RelativesAnswer(BaseModel):
    relatives: list[RelativeAnswer]


class LinkAnswer(BaseModel):
    id: UUID
    parent: CodeAnswer
    child: CodeAnswer
    kind: LinkKind
    cuts: list[CutSaid]
    step: UUID | None
    quantity: float | None

    @staticmethod
    def of(link: Link) -> LinkAnswer:
        return LinkAnswer(
            id=link.id,
            parent=CodeAnswer.of(link.parent),
            child=CodeAnswer.of(link.child),
            kind=link.kind,
            cuts=[CutSaid.of(cut) for cut in link.cuts],
            step=link.step,
            quantity=link.quantity,
        )


class FamilyAnswer(BaseModel):
    relatives: list[RelativeAnswer]
    links: list[LinkAnswer]


class RegionAnswer(BaseModel):
    """`box_mm` ± one standard error each way, as a whole."""

    box_mm: Corners
    face: Face | None
    sigma_x_mm: float
    sigma_y_mm: float
    probability: float

    @staticmethod
    def of(region: Region) -> RegionAnswer:
        return RegionAnswer(**_fields(region) | {"box_mm": corners(region.box_mm)})


class PlacedAnswer(BaseModel):
    """`regions` is empty where a link on the way says nothing of places: somewhere on the unit."""

    unit: CodeAnswer
    kind: UnitKind | None
    probability: float
    regions: list[RegionAnswer]

    @staticmethod
    def of(placed: tracing.Placed) -> PlacedAnswer:
        return PlacedAnswer(
            unit=CodeAnswer.of(placed.relative.unit),
            kind=placed.relative.kind,
            probability=placed.probability,
            regions=[RegionAnswer.of(region) for region in placed.regions],
        )


class PlacesAnswer(BaseModel):
    places: list[PlacedAnswer]


Recorder = Annotated[Caller, Depends(needs(Right.RECORD))]


def audited(
    caller: Caller,
    action: str,
    subject: str,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reason: str | None = None,
) -> recording.Audit:
    """An entry of the audit about what this caller does, for the transaction that does it."""
    return lambda connection: note(
        connection,
        at=datetime.now(UTC),
        by=caller.person,
        action=action,
        subject=subject,
        before=before,
        after=after,
        reason=reason,
    )


FOUND = problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
TAKEN = problems(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

Coordinate = Annotated[float, Query(allow_inf_nan=False, ge=-1e9, le=1e9)]


@router.post("/genealogy", responses=TAKEN)
def record_genealogy(here: Here, caller: Recorder, delivery: DeliverySaid) -> RecordedAnswer:
    """Keep units and links, all or none. Sending the same again changes nothing; what was voided counts again."""
    counts = {"units": len(delivery.units), "links": len(delivery.links)}
    return delivery.record(here.store, audited(caller, "genealogy.recorded", "genealogy", after=counts))


@router.post("/genealogy/void", responses=TAKEN, status_code=HTTPStatus.NO_CONTENT)
def void_genealogy(here: Here, caller: Recorder, said: VoidSaid) -> None:
    """Take a link, or what a unit was said to be, back. It stays on record and counts no more."""
    by = caller.person.name
    audit = audited(caller, "genealogy.voided", f"record:{said.link or said.form}", reason=said.reason)
    if said.link is not None:
        recording.void(here.store, link=said.link, id=uuid7(), reason=said.reason, by=by, audit=audit)
    elif said.form is not None:
        recording.void_form(here.store, form=said.form, id=uuid7(), reason=said.reason, by=by, audit=audit)


@router.get("/genealogy/{code:path}", responses=FOUND)
def genealogy(here: Here, code: str, most: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 100) -> FamilyAnswer:
    """The unit, its ancestors, and what was made from it, nearest first, until there are `most`."""
    found = tracing.family(here.store, parse(code), most=most)
    return FamilyAnswer(
        relatives=[RelativeAnswer.of(one) for one in found.relatives],
        links=[LinkAnswer.of(one) for one in found.links],
    )


@router.get("/ancestors/{code:path}", responses=FOUND)
def ancestors(here: Here, code: str) -> RelativesAnswer:
    """All that the unit was made from, by code."""
    return _relatives(tracing.ancestors(here.store, parse(code)))


@router.get("/descendants/{code:path}", responses=FOUND)
def descendants(here: Here, code: str) -> RelativesAnswer:
    """All that was made from the unit, by code."""
    return _relatives(tracing.descendants(here.store, parse(code)))


@router.get("/places/{code:path}", responses=FOUND)
def places(
    here: Here, code: str, x_mm: Coordinate, y_mm: Coordinate, face: Face | None = None
) -> PlacesAnswer:
    """Where a place on the unit lies on every ancestor, the surest first."""
    found = tracing.place_up(here.store, parse(code), x_mm, y_mm, face=face)
    return PlacesAnswer(places=[PlacedAnswer.of(one) for one in found])


@router.get("/at-risk/{code:path}", responses=FOUND)
def at_risk(
    here: Here,
    code: str,
    x1_mm: Coordinate,
    y1_mm: Coordinate,
    x2_mm: Coordinate,
    y2_mm: Coordinate,
    face: Face | None = None,
) -> PlacesAnswer:
    """All made from the unit that may hold some of this box on it, the surest first."""
    box = box_between(x1_mm, y1_mm, x2_mm, y2_mm)
    found = tracing.at_risk(here.store, parse(code), box, face=face)
    return PlacesAnswer(places=[PlacedAnswer.of(one) for one in found])


def _relatives(found: tuple[tracing.Relative, ...]) -> RelativesAnswer:
    return RelativesAnswer(relatives=[RelativeAnswer.of(one) for one in found])


def box_between(x1_mm: float, y1_mm: float, x2_mm: float, y2_mm: float) -> Box:
    """The box between two opposite corners, whichever of them is named first: a box whose second corner lies before
    its first holds nothing, and nothing would be at risk."""
    return Box(min(x1_mm, x2_mm), min(y1_mm, y2_mm), max(x1_mm, x2_mm), max(y1_mm, y2_mm))


def corners(box: Box) -> Corners:
    return (box.x1, box.y1, box.x2, box.y2)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
