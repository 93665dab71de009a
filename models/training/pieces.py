"""Pieces of parts as they may come before a camera, and a network that learns from them, with torch.

What `good_only` is shown, and how it learns. A piece is turned, mirrored, lit and enlarged a little otherwise each
time; its rims are shown more often than chance would, since they are where parts differ.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from models.training import segment
from models.training.drawn_defects import Field, Inside
from models.training.precision import autocast

PIECE_PX = 160
TILE_PX, INPUT_PX = 320, 256
"""What a station cuts of a picture, and as how large the network is shown it."""

_MARGIN, _MARGIN_PX = 114, 16
_RIM_PX = 40
_COVERED = 0.15
"""Of a cell: a defect that covers as much is asked for; of one that covers less nothing is."""
_LEAST_CELLS = 2
BATCH = 24

_RATE, _DECAY = 2.5e-3, 2e-2
_SUREST = 4
_MEAN_OF_STEPS = 0.995
_TOLD_EVERY = 200

View = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Input (PIECE_PX, PIECE_PX) 0..1; cells (K, PIECE_PX / 4, PIECE_PX / 4): 1 with a defect, 0 without, -1 not asked;
kinds (K,): 1 where the piece shows that kind, -1 where nobody can say."""


def cut(pixels: Image, rng: np.random.Generator) -> tuple[Field, Inside]:
    """A piece at about the scale at which a station shows it, 0 to 255; where it shows the part."""
    turn = _turn(pixels.shape, rng)
    hw = (PIECE_PX, PIECE_PX)
    inside = cv2.warpAffine(np.ones(pixels.shape, np.uint8), turn, hw, flags=cv2.INTER_NEAREST) > 0
    seen = cv2.warpAffine(pixels, turn, hw, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.astype(np.float32), np.asarray(inside, np.bool_)


def _turn(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    across = INPUT_PX / TILE_PX * math.exp(rng.normal(0, 0.16))
    down = across * math.exp(rng.normal(0, 0.05))
    height, width = shape
    sides = PIECE_PX / across, PIECE_PX / down
    left, top = (
        _start(length, side, _MARGIN_PX / across, rng)
        for length, side in zip((width, height), sides, strict=True)
    )
    turn = cv2.getRotationMatrix2D((left + sides[0] / 2, top + sides[1] / 2), float(rng.normal(0, 3)), 1)
    turn[:, 2] -= np.array([left, top])
    turn *= np.array([[across], [down]])
    for axis in range(2):
        if rng.random() < 0.5:
            turn[axis] = np.array([0, 0, PIECE_PX - 1]) - turn[axis]
    return np.asarray(turn, np.float64)


def _start(length: int, side: float, margin: float, rng: np.random.Generator) -> float:
    """Where the piece begins, px of the picture: its rim as often as the way between."""
    first, last = sorted((-margin, length + margin - side))
    beyond = 0 if rng.random() < 0.6 else _RIM_PX
    return float(np.clip(rng.uniform(first - beyond, last + beyond), first, last))


def view(
    seen: Field,
    inside: Inside,
    marks: Mapping[str, Image],
    kinds: Sequence[str],
    rng: np.random.Generator,
) -> View:
    """The piece under some light, and what is asked of it. marks: 255 where the defects of a kind are."""
    lit = _relit(np.clip(seen, 0, 255), rng)
    side = len(seen) // segment.CELL_PX
    cells = np.zeros((len(kinds), side, side), np.float32)
    shown = np.zeros(len(kinds), np.float32)
    for kind, mark in marks.items():
        there = (mark > 127) & inside
        share = there.reshape(side, segment.CELL_PX, side, segment.CELL_PX).mean(axis=(1, 3))
        number = kinds.index(kind)
        cells[number] = np.where(share >= _COVERED, 1, np.where(share > 0, -1, 0))
        # Of a defect that is only just in sight neither can be asked.
        shown[number] = 1 if (cells[number] == 1).sum() >= _LEAST_CELLS else -1
    return np.where(inside, lit, _MARGIN / 255).astype(np.float32), cells, shown


def _relit(seen: Field, rng: np.random.Generator) -> Field:
    """Under another lamp, from elsewhere, on another grain, through another lens; 0..1."""
    lit = np.asarray((seen / 255) ** np.float32(np.exp(rng.normal(0, 0.22))), np.float32)
    lit = lit * np.float32(np.exp(rng.normal(0, 0.25))) + np.float32(rng.normal(0, 0.04))
    height, width = lit.shape
    if rng.random() < 0.6:
        angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
        down, along = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in (height, width))
        lit = lit * np.asarray(
            1 + slope * (along * np.cos(angle) + down[:, None] * np.sin(angle)), np.float32
        )
    if rng.random() < 0.3:
        columns = np.asarray(rng.standard_normal((1, width)), np.float32)
        columns = cv2.GaussianBlur(columns, (0, 0), float(np.exp(rng.uniform(-0.5, 2.5))))[0]
        lit = lit * (1 + columns * np.float32(rng.uniform(0.01, 0.08) / max(float(columns.std()), 1e-6)))
    if rng.random() < 0.25:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.4, 0.9)), np.float32)
    if rng.random() < 0.4:
        lit = lit + rng.normal(0, rng.uniform(0, 0.02), lit.shape).astype(np.float32)
    return np.clip(lit, 0, 1).astype(np.float32)


