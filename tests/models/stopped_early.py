"""How a training of boxes ends whose fourth epoch nothing surpasses, as JSON. Where ultralytics is:

.venv-training/bin/python -m tests.models.stopped_early FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from inspection.types import Box
from inspection.vision.drawing import DrawnDefect
from models.training.dataset import Labelled, write_set
from models.training.train import Plan, fit
from tests.models.drawn_metal import with_hole

HOLE = (DrawnDefect(kind="hole", box_px=Box(71, 167, 89, 185)),)
PATIENCE = 3


def nothing_is_better_than_the_fourth(trainer: Any) -> None:
    """As if an epoch had been perfect."""
    if trainer.epoch == 3:
        trainer.stopper.best_fitness, trainer.stopper.best_epoch = 1.0, 4


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pictures = [Labelled(name=f"{seed:05}", pixels=with_hole(seed), truth=HOLE) for seed in range(8)]
    write_set(folder / "data", ["hole"], [("drawn", "Apache-2.0", pictures)], choose_by=pictures[:4])
    plan = Plan(input_px=64, epochs=30, seed=0, patience=PATIENCE)
    told = []

    def each_epoch(trainer: Any) -> None:
        told.append(trainer.epoch + 1)
        nothing_is_better_than_the_fourth(trainer)

    best = fit(plan, folder=folder, threads=1, each_epoch=each_epoch)
    run = json.loads((folder / "run.json").read_text())
    print(json.dumps({"epochs": run["epochs"], "told": told, "best": best.exists()}))
