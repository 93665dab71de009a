from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.where import shared
from traceability.spc.yields import pareto


def test_a_pareto_is_ordered_and_summed_as_published():
    case = json.loads(shared("vectors", "spc", "pareto_counts.json").read_text(encoding="utf-8"))
    counts, cost, expected = case["input"]["counts"], case["input"]["cost"], case["expected"]
    bars = pareto(counts)
    assert [bar.name for bar in bars] == expected["order"]
    assert [100 * bar.cumulative_share for bar in bars] == pytest.approx(expected["cum_pct"])
    by_cost = pareto({kind: count * cost[kind] for kind, count in counts.items()})
    assert [bar.name for bar in by_cost] == expected["order_by_cost"]


def test_kinds_of_equal_weight_stand_in_the_order_of_their_names():
    assert [bar.name for bar in pareto({"pit": 2, "crack": 2, "scratch": 3})] == ["scratch", "crack", "pit"]


def test_nothing_found_makes_an_empty_pareto():
    assert pareto({}) == ()


@given(st.dictionaries(st.text(), st.integers(1, 1000), min_size=1))
def test_the_bars_make_up_the_whole(counts: dict[str, int]):
    bars = pareto(counts)
    assert sum(bar.share for bar in bars) == pytest.approx(1)
    assert bars[-1].cumulative_share == 1
