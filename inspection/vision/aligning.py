"""Where the part lies, to a fraction of a pixel, so that gauges follow it. No part found is not a good part.

Three ways to find it, each made from a picture of a good part or from its drawing, each with `find(image, plane)`:
by a stretch of the picture (`Template`), by its bright outline (`OutlineReference`), by marks on it (`Fiducials`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.types import Box, Image
from inspection.vision.calibration import Plane, Points
from inspection.vision.measuring import Pose
from inspection.vision.outline import PartCutOff, PartOutline

MIN_SCORE = 0.7
"""Normalised correlation, -1 … 1, of what was found with what was learned. Drawn parts with noise reach 0.95; an
empty fixture or another part stays below 0.5."""

_COARSE_PX = 24
"""Shorter side of a template where the whole picture is searched: enough to tell parts, and cheap."""

_FINE_PX = 160
"""Shorter side of a template where its place is refined: hundredths of a pixel, and more pixels add time only."""

_BEYOND_DEG = 0.5
"""How far beyond the turn that is allowed a part may be found: several times what its turn is wrong by."""

_TURN_TELLS = 0.002
"""What a turn is worth in correlation, if it is one. The drawn plate of 56 px loses 0.0035 when it is turned back by a
degree; a ring, whose turn is made up of noise, 0.001 at most at noise of 15 grey levels."""

_DIRECTED = 1.1
"""Long to short axis of an outline from which on its direction means something."""

_TURN = cv2.MOTION_EUCLIDEAN
_SHIFT = cv2.MOTION_TRANSLATION


class PartNotFound(InspectionError):
    """Nothing in the picture looks enough like the part that was learned."""

    code = "INS-PART-NOT-FOUND"


class Aligner(Protocol):
    """Finds the part. Same picture in, same pose out."""

    def find(self, image: Image, plane: Plane) -> Pose:
        """Where the part's origin lies on the plane, and its turn. Raises PartNotFound, PartMissing or PartCutOff."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """A stretch of the picture of a good part, found again wherever it lies and however it is turned.

    pixels        grey; with structure in it and as little background as may be
    origin_px     the part's origin, px of `pixels`; may lie outside it. The part's x axis is the template's
    max_turn_deg  how far the part may be turned, each way; 180 is every way, and takes longest
    """

    pixels: Image
    origin_px: tuple[float, float]
    max_turn_deg: float = 180.0
    min_score: float = MIN_SCORE

    @staticmethod
    def cut(
        master: Image, area_px: Box, *, origin_px: tuple[float, float], max_turn_deg: float = 180.0
    ) -> Template:
        """From the picture of a good part; `origin_px` in px of that picture."""
        left, top, right, bottom = (round(side) for side in (area_px.x1, area_px.y1, area_px.x2, area_px.y2))
        return Template(
            pixels=_grey(master)[top:bottom, left:right].copy(),
            origin_px=(origin_px[0] - left, origin_px[1] - top),
            max_turn_deg=max_turn_deg,
        )

    def find(self, image: Image, plane: Plane) -> Pose:
        plane.check_fits(image)
        grey = _grey(image)
        warp, score = self.locate(grey)
        if not score >= self.min_score:
            raise _not_found(f"{score:.2f}", f"≥ {self.min_score:g}")
        self.check_turn(grey, warp, score)
        self._check_seen_whole(grey, warp)
        return _on_plane(warp @ (*self.origin_px, 1.0), warp[:, 0], plane)

    def locate(self, grey: Image, *, near: Points | None = None) -> tuple[Points, float]:
        """The rigid map (2, 3) from px of the template to px of the picture, and the correlation there.

        near  a map to begin from, right to about a fiftieth of the template's shorter side; None: search everywhere

        -1 where the template does not fit into the picture.
        """
        if not grey.size:
            return np.eye(2, 3), -1.0
        short = min(self.pixels.shape)
        factor = max(short / _COARSE_PX, 1.0)
        if near is None:
            warp, score = self._coarse(grey, factor)
        else:
            # In very small pictures a place that is right already is lost again, where lines run one way only.
            warp, score, factor = near, 1.0, 4 * max(short / _FINE_PX, 1.0)
        while score > 0:
            # Finer by two at a time: each search starts within a pixel of its end.
            factor = max(factor / 2, short / _FINE_PX, 1.0)
            warp, score = _refined(_shrunk(self.pixels, factor), _shrunk(grey, factor), warp, factor)
            if factor <= max(short / _FINE_PX, 1.0):
                break
        return warp, score

    def check_turn(self, grey: Image, warp: Points, score: float) -> None:
        """Of a map and its correlation that `locate` found: it begins with a turn that is allowed, and refines it.

        Raises PartNotFound for a part that is turned further, unless it looks the same when it is turned back, as a
        ring does.
        """
        angle = math.degrees(math.atan2(warp[1, 0], warp[0, 0]))
        if abs(angle) <= self.max_turn_deg + _BEYOND_DEG:
            return
        factor = max(min(self.pixels.shape) / _FINE_PX, 1.0)
        back = _turned_about_middle(warp, math.copysign(self.max_turn_deg, angle) - angle, self.pixels.shape)
        _, as_allowed = _refined(_shrunk(self.pixels, factor), _shrunk(grey, factor), back, factor, _SHIFT)
        if score - as_allowed >= _TURN_TELLS:
            raise _not_found(f"{abs(angle):.1f}°", f"≤ {self.max_turn_deg:g}°")

    def _check_seen_whole(self, grey: Image, warp: Points) -> None:
        """Raises PartCutOff where more than a pixel of the template lies outside the picture."""
        corners = _corners(self.pixels.shape) @ warp[:, :2].T + warp[:, 2]
        if (corners >= -1).all() and (corners <= np.array(grey.shape[::-1])).all():
            return
        share = f"{self.pixels.size / grey.size:.0%}"
        raise PartCutOff(
            f"The part, which fills {share}, reaches the border of the picture.",
            action="Place the part, or the camera, so that all of it is in the picture.",
            share=share,
        )

    def _coarse(self, grey: Image, factor: float) -> tuple[Points, float]:
        small, part = _shrunk(grey, factor), _shrunk(self.pixels, factor)
        height, width = part.shape
        radius = math.hypot(width, height) / 2
        # One pixel at the template's corner from one turn to the next.
        steps = math.ceil(math.radians(self.max_turn_deg) * radius / 1.5)
        best: tuple[float, Points] = (-1.0, np.eye(2, 3))
        for step in range(-steps, steps + 1):
            angle = self.max_turn_deg * step / max(steps, 1)
            turned, mask, turn = _turned(part, angle)
            if turned.shape[0] > small.shape[0] or turned.shape[1] > small.shape[1]:
                continue
            alike = cv2.matchTemplate(small, turned, cv2.TM_CCOEFF_NORMED, mask=mask)
            alike = np.where(np.isfinite(alike) & (np.abs(alike) <= 1.001), alike, -1.0)
            row, column = np.unravel_index(int(alike.argmax()), alike.shape)
            if alike[row, column] > best[0]:
                warp = turn.copy()
                warp[:, 2] += (column, row)
                best = (float(alike[row, column]), _scaled(warp, factor))
        return best[1], best[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineReference:
    """The bright outline of a good part: its middle and, where it is longer than wide, its direction.

    offset_px   from the outline's middle to the part's origin, px, with the part as in the picture it is from
    angle_deg   direction of its long axis in that picture; None: the outline has no direction, and neither has
                the pose. A turn is known to within half a revolution only: the smaller one is taken
    """

    outline: PartOutline
    offset_px: tuple[float, float]
    angle_deg: float | None

    @staticmethod
    def learn(master: Image, outline: PartOutline, *, origin_px: tuple[float, float]) -> OutlineReference:
        """From the picture of a good part. Raises PartMissing if the outline is not seen there."""
        middle, angle = _middle_and_axis(_grey(master), outline)
        offset = (origin_px[0] - float(middle[0]), origin_px[1] - float(middle[1]))
        return OutlineReference(outline=outline, offset_px=offset, angle_deg=angle)

    def find(self, image: Image, plane: Plane) -> Pose:
        plane.check_fits(image)
        middle, angle = _middle_and_axis(_grey(image), self.outline)
        turn = 0.0
        if self.angle_deg is not None:
            if angle is None:
                raise _not_found("1.0", f"≥ {_DIRECTED:g}")
            turn = math.radians((angle - self.angle_deg + 90) % 180 - 90)
        c, s = math.cos(turn), math.sin(turn)
        x, y = self.offset_px
        return _on_plane(middle + np.array([c * x - s * y, s * x + c * y]), np.array([c, s]), plane)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fiducials:
    """Two or more marks on the part, all of one look.

    mark          the mark, grey; its middle is the place meant
    at_mm         where the marks are, (N, 2), part coordinates
    nominal       where the part usually lies
    search_mm     how far from there a mark is searched; a mark may not be turned by more than it looks the same
    max_error_mm  how far a mark may be from where the others say it is
    """

    mark: Image
    at_mm: Points
    nominal: Pose
    search_mm: float
    max_error_mm: float
    min_score: float = MIN_SCORE

    def find(self, image: Image, plane: Plane) -> Pose:
        plane.check_fits(image)
        grey = _grey(image)
        expected = self.nominal.to_plane(self.at_mm)
        places = plane.to_mm(np.stack([self._mark_near(grey, at, plane) for at in expected]))
        pose = _pose_through(self.at_mm, places)
        worst = float(np.linalg.norm(pose.to_plane(self.at_mm) - places, axis=1).max())
        if not worst <= self.max_error_mm:
            raise _not_found(f"{worst:.3f} mm", f"≤ {self.max_error_mm:g} mm")
        return pose

    def _mark_near(self, grey: Image, at_mm: Points, plane: Plane) -> Points:
        corners = at_mm + self.search_mm * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        reach = plane.to_px(corners)
        half = np.array(self.mark.shape[::-1]) / 2
        low = np.maximum(np.floor(reach.min(axis=0) - half), 0).astype(int)
        high = np.minimum(np.ceil(reach.max(axis=0) + half) + 1, grey.shape[::-1]).astype(int)
        window = grey[low[1] : max(high[1], low[1]), low[0] : max(high[0], low[0])]
        here = Template(pixels=self.mark, origin_px=(0.0, 0.0), max_turn_deg=0.0)
        warp, score = here.locate(window)
        if not score >= self.min_score:
            raise _not_found(f"{score:.2f}", f"≥ {self.min_score:g}")
        middle = (np.array(self.mark.shape[::-1]) - 1) / 2
        return np.asarray(warp @ (*middle, 1.0) + low, np.float64)


def _grey(image: Image) -> Image:
    return np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _shrunk(grey: Image, factor: float) -> Image:
    if factor <= 1:
        return grey
    # Exactly by the factor, so that a place is a place again: not to a whole number of pixels.
    height, width = (max(int(side / factor), 1) for side in grey.shape)
    map_ = np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5]])
    smooth = cv2.GaussianBlur(grey, (0, 0), factor / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(smooth, map_, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _scaled(warp: Points, factor: float) -> Points:
    """A rigid map between shrunk pictures, as one between the pictures themselves."""
    half = np.full(2, factor / 2 - 0.5)
    made = warp.copy()
    made[:, 2] = factor * warp[:, 2] + half - warp[:, :2] @ half
    return made


def _turned(part: Image, angle_deg: float) -> tuple[Image, Image, Points]:
    """The part turned about its middle on a canvas that holds it, which pixels are its own, and the map there."""
    height, width = part.shape
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    wide = math.ceil(abs(c) * width + abs(s) * height - 1e-6)
    high = math.ceil(abs(s) * width + abs(c) * height - 1e-6)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0]])
    turn[:, 2] = np.array([wide - 1, high - 1]) / 2 - turn[:, :2] @ (np.array([width - 1, height - 1]) / 2)
    turned = cv2.warpAffine(part, turn, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(np.full_like(part, 255), turn, (wide, high))
    return np.asarray(turned, np.uint8), np.asarray(mask, np.uint8) // 128, turn


def _corners(shape: tuple[int, ...]) -> Points:
    """Middles of the pixels at the corners, (4, 2)."""
    size = np.array(shape[::-1], np.float64) - 1
    return np.asarray(size * [[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)


def _turned_about_middle(warp: Points, by_deg: float, shape: tuple[int, ...]) -> Points:
    """The map turned further, with the middle of the template where it was."""
    middle = _corners(shape).mean(axis=0)
    c, s = math.cos(math.radians(by_deg)), math.sin(math.radians(by_deg))
    turn = np.array([[c, -s], [s, c]]) @ warp[:, :2]
    return np.column_stack([turn, warp[:, 2] + (warp[:, :2] - turn) @ middle])


def _refined(
    part: Image, grey: Image, warp: Points, factor: float, motion: int = _TURN
) -> tuple[Points, float]:
    """The map that makes part and picture most alike (Evangelidis and Psarakis 2008), from one nearby."""
    # OpenCV takes the angle from its sine alone, so at most an eighth of a revolution is left to it.
    quarters = round(math.degrees(math.atan2(warp[1, 0], warp[0, 0])) / 90)
    part, back = _by_quarters(part, quarters)
    start = _scaled(warp, 1 / factor) @ back
    # Only around the part: the whole picture would be filtered for every step.
    height, width = part.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ start[:, :2].T + start[:, 2]
    low = np.maximum(np.floor(corners.min(axis=0)) - 8, 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 8, grey.shape[::-1]).astype(int)
    window = grey[low[1] : high[1], low[0] : high[0]]
    start[:, 2] -= low
    end = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-7)
    try:
        score, found = cv2.findTransformECC(
            part, window, start.astype(np.float32), motion, end, np.full_like(window, 255), 3
        )
    except cv2.error:
        # So OpenCV says that nothing there is alike, or that there is nothing in it to align to.
        return warp, -1.0
    made = np.asarray(found, np.float64) @ np.linalg.inv(back)
    made[:, 2] += low
    return _scaled(made, factor), float(score)


def _by_quarters(part: Image, quarters: int) -> tuple[Image, Points]:
    """The part turned by so many right angles, and the map (3, 3) from there back to it."""
    turned = np.ascontiguousarray(np.rot90(part, -quarters))
    c, s = round(math.cos(quarters * math.pi / 2)), round(math.sin(quarters * math.pi / 2))
    to = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    to[:2, 2] = -(_corners(part.shape) @ to[:2, :2].T).min(axis=0)
    return turned, np.linalg.inv(to)


def _middle_and_axis(grey: Image, outline: PartOutline) -> tuple[Points, float | None]:
    """Middle, px, and direction of the long axis, degrees, of the area inside the largest bright outline."""
    box = outline.check(grey)
    left, top = max(int(box.x1) - 8, 0), max(int(box.y1) - 8, 0)
    around = grey[top : int(box.y2) + 8, left : int(box.x2) + 8]
    window = np.asarray(cv2.GaussianBlur(around, (0, 0), 1.0), np.uint8)
    _, mask = cv2.threshold(window, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    m = cv2.moments(_soft_inside(window, np.asarray(mask, np.uint8)))
    area = max(m["m00"], 1e-9)
    middle = np.array([m["m10"] / area + left, m["m01"] / area + top])
    spread = math.hypot(2 * m["mu11"], m["mu20"] - m["mu02"])
    total = m["mu20"] + m["mu02"]
    directed = total + spread > _DIRECTED**2 * (total - spread)
    angle = math.degrees(math.atan2(2 * m["mu11"], m["mu20"] - m["mu02"]) / 2) if directed else None
    return middle, angle


def _soft_inside(window: Image, mask: Image) -> NDArray[np.float32]:
    """1 inside the outline of the mask's largest piece, holes too, 0 outside, and the share by brightness where
    the outline runs: whole pixels alone would put the middle of a straight-sided part up to 0.4 px off."""
    pieces, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), [max(pieces, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    cross = np.ones((3, 3), np.uint8)
    inner, outer = cv2.erode(filled, cross, iterations=2), cv2.dilate(filled, cross, iterations=2)
    within, around = cv2.erode(inner, cross, iterations=2), cv2.dilate(outer, cross, iterations=2)
    bright, dark = (
        float(np.median(window[ring > 0])) if ring.any() else level
        for ring, level in ((inner - within, 255.0), (around - outer, 0.0))
    )
    share = np.clip((window.astype(np.float32) - dark) / max(bright - dark, 1.0), 0, 1)
    return np.where(inner > 0, np.float32(1), share * outer).astype(np.float32)


def _pose_through(part_mm: Points, plane_mm: Points) -> Pose:
    """The pose that carries the one set of points nearest to the other (Kabsch, in two dimensions)."""
    a, b = part_mm - part_mm.mean(axis=0), plane_mm - plane_mm.mean(axis=0)
    angle = math.atan2(float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()), float((a * b).sum()))
    turned = Pose(angle_deg=math.degrees(angle)).to_plane(part_mm)
    x, y = (plane_mm - turned).mean(axis=0)
    return Pose(x_mm=float(x), y_mm=float(y), angle_deg=math.degrees(angle))


def _on_plane(origin_px: Points, along_px: Points, plane: Plane) -> Pose:
    """A pose in the picture as one on the plane; the direction over 10 px, as the lens bends it there."""
    ends = plane.to_mm(np.stack([origin_px, origin_px + 10 * along_px]))
    way = ends[1] - ends[0]
    angle = math.degrees(math.atan2(float(way[1]), float(way[0])))
    return Pose(x_mm=float(ends[0, 0]), y_mm=float(ends[0, 1]), angle_deg=angle)


def _not_found(found: str, allowed: str) -> PartNotFound:
    return PartNotFound(
        f"The part was not found: {found}, allowed {allowed}.",
        action="Check that the right part lies in the fixture, the right way up, and that the lamp is on.",
        found=found,
        allowed=allowed,
    )
