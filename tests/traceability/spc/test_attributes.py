from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.builders import NOON
from tests.where import shared
from traceability.errors import TooFewSubgroups
from traceability.spc.attributes import Baseline, CountSample, count_chart, dispersion, estimate
from traceability.spc.rules import NELSON

counted = st.lists(
    st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=40
)


def samples_of(counts: list[tuple[int, int]]) -> list[CountSample]:
    return [
        CountSample(
            key=f"s{index}",
            label=f"s{index}",
            at=NOON + timedelta(hours=index),
            count=count,
            opportunity=opportunity,
        )
        for index, (count, opportunity) in enumerate(counts)
    ]


def case(name: str) -> tuple[Any, list[CountSample]]:
    vector = json.loads(shared("vectors", "spc", f"{name}.json").read_text(encoding="utf-8"))
    given_ = vector["input"]
    sizes = given_.get("sizes") or [given_["size"]] * len(given_["defectives"])
    return vector, samples_of(list(zip(given_["defectives"], sizes, strict=True)))


def plain(samples: list[CountSample]) -> Baseline:
    return estimate(samples, is_widened=False)


def beyond(samples: list[CountSample], baseline: Baseline) -> list[int]:
    chart = count_chart(samples, baseline=baseline)
    return [signal.index + 1 for signal in chart.signals if signal.rule == "beyond_limits"]


def test_thirty_cases_of_frozen_orange_juice_give_montgomerys_chart():
    vector, samples = case("p_orangejuice_trial")
    expected = vector["expected"]
    chart = count_chart(samples, baseline=plain(samples))
    close = {"abs": vector["tolerance"]["abs"], "rel": vector["tolerance"]["rel"]}
    assert chart.centre == pytest.approx(expected["center"], **close)
    assert chart.lower == pytest.approx(np.full(30, expected["lcl"]), **close)
    assert chart.upper == pytest.approx(np.full(30, expected["ucl"]), **close)
    assert chart.value == pytest.approx(np.array(expected["p"]), **close)
    assert beyond(samples, plain(samples)) == expected["beyond_limits"]
    printed = vector["tolerance"]["printed_abs"]
    assert chart.upper[0] == pytest.approx(expected["printed"]["ucl"], abs=printed)


def test_the_same_cans_as_numbers_instead_of_shares_signal_alike():
    vector, samples = case("np_orangejuice")
    chart = count_chart(samples, baseline=plain(samples))
    size = vector["input"]["size"]
    assert chart.centre * size == pytest.approx(vector["expected"]["center"])
    assert chart.lower[0] * size == pytest.approx(vector["expected"]["lcl"])
    assert chart.upper[0] * size == pytest.approx(vector["expected"]["ucl"])
    assert beyond(samples, plain(samples)) == vector["expected"]["beyond_limits"]


def test_subgroups_of_differing_size_have_limits_of_their_own():
    vector, samples = case("p_varying_n_jasp")
    expected = vector["expected"]
    chart = count_chart(samples, baseline=plain(samples))
    assert chart.centre == pytest.approx(expected["center"])
    assert np.column_stack((chart.lower, chart.upper)) == pytest.approx(np.array(expected["limits"]))
    assert beyond(samples, plain(samples)) == expected["beyond_limits"]


def test_laneys_limits_are_wider_by_the_spread_of_neighbours():
    vector, samples = case("p_varying_n_jasp")
    expected = vector["expected"]
    laney = estimate(samples, is_widened=True)
    chart = count_chart(samples, baseline=laney)
    assert laney.sigma_z == pytest.approx(expected["sigma_z"], rel=1e-8)
    assert np.column_stack((chart.lower, chart.upper)) == pytest.approx(np.array(expected["laney_limits"]))
    assert beyond(samples, laney) == expected["laney_beyond"]


def test_the_test_of_dispersion_gives_the_published_answer():
    vector = json.loads(shared("vectors", "spc", "overdispersion_tests.json").read_text(encoding="utf-8"))
    given_, expected = vector["input"]["binomial"], vector["expected"]["binomial"]
    found = dispersion(samples_of(list(zip(given_["defectives"], given_["sizes"], strict=True))))
    # qcc divides by the variance of a sample, 1/(m-1); the statistic undoes that and is the same.
    assert found.statistic == pytest.approx(expected["statistic"], rel=1e-6)
    assert found.statistic / found.degrees == pytest.approx(expected["var_ratio"], rel=1e-6)
    # The answer is printed to five digits.
    assert found.p_value == pytest.approx(expected["p"], rel=1e-4)


def test_laney_is_chosen_where_subgroups_differ_more_than_chance():
    _, samples = case("p_varying_n_jasp")
    assert count_chart(samples).baseline.method == "laney_p"


def test_the_plain_chart_is_kept_where_chance_explains_the_spread():
    chart = count_chart(samples_of([(5, 100), (6, 100), (4, 100), (5, 100), (7, 100)]))
    assert chart.baseline.method == "p"
    assert chart.baseline.sigma_z == 1


