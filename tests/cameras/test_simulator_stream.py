import json
import socket
import struct
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cameras.simulator.clock import PART_PITCH_COUNTS
from cameras.simulator.faults import Fault, FaultPlan, Kind, parse_faults
from cameras.simulator.features import CHUNKS, EVENTS, IMAGE_CHUNK_ID
from cameras.simulator.protocol import Action, Discovery, Status, parse_chunks, parse_event
from cameras.simulator.scene import View, strip_scene
from inspection.vision.drawing import StripDrawing
from tests.cameras.gige_client import (
    PATIENCE_S,
    Client,
    a_camera,
    a_camera_and_client,
    a_free_address,
    a_scene,
    drained,
    take,
    until,
)

CHUNK_IDS = {chunk.name: chunk.chunk_id for chunk in CHUNKS}


def pictures(client, count, **settings):
    """Prepares a start that gives so many pictures and then stops."""
    client.take_control()
    client.aim_here()
    for name, value in settings.items():
        client.must_write(name, value)
    client.must_write("AcquisitionMode", "MultiFrame")
    client.must_write("AcquisitionFrameCount", count)


def all_of(camera, client, count, **settings):
    """Every block of a start with so many pictures, with all that came of each."""
    pictures(client, count, **settings)
    client.must_write("AcquisitionStart")
    blocks = {}
    until(lambda: camera.counts()["blocks"] >= count and drained(client, blocks, 0.05) is not None)
    return drained(client, blocks)


def faulty(spec):
    return {"faults": parse_faults(spec)}


def at(kind, exposure=1, **facts):
    return {"faults": FaultPlan(at={exposure: Fault(kind=kind, **facts)})}


# --- pictures ------------------------------------------------------------------------------------------


def test_a_picture_arrives_as_it_was_drawn():
    scene = strip_scene(5, wh_px=(200, 64))
    with a_camera_and_client(scene=scene) as (camera, client):
        blocks = all_of(camera, client, 2, GevSCPSPacketSize=300)
    drawn = StripDrawing(5, width_px=200)
    stretches = [
        index
        for block in blocks.values()
        for index in range(2000)
        if block.payload == drawn.frame(index, height_px=64).pixels.tobytes()
    ]
    assert len(stretches) == 2
    assert stretches[1] == stretches[0] + 1, "the strip goes on where the picture before it ended"


def test_a_leader_says_size_format_and_place_on_the_sensor():
    with a_camera_and_client() as (camera, client):
        (block,) = all_of(camera, client, 1, Width=32, OffsetX=16, Height=20, OffsetY=8).values()
    leader = block.leader
    assert (leader.width_px, leader.height_px) == (32, 20)
    assert (leader.offset_x_px, leader.offset_y_px) == (16, 8)
    assert (leader.pixel_format, leader.payload_type) == (0x01080001, 1)
    assert len(block.payload) == 32 * 20
    assert block.trailer.height_px == 20


def test_a_part_of_the_sensor_is_the_part_that_was_asked_for():
    gradient = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    scene = a_scene(look=lambda index, lines: View(pixels=gradient))
    with a_camera_and_client(scene=scene) as (camera, client):
        (block,) = all_of(camera, client, 1, Width=32, OffsetX=16, Height=20, OffsetY=8).values()
    assert block.payload == gradient[8:28, 16:48].tobytes()


def test_exposure_time_and_gain_make_the_picture_brighter():
    scene = a_scene(look=lambda index, lines: View(pixels=np.full((48, 64), 60, np.uint8)))
    with a_camera_and_client(scene=scene) as (camera, client):
        (plain,) = all_of(camera, client, 1).values()
        (long,) = all_of(camera, client, 1, ExposureTime=2000.0).values()
        (both,) = all_of(camera, client, 1, Gain=24.0).values()
    assert (plain.payload[0], long.payload[0], both.payload[0]) == (60, 120, 255)


def test_block_ids_leave_out_0_when_they_wrap():
    with a_camera_and_client(first_block_id=65534) as (camera, client):
        blocks = all_of(camera, client, 4)
    assert list(blocks) == [65534, 65535, 1, 2]


def test_block_ids_begin_again_at_each_start():
    with a_camera_and_client() as (camera, client):
        assert list(all_of(camera, client, 2)) == [1, 2]
        client.must_write("AcquisitionStart")
        assert list(take(client, whole=2)) == [1, 2]


