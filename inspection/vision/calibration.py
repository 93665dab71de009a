"""From pixels of a camera to millimetres on the plane it measures on, and how sure that is.

Pictures of a board of known squares give the lens (Brown's distortion) and where the plane lies; the board of the
first picture lies on the plane that is to be measured on. Points are px with (0, 0) in the middle of the top left
pixel, as OpenCV has them, so that a box's edge lies half a pixel before the middle of its first pixel. Plane
millimetres: the origin is the first corner of the board in the first picture, x along its rows, y along its columns.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.types import Image

Points = NDArray[np.float64]

MIN_PICTURES = 4
"""With fewer, focal length and distortion of a flat board are not held by anything (Zhang 2000 needs 3)."""

MAX_REPROJECTION_PX = 0.5
"""A sharp picture of a flat board is fitted to 0.05–0.2 px. Above half a pixel the board is bent or a lens other
than this model is in front of the camera."""

MIN_COVER = 0.4
"""Share of the frame that the corners of all pictures together must enclose: distortion beyond is guessed."""

MIN_TURN_DEG = 15.0
"""Between the normals of the two boards that differ most. Boards that all lie alike leave focal length and
distance open, however many pictures there are."""

MAX_SCALE_SPREAD = 0.02
"""Relative standard deviation of a board's squares in one picture: of more, one number for the scale would mislead."""

MAX_LOOKED_PX = 1000
"""Longer side of the copy in which another board than the described one is looked for: it is only counted."""

_DRAWS = 200
_CORNERS_OF_A_BOARD = 12


class BoardNotFound(InspectionError):
    """The picture does not show the board, or not enough of it (`reason` unseen), or one of other numbers of squares
    (`reason` squares)."""

    code = "INS-BOARD-NOT-FOUND"


class CalibrationRefused(InspectionError):
    """The pictures do not determine the camera well enough. Facts: reason, found, allowed."""

    code = "INS-CALIBRATION-REFUSED"


class CalibrationUnreadable(InspectionError):
    """A stored calibration is incomplete, or was changed after it was made."""

    code = "INS-CALIBRATION-UNREADABLE"


class CalibrationMisfit(InspectionError):
    """The calibration is for another frame, or for another area of it, than what is to be measured."""

    code = "INS-CALIBRATION-MISFIT"


