"""What a changed recipe would have made of the units on record: by what was seen of them then, or looked at again.

By what was seen: other limits, zones, severities, grades, tolerances and rules judge what the detector of that time
reported, for coils too. Looked at again: the recipe's own detectors look at the pictures that are kept, so that another
model or revision is compared. Nothing on record is changed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from inspection.errors import InspectionError
from inspection.tally import (
    BYPASSED,
    CLOCK_BACKWARDS,
    IN_CHALLENGE,
    IN_SETUP,
    OVERRUN,
    UNACCOUNTED,
    UNPROVEN,
    UnitTally,
    judged_again,
)
from inspection.types import Defect, Frame, Inspection, InspectionBegun, Verdict
from inspection.vision.decoding import decode_image
from services.station.build import build_pipeline
from station_config import Recipe
from traceability.errors import PictureAltered, PictureMissing
from traceability.images import ImageStore
from traceability.reviews import Reviews
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

MOST_UNITS: Final = 20_000

_STANDING: Final = frozenset(
    {BYPASSED, IN_SETUP, IN_CHALLENGE, UNPROVEN, CLOCK_BACKWARDS, OVERRUN, UNACCOUNTED}
)
_STANDING_FAMILIES: Final = ("CAM-", "SVC-")
"""Why a unit was not inspected, where no recipe would have changed that: whatever its pictures show, it stands."""

_NICENESS: Final = 15
"""The lanes go first: what is asked here takes what they leave of the cores."""


class WhatIfBusy(InspectionError):
    """Another comparison is being made. Facts: by, done, total."""

    code = "SVC-WHAT-IF-BUSY"


class WhatIfCannotLook(InspectionError):
    """Units of this recipe cannot be looked at again: what is kept of them is not what was judged. Facts: recipe."""

    code = "SVC-WHAT-IF-CANNOT-LOOK"


class WhatIfFailed(InspectionError):
    """A mistake of ours ended the comparison; the log has the trace."""

    code = "SVC-WHAT-IF-FAILED"


Outcome = tuple[Verdict, str | None]
"""Verdict and grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A unit that would have come out differently. `defects` are those that the verdict would have been about."""

    inspection: Inspection
    after: Outcome
    defects: tuple[Defect, ...]

    @property
    def before(self) -> Outcome:
        return self.inspection.verdict, self.inspection.grade

    @property
    def loosens(self) -> bool:
        """Whether less would be withheld."""
        return self.after[0] < self.before[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What it costs, in any money, that a unit is looked at by a person, is refused, or is bad and passes."""

    review: float = 0.0
    reject: float = 0.0
    escape: float = 0.0

    def of(self, verdict: Verdict) -> float:
        """Of what the verdict makes people do; who was not inspected is looked at, too."""
        if verdict is Verdict.ACCEPT:
            return 0.0
        return self.reject if verdict is Verdict.REJECT else self.review


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What the flips come to, of the units compared; less is saved.

    handling  of what people do with them
    escapes   flips to accepted, of units that a person had decided to be bad; caught the other way round
    doubted   flips to accepted, of units that nobody decided about: whether they are escapes is not known
    """

    handling: float
    escapes: int
    caught: int
    doubted: int
    prices: Prices

    @property
    def sum(self) -> float:
        return self.handling + self.prices.escape * (self.escapes - self.caught)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of it. `left_out`: of units looked at again, those of which not every picture is kept. `bad` and
    `good` are inspections, of those that flip, that a person decided to be so."""

    recipe: Recipe
    looked_again: bool
    units: int
    left_out: int
    flips: tuple[Flip, ...]
    bad: frozenset[UUID] = frozenset()
    good: frozenset[UUID] = frozenset()

    def priced(self, prices: Prices) -> Priced:
        passes = [one for one in self.flips if one.after[0] is Verdict.ACCEPT]
        stopped = [one for one in self.flips if one.before[0] is Verdict.ACCEPT]
        return Priced(
            handling=sum(prices.of(one.after[0]) - prices.of(one.before[0]) for one in self.flips),
            escapes=sum(one.inspection.id in self.bad for one in passes),
            caught=sum(one.inspection.id in self.bad for one in stopped),
            doubted=sum(one.inspection.id not in self.bad | self.good for one in passes),
            prices=prices,
        )

    def changes(self) -> tuple[tuple[Outcome, Outcome, tuple[Flip, ...]], ...]:
        """The flips by what became what, most frequent first."""
        counts = Counter((flip.before, flip.after) for flip in self.flips)
        return tuple(
            (before, after, tuple(one for one in self.flips if (one.before, one.after) == (before, after)))
            for (before, after), _ in counts.most_common()
        )


def units_of(
    store: TraceStore, recipe: Recipe, *, among: int, station: str | None = None
) -> tuple[Inspection, ...]:
    """Those of the newest `among` that a recipe of this name judged, without simulated ones; newest first."""
    found = store.latest(station=station, simulated=False, limit=among)
    return tuple(one for one in found if one.recipe.name == recipe.settings.name)


def compare(
    units: Sequence[Inspection],
    recipe: Recipe,
    *,
    images: ImageStore | None = None,
    progress: Callable[[], bool] = lambda: True,
) -> Compared:
    """Judge the units again by this recipe.

    images    where their pictures are, to look at them again; None: what was seen of them stands
    progress  told after each unit; False ends it, and what was compared until then is the answer

    Raises WhatIfCannotLook; MOD- errors of the recipe's detectors.
    """
    again = None if images is None else _Again(recipe, images)
    flips: list[Flip] = []
    compared = left_out = 0
    for unit in units:
        if again is None:
            verdict, grade = by_what_was_seen(unit, recipe)
            found = replace(unit, verdict=verdict, grade=grade)
        else:
            looked = again.look(unit)
            if looked is None:
                left_out += 1
                if not progress():
                    break
                continue
            found = looked
        compared += 1
        if (found.verdict, found.grade) != (unit.verdict, unit.grade):
            flips.append(Flip(inspection=unit, after=(found.verdict, found.grade), defects=found.defects))
        if not progress():
            break
    return Compared(
        recipe=recipe, looked_again=again is not None, units=compared, left_out=left_out, flips=tuple(flips)
    )


