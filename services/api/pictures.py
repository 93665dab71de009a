"""Stored pictures, by the SHA-256 of their bytes: what has a name never changes. How much room they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel

from inspection.errors import InspectionError
from services.api.serving import Here, Serving
from services.problems import NoStationHere, problems
from station_config import StationSettings
from traceability.errors import BucketDenied, BucketUnreachable, PictureGivenUp, PictureMissing
from traceability.retention import Forecast, PictureClass, Rules, forecast, given_up

router = APIRouter(tags=["pictures"])

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the picture's bytes, hex")]

# First bytes of the formats that are stored.
MEDIA_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


class ClassAnswer(BaseModel):
    """Pictures of one class: accepted, withheld, needed (never given up), unnamed (no record names it yet)."""

    pictures: int
    bytes: int
    oldest: datetime | None
    bytes_per_day: float


class RoomAnswer(BaseModel):
    """How full it is, and will be if days go on as the last seven did.

    short_in_days: until accepted pictures are given up to make room, 0 where they are now. full_in_days: until nothing
    may be given up any more. null: not to be foreseen.
    """

    at: datetime
    room_bytes: int
    bytes: int
    classes: Mapping[PictureClass, ClassAnswer]
    short_in_days: float | None
    full_in_days: float | None

    @staticmethod
    def of(found: Forecast) -> RoomAnswer:
        return RoomAnswer(
            at=found.at,
            room_bytes=found.room,
            bytes=found.size,
            classes={
                kind: ClassAnswer(
                    pictures=one.pictures, bytes=one.size, oldest=one.oldest, bytes_per_day=one.per_day
                )
                for kind, one in found.classes.items()
            },
            short_in_days=found.short_in,
            full_in_days=found.full_in,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The room for a station's pictures.

    forecast       None while their bucket cannot be asked
    waiting        pictures here that it has yet to take
    waits_for      what it said when it refused them, None where it has not
    waiting_bytes  what they take here
    """

    forecast: Forecast | None
    waiting: int
    waiting_bytes: int
    waits_for: InspectionError | None


def room_of(here: Serving, *, at: datetime) -> Room | None:
    """None: this server has no station of its own."""
    if here.retention is None:
        return None
    found, away = None, None
    try:
        found = forecast(here.store, here.images, here.retention, at=at)
    except (BucketUnreachable, BucketDenied) as error:
        away = error
    waiting = here.images.waiting()
    return Room(
        forecast=found,
        waiting=len(waiting),
        waiting_bytes=sum(waiting.values()),
        waits_for=away or here.images.waits_for(),
    )


def rules_of(station: StationSettings) -> Rules:
    """How long a station keeps pictures."""
    return Rules(
        max_bytes=station.max_pictures_mb * 1_000_000,
        accepted_days=station.retention.accepted_days,
        withheld_days=station.retention.withheld_days,
    )


@router.get("/picture-room", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE))
def picture_room(here: Here) -> RoomAnswer:
    """How much room pictures take, by class, and when it is full."""
    if here.retention is None:
        raise NoStationHere("This server has no station of its own.", action="Open a station's address.")
    return RoomAnswer.of(forecast(here.store, here.images, here.retention, at=datetime.now(UTC)))


@router.get(
    "/pictures/{sha256}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "The picture you have is the one."},
        **problems(
            HTTPStatus.NOT_FOUND,
            HTTPStatus.GONE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
        ),
    },
)
def picture(here: Here, sha256: Sha256, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The picture as it was stored, without boxes: those are in its inspection."""
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        content = here.images.read(sha256)
    except PictureMissing as missing:
        pruning = given_up(here.store, sha256)
        if pruning is None:
            raise
        raise PictureGivenUp(
            f"The picture {sha256} was given up on {pruning.at:%Y-%m-%d} by the rule {pruning.rule}.",
            action="Its inspection is still on record; fetch the picture from a backup.",
            sha256=sha256,
            date=f"{pruning.at:%Y-%m-%d}",
            rule=pruning.rule.value,
        ) from missing
    return Response(content, media_type=_media_type(content), headers=headers)


def _media_type(content: bytes) -> str:
    for beginning, media_type in MEDIA_TYPES.items():
        if content.startswith(beginning):
            return media_type
    return "application/octet-stream"
