from __future__ import annotations

import json
from math import exp, factorial
from typing import Any

import numpy as np
import pytest

from tests.traceability.spc.exact_run_lengths import exact
from tests.where import shared
from traceability.errors import ParameterOutOfRange
from traceability.spc.rules import BEYOND_LIMITS, PRESETS, most_of, outside, run, signals, trend, within
from traceability.spc.run_length import (
    autocorrelated_arl,
    bernoulli_cusum_length,
    bernoulli_design,
    cusum_arl,
    ewma_arl,
    false_alarms,
    mewma_h,
    poisson_design,
    run_length,
    shewhart_arl,
    simulated_run_length,
)


def vector(name: str) -> Any:
    return json.loads(shared("vectors", "spc", f"{name}.json").read_text(encoding="utf-8"))


def by_the_engine(rules: Any, *, shift: float, series: int) -> float:
    """Mean run length as the rule engine itself finds it: one long row of series, one stage each.

    Looks at the first points of all series, and at more only of those that have not signalled: what comes
    later changes no earlier signal.
    """
    z = np.random.default_rng(7).standard_normal((series, 800)) + shift
    first = np.zeros(series)
    for points in (10, 20, 40, 80, 800):
        open_ones = np.flatnonzero(first == 0)
        stages = np.repeat(open_ones, points).tolist()
        for signal in signals(z[open_ones, :points].ravel(), rules, stages=stages):
            at, place = divmod(signal.index, points)
            first[open_ones[at]] = first[open_ones[at]] or place + 1
    assert first.all(), "a series was too short to hold its first signal"
    return float(first.mean())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_meter_and_the_engine_agree_on_every_preset(preset: str):
    # At a shift of one sigma, where series are short; 6 000 of them leave 1.2 % to chance, 3 % is allowed.
    rules = PRESETS[preset]
    told = run_length(rules, shift=1).mean
    assert by_the_engine(rules, shift=1, series=6_000) == pytest.approx(told, rel=0.03)


def test_western_electrics_false_alarms_are_champ_and_woodalls_to_the_last_digit():
    case = vector("arl_western_electric")
    rules = {"1": BEYOND_LIMITS, "2": most_of(2, 3, 2), "3": most_of(4, 5, 1), "4": run(8)}
    for shift, name in ((0, "arl0"), (1, "arl_delta1")):
        for ticked, expected in case["expected"][name].items():
            found = run_length([rules[one] for one in ticked], shift=shift)
            assert found.method == "exact"
            assert found.mean == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "rules",
    [
        (BEYOND_LIMITS, within(15, 1), outside(8, 1)),
        (BEYOND_LIMITS, run(7), outside(8, 1, sides="either")),
        (most_of(4, 5, 1), run(9)),
    ],
)
def test_what_is_simulated_is_what_is_exact(rules: Any):
    exact = run_length(rules)
    simulated = simulated_run_length(rules, seed=3)
    assert exact.method == "exact"
    assert abs(simulated.mean - exact.mean) < 4 * simulated.standard_error


@pytest.mark.parametrize("preset", ["aiag_vda", "nelson_1_2", "western_electric"])
def test_the_chain_that_remembers_the_last_point_gives_what_the_chain_of_zones_gives(preset: str):
    for shift in (0, 1):
        assert exact(PRESETS[preset], shift=shift, cells=2) == pytest.approx(
            run_length(PRESETS[preset], shift=shift).mean, rel=1e-7
        )


@pytest.mark.parametrize("preset", ["iso7870_2", "juran"])
@pytest.mark.parametrize("shift", [0, 1])
def test_rules_that_compare_neighbours_are_simulated_within_three_percent_of_the_exact_value(
    preset: str, shift: float
):
    # The other presets take minutes: benchmarks/spc/run_lengths.py.
    told = run_length(PRESETS[preset], shift=shift)
    assert told.method == "simulated"
    assert told.mean == pytest.approx(exact(PRESETS[preset], shift=shift, cells=4), rel=0.03)


def test_a_trend_of_three_has_the_run_length_of_permutations():
    # The first n values hold no row of three rising or falling with chance 2 E_n / n!, E_n the Euler zigzag numbers;
    # summed over n from 0, with 1 for n = 0 and 1: 2 (sec 1 + tan 1) - 2.
    assert exact([trend(3)], cells=32) == pytest.approx(2 / np.cos(1) + 2 * np.tan(1) - 2, rel=1e-6)


def test_two_hundred_charts_with_nelsons_eight_give_almost_three_false_alarms_a_cycle():
    meter = false_alarms(PRESETS["nelson"], charts=200)
    assert meter.in_control.method == "simulated"
    assert meter.per_cycle == pytest.approx(2.7, rel=0.03)
    assert 0.9 < meter.chance_per_cycle < 1


def test_a_lucas_crosier_cusum_with_a_head_start_finds_a_bad_start_sooner():
    # Lucas and Crosier (1982), table 1, h = 5, k = 0.5, S0 = 2.5: 430 and 6.35.
    assert cusum_arl(k=0.5, h=5, head_start=2.5) == pytest.approx(430, abs=0.5)
    assert cusum_arl(k=0.5, h=5, head_start=2.5, shift=1) == pytest.approx(6.35, abs=0.005)


