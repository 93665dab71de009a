"""The station now: its state, its changes as server-sent events, and the live picture of a lane."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from services.access import Caller, Right, needs
from services.api.answers import (
    BalanceAnswer,
    FrameTraceAnswer,
    LaneAnswer,
    OfferAnswer,
    PreviewHeader,
    ProgressAnswer,
    StationAnswer,
    TimingsAnswer,
)
from services.api.serving import Balances, Here, Language, Live, Serving, serving_of
from services.live import LaneNow, LiveState, Watcher
from services.problems import FrameUnknown, LaneUnknown, problems
from services.station.messages import FrameSeen
from services.timings import FRAMES_KEPT, FrameTrace
from services.web.language import language_of
from station_config.choosing import Offer
from traceability.accounts import note
from traceability.steps import place_of

# A person sees no difference between four changes a second and forty; the engine's cores do.
LEAST_INTERVAL_S = 0.25
# A page that hears nothing for three of these calls the connection lost.
ALIVE_EVERY_S = 2.0

# Revisions count from nothing each time the service starts: without it, a reader that comes back after that may hold
# the id of another state, and would be told nothing.
STARTED = secrets.token_hex(4)

# https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 and the IANA registry
POLICY_VIOLATION = 1008
GOING_AWAY = 1001

router = APIRouter(tags=["station"])


@router.get("/station", responses=problems(HTTPStatus.NOT_FOUND))
def station(here: Here, live: Live) -> StationAnswer:
    """What every lane shows now."""
    return StationAnswer.of(here.station, live, datetime.now(UTC))


@router.get("/accounting", responses=problems(HTTPStatus.NOT_FOUND))
def accounting(balances: Balances) -> list[BalanceAnswer]:
    """Of every lane, what engine, service and records counted, and whether it agrees."""
    return [BalanceAnswer.of(balance) for balance in balances]


@router.get("/lanes/{lane}/timings", responses=problems(HTTPStatus.NOT_FOUND))
def timings(live: Live, lane: str) -> TimingsAnswer:
    """How long each step of the lane's frames takes, and the slowest frames."""
    return TimingsAnswer.of(known_lane(live, lane).lane, live.timings)


@router.get("/lanes/{lane}/frames/{sequence}", responses=problems(HTTPStatus.NOT_FOUND))
def frame(live: Live, lane: str, sequence: Annotated[int, Path(ge=0, le=2**63 - 1)]) -> FrameTraceAnswer:
    """The trace of one frame, by the camera's number: of the newest 1000 and the slowest of the lane."""
    return FrameTraceAnswer.of(traced(live, lane, sequence))


def traced(live: LiveState, lane: str, sequence: int) -> FrameTrace:
    """Raises LaneUnknown, FrameUnknown."""
    name = known_lane(live, lane).lane
    found = live.timings.frame(name, sequence)
    if found is None:
        raise FrameUnknown(
            f"No trace of frame {sequence} of lane {name} is kept; the newest {FRAMES_KEPT} and the slowest are.",
            action="Look for the unit by its code: its record stays.",
            lane=name,
            sequence=sequence,
            kept=FRAMES_KEPT,
        )
    return found


Operator = Annotated[Caller, Depends(needs(Right.OPERATE))]


class RecipeAsked(BaseModel):
    """Which recipe is meant; exactly one of the four."""

    model_config = ConfigDict(extra="forbid")

    recipe: Annotated[str, Field(max_length=100)] | None = None
    product: Annotated[str, Field(max_length=200)] | None = None
    order: Annotated[str, Field(max_length=200)] | None = None
    number: Annotated[int, Field(ge=0, le=65535)] | None = None


@router.get("/lanes/{lane}/recipes", responses=problems(HTTPStatus.NOT_FOUND))
def recipes(here: Here, live: Live, language: Language, lane: str) -> list[OfferAnswer]:
    """The recipes that the lane may have; of one whose file cannot be read `unread` says why."""
    return [OfferAnswer.of(one, language) for one in here.recipes.listed(known_lane(live, lane).lane)]


@router.post(
    "/lanes/{lane}/recipe",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
    ),
)
def change_recipe(
    here: Here, live: Live, caller: Operator, language: Language, lane: str, asked: RecipeAsked
) -> OfferAnswer:
    """Change over to another recipe with the lane's next unit. The answer says to which; `next_recipe` of the lane says
    how far it is, and `recipe` once it is in use."""
    now = known_lane(live, lane)
    offer = here.recipes.choose(now.lane, **asked.model_dump())
    change_over(here, now, offer, caller)
    return OfferAnswer.of(offer, language)


def change_over(here: Serving, now: LaneNow, offer: Offer, caller: Caller) -> None:
    """Ask the engine for it, with a line in the audit."""
    with here.store.writing() as connection:
        note(
            connection,
            at=datetime.now(UTC),
            by=caller.person,
            action="recipe.changed",
            subject=f"lane:{place_of(here.station, now.lane)}",
            before=None if now.recipe is None else {"recipe": now.recipe.recipe},
            after={"recipe": offer.recipe, "revision": offer.revision},
        )
    here.recipes.change(now.lane, offer)


