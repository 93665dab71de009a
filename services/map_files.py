"""Maps of defects as files, from the same answer as the page's: PDF with the map drawn, XLSX with defects, grid and
zones, CSV with a line for each defect."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageColor

from services.chart_files import FAINT, GRID, INK, Format, Table, new_sheet, table_as_file, table_as_xlsx
from services.text import say

if TYPE_CHECKING:
    from services.api.causes import PositionsAnswer

WIDE_PX: Final = 2200
HIGH_PX: Final = 760
"""Of the map on paper, 8 pixels a millimetre of A4: finer than any printer shows a dot of three."""

DOT_PX: Final = 3

HEIGHT_MM: Final = 92


def as_map_file(
    found: PositionsAnswer, zones: Table, format: Format, *, station: str, language: str
) -> bytes:
    """zones  the table beside the map. Raises FontMissing for a PDF."""
    if format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(_headings(language))
        writer.writerows(_defects(found))
        return text.getvalue().encode("utf-8-sig")
    if format == "xlsx":
        defects = Table(
            title=say("web.spc.maps", language),
            notes=(say("web.maps.basis", language, defects=len(found.x_mm)),),
            headings=_headings(language),
            rows=tuple(_defects(found)),
        )
        return table_as_xlsx(zones, _grid(found, language), defects)
    if found.extent is None:
        return table_as_file(zones, "pdf", station=station, language=language)
    sheet = new_sheet(station=station, language=language, landscape=True)
    sheet.heading(say("web.spc.maps", language), size=15)
    for note in zones.notes:
        sheet.line(note)
    sheet.line("   ".join(f"■ {kind.name} {kind.defects}" for kind in found.kinds))
    top = sheet.pdf.get_y() + 2
    sheet.pdf.image(_drawn(found), x=sheet.pdf.l_margin, y=top, w=sheet.width, h=HEIGHT_MM)
    _axes(sheet.pdf, found.extent, top, sheet.width, language)
    sheet.pdf.set_y(top + HEIGHT_MM + 9)
    rows = [["–" if cell is None else str(cell) for cell in row] for row in (zones.headings, *zones.rows)]
    sheet.table(rows, [3.0] + [1.6] * (len(zones.headings) - 1))
    return bytes(sheet.pdf.output())


def _headings(language: str) -> tuple[str, ...]:
    return tuple(
        say(f"web.maps.{key}", language) for key in ("along", "across", "what", "code", "inspection")
    )


def _defects(found: PositionsAnswer) -> Iterator[tuple[str | float | None, ...]]:
    for x, y, number, inspection in zip(found.x_mm, found.y_mm, found.kind, found.inspection, strict=True):
        yield y, x, found.kinds[number].name, found.kinds[number].kind, inspection


def _grid(found: PositionsAnswer, language: str) -> Table:
    """Cells of the heat map as the page has them: along to the right, across downwards."""
    rows = tuple(tuple(float(cell) for cell in row) for row in zip(*found.heat, strict=True))
    return Table(
        title=say("web.maps.heat", language),
        notes=(say("web.maps.heat_label", language),),
        headings=tuple(str(place + 1) for place in range(len(found.heat))),
        rows=rows,
    )


def _drawn(found: PositionsAnswer) -> Image.Image:
    """Each defect a dot in the colour of its kind, head at the left; of dots on one another the newest is seen."""
    assert found.extent is not None
    x1, y1, x2, y2 = found.extent
    across, along = np.asarray(found.x_mm, np.float64), np.asarray(found.y_mm, np.float64)
    column = (
        ((along - y1) / max(y2 - y1, 1e-9) * (WIDE_PX - DOT_PX)).astype(np.intp).clip(0, WIDE_PX - DOT_PX)
    )
    row = ((across - x1) / max(x2 - x1, 1e-9) * (HIGH_PX - DOT_PX)).astype(np.intp).clip(0, HIGH_PX - DOT_PX)
    colours = np.array([ImageColor.getrgb(kind.colour)[:3] for kind in found.kinds], np.uint8)
    of_each = colours[np.asarray(found.kind, np.intp)]
    canvas = np.full((HIGH_PX, WIDE_PX, 3), 255, np.uint8)
    # The newest come first in the answer, and are painted last.
    for down in range(DOT_PX):
        for right in range(DOT_PX):
            canvas[row[::-1] + down, column[::-1] + right] = of_each[::-1]
    return Image.fromarray(canvas)


def _axes(
    pdf: Any, extent: tuple[float, float, float, float], top: float, width: float, language: str
) -> None:
    x1, y1, x2, y2 = extent
    left = pdf.l_margin
    pdf.set_draw_color(*GRID)
    pdf.rect(left, top, width, HEIGHT_MM)
    pdf.set_font("text", size=7.5)
    pdf.set_text_color(*FAINT)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        align = "L" if share == 0 else "R" if share == 1 else "C"
        pdf.set_xy(left + share * (width - 30), top + HEIGHT_MM + 1)
        pdf.cell(30, 3, f"{y1 + share * (y2 - y1):.0f}", align=align)
    pdf.set_xy(left, top + HEIGHT_MM + 4.5)
    across = f"{say('web.maps.across', language)}: {x1:.0f} … {x2:.0f}"
    pdf.cell(width, 3, f"→ {say('web.maps.along', language)}    ↓ {across}")
    pdf.set_text_color(*INK)
