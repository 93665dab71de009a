"""Fits a detector from pictures of good parts only, by a network of its own; with torch, for the training desk.

    python -m models.training.good_only --good FOLDER --name NAME --into models/released

As `models/anomaly.py`, but all layers learn to find blemishes drawn onto good parts (`blemishes`), not only the last
two, and none of them has seen other pictures, so no licence but that of the plant's pictures holds. Takes some minutes
of two cores instead of seconds of one; which of the two does better depends on the surface (docs/training.md).
The network is that of `segment` with half the channels, on grey; rims and corners are shown as often as the middle,
since they are where parts differ and few pictures show them.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from models.anomaly import KIND, TILE_PX, fit_and_write, parted, what_to_fit
from models.blemishes import blemished_finely
from models.card import ModelCard, Training, TrainingSource
from models.heads import NetworkForm
from models.maps import MapDetector
from models.session import Session
from models.store import ReleasedModel
from models.training import segment
from models.training.precision import autocast

LAYERS = tuple(replace(layer, channels=1 if layer.last else layer.channels // 2) for layer in segment.LAYERS)
CROP_PX = 128
STEPS = 2600
POOLED = 3
"""Cells each way whose mean is the score of their middle: one cell alone is noise."""

_OPSET = 17
_CELL_PX = segment.CELL_PX
_BATCH, _RATE, _DECAY = 32, 2e-3, 1e-2
_SUREST = 6
_MEAN_OF_STEPS = 0.99
_COVERED = 0.15
_BLEMISHED = 0.5
"""Of the views."""
_MARGIN, _MARGIN_PX = 114, 16
_RIM_PX = 70


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
) -> ReleasedModel:
    """As `models.anomaly.fit`. Same pictures and seed, about the same model: bfloat16 sums have no fixed order."""
    rng = np.random.default_rng(seed)
    learned, held_back = parted(good, rng, source=source)
    network = _trained(learned, rng, steps=steps, threads=threads, seed=seed)
    kept = segment.as_arrays(network)
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
        input_hw=(TILE_PX, TILE_PX),
        tile_px=TILE_PX,
        opset=_OPSET,
        thresholds={KIND: 0.5},
        thresholds_by=f"0.5 is the surest place of {len(held_back)} good pictures that taught nothing",
        suppress_above=0.5,
        licence=licence,
        export_parity="scores were set with the file itself",
        training=Training(
            tool="torch, models/training/good_only.py, from scratch (no downloaded weights)",
            tool_licence="BSD-3-Clause (torch), Apache-2.0 (good_only.py)",
            network="LAYERS of models/training/good_only.py",
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
    surest = _surest(_released(card, kept, even_at=0.0), held_back)
    return _released(card, kept, even_at=surest)


def _released(card: ModelCard, learned: dict[str, NDArray[np.float32]], *, even_at: float) -> ReleasedModel:
    network = segment.as_onnx(
        learned, opset=_OPSET, layers=LAYERS, input_px=TILE_PX, pooled=POOLED, even_at=even_at
    )
    card = card.model_copy(update={"sha256": hashlib.sha256(network).hexdigest()})
    return ReleasedModel(card=card, network=network)


def _surest(model: ReleasedModel, good: Sequence[Image]) -> float:
    """The highest logit on good pictures."""
    detector = MapDetector(Session(model), min_score=1e-6)
    highest = max((float(detector.detect(one).score.max(initial=1e-6)) for one in good), default=0.5)
    highest = min(max(highest, 1e-6), 1 - 1e-6)
    return math.log(highest / (1 - highest))


def _trained(
    good: Sequence[Image],
    rng: np.random.Generator,
    *,
    steps: int,
    threads: int,
    seed: int,
) -> Any:
    # Waiting threads that spin take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    network = segment.make_network(LAYERS).to(memory_format=torch.channels_last)
    mean = segment.make_network(LAYERS)
    mean.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    network.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        views = [view(good[int(rng.integers(len(good)))], good, rng) for _ in range(_BATCH)]
        images, cells = (torch.from_numpy(np.stack(some))[:, None] for some in zip(*views, strict=True))
        with autocast():
            said = segment.logits(network, images.contiguous(memory_format=torch.channels_last), LAYERS)
        said = said.float()
        known, wanted = (cells >= 0).float(), cells.clamp(min=0)
        each = functional.binary_cross_entropy_with_logits(said, wanted, reduction="none") * known
        on_blemishes = (each * wanted).sum() / wanted.sum().clamp(min=1)
        elsewhere = (each * (1 - wanted)).sum() / known.sum()
        share = torch.sigmoid(said) * known
        shown = wanted.sum((1, 2, 3)) > 0
        overlap = (2 * (share * wanted).sum((1, 2, 3)) + 1) / (
            share.sum((1, 2, 3)) + wanted.sum((1, 2, 3)) + 1
        )
        dice = (1 - overlap)[shown].mean() if shown.any() else torch.zeros(())
        surest = said.flatten(1).topk(_SUREST, 1).values.mean(1)
        whole = functional.binary_cross_entropy_with_logits(surest, shown.float())
        loss = 0.1 * on_blemishes + 5 * elsewhere + 0.5 * dice + whole
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        segment.follow(mean, network, min(_MEAN_OF_STEPS, (step + 1) / (step + 21)))
    return mean.eval()


def view(
    good: Image, others: Sequence[Image], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A piece of a good picture as it may come, blemished in half of the cases: (input, cells).

    input (CROP_PX, CROP_PX) 0..1; cells (CROP_PX / 4, CROP_PX / 4): 1 with a blemish, 0 without, -1 only touched.
    """
    scale = rng.uniform(0.85, 1.18)
    picture = cv2.resize(
        good,
        None,
        fx=scale,
        fy=scale * rng.uniform(0.93, 1.07),
        interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA,
    )
    picture = picture[:: int(rng.choice([1, -1])), :: int(rng.choice([1, -1]))]
    height, width = picture.shape
    if rng.random() < 0.6:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 2)), 1)
        picture = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    margin = _MARGIN_PX if rng.random() < 0.35 else 0
    top, left = (_start(side, margin, rng) for side in (height, width))
    shown = np.array(picture[max(top, 0) : top + CROP_PX, max(left, 0) : left + CROP_PX], np.uint8)
    mask = np.zeros(shown.shape, np.bool_)
    if rng.random() < _BLEMISHED:
        shown, mask = blemished_finely(shown, others, rng)
    window = (
        slice(max(-top, 0), max(-top, 0) + shown.shape[0]),
        slice(max(-left, 0), max(-left, 0) + shown.shape[1]),
    )
    seen = np.full((CROP_PX, CROP_PX), _MARGIN / 255, np.float32)
    covered = np.zeros((CROP_PX, CROP_PX), np.float32)
    seen[window], covered[window] = _relit(shown, rng), mask
    cells = CROP_PX // _CELL_PX
    share = covered.reshape(cells, _CELL_PX, cells, _CELL_PX).mean(axis=(1, 3))
    return seen, np.where(share >= _COVERED, 1, np.where(share == 0, 0, -1)).astype(np.float32)


