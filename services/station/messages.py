"""What the engine tells the service. Plain values, sent in order, kept by the engine until acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from inspection.identity import IdentifierCode
from inspection.types import FrameResult, Inspection, InspectionBegun, RecipeRef, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSeen:
    """One frame's result with its picture.

    jpeg    the frame as the operator is to see it, without boxes drawn in: those are vectors in `result`
    exact   the very pixels that were judged, as PNG, where the station keeps those; else empty
    sha256  of the picture that is to be kept with the unit's record, `exact` or else the jpeg; None: for the live view
            only
    """

    inspection_id: UUID
    lane: str
    captured_at: datetime
    result: FrameResult
    jpeg: bytes
    width_px: int
    height_px: int
    exact: bytes = b""
    sha256: str | None = None

    @property
    def to_keep(self) -> bytes:
        return self.exact or self.jpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesUntold:
    """So many frames of a unit, in its order, whose results and pictures were given up since too many waited for the
    service. Their results are in the unit's record, which never is."""

    inspection_id: UUID
    lane: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOnRecord:
    """What a service tells who started it of the first inspection it recorded.

    Not the inspection itself: with a coil's frames it fills the pipe, and recording would wait until someone reads.
    """

    unit: IdentifierCode
    verdict: Verdict


LaneCondition = Literal["starting", "running", "lost", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """What a lane is doing. `failure` is an error code, with its facts, when it is not running.

    driver  the way its camera's frames take, as the station's settings call it: genicam, gige, …
    """

    lane: str
    camera: str
    driver: str
    condition: LaneCondition
    at: datetime
    failure: str | None = None
    facts: dict[str, object] | None = None


RecipeCondition = Literal["preparing", "ready", "in_use", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeWish:
    """To the engine: the lane is to take up this recipe with its next unit. Asked for by the service, or by a PLC."""

    lane: str
    recipe: str
    by_plc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeState:
    """How far a lane is with a recipe. `failure` is an error code, with its facts, when it is refused.

    recipe  its name; `ref` what will be in the records, None until it has been read
    by_plc  a PLC asked for it: nobody else has noted that
    """

    lane: str
    recipe: str
    ref: RecipeRef | None
    condition: RecipeCondition
    at: datetime
    failure: str | None = None
    facts: Mapping[str, object] | None = None
    by_plc: bool = False


Mode = Literal["run", "setup", "bypass", "challenge"]
"""run: inspected, and judged by what was seen. setup: looked at while somebody works on the station. bypass: let
through, not looked at. challenge: known-bad parts are shown, to see whether they are caught. Of the last three nothing
is ever accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeWish:
    """From the service to the engine: the lane is to work so, a bypass no longer than `until`."""

    lane: str
    mode: Mode
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How it stands with a lane's challenge by known-bad parts.

    due        from then on nothing is accepted
    parts      that have to be caught, one after the other; `caught` in the challenge that runs
    proven_at  when all were caught last; None: never
    missed_at  when one was missed, if that was after it was proven last
    """

    due: datetime
    parts: int
    caught: int
    proven_at: datetime | None
    missed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneMode:
    """How a lane works since `at`. A bypass ends by itself at `until`. `proof` where the lane is to be challenged."""

    lane: str
    mode: Mode
    at: datetime
    until: datetime | None = None
    proof: Proof | None = None

    @property
    def is_unproven(self) -> bool:
        """As of `at`: the engine says it anew when that comes true."""
        return self.proof is not None and self.proof.due <= self.at


Wish = RecipeWish | ModeWish


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something about a lane that somebody has to see to. `code` has its texts as an error's has, filled in with
    `facts`.

    withholds  what it is about is not accepted
    """

    code: str
    lane: str
    since: datetime
    withholds: bool
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """How a lane stands with the PLC, since its engine started: told = taken + waiting + given_up.

    address     where the PLC reaches it
    is_served   whether it can be reached there; `reason` says why not, and is empty while it starts
    clients     connected
    is_alone    none is, and has not been for a while
    given_up    since more than may waited; taken neither by then nor since
    unconfirmed taken, with no word of what was done with the unit
    let_pass    not accepted, and the PLC says that it let them pass; `passed` is the newest of them
    is_late     the oldest has waited for longer than it may
    gives_up, lets_pass  another within the last minute
    """

    lane: str
    at: datetime
    address: str
    is_served: bool = False
    reason: str = ""
    clients: int = 0
    is_alone: bool = False
    told: int = 0
    taken: int = 0
    waiting: int = 0
    given_up: int = 0
    unconfirmed: int = 0
    let_pass: int = 0
    passed: str = ""
    is_late: bool = False
    gives_up: bool = False
    lets_pass: bool = False


Message = (
    InspectionBegun | FrameSeen | FramesUntold | Inspection | LaneState | RecipeState | LaneMode | LineState
)