def by_what_was_seen(unit: Inspection, recipe: Recipe) -> Outcome:
    settings = recipe.settings
    return judged_again(
        unit,
        settings.judged_by(),
        grades=settings.graded_by(),
        tolerances=settings.tolerances(),
        welds=None if settings.strip is None else settings.strip.weld_rules(),
        without_code=settings.without_code(),
    )


class _Again:
    """Looks at the kept pictures of units once more, with the recipe's own pipelines."""

    def __init__(self, recipe: Recipe, images: ImageStore) -> None:
        settings = recipe.settings
        if settings.strip is not None or any(view.sensor for view in settings.seen_by.values()):
            raise WhatIfCannotLook(
                f"Units of {settings.name} cannot be looked at again: of a coil only some frames are kept as "
                "pictures, and of another sensor what was made of its frames.",
                action="Compare by what was seen of them, or inspect a recorded run with the changed recipe.",
                recipe=settings.name,
            )
        self._images = images
        self._views = tuple(view.name for view in settings.views)
        self._grades = settings.graded_by()
        self._pipeline, self._models = build_pipeline(recipe)
        self._recipe = recipe

    def look(self, unit: Inspection) -> Inspection | None:
        """The unit as it would be on record; None where not every picture of it is kept."""
        if len(unit.pictures) != unit.frames_inspected + unit.frames_failed or not unit.pictures:
            return None
        begun = InspectionBegun(
            id=unit.id,
            unit=unit.unit,
            station=unit.station,
            lane=unit.lane,
            recipe=self._recipe.ref,
            models=self._models,
            started_at=unit.started_at,
        )
        tally = UnitTally(
            begun,
            self._pipeline.limits,
            after=-1,
            grades=self._grades,
            views=self._views,
            without_code=self._pipeline.without_code,
        )
        for number, picture in enumerate(unit.pictures):
            try:
                pixels = decode_image(self._images.read(picture.sha256))
            except (PictureMissing, PictureAltered):
                return None
            frame = Frame(
                pixels=pixels, camera=picture.camera, sequence=picture.sequence, captured_at=unit.started_at
            )
            tally.due(number)
            tally.add(self._pipeline.inspect(frame))
        if unit.frames_lost:
            tally.due(len(unit.pictures) + unit.frames_lost - 1)
            tally.lost(unit.frames_lost, reason=next(iter(unit.failures), "CAM-FRAME-LOST"))
        again = tally.close(unit.finished_at)
        if any(code in _STANDING or code.startswith(_STANDING_FAMILIES) for code in unit.failures):
            return replace(again, verdict=Verdict.worst([again.verdict, Verdict.NOT_INSPECTED]), grade=None)
        return again


# --- one at a time, beside a running service


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a comparison is. `total` is 0 while the units are being read."""

    by: str
    recipe: Recipe
    look_again: bool
    since: datetime
    total: int = 0
    done: int = 0
    is_running: bool = True
    was_stopped: bool = False
    answer: Compared | None = None
    problem: InspectionError | None = None


@dataclass(slots=True)
class WhatIfs:
    """Makes one comparison at a time on a thread of its own, and keeps the last. Safe to use from any thread."""

    store: TraceStore
    images: ImageStore
    station: str | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: Progress | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def now(self) -> Progress | None:
        """The one being made, or the last; None: none was asked for yet."""
        return self._now

    def start(self, recipe: Recipe, *, by: str, among: int, look_again: bool) -> None:
        """Raises WhatIfBusy, WhatIfCannotLook where that can be said at once."""
        with self._lock:
            now = self._now
            if now is not None and now.is_running:
                raise WhatIfBusy(
                    f"{now.by} is comparing ({now.done} of {now.total} units).",
                    action="Wait until it is done, or stop it.",
                    by=now.by,
                    done=now.done,
                    total=now.total,
                )
            self._stop = threading.Event()
            self._now = Progress(by=by, recipe=recipe, look_again=look_again, since=datetime.now(UTC))
        threading.Thread(
            target=self._work, args=(recipe, among, look_again, self._stop), name="what-if", daemon=True
        ).start()

    def stop(self) -> None:
        """End the one being made; what it has compared until then is its answer."""
        self._stop.set()

    def _work(self, recipe: Recipe, among: int, look_again: bool, stop: threading.Event) -> None:
        with suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            units = units_of(self.store, recipe, among=among, station=self.station)
            self._change(total=len(units))

            def progress() -> bool:
                self._change(done=0 if self._now is None else self._now.done + 1)
                return not stop.is_set()

            answer = compare(units, recipe, images=self.images if look_again else None, progress=progress)
            bad, good = Reviews(self.store).found_by_people([one.inspection.id for one in answer.flips])
            answer = replace(answer, bad=bad, good=good)
            self._change(answer=answer, was_stopped=stop.is_set(), is_running=False)
        except InspectionError as error:
            self._change(problem=error, is_running=False)
        except Exception as error:
            logger.exception("A comparison failed")
            failed = WhatIfFailed(
                f"The comparison failed: {type(error).__name__}: {error}.",
                action="Report it with the log of the service.",
                reason=f"{type(error).__name__}: {error}",
            )
            self._change(problem=failed, is_running=False)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if self._now is not None:
                self._now = replace(self._now, **changes)
