"""Complete values; a test overrides what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from inspection.types import (
    Box,
    Defect,
    EdgePoint,
    Inspection,
    InspectionBegun,
    Measurement,
    ModelRef,
    PictureRef,
    RecipeRef,
    Repeat,
    Stretch,
    Strip,
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


def a_strip_map(**overrides: Any) -> Strip:
    """Of a coil of 60 m, 400 mm wide, with one stretch that nobody saw and a roll mark."""
    return Strip(
        **{
            "length_mm": 60_000.0,
            "x_from_mm": 0.0,
            "x_to_mm": 400.0,
            "head": Stretch(from_mm=0.0, to_mm=500.0),
            "tail": Stretch(from_mm=59_500.0, to_mm=60_000.0),
            "unseen": (Stretch(from_mm=20_000.0, to_mm=20_200.0),),
            "welds": (Stretch(from_mm=30_000.0, to_mm=30_110.0),),
            "edges": tuple(
                EdgePoint(y_mm=y, left_mm=12.0 + 3 * (y // 10_000 % 2), right_mm=390.0)
                for y in (100.0, 20_100.0, 40_100.0, 59_900.0)
            ),
            "repeats": (
                Repeat(
                    kind="pits",
                    x_mm=130.0,
                    period_mm=1885.0,
                    period_error_mm=0.4,
                    first_mm=7_000.0,
                    last_mm=7_000.0 + 9 * 1885.0,
                    hits=8,
                    missed=2,
                    chance=1e-6,
                ),
            ),
            **overrides,
        }
    )


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
