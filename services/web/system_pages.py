"""The page of the station's computer: health, room, versions, logs, and a bundle for support."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from services.access import AccessHere
from services.api import system as api
from services.api.cameras import Integrator
from services.api.serving import Here
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/system")
def system(
    request: Request, here: Here, _: Integrator, log: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """`log` names the process whose log is shown; else the first that has one."""
    folder = api.folder_of(request)
    answer = api.system_answer(here, folder)
    chosen = log or next(iter(answer.logs), "")
    text = api.log_of(folder, chosen) if chosen else ""
    return page(request, "system.html", system=answer, chosen=chosen, text=text)


@router.post("/system/bundle")
def support_bundle(request: Request, here: Here, access: AccessHere, caller: Integrator) -> Response:
    return api.support_bundle(request, here, access, caller)
