"""A waveform, of sound or of an eddy current, to its spectrogram, and to the stretches where a band is louder."""

from __future__ import annotations

import io
import struct
import wave
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnreadable, SensorBlind, SensorMisfit
from inspection.types import Detections, Image, Measurement, Sensed

Spectrogram = NDArray[np.float32]
"""(windows, bins), power in dB of full scale."""

_FLOOR: Final = 1e-12
_DB_RANGE: Final = (-100.0, -20.0)
"""Drawn black and white in the picture."""
_CLIPPED_RUN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What is looked for: a stretch where a band of frequencies is louder than it usually is.

    kind           code of the defect catalogue
    from_hz, to_hz of the band
    above_db       louder than the band's median along this recording, by at least so much
    """

    kind: str
    from_hz: float
    to_hz: float
    above_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """A Sensor: samples to a spectrogram, with a row for each window and a column for each frequency.

    A frame has the samples as one row of bytes: 16-bit numbers, low byte first, one channel. More than half of a
    recording must be without defects: each band's median is what is usual.

    sample_hz      samples a second
    window, hop    samples of one window (a power of two does best), and from one to the next: at most half of it
    min_rms        of full scale, 0..1: a recording less loud than that is of no sensor
    """

    sample_hz: float
    window: int
    hop: int
    bursts: tuple[Burst, ...]
    min_rms: float = 1e-4

    def sense(self, raw: Image) -> Sensed:
        """Raises SensorMisfit for less than four windows; SensorBlind for a sensor that is silent, or clips."""
        samples = samples_of(raw)
        if len(samples) < self.window + 3 * self.hop:
            raise SensorMisfit(
                f"The recording has {len(samples)} samples, four windows have {self.window + 3 * self.hop}.",
                action="Record longer, or choose a shorter window in the recipe.",
                found=len(samples),
                allowed=f"≥ {self.window + 3 * self.hop}",
            )
        self._check_heard(samples)
        spectrum = self.spectrogram(samples)
        found = Detections.together([self._found(spectrum, one) for one in self.bursts])
        rms = float(np.sqrt(np.mean(samples**2)))
        low, high = _DB_RANGE
        picture = np.clip((spectrum - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        return Sensed(
            picture=picture,
            found=found,
            measured=(Measurement(name="level", value=20 * float(np.log10(max(rms, _FLOOR))), unit="dB"),),
        )

    def spectrogram(self, samples: NDArray[np.float64]) -> Spectrogram:
        """Power of each window's frequencies (Hann window), dB: a sine of full scale has 0 in its own bin."""
        every = np.lib.stride_tricks.sliding_window_view(samples, self.window)
        windows = every[:: self.hop]
        if (len(every) - 1) % self.hop:
            # The last samples fill no whole step: a window more sees them, and most of what the one before it saw.
            windows = np.concatenate([windows, every[-1:]])
        shape = np.hanning(self.window + 1)[:-1]
        power = np.abs(np.fft.rfft(windows * shape, axis=1)) ** 2 / (shape.sum() / 2) ** 2
        return np.asarray(10 * np.log10(np.maximum(power, _FLOOR)), np.float32)

    def _found(self, spectrum: Spectrogram, one: Burst) -> Detections:
        """Whole rows of the picture: across, a sensor tells nothing apart. The score is 0.5 at `above_db`."""
        hz = np.arange(spectrum.shape[1]) * self.sample_hz / self.window
        band = (hz >= one.from_hz) & (hz <= one.to_hz)
        power = np.power(10.0, spectrum[:, band] / 10).mean(axis=1)
        level = 10 * np.log10(np.maximum(power, _FLOOR))
        share = np.maximum(level - np.median(level), 0) / one.above_db
        score = share / (share + 1)
        loud = np.flatnonzero(score >= 0.5)
        # One window may fall between two of a defect that swells and ebbs.
        starts = loud[np.diff(loud, prepend=-10) > 2]
        ends = loud[np.diff(loud, append=len(score) + 10) > 2] + 1
        stretches = sorted(
            (
                (float(score[start:end].max()), int(start), int(end))
                for start, end in zip(starts, ends, strict=True)
            ),
            key=lambda stretch: (-stretch[0], stretch[1]),
        )
        return Detections(
            xyxy=np.array(
                [(0, start, spectrum.shape[1], self._end(end, len(score))) for _, start, end in stretches],
                np.float32,
            ).reshape(-1, 4),
            score=np.array([score for score, *_ in stretches], np.float32),
            kind=(one.kind,) * len(stretches),
        )

    def _end(self, row: int, rows: int) -> float:
        """Where the last window before this row ends, in rows: it reaches beyond where the next one begins."""
        return min(row - 1 + self.window / self.hop, float(rows))

    def _check_heard(self, samples: NDArray[np.float64]) -> None:
        rms = float(np.sqrt(np.mean(samples**2)))
        if rms < self.min_rms:
            raise self._blind(f"rms {rms:.1e}", f"≥ {self.min_rms:g}")
        full = (np.abs(samples) >= 32767 / 32768).astype(np.int8)
        runs = np.convolve(full, np.ones(_CLIPPED_RUN, np.int8), mode="valid") if len(full) > 2 else full
        if (runs == _CLIPPED_RUN).any():
            raise self._blind(f"{_CLIPPED_RUN} samples in a row at full scale", "none")

    @staticmethod
    def _blind(found: str, allowed: str) -> SensorBlind:
        return SensorBlind(
            f"The recording cannot be judged: {found}, allowed {allowed}.",
            action="Check the probe, its cable and the gain.",
            found=found,
            allowed=allowed,
        )


