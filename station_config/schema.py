"""What a plant sets for a station, put together from the packages' own settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import cv2
import numpy as np
from pydantic import AfterValidator, Discriminator, Field, IPvAnyAddress, Tag, model_validator

from cameras.settings import CameraSettings, DeviceSettings, ReplaySettings
from inspection.errors import ImageUnsuitable
from inspection.identity import IdentifierCode
from inspection.repeats import RepeatRules
from inspection.strip import StripRules, WeldRules
from inspection.types import Box, Grade, Limit, Measure, Surface, Tolerance, Verdict, Zone
from inspection.vision.aligning import Aligner, Fiducials, OutlineReference, Template
from inspection.vision.calibration import Calibration
from inspection.vision.codes import KINDS, CodeKind, UnitCode
from inspection.vision.decoding import decode_image
from inspection.vision.health import HealthLimits, HealthWatch
from inspection.vision.measuring import CircleGauge, Edge, Gauge, LineGauge, Pose, Quantity, QuantityKind
from inspection.vision.outline import PartOutline
from inspection.vision.part import GaugedPart
from station_config.base import AtLeastZero, Code, FileSettings, Name, Settings, Share
from station_config.sensors import SensorSettings

REPLAY_HOLDS = 16
"""Frames held for a busy lane while a recording plays at its own times, as of a camera."""


class SurfaceSettings(Settings):
    """How pixels lie on the surface. Without a scale, results are in pixels and limits in mm go to review.

    width_px, height_px  of the frames that this is true for: one of another size is not inspected. Without a height
                         any is right, as a coil's last frame may be shorter
    """

    name: Annotated[str, Field(min_length=1, max_length=40)] = "surface"
    x_mm_per_px: Annotated[float, Field(gt=0, le=100)] | None = None
    y_mm_per_px: Annotated[float, Field(gt=0, le=100)] | None = None
    x_origin_mm: float = 0.0
    width_px: Annotated[int, Field(ge=16, le=65536)] | None = None
    height_px: Annotated[int, Field(ge=16, le=65536)] | None = None

    @model_validator(mode="after")
    def _is_a_size(self) -> Self:
        if self.height_px is not None and self.width_px is None:
            raise ValueError("height_px without width_px")
        return self

    def surface(self) -> Surface:
        return Surface(**self.model_dump(exclude={"width_px", "height_px"}))

    def frame_wh_px(self) -> tuple[int, int | None] | None:
        """The only size of frame this is true for; None: any."""
        return None if self.width_px is None else (self.width_px, self.height_px)


class ScreenSettings(Settings):
    """A released screen, which looks first and lets the network see only what stands out (docs/screening.md).

    version      without one: the newest that the recipe's network taught
    most_tiles   of one frame that may stand out; with more it is not inspected
    quiet_share  of the tiles that do not, the network sees so many by lot: what escapes the screen is counted there
    """

    model: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None
    most_tiles: Annotated[int, Field(ge=1)]
    quiet_share: Annotated[float, Field(gt=0, le=1)] = 0.002


class DetectorSettings(Settings):
    """Which released model looks. Without a version it is the newest at the time the station starts; with "in_force"
    the one that was promoted last, also while the station runs (docs/models.md).

    budget_ms  without an answer for so long, the frame is not inspected and the network is loaded anew
    looks      how often the network looks at each place: as it is, mirrored (2), and both upside down too (4), the
               mean of which is surer and takes so many times as long; left out, as the model's card says
    screen     looks first; left out, the network sees everything
    """

    model: Name
    version: Annotated[str, Field(pattern=r"^(\d+\.\d+\.\d+|in_force)$")] | None = None
    budget_ms: Annotated[float, Field(ge=50, le=60_000)] = 5000.0
    looks: Literal[1, 2, 4] | None = None
    screen: ScreenSettings | None = None

    @model_validator(mode="after")
    def _a_screen_foresees_one_look(self) -> DetectorSettings:
        if self.screen is not None and (self.looks or 1) > 1:
            raise ValueError(
                f"a screen foresees what one look finds, not what {self.looks} do: leave out one of them"
            )
        return self

    def pinned(self, versions: Mapping[str, str]) -> DetectorSettings:
        """The same with these versions, by the models' names."""
        screen = self.screen and self.screen.model_copy(update={"version": versions.get(self.screen.model)})
        return self.model_copy(update={"version": versions[self.model], "screen": screen})


class FlatFieldSettings(FileSettings):
    """A picture of an even grey surface, in the camera's present settings: what lamp and lens make of it is evened out.

    per_column  one gain for each column, as a line scan camera needs it, not for each pixel
    """

    per_column: bool = False


class GoldenSettings(FileSettings):
    """The picture of a flawless print that every print is compared with. Keys as of GoldenPrint."""

    dark_print: bool = True
    tolerance_px: Annotated[int, Field(ge=0, le=50)] = 2
    min_contrast: Annotated[int, Field(ge=1, le=255)] = 80
    min_area_px: Annotated[int, Field(ge=1)] = 6
    border_px: Annotated[int, Field(ge=1)] = 8
    max_turn_deg: Annotated[float, Field(ge=0, le=45)] = 2.0
    conductors: bool = False


class GoldenDetectorSettings(Settings):
    """Compares with a golden print instead of asking a network. Finds `print_missing` and `print_extra`; of
    `conductors` what the fault does to them, `open` and the like."""

    golden: GoldenSettings
    budget_ms: Annotated[float, Field(ge=50, le=60_000)] = 5000.0


