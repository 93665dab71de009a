"""One lane as a PLC sees it: registers with the oldest verdict that was not taken yet, and what the PLC writes back.

Pure: `told` and `stands` come from the engine, `written` from the PLC, `registers` go to it. docs/line.md is the map
for who programs the PLC; OFFSETS and what follows are the same in code, and a test holds them together.

A verdict stands until the PLC has written its number back, with this engine's session: so each is taken once and in
order, whatever ends in between, and a number left over from an engine before takes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import Final

from inspection.types import Inspection, Verdict

MAP_VERSION: Final = 1

PER_LANE: Final = 100
"""Registers of a lane, of which the first LENGTH are there: lane 1 begins at 100, lane 2 at 200."""

CODE_BYTES: Final = 80

BEAT_S: Final = 0.2
"""So often the engine says that it lives."""

STILL_S: Final = 1.0
"""Without a beat for so long the engine may stand still: no lane is ready then, whatever it said of itself."""

WORD: Final = 0xFFFF

OFFSETS: Final[Mapping[str, int]] = {
    "map": 0,
    "pulse": 1,
    "ready": 2,
    "mode": 3,
    "session": 4,
    "number": 5,
    "verdict": 6,
    "gate": 7,
    "defects": 8,
    "exposures": 9,
    "lost": 10,
    "waiting": 11,
    "given_up": 12,
    "recipe": 13,
    "recipe_asked": 14,
    "recipe_state": 15,
    "code_bytes": 16,
    "code": 17,
    "age_ms": 57,
    "session_taken": 60,
    "number_taken": 61,
    "done": 62,
    "recipe_wanted": 63,
}
"""Within a lane's registers, counted from 0. The last four are the PLC's to write, all others are read only."""

WRITABLE: Final = range(OFFSETS["session_taken"], OFFSETS["recipe_wanted"] + 1)
LENGTH: Final = WRITABLE.stop


class Gate(IntEnum):
    """What the PLC is to do with the unit. What was not accepted is diverted, and so is what was accepted and waited
    for too long: the part has moved on, and the one before the gate is another."""

    NONE = 0
    PASS = 1
    DIVERT = 2


class Done(IntEnum):
    """What the PLC says it did with the unit."""

    NOT_SAID = 0
    LET_PASS = 1
    DIVERTED = 2


class LineMode(IntEnum):
    """Why a lane is ready, or is not."""

    STOPPED = 0
    RUN = 1
    SETUP = 2
    BYPASS = 3
    CHALLENGE = 4
    UNPROVEN = 5
    CAMERA_LOST = 6


class RecipeStep(IntEnum):
    """How far a recipe is that the PLC asked for."""

    NONE = 0
    PREPARING = 1
    READY = 2
    IN_USE = 3
    REFUSED = 4


VERDICT_CODE: Final = {
    Verdict.ACCEPT: 1,
    Verdict.REVIEW: 2,
    Verdict.NOT_INSPECTED: 3,
    Verdict.REJECT: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A unit's verdict on its way to the line. Numbers go from 1 to 65535 and begin again.

    code     the unit's identifier code, as text
    given_s  when it was given, by this computer's monotonic clock
    """

    number: int
    given_s: float
    verdict: Verdict
    code: str
    defects: int
    exposures: int
    lost: int

    @classmethod
    def of(cls, inspection: Inspection, number: int, *, given_s: float) -> Told:
        return cls(
            number=number,
            given_s=given_s,
            verdict=inspection.verdict,
            code=str(inspection.unit),
            defects=len(inspection.defects),
            exposures=inspection.triggers,
            lost=inspection.frames_lost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a lane stands, besides its verdicts. `recipe` numbers are those of the station's file; 0: has none."""

    mode: LineMode = LineMode.STOPPED
    recipe: int = 0
    recipe_asked: int = 0
    recipe_state: RecipeStep = RecipeStep.NONE
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """The PLC has taken the verdict of that number."""

    number: int
    done: Done


@dataclass(frozen=True, slots=True)
class RecipeWanted:
    """The PLC asks for the recipe of that number."""

    number: int


Said = Taken | RecipeWanted


@dataclass(frozen=True, slots=True)
class Beat:
    """The engine is alive."""


@dataclass(frozen=True, slots=True)
class LaneTold:
    lane: int
    told: Told


@dataclass(frozen=True, slots=True)
class LaneGaveUp:
    lane: int
    number: int


@dataclass(frozen=True, slots=True)
class LaneStands:
    lane: int
    standing: Standing


ToLine = Beat | LaneTold | LaneGaveUp | LaneStands
"""From the engine. Lanes are numbered from 1, as the PLC has them."""


@dataclass(frozen=True, slots=True)
class Clients:
    """So many are connected; said with every beat. None: the address cannot be listened on, for that reason."""

    connected: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LaneSaid:
    lane: int
    said: Said


FromLine = Clients | LaneSaid


class NotWritable(ValueError):
    """The PLC wrote where it may not, or what means nothing."""


def after(number: int) -> int:
    """The number of the verdict that follows."""
    return number % WORD + 1


class LaneRegisters:
    """One lane's registers. Not safe to use from several threads.

    session  of this engine, 1 to 65535: another one counts anew
    fresh_s  a verdict that waits longer opens no gate
    """

    def __init__(self, *, session: int, fresh_s: float) -> None:
        self._session = session
        self._fresh_s = fresh_s
        self._waiting: deque[Told] = deque()
        self._standing = Standing()
        self._pulse = 0
        self._beat_s = -inf
        self._written = [0] * len(WRITABLE)

    def beat(self, now_s: float) -> None:
        """The engine is alive, at that time of the monotonic clock."""
        self._pulse = after(self._pulse)
        self._beat_s = now_s

    def stands(self, standing: Standing) -> None:
        self._standing = standing

    def told(self, told: Told) -> None:
        """A verdict more; those that the engine gave up go first (`give_up`)."""
        self._waiting.append(told)

    def give_up(self, number: int) -> None:
        """The oldest was given up, since too many waited."""
        if self._waiting and self._waiting[0].number == number:
            self._waiting.popleft()

    def written(self, first: int, values: Sequence[int]) -> tuple[Said, ...]:
        """The PLC wrote registers from offset `first` on. What it said by that. Raises NotWritable, and changes
        nothing then."""
        if not values or first < WRITABLE.start or first + len(values) > WRITABLE.stop:
            raise NotWritable(f"registers {first} to {first + len(values) - 1} are not the PLC's to write")
        after_it = list(self._written)
        at = first - WRITABLE.start
        after_it[at : at + len(values)] = values
        session, number, done, wanted = after_it
        if done not in list(Done):
            raise NotWritable(f"{done} is no way to deal with a unit: 0, 1 or 2")
        before_wanted = self._written[-1]
        self._written = after_it
        said: list[Said] = []
        shown = self._waiting[0] if self._waiting else None
        says_number = first <= OFFSETS["number_taken"] < first + len(values)
        if shown is not None and says_number and (session, number) == (self._session, shown.number):
            self._waiting.popleft()
            # What was done with this one says nothing about the next.
            self._written[OFFSETS["done"] - WRITABLE.start] = 0
            said.append(Taken(number, Done(done)))
        if wanted not in (0, before_wanted):
            said.append(RecipeWanted(wanted))
        return tuple(said)

    def registers(self, now_s: float) -> list[int]:
        """All LENGTH of them as they stand at that time of the monotonic clock: uint16."""
        standing, shown = self._standing, self._waiting[0] if self._waiting else None
        values = [0] * LENGTH

        def put(name: str, value: int) -> None:
            values[OFFSETS[name]] = min(value, WORD)

        put("map", MAP_VERSION)
        put("pulse", self._pulse)
        mode = standing.mode if now_s - self._beat_s <= STILL_S else LineMode.STOPPED
        put("ready", int(mode is LineMode.RUN))
        put("mode", mode)
        put("session", self._session)
        put("waiting", len(self._waiting))
        put("given_up", standing.given_up)
        put("recipe", standing.recipe)
        put("recipe_asked", standing.recipe_asked)
        put("recipe_state", standing.recipe_state)
        if shown is not None:
            code = shown.code.encode()
            put("number", shown.number)
            put("verdict", VERDICT_CODE[shown.verdict])
            age_s = max(0.0, now_s - shown.given_s)
            is_passed = shown.verdict is Verdict.ACCEPT and age_s <= self._fresh_s
            put("gate", Gate.PASS if is_passed else Gate.DIVERT)
            put("age_ms", int(age_s * 1000))
            put("defects", shown.defects)
            put("exposures", shown.exposures)
            put("lost", shown.lost)
            put("code_bytes", len(code))
            padded = code[:CODE_BYTES].ljust(CODE_BYTES, b"\0")
            words = (int.from_bytes(padded[at : at + 2], "big") for at in range(0, CODE_BYTES, 2))
            values[OFFSETS["code"] : OFFSETS["code"] + CODE_BYTES // 2] = words
        values[WRITABLE.start :] = self._written
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a PLC makes of a lane's registers; also who tries a station out in its place. `gate` is about `shown`, the
    oldest verdict that waits."""

    pulse: int
    is_ready: bool
    mode: LineMode
    session: int
    waiting: int
    given_up: int
    recipe: int
    recipe_asked: int
    recipe_state: RecipeStep
    shown: Told | None
    gate: Gate

    @classmethod
    def of(cls, values: Sequence[int]) -> Read:
        """From the LENGTH registers of a lane. Raises ValueError for those of another map."""
        at = {name: values[offset] for name, offset in OFFSETS.items()}
        if at["map"] != MAP_VERSION:
            raise ValueError(f"register map {at['map']}, not {MAP_VERSION}")
        shown = None
        if at["number"]:
            words = values[OFFSETS["code"] : OFFSETS["code"] + CODE_BYTES // 2]
            code = b"".join(word.to_bytes(2, "big") for word in words)[: min(at["code_bytes"], CODE_BYTES)]
            verdict = {number: one for one, number in VERDICT_CODE.items()}[at["verdict"]]
            shown = Told(
                number=at["number"],
                given_s=-at["age_ms"] / 1000,
                verdict=verdict,
                code=code.decode(errors="ignore"),
                defects=at["defects"],
                exposures=at["exposures"],
                lost=at["lost"],
            )
        return cls(
            pulse=at["pulse"],
            is_ready=bool(at["ready"]),
            mode=LineMode(at["mode"]),
            session=at["session"],
            waiting=at["waiting"],
            given_up=at["given_up"],
            recipe=at["recipe"],
            recipe_asked=at["recipe_asked"],
            recipe_state=RecipeStep(at["recipe_state"]),
            shown=shown,
            gate=Gate(at["gate"]),
        )
