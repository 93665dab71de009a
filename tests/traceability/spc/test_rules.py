from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.where import shared
from traceability.spc.rules import (
    NELSON,
    PRESETS,
    RUN_OF_9,
    Reading,
    Rule,
    beyond,
    middle_third,
    most_of,
    outside,
    run,
    signals,
    trend,
)

values = st.lists(st.floats(-4, 4).map(lambda z: round(z, 2)), max_size=60)


def vector(name: str) -> Any:
    return json.loads(shared("vectors", "spc", f"{name}.json").read_text(encoding="utf-8"))


def signalling(z: list[float], rule: Rule, **reading: Any) -> list[int]:
    """Counted from 1, as the published answers are."""
    return [signal.index + 1 for signal in signals(z, [rule], reading=Reading(**reading))]


@pytest.mark.parametrize(
    "name",
    [
        "rule_nelson1_limits",
        "rule_nelson2_run9",
        "rule_nelson2_point_on_centre",
        "rule_nelson3_trend6",
        "rule_nelson4_alternating14",
        "rule_nelson5_2of3",
        "rule_nelson6_4of5",
        "rule_nelson7_stratification",
        "rule_nelson8_mixture",
    ],
)
def test_nelsons_rules_signal_where_published(name: str):
    case = vector(name)
    rule = NELSON[case["input"]["rule"] - 1]
    assert signalling(case["input"]["z"], rule) == case["expected"]["signal_points"]


def test_western_electrics_rules_signal_where_published():
    case = vector("rules_we_all_long")
    z, expected = case["input"]["z"], case["expected"]
    for name, rule in {
        "rule1": beyond(3),
        "rule2": most_of(2, 3, 2),
        "rule3": most_of(4, 5, 1),
        "rule4": run(8),
    }.items():
        assert signalling(z, rule) == expected[name]


def test_western_electrics_run_is_eight_points():
    case = vector("rule_we4_run8")
    assert signalling(case["input"]["z"], run(8)) == case["expected"]["signal_points"]


def test_handbooks_differ_in_the_length_of_a_run():
    case = vector("rules_preset_run_length")
    z, expected = case["input"]["z"], case["expected"]
    assert signalling(z, run(7)) == expected["aiag_or_iso_run7"]
    assert signalling(z, run(8)) == expected["western_electric_run8"]
    assert signalling(z, run(9)) == expected["nelson_run9"]


def test_a_trend_counts_points_and_six_increases_are_seven_of_them():
    case = vector("rule_trend_minitab_7points")
    z, expected = case["input"]["z"], case["expected"]
    assert signalling(z, trend(6)) == expected["points_6"]
    assert signalling(z, trend(7)) == expected["increases_6_minitab"]


def test_a_signal_names_the_points_that_make_it_and_their_side():
    (signal,) = signals([-0.5] * 9, [RUN_OF_9])
    assert (signal.rule, signal.index, signal.members, signal.side) == (
        "run_of_9",
        8,
        tuple(range(9)),
        "below",
    )


def test_a_subgroup_nobody_could_judge_ends_every_run():
    assert signals([0.5] * 8 + [np.nan] + [0.5] * 8, NELSON) == ()


def test_points_beside_the_limits_of_a_perfect_process_signal_without_a_trend_among_them():
    found = signals([np.inf] * 6, NELSON)
    assert {signal.rule for signal in found} == {
        "beyond_limits",
        "2_of_3_beyond_2_sigma",
        "4_of_5_beyond_1_sigma",
    }


def test_no_points_give_no_signals():
    assert signals([], NELSON) == ()


@given(values)
def test_a_chart_turned_upside_down_signals_at_the_same_points(z: list[float]):
    turned = signals([-value for value in z], NELSON)
    assert [(s.rule, s.index, s.members) for s in turned] == [
        (s.rule, s.index, s.members) for s in signals(z, NELSON)
    ]