class Plane(Protocol):
    """The surface that is measured on.

    scale_uncertainty  relative standard uncertainty of any length in mm, 0.001 for one in a thousand
    """

    @property
    def scale_uncertainty(self) -> float: ...

    def check_fits(self, image: Image) -> None:
        """Raises CalibrationMisfit if this is not for frames of that size."""
        ...

    def to_mm(self, points_px: Points) -> Points:
        """Points (N, 2), px of the whole frame, as points (N, 2) on the plane, mm."""
        ...

    def to_px(self, points_mm: Points) -> Points:
        """The way back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenScale:
    """A plane seen straight on through a lens without distortion, its scale known from elsewhere."""

    x_mm_per_px: float
    y_mm_per_px: float
    scale_uncertainty: float

    def check_fits(self, image: Image) -> None:
        """A scale alone fits every frame."""

    def to_mm(self, points_px: Points) -> Points:
        return points_px * (self.x_mm_per_px, self.y_mm_per_px)

    def to_px(self, points_mm: Points) -> Points:
        return points_mm / (self.x_mm_per_px, self.y_mm_per_px)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corners:
    """Corners of a board found in a picture: `board_mm` and `image_px`, each (N, 2), row by row."""

    board_mm: Points
    image_px: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board of `columns` x `rows` squares; a checkerboard, or a ChArUco board where `marker_mm` is given.

    square_mm   side of a square
    marker_mm   side of the markers of a ChArUco board (dictionary 5X5_250, the first marker 0)
    tolerance   relative standard uncertainty of `square_mm`, from the board's certificate; of the length of the
                whole board, not of one square. 2e-4 for a good print on glass or aluminium, 2e-3 on paper
    """

    columns: int
    rows: int
    square_mm: float
    marker_mm: float | None = None
    tolerance: float = 2e-4

    def find(self, image: Image, *, picture: int = 1) -> Corners:
        """The inner corners seen, to a fraction of a pixel.

        Raises BoardNotFound, naming `picture`, if not all of a checkerboard's, or fewer than 12 of a ChArUco
        board's, are there.
        """
        grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        grey = np.ascontiguousarray(grey)
        ids, found = self._markers(grey, self.marker_mm) if self.marker_mm else self._checkers(grey)
        needed = _CORNERS_OF_A_BOARD if self.marker_mm else (self.columns - 1) * (self.rows - 1)
        if len(ids) < min(needed, (self.columns - 1) * (self.rows - 1)):
            raise self._not_found(grey, picture, found=len(ids), needed=needed)
        if not self.marker_mm and found[-1].sum() < found[0].sum():
            # A plain board has two ends that look alike: the first corner is the one nearer the top left.
            found = found[::-1]
        places = np.stack([ids % (self.columns - 1), ids // (self.columns - 1)], axis=1).astype(np.float64)
        return Corners(board_mm=places * self.square_mm, image_px=found)

    def _not_found(self, grey: Image, picture: int, *, found: int, needed: int) -> BoardNotFound:
        there = None if self.marker_mm else _other_board(grey, (self.columns, self.rows))
        if there is not None:
            return BoardNotFound(
                f"Picture {picture} shows a board of {there[0]} x {there[1]} squares, and one of {self.columns} x "
                f"{self.rows} is described.",
                action="Count the squares along both sides and correct the description of the board.",
                reason="squares",
                picture=picture,
                columns=self.columns,
                rows=self.rows,
                there=f"{there[0]} x {there[1]}",
            )
        return BoardNotFound(
            f"Picture {picture} shows {found} corners of a board of {self.columns} x {self.rows} squares, "
            f"{needed} are needed.",
            action="Show the whole board, flat, sharp and evenly lit, and check its numbers of squares.",
            reason="unseen",
            picture=picture,
            columns=self.columns,
            rows=self.rows,
            found=found,
            needed=needed,
        )

    def _checkers(self, grey: Image) -> tuple[NDArray[np.intp], Points]:
        shape = (self.columns - 1, self.rows - 1)
        ok, found = cv2.findChessboardCornersSB(grey, shape, flags=cv2.CALIB_CB_ACCURACY)
        points = np.reshape(found, (-1, 2)) if ok else np.empty((0, 2))
        return np.arange(len(points)), points.astype(np.float64)

    def _markers(self, grey: Image, marker_mm: float) -> tuple[NDArray[np.intp], Points]:
        kinds = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_250)
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_mm, marker_mm, kinds)
        # Both are None where nothing is found, whatever the types say.
        answer: tuple[Any, ...] = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if answer[0] is None or answer[1] is None:
            return np.empty(0, np.intp), np.empty((0, 2))
        points, ids = np.reshape(answer[0], (-1, 2)), np.reshape(answer[1], -1)
        return ids.astype(np.intp), points.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One camera at its place: lens, plane, and how sure both are. A `Plane`.

    width_px, height_px   of the frames it is for; another size is refused
    covered_px            left, top, right, bottom of what the board covered in the first picture; what lies beyond
                          is not measured
    fx fy cx cy           px
    distortion            Brown: k1 k2 p1 p2 k3
    rotation, place_mm    the plane as the camera sees it: rotation vector, and its origin
    reprojection_px       root mean square of what is left between the corners and the model
    scale_uncertainty     relative, one standard deviation, where it is worst within `covered_px`
    pictures              how many it was made from
    """

    width_px: int
    height_px: int
    covered_px: tuple[float, ...]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    rotation: tuple[float, ...]
    place_mm: tuple[float, ...]
    reprojection_px: float
    scale_uncertainty: float
    pictures: int

    @property
    def mm_per_px(self) -> float:
        """In the middle of the frame, the mean over directions."""
        middle = np.array([(self.width_px - 1) / 2, (self.height_px - 1) / 2])
        around = middle + np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])
        left, right, above, below = self._met(around)
        (a, b), (c, d) = (right - left) / 2, (below - above) / 2
        return math.sqrt(abs(a * d - b * c))

    @property
    def tilt_deg(self) -> float:
        """Between the camera's axis and the plane's normal: 0 looks straight on."""
        turn, _ = cv2.Rodrigues(np.array(self.rotation))
        return math.degrees(math.acos(min(1.0, abs(float(turn[2, 2])))))

    def check_fits(self, image: Image) -> None:
        """Raises CalibrationMisfit if the image is not of the size calibrated for."""
        height, width = image.shape[:2]
        if (width, height) != (self.width_px, self.height_px):
            raise CalibrationMisfit(
                f"The calibration is for {self.width_px} x {self.height_px} px, the frame has {width} x {height}.",
                action="Calibrate the camera again with its present settings, or set its frame back.",
                found=f"{width} x {height} px",
                allowed=f"{self.width_px} x {self.height_px} px",
            )

    def to_mm(self, points_px: Points) -> Points:
        """Raises CalibrationMisfit for a point outside what the board covered."""
        low, high = np.array(self.covered_px[:2]), np.array(self.covered_px[2:])
        if len(beyond := points_px[((points_px < low) | (points_px > high)).any(axis=1)]):
            left, top, right, bottom = self.covered_px
            raise CalibrationMisfit(
                f"{len(beyond)} points, as {beyond[0].round()}, lie outside what the board covered.",
                action="Calibrate with the board, in the first picture, reaching over all that is measured.",
                found=f"x {beyond[0, 0]:.0f}, y {beyond[0, 1]:.0f} px",
                allowed=f"x {left:.0f} … {right:.0f}, y {top:.0f} … {bottom:.0f} px",
            )
        return self._met(points_px)

    def to_px(self, points_mm: Points) -> Points:
        flat = np.column_stack([points_mm, np.zeros(len(points_mm))])
        seen, _ = cv2.projectPoints(flat, *self._pose(), self._lens(), np.array(self.distortion))
        return np.asarray(seen, np.float64).reshape(-1, 2)

    def to_toml(self) -> str:
        """All of it as text, its digest in the last line. Floats survive exactly."""
        body = "".join(
            f"{name} = {json.dumps(value)}\n" for name in self.__slots__ for value in [getattr(self, name)]
        )
        return f'{body}sha256 = "{_digest(body)}"\n'

    @staticmethod
    def from_toml(text: str) -> Calibration:
        """What `to_toml` made; CalibrationUnreadable if it is anything else, or was changed since."""
        body, mark, last = text.rpartition("sha256 = ")
        try:
            if not mark or last.strip().strip('"') != _digest(body):
                raise ValueError("the digest in its last line is not that of the lines above it")
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in tomllib.loads(body).items()
            }
            return Calibration(**values)
        except (ValueError, TypeError) as error:
            raise CalibrationUnreadable(
                f"This is no calibration as it was made: {error}.",
                action="Load the file the calibration was stored in, or calibrate again.",
                why=str(error),
            ) from error

    @property
    def sha256(self) -> str:
        """Names the calibration in a record."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()

    def _met(self, points_px: Points) -> Points:
        return _to_mm(points_px, self._lens(), np.array(self.distortion), *self._pose())

    def _lens(self) -> Points:
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def _pose(self) -> tuple[Points, Points]:
        return np.array(self.rotation), np.array(self.place_mm)


