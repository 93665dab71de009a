from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.diagnostic import lilliefors, normal_ad

from traceability.errors import (
    FitImpossible,
    GaugeNotProven,
    NotStable,
    NoVariation,
    ParameterOutOfRange,
    SpecLimitsInvalid,
    TooFewValues,
    ValueNotFinite,
    ValuesMissing,
)
from traceability.spc.capability import (
    Specification,
    bootstrap_interval,
    capability,
    coverage_confidence,
    indices,
    named,
    quantile_capability,
    release,
    target_for,
    tolerance_factor,
    tolerance_interval,
    values_for_coverage,
)
from traceability.spc.distributions import (
    Distribution,
    best_fit,
    box_cox_lambda,
    fit,
    johnson,
    johnson_z,
    normality,
    yeo_johnson_lambda,
)

BOTH = Specification(lower=8, upper=20, target=14)


@pytest.mark.parametrize(("lower", "upper"), [(20, 8), (8, 8), (None, None), (float("nan"), 8)])
def test_specification_limits_that_enclose_nothing_are_refused(lower, upper):
    with pytest.raises(SpecLimitsInvalid):
        Specification(lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [([], ValuesMissing), ([10], TooFewValues), ([10, 10], NoVariation), ([10, np.nan], ValueNotFinite)],
)
def test_no_capability_is_computed_from_nonsense(values, refusal):
    with pytest.raises(refusal):
        capability(values, BOTH, is_subgrouped=False)


def test_one_limit_gives_one_side_and_no_spread_index():
    found = indices(16, 2, Specification(upper=20), n=50)
    assert found.spread is None
    assert found.lower is None
    assert found.nearest == found.upper == pytest.approx(2 / 3)


def test_a_natural_limit_gives_a_spread_index_without_becoming_a_specification():
    found = indices(0.2, 0.05, Specification(upper=0.4, natural_lower=0))
    assert found.spread == pytest.approx(0.4 / 0.3)
    assert found.lower is None


def test_standards_give_the_same_numbers_other_names():
    numbers = {"nearest_within": 1.6, "nearest_overall": 1.5}
    old = named("aiag_2005", is_stable=True, **numbers)
    new = named("aiag_vda_2026", is_stable=False, **numbers)
    machine = named("machine", is_stable=True, **numbers)
    assert dict(old.values) == {"Cpk": 1.6, "Ppk": 1.5}
    assert dict(new.values) == {"Cwk": 1.6, "Ppk": 1.5}
    assert machine.values["Pmk"] == 1.5
    assert named("aiag_2005", is_stable=False, **numbers).warning == "not_stable"


def test_no_c_index_of_an_unstable_process_unless_a_reason_is_printed():
    with pytest.raises(NotStable):
        release(index="Cpk", characteristic="width", signals=2, is_gauge_proven=True)
    with pytest.raises(NotStable):
        release(index="Cpk", characteristic="width", signals=None, is_gauge_proven=True)
    assert release(index="Ppk", characteristic="width", signals=2, is_gauge_proven=True).reasons == ()
    given = release(
        index="Cpk", characteristic="width", signals=2, is_gauge_proven=True, reason_unstable="customer asks"
    )
    assert given.reasons == ("customer asks",)


def test_no_report_without_a_gauge_study_unless_a_reason_is_printed():
    with pytest.raises(GaugeNotProven):
        release(index="Cpk", characteristic="width", signals=0, is_gauge_proven=False, reason_no_gauge="  ")
    released = release(
        index="Cpk", characteristic="width", signals=0, is_gauge_proven=False, reason_no_gauge="first trial"
    )
    assert not released.is_gauge_proven


def test_normality_tests_are_those_of_statsmodels():
    for seed in range(4):
        x = np.random.default_rng(seed).gamma(2, 1, 50)
        found = normality(x)
        statistic, p = normal_ad(x)
        assert found.anderson_darling == pytest.approx(statistic)
        assert found.anderson_darling_p == pytest.approx(p, rel=1e-6)
        assert found.lilliefors == pytest.approx(lilliefors(x)[0])


def test_normal_values_pass_and_skewed_ones_do_not():
    random = np.random.default_rng(11)
    assert normality(random.normal(size=200)).anderson_darling_p > 0.05
    assert normality(random.exponential(size=200)).lilliefors_p < 0.01
    assert normality(random.exponential(size=200)).cramer_von_mises_p < 0.01


