"""Makes releases of the trained map detector of magnetic tiles, in float and in int8:

    python -m models.training.release_tile --version 1.0.0 --runs runs/tile-0 runs/tile-1 runs/tile-2

The released network says the mean of what those of the runs say and of what `good_only` fits from the good tiles
alone: some dozens of defective tiles show few of the defects there can be, and what was drawn shows others. As
`release`, with two differences. The list that is measured on chose no thresholds: those come from good tiles of the
train list that were set aside. And what a tile is judged by is its surest place, so AUROC of pictures stands before
average precision.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.types import Box
from inspection.vision.boxes import Letterbox
from inspection.vision.drawing import DrawnDefect
from inspection.vision.tiles import cut_into_tiles
from models.boxes import fill_input
from models.card import ModelCard, Training, TrainingSource
from models.heads import NetworkForm
from models.session import Session
from models.store import ModelStore, ReleasedModel
from models.training import good_only, segment
from models.training.dataset import TILE_LICENCE, Labelled, read_tiles
from models.training.quantise import quantised
from models.training.release import (
    INT8_LOSS,
    LOWEST_SCORE,
    LOWEST_THRESHOLD,
    PARITY_SCORE,
    Gold,
    judged,
    latency,
    loudest,
    measure,
    quiet_from,
    today,
    write,
)
from models.training.train import REPOSITORY

NAME = "magnetic-tile"
BESIDE = "magnetic-tile-beside"
CLEAN_SHARE = 0.02
THRESHOLDS_BY = (
    "of the thresholds at which at most 2 % of the good pictures set aside are reported (whole tiles of the train list "
    "that taught nothing), those that let fewest of the defective pictures learned from escape, never below 0.05"
)
OPSET = 17


def release(
    *, version: str, runs: Sequence[Path], of: str | None, data: Path, into: Path, beside: Path, threads: int
) -> tuple[ModelCard, ModelCard]:
    """Write `<into>/magnetic-tile/<version>/` and its int8 twin, and return both cards.

    of       a released version whose networks are more of them
    beside   what was fitted from good tiles alone; fitted into this folder where it is not there yet

    Raises RuntimeError where a file does not answer as the trained network does, or int8 loses more than INT8_LOSS
    of the AUROC of pictures.
    """
    trained = [segment.load(run / "weights.pt") for run in runs]
    facts = [json.loads((run / "run.json").read_text(encoding="utf-8")) for run in runs]
    learned, aside = segment.set_aside(segment.read_tiles(data, "train"))
    exported = [segment.as_onnx(segment.as_arrays(one), opset=OPSET) for one in trained]
    before = [] if of is None else [ModelStore().find(NAME, of)]
    taught = [*(one.network for one in before), *exported]
    good = _from_good(learned, beside, threads=threads)
    shares = [segment.votes(one) for one in taught]
    network = segment.in_one_file([*taught, good.network], [*shares, 1])
    seeds = [
        *(one.card.training.seed for one in before if one.card.training),
        *(one["seed"] for one in facts),
    ]
    members = [*(f"those of {one.card.version}" for one in before), *(f"seed {one['seed']}" for one in facts)]
    card = ModelCard(
        name=NAME,
        version=version,
        task="maps",
        form=NetworkForm(channels=1),
        file="model.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        made_on=today(),
        kinds=segment.KINDS,
        input_hw=(segment.INPUT_PX, segment.INPUT_PX),
        tile_px=segment.TILE_PX,
        opset=OPSET,
        thresholds=dict.fromkeys(segment.KINDS, 0.5),
        thresholds_by=THRESHOLDS_BY,
        suppress_above=0.5,
        licence=f"weights: to be treated like their training pictures, which have {TILE_LICENCE}",
        training=Training(
            tool="torch 2.13.0, models/training/segment.py, from scratch (no downloaded weights)",
            tool_licence="BSD-3-Clause (torch), Apache-2.0 (segment.py, good_only.py)",
            network=f"mean of the logits of {sum(shares)} networks, each LAYERS of models/training/segment.py "
            f"({'; '.join(members)}), and of one that models/training/good_only.py fitted from the good tiles among "
            "them, whose map counts for every kind",
            command="make train-tile",
            seed=seeds[0],
            epochs=sum(phase.epochs for phase in segment.PHASES),
            interrupted=any(one["interrupted"] for one in facts)
            or any(one.card.training.interrupted for one in before if one.card.training),
            digest=digest_of(learned),
            chosen_by="val.txt, between these epochs and 36 more; how much the network of good tiles counts, by thirds "
            "of train.txt and with val.txt looked at; thresholds by good tiles of train.txt set aside",
            by_its_own_tool="-",
            sources=(
                TrainingSource(
                    name="magnetic tiles train.txt, but every sixth good tile",
                    licence=TILE_LICENCE,
                    images=len(learned),
                    boxes=sum(bool(one.mask.any()) for one in learned),
                ),
            ),
        ),
    )
    inputs = inputs_of(card, [one.pixels for one in learned if one.kind is not None])
    alone = [card.model_copy(update={"sha256": hashlib.sha256(file).hexdigest()}) for file in exported]
    each = [one.card.export_parity for one in before]
    each += [parity(*one, inputs[:60]) for one in zip(alone, exported, trained, strict=True)]
    card = card.model_copy(update={"export_parity": "; ".join(each)})
    # With good ones among them: int8 by defective ones alone lost 0.010 of AUROC, and 0.008 so.
    inputs += inputs_of(card, [one.pixels for one in learned if one.kind is None][::4])
    small = quantised(network, [_grey(card, one) for one in inputs])
    int8 = card.model_copy(update={"name": f"{NAME}-int8", "sha256": hashlib.sha256(small).hexdigest()})
    gold = Gold(
        on="magnetic tiles val.txt",
        pictures=read_tiles(data, "val.txt"),
        note="Other tiles than were learned from; of 1.0.0 they chose between 60 epochs and 96, and of 1.2.0 they "
        "were looked at before it was set how much the network of good tiles counts. "
        "mAP50 is of the pieces reported, not over all "
        "scores. Pictures whose defect nobody has outlined count as clean here.",
    )
    both = [_proven(one, file, gold, learned, aside) for one, file in ((card, network), (int8, small))]
    found = [one.measured[0] for one in both]
    lost = (found[0].auroc or 0.0) - (found[1].auroc or 0.0)
    if lost > INT8_LOSS:
        raise RuntimeError(f"int8 costs {lost:.4f} of AUROC, allowed {INT8_LOSS}")
    both[1] = both[1].model_copy(
        update={
            "export_parity": f"on the list measured AUROC {found[1].auroc:.4f}, its float twin {found[0].auroc:.4f} "
            f"(allowed {INT8_LOSS} less). The float twin: {card.export_parity}",
            "latency": latency(
                ReleasedModel(card=both[1], network=small), ReleasedModel(card=both[0], network=network)
            ),
        }
    )
    for one, file in zip(both, (network, small), strict=True):
        write(one, file, into)
    return both[0], both[1]


def _from_good(learned: Sequence[segment.Tile], folder: Path, *, threads: int) -> ReleasedModel:
    if not (folder / BESIDE).exists():
        good = [one.pixels for one in learned if one.kind is None]
        source = "magnetic tiles train.txt"
        fitted = good_only.fit(good, name=BESIDE, source=source, licence=TILE_LICENCE, threads=threads)
        write(fitted.card, fitted.network, folder)
    return ModelStore(folder).find(BESIDE)


def digest_of(tiles: Sequence[segment.Tile]) -> str:
    """Over names, kinds, pixels and outlines, in their order."""
    digest = hashlib.sha256()
    for one in tiles:
        digest.update(f"{one.name} {one.kind}".encode() + b"\0" + one.pixels.tobytes() + one.mask.tobytes())
    return digest.hexdigest()


def parity(card: ModelCard, network: bytes, trained: Any, inputs: Sequence[NDArray[np.float32]]) -> str:
    """The sentence of the card that says how far file and trained network differ. Raises RuntimeError."""
    import torch

    session = Session(ReleasedModel(card=card, network=network))
    off = 0.0
    with torch.inference_mode():
        for one in inputs:
            grey = torch.from_numpy(_grey(card, one))
            off = max(
                off, float(np.abs(segment.logits(trained, grey).sigmoid().numpy() - session.run(one)).max())
            )
    if off > PARITY_SCORE:
        raise RuntimeError(f"the ONNX file differs by {off:g} in score from the weights")
    return f"on {len(inputs)} pictures at most {off:.1e} in score from the trained network (allowed {PARITY_SCORE})"


def _proven(
    card: ModelCard,
    network: bytes,
    gold: Gold,
    learned: Sequence[segment.Tile],
    aside: Sequence[segment.Tile],
) -> ModelCard:
    """With thresholds, and what it does with them on the list that is measured on."""
    highest = [
        loudest(judged(card, network, [_labelled(one) for one in tiles], min_score=LOWEST_SCORE), card.kinds)
        for tiles in ([one for one in learned if one.kind is not None], aside)
    ]
    chosen = np.maximum(quiet_from(highest[0], highest[1], share=CLEAN_SHARE), LOWEST_THRESHOLD)
    thresholds = {kind: round(min(float(one), 1.0), 3) for kind, one in zip(card.kinds, chosen, strict=True)}
    card = card.model_copy(update={"thresholds": thresholds})
    return card.model_copy(
        update={
            "measured": (measure(card, network, gold),),
            "latency": latency(ReleasedModel(card=card, network=network), None),
        }
    )


def _labelled(tile: segment.Tile) -> Labelled:
    """With one box over all of it: which kinds it shows is all that thresholds are chosen by."""
    height, width = tile.pixels.shape
    whole = Box(0, 0, width, height)
    truth = () if tile.kind is None else (DrawnDefect(kind=tile.kind, box_px=whole),)
    return Labelled(name=tile.name, pixels=tile.pixels, truth=truth)


def inputs_of(card: ModelCard, pictures: Sequence[Any]) -> list[NDArray[np.float32]]:
    """As the detector shows them, (1, 3, height, width)."""
    inputs = []
    for pixels in pictures:
        for tile in cut_into_tiles(pixels.shape, tile_px=card.tile_px):
            image = tile.of(pixels)
            inputs.append(np.empty((1, 3, *card.input_hw), np.float32))
            fill_input(inputs[-1][0], image, Letterbox.fit((image.shape[0], image.shape[1]), card.input_hw))
    return inputs


def _grey(card: ModelCard, images: NDArray[np.float32]) -> NDArray[np.float32]:
    return card.form.prepared(images)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.release_tile", description=__doc__)
    parser.add_argument("--version", required=True)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data" / "magnetic_tile")
    parser.add_argument("--runs", type=Path, nargs="*", default=[REPOSITORY / "runs" / "tile"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--of", default=None, metavar="VERSION", help="a released one, whose networks are more"
    )
    parser.add_argument("--beside", type=Path, default=REPOSITORY / "runs" / "tile-good")
    parser.add_argument("--into", type=Path, required=True)
    asked = parser.parse_args(arguments)
    cards = release(
        version=asked.version,
        runs=asked.runs,
        of=asked.of,
        data=asked.data,
        into=asked.into,
        beside=asked.beside,
        threads=asked.threads,
    )
    for card in cards:
        sys.stdout.write(f"{card.name} {card.version}: {card.measured[0].model_dump_json(indent=1)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
