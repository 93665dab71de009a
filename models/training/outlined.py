"""Trains a detector of defects' pixels from a plant's own labelled pictures: a station's page Training begins it here.

    python -m models.training.outlined --data SET --name NAME --into FOLDER [--int8]

As `labelled`, but what is learnt is which pixels, by the network of `segment` with torch alone: one map of scores for
each kind. An outline says where its defect is. A box without one says that it is somewhere inside, and a box around the
whole picture, as class folders give it, only that the picture shows it. A fifth of the units teach nothing: they choose
the thresholds, and say how good the detector is.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from inspection.vision.tiles import cut_into_tiles
from models.anomaly import say_progress
from models.card import Measured, ModelCard, Training, TrainingSource
from models.datasets import to_train_from, version_of
from models.errors import SetUnfit
from models.heads import NetworkForm
from models.labels import LabelledFile, LabelledSet, read_yolo
from models.store import ModelStore, ReleasedModel
from models.training import segment
from models.training.dataset import Labelled
from models.training.labelled import LICENCE, in_grey, read, say, size_of, what_to_train
from models.training.precision import autocast
from models.training.quantise import quantised
from models.training.release import (
    CLEAN_SHARE,
    INT8_LOSS,
    LOWEST_SCORE,
    OPSET,
    Gold,
    judged,
    latency,
    loudest,
    lowered,
    measure,
    today,
    write,
)
from models.training.release_tile import inputs_of, parity

EPOCHS: Final = 60

LEAST_STEPS: Final = 25
"""Of an epoch: a set of some dozens of pictures would else be over after a hundred steps."""

THRESHOLDS_BY: Final = (
    "0.5, lowered for all kinds together, by a tenth at a time, until at most 1 % of the defective pictures set aside "
    f"escape; but so high that at most {CLEAN_SHARE:.1%} of the good ones set aside alarm, or one, and never below 0.05"
)

_BATCH, _RATE, _DECAY = 16, 2e-3, 1e-2
_MEAN_OF_STEPS = 0.99
_MARGIN = 114
_LEAST_CELLS = 2
"""Of an outlined defect in sight; of less than that neither can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """What one input shows.

    pixels   (height, width), grey
    marks    (kinds, height, width): 1 where that defect is, 0 where it is not, -1 where nobody can say
    shows    (kinds,): 1 where it is on the piece, 0 where it is not, -1 where nobody can say
    """

    pixels: Image
    marks: NDArray[np.int8]
    shows: NDArray[np.int8]


def marks_of(picture: LabelledFile, kinds: Sequence[str]) -> NDArray[np.int8]:
    """As `Piece.marks`, of a whole picture."""
    marks = np.zeros((len(kinds), picture.height_px, picture.width_px), np.int8)
    for one in picture.truth:
        if not one.outline_px:
            box = one.box_px
            rows = slice(math.floor(box.y1), math.ceil(box.y2))
            marks[kinds.index(one.kind), rows, math.floor(box.x1) : math.ceil(box.x2)] = -1
    for one in picture.truth:
        if one.outline_px:
            filled = np.zeros(marks.shape[1:], np.uint8)
            cv2.fillPoly(filled, [np.round(np.array(one.outline_px)).astype(np.int32)], 1)
            marks[kinds.index(one.kind)][filled > 0] = 1
    return marks


def pieces_of(pixels: Image, picture: LabelledFile, kinds: Sequence[str], *, tile_px: int) -> list[Piece]:
    """The picture as a station will show it to the network: whole, or in tiles."""
    marks = marks_of(picture, kinds)
    found = []
    for tile in cut_into_tiles((picture.height_px, picture.width_px), tile_px=tile_px):
        cut = marks[:, tile.top : tile.bottom, tile.left : tile.right]
        shows = np.where(cut.any(axis=(1, 2)), -1, 0).astype(np.int8)
        shows[(cut == 1).any(axis=(1, 2))] = 1
        for one in picture.truth:
            box = one.box_px
            # It is somewhere in the box: a piece that shows a part of the box need not show it.
            if tile.left <= box.x1 and box.x2 <= tile.right and tile.top <= box.y1 and box.y2 <= tile.bottom:
                shows[kinds.index(one.kind)] = 1
        found.append(Piece(pixels=np.ascontiguousarray(tile.of(pixels)), marks=cut, shows=shows))
    return found


