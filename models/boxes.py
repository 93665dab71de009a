"""The box detector: letterbox or tiles, run, decode, suppress, and what tiles cut made whole again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.joining import join
from inspection.types import Detections, Image, ModelRef
from inspection.vision.boxes import Letterbox, clip, fuse_per_kind, suppress_per_kind
from inspection.vision.tiles import Tile, cut_into_tiles
from models.decode import decode
from models.errors import DetectionFailed
from models.session import Session

# Up to this many tile sides an image is shown to the network whole: cutting 256 px into two tiles of 200 costs
# twice the time and cuts defects for a change of scale the network was trained to bear.
_WHOLE_UP_TO = 1.5

# Of a tile's side, at least so much its neighbour shows too. With an eighth the same is found as with a quarter,
# in three quarters of the tiles; with none one in twenty is missed more (benchmarks/strip/overlap.py): what tiles cut
# is joined, but a sliver of it is not seen.
_SHARED = 0.125

# Grey of the margins, as in training.
_MARGIN = 114

_Look = tuple[int, int]
# Steps down the rows and along the columns. Mirrored first: of two looks these tell most.
_LOOKS: tuple[_Look, ...] = ((1, 1), (1, -1), (-1, 1), (-1, -1))

# Of the threshold: a box is fused from this share of it on, since the mean of several can still reach it.
_HEARD = 0.25
_FAINTEST = np.float32(0.003)


class BoxDetector:
    """Finds boxes with a network. Same image in, same detections out, in the same order.

    min_score   takes the place of all the thresholds of the card; for evaluation and for looking closer
    for_figures of more than are kept, the surest without a word: nothing may be judged by them
    """

    def __init__(
        self, session: Session, *, min_score: float | None = None, for_figures: bool = False
    ) -> None:
        card = session.card
        self._session = session
        self._card = card
        self._thresholds = np.array(
            [card.thresholds[kind] if min_score is None else min_score for kind in card.kinds], np.float32
        )
        decides = [np.inf if for_figures else card.thresholds[kind] for kind in card.kinds]
        self._judged_from = np.array(decides, np.float32)
        self._input = np.empty((1, 3, *card.input_hw), np.float32)

    @property
    def ref(self) -> ModelRef:
        return self._card.ref

    @property
    def kinds(self) -> tuple[str, ...]:
        return self._card.kinds

    def detect(self, image: Image) -> Detections:
        """Defects in px of `image`: uint8, (height, width) grey or (height, width, 3) BGR, of any size.

        Raises DetectionFailed for an image without pixels, and when onnxruntime gives up; DetectionsInvalid and, by the
        card's thresholds, TooManyDetections.
        """
        if image.size == 0:
            raise DetectionFailed(
                f"An image of {image.shape} has no pixels to look at.",
                action="Check the region of interest in the recipe.",
                model=f"{self._card.name} {self._card.version}",
                reason=f"image {image.shape}",
            )
        image_hw = image.shape[0], image.shape[1]
        tiles = self.tiles(image_hw)
        return self.together(image_hw, tiles, [self.look_at(image, tile) for tile in tiles])

    def tiles(self, image_hw: tuple[int, int]) -> tuple[Tile, ...]:
        """What `detect` looks at one by one, in its order; a single tile where the image is shown whole."""
        height, width = image_hw
        if max(image_hw) <= _WHOLE_UP_TO * self._card.tile_px:
            return (Tile(left=0, top=0, right=width, bottom=height),)
        return cut_into_tiles(image_hw, tile_px=self._card.tile_px, overlap=_SHARED)

    def look_at(self, image: Image, tile: Tile) -> Detections:
        """What the network finds in this tile of the image, in px of the image. Raises as `detect`."""
        return tile.placed(self._look_at(tile.of(image)))

    def together(
        self, image_hw: tuple[int, int], tiles: Sequence[Tile], found: Sequence[Detections]
    ) -> Detections:
        """What was found in each of these tiles of an image, as found in the image: what tiles cut made whole again."""
        if not tiles:
            return Detections.none()
        return in_one_picture(tiles, found, image_hw, suppress_above=self._card.suppress_above)

    def _look_at(self, image: Image) -> Detections:
        height, width = image.shape[:2]
        fit = Letterbox.fit((height, width), self._card.input_hw)
        fill_input(self._input[0], image, fit)
        found = self._fused([one for look in _LOOKS[: self._card.looks] for one in self._answers(look)])
        xyxy = clip(fit.to_image(found.xyxy), width_px=width, height_px=height)
        return replace(found, xyxy=xyxy)

    def _answers(self, look: _Look) -> list[Detections]:
        """What the network sees in its input turned so, in px of the input as it was: each of its opinions."""
        down, along = look
        turned = np.ascontiguousarray(self._input[..., ::down, ::along])
        thresholds = self._thresholds
        if self._card.fuse_above is not None:
            # The mean of several can reach what one of them does not.
            thresholds = np.minimum(thresholds, np.maximum(thresholds * np.float32(_HEARD), _FAINTEST))
        return [self._as_it_was(one, thresholds, look) for one in self._session.run(turned)]

    def _as_it_was(
        self, answer: NDArray[np.float32], thresholds: NDArray[np.float32], look: _Look
    ) -> Detections:
        found = decode(
            answer,
            kinds=self._card.kinds,
            thresholds=thresholds,
            suppress_above=self._card.suppress_above,
            judged_from=self._judged_from,
        )
        down, along = look
        height, width = self._card.input_hw
        x1, y1, x2, y2 = found.xyxy.T
        if along < 0:
            x1, x2 = width - x2, width - x1
        if down < 0:
            y1, y2 = height - y2, height - y1
        return replace(found, xyxy=np.stack([x1, y1, x2, y2], axis=1))

    def _fused(self, looks: Sequence[Detections]) -> Detections:
        if self._card.fuse_above is None:
            return looks[0]
        kinds = self._card.kinds
        xyxy, score, kind = fuse_per_kind(
            np.concatenate([one.xyxy for one in looks]),
            np.concatenate([one.score for one in looks]),
            np.array([kinds.index(name) for one in looks for name in one.kind], np.intp),
            np.repeat(np.arange(len(looks)), [len(one) for one in looks]),
            above=self._card.fuse_above,
            looks=len(looks),
        )
        sure = score >= self._thresholds[kind]
        return Detections(
            xyxy=xyxy[sure], score=score[sure], kind=tuple(kinds[number] for number in kind[sure])
        )


def in_one_picture(
    tiles: Sequence[Tile], found: Sequence[Detections], image_hw: tuple[int, int], *, suppress_above: float
) -> Detections:
    """What was found in each of an image's tiles, px of the image, as detections of that image: cut pieces
    joined, then repeats gone.

    In this order: of two pieces that overlap by half, suppression takes one, and with it what only that one showed.
    Of one box in 14 that tiles cut, more than 2 % of the area was lost that way, of some half.
    """
    cut = np.concatenate(
        [tile.cuts(one.xyxy, image_hw=image_hw) for tile, one in zip(tiles, found, strict=True)]
    )
    order = np.argsort(-np.concatenate([one.score for one in found]), kind="stable")
    whole = join(Detections.together(found), cut=cut[order])
    numbers = {name: number for number, name in enumerate(sorted(set(whole.kind)))}
    number = np.array([numbers[one] for one in whole.kind], np.intp)
    return whole.picked(suppress_per_kind(whole.xyxy, whole.score, number, above=suppress_above))


def fill_input(row: NDArray[np.float32], image: Image, fit: Letterbox) -> None:
    """Lay an image, grey or BGR, into one input of a network, (3, height, width) RGB 0..1, in place."""
    scaled = cv2.resize(image, (fit.width, fit.height), interpolation=cv2.INTER_LINEAR)
    row.fill(_MARGIN / 255)
    window = row[:, fit.top : fit.top + fit.height, fit.left : fit.left + fit.width]
    channels = scaled[None] if scaled.ndim == 2 else scaled[..., ::-1].transpose(2, 0, 1)
    np.divide(channels, np.float32(255), out=window, casting="same_kind")