def test_a_single_frame_is_one_picture():
    with a_camera_and_client() as (camera, client):
        pictures(client, 5, AcquisitionMode="SingleFrame")
        client.must_write("AcquisitionMode", "SingleFrame")
        client.must_write("AcquisitionStart")
        assert len(drained(client, take(client, whole=1), 0.5)) == 1
        client.must_write("Width", 32)
    assert camera.counts()["sent"] == 1


def test_a_stop_ends_the_stream_and_a_start_goes_on():
    with a_camera_and_client() as (_, client):
        client.start()
        take(client, whole=2)
        client.must_write("AcquisitionStop")
        drained(client, {})
        client.must_write("AcquisitionStart")
        assert len(take(client, whole=2)) >= 2


def test_a_camera_whose_client_went_away_goes_on_for_the_next():
    address = a_free_address()
    with a_camera(address=address) as camera:
        with Client(address) as client:
            client.start()
            client.must_write("GevHeartbeatTimeout", 500)
            take(client, whole=1)
        gone = camera.counts()["blocks"]
        until(lambda: camera.counts()["blocks"] > gone + 5)
        until(lambda: camera.counts()["heartbeats_lost"] == 1)
        with Client(address) as client:
            client.start()
            take(client, whole=1)


# --- chunks --------------------------------------------------------------------------------------------


def test_chunks_say_of_each_picture_its_count_time_exposure_and_encoder():
    with a_camera_and_client(scene=strip_scene(wh_px=(64, 48)), first_block_id=65535) as (camera, client):
        client.take_control()
        client.must_write("ChunkModeActive", 1)
        for index in range(len(CHUNKS)):
            client.must_write("ChunkEnable", 1, index=index)
        blocks = list(all_of(camera, client, 3, ExposureTime=1500.0).values())
    found = [parse_chunks(block.payload) for block in blocks]
    counts = [int.from_bytes(chunks[CHUNK_IDS["FrameID"]]) for chunks in found]
    times = [int.from_bytes(chunks[CHUNK_IDS["Timestamp"]]) for chunks in found]
    encoders = [int.from_bytes(chunks[CHUNK_IDS["EncoderValue"]]) for chunks in found]
    assert counts == [1, 2, 3], "a count that does not wrap"
    assert times == [block.leader.timestamp for block in blocks]
    assert struct.unpack(">d", found[0][CHUNK_IDS["ExposureTime"]]) == (1500.0,)
    assert np.diff(encoders).tolist() == [48, 48], "a count of the encoder is a line"
    assert len(found[0][IMAGE_CHUNK_ID]) == 64 * 48
    assert {block.leader.payload_type for block in blocks} == {0x4001}
    assert {block.trailer.chunk_bytes for block in blocks} == {len(blocks[0].payload)}


def test_the_light_barrier_is_covered_in_every_picture_that_it_triggered():
    with a_camera_and_client() as (camera, client):
        client.take_control()
        client.must_write("ChunkModeActive", 1)
        client.must_write("ChunkEnable", 1, index=4)
        blocks = all_of(camera, client, 3, TriggerMode="On", TriggerSource="Line1").values()
    lines = [parse_chunks(block.payload)[CHUNK_IDS["LineStatusAll"]] for block in blocks]
    assert lines == [b"\0\0\0\1"] * 3


def test_only_chunks_that_are_switched_on_travel():
    with a_camera_and_client() as (camera, client):
        client.take_control()
        client.must_write("ChunkModeActive", 1)
        client.must_write("ChunkEnable", 1, index=1)
        (block,) = all_of(camera, client, 1).values()
    assert set(parse_chunks(block.payload)) == {IMAGE_CHUNK_ID, CHUNK_IDS["Timestamp"]}


# --- triggers ------------------------------------------------------------------------------------------


def test_a_software_trigger_gives_one_picture_and_none_comes_without():
    with a_camera_and_client() as (camera, client):
        pictures(client, 100, TriggerMode="On", TriggerSource="Software", ExposureTime=10.0)
        client.must_write("AcquisitionMode", "Continuous")
        client.must_write("AcquisitionStart")
        assert drained(client, {}, 0.3) == {}
        for trigger in range(5):
            client.must_write("TriggerSoftware")
            assert list(take(client, whole=1)) == [trigger + 1]
    assert camera.counts()["triggers"] == camera.counts()["sent"] == 5


