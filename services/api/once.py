"""POSTs that create, sent again by a program that did not hear the answer: with `Idempotency-Key` they are done once.

As the draft of the IETF has it (draft-ietf-httpapi-idempotency-key-header): the key is the sender's, the answer of a
request that was done is kept for 24 hours and given again, and a key that comes with another request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from inspection.errors import InspectionError
from services.access import Right, access_of, caller_of, check_right, needs
from services.api.serving import serving_of
from services.problems import KeyInUse, KeyOfAnother, problems, status_of
from traceability.once import Kept, Once

HEADER: Final = "idempotency-key"
KEY: Final = r"^[!-~]{1,200}$"
REPLAYED: Final = "Idempotency-Replayed"


def _documented(
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=KEY,
            description="made by the sender, new for each act: sent again with it, a request is done once",
        ),
    ] = None,
) -> None:
    """For the OpenAPI document, and so that a key that cannot be one is refused."""


class OnceRoute(APIRoute):
    """Of a router whose POSTs create something that a second one would create again."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        self.is_once = "POST" in (given.get("methods") or ())
        if self.is_once:
            given["dependencies"] = [*(given.get("dependencies") or ()), Depends(_documented)]
            given["responses"] = problems(HTTPStatus.CONFLICT) | (given.get("responses") or {})
        super().__init__(path, endpoint, **given)
        self.rights = _rights_of(self.dependant)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer_to = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or re.match(KEY, key) is None:
                return await answer_to(request)
            caller = await run_in_threadpool(caller_of, request)
            if caller is None:
                return await answer_to(request)
            # Whoever hears a kept answer may do what was done: a key of narrower rights is the same person's.
            for right in self.rights:
                check_right(caller, right)
            kept, person = Once(serving_of(request).store), caller.person.id
            # A route that looks at the rights by itself is another request to who has others.
            told = "" if self.rights else " ".join(sorted(caller.rights))
            digest, at = await _digest(request, told), access_of(request).now()
            known = await run_in_threadpool(kept.begin, person, key, request_sha256=digest, at=at)
            if known is not None:
                return _again(key, digest, known)
            try:
                answer = await answer_to(request)
            except (InspectionError, RequestValidationError, HTTPException) as error:
                # After a fault of ours nobody knows what was done: the key stays taken.
                if _is_refusal(error):
                    await run_in_threadpool(kept.refused, person, key)
                raise
            body = bytes(answer.body)
            await run_in_threadpool(kept.done, person, key, status=answer.status_code, body=body)
            return answer

        return once if self.is_once else answer_to


def _rights_of(asked: Dependant) -> frozenset[Right]:
    """Those that a route's dependencies need."""
    own = frozenset(right for right in Right if asked.call is needs(right))
    return own.union(*(_rights_of(one) for one in asked.dependencies))


def _is_refusal(error: InspectionError | RequestValidationError | HTTPException) -> bool:
    """Whether the sender is to blame, so that nothing was done. HTTPException: a body that is no text, for one."""
    if isinstance(error, InspectionError):
        return status_of(error) < HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, RequestValidationError) or error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


async def _digest(request: Request, rights: str) -> str:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n{rights}".encode()
    return sha256(asked + await request.body()).hexdigest()


def _again(key: str, digest: str, known: Kept) -> Response:
    if known.request_sha256 != digest:
        raise KeyOfAnother(
            f"The key {key} came with another request before.", action="Make a new key for each act.", key=key
        )
    if known.status is None or known.body is None:
        raise KeyInUse(
            f"The request with the key {key} was begun, and nobody knows yet whether it was done.",
            action="Wait a moment and send it again; else look whether it was done, then use a new key.",
            key=key,
        )
    return Response(known.body, known.status, headers={REPLAYED: "true"}, media_type="application/json")
