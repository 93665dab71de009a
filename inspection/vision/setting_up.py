"""What helps whoever sets a camera up: is the lens in focus, is the light right. Measured on one picture, judged by
nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from inspection.types import Image
from inspection.vision.health import Health, health_of

DARK: Final = 5
"""Grey levels up to which a place says nothing: the noise of a sensor with 8 bits is 1 to 2."""

BINS: Final = 64
"""Of the histogram, four grey levels each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aids:
    """health     as a recipe's limits ask for it
    sharpness  grows with focus, whatever the picture shows: the variance of its Laplacian, by the square of its mean,
               so that a brighter lamp alone does not raise it. Only to be compared with itself, on the same scene
    dark       share of pixels at DARK and below
    histogram  BINS counts of pixels, dark to bright
    """

    health: Health
    sharpness: float
    dark: float
    histogram: tuple[int, ...]


def aids_of(image: Image) -> Aids:
    """Measure one picture, grey or BGR.

    Source of the sharpness: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000 (LAPV).
    """
    grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    edges = cv2.Laplacian(grey, cv2.CV_32F, ksize=3)
    mean = max(float(grey.mean()), 1.0)
    counts = np.bincount(grey.reshape(-1), minlength=256)
    return Aids(
        health=health_of(grey),
        sharpness=float(edges.var()) / mean**2,
        dark=float(counts[: DARK + 1].sum() / grey.size),
        histogram=tuple(int(one) for one in counts.reshape(BINS, -1).sum(axis=1)),
    )
