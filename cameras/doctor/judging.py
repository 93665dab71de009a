"""From what was looked at to what is wrong with it. Pure: facts in, findings out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Interface
from itertools import groupby
from typing import TypeAlias

from cameras.doctor.facts import (
    Answers,
    CameraFacts,
    Facts,
    Heard,
    Interface,
    Opened,
    Streamed,
    Unseen,
)

WHEELS_FOR = ((3, 10), (3, 14))
"""Pythons that genicam 1.6.0 has wheels for, first and last. Source: its files on PyPI."""

WHEEL_MACHINES = {
    "Linux": ("x86_64", "aarch64", "armv7l"),
    "Windows": ("x86_64",),
    "Darwin": ("aarch64",),
}

ETHERNET_MTU, JUMBO_MTU = 1500, 9000
GIGABIT_MBPS = 1000
WANTED_BUFFER_BYTES = 64 * 2**20
FRAMES_IN_BUFFER = 4
LEAST_BUFFER_BYTES = 2**20
"""What any receiver should have: 4 frames, at least 1 MiB. With 64 MiB our own producer has its 16 frames of up to
2048 x 2048 px."""

PACKET_OVERHEAD_BYTES = 74
"""Of each packet on the wire beside pixels: GVSP 8, UDP and IP 28, Ethernet 18, preamble and gap 20."""
NOT_PIXELS_BYTES = 36
"""Of these, the 36 that a packet size counts."""

HEARTBEAT_MS = (1000, 30_000)
"""Below, a busy computer loses its camera; above, nobody can have the camera for so long after a crash."""

VLAN_TAG_BYTES = 4
"""Interfaces take a packet longer by a VLAN tag, tagged or not: 1504 bytes were seen to pass an MTU of 1500."""

WIDEST_NETWORK = 8
"""Bits of its mask. With fewer, an address of it would take this computer's other networks from it."""

ROUNDED = 0.9
"""A test packet a little smaller than was asked for is the one that was asked for."""

LINK_FULL, EXPOSURE_FULL = 0.9, 0.95
"""Shares of a link and of a period from which on nothing is left for a disturbance."""

SLOWEST_HZ = 1e-6
"""Of a rate: less than one picture in eleven days is no rate."""

WARM_C, HOT_C = 65.0, 80.0
"""Chosen by us: most data sheets allow a housing 50 to 65 °C. The camera's own data sheet decides."""

CLOCK_OFF_NS = 1_000_000

STRICT = 1
"""Of rp_filter. Source: Linux, Documentation/networking/ip-sysctl.rst."""

RULES_SHOWN = 3

FROM_FEATURES = ("pixel-format", "exposure", "clock", "temperature")
"""What only a camera that could be read shows."""


Said: TypeAlias = dict[str, str | int | float]


class Severity(IntEnum):
    """The worse, the higher. UNSEEN was not looked at, and so is not fine."""

    OK = 0
    NOTE = 1
    UNSEEN = 2
    WRONG = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, or could not be.

    code   stable; with the severity the key of its text, `doctor.<code>.<severity>`, and of the line that
           mends it, `doctor.<code>.mend`
    about  the interface, the camera's serial number, the file
    facts  the evidence, JSON-able, named as the texts name them; `why` where it could not be looked at
    """

    code: str
    severity: Severity
    about: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, the worst first, then in the order of looking: computer, network, camera by camera."""
    found = [
        *_python(facts),
        *_search(facts),
        *_producer(facts),
        *_network(facts),
        *_found(facts),
        *_firewall(facts),
        *(finding for camera in facts.cameras for finding in _camera(camera, facts)),
        *_socket_buffer(facts),
        *_bandwidths(facts),
    ]
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def _ok(code: str, about: str, **facts: str | int | float) -> Finding:
    return Finding(code=code, severity=Severity.OK, about=about, facts=facts)


def _note(code: str, about: str, **facts: str | int | float) -> Finding:
    return Finding(code=code, severity=Severity.NOTE, about=about, facts=facts)


def _wrong(code: str, about: str, **facts: str | int | float) -> Finding:
    return Finding(code=code, severity=Severity.WRONG, about=about, facts=facts)


def _unseen(code: str, about: str, unseen: Unseen) -> Finding:
    return Finding(code=code, severity=Severity.UNSEEN, about=about, facts={"why": unseen.why})


# --- this computer's programs ----------------------------------------------------------------------------


