"""Where the part is in the image, and whether there is one: no part is not a good part."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from inspection.errors import InspectionError
from inspection.types import Box, Image


class PartMissing(InspectionError):
    """Nothing of a part's size stands out from the background."""

    code = "INS-PART-MISSING"


class PartCutOff(InspectionError):
    """Not all of the part is in the picture. Facts: share."""

    code = "INS-PART-CUT-OFF"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOutline:
    """How much of the image a part fills, so that an empty or half-filled fixture is noticed.

    min_share, max_share  share of the image's area, 0..1, of the largest bright piece
    min_contrast          grey levels between piece and background; below it there is no piece
    """

    min_share: float
    max_share: float
    min_contrast: float = 25.0

    def check(self, image: Image) -> Box:
        """The part's bounding box in px. Raises PartMissing if nothing of its size is there; PartCutOff if it reaches
        the picture's border, behind which nobody sees."""
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        # At a quarter of the size: a part is large, and this has a millisecond.
        quarter = [max(round(side / 4), 1) for side in grey.shape[::-1]]
        small = cv2.resize(grey, quarter, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (5, 5), 0)
        _, mask = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max(outlines, key=cv2.contourArea, default=None)
        share = 0.0 if largest is None else cv2.contourArea(largest) / small.size
        background = small[mask == 0]
        contrast = (
            float(small[mask > 0].mean() - background.mean()) if background.size and mask.any() else 0.0
        )
        if largest is None or not self.min_share <= share <= self.max_share or contrast < self.min_contrast:
            raise PartMissing(
                f"No part: the largest bright piece fills {share:.0%}, contrast {contrast:.0f}.",
                action="Check that the part lies in the fixture and that the lamp is on.",
                share=f"{share:.0%}",
                allowed=f"{self.min_share:.0%} … {self.max_share:.0%}",
                contrast=f"{contrast:.0f}",
            )
        x, y, width, height = cv2.boundingRect(np.asarray(largest))
        if x == 0 or y == 0 or x + width == small.shape[1] or y + height == small.shape[0]:
            raise PartCutOff(
                f"The part, which fills {share:.0%}, reaches the border of the picture.",
                action="Place the part, or the camera, so that all of it is in the picture.",
                share=f"{share:.0%}",
            )
        return Box(4 * x, 4 * y, 4 * (x + width), 4 * (y + height))
