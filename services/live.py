"""The present state of a station, fed by the engine's messages and watched by pages.

Fed from one thread, read and watched from others: every change replaces a lane's whole frozen state under a
lock, so a reader never sees half of one. A watcher is woken, looks at the newest state, and what came in
between is gone: nobody waits for a slow screen.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypedDict

from inspection.types import (
    Box,
    Defect,
    FrameResult,
    Inspection,
    InspectionBegun,
    Looked,
    Repeat,
    Stretch,
    Verdict,
)
from services.alarms import AlarmBoard
from services.station.messages import (
    Alarm,
    FrameSeen,
    LaneCondition,
    LaneMode,
    LaneState,
    LineState,
    RecipeState,
)
from services.telemetry import Metrics
from services.timings import Timings

RECENT = 20

PLACED = 300
"""A live map shows no more, and every frame copies them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneNow:
    """One lane as it is at this moment.

    revision        grows with every change but a frame's; `frames` grows with every frame
    condition       None until the engine has said it; camera and driver are empty until then
    in_hand         the unit in view; all that begin like it are about that unit so far, of a coil also where it
                    was seen and where not, and the defects placed on it, the newest PLACED
    frame           the newest; view_frames the newest of each view, where several cameras see a unit
    recent          finished inspections, newest first, at most RECENT
    looked          how much its screen let the network see since this process began; None where it has none
    recipe          what its units are judged by now; next_recipe the newest word on another that was asked for
    mode            how it works; None until the engine has said it
    line            how it stands with the PLC; None where there is none
    alarms          what somebody has to see to, by code
    last_sign       when the lane last gave a sign of life, by its own clock
    """

    lane: str
    revision: int = 0
    frames: int = 0
    camera: str = ""
    driver: str = ""
    condition: LaneCondition | None = None
    failure: str | None = None
    facts: dict[str, object] | None = None
    in_hand: InspectionBegun | None = None
    in_hand_frames: int = 0
    in_hand_defects: int = 0
    in_hand_worst: Verdict | None = None
    in_hand_repeats: tuple[Repeat, ...] = ()
    in_hand_seen_mm: Box | None = None
    in_hand_unseen: tuple[Stretch, ...] = ()
    in_hand_placed: tuple[Defect, ...] = ()
    frame: FrameSeen | None = None
    view_frames: Mapping[str, FrameSeen] = field(default_factory=dict)
    recent: tuple[Inspection, ...] = ()
    looked: Looked | None = None
    recipe: RecipeState | None = None
    next_recipe: RecipeState | None = None
    mode: LaneMode | None = None
    line: LineState | None = None
    alarms: tuple[Alarm, ...] = ()
    last_sign: datetime | None = None

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views, where several cameras see a unit; else none."""
        return self.cameras if len(self.cameras) > 1 else ()

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self.camera.split(", ")) if self.camera else ()

    @property
    def last(self) -> Inspection | None:
        return self.recent[0] if self.recent else None


class Watcher:
    """Wakes one asyncio task whenever something changed since it last looked."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Called on the feeding thread."""
        # The loop closes when the server stops; whom we would have woken is gone with it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woken.set)

    async def changed(self, timeout_s: float) -> bool:
        """True once something changed, False when nothing did for `timeout_s`."""
        try:
            await asyncio.wait_for(self._woken.wait(), timeout_s)
        except TimeoutError:
            return False
        self._woken.clear()
        return True


StationMode = Literal[
    "run",
    "setup",
    "bypass",
    "challenge",
    "unproven",
    "unknown",
    "starting",
    "camera_lost",
    "lane_stopped",
    "stopped",
    "engine_away",
]

LOUDEST: Final[tuple[StationMode, ...]] = (
    "bypass",
    "camera_lost",
    "lane_stopped",
    "setup",
    "challenge",
    "unproven",
    "unknown",
)
"""What the station is said to do where its lanes differ."""


def station_mode(live: LiveState) -> StationMode:
    """How the whole station works. A lane that runs and of which the engine has not said in which mode is not taken to
    inspect: it may be bypassed."""
    if not live.engine_connected:
        return "engine_away"
    conditions = {lane.condition for lane in live.lanes()}
    if "running" in conditions:
        modes = [lane.mode for lane in live.lanes() if lane.mode is not None]
        works: set[StationMode] = {mode.mode for mode in modes}
        works |= {"unproven" for mode in modes if mode.is_unproven}
        works |= {"unknown" for lane in live.lanes() if lane.condition == "running" and lane.mode is None}
        works |= {"camera_lost" for condition in conditions if condition == "lost"}
        works |= {"lane_stopped" for condition in conditions if condition == "stopped"}
        return next((mode for mode in LOUDEST if mode in works), "run")
    if "lost" in conditions:
        return "camera_lost"
    return "starting" if conditions & {"starting", None} or not conditions else "stopped"


