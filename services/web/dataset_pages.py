"""Data sets on pages: what is in them, what to label next, an editor for boxes and outlines, in and out as files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import ImageUnreadable, ImageUnsuitable, InspectionError
from models.datasets import balance, examined
from models.errors import LabelsWrong, SetUnfit, TrainingDataMissing
from models.labels import LabelledFile, LabelledSet, Truth
from models.store import ModelStore
from services.access import AccessHere, Caller
from services.api.cameras import Integrator
from services.api.serving import Here, Language, Serving
from services.datasets import LONGEST_SAID, ArchiveUnfit, DataSet, DataSets, Provenance, Unreadable
from services.doubts import MOST_UNITS, Doubt, doubts, offered
from services.evaluating import evaluate
from services.problems import RequestInvalid, status_of
from services.text import explain
from services.web.pages import shown_of
from services.web.rendering import page
from traceability.accounts import note
from traceability.errors import PictureAltered, PictureMissing
from traceability.store import TraceStore

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

QUEUED: Final = 18
QUEUE_OF: Final = timedelta(days=30)
SHOWN: Final = 60
COMPARED: Final = 1000
"""Labelled pictures, the first of a set: of twice as many four times as many pairs."""
PAIRS_SHOWN: Final = 12
EXAMPLES: Final = 4
DOUBTED: Final = 200
"""Labelled pictures that a model looks at for one answer: some seconds of one core."""

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
NewName = Annotated[str, Form(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Picture = Annotated[str, Query(max_length=400)]
Model = Annotated[str, Query(max_length=100)]
Said = Annotated[str, Form(max_length=LONGEST_SAID)]


@router.get("/datasets")
def datasets(request: Request, here: Here, access: AccessHere, language: Language, _: Integrator) -> Response:
    return _list_page(request, here, access, language)


@router.post("/datasets")
def make(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: NewName,
    kinds: Annotated[list[str] | None, Form()] = None,
) -> Response:
    wanted = [kind for kind in here.catalogue if kind in (kinds or ())]
    try:
        DataSets.of_plant().make(name, wanted)
    except SetUnfit as error:
        return _list_page(request, here, access, language, error)
    _note(here.store, access, caller, name, "dataset.made", {"kinds": wanted})
    return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)


@router.post("/datasets/bring-in")
def bring_in(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: NewName,
    archive: Annotated[UploadFile, File()],
    source: Said = "",
    licence: Said = "",
) -> Response:
    """A zip of YOLO's or COCO's as a new data set. What is said of it here goes before what the archive says."""
    sets = DataSets.of_plant()
    try:
        found = sets.bring_in(name, archive.file.read())
    except (ArchiveUnfit, SetUnfit, LabelsWrong, TrainingDataMissing) as error:
        return _list_page(request, here, access, language, error)
    told = Provenance(
        source=source.strip() or found.provenance.source, licence=licence.strip() or found.provenance.licence
    )
    sets.describe(name, told)
    facts = {"pictures": len(found.pictures), "source": told.source, "licence": told.licence}
    _note(here.store, access, caller, name, "dataset.made", facts)
    return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)


@router.post("/datasets/queue")
def take(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: NewName,
    pictures: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Pictures of the queue into a data set, to be labelled there. Those that cannot be taken are told, and the others
    are in it."""
    sets = DataSets.of_plant()
    wanted, taken = set(pictures or ()), set()
    error: InspectionError | None = None
    # Not of those offered now: since the page was made units came and others were decided.
    for unit in here.store.latest(simulated=False, limit=MOST_UNITS) if wanted else ():
        for one in unit.pictures:
            if one.sha256 not in wanted:
                continue
            try:
                # Of one unit in one folder: a split keeps them together.
                sets.add(name, f"{unit.id.hex}/{one.sha256[:16]}", here.images.read(one.sha256))
                taken.add(one.sha256)
            except (PictureMissing, PictureAltered) as gone:
                error = gone
    if taken:
        _note(here.store, access, caller, name, "dataset.filled", {"pictures": len(taken)})
    if error is None and (unknown := sorted(wanted - taken)):
        error = _invalid(f"pictures: {unknown[0]}")
    if error is not None:
        return _list_page(request, here, access, language, error)
    return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)


@router.get("/datasets/{name}")
def dataset(request: Request, _: Integrator, name: Name, doubted_by: Model = "") -> Response:
    return _set_page(request, name, doubted_by=doubted_by)


