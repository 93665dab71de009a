"""Capability, distributions, tolerance intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traceability.spc import capability, checks, distributions
from traceability.validation import comparing as to
from traceability.validation.drawn import estimator_of
from traceability.validation.given import Fields, Given


def _specification(given: Given) -> capability.Specification:
    return capability.Specification(
        **given.options(
            lower=("lsl", "LSL"),
            upper=("usl", "USL"),
            target=("target", "T"),
            natural_lower=("natural_lower", "lower_natural", "boundary_lower"),
            natural_upper=("natural_upper", "boundary_upper"),
        )
    )


def _index_names(found: capability.Indices, letter: str) -> Fields:
    return {
        f"{letter}": found.spread,
        f"{letter}l": found.lower,
        f"{letter}u": found.upper,
        f"{letter}k": found.nearest,
        "k": found.off_centre,
    }


def _million(found: capability.PerMillion | None) -> Fields | None:
    return None if found is None else {"below": found.below, "above": found.above, "total": found.total}


def capability_study(given: Given) -> Fields:
    groups = given.get("subgroups")
    estimator = estimator_of(given, "pooled_c4")
    found = capability.capability(
        groups if groups is not None else given.need("x", "values"),
        _specification(given),
        is_subgrouped=groups is not None,
        estimator=estimator,
        taguchi_from="within",
        taguchi_degrees="qcc",
        **given.options(confidence=("confidence",)),
    )
    assert found.within is not None
    within, overall = _index_names(found.within, "Cp"), _index_names(found.overall, "Pp")
    intervals = {
        "Cp": found.within.spread_interval,
        "Cpk": found.within.nearest_interval,
        "Cpm": found.taguchi_interval,
        "Pp": found.overall.spread_interval,
        "Ppk": found.overall.nearest_interval,
    }
    values = {**within, **overall, "Cpm": found.taguchi}
    normal = found.normality
    return {
        "n": found.n,
        "mean": found.mean,
        "sigma_within sigma_within_table_d2": found.sigma_within,
        "sigma_overall": found.sigma_overall,
        **({name: to.Interval(value, intervals.get(name)) for name, value in values.items()}),
        **to.prefixed("ci_", intervals),
        "ppm_within ppm_expected_within": _million(found.expected_within),
        "ppm_overall ppm_expected_overall": _million(found.expected_overall),
        "ppm_observed": _million(found.observed),
        "z_bench Z_bench": found.z_bench,
        **(
            {}
            if normal is None
            else {"anderson_darling": normal.anderson_darling, "ad_p": normal.anderson_darling_p}
        ),
    }


def capability_parameters(given: Given) -> Fields:
    cases = given.get("cases")
    if cases is not None:
        return {"results": [capability_parameters(Given(case)) for case in cases]}
    mean, sigma = given.get("mean"), given.need("sigma", "s", "sd")
    specification = _specification(given)
    middle = mean if mean is not None else to.middle(given.get("lsl"), given.get("usl"))
    options = given.options(n=("n",), confidence=("confidence",))
    found = capability.indices(middle, sigma, specification, **options)
    ppm = capability.expected_per_million(middle, sigma, specification)
    is_both = specification.lower is not None and specification.upper is not None
    return {
        **_index_names(found, "Cp"),
        **_index_names(found, "Pp"),
        "Cp_star": None if is_both else found.spread,
        "ci": found.spread_interval if mean is None else found.nearest_interval,
        "cp_ci Cp_ci": found.spread_interval,
        "cpk_ci Cpk_ci": found.nearest_interval,
        "ppm_above": ppm.above,
        "ppm_below": ppm.below,
        "ppm_total": ppm.total,
        "fraction_below": to.share_of_million(ppm.below),
        "fraction_above": to.share_of_million(ppm.above),
        "fraction": to.share_of_million(ppm.total),
    }


def spread_interval(given: Given) -> Fields:
    fields = capability_parameters(given)
    return {**fields, "ci": to.field(fields, "cp_ci")}


def nearest_interval(given: Given) -> Fields:
    if (index := given.get("Cpk", "cpk", "Cpk_hat", "cpk_hat")) is not None:
        found = capability.nearest_interval(
            index, given.need("n"), **given.options(confidence=("confidence",))
        )
        return {
            "ci cpk_ci": found,
            "lower": to.first(found),
            "upper": to.last(found),
        }
    fields = capability_parameters(given)
    return {**fields, "ci": to.field(fields, "cpk_ci")}


def naming(given: Given) -> Fields:
    results = []
    for case in given.need("cases"):
        found = capability.named(
            "iso22514" if case["preset"].startswith("iso") else case["preset"],
            is_stable=bool(case.get("stable")),
            nearest_within=given.need("index_within"),
            nearest_overall=given.need("index_overall"),
        )
        results.append({**found.values, "warning": found.warning})
    return {"results": results}


TOLERANCE_METHODS: tuple[capability.ToleranceMethod, ...] = ("exact", "howe")

FAMILIES: Mapping[str, distributions.Family] = {
    "su": "johnson_su",
    "sb": "johnson_sb",
    "sl": "johnson_sl",
    "lognorm": "lognormal",
    "log": "lognormal",
    "foldnorm": "folded_normal",
    "folded": "folded_normal",
    "exp": "exponential",
    "weib": "weibull",
}


def _family(name: str) -> distributions.Family:
    plain = name.lower().replace("johnson", "").strip("_ -")
    (other,) = to.each(plain)
    return next((ours for theirs, ours in FAMILIES.items() if plain.startswith(theirs)), other)


def _quantile_fields(found: capability.QuantileCapability) -> Fields:
    parameters = dict(found.distribution.parameters)
    return {
        **parameters,
        "meanlog": parameters.get("mean"),
        "sdlog": parameters.get("sigma"),
        "parameters": parameters,
        "x_0_135 x_00135 x0_135 q_0_135": found.low,
        "median x_50 q_50": found.median,
        "x_99_865 x99_865 q_99_865": found.high,
        **_index_names(found.indices, "Pp"),
        **_index_names(found.indices, "Cp"),
        "Ppk_z ppk_z_method": found.z_method,
        "ppm_above": found.expected.above,
        "ppm_below": found.expected.below,
        "ppm_total ppm": found.expected.total,
        "p_conforming": to.complement(to.share_of_million(found.expected.total)),
        "mean": found.distribution.mean,
        "sd": found.distribution.sd,
    }


def nonnormal(given: Given) -> Fields:
    values = given.get("x", "values", "data")
    family = _family(str(given.get("distribution", "family", "type", default="weibull")))
    if values is not None:
        curve = distributions.fit(values, family)
    else:
        known = Given({**given.data, **given.get("parameters", "params", default={})})
        curve = distributions.Distribution(
            family=family,
            parameters=known.options(
                gamma=("gamma",),
                delta=("delta",),
                xi=("xi", "epsilon", "location"),
                **{"lambda": ("lambda", "lam", "scale_parameter")},
                shape=("shape",),
                scale=("scale",),
                mean=("meanlog", "mean", "mu"),
                sigma=("sdlog", "sigma", "sd"),
            ),
        )
    low, high = given.get("lsl", "LSL"), given.get("usl", "USL")
    limits = (
        given if low is not None or high is not None else Given({"usl": curve.quantile(to.upper_quantile())})
    )
    fields = _quantile_fields(capability.quantile_capability(curve, _specification(limits)))
    return {
        **fields,
        "n": None if values is None else len(values),
        "loglik": None if values is None else curve.log_likelihood(checks.numbers(values, method="fit")),
        "quantiles x_p": [curve.quantile(one) for one in given.get("p", "probabilities", default=[])],
        "cdf": [curve.below(one) for one in given.get("at", "q", default=[])],
    }


def johnson_percentiles(given: Given) -> Fields:
    if (cases := given.get("cases")) is not None:
        return {"results": [nonnormal(Given(case)) for case in cases]}
    return nonnormal(given)


def box_cox(given: Given) -> Fields:
    x = given.need("x", "values", "data")
    power = distributions.box_cox_lambda(x)
    moved = distributions.box_cox(x, power)
    raw, after = distributions.normality(x), distributions.normality(moved)
    fields: Fields = {
        "lambda": power,
        "lambda_rounded_half": distributions.rounded_half(power),
        "ad_p_raw": raw.anderson_darling_p,
        "ad_p_transformed": after.anderson_darling_p,
    }
    if given.has("lsl", "usl"):
        used = given.get("lambda", default=power)
        moved = distributions.box_cox(x, used)
        limits = {
            name: float(to.first(distributions.box_cox([given.need(name)], used).tolist()))
            for name in ("lsl", "usl")
            if given.has(name)
        }
        found = capability.capability(moved, _specification(Given(limits)), is_subgrouped=False)
        fields |= {
            **_index_names(found.overall, "Pp"),
            "mean_transformed": found.mean,
            "sd_transformed": found.sigma_overall,
            **limits,
        }
    return fields


def yeo_johnson(given: Given) -> Fields:
    return {"lambda": distributions.yeo_johnson_lambda(given.need("x", "values"))}


def normality(given: Given) -> Fields:
    def one(values: Any) -> Fields:
        found = distributions.normality(values)
        return {
            "shapiro_W": found.shapiro_wilk,
            "shapiro_p": found.shapiro_wilk_p,
            "ad_A2 ad_A": found.anderson_darling,
            "ad_p": found.anderson_darling_p,
            "lilliefors_D": found.lilliefors,
            "lilliefors_p": found.lilliefors_p,
            "cvm_W2 cvm_W": found.cramer_von_mises,
            "cvm_p": found.cramer_von_mises_p,
            "skewness": found.skewness,
            "excess_kurtosis kurtosis": found.excess_kurtosis,
        }

    return {name: one(values) for name, values in given.data.items() if isinstance(values, list)} | (
        one(given.need("x")) if given.has("x") else {}
    )


def tolerance_interval(given: Given) -> Fields:
    if (cases := given.get("cases")) is not None:
        rows = [tolerance_interval(Given(case)) for case in cases]
        return {
            "results rows": rows,
            "k k_two_sided": [to.field(row, "k") for row in rows],
        }
    values = given.get("x", "values", "data")
    n = given.get("n", default=None if values is None else len(values))
    if isinstance(n, list):
        rows = [tolerance_interval(Given({**given.data, "n": one})) for one in n]
        return {name: [to.field(row, name) for row in rows] for name in to.first(rows)} | {
            "results rows": rows
        }
    coverage = given.need("coverage", "P", "p", "content", "proportion")
    confidence = given.get("confidence", "gamma", "conf")
    if confidence is None:
        confidence = to.complement(given.need("alpha"))
    exact, howe = (
        capability.tolerance_factor(n, coverage=coverage, confidence=confidence, method=name)
        for name in TOLERANCE_METHODS
    )
    one = capability.tolerance_factor(n, coverage=coverage, confidence=confidence, sides=to.one_side())
    is_one = (
        str(given.get("side", "sides", "type", default="two"))
        .lower()
        .startswith(("one", "1", "upper", "lower"))
    )
    chosen = one if is_one else howe if "howe" in str(given.get("method", default="")).lower() else exact
    fields: Fields = {
        "k": chosen,
        "k2 k_two_sided k_exact exact two_sided": exact,
        "k_howe howe": howe,
        "k1 k_one_sided one_sided": one,
    }
    if values is None and given.has("mean") and given.has("s", "sd"):
        mean, sd = given.need("mean"), given.need("s", "sd")
    elif values is not None:
        mean, sd = to.mean_and_sd(values)
    else:
        return fields
    low, high = mean - chosen * sd, mean + chosen * sd
    return {
        **fields,
        "mean": mean,
        "sd": sd,
        "lower": low,
        "upper": high,
        "interval": [low, high],
        "lower_howe": mean - howe * sd,
        "upper_howe": mean + howe * sd,
        "interval_howe": [mean - howe * sd, mean + howe * sd],
        "interval_exact": [mean - exact * sd, mean + exact * sd],
        "lower_one_sided": mean - one * sd,
        "upper_one_sided": mean + one * sd,
    }


def wilks(given: Given) -> Fields:
    coverage, confidence = given.need("coverage", "P", "p"), given.need("confidence", "gamma", "conf")
    sides = given.options(left_out=("left_out", "sides"))
    n = given.get("n")
    fields: Fields = {"n n_required n_min": capability.values_for_coverage(coverage, confidence, **sides)}
    if n is not None:
        fields["confidence_reached"] = capability.coverage_confidence(n, coverage, **sides)
    return fields
