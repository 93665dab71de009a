"""How the station's computer stands: what runs, what is full, what its logs say, and a bundle of it all for support."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from inspection.errors import InspectionError
from services.access import AccessHere
from services.api.answers import HealthAnswer, LineAnswer
from services.api.cameras import Integrator
from services.api.health import healthz
from services.api.pictures import Room, RoomAnswer, room_of
from services.api.serving import Here, Serving
from services.problems import PageUnknown, problems
from services.station.logs import log_files
from services.support import bundle, cleaned, tail_of, this_computer
from station_config import load_recipe
from traceability.accounts import Person, note

router = APIRouter(prefix="/system", tags=["system"])

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

SHOWN_BYTES: Final = 60_000
NEWEST: Final = 500
"""Of the records so many are looked through for the stations that gave them."""

Process = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")]


class StationSeenAnswer(BaseModel):
    """A station among the newest 500 records, and when it last gave one."""

    name: str
    last_at: datetime


class RefusedAnswer(BaseModel):
    """What a bucket said when it refused pictures: an error code with its facts."""

    code: str
    facts: dict[str, str]


class SystemAnswer(BaseModel):
    """`logs` are the processes whose log is kept; `room` is null where no pictures are kept, and while their bucket
    cannot be asked; `pictures_waiting` are here and not yet in it, and `pictures_wait_for` is why: null where they are
    being sent. `line` is of the lanes that a PLC is told of.
    """

    health: HealthAnswer
    stations: list[StationSeenAnswer]
    room: RoomAnswer | None
    pictures_waiting: int
    pictures_wait_for: RefusedAnswer | None
    computer: dict[str, Any]
    logs: list[str]
    line: dict[str, LineAnswer]


class LogAnswer(BaseModel):
    process: str
    text: str


@router.get("", responses=NOT_FOR_ALL)
def system(request: Request, here: Here, _: Integrator) -> SystemAnswer:
    """Health, stations, room and versions."""
    return system_answer(here, folder_of(request))


@router.get(
    "/logs/{process}",
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def log(request: Request, _: Integrator, process: Process) -> LogAnswer:
    """The end of one process's log, without secrets."""
    return LogAnswer(process=process, text=log_of(folder_of(request), process))


@router.post(
    "/bundle",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **NOT_FOR_ALL,
    },
)
def support_bundle(request: Request, here: Here, access: AccessHere, caller: Integrator) -> Response:
    """How the station stands, its settings, recipes and logs, as a zip, without secrets. Who asked is in the audit."""
    now = access.now()
    data = made_bundle(here, folder_of(request), by=caller.person, at=now)
    return Response(
        data,
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="lynceus-{here.station}-{now:%Y%m%dT%H%M%SZ}.zip"',
            "Cache-Control": "no-store",
        },
    )


def folder_of(request: Request) -> FilePath:
    """Where the station's logs are."""
    found: FilePath = request.app.state.folder
    return found


def system_answer(here: Serving, folder: FilePath) -> SystemAnswer:
    seen: dict[str, datetime] = {}
    for one in here.store.latest(limit=NEWEST):
        seen.setdefault(one.station, one.finished_at)
    room = room_of(here, at=datetime.now(UTC))
    return SystemAnswer(
        health=healthz(here, Response()),
        stations=[StationSeenAnswer(name=name, last_at=at) for name, at in sorted(seen.items())],
        room=None if room is None or room.forecast is None else RoomAnswer.of(room.forecast),
        pictures_waiting=0 if room is None else room.waiting,
        pictures_wait_for=None if room is None else _refused(room),
        computer=cleaned(this_computer()),
        logs=[file.stem for file in log_files(folder)],
        line={now.lane: LineAnswer.of(now.line) for now in here.lanes() if now.line is not None},
    )


def _refused(room: Room) -> RefusedAnswer | None:
    if room.waits_for is None:
        return None
    facts = {name: str(fact) for name, fact in room.waits_for.facts.items()}
    return RefusedAnswer(code=room.waits_for.code, facts=facts)


def log_of(folder: FilePath, process: str) -> str:
    """Raises PageUnknown."""
    for file in log_files(folder):
        if file.stem == process:
            return tail_of(file, bytes_=SHOWN_BYTES)
    raise PageUnknown(
        f"No log of {process} is kept.", action="Choose one from the list.", path=f"/system/logs/{process}"
    )


def made_bundle(here: Serving, folder: FilePath, *, by: Person, at: datetime) -> bytes:
    documents: dict[str, Mapping[str, Any]] = {
        "system": system_answer(here, folder).model_dump(mode="json"),
        "station": {lane.name: lane.model_dump(mode="json") for lane in here.recipes.lanes},
        "lanes": {
            now.lane: {
                "condition": now.condition,
                "failure": now.failure,
                "facts": now.facts,
                "recipe": None if now.recipe is None else now.recipe.recipe,
                "mode": None if now.mode is None else now.mode.mode,
                "alarms": [one.code for one in now.alarms],
            }
            for now in here.lanes()
        },
    }
    texts: dict[str, str] = {}
    for name in dict.fromkeys(one.recipe for lane in here.recipes.lanes for one in lane.choices):
        try:
            texts[f"recipes/{name}.toml"] = load_recipe(name).text.decode("utf-8", "replace")
        except InspectionError as error:
            texts[f"recipes/{name}.error.txt"] = str(error)
    logs = log_files(folder)
    with here.store.writing() as connection:
        note(connection, at=at, by=by, action="support.bundle", subject=f"station:{here.station}", after=None)
    return bundle(documents=documents, texts=texts, logs=logs, by=by.title)
