"""A training that goes on from a released network, in steps of no length and in short ones, and one from a network that
is not its own, as JSON. Where ultralytics is:

.venv-training/bin/python -m tests.models.gone_on FOLDER
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from inspection.vision.boxes import Letterbox
from models.boxes import fill_input
from models.session import Session
from models.store import ModelStore
from models.training.dataset import STRIP_KINDS, drawn_strip, write_set
from models.training.train import PLANS, answers, fit, load_network

FROM = ("strip-surface", "1.2.0")
PLAN = replace(PLANS["strip"], epochs=1, begins_with=FROM)


def gone_on(folder: Path, *, rate: float) -> dict[str, float]:
    """How far answers and norms then are from those of the released network."""
    pictures = list(drawn_strip(range(4), clean=False))
    write_set(folder / "data", STRIP_KINDS, [("drawn", "Apache-2.0", pictures)], choose_by=pictures)
    best = fit(replace(PLAN, learning_rate=rate), folder=folder, threads=1)
    released = ModelStore().find(*FROM)
    image = np.empty((1, 3, *released.card.input_hw), np.float32)
    seen = pictures[1].pixels
    fill_input(image[0], seen, Letterbox.fit((seen.shape[0], seen.shape[1]), released.card.input_hw))
    now, then = answers(best, image), Session(released).run(image)
    # Where nothing is, a box is anywhere.
    off = np.abs(now - then)[..., then[0, 4:].max(axis=0) > 0.1]
    kept = load_network(best).model.state_dict()
    norms = [float(kept[name].abs().max()) for name in kept if name.endswith("running_mean")]
    return {
        "found": off.shape[-1],
        "px": float(off[:, :4].max()),
        "score": float(off[:, 4:].max()),
        "norms": max(norms),
    }


def refusal(folder: Path) -> str:
    pictures = list(drawn_strip(range(4), clean=False))
    write_set(folder / "data", STRIP_KINDS, [("drawn", "Apache-2.0", pictures)], choose_by=pictures)
    try:
        fit(replace(PLAN, network="yolo11n.yaml", rectified=False), folder=folder, threads=1)
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    at = Path(sys.argv[1])
    told = {
        "still": gone_on(at / "still", rate=0.0),
        "short": gone_on(at / "short", rate=1e-4),
        "other": refusal(at / "other"),
    }
    print(json.dumps(told))
