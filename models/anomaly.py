"""A detector of whatever good parts do not have, fitted from pictures of good parts only.

    python -m models.anomaly --good FOLDER --name NAME --into models/released

For a surface where nobody has labelled a defect yet. The first layers of a network of our own, trained on strip, tell
what a place looks like; two small layers are fitted to tell places of the good pictures from the same with blemishes
drawn onto them (`blemishes`). Its score is set on good pictures that taught it nothing: 0.5 is what the surest place of
all of them reaches. The result is a released model of the task "maps", with the one kind `anomaly`.

Some dozens of pictures do, of as many parts, lamps and days as the line knows: what good pictures do not show, it
reports. Needs the package onnx to write the file (`pip install "lynceus[fitting]"`), and none to run it.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inspection.types import Image
from inspection.vision.boxes import Letterbox
from inspection.vision.decoding import decode_image
from inspection.vision.tiles import cut_into_tiles
from models.blemishes import blemished
from models.boxes import fill_input
from models.card import ModelCard, Training, TrainingSource
from models.errors import TrainingDataMissing
from models.store import RELEASED, ModelStore, ReleasedModel

KIND = "anomaly"
PRECISION = "precision "
"""Begins the lines in which a training from labels says after which epoch it was how good."""
PROGRESS = "progress "
"""Begins the lines in which the command, asked to, says what share of its work is done."""
TILE_PX = 256
LEAST_PICTURES = 10

# A fixed version: what a later one is built like, the names of its layers do not tell.
BACKBONE = "strip-surface", "1.1.0"
# Answers of its layers at an 4th, an 8th and a 16th of the picture.
_LAYERS = tuple(f"/model.{number}/cv2/act/Mul_output_0" for number in (2, 4, 6))
_CELL_PX = 8
_OPSET = 17

# Of a cell: a blemish that covers more must be told, one that covers less may be.
_COVERED = 0.12
_EVEN_CELLS = 200
_HIDDEN = 64
STEPS = 2500
_BATCH, _RATE = 512, 1e-3
_TOLD_EVERY = 50
HELD_BACK = 5
"""One picture of so many teaches nothing and sets the score."""

_SHOWN = 0.6
"""Share of the work that is looking at the pictures; the rest is the fit."""

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Two layers on the features of a cell: `logit = out · silu(in · f + in_bias) + out_bias`."""

    into: NDArray[np.float32]
    into_bias: NDArray[np.float32]
    out: NDArray[np.float32]
    out_bias: float

    def logits(self, features: Features) -> NDArray[np.float32]:
        """Of features (N, channels), (N,): above 0 it is more likely a blemish."""
        hidden = features @ self.into + self.into_bias
        return np.asarray(hidden * _sigmoid(hidden) @ self.out + self.out_bias, np.float32)


