"""Can this image be judged at all? A dark, a glaring or an empty picture shows no defects either."""

from __future__ import annotations

import cv2

from inspection.errors import ImageUnfit
from inspection.types import Image

MIN_MEAN = 8.0
"""Grey levels. The darkest of 1451 real strip pictures (NEU-DET, Severstal) has a mean of 34."""

MAX_SATURATED = 0.8
"""Share of pixels at 250 and above, where nothing can be seen any more. Bright real strip has up to 0.60."""

MIN_CONTRAST = 1.5
"""Standard deviation in grey levels. Sensor noise alone has less; the smoothest real strip has 6.0."""


def check_health(image: Image) -> None:
    """Raise ImageUnfit, with the value and what is allowed, if the image cannot be judged."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    mean, deviation = (float(value[0][0]) for value in cv2.meanStdDev(grey))
    _, clipped = cv2.threshold(grey, 249, 255, cv2.THRESH_BINARY)
    saturated = cv2.countNonZero(clipped) / grey.size
    if mean < MIN_MEAN:
        raise _unfit(
            "dark", f"mean {mean:.1f}", f"≥ {MIN_MEAN:g}", "Check the lamp, the lens cap and the exposure."
        )
    if saturated > MAX_SATURATED:
        raise _unfit(
            "glare",
            f"{saturated:.0%} at 250+",
            f"≤ {MAX_SATURATED:.0%}",
            "Lower the exposure, or move the lamp.",
        )
    if deviation < MIN_CONTRAST:
        raise _unfit(
            "empty",
            f"σ {deviation:.2f}",
            f"≥ {MIN_CONTRAST:g}",
            "Check that the camera sees the surface, in focus.",
        )


def _unfit(reason: str, found: str, allowed: str, action: str) -> ImageUnfit:
    return ImageUnfit(
        f"The image cannot be judged ({reason}): {found}, allowed {allowed}.",
        action=action,
        reason=reason,
        found=found,
        allowed=allowed,
    )
