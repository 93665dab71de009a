import json
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameras.errors import AddressUnusable
from cameras.simulator.device import DeviceSettings, SimulatedCamera
from cameras.simulator.faults import Kind
from cameras.simulator.protocol import (
    Ack,
    Discovery,
    ForceIp,
    ReadMemory,
    ReadRegisters,
    Status,
    WriteRegisters,
    pack_command,
)
from tests.cameras.gige_client import (
    Client,
    a_camera,
    a_camera_and_client,
    a_free_address,
    a_scene,
    take,
    until,
)


@pytest.fixture
def free_camera():
    """A camera nobody controls, and a client of it."""
    with a_camera_and_client() as (camera, client):
        yield camera, client


@pytest.fixture
def client(free_camera):
    """The client that controls the camera."""
    _, client = free_camera
    client.take_control()
    return client


def test_a_discovery_says_who_and_where_the_camera_is():
    address = a_free_address()
    with a_camera_and_client(address=address, serial="S-17") as (_, client):
        body = client.ask(Discovery()).body
    assert len(body) == 248
    assert body[0x24:0x28] == socket.inet_aton(address)
    assert body[0x48:0x68].rstrip(b"\0") == b"Lynceus"
    assert body[0xD8:0xE8].rstrip(b"\0") == b"S-17"


def test_the_description_lies_where_its_url_says(free_camera):
    _, client = free_camera
    url = client.ask(ReadMemory(address=0x200, count=512)).body[4:].rstrip(b"\0").decode()
    place, start, length = url.removeprefix("Local:").split(";")
    start, length = int(start, 16), int(length, 16)
    assert place.endswith(".xml")
    xml = b""
    while len(xml) < length:
        count = min(536, length - len(xml))
        xml += client.ask(ReadMemory(address=start + len(xml), count=count)).body[4:]
    assert xml.startswith(b"<?xml")
    assert xml.rstrip().endswith(b"</RegisterDescription>")
    assert client.ask(ReadMemory(address=start + length, count=4)).status == Status.INVALID_ADDRESS


def test_who_has_no_control_cannot_write(free_camera):
    _, client = free_camera
    assert client.write("Width", 32) is Status.ACCESS_DENIED
    client.take_control()
    assert client.write("Width", 32) is Status.SUCCESS


def test_a_second_client_is_refused_control_until_the_first_gives_it_back():
    address = a_free_address()
    with a_camera(address=address), Client(address) as first, Client(address) as second:
        first.take_control()
        assert second.write_word(0xA00, 2) is Status.ACCESS_DENIED
        assert second.write("Width", 32) is Status.ACCESS_DENIED
        assert second.read("Width") == 64, "control does not keep others from reading"
        first.write_word(0xA00, 0)
        second.take_control()
        assert second.write("Width", 32) is Status.SUCCESS


def test_who_has_exclusive_access_keeps_others_from_reading():
    address = a_free_address()
    with a_camera(address=address), Client(address) as first, Client(address) as second:
        assert first.write_word(0xA00, 1) is Status.SUCCESS
        assert second.ask(ReadRegisters(addresses=(0xA00,))).status == Status.ACCESS_DENIED
        assert second.ask(Discovery()).status == Status.SUCCESS


def test_a_controller_that_falls_silent_loses_control(free_camera):
    camera, client = free_camera
    client.take_control()
    client.must_write("GevHeartbeatTimeout", 500)
    until(lambda: camera.counts()["heartbeats_lost"])
    assert client.read_word(0xA00) == 0
    assert client.write("Width", 32) is Status.ACCESS_DENIED


def test_a_controller_that_only_reads_keeps_control(free_camera):
    camera, client = free_camera
    client.take_control()
    client.must_write("GevHeartbeatTimeout", 3000)
    end_s = time.monotonic() + 3.5
    while time.monotonic() < end_s:
        assert client.read_word(0xA00) == 2
        time.sleep(0.05)
    assert camera.counts()["heartbeats_lost"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Width", 66),
        ("Width", 12),
        ("Width", 68),
        ("Height", 0),
        ("Height", 49),
        ("PixelFormat", 0x02200016),
        ("ExposureTime", 0.0),
        ("ExposureTime", float("nan")),
        ("Gain", float("inf")),
        ("ChunkModeActive", 2),
        ("GevSCPSPacketSize", 255),
        ("GevHeartbeatTimeout", 10),
    ],
)
def test_a_value_out_of_its_range_is_refused_and_changes_nothing(client, name, value):
    before = client.read(name)
    assert client.write(name, value) is Status.INVALID_PARAMETER
    assert client.read(name) == before


def test_size_and_offset_together_stay_on_the_sensor(client):
    client.must_write("Width", 32)
    client.must_write("OffsetX", 32)
    assert client.write("OffsetX", 36) is Status.INVALID_PARAMETER
    assert client.write("Width", 36) is Status.INVALID_PARAMETER


