"""Codes on parts and labels, read from a picture, and drawn. The only file that knows zxing-cpp (Apache-2.0)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnsuitable, InspectionError
from inspection.identity import IdentifierCode
from inspection.types import Box, CodeReading, Image, Verdict
from inspection.vision.correction import crop

CodeKind = Literal["datamatrix", "qr", "code128"]
KINDS: tuple[CodeKind, ...] = ("datamatrix", "qr", "code128")

_SMALL_PX = 1_500_000
"""Pictures up to so many pixels are tried at twice their size: in larger ones nobody's modules are that small."""


class CodeNotRead(InspectionError):
    """No code of the kinds asked for can be read."""

    code = "INS-CODE-NOT-READ"


class CodesSeveral(InspectionError):
    """More than one code is there, of different content, and nothing says which is the unit's."""

    code = "INS-CODES-SEVERAL"


class CodeUnexpected(InspectionError):
    """What was read does not have the form of the unit's code."""

    code = "INS-CODE-UNEXPECTED"


class CodeOvertime(InspectionError):
    """The code was not read in the time that there is for it, and not every way was tried. Facts: budget_ms."""

    code = "INS-CODE-OVERTIME"


class CodeTooLong(InspectionError):
    """A text that the symbol asked for does not hold. Facts: text, kind."""

    code = "INS-CODE-TOO-LONG"


