"""What a fault does to printed conductors: the six names of bare-board inspection. Pure geometry of pixels.

Missing conductor opens a line, bites its edge or makes a hole in it; conductor too much joins two, grows a spur from
one or lies by itself.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

OPEN, MOUSEBITE, PIN_HOLE = "open", "mousebite", "pin_hole"
SHORT, SPUR, SPURIOUS = "short", "spur", "spurious_copper"

_PIECE_PX = 25
"""A piece of conductor of fewer pixels is a crumb of the fault, not a part of a line that fell apart."""

_TOUCH_PX = 12
"""What was there before must be part of what is there now by as many pixels to count as a conductor that it joins."""

_OWN_SHARE = 0.7
"""A pin hole is a hole that was not there: this share of it lies where the golden print has conductor."""


def fault_of(place: Mask, golden: Mask, seen: Mask, *, missing: bool) -> str:
    """The name of one fault, from a window around it that shows how the conductors go on.

    place          where the pictures differ by more than edges may wander
    golden, seen   where there is conductor; all of one shape (H, W)
    missing        whether conductor is missing there; else there is too much of it
    """
    return _of_missing(place, golden, seen) if missing else _of_extra(place, golden, seen)


def half_width_px(place: Mask, golden: Mask, seen: Mask, *, missing: bool) -> float:
    """How far the middle of what differs at a place is from what does not, px: an edge that wandered has little."""
    differs = golden & ~seen if missing else seen & ~golden
    whole = _parts_under(differs, place)
    framed = cv2.copyMakeBorder(whole.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return float(cv2.distanceTransform(framed, cv2.DIST_L2, 5).max())


def _of_missing(place: Mask, golden: Mask, seen: Mask) -> str:
    hole = _parts_under(~seen, place & golden, connectivity=4)
    at_border = hole[0].any() or hole[-1].any() or hole[:, 0].any() or hole[:, -1].any()
    if hole.any() and not at_border and (hole & golden).sum() > _OWN_SHARE * hole.sum():
        return PIN_HOLE
    lines, pieces = _labelled(golden), _labelled(seen)
    around = cv2.dilate(place.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    for line in np.unique(lines[around & golden]):
        sizes = np.bincount(pieces[(lines == line) & seen])
        if (sizes > _PIECE_PX).sum() > 1:
            return OPEN
    return MOUSEBITE


def _of_extra(place: Mask, golden: Mask, seen: Mask) -> str:
    grown = _parts_under(seen, place & ~golden)
    joined = np.bincount(_labelled(golden)[grown & golden])
    return (SPURIOUS, SPUR, SHORT)[min(int((joined > _TOUCH_PX).sum()), 2)]


def _parts_under(mask: Mask, place: Mask, *, connectivity: int = 8) -> Mask:
    """The connected parts of `mask` of which `place` shows some."""
    parts = _labelled(mask, connectivity)
    under = np.unique(parts[place & mask])
    return np.asarray(np.isin(parts, under[under > 0]), np.bool_)


def _labelled(mask: Mask, connectivity: int = 8) -> NDArray[np.int32]:
    """Its connected parts numbered from 1; 0 elsewhere."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return np.asarray(parts, np.int32)
