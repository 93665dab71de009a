"""The strip map: one coil's surface as a drawing, its head at the left, the operator's side on top.

Lengths are stretched to fit: a kilometre of strip and a metre of it are drawn equally long. Sizes below are in units
of the drawing, which a page shows about one to a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from inspection.strip import is_judged
from inspection.types import Defect, Repeat, Stretch, Strip
from services.live import LaneNow

WIDTH: Final = 1100
LEFT: Final = 70
RIGHT: Final = 14
TOP: Final = 10
BODY: Final = 150
BELOW: Final = 30

LIVE_WIDTH: Final = 620
LIVE_BODY: Final = 30

LEAST_MARK: Final = 7.0
"""A smaller defect is drawn this large: on a kilometre of strip a metre is one unit."""

MOST_MARKS: Final = 400
"""More than this would be a carpet, and as many stops for the Tab key: the largest are drawn, all are in the table."""

MOST_TURNS: Final = 60
"""A repeat with more turns is drawn as a line without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One defect. `number` is its row in the inspection's table, counted from 1."""

    area: Area
    defect: Defect
    number: int
    href: str
    is_judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One repeat: along the strip from its first to its last mark, and where its marks are due."""

    y: float
    x_from: float
    x_to: float
    turns: tuple[float, ...]
    repeat: Repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StripMap:
    """All there is to draw. `outline` is the strip between its edges, as an SVG polygon's points."""

    width: float
    height: float
    view: Area
    outline: str
    head: Area | None
    tail: Area | None
    welds: tuple[Area, ...]
    unseen: tuple[Area, ...]
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    along: tuple[Tick, ...]
    across: tuple[Tick, ...]
    along_in_metres: bool
    not_drawn: int


def strip_map(
    strip: Strip,
    defects: Sequence[Defect],
    *,
    href: Callable[[int, Defect], str],
    width: float = WIDTH,
    body: float = BODY,
) -> StripMap | None:
    """The map of a coil; None of one of which nobody knows the length.

    href         where a defect leads to: its number in the table, counted from 1, and itself
    width, body  of the whole drawing, and how high the strip is in it
    """
    if strip.length_mm <= 0 or strip.x_to_mm <= strip.x_from_mm:
        return None
    view = Area(x=LEFT, y=TOP, width=width - LEFT - RIGHT, height=body)
    along = view.width / strip.length_mm
    across = view.height / (strip.x_to_mm - strip.x_from_mm)

    def x_of(y_mm: float) -> float:
        return round(view.x + min(max(y_mm, 0.0), strip.length_mm) * along, 2)

    def y_of(x_mm: float) -> float:
        return round(view.y + (min(max(x_mm, strip.x_from_mm), strip.x_to_mm) - strip.x_from_mm) * across, 2)

    def of_stretch(stretch: Stretch) -> Area:
        x = x_of(stretch.from_mm)
        return Area(x=x, y=view.y, width=max(x_of(stretch.to_mm) - x, 1.5), height=view.height)

    placed = [(number, one) for number, one in enumerate(defects, 1) if one.box_mm is not None]
    shown = sorted(placed, key=lambda one: (-(one[1].length_mm or 0.0), one[0]))[:MOST_MARKS]
    metres = strip.length_mm >= 2000
    return StripMap(
        width=width,
        height=TOP + body + BELOW,
        view=view,
        outline=_outline(strip, x_of, y_of),
        head=None if strip.head is None else of_stretch(strip.head),
        tail=None if strip.tail is None else of_stretch(strip.tail),
        welds=tuple(of_stretch(one) for one in strip.welds),
        unseen=tuple(of_stretch(one) for one in strip.unseen),
        # Along the strip, so that the Tab key goes from head to tail.
        marks=tuple(
            Mark(
                area=_mark(one, x_of, y_of),
                defect=one,
                number=number,
                href=href(number, one),
                is_judged=is_judged(one, strip),
            )
            for number, one in sorted(shown)
        ),
        lines=tuple(_line(one, x_of, y_of) for one in strip.repeats),
        along=tuple(
            Tick(at=x_of(value), text=f"{value / 1000 if metres else value:g}")
            for value in _round_values(0.0, strip.length_mm, about=round(width / 110))
        ),
        across=tuple(
            Tick(at=y_of(value), text=f"{value:g}")
            for value in _round_values(strip.x_from_mm, strip.x_to_mm, about=4)
        ),
        along_in_metres=metres,
        not_drawn=len(defects) - len(shown),
    )


def live_map(lane: LaneNow) -> StripMap | None:
    """Of the coil in view, as far as it has come. It grows towards the right, and what is there moves together."""
    seen = lane.in_hand_seen_mm
    if seen is None:
        return None
    strip = Strip(
        length_mm=seen.y2,
        x_from_mm=seen.x1,
        x_to_mm=seen.x2,
        head=None,
        tail=None,
        unseen=lane.in_hand_unseen,
        edges=(),
        repeats=lane.in_hand_repeats,
    )
    return strip_map(
        strip, lane.in_hand_placed, href=lambda number, defect: "", width=LIVE_WIDTH, body=LIVE_BODY
    )


def pictured(defect: Defect, urls: Mapping[tuple[str, int], str]) -> str | None:
    """The picture that shows most of a defect, of those kept; None where none shows it. `urls` by camera and count."""
    frames = (defect.sequence, *(piece.sequence for piece in defect.pieces))
    return next((urls[defect.camera, frame] for frame in frames if (defect.camera, frame) in urls), None)


def _outline(strip: Strip, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    if strip.edges:
        first, last = strip.edges[0], strip.edges[-1]
        left = [(0.0, first.left_mm), *((one.y_mm, one.left_mm) for one in strip.edges)]
        right = [(0.0, first.right_mm), *((one.y_mm, one.right_mm) for one in strip.edges)]
        left.append((strip.length_mm, last.left_mm))
        right.append((strip.length_mm, last.right_mm))
    else:
        left = [(0.0, strip.x_from_mm), (strip.length_mm, strip.x_from_mm)]
        right = [(0.0, strip.x_to_mm), (strip.length_mm, strip.x_to_mm)]
    return " ".join(f"{x_of(y):g},{y_of(x):g}" for y, x in [*left, *reversed(right)])


def _mark(defect: Defect, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> Area:
    box = defect.box_mm
    assert box is not None, "only placed defects are drawn"
    x, width = _at_least(x_of(box.y1), x_of(box.y2))
    y, height = _at_least(y_of(box.x1), y_of(box.x2))
    return Area(x=x, y=y, width=width, height=height)


def _at_least(low: float, high: float) -> tuple[float, float]:
    size = max(high - low, LEAST_MARK)
    return round((low + high - size) / 2, 2), round(size, 2)


def _line(repeat: Repeat, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> Line:
    count = repeat.hits + repeat.missed
    turns = tuple(x_of(repeat.first_mm + turn * repeat.period_mm) for turn in range(count))
    return Line(
        y=y_of(repeat.x_mm),
        x_from=x_of(repeat.first_mm),
        x_to=x_of(repeat.last_mm),
        turns=turns if count <= MOST_TURNS else (),
        repeat=repeat,
    )


def _round_values(low: float, high: float, *, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`."""
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= rough * 0.999)
    return [number * step for number in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
