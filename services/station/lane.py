"""One camera's loop: from frames to units, each closed with every exposure accounted for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import uuid_utils

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from inspection.pipeline import MISTAKE, PROGRAM_FAILED, Look, Pipeline, ViewPipelines
from inspection.protocols import Camera, Sink, UnitSource
from inspection.strip import StripRules
from inspection.tally import (
    BYPASSED,
    CLOCK_BACKWARDS,
    FRAME_LOST,
    IN_CHALLENGE,
    IN_SETUP,
    OVERRUN,
    UNPROVEN,
    UnitTally,
    with_losses,
)
from inspection.types import (
    Frame,
    FrameResult,
    Grade,
    Inspection,
    InspectionBegun,
    ModelRef,
    RecipeRef,
    Verdict,
)
from services.station.account import LaneAccount
from services.station.ahead import Ahead, Turn
from services.station.intake import Arrived, Intake
from services.station.messages import Mode

logger = logging.getLogger(__name__)

STOPPED = "SVC-STATION-STOPPED"
CAMERA_ENDED = "CAM-LOST"
LANE_FAILED = "SVC-LANE-FAILED"

WITHHELD: Final = {"setup": IN_SETUP, "challenge": IN_CHALLENGE, "unproven": UNPROVEN}
"""What is looked at and counts for nothing, and why."""

MAX_UNITS_PER_HOLE = 1000
"""Of more units that lie wholly inside a hole one is recorded that lost all of theirs, not a flood of units. The units
in which the hole began and ended answer for their own exposures all the same."""

_ASKED_PER_END: Final = 1_000_000
"""Exposures of a hole whose unit is asked for, from each end of it: more than any unit has, which is 100 000 frames of
each camera. Both ends take about a second. The units between are one, too."""


def _with_waiting(steps_ms: Mapping[str, float], *, since_s: float) -> dict[str, float]:
    """The steps, between the waiting for a place, a worker and the turn, and the time from arrival to verdict."""
    total_ms = round((time.monotonic() - since_s) * 1000, 3)
    return {"wait": max(0.0, round(total_ms - sum(steps_ms.values()), 3)), **steps_ms, "total": total_ms}


def _as_it_counts(result: FrameResult, mode: Mode | Literal["unproven"]) -> FrameResult:
    """Of a frame that was looked at and counts for nothing, what was seen, and why it does not count."""
    if mode not in WITHHELD:
        return result
    return replace(result, verdict=Verdict.NOT_INSPECTED, failure=result.failure or WITHHELD[mode])


def _unaccepted(inspection: Inspection) -> Inspection:
    """The unit of which not everybody took what there was to tell. What was refused stays refused."""
    failures = dict(inspection.failures)
    failures[PROGRAM_FAILED] = failures.get(PROGRAM_FAILED, 0) + 1
    verdict = Verdict.worst([inspection.verdict, Verdict.NOT_INSPECTED])
    return replace(inspection, verdict=verdict, grade=None, failures=failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyRecipe:
    """A recipe with all that judges by it built and warm, so that a lane can take it up between two units.

    beside  the same pipeline again, each with a detector of its own, for a lane's other workers
    views  of a unit that several cameras see; without any of them it is not inspected
    """

    ref: RecipeRef
    models: tuple[ModelRef, ...]
    pipeline: Pipeline | ViewPipelines
    beside: tuple[Pipeline | ViewPipelines, ...] = ()
    grades: tuple[Grade, ...] = ()
    strip: StripRules | None = None
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubtful:
    """`count` exposures up to `sequence` that may be of either neighbour. `charged` answers for them already."""

    sequence: int
    count: int
    reason: str
    charged: IdentifierCode | None


@dataclass(slots=True, kw_only=True)
class _Share:
    """A unit's exposures in a hole, up to `last`, which is one of them. None: they may be either neighbour's."""

    unit: IdentifierCode | None
    last: int


def _shares(first: int, before: int, units: UnitSource, *, in_hand: IdentifierCode | None) -> list[_Share]:
    """Which units the exposures from `first` up to, not including, `before` belong to, in their order.

    The source is asked for one exposure after the other, never back, since it gives each unit a code as it comes to
    it. In a hole too large for that it is asked at both ends alone, at each for more exposures than one unit has: so
    the units in which the hole began and ended have their own shares, and those between are one.
    """
    shares: list[_Share] = []

    def ask(sequence: int) -> None:
        unit = units.unit_of_lost(sequence)
        if shares and shares[-1].unit == unit:
            shares[-1].last = sequence
        else:
            shares.append(_Share(unit=unit, last=sequence))

    asked = first
    # Two more for the units at the ends, of which a part was seen.
    while asked < before and asked - first < _ASKED_PER_END and len(shares) <= MAX_UNITS_PER_HOLE + 2:
        ask(asked)
        asked += 1
    resumed = max(asked, before - (asked - first))
    for sequence in range(resumed, before):
        ask(sequence)
    begin = 1 if shares[0].unit == in_hand else 0
    end = len(shares) - (1 if shares[-1].unit == units.unit_of_lost(before) else 0)
    most = MAX_UNITS_PER_HOLE if resumed == asked else 1
    if end - begin > most:
        swallowed = shares[begin:end]
        shares[begin:end] = [replace(swallowed[0], last=swallowed[-1].last)]
    return shares


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What a worker saw in a frame, with the pipeline of which recipe. `look` None: the lane was bypassed."""

    recipe: ReadyRecipe
    look: Look | None