def _detector_kind(given: object) -> str:
    keys = given if isinstance(given, dict) else getattr(given, "model_fields_set", ())
    return "golden_print" if "golden" in keys else "network"


AnyDetectorSettings = Annotated[
    Annotated[DetectorSettings, Tag("network")] | Annotated[GoldenDetectorSettings, Tag("golden_print")],
    Discriminator(_detector_kind),
]


class ZoneSettings(Settings):
    """A part of the surface, mm: by its distance from the edges of the strip, or as a rectangle, or both."""

    edge_within: AtLeastZero | None = None
    edge_beyond: AtLeastZero | None = None
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.model_fields_set == set():
            raise ValueError("give edge_within, edge_beyond, or x and y")
        if (self.x is None) != (self.y is None):
            raise ValueError("a rectangle has x and y")
        for span in (self.x, self.y):
            if span is not None and not span[0] < span[1]:
                raise ValueError(f"{span[0]:g} is not below {span[1]:g}")
        return self

    @property
    def needs_edges(self) -> bool:
        return self.edge_within is not None or self.edge_beyond is not None

    def zone(self, name: str) -> Zone:
        box = None
        if self.x is not None and self.y is not None:
            box = Box(self.x[0], self.y[0], self.x[1], self.y[1])
        return Zone(name=name, edge_within_mm=self.edge_within, edge_beyond_mm=self.edge_beyond, box_mm=box)


class _Counting(Settings):
    """What a limit is about: one kind, or all kinds of a severity; measured how; where; from which size on."""

    kind: Code | None = None
    severity: Name | None = None
    measure: Measure
    zone: Name | None = None
    min_length_mm: AtLeastZero | None = None

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if (self.kind is None) == (self.severity is None):
            raise ValueError("give kind or severity")
        return self


class LimitSettings(_Counting):
    review_from: AtLeastZero | None = None
    reject_from: AtLeastZero | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.review_from is None and self.reject_from is None:
            raise ValueError("give review_from, reject_from or both")
        return self


class GradeLimitSettings(_Counting):
    """What a unit of the grade stays below."""

    below: Annotated[float, Field(gt=0)]


class GradeSettings(Settings):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    limits: Annotated[tuple[GradeLimitSettings, ...], Field(min_length=1)]


class RoiSettings(Settings):
    """Region of interest, px of the frame."""

    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=16)]
    height: Annotated[int, Field(ge=16)]

    def box(self) -> Box:
        return Box(self.x, self.y, self.x + self.width, self.y + self.height)


class _EdgeSettings(Settings):
    """What counts as the edge a gauge is for, and how far to each side it is searched."""

    reach_mm: Annotated[float, Field(gt=0)]
    brightness: Literal["rising", "falling", "either"] = "either"
    choice: Literal["strongest", "first"] = "strongest"
    min_contrast: Annotated[float, Field(ge=1, le=255)] = 20.0

    def edge(self) -> Edge:
        return Edge(brightness=self.brightness, choice=self.choice, min_contrast=self.min_contrast)


class CircleGaugeSettings(_EdgeSettings):
    """A round edge, mm from the middle of the part's outline; searched from inside to outside."""

    shape: Literal["circle"]
    centre_mm: tuple[float, float] = (0.0, 0.0)
    radius_mm: Annotated[float, Field(gt=0)]
    from_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    to_deg: Annotated[float, Field(ge=-360, le=360)] = 360.0

    @model_validator(mode="after")
    def _is_an_arc(self) -> Self:
        if not 30 <= self.to_deg - self.from_deg <= 360:
            raise ValueError("from_deg to to_deg must be an arc of 30 to 360 degrees")
        return self

    def gauge(self) -> Gauge:
        return CircleGauge(
            centre_mm=self.centre_mm,
            radius_mm=self.radius_mm,
            reach_mm=self.reach_mm,
            from_deg=self.from_deg,
            to_deg=self.to_deg,
            edge=self.edge(),
        )


class LineGaugeSettings(_EdgeSettings):
    """A straight edge, mm from the middle of the part's outline; searched from the left of its way to the right."""

    shape: Literal["line"]
    start_mm: tuple[float, float]
    end_mm: tuple[float, float]

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.start_mm == self.end_mm:
            raise ValueError("start_mm and end_mm are the same place")
        return self

    def gauge(self) -> Gauge:
        return LineGauge(start_mm=self.start_mm, end_mm=self.end_mm, reach_mm=self.reach_mm, edge=self.edge())


