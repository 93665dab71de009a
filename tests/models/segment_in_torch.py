"""What the network of `models/training/segment.py` answers in torch, kept for those who have no torch.

    .venv-training/bin/python -m tests.models.segment_in_torch

Numbers and picture are drawn by a seed and not kept; the answers are, of every fourth cell. To be made anew when LAYERS
change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.segment import INPUT_PX, LAYERS, logits, make_network

ANSWERS = Path(__file__).parent / "segment_in_torch.npz"

Learned = dict[str, NDArray[np.float32]]


def drawn() -> tuple[Learned, NDArray[np.float32]]:
    """Numbers for each layer, by torch's names, as large as those that were learned; and a picture."""
    rng = np.random.default_rng(2026)
    learned: Learned = {}
    width = {"image": 1}

    def put(name: str, values: NDArray[np.float64]) -> None:
        learned[name] = values.astype(np.float32)

    for layer in LAYERS:
        read = sum(width[name] for name in layer.sources)
        shape = (layer.channels, read, layer.size, layer.size)
        weight = rng.normal(size=shape) * np.sqrt(2 / (read * layer.size**2))
        width[layer.name] = layer.channels
        if layer.last:
            put(f"{layer.name}.weight", weight)
            put(f"{layer.name}.bias", rng.normal(size=layer.channels))
            continue
        put(f"{layer.name}.0.weight", weight)
        put(f"{layer.name}.1.weight", rng.uniform(0.6, 1.2, layer.channels))
        for part in ("bias", "running_mean"):
            put(f"{layer.name}.1.{part}", rng.normal(scale=0.3, size=layer.channels))
        put(f"{layer.name}.1.running_var", rng.uniform(0.5, 2, layer.channels))
    return learned, rng.random((1, 1, INPUT_PX, INPUT_PX), np.float32)


def as_torch_answered() -> tuple[Learned, NDArray[np.float32], NDArray[np.float32]]:
    """Numbers, picture, and of the map (kinds, cells, cells) every fourth cell each way."""
    with np.load(ANSWERS) as kept:
        return *drawn(), np.asarray(kept["map"], np.float32)


def main() -> None:
    import torch

    learned, picture = drawn()
    network = make_network()
    missing = network.load_state_dict(
        {name: torch.from_numpy(one) for name, one in learned.items()}, strict=False
    )
    assert not missing.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    with torch.inference_mode():
        answer = logits(network.eval(), torch.from_numpy(picture)).sigmoid().numpy()
    np.savez_compressed(ANSWERS, map=answer[0, :, ::4, ::4].astype(np.float16))


if __name__ == "__main__":
    main()