def line_alarms(line: LineState) -> Iterator[Alarm]:
    """What somebody has to see to between a lane and its PLC. None of it is about a record: those are right."""

    def alarm(code: str, *, withholds: bool = False, **facts: object) -> Alarm:
        about = {"lane": line.lane, "address": line.address} | facts
        return Alarm(code=code, lane=line.lane, since=line.at, withholds=withholds, facts=about)

    if line.reason:
        yield alarm("LIN-NOT-SERVED", reason=line.reason)
    elif line.is_alone:
        yield alarm("LIN-NO-PLC")
    if line.is_late:
        yield alarm("LIN-NOT-TAKEN", count=line.waiting)
    if line.gives_up:
        yield alarm("LIN-GIVEN-UP", count=line.given_up)
    if line.lets_pass:
        yield alarm("LIN-LET-PASS", withholds=True, count=line.let_pass, unit=line.passed)


class LiveState:
    """What every lane shows now. The feeding methods never block on those who watch."""

    def __init__(self) -> None:
        self.timings = Timings()
        self.metrics = Metrics(self.timings)
        self.board = AlarmBoard()
        self._lock = threading.Lock()
        self._lanes: dict[str, LaneNow] = {}
        self._engine_connected = False
        self._station_revision = 0
        self._is_closed = False
        self._watchers: set[Watcher] = set()

    # --- fed by the service's engine thread

    def begun(self, begun: InspectionBegun) -> None:
        self._change(
            begun.lane,
            in_hand=begun,
            in_hand_frames=0,
            in_hand_defects=0,
            in_hand_worst=None,
            in_hand_repeats=(),
            in_hand_seen_mm=None,
            in_hand_unseen=(),
            in_hand_placed=(),
        )

    def frame(self, seen: FrameSeen) -> None:
        self.metrics.frame(seen)
        with self._lock:
            now = self._now(seen.lane)
            is_in_hand = now.in_hand is not None and now.in_hand.id == seen.inspection_id
            unit = str(now.in_hand.unit) if now.in_hand is not None and is_in_hand else None
            self.timings.add(seen, unit=unit, recorded_at=datetime.now(UTC))
            if is_in_hand:
                worst = [seen.result.verdict, *([] if now.in_hand_worst is None else [now.in_hand_worst])]
                now = replace(
                    now,
                    in_hand_frames=now.in_hand_frames + 1,
                    in_hand_defects=now.in_hand_defects + len(seen.result.defects),
                    in_hand_worst=Verdict.worst(worst),
                    in_hand_repeats=seen.result.repeats,
                    **_surface(now, seen.result),
                    # A roll that marks the strip is news, and so is each further mark of it.
                    revision=now.revision + (seen.result.repeats != now.in_hand_repeats),
                )
            looked = (
                now.looked if seen.result.looked is None else seen.result.looked + (now.looked or Looked())
            )
            self._lanes[seen.lane] = replace(
                now,
                frames=now.frames + 1,
                frame=seen,
                view_frames=_of_views(now, seen),
                looked=looked,
                last_sign=seen.captured_at,
            )
        self._wake()

    def done(self, inspection: Inspection) -> None:
        self.metrics.done(inspection)
        with self._lock:
            now = self._now(inspection.lane)
            # A journal sent again after a crash repeats itself: the newest word on an inspection stands.
            others = tuple(kept for kept in now.recent if kept.id != inspection.id)
            is_in_hand = now.in_hand is not None and now.in_hand.id == inspection.id
            self._lanes[inspection.lane] = replace(
                now,
                revision=now.revision + 1,
                recent=(inspection, *others)[:RECENT],
                in_hand=None if is_in_hand else now.in_hand,
                in_hand_repeats=() if is_in_hand else now.in_hand_repeats,
                last_sign=inspection.finished_at,
            )
        self._wake()

    def lane(self, state: LaneState) -> None:
        self.metrics.lane(state)
        self._change(
            state.lane,
            camera=state.camera,
            driver=state.driver,
            condition=state.condition,
            failure=state.failure,
            facts=state.facts,
            last_sign=state.at,
        )
        self._show_alarms(state.lane)

    def recipe(self, state: RecipeState) -> None:
        """Another recipe is on its way to a lane, or is in use. One that was refused stands until another is asked
        for."""
        if state.condition == "in_use":
            self._change(state.lane, recipe=state, next_recipe=None)
        else:
            self._change(state.lane, next_recipe=state)

    def mode(self, mode: LaneMode) -> None:
        self._change(mode.lane, mode=mode)
        self._show_alarms(mode.lane)

    def line(self, state: LineState) -> None:
        self.metrics.line(state)
        self._change(state.lane, line=state)
        self._show_alarms(state.lane)

    def alarms(self, lane: str, alarms: tuple[Alarm, ...], gap: int) -> None:
        self.metrics.gap(lane, gap)
        self._change(lane, alarms=alarms)
        self._show_alarms(lane)

    def answered(self, lane: str) -> None:
        """Somebody did something about an alarm of the lane, which the board knows already."""
        self._change(lane)

    def _show_alarms(self, lane: str) -> None:
        """Tell the board what stands: what the ledger says, and a camera that is lost or a lane that stopped."""
        with self._lock:
            now = self._now(lane)
            standing = list(now.alarms)
            if now.failure is not None:
                standing.append(
                    Alarm(
                        code=now.failure,
                        lane=lane,
                        since=now.last_sign or datetime.now(UTC),
                        withholds=True,
                        facts=now.facts or {},
                    )
                )
            if now.mode is not None and now.mode.is_unproven and now.mode.proof is not None:
                missed_at = now.mode.proof.missed_at
                standing.append(
                    Alarm(
                        code="INS-UNPROVEN" if missed_at is None else "INS-CHALLENGE-MISSED",
                        lane=lane,
                        since=missed_at or now.mode.proof.due,
                        withholds=True,
                        facts={},
                    )
                )
            if now.line is not None:
                standing += line_alarms(now.line)
            # Under the lock: what is told last is what stands.
            self.board.sees(lane, standing)

    def engine(self, connected: bool) -> None:
        self.metrics.engine(connected=connected)
        with self._lock:
            self._engine_connected = connected
            self._station_revision += 1
        self._wake()

    def remember(self, inspections: Iterable[Inspection]) -> None:
        """Take up what the store knows from before this process began. Newest first, any lanes."""
        with self._lock:
            for inspection in inspections:
                now = self._now(inspection.lane)
                if len(now.recent) < RECENT and all(kept.id != inspection.id for kept in now.recent):
                    self._lanes[inspection.lane] = replace(now, recent=(*now.recent, inspection))

    def close(self) -> None:
        """End all streams, so that the web server can stop: it waits for open connections."""
        with self._lock:
            self._is_closed = True
        self._wake()

    # --- read by pages

    @property
    def engine_connected(self) -> bool:
        return self._engine_connected

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def revision(self) -> str:
        """Changes with anything but a frame: the id of the newest event."""
        with self._lock:
            return f"{self._station_revision}-{sum(now.revision for now in self._lanes.values())}"

    def exposition(self, at: datetime) -> bytes:
        """All metrics in the Prometheus text format, with the alarms that stand: one that is shelved does, one that is
        over and waits for somebody to say that they saw it does not."""
        shown = self.board.shown(at)
        self.metrics.standing({(one.alarm.lane, one.alarm.code) for one in shown if one.state != "returned"})
        return self.metrics.exposition()

    def lanes(self) -> tuple[LaneNow, ...]:
        """Every lane heard of, by name."""
        with self._lock:
            return tuple(self._lanes[name] for name in sorted(self._lanes))

    def of_lane(self, lane: str) -> LaneNow | None:
        with self._lock:
            return self._lanes.get(lane)

    @contextmanager
    def watched(self) -> Iterator[Watcher]:
        """A watcher for the running asyncio task, told of every change until it leaves."""
        watcher = Watcher()
        with self._lock:
            self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    # ---

    def _change(self, lane: str, **changes: object) -> None:
        with self._lock:
            now = self._now(lane)
            self._lanes[lane] = replace(now, revision=now.revision + 1, **changes)  # type: ignore[arg-type]
        self._wake()

    def _now(self, lane: str) -> LaneNow:
        return self._lanes.get(lane) or LaneNow(lane=lane)

    def _wake(self) -> None:
        with self._lock:
            watchers = tuple(self._watchers)
        for watcher in watchers:
            watcher.wake()


class _Surface(TypedDict):
    in_hand_seen_mm: Box | None
    in_hand_unseen: tuple[Stretch, ...]
    in_hand_placed: tuple[Defect, ...]


def _surface(now: LaneNow, result: FrameResult) -> _Surface:
    """What a lane knows of its coil's surface once this frame was seen, too."""
    before, frame = now.in_hand_seen_mm, result.seen_mm
    unseen = now.in_hand_unseen
    if frame is not None:
        reached = 0.0 if before is None else before.y2
        # Less than a hundredth of a frame is a rounding, not a gap.
        if frame.y1 - reached > 0.01 * frame.height:
            unseen = (*unseen, Stretch(from_mm=reached, to_mm=frame.y1))[-PLACED:]
        frame = Box(frame.x1, 0.0, frame.x2, max(reached, frame.y2))
    return {
        "in_hand_seen_mm": frame or before,
        "in_hand_unseen": unseen,
        "in_hand_placed": (*now.in_hand_placed, *result.defects)[-PLACED:],
    }


def _of_views(now: LaneNow, seen: FrameSeen) -> dict[str, FrameSeen]:
    return {
        view: kept
        for view, kept in {**now.view_frames, seen.result.camera: seen}.items()
        if view in now.views
    }
