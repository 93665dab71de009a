"""Charts as files: CSV for any spreadsheet, XLSX with a chart of its own, PDF for A4 paper; from the same answer as
the page's, so that all show the same numbers.

The PDF embeds what it needs of a font with Chinese, which the computer has to have: see FONTS.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

from services.api.charts import ChartAnswer, PointAnswer
from services.problems import FontMissing
from services.text import say

Format = Literal["csv", "xlsx", "pdf"]

MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}

FONTS: Final = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc", 2),
    ("C:/Windows/Fonts/msyh.ttc", 0),
    ("/System/Library/Fonts/STHeiti Light.ttc", 1),
)
"""Fonts with Chinese, and which face of the collection: `scripts/install_system_packages.sh` installs the first."""

SIGNALS_PRINTED: Final = 24

INK, FAINT, GRID = (29, 36, 43), (91, 102, 112), (213, 217, 222)
CENTRE, LIMIT, LINE = (26, 127, 55), (179, 38, 30), (60, 70, 80)


def as_file(charts: Sequence[ChartAnswer], format: Format, *, station: str, language: str) -> bytes:
    """The charts of one page, location before spread. Raises FontMissing for a PDF."""
    if format == "csv":
        return as_csv(charts, language)
    return (
        as_xlsx(charts, language) if format == "xlsx" else as_pdf(charts, station=station, language=language)
    )


# ------------------------------------------------------------------ tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A page's table as a file holds it. `bar` is the column that is drawn as bars, or None."""

    title: str
    notes: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    bar: int | None = None


def table_as_file(table: Table, format: Format, *, station: str, language: str) -> bytes:
    """Raises FontMissing for a PDF."""
    if format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(table.headings)
        writer.writerows([[_safe(cell) for cell in row] for row in table.rows])
        return text.getvalue().encode("utf-8-sig")
    if format == "xlsx":
        return table_as_xlsx(table)
    sheet = new_sheet(station=station, language=language, landscape=True)
    sheet.heading(table.title, size=15)
    for note in table.notes:
        sheet.line(note)
    rows = [["–" if cell is None else str(cell) for cell in row] for row in (table.headings, *table.rows)]
    sheet.table(rows, [3.0] + [1.6] * (len(table.headings) - 1))
    return bytes(sheet.pdf.output())


def table_as_xlsx(*tables: Table) -> bytes:
    """A sheet for each."""
    from xlsxwriter import Workbook

    target = io.BytesIO()
    book = Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    for table in tables:
        _add_table(book, table)
    book.close()
    return target.getvalue()


def _add_table(book: Any, table: Table) -> None:
    sheet = book.add_worksheet()
    for line, note in enumerate((table.title, *table.notes)):
        sheet.write(line, 0, note)
    top = len(table.notes) + 2
    sheet.write_row(top, 0, table.headings, book.add_format({"bold": True}))
    for line, row in enumerate(table.rows, start=top + 1):
        sheet.write_row(line, 0, ["" if cell is None else cell for cell in row])
    sheet.freeze_panes(top + 1, 1)
    sheet.set_column(0, 0, 32)
    drawn = book.add_chart({"type": "bar"})
    if table.bar is not None and table.rows and drawn is not None:
        drawn.add_series(
            {
                "name": [sheet.name, top, table.bar],
                "categories": [sheet.name, top + 1, 0, top + len(table.rows), 0],
                "values": [sheet.name, top + 1, table.bar, top + len(table.rows), table.bar],
            }
        )
        drawn.set_y_axis({"reverse": True})
        sheet.insert_chart(top + 1, len(table.headings) + 1, drawn)


CROWDED: Final = 60
"""From so many points on, rule numbers of neighbours would lie on one another."""

_COLUMNS: Final = (
    "point",
    "value",
    "centre",
    "lower",
    "upper",
    "count",
    "opportunity",
    "review",
    "not_inspected",
    "stage",
    "rules_hit",
    "excluded",
    "simulated",
    "key",
)


