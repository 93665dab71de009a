"""From facts to findings. Nothing is looked at here."""

from dataclasses import fields, replace
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.doctor.facts import (
    Answers,
    CameraFacts,
    Elf,
    Facts,
    Heard,
    Interface,
    Opened,
    Package,
    ProducerFile,
    Python,
    SearchFolder,
    SocketBuffer,
    Streamed,
    TriedPackets,
    Unseen,
)
from cameras.doctor.judging import Severity, judge

WRONG, UNSEEN, NOTE, OK = Severity.WRONG, Severity.UNSEEN, Severity.NOTE, Severity.OK

PYTHON = Python(version=(3, 12), system="Linux", machine="x86_64", bits=64)
PACKAGES = (Package(name="harvesters", version="1.4.3"), Package(name="genicam", version="1.6.0"))
PRODUCER = ProducerFile(
    path="/opt/vendor.cti", is_ours=False, is_there=True, elf=Elf(bits=64, machine="x86_64"), failure=None
)
ETH = Interface(
    name="eth1",
    networks=(IPv4Interface("10.0.0.1/24"),),
    is_up=True,
    has_carrier=True,
    is_loopback=False,
    mtu=9000,
    speed_mbps=1000,
    rp_filter=0,
)
HEARD = Heard(
    interface="eth1",
    mac="02:00:00:00:00:01",
    address=IPv4Interface("10.0.0.2/24"),
    serial="A",
    user_id="",
    vendor="V",
    model="M",
)
ANSWERS = Answers(
    route=("eth1", IPv4Address("10.0.0.1")),
    privilege="open",
    packet_size=8000,
    heartbeat_ms=3000,
    test_packets=TriedPackets(largest=9000, tried=(9000, 1500, 576)),
)
FEATURES = {
    "PixelFormat": "Mono8",
    "PayloadSize": 1_000_000,
    "ExposureTime": 1000.0,
    "AcquisitionFrameRate": 50.0,
    "TriggerMode": "Off",
    "TriggerSource": "Line1",
    "DeviceTemperature": 40.0,
    "PtpEnable": 0,
}
STREAMED = Streamed(seconds=2.0, frames=100, lost=0, incomplete=0, resent=0)
OPENED = Opened(features=FEATURES, is_format_understood=True, streamed=STREAMED)
CAMERA = CameraFacts(serial="A", heard=HEARD, answers=ANSWERS, opened=OPENED)
FACTS = Facts(
    python=PYTHON,
    packages=PACKAGES,
    producer=PRODUCER,
    search=(SearchFolder(path="/opt", producers=1),),
    interfaces=(ETH,),
    socket_buffer=SocketBuffer(most_bytes=64 * 2**20, may_exceed=False),
    firewall=(),
    wanted=None,
    heard=(HEARD,),
    cameras=(CAMERA,),
)


def of_camera(**changes):
    """The facts with one camera changed: its own facts, its answers', or those of opening it."""
    answers, opened, camera = ANSWERS, OPENED, CAMERA
    for name, value in changes.items():
        if name in {field.name for field in fields(Answers)}:
            answers = replace(answers, **{name: value})
        elif name in {field.name for field in fields(Opened)}:
            opened = replace(opened, **{name: value})
        else:
            camera = replace(camera, **{name: value})
    if "opened" not in changes:
        camera = replace(camera, opened=opened)
    heard = changes.get("heard", HEARD)
    return replace(FACTS, heard=(heard,), cameras=(replace(camera, answers=answers),))


def of_features(**changes):
    return of_camera(features=FEATURES | changes)


def of_stream(**changes):
    return of_camera(streamed=replace(STREAMED, **changes))


def of_interface(**changes):
    return replace(FACTS, interfaces=(replace(ETH, **changes),))


def of_two(*cameras):
    heard = tuple(camera.heard for camera in cameras)
    return replace(FACTS, heard=heard, cameras=cameras)


def another(serial="B", address="10.0.0.3/24", mac="02:00:00:00:00:02", **features):
    heard = replace(HEARD, serial=serial, address=IPv4Interface(address), mac=mac)
    opened = replace(OPENED, features=FEATURES | features)
    return CameraFacts(serial=serial, heard=heard, answers=ANSWERS, opened=opened)


def test_where_nothing_is_wrong_nothing_but_fine_is_said():
    assert {finding.severity for finding in judge(FACTS)} == {OK}


