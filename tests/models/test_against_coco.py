"""Average precision against the code that COCO published for it."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inspection.types import Detections
from models.evaluation import Judged, average_precisions, precision

KINDS = ("pits", "patch", "scratch")


def a_picture(rng) -> Judged:
    """Up to six defects, most of them reported nearly where they are, and some that are not there."""
    count = int(rng.integers(0, 7))
    corner, size = rng.uniform(0, 150, (count, 2)), rng.uniform(8, 90, (count, 2))
    truth = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    kinds = [KINDS[k] for k in rng.integers(0, 3, count)]
    found, found_kinds = [], []
    for box, kind in zip(truth, kinds, strict=True):
        for _ in range(int(rng.integers(0, 3))):
            found.append(box + rng.normal(0, 0.08, 4) * min(box[2] - box[0], box[3] - box[1]))
            found_kinds.append(kind if rng.random() < 0.8 else KINDS[int(rng.integers(0, 3))])
    for _ in range(int(rng.integers(0, 4))):
        place = rng.uniform(0, 150, 2)
        found.append(np.concatenate([place, place + rng.uniform(8, 60, 2)]))
        found_kinds.append(KINDS[int(rng.integers(0, 3))])
    score = np.sort(rng.permutation(1000)[: len(found)] / 1000 + 1e-4)[::-1]
    order = rng.permutation(len(found))
    return Judged(
        truth_xyxy=truth.reshape(-1, 4),
        truth_kind=tuple(kinds),
        found=Detections(
            xyxy=np.array([found[n] for n in order], np.float32).reshape(-1, 4),
            score=score.astype(np.float32),
            kind=tuple(found_kinds[n] for n in order),
        ),
    )


def as_coco_judges(pictures) -> COCOeval:
    truth, found = [], []
    for image, one in enumerate(pictures, 1):
        for box, kind in zip(one.truth_xyxy.astype(float), one.truth_kind, strict=True):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            truth.append(
                {"id": len(truth) + 1, "image_id": image, "category_id": KINDS.index(kind) + 1, "bbox": bbox}
                | {"area": bbox[2] * bbox[3], "iscrowd": 0}
            )
        for box, kind, score in zip(
            one.found.xyxy.astype(float), one.found.kind, one.found.score, strict=True
        ):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            found.append(
                {"image_id": image, "category_id": KINDS.index(kind) + 1, "bbox": bbox, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(1, len(pictures) + 1)],
            "annotations": truth,
            "categories": [{"id": number, "name": kind} for number, kind in enumerate(KINDS, 1)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_cocos_per_kind_and_in_the_mean(seed):
    rng = np.random.default_rng(seed)
    pictures = [a_picture(rng) for _ in range(40)]
    judge = as_coco_judges(pictures)
    ours = precision(pictures, KINDS)
    # precision: overlaps x recalls x kinds x areas x most detections; all areas, 100 detections.
    table = judge.eval["precision"][:, :, :, 0, -1]
    for number, kind in enumerate(KINDS):
        assert average_precisions(pictures, kind) == pytest.approx(table[:, :, number].mean(axis=1), abs=1e-6)
    assert ours.map50_95 == pytest.approx(judge.stats[0], abs=1e-6)
    assert ours.map50 == pytest.approx(judge.stats[1], abs=1e-6)
