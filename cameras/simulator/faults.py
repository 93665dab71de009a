"""What goes wrong, and when: by a seeded schedule, at a named exposure, or on demand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from cameras.errors import FaultsUnreadable


class Kind(StrEnum):
    LOST = "lost"
    LATE = "late"
    DOUBLED = "doubled"
    REORDERED = "reordered"
    CORRUPT = "corrupt"
    INCOMPLETE = "incomplete"
    SIZE = "size"
    LINK = "link"
    REBOOT = "reboot"
    HEARTBEAT = "heartbeat"
    MISSED = "missed"
    DOUBLE = "double"
    LONG = "long"
    JUMP = "jump"
    PTP = "ptp"


ABOUT = {
    Kind.LOST: "one packet is not sent; it can be had again",
    Kind.LATE: "one packet comes after the picture's last",
    Kind.DOUBLED: "one packet comes twice",
    Kind.REORDERED: "two packets change places",
    Kind.CORRUPT: "one packet comes as noise; it can be had again",
    Kind.INCOMPLETE: "the rest of the picture is never sent, and cannot be had again",
    Kind.SIZE: "the picture has half the lines it was announced with",
    Kind.LINK: "nothing comes and nothing goes for a while",
    Kind.REBOOT: "the device starts again with its defaults",
    Kind.HEARTBEAT: "the device drops its controller, as if it had heard nothing from it",
    Kind.MISSED: "a trigger gives no picture",
    Kind.DOUBLE: "a trigger gives two pictures",
    Kind.LONG: "an exposure lasts past the next trigger, which is missed",
    Kind.JUMP: "the device's clock jumps",
    Kind.PTP: "the clock's master is lost for a while, and the clock drifts",
}

OF_SEVERAL = frozenset({Kind.REORDERED, Kind.SIZE})
"""Not possible with a picture that is one packet."""

ON_THE_WIRE = OF_SEVERAL | {Kind.LOST, Kind.LATE, Kind.DOUBLED, Kind.CORRUPT, Kind.INCOMPLETE}
"""Happen to a picture while it is sent; the others to the device or its triggers."""

OF_TRIGGERS = frozenset({Kind.MISSED, Kind.DOUBLE, Kind.LONG})
DURATIONS_S = {Kind.LINK: 1.0, Kind.REBOOT: 1.0, Kind.JUMP: 3600.0, Kind.PTP: 10.0}
"""How long, or how far, where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`place` is where in the picture, as a share; `seconds` how long, or how far a clock jumps."""

    kind: Kind
    place: float = 0.5
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class FaultPlan:
    """At most one fault to an exposure, so that each can be accounted for.

    shares  of all exposures, by kind; together at most 1
    at      faults at single exposures, counted from 0 since the device was switched on
    """

    seed: int = 0
    shares: dict[Kind, float] = field(default_factory=dict)
    at: dict[int, Fault] = field(default_factory=dict)
    _demanded: deque[Fault] = field(default_factory=deque)

    def demand(self, kind: Kind, *, seconds: float | None = None) -> None:
        """At the next exposure that has no other fault yet."""
        self._demanded.append(Fault(kind=kind, seconds=_duration(kind, seconds)))

    def of(self, exposure: int, *, is_triggered: bool) -> Fault | None:
        """What goes wrong with an exposure. Faults of triggers do not happen where there are none."""
        fault = self._of(exposure)
        return None if fault is not None and fault.kind in OF_TRIGGERS and not is_triggered else fault

    def _of(self, exposure: int) -> Fault | None:
        if exposure in self.at:
            return self.at[exposure]
        if self._demanded:
            return self._demanded.popleft()
        if not self.shares:
            return None
        drawn, place = np.random.default_rng([self.seed, exposure]).random(2)
        for kind, share in self.shares.items():
            if drawn < share:
                return Fault(kind=kind, place=float(place), seconds=_duration(kind, None))
            drawn -= share
        return None


def parse_faults(given: str) -> FaultPlan:
    """A plan from words as `lost=0.01,late=0.005,reboot@500,link@800:2,seed=7`. Raises FaultsUnreadable."""
    plan = FaultPlan()
    for part in (word.strip() for word in given.split(",")):
        if not part:
            continue
        try:
            _add(plan, part)
        except ValueError as error:
            raise _unreadable(given, part) from error
    if sum(plan.shares.values()) > 1:
        raise _unreadable(given, "+".join(f"{share:g}" for share in plan.shares.values()))
    return plan


def _add(plan: FaultPlan, part: str) -> None:
    if "@" in part:
        name, _, rest = part.partition("@")
        where, _, seconds = rest.partition(":")
        kind, exposure = Kind(name), int(where)
        if exposure < 0:
            raise ValueError(part)
        plan.at[exposure] = Fault(kind=kind, seconds=_duration(kind, float(seconds) if seconds else None))
        return
    name, _, value = part.partition("=")
    if name == "seed":
        plan.seed = int(value)
        if plan.seed < 0:
            raise ValueError(part)
        return
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(part)
    plan.shares[Kind(name)] = share


def _duration(kind: Kind, seconds: float | None) -> float:
    if seconds is None:
        return DURATIONS_S.get(kind, 0.0)
    # A day is more than any test waits, and keeps every sum of times a number.
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"{seconds} s")
    return seconds


def _unreadable(given: str, part: str) -> FaultsUnreadable:
    kinds = ", ".join(Kind)
    return FaultsUnreadable(
        f"The faults {given!r} are not understood at {part!r}.",
        action=f"Give shares of all pictures or single ones, as lost=0.01,reboot@500,seed=7; kinds: {kinds}.",
        given=given,
        part=part,
        kinds=kinds,
    )
