"""The engine's end of the line interface: each unit's verdict goes to the PLC first, before it is recorded or shown.

A process of its own talks with the PLC (`modbus`). What it was given and the PLC has not taken is kept here, and a
process that ends is started again with it: no verdict is lost or told twice for that. The lanes never wait for it.
"""

from __future__ import annotations

import logging
import multiprocessing
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Final, Self

from inspection.types import Frame, FrameResult, Inspection, InspectionBegun, Verdict
from services.signals.handshake import (
    BEAT_S,
    WORD,
    Beat,
    Clients,
    Done,
    FromLine,
    LaneGaveUp,
    LaneRegisters,
    LaneSaid,
    LaneStands,
    LaneTold,
    LineMode,
    RecipeStep,
    RecipeWanted,
    Standing,
    Taken,
    Told,
    ToLine,
    after,
)
from services.signals.modbus import serve_line
from services.station.messages import LaneMode, LaneState, LineState, Message, RecipeState, RecipeWish
from station_config import LaneSettings, LineSettings

logger = logging.getLogger(__name__)

SAY_S: Final = 1.0
"""So often the service is told how it stands, where anything changed."""

RETRY_S: Final = 2.0

START_S: Final = 30.0
"""From being started to the first sign of life; on a busy computer that is long."""

SILENT_S: Final = 3.0
"""Without a sign of life from it so long, it is killed and started again."""

MOST_WAITING: Final = 1000
"""Of a lane. With more the oldest is given up, counted, and an alarm stands."""

LATELY_S: Final = 60.0
"""So long after the last one was given up, or let pass, its alarm stands."""

ALONE_S: Final = 10.0
"""A PLC that starts with the station has so long to connect."""

ENDED: Final = "its process ended"

_MODES: Final = {
    "run": LineMode.RUN,
    "setup": LineMode.SETUP,
    "bypass": LineMode.BYPASS,
    "challenge": LineMode.CHALLENGE,
}
_CONDITIONS: Final = {
    "starting": LineMode.STOPPED,
    "stopped": LineMode.STOPPED,
    "lost": LineMode.CAMERA_LOST,
}
_STEPS: Final = {
    "preparing": RecipeStep.PREPARING,
    "ready": RecipeStep.READY,
    "in_use": RecipeStep.IN_USE,
    "refused": RecipeStep.REFUSED,
}


@dataclass(slots=True, kw_only=True)
class _Lane:
    settings: LaneSettings
    standing: Standing = field(default_factory=Standing)
    state: LineState
    waiting: deque[Told] = field(default_factory=deque)
    # The newest number; how many of the newest the process has yet to be given; those given up that it still shows,
    # and the last of all given up, which the PLC may be taking.
    number: int = 0
    unsent: int = 0
    gave_up: list[int] = field(default_factory=list)
    lost: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    gave_up_s: float | None = None
    let_pass_s: float | None = None
    condition: LaneState | None = None
    mode: LaneMode | None = None
    says_standing: bool = True
    said: LineState | None = None


