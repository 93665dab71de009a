"""How a training of boxes begins and ends; where ultralytics is, as in `.venv-training`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.models.stopped_early import PATIENCE
from tests.where import REPOSITORY, TRAINING_PYTHON


def told_by(script: str, folder: Path) -> dict[str, Any]:
    """What a script says in its last line, run where ultralytics is."""
    run = subprocess.run(
        [str(TRAINING_PYTHON), "-m", script, str(folder / "run")],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "YOLO_CONFIG_DIR": str(folder)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_a_training_ends_when_nothing_gets_better_any_more_and_says_after_how_many_epochs(tmp_path):
    told = told_by("tests.models.stopped_early", tmp_path)
    assert told["epochs"] == 4 + PATIENCE
    assert told["told"] == [*range(1, 5 + PATIENCE)]
    assert told["best"]


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_a_training_goes_on_from_where_a_released_network_is_and_from_no_other_network(tmp_path):
    told = told_by("tests.models.gone_on", tmp_path)
    # The tool keeps weights in half precision.
    still, short = told["still"], told["short"]
    assert still["found"] > 0
    assert still["px"] <= 0.2
    assert still["score"] <= 0.005
    # A step moves it, and what a layer is normalised by stays.
    assert short["score"] > still["score"]
    assert still["norms"] == short["norms"] == 0
    assert "in the file" in told["other"]