@pytest.mark.parametrize("name", ["DeviceVendorName", "SensorWidth", "PayloadSize", "GevTimestampValue"])
def test_what_the_camera_says_of_itself_cannot_be_written(client, name):
    before = client.read(name)
    value = "Another" if isinstance(before, str) else 1
    assert client.write(name, value) is Status.WRITE_PROTECT
    assert client.read(name) == before


def test_an_address_without_memory_is_named_as_such(client):
    assert client.ask(ReadRegisters(addresses=(0x50000,))).status == Status.INVALID_ADDRESS
    assert client.write_word(0x50000, 1) is Status.INVALID_ADDRESS
    assert client.write_word(0x600, 1) is Status.WRITE_PROTECT


def test_the_payload_is_as_large_as_the_picture_and_its_chunks(client):
    assert client.read("PayloadSize") == 64 * 48
    client.must_write("Width", 32)
    client.must_write("ChunkModeActive", 1)
    assert client.read("PayloadSize") == 32 * 48 + 8
    client.must_write("ChunkEnable", 1, index=3)
    assert client.read("PayloadSize") == 32 * 48 + 8 + 16


def test_sizes_cannot_change_while_pictures_are_sent(client):
    client.start()
    assert client.write("Width", 32) is Status.BUSY
    client.must_write("ExposureTime", 500.0)
    client.must_write("AcquisitionStop")
    client.must_write("Width", 32)


def test_a_name_given_by_the_user_is_kept_and_found(client):
    client.must_write("DeviceUserID", "Coil line 3 top")
    assert client.read("DeviceUserID") == "Coil line 3 top"
    assert b"Coil line 3 top" in client.ask(Discovery()).body


def test_a_user_set_brings_back_what_was_saved_and_the_first_is_the_makers(client):
    client.must_write("ExposureTime", 500.0)
    client.must_write("PixelFormat", "Mono12p")
    client.must_write("ChunkEnable", 1, index=3)
    client.must_write("UserSetSelector", "UserSet2")
    client.must_write("UserSetSave")
    client.must_write("UserSetSelector", "Default")
    client.must_write("UserSetLoad")
    made = (client.read("ExposureTime"), client.read("PixelFormat"), client.read("ChunkEnable", index=3))
    assert made == (1000.0, "Mono8", 0)
    client.must_write("UserSetSelector", "UserSet2")
    client.must_write("UserSetLoad")
    saved = (client.read("ExposureTime"), client.read("PixelFormat"), client.read("ChunkEnable", index=3))
    assert saved == (500.0, "Mono12p", 1)


def test_the_makers_user_set_cannot_be_overwritten_nor_any_loaded_while_pictures_are_sent(client):
    assert client.write("UserSetSave") is Status.WRITE_PROTECT
    client.start()
    assert client.write("UserSetLoad") is Status.BUSY
    client.must_write("AcquisitionStop")
    client.must_write("UserSetLoad")


def test_a_camera_restarts_with_the_user_set_it_is_told_to(client):
    client.must_write("TriggerMode", "On")
    client.must_write("UserSetSelector", "UserSet1")
    client.must_write("UserSetSave")
    client.must_write("UserSetDefault", "UserSet1")
    client.must_write("TriggerMode", "Off")
    client.must_write("DeviceReset")
    until(lambda: answers(client))
    assert client.read("TriggerMode") == "On"
    assert client.read("UserSetDefault") == "UserSet1"


def answers(client):
    try:
        return client.ask(Discovery(), timeout_s=0.2).status == Status.SUCCESS
    except (TimeoutError, ConnectionRefusedError):
        return False


def ptp(client):
    client.must_write("PtpDataSetLatch")
    return client.read("PtpStatus")


def test_a_clock_that_follows_the_networks_has_its_time(client):
    assert ptp(client) == "Disabled"
    client.must_write("PtpEnable", 1)
    until(lambda: ptp(client) == "Slave")
    client.must_write("GevTimestampControlLatch")
    assert abs(client.read("GevTimestampValue") - time.time_ns()) < 60e9
    client.must_write("PtpEnable", 0)
    assert ptp(client) == "Disabled"
    client.must_write("GevTimestampControlLatch")
    assert abs(client.read("GevTimestampValue") - time.time_ns()) < 60e9, "it goes on from where it was"


def test_a_clock_that_lost_its_master_says_so(free_camera):
    camera, client = free_camera
    client.start()
    client.must_write("PtpEnable", 1)
    until(lambda: ptp(client) == "Slave")
    camera.demand(Kind.PTP, seconds=600.0)
    until(lambda: ptp(client) == "Listening")


def test_the_temperature_is_one_of_a_camera(client):
    assert 30 <= client.read("DeviceTemperature") < 45


def test_a_latched_time_stands_still_until_the_next(client):
    client.must_write("GevTimestampControlLatch")
    first = client.read("GevTimestampValue")
    assert client.read("GevTimestampValue") == first > 0
    client.must_write("GevTimestampControlLatch")
    assert client.read("GevTimestampValue") > first
    client.must_write("GevTimestampControlReset")
    client.must_write("GevTimestampControlLatch")
    assert client.read("GevTimestampValue") < first + 60e9
    assert client.read("GevTimestampTickFrequency") == 1_000_000_000


