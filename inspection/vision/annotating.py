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
    """A BGR copy with boxes and outlines, kind and score, and the verdict in a strip above the picture.

    colours  `#RRGGBB` per kind; white for a kind that has none. The strip covers no pixel of the picture.
    """
    canvas: Image = np.dstack([image] * 3) if image.ndim == 2 else image.copy()
    for defect in defects:
        colour = _bgr(colours.get(defect.kind, "#FFFFFF"))
        box = defect.box_px
        corner = (round(box.x1), round(box.y1))
        cv2.rectangle(canvas, corner, (round(box.x2) - 1, round(box.y2) - 1), colour, 1)
        if defect.outline_px:
            corners = np.rint(np.array(defect.outline_px)).astype(np.int32)
            cv2.polylines(canvas, [corners], True, colour, 1, cv2.LINE_AA)
        _label(canvas, f"{defect.kind} {defect.score:.2f}", corner, colour)
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


def _label(canvas: Image, text: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """On a dark plate above the box, or inside it where the picture ends: readable on bright steel too."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)
    left = max(min(corner[0], canvas.shape[1] - width - 4), 0)
    top = corner[1] - height - below - 2
    if top < 0:
        top = corner[1] + 1
    cv2.rectangle(canvas, (left, top), (left + width + 3, top + height + below + 1), (24, 24, 24), cv2.FILLED)
    at = (left + 2, top + height + 1)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)