class QuantitySettings(Settings):
    """What is measured, from which gauges, and between which values it must lie, mm or degrees."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    kind: QuantityKind
    of: Annotated[tuple[Name, ...], Field(min_length=1, max_length=2)]
    lower: float | None = None
    upper: float | None = None
    added_uncertainty: AtLeastZero = 0.0

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise ValueError("lower is not below upper")
        return self

    def fits(self, shapes: Sequence[str]) -> bool:
        return {
            "diameter": list(shapes) == ["circle"],
            "distance": len(shapes) == 2,
            "angle": list(shapes) == ["line", "line"],
        }[self.kind]


class TemplateSettings(FileSettings):
    """A stretch of the picture of a good part, which is found again. Keys as of Template.

    area_px    the stretch, px of that picture; the picture is as large as the region of interest
    origin_px  the part's origin, in the same; left out, the middle of the stretch
    """

    area_px: RoiSettings
    origin_px: tuple[float, float] | None = None
    max_turn_deg: Annotated[float, Field(ge=0, le=180)] = 10.0

    def template(self, files: Mapping[str, bytes]) -> Template:
        area = self.area_px.box()
        master = decode_image(files[self.file])
        if area.x2 > master.shape[1] or area.y2 > master.shape[0]:
            raise ImageUnsuitable(
                f"{self.file} has {master.shape[1]} x {master.shape[0]} px, the template reaches beyond.",
                action="Set area_px in the recipe to lie inside the picture of the good part.",
                reason="template",
                found=f"{master.shape[1]} x {master.shape[0]} px",
                allowed=f"≥ {area.x2:g} x {area.y2:g} px",
            )
        # Pixels' middles have whole numbers, and boxes their edges: half a pixel lies between.
        middle = ((area.x1 + area.x2) / 2 - 0.5, (area.y1 + area.y2) / 2 - 0.5)
        return Template.cut(master, area, origin_px=self.origin_px or middle, max_turn_deg=self.max_turn_deg)


class FiducialSettings(FileSettings):
    """Marks of one look on the part, and a picture of one of them. Keys as of Fiducials.

    place_mm, turn_deg  where the part usually lies on the surface
    """

    at_mm: Annotated[tuple[tuple[float, float], ...], Field(min_length=2)]
    place_mm: tuple[float, float]
    turn_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    search_mm: Annotated[float, Field(gt=0)]
    max_error_mm: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if len(set(self.at_mm)) != len(self.at_mm):
            raise ValueError("at_mm: two marks in one place")
        return self

    def fiducials(self, files: Mapping[str, bytes]) -> Fiducials:
        mark = decode_image(files[self.file])
        if mark.ndim == 3:
            mark = np.asarray(cv2.cvtColor(mark, cv2.COLOR_BGR2GRAY), np.uint8)
        return Fiducials(
            mark=mark,
            at_mm=np.array(self.at_mm),
            nominal=Pose(x_mm=self.place_mm[0], y_mm=self.place_mm[1], angle_deg=self.turn_deg),
            search_mm=self.search_mm,
            max_error_mm=self.max_error_mm,
        )


class PartSettings(Settings):
    """How a part is found, and what is measured on it. Where this is set, a picture without a part is not inspected.

    min_share, max_share   how much of the picture its bright outline fills: it is found by that
    template, fiducials    instead: found by a stretch of its picture, or by marks on it
    calibration            of the camera, as `Calibration.to_toml` wrote it; without it the surface's scale holds
    """

    min_share: Share | None = None
    max_share: Share | None = None
    template: TemplateSettings | None = None
    fiducials: FiducialSettings | None = None
    calibration: FileSettings | None = None
    long_axis_deg: Annotated[float, Field(ge=-180, le=180)] | None = None
    scale_uncertainty: Annotated[float, Field(ge=0, le=0.1)] | None = None
    gauges: dict[Name, Annotated[CircleGaugeSettings | LineGaugeSettings, Field(discriminator="shape")]] = (
        Field(default_factory=dict)
    )
    measurements: tuple[QuantitySettings, ...] = ()

    def mistakes(self) -> Iterator[str]:
        """What is wrong between the keys, each of which is right by itself."""
        by_outline = self.min_share is not None and self.max_share is not None
        if by_outline + (self.template is not None) + (self.fiducials is not None) != 1 or (
            not by_outline and (self.min_share, self.max_share) != (None, None)
        ):
            yield "part: give min_share and max_share, or template, or fiducials"
        if self.min_share is not None and self.max_share is not None and self.min_share > self.max_share:
            yield f"part.min_share = {self.min_share:g}: above max_share = {self.max_share:g}; no part would be found"
        if self.long_axis_deg is not None and not by_outline:
            yield "part.long_axis_deg: is for a part found by its outline"
        if self.measurements and self.scale_uncertainty is None and self.calibration is None:
            yield "part.scale_uncertainty: missing; measurements need it"
        if self.scale_uncertainty is not None and self.calibration is not None:
            yield "part.scale_uncertainty: the calibration has its own"
        names = [one.name for one in self.measurements]
        if len(set(names)) != len(names):
            yield f"part.measurements: two have the same name: {', '.join(names)}"
        for number, one in enumerate(self.measurements):
            key = f"part.measurements.{number}"
            if unknown := [name for name in one.of if name not in self.gauges]:
                yield f"{key}.of = {unknown[0]!r}: not in [part.gauges]; known: {', '.join(self.gauges)}"
            elif len(set(one.of)) < len(one.of):
                yield f"{key}.of: {one.of[0]!r} twice"
            elif not one.fits(shapes := [self.gauges[name].shape for name in one.of]):
                yield f"{key}: there is no {one.kind} of {' and '.join(shapes)}"
        used = {name for one in self.measurements for name in one.of}
        for name in self.gauges:
            if name not in used:
                yield f"part.gauges.{name}: no measurement uses it"

    @property
    def files(self) -> tuple[FileSettings, ...]:
        given = (self.template, self.fiducials, self.calibration)
        return tuple(file for file in given if file is not None)

    @property
    def needs_scale(self) -> bool:
        """Whether the surface must have one."""
        return self.calibration is None and (bool(self.measurements) or self.fiducials is not None)

    def tolerances(self) -> tuple[Tolerance, ...]:
        return tuple(
            Tolerance(name=one.name, lower=one.lower, upper=one.upper)
            for one in self.measurements
            if one.lower is not None or one.upper is not None
        )

    def part(self, files: Mapping[str, bytes]) -> PartOutline | GaugedPart:
        """How the part is known to be there, and what is measured on it; for settings without mistakes.

        Raises ImageUnreadable, ImageUnsuitable and CalibrationUnreadable for files that are not what they should be.
        """
        aligner: Aligner
        if self.template is not None:
            aligner = self.template.template(files)
        elif self.fiducials is not None:
            aligner = self.fiducials.fiducials(files)
        else:
            outline = PartOutline(min_share=self.min_share or 0.0, max_share=self.max_share or 0.0)
            if not self.measurements:
                return outline
            aligner = OutlineReference(outline=outline, offset_px=(0.0, 0.0), angle_deg=self.long_axis_deg)
        calibration = None
        if self.calibration is not None:
            calibration = Calibration.from_toml(files[self.calibration.file].decode("utf-8", "replace"))
        return GaugedPart(
            aligner=aligner,
            gauges={name: gauge.gauge() for name, gauge in self.gauges.items()},
            quantities=tuple(
                Quantity(name=one.name, kind=one.kind, of=one.of, added_uncertainty=one.added_uncertainty)
                for one in self.measurements
            ),
            tolerances=self.tolerances(),
            scale_uncertainty=self.scale_uncertainty or 0.0,
            calibration=calibration,
        )


class CodeSettings(Settings):
    """The unit's code is read in the picture. Keys as of UnitCode.

    unread  what becomes of a unit whose code is not read, or not the same in all its pictures
    """

    kinds: Annotated[tuple[CodeKind, ...], Field(min_length=1)] = KINDS
    area_px: RoiSettings | None = None
    form: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    budget_ms: Annotated[float, Field(ge=10, le=10_000)] = 500.0
    unread: Literal["not_inspected", "review"] = "not_inspected"

    @model_validator(mode="after")
    def _is_an_expression(self) -> Self:
        try:
            re.compile(self.form or "")
        except re.error as error:
            raise ValueError(f"form: no regular expression: {error}") from error
        return self

    def code(self, identify: Callable[[str], IdentifierCode]) -> UnitCode:
        """Raises CodeReaderMissing."""
        return UnitCode(
            identify=identify,
            kinds=self.kinds,
            area_px=None if self.area_px is None else self.area_px.box(),
            form=self.form,
            budget_ms=self.budget_ms,
            unread=self.verdict_unread,
        )

    @property
    def verdict_unread(self) -> Verdict:
        return Verdict[self.unread.upper()]


class RepeatSettings(Settings):
    """Which period a roll's mark can have, mm, and how far its marks may lie off, across and along the strip."""

    shortest_mm: Annotated[float, Field(gt=0)]
    longest_mm: Annotated[float, Field(gt=0)]
    across_mm: Annotated[float, Field(gt=0)] = 10.0
    along_mm: Annotated[float, Field(gt=0)] = 5.0

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if not self.shortest_mm <= self.longest_mm:
            raise ValueError("shortest_mm is above longest_mm")
        if self.along_mm > self.shortest_mm / 10:
            raise ValueError(
                "along_mm is more than a tenth of shortest_mm: defects anywhere would be in step"
            )
        return self


