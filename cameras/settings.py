"""What can be set on a camera, with its bounds. `driver` says which of the models a table is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
FramesPerSecond = Annotated[float, Field(gt=0, le=1000)]
BuffersOfDrawing = Annotated[int, Field(ge=1, le=256)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DeviceSettings(_Settings):
    """A camera that is set by standard names, whatever reaches it. What is None stays as the device has it.

    serial          the device's serial number
    device          its serial number, user-defined name, MAC or IP address, whichever is known. With neither
                    of the two there must be exactly one device
    user_set        loaded before anything else is set
    buffers         frames the driver can hold while the lane is busy; fewer than 16 starve a fast camera
    silent_after_s  so long without a whole frame is CAM-SILENT
    pixel_format    PFNC name, as `Mono8`
    trigger         what starts a frame, or a line of a line scan: nothing (`free`), the driver's `trigger`,
                    the input `trigger_source`, or the encoder `trigger_source`, which is Encoder0 unless said
    count_triggers  the device's own counter counts the signal of `trigger_source` and comes with each frame, so that
                    a trigger that exposed nothing is a hole, too; needs trigger = "line" and chunks
    chunks          every value the device can send with a frame is to come with it, in `Frame.chunks`
    mm_per_encoder_count, mm_per_line
                    where a frame begins on the strip: by the encoder count that came with it, which needs
                    chunks; or by counting lines from the first frame, lost ones too
    packet_bytes    of a stream packet, headers with it; our own producer finds the largest that arrives
    packet_delay_us pause between two packets
    link_mb_per_s   most that the device sends, in 10⁶ bytes a second
    link            which of the station's links it is on: without a link_mb_per_s of its own it gets a share of that
    """

    serial: Annotated[str, Field(min_length=1)] | None = None
    device: Annotated[str, Field(min_length=1)] | None = None
    user_set: Annotated[str, Field(min_length=1)] | None = None
    buffers: Annotated[int, Field(ge=4, le=256)] = 16
    silent_after_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    device_scan_type: Literal["area", "line"] | None = None
    binning_x: Annotated[int, Field(ge=1, le=32)] | None = None
    binning_y: Annotated[int, Field(ge=1, le=32)] | None = None
    pixel_format: Annotated[str, Field(min_length=1)] | None = None
    width_px: Annotated[int, Field(ge=16, le=65536)] | None = None
    height_px: Annotated[int, Field(ge=1, le=65536)] | None = None
    offset_x_px: Annotated[int, Field(ge=0, le=65536)] | None = None
    offset_y_px: Annotated[int, Field(ge=0, le=65536)] | None = None
    trigger: Literal["free", "software", "line", "encoder"] | None = None
    trigger_source: Annotated[str, Field(min_length=1)] | None = None
    trigger_activation: Literal["RisingEdge", "FallingEdge", "AnyEdge", "LevelHigh", "LevelLow"] | None = None
    count_triggers: bool = False
    exposure_us: Annotated[float, Field(gt=0, le=60_000_000)] | None = None
    gain_db: Annotated[float, Field(ge=0, le=60)] | None = None
    frames_per_s: FramesPerSecond | None = None
    line_rate_hz: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    chunks: bool | None = None
    mm_per_encoder_count: Annotated[float, Field(ge=-1000, le=1000)] | None = None
    mm_per_line: Annotated[float, Field(gt=0, le=1000)] | None = None
    ptp: bool | None = None
    packet_bytes: Annotated[int, Field(ge=256, le=16384)] | None = None
    packet_delay_us: Annotated[float, Field(ge=0, le=100_000)] | None = None
    link_mb_per_s: Annotated[float, Field(ge=1, le=12_500)] | None = None
    link: Annotated[str, Field(min_length=1, max_length=40)] | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        wrong = {
            "serial and device name the same thing: give one of them": self.serial and self.device,
            'trigger = "line" needs trigger_source, as "Line1"': self.trigger == "line"
            and self.trigger_source is None,
            'trigger_source belongs to trigger = "line" or "encoder"': self.trigger_source
            and self.trigger not in ("line", "encoder"),
            'trigger_activation belongs to trigger = "line" or "encoder"': self.trigger_activation
            and self.trigger not in ("line", "encoder"),
            'count_triggers needs trigger = "line" and chunks = true': self.count_triggers
            and not (self.trigger == "line" and self.chunks),
            "mm_per_encoder_count and mm_per_line both place a frame: give one of them": self.mm_per_line
            and self.mm_per_encoder_count is not None,
            "mm_per_encoder_count needs chunks = true": self.mm_per_encoder_count is not None
            and not self.chunks,
            "mm_per_encoder_count = 0 puts every frame in one place": self.mm_per_encoder_count == 0,
        }
        for what, is_so in wrong.items():
            if is_so:
                raise ValueError(what)
        return self

    @property
    def needed_chunks(self) -> tuple[tuple[str, str], ...]:
        """Values that a frame must come with, each after the setting that needs it: without them nobody could say
        where on the strip it lies, or how many triggers passed before it."""
        return tuple(
            (setting, name)
            for setting, name, is_needed in (
                ("mm_per_encoder_count", "EncoderValue", self.mm_per_encoder_count is not None),
                ("count_triggers", "CounterValue", self.count_triggers),
            )
            if is_needed
        )

    def is_told_enough(self, chunks: Mapping[str, int | float]) -> bool:
        """Whether a frame came with the values that it needs; one that did not is as good as damaged."""
        return all(name in chunks for _, name in self.needed_chunks)


class GenicamSettings(DeviceSettings):
    """A device behind a GenTL producer.

    producer  its `.cti` file, or "simulated": three small devices that come with genicam; or "lynceus": GigE Vision
              through our own producer, which `make producer` builds
    """

    driver: Literal["genicam"] = "genicam"
    producer: Literal["simulated", "lynceus"] | Path


class GigeSettings(DeviceSettings):
    """A GigE Vision camera through a client that pip installs, without a GenTL producer. One that no broadcast
    reaches is found where `device` is its IP address."""

    driver: Literal["gige"] = "gige"


class ReplaySettings(_Settings):
    """A recorded run, or a folder of pictures, played as if it were a camera.

    pace    "recorded": at the times of the recording, which a plain folder does not have;
            "fast": as fast as it is read
    repeat  begin again at the end; the count goes on
    """

    driver: Literal["replay"] = "replay"
    folder: Path
    pace: Literal["recorded", "fast"] = "fast"
    repeat: bool = False


class RollMarkSettings(_Settings):
    """A mark of a roll that is dirty in the last `frames` of each `of_frames`, then cleaned."""

    period_mm: Annotated[float, Field(gt=0, le=10_000)]
    frames: Annotated[int, Field(ge=1)]
    of_frames: Annotated[int, Field(ge=1)]


class DrawnStripSettings(_Settings):
    """An endless drawn strip. `buffers` is how many frames wait for a busy lane before the oldest is lost.

    defects_per_megapixel  the mean; 0 draws a strip without any
    margin_px              of background beside the strip, on average; 0: the strip fills the picture
    """

    driver: Literal["drawn_strip"] = "drawn_strip"
    seed: Seed = 0
    width_px: Annotated[int, Field(ge=64, le=16384)] = 800
    height_px: Annotated[int, Field(ge=16, le=4096)] = 400
    mm_per_px: Annotated[float, Field(gt=0, le=100)] = 0.5
    defects_per_megapixel: Annotated[float, Field(ge=0, le=20)] = 1.6
    margin_px: Annotated[int, Field(ge=0, le=1000)] = 0
    roll_mark: RollMarkSettings | None = None
    frames_per_s: FramesPerSecond = 2.0
    buffers: BuffersOfDrawing = 4

    @model_validator(mode="after")
    def _has_room_for_defects(self) -> Self:
        if 4 * self.margin_px > self.width_px / 2:
            raise ValueError("margin_px is more than an eighth of width_px")
        return self


class DrawnPartsSettings(_Settings):
    """Drawn machined parts, one to a frame. `buffers` as for the strip."""

    driver: Literal["drawn_parts"] = "drawn_parts"
    seed: Seed = 0
    size_px: Annotated[int, Field(ge=64, le=4096)] = 400
    frames_per_s: FramesPerSecond = 1.0
    buffers: BuffersOfDrawing = 4


class SampleStreamSettings(_Settings):
    """Samples of a probe that come over the network (docs/sensors.md); each stretch of them is a frame.

    address, port      that this computer listens on
    sender             IP address that they come from; without, any
    sample_hz          that the front end sends, and the recipe expects
    samples_per_frame  of one stretch
    mm_per_sample      way of the product for one sample; 0 for parts
    silent_after_s     so long without a whole frame, and three frames at least, is CAM-SILENT
    buffers            frames that wait for a busy lane before the oldest is dropped
    """

    driver: Literal["samples"] = "samples"
    address: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1024, le=65535)]
    sender: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] | None = None
    sample_hz: Annotated[int, Field(ge=100, le=10_000_000)]
    samples_per_frame: Annotated[int, Field(ge=256, le=10_000_000)]
    mm_per_sample: Annotated[float, Field(ge=0, le=1000)] = 0.0
    silent_after_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    buffers: Annotated[int, Field(ge=1, le=256)] = 16


CameraSettings = Annotated[
    GenicamSettings
    | GigeSettings
    | ReplaySettings
    | DrawnStripSettings
    | DrawnPartsSettings
    | SampleStreamSettings,
    Field(discriminator="driver"),
]
