"""Genealogy as drawings: the graph around a unit, and the unit's surface with what was cut from it, to scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inspection.identity import IdentifierCode
from inspection.types import Box, Defect
from traceability.genealogy.cuts import Link, LinkKind
from traceability.genealogy.tracing import Family, Relative

COLUMN: Final = 226
NODE: Final = (190, 50)
ROW: Final = 62
MARGIN: Final = 6
FAN: Final = 2
"""Of more links of one kind their labels would stand on each other."""

WIDTH: Final = 1100
LEFT: Final = 84
BODY: Final = 150
TOP: Final = 12
BELOW: Final = 30
LEAST_MARK: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    x: float
    y: float
    relative: Relative
    is_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From the parent's right side to the child's left one, as an SVG path."""

    path: str
    link: Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What was done, beside the links of which it says so."""

    x: float
    y: float
    kind: LinkKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyMap:
    """Ancestors to the left, descendants to the right; `hidden` relatives are not drawn."""

    width: float
    height: float
    node_width: float
    node_height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    labels: tuple[Label, ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a child was cut from. `text` has room for its code or is empty."""

    x: float
    y: float
    width: float
    height: float
    link: Link
    cut_mm: Box
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    x: float
    y: float
    width: float
    height: float
    defect: Defect


@dataclass(frozen=True, slots=True, kw_only=True)
class CutMap:
    """The surface, its head at the left and the operator's side on top; lengths are stretched to fit."""

    width: float
    height: float
    x: float
    y: float
    body_width: float
    body_height: float
    length_mm: float
    width_mm: float
    pieces: tuple[Piece, ...]
    dots: tuple[Dot, ...]


def family_map(family: Family, root: Relative, *, relatives: int) -> FamilyMap | None:
    """The graph; None of a unit alone. `relatives`: how many there are with those that are not in `family`."""
    if not family.links:
        return None
    column = _columns(family, root.unit)
    rows: dict[int, list[Relative]] = defaultdict(list)
    for one in family.relatives:
        rows[column[one.unit]].append(one)
    first, tallest = min(rows), max(len(some) for some in rows.values())
    height = tallest * ROW + 2 * MARGIN
    nodes: dict[IdentifierCode, Node] = {}
    for number, some in sorted(rows.items()):
        above = (height - len(some) * ROW) / 2
        for at, one in enumerate(some):
            nodes[one.unit] = Node(
                x=MARGIN + (number - first) * COLUMN,
                y=round(above + at * ROW + (ROW - NODE[1]) / 2, 1),
                relative=one,
                is_root=one.unit == root.unit,
            )
    links = [link for link in family.links if link.parent in nodes and link.child in nodes]
    return FamilyMap(
        width=2 * MARGIN + (max(rows) - first) * COLUMN + NODE[0],
        height=height,
        node_width=NODE[0],
        node_height=NODE[1],
        nodes=tuple(nodes.values()),
        edges=tuple(_edge(link, nodes) for link in links),
        labels=tuple(_labels(links, nodes)),
        hidden=max(0, relatives + 1 - len(family.relatives)),
    )


def cut_map(unit: Relative, family: Family, defects: Sequence[Defect]) -> CutMap | None:
    """What was cut from the unit, on its surface; None where its size was not said or nothing was cut from it."""
    made = [(link, cut) for link in family.links if link.parent == unit.unit for cut in link.cuts]
    if not made or unit.length_mm is None or unit.width_mm is None:
        return None
    along, across = (WIDTH - LEFT - MARGIN) / unit.length_mm, BODY / unit.width_mm

    def area(box: Box) -> tuple[float, float, float, float]:
        return (
            round(LEFT + box.y1 * along, 2),
            round(TOP + box.x1 * across, 2),
            round(box.height * along, 2),
            round(box.width * across, 2),
        )

    pieces = []
    for link, cut in made:
        x, y, width, height = area(cut.parent_mm)
        code = str(link.child)
        fits = width > 8.2 * len(code) + 8 and height > 20
        pieces.append(
            Piece(
                x=x,
                y=y,
                width=width,
                height=height,
                link=link,
                cut_mm=cut.parent_mm,
                text=code if fits else "",
            )
        )
    dots = []
    for defect in defects:
        if defect.box_mm is not None:
            x, y, width, height = area(defect.box_mm)
            dots.append(
                Dot(x=x, y=y, width=max(width, LEAST_MARK), height=max(height, LEAST_MARK), defect=defect)
            )
    return CutMap(
        width=WIDTH,
        height=TOP + BODY + BELOW,
        x=LEFT,
        y=TOP,
        body_width=WIDTH - LEFT - MARGIN,
        body_height=BODY,
        length_mm=unit.length_mm,
        width_mm=unit.width_mm,
        pieces=tuple(pieces),
        dots=tuple(dots),
    )


def _columns(family: Family, root: IdentifierCode) -> Mapping[IdentifierCode, int]:
    """How many links from the unit at most: below 0 for ancestors. A child stands right of each of its parents."""
    parents: dict[IdentifierCode, set[IdentifierCode]] = defaultdict(set)
    for link in family.links:
        parents[link.child].add(link.parent)
    depth: dict[IdentifierCode, int] = {}

    def deep(unit: IdentifierCode) -> int:
        if unit not in depth:
            depth[unit] = 1 + max((deep(one) for one in parents[unit]), default=-1)
        return depth[unit]

    for one in family.relatives:
        deep(one.unit)
    return {unit: number - depth[root] for unit, number in depth.items()}


def _edge(link: Link, nodes: Mapping[IdentifierCode, Node]) -> Edge:
    parent, child = nodes[link.parent], nodes[link.child]
    x1, y1 = parent.x + NODE[0], parent.y + NODE[1] / 2
    x2, y2 = child.x, child.y + NODE[1] / 2
    bend = (x2 - x1) / 2
    return Edge(path=f"M{x1:g},{y1:g} C{x1 + bend:g},{y1:g} {x2 - bend:g},{y2:g} {x2:g},{y2:g}", link=link)


def _labels(links: Sequence[Link], nodes: Mapping[IdentifierCode, Node]) -> Iterator[Label]:
    """One for each link, but one alone for a fan of links of one kind: from one parent, else to one child."""
    rest = list(links)
    for end in ("parent", "child"):
        fans: dict[tuple[IdentifierCode, LinkKind], list[Link]] = defaultdict(list)
        for link in rest:
            fans[getattr(link, end), link.kind].append(link)
        rest = []
        for (unit, kind), fan in fans.items():
            if len(fan) <= FAN:
                rest += fan
            else:
                node, gap = nodes[unit], (COLUMN - NODE[0]) / 2
                x = node.x + NODE[0] + gap if end == "parent" else node.x - gap
                yield Label(x=x, y=node.y + NODE[1] / 2, kind=kind)
    for link in rest:
        parent, child = nodes[link.parent], nodes[link.child]
        x = (parent.x + NODE[0] + child.x) / 2
        yield Label(x=x, y=(parent.y + child.y + NODE[1]) / 2, kind=link.kind)
