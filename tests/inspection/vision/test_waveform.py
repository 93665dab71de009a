"""WAV files that a recorder did not finish; what is found in whole ones is in test_sensors.py."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.errors import ImageUnreadable, InspectionError
from inspection.vision.waveform import decode_wav

FORM = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 100_000, 200_000, 2, 16)
SAMPLES = b"\x10\x01" * 5000


def a_file(riff_bytes: int, *chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + FORM + b"".join(chunks) + SAMPLES


def test_a_recording_whose_power_went_before_its_header_was_finished_is_refused():
    note = struct.pack("<4sI", b"bext", 602) + bytes(602)
    with pytest.raises(ImageUnreadable, match="cut off"):
        decode_wav(a_file(36, note, struct.pack("<4sI", b"data", 0)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_whatever_sizes_a_header_states_a_file_is_read_whole_or_refused(riff, note, data_bytes):
    data = a_file(riff, struct.pack("<4sI", b"bext", note), struct.pack("<4sI", b"data", data_bytes))
    try:
        pixels, _ = decode_wav(data)
    except InspectionError:
        return
    # Two bytes of each sample; half a sample is none.
    assert pixels.shape == (1, data_bytes // 2 * 2)