def test_a_software_trigger_within_an_exposure_is_missed():
    with a_camera_and_client() as (camera, client):
        pictures(client, 1, TriggerMode="On", TriggerSource="Software", ExposureTime=10_000_000.0)
        client.must_write("AcquisitionStart")
        for _ in range(3):
            client.must_write("TriggerSoftware")
        assert camera.counts()["triggers_missed"] == 2
    assert (camera.counts()["triggers"], camera.counts()["triggers_missed"]) == (3, 3), (
        "switched off within the exposure, there is no picture of the first either"
    )


def test_a_software_trigger_that_nobody_waits_for_is_missed():
    with a_camera_and_client() as (camera, client):
        client.take_control()
        client.must_write("TriggerSoftware")
    assert camera.counts() == {"triggers": 1, "triggers_missed": 1}


ACTION = Action(device_key=7, group_key=9, group_mask=0b110)


def waits_for_action(client, *, mask=0b100):
    client.must_write("ActionDeviceKey", ACTION.device_key)
    client.must_write("ActionGroupKey", ACTION.group_key)
    client.must_write("ActionGroupMask", mask)
    client.must_write("AcquisitionMode", "Continuous")
    client.must_write("AcquisitionStart")


@contextmanager
def the_events(client, *names):
    """The message channel of a client that listens for these."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        channel.settimeout(PATIENCE_S)
        client.must_write("GevMCDA", int.from_bytes(socket.inet_aton("127.0.0.1")))
        client.must_write("GevMCPHostPort", channel.getsockname()[1])
        for name in names:
            client.must_write("EventNotification", "On", index=list(EVENTS).index(name))
        yield channel


def test_each_exposure_is_told_with_the_id_and_time_of_its_picture():
    with a_camera_and_client() as (_, client):
        pictures(client, 3, ExposureTime=2000.0)
        with the_events(client, "ExposureEnd") as channel:
            client.must_write("AcquisitionStart")
            told = [parse_event(channel.recv(100)) for _ in range(3)]
        blocks = take(client, whole=3)
    assert [event.block_id for event in told] == [1, 2, 3]
    assert {event.event_id for event in told} == {EVENTS["ExposureEnd"]}
    ends = [block.leader.timestamp + 2_000_000 for block in blocks.values()]
    assert [event.timestamp for event in told] == ends


def test_only_events_that_are_switched_on_are_told_and_a_missed_trigger_is_one():
    with a_camera_and_client() as (_, client):
        pictures(client, 1, TriggerMode="On", ExposureTime=10.0)
        with the_events(client, "FrameTriggerMissed") as channel:
            client.must_write("TriggerSoftware")
            missed_early = parse_event(channel.recv(100))
            client.must_write("AcquisitionStart")
            client.must_write("TriggerSoftware")
            take(client, whole=1)
            until(lambda: client.write("TriggerMode", "Off") is Status.SUCCESS)
            client.must_write("TriggerSoftware")
            told = [missed_early, parse_event(channel.recv(100))]
    assert {event.event_id for event in told} == {EVENTS["FrameTriggerMissed"]}
    assert {event.block_id for event in told} == {0}


def test_a_dropped_controller_is_told_no_more_events():
    with a_camera_and_client() as (camera, client):
        client.take_control()
        with the_events(client, "FrameTriggerMissed") as channel:
            client.write_word(0xA00, 0)
            client.take_control()
            assert client.read("GevMCPHostPort") == 0
            client.must_write("TriggerSoftware")
            assert camera.counts()["triggers_missed"] == 1
            channel.settimeout(0.3)
            with pytest.raises(TimeoutError):
                channel.recv(100)


def test_an_action_command_triggers_a_picture_whoever_sends_it():
    address = a_free_address()
    with a_camera_and_client(address=address) as (camera, client), Client(address) as another:
        pictures(client, 1, TriggerMode="On", TriggerSource="Action1", ExposureTime=10.0)
        waits_for_action(client)
        for count in range(1, 4):
            assert another.ask(ACTION).status == Status.SUCCESS
            assert list(take(client, whole=1)) == [count]
        client.must_write("TriggerSoftware")
        assert drained(client, {}, 0.3) == {}
    assert camera.counts()["triggers_missed"] == 1, "that by software, which was not waited for"


@pytest.mark.parametrize(
    "other", [{"device_key": 8}, {"group_key": 8}, {"group_mask": 0b011}], ids=lambda other: next(iter(other))
)
def test_an_action_command_for_others_is_neither_done_nor_answered(other):
    with a_camera_and_client() as (camera, client):
        pictures(client, 1, TriggerMode="On", TriggerSource="Action1")
        waits_for_action(client)
        with pytest.raises(TimeoutError):
            client.ask(replace(ACTION, **other), timeout_s=0.3)
        assert camera.counts()["triggers"] == 0


def test_an_action_command_does_nothing_where_another_source_triggers_or_nobody_controls():
    with a_camera_and_client() as (camera, client):
        pictures(client, 1, TriggerMode="On", TriggerSource="Software")
        waits_for_action(client)
        assert client.ask(ACTION).status == Status.SUCCESS
        client.must_write("AcquisitionStop")
        client.write_word(0xA00, 0)
        with pytest.raises(TimeoutError):
            client.ask(ACTION, timeout_s=0.3)
        assert camera.counts()["triggers"] == 0


def test_the_light_barrier_gives_a_picture_for_each_part():
    with a_camera_and_client() as (camera, client):
        client.take_control()
        client.must_write("ChunkModeActive", 1)
        client.must_write("ChunkEnable", 1, index=3)
        blocks = all_of(camera, client, 4, TriggerMode="On", TriggerSource="Line1").values()
    encoders = [int.from_bytes(parse_chunks(block.payload)[CHUNK_IDS["EncoderValue"]]) for block in blocks]
    assert np.diff(encoders).tolist() == [PART_PITCH_COUNTS] * 3
    assert encoders[0] % PART_PITCH_COUNTS == 0
    parts = [block.payload[0] for block in blocks]
    assert parts == [encoder // PART_PITCH_COUNTS % 256 for encoder in encoders], "the part in the picture"


def test_parts_that_come_within_an_exposure_are_missed_and_counted(tmp_path):
    truth = tmp_path / "truth.jsonl"
    with a_camera_and_client(truth=truth, frames_per_s=100.0) as (camera, client):
        # 25 ms of exposure for a part each 10 ms: every third is seen.
        all_of(camera, client, 4, TriggerMode="On", TriggerSource="Line1", ExposureTime=25_000.0)
        counts = until(lambda: camera.counts())
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    triggers = [line["trigger"] for line in lines]
    assert triggers == list(range(triggers[0], triggers[0] + len(triggers))), "every trigger, in order"
    seen = [line["trigger"] for line in lines if not line.get("missed")]
    assert np.diff(seen).tolist() == [3, 3, 3]
    assert counts["triggers"] == counts["blocks"] + counts["triggers_missed"]


# --- asking again --------------------------------------------------------------------------------------


def test_a_lost_packet_can_be_had_again():
    with a_camera_and_client(**at(Kind.LOST)) as (camera, client):
        blocks = all_of(camera, client, 3, GevSCPSPacketSize=300)
        damaged = blocks[2]
        (missing,) = damaged.missing
        assert blocks[1].is_whole
        assert blocks[3].is_whole
        client.ask_again(2, missing, missing)
        again = drained(client, {2: damaged})[2]
    assert again.is_whole
    assert again.payload == bytes([1]) * 64 * 48
    assert camera.counts()["resent"] == 1


def test_leader_and_trailer_can_be_had_again():
    with a_camera_and_client() as (camera, client):
        blocks = all_of(camera, client, 1)
        client.ask_again(1, 0, 0xFFFFFF)
        again = drained(client, {})
    assert again[1].is_whole
    assert again[1].packets == blocks[1].packets


def test_what_is_no_longer_there_is_refused_with_one_packet():
    with a_camera_and_client() as (camera, client):
        blocks = all_of(camera, client, 1)
        client.ask_again(999, 0, 5)
        client.ask_again(1, blocks[1].last + 1, 0xFFFFFF)
        client.ask_again(1, 3, 2)
        again = drained(client, {})
    assert (again[999].refused, again[1].refused) == (1, 1)
    assert camera.counts()["resend_unavailable"] == 2


# --- faults --------------------------------------------------------------------------------------------


def the_second_of_three(kind, **settings):
    with a_camera_and_client(**at(kind)) as (camera, client):
        blocks = all_of(camera, client, 3, GevSCPSPacketSize=300, **settings)
        assert camera.counts()[f"fault_{kind}"] == 1
    assert blocks[1].is_whole
    assert blocks[3].is_whole
    return blocks[2]


def test_a_late_packet_comes_after_the_trailer():
    block = the_second_of_three(Kind.LATE)
    assert block.is_whole
    assert block.order[-1] != block.last
    assert block.order[-2] == block.last


def test_a_doubled_packet_comes_twice():
    block = the_second_of_three(Kind.DOUBLED)
    assert block.is_whole
    assert sorted(block.packets.values())[-2:] == [1, 2]


def test_reordered_packets_change_places():
    block = the_second_of_three(Kind.REORDERED)
    assert block.is_whole
    assert sorted(block.order) == list(range(block.last + 1)) != block.order


def test_a_corrupt_packet_is_noise_in_the_place_of_one():
    block = the_second_of_three(Kind.CORRUPT)
    assert block.noise == 1
    assert len(block.missing) == 1


def test_an_incomplete_picture_cannot_be_had_again():
    with a_camera_and_client(**at(Kind.INCOMPLETE)) as (camera, client):
        block = all_of(camera, client, 2, GevSCPSPacketSize=300)[2]
        missing = block.missing
        assert len(missing) > 1
        client.ask_again(2, missing[0], missing[-1])
        again = drained(client, {})[2]
    assert not again.pieces
    assert again.refused == len(missing) == camera.counts()["resend_unavailable"]


def test_a_picture_of_the_wrong_size_ends_before_it_should():
    block = the_second_of_three(Kind.SIZE)
    assert block.is_whole
    assert len(block.payload) < 64 * 48
    assert block.trailer.height_px < block.leader.height_px


def steps(parts):
    """How many parts it is from one picture to the next; a picture's grey level counts them."""
    return [(later - earlier) % 256 for earlier, later in pairwise(parts)]


