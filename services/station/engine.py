"""The engine process: the lanes, and nothing else. No web, no database, no JSON beside them.

A single busy pure-Python thread beside the lanes was measured to push a frame's latency from 7 ms to seconds.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from cameras.errors import CameraInUse, CameraLost
from inspection.errors import InspectionError
from inspection.protocols import Camera, Sink
from models.in_force import ModelsInForce
from models.store import plant_folder
from services.signals.line import Line
from services.station.build import build_lane, build_recipe, open_cameras
from services.station.change_over import Changer, InForce
from services.station.cores import give_cores_to_lanes
from services.station.ending import stop_when_told
from services.station.lane import LANE_FAILED, Lane
from services.station.link import Address, Courier
from services.station.logs import keep_logs
from services.station.messages import (
    LaneCondition,
    LaneMode,
    LaneState,
    Message,
    ModeWish,
    RecipeState,
    Wish,
)
from services.station.modes import Modes
from services.station.place import ENGINE_LOGS
from services.station.reporter import Reporter
from services.station.write_ahead import WriteAheadLog
from station_config import LaneSettings, StationSettings
from traceability.identifiers import Minter

logger = logging.getLogger(__name__)

CAMERA_RETRY_S: Final = 2.0
"""Between the beginnings of two attempts to open a camera. One that ran longer is opened again at once."""

STILL_OURS_S: Final = 10.0
"""A device that could not be given back, as when its process was killed, refuses everybody until its heartbeat ends our
own former connection: after 3 s as GigE Vision presets it, and a busy computer hears of it later."""

_LOOK_S: Final = 0.5


def run_engine(station: StationSettings, address: Address, folder: Path | None, parent: Connection) -> None:
    """Main of the process. Tells `parent` "ready", or the InspectionError that keeps it from starting.

    folder  where it is kept which recipes and modes are in force, and what was decided; None: nowhere
    """
    stop = stop_when_told()
    if folder is not None:
        keep_logs(folder, "engine")
    give_cores_to_lanes()
    with ExitStack() as held:
        lanes: list[tuple[LaneSettings, Lane]] = []
        by_name: dict[str, tuple[LaneSettings, Lane]] = {}

        def tell(state: LaneState | LaneMode | RecipeState) -> None:
            if line is not None:
                line.hears(state)
            courier.send(state)

        running: dict[str, Lane] = {}
        challenges = {lane.name: lane.challenge for lane in station.lanes if lane.challenge is not None}
        modes = Modes(running, say=tell, folder=folder, challenges=challenges)
        in_force = InForce(folder)
        changer = Changer(
            by_name,
            build=lambda recipe, workers: build_recipe(recipe, workers=workers),
            say=tell,
            in_force=in_force,
        )
        # Only now, since both bring wishes as soon as they are there.
        log = (
            None if folder is None else held.enter_context(WriteAheadLog(folder / ENGINE_LOGS / station.name))
        )
        courier = held.enter_context(
            Courier(
                address,
                log=log,
                accounts=lambda: tuple(lane.account for _, lane in lanes),
                wished=lambda wish: _wished(wish, changer, modes),
            )
        )
        line = _line_of(station, wished=lambda wish: _wished(wish, changer, modes), say=courier.send)
        if line is not None:
            held.enter_context(line)
        models = Followed(ModelsInForce(plant_folder()))
        minter = Minter(station.code_prefix, started_at=datetime.now(UTC))
        try:
            for as_set in station.lanes:
                settings = as_set.model_copy(update={"recipe": in_force.of(as_set)})
                reporter = held.enter_context(
                    Reporter(
                        courier,
                        keeps_exact=station.pictures == "exact",
                        keeps_up=partial(_keeps_up, by_name, settings.name),
                    )
                )
                # The log before the line: what the line is told outlives this process. The line before the reporter: a
                # part that is on its way to the gate does not wait for its record.
                first: list[Sink] = [] if log is None else [log]
                first += () if line is None else line.sinks(settings.name)
                lane = build_lane(station, settings, minter=minter, sinks=(*first, reporter), stop=stop)
                lanes.append((settings, lane))
                by_name[lane.name] = settings, lane
                running[lane.name] = lane
        except InspectionError as error:
            parent.send(error)
            return
        # What is loaded by now stays for good; without this the collector walks all of it in mid-frame.
        gc.collect()
        gc.freeze()
        threads = [
            threading.Thread(
                target=keep_running,
                args=(lane, partial(open_cameras, settings)),
                kwargs={
                    "camera": settings.camera_name,
                    "driver": settings.driver,
                    "say": tell,
                },
                name=f"lane {lane.name}",
            )
            for settings, lane in lanes
        ]
        changer.begin()
        modes.begin()
        for thread in threads:
            thread.start()
        parent.send("ready")
        while any(thread.is_alive() for thread in threads) and not stop.wait(_LOOK_S):
            if models.have_changed():
                changer.rebuild()
        for _, lane in lanes:
            lane.leave()
        for thread in threads:
            thread.join()
        if not stop.is_set():
            logger.error("No lane is running any more; the station waits to be stopped.")
            stop.wait()


def _line_of(
    station: StationSettings, *, wished: Callable[[Wish], None], say: Callable[[Message], None]
) -> Line | None:
    return None if station.line is None else Line(station.line, station.lanes, wished=wished, say=say)


def _keeps_up(lanes: Mapping[str, tuple[LaneSettings, Lane]], name: str) -> bool:
    """Asked with a lane's first frame at the earliest, when all of them are built."""
    return not lanes[name][1].is_behind


