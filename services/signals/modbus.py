"""The lanes' registers over Modbus TCP; the only file that knows pymodbus. A process of its own serves them, so that
who asks too often, or too much, takes nothing from the lanes."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final, Self

from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.pdu import ExceptionResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from inspection.errors import InspectionError
from services.ports import why_taken
from services.signals.handshake import (
    LENGTH,
    OFFSETS,
    PER_LANE,
    Beat,
    Clients,
    Done,
    LaneGaveUp,
    LaneRegisters,
    LaneSaid,
    LaneStands,
    LaneTold,
    NotWritable,
    Read,
    ToLine,
)

logger = logging.getLogger(__name__)

_ANY_UNIT: Final = 0
"""Every unit identifier is answered: gateways and PLCs differ in the one they send."""

ANSWER_S: Final = 2.0

FUNCTIONS: Final = frozenset({3, 4, 6, 16, 23})
"""Reading and writing registers. The library knows others, some of which stop its own answering (8)."""

_HEADER_BYTES: Final = 7
_LENGTHS: Final = range(2, 255)
"""Of what follows a header's length: the unit, then 1 to 253 bytes of request.
Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3."""

_GONE: Final = {
    "TCP_KEEPIDLE": 3,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 6000,
}
"""A PLC that is switched off, or whose cable is pulled, closes nothing: its connection is over when for 6 s nothing of
it was heard (s, s, tries) or what it was sent was not confirmed (ms)."""


class LineAway(InspectionError):
    """Nothing answers as a station's line interface. Facts: host, port, reason."""

    code = "LIN-AWAY"