_MOST_WORKS: Final = 256
"""Changes of mode that are remembered: more than anybody makes while a frame waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Works:
    """How the lane works from a time on, by this computer's monotonic clock."""

    mode: Mode
    since_s: float
    until_s: float | None

    def at(self, time_s: float) -> Mode:
        return "run" if self.until_s is not None and time_s >= self.until_s else self.mode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    """When the lane was shown to catch what is bad, and how long that holds, by this computer's monotonic clock."""

    since_s: float
    until_s: float

    def holds(self, *, came_s: float) -> bool:
        return self.since_s <= came_s and time.monotonic() < self.until_s


PRODUCTION: Final = ("run", "unproven")
"""What comes while the lane works so is of the shift's units; all else is shown to it on purpose, or let through."""


@dataclass(slots=True, kw_only=True)
class _Challenge:
    """What is known of the unit in hand as a known-bad part: whether a frame of it was refused, and whether each came
    while the challenge ran."""

    is_caught: bool = False
    is_all: bool = True


@dataclass(slots=True, kw_only=True)
class Lane:
    """Inspects what one camera sees, unit by unit, until told to stop or the camera is lost.

    units  makes a source of units for each run: a camera that comes back counts anew, and so do its units
    sinks  told of every unit and frame, in order, on this thread; the reject gate comes first
    holds  frames held while a frame is inspected, as of `Intake`

    challenged  told of each known-bad part, on the lane's thread, whether it was refused

    As many workers look at frames at the same time as the first recipe has pipelines.
    """

    name: str
    station: str
    recipe: ReadyRecipe
    units: Callable[[], UnitSource]
    sinks: Sequence[Sink]
    stop: threading.Event
    holds: int | None = None
    challenged: Callable[[bool], None] = field(default=lambda is_caught: None, init=False)
    account: LaneAccount = field(init=False)
    _proven: _Proven | None = field(default=None, init=False)
    _challenge: _Challenge | None = field(default=None, init=False)
    _is_production: bool | None = field(default=None, init=False)
    _works: tuple[_Works, ...] = field(default=(), init=False)
    _next_recipe: ReadyRecipe | None = field(default=None, init=False)
    _taken_up: Callable[[], None] = field(default=lambda: None, init=False)
    _tally: UnitTally | None = field(default=None, init=False)
    _answered_to: int | None = field(default=None, init=False)
    _intake: Intake | None = field(default=None, init=False)
    _before: Frame | None = field(default=None, init=False)
    _doubtful: list[_Doubtful] = field(default_factory=list, init=False)
    _unanswered: Arrived | None = field(default=None, init=False)
    _is_untold: bool = field(default=False, init=False)
    _looking: list[threading.Lock] = field(init=False)

    def __post_init__(self) -> None:
        self.account = LaneAccount(lane=self.name)
        self._looking = [threading.Lock() for _ in (self.recipe.pipeline, *self.recipe.beside)]

    def run(
        self,
        camera: Camera,
        *,
        started: Callable[[], None],
        lost: Callable[[InspectionError], None] | None = None,
    ) -> None:
        """Inspect until stopped or until the frames end. Closes the unit in hand whatever happens.

        started  called once the camera runs
        lost     told of the error that ends the run, which is raised, too; by then the unit in hand is closed
        """
        units = self.units()
        self._answered_to, self._before, self._unanswered = None, None, None
        self._doubtful.clear()
        why_ended = CAMERA_ENDED
        intake = Intake(camera, holds=self.holds)
        ahead = Ahead(intake, self._look, workers=len(self._looking), is_over=self.stop.is_set)
        before = self.account
        try:
            with ahead, ExitStack() as held:
                try:
                    self._intake = held.enter_context(intake)
                    started()
                    # Told to stop while the camera started, when nobody could leave it yet.
                    if not self.stop.is_set():
                        self._inspect_all(ahead, intake, units, before)
                except InspectionError as error:
                    # Leaving a camera whose link broke takes a second, and the gate is not to wait for that.
                    self._cut_short(error.code)
                    self._finish()
                    if lost is not None:
                        lost(error)
                    raise
            if self.stop.is_set():
                why_ended = STOPPED
        except InspectionError as error:
            why_ended = error.code
            raise
        except Exception:
            why_ended = LANE_FAILED
            self.account = self.account.with_mistake()
            raise
        finally:
            self._intake = None
            self._cut_short(why_ended)
            try:
                self._leave_unseen(ahead, units, why_ended)
                self._finish()
            finally:
                self._balance(intake, before)

    def leave(self) -> None:
        """End the frames of a camera that may be silent, so that `run` returns. Once `stop` is set, from another
        thread."""
        intake = self._intake
        if intake is not None:
            intake.leave()

    @property
    def workers(self) -> int:
        """How many look at frames at the same time."""
        return len(self._looking)

    @property
    def is_behind(self) -> bool:
        """Whether more frames wait than it has workers; never where the camera waits for the lane. From any thread."""
        intake = self._intake
        return intake is not None and intake.waiting > self.workers

    def change_to(self, recipe: ReadyRecipe, *, taken_up: Callable[[], None]) -> None:
        """Take up another recipe with the next unit that begins; from any thread. The newest one asked for counts.

        recipe    built for as many workers as the lane has
        taken_up  called on the lane's thread, before that unit is begun
        """
        if 1 + len(recipe.beside) != len(self._looking):
            raise ValueError(
                f"a recipe for {1 + len(recipe.beside)} workers in a lane of {len(self._looking)}"
            )
        self._taken_up = taken_up
        self._next_recipe = recipe

    def work(self, mode: Mode, *, for_s: float | None = None) -> None:
        """Work so from now on, or for so long and then inspect again; from any thread.

        A unit of which one frame came while the lane did not inspect is not inspected.
        """
        now_s = time.monotonic()
        until_s = None if for_s is None else now_s + for_s
        # All that a frame may have come in which still waits: of what is forgotten, it would count as come in another.
        self._works = (*self._works, _Works(mode=mode, since_s=now_s, until_s=until_s))[-_MOST_WORKS:]

    def prove(self, *, for_s: float, from_now: bool) -> None:
        """Accept for so long, and nothing then until this is said again; from any thread. A lane that is never told is
        not to be proven.

        from_now  what came before now was not proven
        """
        now_s = time.monotonic()
        before = self._proven
        since_s = now_s if from_now or before is None else before.since_s
        self._proven = _Proven(since_s=since_s, until_s=now_s + for_s)

    def _mode_of(self, came_s: float) -> Mode | Literal["unproven"]:
        """How a frame that came then is to be taken: it was exposed in that mode, and is looked at in this one."""
        works = self._works
        if works:
            then = next((one.at(came_s) for one in reversed(works) if one.since_s <= came_s), works[0].mode)
            now = works[-1].at(time.monotonic())
            # A part that came before the challenge began is none of those that are shown.
            mode = now if then == "run" and now != "challenge" else then
            if mode != "run":
                return mode
        proven = self._proven
        return "run" if proven is None or proven.holds(came_s=came_s) else "unproven"

    def _inspect_all(
        self, ahead: Ahead[_Seen], intake: Intake, units: UnitSource, before: LaneAccount
    ) -> None:
        for turn, lost in with_losses(
            ahead.turns(), before_first=lambda turn: turn.arrived.lost_before_first
        ):
            self._unanswered = turn.arrived
            self._begin_before(turn.arrived)
            self._account_for(lost, turn.sequence, units)
            frame = turn.frame
            if frame is None:
                self._pass_over(turn.sequence, units)
                self._unanswered = None
            else:
                tally = self._due(frame.sequence, self._unit_of(frame, units))
                if self.stop.is_set():
                    # Exposed before the stop, and nobody will look at it.
                    tally.lost(1, reason=STOPPED)
                    self.account = replace(self.account, passed_over=self.account.passed_over + 1)
                else:
                    self._inspect(frame, tally, turn)
                self._unanswered = None
                if units.completes_unit(frame):
                    self._finish()
            self._balance(intake, before)
            if self.stop.is_set():
                intake.leave()

    def _look(self, worker: int, frame: Frame) -> _Seen:
        """On that worker's thread, or on the lane's when the worker looked by the recipe before."""
        # A detector is used by one thread at a time.
        with self._looking[worker]:
            recipe = self.recipe
            if self._mode_of(time.monotonic()) == "bypass":
                return _Seen(recipe=recipe, look=None)
            pipelines = recipe.pipeline, *recipe.beside
            return _Seen(recipe=recipe, look=pipelines[worker].look(frame))

    def _inspect(self, frame: Frame, tally: UnitTally, turn: Turn[_Seen]) -> None:
        mode = self._mode_of(turn.arrived.came_s)
        self._is_production = bool(self._is_production) or mode in PRODUCTION
        try:
            frame = tally.place(frame)
            judged = self._judged(frame, turn, mode)
            result = _as_it_counts(judged, mode)
            tally.add(result)
        except Exception:
            # The tally has counted nothing of it by then, and its stretch of a strip stays unseen.
            logger.exception(MISTAKE, frame.sequence, frame.camera)
            judged = result = FrameResult.not_inspected(frame, failure=PROGRAM_FAILED)
            tally.add(result)
        if mode != "bypass" and judged.failure != CLOCK_BACKWARDS:
            self._challenge_by(judged, in_challenge=mode == "challenge")
        timings_ms = _with_waiting(result.timings_ms, since_s=turn.arrived.came_s)
        result = replace(result, repeats=tally.repeats, timings_ms=timings_ms)
        self.account = self.account.with_result(timings_ms)
        if result.failure == PROGRAM_FAILED:
            self.account = self.account.with_mistake()
        for sink in self.sinks:
            self._is_untold |= not self._has_told(sink.frame_done, tally.begun, frame, result)

    def _judged(self, frame: Frame, turn: Turn[_Seen], mode: Mode | Literal["unproven"]) -> FrameResult:
        if self._is_out_of_order(frame):
            return FrameResult.not_inspected(frame, failure=CLOCK_BACKWARDS)
        if mode == "bypass":
            return FrameResult.not_inspected(frame, failure=BYPASSED)
        seen = turn.seen.result()
        if seen.recipe is not self.recipe:
            # After it was looked at a unit began, and with it another recipe.
            seen = self._look(0, frame)
        if seen.look is None:
            # The lane was bypassed when it was this frame's turn to be looked at.
            return FrameResult.not_inspected(frame, failure=BYPASSED)
        return self.recipe.pipeline.judged(seen.look, frame)

    def _challenge_by(self, result: FrameResult, *, in_challenge: bool) -> None:
        """By a frame that is counted by now."""
        if in_challenge and self._challenge is None:
            self._challenge = _Challenge(is_all=self._tally is not None and self._tally.seen == 1)
        if self._challenge is not None:
            self._challenge.is_all &= in_challenge
            self._challenge.is_caught |= result.verdict is Verdict.REJECT

    def _is_out_of_order(self, frame: Frame) -> bool:
        """Whether a clock says that this frame was taken before the one before it: then it may be an old picture, or
        its time is wrong. A device that counts anew may begin its time anew."""
        before, self._before = self._before, frame
        if before is None or frame.sequence <= before.sequence:
            return False
        if frame.captured_at < before.captured_at:
            return True
        times_ns = before.device_time_ns, frame.device_time_ns
        return times_ns[0] is not None and times_ns[1] is not None and times_ns[1] < times_ns[0]

    def _unit_of(self, frame: Frame, units: UnitSource) -> IdentifierCode:
        """The unit of a frame that came. What was lost before it and may be its, too, is charged to it."""
        unit = units.unit_of(frame)
        for one in self._doubtful:
            if one.charged is None:
                self._due(one.sequence, unit).lost(one.count, reason=one.reason)
            elif one.charged != unit:
                # One of them is enough to withhold it; how many of them are its nobody can say.
                self._due(one.sequence, unit).lost(1, reason=one.reason)
                self._withheld()
        self._doubtful.clear()
        return unit

    def _begin_before(self, arrived: Arrived) -> int:
        """Up to which count the lane has answered: with the first that arrives, up to what is known before it."""
        if self._answered_to is None:
            self._answered_to = arrived.sequence - arrived.lost_before_first - 1
        return self._answered_to

    def _account_for(self, lost: int, before: int, units: UnitSource) -> None:
        """Charge the `lost` exposures before this one to their units."""
        first = before - lost
        if lost <= MAX_UNITS_PER_HOLE:
            for sequence in range(first, before):
                self._lose(sequence, FRAME_LOST, units)
            return
        in_hand = None if self._tally is None else self._tally.begun.unit
        for share in _shares(first, before, units, in_hand=in_hand):
            self._charge(share.unit, share.last, FRAME_LOST, count=share.last - first + 1)
            first = share.last + 1

    def _pass_over(self, sequence: int, units: UnitSource) -> None:
        self._lose(sequence, OVERRUN, units)
        account = self.account
        self.account = replace(account, passed_over=account.passed_over + 1, dropped=account.dropped + 1)

    def _lose(self, sequence: int, reason: str, units: UnitSource) -> None:
        self._charge(units.unit_of_lost(sequence), sequence, reason, count=1)

    def _charge(self, unit: IdentifierCode | None, sequence: int, reason: str, *, count: int) -> None:
        """Charge `count` exposures up to `sequence`, which nobody saw, to their unit."""
        if unit is not None:
            self._due(sequence, unit).lost(count, reason=reason)
            return
        # The hole may belong to either unit: withhold both, the second once it is known.
        charged = None if self._tally is None else self._tally.begun.unit
        if charged is not None:
            self._due(sequence, charged).lost(count, reason=reason)
        self._doubtful.append(_Doubtful(sequence=sequence, count=count, reason=reason, charged=charged))

    def _cut_short(self, why: str) -> None:
        if self._tally is not None:
            self._tally.cut_short(why)
            self._withheld()

    def _leave_unseen(self, ahead: Ahead[_Seen], units: UnitSource, why: str) -> None:
        """Charge what came and will not be looked at any more, since this lane ends on it or before it."""
        ended_in = self._tally
        unanswered = () if self._unanswered is None else (self._unanswered,)
        for arrived in (*unanswered, *ahead.rest()):
            answered_to = self._begin_before(arrived)
            try:
                self._account_for(max(0, arrived.sequence - answered_to - 1), arrived.sequence, units)
                self._lose(arrived.sequence, why, units)
            except Exception:
                # What names the units may be what fell over. Then it is charged to the unit in hand; where there is
                # none, the account shows a gap.
                logger.exception("Lane %s: no unit is known of exposure %d", self.name, arrived.sequence)
                count = max(1, arrived.sequence - self._begin_before(arrived))
                self._charge(None, arrived.sequence, why, count=count)
            self.account = replace(self.account, passed_over=self.account.passed_over + 1)
        if self._tally is not ended_in:
            self._cut_short(why)

    def _withheld(self) -> None:
        self.account = replace(self.account, withheld=self.account.withheld + 1)

    def _balance(self, intake: Intake, before: LaneAccount) -> None:
        """Bring the account up to what came in, at a moment when nothing is between two hands."""
        tally = self._tally
        self.account = self.account.balanced(
            exposures=before.exposures + intake.exposures,
            frames=before.frames + intake.frames,
            in_hand_triggers=0 if tally is None else tally.triggers,
            in_hand_results=0 if tally is None else tally.seen,
        )

    def _due(self, sequence: int, unit: IdentifierCode) -> UnitTally:
        """The tally of `unit`, which owes an answer for whatever the device counted up to `sequence`.

        The device's count alone says what is due: a frame that this lane forgot is due all the same.
        """
        tally = self._tally_of(unit)
        tally.due(sequence)
        self._answered_to = sequence
        return tally

    def _tally_of(self, unit: IdentifierCode) -> UnitTally:
        """The tally of `unit`, which comes into view if it is not the one in hand."""
        if self._tally is not None and self._tally.begun.unit == unit:
            return self._tally
        self._finish()
        if self._next_recipe is not None:
            self.recipe, self._next_recipe = self._next_recipe, None
            self._taken_up()
        begun = InspectionBegun(
            id=UUID(bytes=uuid_utils.uuid7().bytes),
            unit=unit,
            station=self.station,
            lane=self.name,
            recipe=self.recipe.ref,
            models=self.recipe.models,
            started_at=datetime.now(UTC),
        )
        self._tally = UnitTally(
            begun,
            self.recipe.pipeline.limits,
            after=self._answered_to,
            grades=self.recipe.grades,
            strip=self.recipe.strip,
            views=self.recipe.views,
            without_code=self.recipe.pipeline.without_code,
        )
        for sink in self.sinks:
            self._is_untold |= not self._has_told(sink.unit_begun, begun)
        return self._tally

    def _finish(self) -> None:
        if self._tally is None:
            return
        tally, self._tally = self._tally, None
        # A clock that was put back would let a unit end before it began.
        finished_at = max(datetime.now(UTC), tally.begun.started_at + timedelta(microseconds=1))
        try:
            inspection = tally.close(finished_at)
        except Exception:
            logger.exception("Unit %s cannot be judged: a mistake of the program", tally.begun.unit)
            inspection = tally.close_unjudged(finished_at, failure=PROGRAM_FAILED)
            self.account = self.account.with_mistake()
        is_production, self._is_production = self._is_production, None
        if is_production is False:
            # No frame of it came while the lane inspected: its defects are on record, and it is in no count of refused
            # units. One of which a frame did keeps the verdict of its worst defect.
            inspection = replace(inspection, verdict=Verdict.NOT_INSPECTED)
        is_untold, self._is_untold = self._is_untold, False
        if is_untold:
            inspection = _unaccepted(inspection)
        challenge, self._challenge = self._challenge, None
        self.account = self.account.with_unit(inspection)
        for sink in self.sinks:
            if not self._has_told(sink.unit_done, inspection):
                # The log is told before the line, and the line before the service: who comes after one that did not
                # take the verdict is told of no accepted unit.
                inspection = _unaccepted(inspection)
        if challenge is not None and challenge.is_all:
            self.challenged(challenge.is_caught)

    def _has_told(self, tell: Callable[..., None], *told: object) -> bool:
        """Whether a sink took what it is told. One that throws costs the unit, not the lane, and keeps nothing from the
        others."""
        try:
            tell(*told)
        except Exception:
            logger.exception("Lane %s: a sink did not take it: a mistake of the program", self.name)
            self.account = self.account.with_mistake()
            return False
        return True
