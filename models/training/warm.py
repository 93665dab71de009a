"""Puts a released network back into a trainable one, so that a training can go on from what was released.

A released file has its batch norms folded into the convolutions. Here they are opened again: the folded weights stay in
the convolution, and the norm gets the mean and spread that the convolution really has on pictures, with the scale and
offset that undo it. In evaluation the network answers as the file does; in training its norms start where they belong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models.session import Session
from models.store import ReleasedModel

_FOLDED_BIAS = "conv.bias"
# The file rounds otherwise than torch; more than this is another network.
_MOST_OFF_SCORE = 1e-3


def write_checkpoint(released: ReleasedModel, network: Any, inputs: NDArray[np.float32], path: Path) -> Path:
    """Fill `network` (an ultralytics model made from a description) from the released file, and save it.

    inputs   pictures as the network is shown them, (n, 3, height, width): the norms are opened on these

    Raises RuntimeError where a weight finds no place or the two answer differently.
    """
    module = network.model.float().eval()
    _fill(module, released)
    pictures = torch.from_numpy(inputs)
    _open_norms(module, pictures)
    with torch.inference_mode():
        ours = module(pictures[:4])[0].numpy()
    session = Session(released)
    theirs = np.concatenate([session.run(one[None]) for one in inputs[:4]])
    off = float(np.abs(ours[:, 4:] - theirs[:, 4:]).max())
    if off > _MOST_OFF_SCORE:
        raise RuntimeError(f"opened again, {released.card.name} differs by {off:g} in score")
    module.names = dict(enumerate(released.card.kinds))
    torch.save({"model": module, "train_args": {}, "epoch": -1}, path)
    return path


def _fill(module: Any, released: ReleasedModel) -> None:
    weights = {one.name: one for one in onnx.load_from_string(released.network).graph.initializer}
    places = dict(module.named_parameters())
    norms = {name: one for name, one in module.named_modules() if isinstance(one, torch.nn.BatchNorm2d)}
    filled = set()
    for name, stored in weights.items():
        if not name.startswith("model.") or name.endswith("dfl.conv.weight"):
            continue
        values = torch.from_numpy(numpy_helper.to_array(stored).copy())
        if name in places:
            places[name].data.copy_(values)
            filled.add(name)
        elif name.endswith(_FOLDED_BIAS):
            norm = norms[name.removesuffix(_FOLDED_BIAS) + "bn"]
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.data.fill_(1)
            norm.bias.data.copy_(values)
        else:
            raise RuntimeError(f"the network has no place for {name}")
    left = {name for name in places if ".bn." not in name and "dfl" not in name} - filled
    if left:
        raise RuntimeError(f"the file does not hold {', '.join(sorted(left))}")


def _open_norms(module: Any, pictures: torch.Tensor) -> None:
    """Mean and variance of what reaches each norm, over all pictures; then scale and offset that undo them."""
    sums: dict[Any, list[torch.Tensor]] = {}

    def note(norm: Any, given: tuple[torch.Tensor, ...]) -> None:
        values = given[0].double()
        count = torch.tensor(float(values.numel() / values.shape[1]))
        told = [values.sum((0, 2, 3)), (values * values).sum((0, 2, 3)), count]
        sums[norm] = [a + b for a, b in zip(sums[norm], told, strict=True)] if norm in sums else told

    norms = [one for one in module.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    hooks = [one.register_forward_pre_hook(note) for one in norms]
    with torch.inference_mode():
        for start in range(0, len(pictures), 16):
            module(pictures[start : start + 16])
    for hook in hooks:
        hook.remove()
    for norm, (total, squares, count) in sums.items():
        mean = total / count
        variance = (squares / count - mean * mean).clamp(min=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.add_(mean.float())