def _python(facts: Facts) -> Iterator[Finding]:
    python = facts.python
    version = ".".join(map(str, python.version))
    missing = [package.name for package in facts.packages if package.version is None]
    there = ", ".join(f"{package.name} {package.version}" for package in facts.packages if package.version)
    has_wheel = (
        WHEELS_FOR[0] <= python.version <= WHEELS_FOR[1]
        and python.machine in WHEEL_MACHINES.get(python.system, ())
        and python.bits == (32 if python.machine == "armv7l" else 64)
    )
    here: Said = {"python": version, "system": python.system, "machine": python.machine, "bits": python.bits}
    if not missing:
        yield _ok("python-packages", "python", there=there, **here)
    elif has_wheel:
        yield _wrong("python-packages", "python", missing=", ".join(missing), **here)
    else:
        first, last = (".".join(map(str, version)) for version in WHEELS_FOR)
        yield _wrong("python-wheel", "python", missing=", ".join(missing), first=first, last=last, **here)


def _search(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.search, Unseen):
        yield _ok("gentl-path-unset", "GENICAM_GENTL64_PATH")
        return
    whole = [folder for folder in facts.search if folder.producers is not None]
    for folder in facts.search:
        if folder.producers is None:
            rest = ":".join(other.path for other in whole)
            yield _wrong("gentl-path", "GENICAM_GENTL64_PATH", folder=folder.path, rest=rest)
        else:
            yield _ok("gentl-path", "GENICAM_GENTL64_PATH", folder=folder.path, producers=folder.producers)


def _producer(facts: Facts) -> Iterator[Finding]:
    producer, python = facts.producer, facts.python
    here: Said = {"bits": python.bits, "machine": python.machine}
    if not producer.is_there:
        yield _wrong("producer-not-built" if producer.is_ours else "producer-missing", producer.path)
        return
    if python.system == "Linux":
        if producer.elf is None:
            yield _wrong("producer-no-library", producer.path)
            return
        theirs: Said = {"file_bits": producer.elf.bits, "file_machine": producer.elf.machine}
        if (producer.elf.bits, producer.elf.machine) != (python.bits, python.machine):
            yield _wrong("producer-architecture", producer.path, **theirs, **here)
            return
        yield _ok("producer-architecture", producer.path, **theirs, **here)
    else:
        yield _unseen("producer-architecture", producer.path, Unseen("not_linux"))
    match producer.failure:
        case Unseen():
            yield _unseen("producer-loads", producer.path, producer.failure)
        case None:
            yield _ok("producer-loads", producer.path)
        case reason:
            yield _wrong("producer-loads", producer.path, reason=reason)


# --- the network -----------------------------------------------------------------------------------------


def _network(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.interfaces, Unseen):
        yield _unseen("interface", "network", facts.interfaces)
        return
    with_cameras = {device.interface for device in facts.heard}
    for interface in facts.interfaces:
        if not interface.is_loopback:
            has_camera = interface.name in with_cameras
            yield from _interface(interface, has_camera=has_camera, is_any_heard=bool(with_cameras))
    yield from _addresses(facts.heard, facts.interfaces)


def _interface(interface: Interface, *, has_camera: bool, is_any_heard: bool) -> Iterator[Finding]:
    name = interface.name
    if not interface.is_up:
        # What nobody gave an address is nobody's camera network.
        if interface.networks:
            yield _wrong("interface-down", name)
        return
    if not interface.has_carrier:
        yield _note("interface-cable", name)
        return
    if not interface.networks:
        if not is_any_heard:
            # Else it is likely a bridge's or a container's, and no camera is missed.
            yield _note("interface-address", name)
        return
    if not is_any_heard and interface.rp_filter == STRICT:
        yield _note("rp-filter-hides", name)
    networks = ", ".join(str(network) for network in interface.networks)
    if not has_camera:
        yield _ok("interface", name, networks=networks)
        return
    if interface.speed_mbps is None:
        yield _unseen("link-speed", name, Unseen("not_known"))
    elif interface.speed_mbps < GIGABIT_MBPS:
        yield _wrong("link-speed", name, speed_mbps=interface.speed_mbps, wanted_mbps=GIGABIT_MBPS)
    else:
        yield _ok("link-speed", name, speed_mbps=interface.speed_mbps)
    judged = _ok if interface.mtu >= JUMBO_MTU else _note if interface.mtu >= ETHERNET_MTU else _wrong
    yield judged(
        "mtu",
        name,
        mtu=interface.mtu,
        interface=name,
        wanted=JUMBO_MTU if interface.mtu >= ETHERNET_MTU else ETHERNET_MTU,
    )


