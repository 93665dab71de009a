"""Trains the map detector of magnetic tiles from nothing but their outlined defects.

    python -m models.training.segment --data ../shared/data/magnetic_tile

A small network of the U-Net kind (Ronneberger, Fischer, Brox 2015): down to a 32nd of the picture and up again to a
quarter, one map for each kind. Its layers are one table, from which trained network and ONNX file are both made;
torch (BSD) is all that is needed, and nothing of it is in the file.

It learns two things at once: which quarter-size cells a defect touches, and whether the picture shows that kind at all,
by the surest three cells. The second is what a tile is judged by, and serves the few pictures whose defect nobody has
outlined. Pictures of good tiles that are set aside teach nothing; they set the thresholds.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from models.errors import TrainingDataMissing
from models.training.dataset import TILE_KINDS
from models.training.precision import autocast
from models.training.train import REPOSITORY

INPUT_PX = 320
TILE_PX = 400
CELL_PX = 4
KINDS = tuple(TILE_KINDS.values())

SET_ASIDE = 6
"""Of the tiles that are good under every lamp, one of so many teaches nothing and sets the thresholds."""

_MARGIN = 114
_BATCH, _DECAY = 16, 1e-2
_SUREST = 3
_MEAN_OF_STEPS = 0.995

NORM_EPS = 1e-5
"""What a norm adds to a variance before it divides by its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """So many epochs, in which the rate falls from `rate` to nothing along a cosine.

    pasted   share of the good tiles onto which a defect of another tile is laid
    """

    epochs: int
    rate: float
    pasted: float


# Much that is drawn first, then mostly what was photographed: pasted defects that nobody would see taught it to see
# defects on good tiles (37 % of those set aside above 0.5 after the first phase). A third phase of 36 epochs went on
# learning these tiles and did worse on others (docs/training.md).
PHASES = (
    Phase(epochs=32, rate=2e-3, pasted=0.5),
    Phase(epochs=28, rate=1.2e-3, pasted=0.15),
)

_PASTED = ("blowhole", "crack", "fray")
"""Kinds that look the same wherever on a tile they are; the others hang on its edge or fill it."""


