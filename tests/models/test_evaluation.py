import numpy as np
import pytest

from inspection.types import Detections
from models.evaluation import (
    Judged,
    Misses,
    auroc,
    best_threshold,
    found_defects,
    highest_score,
    hits_of,
    misses,
    operating,
    precision,
)

A, B = [0, 0, 10, 10], [50, 50, 70, 90]


def picture(truth=(), found=()):
    """truth: (kind, box); found: (kind, score, box), the surest first."""
    return Judged(
        truth_xyxy=np.array([box for _, box in truth], np.float32).reshape(-1, 4),
        truth_kind=tuple(kind for kind, _ in truth),
        found=Detections(
            xyxy=np.array([box for _, _, box in found], np.float32).reshape(-1, 4),
            score=np.array([score for _, score, _ in found], np.float32),
            kind=tuple(kind for kind, _, _ in found),
        ),
    )


def ap50(pictures, kind="pits"):
    return precision(pictures, ("pits", "patch", "scratch")).ap50[kind]


def test_all_found_exactly_is_perfect():
    result = precision(
        [picture([("pits", A), ("patch", B)], [("pits", 0.9, A), ("patch", 0.8, B)])], ("pits", "patch")
    )
    assert (result.map50, result.map50_95) == (1.0, 1.0)


def test_half_of_the_defects_found_reaches_51_of_101_recalls():
    assert ap50([picture([("pits", A), ("pits", B)], [("pits", 0.9, A)])]) == pytest.approx(51 / 101)


def test_a_false_alarm_surer_than_the_hit_halves_the_precision():
    assert ap50([picture([("pits", A)], [("pits", 0.9, B), ("pits", 0.8, A)])]) == pytest.approx(0.5)


def test_a_false_alarm_less_sure_than_every_hit_costs_nothing():
    assert ap50([picture([("pits", A)], [("pits", 0.9, A), ("pits", 0.2, B)])]) == 1.0


def test_a_second_box_on_the_same_defect_is_a_false_alarm():
    twice = picture([("pits", A), ("pits", B)], [("pits", 0.9, A), ("pits", 0.8, A), ("pits", 0.7, B)])
    # Recall 0.5 at precision 1, recall 1 at precision 2/3: (51 + 50 * 2/3) / 101.
    assert ap50([twice]) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_box_in_another_picture_hits_nothing_here():
    assert ap50([picture([("pits", A)]), picture(found=[("pits", 0.9, A)])]) == 0.0


def test_the_right_box_of_the_wrong_kind_hits_nothing():
    assert ap50([picture([("pits", A)], [("patch", 0.9, A)])]) == 0.0


def test_an_overlap_of_exactly_a_half_counts_at_50_and_not_at_55():
    half = [picture([("pits", A)], [("pits", 0.9, [0, 0, 5, 10])])]
    result = precision(half, ("pits",))
    assert result.map50 == 1.0
    assert result.map50_95 == pytest.approx(0.1)


def test_a_kind_that_never_occurs_is_not_averaged():
    result = precision([picture([("pits", A)], [("pits", 0.9, A), ("scratch", 0.5, B)])], ("pits", "scratch"))
    assert result.ap50 == {"pits": 1.0}


def test_without_any_defect_there_is_no_precision_to_speak_of():
    result = precision([picture(found=[("pits", 0.9, A)])], ("pits",))
    assert (result.ap50, result.map50, result.map50_95) == ({}, None, None)


def test_the_order_of_the_pictures_does_not_matter():
    pictures = [
        picture([("pits", A)], [("pits", 0.9, A)]),
        picture([("pits", B)], [("pits", 0.7, A)]),
        picture([("pits", A), ("pits", B)], [("pits", 0.6, B), ("pits", 0.5, A)]),
    ]
    assert ap50(pictures) == ap50(pictures[::-1])


def test_a_defective_picture_without_any_report_escapes_and_a_clean_one_with_one_is_overkill():
    pictures = [
        picture([("pits", A)]),
        picture([("pits", A)], [("patch", 0.5, B)]),
        picture(),
        picture(found=[("pits", 0.5, A)]),
    ]
    assert misses(pictures) == Misses(defective=2, escapes=1, clean=2, overkill=1)


def test_per_kind_only_that_kind_is_asked_for():
    pictures = [picture([("pits", A)], [("patch", 0.5, B)]), picture([("patch", B)], [("patch", 0.9, B)])]
    assert misses(pictures, "pits") == Misses(defective=1, escapes=1, clean=1, overkill=0)
    assert misses(pictures, "patch") == Misses(defective=1, escapes=0, clean=1, overkill=1)


def test_the_best_threshold_is_the_score_of_the_last_hit_before_the_false_alarms():
    pictures = [
        picture(
            [("pits", A), ("pits", B)], [("pits", 0.9, A), ("pits", 0.6, B), ("pits", 0.3, [80, 0, 90, 9])]
        )
    ]
    scores, hits = hits_of(pictures, "pits")
    assert best_threshold(scores, hits[:, 0], true_boxes=2) == pytest.approx(0.6)


def test_where_nothing_hits_no_threshold_is_low_enough():
    assert best_threshold(np.array([0.9], np.float32), np.array([False]), true_boxes=3) == 1.0


def test_auroc_is_the_share_of_pairs_in_their_right_order():
    score, defective = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
    # Of four pairs three are right, and one is a tie.
    assert auroc(score, defective) == pytest.approx(3.5 / 4)
    assert auroc(-score, defective) == pytest.approx(0.5 / 4)


def test_auroc_of_good_pictures_only_says_nothing():
    assert auroc(np.array([0.1, 0.2]), np.array([False, False])) is None


def test_at_a_threshold_a_score_equal_to_it_counts():
    (low, on, high) = operating([0.2, 0.5, 0.9], [0.1, 0.5], [0.1, 0.5, 0.51])
    assert (low.escapes, low.overkill) == (0, 2)
    assert (on.escapes, on.overkill) == (1, 1)
    assert (high.escapes, high.overkill) == (2, 0)
    assert (high.defective, high.clean) == (3, 2)


def test_the_price_of_a_threshold_weighs_escapes_and_overkill_by_how_many_units_are_defective():
    (point,) = operating([0.2, 0.9], [0.1, 0.1, 0.1, 0.6], [0.5])
    # Half of 2 % escape at 100 each, a quarter of 98 % are refused at 1 each.
    cost = point.cost(escape=100, overkill=1, defective_share=0.02)
    assert cost == pytest.approx(0.02 * 0.5 * 100 + 0.98 * 0.25)


def test_a_defect_is_found_where_its_own_kind_is_reported_on_it():
    one = picture([("pits", A), ("patch", B)], [("pits", 0.9, [0, 0, 10, 5]), ("pits", 0.8, B)])
    assert found_defects(one).tolist() == [True, False]
    assert found_defects(picture([("pits", A)])).tolist() == [False]
    assert highest_score(one) == pytest.approx(0.9)
    assert highest_score(picture([("pits", A)])) == 0
