"""Whether sums of products in eight bits are right on this processor.

An x86 processor without VNNI adds two of them in sixteen bits, which overflow: strip-surface-int8 1.2.0 let 15 of 288
defective pictures through there instead of 8. Weights of seven bits leave room for both.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import onnxruntime

from models.provider import CPU

WEIGHT_BITS: Final = "lynceus.weight_bits"
"""In the metadata of a network in eight bits whose weights take `SMALL` bits: it is right everywhere."""

SMALL: Final = "7"

_TERMS, _COLUMNS = 64, 16

# MatMulInteger of a uint8 (1, 64) and an int8 (64, 16), in ONNX's own form: stations do not have the package onnx.
_MULTIPLIES = (
    b'\x08\x08:\\\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulInteger\x12\x01pZ\x13\n\x01a\x12\x0e\n\x0c\x08\x02\x12\x08\n'
    b"\x02\x08\x01\n\x02\x08@Z\x13\n\x01b\x12\x0e\n\x0c\x08\x03\x12\x08\n\x02\x08@\n\x02\x08\x10b\x13\n\x01y\x12\x0e\n"
    b"\x0c\x08\x06\x12\x08\n\x02\x08\x01\n\x02\x08\x10B\x04\n\x00\x10\x11"
)


@cache
def eight_bits_overflow() -> bool:
    """Whether products of the largest numbers do not add up. Asked of onnxruntime itself, whose choice it is how to
    add, and not of a list of processors: 1 ms, once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_MULTIPLIES, options, providers=[CPU])
    largest = np.full((1, _TERMS), 255, np.uint8), np.full((_TERMS, _COLUMNS), 127, np.int8)
    (told,) = session.run(None, dict(zip(("a", "b"), largest, strict=True)))
    return bool((told != 255 * 127 * _TERMS).any())
