from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.text import LANGUAGES, catalogue
from traceability.errors import (
    CountImpossible,
    FitImpossible,
    NoVariation,
    ParameterOutOfRange,
    SubgroupSizesDiffer,
    TooFewValues,
    ValueNotFinite,
    ValuesMissing,
)
from traceability.spc.attributes import attribute_chart, g_chart, screen_iteratively, t_chart
from traceability.spc.charts import (
    Estimator,
    Exclusion,
    Limits,
    SingleEstimator,
    autocorrelation,
    freeze,
    individuals_chart,
    pre_control,
    residual_chart,
    sigma_of_singles,
    sigma_within,
    stages_by_event,
    subgroup_chart,
    z_mr_chart,
)
from traceability.spc.multivariate import mewma_chart, t2_individuals, t2_subgroups
from traceability.spc.rules import NELSON, PRESETS
from traceability.spc.time_weighted import bernoulli_cusum, cusum_chart, ewma_chart, poisson_cusum

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
GROUPS = np.random.default_rng(5).normal(10, 0.5, (25, 5))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_of_every_preset_has_a_text(language: str):
    texts = catalogue(language)
    assert all(f"spc.rule.{rule.name}" in texts for rules in PRESETS.values() for rule in rules)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ([], ValuesMissing),
        ([[1.0, 2.0]], TooFewValues),
        ([[1.0], [2.0]], TooFewValues),
        ([[1.0, np.nan], [1.0, 2.0]], ValueNotFinite),
        ([[1.0, np.inf], [1.0, 2.0]], ValueNotFinite),
        ([[1.0, 1.0], [2.0, 2.0]], NoVariation),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], SubgroupSizesDiffer),
    ],
)
def test_no_chart_is_drawn_from_nonsense(values, refusal):
    with pytest.raises(refusal) as refused:
        subgroup_chart(values)
    assert refused.value.facts["method"] == "xbar_r"


@pytest.mark.parametrize(
    ("values", "refusal"),
    [([], ValuesMissing), ([3.0], TooFewValues), ([3.0, 3.0], NoVariation), ([1.0, np.nan], ValueNotFinite)],
)
def test_no_individuals_chart_is_drawn_from_nonsense(values, refusal):
    with pytest.raises(refusal):
        individuals_chart(values)


@pytest.mark.parametrize(
    ("count", "size"),
    [
        ([-1, 2], [10, 10]),
        ([11, 2], [10, 10]),
        ([1, 2], [0, 10]),
        ([1.5, 2], [10, 10]),
        ([1, 2, 3], [10, 10]),
    ],
)
def test_impossible_counts_are_refused_with_their_place(count, size):
    with pytest.raises(CountImpossible) as refused:
        attribute_chart("p", count, size)
    assert refused.value.facts["position"] >= 1


def test_subgroups_may_differ_in_size_where_that_is_said():
    groups = [[1.0, 2.0, 3.0], [2.0, 4.0], [1.0, 2.0, 2.5, 3.0]]
    chart = subgroup_chart(groups, spread="standard_deviation", varying_sizes=True).location
    assert np.ptp(chart.upper) > 0
    assert chart.centre[0] == pytest.approx(np.mean([value for group in groups for value in group]))


def test_moving_ranges_do_not_span_a_change_of_stage():
    pair = individuals_chart([1, 2, 1, 2, 9, 8, 9, 8], stages=["model 1"] * 4 + ["model 2"] * 4)
    assert pair.spread is not None
    assert np.flatnonzero(np.isnan(pair.spread.value)).tolist() == [0, 4]
    assert pair.location.centre.tolist() == [1.5] * 4 + [8.5] * 4


def test_each_recipe_model_camera_lamp_or_lens_makes_a_stage_by_itself():
    at = [NOON + timedelta(hours=hour) for hour in range(4)]
    events = [(NOON + timedelta(hours=2), "model 1.2.0"), (NOON + timedelta(hours=1), "lamp")]
    assert stages_by_event(at, events, first="start") == ("start", "lamp", "model 1.2.0", "model 1.2.0")


def test_frozen_limits_do_not_move_with_what_they_judge():
    kept = subgroup_chart(GROUPS).limits
    later = subgroup_chart(GROUPS[:3] + 5, limits=kept)
    assert later.location.centre[0] == kept.centre
    assert later.location.frozen is kept
    assert later.location.beyond == (0, 1, 2)


