"""Data sets that the plant labels: what is in them, and what is on one of their pictures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from models.store import ModelStore
from services.access import AccessHere
from services.api.cameras import Integrator
from services.api.serving import Here
from services.datasets import MOST_CORNERS, MOST_TRUTHS, DataSet, DataSets, Format, Unreadable
from services.problems import problems
from traceability.accounts import note

router = APIRouter(prefix="/datasets", tags=["data sets"])

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Picture = Annotated[str, Query(max_length=400, description="as the data set's list names it")]
Model = Annotated[str, Query(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]

REFUSED = problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
)

Corner = Annotated[list[float], Field(min_length=2, max_length=2)]


class DataSetAnswer(BaseModel):
    """`labelled` pictures, of which `good` show no defect; `waiting` were not labelled yet, and are in no file.
    `defects` by kind. `source` and `licence` of the pictures as somebody said them, null where nobody did. `refused`:
    the code of the error for which it cannot be read; nothing is said of what is in it then."""

    name: str
    source: str | None
    licence: str | None
    kinds: list[str]
    labelled: int
    good: int
    defects: dict[str, int]
    pictures: list[str]
    waiting: list[str]
    refused: str | None = None

    @staticmethod
    def of(found: DataSet | Unreadable) -> DataSetAnswer:
        if isinstance(found, Unreadable):
            return DataSetAnswer(
                name=found.name,
                source=None,
                licence=None,
                kinds=[],
                labelled=0,
                good=0,
                defects={},
                pictures=[],
                waiting=[],
                refused=found.error.code,
            )
        sums = found.balance
        return DataSetAnswer(
            name=found.name,
            source=found.provenance.source or None,
            licence=found.provenance.licence or None,
            kinds=list(found.kinds),
            labelled=sums["pictures"],
            good=sums["good"],
            defects={kind: one["defects"] for kind, one in sums["kinds"].items()},
            pictures=list(found.pictures),
            waiting=list(found.waiting),
        )


class LabelGiven(BaseModel):
    """A box `x1, y1, x2, y2`, or an outline of corners `x, y`, px of the picture."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: str = Field(min_length=1, max_length=40)
    box: Annotated[list[float], Field(min_length=4, max_length=4)] | None = None
    outline: Annotated[list[Corner], Field(max_length=MOST_CORNERS)] | None = None


class LabelsGiven(BaseModel):
    """All that is on the picture; nothing says that it is good."""

    model_config = ConfigDict(extra="forbid")

    labels: list[LabelGiven] = Field(max_length=MOST_TRUTHS)


class GuessAnswer(BaseModel):
    """What a model in force sees on a picture. Nobody has looked at it: none of it is a label yet."""

    model: str
    version: str
    labels: list[LabelGiven]


@router.get("", responses=REFUSED)
def datasets(_: Integrator) -> list[DataSetAnswer]:
    """Every data set of the plant."""
    return [DataSetAnswer.of(one) for one in DataSets.of_plant().all()]


@router.get("/{name}", responses=REFUSED)
def dataset(_: Integrator, name: Name) -> DataSetAnswer:
    """One of them."""
    return DataSetAnswer.of(DataSets.of_plant().find(name))


@router.put("/{name}/labels", responses=REFUSED)
def label_picture(
    here: Here, access: AccessHere, caller: Integrator, name: Name, picture: Picture, given: LabelsGiven
) -> DataSetAnswer:
    """What is on one picture, in place of what was said of it."""
    sets = DataSets.of_plant()
    told: list[dict[str, Any]] = [one.model_dump(exclude_none=True) for one in given.labels]
    before = sets.truth(name, picture)
    done = sets.label(name, picture, told)
    with here.store.writing() as connection:
        note(
            connection,
            at=access.now(),
            by=caller.person,
            action="dataset.labelled",
            subject=f"dataset:{name}",
            before={"picture": picture, "defects": len(before.truth)},
            after={"picture": picture, "defects": len(done.truth)},
        )
    return DataSetAnswer.of(sets.find(name))


@router.get("/{name}/guess", responses=REFUSED)
def guess(_: Integrator, name: Name, picture: Picture, model: Model) -> GuessAnswer:
    """A first guess at what is on a picture, of the set's kinds alone, for a person to accept or to mend."""
    ref, seen = DataSets.of_plant().guess(name, picture, model, store=ModelStore.of_plant())
    labels = [
        LabelGiven(kind=one.kind, box=[one.box_px.x1, one.box_px.y1, one.box_px.x2, one.box_px.y2])
        for one in seen
    ]
    return GuessAnswer(model=ref.name, version=ref.version, labels=labels)


@router.get(
    "/{name}/file",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **REFUSED,
    },
)
def dataset_file(_: Integrator, name: Name, format: Format = "yolo") -> Response:
    """All that is labelled, good pictures too, as a zip of YOLO's folders or with a COCO file beside them."""
    return Response(
        DataSets.of_plant().archive(name, format),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}-{format}.zip"'},
    )