@router.get("/datasets/{name}/worth")
def worth(request: Request, language: Language, _: Integrator, name: Name) -> Response:
    """The part of a set's page that takes a while: its lists, what leaks between them, what is in it twice."""
    found = DataSets.of_plant().find(name)
    labelled = found.all_labelled()
    told = examined(labelled, most=COMPARED)
    lists = None if isinstance(told.lists, SetUnfit) else told.lists
    return page(
        request,
        "_dataset_worth.html",
        set=found,
        told=told,
        unfit=explain(told.lists, language) if isinstance(told.lists, SetUnfit) else None,
        balances=None if lists is None else [balance(side) for side in lists],
        rows=_rows(labelled),
        files={one.name: one for one in labelled.pictures},
        learning=set() if lists is None else {one.name for one in lists[0].pictures},
        judging=set() if lists is None else {one.name for one in lists[1].pictures},
        most=PAIRS_SHOWN,
    )


@router.get("/datasets/{name}/doubts")
def doubted(
    request: Request, _: Integrator, name: Name, model: Model, start: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """The labels that the version in force of a model contradicts, of DOUBTED labelled pictures from `start` on."""
    found = DataSets.of_plant().find(name)
    labelled = found.all_labelled()
    store = ModelStore.of_plant()
    if model not in [one.name for one in found.guessers(store)]:
        raise _invalid(f"model: {model}")
    if start >= len(labelled.pictures):
        raise _invalid(f"start: {start} of {len(labelled.pictures)}")
    looked_at = labelled.pictures[start : start + DOUBTED]
    seen = evaluate(replace(labelled, pictures=looked_at), model, store.in_force(model), store=store)
    pictures = {one.name: one for one in looked_at}
    return page(
        request,
        "_dataset_doubts.html",
        set=found,
        model=seen.model,
        # A kind that nobody labels in this set contradicts nothing.
        doubts=[
            (one, _marked(pictures[one.picture], one)) for one in doubts(seen) if one.kind in found.kinds
        ],
        first=start + 1,
        last=start + len(looked_at),
        all=len(labelled.pictures),
    )


def _marked(picture: LabelledFile, doubt: Doubt) -> LabelledFile:
    """The picture with what is doubted in place of its labels."""
    return replace(picture, truth=(Truth(kind=doubt.kind, box_px=doubt.box_px),))


def _rows(labelled: LabelledSet) -> list[tuple[str | None, list[LabelledFile]]]:
    """Each kind, and None for good pictures, with the first that show it; the rarest kind first."""
    counts = balance(labelled)["kinds"]
    kinds = sorted(labelled.kinds, key=lambda kind: (counts[kind]["pictures"], kind))
    some = [(kind, [one for one in labelled.pictures if kind in one.kinds][:EXAMPLES]) for kind in kinds]
    return [*some, (None, [one for one in labelled.pictures if not one.truth][:EXAMPLES])]


@router.post("/datasets/{name}/source")
def describe(
    here: Here, access: AccessHere, caller: Integrator, name: Name, source: Said = "", licence: Said = ""
) -> Response:
    """Where the pictures come from and what may be done with them, in place of what was said before."""
    sets = DataSets.of_plant()
    was = sets.find(name).provenance
    sets.describe(name, Provenance(source=source, licence=licence))
    told = sets.find(name).provenance
    _note(
        here.store,
        access,
        caller,
        name,
        "dataset.described",
        {"source": told.source, "licence": told.licence},
        before={"source": was.source, "licence": was.licence},
    )
    return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)


@router.post("/datasets/{name}/pictures")
def upload(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
    pictures: Annotated[list[UploadFile], File(max_length=200)],
) -> Response:
    sets = DataSets.of_plant()
    try:
        brought = [one.file.read() for one in pictures]
        sets.add_all(name, {f"brought/{_digest(data)}": data for data in brought})
    except (ImageUnreadable, ImageUnsuitable) as error:
        return _set_page(request, name, error=error, language=language)
    _note(here.store, access, caller, name, "dataset.filled", {"pictures": len(pictures)})
    return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)


@router.get("/datasets/{name}/picture")
def picture(_: Integrator, name: Name, picture: Picture) -> Response:
    data = DataSets.of_plant().picture(name, picture).read_bytes()
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
    return Response(data, media_type=kind, headers={"Cache-Control": "private, no-store"})


@router.get("/datasets/{name}/label")
def editor(request: Request, language: Language, _: Integrator, name: Name, picture: Picture) -> Response:
    return _editor_page(request, language, name, picture)


