"""How long each step of a frame takes: quantiles since the start and of the last minute, single frames, the slowest.

Kept in buckets whose edges grow by 5 %, so that a quantile is at most 5 % too high, never too low, whatever the times
are, and memory does not grow: about 30 kB for each step of each lane.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil, log
from typing import Final, Literal
from uuid import UUID

from inspection.types import Verdict
from services.station.messages import FrameSeen

Window = Literal["start", "minute"]
WINDOWS: Final[tuple[Window, ...]] = ("minute", "start")

FRAMES_KEPT: Final = 1000
"""Of a lane, the newest: at 10 frames a second the last 100 s."""

SLOWEST_KEPT: Final = 20

_LEAST_MS: Final = 0.01
_GROWTH: Final = 1.05
_BUCKETS: Final = 2 + ceil(log(60_000 / _LEAST_MS) / log(_GROWTH))
_SLICE_S: Final = 5.0
_SLICES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Of so many frames, ms. Those of none are 0. `max_ms` is exact."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @property
    def by_name(self) -> Mapping[str, float]:
        return {"0.5": self.p50_ms, "0.95": self.p95_ms, "0.99": self.p99_ms, "1": self.max_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """One step of one lane's frames; `total` is from a frame's arrival to its verdict, waiting with it."""

    step: str
    start: Quantiles
    minute: Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTrace:
    """What became of one frame, and how long each step of it took.

    unit          its code; None where the unit was not in view when it was told
    recorded_at   when the service had it
    """

    lane: str
    camera: str
    sequence: int
    inspection_id: UUID
    unit: str | None
    captured_at: datetime
    recorded_at: datetime
    verdict: Verdict
    failure: str | None
    defects: int
    timings_ms: Mapping[str, float]

    @property
    def total_ms(self) -> float:
        return self.timings_ms.get("total", sum(self.timings_ms.values()))


class Histogram:
    """Times in buckets: since the start, and in slices of 5 s the last minute."""

    def __init__(self) -> None:
        self._start = _Slice(at_s=0.0)
        self._slices: deque[_Slice] = deque(maxlen=_SLICES)

    def add(self, spent_ms: float, now_s: float) -> None:
        at_s = now_s - now_s % _SLICE_S
        if not self._slices or self._slices[-1].at_s < at_s:
            self._slices.append(_Slice(at_s=at_s))
        bucket = _bucket_of(spent_ms)
        for one in (self._start, self._slices[-1]):
            one.counts[bucket] += 1
            one.max_ms = max(one.max_ms, spent_ms)

    def quantiles(self, window: Window, now_s: float) -> Quantiles:
        if window == "start":
            return _quantiles(self._start.counts, self._start.max_ms)
        newest = [one for one in self._slices if now_s - one.at_s < _SLICE_S * _SLICES]
        counts = [sum(column) for column in zip(*(one.counts for one in newest), strict=True)]
        return _quantiles(counts, max((one.max_ms for one in newest), default=0.0))


class _Slice:
    def __init__(self, *, at_s: float) -> None:
        self.at_s = at_s
        self.counts = array("Q", bytes(8 * _BUCKETS))
        self.max_ms = 0.0


class Timings:
    """Those of a station's lanes since this process began. Fed from one thread, read from others."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._steps: dict[str, dict[str, Histogram]] = {}
        self._newest: dict[str, OrderedDict[int, FrameTrace]] = {}
        self._slowest: dict[str, list[FrameTrace]] = {}

    def add(self, seen: FrameSeen, *, unit: str | None, recorded_at: datetime) -> None:
        result = seen.result
        trace = FrameTrace(
            lane=seen.lane,
            camera=result.camera,
            sequence=result.sequence,
            inspection_id=seen.inspection_id,
            unit=unit,
            captured_at=seen.captured_at,
            recorded_at=recorded_at,
            verdict=result.verdict,
            failure=result.failure,
            defects=len(result.defects),
            timings_ms=dict(result.timings_ms),
        )
        now_s = self._monotonic_s()
        with self._lock:
            steps = self._steps.setdefault(seen.lane, {})
            for step, spent_ms in trace.timings_ms.items():
                steps.setdefault(step, Histogram()).add(spent_ms, now_s)
            newest = self._newest.setdefault(seen.lane, OrderedDict())
            newest.pop(trace.sequence, None)
            newest[trace.sequence] = trace
            if len(newest) > FRAMES_KEPT:
                newest.popitem(last=False)
            slowest = self._slowest.setdefault(seen.lane, [])
            if len(slowest) < SLOWEST_KEPT or trace.total_ms > slowest[-1].total_ms:
                slowest.append(trace)
                slowest.sort(key=lambda one: -one.total_ms)
                del slowest[SLOWEST_KEPT:]

    def lanes(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._steps))

    def steps(self, lane: str) -> tuple[StepTimes, ...]:
        """In the order of the steps; none for a lane of which no frame was told."""
        now_s = self._monotonic_s()
        with self._lock:
            return tuple(
                StepTimes(
                    step=step,
                    start=histogram.quantiles("start", now_s),
                    minute=histogram.quantiles("minute", now_s),
                )
                for step, histogram in self._steps.get(lane, {}).items()
            )

    def slowest(self, lane: str) -> tuple[FrameTrace, ...]:
        """Since this process began, the slowest first, at most SLOWEST_KEPT."""
        with self._lock:
            return tuple(self._slowest.get(lane, ()))

    def newest(self, lane: str) -> FrameTrace | None:
        with self._lock:
            kept = self._newest.get(lane)
            return kept[next(reversed(kept))] if kept else None

    def frame(self, lane: str, sequence: int) -> FrameTrace | None:
        """The one with the camera's number, of the newest FRAMES_KEPT and the slowest; None where it is not kept."""
        with self._lock:
            newest = self._newest.get(lane)
            if newest is not None and sequence in newest:
                return newest[sequence]
            return next((one for one in self._slowest.get(lane, ()) if one.sequence == sequence), None)


def _bucket_of(spent_ms: float) -> int:
    if not spent_ms > _LEAST_MS:
        return 0
    return min(ceil(log(spent_ms / _LEAST_MS) / log(_GROWTH)), _BUCKETS - 1)


def _quantiles(counts: array[int] | list[int], max_ms: float) -> Quantiles:
    count = sum(counts)
    p50, p95, p99 = (_at(counts, ceil(share * count), max_ms) for share in (0.5, 0.95, 0.99))
    return Quantiles(count=count, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=max_ms)


def _at(counts: array[int] | list[int], rank: int, max_ms: float) -> float:
    """The upper edge of the bucket that holds the time of this rank, counted from 1; the largest time at most."""
    if rank == 0:
        return 0.0
    seen = 0
    for bucket, here in enumerate(counts):
        seen += here
        if seen >= rank:
            return min(_LEAST_MS * _GROWTH**bucket, max_ms)
    return max_ms
