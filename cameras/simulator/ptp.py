"""The device's clock beside the network's: IEEE 1588 as a camera shows it, without a packet of it on the wire.

The master is this computer's own time (UTC). Times here are nanoseconds on the line's clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from cameras.simulator.clock import NS_PER_S

STATES = {
    "Initializing": 1,
    "Faulty": 2,
    "Disabled": 3,
    "Listening": 4,
    "PreMaster": 5,
    "Master": 6,
    "Passive": 7,
    "Uncalibrated": 8,
    "Slave": 9,
}
"""Names: SFNC, PtpStatus; numbers: IEEE 1588-2008, table 8."""

_LISTENS_NS = NS_PER_S // 2
_CALIBRATES_NS = 2 * NS_PER_S
"""So long after it was switched on, and then so long until its clock is the master's."""

_FIRST_OFFSET_NS = 100_000
_SETTLES_NS = NS_PER_S / 2
_JITTER_NS = 40
_DRIFT = 20e-6
"""Of a clock left to itself: 20 microseconds a second, an ordinary crystal."""


class Ptp:
    """A slave of one master, which it can lose for a while."""

    def __init__(self, utc_ns: Callable[[], int] = time.time_ns) -> None:
        self._utc_ns = utc_ns
        self._since_ns: int | None = None
        self._lost_ns = range(0)

    @property
    def is_enabled(self) -> bool:
        return self._since_ns is not None

    def enable(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._lost_ns = range(0)

    def disable(self) -> None:
        self._since_ns = None

    def lose_master(self, now_ns: int, duration_ns: int) -> None:
        self._lost_ns = range(now_ns, now_ns + duration_ns)

    def state(self, now_ns: int) -> str:
        if self._since_ns is None:
            return "Disabled"
        if now_ns - self._since_ns < _LISTENS_NS or now_ns in self._lost_ns:
            return "Listening"
        return "Uncalibrated" if self._calibrated_for_ns(now_ns) < 0 else "Slave"

    def offset_ns(self, now_ns: int) -> int:
        """How far ahead of the master's its clock is; 0 while it knows of no master."""
        if self.state(now_ns) == "Disabled":
            return 0
        if now_ns in self._lost_ns:
            return round((now_ns - self._lost_ns.start) * _DRIFT)
        settled = math.exp(-max(0, self._calibrated_for_ns(now_ns) + _CALIBRATES_NS) / _SETTLES_NS)
        # A jitter that is the same for the same moment, so that a test can be run again.
        return round(_FIRST_OFFSET_NS * settled + _JITTER_NS * math.sin(now_ns / 7e7))

    def time_ns(self, now_ns: int, at_ns: int) -> int | None:
        """The time of a moment (`at_ns`) as a slave has it now; None where it is none and never was."""
        if self._since_ns is None or self._calibrated_for_ns(now_ns) < 0:
            return None
        return self._utc_ns() - now_ns + at_ns + self.offset_ns(now_ns)

    def _calibrated_for_ns(self, now_ns: int) -> int:
        """Negative before. After a master was lost it listens no more, and calibrates at once."""
        assert self._since_ns is not None
        return now_ns - self._since_ns - _LISTENS_NS - _CALIBRATES_NS