def _start(side: int, margin: int, rng: np.random.Generator) -> int:
    """Where the piece begins: at the rim as often as on the way between."""
    first, last = sorted((-margin, side + margin - CROP_PX))
    return int(np.clip(rng.integers(-_RIM_PX, max(side - CROP_PX, 0) + _RIM_PX + 1), first, last))


def _relit(shown: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """Under another lamp, from elsewhere, through another lens; 0..1."""
    lit = (shown.astype(np.float32) / 255) ** np.float32(np.exp(rng.normal(0, 0.2)))
    lit = lit * np.float32(np.exp(rng.normal(0, 0.25))) + np.float32(rng.normal(0, 0.04))
    if rng.random() < 0.6:
        angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
        down, along = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in lit.shape)
        lit = lit * (1 + slope * (along * np.cos(angle) + down[:, None] * np.sin(angle)))
    if rng.random() < 0.25:
        lit = np.asarray(cv2.GaussianBlur(lit.astype(np.float32), (0, 0), rng.uniform(0.4, 0.9)))
    if rng.random() < 0.4:
        lit = lit + rng.normal(0, rng.uniform(0, 0.02), lit.shape)
    return np.clip(lit, 0, 1).astype(np.float32)


def main(arguments: list[str]) -> int:
    parser = what_to_fit("python -m models.training.good_only", __doc__.splitlines()[0], steps=STEPS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    fit_and_write(
        asked,
        lambda good: fit(
            good,
            name=asked.name,
            version=asked.version,
            source=asked.good.name,
            licence=asked.licence,
            steps=asked.steps,
            threads=asked.threads,
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
