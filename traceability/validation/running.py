"""Every case through the adapter, and what came of it, as one record that can be signed and kept.

IATF 16949, 7.1.5.2.1, and the AIAG & VDA SPC manual, 11.2, ask that software for measurement and statistics is
verified against documented results. The record names what was verified (versions, and the digest of every source
file of the statistics as installed), against what (each case with its source), and every figure that differs.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from inspection.errors import InspectionError
from traceability.validation.adapter import answer
from traceability.validation.comparing import Case, Field, compare
from traceability.validation.given import NotReported

Outcome = Literal["agrees", "differs", "gap", "refused"]

VERIFIED = ("traceability.spc", "traceability.validation", "traceability.validation.families")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One case. outcome: differs where any figure does, gap where some are not reported, refused with its error."""

    case: Case
    outcome: Outcome
    figures: int
    differing: tuple[Field, ...]
    gaps: tuple[str, ...]
    error: str | None = None


def check(case: Case) -> Checked:
    """The case's answer beside ours. An error of ours is a finding, not an end; a fault of the program is one too."""
    try:
        fields = compare(case, answer(case))
    except NotReported:
        return Checked(case=case, outcome="gap", figures=0, differing=(), gaps=("*",))
    except InspectionError as error:
        return Checked(
            case=case, outcome="refused", figures=0, differing=(), gaps=(), error=f"{error.code} {error}"
        )
    except (ArithmeticError, LookupError, TypeError, ValueError, AssertionError) as error:
        # Input of another shape than the adapter reads: the case was not verified, and the report says so.
        reason = f"{type(error).__name__} {error}"
        return Checked(case=case, outcome="refused", figures=0, differing=(), gaps=(), error=reason)
    differing = tuple(field for field in fields if field.status == "differs")
    gaps = tuple(field.path for field in fields if field.status == "gap")
    outcome: Outcome = "differs" if differing else "gap" if gaps else "agrees"
    return Checked(case=case, outcome=outcome, figures=len(fields), differing=differing, gaps=gaps)


def check_all(cases: Iterable[Case]) -> Iterator[Checked]:
    return (check(case) for case in cases)


def record_of(results: Sequence[Checked], *, at: datetime) -> dict[str, Any]:
    """The record: JSON-able, complete, and in fixed order."""
    counted = {
        name: sum(one.outcome == name for one in results) for name in ("agrees", "differs", "gap", "refused")
    }
    return {
        "kind": "lynceus-statistics-verification",
        "at": at.isoformat(),
        "program": {name: _version(name) for name in ("lynceus", "numpy", "scipy")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sources": dict(source_digests()),
        "cases": len(results),
        "figures": sum(one.figures for one in results),
        "counted": counted,
        "passed": counted["agrees"] == len(results) > 0,
        "results": [
            {
                "id": one.case.id,
                "family": one.case.family,
                "method": one.case.method,
                "source": str(one.case.source.get("cite", "")),
                "tolerance": dict(one.case.tolerance),
                "outcome": one.outcome,
                "figures": one.figures,
                "differing": [
                    {"path": field.path, "expected": str(field.expected), "got": str(field.got)}
                    for field in one.differing
                ],
                "gaps": list(one.gaps),
                "error": one.error,
            }
            for one in results
        ],
    }


def source_digests() -> Iterator[tuple[str, str]]:
    """SHA-256 of every file of the statistics, as installed."""
    for package in VERIFIED:
        for name, content in sorted(_contents(files(package))):
            yield f"{package}/{name}", hashlib.sha256(content).hexdigest()


def _contents(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for file in folder.iterdir():
        if file.name.endswith((".py", ".json")) and file.is_file():
            yield file.name, file.read_bytes()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
