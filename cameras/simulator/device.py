"""The device as its clients meet it: it answers GVCP, keeps its controller, and sends what the line shows."""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import IO, Any, Self

from cameras.errors import AddressUnusable
from cameras.simulator.acquisition import Account, Acquisition, setup_of
from cameras.simulator.clock import PART_PITCH_COUNTS, EdgeCounter, LineClock, lines_at
from cameras.simulator.description import MODEL, VENDOR, describe
from cameras.simulator.faults import Fault, FaultPlan, Kind
from cameras.simulator.features import (
    ACTION_TRIGGER,
    EVENTS,
    LINE_TRIGGER,
    SOFTWARE_TRIGGER,
    USER_SETS,
    features_of,
)
from cameras.simulator.protocol import (
    GVCP_PORT,
    Ack,
    Action,
    Code,
    Command,
    Discovery,
    EventMessage,
    ForceIp,
    Header,
    Malformed,
    PacketResend,
    ReadMemory,
    ReadRegisters,
    Status,
    WriteMemory,
    WriteRegisters,
    pack_ack,
    pack_event,
    parse_command,
    parse_header,
)
from cameras.simulator.ptp import STATES, Ptp
from cameras.simulator.registers import CONTROL_AT, Control, Identity, Refused, Registers, Sender, Value
from cameras.simulator.scene import Scene, strip_scene
from cameras.simulator.stream import StreamChannel, sender_at

logger = logging.getLogger(__name__)

_LOOK_S = 0.05
"""How often the heartbeat is looked at, and at most how late the device notices that it is to end."""

_SO_BINDTODEVICE = 25
"""Linux, <asm-generic/socket.h>. Since 5.7 a program needs no privilege for it."""

