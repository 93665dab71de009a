"""Boards, discs and bars drawn with known geometry, anti-aliased: the truth that measuring is judged by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from inspection.vision.calibration import Board

Points = NDArray[np.float64]

LENS = np.array([[520.0, 0, 242.0], [0, 521.5, 178.0], [0, 0, 1]])
BEND = np.array([-0.18, 0.09, 0.0012, -0.0008, 0.0])
SIZE_WH = (480, 360)
CHECKERS = Board(columns=12, rows=9, square_mm=6.0, tolerance=0.0)
CHARUCO = Board(columns=12, rows=9, square_mm=6.0, marker_mm=4.5, tolerance=0.0)
_DOTS_PER_SQUARE = 32
_SAMPLES = 2


def board_picture(
    board: Board,
    rotation: tuple[float, float, float],
    place_mm: tuple[float, float, float],
    *,
    seed: int = 0,
) -> Image:
    """The board as a camera with LENS and BEND sees it; its first inner corner lies at `place_mm`."""
    width, height = SIZE_WH[0] * _SAMPLES, SIZE_WH[1] * _SAMPLES
    dots = on_plane(_rays(), rotation, place_mm) * (_DOTS_PER_SQUARE / board.square_mm)
    dots += 2 * _DOTS_PER_SQUARE - 0.5
    at_x, at_y = (dots[:, i].reshape(height, width).astype(np.float32) for i in (0, 1))
    seen = cv2.remap(
        _art(board), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=200
    )
    seen = cv2.resize(seen, SIZE_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
    return noisy(cv2.GaussianBlur(seen, (0, 0), 0.7), sigma=1.5, seed=seed)


def straight_rays(points_px: Points) -> Points:
    """Directions (N, 3) in which the camera sees these pixels; by OpenCV's way, not ours."""
    straight = cv2.undistortPoints(
        points_px.reshape(-1, 1, 2), LENS, BEND, criteria=(cv2.TERM_CRITERIA_COUNT, 40, 1e-9)
    )
    return np.column_stack([np.reshape(straight, (-1, 2)), np.ones(len(points_px))])


def on_plane(
    rays: Points, rotation: tuple[float, float, float], place_mm: tuple[float, float, float]
) -> Points:
    """Where rays meet the plane of a board that lies so, in mm from its first corner."""
    turn, _ = cv2.Rodrigues(np.array(rotation))
    eye, ways = -turn.T @ np.array(place_mm), rays @ turn
    return np.asarray(eye[:2] - eye[2] / ways[:, 2:] * ways[:, :2], np.float64)


@cache
def _rays() -> Points:
    y, x = np.mgrid[: SIZE_WH[1] * _SAMPLES, : SIZE_WH[0] * _SAMPLES].astype(np.float64)
    # Sample i of a pixel lies (i + 0.5) / _SAMPLES - 0.5 from its middle.
    return straight_rays(np.stack([x.ravel(), y.ravel()], axis=1) / _SAMPLES + 0.5 / _SAMPLES - 0.5)


@cache
def _art(board: Board) -> Image:
    """The print: a white margin of one square, so that the first inner corner is two squares in."""
    n = _DOTS_PER_SQUARE
    if board.marker_mm:
        kinds = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_250)
        made = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_mm, board.marker_mm, kinds)
        inner = np.asarray(made.generateImage((board.columns * n, board.rows * n)), np.uint8)
    else:
        row, column = np.mgrid[: board.rows * n, : board.columns * n] // n
        inner = ((row + column) % 2 * 255).astype(np.uint8)
    return np.asarray(cv2.add(cv2.multiply(np.pad(inner, n, constant_values=255), 0.7), 20), np.uint8)


def noisy(grey: NDArray[np.float32], *, sigma: float, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, sigma, grey.shape)
    return np.clip(np.rint(grey + noise), 0, 255).astype(np.uint8)


VIEWS: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((0.03, -0.05, 0.02), (-31.0, -22.0, 92.0)),  # the first lies on the plane
    ((0.45, 0.1, 0.1), (-32.0, -22.0, 105.0)),
    ((-0.4, 0.2, -0.1), (-30.0, -20.0, 105.0)),
    ((0.1, 0.5, 0.05), (-25.0, -24.0, 110.0)),
    ((0.1, -0.5, 0.0), (-38.0, -22.0, 105.0)),
    ((-0.3, -0.35, 0.2), (-30.0, -26.0, 115.0)),
    ((0.3, 0.3, -0.25), (-34.0, -16.0, 108.0)),
)


@cache
def views(board: Board) -> tuple[Image, ...]:
    return tuple(board_picture(board, *view, seed=number) for number, view in enumerate(VIEWS))


@cache
def _samples(size_px: int) -> Points:
    """Places (size * 6, size * 6, 2) of six samples to a pixel each way, px."""
    axis = (np.arange(size_px * 6) + 0.5) / 6 - 0.5
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def shape_picture(
    inside: Callable[[Points], Points],
    *,
    size_px: int = 64,
    blur_px: float = 0.7,
    noise: float = 2.0,
    seed: int = 0,
    dark: float = 60.0,
    bright: float = 180.0,
) -> Image:
    """A bright shape on dark ground. `inside` gives how deep in px places lie within, negative outside.

    The lens blurs before the pixels gather light: blurred afterwards, an edge would lie where its pixels drew it.
    """
    share = np.clip(inside(_samples(size_px)) * 6 + 0.5, 0, 1).astype(np.float32)
    if blur_px:
        share = cv2.GaussianBlur(share, (0, 0), 6 * blur_px, borderType=cv2.BORDER_REPLICATE)
    grey = share.reshape(size_px, 6, size_px, 6).mean(axis=(1, 3)) * (bright - dark) + dark
    return noisy(np.asarray(grey, np.float32), sigma=noise, seed=seed)


def disc(centre: tuple[float, float], radius: float) -> Callable[[Points], Points]:
    return lambda places: radius - np.linalg.norm(places - np.array(centre), axis=-1)


def bar(centre: tuple[float, float], width: float, angle_deg: float) -> Callable[[Points], Points]:
    """Endless, `width` wide, running at this angle from x towards y."""
    normal = np.array([-np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))])
    return lambda places: width / 2 - np.abs((places - np.array(centre)) @ normal)


def seen_on_plane(inside_mm: Callable[[Points], Points], *, seed: int = 0) -> Image:
    """A bright shape, given in mm, lying on the plane of the first of VIEWS, seen through LENS and BEND."""
    width, height = SIZE_WH[0] * _SAMPLES, SIZE_WH[1] * _SAMPLES
    mm = on_plane(_rays(), *VIEWS[0])
    sample_mm = float(np.linalg.norm(mm[1] - mm[0]))
    share = np.clip(inside_mm(mm) / sample_mm + 0.5, 0, 1).reshape(height, width)
    grey = cv2.resize((share * 120 + 60).astype(np.float32), SIZE_WH, interpolation=cv2.INTER_AREA)
    return noisy(np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.7), np.float32), sigma=2.0, seed=seed)