def as_csv(charts: Sequence[ChartAnswer], language: str) -> bytes:
    """A row per point, charts one below the other. With a byte order mark: Excel takes it for UTF-8 by that alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([say("web.file.chart", language), *_headings(language)])
    for chart in charts:
        for row in _rows(chart):
            writer.writerow([_safe(chart.title), *(_safe(cell) for cell in row)])
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(charts: Sequence[ChartAnswer], language: str) -> bytes:
    """A sheet per chart: what it is, its points, and a chart of the spreadsheet's own."""
    from xlsxwriter import Workbook

    target = io.BytesIO()
    # No text is taken for a formula or an address, whatever it begins with.
    book = Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True})
    for number, chart in enumerate(charts, start=1):
        sheet = book.add_worksheet(f"{number} {say(f'web.file.sheet.{chart.chart}', language)}"[:31])
        facts = list(_facts(chart, language))
        for line, fact in enumerate(facts):
            sheet.write(line, 0, fact)
        top = len(facts) + 1
        sheet.write_row(top, 0, _headings(language), bold)
        rows = list(_rows(chart))
        for line, row in enumerate(rows, start=top + 1):
            sheet.write_row(line, 0, ["" if cell is None else cell for cell in row])
        sheet.freeze_panes(top + 1, 1)
        sheet.set_column(0, 0, 24)
        drawn = book.add_chart({"type": "line"})
        if rows and drawn is not None:
            for column, colour, dash in (
                (1, "#3C4650", "solid"),
                (2, "#1A7F37", "solid"),
                (3, "#B3261E", "dash"),
                (4, "#B3261E", "dash"),
            ):
                drawn.add_series(
                    {
                        "name": [sheet.name, top, column],
                        "categories": [sheet.name, top + 1, 0, top + len(rows), 0],
                        "values": [sheet.name, top + 1, column, top + len(rows), column],
                        "line": {"color": colour, "width": 1.25, "dash_type": dash},
                        "marker": {"type": "circle", "size": 4} if column == 1 else {"type": "none"},
                    }
                )
            drawn.set_title({"name": chart.title})
            drawn.set_size({"width": 900, "height": 380})
            sheet.insert_chart(top + 1, len(_COLUMNS) + 1, drawn)
    book.close()
    return target.getvalue()


def _headings(language: str) -> list[str]:
    return [say(f"web.file.{column}", language) for column in _COLUMNS]


def _rows(chart: ChartAnswer) -> Iterator[list[str | float | None]]:
    hits: dict[int, list[str]] = {}
    for signal in chart.signals:
        hits.setdefault(signal.index, []).append(str(signal.number))
    for index, point in enumerate(chart.points):
        left_out = point.excluded
        yield [
            point.label,
            point.value,
            point.centre,
            point.lower,
            point.upper,
            point.count,
            point.opportunity,
            point.review,
            point.not_inspected,
            point.stage,
            " ".join(hits.get(index, ())),
            None if left_out is None else f"{left_out.person}: {left_out.reason}",
            point.simulated,
            point.key,
        ]


def _safe(cell: str | float | None) -> str | float | None:
    """A text that a spreadsheet would take for a formula, made a text again."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def _facts(chart: ChartAnswer, language: str) -> Iterator[str]:
    """What a reader must know of a chart who sees nothing but the paper."""
    yield chart.title + (f" ({chart.unit})" if chart.unit else "")
    points = [point for point in chart.points if point.value is not None]
    yield say(
        "web.file.basis",
        language,
        points=len(points),
        units=chart.units,
        method=chart.method_text,
        first=points[0].label if points else "–",
        last=points[-1].label if points else "–",
    )
    if chart.frozen is not None:
        kept = chart.frozen
        yield say(
            "web.book.frozen",
            language,
            version=kept.version,
            person=kept.person,
            at=f"{kept.at.astimezone():%Y-%m-%d %H:%M}",
            reason=kept.reason,
        )
        if chart.stages and not kept.stage:
            yield say("web.book.all_stages", language)
        elif chart.stages and kept.stage != chart.points[-1].stage:
            yield say("web.book.other_stage", language, stage=kept.stage)
    elif chart.cusum is None:
        yield say("web.book.own_limits", language)
    colon = say("web.colon", language)
    rules = "; ".join(
        f"{say('web.spc.rule', language, number=rule.number)}{colon}{rule.text}" for rule in chart.rules
    )
    yield f"{say('web.spc.rules', language)}{colon}{rules}"
    if chart.cusum is not None:
        yield chart.cusum.text
    if chart.stretches > 1:
        yield say("web.spc.stages", language, count=chart.stretches)
    if chart.simulated:
        yield say("web.spc.simulated_banner", language, simulated=chart.simulated, units=chart.units)
    for point in chart.excluded:
        assert point.excluded is not None
        yield f"× {point.label} " + say(
            "web.book.left_out",
            language,
            person=point.excluded.person,
            at=f"{point.excluded.at.astimezone():%Y-%m-%d %H:%M}",
            reason=point.excluded.reason,
        )


# ------------------------------------------------------------------ paper


@cache
def font() -> tuple[Path, int]:
    """The first of FONTS that is there. Raises FontMissing."""
    for name, face in FONTS:
        if Path(name).is_file():
            return Path(name), face
    raise FontMissing(
        "No font with Chinese was found on this computer.",
        action="Install the package fonts-noto-cjk, then ask again; CSV and XLSX need none.",
        fonts=", ".join(name for name, _ in FONTS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page of A4 in the making: `pdf` with the font set, and its width between the margins, mm."""

    pdf: Any
    width: float

    def heading(self, text: str, *, size: float = 13) -> None:
        self.pdf.set_font("text", size=size)
        self.pdf.set_text_color(*INK)
        self.pdf.multi_cell(self.width, size * 0.5, text, new_x="LMARGIN", new_y="NEXT")

    def line(self, text: str, *, colour: tuple[int, int, int] = FAINT, size: float = 8.5) -> None:
        self.pdf.set_font("text", size=size)
        self.pdf.set_text_color(*colour)
        self.pdf.multi_cell(self.width, size * 0.5, text, new_x="LMARGIN", new_y="NEXT")

    def table(self, rows: Sequence[Sequence[str]], shares: Sequence[float]) -> None:
        """Lines of cells, as wide as their shares of the page."""
        self.pdf.set_font("text", size=9)
        self.pdf.set_text_color(*INK)
        self.pdf.set_draw_color(*GRID)
        with self.pdf.table(
            col_widths=tuple(shares),
            first_row_as_headings=False,
            borders_layout="HORIZONTAL_LINES",
            line_height=5,
            width=self.width,
            text_align="LEFT",
        ) as table:
            for row in rows:
                cells = table.row()
                for cell in row:
                    cells.cell(cell)

    def drawing(self, title: str, draw: Callable[[float], None], *, height: float) -> None:
        """What `draw` draws from where it is told on, `height` mm, below its title; on a new page where both have no
        room left on this one. A drawing does not break by itself: it would go on beyond the paper.
        """
        size = 11.0
        if self.pdf.will_page_break(size * 0.5 + height):
            self.pdf.add_page()
        self.heading(title, size=size)
        top = self.pdf.get_y()
        draw(top)
        self.pdf.set_y(top + height)


