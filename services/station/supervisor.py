"""Starts a station's processes, starts again what dies, and leaves none behind."""

from __future__ import annotations

import logging
import multiprocessing
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, Final

from inspection.errors import InspectionError
from services.ports import why_taken
from services.station.engine import run_engine
from services.station.link import Address
from services.station.messages import FirstOnRecord
from services.station.place import ServicePlace
from services.station.wired import Device, run_device
from station_config import StationSettings

logger = logging.getLogger(__name__)

STOP_S: Final = 8.0
"""What a process is given to end in order; then it is killed."""

RESTART_S: Final = 1.0


class PortTaken(InspectionError):
    """Something else listens where the pages are to be served."""

    code = "SVC-PORT-TAKEN"


class ProcessFailed(InspectionError):
    """A process of the station ended before it was ready, and did not say why."""

    code = "SVC-PROCESS-FAILED"


@dataclass(slots=True)
class _Child:
    """One process, how to start it, and whether it has said that it is ready."""

    name: str
    start: Callable[[], tuple[SpawnProcess, Connection]]
    process: SpawnProcess = field(init=False)
    said: Connection = field(init=False)
    is_ready: bool = False

    def __post_init__(self) -> None:
        self.process, self.said = self.start()

    def restart(self) -> None:
        self.said.close()
        self.process, self.said = self.start()

    def end(self) -> None:
        self.process.terminate()
        self.process.join(STOP_S)
        if self.process.is_alive():
            logger.warning("The %s did not end in %g s and is killed.", self.name, STOP_S)
            self.process.kill()
            self.process.join()


def run_station(
    station: StationSettings,
    place: ServicePlace,
    *,
    devices: Sequence[Device] = (),
    ready: Callable[[], None],
    first: Callable[[FirstOnRecord], None],
) -> None:
    """Run the station until Ctrl-C or SIGTERM.

    devices  simulated cameras that run beside it, each a process like the others
    ready    called when all processes are ready
    first    told of the first inspection that is in the database

    Raises what keeps a process from starting (PortTaken, ModelAltered, ConfigInvalid, …), with none left running. One
    that was ready before and cannot be started again is tried again until it can.
    """
    check_port(place.host, place.port)
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    # Short, because a local socket's path may have no more than 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="lynceus-"))
    address = Address(path=str(folder / "engine"), key=secrets.token_bytes(32))
    children: list[_Child] = []
    try:
        for device in devices:
            children.append(_Child(f"camera {device.serial}", partial(_spawn, run_device, device)))
        children.append(_Child("service", partial(_spawn, _run_service, station, address, place)))
        children.append(_Child("engine", partial(_spawn, run_engine, station, address, place.folder)))
        while not stopping:
            _attend(children, ready=ready, first=first)
    finally:
        # The engine first: it lets the cameras go, and the service still takes its last records.
        for child in reversed(children):
            child.end()
        for number, handler in before.items():
            signal.signal(number, handler)
        shutil.rmtree(folder)


def check_port(host: str, port: int) -> None:
    """Raise PortTaken unless `port` can be listened on."""
    reason = why_taken(host, port)
    if reason is not None:
        raise PortTaken(
            f"{host}:{port} cannot be listened on: {reason}.",
            action=f"Stop what listens there, or choose another: --port {port + 1}",
            host=host,
            port=port,
            other=port + 1,
            reason=reason,
        )


def _run_service(*args: Any) -> None:
    # Here, so that the supervisor starts its processes before it would have loaded a web server and a database.
    from services.station.service import run_service

    run_service(*args)


def _spawn(main: Callable[..., None], *args: object) -> tuple[SpawnProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=main, args=(*args, theirs), daemon=False)
    process.start()
    theirs.close()
    return process, ours


def _attend(
    children: list[_Child], *, ready: Callable[[], None], first: Callable[[FirstOnRecord], None]
) -> None:
    """Wait half a second for word from the children, and act on it."""
    wait([child.said for child in children] + [child.process.sentinel for child in children], timeout=0.5)
    for child in children:
        while child.said.poll():
            try:
                word = child.said.recv()
            except EOFError:
                break
            if isinstance(word, InspectionError):
                if not child.is_ready:
                    raise word
                # It has run before. What keeps it from starting, as a recipe that was spoilt meanwhile, can be mended
                # while the others go on: ending them would take the pages and the records away as well.
                logger.error("The %s cannot be started again: %s %s", child.name, word.code, word)
            elif isinstance(word, FirstOnRecord):
                first(word)
            else:
                was_ready = all(other.is_ready for other in children)
                child.is_ready = True
                if not was_ready and all(other.is_ready for other in children):
                    ready()
        if not child.process.is_alive():
            _died(child)


def _died(child: _Child) -> None:
    if not child.is_ready:
        raise ProcessFailed(
            f"The {child.name} ended with status {child.process.exitcode} before it was ready.",
            action="Look at the messages above; please report them if they do not help.",
            process=child.name,
            status=child.process.exitcode,
        )
    logger.warning("The %s ended with status %s and is started again.", child.name, child.process.exitcode)
    time.sleep(RESTART_S)
    child.restart()
