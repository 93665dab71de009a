from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.where import shared
from traceability.spc.rules import NELSON, RUN_OF_9, Rule, beyond, most_of, run, signals, trend

values = st.lists(st.floats(-4, 4).map(lambda z: round(z, 2)), max_size=60)


def vector(name: str) -> Any:
    return json.loads(shared("vectors", "spc", f"{name}.json").read_text(encoding="utf-8"))


def signalling(z: list[float], pattern: Any) -> list[int]:
    """Counted from 1, as the published answers are."""
    return [signal.index + 1 for signal in signals(z, [Rule(name="it", pattern=pattern)])]


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
    assert signalling(case["input"]["z"], rule.pattern) == case["expected"]["signal_points"]


def test_western_electrics_rules_signal_where_published():
    case = vector("rules_we_all_long")
    z, expected = case["input"]["z"], case["expected"]
    for name, pattern in {
        "rule1": beyond(3),
        "rule2": most_of(2, 3, 2),
        "rule3": most_of(4, 5, 1),
        "rule4": run(8),
    }.items():
        assert signalling(z, pattern) == expected[name]


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
