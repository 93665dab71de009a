"""Which version of a model judges where a recipe says `version = "in_force"`, and which one looks on beside it.

Two small files in the plant's folder. Who writes them is `services/model_life.py`, which keeps the book of it; the
station reads them whenever it builds a recipe, and builds again when they change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IN_FORCE: Final = "in_force"
"""What a recipe says in place of a version."""

_FILE: Final = "in-force.json"
_BESIDE: Final = "beside.json"


@dataclass(frozen=True, slots=True)
class ModelsInForce:
    """Of the plant's folder. A file that cannot be read raises OSError or ValueError: nothing is guessed."""

    folder: Path

    def version(self, name: str) -> str | None:
        """What was promoted last; None where nothing ever was."""
        return self._read(_FILE).get(name)

    def beside(self, name: str) -> str | None:
        """The version that looks on and judges nothing."""
        return self._read(_BESIDE).get(name)

    def promote(self, name: str, version: str) -> None:
        self._write(_FILE, {**self._read(_FILE), name: version})

    def look_on(self, name: str, version: str | None) -> None:
        """None: nothing looks on any more."""
        left = {one: kept for one, kept in self._read(_BESIDE).items() if one != name}
        self._write(_BESIDE, left if version is None else {**left, name: version})

    def state(self) -> tuple[dict[str, str], dict[str, str]]:
        """Both files, to see whether anything has changed."""
        return self._read(_FILE), self._read(_BESIDE)

    def _read(self, file: str) -> dict[str, str]:
        path = self.folder / file
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def _write(self, file: str, versions: dict[str, str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f"{file}.new"
        new.write_text(json.dumps(versions, indent=1, sort_keys=True), encoding="utf-8")
        new.replace(self.folder / file)
