"""A part that is found by its outline and measured, as a recipe describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inspection.types import Image, Measurement, Surface, Tolerance
from inspection.vision.aligning import OutlineReference
from inspection.vision.calibration import CalibrationMisfit, EvenScale
from inspection.vision.measuring import Gauge, Quantity, measure
from inspection.vision.outline import PartOutline


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugedPart:
    """What is measured on a part that lies somewhere in the picture.

    outline            how it is found, and known to be there
    long_axis_deg      direction of its long axis in its own coordinates, from x towards y; None: it is as wide as long,
                       or never turned. The origin of its coordinates is the middle of its outline
    gauges             where its edges are expected, mm in its own coordinates
    tolerances         between which values the quantities must lie
    scale_uncertainty  relative standard uncertainty of the surface's scale
    """

    outline: PartOutline
    long_axis_deg: float | None
    gauges: Mapping[str, Gauge]
    quantities: tuple[Quantity, ...]
    tolerances: tuple[Tolerance, ...]
    scale_uncertainty: float

    def measure(self, image: Image, surface: Surface) -> tuple[Measurement, ...]:
        """All quantities. Raises PartMissing, PartNotFound, EdgeNotFound: a part that cannot be measured whole is not
        inspected; CalibrationMisfit for a surface without a scale."""
        if surface.x_mm_per_px is None or surface.y_mm_per_px is None:
            raise CalibrationMisfit(
                f"Nothing can be measured on {surface.name}: its scale is not known.",
                action="Give the recipe's surface its mm per px.",
                found="–",
                allowed="mm/px",
            )
        plane = EvenScale(
            x_mm_per_px=surface.x_mm_per_px,
            y_mm_per_px=surface.y_mm_per_px,
            scale_uncertainty=self.scale_uncertainty,
        )
        reference = OutlineReference(outline=self.outline, offset_px=(0.0, 0.0), angle_deg=self.long_axis_deg)
        pose = reference.find(image, plane)
        return measure(image, plane, self.gauges, self.quantities, pose=pose)