def _addresses(heard: Iterable[Heard], interfaces: Iterable[Interface]) -> Iterator[Finding]:
    """Devices that share an address, and devices outside the subnet of the interface they were heard on."""
    by_name = {interface.name: interface for interface in interfaces}
    devices = sorted(
        heard, key=lambda device: (device.interface, device.address.ip, device.mac, device.serial)
    )
    for (name, address), group in groupby(devices, key=lambda device: (device.interface, device.address.ip)):
        sharing = list(group)
        if len(sharing) > 1:
            who = ", ".join(f"{device.serial or '?'} ({device.mac})" for device in sharing)
            yield _wrong("duplicate-ip", name, address=str(address), count=len(sharing), who=who)
        for device in sharing:
            if (interface := by_name.get(name)) is not None:
                yield _subnet(device, interface)


def _subnet(device: Heard, interface: Interface) -> Finding:
    about = device.serial or device.mac
    networks = ", ".join(str(network) for network in interface.networks) or "-"
    facts: Said = {"address": str(device.address), "interface": interface.name, "networks": networks}
    own = [network for network in interface.networks if device.address.ip in network.network]
    if not own:
        free = str(_another_address(device.address))
        if not interface.networks:
            return _wrong("subnet-none", about, **facts, free=free)
        near = _another_address(interface.networks[0])
        given: Said = {"mac": device.mac, "near": str(near.ip), "mask": str(near.netmask)}
        return _wrong("subnet", about, **facts, **given, free=free)
    # Of a loopback the whole network is this computer, whatever mask a device of it names.
    if not interface.is_loopback and all(network.ip not in device.address.network for network in own):
        return _wrong("subnet-mask", about, **facts, mask=str(own[0].netmask))
    return _ok("subnet", about, **facts)


def _another_address(beside: IPv4Interface) -> IPv4Interface:
    """Another address in the network of this one: the last host, or the one before it."""
    network = beside.network
    if beside.ip.is_unspecified:
        # It has no address yet: where a device gives itself one. Source: RFC 3927.
        network = IPv4Interface("169.254.0.0/16").network
    elif not WIDEST_NETWORK <= network.prefixlen <= 30:
        # Alone in its network, or none set: the /24 around it.
        network = IPv4Interface((beside.ip, 24)).network
    last = IPv4Address(int(network.broadcast_address) - 1)
    host = last if last != beside.ip else IPv4Address(int(last) - 1)
    return IPv4Interface((host, network.prefixlen))


def _found(facts: Facts) -> Iterator[Finding]:
    if facts.wanted is not None and not facts.cameras:
        there = ", ".join(sorted({device.serial for device in facts.heard})) or "-"
        yield _wrong("camera-not-found", facts.wanted, there=there)
    elif not facts.cameras:
        yield _wrong("camera-none", "network")


def _firewall(facts: Facts) -> Iterator[Finding]:
    """What its rules say. Whether they stop pictures, test packets show: see `stream-channel`."""
    answers = [camera.answers for camera in facts.cameras if camera.answers is not None]
    tested = [one.test_packets for one in answers if not isinstance(one.test_packets, Unseen)]
    is_proven = bool(tested) and all(one.largest is not None for one in tested)
    if isinstance(facts.firewall, Unseen):
        if not is_proven:
            yield _unseen("firewall", "firewall", facts.firewall)
        return
    judged = _note if facts.firewall and not is_proven else _ok
    yield judged("firewall", "firewall", count=len(facts.firewall), rules=_rules(facts))


def _rules(facts: Facts) -> str:
    return "-" if isinstance(facts.firewall, Unseen) else "; ".join(facts.firewall[:RULES_SHOWN]) or "-"


# --- each camera -----------------------------------------------------------------------------------------


def _camera(camera: CameraFacts, facts: Facts) -> Iterator[Finding]:
    about = camera.serial
    if camera.heard is not None and camera.answers is not None:
        yield from _answers(camera.heard, camera.answers, facts, about)
    if isinstance(camera.opened, Unseen):
        for code in ("opens", "frames", *FROM_FEATURES):
            yield _unseen(code, about, camera.opened)
        return
    opened = camera.opened
    if opened.failure is not None:
        code, reason = opened.failure
        yield _wrong("opens", about, error=code, reason=reason)
    else:
        yield _ok("opens", about)
    yield from _streamed(opened, about)
    if not opened.features:
        for code in FROM_FEATURES:
            yield _unseen(code, about, Unseen("not_opened"))
        return
    yield _pixel_format(opened, about)
    yield _exposure(opened, about)
    yield _clock(opened, about)
    yield _temperature(opened, about)