def test_fits_are_those_of_scipy():
    x = np.random.default_rng(1).weibull(1.7, 400) * 3
    shape, _, scale = stats.weibull_min.fit(x, floc=0)
    assert fit(x, "weibull").parameters == pytest.approx({"shape": shape, "scale": scale}, rel=1e-3)
    shape, _, scale = stats.gamma.fit(x, floc=0)
    assert fit(x, "gamma").parameters == pytest.approx({"shape": shape, "scale": scale}, rel=1e-3)
    assert box_cox_lambda(x) == pytest.approx(stats.boxcox_normmax(x, method="mle"), abs=1e-3)
    assert yeo_johnson_lambda(x) == pytest.approx(stats.yeojohnson(x)[1], abs=1e-6)


def test_folded_values_give_back_the_normal_that_was_folded():
    x = np.abs(np.random.default_rng(2).normal(1, 2, 20_000))
    assert fit(x, "folded_normal").parameters == pytest.approx({"mean": 1, "sigma": 2}, abs=0.1)


def test_the_family_that_was_drawn_fits_best():
    best, aic = best_fit(np.random.default_rng(3).lognormal(1, 0.8, 500))
    assert best.family == "lognormal"
    assert set(aic) == {"normal", "lognormal", "weibull", "gamma"}


def test_a_distribution_of_positive_values_refuses_others():
    with pytest.raises(FitImpossible):
        fit([1.0, -2.0, 3.0], "weibull")


@pytest.mark.parametrize("family", ["johnson_su", "johnson_sb", "johnson_sl"])
def test_a_johnson_curve_makes_its_own_values_normal(family):
    curve = Distribution(family=family, parameters={"gamma": 0.5, "delta": 1.5, "xi": 2.0, "lambda": 3.0})
    levels = np.linspace(0.01, 0.99, 25)
    x = np.array([curve.quantile(float(level)) for level in levels])
    assert johnson_z(x, curve) == pytest.approx(stats.norm.ppf(levels), abs=1e-8)


def test_johnsons_system_makes_skewed_values_normal():
    x = np.random.default_rng(4).gamma(2, 2, 300)
    assert normality(x).anderson_darling_p < 0.001
    assert normality(johnson_z(x, johnson(x))).anderson_darling_p > 0.2


def test_the_percentile_method_of_a_normal_process_is_the_usual_index():
    curve = Distribution(family="normal", parameters={"mean": 16, "sigma": 2})
    found = quantile_capability(curve, BOTH)
    usual = indices(16, 2, BOTH)
    assert found.indices.nearest == pytest.approx(usual.nearest)
    assert found.indices.spread == pytest.approx(usual.spread)
    assert found.z_method == pytest.approx(usual.nearest)


def test_tolerance_factors_are_those_of_the_tables():
    # ISO 16269-6, tables: two-sided 4.4370 (n = 10, 99 %, 95 %), one-sided 3.9811 (n = 10, 99 %, 95 %).
    assert tolerance_factor(10, coverage=0.99, confidence=0.95) == pytest.approx(4.4370, abs=5e-4)
    assert tolerance_factor(10, coverage=0.99, confidence=0.95, sides=1) == pytest.approx(3.9811, abs=5e-4)
    # NIST e-Handbook 7.2.6.3: Howe's k = 2.217 for n = 43, 90 %, 99 %.
    assert tolerance_factor(43, coverage=0.9, confidence=0.99, method="howe") == pytest.approx(
        2.217, abs=5e-4
    )


def test_a_tolerance_interval_holds_its_coverage_as_often_as_it_says():
    random = np.random.default_rng(8)
    held = 0
    for _ in range(300):
        low, high = tolerance_interval(random.normal(size=12), coverage=0.9, confidence=0.9, method="howe")
        held += stats.norm.cdf(high) - stats.norm.cdf(low) >= 0.9
    # 300 draws at 90 %: 3.5 standard errors are 0.06.
    assert held / 300 == pytest.approx(0.9, abs=0.06)


def test_ninety_three_values_bound_95_percent_of_anything():
    assert values_for_coverage(0.95, 0.95) == 93
    assert values_for_coverage(0.9, 0.95, left_out=1) == 29
    assert coverage_confidence(93, 0.95) >= 0.95 > coverage_confidence(92, 0.95)


def test_few_values_must_show_more():
    assert target_for(1.33, 30) > target_for(1.33, 125) > 1.33


