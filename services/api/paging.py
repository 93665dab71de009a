"""Lists in pages, the newest first: `limit` and `before`, and where the next page is (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Request, Response

LARGEST: Final = 500

NEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {
            "Link": {
                "description": 'the next page, as `<…>; rel="next"`, where there may be one',
                "schema": {"type": "string"},
                "required": False,
            }
        }
    }
}
"""The `responses` of a list in pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """At most `limit` entries, older than the one whose id is `before`."""

    limit: int
    before: UUID | None
    _request: Request
    _response: Response

    def told(self, ids: Sequence[UUID]) -> None:
        """Say in the answer where the next page is, if this one is full."""
        if len(ids) == self.limit:
            there = self._request.url.include_query_params(before=str(ids[-1]), limit=self.limit)
            self._response.headers["Link"] = f'<{there.path}?{there.query}>; rel="next"'


def page_asked(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = 100,
    before: Annotated[UUID | None, Query(description="id of the last entry of the page before")] = None,
) -> Page:
    return Page(limit=limit, before=before, _request=request, _response=response)


Paged = Annotated[Page, Depends(page_asked)]