def _answers(heard: Heard, answers: Answers, facts: Facts, about: str) -> Iterator[Finding]:
    interfaces = () if isinstance(facts.interfaces, Unseen) else facts.interfaces
    interface = next((one for one in interfaces if one.name == heard.interface), None)
    address = str(heard.address.ip)
    if isinstance(answers.route, Unseen):
        yield _unseen("route", about, answers.route)
    else:
        by, _ = answers.route
        route = {"address": address, "by": by, "interface": heard.interface}
        yield (_ok if by == heard.interface else _wrong)("route", about, **route)
        if interface is not None and interface.rp_filter == STRICT and by != heard.interface:
            yield _wrong("rp-filter", about, **route)
    if answers.privilege == Unseen("no_answer"):
        # From another subnet no answer is to be expected, and that is said already.
        if interface is None or any(heard.address.ip in own.network for own in interface.networks):
            yield _wrong("control-channel", about, address=address)
        return
    if isinstance(answers.privilege, Unseen):
        yield _unseen("control", about, answers.privilege)
    elif answers.privilege == "open":
        yield _ok("control", about)
    else:
        heartbeat_s = "?" if isinstance(answers.heartbeat_ms, Unseen) else f"{answers.heartbeat_ms / 1000:g}"
        yield _note("control", about, privilege=answers.privilege, heartbeat_s=heartbeat_s)
    yield _heartbeat(answers, about)
    yield from _packets(answers, interface, facts, address, about)


def _heartbeat(answers: Answers, about: str) -> Finding:
    if isinstance(answers.heartbeat_ms, Unseen):
        return _unseen("heartbeat", about, answers.heartbeat_ms)
    least, most = HEARTBEAT_MS
    is_fine = least <= answers.heartbeat_ms <= most
    return (_ok if is_fine else _note)(
        "heartbeat", about, heartbeat_ms=answers.heartbeat_ms, least_ms=least, most_ms=most
    )


def _packets(
    answers: Answers, interface: Interface | None, facts: Facts, address: str, about: str
) -> Iterator[Finding]:
    tested = answers.test_packets
    mtu = None if interface is None else interface.mtu
    name = "-" if interface is None else interface.name
    largest = mtu
    if isinstance(tested, Unseen):
        yield _unseen("stream-channel", about, tested)
    elif tested.largest is None:
        yield _wrong(
            "stream-channel",
            about,
            size=min(tested.tried, default=0),
            rules=_rules(facts),
            interface=name,
            address=address,
        )
        largest = None
    else:
        yield _ok("stream-channel", about)
        if mtu is not None:
            # A camera may round a size down, and need not go as far as the network does.
            is_short = tested.largest < ROUNDED * min(max(tested.tried), JUMBO_MTU)
            yield (_note if is_short else _ok)("path-mtu", about, largest=tested.largest, mtu=mtu)
        largest = tested.largest
    if isinstance(answers.packet_size, Unseen):
        yield _unseen("packet-size", about, answers.packet_size)
    elif mtu is not None and answers.packet_size > mtu + VLAN_TAG_BYTES:
        yield _wrong("packet-size", about, size=answers.packet_size, mtu=mtu, interface=name)
    elif (
        largest is not None
        and not isinstance(tested, Unseen)
        and answers.packet_size > largest + VLAN_TAG_BYTES
    ):
        yield _wrong("packet-size-path", about, size=answers.packet_size, largest=largest)
    else:
        yield _ok("packet-size", about, size=answers.packet_size, mtu=mtu or 0)


