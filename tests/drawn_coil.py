"""The slit, welded and reversed coil of docs/genealogy.md, as it would be recorded."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from inspection.types import Box
from tests.builders import a_unit
from traceability.genealogy.cuts import Cut, Link, LinkKind, UnitForm, UnitKind

HEAT, COIL_A, COIL_B = a_unit("HEAT-7"), a_unit("COIL-A"), a_unit("COIL-B")
STRIP_A1, STRIP_A2, STRIP_B1 = a_unit("STRIP-A1"), a_unit("STRIP-A2"), a_unit("STRIP-B1")
WELDED = a_unit("COIL-W")
SEGMENTS = tuple(a_unit(f"SEGMENT-{number}") for number in (1, 2, 3, 4))


def an_id(name: str) -> UUID:
    """The same for the same name, so that recording the example twice is harmless."""
    return uuid5(NAMESPACE_URL, f"urn:example:{name}")


def a_form(unit, kind: UnitKind, length_mm: float | None = None, width_mm: float | None = None) -> UnitForm:
    return UnitForm(id=an_id(f"form {unit}"), unit=unit, kind=kind, length_mm=length_mm, width_mm=width_mm)


def a_link(parent, child, kind: LinkKind, *cuts: Cut, **overrides) -> Link:
    return Link(
        **{
            "id": an_id(f"{parent} {kind} {child}"),
            "parent": parent,
            "child": child,
            "kind": kind,
            "cuts": cuts,
            **overrides,
        }
    )


def a_piece(from_mm: float, to_mm: float, **overrides) -> Cut:
    """A stretch of 600 mm wide strip that became a unit of its own, from its head on."""
    return Cut(
        **{
            "parent_mm": Box(0, from_mm, 600, to_mm),
            "child_mm": Box(0, 0, 600, to_mm - from_mm),
            **overrides,
        }
    )


UNITS = (
    a_form(HEAT, UnitKind.HEAT),
    a_form(COIL_A, UnitKind.COIL, 10_000, 1200),
    a_form(COIL_B, UnitKind.COIL, 8_000, 1200),
    a_form(STRIP_A1, UnitKind.STRIP, 10_000, 600),
    a_form(STRIP_A2, UnitKind.STRIP, 10_000, 600),
    a_form(STRIP_B1, UnitKind.STRIP, 8_000, 600),
    a_form(WELDED, UnitKind.COIL, 16_000, 600),
    *(a_form(segment, UnitKind.SEGMENT, 4_000, 600) for segment in SEGMENTS),
)
LINKS = (
    a_link(HEAT, COIL_A, LinkKind.MELT),
    a_link(HEAT, COIL_B, LinkKind.MELT),
    a_link(COIL_A, STRIP_A1, LinkKind.SLIT, a_piece(0, 10_000)),
    a_link(
        COIL_A,
        STRIP_A2,
        LinkKind.SLIT,
        # Turned over along its length: its operator side is the coil's drive side, its top the coil's bottom.
        Cut(
            parent_mm=Box(600, 0, 1200, 10_000),
            child_mm=Box(0, 0, 600, 10_000),
            is_mirrored=True,
            is_flipped=True,
        ),
    ),
    a_link(COIL_B, STRIP_B1, LinkKind.SLIT, a_piece(0, 8_000)),
    # 400 mm of tail cropped; then the other strip, unwound from its tail and from below, so that its operator side
    # stays there and its bottom is up, less 1600 mm of its head.
    a_link(STRIP_A1, WELDED, LinkKind.WELD, a_piece(0, 9_600)),
    a_link(
        STRIP_B1,
        WELDED,
        LinkKind.WELD,
        Cut(
            parent_mm=Box(0, 1_600, 600, 8_000),
            child_mm=Box(0, 9_600, 600, 16_000),
            is_reversed=True,
            is_flipped=True,
        ),
    ),
    *(
        a_link(WELDED, segment, LinkKind.CUT, a_piece(4_000 * number, 4_000 * (number + 1), sigma_y_mm=5.0))
        for number, segment in enumerate(SEGMENTS)
    ),
)
