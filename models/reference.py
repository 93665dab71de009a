"""The reference run: an input and what the network answered where it was released, to be answered again here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """`image` (1, 3, height, width), RGB, 0..1; `answers` as `Session.run_all` gave them.

    tolerance  largest difference that is still the same answer, as `differs_by` counts it
    """

    image: NDArray[np.float32]
    answers: tuple[NDArray[np.float32], ...]
    tolerance: float

    def differs_by(self, answers: Sequence[NDArray[np.float32]]) -> float:
        """The largest difference of an answer, in proportion where answers are above 1; inf for other shapes."""
        if [one.shape for one in answers] != [one.shape for one in self.answers]:
            return float("inf")
        largest = 0.0
        for ours, theirs in zip(answers, self.answers, strict=True):
            if ours.size:
                largest = max(largest, float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max()))
        return largest

    def to_bytes(self) -> bytes:
        kept = io.BytesIO()
        arrays: dict[str, Any] = {f"answer{number}": one for number, one in enumerate(self.answers)}
        np.savez_compressed(kept, image=self.image, tolerance=np.float64(self.tolerance), **arrays)
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference:
        """Raises ValueError for what `to_bytes` did not make."""
        try:
            # Pickled objects could run anything.
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                count = sum(name.startswith("answer") for name in kept.files)
                return cls(
                    image=np.asarray(kept["image"], np.float32),
                    answers=tuple(np.asarray(kept[f"answer{n}"], np.float32) for n in range(count)),
                    tolerance=float(kept["tolerance"]),
                )
        except Exception as error:
            raise ValueError(f"no reference run: {error}") from error


def textured(input_hw: tuple[int, int]) -> NDArray[np.float32]:
    """A picture with something of every size in it, for who has none at hand: grey noise of several scales."""
    rng = np.random.default_rng(2026)
    height, width = input_hw
    total = np.zeros((height, width))
    for step in (1, 4, 16, 64):
        coarse = rng.normal(size=(height // step + 2, width // step + 2))
        total += np.kron(coarse, np.ones((step, step)))[:height, :width]
    grey = 0.5 + 0.12 * total
    return np.repeat(np.clip(grey, 0, 1).astype(np.float32)[None, None], 3, axis=1)
