"""How well detectors tell pitting on the ball screws of BSData, whole pieces of 400 px from places that taught nothing.

PYTHONPATH=. python benchmarks/parts/spindles.py [--shared ../shared] [--good 50] [--model NAME[:X.Y.Z] --models FOLDER]
PYTHONPATH=. python benchmarks/parts/spindles.py --lay-out FOLDER

Judged on the val list: of each picture a piece with pitting and one without, at places of spindles that the train list
does not show. Without --model: fitted from good pieces of the train list alone (`models/anomaly.py`). --lay-out writes
the train list's pieces as a labelled set with its outlines, to train from (`models/training/labelled.py` learns boxes,
`outlined.py` pixels).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from inspection.types import Box
from models.anomaly import KIND, fit
from models.boxes import BoxDetector
from models.evaluation import Judged, auroc, misses, precision
from models.labels import LabelledFile, LabelledSet, Truth, write_labels
from models.maps import MapDetector
from models.session import Session
from models.store import ModelStore, ReleasedModel
from models.training.dataset import Labelled, piece_of, read_spindles

LOWEST_SCORE = 0.001


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--good", type=int, default=50)
    parser.add_argument("--model", default=None, help="a detector of boxes, in place of a fit")
    parser.add_argument("--models", type=Path, default=None, help="folder that holds it; else those released")
    parser.add_argument("--lay-out", type=Path, default=None)
    given = parser.parse_args()
    folder = given.shared / "data" / "bsdata"
    if given.lay_out is not None:
        lay_out(
            [*pieces(folder, "train.txt", pitted=True), *pieces(folder, "train.txt", pitted=False)],
            given.lay_out,
            bsdata=folder,
        )
        return
    judged_by = [*pieces(folder, "val.txt", pitted=True), *pieces(folder, "val.txt", pitted=False)]
    if given.model is None:
        judge(fitted(pieces(folder, "train.txt", pitted=False), given.good), judged_by)
    else:
        store = ModelStore() if given.models is None else ModelStore(given.models)
        name, _, version = given.model.partition(":")
        judge(store.find(name, version or None), judged_by)


def pieces(folder: Path, list_name: str, *, pitted: bool) -> list[Labelled]:
    found = [piece_of(one, pitted=pitted) for one in read_spindles(folder, list_name)]
    return [one for one in found if one is not None]


def fitted(good: Sequence[Labelled], count: int) -> ReleasedModel:
    chosen = [good[i].pixels for i in np.random.default_rng(0).permutation(len(good))[:count]]
    used = time.process_time()
    model = fit(chosen, name="spindle-good", source="BSData train.txt, pieces of 400 px without pitting")
    print(f"fitted from {len(chosen)} good pieces, {time.process_time() - used:.0f} s of processor time")
    return model


def judge(model: ReleasedModel, judged_by: Sequence[Labelled]) -> None:
    runs = BoxDetector if model.card.task == "boxes" else MapDetector
    surest, reporting = runs(Session(model), min_score=LOWEST_SCORE), runs(Session(model))
    looked = [judged(one, surest) for one in judged_by]
    defective = np.array([bool(one.truth_kind) for one in looked])
    score = np.array([one.found.score.max(initial=0) for one in looked], np.float64)
    print(f"{model.card.name} {model.card.version}: {len(looked)} pieces, {defective.sum()} with pitting")
    print(f"AUROC of pieces {auroc(score, defective):.4f}")
    reported = [judged(one, reporting) for one in judged_by]
    if model.card.kinds != (KIND,):
        # A map has no pieces but at a threshold.
        every = reported if model.card.task == "maps" else looked
        print(f"AP50 of pits {precision(every, ['pits']).ap50['pits']:.4f}")
    counted = misses(reported)
    print(
        f"by its card: {counted.escapes} of {counted.defective} escape, {counted.overkill} of {counted.clean} alarm"
    )
    took = []
    for one in judged_by[:20]:
        used = time.process_time()
        reporting.detect(one.pixels)
        took.append((time.process_time() - used) * 1e3)
    print(f"{np.median(took):.1f} ms of one core for a piece, in tiles of {model.card.tile_px} px")


def judged(one: Labelled, detector: BoxDetector | MapDetector) -> Judged:
    corners = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in one.truth]
    return Judged(
        truth_xyxy=np.array(corners, np.float32).reshape(-1, 4),
        truth_kind=tuple(defect.kind for defect in one.truth),
        found=detector.detect(one.pixels),
    )


def lay_out(some: Sequence[Labelled], folder: Path, *, bsdata: Path) -> None:
    """A folder for each place of a spindle, named as a unit's is: what is set aside then shows other places."""
    with (bsdata / "images.csv").open(encoding="utf-8", newline="") as file:
        place_of = {Path(row["file"]).stem: row["group"] for row in csv.DictReader(file)}
    told = []
    for one in some:
        place = place_of[one.name.rsplit("_", 2)[0]]
        name = f"images/{hashlib.blake2b(place.encode(), digest_size=16).hexdigest()}/{one.name}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), one.pixels)
        height, width = one.pixels.shape[:2]
        truth = outlines(one, bsdata / "masks") if one.truth else ()
        told.append(LabelledFile(name=name, width_px=width, height_px=height, truth=truth))
    write_labels(LabelledSet(folder=folder, kinds=("pits",), pictures=tuple(told)))
    print(f"{folder}: {len(told)} pieces")


def outlines(piece: Labelled, masks: Path) -> tuple[Truth, ...]:
    """What of each outlined defect lies on the piece; `piece_of` puts the piece's place into its name."""
    stem, left, top = piece.name.rsplit("_", 2)
    height, width = piece.pixels.shape[:2]
    mask = np.asarray(cv2.imread(str(masks / f"{stem}.png"), cv2.IMREAD_GRAYSCALE))
    cut = mask[int(top) : int(top) + height, int(left) : int(left) + width]
    lines, _ = cv2.findContours((cut > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for line in (one.reshape(-1, 2) for one in lines if len(one) > 2):
        (x1, y1), (x2, y2) = line.min(axis=0).tolist(), (line.max(axis=0) + 1).tolist()
        corners = tuple((float(x), float(y)) for x, y in line.tolist())
        found.append(Truth(kind=piece.truth[0].kind, box_px=Box(x1, y1, x2, y2), outline_px=corners))
    return tuple(found)


if __name__ == "__main__":
    main()
