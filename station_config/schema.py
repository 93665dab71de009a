"""What a plant sets for a station, put together from the packages' own settings."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cameras.settings import CameraSettings
from inspection.types import Box, Limit, Measure, Surface
from inspection.vision.outline import PartOutline

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Frozen, and unknown keys are refused: a misspelt limit would be a limit that does not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SurfaceSettings(Settings):
    """How pixels lie on the surface. Without a scale, results are in pixels and limits in mm go to review."""

    name: Annotated[str, Field(min_length=1, max_length=40)] = "surface"
    x_mm_per_px: Annotated[float, Field(gt=0, le=100)] | None = None
    y_mm_per_px: Annotated[float, Field(gt=0, le=100)] | None = None
    x_origin_mm: float = 0.0

    def surface(self) -> Surface:
        return Surface(**self.model_dump())


class DetectorSettings(Settings):
    """Which released model looks. Without a version it is the newest at the time the station starts."""

    model: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None


class LimitSettings(Settings):
    kind: Annotated[str, Field(min_length=1, max_length=40)]
    measure: Measure
    review_from: Annotated[float, Field(ge=0)] | None = None
    reject_from: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.review_from is None and self.reject_from is None:
            raise ValueError("give review_from, reject_from or both")
        return self

    def limit(self) -> Limit:
        return Limit(**self.model_dump())


class RoiSettings(Settings):
    """Region of interest, px of the frame."""

    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=16)]
    height: Annotated[int, Field(ge=16)]

    def box(self) -> Box:
        return Box(self.x, self.y, self.x + self.width, self.y + self.height)


class PartSettings(Settings):
    """How much of the picture a part fills. Where this is set, a picture without a part is not inspected."""

    min_share: Share
    max_share: Share

    def outline(self) -> PartOutline:
        return PartOutline(min_share=self.min_share, max_share=self.max_share)


class RecipeSettings(Settings):
    """How a product is inspected. Never edited: a change is revision n + 1, and the record has the digest."""

    name: Name
    revision: Annotated[int, Field(ge=1)]
    product: Annotated[str, Field(min_length=1, max_length=80)]
    detector: DetectorSettings
    surface: SurfaceSettings = SurfaceSettings()
    roi_px: RoiSettings | None = None
    part: PartSettings | None = None
    limits: Annotated[tuple[LimitSettings, ...], Field(min_length=1)]


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


class LaneSettings(Settings):
    """One camera's lane. Records know it by `name`, people by `title`."""

    name: Name
    title: Title
    recipe: Name
    unit: UnitSettings
    camera: CameraSettings

    @property
    def camera_name(self) -> str:
        """What records call the camera: its serial number where it has one, else what drives it."""
        return getattr(self.camera, "serial", None) or self.camera.driver


class StationSettings(Settings):
    """One station. `code_prefix` is the enterprise's prefix in the identifier-resolution system."""

    name: Name
    code_prefix: Annotated[str, Field(pattern=r"^[0-9A-Za-z]+(\.[0-9A-Za-z]+)*$", max_length=60)]
    max_pictures_mb: Annotated[int, Field(ge=10)] = 2000
    lanes: Annotated[tuple[LaneSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _lanes_differ(self) -> Self:
        names = [lane.name for lane in self.lanes]
        if len(set(names)) != len(names):
            raise ValueError(f"two lanes have the same name: {', '.join(names)}")
        return self