def test_a_missed_trigger_leaves_no_hole_in_the_count_but_one_in_the_parts():
    with a_camera_and_client(frames_per_s=20.0, **at(Kind.MISSED, exposure=2)) as (camera, client):
        blocks = all_of(camera, client, 4, TriggerMode="On", TriggerSource="Line1")
        counts = camera.counts()
    assert list(blocks) == [1, 2, 3, 4]
    parts = [block.payload[0] for block in blocks.values()]
    assert steps(parts) == [1, 2, 1]
    assert counts["triggers"] == counts["blocks"] + counts["triggers_missed"] == 5
    assert counts["fault_missed"] == 1


def test_a_double_trigger_shows_the_same_part_twice():
    with a_camera_and_client(frames_per_s=20.0, **at(Kind.DOUBLE)) as (camera, client):
        blocks = all_of(camera, client, 4, TriggerMode="On", TriggerSource="Line1")
        counts = camera.counts()
    parts = [block.payload[0] for block in blocks.values()]
    assert steps(parts) == [1, 0, 1]
    assert counts["triggers"] == counts["blocks"] - counts["fault_double"] == 3


def test_an_exposure_longer_than_the_trigger_period_costs_the_next_trigger_and_is_brighter():
    dim = a_scene(look=lambda index, lines: View(pixels=np.full((48, 64), 2, np.uint8)))
    with a_camera_and_client(scene=dim, frames_per_s=20.0, **at(Kind.LONG)) as (camera, client):
        client.take_control()
        client.must_write("ChunkModeActive", 1)
        for index in (2, 3):
            client.must_write("ChunkEnable", 1, index=index)
        blocks = all_of(camera, client, 4, TriggerMode="On", TriggerSource="Line1")
        counts = camera.counts()
    chunks = [parse_chunks(block.payload) for block in blocks.values()]
    encoders = [int.from_bytes(each[CHUNK_IDS["EncoderValue"]]) for each in chunks]
    exposures_us = [struct.unpack(">d", each[CHUNK_IDS["ExposureTime"]])[0] for each in chunks]
    assert (np.diff(encoders) / PART_PITCH_COUNTS).tolist() == [1, 2, 1]
    assert exposures_us == [1000.0, 51_000.0, 1000.0, 1000.0]
    assert [block.payload[0] for block in blocks.values()] == [2, 102, 2, 2]
    assert counts["triggers"] == counts["blocks"] + counts["triggers_missed"] == 5
    assert counts["fault_long"] == 1