def test_limits_are_frozen_only_with_author_and_reason_and_count_up():
    limits = Limits(centre=10, sigma=1, method="rbar_d2", subgroups=25)
    first = freeze(limits, author="Wang", reason="25 subgroups in control", at=NOON)
    second = freeze(limits, author="Li", reason="new lens", at=NOON, previous=first)
    assert (first.version, second.version, second.author) == (1, 2, "Li")
    with pytest.raises(ParameterOutOfRange):
        freeze(limits, author="Wang", reason=" ", at=NOON)


def test_an_excluded_point_stays_on_the_chart_and_out_of_the_limits():
    values = [1.0, 2.0, 1.0, 2.0, 50.0, 1.0, 2.0, 1.0]
    gone = Exclusion(index=4, person="Wang", reason="part dropped")
    chart = individuals_chart(values, excluded=[gone]).location
    assert chart.centre[0] == pytest.approx(10 / 7)
    assert chart.beyond == (4,)
    assert chart.excluded == (gone,)


def test_screening_shows_every_round_and_who_did_it():
    counts = [5] * 20 + [30, 12]
    rounds, final = screen_iteratively("p", counts, 100, person="Wang", reason="phase 1")
    assert rounds[0].removed == ()
    assert set(rounds[-1].removed) >= {20}
    assert {one.person for one in final.chart.excluded} == {"Wang"}


@pytest.mark.parametrize(
    "estimator",
    [
        "rbar_d2",
        "rbar_d2_weighted",
        "sbar_c4",
        "sbar_c4_weighted",
        "pooled",
        "pooled_c4",
        "mean_variance",
        "median_range",
    ],
)
def test_every_estimator_of_sigma_finds_the_sigma_that_was_drawn(estimator):
    groups = list(np.random.default_rng(1).normal(0, 2, (4000, 5)))
    assert sigma_within(groups, estimator) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("estimator", ["mean_moving_range", "median_moving_range", "sd", "sd_c4", "mssd"])
def test_every_estimator_of_single_values_finds_the_sigma_that_was_drawn(estimator):
    values = np.random.default_rng(2).normal(0, 2, 20_000)
    assert sigma_of_singles(values, estimator) == pytest.approx(2, rel=0.03)


def test_exact_limits_of_a_range_leave_as_much_on_either_side():
    pair = subgroup_chart(GROUPS, limit_rule="probability")
    assert pair.spread is not None
    assert 0 < pair.spread.lower[0] < pair.spread.centre[0] < pair.spread.upper[0]


def test_a_laney_u_chart_is_as_wide_as_neighbours_differ():
    counts = np.array([90, 160, 60, 150, 95, 170, 70, 140])
    plain = attribute_chart("u", counts, 10)
    laney = attribute_chart("u", counts, 10, limits="laney")
    assert laney.chart.method == "laney_u"
    assert np.ptp([laney.chart.lower[0], laney.chart.upper[0]]) > 2 * np.ptp(
        [plain.chart.lower[0], plain.chart.upper[0]]
    )


def test_exact_limits_of_a_share_keep_the_promised_false_alarms():
    chart = attribute_chart("p", [1, 2], 500, centre=0.004, limits="exact").chart
    assert chart.upper[0] == 7 / 500
    assert chart.lower[0] == 0


def test_zeros_in_a_row_signal_where_a_g_chart_has_no_lower_limit():
    chart = g_chart([30, 40, 35, 0, 0, 0, 20], share=0.03)
    assert chart.zeros_to_signal == 2
    assert chart.zero_runs == (4, 5)


def test_a_weibull_t_chart_stays_quiet_on_its_own_times():
    times = np.random.default_rng(3).weibull(1, 200) * 100
    assert len(t_chart(times, method="weibull").chart.beyond) <= 2
    with pytest.raises(ParameterOutOfRange):
        t_chart([1.0, 0.0, 3.0])


def test_a_head_start_finds_a_process_that_starts_badly_sooner():
    values = [1.0] * 12
    plain = cusum_chart(values, target=0, k=0.5, h=5)
    quick = cusum_chart(values, target=0, k=0.5, h=5, head_start=2.5)
    assert quick.signals[0] < plain.signals[0]
    assert plain.shift is not None
    assert plain.shift.new_mean == pytest.approx(1)


