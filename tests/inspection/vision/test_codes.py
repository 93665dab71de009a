"""Reading codes: drawn ones, dot-peened ones, and a few real ones. The benchmark has the rates of all sets."""

import sys

import cv2
import numpy as np
import pytest
import zxingcpp

from inspection.types import Image
from inspection.vision.codes import (
    KINDS,
    CodeKind,
    CodeNotRead,
    CodeOvertime,
    CodeReaderMissing,
    CodesSeveral,
    CodeUnexpected,
    read_code,
    read_codes,
)
from inspection.vision.decoding import decode_image
from tests.inspection.vision.drawn_scenes import noisy
from tests.where import shared

FORMATS = {
    "datamatrix": zxingcpp.BarcodeFormat.DataMatrix,
    "qr": zxingcpp.BarcodeFormat.QRCode,
    "code128": zxingcpp.BarcodeFormat.Code128,
}
TEXT = "86.999.1/COIL-20261120-0001"


def symbol(kind: CodeKind, text: str = TEXT, *, scale: int = 4) -> Image:
    """0 and 255, with its quiet zone."""
    return np.array(zxingcpp.create_barcode(text, FORMATS[kind]).to_image(scale=scale), np.uint8)


def on_part(*symbols: Image, angle_deg: float = 0.0) -> Image:
    """The symbols beside each other on a grey part, a little blurred, with noise."""
    side = max(max(one.shape[0] for one in symbols), sum(one.shape[1] + 80 for one in symbols)) + 80
    row = np.hstack(
        [np.pad(one, ((0, side - one.shape[0]), (40, 40)), constant_values=255) for one in symbols]
    )
    square = np.pad(row[: side - 40], ((40, 0), (0, side - row.shape[1])), constant_values=255)
    grey = square.astype(np.float32) * (140 / 255) + 50
    middle = (grey.shape[1] / 2, grey.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, angle_deg, 1.0)
    grey = cv2.warpAffine(grey, turn, grey.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return noisy(cv2.GaussianBlur(grey, (0, 0), 0.8), sigma=3.0, seed=1)


def dot_peened(text: str) -> Image:
    """A DataMatrix as a needle marks it: bright metal, one dark dot a module, dots apart."""
    modules = symbol("datamatrix", text, scale=1) < 128
    pitch = 21
    grey = np.full((modules.shape[0] * pitch + 80, modules.shape[1] * pitch + 80), 170, np.uint8)
    for row, column in np.argwhere(modules):
        centre = (int(40 + pitch * (column + 0.5)), int(40 + pitch * (row + 0.5)))
        cv2.circle(grey, centre, 7, 60, cv2.FILLED, cv2.LINE_AA)
    return noisy(grey.astype(np.float32), sigma=6.0, seed=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("angle", [0.0, 90.0, 187.0])
def test_a_code_is_read_whatever_its_kind_and_turn(kind, angle):
    code = read_code(on_part(symbol(kind), angle_deg=angle))
    assert (code.kind, code.text, code.content) == (kind, TEXT, TEXT.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_kinds_asked_for_are_read(kind):
    others = [other for other in KINDS if other != kind]
    with pytest.raises(CodeNotRead):
        read_code(on_part(symbol(kind)), others)


def test_it_says_where_the_code_is():
    code = read_code(on_part(symbol("qr")))
    size = symbol("qr").shape[0]
    expected = np.array([[40, 40], [40 + size, 40], [40 + size, 40 + size], [40, 40 + size]])
    # The symbol without its quiet zone of four modules of 4 px.
    inner = expected + 16 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    np.testing.assert_allclose(code.corners_px, inner, atol=4)


def test_dots_of_a_needle_are_joined():
    assert zxingcpp.read_barcodes(dot_peened("HNFHJN0020N0000KAC")) == []
    assert read_code(dot_peened("HNFHJN0020N0000KAC"), ["datamatrix"]).text == "HNFHJN0020N0000KAC"


def test_a_place_in_a_shrunk_picture_is_one_of_the_picture():
    picture = dot_peened("HNFHJN0020N0000KAC")
    corners = np.array(read_code(picture, ["datamatrix"]).corners_px)
    assert corners.min() > 40
    np.testing.assert_allclose(corners.max(axis=0), np.array(picture.shape[::-1]) - 62, atol=21)


def test_a_small_code_is_enlarged():
    small = cv2.resize(on_part(symbol("datamatrix")), None, fx=0.42, fy=0.42, interpolation=cv2.INTER_AREA)
    assert read_code(small).text == TEXT


def test_two_codes_are_refused_not_chosen_from():
    with pytest.raises(CodesSeveral) as refused:
        read_code(on_part(symbol("qr", "A-1"), symbol("datamatrix", "B-2")))
    assert refused.value.facts["count"] == 2
    assert "A-1" in str(refused.value)
    assert "B-2" in str(refused.value)


def test_the_form_says_which_of_two_codes_is_meant():
    both = on_part(symbol("qr", "A-1"), symbol("datamatrix", "B-2"))
    assert read_code(both, form=r"B-\d+").text == "B-2"
    with pytest.raises(CodesSeveral):
        read_code(both, form=r"[AB]-\d+")


def beside(picture: Image, other: Image) -> Image:
    height = max(picture.shape[0], other.shape[0])
    ground = [np.pad(one, ((0, height - one.shape[0]), (0, 40)), mode="edge") for one in (picture, other)]
    return np.hstack(ground)


def test_a_suppliers_label_does_not_end_the_search_for_the_code_that_is_harder_to_read():
    both = beside(dot_peened("HNFHJN0020N0000KAC"), on_part(symbol("datamatrix", "SUPPLIER-4711")))
    assert [code.text for code in read_codes(both)] == ["SUPPLIER-4711"]
    assert read_code(both, form=r"HN\w+").text == "HNFHJN0020N0000KAC"


def test_where_the_time_ends_after_a_suppliers_label_not_every_way_was_tried():
    label = on_part(symbol("datamatrix", "SUPPLIER-4711"))
    with pytest.raises(CodeOvertime):
        read_code(label, form=r"HN\w+", budget_ms=0.0)
    with pytest.raises(CodeUnexpected) as refused:
        read_code(label, form=r"HN\w+")
    assert refused.value.facts["texts"] == "'SUPPLIER-4711'"


def test_the_same_code_twice_is_one_code():
    assert read_code(on_part(symbol("datamatrix"), symbol("datamatrix"))).text == TEXT


def test_the_same_text_in_two_kinds_of_code_is_two_codes():
    """What it means is for the kind to say: the one may be GS1's and the other nobody's."""
    with pytest.raises(CodesSeveral):
        read_code(on_part(symbol("qr"), symbol("datamatrix")))


def test_a_code_of_another_form_is_refused():
    with pytest.raises(CodeUnexpected) as refused:
        read_code(on_part(symbol("qr", "A-12")), form=r"A-\d")
    assert refused.value.facts == {"texts": "'A-12'", "form": r"A-\d"}


def spoilt(picture: Image) -> Image:
    made = picture.copy()
    made[60:120] = 50
    return made


@pytest.mark.parametrize(
    "picture",
    [
        np.full((100, 100), 128, np.uint8),
        np.zeros((1, 1), np.uint8),
        np.random.default_rng(1).integers(0, 256, (200, 200)).astype(np.uint8),
        spoilt(on_part(symbol("datamatrix"))),
    ],
    ids=["nothing", "one pixel", "noise", "half of it scratched away"],
)
def test_where_no_code_can_be_read_nothing_is_made_up(picture):
    assert read_codes(picture) == ()
    with pytest.raises(CodeNotRead):
        read_code(picture)


def test_colour_is_read_as_grey():
    assert read_code(np.dstack([on_part(symbol("qr"))] * 3)).text == TEXT


def test_without_its_library_reading_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    with pytest.raises(CodeReaderMissing, match="not installed"):
        read_codes(on_part(symbol("qr")))


def test_a_real_dot_peened_part_is_read():
    folder = shared("data", "codes_dpm")
    rows = (folder / "ground_truth.csv").read_text().splitlines()[1:]
    file, *_ = hardest = next(row.split(",") for row in rows if row.startswith("machine_3"))
    picture = decode_image((folder / "images" / file).read_bytes())
    assert read_code(picture, ["datamatrix"]).text == hardest[4]


def test_where_real_pictures_show_no_code_none_is_read():
    folder = shared("data", "codes_zxing", "falsepositives-1")
    for file in sorted(folder.glob("*.png"))[:4]:
        assert read_codes(decode_image(file.read_bytes())) == ()