def counted(client, count_of_blocks, camera):
    """The counter's value with each picture of a start on the light barrier."""
    client.take_control()
    client.must_write("ChunkModeActive", 1)
    client.must_write("ChunkEnable", 1, index=[chunk.name for chunk in CHUNKS].index("CounterValue"))
    client.must_write("CounterEventSource", "Line1")
    client.must_write("CounterReset")
    blocks = all_of(camera, client, count_of_blocks, TriggerMode="On", TriggerSource="Line1")
    return [
        int.from_bytes(parse_chunks(block.payload)[CHUNK_IDS["CounterValue"]]) for block in blocks.values()
    ]


@pytest.mark.parametrize(
    ("kind", "steps_of_the_counter"),
    [(Kind.MISSED, [1, 2, 1]), (Kind.LONG, [1, 1, 2]), (Kind.DOUBLE, [1, 1, 1])],
)
def test_the_counter_says_of_each_picture_how_many_triggers_there_were(kind, steps_of_the_counter):
    with a_camera_and_client(frames_per_s=20.0, **at(kind, exposure=2)) as (camera, client):
        values = counted(client, 4, camera)
        assert client.read("CounterValue") >= values[-1]
    assert np.diff(values).tolist() == steps_of_the_counter
    assert values[0] >= 1