def _streamed(opened: Opened, about: str) -> Iterator[Finding]:
    streamed = opened.streamed
    if isinstance(streamed, Unseen):
        yield _unseen("frames", about, streamed)
        return
    seconds = round(streamed.seconds, 1)
    if streamed.frames == 0:
        mode = str(opened.features.get("TriggerMode", "-"))
        source = str(opened.features.get("TriggerSource", "-"))
        if mode == "On":
            yield _note("frames-trigger", about, seconds=seconds, source=source)
        else:
            yield _wrong("frames", about, seconds=seconds)
        return
    counted = {"seconds": seconds, "frames": streamed.frames, "lost": streamed.lost}
    yield (_ok if streamed.lost == 0 else _wrong)(
        "frames-lost" if streamed.lost else "frames", about, **counted
    )
    if isinstance(streamed.incomplete, Unseen):
        yield _unseen("incomplete", about, streamed.incomplete)
    else:
        all_frames = streamed.frames + streamed.lost
        share = min(100.0, 100 * streamed.incomplete / max(1, all_frames))
        yield (_ok if streamed.incomplete == 0 else _wrong)(
            "incomplete", about, incomplete=streamed.incomplete, frames=all_frames, percent=round(share, 2)
        )
    if isinstance(streamed.resent, Unseen):
        yield _unseen("resends", about, streamed.resent)
    else:
        yield (_ok if streamed.resent == 0 else _note)(
            "resends", about, resent=streamed.resent, seconds=seconds
        )


def _pixel_format(opened: Opened, about: str) -> Finding:
    if isinstance(opened.is_format_understood, Unseen):
        return _unseen("pixel-format", about, opened.is_format_understood)
    name = str(opened.features.get("PixelFormat", "-"))
    return (_ok if opened.is_format_understood else _wrong)("pixel-format", about, format=name)


def _exposure(opened: Opened, about: str) -> Finding:
    exposure_us = _number(opened.features, "ExposureTime", "ExposureTimeAbs")
    rate = _rate(opened)
    if exposure_us is None:
        return _unseen("exposure", about, Unseen("no_feature"))
    if rate is None:
        return _unseen("exposure", about, Unseen("no_frames" if _is_triggered(opened) else "no_feature"))
    period_us = 1e6 / rate
    said = {
        "exposure_us": round(exposure_us, 1),
        "period_us": round(period_us, 1),
        "rate": round(rate, 2),
        "most_us": int(EXPOSURE_FULL * period_us),
    }
    if exposure_us >= period_us:
        return _wrong("exposure-trigger" if _is_triggered(opened) else "exposure", about, **said)
    if _is_triggered(opened) and exposure_us >= period_us / 2:
        # Of triggers that come within an exposure nothing is seen: of twice as many, each second may be missed.
        return _note("exposure-missed", about, **said)
    return (_ok if exposure_us < EXPOSURE_FULL * period_us else _note)("exposure", about, **said)


def _is_triggered(opened: Opened) -> bool:
    return opened.features.get("TriggerMode") == "On"


def _rate(opened: Opened) -> float | None:
    """Exposures a second: as set; of a camera that waits for triggers, as counted."""
    if not _is_triggered(opened):
        rate = _number(opened.features, "AcquisitionFrameRate", "AcquisitionFrameRateAbs")
        return rate if rate is not None and rate > SLOWEST_HZ else None
    streamed = opened.streamed
    if isinstance(streamed, Streamed) and streamed.frames + streamed.lost > 1 and streamed.seconds > 1e-3:
        return (streamed.frames + streamed.lost) / streamed.seconds
    return None


def _clock(opened: Opened, about: str) -> Finding:
    features = opened.features
    enabled = features.get("PtpEnable", features.get("GevIEEE1588"))
    if enabled is None:
        return _ok("clock-none", about)
    if enabled in (0, "False", "false", "Off"):
        return _ok("clock-off", about)
    status = str(features.get("PtpStatus", features.get("GevIEEE1588Status", "-")))
    if status not in ("Slave", "Master", "GrandMaster"):
        return _wrong("clock-status", about, status=status)
    offset_ns = _number(features, "PtpOffsetFromMaster", "GevIEEE1588OffsetFromMaster")
    if status != "Slave":
        return _ok("clock-master", about, status=status)
    if offset_ns is None:
        return _unseen("clock", about, Unseen("no_feature"))
    is_near = abs(offset_ns) < CLOCK_OFF_NS
    return (_ok if is_near else _wrong)("clock", about, status=status, offset_us=round(offset_ns / 1000, 1))


def _temperature(opened: Opened, about: str) -> Finding:
    degrees = _number(opened.features, "DeviceTemperature", "DeviceTemperatureAbs")
    if degrees is None:
        return _ok("temperature-none", about)
    judged = _wrong if degrees >= HOT_C else _note if degrees >= WARM_C else _ok
    return judged("temperature", about, degrees=round(degrees, 1))