def new_sheet(*, station: str, language: str, landscape: bool) -> Sheet:
    """Raises FontMissing."""
    from fpdf import FPDF

    path, face = font()
    foot = say(
        "web.file.foot", language, station=station, at=f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M}"
    )

    class Paper(FPDF):
        def footer(self) -> None:
            self.set_y(-10)
            self.set_font("text", size=7.5)
            self.set_text_color(*FAINT)
            self.cell(0, 4, f"{foot}    {self.page_no()} / {{nb}}", align="R")

    pdf = Paper(orientation="landscape" if landscape else "portrait", format="A4")
    pdf.add_font("text", fname=str(path), collection_font_number=face)
    pdf.set_margin(14)
    pdf.set_auto_page_break(True, margin=14)
    pdf.add_page()
    return Sheet(pdf=pdf, width=pdf.epw)


def as_pdf(charts: Sequence[ChartAnswer], *, station: str, language: str) -> bytes:
    """A4, landscape: the charts with their zones, stages and rule numbers, then all that must be known of them."""
    sheet = new_sheet(station=station, language=language, landscape=True)
    sheet.heading(" / ".join(chart.title for chart in charts), size=15)
    heights = [92.0] if len(charts) == 1 else [72.0, 42.0]
    for chart, height in zip(charts, heights, strict=True):
        sheet.line(chart.title + (f" ({chart.unit})" if chart.unit else ""), colour=INK)
        draw(sheet.pdf, chart, sheet.pdf.get_y(), height, language)
        sheet.pdf.set_y(sheet.pdf.get_y() + height + 2)
    for fact in list(_facts(charts[0], language))[1:]:
        sheet.line(fact)
    signals = [(chart, signal) for chart in charts for signal in chart.signals]
    sheet.heading(say("web.spc.signals", language))
    for chart, signal in signals[-SIGNALS_PRINTED:][::-1]:
        sheet.line(
            f"◆ {signal.number}  {chart.points[signal.index].label}  {chart.title}: {signal.text}", colour=INK
        )
    if len(signals) > SIGNALS_PRINTED:
        sheet.line(say("web.file.more_signals", language, count=len(signals) - SIGNALS_PRINTED))
    if not signals:
        sheet.line(say("web.spc.no_signals", language))
    return bytes(sheet.pdf.output())


