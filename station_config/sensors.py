"""Other sensors than cameras, as a recipe describes them (docs/sensors.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from inspection.protocols import Sensor
from inspection.types import Surface
from inspection.vision.decoding import decode_image
from inspection.vision.heights import Deviation, HeightRules, Level
from inspection.vision.laser_line import LaserLine
from inspection.vision.phase_shift import PhaseShift
from inspection.vision.waveform import Burst, Waveform
from station_config.base import Code, FileSettings, Settings


class DeviationSettings(Settings):
    """A place that lies off the surface by so much and more, mm; above 0 it sticks out, below 0 it is sunk in."""

    kind: Code
    from_mm: float
    min_area_mm2: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _is_off(self) -> Self:
        if self.from_mm == 0:
            raise ValueError("from_mm is 0: everything lies off by that")
        return self


class _HeightSettings(Settings):
    """What makes heights. Keys as of HeightRules."""

    level: Level = "plane"
    range_mm: tuple[float, float] = (-1.0, 1.0)
    finds: Annotated[tuple[DeviationSettings, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.range_mm[0] < self.range_mm[1]:
            raise ValueError("range_mm: the first is not below the second")
        return self

    @property
    def files(self) -> tuple[FileSettings, ...]:
        return ()

    def mistakes(self, kinds: Collection[str], *, has_scale: bool) -> Iterator[str]:
        yield from _unknown(self.finds, kinds)
        if not has_scale:
            yield "sensor: needs surface.x_mm_per_px and surface.y_mm_per_px"

    def rules(self, surface: Surface) -> HeightRules:
        """For settings without mistakes."""
        assert surface.x_mm_per_px is not None, "a sensor of heights has a scale"
        assert surface.y_mm_per_px is not None, "a sensor of heights has a scale"
        area_mm2 = surface.x_mm_per_px * surface.y_mm_per_px
        return HeightRules(
            level=self.level,
            range_mm=self.range_mm,
            deviations=tuple(
                Deviation(
                    kind=one.kind,
                    from_mm=one.from_mm,
                    # Rounded down: at the limit it counts.
                    min_area_px=max(1, int(one.min_area_mm2 / area_mm2)),
                )
                for one in self.finds
            ),
        )


class PhaseShiftSettings(_HeightSettings):
    """Structured light. Keys as of PhaseShift."""

    what: Literal["phase_shift"]
    periods: Annotated[tuple[Annotated[float, Field(ge=2)], ...], Field(min_length=1, max_length=8)]
    steps: Annotated[int, Field(ge=3, le=32)] = 4
    mm_per_rad: float
    reference: FileSettings | None = None
    min_modulation: Annotated[float, Field(ge=1, le=127)] = 6.0

    @model_validator(mode="after")
    def _get_finer(self) -> Self:
        if any(fine >= coarse for coarse, fine in zip(self.periods, self.periods[1:], strict=False)):
            raise ValueError("periods: the coarsest first, each finer than the one before")
        if self.mm_per_rad == 0:
            raise ValueError("mm_per_rad is 0")
        return self

    @property
    def files(self) -> tuple[FileSettings, ...]:
        return () if self.reference is None else (self.reference,)

    def sensor(self, surface: Surface, files: Mapping[str, bytes]) -> Sensor:
        """For settings without mistakes. Raises ImageUnreadable for a reference that is no picture."""
        return PhaseShift(
            reference=None if self.reference is None else decode_image(files[self.reference.file]),
            periods=self.periods,
            steps=self.steps,
            mm_per_rad=self.mm_per_rad,
            min_modulation=self.min_modulation,
            rules=self.rules(surface),
        )


class LaserLineSettings(_HeightSettings):
    """A laser line. Keys as of LaserLine."""

    what: Literal["laser_line"]
    line_rows: Annotated[int, Field(ge=16, le=4096)]
    z_mm_per_px: float
    min_peak: Annotated[float, Field(ge=5, le=250)] = 30.0

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        if self.z_mm_per_px == 0:
            raise ValueError("z_mm_per_px is 0")
        return self

    def sensor(self, surface: Surface, files: Mapping[str, bytes]) -> Sensor:
        """For settings without mistakes."""
        return LaserLine(
            line_rows=self.line_rows,
            z_mm_per_px=self.z_mm_per_px,
            min_peak=self.min_peak,
            rules=self.rules(surface),
        )


class BurstSettings(Settings):
    """A stretch where a band is louder than usual. Keys as of Burst."""

    kind: Code
    from_hz: Annotated[float, Field(ge=0)]
    to_hz: Annotated[float, Field(gt=0)]
    above_db: Annotated[float, Field(gt=0, le=120)]


class WaveformSettings(Settings):
    """A waveform of sound or of an eddy current. Keys as of Waveform."""

    what: Literal["waveform"]
    sample_hz: Annotated[float, Field(gt=0)]
    window: Annotated[int, Field(ge=16, le=65536)] = 512
    hop: Annotated[int, Field(ge=1)] = 256
    min_rms: Annotated[float, Field(ge=0, le=1)] = 1e-4
    finds: Annotated[tuple[BurstSettings, ...], Field(min_length=1)]

    @property
    def files(self) -> tuple[FileSettings, ...]:
        return ()

    def mistakes(self, kinds: Collection[str], *, has_scale: bool) -> Iterator[str]:
        yield from _unknown(self.finds, kinds)
        if self.hop > self.window // 2:
            yield f"sensor.hop = {self.hop}: at most half a window, {self.window // 2}: defects may lie between"
        bins_hz = np.arange(self.window // 2 + 1) * self.sample_hz / self.window
        for number, one in enumerate(self.finds):
            if not ((bins_hz >= one.from_hz) & (bins_hz <= one.to_hz)).any():
                yield (
                    f"sensor.finds.{number}: no frequency between {one.from_hz:g} and {one.to_hz:g} Hz; "
                    f"there is one every {self.sample_hz / self.window:g} Hz up to {self.sample_hz / 2:g}"
                )

    def sensor(self, surface: Surface, files: Mapping[str, bytes]) -> Sensor:
        """For settings without mistakes."""
        return Waveform(
            sample_hz=self.sample_hz,
            window=self.window,
            hop=self.hop,
            min_rms=self.min_rms,
            bursts=tuple(Burst(**one.model_dump()) for one in self.finds),
        )


SensorSettings = Annotated[
    PhaseShiftSettings | LaserLineSettings | WaveformSettings, Field(discriminator="what")
]


def _unknown(finds: tuple[DeviationSettings | BurstSettings, ...], kinds: Collection[str]) -> Iterator[str]:
    for number, one in enumerate(finds):
        if one.kind not in kinds:
            yield f"sensor.finds.{number}.kind = {one.kind!r}: not in the catalogue; known: {', '.join(kinds)}"
