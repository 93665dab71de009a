"""In which precision a network is trained here: bfloat16 where the processor has it, float32 elsewhere.

Where it has, a batch takes a third of the time. Where it has not (AVX2 alone), torch computes bfloat16 without it:
1.07 s for a batch that takes 0.12 s in float32 (32 pictures of 128 px, one core of a Zen 3).
"""

from __future__ import annotations

import functools
import time
from contextlib import AbstractContextManager
from typing import Any

_ROUNDS = 3


def autocast() -> AbstractContextManager[Any]:
    """The network, not the loss, belongs into it. torch must be imported and its threads set."""
    import torch

    chosen: AbstractContextManager[Any] = torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16_pays())
    return chosen


@functools.cache
def bfloat16_pays() -> bool:
    """Measured once: a convolution there and back, the best of some rounds of each."""
    return _took(in_bfloat16=True) < _took(in_bfloat16=False)


def _took(*, in_bfloat16: bool) -> float:
    import torch

    # Whoever trains has set a seed and counts on what comes after it.
    with torch.random.fork_rng(devices=[]):
        layer = torch.nn.Conv2d(32, 32, 3, padding=1).to(memory_format=torch.channels_last)
        images = torch.rand((8, 32, 40, 40)).contiguous(memory_format=torch.channels_last)
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bfloat16):
            said = layer(images)
        said.float().square().mean().backward()
        took.append(time.perf_counter() - began)
    return min(took)