def serve_line(
    host: str, port: int, allowed: Sequence[str], there: dict[int, LaneRegisters], words: Connection
) -> None:
    """Main of the process, until the other end of `words` is gone.

    allowed  addresses that may connect; who else does is hung up on
    there    of each lane, by its number from 1
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError):
        asyncio.run(_serve(host, port, frozenset(map(ip_address, allowed)), there, words))


async def _serve(
    host: str, port: int, allowed: frozenset[object], there: dict[int, LaneRegisters], words: Connection
) -> None:
    # What the library says of an address that cannot be listened on is only that.
    if (reason := why_taken(host, port)) is not None:
        words.send(Clients(None, reason))
        return
    server = _Server(there, words, host=host, port=port, allowed=allowed)
    await server.serve_forever(background=True)
    server.say_clients()
    ended = asyncio.get_running_loop().create_future()

    def hear() -> None:
        try:
            while words.poll():
                message = words.recv()
                _heard(there, message)
                if isinstance(message, Beat):
                    # It lives, too.
                    server.say_clients()
        except (EOFError, OSError):
            if not ended.done():
                ended.set_result(None)

    asyncio.get_running_loop().add_reader(words.fileno(), hear)
    await ended
    server.close()


def _heard(there: dict[int, LaneRegisters], message: ToLine) -> None:
    match message:
        case Beat():
            for one in there.values():
                one.beat(time.monotonic())
        case LaneTold(lane, told):
            there[lane].told(told)
        case LaneGaveUp(lane, number):
            there[lane].give_up(number)
        case LaneStands(lane, standing):
            there[lane].stands(standing)


class _Server(ModbusTcpServer):
    def __init__(
        self,
        there: dict[int, LaneRegisters],
        words: Connection,
        *,
        host: str,
        port: int,
        allowed: frozenset[object],
    ) -> None:
        blocks = [
            SimData(address=PER_LANE * number, values=[0] * LENGTH, datatype=DataType.REGISTERS)
            for number in there
        ]
        device = SimDevice(id=_ANY_UNIT, simdata=blocks, action=partial(_accessed, there, words))
        super().__init__(device, address=(host, port))
        self.allowed = allowed
        self.connected = 0
        self._words = words

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Caller(self, None, None, None)

    def say_clients(self) -> None:
        self._words.send(Clients(self.connected))


class _Caller(ServerRequestHandler):
    """One connection. Of an address that may not connect it ends before anything is read.

    What comes is cut into requests here, and answered one after the other: the library would answer the first of those
    that come together, and forget the rest.
    """

    _is_let_in = False
    _received: asyncio.StreamReader
    _answering: asyncio.Task[None]

    def callback_connected(self) -> None:
        super().callback_connected()
        peer = self.transport.get_extra_info("peername")
        if ip_address(peer[0].partition("%")[0]) not in self.server.allowed:
            logger.warning("%s is none of the addresses that may connect to the line interface", peer[0])
            self.close()
            return
        self._is_let_in = True
        _notice_when_gone(self.transport.get_extra_info("socket"))
        self._received = asyncio.StreamReader()
        # Who asks faster than it is answered waits.
        self._received.set_transport(self.transport)
        self._answering = asyncio.create_task(self._answer())
        self.server.connected += 1
        self.server.say_clients()

    def callback_disconnected(self, exc: Exception | None) -> None:
        super().callback_disconnected(exc)
        if self._is_let_in:
            # What came before the end is still done.
            self._received.feed_eof()
            self._is_let_in = False
            self.server.connected -= 1
            self.server.say_clients()

    def data_received(self, data: bytes) -> None:
        if self._is_let_in:
            self._received.feed_data(data)

    async def _answer(self) -> None:
        try:
            while True:
                header = await self._received.readexactly(_HEADER_BYTES)
                protocol, length = header[2:4], int.from_bytes(header[4:6], "big")
                if protocol != b"\0\0" or length not in _LENGTHS:
                    logger.warning("What came on the line interface is no Modbus: %s", header.hex(" "))
                    break
                # The unit is counted, and read already.
                request = await self._received.readexactly(length - 1)
                if request[0] in FUNCTIONS:
                    await self._answer_one(header, request)
                else:
                    self._refuse(header, request[0], ExcCodes.ILLEGAL_FUNCTION)
                # The engine's words, and other connections, are not kept waiting by one that asks much at once.
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            return
        if self.is_active():
            self.close()
            # The library tells of no end that was made here.
            self.callback_disconnected(None)

    async def _answer_one(self, header: bytes, request: bytes) -> None:
        try:
            _, self.last_pdu = self.framer.handleFrame(header + request, 0, 0)
        except ModbusIOException:
            self._refuse(header, request[0], ExcCodes.ILLEGAL_VALUE)
        else:
            await self.handle_request()

    def _refuse(self, header: bytes, function: int, why: ExcCodes) -> None:
        refusal = ExceptionResponse(function & 0x7F, why)
        refusal.transaction_id, refusal.dev_id = int.from_bytes(header[:2], "big"), header[6]
        self.server_send(refusal, None)


def _notice_when_gone(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _GONE.items():
        # Not every system has each of them.
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def _accessed(
    there: dict[int, LaneRegisters],
    words: Connection,
    function: int,
    start: int,
    address: int,
    count: int,
    registers: list[int],
    values: list[int] | list[bool] | None,
) -> ExcCodes | None:
    """Before registers are read, they are brought up to date; what is written is taken up, or refused."""
    if values is not None:
        number, first = divmod(address, PER_LANE)
        try:
            said = there[number].written(first, [int(value) for value in values])
        except NotWritable as error:
            logger.warning("The PLC wrote what it may not: %s", error)
            return ExcCodes.ILLEGAL_VALUE if first in range(LENGTH) else ExcCodes.ILLEGAL_ADDRESS
        for one in said:
            words.send(LaneSaid(number, one))
        return None
    now_s = time.monotonic()
    for number in range(address // PER_LANE, (address + count - 1) // PER_LANE + 1):
        at = number * PER_LANE - start
        registers[at : at + LENGTH] = there[number].registers(now_s)
    return None


class Plc:
    """A PLC's end of it, for who tries a station out."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._client = ModbusTcpClient(host, port=port, timeout=ANSWER_S, retries=0)

    def __enter__(self) -> Self:
        try:
            # What the library says of a connection that failed is only that, and in the log.
            socket.create_connection((self._host, self._port), ANSWER_S).close()
        except OSError as error:
            raise self._away(error.strerror or str(error)) from error
        if not self._client.connect():
            raise self._away("it hung up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def read(self, lane: int) -> Read:
        """How the lane stands, in one request. Raises LineAway."""
        try:
            answer = self._client.read_input_registers(PER_LANE * lane, count=LENGTH)
        except (ModbusException, OSError) as error:
            raise self._away(str(error)) from error
        if answer.isError():
            raise self._away(f"lane {lane}: {answer}")
        return Read.of(answer.registers)

    def take(self, lane: int, read: Read, done: Done) -> None:
        """The verdict that was shown is taken. Raises LineAway."""
        if read.shown is not None:
            self._write(lane, "session_taken", [read.session, read.shown.number, done])

    def want_recipe(self, lane: int, number: int) -> None:
        """Ask for another recipe; 0 asks for none, and lets the same be asked for again. Raises LineAway."""
        self._write(lane, "recipe_wanted", [number])

    def _write(self, lane: int, name: str, values: list[int]) -> None:
        try:
            answer = self._client.write_registers(PER_LANE * lane + OFFSETS[name], values)
        except (ModbusException, OSError) as error:
            raise self._away(str(error)) from error
        if answer.isError():
            raise self._away(f"lane {lane}: {answer}")

    def _away(self, reason: str) -> LineAway:
        return LineAway(
            f"{self._host}:{self._port} does not answer as a line interface: {reason}.",
            action="Check that the station runs, that its file has [line] with this address, and that clients names "
            "this computer's.",
            host=self._host,
            port=self._port,
            reason=reason,
        )
