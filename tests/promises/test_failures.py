import pytest

from cameras.errors import CameraLost, CameraSilent, RunUnreadable
from inspection.errors import (
    DetectionsInvalid,
    DetectorFailed,
    DetectorOvertime,
    ImageUnfit,
    ImageUnreadable,
    ImageUnsuitable,
    InspectionError,
)
from inspection.pipeline import PROGRAM_FAILED
from inspection.tally import CLOCK_BACKWARDS, FRAME_LOST, NOTHING_JUDGED, OVERRUN, UNACCOUNTED
from inspection.vision.edges import EdgeMissing
from inspection.vision.outline import PartMissing
from models.errors import DetectionFailed
from services.cli.inspect import INTERRUPTED
from services.files import FileUnreadable, FrameMissing
from services.station.lane import CAMERA_ENDED, LANE_FAILED, STOPPED
from services.station.records import ENGINE_LOST
from services.text import LANGUAGES, say_failure

ERRORS = [
    InspectionError,
    ImageUnreadable,
    ImageUnsuitable,
    ImageUnfit,
    PartMissing,
    EdgeMissing,
    DetectionsInvalid,
    DetectorFailed,
    DetectorOvertime,
    DetectionFailed,
    CameraLost,
    CameraSilent,
    RunUnreadable,
    FileUnreadable,
    FrameMissing,
]
CODES = [error.code for error in ERRORS] + [
    FRAME_LOST,
    OVERRUN,
    CLOCK_BACKWARDS,
    UNACCOUNTED,
    NOTHING_JUDGED,
    PROGRAM_FAILED,
    STOPPED,
    CAMERA_ENDED,
    LANE_FAILED,
    ENGINE_LOST,
    INTERRUPTED,
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", sorted(set(CODES)))
def test_why_a_frame_was_not_judged_is_said_in_words_and_not_as_a_code(code, language):
    assert say_failure(code, language) != code
