"""The doctor at real networks: kernel, cables, packets, and our device at the other end."""

import ctypes
import os
import platform
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from cameras.doctor import computer
from cameras.doctor.facts import Elf, Opened, Unseen
from cameras.doctor.judging import Severity, judge
from cameras.doctor.looking import look
from cameras.simulator.protocol import (
    GVCP_PORT,
    ReadRegisters,
    Status,
    WriteRegisters,
    pack_command,
    parse_ack,
)
from tests.cables import a_cable, a_switch, cables_can_be_laid, plug
from tests.cameras.gige_client import PATIENCE_S, Client
from tests.gige import a_network_of_its_own, built_producer
from tests.promises.test_cameras import our_device

HEARTBEAT_AT, CONTROL_AT, PACKET_SIZE_AT = 0x938, 0xA00, 0xD04
CONTROL, EXCLUSIVE = 2, 1
A_BUSY_MACHINE = {"frames-lost", "incomplete"}
"""What may be wrong with a camera that is fine, where the computer is too busy for it."""


@pytest.fixture(scope="module", autouse=True)
def producer():
    return built_producer()


def found(facts, code):
    """The finding of this code; there must be exactly one."""
    (one,) = [finding for finding in judge(facts) if finding.code == code]
    return one


def wrong(facts):
    return {finding.code for finding in judge(facts) if finding.severity is Severity.WRONG}


