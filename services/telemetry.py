"""What the station tells its monitoring: metric names in one place, and the form of a log line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inspection.types import Inspection
from services.station.link import Backlog
from services.station.logs import LOG_FORMAT
from services.station.messages import FrameSeen, LaneState, LineState
from services.timings import Timings

# A frame's budget is the time until the next: 51 ms at 20 kHz and 1024 lines.
STEP_BUCKETS_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


TERMS = (
    "exposures",
    "frames",
    "dropped",
    "passed_over",
    "results",
    "withheld",
    "units",
    "triggers",
    "inspected",
    "failed",
    "lost",
    "unaccounted",
)


LINE_TERMS = ("told", "taken", "waiting", "given_up", "unconfirmed", "let_pass")


class Metrics:
    """Counted from what the engine reports, in a registry of its own. Safe to call from several threads.

    timings  whose quantiles are among the metrics
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, timings: Timings | None = None) -> None:
        self._timings = timings or Timings()
        self.registry = CollectorRegistry()
        self._frames_inspected = Counter(
            "frames_inspected_total", "Frames that were judged", ["lane"], registry=self.registry
        )
        self._frames_failed = Counter(
            "frames_failed_total", "Frames seen but not judged", ["lane"], registry=self.registry
        )
        self._frames_lost = Counter(
            "frames_lost_total", "Frames due but never seen", ["lane"], registry=self.registry
        )
        self._frames_unaccounted = Counter(
            "frames_unaccounted_total",
            "Frames due of which nobody can say what became: a fault of ours",
            ["lane"],
            registry=self.registry,
        )
        self._not_inspected = Counter(
            "frames_not_inspected_total",
            "Frames failed, lost or unaccounted, by reason",
            ["lane", "failure"],
            registry=self.registry,
        )
        self._units = Counter(
            "units_total", "Units finished, by verdict", ["lane", "verdict"], registry=self.registry
        )
        self._defects = Counter("defects_total", "Defects found", ["lane", "kind"], registry=self.registry)
        self._step_ms = Histogram(
            "step_ms",
            "Time of one step of one frame, in milliseconds",
            ["lane", "step"],
            buckets=STEP_BUCKETS_MS,
            registry=self.registry,
        )
        self._step_quantile = Gauge(
            "step_ms_quantile",
            "Time of one step of one frame, in milliseconds: quantiles since the start and of the last minute; 1 is "
            "the maximum, the step total is from arrival to verdict",
            ["lane", "step", "window", "quantile"],
            registry=self.registry,
        )
        self._tiles = Counter(
            "screen_tiles_total",
            "Tiles of screened frames: all, sent to the network, of the others sampled by lot, and of these escaped",
            ["lane", "what"],
            registry=self.registry,
        )
        self._alarm = Gauge(
            "alarm", "1 while the alarm stands, else 0", ["lane", "code"], registry=self.registry
        )
        self._account_gap = Gauge(
            "account_gap",
            "By how much the counts of engine, service and records differ: 0 unless something is wrong",
            ["lane"],
            registry=self.registry,
        )
        self._account = Gauge(
            "lane_account",
            "The lane's account since the engine started: exposures, frames, dropped, results, …",
            ["lane", "term"],
            registry=self.registry,
        )
        self._line = Gauge(
            "line_verdicts",
            "Verdicts for the PLC since the engine started: told, taken, waiting, given_up, unconfirmed, …",
            ["lane", "term"],
            registry=self.registry,
        )
        self._line_clients = Gauge(
            "line_clients", "PLCs connected to the line interface", registry=self.registry
        )
        self._lock = threading.Lock()
        # By lane and code, of those that were ever said.
        self._alarms_said: set[tuple[str, str]] = set()
        self._lane_running = Gauge(
            "lane_running",
            "1 while the lane runs, in whatever mode, else 0: also while its engine is away",
            ["lane"],
            registry=self.registry,
        )
        self._lanes_said: set[str] = set()
        self._engine_connected = Gauge(
            "engine_connected", "1 while the engine is connected, else 0", registry=self.registry
        )
        self._outbox_waiting = Gauge(
            "outbox_waiting", "Messages the engine has yet to deliver", registry=self.registry
        )
        self._pictures_waiting = Gauge(
            "pictures_waiting", "Pictures that wait here for their bucket", registry=self.registry
        )
        self._pictures_given_up = Gauge(
            "pictures_given_up",
            "Pictures the engine could not deliver since it started, because too many waited",
            registry=self.registry,
        )

    def waiting(self, pictures: int) -> None:
        """So many are here that their bucket has yet to take."""
        self._pictures_waiting.set(pictures)

    def frame(self, seen: FrameSeen) -> None:
        for step, spent_ms in seen.result.timings_ms.items():
            self._step_ms.labels(seen.lane, step).observe(spent_ms)
        if (looked := seen.result.looked) is not None:
            for what in ("sent", "sampled", "escaped"):
                self._tiles.labels(seen.lane, what).inc(getattr(looked, what))
            self._tiles.labels(seen.lane, "all").inc(looked.tiles)

    def done(self, inspection: Inspection) -> None:
        lane = inspection.lane
        self._frames_inspected.labels(lane).inc(inspection.frames_inspected)
        self._frames_failed.labels(lane).inc(inspection.frames_failed)
        self._frames_lost.labels(lane).inc(inspection.frames_lost)
        self._frames_unaccounted.labels(lane).inc(abs(inspection.unaccounted))
        for failure, frames in inspection.failures.items():
            self._not_inspected.labels(lane, failure).inc(frames)
        self._units.labels(lane, inspection.verdict.name).inc()
        for defect in inspection.defects:
            self._defects.labels(lane, defect.kind).inc()

    def line(self, state: LineState) -> None:
        for term in LINE_TERMS:
            self._line.labels(state.lane, term).set(getattr(state, term))
        self._line_clients.set(state.clients)

    def lane(self, state: LaneState) -> None:
        self._lane_running.labels(state.lane).set(state.condition == "running")
        self._lanes_said.add(state.lane)

    def engine(self, *, connected: bool) -> None:
        """An engine that comes, or comes again, has said before how its lanes and its line stand."""
        self._engine_connected.set(connected)
        if not connected:
            self._line_clients.set(0)
            for lane in self._lanes_said:
                self._lane_running.labels(lane).set(False)

    def backlog(self, backlog: Backlog) -> None:
        self._outbox_waiting.set(backlog.waiting)
        self._pictures_given_up.set(backlog.given_up)

        for account in backlog.accounts:
            for term in TERMS:
                self._account.labels(account.lane, term).set(getattr(account, term))

    def gap(self, lane: str, gap: int) -> None:
        """By how much a lane's account differs."""
        self._account_gap.labels(lane).set(gap)

    def standing(self, alarms: Collection[tuple[str, str]]) -> None:
        """All alarms that stand at this moment, by lane and code."""
        with self._lock:
            self._alarms_said |= {*alarms}
            for one in self._alarms_said:
                self._alarm.labels(*one).set(one in alarms)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        for lane in self._timings.lanes():
            for times in self._timings.steps(lane):
                for window, quantiles in (("start", times.start), ("minute", times.minute)):
                    for quantile, spent_ms in quantiles.by_name.items():
                        self._step_quantile.labels(lane, times.step, window, quantile).set(spent_ms)
        return generate_latest(self.registry)


def log_to_stderr(level: int = logging.INFO) -> None:
    """One line per unit and per change of state, in English, never one per frame."""
    logging.basicConfig(format=LOG_FORMAT, level=level)
