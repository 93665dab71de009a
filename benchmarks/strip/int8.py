"""A released network beside its int8 twin, in one run: what int8 costs in precision and saves in time.

PYTHONPATH=. python benchmarks/strip/int8.py [--shared ../shared] [--looks 1]

Both are run as a station runs them, on NEU-DET's val list, which neither learned from (it chose the float network's
epoch). Processor time of one core, picture by picture in turn, so that what else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from inspection.types import Detections
from inspection.vision.boxes import Letterbox
from models import ModelStore, open_detector
from models.boxes import fill_input
from models.evaluation import Judged, precision
from models.session import Session
from models.training.dataset import Labelled, read_neu

NAME = "strip-surface"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--looks", type=int, choices=(1, 2, 4), default=1)
    given = parser.parse_args()
    pictures = read_neu(given.shared / "data" / "neu_det", "val.txt")
    names = (NAME, f"{NAME}-int8")
    version = ModelStore().find(names[1]).card.version
    models = [ModelStore().find(name, version) for name in names]
    detectors = [open_detector(name, version=version, min_score=0.001, looks=given.looks) for name in names]
    sessions = [Session(model) for model in models]
    found: list[list[Detections]] = [[], []]
    took: list[list[float]] = [[], []]
    for one in pictures:
        for which, detector in enumerate(detectors):
            found[which].append(detector.detect(one.pixels))
        row = np.empty((1, 3, *models[0].card.input_hw), np.float32)
        fill_input(
            row[0],
            one.pixels,
            Letterbox.fit((one.pixels.shape[0], one.pixels.shape[1]), models[0].card.input_hw),
        )
        for which, session in enumerate(sessions):
            began = time.process_time()
            session.run(row)
            took[which].append((time.process_time() - began) * 1e3)
    kinds = models[0].card.kinds
    print(f"NEU-DET val, {len(pictures)} pictures, {given.looks} look(s) at each")
    for name, model, detections, times in zip(names, models, found, took, strict=True):
        reached = precision(
            [judged(one, seen) for one, seen in zip(pictures, detections, strict=True)], kinds
        )
        per_kind = "  ".join(f"{kind} {value:.3f}" for kind, value in reached.ap50.items())
        print(
            f"{name} {model.card.version}: mAP50 {reached.map50:.4f}  mAP50-95 {reached.map50_95:.4f}  {per_kind}"
        )
        print(f"  {np.median(times):.2f} ms a run of the network, {len(model.network) / 1e6:.1f} MB")
    print(f"int8 is {np.median(took[0]) / np.median(took[1]):.2f} times as fast")


def judged(one: Labelled, found: Detections) -> Judged:
    corners = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in one.truth]
    return Judged(
        truth_xyxy=np.array(corners, np.float32).reshape(-1, 4),
        truth_kind=tuple(defect.kind for defect in one.truth),
        found=found,
    )


if __name__ == "__main__":
    main()
