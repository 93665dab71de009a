"""Released models for tests: the ones that come with the package, and altered copies of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.store import RELEASED, ModelStore

STRIP = "strip-surface"
PART = "part-surface"


def latest(name: str) -> Path:
    """The folder of the newest release."""
    return RELEASED / name / ModelStore().versions()[name][-1]


def a_copy(name: str, into: Path, *, version: str | None = None) -> Path:
    """The newest release of a model, copied into the store `into`, under another version where one is named."""
    source = latest(name)
    release = Path(shutil.copytree(source, into / name / (version or source.name)))
    if version:
        reworded(release, f'version = "{source.name}"', f'version = "{version}"')
    return release


def reworded(release: Path, before: str, after: str) -> None:
    """Change the card of a release."""
    card = release / "card.toml"
    text = card.read_text(encoding="utf-8")
    assert before in text
    card.write_text(text.replace(before, after, 1), encoding="utf-8")
