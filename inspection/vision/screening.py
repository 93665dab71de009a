"""A cheap first look at every pixel, which picks the places that the network must see.

The screen is learned (models/training/screen.py) and it is strict: what it does not send on is not inspected by
the network, so its working point is set from what the network would have found (docs/screening.md). Some of the
quiet places go to the network all the same, for ever, so that what the screen lets escape is counted where it
runs, not only where it was trained.

Its arithmetic is exact: whole numbers in, weights in whole steps, no sum above what a float64 holds. The same
picture gives the same places whatever the machine, the libraries and the number of threads.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.protocols import Detector
from inspection.types import Detections, Image, Looked
from inspection.vision.boxes import intersections
from inspection.vision.cells import CELL_PX, DEPTH, IS_COMPILED, Grid, cell_statistics
from inspection.vision.tiles import CUT_WITHIN_PX, Tile

if IS_COMPILED:
    from inspection.vision import _screening

logger = logging.getLogger(__name__)

Cells = NDArray[np.bool_]
Weights = NDArray[np.float64]

WEIGHT_STEP = 2.0**-16
"""Weights are whole multiples of this."""

_HIDDEN_STEP = 2.0**-8
_HIDDEN_MOST = 2.0**10

BORDER_PX = 8
"""A tile that shows of a candidate no more than this at its border is not sent on for it: its neighbour, of which tiles
share 25 px of 200, has it inside. On drawn strip this spares a tenth of the tiles that are sent on, a fifth where
little is hot, and loses no finding; with 12 px the first is lost (docs/screening.md)."""

# The compiled scoring has room for so many units of a layer, and so many kinds.
_UNITS, _KINDS = 32, 8


class ScreenOverrun(InspectionError):
    """More of the frame stands out than the network may be given. Nothing of it was inspected."""

    code = "INS-SCREEN-OVERRUN"


class TilingDetector(Detector, Protocol):
    """A detector that looks at an image tile by tile, and can be asked for some of the tiles only."""

    def tiles(self, image_hw: tuple[int, int]) -> tuple[Tile, ...]:
        """The tiles that `detect` looks at, in its order."""
        ...

    def look_at(self, image: Image, tile: Tile) -> Detections:
        """What it finds in this one of its tiles, in px of the image; nothing outside is looked at."""
        ...

    def together(
        self, image_hw: tuple[int, int], tiles: Sequence[Tile], found: Sequence[Detections]
    ) -> Detections:
        """What was found in each of these tiles, as found in one image. Of all tiles it is what `detect` gives."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screen:
    """A classifier of cells: two layers, each seeing its neighbours, and one score per kind of defect.

    kinds        codes of the defect catalogue
    thresholds   (K,): a cell is a candidate if the score of any kind reaches that kind's threshold
    first        (3 · DEPTH + 1, H) weights on a cell's statistics, their sums over 3 x 3 cells, their maxima over
                 3 x 3 cells, and 1
    second       (2 · H + 1, H): on the first layer, its sums over 3 x 3 cells, and 1
    last         (H + 1, K)
    """

    kinds: tuple[str, ...]
    thresholds: Weights
    first: Weights
    second: Weights
    last: Weights
    _padded: tuple[Weights, Weights, Weights] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        hidden, count = self.first.shape[1], len(self.kinds)
        shapes = [self.first.shape, self.second.shape, self.last.shape, self.thresholds.shape]
        expected = [(3 * DEPTH + 1, hidden), (2 * hidden + 1, hidden), (hidden + 1, count), (count,)]
        if shapes != expected:
            raise ValueError(f"weights of the shapes {shapes}, not {expected}")
        for layer in (self.first, self.second, self.last):
            whole = layer / WEIGHT_STEP
            if not np.array_equal(whole, np.rint(whole)) or np.abs(layer).max() > 2.0**7:
                raise ValueError("weights that are no whole multiples of 2^-16, or above 128: not exact")
        if IS_COMPILED and hidden <= _UNITS and count <= _KINDS:
            object.__setattr__(self, "_padded", padded(self))

    def candidates(self, image: Image) -> Cells:
        """Which cells of the image, uint8 grey or BGR, the network must see: (rows, columns)."""
        return self.candidates_of(cell_statistics(image))

    def candidates_of(self, statistics: Grid) -> Cells:
        """From the statistics of the cells. Compiled where it can be, and the same without."""
        if self._padded is not None:
            rows, columns, _ = statistics.shape
            stands_out = np.empty((rows, columns), np.bool_)
            whole = np.ascontiguousarray(statistics)
            _screening.candidates(
                whole, *self._padded, self.thresholds, stands_out, rows, columns, len(self.kinds)
            )
            return stands_out
        return np.asarray((self.scores(statistics) >= self.thresholds).any(axis=2), np.bool_)

    def scores(self, statistics: Grid) -> NDArray[np.float64]:
        """(rows, columns, K), from the statistics of the cells."""
        largest = cv2.dilate(statistics, np.ones((3, 3), np.uint8))
        hidden = _rectified(_layer(self.first, statistics, _sums_around(statistics), largest))
        hidden = _rectified(_layer(self.second, hidden, _sums_around(hidden)))
        return _layer(self.last, hidden)