def test_an_ewma_remembers_its_target_before_the_first_point():
    chart = ewma_chart([12.0], weight=0.2, target=10, sigma=1)
    assert chart.value[0] == pytest.approx(10.4)
    assert chart.upper[0] == pytest.approx(10.6)


def test_a_bernoulli_cusum_signals_on_refused_units_close_together():
    units = [0] * 300 + [1] + [0] * 5 + [1] + [0] * 5 + [1] + [0] * 5 + [1]
    chart = bernoulli_cusum(units, p0=0.005, p1=0.02, h=2.5)
    assert chart.signals[0] == 312
    assert chart.last_zero == 299


def test_a_poisson_cusum_takes_its_reference_by_area():
    chart = poisson_cusum([3, 3], rate0=1, rate1=2, h=4, opportunity=[1, 3])
    assert chart.reference == pytest.approx(1 / np.log(2))
    assert chart.value[0] == pytest.approx(3 - chart.reference)
    assert chart.value[1] == pytest.approx(6 - 4 * chart.reference)


def test_t2_sees_a_combination_that_no_single_chart_does():
    random = np.random.default_rng(4)
    first = random.normal(0, 1, 60)
    pairs = np.column_stack([first, first + random.normal(0, 0.1, 60)])
    known = t2_individuals(pairs).established
    chart = t2_individuals([[1.0, -1.0]], established=known)
    assert chart.beyond == (0,)
    assert chart.contribution.shape == (1, 2)


