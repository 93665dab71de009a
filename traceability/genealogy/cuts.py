"""Units, links and cuts as values: a place on a child is a place on its parent, and back, with its uncertainty.

Millimetres of a unit are those of its surface: x from the operator-side edge, y from the head end. A cut is one
rectangle of the parent that became one rectangle of the child. From that pair and four statements (reversed,
mirrored, turned, flipped) follows the affine map between them; a link with several cuts is affine piece by piece.
Elongation by rolling is a child rectangle longer than the parent's; a crop is parent that no cut covers; a weld is
two parents that cover one child. Nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from math import erf, hypot, isfinite, sqrt
from typing import Final
from uuid import UUID

from inspection.identity import IdentifierCode
from inspection.types import Box

IMPROBABLE: Final = 1e-4
"""Below this a place does not lie there: about 3.7 standard errors off."""


class UnitKind(StrEnum):
    HEAT = "heat"
    SLAB = "slab"
    COIL = "coil"
    STRIP = "strip"
    SEGMENT = "segment"
    BLANK = "blank"
    PART = "part"
    ASSEMBLY = "assembly"
    LOT = "lot"
    CONTAINER = "container"
    CONSUMABLE = "consumable"


class LinkKind(StrEnum):
    """What was done to the parent to make the child, or to use it up in it."""

    MELT = "melt"
    MIX = "mix"
    ROLL = "roll"
    SLIT = "slit"
    CUT = "cut"
    WELD = "weld"
    BLANK = "blank"
    FORM = "form"
    ASSEMBLE = "assemble"
    CONSUME = "consume"
    REWORK = "rework"
    REPACK = "repack"


class Face(StrEnum):
    TOP = "top"
    BOTTOM = "bottom"

    @property
    def other(self) -> Face:
        return Face.BOTTOM if self is Face.TOP else Face.TOP


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitForm:
    """What a unit is. `length_mm` along y and `width_mm` along x, where it has a surface; a lot has a quantity."""

    id: UUID
    unit: IdentifierCode
    kind: UnitKind
    length_mm: float | None = None
    width_mm: float | None = None
    quantity: float | None = None
    quantity_unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A rectangle of the parent and the rectangle of the child that it became.

    is_reversed   the child's head lies towards the parent's tail
    is_mirrored   the child's operator side lies towards the parent's drive side
    is_turned     the child's length runs across the parent, as in blanks cut at 90°
    is_flipped    the child's top is the parent's bottom
    sigma_x_mm, sigma_y_mm   standard error of a place carried through, in the parent's millimetres
    """

    parent_mm: Box
    child_mm: Box
    is_reversed: bool = False
    is_mirrored: bool = False
    is_turned: bool = False
    is_flipped: bool = False
    sigma_x_mm: float = 0.0
    sigma_y_mm: float = 0.0

    def __post_init__(self) -> None:
        for box in (self.parent_mm, self.child_mm):
            if not (box.width > 0 and box.height > 0):
                raise ValueError(f"a cut needs an area on both sides, not {box}")
            if not all(isfinite(side) for side in (box.x1, box.y1, box.x2, box.y2)):
                raise ValueError(f"a cut needs finite sides, not {box}")
        if not (0 <= self.sigma_x_mm < float("inf") and 0 <= self.sigma_y_mm < float("inf")):
            raise ValueError(f"no standard errors: {self.sigma_x_mm}, {self.sigma_y_mm}")

    def to_parent(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Where a place of the child lies on the parent; affine, also beyond the rectangle."""
        across, along = (y_mm, x_mm) if self.is_turned else (x_mm, y_mm)
        child_x, child_y = self._child_sides()
        return (
            _carried(across, child_x, self._parent_x, self.is_mirrored),
            _carried(along, child_y, self._parent_y, self.is_reversed),
        )

    def to_child(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Where a place of the parent lies on the child; undoes `to_parent`."""
        child_x, child_y = self._child_sides()
        across = _carried(x_mm, self._parent_x, child_x, self.is_mirrored)
        along = _carried(y_mm, self._parent_y, child_y, self.is_reversed)
        return (along, across) if self.is_turned else (across, along)

    @property
    def parent_per_child(self) -> tuple[float, float]:
        """Millimetres of the parent, across and along it, that one of the child makes. 1 unless it was rolled."""
        child_x, child_y = self._child_sides()
        return (
            self.parent_mm.width / (child_x[1] - child_x[0]),
            self.parent_mm.height / (child_y[1] - child_y[0]),
        )

    @property
    def _parent_x(self) -> tuple[float, float]:
        return self.parent_mm.x1, self.parent_mm.x2

    @property
    def _parent_y(self) -> tuple[float, float]:
        return self.parent_mm.y1, self.parent_mm.y2

    def _child_sides(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The child's sides that lie across and along the parent."""
        x, y = (self.child_mm.x1, self.child_mm.x2), (self.child_mm.y1, self.child_mm.y2)
        return (y, x) if self.is_turned else (x, y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One parent of one child. Never changed: what was wrong is voided, and the right one added.

    id        the statement's own, so that saying it twice is harmless
    cuts      where the child lies on the parent; none where that is not known or means nothing, as in a melt
    step      the process step that made it, where that is on record
    quantity  of the parent used, in its own unit
    """

    id: UUID
    parent: IdentifierCode
    child: IdentifierCode
    kind: LinkKind
    cuts: tuple[Cut, ...] = ()
    step: UUID | None = None
    quantity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of a unit's surface, carried there from another unit. A place is one without extent.

    face          None: not said
    sigma_x_mm, sigma_y_mm   standard error of where the rectangle lies, as a whole
    probability   that any of it lies on this unit; of several ways there, the likeliest's
    """

    box_mm: Box
    face: Face | None = None
    sigma_x_mm: float = 0.0
    sigma_y_mm: float = 0.0
    probability: float = 1.0


def upwards(region: Region, cut: Cut) -> Region | None:
    """A region of the child on the parent; None where it does not lie on what this cut made.

    Errors of one map do not depend on those of the next, so variances add (GUM, 5.1.2).
    """
    box = _mapped(region.box_mm, cut.to_parent)
    across, along = (
        (region.sigma_y_mm, region.sigma_x_mm) if cut.is_turned else (region.sigma_x_mm, region.sigma_y_mm)
    )
    per_x, per_y = cut.parent_per_child
    return _on(
        replace(
            region,
            box_mm=box,
            face=_face(region.face, cut),
            sigma_x_mm=hypot(across * per_x, cut.sigma_x_mm),
            sigma_y_mm=hypot(along * per_y, cut.sigma_y_mm),
        ),
        cut.parent_mm,
    )


def downwards(region: Region, cut: Cut) -> Region | None:
    """A region of the parent on the child; None where this cut took none of it."""
    blurred = replace(
        region,
        sigma_x_mm=hypot(region.sigma_x_mm, cut.sigma_x_mm),
        sigma_y_mm=hypot(region.sigma_y_mm, cut.sigma_y_mm),
    )
    taken = _on(blurred, cut.parent_mm)
    if taken is None:
        return None
    per_x, per_y = cut.parent_per_child
    across, along = taken.sigma_x_mm / per_x, taken.sigma_y_mm / per_y
    return replace(
        taken,
        box_mm=_mapped(taken.box_mm, cut.to_child),
        face=_face(taken.face, cut),
        sigma_x_mm=along if cut.is_turned else across,
        sigma_y_mm=across if cut.is_turned else along,
    )


def likeliest(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The same, the surest first; equal ones once."""
    found = dict.fromkeys(regions)
    return tuple(
        sorted(found, key=lambda one: (-one.probability, one.box_mm.y1, one.box_mm.x1, one.face or ""))
    )


def _on(region: Region, bounds: Box) -> Region | None:
    """What of a region lies within bounds, and how probably any of it does."""
    box = region.box_mm
    probability = min(
        region.probability,
        _touches(box.x1, box.x2, bounds.x1, bounds.x2, region.sigma_x_mm)
        * _touches(box.y1, box.y2, bounds.y1, bounds.y2, region.sigma_y_mm),
    )
    if probability < IMPROBABLE:
        return None
    clipped = Box(
        min(max(box.x1, bounds.x1), bounds.x2),
        min(max(box.y1, bounds.y1), bounds.y2),
        min(max(box.x2, bounds.x1), bounds.x2),
        min(max(box.y2, bounds.y1), bounds.y2),
    )
    return replace(region, box_mm=clipped, probability=probability)


ROUNDING_MM: Final = 1e-6
"""A nanometre: what a chain of maps loses to floating point must not push a place off the end it lies on."""


def _touches(low: float, high: float, from_: float, to: float, sigma: float) -> float:
    """The probability that [low, high], shifted by a normal error, and [from_, to] have anything in common."""
    if sigma == 0.0:
        if high - low <= ROUNDING_MM:  # a place on the border lies on both sides of it
            return float(from_ - ROUNDING_MM <= low and high <= to + ROUNDING_MM)
        return float(low < to - ROUNDING_MM and high > from_ + ROUNDING_MM)
    return max(0.0, _phi((to - low) / sigma) - _phi((from_ - high) / sigma))


def _phi(z: float) -> float:
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))


def _face(face: Face | None, cut: Cut) -> Face | None:
    return face.other if face is not None and cut.is_flipped else face


def _carried(value: float, from_: tuple[float, float], to: tuple[float, float], is_against: bool) -> float:
    share = (value - from_[0]) / (from_[1] - from_[0])
    return to[1] - share * (to[1] - to[0]) if is_against else to[0] + share * (to[1] - to[0])


def _mapped(box: Box, place: Callable[[float, float], tuple[float, float]]) -> Box:
    x1, y1 = place(box.x1, box.y1)
    x2, y2 = place(box.x2, box.y2)
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