CASES = {
    "a package that is missing": (
        replace(FACTS, packages=(PACKAGES[0], Package(name="genicam", version=None))),
        ("python-packages", WRONG, {"missing": "genicam"}),
    ),
    "a Python that has no wheel": (
        replace(
            FACTS, python=replace(PYTHON, version=(3, 15)), packages=(Package(name="genicam", version=None),)
        ),
        ("python-wheel", WRONG, {"python": "3.15", "last": "3.14"}),
    ),
    "a machine that has no wheel": (
        replace(
            FACTS,
            python=replace(PYTHON, machine="riscv64"),
            producer=replace(PRODUCER, elf=Elf(bits=64, machine="riscv64")),
            packages=(Package(name="genicam", version=None),),
        ),
        ("python-wheel", WRONG, {"machine": "riscv64"}),
    ),
    "a folder of the search path that is gone": (
        replace(
            FACTS, search=(SearchFolder(path="/a", producers=1), SearchFolder(path="/b", producers=None))
        ),
        ("gentl-path", WRONG, {"folder": "/b", "rest": "/a"}),
    ),
    "our producer not built": (
        replace(FACTS, producer=replace(PRODUCER, is_ours=True, is_there=False)),
        ("producer-not-built", WRONG, {}),
    ),
    "a producer for another machine": (
        replace(FACTS, producer=replace(PRODUCER, elf=Elf(bits=32, machine="armv7l"))),
        ("producer-architecture", WRONG, {"file_machine": "armv7l", "machine": "x86_64"}),
    ),
    "an interface switched off": (of_interface(is_up=False), ("interface-down", WRONG, {})),
    "a slow link": (of_interface(speed_mbps=100), ("link-speed", WRONG, {"speed_mbps": 100})),
    "no jumbo frames": (of_interface(mtu=1500), ("mtu", NOTE, {"mtu": 1500, "wanted": 9000})),
    "an MTU below Ethernet's": (of_interface(mtu=1280), ("mtu", WRONG, {"wanted": 1500})),
    "another subnet": (
        of_camera(heard=replace(HEARD, address=IPv4Interface("192.168.1.9/24"))),
        ("subnet", WRONG, {"free": "192.168.1.254/24", "near": "10.0.0.254", "mask": "255.255.255.0"}),
    ),
    "an interface without an address": (
        replace(of_camera(), interfaces=(replace(ETH, networks=()),)),
        ("subnet-none", WRONG, {"free": "10.0.0.254/24"}),
    ),
    "a camera with no subnet of its own": (
        of_camera(heard=replace(HEARD, address=IPv4Interface("169.254.3.254/32"))),
        ("subnet", WRONG, {"free": "169.254.3.253/24"}),
    ),
    "a camera whose mask is not set": (
        replace(
            of_camera(heard=replace(HEARD, address=IPv4Interface("192.168.1.9/0"))),
            interfaces=(replace(ETH, networks=()),),
        ),
        ("subnet-none", WRONG, {"free": "192.168.1.254/24"}),
    ),
    "a camera without an address": (
        of_camera(heard=replace(HEARD, address=IPv4Interface("0.0.0.0/0"))),
        ("subnet", WRONG, {"free": "169.254.255.254/16", "near": "10.0.0.254"}),
    ),
    "a mask that leaves this computer out": (
        of_camera(heard=replace(HEARD, address=IPv4Interface("10.0.0.130/25"))),
        ("subnet-mask", WRONG, {"mask": "255.255.255.0"}),
    ),
    "two cameras with one address": (
        of_two(CAMERA, another(address="10.0.0.2/24")),
        ("duplicate-ip", WRONG, {"address": "10.0.0.2", "count": 2}),
    ),
    "a way back by another interface": (
        of_camera(route=("eth0", IPv4Address("10.0.0.9"))),
        ("route", WRONG, {"by": "eth0", "interface": "eth1"}),
    ),
    "a strict filter on the way back": (
        replace(of_camera(route=("eth0", IPv4Address("10.0.0.9"))), interfaces=(replace(ETH, rp_filter=1),)),
        ("rp-filter", WRONG, {"interface": "eth1"}),
    ),
    "a strict filter where no camera was heard": (
        replace(FACTS, heard=(), cameras=(), interfaces=(replace(ETH, rp_filter=1),)),
        ("rp-filter-hides", NOTE, {}),
    ),
    "no camera at all": (replace(FACTS, heard=(), cameras=()), ("camera-none", WRONG, {})),
    "a serial number nobody has": (
        replace(FACTS, wanted="4711", cameras=()),
        ("camera-not-found", WRONG, {"there": "A"}),
    ),
    "a camera in use": (
        of_camera(privilege="control"),
        ("control", NOTE, {"privilege": "control", "heartbeat_s": "3"}),
    ),
    "no answer but to discoveries": (
        of_camera(privilege=Unseen("no_answer")),
        ("control-channel", WRONG, {"address": "10.0.0.2"}),
    ),
    "a heartbeat too short": (of_camera(heartbeat_ms=500), ("heartbeat", NOTE, {"heartbeat_ms": 500})),
    "a heartbeat too long": (of_camera(heartbeat_ms=600_000), ("heartbeat", NOTE, {})),
    "no test packet arrives": (
        replace(
            of_camera(test_packets=TriedPackets(largest=None, tried=(1500, 576))),
            firewall=("policy drop", "udp drop"),
        ),
        ("stream-channel", WRONG, {"rules": "policy drop; udp drop", "size": 576}),
    ),
    "rules of which nothing shows that pictures pass": (
        replace(of_camera(test_packets=Unseen("taken")), firewall=("policy drop",)),
        ("firewall", NOTE, {"count": 1, "rules": "policy drop"}),
    ),
    "a path for less than the interface": (
        of_camera(packet_size=1400, test_packets=TriedPackets(largest=1500, tried=(9000, 1500))),
        ("path-mtu", NOTE, {"largest": 1500, "mtu": 9000}),
    ),
    "packets above the MTU": (
        replace(of_camera(packet_size=8000), interfaces=(replace(ETH, mtu=1500),)),
        ("packet-size", WRONG, {"size": 8000, "mtu": 1500, "interface": "eth1"}),
    ),
    "packets longer by a VLAN tag, which interfaces take": (
        replace(
            of_camera(packet_size=1504, test_packets=TriedPackets(largest=1500, tried=(1500, 576))),
            interfaces=(replace(ETH, mtu=1500),),
        ),
        ("packet-size", OK, {"size": 1504}),
    ),
    "packets above the path's": (
        of_camera(test_packets=TriedPackets(largest=1500, tried=(9000, 1500))),
        ("packet-size-path", WRONG, {"size": 8000, "largest": 1500}),
    ),
    "an error on opening": (
        of_camera(failure=("CAM-LOST", "gone")),
        ("opens", WRONG, {"error": "CAM-LOST", "reason": "gone"}),
    ),
    "no picture": (of_stream(frames=0), ("frames", WRONG, {"seconds": 2.0})),
    "lost pictures": (of_stream(lost=3), ("frames-lost", WRONG, {"lost": 3, "frames": 100})),
    "incomplete pictures": (
        of_stream(frames=95, lost=5, incomplete=5),
        ("incomplete", WRONG, {"incomplete": 5, "frames": 100, "percent": 5.0}),
    ),
    "packets asked for again": (of_stream(resent=7), ("resends", NOTE, {"resent": 7})),
    "an exposure as long as the period": (
        of_features(ExposureTime=20_000.0),
        ("exposure", WRONG, {"exposure_us": 20_000.0, "period_us": 20_000.0, "most_us": 19_000}),
    ),
    "an exposure nearly as long": (of_features(ExposureTime=19_500.0), ("exposure", NOTE, {})),
    "an exposure longer than the triggers' period": (
        of_camera(features=FEATURES | {"TriggerMode": "On", "ExposureTime": 21_000.0}),
        ("exposure-trigger", WRONG, {"period_us": 20_000.0}),
    ),
    "an exposure within which another trigger would find room": (
        of_camera(features=FEATURES | {"TriggerMode": "On", "ExposureTime": 11_000.0}),
        ("exposure-missed", NOTE, {"exposure_us": 11_000.0, "period_us": 20_000.0}),
    ),
    "an exposure of a triggered camera that is short": (
        of_camera(features=FEATURES | {"TriggerMode": "On", "ExposureTime": 9_000.0}),
        ("exposure", OK, {}),
    ),
    "PTP out of step": (
        of_features(PtpEnable=1, PtpStatus="Listening"),
        ("clock-status", WRONG, {"status": "Listening"}),
    ),
    "PTP far off": (
        of_features(PtpEnable=1, PtpStatus="Slave", PtpOffsetFromMaster=-2_500_000),
        ("clock", WRONG, {"offset_us": -2500.0}),
    ),
    "PTP in step": (
        of_features(PtpEnable=1, PtpStatus="Slave", PtpOffsetFromMaster=300),
        ("clock", OK, {"offset_us": 0.3}),
    ),
    "a warm camera": (of_features(DeviceTemperature=70.0), ("temperature", NOTE, {"degrees": 70.0})),
    "a hot camera": (of_features(DeviceTemperature=85.0), ("temperature", WRONG, {"degrees": 85.0})),
    "a buffer for less than a picture": (
        replace(FACTS, socket_buffer=SocketBuffer(most_bytes=212_992, may_exceed=False)),
        ("socket-buffer", WRONG, {"most_bytes": 212_992, "frame_bytes": 1_000_000, "wanted_bytes": 2**26}),
    ),
    "a buffer for less than four": (
        replace(FACTS, socket_buffer=SocketBuffer(most_bytes=3_000_000, may_exceed=False)),
        ("socket-buffer", NOTE, {}),
    ),
    "a buffer that only root may exceed": (
        replace(FACTS, socket_buffer=SocketBuffer(most_bytes=212_992, may_exceed=True)),
        ("socket-buffer-others", NOTE, {}),
    ),
    "more than the link carries": (
        of_features(AcquisitionFrameRate=200.0),
        ("bandwidth", WRONG, {"cameras": 1, "speed_mbps": 1000}),
    ),
    "a link that two cameras fill": (
        of_two(another("A", "10.0.0.2/24"), another(mac="02:00:00:00:00:09", AcquisitionFrameRate=80.0)),
        ("bandwidth", WRONG, {"cameras": 2, "each_bytes_per_s": 56_250_000}),
    ),
    "two cameras that may each fill it": (
        of_two(another("A", "10.0.0.2/24"), another(mac="02:00:00:00:00:09")),
        ("bandwidth-bursts", NOTE, {"cameras": 2}),
    ),
    "two cameras that share it": (
        of_two(
            another("A", "10.0.0.2/24", DeviceLinkThroughputLimit=60_000_000),
            another(mac="02:00:00:00:00:09", DeviceLinkThroughputLimit=60_000_000),
        ),
        ("bandwidth", OK, {"cameras": 2}),
    ),
    "a second camera that nobody could read": (
        replace(FACTS, heard=(HEARD, another().heard)),
        ("bandwidth", UNSEEN, {"why": "not_opened"}),
    ),
}


