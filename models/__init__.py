"""Where detections come from: released networks, found by name and version, checked, and opened as detectors.

`open_detector` holds the table of detection methods. A method is imported when a model asks for it, so a plant
server, a recipe check or a replay needs no network runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, Protocol

from inspection.types import ModelRef
from inspection.vision.screening import TilingDetector
from models.store import ModelStore, ReleasedModel

__all__ = ["ModelStore", "ReleasedDetector", "open_detector"]


class ReleasedDetector(TilingDetector, Protocol):
    """A detector that can say which released bytes it runs."""

    @property
    def ref(self) -> ModelRef: ...

    @property
    def kinds(self) -> tuple[str, ...]: ...


def open_detector(
    name: str,
    *,
    version: str | None = None,
    store: ModelStore | None = None,
    threads: int = 1,
    min_score: float | None = None,
    for_figures: bool = False,
    looks: Literal[1, 2, 4] | None = None,
) -> ReleasedDetector:
    """The released model `name`, ready to run; of its latest version unless one is named.

    threads     cores one detection may use
    min_score   0..1, in place of the thresholds of the model's card
    for_figures of more than a detector keeps, the surest without a word: nothing may be judged by them
    looks       how often each tile is looked at, in place of what the card says; each takes as long as one

    Raises MOD- errors, as `ModelStore.find` and `Session` do. A detector belongs to the thread that uses it.
    """
    model = (store or ModelStore.of_plant()).find(name, version)
    if looks is not None:
        model = replace(model, card=model.card.with_looks(looks))
    return _METHODS[model.card.task](model, threads, min_score, for_figures)


def _boxes(
    model: ReleasedModel, threads: int, min_score: float | None, for_figures: bool
) -> ReleasedDetector:
    from models.boxes import BoxDetector
    from models.session import Session

    return BoxDetector(Session(model, threads=threads), min_score=min_score, for_figures=for_figures)


def _maps(model: ReleasedModel, threads: int, min_score: float | None, for_figures: bool) -> ReleasedDetector:
    from models.maps import MapDetector
    from models.session import Session

    return MapDetector(Session(model, threads=threads), min_score=min_score, for_figures=for_figures)


def _masks(
    model: ReleasedModel, threads: int, min_score: float | None, for_figures: bool
) -> ReleasedDetector:
    from models.maps import MaskDetector
    from models.session import Session

    return MaskDetector(Session(model, threads=threads), min_score=min_score, for_figures=for_figures)


_METHODS: Mapping[str, Callable[[ReleasedModel, int, float | None, bool], ReleasedDetector]] = {
    "boxes": _boxes,
    "maps": _maps,
    "masks": _masks,
    # Scores of the whole picture, or of a tile, are boxes around all of it.
    "classes": _boxes,
}