class WeldSettings(Settings):
    """Seams across the strip: at most `longest_mm` along it, cut out with `margin_mm` to each side. A coil with more
    than `most` goes to review."""

    longest_mm: Annotated[float, Field(gt=0, le=200)] = 40.0
    margin_mm: AtLeastZero = 0.0
    most: Annotated[int, Field(ge=0, le=100)] = 1


class StripSettings(Settings):
    """The frames of a coil are one surface. `edges`: both are in the picture; what lies beside is not strip."""

    head_mm: AtLeastZero = 0.0
    tail_mm: AtLeastZero = 0.0
    edges: bool = False
    repeats: RepeatSettings | None = None
    welds: WeldSettings | None = None

    def weld_rules(self) -> WeldRules | None:
        if self.welds is None:
            return None
        return WeldRules(
            longest_mm=self.welds.longest_mm, margin_mm=self.welds.margin_mm, most=self.welds.most
        )

    def rules(self, surface: Surface) -> StripRules:
        return StripRules(
            surface=surface,
            head_mm=self.head_mm,
            tail_mm=self.tail_mm,
            repeats=None if self.repeats is None else RepeatRules(**self.repeats.model_dump()),
            welds=self.weld_rules(),
        )


class HealthSettings(Settings):
    """What an image must be like to be judged, beyond what every image must be. Keys as of HealthLimits."""

    min_mean: Annotated[float, Field(ge=0, le=255)] | None = None
    max_mean: Annotated[float, Field(ge=0, le=255)] | None = None
    min_evenness: Share | None = None
    max_saturated: Share | None = None
    max_glare: Share | None = None
    max_blur_px: Annotated[float, Field(gt=1, le=15)] | None = None
    max_motion_px: Annotated[float, Field(gt=0, le=15)] | None = None
    max_dirt: Share | None = None

    @model_validator(mode="after")
    def _lets_some_pass(self) -> Self:
        if self.min_mean is not None and self.max_mean is not None and self.min_mean > self.max_mean:
            raise ValueError(
                f"min_mean {self.min_mean:g} is above max_mean {self.max_mean:g}: no image is like that"
            )
        return self

    def watch(self) -> HealthWatch:
        return HealthWatch(HealthLimits(**self.model_dump()))


