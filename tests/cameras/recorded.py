"""Recordings for tests."""

from datetime import UTC, datetime, timedelta

from cameras.recording import Recorder
from inspection.types import Frame
from tests.fake_cameras import a_picture


def a_frame(sequence, **changes):
    """One frame a second."""
    facts = {
        "pixels": a_picture(sequence),
        "camera": "top",
        "sequence": sequence,
        "captured_at": datetime(2026, 11, 20, 8, 0, tzinfo=UTC) + timedelta(seconds=sequence),
    }
    return Frame(**facts | changes)


def record(folder, frames):
    with Recorder(folder) as recorder:
        for frame in frames:
            recorder.write(frame)
    return folder
