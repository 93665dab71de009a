"""Drawn parts of ground metal, good and with a hole: for what learns from good parts only."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

SIZE_PX: Final = 256


def surface(seed: int) -> np.ndarray:
    """Ground metal: streaks along, grain, and light that falls off to one side."""
    rng = np.random.default_rng(seed)
    streaks = cv2.GaussianBlur(rng.normal(0, 8, (1, SIZE_PX)).astype(np.float32), (0, 0), 1.5)
    grain = cv2.GaussianBlur(rng.normal(0, 12, (SIZE_PX, SIZE_PX)).astype(np.float32), (0, 0), 0.8)
    light = np.linspace(110, 150, SIZE_PX, dtype=np.float32)[:, None]
    return np.clip(light + streaks + grain, 0, 255).astype(np.uint8)


def with_hole(seed: int) -> np.ndarray:
    picture = surface(seed)
    cv2.circle(picture, (80, 176), 9, (45,), -1, lineType=cv2.LINE_AA)
    return picture