@contextmanager
def a_controller(address):
    """A program that writes to a camera's registers, and keeps its control of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gvcp:
        gvcp.connect((address, GVCP_PORT))
        gvcp.settimeout(PATIENCE_S)

        def write(at, value):
            gvcp.send(pack_command(WriteRegisters(values=((at, value),)), request_id=1))
            assert parse_ack(gvcp.recv(2048)).status == Status.SUCCESS

        def read(at):
            gvcp.send(pack_command(ReadRegisters(addresses=(at,)), request_id=1))
            return int.from_bytes(parse_ack(gvcp.recv(2048)).body)

        yield write, read


# --- on a cable ----------------------------------------------------------------------------------------


@pytest.fixture
def network():
    with cables_can_be_laid():
        yield


def test_a_camera_on_a_good_cable_has_nothing_wrong_and_is_left_as_it_was(network):
    with (
        a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24", mtu_here=9000, mtu_there=9000) as far,
        far.camera("10.9.0.2", "GOOD", "--frames-per-s", "5"),
    ):
        facts = look("lynceus", wanted=None, seconds=3.0)
        with a_controller("10.9.0.2") as (_, read):
            assert read(CONTROL_AT) == 0
            assert read(0xD00) & 0xFFFF == 0
    assert wrong(facts) <= A_BUSY_MACHINE
    assert found(facts, "path-mtu").facts["largest"] == 9000
    assert found(facts, "mtu").severity is Severity.OK
    assert found(facts, "stream-channel").severity is Severity.OK
    (camera,) = facts.cameras
    assert camera.opened.streamed.frames > 0


def test_a_camera_of_another_subnet_is_found_and_the_address_that_reaches_it_is_said(network):
    with a_cable("cam0", here="192.168.77.1/24", there="10.9.9.9/24") as far:
        # As a camera with its gateway set: it answers whoever asked.
        far.run("ip", "route", "add", "default", "dev", "cam0")
        with far.camera("10.9.9.9", "FAR"):
            facts = look("lynceus", wanted=None, seconds=0)
    one = found(facts, "subnet")
    assert one.severity is Severity.WRONG
    assert (one.about, one.facts["interface"], one.facts["networks"]) == ("FAR", "cam0", "192.168.77.1/24")
    free = IPv4Interface(one.facts["free"])
    assert IPv4Interface(one.facts["address"]).ip in free.network
    assert free.ip != IPv4Interface(one.facts["address"]).ip


def test_packets_larger_than_the_interface_takes_are_wrong_and_the_line_raises_its_mtu(network):
    with (
        a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24", mtu_here=1500, mtu_there=9000) as far,
        far.camera("10.9.0.2", "LARGE"),
    ):
        with a_controller("10.9.0.2") as (write, _):
            write(CONTROL_AT, CONTROL)
            write(PACKET_SIZE_AT, 8000)
            write(CONTROL_AT, 0)
        facts = look("lynceus", wanted="LARGE", seconds=0)
        with a_controller("10.9.0.2") as (_, read):
            # The test packets were smaller, and the camera has what it had; then the producer set its own.
            assert found(facts, "packet-size").facts["size"] == 8000
            assert read(CONTROL_AT) == 0
    one = found(facts, "packet-size")
    assert one.severity is Severity.WRONG
    assert (one.facts["mtu"], one.facts["interface"]) == (1500, "cam0")
    assert found(facts, "path-mtu").facts["largest"] == 1500


def test_a_path_that_carries_less_than_the_interface_is_noted(network):
    with (
        a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24", mtu_here=9000, mtu_there=1500) as far,
        far.camera("10.9.0.2", "SHORT"),
    ):
        facts = look("lynceus", wanted=None, seconds=0)
    one = found(facts, "path-mtu")
    assert one.severity is Severity.NOTE
    assert (one.facts["largest"], one.facts["mtu"]) == (1500, 9000)


def test_a_bad_cable_shows_as_resends_and_incomplete_pictures(network):
    # Few enough pictures for any machine, and enough that some have each fault: the seed is chosen so.
    with (
        a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24") as far,
        far.camera("10.9.0.2", "BAD", "--faults", "lost=0.3,incomplete=0.3,seed=3", "--frames-per-s", "10"),
    ):
        facts = look("lynceus", wanted=None, seconds=4.0)
    assert found(facts, "incomplete").severity is Severity.WRONG
    assert found(facts, "frames-lost").facts["lost"] > 0
    assert found(facts, "resends").severity is Severity.NOTE


def test_two_cameras_with_one_address_are_both_named(network):
    with (
        a_switch("cams", here="10.9.0.1/24") as switch,
        a_cable("cam0", here=None, there="10.9.0.2/24") as one_end,
        a_cable("cam1", here=None, there="10.9.0.2/24") as other_end,
    ):
        plug(one_end, switch)
        plug(other_end, switch)
        with one_end.camera("10.9.0.2", "ONE"), other_end.camera("10.9.0.2", "OTHER"):
            facts = look("lynceus", wanted=None, seconds=0)
    one = found(facts, "duplicate-ip")
    assert (one.severity, one.facts["address"], one.facts["count"]) == (Severity.WRONG, "10.9.0.2", 2)
    assert "ONE" in one.facts["who"]
    assert "OTHER" in one.facts["who"]


def test_where_orders_reach_the_camera_and_its_stream_does_not_come_a_firewall_is_said(network):
    with a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24") as far:
        # All UDP of the camera is thrown away but its answers: what a firewall on the way does.
        far.run("ip", "rule", "add", "pref", "10", "ipproto", "udp", "sport", "3956", "lookup", "main")
        far.run("ip", "rule", "add", "pref", "20", "from", "10.9.0.2", "ipproto", "udp", "blackhole")
        with far.camera("10.9.0.2", "WALLED"):
            facts = look("lynceus", wanted=None, seconds=0)
    one = found(facts, "stream-channel")
    assert one.severity is Severity.WRONG
    assert (one.facts["interface"], one.facts["address"]) == ("cam0", "10.9.0.2")


def test_a_way_back_by_another_interface_is_wrong(network):
    with (
        a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24") as far,
        a_cable("cam1", here="10.9.0.7/25", there="10.9.0.8/25"),
        far.camera("10.9.0.2", "ROUND"),
    ):
        facts = look("lynceus", wanted="ROUND", seconds=0)
    # The longer prefix wins: every packet to the camera leaves by the other cable, and none arrives.
    one = found(facts, "route")
    assert one.severity is Severity.WRONG
    assert (one.facts["interface"], one.facts["by"], one.facts["address"]) == ("cam0", "cam1", "10.9.0.2")
    assert found(facts, "control-channel").severity is Severity.WRONG


def test_an_interface_that_is_switched_off_says_so(network):
    with a_cable("cam0", here="10.9.0.1/24", there="10.9.0.2/24") as far:
        far.run("ip", "link", "set", "dev", "cam0", "down")
        facts = look("lynceus", wanted=None, seconds=0)
    assert found(facts, "interface-cable").about == "cam0"
    assert "camera-none" in wrong(facts)


# --- on the loopback -----------------------------------------------------------------------------------


@contextmanager
def a_camera_in_its_own_process():
    """harvesters holds Python while it looks, and one in this process could not answer."""
    with our_device():
        yield "127.0.0.1"


@pytest.mark.parametrize(("privilege", "named"), [(CONTROL, "control"), (EXCLUSIVE, "exclusive")])
def test_a_camera_that_another_program_controls_is_read_and_left_alone(privilege, named):
    with a_camera_in_its_own_process() as address, a_controller(address) as (write, read):
        write(CONTROL_AT, privilege)
        # Silent for as long as the doctor takes, on a machine however busy.
        write(HEARTBEAT_AT, 600_000)
        write(PACKET_SIZE_AT, 1200)
        facts = look("lynceus", wanted=None, seconds=1.0)
        # Its controller still has it, and nothing it set was changed.
        write(0xD08, 7)
        assert (read(PACKET_SIZE_AT), read(0xD08)) == (1200, 7)
    (camera,) = facts.cameras
    assert camera.opened == Unseen("taken")
    one = found(facts, "control")
    assert (one.severity, one.facts["privilege"]) == (Severity.NOTE, named)
    assert found(facts, "stream-channel").severity is Severity.UNSEEN
    assert found(facts, "frames").severity is Severity.UNSEEN
    size = found(facts, "packet-size")
    assert size.facts.get("size") == (1200 if named == "control" else None)


def test_a_camera_that_waits_for_triggers_is_no_broken_camera():
    with a_camera_in_its_own_process() as address:
        with Client(address) as client:
            client.take_control()
            client.must_write("TriggerMode", "On")
            client.must_write("TriggerSource", "Software")
            client.must_write("GevHeartbeatTimeout", 3000)
            client.write_word(CONTROL_AT, 0)
        facts = look("lynceus", wanted=None, seconds=0.5)
    assert found(facts, "frames-trigger").facts["source"] == "Software"
    assert wrong(facts) == set()


@pytest.mark.parametrize("name", ["LYN2", "127.0.0.1", "02:4C:7F:00:00:01", "02-4c-7f-00-00-01"])
def test_a_camera_is_found_by_whichever_name_is_known(name):
    with a_camera_in_its_own_process():
        facts = look("lynceus", wanted=name, seconds=0)
    assert [camera.serial for camera in facts.cameras] == ["LYN2"]
    assert isinstance(facts.cameras[0].opened, Opened)


def test_a_camera_that_follows_the_networks_clock_says_how_far_it_is_off():
    with a_camera_in_its_own_process() as address:
        with Client(address) as client:
            client.take_control()
            client.must_write("PtpEnable", 1)
            client.must_write("GevHeartbeatTimeout", 3000)
            client.write_word(CONTROL_AT, 0)
        facts = look("lynceus", wanted=None, seconds=4.0)
    one = found(facts, "clock")
    assert (one.severity, one.facts["status"]) == (Severity.OK, "Slave")
    assert found(facts, "temperature").severity is Severity.OK


def test_a_serial_number_nobody_has_names_those_that_are_there():
    with a_camera_in_its_own_process():
        facts = look("lynceus", wanted="4711", seconds=0)
    one = found(facts, "camera-not-found")
    assert (one.about, one.facts["there"]) == ("4711", "LYN2")
    assert facts.cameras == ()


def test_a_camera_behind_a_library_that_is_no_network_camera_is_opened_all_the_same():
    with a_network_of_its_own():
        facts = look("simulated", wanted="0", seconds=0.3)
    (camera,) = facts.cameras
    assert isinstance(camera.opened, Opened)
    assert camera.opened.streamed.frames > 0
    assert camera.heard is None


# --- this computer -------------------------------------------------------------------------------------


def without_right(call):
    """What a call gives in a thread without the rights of root."""
    result = []

    def run():
        header = struct.pack("=II", 0x20080522, 0)
        no_right = struct.pack("=6I", *[0] * 6)
        assert ctypes.CDLL(None).syscall(126, header, no_right) == 0, "capset"
        result.append(call())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


@pytest.mark.skipif(
    platform.machine() != "x86_64" or os.name != "posix", reason="capset has number 126 on x86_64"
)
def test_a_user_without_rights_gets_what_the_kernel_allows_and_no_more():
    plain = without_right(computer.socket_buffer)
    assert not plain.may_exceed
    assert plain.most_bytes > 0
    limit = Path("/proc/sys/net/core/rmem_max")
    if limit.exists():
        assert plain.most_bytes == int(limit.read_text())


@pytest.mark.skipif(platform.machine() != "x86_64", reason="capset has number 126 on x86_64")
def test_a_buffer_smaller_than_a_picture_is_wrong_and_the_line_enlarges_it():
    with a_camera_in_its_own_process():
        facts = look("lynceus", wanted=None, seconds=0)
    plain = without_right(computer.socket_buffer)
    (camera,) = facts.cameras
    large = {**camera.opened.features, "PayloadSize": plain.most_bytes + 1}
    facts = replace(
        facts, socket_buffer=plain, cameras=(replace(camera, opened=replace(camera.opened, features=large)),)
    )
    one = found(facts, "socket-buffer")
    assert one.severity is Severity.WRONG
    assert one.facts["frame_bytes"] == plain.most_bytes + 1


ARM = {"<": b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00", ">": b"\x7fELF\x01\x02" + bytes(12) + b"\x00\x28"}


def test_a_producer_for_another_machine_is_told_from_one_for_this(tmp_path, producer):
    forged = tmp_path / "vendor.cti"
    forged.write_bytes(ARM["<"] + bytes(200))
    with a_network_of_its_own():
        facts = look(forged, wanted=None, seconds=0)
    other = "aarch64" if platform.machine() != "aarch64" else "x86_64"
    if other == "aarch64":
        one = found(facts, "producer-architecture")
        assert (one.severity, one.facts["file_machine"]) == (Severity.WRONG, "aarch64")
    assert computer.elf_of(ARM[">"]) == Elf(bits=32, machine="armv7l")
    assert computer.elf_of(producer.read_bytes()[:20]) == Elf(bits=64, machine=platform.machine())


def test_a_text_file_is_no_camera_library(tmp_path):
    (tmp_path / "notes.cti").write_text("not a library, but a note")
    with a_network_of_its_own():
        facts = look(tmp_path / "notes.cti", wanted=None, seconds=0)
    assert "producer-no-library" in wrong(facts)


def test_a_library_that_does_not_load_says_why(tmp_path):
    broken = tmp_path / "broken.cti"
    broken.write_bytes(Path("/proc/self/exe").read_bytes()[:64] + bytes(4096))
    with a_network_of_its_own():
        facts = look(broken, wanted=None, seconds=0)
    assert found(facts, "producer-loads").severity is Severity.WRONG


def test_folders_of_the_search_path_are_counted_and_missing_ones_told(tmp_path):
    (tmp_path / "a.cti").touch()
    there = computer.search_folders({computer.SEARCH_VARIABLE: f"{tmp_path}:{tmp_path}/gone"})
    assert [folder.producers for folder in there] == [1, None]
    assert computer.search_folders({}) == Unseen("not_known")


def test_rules_that_refuse_are_told_from_those_that_do_not():
    listed = """table inet filter {
        chain input { type filter hook input priority 0; policy drop;
            ct state established accept
            udp dport 3956 reject
            # drop me a line
        }
    }"""
    assert list(computer.refusing_rules(listed)) == [
        "chain input { type filter hook input priority 0; policy drop;",
        "udp dport 3956 reject",
    ]


@given(st.binary(max_size=64))
def test_whatever_a_file_begins_with_it_is_a_library_or_none(head):
    elf = computer.elf_of(head)
    assert elf is None or elf.bits in (32, 64)
