"""A part that is found and measured, as a recipe describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspection.types import Image, Measurement, Surface, Tolerance
from inspection.vision.aligning import Aligner
from inspection.vision.calibration import Calibration, CalibrationMisfit, EvenScale, Plane
from inspection.vision.measuring import Gauge, Quantity, measure


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugedPart:
    """A part that lies somewhere in the picture, and what is measured on it.

    aligner            finds it, and so knows that it is there. It says where the origin of its coordinates is
    gauges             where its edges are expected, mm in its own coordinates
    quantities         none: it is found, which is all that is asked
    tolerances         between which values the quantities must lie
    scale_uncertainty  relative standard uncertainty of the surface's scale
    calibration        of the camera; None: the surface's scale holds everywhere
    """

    aligner: Aligner
    gauges: Mapping[str, Gauge]
    quantities: tuple[Quantity, ...]
    tolerances: tuple[Tolerance, ...]
    scale_uncertainty: float = 0.0
    calibration: Calibration | None = None

    def measure(self, image: Image, surface: Surface) -> tuple[Measurement, ...]:
        """All quantities. Raises PartMissing, PartNotFound, PartCutOff, EdgeNotFound: a part that cannot be measured
        whole is not inspected; CalibrationMisfit for a surface without a scale, and for another frame than was
        calibrated for."""
        plane = self._plane(surface)
        return measure(image, plane, self.gauges, self.quantities, pose=self.aligner.find(image, plane))

    def _plane(self, surface: Surface) -> Plane:
        if self.calibration is not None:
            return self.calibration
        if surface.x_mm_per_px is None or surface.y_mm_per_px is None:
            if not self.quantities:
                # Found and not measured: pixels do.
                return EvenScale(x_mm_per_px=1.0, y_mm_per_px=1.0, scale_uncertainty=0.0)
            raise CalibrationMisfit(
                f"Nothing can be measured on {surface.name}: its scale is not known.",
                action="Give the recipe's surface its mm per px.",
                found="–",
                allowed="mm/px",
            )
        return EvenScale(
            x_mm_per_px=surface.x_mm_per_px,
            y_mm_per_px=surface.y_mm_per_px,
            scale_uncertainty=self.scale_uncertainty,
        )