def _wished(wish: Wish, changer: Changer, modes: Modes) -> None:
    if isinstance(wish, ModeWish):
        modes.change(wish)
    else:
        changer.change(wish)


class Followed:
    """Which models are in force, and whether that has changed since it was looked at last."""

    def __init__(self, models: ModelsInForce) -> None:
        self._models = models
        self._known = self._now()

    def have_changed(self) -> bool:
        before, self._known = self._known, self._now() or self._known
        return self._known != before

    def _now(self) -> object:
        try:
            return self._models.state()
        except (OSError, ValueError):
            logger.exception(
                "It cannot be read which models are in force; the lanes go on with what they have"
            )
            return None


def keep_running(
    lane: Lane,
    open_its_camera: Callable[[], Camera],
    *,
    camera: str,
    driver: str,
    say: Callable[[LaneState], None],
    still_ours_s: float = STILL_OURS_S,
) -> None:
    """Run the lane, and again when its camera was lost or on a mistake of ours, until it is stopped.

    camera  the camera's name
    driver  what reads it, as the station's settings call that
    say     told of every change; a lost camera stays lost, with the newest reason, until it runs again
    still_ours_s  so long after it was lost a camera that is in use is held by nobody else yet
    """
    last_loss: tuple[float, CameraLost] | None = None

    def change(
        condition: LaneCondition, failure: str | None = None, facts: dict[str, object] | None = None
    ) -> None:
        logger.info("Lane %s is %s (%s)", lane.name, condition, failure or "-")
        say(
            LaneState(
                lane=lane.name,
                camera=camera,
                driver=driver,
                condition=condition,
                at=datetime.now(UTC),
                failure=failure,
                facts=facts,
            )
        )

    def lost(error: InspectionError) -> None:
        nonlocal last_loss
        if isinstance(error, CameraLost):
            last_loss = time.monotonic(), error
        elif last_loss is not None and _may_be_ours(error, *last_loss, for_s=still_ours_s):
            logger.info("Lane %s: %s That may still be our own former connection.", lane.name, error)
            error = last_loss[1]
        logger.warning("Lane %s lost its camera: %s", lane.name, error)
        change("lost", error.code, {name: str(fact) for name, fact in error.facts.items()})

    change("starting")
    while not lane.stop.is_set():
        began_s = time.monotonic()
        try:
            try:
                opened = open_its_camera()
            except InspectionError as error:
                lost(error)
                raise
            lane.run(opened, started=lambda: change("running"), lost=lost)
        except InspectionError:
            lane.stop.wait(began_s + CAMERA_RETRY_S - time.monotonic())
        except Exception:
            logger.exception("Lane %s ended on a mistake of the program; it begins again", lane.name)
            change("stopped", LANE_FAILED, {"lane": lane.name})
            lane.stop.wait(began_s + CAMERA_RETRY_S - time.monotonic())
        else:
            break
    change("stopped")


def _may_be_ours(error: InspectionError, lost_s: float, loss: CameraLost, *, for_s: float) -> bool:
    """Whether a camera may be in use by nobody but our own connection that was lost."""
    is_same = error.facts.get("camera") == loss.facts.get("camera")
    return isinstance(error, CameraInUse) and is_same and time.monotonic() - lost_s < for_s