def calibrate(
    pictures: Sequence[Image], board: Board, *, max_reprojection_px: float = MAX_REPROJECTION_PX
) -> Calibration:
    """The calibration from pictures of `board`; in the first it lies on the plane that is to be measured on.

    pictures   all of one size; at least 4, the board tilted differently in most of them and, taken together,
               reaching over most of the frame

    Raises BoardNotFound, with the picture's number, and CalibrationRefused where the pictures do not determine
    the camera, or the model leaves more than `max_reprojection_px`.
    Source: Zhang, A flexible new technique for camera calibration, 2000; uncertainty by drawing from the fit's
    covariance (JCGM 101:2008), and the board's own.
    """
    if len(pictures) < MIN_PICTURES:
        raise _refused("pictures", f"{len(pictures)}", f"{MIN_PICTURES}")
    sizes = dict.fromkeys(f"{picture.shape[1]} x {picture.shape[0]} px" for picture in pictures)
    if len(sizes) > 1:
        raise _refused("sizes", ", ".join(sizes), "1")
    corners = [board.find(image, picture=number) for number, image in enumerate(pictures, 1)]
    height, width = pictures[0].shape[:2]
    hull = cv2.convexHull(np.concatenate([one.image_px for one in corners]).astype(np.float32))
    if (cover := cv2.contourArea(hull) / (width * height)) < MIN_COVER:
        raise _refused("cover", f"{cover:.0%}", f"{MIN_COVER:.0%}")
    flat = [
        np.column_stack([one.board_mm, np.zeros(len(one.board_mm))]).astype(np.float32) for one in corners
    ]
    seen = [one.image_px.astype(np.float32) for one in corners]
    _, made, bent, turns, places = cv2.calibrateCamera(flat, seen, (width, height), np.eye(3), np.zeros(5))
    lens, bend = np.asarray(made, np.float64), np.asarray(bent, np.float64).reshape(-1)[:5]
    poses = [(_three(turn), _three(place)) for turn, place in zip(turns, places, strict=True)]
    fit = _Fit(flat, corners, lens, bend, poses)
    if not fit.reprojection_px <= max_reprojection_px:
        raise _refused("reprojection", f"{fit.reprojection_px:.2f} px", f"{max_reprojection_px:g} px")
    normals = np.stack([cv2.Rodrigues(turn)[0][:, 2] for turn, _ in poses])
    if (turned := math.degrees(math.acos(float(np.clip(normals @ normals.T, -1, 1).min())))) < MIN_TURN_DEG:
        raise _refused("turn", f"{turned:.0f}°", f"{MIN_TURN_DEG:.0f}°")
    turn, place = poses[0]
    covered = _covered(corners[0], (width, height))
    return Calibration(
        width_px=width,
        height_px=height,
        covered_px=covered,
        fx=float(lens[0, 0]),
        fy=float(lens[1, 1]),
        cx=float(lens[0, 2]),
        cy=float(lens[1, 2]),
        distortion=tuple(fit.bend.tolist()),
        rotation=tuple(turn.tolist()),
        place_mm=tuple(place.tolist()),
        reprojection_px=fit.reprojection_px,
        scale_uncertainty=math.hypot(fit.scale_uncertainty(covered), board.tolerance),
        pictures=len(pictures),
    )


