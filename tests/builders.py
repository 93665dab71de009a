"""Complete values; a test overrides what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from inspection.types import (
    Box,
    Defect,
    Inspection,
    InspectionBegun,
    Measurement,
    ModelRef,
    PictureRef,
    RecipeRef,
    Verdict,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECIPE = RecipeRef(name="demo-strip", revision=3, sha256="3c" * 32)
MODEL = ModelRef(name="strip", version="1.0.0", sha256="5e" * 32)


def a_unit(canon: str = "86.999.1/COIL-20261120-101530-0001") -> IdentifierCode:
    return IdentifierCode(scheme="handle" if "/" in canon else "plain", raw=canon, canon=canon)


def a_defect(**overrides: Any) -> Defect:
    return Defect(
        **{
            "kind": "scratch",
            "score": 0.875,
            "box_px": Box(10, 20, 15, 120),
            "box_mm": Box(1.0, 2.0, 1.5, 12.0),
            "camera": "top",
            "sequence": 41,
            **overrides,
        }
    )


def a_measurement(**overrides: Any) -> Measurement:
    return Measurement(**{"name": "width", "value": 1250.25, "unit": "mm", "uncertainty": 0.05, **overrides})


def a_picture(**overrides: Any) -> PictureRef:
    return PictureRef(
        **{
            "sha256": "ab" * 32,
            "camera": "top",
            "sequence": 41,
            "width_px": 1024,
            "height_px": 512,
            **overrides,
        }
    )


def an_inspection(**overrides: Any) -> Inspection:
    """A unit that was inspected in full and accepted. Every call is another inspection."""
    finished_at = overrides.get("finished_at", NOON)
    frames = {"frames_inspected": 40, "frames_failed": 0, "frames_lost": 0}
    frames = {name: overrides.get(name, count) for name, count in frames.items()}
    return Inspection(
        **{
            "id": uuid7(),
            "unit": a_unit(),
            "station": "demo",
            "lane": "strip",
            "recipe": RECIPE,
            "models": (MODEL,),
            "started_at": finished_at - timedelta(seconds=4),
            "finished_at": finished_at,
            "verdict": Verdict.ACCEPT,
            "defects": (),
            "measurements": (),
            "triggers": sum(frames.values()),
            **frames,
            "failures": {},
            "pictures": (),
            **overrides,
        }
    )


def an_inspection_begun(**overrides: Any) -> InspectionBegun:
    return InspectionBegun(
        **{
            "id": uuid7(),
            "unit": a_unit(),
            "station": "demo",
            "lane": "strip",
            "recipe": RECIPE,
            "models": (MODEL,),
            "started_at": NOON,
            **overrides,
        }
    )
