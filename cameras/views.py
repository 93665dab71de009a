"""Several cameras that see the same units, as one: their frames paired trigger by trigger."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from cameras.errors import ViewsOutOfStep
from cameras.handing import HandOver
from inspection.protocols import Camera
from inspection.types import Frame

logger = logging.getLogger(__name__)

_HELD: Final = 32
"""Frames of one view that wait for the other views'. Then its camera is not read, and counts what it loses."""

_END_S: Final = 5.0


class _View(HandOver[tuple[float, Frame]]):
    """What one camera has given that was not yet paired, and when it came. After its end it takes nothing more."""

    def __init__(self, changed: threading.Condition) -> None:
        super().__init__(changed)
        self.base = 0
        self._first: int | None = None

    def index(self) -> int | None:
        """Which trigger its oldest frame shows, counted from the first since all cameras ran."""
        return self.waiting[0][1].sequence - self.base if self.waiting else None

    def put(self, one: tuple[float, Frame]) -> None:
        with self.changed:
            if self.has_ended:
                return
            if self._first is None:
                frame = one[1]
                self._first = frame.sequence - frame.lost_before
            super().put(one)

    def known_before(self) -> int:
        """How many triggers are known of since its camera ran, before that of its oldest frame."""
        return 0 if self._first is None else max(0, self.waiting[0][1].sequence - self._first)


