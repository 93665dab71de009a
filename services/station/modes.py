"""How lanes work: they inspect, are worked on, let units through, or are shown parts that are known to be bad. Asked
for in the service, done in the engine.

Whatever is not `run` withholds: every frame of it is seen and not judged, with the reason in the record
(`INS-BYPASSED`, `INS-IN-SETUP`, `INS-IN-CHALLENGE`), so that the accounts balance and nothing of it is ever accepted.
A lane that is to be challenged runs without accepting (`INS-UNPROVEN`) until it has caught its known-bad parts, after
it missed one, and when the next challenge is overdue.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

from services.station.lane import Lane
from services.station.messages import LaneMode, Mode, ModeWish, Proof
from station_config import ChallengeSettings

logger = logging.getLogger(__name__)

IN_FORCE: Final = "modes-in-force.json"

KEEP_AGAIN_S: Final = 30.0
"""So long after a disk refused the file it is tried again."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Of a lane, as it is in the file."""

    wish: ModeWish
    due: datetime | None = None
    proven_at: datetime | None = None
    missed_at: datetime | None = None


class Modes:
    """The engine's side. A mode outlives the engine, and so does a proof: one that starts again goes on with them.

    lanes       may be filled until `begin`
    folder      where the modes are kept; None: each engine begins with inspecting, and with nothing proven
    say         told of every change
    challenges  of the lanes that are to be challenged, by their names
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        say: Callable[[LaneMode], None],
        folder: Path | None,
        challenges: Mapping[str, ChallengeSettings] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._lanes = lanes
        self._say = say
        self._file = None if folder is None else folder / IN_FORCE
        self._challenges = challenges or {}
        self._now = now
        self._lock = threading.RLock()
        self._asked_early: list[ModeWish] = []
        self._has_begun = False
        self._in_force: dict[str, ModeWish] = {}
        self._proofs: dict[str, Proof] = {}
        self._is_to_keep = False

    def begin(self) -> None:
        """Once all lanes are there, before any runs."""
        with self._lock:
            self._has_begun = True
            kept = self._read()
            for lane in self._lanes:
                of_lane = kept.get(lane, _Kept(wish=ModeWish(lane=lane, mode="run")))
                self._begin_proof(lane, of_lane)
                # What was shown before the engine ended is not known any more: the challenge begins anew.
                was_challenge = of_lane.wish.mode == "challenge"
                self._take_up(ModeWish(lane=lane, mode="run") if was_challenge else of_lane.wish)
            for wish in self._asked_early:
                self._take_up(wish)

    def change(self, wish: ModeWish) -> None:
        with self._lock:
            if self._has_begun:
                self._take_up(wish)
            else:
                self._asked_early.append(wish)

    def _take_up(self, wish: ModeWish) -> None:
        lane = self._lanes.get(wish.lane)
        if lane is None or (wish.mode == "challenge" and wish.lane not in self._challenges):
            logger.error("There is no lane %s to be put into %s", wish.lane, wish.mode)
            return
        left_s = None if wish.until is None else (wish.until - self._now()).total_seconds()
        if left_s is not None and left_s <= 0:
            wish, left_s = ModeWish(lane=wish.lane, mode="run"), None
        if wish.mode == "challenge":
            self._proofs[wish.lane] = replace(self._proofs[wish.lane], caught=0)
        lane.work(wish.mode, for_s=left_s)
        self._in_force[wish.lane] = wish
        self._keep()
        self._tell(wish)
        if left_s is not None:
            # The lane ends it by itself; this tells the others, and the file.
            self._later(left_s, partial(self._end, wish))

    def _tell(self, wish: ModeWish) -> None:
        logger.info("Lane %s: mode %s until %s", wish.lane, wish.mode, wish.until)
        proof = self._proofs.get(wish.lane)
        self._say(LaneMode(lane=wish.lane, mode=wish.mode, at=self._now(), until=wish.until, proof=proof))

    def _end(self, ended: ModeWish) -> None:
        with self._lock:
            if self._in_force.get(ended.lane) is ended:
                self._take_up(ModeWish(lane=ended.lane, mode="run"))

    # ------------------------------------------------------------------ challenges

    def _begin_proof(self, lane: str, kept: _Kept) -> None:
        challenge = self._challenges.get(lane)
        if challenge is None:
            return
        now, latest = self._now(), self._now() + _every(challenge)
        # A lane that was never proven, or whose clock says that it will be proven for longer than it may, is due now.
        due = kept.due if kept.due is not None and kept.due <= latest else now
        self._proofs[lane] = Proof(
            due=due, parts=challenge.parts, caught=0, proven_at=kept.proven_at, missed_at=kept.missed_at
        )
        self._lanes[lane].challenged = partial(self._shown, lane)
        self._lanes[lane].prove(for_s=(due - now).total_seconds(), from_now=False)
        self._tell_when_due(lane)

    def _shown(self, lane: str, is_caught: bool) -> None:
        """A known-bad part was refused, or not; on the lane's thread."""
        with self._lock:
            if self._in_force[lane].mode != "challenge":
                return
            now, challenge, proof = self._now(), self._challenges[lane], self._proofs[lane]
            if not is_caught:
                logger.error("Lane %s did not refuse a part that is known to be bad", lane)
                self._proofs[lane] = replace(proof, due=now, missed_at=now)
                self._lanes[lane].prove(for_s=0.0, from_now=True)
            elif proof.caught + 1 < proof.parts:
                self._proofs[lane] = replace(proof, caught=proof.caught + 1)
                self._tell(self._in_force[lane])
                return
            else:
                due = now + _every(challenge)
                self._proofs[lane] = replace(
                    proof, due=due, caught=proof.parts, proven_at=now, missed_at=None
                )
                self._lanes[lane].prove(for_s=_every(challenge).total_seconds(), from_now=True)
                self._tell_when_due(lane)
            self._take_up(ModeWish(lane=lane, mode="run"))

    def _tell_when_due(self, lane: str) -> None:
        due = self._proofs[lane].due
        left_s = (due - self._now()).total_seconds()
        if left_s > 0:
            self._later(left_s, partial(self._overdue, lane, due))

    def _overdue(self, lane: str, due: datetime) -> None:
        with self._lock:
            proof = self._proofs[lane]
            if proof.due == due:
                # The lane's proof is over by the monotonic clock, also where this one was put back meanwhile.
                self._proofs[lane] = replace(proof, due=min(due, self._now()))
                self._keep()
                self._tell(self._in_force[lane])

    def _later(self, left_s: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(left_s, act)
        timer.daemon = True
        timer.start()

    # ------------------------------------------------------------------ the file

    def _keep(self) -> None:
        """As they stand now. They hold all the same where a full disk refuses; then it is tried again later."""
        if self._file is None:
            return
        kept = {name: self._as_kept(wish) for name, wish in self._in_force.items()}
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps(kept), encoding="utf-8")
            new.replace(self._file)
        except OSError as error:
            logger.error(
                "%s cannot be written and is tried again in %g s: %s", self._file, KEEP_AGAIN_S, error
            )
            # An engine that starts again before that must not go by a mode or a proof that holds no more: of an empty
            # file, which a full disk has room for, it begins in setup.
            with suppress(OSError):
                self._file.write_bytes(b"")
            if not self._is_to_keep:
                self._is_to_keep = True
                self._later(KEEP_AGAIN_S, self._keep_again)

    def _keep_again(self) -> None:
        with self._lock:
            self._is_to_keep = False
            self._keep()

    def _as_kept(self, wish: ModeWish) -> dict[str, str | None]:
        proof = self._proofs.get(wish.lane)
        times = {"until": wish.until}
        if proof is not None:
            times |= {"due": proof.due, "proven_at": proof.proven_at, "missed_at": proof.missed_at}
        return {"mode": wish.mode} | {
            name: None if at is None else at.isoformat() for name, at in times.items()
        }

    def _read(self) -> dict[str, _Kept]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(lane): _kept(str(lane), one) for lane, one in kept.items()}
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            # Whether somebody works on the station nobody can say: nothing is accepted until a person says run.
            logger.exception("%s cannot be read: all lanes begin in setup", self._file)
            return {lane: _Kept(wish=ModeWish(lane=lane, mode="setup")) for lane in self._lanes}


def _every(challenge: ChallengeSettings) -> timedelta:
    return timedelta(hours=challenge.every_h)


def _kept(lane: str, said: Mapping[str, Any]) -> _Kept:
    known: dict[str, Mode] = {one: one for one in get_args(Mode)}
    return _Kept(
        wish=ModeWish(lane=lane, mode=known[said["mode"]], until=_at(said["until"])),
        due=_at(said.get("due")),
        proven_at=_at(said.get("proven_at")),
        missed_at=_at(said.get("missed_at")),
    )


def _at(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
