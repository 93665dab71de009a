"""Detectors that say which pixels: from maps of scores (anomalies, segmentation), or from boxes with masks."""

from __future__ import annotations

from inspection.types import Detections, Image
from inspection.vision.boxes import Letterbox
from inspection.vision.tiles import Tile, cut_into_tiles
from models.boxes import BoxDetector, fill_input
from models.decode import decode_maps, decode_masks


class MapDetector(BoxDetector):
    """As BoxDetector, of a network that gives a map of scores for each kind.

    What is larger than a tile is always cut: a surface is told by its grain, which shrinking would change.
    """

    def tiles(self, image_hw: tuple[int, int]) -> tuple[Tile, ...]:
        return cut_into_tiles(image_hw, tile_px=self._card.tile_px)

    def _look_at(self, image: Image) -> Detections:
        hw = image.shape[0], image.shape[1]
        fit = Letterbox.fit(hw, self._card.input_hw)
        fill_input(self._input[0], image, fit)
        return decode_maps(
            self._session.run(self._input),
            kinds=self._card.kinds,
            thresholds=self._thresholds,
            fit=fit,
            input_hw=self._card.input_hw,
            image_hw=hw,
            min_area_px=self._card.min_region_px,
            judged_from=self._judged_from,
        )


class MaskDetector(BoxDetector):
    """As BoxDetector, of a network that gives boxes with masks."""

    def _look_at(self, image: Image) -> Detections:
        hw = image.shape[0], image.shape[1]
        fit = Letterbox.fit(hw, self._card.input_hw)
        fill_input(self._input[0], image, fit)
        answer, prototypes = self._session.run_all(self._input)
        return decode_masks(
            answer,
            prototypes,
            kinds=self._card.kinds,
            thresholds=self._thresholds,
            suppress_above=self._card.suppress_above,
            fit=fit,
            input_hw=self._card.input_hw,
            image_hw=hw,
            judged_from=self._judged_from,
        )