class _OneView(Settings):
    """How one camera's frames are looked at."""

    detector: AnyDetectorSettings | None = None
    detectors: tuple[AnyDetectorSettings, ...] = ()
    surface: SurfaceSettings = SurfaceSettings()
    roi_px: RoiSettings | None = None
    flat_field: FlatFieldSettings | None = None
    health: HealthSettings | None = None
    part: PartSettings | None = None
    sensor: SensorSettings | None = None
    code: CodeSettings | None = None

    @property
    def all_detectors(self) -> tuple[DetectorSettings | GoldenDetectorSettings, ...]:
        """`[detector]` where there is one, `[[detectors]]` where there are several."""
        return self.detectors if self.detector is None else (self.detector, *self.detectors)

    @property
    def files(self) -> tuple[FileSettings, ...]:
        """What it needs beside the recipe."""
        golden = (one.golden for one in self.all_detectors if isinstance(one, GoldenDetectorSettings))
        own: tuple[FileSettings, ...] = () if self.flat_field is None else (self.flat_field,)
        own += () if self.part is None else self.part.files
        return (*golden, *own, *(() if self.sensor is None else self.sensor.files))

    def mistakes_of_view(self, kinds: Collection[str]) -> Iterator[str]:
        """What is wrong between the keys of the view."""
        if self.detector is not None and self.detectors:
            yield "detector: there is [[detectors]] too; give them all there"
        if self.sensor is not None:
            for key in ("roi_px", "flat_field", "health", "part", "code"):
                if getattr(self, key) is not None:
                    yield f"{key}: is for pictures of a camera; there is a [sensor]"
            yield from self.sensor.mistakes(kinds, has_scale=self.has_scale)
        elif not self.all_detectors:
            yield "detector: missing; give [detector], or several [[detectors]]"
        if self.part is not None:
            yield from self.part.mistakes()
            if self.part.needs_scale and not self.has_scale:
                yield "part: needs surface.x_mm_per_px and surface.y_mm_per_px, or part.calibration"
            if self.part.calibration is not None and self.roi_px is not None:
                yield "part.calibration: is for the whole frame; there is a roi_px"

    @property
    def has_scale(self) -> bool:
        return self.surface.x_mm_per_px is not None and self.surface.y_mm_per_px is not None


class ViewSettings(_OneView):
    """One of several cameras that see the same unit. `name` is what the station's lane calls that camera.

    limits  for what this view shows, beside the recipe's own
    """

    name: Name
    limits: tuple[LimitSettings, ...] = ()


class RecipeSettings(_OneView):
    """How a product is inspected. Never edited: a change is revision n + 1, and the record has the digest.

    One camera's keys stand in the recipe itself; of several cameras each has its own in `[[views]]`.
    """

    name: Name
    revision: Annotated[int, Field(ge=1)]
    product: Annotated[str, Field(min_length=1, max_length=80)]
    views: tuple[ViewSettings, ...] = ()
    strip: StripSettings | None = None
    severities: dict[Name, Annotated[tuple[Code, ...], Field(min_length=1)]] = Field(default_factory=dict)
    zones: dict[Name, ZoneSettings] = Field(default_factory=dict)
    limits: Annotated[tuple[LimitSettings, ...], Field(min_length=1)]
    grades: tuple[GradeSettings, ...] = ()

    def mistakes(self, kinds: Collection[str]) -> Iterator[str]:
        """What is wrong between the keys, each of which is right by itself. `kinds` are those of the catalogue."""
        known = ", ".join(kinds)
        for name, grouped in self.severities.items():
            for kind in grouped:
                if kind not in kinds:
                    yield f"severities.{name}: {kind!r} is not in the catalogue; known: {known}"
        for key, one in self._all_limits():
            if one.kind is not None and one.kind not in kinds:
                yield f"{key}.kind = {one.kind!r}: not in the catalogue; known: {known}"
            if one.severity is not None and one.severity not in self.severities:
                yield f"{key}.severity = {one.severity!r}: not in [severities]"
            if one.zone is not None and one.zone not in self.zones:
                yield f"{key}.zone = {one.zone!r}: not in [zones]"
            if one.measure == "repeat_hits" and (one.zone is not None or one.min_length_mm is not None):
                yield f"{key}: a limit on repeat_hits has no zone and no min_length_mm"
            if one.measure == "repeat_hits" and (self.strip is None or self.strip.repeats is None):
                yield f"{key}.measure = 'repeat_hits': needs [strip.repeats]"
        yield from self._mistakes_of_views(kinds)
        if self.strip is not None and not self.has_scale:
            yield "strip: needs surface.x_mm_per_px and surface.y_mm_per_px"
        if self.strip is not None and self.code is not None:
            yield "code: is read on parts; a coil's comes with its order"
        if self.strip is not None and self.sensor is not None:
            # Rows of what a sensor sends are not rows of the picture that is made of it: nothing would lie where it is.
            yield "strip: is for pictures of a camera; there is a [sensor]"
        if not (self.strip is not None and self.strip.edges):
            for name, zone in self.zones.items():
                if zone.needs_edges:
                    yield f"zones.{name}: needs strip.edges = true"
        names = [grade.name for grade in self.grades]
        if len(set(names)) != len(names):
            yield f"grades: two have the same name: {', '.join(names)}"

    def _mistakes_of_views(self, kinds: Collection[str]) -> Iterator[str]:
        if not self.views:
            yield from self.mistakes_of_view(kinds)
            return
        own = set(_OneView.model_fields) & self.model_fields_set
        if own:
            yield f"{min(own)}: with [[views]], give it in each of them"
        if self.strip is not None:
            yield "strip: with [[views]] there is no strip; give each camera of a strip a lane of its own"
        names = [view.name for view in self.views]
        if len(set(names)) != len(names):
            yield f"views: two have the same name: {', '.join(names)}"
        for number, view in enumerate(self.views):
            yield from (f"views.{number}.{mistake}" for mistake in view.mistakes_of_view(kinds))

    @property
    def seen_by(self) -> dict[str | None, _OneView]:
        """How each camera's frames are looked at, by the name of its view; None stands for the only camera."""
        if not self.views:
            return {None: self}
        return {view.name: view for view in self.views}

    def tolerances(self) -> tuple[Tolerance, ...]:
        """Of all quantities that are measured, for settings without mistakes."""
        return tuple(
            replace(one, name=one.name if view is None else f"{view}.{one.name}")
            for view, keys in self.seen_by.items()
            if keys.part is not None
            for one in keys.part.tolerances()
        )

    def without_code(self) -> Verdict | None:
        """What a unit gets whose code is not known from its pictures; None: it is not asked for."""
        asked = [keys.code.verdict_unread for keys in self.seen_by.values() if keys.code is not None]
        return max(asked, default=None)

    def judged_by(self) -> tuple[Limit, ...]:
        """The limits, for settings without mistakes."""
        return tuple(
            self._limit(one, review_from=one.review_from, reject_from=one.reject_from, view=view)
            for view, limits in [(None, self.limits), *((view.name, view.limits) for view in self.views)]
            for one in limits
        )

    def graded_by(self) -> tuple[Grade, ...]:
        """The grades, the best first, for settings without mistakes."""
        return tuple(
            Grade(
                name=grade.name,
                limits=tuple(
                    self._limit(one, review_from=None, reject_from=one.below) for one in grade.limits
                ),
            )
            for grade in self.grades
        )

    def _all_limits(self) -> Iterator[tuple[str, _Counting]]:
        for number, limit in enumerate(self.limits):
            yield f"limits.{number}", limit
        for at, view in enumerate(self.views):
            for number, limit in enumerate(view.limits):
                yield f"views.{at}.limits.{number}", limit
        for at, grade in enumerate(self.grades):
            for number, rule in enumerate(grade.limits):
                yield f"grades.{at}.limits.{number}", rule

    def _limit(
        self,
        one: _Counting,
        *,
        review_from: float | None,
        reject_from: float | None,
        view: str | None = None,
    ) -> Limit:
        return Limit(
            kinds=frozenset(self.severities[one.severity] if one.severity else [one.kind or ""]),
            measure=one.measure,
            review_from=review_from,
            reject_from=reject_from,
            zone=None if one.zone is None else self.zones[one.zone].zone(one.zone),
            min_length_mm=one.min_length_mm,
            view=view,
        )