def samples_of(raw: Image) -> NDArray[np.float64]:
    """The samples of a frame, -1..1. Raises SensorMisfit for several rows, as pictures have, and for half a sample."""
    if raw.ndim != 2 or raw.shape[0] != 1 or raw.size % 2:
        raise SensorMisfit(
            f"The frame has {raw.shape}: no row of 16-bit samples.",
            action="Inspect it with the recipe of the sensor that recorded it; set the sensor to 16-bit samples.",
            found=f"{raw.shape}",
            allowed="(1, 2 n)",
        )
    return np.asarray(np.frombuffer(raw.tobytes(), "<i2").astype(np.float64) / 32768)


def decode_wav(data: bytes) -> tuple[Image, float]:
    """A WAV file of one channel of 16 bits, as the pixels of a frame, and its samples a second.

    Raises ImageUnreadable for what is no whole WAV file, SensorMisfit for another one.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            form = file.getnchannels(), 8 * file.getsampwidth(), file.getcomptype()
            count, rate = file.getnframes(), file.getframerate()
            samples = file.readframes(count)
    # So `wave` says, and without a word, that a chunk reaches beyond the file's stated end.
    except (wave.Error, EOFError, struct.error, RuntimeError) as error:
        why = str(error) or "cut off"
        raise ImageUnreadable(
            f"The file is no WAV file ({len(data)} bytes: {why}).",
            action="Copy it again from its source, or record it again.",
            bytes=len(data),
            why=why,
        ) from error
    if form != (1, 16, "NONE"):
        raise SensorMisfit(
            f"The WAV file has {form[0]} channels of {form[1]} bits.",
            action="Record one channel of 16-bit samples.",
            found=f"{form[0]} x {form[1]} bit",
            allowed="1 x 16 bit",
        )
    if len(samples) != 2 * count or count == 0:
        raise ImageUnreadable(
            f"The WAV file is cut off: {len(samples) // 2} of {count} samples.",
            action="Copy it again from its source, or record it again.",
            bytes=len(data),
            why=f"{len(samples) // 2} / {count}",
        )
    return np.frombuffer(samples, np.uint8)[None], float(rate)


def frame_of(samples: NDArray[np.int16]) -> Image:
    """16-bit samples as the pixels of a frame: one row of bytes."""
    return np.frombuffer(samples.astype("<i2").tobytes(), np.uint8)[None]