def _number(features: Mapping[str, int | float | str], *names: str) -> float | None:
    for name in names:
        if isinstance(value := features.get(name), int | float) and math.isfinite(value):
            return float(value)
    return None


# --- what all cameras share ------------------------------------------------------------------------------


def _socket_buffer(facts: Facts) -> Iterator[Finding]:
    about = "net.core.rmem_max"
    if isinstance(facts.socket_buffer, Unseen):
        yield _unseen("socket-buffer", about, facts.socket_buffer)
        return
    sizes = [
        int(size)
        for camera in facts.cameras
        if isinstance(camera.opened, Opened)
        and (size := _number(camera.opened.features, "PayloadSize")) is not None
    ]
    most = facts.socket_buffer.most_bytes
    if not sizes:
        # How large a picture is, nobody said: then only the least that any camera needs can be judged.
        judged = _ok if most >= LEAST_BUFFER_BYTES or facts.socket_buffer.may_exceed else _note
        yield judged("socket-buffer-least", about, most_bytes=most, wanted_bytes=WANTED_BUFFER_BYTES)
        return
    frame_bytes = max(sizes)
    said: Said = {"most_bytes": most, "frame_bytes": frame_bytes, "wanted_bytes": WANTED_BUFFER_BYTES}
    if most >= min(WANTED_BUFFER_BYTES, max(LEAST_BUFFER_BYTES, FRAMES_IN_BUFFER * frame_bytes)):
        yield _ok("socket-buffer", about, **said)
    elif facts.socket_buffer.may_exceed:
        yield _note("socket-buffer-others", about, **said)
    else:
        # Less than a frame was measured to give no whole frame at all.
        yield (_wrong if most < frame_bytes else _note)("socket-buffer", about, **said)


def _bandwidths(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.interfaces, Unseen):
        return
    cameras = defaultdict(list)
    for camera in facts.cameras:
        if camera.heard is not None:
            cameras[camera.heard.interface].append(camera)
    there = {(device.mac, device.serial, device.interface) for device in facts.heard}
    for interface in facts.interfaces:
        if interface.name in cameras and not interface.is_loopback:
            heard = sum(1 for _, _, name in there if name == interface.name)
            # A camera that was opened is on the link, though its answer may not be among those heard.
            on_link = max(heard, len(cameras[interface.name]))
            yield _bandwidth(interface, cameras[interface.name], on_link)


def _bandwidth(interface: Interface, cameras: list[CameraFacts], on_link: int) -> Finding:
    about = interface.name
    loads = [_load_bytes_per_s(camera) for camera in cameras]
    if interface.speed_mbps is None:
        return _unseen("bandwidth", about, Unseen("not_known"))
    if None in loads or len(loads) < on_link:
        return _unseen("bandwidth", about, Unseen("not_opened"))
    load = sum(load for load in loads if load is not None)
    full = interface.speed_mbps * 1e6 / 8
    said = {
        "cameras": on_link,
        "load_mbps": round(load * 8 / 1e6, 1),
        "speed_mbps": interface.speed_mbps,
        "percent": round(100 * load / full),
        "each_bytes_per_s": int(LINK_FULL * full / on_link),
    }
    if load > full:
        return _wrong("bandwidth", about, **said)
    limits = [
        _number(camera.opened.features, "DeviceLinkThroughputLimit")
        for camera in cameras
        if isinstance(camera.opened, Opened)
    ]
    if load > LINK_FULL * full:
        return _note("bandwidth", about, **said)
    if on_link > 1 and sum(limit or full for limit in limits) > full:
        return _note("bandwidth-bursts", about, **said)
    return _ok("bandwidth", about, **said)


def _load_bytes_per_s(camera: CameraFacts) -> float | None:
    """What a camera's pictures are on the wire, headers with them; None where that is not known."""
    if not isinstance(camera.opened, Opened):
        return None
    payload = _number(camera.opened.features, "PayloadSize")
    rate = _rate(camera.opened)
    packet = _number(camera.opened.features, "GevSCPSPacketSize")
    if packet is None and camera.answers is not None and not isinstance(camera.answers.packet_size, Unseen):
        packet = camera.answers.packet_size
    if payload is None or rate is None or packet is None or packet <= NOT_PIXELS_BYTES:
        return None
    packets = -(-payload // (packet - NOT_PIXELS_BYTES)) + 2
    return (payload + packets * PACKET_OVERHEAD_BYTES) * rate