def test_t2_of_subgroups_refuses_mixed_sizes():
    with pytest.raises(SubgroupSizesDiffer):
        t2_subgroups([[[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [2.0, 1.0], [3.0, 4.0]]])


def test_a_mewma_of_one_variable_is_the_square_of_an_ewma():
    values = [0.5, 1.5, -0.3]
    one = ewma_chart(values, weight=0.3, target=0, sigma=1)
    square = mewma_chart(np.reshape(values, (-1, 1)), weight=0.3, mean=[0], covariance=[[1]], h=9)
    assert square.value == pytest.approx((one.value / one.sigma) ** 2)


def test_a_chart_of_values_that_resemble_their_neighbours_warns():
    random = np.random.default_rng(6)
    x = np.zeros(300)
    for index in range(1, 300):
        x[index] = 0.8 * x[index - 1] + random.normal()
    assert autocorrelation(x).is_shown
    assert residual_chart(x).phi == pytest.approx(0.8, abs=0.08)
    assert not autocorrelation(random.normal(size=300)).is_shown


def test_parts_that_take_turns_are_charted_by_a_spread_that_is_known_of_each():
    """No moving range lies within a run of one unit, and none is needed."""
    run = z_mr_chart(
        [10.5, 108, 9, 95],
        ["small", "large"] * 2,
        sigma={"small": 0.5, "large": 4.0},
        mean={"small": 10, "large": 100},
    )
    assert run.chart.location.value.tolist() == [1, 2, -2, -1.25]
    with pytest.raises(ValuesMissing):
        z_mr_chart([10.5, 108, 9, 95], ["small", "large"] * 2)


def test_short_runs_of_two_parts_share_one_standardised_chart():
    run = z_mr_chart([10, 11, 10, 12, 100, 110, 95, 105], ["small"] * 4 + ["large"] * 4)
    assert run.sigma["large"] > 5 * run.sigma["small"]
    assert run.chart.location.upper.tolist() == [3] * 8


def test_pre_control_qualifies_a_set_up_on_five_greens():
    found = pre_control([10] * 4 + [10.3] + [10] * 5 + [10.6], lower=9.5, upper=10.5)
    assert found.qualified_at == 9
    assert found.decisions == ((10, "stop_red"),)


@given(
    st.lists(st.lists(st.floats(-100, 100), min_size=4, max_size=4), min_size=3, max_size=12),
    st.floats(0.1, 50),
)
def test_the_unit_of_measurement_changes_no_signal(groups: list[list[float]], scale: float):
    try:
        chart = subgroup_chart(groups).location
    except NoVariation:
        return
    near = (
        np.isclose(chart.value, chart.upper)
        | np.isclose(chart.value, chart.lower)
        | np.isclose(chart.value, chart.centre)
    )
    if near.any() or chart.sigma[0] < 1e-6:
        return
    scaled = subgroup_chart([[scale * value for value in group] for group in groups]).location
    assert scaled.beyond == chart.beyond


def test_a_chart_is_written_as_json_whatever_it_holds():
    kept = freeze(
        Limits(centre=1.5, sigma=0.4, method="mean_moving_range", subgroups=20),
        author="Wang",
        reason="start",
        at=NOON,
    )
    gone = Exclusion(index=1, person="Wang", reason="dropped")
    pair = individuals_chart([1, 9, 1, 2], limits=kept, excluded=[gone], stages=["a", "a", "b", "b"])
    assert pair.spread is not None
    written = json.loads(json.dumps([pair.location.as_dict(), pair.spread.as_dict()], allow_nan=False))
    assert written[0]["signals"][0]["index"] == 1
    assert written[0]["excluded"] == [{"index": 1, "person": "Wang", "reason": "dropped"}]
    assert written[1]["points"][2] == {
        "value": None,
        "centre": pytest.approx(0.4 * 1.128379),
        "sigma": pytest.approx(0.4 * 0.852502),
        "lower": 0,
        "upper": pytest.approx(0.4 * 3.685887),
        "stage": "b",
    }
    assert Limits.of(written[0]["frozen"]) == kept


def test_a_stage_that_has_just_begun_is_shown_without_limits_of_its_own():
    pair = individuals_chart([1, 2, 1, 2, 9], stages=["model 1"] * 4 + ["model 2"])
    assert np.isnan(pair.location.upper[4])
    assert pair.location.value[4] == 9
    assert pair.location.signals == ()
    with pytest.raises(TooFewValues):
        individuals_chart([1, 2], stages=["model 1", "model 2"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_to_find_sigma_has_a_name_for_people(language: str):
    methods = {*get_args(Estimator), *get_args(SingleEstimator)}
    kinds = {f"{prefix}{kind}" for prefix in ("", "laney_") for kind in ("p", "np", "c", "u")}
    assert {f"spc.method.{name}" for name in methods | kinds} <= set(catalogue(language))


def limits_of(centre: float, sigma: float) -> Limits:
    return Limits(centre=centre, sigma=sigma, method="rbar_d2", subgroups=20)


hundredths = st.integers(-2000, 2000)


@given(hundredths, st.integers(1, 50), st.sampled_from([-2, -1, 1, 2]))
def test_a_value_on_the_border_of_a_zone_is_not_beyond_it(centre: int, sigma: int, border: int):
    on_it = [(centre + border * sigma) / 100] * 8
    chart = individuals_chart(on_it, limits=limits_of(centre / 100, sigma / 100), rules=NELSON).location
    found = {signal.rule for signal in chart.signals}
    # On the border of two sigmas it is beyond that of one: four of five, and not within.
    assert found == ({"4_of_5_beyond_1_sigma"} if abs(border) == 2 else set())


@given(hundredths, st.integers(1, 50), st.sampled_from([-3, 3]))
def test_a_value_on_its_limit_is_not_beyond_it_however_it_is_rounded(centre: int, sigma: int, border: int):
    limits = limits_of(centre / 100, sigma / 100)
    assert individuals_chart([(centre + border * sigma) / 100], limits=limits).location.beyond == ()
    assert individuals_chart([(centre + border * (sigma + 1e-6)) / 100], limits=limits).location.beyond == (
        0,
    )


def test_a_value_a_little_beyond_a_border_is_beyond_it():
    chart = individuals_chart([0.94 - 1e-9] * 3, limits=limits_of(1, 0.03), rules=NELSON).location
    assert [signal.rule for signal in chart.signals] == ["2_of_3_beyond_2_sigma"] * 2


@given(st.lists(st.integers(900, 1100), min_size=4, max_size=4), st.integers(900, 1100))
def test_means_on_the_centre_line_make_no_run(others: list[int], centre: int):
    last = 5 * centre - sum(others)
    groups = [[value / 100 for value in (*others, last)]] * 9
    assert subgroup_chart(groups, limits=limits_of(centre / 100, 0.01)).location.signals == ()


def test_a_narrow_process_far_from_zero_is_not_drowned_in_slack():
    # Six sigmas off, at a place whose last digit is 1.2e-7.
    assert individuals_chart([1e9 + 6e-4], limits=limits_of(1e9, 1e-4)).location.beyond == (0,)


def test_a_sum_on_the_decision_interval_is_no_signal_of_a_cusum():
    found = cusum_chart([10.05] * 4, target=10, k=0.5, h=4, sigma=0.02)
    assert found.above == pytest.approx([2, 4, 6, 8])
    assert found.signals == (2, 3)


@given(st.integers(1, 30), st.sampled_from([1, 2, 3, 5, 7]), st.sampled_from([400, 477, 500]))
def test_a_cusum_of_steady_values_signals_as_in_whole_numbers(off: int, sigma: int, h: int):
    found = cusum_chart([(1000 + off) / 100] * 60, target=10, k=0.5, h=h / 100, sigma=sigma / 100)
    # In units of sigma/200: each value adds 2 off - sigma, the interval is 2 sigma h/100.
    sums = [max(0, (2 * off - sigma) * (index + 1)) for index in range(60)]
    assert found.signals == tuple(index for index, total in enumerate(sums) if 100 * total > 2 * sigma * h)
    assert (found.periods_above > 0).tolist() == [total > 0 for total in sums]


def test_a_cusum_that_signals_begins_anew_only_beyond_its_interval():
    found = cusum_chart([10.05] * 4, target=10, k=0.5, h=4, sigma=0.02, is_reset=True)
    assert found.above == pytest.approx([2, 4, 6, 2])
    assert found.signals == (2,)


@pytest.mark.parametrize("spread", ["range", "standard_deviation"])
def test_a_subgroup_without_spread_is_judged_by_kept_limits(spread):
    chart = subgroup_chart([[20, 20, 20]], spread=spread, limits=limits_of(10, 1))
    assert [signal.rule for signal in chart.location.signals] == ["beyond_limits"]
    assert subgroup_chart([[10, 10, 10]], spread=spread, limits=limits_of(10, 1)).location.signals == ()
    with pytest.raises(NoVariation):
        subgroup_chart([[20, 20, 20], [20, 20, 20]], spread=spread)


@given(st.floats(-9, 9), st.floats(-9, 9))
def test_t2_does_not_depend_on_the_units_of_its_variables(first: float, second: float):
    x = np.random.default_rng(2).normal(size=(30, 2))
    scaled = x * [10**first, 10**second]
    assert t2_individuals(scaled).value == pytest.approx(t2_individuals(x).value)
    known = {"weight": 0.2, "h": 8.0}
    plain = mewma_chart(x, mean=[0, 0], covariance=np.eye(2), **known)
    units = np.diag([10 ** (2 * first), 10 ** (2 * second)])
    assert mewma_chart(scaled, mean=[0, 0], covariance=units, **known).value == pytest.approx(plain.value)


@pytest.mark.parametrize("scale", [1, 1e-9, 1e6])
def test_t2_refuses_variables_that_follow_from_each_other_in_any_unit(scale: float):
    x = np.random.default_rng(2).normal(size=(30, 2))
    with pytest.raises(FitImpossible):
        t2_individuals(np.column_stack([x, scale * (x[:, 0] + x[:, 1])]))
    with pytest.raises(FitImpossible):
        # 0.1 thirty times over has a mean that is not 0.1.
        t2_individuals(np.column_stack([x, np.full(30, 0.1 * scale)]))
    with pytest.raises(FitImpossible):
        t2_subgroups([np.column_stack([x, np.full(30, 0.1 * scale)])] * 2)


def test_a_median_of_moving_ranges_that_is_zero_gives_no_chart_of_no_width():
    tied = [10, 10, 10, 10.1, 10, 10, 10, 10]
    with pytest.raises(ParameterOutOfRange):
        individuals_chart(tied, estimator="median_moving_range")
    with pytest.raises(ParameterOutOfRange):
        subgroup_chart([[1, 1], [1, 1], [1, 2]], estimator="median_range")


def test_a_stage_whose_median_moving_range_is_zero_is_shown_without_limits():
    values = [1, 2, 1, 3, 10, 10, 10, 10.1]
    pair = individuals_chart(
        values, estimator="median_moving_range", stages=["model 1"] * 4 + ["model 2"] * 4
    )
    assert np.isfinite(pair.location.upper[:4]).all()
    assert np.isnan(pair.location.upper[4:]).all()
