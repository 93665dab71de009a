"""From the engine to the service: every message, in order, once it is safe on the other side.

The engine keeps what it sent until the service says that it is committed. A service that is killed is
started again and gets the rest; inspections carry their own id, so what arrives twice is stored once. An
engine that is killed leaves units behind: the next engine says which it has. The service records the others as
the one before had decided them (`write_ahead`), and closes what it had not decided as not inspected.

The connection is a local socket with a key of its own per start. What travels is our own messages.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Final
from uuid import UUID

from inspection.errors import InspectionError
from inspection.types import Inspection, InspectionBegun
from services.station.account import Delivered, LaneAccount
from services.station.messages import (
    FrameSeen,
    FramesUntold,
    LaneMode,
    LaneState,
    LineState,
    Message,
    RecipeState,
    Wish,
)
from services.station.write_ahead import WriteAheadLog

logger = logging.getLogger(__name__)

BATCH: Final = 64
RETRY_S: Final = 0.5
ACCOUNT_EVERY_S: Final = 1.0
"""So often the lanes' accounts are told, whether there is anything else to tell or not."""

SILENT_S: Final = 10.0
"""An engine that does not even tell its accounts for so long hangs. It comes again once it can."""

GATHER_S: Final = 0.02
"""After all that waited was told, or delivered: a thread that wakes for each of 300 frames a second keeps the lanes'
threads waiting for its Python."""

PICTURES_KEPT_WAITING: Final = 1000
"""About 50 MB. With the service away for longer, pictures are given up first, records never."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service listens, and the key that both ends must know."""

    path: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first words.

    in_hand    the inspections it has begun and still answers for, and how many frames of each a service took before
    delivered  all that services before this one took from it, by lane
    standing   how each lane, its recipe and its mode stand, which was told to a service before
    log        name of its write-ahead log; "": it has none
    """

    in_hand: Mapping[UUID, int]
    delivered: Mapping[str, Delivered]
    standing: Sequence[Message] = ()
    log: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How the engine's deliveries stand, of all since it started.

    waiting   messages still to come after these
    given_up  frames whose pictures and results were not delivered because too many waited; their count was or will
              be, and so will the records
    accounts  of the lanes, at this moment: what is waiting is in them already
    """

    waiting: int
    given_up: int
    accounts: tuple[LaneAccount, ...] = ()


@dataclass(frozen=True, slots=True)
class _Batch:
    messages: Sequence[Message]
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class _Committed:
    """The service's answer to a batch: how many of its messages it has, and what it asks for."""

    messages: int
    wishes: Sequence[Wish]


