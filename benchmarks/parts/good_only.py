"""How well a model fitted from good magnetic tiles only tells defective ones, and what it takes.

PYTHONPATH=. python benchmarks/parts/good_only.py [--shared ../shared] [--good 50] [--thorough]

Fitted from that many pictures of the train list, as many different tiles as there are; judged on the val list, which
shows other tiles. A picture's score is that of its surest place. --thorough: by models/training/good_only.py, which
needs torch (.venv-training). --into FOLDER keeps the model there, with what it does on the val list in its card.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import cv2
import numpy as np

from inspection.types import Image
from models.anomaly import fit
from models.card import ModelCard
from models.evaluation import auroc
from models.maps import MapDetector
from models.session import Session
from models.store import ReleasedModel
from models.training.dataset import TILE_LICENCE, read_tiles
from models.training.release import Gold, latency, measure, write

NAME = "magnetic-tile-good"
KINDS = ("Blowhole", "Break", "Crack", "Fray", "Uneven")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--good", type=int, default=50)
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--into", type=Path, default=None, help="keep the model in this folder")
    parser.add_argument("--split", choices=["val", "chosen_by"], default="val")
    given = parser.parse_args()
    folder = given.shared / "data" / "magnetic_tile"
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    good = [read(folder, row) for row in chosen(rows, given.good)]
    began, used = time.monotonic(), time.process_time()
    fitted_by = thorough_fit if given.thorough else fit
    model = fitted_by(
        good, name=NAME, source="magnetic tiles train.txt, free of defects", licence=TILE_LICENCE
    )
    wall, cpu = time.monotonic() - began, time.process_time() - used
    print(f"fitted from {len(good)} good pictures in {wall:.0f} s, {cpu:.0f} s of processor time")
    if given.into is not None:
        card = with_figures(model, folder, f"--good {given.good}{' --thorough' if given.thorough else ''}")
        write(card, model.network, given.into)
        print(given.into / card.name / card.version)
    detector, any_score = MapDetector(Session(model)), MapDetector(Session(model), min_score=1e-6)
    val = judged_by(rows, given.good, given.split)
    took, score, alarmed = [], [], []
    for row in val:
        picture = read(folder, row)
        used = time.process_time()
        found = detector.detect(picture)
        tiles = len(detector.tiles((picture.shape[0], picture.shape[1])))
        took.append((time.process_time() - used) * 1e3 / tiles)
        alarmed.append(len(found) > 0)
        score.append(any_score.detect(picture).score.max(initial=0))
    kinds = np.array([row["image_class"] for row in val])
    free = kinds == "Free"
    print(
        f"{given.split}, {len(val)} pictures, {free.sum()} free of defects: AUROC {auroc(np.array(score), ~free):.4f}"
    )
    for kind in KINDS:
        asked = free | (kinds == kind)
        print(f"  {kind:10} {auroc(np.array(score)[asked], (kinds == kind)[asked]):.3f}")
    print(
        f"at 0.5: overkill {np.mean(np.array(alarmed)[free]):.3f}, escapes {1 - np.mean(np.array(alarmed)[~free]):.3f}"
    )
    print(
        f"{np.median(took):.1f} ms of one core for a tile of {model.card.tile_px} px, seen at {model.card.input_hw[0]}"
    )


def thorough_fit(good: list[Image], *, name: str, source: str, licence: str) -> ReleasedModel:
    # Without torch, the other way can still be measured.
    from models.training import good_only

    return good_only.fit(good, name=name, source=source, licence=licence)


def with_figures(model: ReleasedModel, folder: Path, arguments: str) -> ModelCard:
    """The model's card with the command that makes it, and what it does on the val list."""
    gold = Gold(
        on="magnetic tiles val.txt",
        pictures=read_tiles(folder, "val.txt"),
        note="Other tiles than it was fitted from; they chose nothing. It does not tell kinds apart. The few pictures "
        "whose defect nobody has outlined count as clean here.",
    )
    assert model.card.training is not None
    command = f"PYTHONPATH=. python benchmarks/parts/good_only.py {arguments} --into FOLDER"
    return model.card.model_copy(
        update={
            "training": model.card.training.model_copy(update={"command": command}),
            "measured": (measure(model.card, model.network, gold),),
            "latency": latency(model, None),
        }
    )


def judged_by(rows: list[dict[str, str]], count: int, split: str) -> list[dict[str, str]]:
    """The val list; or what ways of fitting were chosen by: of the train list the defective pictures, and the good ones
    of tiles that lent none to the fit."""
    if split == "val":
        return [row for row in rows if row["split"] == "val"]
    lent = {row["tile_group"] for row in chosen(rows, count)}
    return [
        row
        for row in rows
        if row["split"] == "train" and (row["image_class"] != "Free" or row["tile_group"] not in lent)
    ]


def chosen(rows: list[dict[str, str]], count: int) -> list[dict[str, str]]:
    """Good pictures of the train list: of every tile one, then of every tile another, until there are enough."""
    rng = np.random.default_rng(0)
    by_tile: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["split"] == "train" and row["image_class"] == "Free":
            by_tile.setdefault(row["tile_group"], []).append(row)
    shuffled = [[some[i] for i in rng.permutation(len(some))] for some in by_tile.values()]
    shuffled = [shuffled[i] for i in rng.permutation(len(shuffled))]
    most = max(len(some) for some in shuffled)
    return [some[turn] for turn in range(most) for some in shuffled if turn < len(some)][:count]


def read(folder: Path, row: dict[str, str]) -> Image:
    return np.asarray(cv2.imread(str(folder / "images" / row["file"]), cv2.IMREAD_GRAYSCALE), np.uint8)


if __name__ == "__main__":
    main()
