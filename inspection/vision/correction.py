"""Making pixels comparable before they are looked at: region of interest and flat field."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnsuitable
from inspection.types import Box, Image

MIN_BLANK_MEAN = 30.0
"""Grey levels of a blank picture. Below, its noise would be taken for the lamp's unevenness."""

MAX_BLANK_CLIPPED = 0.01
"""Share of a blank picture at 250 and above, where the lamp's light is not measured any more."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatField:
    """Evens out the lamp and the lens: every pixel times its gain, rounded, held at 255.

    gain  float32, (W,) for a line scan camera or (H, W) for an area camera; None leaves pixels as they are
    """

    gain: NDArray[np.float32] | None = None

    @staticmethod
    def from_blank(blank: Image, *, per_column: bool) -> FlatField:
        """The gain that makes `blank`, a grey picture of an even surface, even.

        per_column  True averages over rows: the one gain per column that a line scan camera needs
        A dark pixel's gain stops at 4, so that a dead pixel does not become a bright one.
        Raises ImageUnsuitable for a picture that says nothing of the lamp: mostly dark, or clipped where it is bright.
        """
        clipped, mean = float((blank >= 250).mean()), float(blank.mean())
        if clipped > MAX_BLANK_CLIPPED or mean < MIN_BLANK_MEAN:
            raise ImageUnsuitable(
                f"This is no blank picture: mean {mean:.0f}, {clipped:.1%} at 250 and above.",
                action="Take it of an even grey surface, exposed to some 100 to 200 grey levels.",
                reason="blank",
                found=f"mean {mean:.0f}, {clipped:.1%} ≥ 250",
                allowed=f"mean ≥ {MIN_BLANK_MEAN:g}, {MAX_BLANK_CLIPPED:.0%} ≥ 250",
            )
        light = blank.astype(np.float32)
        if per_column:
            light = light.mean(axis=0)
        gain = np.clip(light.mean() / np.maximum(light, 1.0), 0.25, 4.0).astype(np.float32)
        return FlatField(gain)

    @property
    def sha256(self) -> str | None:
        """Names the calibration in the record; None where there is none."""
        return None if self.gain is None else hashlib.sha256(self.gain.tobytes()).hexdigest()

    def correct(self, image: Image) -> Image:
        """The corrected image, a new one; the same one when there is nothing to correct."""
        if self.gain is None:
            return image
        if self.gain.shape not in ((image.shape[1],), image.shape[:2]):
            raise ImageUnsuitable(
                f"The flat field is for {self.gain.shape}, the image is {image.shape[:2]}.",
                action="Take a new blank picture with the camera's present settings.",
                reason="flat_field",
                found=str(image.shape[:2]),
                allowed=str(self.gain.shape),
            )
        gain = np.broadcast_to(self.gain, image.shape[:2])
        if image.ndim == 3:
            gain = np.broadcast_to(gain[..., None], image.shape)
        return np.asarray(cv2.multiply(image, np.ascontiguousarray(gain), dtype=cv2.CV_8U), np.uint8)


def crop(image: Image, roi_px: Box | None) -> Image:
    """The region of interest, as a view. A region that leaves the image is refused, not shortened:
    what it was to show would silently not be inspected."""
    if roi_px is None:
        return image
    height, width = image.shape[:2]
    if not (0 <= roi_px.x1 < roi_px.x2 <= width and 0 <= roi_px.y1 < roi_px.y2 <= height):
        raise ImageUnsuitable(
            f"The region of interest {roi_px} leaves the image of {width} x {height} px.",
            action="Set the region in the recipe to lie inside the camera's picture.",
            reason="roi",
            found=f"{width} x {height} px",
            allowed=f"{roi_px.x1:g}, {roi_px.y1:g} – {roi_px.x2:g}, {roi_px.y2:g}",
        )
    return image[int(roi_px.y1) : int(roi_px.y2), int(roi_px.x1) : int(roi_px.x2)]
