from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.text import LANGUAGES, catalogue
from tests.where import shared
from traceability.errors import CountImpossible, ParameterOutOfRange
from traceability.spc.yields import (
    QualityCost,
    RateName,
    Step,
    Target,
    defect_rate,
    dpmo_of_sigma,
    handling_time,
    pareto,
    process_yield,
    rate,
    sigma_level,
    supplier_score,
    target_of,
    vital_few,
)


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


def test_the_vital_few_are_the_fewest_that_reach_four_fifths():
    assert [bar.name for bar in vital_few(pareto({"a": 50, "b": 30, "c": 15, "d": 5}))] == ["a", "b"]
    assert vital_few(pareto({})) == ()


def test_reworked_parts_are_never_first_pass_good():
    found = process_yield([Step(name="coat", units_in=100, first_pass_good=80, reworked_good=15, scrapped=5)])
    assert found.fpy == (0.8,)
    assert found.rolled == 0.8
    assert found.final == 0.95
    assert found.hidden_factory == pytest.approx(0.15)


def test_a_step_that_gives_out_more_than_came_in_is_refused():
    with pytest.raises(CountImpossible):
        process_yield([Step(name="coat", units_in=100, first_pass_good=80, reworked_good=30)])
    with pytest.raises(CountImpossible):
        process_yield([Step(name="coat", units_in=100, first_pass_good=-1)])


def test_strip_with_more_defects_than_coils_has_defects_per_unit_and_no_sigma_level():
    found = defect_rate(defects=9, units=8)
    assert (found.dpu, found.dpmo) == (1.125, 1_125_000)
    assert found.sigma_level is None


@given(st.floats(0.1, 6))
def test_sigma_levels_and_defects_per_million_are_two_ways_to_say_one_thing(level: float):
    assert sigma_level(dpmo_of_sigma(level)) == pytest.approx(level)


def test_no_defects_are_no_infinite_promise():
    found = defect_rate(defects=0, units=500, defective=0)
    assert found.dpmo == 0
    assert found.dpmo_interval[1] > 5000
    with pytest.raises(ParameterOutOfRange):
        defect_rate(defects=0, units=0)


def test_two_lots_do_not_rank_a_supplier():
    common = {"defective": 3, "units": 10_000, "response_days": 5, "closed": 4, "opened": 5}
    few = supplier_score(lots_accepted=2, lots=2, **common)
    many = supplier_score(lots_accepted=200, lots=200, **common)
    assert few.score == many.score == pytest.approx(sum(few.parts.values()))
    assert few.interval[0] < many.interval[0] - 15


def test_a_rate_is_met_or_not_by_its_target():
    assert rate("incoming_lot_acceptance", count=49, of=50, target=0.98).is_met
    assert rate("oqc_sampling", count=1, of=50, target=0.05).is_met is False
    with pytest.raises(CountImpossible):
        rate("scrap", count=1, of=0)


def test_poor_quality_costs_what_failures_cost():
    cost = QualityCost(prevention=1, appraisal=2, internal_failure=3, external_failure=4, revenue=100)
    assert (cost.poor_quality, cost.total, cost.poor_quality_share) == (7, 10, 0.07)
    with pytest.raises(ParameterOutOfRange):
        QualityCost(prevention=-1, appraisal=0, internal_failure=0, external_failure=0)


def test_open_cases_are_counted_and_not_timed():
    found = handling_time([1.0, 2.0, 3.0, 30.0], still_open=2, target_hours=8)
    assert (found.closed, found.open, found.median, found.within_target) == (4, 2, 2.5, 0.75)
    assert found.interval[0] < found.mean < found.interval[1]


def test_the_most_specific_target_holds():
    place = {"plant": "1", "line": "strip", "station": "exit", "shift": "night"}
    plant = Target(figure="rolled", value=0.95, plant="1")
    night = Target(figure="rolled", value=0.9, shift="night")
    other = Target(figure="rolled", value=0.5, line="other")
    assert target_of([plant, night, other], "rolled", **place) is night
    assert target_of([plant, other], "rolled", **place) is plant
    assert target_of([other], "rolled", **place) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_of_merit_has_its_definition_to_print_beside_it(language: str):
    texts = catalogue(language)
    fields = {
        "first_pass",
        "rolled",
        "final",
        "scrap",
        "rework",
        "hidden_factory",
        "dpu",
        "dpmo",
        "sigma_level",
    }
    costs = {"poor_quality", "poor_quality_share", "supplier_score", "handling_time"}
    assert {f"spc.definition.{name}" for name in fields | costs | set(get_args(RateName))} <= set(texts)