class Courier:
    """The engine's end. `send` never blocks; a thread delivers.

    A message is let go only when the service has committed it.

    accounts  gives those of the lanes at any moment
    wished    told what the service asks for, on the courier's thread
    log       told which inspections are on record
    """

    def __init__(
        self,
        address: Address,
        *,
        accounts: Callable[[], tuple[LaneAccount, ...]] = tuple,
        wished: Callable[[Wish], None] = lambda _: None,
        log: WriteAheadLog | None = None,
    ) -> None:
        self._address = address
        self._accounts = accounts
        self._wished = wished
        self._log = log
        self._standing: dict[tuple[type, str], LaneState | RecipeState | LaneMode | LineState] = {}
        self._waiting: deque[Message] = deque()
        self._pictures = 0
        self._given_up = 0
        self._answers_for: dict[UUID, int] = {}
        self._delivered: dict[str, Delivered] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="courier", daemon=True)

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close(timeout_s=5.0)

    def send(self, message: Message) -> None:
        with self._changed:
            if isinstance(message, FrameSeen):
                if self._pictures >= PICTURES_KEPT_WAITING:
                    if not self._given_up:
                        logger.warning(
                            "%d pictures wait for the service; the next are given up.", self._pictures
                        )
                    self._give_up(message)
                    return
                self._pictures += 1
            elif isinstance(message, InspectionBegun):
                self._answers_for[message.id] = 0
            self._waiting.append(message)
            self._changed.notify()

    def _give_up(self, seen: FrameSeen) -> None:
        self._given_up += 1
        count, newest = 1, self._waiting[-1]
        if isinstance(newest, FramesUntold) and newest.inspection_id == seen.inspection_id:
            # Not on its way yet: so many pictures wait before it that it is in none of the next batches.
            self._waiting.pop()
            count += newest.count
        self._waiting.append(FramesUntold(inspection_id=seen.inspection_id, lane=seen.lane, count=count))

    def close(self, *, timeout_s: float) -> int:
        """Deliver what is waiting, as far as it goes in the time. Returns how many messages did not make it."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            return len(self._waiting)

    def _deliver(self) -> None:
        while not self._is_done():
            try:
                with Client(self._address.path, authkey=self._address.key) as service:
                    with self._changed:
                        hello = Hello(
                            dict(self._answers_for),
                            dict(self._delivered),
                            tuple(self._standing.values()),
                            "" if self._log is None else self._log.name,
                        )
                    service.send(hello)
                    self._deliver_to(service)
            except (OSError, EOFError):
                # The service is not there yet, or no more. Nothing is lost: it is all still waiting.
                with self._changed:
                    self._changed.wait(RETRY_S)

    def _deliver_to(self, service: Connection) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._closing.is_set():
                    self._changed.wait(ACCOUNT_EVERY_S)
                batch = [self._waiting[i] for i in range(min(BATCH, len(self._waiting)))]
                backlog = Backlog(
                    waiting=len(self._waiting) - len(batch),
                    given_up=self._given_up,
                    accounts=self._accounts(),
                )
                if not batch and self._closing.is_set():
                    return
            service.send(_Batch(batch, backlog))
            committed = service.recv()
            with self._changed:
                for _ in range(committed.messages):
                    self._let_go(self._waiting.popleft())
            for wish in committed.wishes:
                try:
                    self._wished(wish)
                except Exception:
                    # Of the lane's side, nothing of this connection: the records go on.
                    logger.exception("The service's wish cannot be done: %s", wish)
            if not backlog.waiting:
                self._closing.wait(GATHER_S)

    def _let_go(self, message: Message) -> None:
        match message:
            case FrameSeen():
                self._pictures -= 1
                self._took(message, 1)
            case FramesUntold():
                self._took(message, message.count)
            case LaneState() | RecipeState() | LaneMode() | LineState():
                self._standing[type(message), message.lane] = message
            case Inspection():
                self._answers_for.pop(message.id, None)
                if self._log is not None:
                    self._log.delivered(message.id)
                self._delivered[message.lane] = self._of(message.lane).with_unit(message)

    def _took(self, told: FrameSeen | FramesUntold, count: int) -> None:
        if told.inspection_id in self._answers_for:
            self._answers_for[told.inspection_id] += count
        self._delivered[told.lane] = self._of(told.lane).with_results(count)

    def _of(self, lane: str) -> Delivered:
        return self._delivered.get(lane, Delivered())

    def _is_done(self) -> bool:
        with self._changed:
            return self._closing.is_set() and not self._waiting


class Reception:
    """The service's end: one engine at a time, on a thread of its own.

    greet    told of each engine that comes, with what it answers for
    commit   makes a batch durable; while it raises, the engine keeps the batch
    stands   told how the deliveries stand, after each batch
    wishes   gives what the engine is to be asked for with the next answer
    gone     told when the engine's connection ends, as that of one that says nothing for `silent_s` is ended here
    """

    def __init__(
        self,
        address: Address,
        *,
        greet: Callable[[Hello], None],
        commit: Callable[[Sequence[Message]], None],
        stands: Callable[[Backlog], None],
        gone: Callable[[], None],
        wishes: Callable[[], Sequence[Wish]] = tuple,
        silent_s: float = SILENT_S,
    ) -> None:
        # A service that was killed leaves its socket's name behind, in a folder that only this station has.
        Path(address.path).unlink(missing_ok=True)
        self._listener = Listener(address.path, authkey=address.key)
        self._path = address.path
        self._greet = greet
        self._commit = commit
        self._stands = stands
        self._gone = gone
        self._wishes = wishes
        self._silent_s = silent_s
        self._refused = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="reception", daemon=True)

    def __enter__(self) -> Reception:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        # Closing alone does not wake a thread that waits for a connection; a connection does.
        with socket.socket(socket.AF_UNIX) as last, suppress(OSError):
            last.connect(self._path)
        self._listener.close()

    def _receive(self) -> None:
        while not self._closing.is_set():
            try:
                engine = self._listener.accept()
            except Exception:
                # Closed by us, or someone without the key: the one is the end, the other is not let in.
                if self._closing.is_set():
                    return
                logger.warning("A connection was refused at the engine's door.", exc_info=True)
                continue
            with engine:
                try:
                    self._attend(engine)
                except (OSError, EOFError):
                    logger.info("The engine's connection ended.")
                except Exception:
                    logger.exception("The engine was not understood.")
            self._gone()

    def _attend(self, engine: Connection) -> None:
        hello = engine.recv()
        if not isinstance(hello, Hello):
            raise TypeError(f"the engine began with {type(hello).__name__}, not Hello")
        if not self._has_taken(partial(self._greet, hello)):
            return
        while engine.poll(self._silent_s):
            batch = engine.recv()
            if not self._has_taken(partial(self._commit, batch.messages)):
                return
            self._refused = ""
            engine.send(_Committed(len(batch.messages), self._wishes()))
            self._stands(batch.backlog)
        logger.warning("The engine said nothing for %g s; it is away until it comes again.", self._silent_s)

    def _has_taken(self, take: Callable[[], None]) -> bool:
        """Whether what the engine brought is stored. What is not, is not acknowledged: the engine keeps it, comes again
        and brings it again, twice a second; so why is said once."""
        try:
            take()
        except Exception as error:
            why = f"{error.code} {error}" if isinstance(error, InspectionError) else repr(error)
            if why != self._refused:
                trace = None if isinstance(error, (InspectionError, OSError)) else error
                logger.error("What the engine brought is not stored, it keeps it: %s", why, exc_info=trace)
                self._refused = why
            return False
        return True