@pytest.mark.parametrize(("facts", "expected"), CASES.values(), ids=CASES.keys())
def test_each_fault_is_said_with_its_evidence(facts, expected):
    code, severity, evidence = expected
    found = [finding for finding in judge(facts) if finding.code == code and finding.severity is severity]
    assert len(found) == 1
    assert evidence.items() <= found[0].facts.items()


def test_where_the_subnet_is_wrong_the_silence_that_follows_is_not_another_fault():
    far = replace(HEARD, address=IPv4Interface("192.168.1.9/24"))
    codes = {finding.code for finding in judge(of_camera(heard=far, privilege=Unseen("no_answer")))}
    assert "subnet" in codes
    assert "control-channel" not in codes


def test_a_pixel_format_nobody_reads_is_wrong():
    facts = of_camera(features=FEATURES | {"PixelFormat": "YUV422_8"}, is_format_understood=False)
    (one,) = [finding for finding in judge(facts) if finding.code == "pixel-format"]
    assert (one.severity, one.facts["format"]) == (WRONG, "YUV422_8")


def test_a_busy_camera_that_only_waits_for_triggers_is_not_wrong():
    facts = of_camera(features=FEATURES | {"TriggerMode": "On"}, streamed=replace(STREAMED, frames=0, lost=0))
    assert {finding.code for finding in judge(facts) if finding.severity > OK} == {
        "frames-trigger",
        "exposure",
        "bandwidth",
    }
    assert all(finding.severity < WRONG for finding in judge(facts))