def test_a_restart_begins_the_counter_anew_and_switches_it_off():
    with a_camera_and_client() as (_, client):
        client.take_control()
        client.must_write("CounterEventSource", "Line1")
        until(lambda: client.read("CounterValue") >= 2)
        client.must_write("DeviceReset")
        until(lambda: heard(client))
        assert client.read("CounterValue") == 0
        assert client.read("CounterEventSource") == "Off"


def test_faults_of_triggers_do_not_happen_where_there_are_none():
    with a_camera_and_client(**faulty("missed=0.5,double=0.5")) as (camera, client):
        assert len(all_of(camera, client, 5)) == 5
    assert not [name for name in camera.counts() if name.startswith("fault")]


def test_a_clock_that_jumps_shows_in_the_timestamps_and_nowhere_else():
    with a_camera_and_client(**at(Kind.JUMP, exposure=2, seconds=3600.0)) as (camera, client):
        blocks = all_of(camera, client, 4)
    times = [block.leader.timestamp for block in blocks.values()]
    assert [step > 3600e9 for step in np.diff(times)] == [False, True, False]


def test_a_lost_link_comes_back_by_itself_and_leaves_a_hole():
    with a_camera_and_client() as (camera, client):
        client.start()
        blocks = take(client, whole=1)
        camera.demand(Kind.LINK, seconds=0.5)
        until(lambda: camera.counts()["unsent"])
        before = camera.counts()["sent"]
        until(lambda: camera.counts()["sent"] > before + 2)
        client.must_write("AcquisitionStop")
        blocks = drained(client, blocks)
        counts = camera.counts()
    missing = max(blocks) - len(blocks)
    # The picture that was due when it was stopped was not sent either.
    assert 0 < missing <= counts["unsent"] <= missing + 1
    assert counts["heartbeats_lost"] == 0


def test_a_link_lost_for_longer_than_the_heartbeat_costs_the_control():
    with a_camera_and_client() as (camera, client):
        client.start()
        client.must_write("GevHeartbeatTimeout", 500)
        take(client, whole=1)
        camera.demand(Kind.LINK, seconds=1.5)
        until(lambda: camera.counts()["heartbeats_lost"] == 1)
        until(lambda: heard(client))
        assert client.read_word(0xA00) == 0


def heard(client):
    try:
        return client.ask(Discovery(), timeout_s=0.2).status == Status.SUCCESS
    except TimeoutError:
        return False


def test_a_device_that_restarts_has_its_defaults_and_no_controller():
    with a_camera_and_client() as (camera, client):
        client.start()
        client.must_write("ExposureTime", 777.0)
        client.must_write("DeviceUserID", "top")
        take(client, whole=1)
        camera.demand(Kind.REBOOT, seconds=0.3)
        until(lambda: camera.counts()["fault_reboot"] == 1)
        until(lambda: heard(client))
        assert client.read_word(0xA00) == 0
        assert client.read("ExposureTime") == 1000.0
        assert client.read("DeviceUserID") == "top"
        drained(client, {})
        client.start()
        assert min(take(client, whole=2)) == 1