def padded(screen: Screen) -> tuple[Weights, Weights, Weights]:
    """The layers as the compiled scoring takes them: as many units and kinds as it has room for, unused ones 0."""
    hidden, count = screen.first.shape[1], len(screen.kinds)
    first = np.zeros((len(screen.first), _UNITS))
    first[:, :hidden] = screen.first
    second = np.zeros((2 * _UNITS + 1, _UNITS))
    second[:hidden, :hidden] = screen.second[:hidden]
    second[_UNITS : _UNITS + hidden, :hidden] = screen.second[hidden:-1]
    second[-1, :hidden] = screen.second[-1]
    last = np.zeros((_UNITS + 1, _KINDS))
    last[:hidden, :count] = screen.last[:-1]
    last[-1, :count] = screen.last[-1]
    return first, second, last


def _sums_around(cells: NDArray[Any]) -> NDArray[Any]:
    """Sums over 3 x 3 cells, of each layer."""
    # A single row or column has nothing to reflect.
    border = cv2.BORDER_REFLECT_101 if min(cells.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    # OpenCV gives a single layer back without its axis.
    return np.asarray(cv2.boxFilter(cells, -1, (3, 3), normalize=False, borderType=border)).reshape(
        cells.shape
    )


def _layer(weights: Weights, *parts: NDArray[Any]) -> NDArray[np.float64]:
    """The parts of every cell times their rows of the weights, and the last row added. Exact in any order."""
    rows, columns, _ = parts[0].shape
    total = np.empty((rows, columns, weights.shape[1]), np.float64)
    total[:] = weights[-1]
    at = 0
    for part in parts:
        depth = part.shape[2]
        # Row by row of cells, so that no product is large enough for the library to start threads of its own:
        # beside other work they took 6 ms to multiply for 0.3.
        total += np.matmul(part.astype(np.float64, copy=False), weights[at : at + depth])
        at += depth
    return total


def _rectified(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nothing below 0, in whole steps: so that the next layer's sums are exact, too."""
    steps = np.rint(np.clip(cells, 0, _HIDDEN_MOST) / _HIDDEN_STEP)
    return np.asarray(steps * _HIDDEN_STEP, np.float64)


class Places:
    """The tiles of images of one size, and which cells each of them shows inside its border."""

    def __init__(self, tiles: Sequence[Tile], image_hw: tuple[int, int]) -> None:
        self.tiles = tuple(tiles)
        self.image_hw = image_hw
        height, width = image_hw
        across = min(BORDER_PX, _shared({(one.left, one.right) for one in tiles}) // 2)
        down = min(BORDER_PX, _shared({(one.top, one.bottom) for one in tiles}) // 2)
        sides = [
            (
                (one.left + across * (one.left > 0)) // CELL_PX,
                (one.top + down * (one.top > 0)) // CELL_PX,
                -(-(one.right - across * (one.right < width)) // CELL_PX),
                -(-(one.bottom - down * (one.bottom < height)) // CELL_PX),
            )
            for one in tiles
        ]
        self._insides = np.array(sides, np.intp).reshape(-1, 4).T

    def showing(self, cells: Cells) -> NDArray[np.bool_]:
        """Which tiles show a part of any of these cells more than BORDER_PX inside, (tiles,).

        Less than that where neighbours share less than twice as much: every part of every cell is in a tile.
        """
        counts = cv2.integral(cells.astype(np.uint8))
        left, top, right, bottom = self._insides
        inside = counts[bottom, right] - counts[top, right] - counts[bottom, left] + counts[top, left]
        return np.asarray(inside > 0, np.bool_)

    def beyond(self, looks: Mapping[int, Detections]) -> Cells:
        """The cells on which what was found in these tiles, by number, would go on beyond the border of its tile."""
        height, width = self.image_hw
        cells = np.zeros((-(-height // CELL_PX), -(-width // CELL_PX)), np.bool_)
        for number, found in looks.items():
            tile = self.tiles[number]
            for x1, y1, x2, y2 in found.xyxy[tile.cuts(found.xyxy, image_hw=self.image_hw)].tolist():
                if 0 < tile.left >= x1 - CUT_WITHIN_PX:
                    cells[_middle(y1, y2), (tile.left - 1) // CELL_PX] = True
                if width > tile.right <= x2 + CUT_WITHIN_PX:
                    cells[_middle(y1, y2), tile.right // CELL_PX] = True
                if 0 < tile.top >= y1 - CUT_WITHIN_PX:
                    cells[(tile.top - 1) // CELL_PX, _middle(x1, x2)] = True
                if height > tile.bottom <= y2 + CUT_WITHIN_PX:
                    cells[tile.bottom // CELL_PX, _middle(x1, x2)] = True
        return cells


def _middle(low: float, high: float) -> slice:
    """The cells from `low` to `high`, px, but those that hold less than half a cell of it; at least one."""
    half = min(CELL_PX / 2, (high - low) / 2)
    return slice(int(low + half) // CELL_PX, int(high - half) // CELL_PX + 1)


def _shared(spans: set[tuple[int, int]]) -> int:
    """The least that neighbours along one side share, px, not below 0; where there is only one, all of it."""
    ordered = sorted(spans)
    return min(
        (max(end - begin, 0) for (_, end), (begin, _) in pairwise(ordered)),
        default=ordered[0][1] - ordered[0][0] if ordered else 0,
    )


class Screened:
    """A detector that looks only where its screen says, and by lot at some of the rest.

    most_tiles     how many tiles of one image may stand out; above, the image is refused
    quiet_share    0..1, of the tiles that do not stand out: how many are looked at all the same
    beside         the same detector once more, for a thread of its own that takes tiles off the first one's hands while
                   there are cores for both of each picture in hand; the detections are the same with it and without

    The lot is drawn from the image itself: the same image gives the same places and the same detections.
    """

    def __init__(
        self,
        screen: Screen,
        detector: TilingDetector,
        *,
        most_tiles: int,
        quiet_share: float,
        beside: TilingDetector | None = None,
    ) -> None:
        self._screen = screen
        self._detector = detector
        self._beside = None if beside is None else _Beside(beside)
        if self._beside is not None:
            weakref.finalize(self, self._beside.leave)
        self._most_tiles = most_tiles
        self._quiet_share = quiet_share
        self._places: Places | None = None
        if not IS_COMPILED:
            logger.warning(
                "The screen runs without its compiled part and takes more than twice as long, with the same answers: "
                "install a C compiler and then this program again."
            )
        _keep_freed_memory()

    def detect(self, image: Image) -> Detections:
        """With `looked`. Raises ScreenOverrun, and what the detector raises."""
        if image.size == 0:
            return self._detector.detect(image)
        with _AT_WORK:
            return self._detect(image)

    def _detect(self, image: Image) -> Detections:
        places = self._places_in((image.shape[0], image.shape[1]))
        statistics = cell_statistics(image)
        looks: dict[int, Detections] = {}
        self._look_where(places.showing(self._screen.candidates_of(statistics)), image, places, looks)
        found = self._together(places, looks)
        drawn = np.flatnonzero(_drawn_by_lot(statistics, len(places.tiles), self._quiet_share)).tolist()
        by_lot = [number for number in drawn if number not in looks]
        escaped = 0
        for number in by_lot:
            here = self._detector.look_at(image, places.tiles[number])
            if _is_new(here, found):
                escaped += 1
                looks[number] = here
        if escaped:
            self._look_where(places.showing(places.beyond(looks)), image, places, looks)
            found = self._together(places, looks)
        looked = Looked(
            tiles=len(places.tiles), sent=len(looks) - escaped, sampled=len(by_lot), escaped=escaped
        )
        return replace(found, looked=looked)

    def _look_where(
        self, asked: NDArray[np.bool_], image: Image, places: Places, looks: dict[int, Detections]
    ) -> None:
        """Look at the tiles asked for, and on wherever what was found is cut by their borders: into `looks`."""
        while more := [number for number in np.flatnonzero(asked).tolist() if number not in looks]:
            sent = len(looks) + len(more)
            if sent > self._most_tiles:
                raise ScreenOverrun(
                    f"{sent} of {len(places.tiles)} places stand out, {self._most_tiles} may be looked at.",
                    action="Look at the picture: is it the lamp, the lens, water or scale? If the steel is like that, "
                    "raise most_tiles in the recipe or inspect without a screen.",
                    found=sent,
                    allowed=self._most_tiles,
                    tiles=len(places.tiles),
                )
            seen = self._looks_at(more, image, places)
            looks |= seen
            asked = places.showing(places.beyond(seen))

    def _looks_at(self, numbers: Sequence[int], image: Image, places: Places) -> dict[int, Detections]:
        """What is found in these tiles. Who has looked at one takes the next that nobody has taken."""
        seen: dict[int, Detections] = {}
        untaken = deque(numbers)

        def take(detector: TilingDetector) -> None:
            while True:
                try:
                    number = untaken.popleft()
                except IndexError:
                    return
                seen[number] = detector.look_at(image, places.tiles[number])

        if self._beside is None or len(numbers) == 1 or not _AT_WORK.leaves_cores:
            take(self._detector)
            return seen
        joined = self._beside.asked(take)
        try:
            take(self._detector)
        finally:
            untaken.clear()
            joined()
        return seen

    def _together(self, places: Places, looks: Mapping[int, Detections]) -> Detections:
        numbers = sorted(looks)
        return self._detector.together(
            places.image_hw, [places.tiles[one] for one in numbers], [looks[one] for one in numbers]
        )

    def _places_in(self, image_hw: tuple[int, int]) -> Places:
        """Kept for the next picture, which mostly has the same size."""
        if self._places is None or self._places.image_hw != image_hw:
            self._places = Places(self._detector.tiles(image_hw), image_hw)
        return self._places


class _AtWork:
    """How many pictures are looked at in this process at the moment."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1

    @property
    def leaves_cores(self) -> bool:
        """Whether there are two for each picture."""
        return 2 * self._count <= self._cores


_AT_WORK: Final = _AtWork(len(os.sched_getaffinity(0)))


class _Beside:
    """A detector on a thread of its own, until it is left."""

    def __init__(self, detector: TilingDetector) -> None:
        self._detector = detector
        self._asked: SimpleQueue[Callable[[TilingDetector], None] | None] = SimpleQueue()
        self._answered: SimpleQueue[BaseException | None] = SimpleQueue()
        threading.Thread(target=self._work, name="beside", daemon=True).start()

    def asked(self, take: Callable[[TilingDetector], None]) -> Callable[[], None]:
        """Begin to take; gives what waits until that has ended, and raises what it raised."""
        self._asked.put(take)

        def join() -> None:
            raised = self._answered.get()
            if raised is not None:
                raise raised

        return join

    def leave(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        while (take := self._asked.get()) is not None:
            try:
                take(self._detector)
            except BaseException as error:  # noqa: BLE001 - raised again where the answer is waited for
                self._answered.put(error)
            else:
                self._answered.put(None)


def _keep_freed_memory() -> None:
    """Let the process keep what each picture's statistics need, instead of giving it back and asking anew.

    Handing 10 MB back to the kernel and faulting them in again took 5 of 9 ms a picture. glibc keeps as much as
    twice the largest mapping it has seen freed, at most 32 MB; this one is never touched. Elsewhere it does nothing.
    """
    np.empty(31 << 20, np.uint8)


def _drawn_by_lot(statistics: Grid, tiles: int, share: float) -> NDArray[np.bool_]:
    seed = zlib.crc32(statistics[..., 0].astype(np.uint16).tobytes())
    return np.asarray(np.random.default_rng(seed).random(tiles) < share, np.bool_)


def _is_new(here: Detections, found: Detections) -> bool:
    """Whether anything of `here` has no detection of its kind anywhere over it in `found`."""
    if not len(here):
        return False
    same_kind = np.array(here.kind, object)[:, None] == np.array(found.kind, object)[None, :]
    shared = (intersections(here.xyxy, found.xyxy) > 0) & same_kind
    return bool((~shared.any(axis=1)).any())