def test_the_test_packet_has_the_size_that_was_asked_for(client):
    client.aim_here()
    for size in (1500, 8000):
        client.must_write("GevSCPSPacketSize", size)
        client.must_write("GevSCPSFireTestPacket", 1)
        assert len(client.packet()) == size - 28
        assert client.read("GevSCPSPacketSize") == size
        assert client.read("GevSCPSFireTestPacket") == 0


def force_ip(client, address, *, mac=None):
    own = client.ask(Discovery()).body[0x0A:0x10]
    return ForceIp(mac=mac or own, address=socket.inet_aton(address), mask=bytes(4), gateway=bytes(4))


def test_force_ip_moves_the_camera_until_it_restarts():
    address, new = a_free_address(), a_free_address()
    with a_camera(address=address), Client(address) as before, Client(new) as after:
        before.send(pack_command(force_ip(before, new), request_id=9))
        until(lambda: answers(after))
        assert not answers(before)
        assert after.ask(Discovery()).body[0x24:0x28] == socket.inet_aton(new)
        after.start()
        take(after, whole=2)
        after.must_write("DeviceReset")
        until(lambda: answers(before))
        assert before.ask(Discovery()).body[0x24:0x28] == socket.inet_aton(address)
        assert not answers(after)


def test_force_ip_for_another_camera_is_not_answered(free_camera):
    _, client = free_camera
    client.send(pack_command(force_ip(client, a_free_address(), mac=b"\x02other"), request_id=9))
    with pytest.raises(TimeoutError):
        client.answer(timeout_s=0.3)
    assert answers(client)


def test_force_ip_to_where_it_cannot_be_leaves_the_camera_where_it_is(free_camera):
    _, client = free_camera
    taken = a_free_address()
    with a_camera(address=taken):
        for address in (taken, "192.0.2.77", "127.255.255.255"):
            assert client.ask(force_ip(client, address)).status == Status.INVALID_PARAMETER
    assert client.ask(force_ip(client, "0.0.0.0")).status == Status.SUCCESS
    client.take_control()
    assert client.ask(force_ip(client, a_free_address())).status == Status.ACCESS_DENIED


def test_several_registers_are_written_in_order_until_one_is_refused(client):
    heartbeat, port = 0x938, 0xD00
    ack = client.ask(WriteRegisters(values=((heartbeat, 4000), (0x50000, 1), (port, 77))))
    assert ack.status == Status.INVALID_ADDRESS
    assert client.read_word(heartbeat) == 4000
    assert client.read_word(port) == 0


def test_a_command_that_asks_for_no_answer_gets_none(client):
    client.tell(WriteRegisters(values=((0x938, 4000),)))
    with pytest.raises(TimeoutError):
        client.answer(timeout_s=0.3)
    assert client.read_word(0x938) == 4000


def test_rubbish_never_keeps_the_camera_from_answering(free_camera):
    _, client = free_camera

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=600), st.booleans())
    def throw(data, is_framed):
        client.send(b"\x42\x00\x00" + data if is_framed else data)

    throw()
    client.send(b"\x42\x01\x01\x23\x00\x00\x00\x07")
    until(lambda: client.answer() == Ack(status=Status.NOT_IMPLEMENTED, code=0x124, request_id=7, body=b""))
    assert client.ask(Discovery()).status == Status.SUCCESS


def test_an_address_that_is_taken_is_refused_with_what_to_do():
    address = a_free_address()
    with a_camera(address=address), pytest.raises(AddressUnusable) as refused:
        a_camera(address=address).__enter__()
    assert refused.value.facts["address"] == address


@pytest.mark.parametrize("address", ["192.0.2.77", "not-an-address", "localhost", "0.0.0.0", "::1"])
def test_what_is_not_one_address_of_this_computer_is_refused(address):
    with pytest.raises(AddressUnusable):
        SimulatedCamera(DeviceSettings(address=address, interface=None)).__enter__()


def test_a_camera_that_was_switched_off_can_be_switched_on_again_at_its_address():
    address = a_free_address()
    for _ in range(3):
        with a_camera(address=address), Client(address) as client:
            client.start()


def test_the_truth_is_one_line_of_json_for_every_picture(tmp_path):
    truth = tmp_path / "truth.jsonl"
    with a_camera_and_client(truth=truth, scene=a_scene()) as (camera, client):
        client.take_control()
        client.aim_here()
        client.must_write("AcquisitionMode", "MultiFrame")
        client.must_write("AcquisitionFrameCount", 3)
        client.must_write("AcquisitionStart")
        until(lambda: camera.counts()["sent"] == 3)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["block_id"] for line in lines] == [1, 2, 3]
    assert all(line["sent"] and line["fault"] is None for line in lines)