class CodeReaderMissing(InspectionError):
    """The library that reads codes is not installed."""

    code = "INS-CODE-READER-MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code that was read; its error correction or check digit says that it was read right.

    content     the bytes in it
    text        the same as text, in the character set the code names; separators of GS1 are the character U+001D
    aim         AIM symbology identifier, such as `]d2`: GS1 DataMatrix
    corners_px  top left, top right, bottom right, bottom left of the code as it would be read upright; (x, y)
    """

    kind: CodeKind
    content: bytes
    text: str
    aim: str
    corners_px: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCode:
    """Where the code of a unit is in a camera's frames, and what is made of it.

    identify   the unit that a text names, in which the symbology's AIM identifier stands first; raises one of our
               errors where it names none
    kinds      that are looked for
    area_px    of the frame, in which it is looked for; None: all of it
    form       as of `read_code`
    budget_ms  as of `read_codes`
    unread     verdict, at the least, of a unit whose code was read in none of its frames, or not the same in all:
               REVIEW or NOT_INSPECTED

    Raises CodeReaderMissing when it is made.
    """

    identify: Callable[[str], IdentifierCode]
    kinds: tuple[CodeKind, ...] = KINDS
    area_px: Box | None = None
    form: str | None = None
    budget_ms: float = 500.0
    unread: Verdict = Verdict.NOT_INSPECTED

    def __post_init__(self) -> None:
        _library()

    def read(self, pixels: Image) -> CodeReading:
        """What came of it; why it was not read is in it, too."""
        area = self.area_px
        try:
            if area is not None and (area.x2 > pixels.shape[1] or area.y2 > pixels.shape[0]):
                raise ImageUnsuitable(
                    f"The code is looked for in {area}, the frame has {pixels.shape[1]} x {pixels.shape[0]} px.",
                    action="Set the camera as the recipe says, or change area_px of the recipe's [code].",
                    reason="code",
                    found=f"{pixels.shape[1]} x {pixels.shape[0]} px",
                    allowed=f"≥ {area.x2:g} x {area.y2:g} px",
                )
            code = read_code(crop(pixels, area), self.kinds, form=self.form, budget_ms=self.budget_ms)
            unit = self.identify(code.aim + code.text)
        except InspectionError as error:
            return CodeReading(failure=error.code)
        left, top = (0.0, 0.0) if area is None else (area.x1, area.y1)
        xs = [left + x for x, _ in code.corners_px]
        ys = [top + y for _, y in code.corners_px]
        return CodeReading(unit=unit, box_px=Box(min(xs), min(ys), max(xs), max(ys)))


def read_codes(
    image: Image, kinds: Sequence[CodeKind] = KINDS, *, budget_ms: float | None = None
) -> tuple[Code, ...]:
    """All codes of these kinds that can be read, from top to bottom and left to right; may be none.

    budget_ms  no further way is tried once so much time has passed; None: all of them are

    The picture is tried as it is, then shrunk, softened and with its dark dots joined (dot-peened marks are dots, not
    squares), then enlarged, until something is read. So where one code was read, a worse one may be beside it.
    Raises CodeReaderMissing, CodeOvertime.
    """
    return next((found for found in _tried(image, kinds, budget_ms) if found), ())


def read_code(
    image: Image,
    kinds: Sequence[CodeKind] = KINDS,
    *,
    form: str | None = None,
    budget_ms: float | None = None,
) -> Code:
    """The one code in the picture; it may be there twice.

    budget_ms  as of `read_codes`
    form  regular expression that the whole text must match; others beside it, a supplier's say, are left alone, and
          where they are read first, the picture is tried further

    Raises CodeNotRead, CodeOvertime, CodeUnexpected, CodesSeveral, CodeReaderMissing.
    """
    read: dict[tuple[str, bytes], Code] = {}
    for found in _tried(image, kinds, budget_ms):
        for code in found:
            read.setdefault((code.aim, code.content), code)
        wanted = [code for code in read.values() if form is None or re.fullmatch(form, code.text)]
        if len(wanted) == 1:
            return wanted[0]
        if wanted:
            texts = _listed(wanted)
            raise CodesSeveral(
                f"{len(wanted)} codes are in the picture, and one is wanted: {texts}.",
                action="Cover or leave out the others, or give the form of the one that is meant.",
                count=len(wanted),
                texts=texts,
            )
    if not read:
        raise CodeNotRead(
            f"No code can be read ({', '.join(kinds)}).",
            action="Check that the code is in the picture, sharp, evenly lit and whole.",
            kinds=", ".join(kinds),
        )
    texts = _listed(read.values())
    raise CodeUnexpected(
        f"What was read does not have the form {form}: {texts}.",
        action="Check that the right code is in the picture, and the form the recipe asks for.",
        texts=texts,
        form=form,
    )


def draw_code(text: str, kind: CodeKind, *, is_gs1: bool = False) -> NDArray[np.bool_]:
    """The symbol's modules, (rows, columns), True where dark, without its quiet zone. DataMatrix is square.

    is_gs1  text is GS1 elements with square brackets round their identifiers, `[01]09520123456788[21]ABC`

    Raises CodeTooLong, CodeReaderMissing.
    """
    library = _library()
    options: dict[CodeKind, dict[str, Any]] = {
        "datamatrix": {"force_square": True},
        "qr": {"ec_level": "M"},
        "code128": {},
    }
    try:
        symbol = library.create_barcode(text, _formats(library)[kind], gs1=is_gs1, **options[kind])
    except ValueError as error:
        raise CodeTooLong(
            f"{text!r} does not fit into a {kind} symbol: {error}.",
            action="Take another kind of symbol, or a shorter code.",
            text=text,
            kind=kind,
        ) from error
    dark = np.asarray(library.write_barcode_to_image(symbol, add_quiet_zones=False)) < 128
    # Code 128 is drawn fifty pixels high; its bars are all one row.
    return dark[:1] if kind == "code128" else dark


def _tried(image: Image, kinds: Sequence[CodeKind], budget_ms: float | None) -> Iterator[tuple[Code, ...]]:
    """What each way reads, in the order of `read_codes`. Raises CodeReaderMissing, CodeOvertime."""
    library = _library()
    began_s = time.perf_counter()
    grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    for number, (tried, factor) in enumerate(_variants(grey)):
        if budget_ms is not None and number and (time.perf_counter() - began_s) * 1000 > budget_ms:
            raise CodeOvertime(
                f"The code was not read in {budget_ms:g} ms; {number} ways were tried, and others were left.",
                action="Say where the code is (area_px), or give it more time (budget_ms of the recipe's [code]).",
                budget_ms=budget_ms,
            )
        found = _read(library, tried, factor, kinds)
        yield tuple(sorted(found, key=lambda code: tuple(reversed(code.corners_px[0]))))


def _listed(codes: Iterable[Code]) -> str:
    return ", ".join(repr(code.text) for code in codes)


def _library() -> ModuleType:
    try:
        import zxingcpp
    except ImportError as error:
        raise CodeReaderMissing(
            "The library that reads codes is not installed.",
            action='Install it: pip install "lynceus[codes]"',
        ) from error
    return zxingcpp


def _formats(library: ModuleType) -> dict[CodeKind, Any]:
    return {
        "datamatrix": library.BarcodeFormat.DataMatrix,
        "qr": library.BarcodeFormat.QRCode,
        "code128": library.BarcodeFormat.Code128,
    }


def _variants(grey: Image) -> Iterator[tuple[Image, float]]:
    """Pictures to try, and how much smaller each is. The order is that of what they cost and add on dot-peened
    DataMatrix: 5, 7 and 8 of 9 with the first three alone, 9 together."""
    yield grey, 1.0
    yield from ((change(_shrunk(grey, factor)), factor) for factor, change in _CHANGES)
    if grey.size <= _SMALL_PX:
        yield np.asarray(cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8), 0.5


def _shrunk(grey: Image, factor: float) -> Image:
    size = [max(round(side / factor), 1) for side in grey.shape[::-1]]
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _softened(sigma: float) -> Callable[[Image], Image]:
    return lambda grey: np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)


def _joined(side: int) -> Callable[[Image], Image]:
    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return lambda grey: np.asarray(cv2.morphologyEx(grey, cv2.MORPH_OPEN, round_), np.uint8)


_CHANGES = ((3.0, _softened(1.5)), (3.0, _joined(5)), (2.0, _softened(3.0)), (2.0, _joined(7)))


def _read(library: ModuleType, grey: Image, factor: float, kinds: Sequence[CodeKind]) -> Iterator[Code]:
    formats = _formats(library)
    asked = [formats[kind] for kind in kinds]
    for found in library.read_barcodes(
        np.ascontiguousarray(grey), formats=asked, text_mode=library.TextMode.Plain
    ):
        kind = next((kind for kind in kinds if found.symbology == formats[kind]), None)
        place = found.position
        corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        if kind is not None and found.bytes:
            yield Code(
                kind=kind,
                content=bytes(found.bytes),
                text=found.text,
                aim=found.symbology_identifier,
                corners_px=tuple(
                    ((at.x + 0.5) * factor - 0.5, (at.y + 0.5) * factor - 0.5) for at in corners
                ),
            )
