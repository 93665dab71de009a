"""For those who watch the service: is it well, and its numbers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Response

from services.api.answers import HealthAnswer
from services.api.serving import Here
from services.telemetry import Metrics
from traceability.errors import DatabaseUnreachable

logger = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


@router.get(
    "/healthz",
    responses={503: {"model": HealthAnswer, "description": "The database or the engine does not answer."}},
)
def healthz(here: Here, response: Response) -> HealthAnswer:
    """Asks the database, and says whether the engine is connected. 503 when either is not there."""
    try:
        here.store.latest(limit=1)
        has_database = True
    except DatabaseUnreachable as error:
        logger.warning("health: %s", error)
        has_database = False
    live = here.live
    engine = None if live is None else live.engine_connected
    healthy = has_database and engine is not False
    if not healthy:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return HealthAnswer(
        healthy=healthy,
        database=has_database,
        engine=engine,
        lanes={} if live is None else {lane.lane: lane.condition for lane in live.lanes()},
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(here: Here) -> Response:
    """Counters and gauges in the Prometheus text format."""
    live = here.live
    told = Metrics().exposition() if live is None else live.exposition(datetime.now(UTC))
    return Response(told, media_type=Metrics.content_type)
