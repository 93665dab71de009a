"""The simulated camera before judges that were not written with it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec

import pytest

from cameras.simulator.device import LOOPBACK
from cameras.simulator.faults import Kind, parse_faults
from cameras.simulator.protocol import GVCP_PORT, Action, Discovery
from tests.cameras.gige_client import (
    PATIENCE_S,
    Client,
    a_camera,
    a_free_address,
    a_scene,
    is_free,
    take,
    until,
)
from tests.gige import the_port_of_this_computer

needs_aravis = pytest.mark.skipif(
    shutil.which("arv-tool-0.8") is None or shutil.which("arv-camera-test-0.8") is None,
    reason="no Aravis tools; as root: scripts/install_system_packages.sh",
)
needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None or os.geteuid() != 0,
    reason="no tshark, or not root, who may capture; as root: scripts/install_system_packages.sh",
)
needs_viva = pytest.mark.skipif(
    find_spec("viva_genicam") is None, reason='no viva-genicam; pip install "lynceus[dev]"'
)

PATIENT = ("--frame-retention=20000", "--packet-timeout=2000", "--initial-packet-timeout=2000")
"""Aravis gives up a picture after 100 ms, which a busy machine takes now and then."""

WITHOUT_RAW_SOCKETS = "--no-packet-socket"
"""As root Aravis takes pictures from raw sockets, and those hear nothing on the loopback network."""


@pytest.fixture
def address():
    return a_free_address()


def arv_tool(*words):
    done = subprocess.run(
        ["arv-tool-0.8", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return done.stdout


@contextmanager
def arv_camera_test(address, *words):
    """Its process, and the lines it says, while it runs; ended whatever happens."""
    process = subprocess.Popen(
        ["stdbuf", "-oL", "arv-camera-test-0.8", "-n", address, WITHOUT_RAW_SOCKETS, *PATIENT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    listener = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
    listener.start()
    try:
        yield process, said
    finally:
        process.kill()
        process.wait()
        listener.join()
        process.stdout.close()


def statistics(said):
    found = (re.match(r"(n_\w+)\s*=\s*(\d+)", line) for line in said)
    return {match[1]: int(match[2]) for match in found if match}


def streamed(address, *words, seconds=2):
    with arv_camera_test(address, f"--duration={seconds}", *words) as (process, said):
        process.wait(PATIENCE_S + seconds)
    return statistics(said)


@needs_aravis
def test_arv_tool_lists_the_camera_among_those_of_the_network(address):
    with a_camera(address=address, interface=LOOPBACK, serial="LISTED-17"):
        assert f"LISTED-17 ({address})" in arv_tool()


@needs_aravis
def test_arv_tool_reads_every_feature_and_finds_none_wrong(address):
    with a_camera(address=address):
        features = arv_tool("-a", address, "features")
        values = arv_tool("-a", address, "values")
    for name in ("Width", "PixelFormat", "TriggerSoftware", "ChunkEncoderValue", "GevSCPSPacketSize"):
        assert f"'{name}'" in features
    assert "Width = 64" in re.sub(r"'|\s+", lambda m: "" if m[0] == "'" else " ", values)
    assert "rror" not in features + values


@needs_aravis
def test_arv_tool_writes_what_it_reads_back(address):
    with a_camera(address=address):
        said = arv_tool(
            "-a", address, "control", "Width=32", "Width", "ExposureTime=2500", "Gain=3.5", "OffsetX=16",
            "DeviceUserID=Line3", "DeviceUserID", "PayloadSize", "TriggerMode=On", "TriggerSource=Line1",
        )  # fmt: skip
    assert "Width = 32 px min:16 max:64 inc:4" in said
    assert "ExposureTime = 2500 us" in said
    assert "Gain = 3.5 dB" in said
    assert "OffsetX = 16 px" in said
    assert "DeviceUserID = Line3" in said
    assert f"PayloadSize = {32 * 48} B" in said
    assert "TriggerSource = Line1" in said


@needs_aravis
def test_arv_tool_reads_temperature_and_the_state_of_the_networks_clock(address):
    with a_camera(address=address):
        said = arv_tool(
            "-a", address, "control", "DeviceTemperature", "PtpEnable=1", "PtpDataSetLatch", "PtpStatus",
            "PtpOffsetFromMaster",
        )  # fmt: skip
    assert "DeviceTemperature = 3" in said
    assert "PtpStatus = Listening" in said
    assert re.search(r"PtpOffsetFromMaster = -?\d+ ns", said)


@needs_aravis
def test_arv_camera_test_takes_every_picture_whole(address):
    # 45 packets a second: its socket buffer holds two seconds of them, however busy the machine is.
    with a_camera(address=address) as camera:
        seen = streamed(address, "-f", "15")
        counts = camera.counts()
    assert seen["n_failures"] == seen["n_missing_frames"] == seen["n_error_packets"] == 0
    # The picture on its way when it stopped may be on either side.
    assert counts["sent"] - 2 <= seen["n_completed_buffers"] <= counts["sent"]
    assert seen["n_completed_buffers"] > 3


@needs_aravis
def test_arv_camera_test_takes_packed_pixels_whole(address):
    with a_camera(address=address):
        said = arv_tool("-a", address, "control", "PixelFormat=Mono12Packed", "PixelFormat", "PayloadSize")
        seen = streamed(address, "-f", "10")
    assert "PixelFormat = Mono12Packed" in said
    assert f"PayloadSize = {64 * 48 * 12 // 8} B" in said
    assert seen["n_failures"] == seen["n_missing_frames"] == 0
    assert seen["n_completed_buffers"] > 3


@needs_aravis
def test_arv_camera_test_tries_packet_sizes_and_streams_with_the_one_it_found(address):
    with a_camera(address=address, scene=a_scene(128, 128)):
        seen = streamed(address, "-f", "10", "-j", "always")
    assert seen["n_failures"] == 0
    assert seen["n_completed_buffers"] > 3
    assert seen["n_received_packets"] / seen["n_completed_buffers"] < 6, "14 in packets of 1400 bytes"


@needs_aravis
def test_aravis_notices_that_the_camera_dropped_it(address):
    with a_camera(address=address) as camera, arv_camera_test(address, "--duration=120") as (process, said):
        until(lambda: camera.counts()["sent"] > 3)
        camera.demand(Kind.HEARTBEAT)
        process.wait(PATIENCE_S)
    assert any("ontrol lost" in line for line in said)


@needs_aravis
def test_a_client_that_is_killed_leaves_the_camera_free_for_the_next(address):
    with a_camera(address=address) as camera:
        with arv_camera_test(address, "--duration=120") as (process, _):
            until(lambda: camera.counts()["sent"] > 3)
            process.send_signal(signal.SIGKILL)
        until(lambda: camera.counts()["heartbeats_lost"] == 1)
        assert streamed(address)["n_completed_buffers"] > 3


@needs_aravis
def test_a_second_client_does_not_disturb_the_first(address):
    with a_camera(address=address) as camera, arv_camera_test(address, "--duration=4") as (process, said):
        until(lambda: camera.counts()["sent"] > 3)
        with arv_camera_test(address, "--duration=1") as (second, _):
            second.wait(PATIENCE_S)
        process.wait(PATIENCE_S)
    assert statistics(said)["n_failures"] == 0
    assert statistics(said)["n_completed_buffers"] > 3


# --- tshark --------------------------------------------------------------------------------------------


@contextmanager
def tshark(address, stream_port):
    """What tshark says of the packets to and from an address: lists of columns, as they come."""
    columns = ("_ws.col.Protocol", "_ws.col.Info", "_ws.malformed", "_ws.expert.message")
    process = subprocess.Popen(
        ["tshark", "-l", "-n", "-i", "lo", "-f", f"udp and host {address}",
         "-d", f"udp.port=={stream_port},gvsp", "-T", "fields",
         *(word for column in columns for word in ("-e", column))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    said = []

    def listen():
        said.extend(line.rstrip("\n").split("\t") for line in process.stdout)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield said
    finally:
        # Asked first: it has a child that captures, and ends it.
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
        process.stdout.close()


@needs_tshark
def test_tshark_finds_nothing_malformed_in_commands_answers_and_pictures(address):
    with (
        a_camera(address=address, serial="S-17") as camera,
        Client(address) as client,
        tshark(address, client.gvsp.getsockname()[1]) as said,
    ):
        # Until it listens.
        until(lambda: client.ask(Discovery()) and len(said) > 1)
        client.take_control()
        client.aim_here()
        client.must_write("ChunkModeActive", 1)
        client.must_write("ChunkEnable", 1, index=3)
        client.must_write("AcquisitionMode", "SingleFrame")
        client.must_write("AcquisitionStart")
        take(client, whole=1)
        client.must_write("GevMCDA", int.from_bytes(socket.inet_aton("127.0.0.1")))
        # The dissector knows commands by their port; nobody listens there.
        client.must_write("GevMCPHostPort", GVCP_PORT)
        client.must_write("EventNotification", "On", index=1)
        client.must_write("TriggerSoftware")
        client.must_write("ActionGroupMask", 1)
        client.ask(Action(device_key=0, group_key=0, group_mask=1))
        client.ask_again(1, 1, 1)
        client.ask_again(99, 1, 1)
        until(lambda: camera.counts()["resend_unavailable"] == 1)
        until(lambda: any("Block ID: 99" in line[1] for line in said))
        lines = list(said)
    told = " ".join(line[1] for line in lines)
    for words in (
        "DISCOVERY_ACK (Lynceus, S-17)",
        "WRITEREG_ACK (Success)",
        "READREG_ACK",
        "WRITEMEM_ACK",
        "EVENT_CMD",
        "ACTION_CMD",
        "ACTION_ACK",
        "PACKETRESEND_CMD Block 1, Packets 1->1",
        "LEADER [Block ID: 1 Packet ID: 0] IMAGE",
        "PAYLOAD [Block ID: 1 Packet ID: 3]",
        "TRAILER [Block ID: 1 Packet ID: 4] IMAGE",
    ):
        assert words in told
    assert {line[0] for line in lines} == {"GVCP", "GVSP"}
    assert not [line for line in lines if any(line[2:])]


# --- viva-genicam --------------------------------------------------------------------------------------


@pytest.fixture
def loopback():
    """On its own computer viva-genicam looks for cameras at this address only."""
    with the_port_of_this_computer():
        give_up_s = time.monotonic() + 20.0
        while not is_free("127.0.0.1"):
            if time.monotonic() > give_up_s:
                pytest.skip("another program holds 127.0.0.1, port 3956; end it")
            time.sleep(0.1)
        yield "127.0.0.1"


@contextmanager
def viva_camera(count):
    """The one camera viva-genicam finds, set to give so many pictures at a start."""
    import viva_genicam

    found = until(lambda: viva_genicam.discover(timeout_ms=500, iface="lo"))
    camera = viva_genicam.connect_gige(found[0])
    try:
        camera.set("AcquisitionMode", "MultiFrame")
        camera.set("AcquisitionFrameCount", str(count))
        camera.set("GevSCPSPacketSize", "700")
        camera.set("GevHeartbeatTimeout", "60000")
        yield camera
    finally:
        camera.close()


def viva_frames(stream, *, count):
    """Every frame it gives of so many sent: the others it says it lost, or dropped while this was busy."""
    from viva_genicam import GenicamError

    frames = []

    def all_are_accounted_for():
        with suppress(GenicamError):
            frames.append(stream.next_frame(100))
        return len(frames) + stream.stats().frames_lost == count

    until(all_are_accounted_for)
    return frames


@needs_viva
def test_viva_understands_every_node_and_reads_each_pictures_chunks(loopback):
    with a_camera(address=loopback), viva_camera(5) as viva:
        assert viva.skipped() == []
        assert viva.get("DeviceVendorName") == "Lynceus"
        viva.set("ExposureTime", "1500")
        viva.configure_chunks(["FrameID", "Timestamp", "ExposureTime", "EncoderValue"])
        with viva.stream() as stream:
            frames = viva_frames(stream, count=5)
        chunks = [viva.chunk_features(frame) for frame in frames]
    assert frames
    assert [int(each["ChunkFrameID"]) for each in chunks] == [frame.block_id for frame in frames]
    assert {float(each["ChunkExposureTime"]) for each in chunks} == {1500.0}
    assert [int(each["ChunkTimestamp"]) for each in chunks] == [frame.ts_dev for frame in frames]
    assert all(frame.to_numpy().shape == (48, 64) for frame in frames)


@needs_viva
def test_viva_keeps_and_brings_back_settings_in_user_sets(loopback):
    with a_camera(address=loopback), viva_camera(1) as viva:
        assert viva.user_sets() == ["Default", "UserSet1", "UserSet2"]
        viva.set("ExposureTime", "1500")
        viva.save_user_set("UserSet1")
        viva.set("ExposureTime", "2500")
        viva.load_user_set("UserSet1")
        assert float(viva.get("ExposureTime")) == 1500, "read anew, not what it remembers"
        viva.set_default_user_set("UserSet1")
        assert viva.get("UserSetDefault") == "UserSet1"


@needs_viva
def test_viva_is_told_of_exposures_and_of_triggers_that_were_missed(loopback):
    with a_camera(address=loopback), viva_camera(2) as viva:
        viva.set("TriggerMode", "On")
        viva.set("ExposureTime", "1000000")
        with viva.events(["ExposureEnd", "FrameTriggerMissed"]) as events, viva.stream():
            viva.execute("TriggerSoftware")
            viva.execute("TriggerSoftware")
            told = [events.next_event(timeout_ms=20_000) for _ in range(2)]
            features = [viva.event_features(event) for event in told]
    assert [(event.id, event.block_id) for event in told] == [(0x9002, 0), (0x9001, 1)]
    assert int(features[1]["EventExposureEndFrameID"]) == 1
    assert int(features[1]["EventExposureEndTimestamp"]) == told[1].ts_dev > told[0].ts_dev > 0
    assert int(features[1]["EventExposureEnd"]) == 0x9001


@needs_viva
def test_viva_gives_a_camera_another_address(loopback):
    import viva_genicam

    new = a_free_address()
    with a_camera(address=loopback, interface=LOOPBACK), Client(new) as client:
        (found,) = [
            each for each in viva_genicam.discover(timeout_ms=2000, iface="lo") if each.ip == loopback
        ]
        viva_genicam.force_ip(found.mac, new, "255.0.0.0", iface="lo")
        assert client.ask(Discovery()).body[0x24:0x28] == socket.inet_aton(new)


@needs_viva
def test_vivas_action_command_triggers_the_cameras_that_have_its_keys(loopback):
    import viva_genicam

    with a_camera(address=loopback) as camera, viva_camera(1) as viva:
        for name, value in (("ActionDeviceKey", 7), ("ActionGroupKey", 9), ("ActionGroupMask", 4)):
            viva.set(name, str(value))
        viva.set("TriggerMode", "On")
        viva.set("TriggerSource", "Action1")
        with viva.stream() as stream:
            done = viva_genicam.send_action(7, 9, 0xFF, destination=loopback, timeout_ms=2000)
            others = viva_genicam.send_action(8, 9, 0xFF, destination=loopback)
            viva_frames(stream, count=1)
        assert (done.acks, others.acks) == (1, 0)
        assert camera.counts()["triggers"] == 1


@needs_viva
def test_with_resend_viva_loses_only_what_cannot_be_had_again(loopback):
    count = 60
    faults = parse_faults(
        "lost=.2,late=.1,doubled=.1,reordered=.1,corrupt=.1,incomplete=.1,seed=2,doubled@59"
    )
    with (
        a_camera(address=loopback, faults=faults, frames_per_s=15.0) as camera,
        viva_camera(count) as viva,
        viva.stream() as stream,
    ):
        viva_frames(stream, count=count)
        stats = stream.stats()
        counts = camera.counts()
    assert counts["fault_incomplete"] > 0
    assert counts["fault_lost"] + counts["fault_corrupt"] > 0
    assert stats.frames_incomplete == counts["fault_incomplete"]
    assert stats.frames_missed == 0
    assert stats.resend_unavailable > 0
    assert stats.packets_duplicate >= counts["fault_doubled"]