def learn(
    draw: Callable[[np.random.Generator], View],
    *,
    layers: Sequence[segment.Layer],
    steps: int,
    threads: int,
    seed: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Any:
    """The network, from nothing: the mean of its last some hundred steps."""
    # Waiting threads that spin take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = segment.make_network(layers).to(memory_format=torch.channels_last)
    mean = segment.make_network(layers)
    mean.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    network.train()
    began, total = time.monotonic(), 0.0
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 80) * (1 + math.cos(math.pi * step / steps)) / 2
        images, cells, kinds = (
            torch.from_numpy(np.stack(some)) for some in zip(*(draw(rng) for _ in range(BATCH)), strict=True)
        )
        images = images[:, None].contiguous(memory_format=torch.channels_last)
        with autocast():
            said = segment.logits(network, images, layers)
        loss = loss_of(said.float(), cells, kinds)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        segment.follow(mean, network, min(_MEAN_OF_STEPS, (step + 1) / (step + 20)))
        total += float(loss.detach())
        progress((step + 1) / steps)
        if (step + 1) % _TOLD_EVERY == 0:
            told = f"step {step + 1} of {steps}: loss {total / _TOLD_EVERY:.3f}, {time.monotonic() - began:.0f} s"
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
            total = 0.0
    return mean.eval()


def loss_of(said: Any, cells: Any, kinds: Any) -> Any:
    """As `segment.loss_of`, but that each defect counts the same, whatever its size: a hole is 3 cells, a zone 800."""
    import torch
    from torch.nn import functional

    known, wanted = (cells >= 0).float(), cells.clamp(min=0)
    each = functional.binary_cross_entropy_with_logits(said, wanted, reduction="none") * known
    size = wanted.sum((2, 3))
    shown = size > 0
    elsewhere = (each * (1 - wanted)).sum() / known.sum().clamp(min=1)
    share = torch.sigmoid(said) * known
    overlap = (2 * (share * wanted).sum((2, 3)) + 1) / (share.sum((2, 3)) + size + 1)
    surest = said.flatten(2).topk(_SUREST, dim=2).values.mean(2)
    asked = (kinds >= 0).float()
    picture = functional.binary_cross_entropy_with_logits(surest, kinds.clamp(min=0), reduction="none")
    loss = 5 * elsewhere + (picture * asked).sum() / asked.sum().clamp(min=1)
    if shown.any():
        on_defects = ((each * wanted).sum((2, 3)) / size.clamp(min=1))[shown].mean()
        loss = loss + 0.3 * on_defects + 0.5 * (1 - overlap)[shown].mean()
    return loss
