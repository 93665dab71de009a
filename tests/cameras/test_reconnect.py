import subprocess
import sys

import pytest

from tests.gige import built_producer
from tests.where import REPOSITORY


def test_a_lane_carries_on_with_its_settings_after_its_camera_and_after_its_cameras_process_was_killed():
    """Once each; docs/cameras.md has the figures of twenty times."""
    pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')
    built_producer()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cameras.reconnect", "--times", "1"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
