"""A network's raw answer, made into detections. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspection.types import Detections
from inspection.vision.boxes import suppress_per_kind

# More boxes than this on one input are noise; the surest are kept. The figure is COCO's allowance times three.
MOST = 300


def decode(
    answer: NDArray[np.float32],
    *,
    kinds: Sequence[str],
    thresholds: NDArray[np.float32],
    suppress_above: float,
) -> Detections:
    """Boxes in px of the network's input, the surest first.

    answer       (1, 4 + K, N): rows x-centre, y-centre, width, height in px of the input, then K scores 0..1,
                 as the YOLO networks since version 8 give it
    thresholds   (K,), per kind: a score equal to it still counts

    Each kind is judged on its own: one place may be reported as two kinds.
    """
    rows = answer[0]
    if rows.shape[0] != 4 + len(kinds) or thresholds.shape != (len(kinds),):
        raise ValueError(f"{len(kinds)} kinds, but an answer {answer.shape}, thresholds {thresholds.shape}")
    kind, place = np.nonzero(rows[4:] >= thresholds[:, None])
    score = rows[4:][kind, place]
    order = np.lexsort((place, kind, -score))[: MOST * 10]
    kind, place, score = kind[order], place[order], score[order]
    xywh = rows[:4, place].T
    xyxy = np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], axis=1)
    kept = suppress_per_kind(xyxy, score, kind, above=suppress_above)[:MOST]
    return Detections(
        xyxy=np.ascontiguousarray(xyxy[kept], np.float32),
        score=np.clip(score[kept], 0, 1).astype(np.float32),
        kind=tuple(kinds[k] for k in kind[kept]),
    )
