"""How lanes work: they inspect, are worked on, or let units through. Asked for in the service, done in the engine.

Whatever is not `run` withholds: every frame of it is seen and not judged, with the reason in the record
(`INS-BYPASSED`, `INS-IN-SETUP`), so that the accounts balance and nothing of it is ever accepted.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

from services.station.lane import Lane
from services.station.messages import LaneMode, Mode, ModeWish

logger = logging.getLogger(__name__)

IN_FORCE: Final = "modes-in-force.json"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Modes:
    """The engine's side. A mode outlives the engine: one that starts again goes on with it.

    lanes   may be filled until `begin`
    folder  where the modes are kept; None: each engine begins with inspecting
    say     told of every change
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        say: Callable[[LaneMode], None],
        folder: Path | None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._lanes = lanes
        self._say = say
        self._file = None if folder is None else folder / IN_FORCE
        self._now = now
        self._lock = threading.Lock()
        self._asked_early: list[ModeWish] = []
        self._has_begun = False
        self._in_force: dict[str, ModeWish] = {}

    def begin(self) -> None:
        """Once all lanes are there, before any runs."""
        with self._lock:
            self._has_begun = True
            kept = self._read()
            for lane in self._lanes:
                self._take_up(kept.get(lane, ModeWish(lane=lane, mode="run")))
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
        if lane is None:
            logger.error("There is no lane %s to be put into %s", wish.lane, wish.mode)
            return
        left_s = None if wish.until is None else (wish.until - self._now()).total_seconds()
        if left_s is not None and left_s <= 0:
            wish, left_s = ModeWish(lane=wish.lane, mode="run"), None
        lane.work(wish.mode, for_s=left_s)
        self._in_force[wish.lane] = wish
        self._keep()
        logger.info("Lane %s: mode %s until %s", wish.lane, wish.mode, wish.until)
        self._say(LaneMode(lane=wish.lane, mode=wish.mode, at=self._now(), until=wish.until))
        if left_s is not None:
            # The lane ends it by itself; this tells the others, and the file.
            timer = threading.Timer(left_s, self._end, args=(wish,))
            timer.daemon = True
            timer.start()

    def _end(self, ended: ModeWish) -> None:
        with self._lock:
            if self._in_force.get(ended.lane) is ended:
                self._take_up(ModeWish(lane=ended.lane, mode="run"))

    def _keep(self) -> None:
        if self._file is None:
            return
        kept = {
            name: {"mode": wish.mode, "until": None if wish.until is None else wish.until.isoformat()}
            for name, wish in self._in_force.items()
        }
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(self._file)

    def _read(self) -> dict[str, ModeWish]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(lane): _wish(str(lane), one["mode"], one["until"]) for lane, one in kept.items()}
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            # Whether somebody works on the station nobody can say: nothing is accepted until a person says run.
            logger.exception("%s cannot be read: all lanes begin in setup", self._file)
            return {lane: ModeWish(lane=lane, mode="setup") for lane in self._lanes}


def _wish(lane: str, mode: str, until: str | None) -> ModeWish:
    known: dict[str, Mode] = {one: one for one in get_args(Mode)}
    return ModeWish(
        lane=lane, mode=known[mode], until=None if until is None else datetime.fromisoformat(until)
    )
