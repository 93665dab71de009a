"""Structured light: stripes projected on a surface, shifted step by step, to a map of its heights.

Sources: J. H. Bruning et al., Applied Optics 13 (1974) 2693, for the phase from N steps; J. M. Huntley and H. Saldner,
Applied Optics 32 (1993) 3047, for unwrapping it in time, from coarse stripes to fine ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inspection.errors import SensorMisfit
from inspection.types import Image, Sensed
from inspection.vision.heights import HeightRules, Heights

Phase = NDArray[np.float32]

_AMBIGUOUS: Final = 0.35
"""Of a turn: how far from a whole number of turns coarse and fine stripes may disagree. At half nobody knows."""

_UNLIKE: Final = 0.35
"""Of the modulation, root mean square: how much of the steps is no cosine. Noise of 1.5 grey levels on stripes of 10
has 0.1; a surface that moves between the steps, or no stripes at all, far more. With three steps nothing is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseShift:
    """A Sensor: the pictures of all stripes, one below the other, to heights above the reference.

    A frame has `steps` pictures of the first period, each with the stripes shifted by one step more, then those of the
    next period. Where a stripe's brightness is a + b cos(phase + 2 pi step / steps), `mm_per_rad` is above 0 if the
    phase grows towards the sensor.

    reference      a frame of the flat plate, or of the master part, that heights are counted from; None: a plane on
                   which stripes lie exactly one period apart, across, the first of them at the left border
    periods        of the stripes, px of the camera, the coarsest first: surface and reference may differ by less than
                   half a stripe of that one
    steps          3 and more for each period
    mm_per_rad     height for one radian of the finest stripes against the reference; true for heights that are small
                   against the sensor's distance
    min_modulation grey levels of b; where the stripes are fainter, or 255 is reached, or the steps are no cosine, or
                   coarse and fine stripes disagree, the height is not known
    """

    reference: Image | None
    periods: tuple[float, ...]
    steps: int
    mm_per_rad: float
    rules: HeightRules
    min_modulation: float = 6.0

    def sense(self, raw: Image) -> Sensed:
        """Raises SensorMisfit for a frame that is not as many pictures, or other than the reference; SensorBlind."""
        return self.rules.sensed(self.heights(raw))

    def heights(self, raw: Image) -> Heights:
        """Heights above the reference, mm. Raises SensorMisfit."""
        if raw.ndim != 2 or raw.shape[0] % self._pictures:
            raise _misfit(raw.shape, f"n x {self._pictures} pictures, grey")
        if self.reference is not None and raw.shape != self.reference.shape:
            raise _misfit(raw.shape, f"{self.reference.shape}, as the reference")
        differences = []
        known = np.ones((raw.shape[0] // self._pictures, raw.shape[1]), np.bool_)
        for own, its_reference in zip(self._phases(raw), self._references(known.shape), strict=True):
            known &= own[1] & its_reference[1]
            differences.append(_wrapped(own[0] - its_reference[0]))
        # The coarsest is the phase itself; each finer one is it, times how much finer, but for whole turns.
        whole = differences[0]
        for (coarse, fine), wrapped in zip(
            zip(self.periods, self.periods[1:], strict=False), differences[1:], strict=True
        ):
            turns = (whole * (coarse / fine) - wrapped) / (2 * np.pi)
            whole = wrapped + 2 * np.pi * np.rint(turns)
            # Where it lies between two whole numbers of turns, nobody knows which.
            known &= np.abs(turns - np.rint(turns)) <= _AMBIGUOUS
        return np.where(known, whole * self.mm_per_rad, np.nan).astype(np.float32)

    @property
    def _pictures(self) -> int:
        return len(self.periods) * self.steps

    def _references(self, size_hw: tuple[int, ...]) -> list[tuple[Phase, NDArray[np.bool_]]]:
        if self.reference is not None:
            return self._phases(self.reference)
        x = np.arange(size_hw[1], dtype=np.float32)
        everywhere = np.ones(size_hw, np.bool_)
        return [(np.asarray(2 * np.pi * x / period, np.float32)[None], everywhere) for period in self.periods]

    def _phases(self, raw: Image) -> list[tuple[Phase, NDArray[np.bool_]]]:
        """Of each period the phase, and where it is known."""
        pictures = raw.reshape(len(self.periods), self.steps, -1, raw.shape[1])
        angle = 2 * np.pi * np.arange(self.steps) / self.steps
        found = []
        for steps in pictures:
            grey = steps.astype(np.float32)
            sine = -np.tensordot(np.sin(angle).astype(np.float32), grey, axes=1)
            cosine = np.tensordot(np.cos(angle).astype(np.float32), grey, axes=1)
            modulation = 2 / self.steps * np.hypot(sine, cosine)
            rest = grey - grey.mean(axis=0)
            # What a cosine of this phase leaves: its mean square is that of the rest without the cosine's own.
            left = np.sqrt(np.maximum((rest**2).mean(axis=0) - modulation**2 / 2, 0))
            known = (modulation >= self.min_modulation) & (steps.max(axis=0) < 255)
            known &= left <= _UNLIKE * modulation
            found.append((np.arctan2(sine, cosine), known))
        return found


def _misfit(found: tuple[int, ...], allowed: str) -> SensorMisfit:
    return SensorMisfit(
        f"The frame has {found}, expected {allowed}.",
        action="Set periods and steps as the projector does; take the reference again with the present settings.",
        found=str(found),
        allowed=allowed,
    )


def _wrapped(phase: Phase) -> Phase:
    """The same angle, from -pi to pi."""
    return np.asarray((phase + np.pi) % (2 * np.pi) - np.pi, np.float32)
