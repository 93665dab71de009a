import numpy as np
import pytest

from inspection.types import Box, Defect, Verdict
from inspection.vision.annotating import STRIP_PX, VERDICT_COLOURS, annotate

GREY = np.full((60, 90), 120, np.uint8)
DEFECT = Defect(kind="scratch", score=0.9, box_px=Box(10, 20, 40, 50), box_mm=None, camera="c", sequence=0)


@pytest.mark.parametrize("verdict", Verdict)
def test_the_verdict_stands_above_the_picture_and_covers_none_of_it(verdict):
    picture = annotate(GREY, [], verdict=verdict, colours={})
    assert picture.shape == (60 + STRIP_PX, 90, 3)
    assert (picture[STRIP_PX:] == 120).all()
    assert tuple(picture[0, -1]) == VERDICT_COLOURS[verdict]


def test_a_defect_is_drawn_in_the_colour_of_its_kind():
    picture = annotate(GREY, [DEFECT], verdict=Verdict.REJECT, colours={"scratch": "#E69F00"})[STRIP_PX:]
    assert tuple(picture[35, 10]) == (0x00, 0x9F, 0xE6)
    assert (picture[30:45, 15:35] == 120).all()


def test_a_kind_that_the_catalogue_does_not_know_is_drawn_all_the_same():
    picture = annotate(GREY, [DEFECT], verdict=Verdict.REVIEW, colours={})[STRIP_PX:]
    assert tuple(picture[35, 10]) == (255, 255, 255)


def test_the_picture_given_is_left_as_it_was():
    colour = np.dstack([GREY] * 3)
    annotate(colour, [DEFECT], verdict=Verdict.REJECT, colours={})
    assert (colour == 120).all()