def draw(pdf: Any, chart: ChartAnswer, top: float, height: float, language: str) -> None:
    """One chart into a page, `top` and `height` in mm, from margin to margin."""
    left, right, bottom = 14 + 14, pdf.w - 14 - 26, top + height - 7
    above = top + 4
    points = chart.points
    figures = [
        figure
        for point in points
        for figure in (point.value, point.lower, point.upper, point.centre)
        if figure is not None
    ]
    if not figures:
        return
    low, high = min(figures), max(figures)
    room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    low, high = (max(0.0, low - room) if min(figures) >= 0 and low - room < 0 else low - room), high + room

    def x(index: float) -> float:
        return float(left + (right - left) * (index + 0.5) / len(points))

    def y(figure: float) -> float:
        return bottom - (bottom - above) * (figure - low) / (high - low)

    def told(figure: float) -> str:
        return f"{100 * figure:.3g} %" if chart.unit == "" else f"{figure:.5g}"

    def stepped(
        figure_of: Callable[[PointAnswer], float | None], colour: tuple[int, int, int], **pen: Any
    ) -> None:
        pdf.set_draw_color(*colour)
        pdf.set_line_width(pen.get("width", 0.25))
        pdf.set_dash_pattern(*pen.get("dash", (0, 0)))
        for figure, some in groupby(enumerate(points), key=lambda each: figure_of(each[1])):
            places = [index for index, _ in some]
            if figure is not None:
                pdf.line(x(places[0] - 0.5), y(figure), x(places[-1] + 0.5), y(figure))
        pdf.set_dash_pattern()

    def zone(line: int, point: PointAnswer) -> float | None:
        return point.zones[line] if point.zones and line < len(point.zones) else None

    for line in range(4):
        stepped(partial(zone, line), GRID, width=0.15)
    stepped(lambda point: point.centre, CENTRE)
    for side in ("lower", "upper"):
        stepped(attrgetter(side), LIMIT, dash=(1.6, 1))
    pdf.set_font("text", size=7)
    last = next((point for point in reversed(points) if point.centre is not None), None)
    # A sum or a distance begins at 0, as the axis says.
    is_from_zero = all(point.centre in (0, None) and point.lower is None for point in points)
    if last is not None:
        for name, key, colour in (
            ("upper", "upper", LIMIT),
            ("centre", "centre", CENTRE),
            ("lower", "lower", LIMIT),
        ):
            figure = getattr(last, key)
            if figure is not None and not (is_from_zero and key == "centre"):
                pdf.set_text_color(*colour)
                pdf.text(right + 1.5, y(figure) + 1, f"{say(f'web.spc.{name}', language)} {told(figure)}")
    pdf.set_text_color(*FAINT)
    for figure in (low, (low + high) / 2, high):
        text = told(figure)
        pdf.text(left - 2 - pdf.get_string_width(text), y(figure) + 1, text)
    every = max(1, len(points) // 9)
    for index in range(0, len(points), every):
        pdf.text(x(index) - 6, bottom + 4, points[index].label[5:16])
    pdf.set_draw_color(*FAINT)
    pdf.set_line_width(0.2)
    pdf.line(left, bottom, right, bottom)
    if chart.stages:
        for index in range(1, len(points)):
            if points[index].stage != points[index - 1].stage:
                pdf.set_dash_pattern(0.6, 0.8)
                pdf.line(x(index - 0.5), above, x(index - 0.5), bottom)
                pdf.set_dash_pattern()
                pdf.text(x(index - 0.5) + 1, above + 1, points[index].stage[:60])
    _draw_points(pdf, chart, x, y)


def _draw_points(
    pdf: Any, chart: ChartAnswer, x: Callable[[float], float], y: Callable[[float], float]
) -> None:
    hits: dict[int, list[str]] = {}
    members: set[int] = set()
    for signal in chart.signals:
        hits.setdefault(signal.index, []).append(str(signal.number))
        members.update(signal.members)
    pdf.set_draw_color(*LINE)
    pdf.set_line_width(0.2)
    before: tuple[float, float] | None = None
    for index, point in enumerate(chart.points):
        here = None if point.value is None else (x(index), y(point.value))
        if here is not None and before is not None:
            pdf.line(*before, *here)
        before = here
    radius = 0.75 if len(chart.points) <= 120 else 0.3
    # Where many points in a row signal by the same rules, the first says so: their numbers would lie on one another.
    is_crowded = len(chart.points) > CROWDED
    for index, point in enumerate(chart.points):
        if point.value is None:
            continue
        at, up = x(index), y(point.value)
        if point.excluded is not None:
            pdf.set_draw_color(*FAINT)
            pdf.set_fill_color(255, 255, 255)
            pdf.ellipse(at - 1, up - 1, 2, 2, style="DF")
        elif index in hits:
            pdf.set_fill_color(*LIMIT)
            pdf.polygon([(at - 1.3, up), (at, up - 1.3), (at + 1.3, up), (at, up + 1.3)], style="F")
            pdf.set_text_color(*LIMIT)
            pdf.set_font("text", size=7)
            if not (is_crowded and hits.get(index - 1) == hits[index]):
                pdf.text(at - 0.8, up - 2, ",".join(hits[index]))
        else:
            is_member = index in members
            pdf.set_draw_color(*(LIMIT if is_member else LINE))
            pdf.set_fill_color(*((255, 255, 255) if is_member else LINE))
            size = radius * (1.4 if is_member else 1)
            pdf.ellipse(at - size, up - size, 2 * size, 2 * size, style="DF")