@given(values, values)
def test_what_comes_later_changes_no_earlier_signal(z: list[float], later: list[float]):
    known = signals(z, NELSON)
    assert tuple(s for s in signals(z + later, NELSON) if s.index < len(z)) == known


@given(values)
def test_the_point_that_completes_a_pattern_is_its_last(z: list[float]):
    assert all(max(signal.members) == signal.index for signal in signals(z, NELSON))


def test_a_point_on_the_centre_line_ends_a_run_or_not_as_the_reading_says():
    z = [0.5] * 4 + [0.0] + [0.5] * 4
    assert signalling(z, run(8)) == []
    assert signalling(z, run(8), on_centre="left out") == [9]
    assert signalling(z, run(9), on_centre="belongs") == [9]


def test_a_missing_point_ends_a_run_or_is_left_out_as_the_reading_says():
    z = [0.5] * 4 + [np.nan] + [0.5] * 4
    assert signalling(z, run(8)) == []
    assert signalling(z, run(8), missing="left out") == [9]


def test_a_point_on_a_limit_is_beyond_it_only_where_the_reading_says_so():
    assert signalling([3.0], beyond(3)) == []
    assert signalling([3.0], beyond(3), on_limit="beyond") == [1]


def test_of_two_in_three_the_last_must_be_one_unless_the_reading_says_otherwise():
    z = [2.5, 2.5, 0.0]
    assert signalling(z, most_of(2, 3, 2)) == [2]
    assert signalling(z, most_of(2, 3, 2), last_must_belong=False) == [2, 3]


def test_a_run_that_goes_on_can_be_told_once():
    z = [0.5] * 12 + [-0.5] * 9
    assert signalling(z, run(9)) == [9, 10, 11, 12, 21]
    assert signalling(z, run(9), while_it_lasts=False) == [9, 21]


def test_eight_points_far_out_on_one_side_are_a_pattern_only_where_either_side_will_do():
    z = [1.5] * 8
    assert signalling(z, outside(8, 1)) == []
    assert signalling(z, outside(8, 1, sides="either")) == [8]


def test_no_pattern_reaches_across_a_change_of_stage():
    z = [0.5] * 18
    found = signals(z, [RUN_OF_9], stages=["model 1"] * 8 + ["model 2"] * 10)
    assert [signal.index for signal in found] == [16, 17]


def test_every_preset_knows_the_limits():
    for rules in PRESETS.values():
        assert [signal.index for signal in signals([0.1, 3.5], rules)] == [1]


def test_a_chart_that_keeps_to_the_middle_is_as_suspicious_as_one_that_avoids_it():
    tight = middle_third([0.1] * 25)
    spread = middle_third([1.5] * 25)
    assert (tight.inside, tight.points) == (25, 25)
    assert tight.p_many < 0.001 < tight.p_few
    assert spread.p_few < 0.001


@given(values, st.integers(0, 60))
def test_the_engine_finds_runs_where_a_plain_count_does(z: list[float], length: int):
    points = 2 + length % 7
    expected = [
        last + 1
        for last in range(points - 1, len(z))
        if abs(sum(np.sign(z[last - points + 1 : last + 1]))) == points
    ]
    assert signalling(z, run(points)) == expected


@given(values)
def test_the_engine_finds_two_of_three_where_a_plain_count_does(z: list[float]):
    expected = [
        last + 1
        for last in range(len(z))
        if abs(z[last]) > 2
        and sum(value * np.sign(z[last]) > 2 for value in z[max(0, last - 2) : last + 1]) >= 2
    ]
    assert signalling(z, most_of(2, 3, 2)) == expected


@given(st.integers(-3, 3), st.sampled_from([-1, 0, 1]))
def test_a_point_that_only_rounding_keeps_off_a_border_is_on_it(border: int, digit: int):
    near = [border + digit * 4e-16] * 15
    assert signals(near, NELSON) == signals([float(border)] * 15, NELSON)
