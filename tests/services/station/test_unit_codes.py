"""The unit's own code, read in its pictures: from a recipe over a lane to the record."""

import csv
import threading
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from inspection.identity import IdentifierCode
from inspection.pipeline import Pipeline, ViewPipelines
from inspection.tally import CODES_CONTRADICT, judged_again
from inspection.types import Box, Detections, Frame, RecipeRef, Surface, Verdict
from inspection.vision.codes import CodeNotRead, CodeOvertime, UnitCode, draw_code, read_codes
from inspection.vision.decoding import decode_image
from services.station.build import build_pipeline
from services.station.lane import Lane, ReadyRecipe
from services.station.units import CountedUnits
from station_config import load_recipe
from station_config.errors import ConfigInvalid
from tests.builders import NOON
from tests.where import shared
from traceability.identifiers import parse
from traceability.store import TraceStore

NOTHING = np.tile(np.arange(40, 200, 4, dtype=np.uint8), (120, 5))
"""A part without a code, 200 x 120 px."""


def part(text: str) -> np.ndarray:
    """With a DataMatrix of this text on it."""
    dark = np.kron(draw_code(text, "datamatrix"), np.ones((4, 4)))
    picture = NOTHING.copy()
    high, wide = dark.shape
    picture[8 : 24 + high, 18 : 34 + wide] = 210
    picture[16 : 16 + high, 26 : 26 + wide] = np.where(dark > 0, 40, 210)
    return picture


class Shows:
    """A camera that takes these pictures, of one view or of several by turns."""

    def __init__(self, *pictures: np.ndarray, views: tuple[str, ...] = ("top",)) -> None:
        self._pictures, self._views = pictures, views

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def frames(self):
        for number, picture in enumerate(self._pictures):
            view = self._views[number % len(self._views)]
            yield Frame(pixels=picture, camera=view, sequence=number, captured_at=NOON)


class FindsNothing:
    def detect(self, image):
        return Detections.none()


class Fails:
    def detect(self, image):
        raise RuntimeError("the network is not well")


class Keeps:
    def __init__(self) -> None:
        self.done = []

    def unit_begun(self, begun):
        pass

    def frame_done(self, inspection, frame, result):
        pass

    def unit_done(self, inspection):
        self.done.append(inspection)


def a_code(**overrides) -> UnitCode:
    return UnitCode(**{"identify": parse, "kinds": ("datamatrix",), **overrides})


def inspected(
    *pictures: np.ndarray, code: UnitCode | None = None, views: tuple[str, ...] = (), detector=None
):
    """What a lane makes of these parts, each seen once, or once by each of its views."""
    one = Pipeline(
        detector=detector or FindsNothing(), surface=Surface(name="face"), limits=(), code=code or a_code()
    )
    pipeline = ViewPipelines(views=dict.fromkeys(views, one), limits=()) if views else one
    given, kept = count(), Keeps()
    lane = Lane(
        name="parts",
        station="test",
        recipe=ReadyRecipe(
            ref=RecipeRef(name="r", revision=1, sha256="0" * 64), models=(), pipeline=pipeline, views=views
        ),
        units=lambda: CountedUnits(len(views) or 1, lambda: parse(f"GIVEN-{next(given)}")),
        sinks=(kept,),
        stop=threading.Event(),
    )
    lane.run(Shows(*pictures, views=views or ("top",)), started=lambda: None)
    assert lane.account.gap == 0
    return kept.done


def test_a_part_is_recorded_under_the_code_in_its_picture():
    first, second = inspected(part("86.999.1/A-1"), part("P-7"))
    assert first.unit == IdentifierCode(scheme="handle", raw="", canon="86.999.1/A-1")
    assert (str(second.unit), second.verdict, second.code_failure) == ("P-7", Verdict.ACCEPT, None)


def test_a_gs1_symbol_names_its_trade_item_and_serial_number():
    dark = draw_code("[01]09520123456788[21]ABC", "datamatrix", is_gs1=True)
    picture = np.pad(np.where(np.kron(dark, np.ones((4, 4))) > 0, 40, 210), 24, constant_values=210)
    (one,) = inspected(picture.astype(np.uint8))
    assert one.unit == parse("(01)09520123456788(21)ABC")


@pytest.mark.parametrize("unread", [Verdict.NOT_INSPECTED, Verdict.REVIEW])
def test_a_part_whose_code_is_not_read_is_withheld_as_the_recipe_says(unread):
    (one,) = inspected(NOTHING, code=a_code(unread=unread))
    assert (str(one.unit), one.verdict, one.code_failure) == ("GIVEN-0", unread, CodeNotRead.code)
    assert one.failures == ({CodeNotRead.code: 1} if unread is Verdict.NOT_INSPECTED else {})
    assert one.frames_inspected == 1


def test_a_code_of_another_form_is_not_taken_for_the_parts():
    (one,) = inspected(part("SUPPLIER"), code=a_code(form=r"P-\d+"))
    assert (one.verdict, one.code_failure) == (Verdict.NOT_INSPECTED, "INS-CODE-UNEXPECTED")