# --- the network ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution of `sources` (several: one after the other, the later twice as large as needed are enlarged).

    size       of its kernel, px
    stride     2 halves the picture
    residual   what it reads is added to what it says
    last       without norm and rectifier: the answer
    """

    name: str
    sources: tuple[str, ...]
    channels: int
    size: int = 3
    stride: int = 1
    residual: bool = False
    last: bool = False
    enlarged: str = ""


LAYERS = (
    Layer(name="second", sources=("image",), channels=16, stride=2),
    Layer(name="quarter_in", sources=("second",), channels=32, stride=2),
    Layer(name="quarter", sources=("quarter_in",), channels=32, residual=True),
    Layer(name="eighth_in", sources=("quarter",), channels=64, stride=2),
    Layer(name="eighth", sources=("eighth_in",), channels=64, residual=True),
    Layer(name="sixteenth_in", sources=("eighth",), channels=96, stride=2),
    Layer(name="sixteenth", sources=("sixteenth_in",), channels=96, residual=True),
    Layer(name="deep_in", sources=("sixteenth",), channels=128, stride=2),
    Layer(name="deep_a", sources=("deep_in",), channels=128, residual=True),
    Layer(name="deep", sources=("deep_a",), channels=128, residual=True),
    Layer(name="up16_in", sources=("sixteenth", "deep"), enlarged="deep", channels=64, size=1),
    Layer(name="up16", sources=("up16_in",), channels=64, residual=True),
    Layer(name="up8_in", sources=("eighth", "up16"), enlarged="up16", channels=48, size=1),
    Layer(name="up8", sources=("up8_in",), channels=48, residual=True),
    Layer(name="up4_in", sources=("quarter", "up8"), enlarged="up8", channels=32, size=1),
    Layer(name="up4", sources=("up4_in",), channels=32, residual=True),
    Layer(name="logits", sources=("up4",), channels=len(KINDS), size=1, last=True),
)


def layers_for(kinds: int) -> tuple[Layer, ...]:
    """The same network for so many kinds."""
    return tuple(replace(one, channels=kinds) if one.last else one for one in LAYERS)


def make_network(layers: Sequence[Layer] = LAYERS) -> Any:
    """The layers as torch has them, by name, untrained."""
    from torch import nn

    width = {"image": 1}
    made: dict[str, Any] = {}
    for layer in layers:
        read = sum(width[name] for name in layer.sources)
        conv = nn.Conv2d(read, layer.channels, layer.size, layer.stride, layer.size // 2, bias=layer.last)
        made[layer.name] = (
            conv if layer.last else nn.Sequential(conv, nn.BatchNorm2d(layer.channels, eps=NORM_EPS))
        )
        width[layer.name] = layer.channels
    # Cells with a defect are few; a network that begins by saying "none" has less to unlearn.
    nn.init.constant_(made["logits"].bias, -4.0)
    return nn.ModuleDict(made)


def logits(network: Any, images: Any, layers: Sequence[Layer] = LAYERS) -> Any:
    """Of images (n, 1, height, width) 0..1, (n, kinds, height / 4, width / 4)."""
    import torch
    from torch.nn import functional

    seen = {"image": images}
    for layer in layers:
        read = [
            functional.interpolate(seen[name], scale_factor=2.0, mode="nearest")
            if name == layer.enlarged
            else seen[name]
            for name in layer.sources
        ]
        given = torch.cat(read, 1) if len(read) > 1 else read[0]
        said = network[layer.name](given)
        if layer.residual:
            said = said + given
        seen[layer.name] = said if layer.last else functional.relu(said)
    return seen[layers[-1].name]


# --- pictures ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile:
    """A picture of a magnetic tile.

    kind    None where it is called free of defects
    mask    255 where the defect is, 0 elsewhere, all 0 where nobody has outlined it
    group   pictures of one tile have one
    """

    name: str
    pixels: Image
    kind: str | None
    mask: Image
    group: int


def read_tiles(folder: Path, split: str) -> list[Tile]:
    """The pictures of a list ("train", "val"), in the order of images.csv. Raises TrainingDataMissing."""
    listing = folder / "images.csv"
    if not listing.exists():
        raise TrainingDataMissing(
            f"{listing} is not there.",
            action="Give the folder that holds the magnetic tiles with their masks.",
            path=str(listing),
        )
    tiles = []
    with listing.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] != split:
                continue
            stem = Path(row["file"]).stem
            pixels = cv2.imread(str(folder / "images" / row["file"]), cv2.IMREAD_GRAYSCALE)
            mask = cv2.imread(str(folder / "masks" / f"{stem}.png"), cv2.IMREAD_GRAYSCALE)
            tiles.append(
                Tile(
                    name=stem,
                    pixels=np.asarray(pixels, np.uint8),
                    kind=TILE_KINDS.get(row["image_class"]),
                    mask=np.where(np.asarray(mask) > 127, 255, 0).astype(np.uint8),
                    group=int(row["tile_group"]),
                )
            )
    return tiles


def set_aside(tiles: Sequence[Tile]) -> tuple[list[Tile], list[Tile]]:
    """Those to learn from, and the good ones that set the thresholds: whole tiles, good under every lamp."""
    defective = {one.group for one in tiles if one.kind is not None}
    good = sorted({one.group for one in tiles} - defective)
    kept = set(good[::SET_ASIDE])
    return [one for one in tiles if one.group not in kept], [one for one in tiles if one.group in kept]


def view(
    tile: Tile, others: Sequence[Tile], rng: np.random.Generator, *, pasted: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A tile as it may come: (input, cells, kinds).

    others   outlined defects, of which one is laid onto a good tile in `pasted` of the cases

    input (INPUT_PX, INPUT_PX) 0..1; cells (kinds, INPUT_PX / 4, INPUT_PX / 4): 1 with a defect, 0 without, -1 not
    known; kinds (kinds,): 1 where the view shows that kind, -1 where nobody can say.
    """
    pixels, marks = tile.pixels, np.zeros((len(KINDS), *tile.mask.shape), np.uint8)
    if tile.kind is not None:
        marks[KINDS.index(tile.kind)] = tile.mask
    elif others and rng.random() < pasted:
        pixels, marks = _with_pasted(pixels, marks, others[int(rng.integers(len(others)))], rng)
    height, width = pixels.shape
    marked = np.asarray(marks.max(axis=0) > 0)
    side = int(rng.uniform(0.8, 1.0) * TILE_PX)
    left, right = _window(marked, width, side, axis=0, rng=rng)
    top, bottom = _window(marked, height, side, axis=1, rng=rng)
    scale = INPUT_PX / max(right - left, bottom - top) * rng.uniform(0.8, 1.1)
    angle = rng.normal(0, 3)
    turn = cv2.getRotationMatrix2D(((left + right) / 2, (top + bottom) / 2), angle, scale)
    room = INPUT_PX - np.array([right - left, bottom - top]) * scale
    middle = INPUT_PX / 2 + rng.uniform(-0.5, 0.5, 2) * np.abs(room)
    turn[:, 2] += middle - np.array([(left + right) / 2, (top + bottom) / 2])
    if rng.random() < 0.5:
        turn[0] = [0, 0, INPUT_PX - 1] - turn[0]
    if rng.random() < 0.5:
        turn[1] = [0, 0, INPUT_PX - 1] - turn[1]
    hw = (INPUT_PX, INPUT_PX)
    there = np.zeros((height, width), np.uint8)
    there[top:bottom, left:right] = 1
    lit = relit(pixels, rng)
    shown = cv2.warpAffine(lit, turn, hw, flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(there, turn, hw, flags=cv2.INTER_NEAREST) > 0
    shown = np.where(inside, shown, _MARGIN / 255).astype(np.float32)
    cells = np.zeros((len(KINDS), INPUT_PX // CELL_PX, INPUT_PX // CELL_PX), np.float32)
    kinds = np.zeros(len(KINDS), np.float32)
    for number, mark in enumerate(marks):
        if not mark.any():
            continue
        seen = (cv2.warpAffine(mark, turn, hw, flags=cv2.INTER_LINEAR) > 127) & inside
        cells[number] = seen.reshape(cells.shape[1], CELL_PX, cells.shape[2], CELL_PX).max(axis=(1, 3))
        # Of a defect that is only just in sight neither can be asked.
        kinds[number] = 1.0 if cells[number].sum() >= 2 else -1.0
    if tile.kind is not None and not tile.mask.any():
        number = KINDS.index(tile.kind)
        cells[number], kinds[number] = -1.0, 1.0
    return np.asarray(shown, np.float32), cells, kinds


def _window(
    marked: NDArray[np.bool_], length: int, side: int, *, axis: int, rng: np.random.Generator
) -> tuple[int, int]:
    """From where to where of a side that is longer than a tile is looked at; mostly where something is marked."""
    if length <= side:
        return 0, length
    start = int(rng.integers(0, length - side + 1))
    places = np.flatnonzero(marked.any(axis=axis))
    if places.size and rng.random() < 0.8:
        start = int(np.clip(rng.choice(places) - rng.uniform(0.1, 0.9) * side, 0, length - side))
    return start, start + side


def _with_pasted(
    pixels: Image, marks: NDArray[np.uint8], from_tile: Tile, rng: np.random.Generator
) -> tuple[Image, NDArray[np.uint8]]:
    """A defect of another tile laid onto this one: what it differs by from its own surroundings is added here."""
    x, y, w, h = cv2.boundingRect(from_tile.mask)
    rim = 6
    top, left = max(y - rim, 0), max(x - rim, 0)
    piece = from_tile.pixels[top : y + h + rim, left : x + w + rim].astype(np.float32)
    mask = from_tile.mask[top : y + h + rim, left : x + w + rim]
    if piece.shape[0] > pixels.shape[0] or piece.shape[1] > pixels.shape[1]:
        return pixels, marks
    around = float(np.median(piece[mask == 0])) if (mask == 0).any() else float(piece.mean())
    down, along = (int(step) for step in rng.choice([1, -1], 2))
    piece, mask = piece[::down, ::along], np.ascontiguousarray(mask[::down, ::along])
    soft = cv2.GaussianBlur(mask, (0, 0), 1.5).astype(np.float32) / 255
    top, left = (
        int(rng.integers(0, room + 1)) for room in np.subtract(pixels.shape, piece.shape, dtype=np.intp)
    )
    window = (slice(top, top + piece.shape[0]), slice(left, left + piece.shape[1]))
    changed = pixels.copy()
    differs = (piece - around) * rng.uniform(0.6, 1.2) * soft
    changed[window] = np.clip(changed[window] + differs, 0, 255).astype(np.uint8)
    marked = marks.copy()
    assert from_tile.kind is not None
    marked[KINDS.index(from_tile.kind)][window] = mask
    return changed, marked


def relit(pixels: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    """Under another lamp and through another lens: gamma, gain, offset, blur, noise; 0..1."""
    lit = (pixels.astype(np.float32) / 255) ** np.float32(np.exp(rng.normal(0, 0.2)))
    lit = lit * np.float32(rng.uniform(0.75, 1.3)) + np.float32(rng.normal(0, 0.05))
    if rng.random() < 0.2:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.4, 0.9)), np.float32)
    if rng.random() < 0.4:
        lit = lit + rng.normal(0, rng.uniform(0, 0.02), lit.shape).astype(np.float32)
    return np.clip(lit, 0, 1).astype(np.float32)


# --- learning ------------------------------------------------------------------------------------------


def train(
    folder: Path, learn: Sequence[Tile], *, threads: int, phases: Sequence[Phase] = PHASES, seed: int = 0
) -> Path:
    """Train, and return the weights: the mean of the last some hundred steps. Goes on with what was interrupted.

    folder   of this run: weights.pt, run.json
    """
    # Waiting threads that spin take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    outlined = [one for one in learn if one.kind in _PASTED and one.mask.any()]
    network = make_network().to(memory_format=torch.channels_last)
    mean = make_network()
    mean.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=phases[0].rate, weight_decay=_DECAY)
    kept, begin, seconds = folder / "weights.pt", 0, 0.0
    if kept.exists():
        saved = torch.load(kept, weights_only=True)
        network.load_state_dict(saved["network"])
        mean.load_state_dict(saved["mean"])
        optimiser.load_state_dict(saved["optimiser"])
        begin, seconds = saved["epoch"], saved["seconds"]
    plan = [(phase, epoch) for phase in phases for epoch in range(phase.epochs)]
    for number, (phase, epoch) in enumerate(plan[begin:], begin):
        began = time.monotonic()
        rng = np.random.default_rng([seed, number])
        order = drawn_for_an_epoch(learn, rng)
        steps = len(order) // _BATCH
        total = 0.0
        network.train()
        for step in range(steps):
            done = epoch * steps + step
            falls = (1 + math.cos(math.pi * done / (phase.epochs * steps))) / 2
            for group in optimiser.param_groups:
                group["lr"] = phase.rate * min(1.0, (done + 1) / 100) * falls
            views = [
                view(learn[i], outlined, rng, pasted=phase.pasted)
                for i in order[step * _BATCH : (step + 1) * _BATCH]
            ]
            images, cells, kinds = (torch.from_numpy(np.stack(some)) for some in zip(*views, strict=True))
            images = images[:, None].contiguous(memory_format=torch.channels_last)
            with autocast():
                said = logits(network, images)
            loss = loss_of(said.float(), cells, kinds)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            follow(mean, network, min(_MEAN_OF_STEPS, (done + 1) / (done + 20)))
            total += float(loss.detach())
        seconds += time.monotonic() - began
        facts = {"epoch": number + 1, "seconds": seconds}
        state = {"network": network.state_dict(), "mean": mean.state_dict()}
        torch.save({**state, "optimiser": optimiser.state_dict(), **facts}, kept)
        told = {**facts, "seed": seed, "threads": threads, "interrupted": begin > 0}
        (folder / "run.json").write_text(json.dumps(told), encoding="utf-8")
        sys.stdout.write(
            f"epoch {number + 1} of {len(plan)}: loss {total / steps:.4f}, {seconds:.0f} s so far\n"
        )
        sys.stdout.flush()
    return kept


