"""A network's raw answer, made into detections: boxes, boxes with their pixels, or maps of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import too_many
from inspection.types import Detections, Mask
from inspection.vision.boxes import Letterbox, clip, suppress_per_kind
from inspection.vision.regions import regions

# More boxes than this on one input are noise. The figure is COCO's allowance times three.
MOST = 300
MOST_BEFORE = 10 * MOST
"""Of those that suppress each other as well."""


def decode(
    answer: NDArray[np.float32],
    *,
    kinds: Sequence[str],
    thresholds: NDArray[np.float32],
    suppress_above: float,
    judged_from: NDArray[np.float32] | None = None,
) -> Detections:
    """Boxes in px of the network's input, the surest first.

    answer       (4 + K, N): rows x-centre, y-centre, width, height in px of the input, then K scores 0..1,
                 as the YOLO networks since version 8 give it
    thresholds   (K,), per kind: a score equal to it still counts
    judged_from  (K,), per kind: what reaches it may decide; as `thresholds` if not given

    Each kind is judged on its own: one place may be reported as two kinds. Of more than MOST the surest are kept;
    raises TooManyDetections where one of the others may decide.
    """
    if answer.shape[0] != 4 + len(kinds):
        raise ValueError(f"{len(kinds)} kinds, but an answer {answer.shape}, thresholds {thresholds.shape}")
    return _boxes(answer, kinds, thresholds, suppress_above, judged_from)[0]


def decode_masks(
    answer: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    *,
    kinds: Sequence[str],
    thresholds: NDArray[np.float32],
    suppress_above: float,
    fit: Letterbox,
    input_hw: tuple[int, int],
    image_hw: tuple[int, int],
    judged_from: NDArray[np.float32] | None = None,
) -> Detections:
    """Boxes with their pixels, px of the image, as networks for instance segmentation give them.

    answer       (1, 4 + K + M, N): as of `decode`, and M coefficients in the rows after the scores
    prototypes   (1, M, h, w) over the network's input: a detection's pixels are where the sum of its coefficients
                 times them is above 0, inside its box. Where none is, its mask is not known
    judged_from  as of `decode`, which says what is raised
    """
    rows, count = answer[0], len(kinds)
    if rows.shape[0] != 4 + count + prototypes.shape[1]:
        raise ValueError(f"{count} kinds, but an answer {answer.shape}, prototypes {prototypes.shape}")
    found, places = _boxes(rows[: 4 + count], kinds, thresholds, suppress_above, judged_from)
    xyxy = clip(fit.to_image(found.xyxy), width_px=image_hw[1], height_px=image_hw[0])
    masks = []
    for box, coefficients in zip(xyxy, rows[4 + count :, places].T, strict=True):
        inside = np.tensordot(coefficients, prototypes[0], axes=1).astype(np.float32)
        left, top = np.floor(box[:2]).astype(int).tolist()
        right, bottom = np.ceil(box[2:]).astype(int).tolist()
        window = _on_image(inside, fit, input_hw, (left, top, right, bottom))
        pixels = window > 0
        masks.append(Mask(left=left, top=top, pixels=pixels) if pixels.any() else None)
    return replace(found, xyxy=xyxy, masks=tuple(masks))


def decode_maps(
    answer: NDArray[np.float32],
    *,
    kinds: Sequence[str],
    thresholds: NDArray[np.float32],
    fit: Letterbox,
    input_hw: tuple[int, int],
    image_hw: tuple[int, int],
    min_area_px: int = 1,
    judged_from: NDArray[np.float32] | None = None,
) -> Detections:
    """The pieces of maps of scores that reach their kind's threshold, px of the image, with their pixels.

    answer       (1, K, h, w) over the network's input, 0..1: an anomaly map (K = 1), or one map for each kind
    min_area_px  of the image; smaller pieces are left out
    judged_from  as of `decode`, which says what is raised
    """
    if answer.ndim != 4 or answer.shape[1] != len(kinds) or thresholds.shape != (len(kinds),):
        raise ValueError(f"{len(kinds)} kinds, but maps {answer.shape}, thresholds {thresholds.shape}")
    height, width = image_hw
    decides = thresholds if judged_from is None else judged_from
    return Detections.together(
        [
            regions(
                np.clip(_on_image(scores, fit, input_hw, (0, 0, width, height)), 0, 1),
                threshold=float(threshold),
                kind=kind,
                min_area_px=min_area_px,
                judged_from=float(decisive),
            )
            for kind, scores, threshold, decisive in zip(kinds, answer[0], thresholds, decides, strict=True)
        ]
    )


def _boxes(
    rows: NDArray[np.float32],
    kinds: Sequence[str],
    thresholds: NDArray[np.float32],
    suppress_above: float,
    judged_from: NDArray[np.float32] | None,
) -> tuple[Detections, NDArray[np.intp]]:
    """Boxes, and the columns they come from."""
    if thresholds.shape != (len(kinds),):
        raise ValueError(f"{len(kinds)} kinds, but thresholds {thresholds.shape}")
    kind, place = np.nonzero(rows[4:] >= thresholds[:, None])
    score = rows[4:][kind, place]
    order = np.lexsort((place, kind, -score))
    kind, place, score = kind[order], place[order], score[order]
    decides = score >= (thresholds if judged_from is None else judged_from)[kind]
    if decides[MOST_BEFORE:].any():
        raise too_many(MOST)
    kind, place, score = kind[:MOST_BEFORE], place[:MOST_BEFORE], score[:MOST_BEFORE]
    xywh = rows[:4, place].T
    xyxy = np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], axis=1)
    kept = suppress_per_kind(xyxy, score, kind, above=suppress_above)
    if decides[kept[MOST:]].any():
        raise too_many(MOST)
    kept = kept[:MOST]
    found = Detections(
        xyxy=np.ascontiguousarray(xyxy[kept], np.float32),
        score=np.clip(score[kept], 0, 1).astype(np.float32),
        kind=tuple(kinds[k] for k in kind[kept]),
    )
    return found, place[kept]


def _on_image(
    over_input: NDArray[np.float32],
    fit: Letterbox,
    input_hw: tuple[int, int],
    window: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """A map over the network's input, at each pixel of a window (left, top, right, bottom) of the image."""
    left, top, right, bottom = window
    steps = over_input.shape[1] / input_hw[1], over_input.shape[0] / input_hw[0]
    starts = (left + 0.5) * fit.scale + fit.left, (top + 0.5) * fit.scale + fit.top
    # The middle of a pixel lies half a pixel inside of it, in each of the three.
    to_map = np.array(
        [
            [fit.scale * steps[0], 0, starts[0] * steps[0] - 0.5],
            [0, fit.scale * steps[1], starts[1] * steps[1] - 0.5],
        ]
    )
    shown = cv2.warpAffine(
        np.ascontiguousarray(over_input),
        to_map,
        (max(right - left, 1), max(bottom - top, 1)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(shown, np.float32)
