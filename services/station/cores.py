"""Which cores the lanes inspect on, and which are left for other work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import cv2

from station_config import LaneSettings, StationSettings

_SWITCH_S: Final = 0.0005
"""A thread that has its answer from the network waits no longer than this for one that runs Python; else 5 ms."""


def give_cores_to_lanes() -> None:
    """Set this process up for lanes: their workers are the parallelism, and OpenCV's own would only fight them for the
    cores. None of their threads waits long for another's Python."""
    cv2.setNumThreads(1)
    sys.setswitchinterval(_SWITCH_S)


def workers_of(station: StationSettings, lane: LaneSettings) -> int:
    """Frames the lane looks at at the same time, each on a core of its own: as it says, else its share of all cores."""
    return lane.workers or max(1, len(os.sched_getaffinity(0)) // len(station.lanes))


@dataclass(frozen=True, slots=True)
class Cores:
    """Of this machine.

    workers   of each lane, as `workers_of` says
    running   the lanes that inspect at this moment, or may begin to without being asked
    """

    workers: Mapping[str, int]
    running: Callable[[], Collection[str]]

    def left(self) -> tuple[int, ...]:
        """Numbers of the cores that no running lane needs; a lane whose workers nobody has told needs all."""
        there = sorted(os.sched_getaffinity(0))
        taken = sum(self.workers.get(lane, len(there)) for lane in self.running())
        return tuple(there[taken:])
