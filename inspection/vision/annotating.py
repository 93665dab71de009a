"""A picture with its defects drawn in, for people who look at files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import cv2
import numpy as np

from inspection.types import Defect, Image, Verdict

VERDICT_COLOURS: Final = {
    Verdict.ACCEPT: (80, 160, 40),
    Verdict.REVIEW: (0, 150, 230),
    Verdict.NOT_INSPECTED: (120, 120, 120),
    Verdict.REJECT: (40, 40, 210),
}
"""BGR; the word is always beside the colour."""

STRIP_PX: Final = 22


def annotate(
    image: Image, defects: Iterable[Defect], *, verdict: Verdict, colours: Mapping[str, str]
) -> Image:
    """A BGR copy with boxes, kind and score, and the verdict in a strip above the picture.

    colours  `#RRGGBB` per kind; white for a kind that has none. The strip covers no pixel of the picture.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    for defect in defects:
        colour = _bgr(colours.get(defect.kind, "#FFFFFF"))
        box = defect.box_px
        corner = (round(box.x1), round(box.y1))
        cv2.rectangle(canvas, corner, (round(box.x2) - 1, round(box.y2) - 1), colour, 1)
        text_at = (corner[0] + 2, max(corner[1] - 3, 10))
        label = f"{defect.kind} {defect.score:.2f}"
        # A dark edge keeps the label readable on bright steel.
        cv2.putText(canvas, label, text_at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(canvas, label, text_at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, 1, cv2.LINE_AA)
    strip = np.full((STRIP_PX, canvas.shape[1], 3), VERDICT_COLOURS[verdict], np.uint8)
    cv2.putText(
        strip,
        verdict.name.replace("_", " "),
        (4, 16),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.5,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
    return np.asarray(np.vstack([strip, canvas]), np.uint8)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)
