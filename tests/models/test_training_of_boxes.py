"""How a training of boxes ends; where ultralytics is, as in `.venv-training`."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.models.stopped_early import PATIENCE
from tests.where import REPOSITORY, TRAINING_PYTHON


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_a_training_ends_when_nothing_gets_better_any_more_and_says_after_how_many_epochs(tmp_path):
    folder = tmp_path / "run"
    run = subprocess.run(
        [str(TRAINING_PYTHON), "-m", "tests.models.stopped_early", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "YOLO_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["epochs"] == 4 + PATIENCE
    assert told["told"] == [*range(1, 5 + PATIENCE)]
    assert told["best"]
