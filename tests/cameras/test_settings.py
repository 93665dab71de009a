import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from cameras.settings import CameraSettings, DrawnStripSettings, GenicamSettings, ReplaySettings

CAMERA = TypeAdapter(CameraSettings)


def test_the_driver_says_which_settings_a_table_holds():
    strip = CAMERA.validate_python({"driver": "drawn_strip", "seed": 7, "frames_per_s": 1.0})
    assert strip == DrawnStripSettings(seed=7, frames_per_s=1.0)
    assert (strip.width_px, strip.height_px) == (800, 400)
    vendor = CAMERA.validate_python({"driver": "genicam", "producer": "/opt/vendor/tl.cti", "serial": "S1"})
    assert vendor == GenicamSettings(producer=Path("/opt/vendor/tl.cti"), serial="S1")
    assert CAMERA.validate_python({"driver": "genicam", "producer": "simulated"}).producer == "simulated"
    assert CAMERA.validate_python({"driver": "replay", "folder": "runs/1"}) == ReplaySettings(
        folder=Path("runs/1")
    )


def test_a_line_scan_camera_on_an_encoder_is_set_in_its_own_words():
    made = CAMERA.validate_python(
        {
            "driver": "genicam",
            "producer": "lynceus",
            "device": "02:4c:7f:00:00:01",
            "device_scan_type": "line",
            "trigger": "encoder",
            "trigger_source": "Encoder1",
            "chunks": True,
            "mm_per_encoder_count": -0.05,
        }
    )
    assert (made.trigger, made.trigger_source, made.mm_per_encoder_count) == ("encoder", "Encoder1", -0.05)


@pytest.mark.parametrize(
    "table",
    [
        {"driver": "webcam"},
        {"seed": 1},
        {"driver": "drawn_strip", "speed": 3},
        {"driver": "drawn_strip", "frames_per_s": 0},
        {"driver": "drawn_strip", "mm_per_px": float("nan")},
        {"driver": "genicam"},
        {"driver": "genicam", "producer": "simulated", "buffers": 3},
        {"driver": "genicam", "producer": "simulated", "exposure_us": -1},
        {"driver": "genicam", "producer": "simulated", "serial": "1", "device": "10.0.0.7"},
        {"driver": "genicam", "producer": "simulated", "trigger": "line"},
        {"driver": "genicam", "producer": "simulated", "trigger": "free", "trigger_source": "Line1"},
        {"driver": "genicam", "producer": "simulated", "trigger_activation": "RisingEdge"},
        {"driver": "genicam", "producer": "simulated", "mm_per_encoder_count": 0.1},
        {"driver": "genicam", "producer": "simulated", "count_triggers": True, "chunks": True},
        {
            "driver": "genicam",
            "producer": "simulated",
            "count_triggers": True,
            "trigger": "line",
            "trigger_source": "Line1",
        },
        {"driver": "genicam", "producer": "simulated", "mm_per_encoder_count": 0, "chunks": True},
        {
            "driver": "genicam",
            "producer": "simulated",
            "mm_per_encoder_count": 0.1,
            "mm_per_line": 0.1,
            "chunks": True,
        },
        {"driver": "replay", "folder": "x", "pace": "slow"},
    ],
)
def test_unknown_keys_and_values_out_of_bounds_are_refused(table):
    with pytest.raises(ValidationError):
        CAMERA.validate_python(table)


def test_a_plant_that_only_reads_settings_loads_no_camera_library():
    program = (
        "import sys, cameras, cameras.settings, cameras.errors\n"
        "print([name for name in ('numpy', 'cv2', 'harvesters', 'genicam') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def test_a_drawn_strip_keeps_room_for_defects_between_its_margins():
    made = CAMERA.validate_python(
        {
            "driver": "drawn_strip",
            "margin_px": 24,
            "roll_mark": {"period_mm": 314.2, "frames": 12, "of_frames": 48},
        }
    )
    assert (made.margin_px, made.roll_mark.period_mm) == (24, 314.2)
    with pytest.raises(ValidationError, match="margin_px"):
        CAMERA.validate_python({"driver": "drawn_strip", "margin_px": 101})