class Line:
    """One station's. Entering starts it, leaving ends it; `hears` and the sinks are called from any thread.

    wished  told of a recipe that the PLC asks for, on a thread of this
    say     told how it stands
    """

    def __init__(
        self,
        settings: LineSettings,
        lanes: Sequence[LaneSettings],
        *,
        wished: Callable[[RecipeWish], None],
        say: Callable[[Message], None],
    ) -> None:
        named = {lane.name: lane for lane in lanes}
        self._settings = settings
        self._wished = wished
        self._say = say
        self._session = secrets.randbelow(WORD) + 1
        address = f"{settings.host}:{settings.port}"
        self._lanes = {
            name: _Lane(
                settings=named[name], state=LineState(lane=name, at=datetime.now(UTC), address=address)
            )
            for name in settings.lanes
        }
        self._numbers = {name: number for number, name in enumerate(settings.lanes, start=1)}
        self._names = {number: name for name, number in self._numbers.items()}
        self._changed = threading.Condition()
        self._alone_since_s: float | None = time.monotonic()
        self._alive_s = 0.0
        self._is_closing = False
        self._has_ended = False
        self._process: SpawnProcess | None = None
        self._thread = threading.Thread(target=self._keep_serving, name="line", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def process_id(self) -> int | None:
        """Of who talks with the PLC; None until it runs."""
        return None if self._process is None else self._process.pid

    def sinks(self, lane: str) -> tuple[Verdicts, ...]:
        """What tells the PLC of that lane's units; none where it has nothing to do with the lane."""
        return (Verdicts(self, lane),) if lane in self._lanes else ()

    def hears(self, message: LaneState | LaneMode | RecipeState) -> None:
        """How a lane stands has changed."""
        lane = self._lanes.get(message.lane)
        if lane is None:
            return
        with self._changed:
            match message:
                case LaneState():
                    lane.condition = message
                case LaneMode():
                    lane.mode = message
                case RecipeState():
                    lane.standing = _with_recipe(lane.standing, lane.settings, message)
            lane.standing = replace(lane.standing, mode=_mode_of(lane.condition, lane.mode))
            lane.says_standing = True
            self._changed.notify()

    def tell(self, lane_name: str, inspection: Inspection) -> None:
        """A unit's verdict to the PLC; returns at once."""
        lane = self._lanes[lane_name]
        with self._changed:
            if len(lane.waiting) >= MOST_WAITING:
                _give_up_oldest(lane)
                lane.gave_up_s = time.monotonic()
                lane.state = replace(lane.state, given_up=lane.state.given_up + 1)
                lane.standing = replace(lane.standing, given_up=lane.state.given_up)
                lane.says_standing = True
            lane.number = after(lane.number)
            lane.waiting.append(Told.of(inspection, lane.number, given_s=time.monotonic()))
            lane.unsent += 1
            lane.state = replace(lane.state, told=lane.state.told + 1)
            self._changed.notify()

    # ------------------------------------------------------------------ on the thread of this

    def _keep_serving(self) -> None:
        context = multiprocessing.get_context("spawn")
        while not self._closing():
            ours, theirs = context.Pipe()
            settings = self._settings
            allowed = tuple(map(str, settings.clients))
            self._process = context.Process(
                target=serve_line,
                args=(
                    str(settings.host),
                    settings.port,
                    allowed,
                    {
                        number: LaneRegisters(session=self._session, fresh_s=settings.taken_within_s)
                        for number in self._names
                    },
                    theirs,
                ),
                name="line",
                daemon=True,
            )
            with ours:
                try:
                    with theirs:
                        self._process.start()
                except OSError as error:
                    self._is_away(f"its process cannot be started: {error}")
                else:
                    self._serve(ours, self._process)
            with self._changed:
                if not self._is_closing:
                    logger.warning("The line interface ended and is started again")
                    self._changed.wait(RETRY_S)

    def _serve(self, words: Connection, process: SpawnProcess) -> None:
        """Until the process ends or stands still, or this does. It leaves no process."""
        with self._changed:
            self._has_ended = False
            self._alive_s = time.monotonic() + START_S
            for lane in self._lanes.values():
                # Another process knows nothing.
                lane.unsent, lane.says_standing = len(lane.waiting), True
                lane.gave_up.clear()
        hearing = threading.Thread(target=self._hear, args=(words,), name="line hears", daemon=True)
        hearing.start()
        next_beat_s = next_say_s = time.monotonic()
        with suppress(OSError):
            while True:
                with self._changed:
                    left_s = next_beat_s - time.monotonic()
                    if left_s > 0 and not self._has_news() and not self._is_closing and not self._has_ended:
                        self._changed.wait(left_s)
                    if self._is_closing or self._has_ended:
                        break
                    news = self._news()
                for one in news:
                    words.send(one)
                now_s = time.monotonic()
                if now_s >= next_beat_s:
                    if now_s > self._alive_s + SILENT_S:
                        logger.error("The line interface stands still")
                        break
                    words.send(Beat())
                    next_beat_s = now_s + BEAT_S
                if now_s >= next_say_s:
                    self._tell_service()
                    next_say_s = now_s + SAY_S
        # It keeps nothing that is not here.
        process.kill()
        process.join()
        hearing.join()
        self._is_away(ENDED)

    def _is_away(self, reason: str) -> None:
        """Nobody serves the PLC: for the reason that was said, else this one."""
        with self._changed:
            for lane in self._lanes.values():
                lane.state = replace(
                    lane.state, is_served=False, clients=0, reason=lane.state.reason or reason
                )
        if not self._closing():
            self._tell_service()

    def _has_news(self) -> bool:
        return any(lane.unsent or lane.gave_up or lane.says_standing for lane in self._lanes.values())

    def _news(self) -> list[ToLine]:
        """What the process does not know yet, in order: what was given up before what came."""
        news: list[ToLine] = []
        for name, lane in self._lanes.items():
            number = self._numbers[name]
            news += (LaneGaveUp(number, one) for one in lane.gave_up)
            first = len(lane.waiting) - lane.unsent
            news += (LaneTold(number, lane.waiting[at]) for at in range(first, len(lane.waiting)))
            if lane.says_standing:
                news.append(LaneStands(number, lane.standing))
            lane.gave_up.clear()
            lane.unsent, lane.says_standing = 0, False
        return news

    def _hear(self, words: Connection) -> None:
        try:
            while True:
                self._heard(words.recv())
        except (EOFError, OSError):
            with self._changed:
                self._has_ended = True
                self._changed.notify()

    def _heard(self, message: FromLine) -> None:
        match message:
            case Clients(connected, reason):
                with self._changed:
                    self._alive_s = time.monotonic()
                    if connected:
                        self._alone_since_s = None
                    elif self._alone_since_s is None:
                        self._alone_since_s = time.monotonic()
                    for lane in self._lanes.values():
                        lane.state = replace(
                            lane.state,
                            is_served=connected is not None,
                            reason=reason,
                            clients=connected or 0,
                        )
            case LaneSaid(number, Taken() as taken):
                with self._changed:
                    lane = self._lanes[self._names[number]]
                    before = lane.state.let_pass
                    _take(lane, taken)
                    if lane.state.let_pass > before:
                        lane.let_pass_s = time.monotonic()
            case LaneSaid(number, RecipeWanted(wanted)):
                self._want(self._names[number], wanted)

    def _want(self, name: str, number: int) -> None:
        lane = self._lanes[name]
        choice = next((one for one in lane.settings.choices if one.number == number), None)
        with self._changed:
            step = RecipeStep.REFUSED if choice is None else RecipeStep.PREPARING
            lane.standing = replace(lane.standing, recipe_asked=number, recipe_state=step)
            lane.says_standing = True
            self._changed.notify()
        if choice is None:
            logger.error("The PLC asks lane %s for recipe number %s, which it has not", name, number)
            return
        logger.info("The PLC asks lane %s for recipe %s", name, choice.recipe)
        self._wished(RecipeWish(lane=name, recipe=choice.recipe, by_plc=True))

    def _tell_service(self) -> None:
        now_s = time.monotonic()

        def lately(at_s: float | None) -> bool:
            return at_s is not None and now_s - at_s <= LATELY_S

        with self._changed:
            is_alone = self._alone_since_s is not None and now_s - self._alone_since_s >= ALONE_S
            said: list[LineState] = []
            for lane in self._lanes.values():
                waits_s = now_s - lane.waiting[0].given_s if lane.waiting else 0.0
                lane.state = replace(
                    lane.state,
                    waiting=len(lane.waiting),
                    is_late=waits_s > self._settings.taken_within_s,
                    is_alone=is_alone,
                    gives_up=lately(lane.gave_up_s),
                    lets_pass=lately(lane.let_pass_s),
                )
                if lane.state != lane.said:
                    lane.state = replace(lane.state, at=datetime.now(UTC))
                    lane.said = lane.state
                    said.append(lane.state)
        for one in said:
            self._say(one)

    def _closing(self) -> bool:
        with self._changed:
            return self._is_closing


class Verdicts:
    """A Sink: the verdicts of one lane's units, to the line."""

    def __init__(self, line: Line, lane: str) -> None:
        self._line = line
        self._lane = lane

    def unit_begun(self, begun: InspectionBegun) -> None:
        """A PLC is told of whole units."""

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        """As above."""

    def unit_done(self, inspection: Inspection) -> None:
        self._line.tell(self._lane, inspection)


def _give_up_oldest(lane: _Lane) -> None:
    is_shown = lane.unsent < len(lane.waiting)
    oldest = lane.waiting.popleft().number
    lane.lost.append(oldest)
    if is_shown:
        lane.gave_up.append(oldest)
    else:
        lane.unsent -= 1


def _take(lane: _Lane, taken: Taken) -> None:
    told = lane.waiting[0] if lane.waiting else None
    if told is None or told.number != taken.number:
        # On its way here while it was given up: taken all the same.
        if taken.number in lane.lost:
            lane.lost.remove(taken.number)
            lane.state = replace(lane.state, given_up=lane.state.given_up - 1, taken=lane.state.taken + 1)
        return
    lane.waiting.popleft()
    state = replace(lane.state, taken=lane.state.taken + 1)
    if taken.done is Done.NOT_SAID:
        state = replace(state, unconfirmed=state.unconfirmed + 1)
    elif taken.done is Done.LET_PASS and told.verdict is not Verdict.ACCEPT:
        logger.error("The PLC let %s pass, which is %s", told.code, told.verdict.name)
        state = replace(state, let_pass=state.let_pass + 1, passed=told.code)
    lane.state = state


def _mode_of(condition: LaneState | None, mode: LaneMode | None) -> LineMode:
    if condition is None or mode is None:
        return LineMode.STOPPED
    if condition.condition != "running":
        return _CONDITIONS[condition.condition]
    if mode.mode == "run" and mode.is_unproven:
        return LineMode.UNPROVEN
    return _MODES[mode.mode]


def _with_recipe(standing: Standing, settings: LaneSettings, state: RecipeState) -> Standing:
    number = next((one.number for one in settings.choices if one.recipe == state.recipe), None) or 0
    if state.condition == "in_use":
        standing = replace(standing, recipe=number)
        if number != standing.recipe_asked and standing.recipe_state in (RecipeStep.READY, RecipeStep.IN_USE):
            # Of the one that the PLC asked for last it is no longer true.
            standing = replace(standing, recipe_state=RecipeStep.NONE)
    if number and number == standing.recipe_asked:
        standing = replace(standing, recipe_state=_STEPS[state.condition])
    return standing