def view(
    piece: Piece, rng: np.random.Generator, *, input_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A piece as it may come: (input, cells, kinds), as `segment.view` gives them."""
    height, width = piece.pixels.shape
    scale = input_px / max(height, width) * rng.uniform(0.85, 1.05)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 3), scale)
    room = input_px - np.array([width, height]) * scale
    turn[:, 2] += input_px / 2 + rng.uniform(-0.5, 0.5, 2) * np.abs(room) - np.array([width, height]) / 2
    for axis in range(2):
        if rng.random() < 0.5:
            turn[axis] = np.array([0, 0, input_px - 1]) - turn[axis]
    hw, side = (input_px, input_px), input_px // segment.CELL_PX
    lit = segment.relit(piece.pixels, rng)
    shown = cv2.warpAffine(lit, turn, hw, flags=cv2.INTER_LINEAR, borderValue=_MARGIN / 255)
    cells = np.zeros((len(piece.marks), side, side), np.float32)
    kinds = piece.shows.astype(np.float32)
    for number, mark in enumerate(piece.marks):
        if not mark.any():
            continue
        unknown, there = (
            cv2.warpAffine((mark == value).astype(np.uint8) * 255, turn, hw, flags=cv2.INTER_LINEAR)
            .reshape(side, segment.CELL_PX, side, segment.CELL_PX)
            .max(axis=(1, 3))
            > 127
            for value in (-1, 1)
        )
        cells[number] = np.where(there, 1, np.where(unknown, -1, 0))
        if (mark == 1).any() and not unknown.any() and there.sum() < _LEAST_CELLS:
            kinds[number] = -1
    return np.asarray(shown, np.float32), cells, kinds


def drawn_for_an_epoch(pieces: Sequence[Piece], rng: np.random.Generator) -> list[int]:
    """Numbers of the pieces of one epoch, shuffled: those with a defect, about as many without, all of them again until
    there are LEAST_STEPS batches."""
    bad = [number for number, one in enumerate(pieces) if one.shows.any()]
    even = [number for number, one in enumerate(pieces) if not one.shows.any()]
    picked: list[int] = []
    while len(picked) < LEAST_STEPS * _BATCH:
        picked += [*bad, *rng.permutation(even).astype(int).tolist()[: len(bad)]]
    return [picked[number] for number in rng.permutation(len(picked))]


def learn(pieces: Sequence[Piece], *, input_px: int, epochs: int, threads: int, seed: int = 0) -> Any:
    """The network, from nothing: the mean of its last some hundred steps."""
    # Waiting threads that spin take the core from the one they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    layers = segment.layers_for(len(pieces[0].shows))
    network = segment.make_network(layers).to(memory_format=torch.channels_last)
    mean = segment.make_network(layers)
    mean.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    network.train()
    done = 0
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch])
        order = drawn_for_an_epoch(pieces, rng)
        steps = len(order) // _BATCH
        total = 0.0
        for step in range(steps):
            falls = (1 + math.cos(math.pi * (epoch + step / steps) / epochs)) / 2
            for group in optimiser.param_groups:
                group["lr"] = _RATE * min(1.0, (done + 1) / 50) * falls
            views = [
                view(pieces[number], rng, input_px=input_px)
                for number in order[step * _BATCH : (step + 1) * _BATCH]
            ]
            images, cells, kinds = (torch.from_numpy(np.stack(some)) for some in zip(*views, strict=True))
            images = images[:, None].contiguous(memory_format=torch.channels_last)
            with autocast():
                said = segment.logits(network, images, layers)
            loss = segment.loss_of(said.float(), cells, kinds)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            segment.follow(mean, network, min(_MEAN_OF_STEPS, (done + 1) / (done + 21)))
            total += float(loss.detach())
            done += 1
        say(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}")
        # The release takes little against all of them.
        say_progress(0.95 * (epoch + 1) / epochs)
    return mean.eval()


def train_from_outlines(
    labelled: LabelledSet,
    *,
    name: str,
    source: str,
    version: str,
    into: Path,
    epochs: int,
    licence: str = LICENCE,
) -> Path:
    """The folder of the released model; `licence` is that of the pictures.

    Raises SetUnfit, and RuntimeError where the exported file answers otherwise than the network.
    """
    teach, judge = to_train_from(labelled)
    kinds = sorted({kind for one in teach.pictures for kind in one.kinds})
    tile_px, input_px = size_of(labelled)
    pieces = [
        piece
        for one in teach.pictures
        for piece in pieces_of(in_grey(teach, one), one, kinds, tile_px=tile_px)
    ]
    _check_shown(labelled, pieces, kinds, tile_px)
    outlined = sum(bool(truth.outline_px) for one in teach.pictures for truth in one.truth)
    said = sum(len(one.truth) for one in teach.pictures)
    say(f"{len(pieces)} pieces of {tile_px} px teach, {outlined} of {said} defects outlined")
    say(f"{len(judge.pictures)} pictures of other units judge")
    threads = len(os.sched_getaffinity(0))
    trained = learn(pieces, input_px=input_px, epochs=epochs, threads=threads)
    network = segment.as_onnx(
        segment.as_arrays(trained), opset=OPSET, layers=segment.layers_for(len(kinds)), input_px=input_px
    )
    card = ModelCard(
        name=name,
        version=version,
        task="maps",
        form=NetworkForm(channels=1),
        file="model.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        made_on=today(),
        kinds=tuple(kinds),
        input_hw=(input_px, input_px),
        tile_px=tile_px,
        opset=OPSET,
        thresholds=dict.fromkeys(kinds, 0.5),
        thresholds_by=THRESHOLDS_BY,
        suppress_above=0.5,
        licence=licence,
        training=Training(
            tool="torch, models/training/outlined.py, from scratch (no downloaded weights)",
            tool_licence="BSD-3-Clause (torch), Apache-2.0 (outlined.py)",
            network="LAYERS of models/training/segment.py",
            command=f"python -m models.training.outlined --name {name} --epochs {epochs}",
            seed=0,
            epochs=epochs,
            interrupted=False,
            digest=_digest(pieces),
            chosen_by="the pictures set aside (thresholds; no epoch was chosen)",
            by_its_own_tool="-",
            sources=(TrainingSource(name=source, licence=licence, images=len(teach.pictures), boxes=said),),
        ),
    )
    gold = _gold(labelled, judge)
    inputs = inputs_of(card, [one.pixels for one in gold.pictures])
    card = card.model_copy(update={"export_parity": parity(card, network, trained, inputs[:60])})
    card = _proven(card, network, gold)
    spent = latency(ReleasedModel(card=card, network=network), None)
    return _written(card.model_copy(update={"latency": spent}), network, into)


def release_int8(released: ReleasedModel, labelled: LabelledSet, *, into: Path) -> Path:
    """The folder of the int8 twin of a released model, `<name>-int8` of the same version. Its scales are from the
    pictures of the set that teach; those that judge say what it costs.

    Raises SetUnfit, and RuntimeError where it costs more than INT8_LOSS of the AUROC of pictures, or of mAP50 where all
    of them are defective.
    """
    teach, judge = to_train_from(labelled)
    shown = [in_grey(teach, one) for one in teach.pictures]
    inputs = [released.card.form.prepared(one) for one in inputs_of(released.card, shown)]
    network = quantised(released.network, inputs)
    gold = _gold(labelled, judge)
    before = _figure(measure(released.card, released.network, gold))
    card = released.card.model_copy(
        update={
            "name": f"{released.card.name}-int8",
            "sha256": hashlib.sha256(network).hexdigest(),
            "made_on": today(),
        }
    )
    card = _proven(card, network, gold)
    after = _figure(card.measured[0])
    if before[1] - after[1] > INT8_LOSS:
        raise RuntimeError(f"int8 costs {before[1] - after[1]:.4f} of {before[0]}, allowed {INT8_LOSS}")
    parity_said = (
        f"on the pictures that judge {after[0]} {after[1]:.4f}, its float twin {before[1]:.4f} (allowed {INT8_LOSS} "
        f"less). The float twin: {released.card.export_parity}"
    )
    spent = latency(ReleasedModel(card=card, network=network), released)
    return _written(card.model_copy(update={"export_parity": parity_said, "latency": spent}), network, into)


def _gold(labelled: LabelledSet, judge: LabelledSet) -> Gold:
    return Gold(
        on=f"{len(judge.pictures)} pictures of other units than taught it",
        pictures=read(judge),
        note="They also chose the thresholds. mAP50 is of the boxes around the pieces reported, and says nothing of "
        f"kinds of which labels do not say where. The set is {version_of(labelled)}.",
    )


def _proven(card: ModelCard, network: bytes, gold: Gold) -> ModelCard:
    """With thresholds, and what it does with them on the pictures that judge."""
    card = card.model_copy(update={"thresholds": _thresholds(card, network, gold.pictures)})
    return card.model_copy(update={"measured": (measure(card, network, gold),)})


def _figure(measured: Measured) -> tuple[str, float]:
    """What a detector is judged by here, by name."""
    return ("mAP50", measured.map50 or 0.0) if measured.auroc is None else ("AUROC", measured.auroc)


def _written(card: ModelCard, network: bytes, into: Path) -> Path:
    write(card, network, into)
    measured = card.measured[0]
    sure = "" if measured.auroc is None else f"AUROC {measured.auroc:.3f}, "
    say(
        f"{sure}{measured.escapes} of {measured.defective} defective pictures escape, "
        f"{measured.overkill} of {measured.clean} good ones are reported"
    )
    return into / card.name / card.version


def _check_shown(labelled: LabelledSet, pieces: Sequence[Piece], kinds: Sequence[str], tile_px: int) -> None:
    """Raises SetUnfit for kinds that no piece is known to show."""
    if nowhere := [
        kind for number, kind in enumerate(kinds) if all(one.shows[number] != 1 for one in pieces)
    ]:
        wrong = f"of {', '.join(nowhere)} nobody says where, on pictures larger than {tile_px} px"
        raise SetUnfit(
            f"{labelled.folder} cannot teach which pixels: {wrong}.",
            action="Outline some of these defects, or give smaller pictures.",
            place=str(labelled.folder),
            wrong=wrong,
        )


def _thresholds(card: ModelCard, network: bytes, pictures: Sequence[Labelled]) -> dict[str, float]:
    """By THRESHOLDS_BY."""
    looked = judged(card, network, pictures, min_score=LOWEST_SCORE)
    highest = loudest(looked, card.kinds)
    is_bad = np.array([bool(one.truth_kind) for one in looked])
    chosen = lowered(np.full(len(card.kinds), 0.5), highest[is_bad], highest[~is_bad])
    return {kind: round(min(float(one), 1.0), 3) for kind, one in zip(card.kinds, chosen, strict=True)}


def _digest(pieces: Sequence[Piece]) -> str:
    """Over pixels and marks, in their order."""
    digest = hashlib.sha256()
    for one in pieces:
        digest.update(one.pixels.tobytes() + one.marks.tobytes())
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    words = what_to_train("python -m models.training.outlined", __doc__.splitlines()[0], epochs=EPOCHS)
    words.add_argument(
        "--int8", action="store_true", help="nothing is trained: the int8 twin of that model in that folder"
    )
    asked = words.parse_args(arguments)
    labelled = read_yolo(asked.data)
    if asked.int8:
        released = ModelStore(asked.into).find(asked.name, asked.version)
        say(str(release_int8(released, labelled, into=asked.into)))
        return 0
    folder = train_from_outlines(
        labelled,
        name=asked.name,
        source=asked.set or asked.data.resolve().name,
        version=asked.version,
        into=asked.into,
        epochs=asked.epochs,
        licence=asked.licence,
    )
    say(str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
