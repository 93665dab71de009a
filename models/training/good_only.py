"""Fits a detector from pictures of good parts only, by a network of its own; with torch, for the training desk.

    python -m models.training.good_only --good FOLDER --name NAME --into models/released

As `models/anomaly.py`, but all layers learn to find defects drawn onto good parts (`drawn_defects`), not only the last
two, and none of them has seen other pictures, so no licence but that of the plant's pictures holds. Takes some minutes
instead of seconds (docs/training.md). The network is that of `segment` with half the channels, on grey, with a map for
each family of what is drawn; the released file gives of each place the surest of them.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from models.anomaly import KIND, fit_and_write, parted, what_to_fit
from models.card import ModelCard, Training, TrainingSource
from models.heads import NetworkForm
from models.maps import MapDetector
from models.session import Session
from models.store import ReleasedModel
from models.training import pieces, segment
from models.training.drawn_defects import FAMILIES, with_defects

LAYERS = tuple(
    replace(layer, channels=len(FAMILIES) if layer.last else layer.channels // 2) for layer in segment.LAYERS
)
STEPS = 2000
MEMBERS = 2
"""Networks of which the released file is the mean. Each holds other pictures back, so that most of them teach one."""

POOLED = tuple({"zone": 7, "smear": 7}.get(family, 3) for family in FAMILIES)
"""Cells each way whose mean is the score of their middle: one alone is noise, and what is large is told by more."""

_OPSET = 17
_DEFECTIVE = 0.6
"""Of the views."""
_LEAST = 1e-6
_EACH_FAMILY: dict[str, object] = {"kinds": FAMILIES, "thresholds": dict.fromkeys(FAMILIES, 0.5)}


def fit(
    good: Sequence[Image],
    *,
    name: str,
    version: str = "1.0.0",
    source: str,
    licence: str = "as the plant says of its pictures",
    steps: int = STEPS,
    threads: int = 2,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> ReleasedModel:
    """As `models.anomaly.fit`. Same pictures and seed, about the same model: bfloat16 sums have no fixed order."""
    digest = hashlib.sha256(b"".join(one.tobytes() for one in good)).hexdigest()
    card = ModelCard(
        name=name,
        version=version,
        task="maps",
        form=NetworkForm(channels=1),
        file="model.onnx",
        sha256="0" * 64,
        made_on=datetime.datetime.now(datetime.UTC).date(),
        kinds=(KIND,),
        input_hw=(pieces.INPUT_PX, pieces.INPUT_PX),
        tile_px=pieces.TILE_PX,
        opset=_OPSET,
        thresholds={KIND: 0.5},
        thresholds_by="0.5 is the mean of what the surest places are of good pictures that were held back, for each "
        "network others",
        suppress_above=0.5,
        licence=licence,
        export_parity="scores were set with the file itself",
        training=Training(
            tool="torch, models/training/good_only.py, from scratch (no downloaded weights)",
            tool_licence="BSD-3-Clause (torch), Apache-2.0 (good_only.py)",
            network=f"mean of the logits of {MEMBERS}, each LAYERS of models/training/good_only.py",
            command=f"python -m models.training.good_only --name {name}",
            seed=seed,
            epochs=1,
            interrupted=False,
            digest=digest,
            chosen_by="nothing: no defective picture was seen",
            by_its_own_tool="-",
            sources=(TrainingSource(name=source, licence=licence, images=len(good), boxes=0),),
        ),
        measured=(),
    )
    networks = []
    for number in range(MEMBERS):
        networks.append(
            _network(
                card,
                good,
                source=source,
                steps=steps,
                threads=threads,
                seed=seed + number,
                progress=partial(_told, progress, number),
            )
        )
    return _released(card, segment.in_one_file(networks))


def _network(
    card: ModelCard,
    good: Sequence[Image],
    *,
    source: str,
    steps: int,
    threads: int,
    seed: int,
    progress: Callable[[float], None],
) -> bytes:
    """One of the networks, whose 0.5 is the surest place of the good pictures that were held back from it."""
    learned, held_back = parted(good, np.random.default_rng(seed), source=source)
    trained = pieces.learn(
        lambda rng: view(learned[int(rng.integers(len(learned)))], rng),
        layers=LAYERS,
        steps=steps,
        threads=threads,
        seed=seed,
        progress=progress,
    )
    kept = segment.as_arrays(trained)
    each = _released(card.model_copy(update=_EACH_FAMILY), _as_onnx(kept, loudest=False))
    highest = _highest(each, held_back)
    # What one family says of good pictures is weighed against what the others say: some are loud where nothing is.
    usual = highest.mean(axis=0) + highest.std(axis=0)
    surest = (highest - usual).max()
    return _as_onnx(kept, loudest=True, even_at=tuple((usual + surest).tolist()))


def _told(progress: Callable[[float], None], before: int, share: float) -> None:
    """How far all of them are, where so many are done and the next one is as far as `share`."""
    progress((before + share) / MEMBERS)


def _as_onnx(
    learned: dict[str, NDArray[np.float32]], *, loudest: bool, even_at: Sequence[float] = ()
) -> bytes:
    return segment.as_onnx(
        learned,
        opset=_OPSET,
        layers=LAYERS,
        input_px=pieces.INPUT_PX,
        pooled=POOLED,
        even_at=even_at,
        loudest=loudest,
    )


def _released(card: ModelCard, network: bytes) -> ReleasedModel:
    card = card.model_copy(update={"sha256": hashlib.sha256(network).hexdigest()})
    return ReleasedModel(card=card, network=network)


def _highest(model: ReleasedModel, good: Sequence[Image]) -> NDArray[np.float64]:
    """The highest logit of each family on each of the pictures."""
    detector = MapDetector(Session(model), min_score=_LEAST, for_figures=True)
    highest = np.full((len(good), len(FAMILIES)), _LEAST)
    for row, one in zip(highest, good, strict=True):
        found = detector.detect(one)
        for family, score in zip(found.kind, found.score.tolist(), strict=True):
            number = FAMILIES.index(family)
            row[number] = max(row[number], min(score, 1 - _LEAST))
    return np.asarray(np.log(highest / (1 - highest)), np.float64)


def view(good: Image, rng: np.random.Generator) -> pieces.View:
    """A piece of a good picture as it may come, with drawn defects in some of the cases."""
    seen, inside = pieces.cut(good, rng)
    marks: dict[str, Image] = {}
    if rng.random() < _DEFECTIVE:
        seen, marks = with_defects(seen, inside, rng)
    return pieces.view(seen, inside, marks, FAMILIES, rng)


def main(arguments: list[str]) -> int:
    parser = what_to_fit("python -m models.training.good_only", __doc__.splitlines()[0], steps=STEPS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args(arguments)
    fit_and_write(
        asked,
        lambda good, progress: fit(
            good,
            name=asked.name,
            version=asked.version,
            source=asked.good.name,
            licence=asked.licence,
            steps=asked.steps,
            threads=asked.threads,
            progress=progress,
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