class UnitSettings(Settings):
    """What one unit is: so many frames of strip make a coil, or every trigger is a part."""

    kind: Literal["coil", "part"]
    frames: Annotated[int, Field(ge=1, le=100_000)] = 1


class Title(Settings):
    """What people call something, in each language."""

    en: Annotated[str, Field(min_length=1, max_length=40)]
    zh: Annotated[str, Field(min_length=1, max_length=40)]

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


class RecipeChoice(Settings):
    """A recipe that a lane may change over to, and what asks for it beside its name and its product.

    number  that the PLC says for it
    orders  how the orders begin that are made by it
    """

    recipe: Name
    number: Annotated[int, Field(ge=0, le=65535)] | None = None
    orders: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = ()


class ChallengeSettings(Settings):
    """Parts known to be bad that the lane is shown: until it has refused them all, and once `every_h` hours are over
    since it did, nothing is accepted.

    parts  how many, one after the other
    """

    every_h: Annotated[float, Field(gt=0, le=168)]
    parts: Annotated[int, Field(ge=1, le=100)] = 1


class LaneSettings(Settings):
    """One camera's lane, or that of several which see the same unit. Records know it by `name`, people by `title`.

    recipe           that it begins with
    recipes          those that it may change over to in mid-run; the one it begins with may be among them
    cameras          instead of `camera`: by the name of the recipe's view, each triggered once for each unit
    views_within_ms  how far apart the pictures of one trigger may be taken; triggers come at least twice as far apart
    views_late_ms    how long after the first picture of a trigger the others may come
    workers  frames looked at at the same time, each by a network of its own, on a core of its own; left out, the
             computer's cores are shared evenly between the lanes
    """

    name: Name
    title: Title
    recipe: Name
    recipes: tuple[RecipeChoice, ...] = ()
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    challenge: ChallengeSettings | None = None
    unit: UnitSettings
    camera: CameraSettings | None = None
    cameras: dict[Name, CameraSettings] = Field(default_factory=dict)
    views_within_ms: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    views_late_ms: Annotated[float, Field(gt=0, le=60_000)] = 1000.0

    @model_validator(mode="after")
    def _is_seen(self) -> Self:
        if (self.camera is None) == (not self.cameras):
            raise ValueError("give camera, or cameras by the name of their view")
        if len(self.cameras) == 1:
            raise ValueError("cameras: one alone is `camera`")
        for what, said in (
            ("recipe", [one.recipe for one in self.recipes]),
            ("number", [one.number for one in self.recipes if one.number is not None]),
            ("order", [order for one in self.recipes for order in one.orders]),
        ):
            if len(set(said)) != len(said):
                raise ValueError(f"recipes: two have the same {what}")
        if self.challenge is not None and self.unit.kind != "part":
            raise ValueError("challenge: known-bad parts are shown to a lane of parts")
        if self.cameras and self.unit.kind != "part":
            raise ValueError("cameras: several see parts; give each camera of a coil a lane of its own")
        return self

    @property
    def choices(self) -> tuple[RecipeChoice, ...]:
        """The recipes it may have, the one it begins with first unless they say otherwise."""
        if any(one.recipe == self.recipe for one in self.recipes):
            return self.recipes
        return (RecipeChoice(recipe=self.recipe), *self.recipes)

    @property
    def offered(self) -> tuple[str, ...]:
        return tuple(choice.recipe for choice in self.choices)

    @property
    def all_cameras(self) -> tuple[CameraSettings, ...]:
        return tuple(self.cameras.values()) if self.camera is None else (self.camera,)

    @property
    def camera_name(self) -> str:
        """What records call the camera: what the settings tell it by, else what drives it. Of several, the views."""
        if self.camera is None:
            return ", ".join(self.cameras)
        named = getattr(self.camera, "serial", None) or getattr(self.camera, "device", None)
        return named or self.camera.driver

    @property
    def driver(self) -> str:
        """What reads its cameras."""
        return ", ".join(sorted({camera.driver for camera in self.all_cameras}))

    @property
    def exposures(self) -> int:
        """How many a unit is due."""
        return self.unit.frames * len(self.all_cameras)

    @property
    def frames_held(self) -> int | None:
        """Frames held for a busy lane; None for a recording that waits for its lane."""
        held = [_held_of(camera) for camera in self.all_cameras]
        return None if None in held else sum(one for one in held if one is not None)


