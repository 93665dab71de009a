"""Where this computer runs networks. Known without any of the runtimes."""

from __future__ import annotations

import os
from typing import Final

CPU: Final = "CPUExecutionProvider"

OPENVINO: Final = "OpenVINO"
"""Intel's own runtime. Not through onnxruntime, whose package for it lags behind and takes the place of the other."""


def chosen_provider() -> str:
    """LYNCEUS_PROVIDER: one of onnxruntime's by its name there, or OPENVINO; else CPU."""
    return os.environ.get("LYNCEUS_PROVIDER") or CPU
