"""Training that goes on from a released network instead of from nothing: its weights, out of its ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np


def begin_with(network: bytes, model: Any) -> None:
    """Give a torch model of the same description the weights of an exported one.

    An exported network holds each convolution with what normalises it folded in. So the normalisation here becomes one
    that changes nothing, and has to stay that: see `keep_norms`.

    Raises ValueError where a convolution is not in the file, or has another shape there.
    """
    import onnx
    import torch

    graph = onnx.load_from_string(network).graph
    there = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    layers = dict(model.named_modules())
    with torch.no_grad():
        for name, layer in layers.items():
            # The mean of a box edge's distribution: counted, not learnt, and shortened in the file.
            if not isinstance(layer, torch.nn.Conv2d) or name.endswith(".dfl.conv"):
                continue
            weight, bias = (there.get(f"{name}.{part}", np.empty(0)) for part in ("weight", "bias"))
            if weight.shape != tuple(layer.weight.shape) or bias.shape != weight.shape[:1]:
                raise ValueError(f"{name} is {tuple(layer.weight.shape)} here and {weight.shape} in the file")
            layer.weight.copy_(torch.tensor(weight))
            bias = torch.tensor(bias)
            if layer.bias is not None:
                layer.bias.copy_(bias)
                continue
            norm = layers[f"{name.removesuffix('.conv')}.bn"]
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0)
            norm.weight.fill_((1.0 + norm.eps) ** 0.5)
            norm.bias.copy_(bias)


def keep_norms(model: Any) -> None:
    """Normalise by what is kept, not by the batch, until the model is next told to learn."""
    import torch

    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
