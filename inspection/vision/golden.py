"""A printed pattern against the picture of a good one: what is missing, and what is there too much.

The golden picture is found in the picture first, as a whole and then piece by piece, since film and paper stretch.
What is then left must be explained by edges that wander by no more than a tolerance; what is not is a defect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnsuitable
from inspection.types import Box, Detections, Image
from inspection.vision.aligning import PartNotFound, Template
from inspection.vision.calibration import Points
from inspection.vision.conductors import Mask, fault_of, half_width_px

Field = NDArray[np.float32]
Fault = tuple[float, tuple[float, ...], str]
"""Score, box in px and kind."""

MAX_STRETCH_PX = 3.0
"""How far a piece of the print is followed beside the print as a whole. More is displaced print, a defect."""

_STRETCH_OVER_PX = 25.0
"""Over what distance stretch may differ, as the sigma of a window. A smaller window would follow defects too:
tried 25, 40 and 60 on DeepPCB's training pairs."""

_ONE_WAY = 0.005
"""Structure across against structure along, as eigenvalues of the gradients' moments. DeepPCB's training pictures
with lines of one direction have 0.003 and 0.004, all others above 0.008."""

_STRETCH_STEPS = 3
_STIFFNESS = 20.0
_TOGETHER_PX = 2

_AROUND_PX = 14
"""How far beside a fault the lines are followed to see what it does to them. Farther, an opened line that is whole by
another way round would count as whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenPrint:
    """Compares pictures with that of a good print. A `Detector`.

    golden         grey, the size of the pictures to come; itself flawless: what it lacks is never missed
    dark_print     the print is darker than its ground
    tolerance_px   how far an edge may wander. Of a line narrower than twice that and a pixel, only gaps are found
    min_contrast   grey levels by which a place must differ beyond that; half of print against ground does well
    min_area_px    how many such pixels together are a defect
    border_px      rim of the golden picture that is not compared, so that a print displaced by that much is still seen
                   whole. What is to be inspected must lie within
    max_turn_deg   how far the print may be turned
    margin_px      how much larger than what differs a box is drawn, to each side
    kinds          what missing print and print too much are called in the catalogue
    conductors     the print conducts: each fault is called what it does to the lines instead (`conductors.fault_of`)

    A detection's score grows with the half width of what differs, which an edge that wandered has little of: 0.5
    where that is `tolerance_px`, towards 1 for the broadest.
    """

    golden: Image
    dark_print: bool = True
    tolerance_px: int = 2
    min_contrast: int = 80
    min_area_px: int = 6
    border_px: int = 8
    max_turn_deg: float = 2.0
    margin_px: float = 2.0
    kinds: tuple[str, str] = ("print_missing", "print_extra")
    conductors: bool = False

    def detect(self, image: Image) -> Detections:
        """Raises ImageUnsuitable for a picture of another size, PartNotFound where the golden print is not seen in
        it, or not all of what is compared."""
        grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        if grey.shape != self.golden.shape:
            raise ImageUnsuitable(
                f"The golden print has {self.golden.shape}, the image is {grey.shape}.",
                action="Take a new golden picture with the camera's present settings.",
                reason="golden",
                found=str(grey.shape),
                allowed=str(self.golden.shape),
            )
        seen, warp = self._registered(grey)
        side = 2 * self.tolerance_px + 1
        around = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
        lighter = _beyond(seen, self.golden, around)
        darker = _beyond(~seen, ~self.golden, around)
        missing, extra = (lighter, darker) if self.dark_print else (darker, lighter)
        found = [
            *self._faults(missing, seen, warp, missing=True),
            *self._faults(extra, seen, warp, missing=False),
        ]
        found.sort(key=lambda one: (-one[0], one[1]))
        height, width = grey.shape
        boxes = np.array([box for _, box, _ in found], np.float32).reshape(-1, 4)
        return Detections(
            xyxy=np.clip(boxes, 0, np.array([width, height, width, height], np.float32)),
            score=np.array([score for score, _, _ in found], np.float32),
            kind=tuple(kind for _, _, kind in found),
        )

    @cached_property
    def _template(self) -> Template | None:
        """None for an empty golden picture: it has no place, and anything on it is too much."""
        height, width = self.golden.shape
        rim = min(3 * self.border_px, min(self.golden.shape) // 4)
        inner = Box(rim, rim, width - rim, height - rim)
        template = Template.cut(self.golden, inner, origin_px=(0.0, 0.0), max_turn_deg=self.max_turn_deg)
        low, high = (float(np.percentile(template.pixels, share)) for share in (0.1, 99.9))
        return template if high - low >= self.min_contrast else None

    def _registered(self, grey: Image) -> tuple[Image, Points]:
        """The picture as it would be seen were the print where the golden one is, and the rigid map (2, 3) from
        px of the golden picture to px of this one."""
        warp, flow = np.eye(2, 3), np.zeros((*grey.shape, 2), np.float32)
        if self._template is not None:
            warp = self._warp(self._template, grey)
            flow = self._stretch(grey, warp)
        places = _mapped(_grid(grey.shape, 1) + flow, warp)
        if (beyond := self._beyond_picture(places)) > 0:
            raise _not_found(f"{self.border_px + beyond:.1f} px", f"≤ {self.border_px} px")
        seen = cv2.remap(
            grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(seen, np.uint8), warp

    def _warp(self, template: Template, grey: Image) -> Points:
        """Where the print lies: searched from where it usually does, then everywhere. Raises PartNotFound."""
        rim = np.array(template.origin_px)
        score = -1.0
        for near in (np.array([[1, 0, -rim[0]], [0, 1, -rim[1]]]), None):
            found, score = template.locate(grey, near=near)
            warp = np.column_stack([found[:, :2], _held(found[:, 2] + found[:, :2] @ rim, template.pixels)])
            if score >= template.min_score and self._beyond_picture(_mapped(_grid(grey.shape, 1), warp)) <= 0:
                break
        if not score >= template.min_score:
            raise _not_found(f"{score:.2f}", f"≥ {template.min_score:g}")
        template.check_turn(grey, found, score)
        return warp

    def _beyond_picture(self, places: Field) -> float:
        """How far outside the picture the farthest of the places that are compared lies, px; 0 for none."""
        compared = places[self._rim(0), self._rim(1)].reshape(-1, 2)
        limits = np.array(self.golden.shape[::-1]) - 0.5
        return float(max((-0.5 - compared).max(), (compared - limits).max(), 0.0))

    def _stretch(self, grey: Image, warp: Points) -> Field:
        """Where each place (H, W, 2) of the golden picture went beside `warp`, px, smoothly: the least-squares shift
        in a wide window around it (Lucas and Kanade 1981), held back where nothing tells it."""
        height, width = grey.shape
        size = (width // 2, height // 2)
        golden = cv2.resize(cv2.GaussianBlur(self.golden, (0, 0), 1.5), size, interpolation=cv2.INTER_AREA)
        soft, places = cv2.GaussianBlur(grey, (0, 0), 1.5), _grid((size[1], size[0]), 2)
        flow = np.zeros_like(places)
        for _ in range(_STRETCH_STEPS):
            at = _mapped(places + flow, warp)
            now = cv2.remap(soft, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            flow = np.clip(flow + _shift(_float(golden), _float(now)), -MAX_STRETCH_PX, MAX_STRETCH_PX)
        return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _rim(self, axis: int) -> slice:
        return slice(self.border_px, self.golden.shape[axis] - self.border_px)

    @cached_property
    def _printed(self) -> Mask:
        return self._print_of(self.golden)

    def _print_of(self, grey: Image) -> Mask:
        """Where there is print: on its side of the middle between print and ground of the golden picture."""
        low, high = (float(np.percentile(self.golden, share)) for share in (0.1, 99.9))
        dark = grey < (low + high) / 2
        return np.asarray(dark if self.dark_print else ~dark, np.bool_)

    def _faults(self, excess: Image, seen: Image, warp: Points, *, missing: bool) -> list[Fault]:
        """Each place that differs by more than allowed, with its box in px of the picture."""
        differs = np.zeros(excess.shape, np.uint8)
        inner = self._rim(0), self._rim(1)
        differs[inner] = excess[inner] >= self.min_contrast
        side = 2 * _TOGETHER_PX + 1
        # Crumbs of one defect lie close together.
        _, label, boxes, _ = cv2.connectedComponentsWithStats(
            cv2.dilate(differs, np.ones((side, side), np.uint8))
        )
        areas = np.bincount(label[differs > 0], minlength=len(boxes))
        printed = self._print_of(seen)
        faults = []
        for number in np.flatnonzero(areas >= self.min_area_px):
            left, top, width, height = (int(value) for value in boxes[number][:4])
            around = (
                slice(max(top - _AROUND_PX, 0), top + height + _AROUND_PX),
                slice(max(left - _AROUND_PX, 0), left + width + _AROUND_PX),
            )
            place = np.asarray(label[around] == number, np.bool_)
            half_width = half_width_px(place, self._printed[around], printed[around], missing=missing)
            kind = self.kinds[0 if missing else 1]
            if self.conductors:
                kind = fault_of(place, self._printed[around], printed[around], missing=missing)
            middle = warp @ (left + width / 2 - 0.5, top + height / 2 - 0.5, 1.0) + 0.5
            half = np.array([width, height]) / 2 - _TOGETHER_PX + self.tolerance_px + self.margin_px
            box = tuple(np.concatenate([middle - half, middle + half]).tolist())
            faults.append((half_width / (half_width + max(self.tolerance_px, 1)), box, kind))
        return faults


def _beyond(a: Image, b: Image, around: Image) -> Image:
    """By how much `a` is lighter than any wandering of edges within `around` explains.

    Lighter than all that `b` has nearby finds a hole in a broad area; a dark line of `b` with nothing as dark nearby
    in `a` finds the gap in a line narrower than the tolerance.
    """
    on_areas = cv2.subtract(a, cv2.dilate(b, around))
    on_lines = cv2.subtract(cv2.erode(a, around), b)
    return np.asarray(cv2.max(on_areas, on_lines), np.uint8)


def _held(shift: Points, print_: Image) -> Points:
    """The shift without its part along lines, where the print has lines of one direction only: there it is made
    up, and could as well be none."""
    soft = cv2.GaussianBlur(print_, (0, 0), 1.5)
    x, y = (cv2.Sobel(soft, cv2.CV_32F, *order).astype(np.float64).ravel() for order in ((1, 0), (0, 1)))
    strength, ways = np.linalg.eigh(np.array([[x @ x, x @ y], [x @ y, y @ y]]))
    if strength[0] >= _ONE_WAY * strength[1]:
        return shift
    return np.asarray(shift - (shift @ ways[:, 0]) * ways[:, 0], np.float64)


def _shift(golden: Field, now: Field) -> Field:
    """What `now` is to be shifted by to look like `golden`, px of the full picture, for each of their pixels."""
    mean = (golden + now) / 2
    # Sobel's weights sum to 8, and these pictures have half the size.
    x, y = (cv2.Sobel(mean, cv2.CV_32F, *order, scale=1 / 16) for order in ((1, 0), (0, 1)))
    # A defect is a large difference in a small place: it must not pull.
    off = np.clip(golden - now, -80, 80)
    xx, xy, yy, xo, yo = (
        cv2.GaussianBlur(part, (0, 0), _STRETCH_OVER_PX / 2)
        for part in (x * x, x * y, y * y, x * off, y * off)
    )
    xx, yy = xx + _STIFFNESS, yy + _STIFFNESS
    return _float(np.stack([yy * xo - xy * yo, xx * yo - xy * xo], axis=-1) / (xx * yy - xy * xy)[..., None])


def _grid(shape: tuple[int, ...], factor: int) -> Field:
    """Places (H, W, 2), px of the full picture, of the pixels of one shrunk by a whole factor."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return _float(np.stack([x, y], axis=-1) * factor + (factor - 1) / 2)


def _mapped(places: Field, warp: Points) -> Field:
    return _float(places @ warp[:, :2].T + warp[:, 2])


def _float(values: object) -> Field:
    return np.asarray(values, np.float32)


def _not_found(found: str, allowed: str) -> PartNotFound:
    return PartNotFound(
        f"The golden print is not seen whole: {found}, allowed {allowed}.",
        action="Check that the right print lies there, in its place, and that the lamp is on.",
        found=found,
        allowed=allowed,
    )
