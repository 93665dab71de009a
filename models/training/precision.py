"""In which precision a network is trained here: bfloat16 where the processor has it, float32 elsewhere.

Where it has, a batch takes a third to a half of the time. Where it has not (AVX2 alone), torch computes bfloat16
without it: 1.07 s for a batch that takes 0.12 s in float32 (32 pictures of 128 px, one core of a Zen 3).

    python -m models.training.precision [--threads 1]

says what a step of the network of maps takes in each.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

_ROUNDS = 3

# Of what is measured with. One layer of half as many channels took as long in both on a processor on which a step of
# the network of maps takes 2.3 times as long in float32.
_LAYERS, _CHANNELS = 3, 64


def autocast() -> AbstractContextManager[Any]:
    """The network, not the loss, belongs into it. torch must be imported and its threads set."""
    import torch

    chosen: AbstractContextManager[Any] = torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16_pays())
    return chosen


@functools.cache
def bfloat16_pays() -> bool:
    """Measured once: some layers there and back, the best of some rounds of each."""
    return _took(in_bfloat16=True) < _took(in_bfloat16=False)


def _took(*, in_bfloat16: bool) -> float:
    import torch
    from torch import nn

    # Whoever trains has set a seed and counts on what comes after it.
    with torch.random.fork_rng(devices=[]):
        layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1), nn.BatchNorm2d(_CHANNELS), nn.ReLU()
                )
                for _ in range(_LAYERS)
            )
        ).to(memory_format=torch.channels_last)
        images = torch.rand((8, _CHANNELS, 40, 40)).contiguous(memory_format=torch.channels_last)
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bfloat16):
            said = layers(images)
        said.float().square().mean().backward()
        took.append(time.perf_counter() - began)
    return min(took)


def step_s(
    *, in_bfloat16: bool, channels_last: bool, rounds: int = 8, pictures: int = 16, px: int = 320
) -> float:
    """What a step of the network of maps takes at best, s: there, loss, back."""
    import torch

    from models.training import segment

    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = segment.make_network().to(memory_format=layout)
    images = torch.rand((pictures, 1, px, px)).contiguous(memory_format=layout)
    side = px // segment.CELL_PX
    nothing = (
        torch.zeros((pictures, len(segment.KINDS), side, side)),
        torch.zeros((pictures, len(segment.KINDS))),
    )
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bfloat16):
            said = segment.logits(network, images)
        segment.loss_of(said.float(), *nothing).backward()
        took.append(time.perf_counter() - began)
    return min(took)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.precision", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(asked.threads)
    for in_bfloat16 in (False, True):
        for channels_last in (False, True):
            took = step_s(in_bfloat16=in_bfloat16, channels_last=channels_last)
            kind = "bfloat16" if in_bfloat16 else "float32"
            sys.stdout.write(f"{kind}{', channels last' if channels_last else ''}: {took:.3f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