def test_the_bootstrap_is_the_same_each_time():
    x = np.random.default_rng(5).gamma(2, 2, 60)
    first, second = (bootstrap_interval(x, Specification(upper=30)) for _ in range(2))
    assert first == second
    assert first[0] < first[1]


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_the_unit_of_measurement_changes_no_index(scale: float, shift: float):
    x = np.random.default_rng(9).normal(14, 1.5, 40)
    plain = capability(x, BOTH, is_subgrouped=False)
    moved = capability(
        x * scale + shift,
        Specification(lower=8 * scale + shift, upper=20 * scale + shift, target=14 * scale + shift),
        is_subgrouped=False,
    )
    assert moved.overall.nearest == pytest.approx(plain.overall.nearest, rel=1e-6)
    assert moved.taguchi == pytest.approx(plain.taguchi, rel=1e-6)


def a_dimension(coefficient_of_variation: float) -> np.ndarray:
    """100 widths near 25.4 mm, drawn from a normal distribution."""
    return 25.4 * (1 + coefficient_of_variation * np.random.default_rng(0).standard_normal(100))


@pytest.mark.parametrize("variation", [1e-2, 1e-3, 4e-5, 1e-6, 1e-9])
def test_the_shapes_of_a_tight_dimension_follow_from_how_little_it_varies(variation: float):
    x = a_dimension(variation)
    # As the variation goes to 0 a Weibull becomes the smallest-extreme distribution of the logarithms, whose shape is
    # about 1.2 over their spread, and a gamma a normal one: 1/CV². The drawn values vary by 0.962 of `variation`.
    assert fit(x, "weibull").parameters["shape"] == pytest.approx(1.1 / variation, rel=0.02)
    assert fit(x, "gamma").parameters["shape"] == pytest.approx(1.08 / variation**2, rel=0.005)


@pytest.mark.parametrize("variation", [4e-5, 1e-6, 1e-9])
def test_a_tight_dimension_is_as_well_fitted_by_a_gamma_as_by_a_normal(variation: float):
    best, aic = best_fit(a_dimension(variation))
    assert best.family != "weibull"
    assert aic["gamma"] == pytest.approx(aic["normal"], abs=0.1)
    assert aic["lognormal"] == pytest.approx(aic["normal"], abs=0.1)


def test_fits_of_a_dimension_that_varies_by_a_hundredth_are_those_of_scipy():
    x = a_dimension(1e-2)
    shape, _, scale = stats.weibull_min.fit(x, floc=0)
    assert fit(x, "weibull").parameters == pytest.approx({"shape": shape, "scale": scale}, rel=1e-4)
    found = fit(x, "gamma")
    plain = stats.gamma(found.parameters["shape"], scale=found.parameters["scale"])
    # The plain density is a difference of numbers of 1e5, a hundred times.
    assert found.log_likelihood(x) == pytest.approx(float(np.sum(plain.logpdf(x))), abs=1e-7)


@pytest.mark.parametrize("family", ["weibull", "gamma", "lognormal"])
@pytest.mark.parametrize(
    "x", [[25.4, np.nextafter(25.4, 26), 25.4], [1e-300, 1.0, 1e100], [1.0] * 40 + [0.5]]
)
def test_values_of_any_spread_have_a_fit(family, x):
    assert all(np.isfinite(value) for value in fit(x, family).parameters.values())


def test_values_that_none_of_the_families_allows_are_refused():
    with pytest.raises(FitImpossible):
        best_fit(np.arange(-5.0, 5.0), families=("weibull", "gamma"))


@given(st.floats(1e-12, 1e12))
def test_the_power_of_box_and_cox_does_not_depend_on_the_unit(unit: float):
    x = np.random.default_rng(0).weibull(2, 60)
    # The likelihood is flat at its top: a search by values finds the place to half the machine's digits.
    assert box_cox_lambda(x * unit) == pytest.approx(box_cox_lambda(x), abs=1e-6)
    assert box_cox_lambda(x) == pytest.approx(stats.boxcox_normmax(x, method="mle"), abs=1e-6)


@given(st.floats(0.2, 4), st.integers(5, 2000), st.floats(0.55, 0.999))
def test_what_must_be_shown_has_what_is_wanted_as_its_lower_limit_or_no_index_is_enough(
    wanted, n, confidence
):
    z = stats.norm.ppf(confidence)
    try:
        shown = target_for(wanted, n, confidence=confidence)
    except ParameterOutOfRange:
        # However large the index, its interval reaches further down.
        assert z * np.sqrt(1 / (2 * (n - 1))) >= 1
    else:
        lower = shown - z * np.sqrt(1 / (9 * n) + shown**2 / (2 * (n - 1)))
        assert lower == pytest.approx(wanted, rel=1e-6)


def test_of_five_values_no_capability_is_shown_with_a_confidence_of_999_in_1000():
    with pytest.raises(ParameterOutOfRange, match="n"):
        target_for(1.33, 5, confidence=0.999)
