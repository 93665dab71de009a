"""Where the data that is not in the repository lies, and how a test says what it misses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

TRAINING_PYTHON = Path(
    os.environ.get("LYNCEUS_TRAINING_PYTHON", REPOSITORY / ".venv-training" / "bin" / "python")
)
"""Of the environment with torch, which `make .venv-training/ready` makes."""


def shared(*parts: str, module: bool = False) -> Path:
    """A path in the shared folder beside the repository, or a skip that says how to provide it: of a whole `module`."""
    root = Path(os.environ.get("LYNCEUS_SHARED", REPOSITORY.parent / "shared"))
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"not there: set LYNCEUS_SHARED to the folder that holds {'/'.join(parts)}",
            allow_module_level=module,
        )
    return path


def vectors(*parts: str, module: bool = False) -> Path:
    """Published test vectors: LYNCEUS_VECTORS names a folder with others of the same kind, else the shared ones."""
    root = os.environ.get("LYNCEUS_VECTORS")
    path = Path(root).joinpath(*parts) if root else shared("vectors", *parts, module=module)
    if not path.exists():
        pytest.skip(
            f"not there: set LYNCEUS_VECTORS to the folder that holds {'/'.join(parts)}",
            allow_module_level=module,
        )
    return path