def known_lane(live: LiveState, lane: str) -> LaneNow:
    """Raises LaneUnknown."""
    now = live.of_lane(lane)
    if now is None:
        lanes = ", ".join(known.lane for known in live.lanes())
        raise LaneUnknown(
            f"This station has no lane {lane}.", action=f"Choose one of: {lanes}.", lane=lane, lanes=lanes
        )
    return now


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": (
                "`station` (StationAnswer) first and when the engine comes or goes, `lane` (LaneAnswer) when a "
                "lane changes, `progress` (ProgressAnswer) while a unit is in view, `alive` every 2 s. "
                "What came in between is left out: an event holds the newest state."
            ),
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(HTTPStatus.NOT_FOUND),
    },
)
async def events(
    request: Request, here: Here, live: Live, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Changes of the station as they happen."""
    return StreamingResponse(
        event_stream(here.station, live, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def event_stream(station: str, live: LiveState, last_event_id: str | None) -> AsyncIterator[str]:
    """Server-sent events, as their text, until the live state is closed.

    A reader that was here before and missed nothing is not told again what it knows.
    """
    with live.watched() as watcher:
        known = {lane.lane: lane for lane in live.lanes()}
        was_connected = live.engine_connected
        is_up_to_date = last_event_id == _event_id(live.revision)
        # Of whom missed nothing that changed, nobody knows which alarms asked when they were last here.
        asked = frozenset[tuple[str, str]]() if is_up_to_date else _asking(live)
        yield f"retry: {int(1000 * LEAST_INTERVAL_S)}\n\n"
        if not is_up_to_date:
            yield _event("station", StationAnswer.of(station, live, datetime.now(UTC)), live.revision)
        next_alive = time.monotonic()
        while not live.is_closed:
            if time.monotonic() >= next_alive:
                yield f'event: alive\ndata: {{"at": "{datetime.now(UTC).isoformat()}"}}\n\n'
                next_alive = time.monotonic() + ALIVE_EVERY_S
            has_changed = await watcher.changed(max(0.0, next_alive - time.monotonic()))
            # The end of a shelf changes nothing else: on a lane that stands still nobody would see its alarm again.
            asking = _asking(live)
            asks_again = {lane for lane, _ in asking - asked}
            asked = asking
            if not has_changed and not asks_again:
                continue
            if live.engine_connected != was_connected:
                was_connected = live.engine_connected
                yield _event("station", StationAnswer.of(station, live, datetime.now(UTC)), live.revision)
            for lane in live.lanes():
                before = None if lane.lane in asks_again else known.get(lane.lane)
                for text in _changes(before, lane, live.revision):
                    yield text
                known[lane.lane] = lane
            await asyncio.sleep(LEAST_INTERVAL_S)


def _asking(live: LiveState) -> frozenset[tuple[str, str]]:
    """Lane and code of every alarm that asks for somebody."""
    shown = live.board.shown(datetime.now(UTC))
    return frozenset((one.alarm.lane, one.alarm.code) for one in shown if one.asks)


def _changes(before: LaneNow | None, lane: LaneNow, revision: str) -> list[str]:
    if before is None or before.revision != lane.revision:
        return [_event("lane", LaneAnswer.of(lane), revision)]
    if before.frames != lane.frames and lane.last_sign is not None:
        progress = ProgressAnswer(
            lane=lane.lane,
            frames=lane.in_hand_frames,
            defects=lane.in_hand_defects,
            last_sign_at=lane.last_sign,
        )
        return [_event("progress", progress, revision)]
    return []


def _event(name: str, answer: BaseModel, revision: str) -> str:
    return f"id: {_event_id(revision)}\nevent: {name}\ndata: {answer.model_dump_json()}\n\n"


def _event_id(revision: str) -> str:
    return f"{STARTED}-{revision}"


@router.websocket("/lanes/{lane}/preview")
async def preview(websocket: WebSocket, lane: str, view: str | None = None) -> None:
    """The newest frame of a lane, again and again; frames that come while one is being sent are left out.

    `view` asks for those of one camera only, where several see a unit.

    One binary message per frame: four bytes, the length of the header, big-endian; the header, JSON, a
    PreviewHeader; then the JPEG.
    """
    here = serving_of(websocket)
    live = here.live
    if live is None or live.of_lane(lane) is None or not _is_from_our_page(websocket):
        await websocket.close(POLICY_VIOLATION)
        return
    language = language_of(websocket)
    await websocket.accept()
    left = asyncio.ensure_future(_left(websocket))
    sent: FrameSeen | None = None
    try:
        with live.watched() as watcher:
            while not left.done() and not live.is_closed:
                now = live.of_lane(lane)
                # A frame without a picture came from an engine too busy to make one; the last one stays.
                frame = None if now is None else now.frame if view is None else now.view_frames.get(view)
                if frame is not None and frame.jpeg and frame is not sent:
                    sent = frame
                    header = PreviewHeader.of(frame, here.catalogue, language).model_dump_json().encode()
                    await websocket.send_bytes(len(header).to_bytes(4, "big") + header + frame.jpeg)
                await _either(left, watcher)
        if not left.done():
            await websocket.close(GOING_AWAY)
    except WebSocketDisconnect:
        pass  # they left while a frame was on its way: nothing is owed to anyone
    finally:
        left.cancel()


async def _left(websocket: WebSocket) -> None:
    """Returns when the other side goes. It has nothing to say to us."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _either(left: asyncio.Future[None], watcher: Watcher) -> None:
    changed = asyncio.ensure_future(watcher.changed(ALIVE_EVERY_S))
    waiting: set[asyncio.Future[Any]] = {left, changed}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    changed.cancel()


def _is_from_our_page(websocket: WebSocket) -> bool:
    """Browsers let any site open a socket here, and only say which site it was. Programs send no origin."""
    origin = websocket.headers.get("origin")
    return origin is None or origin.split("://", 1)[-1] == websocket.headers.get("host")