class SeveralViews:
    """A Camera made of several, each triggered once for each unit.

    cameras    by the name of the view, which the frames then carry as their camera's
    within_s   how far apart in time the frames of one trigger may be taken; triggers come at least twice as far apart
    late_s     how long after the first frame of a trigger the others may still come; then they are lost

    `sequence` counts the exposures of all views: as many a trigger as there are views, those that are missing before
    those that came, so that each is a hole in the count. `device_time_ns` is left out: the clocks are several.

    Pairing begins with the first trigger that all views saw. Triggers before it are lost where all cameras ran by then,
    as one whose first frames came damaged did; what single cameras saw before that was before the start.
    Each camera's own count says which frames belong together, and the time they were taken must agree: where it does
    not, `frames` raises ViewsOutOfStep, since nobody knows any more which view is of which unit.

    When one camera fails, what all have given until then is still given, what is missing of it a hole; then its error
    is raised.
    """

    def __init__(self, cameras: Mapping[str, Camera], *, within_s: float, late_s: float) -> None:
        self._cameras = dict(cameras)
        self._within = timedelta(seconds=within_s)
        self._late_s = late_s
        self._changed = threading.Condition()
        self._views = {name: _View(self._changed) for name in cameras}
        self._is_left = False
        self._failed: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._views = {name: _View(self._changed) for name in self._cameras}
        self._is_left, self._failed = False, None
        with ExitStack() as entered:
            for camera in self._cameras.values():
                entered.enter_context(camera)
            entered.pop_all()
        self._threads = [
            threading.Thread(target=self._take_all, args=(name,), name=f"view {name}", daemon=True)
            for name in self._cameras
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_left = True
            self._changed.notify_all()
        for camera in self._cameras.values():
            camera.__exit__(None, None, None)

    def frames(self) -> Iterator[Frame]:
        trigger = self._align()
        if trigger is None:
            return
        while (group := self._group(trigger)) is not None:
            first = trigger * len(self._views) + len(self._views) - len(group)
            for number, frame in enumerate(sorted(group, key=lambda one: one.captured_at)):
                yield replace(
                    frame, sequence=first + number, first_sequence=0, trigger=trigger, device_time_ns=None
                )
            trigger += 1
        for thread in self._threads:
            thread.join(_END_S)

    def _align(self) -> int | None:
        """Wait for the first trigger that all views saw, and count it. None: the frames ended before."""
        with self._changed:
            while True:
                self._changed.wait_for(
                    lambda: (
                        self._is_left
                        or all(view.waiting for view in self._views.values())
                        or any(view.has_ended and not view.waiting for view in self._views.values())
                    )
                )
                if not all(view.waiting for view in self._views.values()):
                    self._raise_failure()
                    return None
                newest = max(view.waiting[0][1].captured_at for view in self._views.values())
                early = [
                    view
                    for view in self._views.values()
                    if newest - view.waiting[0][1].captured_at > self._within
                ]
                for view in early:
                    frame = view.waiting.popleft()[1]
                    logger.info(
                        "Exposure %s of view %s was before all views ran", frame.sequence, frame.camera
                    )
                self._changed.notify_all()
                if not early:
                    break
            # Of the camera that ran last.
            trigger = min(view.known_before() for view in self._views.values())
            for view in self._views.values():
                view.base = view.waiting[0][1].sequence - trigger
            return trigger

    def _group(self, trigger: int) -> list[Frame] | None:
        """The frames of a trigger, of the views that saw it. None: there are no more."""
        with self._changed:
            while not self._is_known(trigger):
                self._changed.wait(self._patience_s(trigger))
            if all(view.index() is None for view in self._views.values()):
                self._raise_failure()
                return None
            group = []
            for view in self._views.values():
                if view.index() == trigger:
                    group.append(view.waiting.popleft()[1])
                    self._check_pace(view, group[-1])
            self._changed.notify_all()
        self._check_time(group)
        if len(group) < len(self._views):
            missing = sorted(set(self._views) - {frame.camera for frame in group})
            logger.warning("Trigger %d was not seen by %s", trigger, ", ".join(missing))
        return group

    def _is_known(self, trigger: int) -> bool:
        """Whether it is settled which views saw the trigger: each did, or did not, or nobody waits for it any more."""
        views = self._views.values()
        if any((index := view.index()) is not None and index < trigger for view in views):
            raise self._out_of_step("a frame came after its trigger was given up, or a count went back")
        if self._is_left or all(view.waiting or view.has_ended for view in views):
            return True
        return self._patience_s(trigger) == 0

    def _patience_s(self, trigger: int) -> float | None:
        """How much longer views are waited for; None: nothing of the trigger, or after it, has come yet."""
        came = [view.waiting[0][0] for view in self._views.values() if view.waiting]
        return max(0.0, min(came) + self._late_s - time.monotonic()) if came else None

    def _check_time(self, group: list[Frame]) -> None:
        times = [frame.captured_at for frame in group]
        if times and max(times) - min(times) > self._within:
            apart = (max(times) - min(times)).total_seconds()
            raise self._out_of_step(f"frames of one trigger were taken {apart:.3f} s apart")

    def _check_pace(self, view: _View, frame: Frame) -> None:
        """Where triggers follow each other too closely, time no longer tells whose frame it is."""
        if not view.waiting or view.waiting[0][1].sequence != frame.sequence + 1:
            return
        apart = view.waiting[0][1].captured_at - frame.captured_at
        if apart < 2 * self._within:
            raise self._out_of_step(f"two triggers came {apart.total_seconds():.3f} s apart")

    def _out_of_step(self, found: str) -> ViewsOutOfStep:
        within_ms = self._within.total_seconds() * 1000
        return ViewsOutOfStep(
            f"The frames of the views {', '.join(self._views)} cannot be paired: {found}.",
            action="Check that every trigger reaches all cameras; set views_within_ms to less than half of the "
            "shortest time between two triggers.",
            camera=", ".join(self._views),
            found=found,
            allowed=f"{within_ms:g} ms",
        )

    def _raise_failure(self) -> None:
        failures = (self._failed, *(view.failure for view in self._views.values()))
        for failure in failures:
            if failure is not None:
                raise failure

    # --- on a view's own thread

    def _take_all(self, name: str) -> None:
        view = self._views[name]
        view.put_all(self._frames_of(name, view))
        if view.failure is not None:
            with self._changed:
                self._failed = self._failed or view.failure
                # What the others see from now on has no pair.
                for other in self._views.values():
                    other.end(other.failure)

    def _frames_of(self, name: str, view: _View) -> Iterator[tuple[float, Frame]]:
        for frame in self._cameras[name].frames():
            yield time.monotonic(), replace(frame, camera=name)
            with self._changed:
                self._changed.wait_for(lambda: len(view.waiting) < _HELD or self._is_left or view.has_ended)
                if view.has_ended:
                    return