def drawn_for_an_epoch(tiles: Sequence[Tile], rng: np.random.Generator) -> list[int]:
    """Numbers of the tiles of one epoch, shuffled: each defective one twice, rare kinds more often, and as many good
    ones as defective."""
    number = {kind: sum(one.kind == kind for one in tiles) for kind in KINDS}
    most = max(number.values())
    defective = []
    for i, one in enumerate(tiles):
        if one.kind is not None:
            defective += [i] * (2 if number[one.kind] * 2 > most else 3)
    good = [i for i, one in enumerate(tiles) if one.kind is None]
    picked = [*defective, *rng.choice(good, min(len(defective), len(good)), replace=False).tolist()]
    return [picked[i] for i in rng.permutation(len(picked))]


def loss_of(said: Any, cells: Any, kinds: Any) -> Any:
    """Of the cells: cross-entropy and overlap (Dice) of each outlined defect; of the picture: its surest cells."""
    import torch
    from torch.nn import functional

    known = (cells >= 0).float()
    wanted = cells.clamp(min=0)
    each = functional.binary_cross_entropy_with_logits(said, wanted, reduction="none") * known
    # Half for the cells with a defect, half for those without: a blowhole is 5 cells of 6400.
    on_defects = (each * wanted).sum() / wanted.sum().clamp(min=1)
    elsewhere = (each * (1 - wanted)).sum() / known.sum().clamp(min=1)
    share = torch.sigmoid(said) * known
    overlap = (2 * (share * wanted).sum((2, 3)) + 1) / (share.sum((2, 3)) + wanted.sum((2, 3)) + 1)
    shown = wanted.sum((2, 3)) > 0
    dice = (1 - overlap)[shown].mean() if shown.any() else torch.zeros(())
    surest = said.flatten(2).topk(_SUREST, dim=2).values.mean(2)
    asked = (kinds >= 0).float()
    picture = functional.binary_cross_entropy_with_logits(surest, kinds.clamp(min=0), reduction="none")
    return 0.1 * on_defects + 5 * elsewhere + 0.5 * dice + (picture * asked).sum() / asked.sum().clamp(min=1)


