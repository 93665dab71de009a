"""How well a network tells magnetic tiles that taught it nothing, by thirds of the train list: more tiles than val has.

    PYTHONPATH=. .venv-training/bin/python benchmarks/parts/tile_thirds.py --third 0

A network learns from the tiles of two thirds, as `models/training/segment.py` has it, and tells those of the third.
Each kind is spread over the thirds, and no tile is in two of them. A third at a time, since a run takes ten minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import ModelCard
from models.evaluation import auroc
from models.store import ModelStore
from models.training import segment
from models.training.release_tile import NAME, inputs_of

THIRDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--third", type=int, choices=range(THIRDS), required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/tile-thirds"))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    tiles = segment.read_tiles(given.shared / "data" / "magnetic_tile", "train")
    belongs = third_of(tiles)
    learn = [one for one in tiles if belongs[one.group] != given.third]
    judged = [one for one in tiles if belongs[one.group] == given.third]
    network = segment.load(segment.train(given.folder / str(given.third), learn, threads=given.threads))
    card = ModelStore().find(NAME).card
    surest = np.array([highest(network, card, one.pixels) for one in judged])
    kinds = np.array([one.kind or "" for one in judged])
    defective = kinds != ""
    groups = {one.group for one in judged}, {one.group for one in judged if one.kind is not None}
    print(
        f"third {given.third}: {len(judged)} pictures of {len(groups[0])} tiles, {len(groups[1])} of them defective"
    )
    print(f"AUROC of pictures {auroc(surest, defective):.4f}")
    for kind in segment.KINDS:
        asked = ~defective | (kinds == kind)
        print(f"  {kind:10} {auroc(surest[asked], (kinds == kind)[asked]):.3f}")


def third_of(tiles: Sequence[segment.Tile]) -> dict[int, int]:
    """The third to which each tile belongs: those of a kind in turn, in an order of their own."""
    kind: dict[int, str | None] = {}
    for one in tiles:
        kind[one.group] = one.kind or kind.get(one.group)
    rng = np.random.default_rng(7)
    belongs = {}
    for each in (None, *segment.KINDS):
        groups = sorted(group for group, found in kind.items() if found == each)
        begin = int(rng.integers(THIRDS))
        for place, group in enumerate(rng.permutation(groups).tolist()):
            belongs[int(group)] = (place + begin) % THIRDS
    return belongs


def highest(network: Any, card: ModelCard, pixels: NDArray[np.uint8]) -> float:
    """The logit of its surest cell."""
    import torch

    with torch.inference_mode():
        said = [
            segment.logits(network, torch.from_numpy(card.form.prepared(one)))
            for one in inputs_of(card, [pixels])
        ]
    return max(float(one.max()) for one in said)


if __name__ == "__main__":
    main()
