"""Where on the strip a frame of a line scan begins."""

from __future__ import annotations

from collections.abc import Mapping

from cameras.settings import DeviceSettings


class StripPlaces:
    """By the encoder count that came with a frame; or by counting lines from the first, lost frames' too."""

    def __init__(self, settings: DeviceSettings, *, lines_per_frame: int) -> None:
        self._settings = settings
        self._lines_per_frame = lines_per_frame
        self._first: int | None = None

    def y_origin_mm(self, sequence: int, chunks: Mapping[str, int | float]) -> float:
        """0 where the settings place nothing. The chunks must be those the settings need."""
        if self._settings.mm_per_encoder_count is not None:
            return chunks["EncoderValue"] * self._settings.mm_per_encoder_count
        if self._settings.mm_per_line is None:
            return 0.0
        if self._first is None:
            self._first = sequence
        return (sequence - self._first) * self._lines_per_frame * self._settings.mm_per_line