def scale_of(corners: Corners, *, tolerance: float) -> EvenScale:
    """The scale of a plane from one picture of a board that lies on it, for a camera that looks straight on.

    The uncertainty is what squares differ by within the picture, which a tilt or a bent lens makes large, and
    `tolerance`, that of the board itself. Raises CalibrationRefused above MAX_SCALE_SPREAD: then the scale is not
    one number, and the camera needs a calibration.
    """
    flat = np.column_stack([corners.image_px, np.ones(len(corners.image_px))])
    affine, *_ = np.linalg.lstsq(flat, corners.board_mm, rcond=None)
    x_mm, y_mm = (float(np.linalg.norm(affine[axis])) for axis in (0, 1))
    away_mm = corners.board_mm[:, None] - corners.board_mm[None, :]
    apart_mm = np.linalg.norm(away_mm, axis=2)
    apart_px = np.linalg.norm((corners.image_px[:, None] - corners.image_px[None, :]) * (x_mm, y_mm), axis=2)
    side_mm = apart_mm[apart_mm > 0].min()
    next_to = np.triu((apart_mm > 0) & (apart_mm < 1.01 * side_mm))
    spread = float(np.std(apart_px[next_to] / apart_mm[next_to]))
    if spread > MAX_SCALE_SPREAD:
        raise _refused("scale", f"{spread:.1%}", f"{MAX_SCALE_SPREAD:.0%}")
    return EvenScale(x_mm_per_px=x_mm, y_mm_per_px=y_mm, scale_uncertainty=math.hypot(spread, tolerance))