def test_a_reset_by_command_restarts_the_device():
    with a_camera_and_client() as (_, client):
        client.take_control()
        client.must_write("ExposureTime", 777.0)
        client.must_write("DeviceReset")
        until(lambda: heard(client))
        assert client.read("ExposureTime") == 1000.0


def test_a_dropped_controller_gets_no_more_pictures():
    with a_camera_and_client(**at(Kind.HEARTBEAT, exposure=3)) as (camera, client):
        client.start()
        until(lambda: camera.counts()["fault_heartbeat"] == 1)
        blocks = drained(client, {})
        assert client.read_word(0xA00) == 0
        assert client.write("AcquisitionStart") is Status.ACCESS_DENIED
    assert list(blocks) == [1, 2, 3]


def test_what_the_camera_says_it_did_is_what_a_client_sees_picture_by_picture(tmp_path):
    """Every fault that can happen to a picture, and a client that asks again for what it misses."""
    count = 300
    truth = tmp_path / "truth.jsonl"
    spec = "lost=.06,late=.04,doubled=.06,reordered=.06,corrupt=.06,incomplete=.06,size=.06,jump=.02,seed=11"
    with a_camera_and_client(truth=truth, frames_per_s=200.0, **faulty(spec)) as (camera, client):
        pictures(client, count, GevSCPSPacketSize=700)
        client.must_write("AcquisitionStart")
        blocks = take(client, ended=count, ask_again=True)
        counts = camera.counts()
    lines = {line["block_id"]: line for line in map(json.loads, truth.read_text().splitlines())}
    for block_id, block in blocks.items():
        told = lines[block_id]["fault"]
        assert fault_seen(block) == (None if told == "jump" else told), lines[block_id]
    seen = Counter(fault_seen(block) for block in blocks.values())
    assert len(seen) == 8
    for kind in set(seen) - {None}:
        assert counts[f"fault_{kind}"] == seen[kind]
    not_whole = [block_id for block_id, block in blocks.items() if not block.is_whole]
    assert len(not_whole) == counts["fault_incomplete"], "everything else was had again"
    assert counts["sent"] == counts["blocks"] == len(lines) == count


def fault_seen(block):
    """What a client can tell of a block by its packets."""
    if block.noise:
        return "corrupt"
    if block.refused:
        return "incomplete"
    if block.asked_for:
        return "late" if block.packets[block.asked_for[0]] == 2 else "lost"
    if block.trailer.height_px != block.leader.height_px:
        return "size"
    if max(block.packets.values()) == 2:
        return "doubled"
    return None if block.order == sorted(block.order) else "reordered"


def test_every_trigger_is_a_picture_that_came_one_that_did_not_or_missed(tmp_path):
    count = 300
    truth = tmp_path / "truth.jsonl"
    spec = "missed=.05,double=.05,lost=.05,incomplete=.05,doubled=.05,jump=.01,link@40:0.2,seed=9"
    with a_camera_and_client(truth=truth, frames_per_s=200.0, **faulty(spec)) as (camera, client):
        # An exposure of 8 ms for a part each 5 ms: every second is missed for that alone.
        blocks = all_of(camera, client, count, TriggerMode="On", TriggerSource="Line1", ExposureTime=8000.0)
        counts = camera.counts()
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    told = {line["block_id"]: line for line in lines if not line.get("missed")}
    assert sorted(told) == list(range(1, counts["blocks"] + 1))
    assert {block_id for block_id, line in told.items() if line["sent"]} == set(blocks)
    assert counts["blocks"] == counts["sent"] + counts["unsent"] + counts["overrun"]
    assert counts["triggers"] == counts["blocks"] - counts["fault_double"] + counts["triggers_missed"]
    triggers = sorted({line["trigger"] for line in lines})
    assert triggers == list(range(triggers[0], triggers[0] + counts["triggers"]))
    damaged = sum(not block.is_whole for block in blocks.values())
    assert damaged == counts["fault_lost"] + counts["fault_incomplete"]
    assert min(counts[name] for name in ("unsent", "fault_missed", "fault_double", "fault_lost")) > 0
