"""One network in OpenVINO, Intel's own runtime; the only file that knows it (`pip install "lynceus[openvino]"`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino

DEVICE = "CPU"

_SETTINGS: Mapping[str, Any] = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    # By itself it computes in bfloat16 where the processor can, and the same picture gets other scores there.
    "INFERENCE_PRECISION_HINT": "f32",
    # It would pin the workers of a lane to cores that it chooses for each of them alone.
    "ENABLE_CPU_PINNING": False,
}


class InOpenVino:
    """Used by one thread at a time.

    eats     shape of its first input; what the file leaves open is settled by it
    threads  cores one run may use

    Raises RuntimeError where OpenVINO cannot run it.
    """

    def __init__(self, network: bytes, *, eats: Sequence[int], threads: int) -> None:
        core = openvino.Core()
        model = core.read_model(network)
        model.reshape({model.inputs[0]: list(eats)})
        settings = {**_SETTINGS, "INFERENCE_NUM_THREADS": threads}
        self._request = core.compile_model(model, DEVICE, settings).create_infer_request()
        # It leaves out an input that nothing depends on.
        self._inputs = frozenset(name for one in model.inputs for name in one.names)
        self._outputs = len(model.outputs)

    def run(self, _names: None, given: Mapping[str, Any]) -> list[Any]:
        """All answers to inputs by name, as onnxruntime's `run` gives them. Raises RuntimeError."""
        there = {name: value for name, value in given.items() if name in self._inputs}
        self._request.infer(there, share_inputs=True)
        # The next run writes into the same memory.
        return [np.array(self._request.get_output_tensor(number).data) for number in range(self._outputs)]


def version() -> str:
    return str(openvino.__version__).partition("-")[0]