def _held_of(camera: CameraSettings) -> int | None:
    if isinstance(camera, ReplaySettings):
        return None if camera.pace == "fast" else REPLAY_HOLDS
    return camera.buffers


def _can_be_asked(url: str) -> str:
    """What a pattern lets through and no connection can be made to: a port beyond 65535, a name with an empty label."""
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("port 0 is none: 1 to 65535")
    if not parts.hostname:
        raise ValueError("there is no host in it")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{parts.hostname} is no host: each part of it has 1 to 63 characters") from error
    return url


_CanBeAsked = AfterValidator(_can_be_asked)


class NodeSettings(Settings):
    """Another resolver with Handle's HTTP JSON face, and the prefixes it answers for: `86` and all below it."""

    address: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$", max_length=200), _CanBeAsked]
    prefixes: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9A-Za-z_-]+)*$")], ...], Field(min_length=1)
    ]


_HTTPS_OR_HERE = r"^(https://[^\s/]+|http://(127\.0\.0\.1|\[::1\])(:\d+)?)(/[^\s]*)?$"
"""Encrypted, or on this computer."""


class ResolverSettings(Settings):
    """What resolving codes needs to know.

    address  under which others reach this server; without, it is the one that a request came to
    nodes    asked for codes that are not ours, the first that answers for a prefix
    """

    address: (
        Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$", max_length=200), _CanBeAsked] | None
    ) = None
    nodes: tuple[NodeSettings, ...] = ()


class OidcSettings(Settings):
    """The plant's identity provider (OpenID Connect), where people may sign in beside name and password.

    issuer       its address, as it says it itself
    address      this station's own, as the provider sends browsers back to: `address` + /sign-in/oidc/back
    secret_file  the client's secret; without, the client is a public one, and PKCE alone stands for it
    claim        of the ID token, that the roles come from
    roles        what the claim says, and the role that is; of several the first one here
    """

    title: Annotated[str, Field(min_length=1, max_length=60)]
    issuer: Annotated[str, Field(pattern=_HTTPS_OR_HERE, max_length=500), _CanBeAsked]
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    address: Annotated[str, Field(pattern=_HTTPS_OR_HERE, max_length=200), _CanBeAsked]
    secret_file: Path | None = None
    scopes: tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")], ...] = ("openid", "profile")
    claim: Annotated[str, Field(min_length=1, max_length=100)] = "groups"
    roles: Annotated[
        dict[str, Literal["operator", "engineer", "integrator", "administrator", "auditor"]],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _asks_for_an_id_token(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes has openid among them: without it there is no ID token")
        return self


class WebhookSettings(Settings):
    """A program of the plant that is told of what happens, by POST.

    secret_file    what both sign with, 32 bytes at least
    events         verdict: a unit was refused; hold: put on hold or decided; case: something was done about a case;
                   alarm: raised, acknowledged, shelved or over
    may_be_inside  also at an address of a private network, or of this computer: without, a name that leads there is
                   refused, so that nobody reaches through this service what they cannot reach themselves
    """

    name: Name
    url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s#]*)?$", max_length=500), _CanBeAsked]
    secret_file: Path
    events: Annotated[tuple[Literal["verdict", "hold", "case", "alarm"], ...], Field(min_length=1)]
    may_be_inside: bool = False

    @model_validator(mode="after")
    def _is_encrypted_outside(self) -> Self:
        if self.url.startswith("http:") and not self.may_be_inside:
            raise ValueError("url begins with https:, unless may_be_inside is set")
        return self


class TrainingSettings(Settings):
    """Where detectors learn from labelled pictures: an environment of its own, of which nothing is imported here.

    python   its interpreter, with the same lynceus and its extra `training`
    """

    python: Path

    @model_validator(mode="after")
    def _is_absolute(self) -> Self:
        if not self.python.is_absolute():
            raise ValueError(f"python = {str(self.python)!r} does not begin with /")
        return self


class LineSettings(Settings):
    """The interface to a PLC over Modbus TCP (docs/line.md).

    host, port      where it is served: an address of this computer
    clients         addresses that may connect: the PLC's, nobody else's
    lanes           those that the PLC is told of, in the order of their registers
    taken_within_s  a verdict that waits longer for the PLC opens no gate, and an alarm stands
    """

    host: IPvAnyAddress
    port: Annotated[int, Field(ge=1, le=65535)]
    clients: Annotated[tuple[IPvAnyAddress, ...], Field(min_length=1, max_length=16)]
    lanes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)]
    taken_within_s: Annotated[float, Field(ge=0.1, le=600)] = 5.0

    @model_validator(mode="after")
    def _lanes_differ(self) -> Self:
        if len(set(self.lanes)) != len(self.lanes):
            raise ValueError(f"lanes: one is there twice: {', '.join(self.lanes)}")
        return self