_NS = 1_000_000_000
_LOOPBACK_NETWORK = ipaddress.ip_network("127.0.0.0/8")
_EVERYONE = "255.255.255.255"
LOOPBACK = "lo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """A simulated camera. Listens on `address`, and to the broadcasts of `interface`: nowhere else.

    interface       where clients look for devices by broadcast; None answers only who knows the address
    truth           a file that gets a line of JSON for every exposure
    first_block_id  of each start; near 65535 shows the wrap soon
    described, said the description and each answer to a command as they leave; tests make them lie
    """

    address: str = "127.0.0.1"
    port: int = GVCP_PORT
    interface: str | None = LOOPBACK
    serial: str = "LYNCEUS-1"
    scene: Scene = field(default_factory=strip_scene)
    frames_per_s: float = 10.0
    faults: FaultPlan = field(default_factory=FaultPlan)
    truth: Path | None = None
    first_block_id: int = 1
    described: Callable[[bytes], bytes] = bytes
    said: Callable[[bytes], bytes] = bytes


class SimulatedCamera:
    """On from entering to leaving. Entering raises AddressUnusable, and OSError for the file of truth."""

    def __init__(self, settings: DeviceSettings, *, clock: LineClock | None = None) -> None:
        self._settings = settings
        speed = settings.frames_per_s
        speed *= settings.scene.default_wh_px[1] if settings.scene.is_line_scan else PART_PITCH_COUNTS
        self._clock = clock or LineClock(counts_per_s=speed)
        self._counter = EdgeCounter(self._clock)
        self._account = Account()
        self._control = Control()
        self._closing = Event()
        self._returns = Event()
        self._cut_off_until_ns = 0
        self._clock_offset_ns = 0
        self._latched = 0
        self._events = 0
        self._ptp = Ptp()
        self._truth_lock = Lock()
        self._truth_file: IO[str] | None = None

    def __enter__(self) -> Self:
        settings = self._settings
        self._closing.clear()
        self._address = settings.address
        with ExitStack() as opening:
            if settings.truth is not None:
                self._truth_file = opening.enter_context(settings.truth.open("w", encoding="utf-8"))
            self._listen(opening)
            self._registers = self._made_registers()
            self._user_sets = [self._registers.settings()] * len(USER_SETS)
            self._acquisition = Acquisition(
                registers=self._registers,
                stream=self._stream,
                clock=self._clock,
                counter=self._counter,
                scene=settings.scene,
                plan=settings.faults,
                account=self._account,
                first_block_id=settings.first_block_id,
                happen=self._happen,
                is_cut_off=self._is_cut_off,
                device_time=self._device_time,
                truth=self._tell,
                report=self._report,
            )
            opening.callback(self._acquisition.close)
            server = Thread(target=self._serve, name="simulated camera answers", daemon=True)
            server.start()
            opening.callback(server.join)
            opening.callback(self._closing.set)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def counts(self) -> Counter[str]:
        """What it did so far, by name: triggers, blocks, sent, each fault as `fault_…`, and so on."""
        return self._account.counts()

    @property
    def stream_port(self) -> int:
        """Of its client, where pictures go; 0 for nowhere."""
        return self._registers.integer("GevSCPHostPort")

    def demand(self, kind: Kind, *, seconds: float | None = None) -> None:
        """A fault at the next exposure."""
        self._settings.faults.demand(kind, seconds=seconds)

    # --- answering -------------------------------------------------------------------------------------

    def _listen(self, opening: ExitStack) -> None:
        settings = self._settings
        try:
            if ipaddress.IPv4Address(settings.address).is_unspecified:
                raise ValueError("that is every address, not one")
            self._selector = opening.enter_context(selectors.DefaultSelector())
            self._socket = self._listener(settings.address)
            opening.callback(lambda: self._socket.close())
            if settings.interface is not None:
                opening.enter_context(self._listener(_EVERYONE, interface=settings.interface))
            if settings.interface == LOOPBACK:
                everyone_here = str(_LOOPBACK_NETWORK.broadcast_address)
                opening.enter_context(self._listener(everyone_here, interface=LOOPBACK))
            self._messages = sender_at(settings.address)
            opening.callback(lambda: self._messages.close())
            self._stream = StreamChannel(settings.address)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise AddressUnusable(
                f"A simulated camera cannot listen on {settings.address}, port {settings.port}: {reason}.",
                action="End the other camera there, or give another address of this computer.",
                address=settings.address,
                port=settings.port,
                reason=reason,
            ) from error
        opening.callback(self._stream.close)

    def _listener(self, address: str, *, interface: str | None = None) -> socket.socket:
        with ExitStack() as opening:
            listener = opening.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            if interface is not None:
                # All devices of a network hear its broadcasts. Without the interface, this one would hear those
                # of every network this computer is in.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
            listener.bind((address, self._settings.port))
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ)
            opening.pop_all()
        return listener

    def _serve(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(_LOOK_S):
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                try:
                    data, sender = listener.recvfrom(2048)
                except OSError:
                    # Nothing there after all, or a client went away before its answer came, or this one moved.
                    continue
                if not self._is_cut_off():
                    self._answer(data, sender)
            if self._returns.is_set() and not self._is_cut_off():
                self._returns.clear()
                self._return()
            timeout_s = self._registers.integer("GevHeartbeatTimeout") / 1000
            if self._control.is_silent(now_s=time.monotonic(), timeout_s=timeout_s):
                self._account.add("heartbeats_lost")
                self._drop_control()

    def _return(self) -> None:
        """To its own address, after a restart: one that it was forced to is forgotten."""
        try:
            self._move(self._settings.address)
        except OSError as error:
            logger.warning("the simulated camera stays at %s: %s", self._address, error)

    def _answer(self, data: bytes, sender: Sender) -> None:
        try:
            header = parse_header(data)
        except Malformed as error:
            logger.debug("unanswered: %s", error)
            self._account.add("malformed")
            return
        try:
            command = parse_command(header)
            self._control.heard(sender, now_s=time.monotonic())
            body = self._do(command, sender)
            status = Status.SUCCESS
        except Malformed as error:
            self._account.add("malformed")
            body, status = b"", error.status
        except Refused as error:
            body, status = b"", error.status
        if body is not None and header.wants_ack and header.code != Code.PACKET_RESEND:
            self._reply(header, status, body, sender)

    def _reply(self, header: Header, status: Status, body: bytes, sender: Sender) -> None:
        code = header.code + 1 & 0xFFFF
        ack = pack_ack(Ack(status=status, code=code, request_id=header.request_id, body=body))
        try:
            self._socket.sendto(self._settings.said(ack), sender)
        except OSError as error:
            logger.debug("no answer to %s: %s", sender, error)

    def _do(self, command: Command, sender: Sender) -> bytes | None:
        """The body of the answer; None where there is to be none. Raises Refused."""
        match command:
            case Discovery():
                return self._registers.discovery()
            case ForceIp():
                return self._force_ip(command)
            case ReadRegisters(addresses=addresses):
                self._control.check_read(sender)
                return b"".join(self._registers.read(address, 4) for address in addresses)
            case ReadMemory(address=address, count=count):
                self._control.check_read(sender)
                return address.to_bytes(4) + self._registers.read(address, count)
            case WriteRegisters(values=values):
                for address, value in values:
                    self._write(address, value.to_bytes(4), sender)
                return len(values).to_bytes(4)
            case WriteMemory(address=address, data=data):
                self._write(address, data, sender)
                return len(data).to_bytes(4)
            case PacketResend():
                resent = self._stream.resend(command)
                self._account.add("resent", resent.sent)
                self._account.add("resend_unavailable", resent.unavailable)
                return None
            case Action():
                return self._act(command)

    def _act(self, command: Action) -> bytes | None:
        """Devices that are not meant, or that nobody controls, do not answer."""
        registers = self._registers
        keys = registers.integer("ActionDeviceKey"), registers.integer("ActionGroupKey")
        is_meant = registers.integer("ActionGroupMask") & command.group_mask
        if self._control.holder is None or not is_meant or keys != (command.device_key, command.group_key):
            return None
        if registers.choice("TriggerSource") == ACTION_TRIGGER:
            self._acquisition.trigger(ACTION_TRIGGER)
        return b""

    def _write(self, address: int, data: bytes, sender: Sender) -> None:
        if address == CONTROL_AT and len(data) == 4:
            before = self._control.holder
            self._control.request(sender, int.from_bytes(data), now_s=time.monotonic())
            if before is not None and self._control.holder is None:
                self._drop_control()
            return
        self._control.check_write(sender)
        self._registers.write(address, data)

    def _force_ip(self, command: ForceIp) -> bytes | None:
        """Another address of this computer's own network, until it restarts. 0 is "ask again": it stays."""
        if command.mac != self._mac().to_bytes(6):
            return None
        if self._control.holder is not None:
            raise Refused(Status.ACCESS_DENIED)
        wanted = ipaddress.IPv4Address(command.address)
        if wanted.is_unspecified or str(wanted) == self._address:
            return b""
        is_here = ipaddress.IPv4Address(self._address) in _LOOPBACK_NETWORK and wanted in _LOOPBACK_NETWORK
        if not is_here or wanted == _LOOPBACK_NETWORK.broadcast_address:
            raise Refused(Status.INVALID_PARAMETER)
        try:
            self._move(str(wanted))
        except OSError as error:
            raise Refused(Status.INVALID_PARAMETER) from error
        return b""

    def _move(self, address: str) -> None:
        """Raises OSError where it cannot listen there, and then stays where it is."""
        before = self._socket
        self._socket = self._listener(address)
        self._selector.unregister(before)
        before.close()
        self._messages.close()
        self._messages = sender_at(address)
        self._stream.move(address)
        self._address = address
        self._registers.put("GevCurrentIPAddress", int(ipaddress.ip_address(address)))

    # --- registers -------------------------------------------------------------------------------------

    def _made_registers(self) -> Registers:
        settings = self._settings
        features = features_of(
            sensor_wh_px=settings.scene.sensor_wh_px,
            default_wh_px=settings.scene.default_wh_px,
            fps=settings.frames_per_s,
            is_line_scan=settings.scene.is_line_scan,
        )
        identity = Identity(
            vendor=VENDOR,
            model=MODEL,
            version=version("lynceus"),
            about=settings.scene.about,
            serial=settings.serial,
            user_id="",
            mac=self._mac(),
            address=int(ipaddress.ip_address(settings.address)),
            mask=int(_LOOPBACK_NETWORK.netmask),
        )
        return Registers(
            features,
            identity=identity,
            description=settings.described(describe(features)),
            is_busy=lambda: self._acquisition.is_on,
            done=self._done,
            live={
                "EncoderValue": self._clock.encoder,
                "CounterValue": self._counter.count,
                "LineStatusAll": lambda: lines_at(self._clock.encoder()),
                "PayloadSize": lambda: setup_of(self._registers).payload_bytes,
                "GevTimestampValue": lambda: self._latched,
                "GevCCP": lambda: self._control.privilege,
                "DeviceTemperature": self._temperature_c,
            },
        )

    def _done(self, name: str, value: Value) -> None:
        match name:
            case "AcquisitionStart":
                self._run_line()
                self._acquisition.start()
            case "AcquisitionStop":
                self._acquisition.stop()
            case "TriggerSoftware":
                self._acquisition.trigger(SOFTWARE_TRIGGER)
            case "AcquisitionFrameRate" | "Height":
                self._run_line()
            case "CounterEventSource":
                self._switch_counter()
            case "CounterReset":
                self._counter.reset()
            case "DeviceReset":
                self._happen(Fault(kind=Kind.REBOOT, seconds=1.0))
            case "GevTimestampControlLatch":
                self._latched = self._device_time(self._clock.now_ns())
            case "GevTimestampControlReset":
                self._clock_offset_ns = -self._clock.now_ns()
            case "UserSetLoad":
                self._load_user_set(self._registers.integer("UserSetSelector"))
            case "UserSetSave":
                self._save_user_set(self._registers.integer("UserSetSelector"))
            case "PtpEnable":
                self._follow_ptp(wanted=bool(value))
            case "PtpDataSetLatch":
                self._latch_ptp()
            case "GevSCPHostPort" | "GevSCDA":
                self._aim()
            case "GevSCPSDoNotFragment":
                self._stream.do_not_fragment(bool(value))
            case "GevSCPSFireTestPacket":
                self._stream.test_packet(self._registers.integer("GevSCPSPacketSize"))

    def _load_user_set(self, index: int) -> None:
        if self._acquisition.is_on:
            raise Refused(Status.BUSY)
        self._registers.take(self._user_sets[index])
        self._switch_counter()
        self._run_line()

    def _save_user_set(self, index: int) -> None:
        if index == 0:
            raise Refused(Status.WRITE_PROTECT)
        self._user_sets[index] = self._registers.settings()

    def _switch_counter(self) -> None:
        self._counter.switch(is_on=self._registers.choice("CounterEventSource") == LINE_TRIGGER)

    def _follow_ptp(self, *, wanted: bool) -> None:
        now_ns = self._clock.now_ns()
        if wanted:
            self._ptp.enable(now_ns)
            return
        # Its clock goes on from where the master's left it.
        self._clock_offset_ns = self._device_time(now_ns) - now_ns
        self._ptp.disable()

    def _latch_ptp(self) -> None:
        now_ns = self._clock.now_ns()
        self._registers.put("PtpStatus", STATES[self._ptp.state(now_ns)])
        self._registers.put("PtpOffsetFromMaster", self._ptp.offset_ns(now_ns))

    def _temperature_c(self) -> float:
        """From 30 to 45 degrees, two thirds of it in the first ten minutes."""
        return 45 - 15 * math.exp(-self._clock.now_ns() / (600 * _NS))

    def _run_line(self) -> None:
        """For want of a drive, the client's frame rate is how fast the line runs."""
        counts = self._registers.integer("Height") if self._settings.scene.is_line_scan else PART_PITCH_COUNTS
        self._clock.run_at(self._registers.number("AcquisitionFrameRate") * counts)

    def _aim(self) -> None:
        host = self._registers.integer("GevSCDA")
        port = self._registers.integer("GevSCPHostPort") if host else 0
        try:
            self._stream.aim(str(ipaddress.ip_address(host)), port)
        except OSError as error:
            raise Refused(Status.INVALID_PARAMETER) from error

    # --- what happens to it ----------------------------------------------------------------------------

    def _happen(self, fault: Fault) -> None:
        duration_ns = int(fault.seconds * _NS)
        match fault.kind:
            case Kind.LINK:
                self._cut_off_until_ns = self._clock.now_ns() + duration_ns
            case Kind.REBOOT:
                self._cut_off_until_ns = self._clock.now_ns() + duration_ns
                self._drop_control()
                self._stream.forget()
                self._restart()
            case Kind.HEARTBEAT:
                self._drop_control()
            case Kind.JUMP:
                self._clock_offset_ns += duration_ns
            case Kind.PTP:
                self._ptp.lose_master(self._clock.now_ns(), duration_ns)

    def _restart(self) -> None:
        """Of what was set it keeps its name and its user sets, and begins with the one that it is told to."""
        user_set = self._registers.integer("UserSetDefault")
        self._registers.begin(user_id=self._registers.text("DeviceUserID"))
        self._registers.put("UserSetDefault", user_set)
        self._registers.take(self._user_sets[user_set])
        self._switch_counter()
        self._counter.reset()
        self._run_line()
        self._registers.put("GevCurrentIPAddress", int(ipaddress.ip_address(self._address)))
        if self._address != self._settings.address:
            self._returns.set()
        self._ptp.disable()
        self._clock_offset_ns = -self._clock.now_ns()

    def _drop_control(self) -> None:
        """A device without a controller sends nothing."""
        self._control.drop()
        self._acquisition.stop()
        self._registers.put("GevSCPHostPort", 0)
        self._registers.put("GevMCPHostPort", 0)
        self._stream.aim("", 0)

    def _is_cut_off(self) -> bool:
        return self._clock.now_ns() < self._cut_off_until_ns

    def _device_time(self, line_ns: int) -> int:
        followed_ns = self._ptp.time_ns(self._clock.now_ns(), line_ns)
        return max(0, line_ns + self._clock_offset_ns if followed_ns is None else followed_ns)

    def _mac(self) -> int:
        """Locally administered, and one to each address."""
        return 0x024C << 32 | int(ipaddress.ip_address(self._settings.address))

    def _report(self, name: str, block_id: int, at_ns: int) -> None:
        """An event, to who listens to its message channel. As all of GVCP it may be lost on its way."""
        registers = self._registers
        port = registers.integer("GevMCPHostPort")
        is_wanted = registers.integer("EventNotification", index=list(EVENTS).index(name))
        if not (port and is_wanted) or self._is_cut_off():
            return
        self._events = self._events % 0xFFFF + 1
        event = EventMessage(event_id=EVENTS[name], block_id=block_id, timestamp=self._device_time(at_ns))
        try:
            host = str(ipaddress.ip_address(registers.integer("GevMCDA")))
            self._messages.sendto(pack_event(event, request_id=self._events), (host, port))
        except OSError as error:
            logger.debug("no event to port %s: %s", port, error)

    def _tell(self, said: dict[str, Any]) -> None:
        if self._truth_file is None:
            return
        with self._truth_lock:
            self._truth_file.write(json.dumps(said) + "\n")
            self._truth_file.flush()
