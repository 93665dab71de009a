from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.simulator.protocol import (
    GVCP_DATA_MAX,
    PAYLOAD_IMAGE,
    PAYLOAD_WITH_CHUNKS,
    Ack,
    Action,
    Content,
    Discovery,
    EventMessage,
    ForceIp,
    Leader,
    Malformed,
    PacketResend,
    ReadMemory,
    ReadRegisters,
    Status,
    Trailer,
    WriteMemory,
    WriteRegisters,
    pack_ack,
    pack_chunk_end,
    pack_command,
    pack_event,
    pack_leader,
    pack_trailer,
    parse_ack,
    parse_chunks,
    parse_command,
    parse_event,
    parse_header,
    parse_leader,
    parse_stream_packet,
    parse_trailer,
    payload_headers,
    stream_header,
)

u16 = st.integers(0, 2**16 - 1)
u24 = st.integers(0, 2**24 - 1)
u32 = st.integers(0, 2**32 - 1)
aligned = st.integers(0, 2**30 - 1).map(lambda word: 4 * word)
ip = st.binary(min_size=4, max_size=4)
words = st.integers(1, GVCP_DATA_MAX // 4)
commands = st.one_of(
    st.just(Discovery()),
    st.builds(ForceIp, mac=st.binary(min_size=6, max_size=6), address=ip, mask=ip, gateway=ip),
    st.builds(ReadRegisters, addresses=st.lists(aligned, min_size=1, max_size=135).map(tuple)),
    st.builds(WriteRegisters, values=st.lists(st.tuples(aligned, u32), min_size=1, max_size=67).map(tuple)),
    st.builds(ReadMemory, address=aligned, count=words.map(lambda word: 4 * word)),
    st.builds(
        WriteMemory,
        address=aligned,
        data=words.flatmap(lambda word: st.binary(min_size=4 * word, max_size=4 * word)),
    ),
    st.builds(Action, device_key=u32, group_key=u32, group_mask=u32),
    st.builds(PacketResend, channel=u16, block_id=u16, first=u24, last=u24),
)
leaders = st.builds(
    Leader,
    payload_type=st.sampled_from([PAYLOAD_IMAGE, PAYLOAD_IMAGE | PAYLOAD_WITH_CHUNKS]),
    timestamp=st.integers(0, 2**64 - 1),
    pixel_format=u32,
    width_px=u32,
    height_px=u32,
    offset_x_px=u32,
    offset_y_px=u32,
    padding_x=u16,
    padding_y=u16,
)
trailers = st.one_of(
    st.builds(Trailer, payload_type=st.just(PAYLOAD_IMAGE), height_px=u32),
    st.builds(
        Trailer, payload_type=st.just(PAYLOAD_IMAGE | PAYLOAD_WITH_CHUNKS), height_px=u32, chunk_bytes=u32
    ),
)


@given(commands, st.integers(1, 2**16 - 1), st.booleans())
def test_a_command_is_understood_as_it_was_meant(command, request_id, wants_ack):
    header = parse_header(pack_command(command, request_id=request_id, wants_ack=wants_ack))
    assert (header.request_id, header.wants_ack) == (request_id, wants_ack)
    assert parse_command(header) == command


@given(st.builds(Ack, status=u16, code=u16, request_id=u16, body=st.binary(max_size=600)))
def test_an_answer_is_understood_as_it_was_meant(ack):
    assert parse_ack(pack_ack(ack)) == ack


@given(leaders)
def test_a_leader_is_understood_as_it_was_meant(leader):
    assert parse_leader(pack_leader(leader)) == leader


@given(trailers)
def test_a_trailer_is_understood_as_it_was_meant(trailer):
    assert parse_trailer(pack_trailer(trailer)) == trailer


@given(st.sampled_from(Content), u16, u24, st.sampled_from(Status), st.binary(max_size=50))
def test_a_stream_packet_is_understood_as_it_was_meant(content, block_id, packet_id, status, data):
    header = stream_header(content, block_id=block_id, packet_id=packet_id, status=status)
    packet = parse_stream_packet(header + data)
    assert (packet.content, packet.block_id, packet.packet_id) == (content, block_id, packet_id)
    assert (packet.status, bytes(packet.data)) == (status, data)


@given(u16, st.integers(1, 3000))
def test_headers_made_at_once_equal_headers_made_one_by_one(block_id, count):
    plain = [
        stream_header(Content.PAYLOAD, block_id=block_id, packet_id=packet_id)
        for packet_id in range(1, count + 1)
    ]
    assert bytes(payload_headers(block_id=block_id, count=count)) == b"".join(plain)


@given(st.dictionaries(u32, st.binary(max_size=40), max_size=6))
def test_chunks_are_found_again_by_their_ids(chunks):
    data = b"".join(value + pack_chunk_end(key, length=len(value)) for key, value in chunks.items())
    assert parse_chunks(data) == chunks


def parse_as_command(data):
    return parse_command(parse_header(data))


@pytest.mark.parametrize(
    "parse",
    [parse_as_command, parse_ack, parse_stream_packet, parse_leader, parse_trailer, parse_chunks],
    ids=lambda parse: parse.__name__,
)
@given(data=st.binary(max_size=700))
def test_rubbish_is_refused_with_one_error_or_means_something(parse, data):
    with suppress(Malformed):
        parse(data)


@given(st.builds(EventMessage, event_id=u16, block_id=u16, timestamp=st.integers(0, 2**64 - 1)))
def test_an_event_is_read_as_it_was_written(event):
    assert parse_event(pack_event(event, request_id=1)) == event


@given(commands, st.data())
def test_a_command_with_bytes_changed_is_refused_with_one_error_or_means_something(command, data):
    packet = bytearray(pack_command(command, request_id=7))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packet)))
    for changed in (bytes(packet), bytes(packet[:cut])):
        with suppress(Malformed):
            parse_as_command(changed)


def test_a_read_across_the_alignment_of_words_is_refused_as_such():
    with pytest.raises(Malformed) as refused:
        parse_as_command(pack_command(ReadMemory(address=2, count=4), request_id=1))
    assert refused.value.status is Status.BAD_ALIGNMENT


def test_a_command_nobody_knows_is_not_implemented_rather_than_malformed():
    header = parse_header(bytes.fromhex("4201 0200 0000 0001"))
    with pytest.raises(Malformed) as refused:
        parse_command(header)
    assert refused.value.status is Status.NOT_IMPLEMENTED


def test_the_packets_lie_as_the_standard_draws_them():
    # READREG of 0x0A00 with request 0x1234, and a leader of a 16 x 8 Mono8 picture.
    command = pack_command(ReadRegisters(addresses=(0x0A00,)), request_id=0x1234)
    assert command == bytes.fromhex("42 01 0080 0004 1234 00000a00")
    leader = Leader(payload_type=1, timestamp=5, pixel_format=0x01080001, width_px=16, height_px=8)
    assert pack_leader(leader) == bytes.fromhex(
        "0000 0001 0000000000000005 01080001 00000010 00000008 00000000 00000000 0000 0000"
    )
    assert stream_header(Content.LEADER, block_id=9, packet_id=0) == bytes.fromhex("0000 0009 01 000000")