def test_an_ewma_of_weight_one_is_a_shewhart_chart():
    assert ewma_arl(weight=1, sigmas=3) == pytest.approx(shewhart_arl(), rel=1e-6)


def test_an_ewma_has_lucas_and_saccuccis_run_lengths():
    # Lucas and Saccucci (1990): lambda = 0.25, L = 2.998: 500 in control, 11.1 at one sigma.
    assert ewma_arl(weight=0.25, sigmas=2.998) == pytest.approx(500, rel=0.01)
    assert ewma_arl(weight=0.25, sigmas=2.998, shift=1) == pytest.approx(11.1, abs=0.05)


def test_autocorrelation_lengthens_the_run_with_the_true_sigma_and_ruins_it_with_the_moving_ranges():
    assert autocorrelated_arl(phi=0) == pytest.approx(shewhart_arl(), rel=1e-6)
    assert autocorrelated_arl(phi=0.6) == pytest.approx(419, abs=1)
    assert autocorrelated_arl(phi=0.8) == pytest.approx(555, abs=1)
    assert autocorrelated_arl(phi=0.6, sigmas=3 * 0.4**0.5) < 25


def test_a_mewma_of_two_variables_has_the_tabled_limit():
    # Runger and Prabhu (1996): lambda = 0.1, p = 2, ARL0 = 200: 8.64 from 30 rings; Prabhu and Runger: 8.66.
    assert mewma_h(weight=0.1, variables=2, arl0=200) == pytest.approx(8.64, abs=0.03)


def test_a_bernoulli_cusum_sees_worse_quality_sooner():
    worse, good = (bernoulli_cusum_length(p=p, p0=0.01, p1=0.03, h=3) for p in (0.03, 0.01))
    assert worse < good / 5


def poisson_chances(rate: float) -> tuple[float, ...]:
    return tuple(exp(-rate) * rate**count / factorial(count) for count in range(16))


def by_matrix(chances: tuple[float, ...], steps: int, states: int) -> float:
    """The same chain, each place after each unit, as a table."""
    step = np.zeros((states, states))
    for place in range(states):
        step[place, max(place - 1, 0)] += chances[0]
        for count, chance in enumerate(chances[1:], start=1):
            if (after := place + count * steps - 1) < states:
                step[place, after] += chance
    return float(np.linalg.solve(np.eye(states) - step, np.ones(states))[0])


@pytest.mark.parametrize("rate", [0.02, 0.06])
@pytest.mark.parametrize("ratio", [1.3, 2, 9])
def test_lengths_counted_down_from_the_signal_are_those_of_the_whole_table(rate, ratio):
    bernoulli = bernoulli_design(p0=rate, p1=ratio * rate, arl0=400 / rate)
    poisson = poisson_design(rate0=rate, rate1=ratio * rate, arl0=400 / rate)
    for design, chances in ((bernoulli, lambda p: (1 - p, p)), (poisson, poisson_chances)):
        states = round(design.h * design.steps)
        for length, true in (
            (design.units_in_control, design.in_control),
            (design.units_to_find, design.to_find),
        ):
            assert length == pytest.approx(by_matrix(chances(true), design.steps, states), rel=1e-9)


def test_a_cusum_of_rare_events_gives_the_false_alarms_it_was_set_up_for():
    """By simulation, unit by unit; 1500 series have a standard error of 2.6 %."""
    random = np.random.default_rng(5)
    bernoulli = bernoulli_design(p0=0.05, p1=0.15, arl0=800)
    poisson = poisson_design(rate0=0.05, rate1=0.15, arl0=800)
    for design, drawn in ((bernoulli, random.binomial), (poisson, random.poisson)):
        given = (1, 0.05) if design is bernoulli else (0.05,)
        sums, lengths, alive = np.zeros(1500, int), np.zeros(1500), np.ones(1500, bool)
        for unit in range(1, 30_000):
            sums = np.maximum(0, sums + design.steps * drawn(*given, size=1500) - 1)
            done = alive & (sums >= round(design.h * design.steps))
            lengths[done] = unit
            alive &= ~done
            if not alive.any():
                break
        assert lengths.mean() == pytest.approx(design.units_in_control, rel=0.08)
        assert 800 <= design.units_in_control < 900
        assert design.units_to_find < 60


def test_what_is_as_rare_as_one_in_a_hundred_thousand_still_has_a_design():
    """Of what is rare only the ratio of the rates matters: h and the events to a signal are those of one in 1000."""
    rare, rarer = (bernoulli_design(p0=p0, p1=2 * p0, arl0=370.4 / p0) for p0 in (1e-3, 1e-5))
    assert rarer.h == pytest.approx(rare.h, rel=0.01)
    assert rarer.units_to_find * 1e-5 == pytest.approx(rare.units_to_find * 1e-3, rel=0.01)


def test_a_chart_that_should_speak_at_every_point_is_refused():
    with pytest.raises(ParameterOutOfRange):
        mewma_h(weight=0.1, variables=2, arl0=1)
    with pytest.raises(ParameterOutOfRange):
        run_length(())