# --- laws ----------------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(0, 2**40), st.floats(0, 1e12), st.floats())
features = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            (
                "PayloadSize",
                "ExposureTime",
                "AcquisitionFrameRate",
                "DeviceTemperature",
                "GevSCPSPacketSize",
                "PtpOffsetFromMaster",
                "DeviceLinkThroughputLimit",
            ),
            numbers,
        ),
        "TriggerMode": st.sampled_from(["On", "Off"]),
        "PtpEnable": st.sampled_from([0, 1, True, "On"]),
        "PtpStatus": st.sampled_from(["Slave", "Master", "Faulty"]),
        "PixelFormat": st.sampled_from(["Mono8", "YUV"]),
    },
)
own_addresses = st.builds(
    lambda ip, prefix: IPv4Interface((ip, prefix)), st.ip_addresses(v=4), st.integers(0, 32)
)
names = st.sampled_from(["lo", "eth0", "eth1"])
serials = st.sampled_from(["A", "B", ""])
counts = st.integers(0, 10**6)
unseen = st.from_type(Unseen)


def seen(strategy):
    return strategy | unseen


heards = st.builds(
    Heard,
    interface=names,
    mac=st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]),
    address=own_addresses,
    serial=serials,
    user_id=st.just(""),
    vendor=st.just("V"),
    model=st.just("M"),
)
answers = st.builds(
    Answers,
    route=seen(st.tuples(names, st.ip_addresses(v=4))),
    privilege=seen(st.sampled_from(["open", "control", "exclusive"])),
    packet_size=seen(st.integers(0, 65535)),
    heartbeat_ms=seen(st.integers(0, 2**32 - 1)),
    test_packets=seen(
        st.builds(
            TriedPackets,
            largest=st.none() | st.sampled_from([576, 1500, 9000]),
            tried=st.just((9000, 1500, 576)),
        )
    ),
)
streams = st.builds(
    Streamed,
    seconds=st.floats(0, 600),
    frames=counts,
    lost=counts,
    incomplete=seen(counts),
    resent=seen(counts),
)
openings = st.builds(
    Opened,
    features=features,
    is_format_understood=seen(st.booleans()),
    streamed=seen(streams),
    failure=st.none() | st.just(("CAM-LOST", "gone")),
)
cameras = st.builds(
    CameraFacts,
    serial=serials,
    heard=st.none() | heards,
    answers=st.none() | answers,
    opened=seen(openings),
)
interfaces = st.builds(
    Interface,
    name=names,
    networks=st.lists(own_addresses, max_size=2).map(tuple),
    is_up=st.booleans(),
    has_carrier=st.booleans(),
    is_loopback=st.booleans(),
    mtu=st.integers(0, 65536),
    speed_mbps=st.none() | st.sampled_from([10, 100, 1000, 10000]),
    rp_filter=st.integers(0, 2),
)
all_facts = st.builds(
    Facts,
    python=st.builds(
        Python,
        version=st.tuples(st.just(3), st.integers(8, 20)),
        system=st.sampled_from(["Linux", "Windows", "Darwin"]),
        machine=st.sampled_from(["x86_64", "aarch64", "riscv64"]),
        bits=st.sampled_from([32, 64]),
    ),
    packages=st.just(PACKAGES) | st.just((Package(name="genicam", version=None),)),
    producer=st.builds(
        ProducerFile,
        path=st.just("/opt/vendor.cti"),
        is_ours=st.booleans(),
        is_there=st.booleans(),
        elf=st.none() | st.just(Elf(bits=64, machine="x86_64")) | st.just(Elf(bits=32, machine="0x2A")),
        failure=seen(st.none() | st.just("it crashes")),
    ),
    search=seen(
        st.lists(st.builds(SearchFolder, path=st.just("/opt"), producers=st.none() | counts), max_size=2).map(
            tuple
        )
    ),
    interfaces=seen(st.lists(interfaces, max_size=3).map(tuple)),
    socket_buffer=seen(st.builds(SocketBuffer, most_bytes=st.integers(0, 2**31), may_exceed=st.booleans())),
    firewall=seen(st.lists(st.just("policy drop"), max_size=2).map(tuple)),
    wanted=st.none() | serials,
    heard=st.lists(heards, max_size=3).map(tuple),
    cameras=st.lists(cameras, max_size=3).map(tuple),
)


@given(all_facts)
def test_whatever_was_seen_it_is_judged_and_the_worst_comes_first(facts):
    severities = [finding.severity for finding in judge(facts)]
    assert severities == sorted(severities, reverse=True)


@given(all_facts)
def test_what_was_not_looked_at_is_said_and_why(facts):
    for finding in judge(facts):
        assert ("why" in finding.facts) == (finding.severity is UNSEEN)


@given(all_facts.filter(lambda facts: facts.cameras))
def test_no_camera_is_passed_over(facts):
    about = {finding.about for finding in judge(facts)}
    assert {camera.serial for camera in facts.cameras} <= about


not_read = openings.map(
    lambda opened: replace(opened, features={}, streamed=Unseen("not_opened"), failure=("CAM-LOST", "gone"))
)


@given(unseen | not_read)
def test_a_camera_that_was_not_read_has_nothing_fine_that_only_reading_shows(opened):
    only_read = {"opens", "frames", "incomplete", "resends", "pixel", "exposure", "clock", "temperature"}
    for finding in judge(of_camera(opened=opened)):
        if finding.code.split("-")[0] in only_read:
            assert finding.severity in (UNSEEN, WRONG)
