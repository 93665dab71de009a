"""The environment in which detectors learn from labelled pictures: the station's settings name its Python, nobody on a
page does. Its tools (ultralytics, AGPL-3.0; torch) are run there as processes and never imported here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from inspection.errors import InspectionError

TOOLS: Final = ("lynceus", "ultralytics", "torch")

_ASKED_S: Final = 60
_ASK: Final = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


class DeskMissing(InspectionError):
    """There is no environment to train detectors in, or not one that is complete. Facts: missing, version."""

    code = "MOD-TRAINING-DESK-MISSING"


@dataclass(frozen=True, slots=True)
class TrainingDesk:
    """python   None: the settings name none"""

    python: Path | None

    def check(self) -> None:
        """Raises DeskMissing."""
        if self.python is None:
            raise _missing("[training]")
        try:
            told = subprocess.run(  # noqa: S603 - the interpreter that the settings name, no shell
                [self.python, "-c", _ASK, *TOOLS], capture_output=True, timeout=_ASKED_S, check=True
            )
            found: dict[str, str | None] = json.loads(told.stdout)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise _missing(f"{self.python} ({error})") from error
        if absent := [name for name in TOOLS if found[name] is None]:
            raise _missing(f"{self.python}: {', '.join(absent)}")
        if found["lynceus"] != version("lynceus"):
            raise _missing(f"{self.python}: lynceus {version('lynceus')} ({found['lynceus']})")

    def command(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        """Of a training from labels. Raises DeskMissing."""
        if self.python is None:
            raise _missing("[training]")
        return [self.python, "-m", "models.training.labelled", *arguments]


def _missing(missing: str) -> DeskMissing:
    return DeskMissing(
        f"Detectors cannot be trained from labels here, for want of {missing}.",
        action="Make an environment with the extra `training`, and name its Python in the station's settings.",
        missing=missing,
        version=version("lynceus"),
    )