def follow(mean: Any, network: Any, share: float) -> None:
    import torch

    with torch.no_grad():
        for name, value in mean.state_dict().items():
            now = network.state_dict()[name]
            if value.dtype.is_floating_point:
                value.mul_(share).add_(now, alpha=1 - share)
            else:
                value.copy_(now)


# --- the file ------------------------------------------------------------------------------------------


def load(weights: Path) -> Any:
    """The trained network, ready to answer."""
    import torch

    network = make_network()
    network.load_state_dict(torch.load(weights, weights_only=True)["mean"])
    return network.eval()


def as_arrays(network: Any) -> dict[str, NDArray[np.float32]]:
    """All that a trained network knows, by torch's names of it."""
    return {name: np.asarray(one.detach().numpy()) for name, one in network.state_dict().items()}


def as_onnx(
    learned: Mapping[str, NDArray[np.float32]],
    *,
    opset: int,
    layers: Sequence[Layer] = LAYERS,
    input_px: int = INPUT_PX,
    pooled: Sequence[int] = (),
    even_at: Sequence[float] = (),
    loudest: bool = False,
) -> bytes:
    """The network as an ONNX file: (1, 1, input_px, input_px) 0..1 in, map (1, kinds, input_px / 4, …) 0..1 out.

    learned   as `as_arrays` gives it. Its norms are folded into the convolutions
    pooled    for each kind: a cell's logit is the mean of so many each way around it; odd
    even_at   for each kind: the logit of which the score is 0.5
    loudest   one map instead of one for each kind: of each cell its surest kind
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")]
    for layer in layers:
        read = list(layer.sources)
        for n, name in enumerate(read):
            if name == layer.enlarged:
                read[n] = f"{name}_twice"
                nodes.append(
                    helper.make_node(
                        "Resize",
                        [name, "", "twice"],
                        [read[n]],
                        name=f"{layer.name}/resize",
                        mode="nearest",
                        coordinate_transformation_mode="asymmetric",
                        nearest_mode="floor",
                    )
                )
        given = read[0]
        if len(read) > 1:
            given = f"{layer.name}_read"
            nodes.append(helper.make_node("Concat", read, [given], name=f"{layer.name}/concat", axis=1))
        weight, bias = _folded(learned, layer)
        if layer.last and even_at:
            bias = bias - np.asarray(even_at, np.float32)
        constants += [
            numpy_helper.from_array(weight, f"{layer.name}.weight"),
            numpy_helper.from_array(bias, f"{layer.name}.bias"),
        ]
        said = layer.name if layer.last else f"{layer.name}_said"
        nodes.append(
            helper.make_node(
                "Conv",
                [given, f"{layer.name}.weight", f"{layer.name}.bias"],
                [said],
                name=f"{layer.name}/conv",
                kernel_shape=[layer.size] * 2,
                strides=[layer.stride] * 2,
                pads=[layer.size // 2] * 4,
            )
        )
        if layer.residual:
            nodes.append(helper.make_node("Add", [said, given], [f"{said}_sum"], name=f"{layer.name}/add"))
            said = f"{said}_sum"
        if not layer.last:
            nodes.append(helper.make_node("Relu", [said], [layer.name], name=f"{layer.name}/relu"))
    told = layers[-1].name
    if pooled:
        for size in sorted(set(pooled)):
            nodes.append(
                helper.make_node(
                    "AveragePool",
                    [told],
                    [f"pooled_{size}"],
                    name=f"map/pool_{size}",
                    kernel_shape=[size] * 2,
                    pads=[size // 2] * 4,
                    count_include_pad=0,
                )
            )
        for kind, size in enumerate(pooled):
            constants.append(numpy_helper.from_array(np.array([kind], np.int64), f"kind_{kind}"))
            nodes.append(
                helper.make_node(
                    "Gather",
                    [f"pooled_{size}", f"kind_{kind}"],
                    [f"pooled/{kind}"],
                    name=f"map/kind_{kind}",
                    axis=1,
                )
            )
        told = "pooled"
        read = [f"pooled/{kind}" for kind in range(len(pooled))]
        nodes.append(helper.make_node("Concat", read, [told], name="map/kinds", axis=1))
    if loudest:
        nodes.append(helper.make_node("ReduceMax", [told], ["loudest"], name="map/loudest", axes=[1]))
        told = "loudest"
    nodes.append(helper.make_node("Sigmoid", [told], ["map"], name="map/sigmoid"))
    cells, maps = input_px // CELL_PX, 1 if loudest else layers[-1].channels
    graph = helper.make_graph(
        nodes,
        "segments",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, input_px, input_px])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, maps, cells, cells])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def in_one_file(networks: Sequence[bytes], shares: Sequence[int] = ()) -> bytes:
    """One file that says the mean of the logits of several, each as `as_onnx` or this gives it, at the first's input.

    shares   how often each counts in the mean; once where nothing is said

    All have the kinds of the first, or one map, which then counts for every kind.
    """
    import onnx
    from onnx import compose, helper

    members = [onnx.load_from_string(one) for one in networks]
    nodes, constants, said = [], [], []
    for number, (member, share) in enumerate(zip(members, shares or [1] * len(members), strict=True)):
        graph = compose.add_prefix_graph(
            member.graph, f"{number}/", rename_inputs=False, rename_outputs=False
        )
        nodes += [one for one in graph.node if one.op_type != "Sigmoid"]
        (last,) = (one for one in graph.node if one.op_type == "Sigmoid")
        said += list(last.input) * share
        constants += graph.initializer
    nodes.append(helper.make_node("Mean", said, ["mean"], name="mean"))
    nodes.append(helper.make_node("Sigmoid", ["mean"], ["map"], name="map/sigmoid"))
    first = members[0]
    graph = helper.make_graph(nodes, "segments", first.graph.input, first.graph.output, constants)
    model = helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def votes(network: bytes) -> int:
    """Of how many networks `in_one_file` made it."""
    import onnx

    means = [one for one in onnx.load_from_string(network).graph.node if one.name == "mean"]
    return len(means[0].input) if means else 1


def _folded(
    learned: Mapping[str, NDArray[np.float32]], layer: Layer
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a convolution with the norm after it taken in."""
    if layer.last:
        return learned[f"{layer.name}.weight"], learned[f"{layer.name}.bias"]
    norm = {
        part: learned[f"{layer.name}.1.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    }
    by = norm["weight"] / np.sqrt(norm["running_var"] + NORM_EPS)
    weight = learned[f"{layer.name}.0.weight"] * by[:, None, None, None]
    return np.asarray(weight, np.float32), np.asarray(norm["bias"] - norm["running_mean"] * by, np.float32)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.segment", description=__doc__)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data" / "magnetic_tile")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "runs" / "tile")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    learn, _ = set_aside(read_tiles(asked.data, "train"))
    weights = train(asked.folder, learn, threads=asked.threads, seed=asked.seed)
    sys.stdout.write(f"{weights}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
