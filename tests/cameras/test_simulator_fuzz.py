"""Commands that are rubbish, or nearly right: the simulated camera lives through them, and obeys none it should not."""

import socket
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameras.simulator.features import features_of
from cameras.simulator.protocol import (
    GVCP_PORT,
    Action,
    Code,
    Discovery,
    ForceIp,
    PacketResend,
    ReadMemory,
    ReadRegisters,
    Status,
    WriteMemory,
    WriteRegisters,
    pack_command,
)
from tests.cameras.gige_client import Client, a_camera, a_free_address, take, until
from tests.gige import a_network_of_its_own

THROWN = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

FEATURES = {
    feature.name: feature.address
    for feature in features_of(sensor_wh_px=(64, 48), default_wh_px=(64, 48), fps=10.0)
}
EFFECTIVE = [
    WriteRegisters(values=((FEATURES["Width"], 32),)),
    WriteRegisters(values=((FEATURES["AcquisitionStop"], 1),)),
    WriteRegisters(values=((FEATURES["GevSCPHostPort"], 4000),)),
    WriteRegisters(values=((FEATURES["GevHeartbeatTimeout"], 500), (0xA00, 0))),
    WriteRegisters(values=((0xA00, 0),)),
    WriteRegisters(values=((0xA00, 1),)),
    WriteRegisters(values=((0xA00, 2), (FEATURES["Width"], 32))),
    WriteMemory(address=FEATURES["ExposureTime"], data=struct.pack(">d", 777.0)),
    WriteMemory(address=FEATURES["DeviceUserID"], data=b"mine"),
]
"""What a controller's commands would do at once."""

WORDS = st.integers(0, 2**32 - 1)
ADDRESSES = st.one_of(
    st.sampled_from([0x0, 0x24, 0x48, 0xE8, 0x200, 0x938, 0x944, 0xA00, 0xD00, 0xD04, 0xD18, 0x100000]),
    st.integers(0xA000 // 4, 0xA400 // 4).map(lambda word: 4 * word),
    WORDS,
)
VALUES = st.one_of(st.sampled_from([0, 1, 2, 3, 0xFFFFFFFF]), WORDS)
COMMANDS = st.one_of(
    st.sampled_from(EFFECTIVE),
    st.builds(Discovery),
    st.builds(ReadRegisters, addresses=st.lists(ADDRESSES, max_size=8).map(tuple)),
    st.builds(ReadMemory, address=ADDRESSES, count=WORDS),
    st.builds(WriteRegisters, values=st.lists(st.tuples(ADDRESSES, VALUES), max_size=8).map(tuple)),
    st.builds(WriteMemory, address=ADDRESSES, data=st.binary(max_size=64)),
    st.builds(
        PacketResend,
        channel=st.integers(0, 0xFFFF),
        block_id=st.integers(0, 20),
        first=WORDS,
        last=WORDS,
    ),
    st.builds(Action, device_key=VALUES, group_key=VALUES, group_mask=VALUES),
    st.builds(
        ForceIp,
        mac=st.binary(min_size=6, max_size=6),
        address=st.binary(min_size=4, max_size=4),
        mask=st.binary(min_size=4, max_size=4),
        gateway=st.binary(min_size=4, max_size=4),
    ),
)
VALID = st.builds(
    lambda command, request_id, wants_ack: pack_command(command, request_id=request_id, wants_ack=wants_ack),
    COMMANDS,
    st.integers(1, 0xFFFF),
    st.booleans(),
)


@st.composite
def damaged(draw):
    """A command with bytes changed, cut off or put behind it; the length it says may then be put right again."""
    data = bytearray(draw(VALID))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    data = (
        data[: draw(st.integers(0, len(data)))]
        if draw(st.booleans())
        else data + draw(st.binary(max_size=40))
    )
    if len(data) >= 8 and draw(st.booleans()):
        data[4:6] = (len(data) - 8).to_bytes(2)
    return bytes(data)


def framed(code, body):
    return b"\x42\x01" + code.to_bytes(2) + len(body).to_bytes(2) + b"\x00\x07" + body


FRAMED = st.builds(framed, st.one_of(st.sampled_from(Code), st.integers(0, 0xFFFF)), st.binary(max_size=600))
DATAGRAMS = st.one_of(VALID, damaged(), FRAMED, st.binary(max_size=600))


@pytest.fixture
def address():
    """Where no packet leaves this computer, whatever address a command aims the stream at."""
    with a_network_of_its_own():
        yield a_free_address()


def answers(client):
    """It may have been told to restart, and is away for a second then."""
    try:
        return client.ask(Discovery(), timeout_s=0.2).status == Status.SUCCESS
    except TimeoutError:
        return False


def test_whatever_a_stranger_sends_the_controller_keeps_the_camera_and_its_settings(address):
    with (
        a_camera(address=address),
        Client(address) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        client.start()
        names = ("ExposureTime", "Width", "DeviceUserID", "GevSCPHostPort")
        before = [client.read(name) for name in names]

        @THROWN
        @given(DATAGRAMS)
        def throw(data):
            stranger.sendto(data, (address, GVCP_PORT))
            assert client.ask(Discovery()).status == Status.SUCCESS

        throw()
        assert client.read_word(0xA00) == 2
        assert [client.read(name) for name in names] == before
        take(client, whole=1)
        client.must_write("AcquisitionStop")


def test_whatever_a_stranger_sends_a_free_camera_it_answers_and_gives_control_only_to_who_asks(address):
    with (
        a_camera(address=address),
        Client(address) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        give_back = pack_command(WriteRegisters(values=((0xA00, 0),)), request_id=1)

        @THROWN
        @given(DATAGRAMS)
        def throw(data):
            stranger.sendto(data, (address, GVCP_PORT))
            until(lambda: answers(client))
            if (0xA00).to_bytes(4) in data:
                stranger.sendto(give_back, (address, GVCP_PORT))
            assert client.read_word(0xA00) == 0

        throw()


def test_whatever_its_controller_sends_the_camera_goes_on_answering(address):
    with a_camera(address=address), Client(address) as client:

        @settings(THROWN, max_examples=150)
        @given(st.lists(DATAGRAMS, min_size=1, max_size=4))
        def throw(several):
            client.tell(WriteRegisters(values=((0xA00, 2),)))
            for data in several:
                client.send(data)
            until(lambda: answers(client))

        throw()
