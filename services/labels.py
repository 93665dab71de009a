"""Labels to be printed: a unit's code as a symbol, and beside it as text. PNG, SVG and PDF of one layout.

This is the only file that knows reportlab (BSD). Sizes are in millimetres, so that a label comes out as large as said.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from inspection.identity import IdentifierCode
from inspection.vision.codes import draw_code
from traceability.identifiers import gs1
from traceability.resolution import anchor

LabelKind = Literal["datamatrix", "qr"]
LABEL_KINDS: Final[tuple[LabelKind, ...]] = get_args(LabelKind)

LabelFormat = Literal["png", "svg", "pdf"]
LABEL_FORMATS: Final[tuple[LabelFormat, ...]] = get_args(LabelFormat)

_QUIET_MODULES: Final = {"datamatrix": 2, "qr": 4}
"""White around the symbol: ISO/IEC 16022 asks for one module of DataMatrix, and print takes some; 18004 for four."""

_TEXT_MM: Final = 2.5
_LINE_MM: Final = 3.2
_LETTER_MM: Final = 1.5
"""A letter of Courier is 0.6 of its size wide; a Chinese one twice that at most."""

_LETTERS_A_LINE: Final = 18
_MM_PER_INCH: Final = 25.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """One label, laid out.

    modules    (rows, columns), True where dark
    module_mm  side of one module
    lines      the code in letters, as it is broken
    """

    modules: NDArray[np.bool_]
    quiet: int
    module_mm: float
    lines: tuple[str, ...]

    @property
    def symbol_mm(self) -> float:
        """With its quiet zone."""
        return (len(self.modules) + 2 * self.quiet) * self.module_mm

    @property
    def width_mm(self) -> float:
        return self.symbol_mm + max(_width(line) for line in self.lines) * _LETTER_MM + 2

    @property
    def height_mm(self) -> float:
        return max(self.symbol_mm, len(self.lines) * _LINE_MM + 2)

    def bars_mm(self) -> Iterator[tuple[float, float, float]]:
        """Dark stretches of rows: left, top and width, each one module high."""
        for row, modules in enumerate(self.modules):
            edges = np.flatnonzero(np.diff(np.concatenate(([0], modules.astype(np.int8), [0]))))
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                left, top = (int(start) + self.quiet) * self.module_mm, (row + self.quiet) * self.module_mm
                yield left, top, int(end - start) * self.module_mm

    def lines_mm(self) -> Iterator[tuple[float, float, str]]:
        """Lines of text: left end of the base line, and the line."""
        for number, line in enumerate(self.lines):
            yield self.symbol_mm, 1 + number * _LINE_MM + _TEXT_MM, line


def label(
    code: IdentifierCode, kind: LabelKind, *, resolver: str | None = None, module_mm: float = 0.5
) -> Label:
    """The label of a code.

    resolver   address of the server that resolves it: the symbol then holds a web address that any phone opens;
               without, the code itself, GS1's as GS1 elements

    Raises CodeTooLong, CodeReaderMissing.
    """
    text, is_gs1 = symbol_text(code, resolver)
    return Label(
        modules=draw_code(text, kind, is_gs1=is_gs1),
        quiet=_QUIET_MODULES[kind],
        module_mm=module_mm,
        lines=_broken(str(code)),
    )


def symbol_text(code: IdentifierCode, resolver: str | None) -> tuple[str, bool]:
    """What the symbol holds, and whether it is GS1 elements in square brackets."""
    if resolver is not None:
        return anchor(code, resolver), False
    if code.scheme == gs1.SCHEME:
        return "".join(f"[{one.ai}]{one.value}" for one in gs1.canonical_elements(str(code))), True
    return str(code), False


def write_label(made: Label, path: Path, *, dpi: int = 300) -> None:
    """PNG, SVG or PDF, by the ending of the name. Raises OSError."""
    format_ = path.suffix.lower().removeprefix(".")
    content = {"svg": lambda: svg(made), "pdf": lambda: pdf(made)}.get(format_, lambda: png(made, dpi=dpi))()
    path.write_bytes(content)


def png(made: Label, *, dpi: int = 300) -> bytes:
    """Modules are whole pixels, so the symbol may come out up to half a pixel a module larger or smaller than said.

    The text is left out where it has letters that Pillow's own font lacks; SVG and PDF have it.
    """
    side_px = max(round(made.module_mm / _MM_PER_INCH * dpi), 1)
    px_per_mm = side_px / made.module_mm
    size = (round(made.width_mm * px_per_mm), round(made.height_mm * px_per_mm))
    image = Image.new("L", size, 255)
    symbol = np.kron(np.where(made.modules, 0, 255).astype(np.uint8), np.ones((side_px, side_px), np.uint8))
    image.paste(Image.fromarray(symbol), (made.quiet * side_px, made.quiet * side_px))
    if all(line.isascii() for line in made.lines):
        draw = ImageDraw.Draw(image)
        font = ImageFont.load_default(size=_TEXT_MM * px_per_mm)
        for left, base, line in made.lines_mm():
            draw.text((left * px_per_mm, base * px_per_mm), line, fill=0, font=font, anchor="ls")
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(px_per_mm * _MM_PER_INCH,) * 2)
    return out.getvalue()


def svg(made: Label) -> bytes:
    width, height = f"{made.width_mm:.3f}", f"{made.height_mm:.3f}"
    bars = "".join(
        f"M{left:.3f} {top:.3f}h{width_mm:.3f}v{made.module_mm:.3f}h-{width_mm:.3f}z"
        for left, top, width_mm in made.bars_mm()
    )
    text = "".join(
        f'<text x="{left:.3f}" y="{base:.3f}">{escape(line)}</text>' for left, base, line in made.lines_mm()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm"'
        f' viewBox="0 0 {width} {height}"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="{bars}"/><g font-family="monospace" font-size="{_TEXT_MM}">{text}</g></svg>'
    ).encode()


def pdf(made: Label) -> bytes:
    """One page of the label's size. Letters other than ASCII are in a font that every PDF reader brings."""
    out = io.BytesIO()
    canvas = Canvas(
        out, pagesize=(made.width_mm * mm, made.height_mm * mm), invariant=True, pageCompression=0
    )
    for left, top, width_mm in made.bars_mm():
        bottom = made.height_mm - top - made.module_mm
        canvas.rect(left * mm, bottom * mm, width_mm * mm, made.module_mm * mm, stroke=0, fill=1)
    if all(line.isascii() for line in made.lines):
        font = "Courier"
    else:
        font = "STSong-Light"
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    canvas.setFont(font, _TEXT_MM * mm)
    for left, base, line in made.lines_mm():
        canvas.drawString(left * mm, (made.height_mm - base) * mm, line)
    canvas.save()
    return out.getvalue()


def _width(line: str) -> int:
    """In letters of Courier."""
    return sum(1 if letter.isascii() else 2 for letter in line)


def _broken(text: str) -> tuple[str, ...]:
    """Behind a slash or bracket where one is near, else where the line is full."""
    lines: list[str] = []
    while _width(text) > _LETTERS_A_LINE:
        end = next(count for count in range(len(text), 0, -1) if _width(text[:count]) <= _LETTERS_A_LINE)
        good = max(text.rfind("/", 0, end) + 1, text.rfind("(", 1, end))
        end = good if good > end // 2 else end
        lines.append(text[:end])
        text = text[end:]
    return (*lines, text)
