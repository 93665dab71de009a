"""What the service does with the engine's messages: commit them, then show them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from inspection.errors import InspectionError
from inspection.tally import FRAME_LOST, UnitTally, with_losses
from inspection.types import FrameResult, Inspection, InspectionBegun, RecipeRef
from services.ingredients import keep_recipe, keep_software
from services.live import LiveState
from services.station.accounting import Accounting
from services.station.link import Backlog, Hello
from services.station.messages import (
    FirstOnRecord,
    FrameSeen,
    FramesUntold,
    LaneMode,
    LaneState,
    LineState,
    Message,
    RecipeState,
)
from services.station.proofs import keep_proof
from services.station.recipes import Wishes
from services.station.write_ahead import done_with, left_behind, logs_left
from station_config import Recipe, load_recipe
from traceability.accounts import Accounts, note
from traceability.errors import BucketDenied, BucketUnreachable, DiskFull
from traceability.images import ImageStore
from traceability.retention import LOWERED_TO, Rules, prune
from traceability.steps import place_of
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

ENGINE_LOST = "SVC-ENGINE-LOST"

CHANGES_LOOKED_AT: Final = 100
"""Of a lane, the newest in the audit, for one that is told again."""

PRUNE_EVERY = 200
"""Pictures stored between two looks at how much room they take."""


class Records:
    """Keeps the books of one station: every unit that came into view ends in exactly one inspection.

    first        told of the first inspection that is committed in this process
    engine_logs  folder of the engines' write-ahead logs
    """

    def __init__(
        self,
        *,
        store: TraceStore,
        images: ImageStore,
        live: LiveState,
        accounting: Accounting,
        wishes: Wishes,
        retention: Rules,
        first: Callable[[FirstOnRecord], None],
        engine_logs: Path,
        load: Callable[[str], Recipe] = load_recipe,
    ) -> None:
        self._load = load
        self._kept_recipes: set[RecipeRef] = set()
        self._store = store
        self._images = images
        self._live = live
        self._accounting = accounting
        self._wishes = wishes
        self._retention = retention
        self._first = first
        self._engine_logs = engine_logs
        self._is_first = True
        # By the device's count: the engine may bring a frame twice.
        self._seen: dict[UUID, dict[int, FrameResult]] = {}
        # Kept already, and named by no record yet.
        self._pictures_in_hand: dict[UUID, set[str]] = defaultdict(set)
        self._stored_pictures = 0

    def greet(self, hello: Hello) -> None:
        """An engine has come. Units begun by one before it, which it does not know of, end here."""
        self._accounting.greet(hello)
        self._wishes.greet()
        for message in hello.standing:
            self._show(message)
        logs = {log: left_behind(log) for log in logs_left(self._engine_logs, but=hello.log)}
        for left in logs.values():
            self._end(
                [one for one in left.decided if self._store.inspection(one.id) is None],
                "was decided, and not on record when the engine ended",
            )
            self._store.begin(left.begun)
        # Of this station alone: in a plant's database others have theirs in hand.
        in_hand = self._store.begun(station=self._accounting.station)
        abandoned = [begun for begun in in_hand if begun.id not in hello.in_hand]
        self._end([self._abandoned(begun) for begun in abandoned], "was in hand when the engine ended")
        for log, left in logs.items():
            done_with(log, left)
        self._live.engine(True)

    def _end(self, inspections: Sequence[Inspection], why: str) -> None:
        """Record units that their engine did not bring."""
        self._store.record(inspections)
        for inspection in inspections:
            logger.warning("Unit %s %s: %s", inspection.unit, why, inspection.verdict.name)
            self._seen.pop(inspection.id, None)
            self._pictures_in_hand.pop(inspection.id, None)
            self._live.done(inspection)

    def gone(self) -> None:
        self._accounting.gone()
        self._live.engine(False)

    def stands(self, backlog: Backlog) -> None:
        """How the deliveries and the lanes' accounts stand, after each batch."""
        self._live.metrics.backlog(backlog)
        self._accounting.engine_says(backlog.accounts)

    def commit(self, batch: Sequence[Message]) -> None:
        """Make a batch durable, in the order that a crash in between does no harm; then show it."""
        # If it cannot be made durable, the engine comes again and says what counts.
        batch = [self._entered(message) for message in batch]
        inspections = [message for message in batch if isinstance(message, Inspection)]
        self._store.begin([message for message in batch if isinstance(message, InspectionBegun)])
        for message in batch:
            if isinstance(message, FrameSeen):
                self._keep_picture(message)
        self._store.record(inspections)
        for message in batch:
            self._show(message)
        if self._stored_pictures >= PRUNE_EVERY:
            self._stored_pictures = 0
            self._prune_now_or_later()
        if inspections and self._is_first:
            self._is_first = False
            self._first(FirstOnRecord(unit=inspections[0].unit, verdict=inspections[0].verdict))

    def _entered(self, message: Message) -> Message:
        """The message, counted; an inspection as it is to be recorded."""
        match message:
            case InspectionBegun():
                self._accounting.begun(message.id)
            case FrameSeen() | FramesUntold():
                self._accounting.told(message)
            case Inspection():
                return self._accounting.settle(message)
        return message

    def _keep_picture(self, seen: FrameSeen) -> None:
        self._seen.setdefault(seen.inspection_id, {})[seen.result.sequence] = seen.result
        if seen.sha256 is None:
            return
        self._pictures_in_hand[seen.inspection_id].add(seen.sha256)
        try:
            self._put(seen.to_keep)
        except InspectionError as error:
            # The record outlives its picture: it is kept, and the page says that the picture is missing.
            logger.error("Picture %s is not kept: %s", seen.sha256, error)
            return
        self._stored_pictures += 1

    def _put(self, picture: bytes) -> None:
        try:
            self._images.put(picture)
        except DiskFull:
            # Others fill the disk, too: less is allowed than was thought.
            there = sum(self._images.sizes().values())
            if not self._prune(replace(self._retention, max_bytes=int(LOWERED_TO * there))):
                raise
            self._images.put(picture)

    def _prune_now_or_later(self) -> None:
        try:
            self._prune(self._retention)
        except (BucketUnreachable, BucketDenied) as error:
            # What it holds cannot be told now, and the batch is on record.
            logger.warning("No pictures are given up for now: %s", error)

    def _prune(self, rules: Rules) -> bool:
        """Whether any picture was given up."""
        in_hand = {sha256 for some in self._pictures_in_hand.values() for sha256 in some}
        done = prune(self._store, self._images, rules, at=datetime.now(UTC), in_hand=in_hand)
        for one in done:
            logger.info("%d pictures given up by the rule %s", len(one.pictures), one.rule)
        return bool(done)

    def _show(self, message: Message) -> None:
        match message:
            case InspectionBegun():
                self._live.begun(message)
            case FrameSeen():
                self._live.frame(message)
            case Inspection():
                self._seen.pop(message.id, None)
                self._pictures_in_hand.pop(message.id, None)
                self._live.done(message)
            case LaneState():
                self._live.lane(message)
            case RecipeState():
                if message.ref is not None:
                    self._keep_recipe(message.recipe, message.ref)
                    if message.by_plc and message.condition == "ready":
                        self._note_change(message, message.ref)
                self._wishes.answered(message)
                self._live.recipe(message)
            case LaneMode():
                self._wishes.answered(message)
                keep_proof(self._store, self._accounting.station, message)
                self._live.mode(message)
            case LineState():
                self._live.line(message)
            case FramesUntold():
                pass  # counted, and there is nothing to show

    def _note_change(self, state: RecipeState, ref: RecipeRef) -> None:
        """A recipe that a PLC chose is in the audit like one that a person chose. Told again, it changes nothing."""
        subject = f"lane:{place_of(self._accounting.station, state.lane)}"
        noted = Accounts(self._store).audit(limit=CHANGES_LOOKED_AT, subject=subject)
        if any(entry.at == state.at for entry in noted):
            return
        lane = self._live.of_lane(state.lane)
        before = None if lane is None else lane.recipe
        with self._store.writing() as connection:
            note(
                connection,
                at=state.at,
                by=None,
                action="recipe.changed",
                subject=subject,
                before=None if before is None else {"recipe": before.recipe},
                after={"recipe": ref.name, "revision": ref.revision, "origin": "PLC"},
            )

    def _keep_recipe(self, name: str, ref: RecipeRef) -> None:
        """As it is in the records, so that they can be judged again when it is another one."""
        if ref in self._kept_recipes:
            return
        try:
            recipe = self._load(name)
            if recipe.ref == ref:
                keep_software(self._images)
                keep_recipe(self._images, recipe)
                self._kept_recipes.add(ref)
        except InspectionError as error:
            logger.error("Recipe %s is not kept: %s", name, error)

    def _abandoned(self, begun: InspectionBegun) -> Inspection:
        """What is known of a unit whose engine ended: the frames this process was told of, and at least one lost."""
        tally = UnitTally(begun, ())
        for result, lost in with_losses(self._seen.get(begun.id, {}).values()):
            if lost:
                tally.due(result.sequence - 1)
                tally.lost(lost, reason=FRAME_LOST)
            tally.due(result.sequence)
            tally.add(result)
        tally.cut_short(ENGINE_LOST)
        return tally.close(datetime.now(UTC))
