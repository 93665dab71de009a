"""What else a verdict is made of beside its pictures and models: recipes with their files, and the programs.

Kept beside the pictures, by SHA-256 as they are, so that a stored inspection can be judged again years later from what
its record names.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from models.provider import chosen_provider
from station_config import Recipe
from traceability.images import ImageStore
from traceability.verifier import canonical

ROOT: Final = Path(__file__).parent.parent

CODE: Final = ("inspection/**/*.py", "models/**/*.py", "station_config/**/*.py", "services/station/*.py")
"""Of our own code what can reach a verdict; pages and commands cannot."""

LIBRARIES: Final = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "pillow",
    "scipy",
    "simplejpeg",
    "zxing-cpp",
)


@cache
def software_statement() -> bytes:
    """What judges here, as canonical JSON: our release and code, the libraries that reach a verdict, the
    processor, and where networks run."""
    code = hashlib.sha256()
    for file in sorted(found for pattern in CODE for found in ROOT.glob(pattern)):
        code.update(f"{file.relative_to(ROOT).as_posix()}\0".encode())
        code.update(hashlib.sha256(file.read_bytes()).digest())
    return canonical({
        "lynceus": _version_of("lynceus"),
        "code": code.hexdigest(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "provider": chosen_provider(),
        **{name: _version_of(name) for name in LIBRARIES},
    })  # fmt: skip


@cache
def software_sha256() -> str:
    """Under which the statement is kept, and what records name."""
    return hashlib.sha256(software_statement()).hexdigest()


def software_differs(recorded: bytes) -> Mapping[str, tuple[str, str]]:
    """By name what is not as it was: what was recorded, and what is here. `-` stands for nothing."""
    then, now = json.loads(recorded), json.loads(software_statement())
    return {
        name: (str(then.get(name, "-")), str(now.get(name, "-")))
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    }


def keep_software(images: ImageStore) -> str:
    """Keep the statement of what judges here, and return its name. Raises as ImageStore.put."""
    return images.put(software_statement())


def keep_recipe(images: ImageStore, recipe: Recipe) -> None:
    """Keep a recipe's text and all files that it needs. Raises as ImageStore.put."""
    for content in (recipe.text, *recipe.files.values()):
        images.put(content)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