class _Fit:
    """What `calibrateCamera` arrived at, and how sure it is of it."""

    def __init__(
        self,
        flat: Sequence[NDArray[np.float32]],
        corners: Sequence[Corners],
        lens: Points,
        bend: Points,
        poses: Sequence[tuple[Points, Points]],
    ) -> None:
        self.lens, self.bend, self._plane = lens, bend, poses[0]
        rows: list[Points] = []
        left: list[Points] = []
        for number, (points, one, (turn, place)) in enumerate(zip(flat, corners, poses, strict=True)):
            again, slopes = cv2.projectPoints(points, turn, place, lens, bend)
            left.append((one.image_px - np.reshape(again, (-1, 2))).reshape(-1))
            # OpenCV gives rotation 3, place 3, focal lengths 2, middle 2, distortion 5.
            block = np.zeros((len(slopes), 9 + 6 * len(poses)))
            block[:, :9] = slopes[:, 6:15]
            block[:, 9 + 6 * number : 15 + 6 * number] = slopes[:, :6]
            rows.append(block)
        residual, slope = np.concatenate(left), np.concatenate(rows)
        self.reprojection_px = math.sqrt(2 * float(np.mean(residual**2)))
        freedom = len(residual) - slope.shape[1]
        # Columns differ by many powers of ten: even them out before inverting.
        size = np.maximum(np.linalg.norm(slope, axis=0), 1e-12)
        normal = (slope / size).T @ (slope / size)
        sigma = math.sqrt(float(residual @ residual) / max(freedom, 1))
        strength, ways = np.linalg.eigh(normal)
        # Its product with its transpose is the covariance; only lens and plane are of interest.
        self._spread = (sigma * ways / np.sqrt(np.maximum(strength, 1e-15)) / size[:, None])[:15]

    def scale_uncertainty(self, area_px: tuple[float, ...]) -> float:
        """The largest relative standard deviation of a length of a quarter of the area, anywhere in it."""
        left, top, right, bottom = area_px
        x, y = np.linspace(left, right, 5), np.linspace(top, bottom, 5)
        grid = np.stack(np.meshgrid(x, y), axis=-1)
        best = np.concatenate([self.lens[[0, 1, 0, 1], [0, 1, 2, 2]], self.bend, *self._plane])
        rng = np.random.default_rng(0)
        drawn = best + rng.standard_normal((_DRAWS, self._spread.shape[1])) @ self._spread.T
        lengths = np.stack([self._lengths(values, grid) for values in drawn])
        return float((lengths.std(axis=0) / lengths.mean(axis=0)).max())

    def _lengths(self, values: Points, grid: Points) -> Points:
        fx, fy, cx, cy = values[:4]
        lens = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        mm = _to_mm(grid.reshape(-1, 2), lens, values[4:9], values[9:12], values[12:15]).reshape(grid.shape)
        across, down = np.diff(mm, axis=1), np.diff(mm, axis=0)
        return np.concatenate([np.hypot(*np.moveaxis(s, -1, 0)).reshape(-1) for s in (across, down)])


def _three(column: Any) -> Points:
    return np.asarray(column, np.float64).reshape(3)