class LinkSettings(Settings):
    """A network link that several cameras share, as the port of a switch: what it carries, in 10⁶ bytes a second."""

    mb_per_s: Annotated[float, Field(ge=1, le=12_500)]


LEAST_LINK_SHARE_MB_PER_S = 1.0
"""As of a camera's own limit, `link_mb_per_s`."""


class RetentionSettings(Settings):
    """How many days pictures are kept by class; records are kept for ever.

    accepted_days  of accepted units; without it as long as there is room, the oldest going first
    withheld_days  of units that were not accepted and are decided; without it for ever
    """

    accepted_days: Annotated[int, Field(ge=1)] | None = None
    withheld_days: Annotated[int, Field(ge=1)] | None = None


class StationSettings(Settings):
    """One station. `code_prefix` is the enterprise's prefix in the identifier-resolution system, of a Handle's form.

    pictures  kept of units: `jpeg`, or `exact`, as PNG the very pixels that were judged, so that an inspection can be
              judged again; those take some ten times the room and the time to make
    links     by the name that its cameras give as `link`. What one carries is shared: cameras with a `link_mb_per_s`
              of their own have that, the others the rest in equal parts, which becomes their `link_mb_per_s`
    """

    name: Name
    code_prefix: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9A-Za-z_-]+)*$", max_length=60)]
    max_pictures_mb: Annotated[int, Field(ge=10)] = 2000
    pictures: Literal["jpeg", "exact"] = "jpeg"
    retention: RetentionSettings = RetentionSettings()
    resolver: ResolverSettings = ResolverSettings()
    oidc: OidcSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    training: TrainingSettings | None = None
    line: LineSettings | None = None
    links: dict[Name, LinkSettings] = Field(default_factory=dict)
    lanes: Annotated[tuple[LaneSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _lanes_differ(self) -> Self:
        names = [lane.name for lane in self.lanes]
        if len(set(names)) != len(names):
            raise ValueError(f"two lanes have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _webhooks_differ(self) -> Self:
        names = [one.name for one in self.webhooks]
        if len(set(names)) != len(names):
            raise ValueError(f"two webhooks have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _line_is_of_lanes(self) -> Self:
        there = {lane.name for lane in self.lanes}
        unknown = [name for name in ([] if self.line is None else self.line.lanes) if name not in there]
        if unknown:
            raise ValueError(f"line.lanes: no lane {unknown[0]}; there are: {', '.join(sorted(there))}")
        return self

    @model_validator(mode="after")
    def _links_carry_their_cameras(self) -> Self:
        unknown = sorted({link for link, _ in self._on_links} - set(self.links))
        if unknown:
            raise ValueError(f"no [links.{unknown[0]}]; there are: {', '.join(sorted(self.links)) or 'none'}")
        for name in sorted(self.links):
            share = self._share_of(name)
            if share is not None and share < LEAST_LINK_SHARE_MB_PER_S:
                raise ValueError(
                    f"links.{name} carries {self.links[name].mb_per_s:g} MB/s, which leaves {share:g} for each camera"
                    f" without a link_mb_per_s of its own; {LEAST_LINK_SHARE_MB_PER_S:g} at least"
                )
            limits = [limit for link, limit in self._on_links if link == name and limit is not None]
            # Shares add up to the whole but for the last digit.
            if sum(limits) > self.links[name].mb_per_s * (1 + 1e-9):
                raise ValueError(
                    f"links.{name} carries {self.links[name].mb_per_s:g} MB/s; its cameras may send {sum(limits):g}"
                )
        return self

    def with_shared_links(self) -> Self:
        """The same station with a `link_mb_per_s` for every camera on a link, none of which carries too much."""
        lanes = tuple(
            lane.model_copy(
                update={
                    "camera": None if lane.camera is None else self._with_share(lane.camera),
                    "cameras": {view: self._with_share(camera) for view, camera in lane.cameras.items()},
                }
            )
            for lane in self.lanes
        )
        return self.model_copy(update={"lanes": lanes})

    @property
    def _on_links(self) -> list[tuple[str, float | None]]:
        """Of each camera on a link: which, and its own limit."""
        cameras = [camera for lane in self.lanes for camera in lane.all_cameras]
        return [
            (camera.link, camera.link_mb_per_s)
            for camera in cameras
            if isinstance(camera, DeviceSettings) and camera.link is not None
        ]

    def _share_of(self, link: str) -> float | None:
        """What a link leaves for each camera without a limit of its own; None where all have one."""
        limits = [limit for name, limit in self._on_links if name == link]
        sharing = limits.count(None)
        left = self.links[link].mb_per_s - sum(limit for limit in limits if limit is not None)
        return left / sharing if sharing else None

    def _with_share(self, camera: CameraSettings) -> CameraSettings:
        if not isinstance(camera, DeviceSettings) or camera.link is None or camera.link_mb_per_s is not None:
            return camera
        return camera.model_copy(update={"link_mb_per_s": self._share_of(camera.link)})
