from __future__ import annotations

import re

import numpy as np
import pytest

from inspection.identity import IdentifierCode
from inspection.vision.codes import CodeTooLong, read_code
from inspection.vision.decoding import decode_image
from services.labels import LABEL_KINDS, Label, label, pdf, png, svg, symbol_text, write_label
from traceability.identifiers import parse

CODES = (
    "86.100.12/00121336401058520109",
    "86.100.12/卷-0012",
    "VAA08810012345678/abc123",
    "urn:oid:1.2.156.3001.501",
    "ecode:000016901234567892",
    "(01)09520123456788(21)A\\(B)/7",
    "(01)09520123456788(10)L-1",
    "C-2024.0117",
)
RESOLVER = "https://plant.example"


@pytest.mark.parametrize("kind", LABEL_KINDS)
@pytest.mark.parametrize("text", CODES)
@pytest.mark.parametrize("resolver", [None, RESOLVER])
def test_a_printed_label_reads_back_as_the_same_unit(text: str, kind, resolver: str | None):
    unit = parse(text)
    read = read_code(decode_image(png(label(unit, kind, resolver=resolver), dpi=300)), [kind])
    assert parse(read.aim + read.text) == unit


@pytest.mark.parametrize("dpi", [150, 203, 600])
def test_a_label_for_a_coarse_printer_reads_too(dpi: int):
    read = read_code(decode_image(png(label(parse(CODES[0]), "datamatrix"), dpi=dpi)), ["datamatrix"])
    assert read.text == CODES[0]


def test_a_gs1_label_says_by_its_symbol_that_it_is_gs1():
    read = read_code(decode_image(png(label(parse("(01)09520123456788(21)A"), "datamatrix"))), ["datamatrix"])
    assert (read.aim, read.text) == ("]d2", "010952012345678821A")


def modules_of(made: Label, stretches: list[tuple[float, float, float]]) -> np.ndarray:
    """Dark stretches in millimetres, back to modules."""
    drawn = np.zeros_like(made.modules)
    for left, top, width in stretches:
        row = round(top / made.module_mm) - made.quiet
        start = round(left / made.module_mm) - made.quiet
        drawn[row, start : start + round(width / made.module_mm)] = True
    return drawn


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_vector_labels_hold_the_same_modules(kind):
    made = label(parse(CODES[0]), kind)
    path = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v", svg(made).decode())
    assert np.array_equal(
        modules_of(made, [(float(x), float(y), float(w)) for x, y, w in path]), made.modules
    )
    points_per_mm = 72 / 25.4
    page = pdf(made).decode("latin-1")
    drawn = re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re", page)
    rectangles = [[float(number) / points_per_mm for number in one] for one in drawn]
    assert np.array_equal(
        modules_of(made, [(x, made.height_mm - y - h, w) for x, y, w, h in rectangles]), made.modules
    )


def test_the_code_stands_beside_the_symbol_in_letters():
    made = label(parse("86.100.12/00121336401058520109"), "datamatrix")
    assert "".join(made.lines) == "86.100.12/00121336401058520109"
    assert made.lines[0] == "86.100.12/"
    assert all(f">{line}</text>" in svg(made).decode() for line in made.lines)


def test_chinese_letters_are_printed_in_a_font_every_reader_brings():
    assert b"STSong-Light" in pdf(label(parse("86.100.12/卷-0012"), "qr"))


def test_markup_in_a_code_stays_text():
    assert "&lt;b&gt;" in svg(label(parse("86.1/<b>"), "qr")).decode()


def test_a_label_is_as_large_as_said(tmp_path):
    made = label(parse("C-17"), "datamatrix", module_mm=0.4)
    assert made.symbol_mm == pytest.approx((len(made.modules) + 4) * 0.4)
    write_label(made, tmp_path / "a.svg")
    assert f'height="{made.height_mm:.3f}mm"' in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_code_too_long_for_the_symbol_is_said():
    with pytest.raises(CodeTooLong):
        label(IdentifierCode(scheme="handle", raw="", canon="86.1/" + "卷" * 3000), "datamatrix")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("86.100.12/00 1?#", "https://plant.example/id/86.100.12/00%201%3F%23"),
        ("(01)09520123456788(21)A/B", "https://plant.example/01/09520123456788/21/A%2FB"),
        ("urn:oid:1.2.156", "https://plant.example/id/urn:oid:1.2.156"),
        ("01", "https://plant.example/id/01"),
        ("01/7", "https://plant.example/id/01%2F7"),
        ("2027/7", "https://plant.example/id/2027/7"),
    ],
)
def test_an_address_on_a_label_leads_back_to_its_unit(text: str, url: str):
    unit = parse(text)
    assert symbol_text(unit, RESOLVER + "/") == (url, False)
    assert parse(url) == unit