def fit(
    good: Sequence[Image],
    *,
    name: str,
    version: str = "1.0.0",
    source: str,
    licence: str = "as the plant says of its pictures",
    backbone: ReleasedModel | None = None,
    versions_each: int = 6,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> ReleasedModel:
    """A model fitted from pictures of good parts, grey, of any size.

    source, licence   where the pictures are from and what may be done with them, for the card
    versions_each     how many blemished copies of each picture are learned from
    steps             of the fit, each on 512 places
    progress          told what share of the work is done
    backbone          whose first layers describe a place; BACKBONE if not given

    Raises TrainingDataMissing for fewer than LEAST_PICTURES. Same pictures and seed, same model, on one machine.
    """
    backbone = backbone or ModelStore().find(*BACKBONE)
    describe = _Describer(backbone)
    rng = np.random.default_rng(seed)
    learned, held_back = parted(good, rng, source=source)
    features, blemish = _examples(
        learned,
        describe,
        rng,
        versions_each=versions_each,
        progress=lambda share: progress(_SHOWN * share),
    )
    fitted = _fit(
        features,
        blemish,
        rng,
        steps=steps,
        progress=lambda share: progress(_SHOWN + (1 - _SHOWN) * share),
    )
    surest = max(
        float(fitted.logits(cells).max())
        for one in held_back
        for tile in _tiles(one)
        for cells in [describe(tile)[0]]
    )
    network = describe.with_head(fitted, surest=surest)
    digest = hashlib.sha256(b"".join(one.tobytes() for one in good)).hexdigest()
    card = ModelCard(
        name=name,
        version=version,
        task="maps",
        file="model.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        made_on=datetime.datetime.now(datetime.UTC).date(),
        kinds=(KIND,),
        input_hw=(TILE_PX, TILE_PX),
        tile_px=TILE_PX,
        opset=_OPSET,
        thresholds={KIND: 0.5},
        thresholds_by=f"0.5 is the surest place of {len(held_back)} good pictures that taught nothing",
        suppress_above=0.5,
        licence=f"first layers: {backbone.card.licence}; the rest: {licence}",
        export_parity="the file was fitted as it runs: its own first layers gave the features",
        training=Training(
            tool="models/anomaly.py",
            tool_licence="Apache-2.0",
            network=f"first layers of {backbone.card.name} {backbone.card.version}, and two of {_HIDDEN} and 1",
            command=f"python -m models.anomaly --name {name}",
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
    return ReleasedModel(card=card, network=network)


def parted(
    good: Sequence[Image], rng: np.random.Generator, *, source: str
) -> tuple[list[Image], list[Image]]:
    """Of pictures of good parts those to learn from, and 1 in HELD_BACK, which is to set the threshold.

    Raises TrainingDataMissing for fewer than LEAST_PICTURES.
    """
    if len(good) < LEAST_PICTURES:
        raise TrainingDataMissing(
            f"{len(good)} pictures of good parts; at least {LEAST_PICTURES} are needed.",
            action="Take pictures of more good parts, of several days and lots.",
            path=source,
        )
    held_back = set(rng.permutation(len(good))[: max(len(good) // HELD_BACK, 2)].tolist())
    return [one for i, one in enumerate(good) if i not in held_back], [good[i] for i in sorted(held_back)]


def _tiles(picture: Image) -> Iterator[Image]:
    """As the detector will see it."""
    for tile in cut_into_tiles((picture.shape[0], picture.shape[1]), tile_px=TILE_PX):
        yield tile.of(picture)


def _examples(
    good: Sequence[Image],
    describe: _Describer,
    rng: np.random.Generator,
    *,
    versions_each: int,
    progress: Callable[[float], None],
) -> tuple[Features, NDArray[np.float32]]:
    """Features of cells (N, channels), and whether a blemish covers each, 0 or 1, but for those it only touches.

    All cells with a blemish, and of each copy as many good ones as are enough to know it by.
    """
    features, blemish = [], []
    tiles = [tile for picture in good for tile in _tiles(picture)]
    for number, tile in enumerate(tiles):
        progress(number / len(tiles))
        for copy in range(versions_each + 1):
            seen, where = blemished(tile, tiles, rng) if copy else (tile, np.zeros(tile.shape, np.bool_))
            cells, covered = describe(seen, where)
            bad, even = np.flatnonzero(covered > _COVERED), np.flatnonzero(covered == 0)
            even = rng.permutation(even)[:_EVEN_CELLS]
            features.append(cells[np.concatenate([bad, even])])
            blemish.append(np.repeat(np.array([1, 0], np.float32), [len(bad), len(even)]))
    return np.concatenate(features), np.concatenate(blemish)


def _fit(
    features: Features,
    blemish: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    steps: int,
    progress: Callable[[float], None],
) -> Fitted:
    """Logistic loss, Adam (Kingma and Ba 2015) with decay of the weights and a rate that falls along a cosine."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    channels = features.shape[1]
    weights = [
        (rng.standard_normal((channels, _HIDDEN)) / np.sqrt(channels)).astype(np.float32),
        np.zeros(_HIDDEN, np.float32),
        (rng.standard_normal(_HIDDEN) / np.sqrt(_HIDDEN)).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    first = [np.zeros_like(one) for one in weights]
    second = [np.zeros_like(one) for one in weights]
    for step in range(1, steps + 1):
        if step % _TOLD_EVERY == 0:
            progress(step / steps)
        rows = rng.integers(0, len(features), _BATCH)
        x = (features[rows] - mean) / spread
        hidden = x @ weights[0] + weights[1]
        gate = _sigmoid(hidden)
        active = hidden * gate
        off = (_sigmoid(active @ weights[2] + weights[3]) - blemish[rows]) / _BATCH
        back = off[:, None] * weights[2] * (gate * (1 + hidden * (1 - gate)))
        slopes = [x.T @ back, back.sum(axis=0), active.T @ off, off.sum(keepdims=True)]
        rate = _RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for weight, slope, m, v in zip(weights, slopes, first, second, strict=True):
            m += 0.1 * (slope - m)
            v += 0.001 * (slope * slope - v)
            weight -= rate * (m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8) + 0.01 * weight)
    into = weights[0] / spread[:, None]
    return Fitted(
        into=np.asarray(into, np.float32),
        into_bias=np.asarray(weights[1] - mean @ into, np.float32),
        out=weights[2],
        out_bias=float(weights[3][0]),
    )


class _Describer:
    """What the first layers of a network say of each cell of a tile."""

    def __init__(self, backbone: ReleasedModel) -> None:
        import onnx
        from onnx.utils import Extractor

        whole = onnx.load_from_string(backbone.network)
        for size in whole.graph.input[0].type.tensor_type.shape.dim[2:]:
            size.dim_value = TILE_PX
        # Their shapes were those of another input.
        del whole.graph.value_info[:]
        for layer in _LAYERS:
            whole.graph.output.append(onnx.helper.make_tensor_value_info(layer, onnx.TensorProto.FLOAT, None))
        self._input = whole.graph.input[0].name
        self._graph: Any = Extractor(whole).extract_model([self._input], list(_LAYERS))
        fine, middle, coarse = _LAYERS
        self._graph.graph.node.extend(
            [
                onnx.helper.make_node("AveragePool", [fine], ["fine"], kernel_shape=[2, 2], strides=[2, 2]),
                onnx.helper.make_node(
                    "Resize",
                    [coarse, "", "twice"],
                    ["coarse"],
                    mode="linear",
                    coordinate_transformation_mode="half_pixel",
                ),
                onnx.helper.make_node("Concat", ["fine", middle, "coarse"], ["features"], axis=1),
            ]
        )
        self._constant("twice", np.array([1, 1, 2, 2], np.float32))
        self._answer("features")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            self._graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._pixels = np.empty((1, 3, TILE_PX, TILE_PX), np.float32)

    def __call__(
        self, tile: Image, where: NDArray[np.bool_] | None = None
    ) -> tuple[Features, NDArray[np.float32]]:
        """Features (N, channels) of the cells that show some of the tile, and the share of each that `where` covers."""
        hw = tile.shape[0], tile.shape[1]
        fit = Letterbox.fit(hw, (TILE_PX, TILE_PX))
        fill_input(self._pixels[0], tile, fit)
        (answer,) = self._session.run(["features"], {self._input: self._pixels})
        shown = np.zeros((TILE_PX, TILE_PX), np.float32)
        window = (slice(fit.top, fit.top + fit.height), slice(fit.left, fit.left + fit.width))
        shown[window] = 1
        covered = np.zeros_like(shown)
        if where is not None:
            covered[window] = cv2.resize(
                where.astype(np.float32), (fit.width, fit.height), interpolation=cv2.INTER_AREA
            )
        there = _per_cell(shown).ravel() > 0
        features = np.asarray(answer[0], np.float32).reshape(answer.shape[1], -1).T
        return np.ascontiguousarray(features[there]), _per_cell(covered).ravel()[there]

    def with_head(self, fitted: Fitted, *, surest: float) -> bytes:
        """The network whole: tile in, map of scores (1, 1, cells, cells) out, 0.5 where the logit is `surest`."""
        import onnx

        self._constant("into", np.ascontiguousarray(fitted.into.T)[:, :, None, None])
        self._constant("into_bias", fitted.into_bias)
        self._constant("out", fitted.out[None, :, None, None])
        self._constant("out_bias", np.array([fitted.out_bias - surest], np.float32))
        self._graph.graph.node.extend(
            [
                onnx.helper.make_node(
                    "Conv", ["features", "into", "into_bias"], ["hidden"], kernel_shape=[1, 1]
                ),
                onnx.helper.make_node("Sigmoid", ["hidden"], ["gate"]),
                onnx.helper.make_node("Mul", ["hidden", "gate"], ["active"]),
                onnx.helper.make_node("Conv", ["active", "out", "out_bias"], ["logit"], kernel_shape=[1, 1]),
                onnx.helper.make_node("Sigmoid", ["logit"], ["map"]),
            ]
        )
        cells = TILE_PX // _CELL_PX
        self._answer("map", [1, 1, cells, cells])
        onnx.checker.check_model(self._graph)
        return bytes(self._graph.SerializeToString())

    def _constant(self, name: str, values: NDArray[np.float32]) -> None:
        import onnx

        self._graph.graph.initializer.append(onnx.numpy_helper.from_array(values, name))

    def _answer(self, name: str, shape: list[int] | None = None) -> None:
        import onnx

        del self._graph.graph.output[:]
        self._graph.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        )


def _per_cell(values: NDArray[np.float32]) -> NDArray[np.float32]:
    cells = TILE_PX // _CELL_PX
    return np.asarray(values.reshape(cells, _CELL_PX, cells, _CELL_PX).mean(axis=(1, 3)), np.float32)


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def write(model: ReleasedModel, into: Path) -> Path:
    """`<into>/<name>/<version>/`, as a store holds it."""
    import tomli_w

    folder = into / model.card.name / model.card.version
    folder.mkdir(parents=True)
    (folder / model.card.file).write_bytes(model.network)
    (folder / "card.toml").write_text(
        tomli_w.dumps(model.card.model_dump(exclude_none=True)), encoding="utf-8"
    )
    return folder


def say_precision(epoch: int, map50: float) -> None:
    """As `say_progress`: how good it is by now on what teaches nothing, 0 to 1."""
    sys.stdout.write(f"{PRECISION}{epoch} {map50:.3f}\n")
    sys.stdout.flush()


def say_progress(share: float) -> None:
    """On a line of its own, for whoever began this process: 0 to 1."""
    sys.stdout.write(f"{PROGRESS}{share:.3f}\n")
    sys.stdout.flush()


def what_to_fit(program: str, description: str, *, steps: int) -> argparse.ArgumentParser:
    """The words of a command that fits from good parts."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--good", type=Path, required=True, help="folder of pictures of good parts")
    parser.add_argument("--list", type=Path, default=None, help="which of them: a file of names, one a line")
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--licence", default="as the plant says of its pictures")
    parser.add_argument("--into", type=Path, default=RELEASED)
    parser.add_argument("--steps", type=int, default=steps, help="of the fit; fewer is faster and worse")
    parser.add_argument("--progress", action="store_true", help="say on lines of its own how far it is")
    return parser


def fit_and_write(
    asked: argparse.Namespace, fit_them: Callable[[list[Image], Callable[[float], None]], ReleasedModel]
) -> None:
    """Fit the pictures asked for, in grey, and write the model, saying where and in which time.

    fit_them  is given what to tell its progress, too
    """
    if asked.list is not None:
        files = [asked.good / name for name in asked.list.read_text(encoding="utf-8").splitlines()]
    else:
        files = sorted(
            one for one in asked.good.iterdir() if one.suffix.lower() in (".png", ".jpg", ".bmp", ".tif")
        )
    began = time.monotonic()
    good = []
    for file in files:
        pixels = decode_image(file.read_bytes())
        good.append(
            np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels, np.uint8)
        )
    progress = say_progress if asked.progress else lambda share: None
    folder = write(fit_them(good, progress), asked.into)
    sys.stdout.write(f"{folder}: {len(good)} pictures, {time.monotonic() - began:.0f} s\n")


def main(arguments: list[str]) -> int:
    parser = what_to_fit("python -m models.anomaly", __doc__.splitlines()[0], steps=STEPS)
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
            progress=progress,
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