def test_a_change_of_level_is_found_not_hidden_by_wider_limits():
    # Overdispersed as a whole, but neighbours are as close as ever: what Laney must not swallow.
    chart = count_chart(samples_of([(2, 200)] * 15 + [(14, 200)] * 15))
    assert chart.dispersion is not None
    assert chart.dispersion.p_value < 0.001
    assert chart.baseline.method == "p"
    assert {signal.rule for signal in chart.signals} == {"run_of_9"}


def test_the_lower_limit_is_never_below_nothing_nor_the_upper_above_all():
    chart = count_chart(
        samples_of([(0, 3), (3, 3), (2, 3)]), baseline=Baseline(centre=0.5, sigma_z=1, subgroups=9)
    )
    assert chart.lower.min() == 0
    assert chart.upper.max() == 1


def test_a_point_on_its_limit_is_not_beyond_it():
    # 0.5 + 3 sqrt(0.25 / 9) is exactly 1.
    kept = Baseline(centre=0.5, sigma_z=1, subgroups=25)
    assert count_chart(samples_of([(9, 9)]), baseline=kept).signals == ()


def test_a_subgroup_that_nobody_judged_leaves_a_gap_and_no_signal():
    chart = count_chart(samples_of([(5, 100), (0, 0), (6, 100)]))
    assert np.isnan(chart.value[1])
    assert np.isnan(chart.upper[1])
    assert chart.baseline.subgroups == 2
    assert chart.signals == ()


def test_the_first_reject_of_a_perfect_process_signals():
    perfect = estimate(samples_of([(0, 100)] * 20))
    (signal,) = count_chart(samples_of([(0, 100), (1, 100)]), baseline=perfect).signals
    assert (signal.rule, signal.index, signal.side) == ("beyond_limits", 1, "above")


def test_a_process_without_rejects_has_a_quiet_chart():
    chart = count_chart(samples_of([(0, 100)] * 12))
    assert chart.signals == ()
    assert chart.dispersion is not None
    assert chart.dispersion.p_value == 1


@pytest.mark.parametrize("counts", [[], [(1, 50)], [(1, 50), (0, 0)]])
def test_limits_need_two_judged_subgroups(counts: list[tuple[int, int]]):
    with pytest.raises(TooFewSubgroups) as refused:
        count_chart(samples_of(counts))
    assert refused.value.facts["needed"] == 2


def test_limits_from_few_subgroups_are_called_provisional():
    assert estimate(samples_of([(1, 50)] * 19)).is_provisional
    assert not estimate(samples_of([(1, 50)] * 20)).is_provisional


def test_kept_limits_do_not_move_with_what_they_judge():
    kept = estimate(samples_of([(5, 100)] * 25))
    chart = count_chart(samples_of([(40, 100), (5, 100)]), baseline=kept)
    assert chart.is_frozen
    assert chart.centre == 0.05
    assert [signal.index for signal in chart.signals] == [0]


@given(counted)
def test_the_limits_enclose_the_centre_and_stay_within_none_and_all(counts: list[tuple[int, int]]):
    assume(sum(n > 0 for _, n in counts) >= 2)
    chart = count_chart(samples_of(counts), rules=NELSON)
    judged = ~np.isnan(chart.value)
    assert np.all(chart.lower[judged] >= 0)
    assert np.all(chart.upper[judged] <= 1)
    assert np.all(chart.lower[judged] <= chart.centre + 1e-12)
    assert np.all(chart.upper[judged] >= chart.centre - 1e-12)


@given(counted)
def test_whoever_counts_the_good_units_instead_sees_the_same_signals(counts: list[tuple[int, int]]):
    assume(sum(n > 0 for _, n in counts) >= 2)
    good = [(n - count, n) for count, n in counts]
    bad_chart, good_chart = count_chart(samples_of(counts)), count_chart(samples_of(good))
    # Off the limits: shares that are equal in reason may differ in the last digit.
    near = np.isclose(bad_chart.value, bad_chart.upper) | np.isclose(bad_chart.value, bad_chart.lower)
    on_centre = np.isclose(bad_chart.value, bad_chart.centre)
    assume(not near.any() and not on_centre.any())
    assert [s.index for s in bad_chart.signals] == [s.index for s in good_chart.signals]


@given(counted)
def test_a_chart_is_written_as_json_whatever_it_holds(counts: list[tuple[int, int]]):
    assume(sum(n > 0 for _, n in counts) >= 2)
    chart = count_chart(samples_of(counts))
    written = json.loads(json.dumps(chart.as_dict(), allow_nan=False))
    assert [point["key"] for point in written["points"]] == [sample.key for sample in chart.samples]
    assert [signal["members"] for signal in written["signals"]] == [list(s.members) for s in chart.signals]