@router.post("/datasets/{name}/label")
def label(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
    picture: Picture,
    labels: Annotated[str, Form(max_length=1_000_000)],
    guessed_by: Annotated[str, Form(max_length=150)] = "",
) -> Response:
    """Kept, and on to the next picture that waits. `guessed_by`: the model of whose guess a person took something."""
    sets = DataSets.of_plant()
    drawn = None
    try:
        before = sets.truth(name, picture)
        drawn = _labels(labels)
        done = sets.label(name, picture, drawn)
    except (LabelsWrong, RequestInvalid) as error:
        return _editor_page(request, language, name, picture, drawn=drawn, guessed_by=guessed_by, error=error)
    counts: dict[str, Any] = {"picture": picture, "defects": len(done.truth)}
    if guessed_by:
        counts["guessed_by"] = guessed_by
    was = {"picture": picture, "defects": len(before.truth)}
    _note(here.store, access, caller, name, "dataset.labelled", counts, before=was)
    waiting = sets.find(name).waiting
    if not waiting:
        return RedirectResponse(f"/datasets/{name}", HTTPStatus.SEE_OTHER)
    after = next((one for one in waiting if one > picture), waiting[0])
    return RedirectResponse(f"/datasets/{name}/label?picture={quote(after)}", HTTPStatus.SEE_OTHER)


def _labels(text: str) -> list[dict[str, Any]]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise _invalid("labels: a JSON list of boxes and outlines")
    return given


def _invalid(mistake: str) -> RequestInvalid:
    return RequestInvalid(
        f"The request is not valid: {mistake}.", action="Correct the parameters.", mistakes=mistake
    )


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _note(
    store: TraceStore,
    access: AccessHere,
    caller: Caller,
    name: str,
    action: str,
    told: dict[str, Any],
    *,
    before: dict[str, Any] | None = None,
) -> None:
    with store.writing() as connection:
        note(
            connection,
            at=access.now(),
            by=caller.person,
            action=action,
            subject=f"dataset:{name}",
            before=before,
            after=told,
        )


def _list_page(
    request: Request, here: Serving, access: AccessHere, language: str, error: InspectionError | None = None
) -> Response:
    sets = DataSets.of_plant().all()
    queue = offered(here.store, since=access.now() - QUEUE_OF, most=QUEUED)
    return page(
        request,
        "datasets.html",
        status=HTTPStatus.OK if error is None else status_of(error).value,
        sets=[one for one in sets if isinstance(one, DataSet)],
        unreadable=[(one.name, explain(one.error, language)) for one in sets if isinstance(one, Unreadable)],
        queue=[(one, shown_of(one.inspection)[0]) for one in queue],
        kinds=list(here.catalogue),
        longest_said=LONGEST_SAID,
        problem=None if error is None else explain(error, language),
    )


def _set_page(
    request: Request,
    name: str,
    *,
    error: InspectionError | None = None,
    language: str = "en",
    doubted_by: str = "",
) -> Response:
    found = DataSets.of_plant().find(name)
    labelled = () if found.labelled is None else found.labelled.pictures
    return page(
        request,
        "dataset.html",
        status=HTTPStatus.OK if error is None else status_of(error).value,
        set=found,
        waiting=found.waiting[:SHOWN],
        labelled=labelled[:SHOWN],
        most=SHOWN,
        doubters=_doubters(found) if labelled else [],
        doubted_by=doubted_by,
        longest_said=LONGEST_SAID,
        problem=None if error is None else explain(error, language),
    )


def _doubters(found: DataSet) -> list[tuple[str, bool]]:
    """Models that may contradict its labels; with whether they learned from them: those would repeat them, and are
    last."""
    cards = found.guessers(ModelStore.of_plant())
    return sorted(((one.name, found.taught(one)) for one in cards), key=lambda one: one[1])


def _editor_page(
    request: Request,
    language: str,
    name: str,
    picture: str,
    *,
    drawn: list[dict[str, Any]] | None = None,
    guessed_by: str = "",
    error: InspectionError | None = None,
) -> Response:
    """With the labels as `drawn`, where these could not be kept; else as they are kept."""
    sets = DataSets.of_plant()
    found = sets.find(name)
    shown = sets.truth(name, picture)
    place = found.pictures.index(picture)
    return page(
        request,
        "label_editor.html",
        status=HTTPStatus.OK if error is None else status_of(error).value,
        set=found,
        picture=shown,
        labels=json.dumps(_as_labels(shown) if drawn is None else drawn),
        guessed_by=guessed_by,
        before=found.pictures[place - 1] if place else None,
        after=found.pictures[place + 1] if place + 1 < len(found.pictures) else None,
        number=place + 1,
        is_waiting=picture in found.waiting,
        guessers=[one.name for one in found.guessers(ModelStore.of_plant())],
        problem=None if error is None else explain(error, language),
    )


def _as_labels(shown: LabelledFile) -> list[dict[str, Any]]:
    return [
        {"kind": one.kind, "outline": [list(corner) for corner in one.outline_px]}
        if one.outline_px
        else {"kind": one.kind, "box": [one.box_px.x1, one.box_px.y1, one.box_px.x2, one.box_px.y2]}
        for one in shown.truth
    ]
