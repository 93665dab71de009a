"""Stored pictures, by the SHA-256 of their bytes: what has a name never changes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from services.api.serving import Here
from services.problems import problems

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


@router.get(
    "/pictures/{sha256}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "The picture you have is the one."},
        **problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR),
    },
)
def picture(here: Here, sha256: Sha256, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The picture as it was stored, without boxes: those are in its inspection."""
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = here.images.read(sha256)
    return Response(content, media_type=_media_type(content), headers=headers)


def _media_type(content: bytes) -> str:
    for beginning, media_type in MEDIA_TYPES.items():
        if content.startswith(beginning):
            return media_type
    return "application/octet-stream"