def _covered(corners: Corners, wh_px: tuple[int, int]) -> tuple[float, ...]:
    """The corners' bounding box and one square around it, within the frame."""
    low, high = corners.image_px.min(axis=0), corners.image_px.max(axis=0)
    apart = np.linalg.norm(np.diff(corners.image_px, axis=0), axis=1)
    square = float(np.median(apart))
    low = np.maximum(low - square, -0.5)
    high = np.minimum(high + square, np.array(wh_px) - 0.5)
    return tuple(np.concatenate([low, high]).round(1).tolist())


def _to_mm(points_px: Points, lens: Points, bend: Points, rotation: Points, place_mm: Points) -> Points:
    """The rays of these pixels, met with the plane."""
    rays = np.column_stack([_straightened(points_px, lens, bend), np.ones(len(points_px))])
    turn, _ = cv2.Rodrigues(rotation)
    # In the plane's own coordinates the camera stands at `eye`, and the plane is z = 0.
    eye, ways = -turn.T @ place_mm, rays @ turn
    reach = -eye[2] / ways[:, 2:]
    return np.asarray(eye[:2] + reach * ways[:, :2], np.float64)


def _straightened(points_px: Points, lens: Points, bend: Points) -> Points:
    """Points of the picture as a lens without distortion would have them, at focal length 1."""
    seen = (points_px - lens[:2, 2]) / (lens[0, 0], lens[1, 1])
    straight = seen.copy()
    k1, k2, p1, p2, k3 = bend
    for _ in range(50):
        x, y = straight[:, 0], straight[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        step = seen - np.stack([bent_x, bent_y], axis=1)
        straight += step
        if not np.abs(step).max(initial=0.0) > 1e-12:
            break
    return np.asarray(straight, np.float64)


_REFUSED = {
    "pictures": (
        "Pictures that show the board: {found}; at least {allowed} are needed.",
        "Take eight to fifteen pictures with one camera setting.",
    ),
    "sizes": (
        "The pictures are of several sizes: {found}.",
        "Take out those that were taken with another camera setting.",
    ),
    "cover": (
        "The board reached over {found} of the frame in all pictures together; at least {allowed} is needed.",
        "Show the board in the corners and along the edges of the frame too.",
    ),
    "turn": (
        "The boards that differ most are turned by {found} against each other; at least {allowed} is needed.",
        "Tilt the board by 20 to 40 degrees, in different directions, in most pictures.",
    ),
    "reprojection": (
        "The corners lie {found} from where the lens would have them; at most {allowed} is allowed.",
        "Check that the board is flat, sharp in every picture, and as described.",
    ),
    "scale": (
        "The squares of one picture differ in size by {found}; at most {allowed} is allowed.",
        "Look straight on at the board, or calibrate the lens with eight to fifteen pictures.",
    ),
}
"""By reason, what happened and what to do. The same reasons are keys of the texts."""


def _refused(reason: str, found: str, allowed: str) -> CalibrationRefused:
    what, action = _REFUSED[reason]
    return CalibrationRefused(
        what.format(found=found, allowed=allowed), action=action, reason=reason, found=found, allowed=allowed
    )


def _other_board(grey: Image, described: tuple[int, int]) -> tuple[int, int] | None:
    """Columns and rows of squares of a checkerboard in the picture that is not as described, longer side as described;
    None where none is seen, or where it is the described one."""
    scale = min(1.0, MAX_LOOKED_PX / max(grey.shape))
    small = grey if scale == 1.0 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ok, _, meta = cv2.findChessboardCornersSBWithMeta(small, (3, 3), cv2.CALIB_CB_LARGER)
    if not ok:
        return None
    rows, columns = (side + 1 for side in meta.shape[:2])
    if (columns < rows) != (described[0] < described[1]):
        columns, rows = rows, columns
    return None if (columns, rows) == described else (columns, rows)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
