"""create_app: one FastAPI application, for a station or, without a live state, for a plant."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute

from services.access import Access, same_site
from services.api import (
    accounts,
    alarms,
    audits,
    cameras,
    capability,
    cases,
    causes,
    certificates,
    changes,
    datasets,
    epcis,
    genealogy,
    handovers,
    health,
    history,
    inspector,
    measured,
    merit,
    models,
    modes,
    pictures,
    reviews,
    sampling,
    spc,
    standing_studies,
    studies,
    system,
    training,
    units,
    what_if,
)
from services.api import recipes as recipes_api
from services.api import resolver as resolver_api
from services.api import station as station_now
from services.api.choices import known_choices
from services.api.serving import Serving
from services.live import RECENT, LiveState
from services.oidc import Oidc
from services.problems import StaticMissing, answer_errors, text_only
from services.reasons import Reasons
from services.setting_up import SettingUp, cameras_of
from services.station.accounting import Accounting
from services.station.cores import Cores
from services.station.recipes import LaneRecipes, Wishes
from services.training import Trainings
from services.training_book import TrainingBook
from services.training_desk import TrainingDesk
from services.web import (
    account_pages,
    alarm_pages,
    audit_pages,
    camera_pages,
    case_pages,
    containment_pages,
    dataset_pages,
    handover_pages,
    merit_pages,
    mode_pages,
    model_pages,
    pages,
    public_pages,
    recipe_pages,
    review_pages,
    spc_pages,
    system_pages,
    training_pages,
    what_if_pages,
)
from services.web.limits import Limits
from services.web.policy import SecurityHeaders
from services.web.rendering import static_folder
from services.web.shifts import ShiftCounts
from services.what_if import WhatIfs
from station_config import Catalogue, ResolverSettings, Title
from traceability.accounts import Accounts
from traceability.epcis.repository import EpcisRepository
from traceability.images import ImageStore
from traceability.merkle import Sealer
from traceability.nodes import HandleNode
from traceability.resolution import Resolver
from traceability.retention import Rules
from traceability.samples import Shifts
from traceability.store import TraceStore

VENDOR_FILES = ("htmx.min.js", "echarts.esm.min.js")

NO_RESOLVER_SETTINGS = ResolverSettings()

# Enough of the newest inspections to find the last few of each lane among them.
REMEMBERED = 10 * RECENT


def create_app(
    *,
    store: TraceStore,
    images: ImageStore,
    live: LiveState | None,
    accounting: Accounting | None,
    recipes: LaneRecipes,
    wishes: Wishes,
    catalogue: Catalogue,
    station: str,
    default_language: str,
    lane_titles: Mapping[str, Title],
    coil_lanes: frozenset[str],
    sealer: Sealer,
    folder: Path,
    first_run_code: str | None = None,
    resolver: ResolverSettings = NO_RESOLVER_SETTINGS,
    retention: Rules | None = None,
    lane_workers: Mapping[str, int] | None = None,
    oidc: Oidc | None = None,
    training_python: Path | None = None,
) -> FastAPI:
    """Pages and API over what it is given; it opens and closes none of it.

    accounting       of the same station
    recipes      that its lanes may change over to
    wishes       what its engine is asked for
    live         fed by whoever hears the engine; None for a server without a station of its own
    coil_lanes   those whose units are coils, with a map of their surface
    lane_titles  what people call the lanes, in the order of the page; others go by their names
    first_run_code  what the first administrator shows, while nobody has an account
    sealer       signs the heads of the ledger of records
    resolver     where others reach this server, and which nodes it asks for codes that are not ours
    oidc         the plant's identity provider; None: nobody signs in there
    retention    how long the station keeps pictures; None where there is no station
    lane_workers  cores that each lane inspects on; a lane of which that is not told needs all of them
    folder       where the station keeps its logs and its trainings
    training_python  interpreter of the environment in which detectors learn from labels; None: they do not

    Raises StaticMissing where the package was built without the pages' libraries, DatabaseUnreachable.
    """
    check_libraries(static_folder() / "vendor")
    if live is not None:
        live.remember(store.latest(station=station, simulated=False, limit=REMEMBERED))
    app = _Application(
        title="Lynceus",
        summary="Vision inspection: verdicts, traces and charts",
        version="1",
        docs_url=None,  # its scripts come from a content delivery network
        redoc_url=None,
        routes=[*_routes()],
    )
    app.state.access = Access(Accounts(store), first_run_code=first_run_code)
    app.state.folder = folder
    app.state.setting_up = SettingUp(cameras_of(recipes.lanes if live is not None else ()))
    app.state.oidc = oidc
    app.state.what_ifs = WhatIfs(store, images, station if live is not None else None)
    app.state.trainings = Trainings(
        store,
        images,
        Cores(lane_workers or {}, partial(_inspecting, live)),
        frozenset(catalogue),
        TrainingBook(folder.resolve() / "trainings"),
        TrainingDesk(training_python),
    )
    app.state.serving = Serving(
        store=store,
        images=images,
        live=live,
        accounting=accounting,
        recipes=recipes,
        wishes=wishes,
        catalogue=catalogue,
        station=station,
        default_language=default_language,
        lane_titles=lane_titles,
        coil_lanes=coil_lanes,
        shift_counts=ShiftCounts(store, station, Shifts()),
        reasons=Reasons(images),
        sealer=sealer,
        resolver=Resolver(store, nodes=[HandleNode(node.address, node.prefixes) for node in resolver.nodes]),
        resolver_address=resolver.address,
        epcis=EpcisRepository(store),
        retention=retention,
    )
    app.add_middleware(Limits)
    app.add_middleware(SecurityHeaders)
    answer_errors(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """All pages and the API. What they are given comes with each request's application: they are the same for all, and
    to look through their parameters takes longer than all else here."""
    routes = APIRouter(
        dependencies=[Depends(same_site), Depends(text_only)], generate_unique_id_function=_operation_id
    )
    statistics = APIRouter(dependencies=[Depends(known_choices)])
    for noun in (
        spc,
        measured,
        causes,
        changes,
        capability,
        inspector,
        merit,
        sampling,
        studies,
        standing_studies,
        audits,
    ):
        statistics.include_router(noun.router)
    routes.include_router(statistics, prefix="/api/v1")
    for noun in (
        station_now,
        modes,
        alarms,
        handovers,
        units,
        genealogy,
        certificates,
        history,
        pictures,
        accounts,
        reviews,
        cases,
        what_if,
        models,
        cameras,
        training,
        recipes_api,
        datasets,
        system,
    ):
        routes.include_router(noun.router, prefix="/api/v1")
    routes.include_router(health.router)
    routes.include_router(resolver_api.router)
    routes.include_router(epcis.router)
    routes.include_router(pages.router)
    routes.include_router(account_pages.router)
    routes.include_router(review_pages.router)
    routes.include_router(mode_pages.router)
    routes.include_router(model_pages.router)
    routes.include_router(training_pages.router)
    routes.include_router(alarm_pages.router)
    routes.include_router(camera_pages.router)
    routes.include_router(recipe_pages.router)
    routes.include_router(dataset_pages.router)
    routes.include_router(system_pages.router)
    routes.include_router(handover_pages.router)
    routes.include_router(case_pages.router)
    routes.include_router(containment_pages.router)
    routes.include_router(what_if_pages.router)
    routes.include_router(public_pages.router)
    routes.include_router(spc_pages.router)
    routes.include_router(merit_pages.router)
    routes.include_router(audit_pages.router)
    routes.mount("/static", _StaticFiles(directory=static_folder()), name="static")
    return tuple(routes.routes)


def _inspecting(live: LiveState | None) -> frozenset[str]:
    """The lanes that are not known to have stopped."""
    now = () if live is None else live.lanes()
    return frozenset(one.lane for one in now if one.condition != "stopped")


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """As FastAPI derives it, but refusals carry the media type they are sent with, and those that every route may
        answer with stand at every route: asked too often, and too much or no text sent."""
        if self.openapi_schema is None:
            for operation in _operations(super().openapi()):
                told = operation["responses"]
                for status in ANYWHERE + (WITH_A_BODY if "requestBody" in operation else ()):
                    told[str(status.value)] = _refusal(status)
                for status, answer in told.items():
                    content = answer.get("content", {})
                    for media_type in [*content] if int(status) >= HTTPStatus.BAD_REQUEST else ():
                        if content[media_type].get("schema", {}).get("$ref", "").endswith("/Problem"):
                            content["application/problem+json"] = content.pop(media_type)
        assert self.openapi_schema is not None
        return self.openapi_schema


ANYWHERE: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNPROCESSABLE_ENTITY)
WITH_A_BODY: Final = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE,)


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": status.phrase, "content": {"application/problem+json": {"schema": schema}}}


class _StaticFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the order to ask again each time: modules import one another by plain names, and an upgrade
        must not leave a browser with some of the old and some of the new."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


def _operation_id(route: APIRoute) -> str:
    return route.name


def check_libraries(folder: Path) -> None:
    """Raises StaticMissing where a page would come without its scripts."""
    missing = [name for name in VENDOR_FILES if not (folder / name).is_file()]
    if missing:
        files = ", ".join(missing)
        raise StaticMissing(
            f"The pages' libraries are not in {folder}: {files}.",
            action="Run `python scripts/fetch_web_libraries.py` once, with npm or the package index in reach.",
            files=files,
            folder=str(folder),
        )