def test_a_text_that_is_no_identifier_code_is_not_taken_for_one():
    (one,) = inspected(part("two words?"))
    assert (one.verdict, one.code_failure) == (Verdict.NOT_INSPECTED, "TRC-CODE-NOT-PARSED")


def test_one_view_that_shows_the_code_is_enough():
    (one,) = inspected(NOTHING, part("P-7"), views=("side", "top"))
    assert (str(one.unit), one.verdict, one.code_failure) == ("P-7", Verdict.ACCEPT, None)


def test_views_that_show_two_codes_contradict_each_other():
    (one,) = inspected(part("P-7"), part("P-8"), views=("side", "top"))
    assert (str(one.unit), one.verdict) == ("GIVEN-0", Verdict.NOT_INSPECTED)
    assert one.failures == {CODES_CONTRADICT: 1}


def test_a_part_that_cannot_be_judged_is_known_by_its_code_all_the_same():
    (one,) = inspected(part("P-7"), detector=Fails())
    assert (str(one.unit), one.verdict, one.code_failure) == ("P-7", Verdict.NOT_INSPECTED, None)
    assert one.failures == {"INS-DETECTOR-FAILED": 1}


def test_only_where_the_recipe_says_a_code_is_looked_for():
    picture = np.hstack([part("P-7"), part("P-8")])
    (several,) = inspected(picture)
    (one,) = inspected(picture, code=a_code(area_px=Box(200, 0, 400, 120)))
    assert several.code_failure == "INS-CODES-SEVERAL"
    assert str(one.unit) == "P-8"


def test_an_area_beyond_the_frame_withholds_the_part():
    (one,) = inspected(part("P-7"), code=a_code(area_px=Box(100, 0, 300, 120)))
    assert (one.verdict, one.code_failure) == (Verdict.NOT_INSPECTED, "INS-IMAGE-UNSUITABLE")


def test_no_further_way_to_read_is_tried_once_the_time_is_over():
    with pytest.raises(CodeOvertime):
        read_codes(NOTHING, ("datamatrix",), budget_ms=0.0)
    assert read_codes(part("P-7"), ("datamatrix",), budget_ms=0.0)[0].text == "P-7"


def test_a_record_is_found_under_the_code_that_was_read(tmp_path):
    done = inspected(part("P-7"), NOTHING)
    with TraceStore.open(f"sqlite:///{tmp_path}/trace.db") as store:
        store.record(done)
        assert store.inspections_of(parse("P-7")) == (done[0],)
        assert store.inspections_of(parse("GIVEN-1")) == (done[1],)
        assert store.inspections_of(parse("GIVEN-1"))[0].code_failure == CodeNotRead.code


def test_a_changed_rule_for_unread_codes_judges_again_what_is_on_record():
    (withheld,) = inspected(NOTHING)
    assert judged_again(withheld, (), without_code=Verdict.REVIEW)[0] is Verdict.REVIEW
    assert judged_again(withheld, (), without_code=None)[0] is Verdict.ACCEPT
    dark = replace(withheld, failures=withheld.failures | {"INS-IMAGE-DARK": 1})
    assert judged_again(dark, (), without_code=Verdict.REVIEW)[0] is Verdict.NOT_INSPECTED


RECIPE = """
name = "marked"
revision = 1
product = "marked part"
[detector]
model = "part-surface"
version = "1.0.0"
[code]
kinds = ["datamatrix"]
area_px = { x = 0, y = 0, width = 120, height = 120 }
form = 'P-\\d+'
budget_ms = 2000
unread = "review"
[[limits]]
kind = "crack"
measure = "score"
review_from = 0
"""


def test_a_recipe_says_where_the_code_is_and_what_it_looks_like(tmp_path):
    file = tmp_path / "marked.toml"
    file.write_text(RECIPE, encoding="utf-8")
    pipeline, _ = build_pipeline(load_recipe(str(file)))
    assert pipeline.without_code is Verdict.REVIEW
    result = pipeline.inspect(Frame(pixels=part("P-7"), camera="top", sequence=0, captured_at=NOON))
    assert result.code is not None
    assert str(result.code.unit) == "P-7"
    assert result.code.box_px is not None
    assert Box(20, 10, 90, 80).area > result.code.box_px.area > 900


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("form = 'P-\\d+'", "form = '('"), "form: no regular expression"),
        (("[code]", "[strip]\nhead_mm = 0\n[surface]\nx_mm_per_px = 1\ny_mm_per_px = 1\n[code]"), "code: "),
        (('unread = "review"', 'unread = "accept"'), "code.unread"),
    ],
)
def test_a_recipe_whose_code_cannot_be_is_refused(tmp_path, change, said):
    file = tmp_path / "marked.toml"
    file.write_text(RECIPE.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        load_recipe(str(file))
    assert said in str(refused.value.facts["mistakes"])


def test_every_needled_mark_of_three_machines_names_its_part():
    folder = shared("data", "codes_dpm")
    reader = a_code(budget_ms=10_000.0)
    with (folder / "ground_truth.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            read = reader.read(decode_image((folder / "images" / row["file"]).read_bytes()))
            assert str(read.unit) == row["content"], row["file"]
