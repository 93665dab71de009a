"""EWMA, CUSUM, unit by unit and of several variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from traceability.spc import charts, multivariate, run_length, time_weighted
from traceability.validation import comparing as to
from traceability.validation.drawn import chart_fields, estimator_of
from traceability.validation.given import Fields, Given, NotReported


def _means(given: Given) -> tuple[list[float], float, float, float]:
    """Values to plot, centre, sigma of one of them, and sigma within."""
    if given.has("phase1", "subgroups"):
        base = given.need("phase1", "subgroups")
        estimator = estimator_of(given, "rbar_d2")
        pair = charts.subgroup_chart(
            base,
            estimator=estimator,
            spread="range" if estimator.startswith("rbar") else "standard_deviation",
        )
        later = given.get("phase2", "new", default=[])
        values = [*pair.location.value, *(sum(group) / len(group) for group in later)]
        centre = given.get("target", "center", default=pair.limits.centre)
        return values, centre, to.first(pair.location.sigma), pair.limits.sigma
    values = given.need("x", "values", "data", "means")
    pair_of_singles = None
    sigma = given.get("sigma", "sd")
    if sigma is None or not given.has("target", "center", "mu0"):
        pair_of_singles = charts.individuals_chart(values)
    centre = given.get(
        "target", "center", "mu0", default=pair_of_singles.limits.centre if pair_of_singles else None
    )
    spread = sigma if sigma is not None else pair_of_singles.limits.sigma if pair_of_singles else None
    assert spread is not None
    size = given.get("n", "subgroup_size")
    return (
        list(values),
        float(centre),
        float(spread) if size is None else to.of_mean(spread, size),
        float(spread),
    )


def ewma(given: Given) -> Fields:
    values, centre, sigma, within = _means(given)
    limits: Any = "asymptotic" if str(given.get("limits", default="exact")).startswith("asym") else "exact"
    chart = time_weighted.ewma_chart(
        values,
        weight=given.need("lambda", "weight", "r"),
        target=centre,
        sigma=sigma,
        limits=limits,
        **given.options(sigmas=("L", "nsigmas"), start=("start",)),
    )
    return {
        **chart_fields(chart),
        "ewma z": chart.value.tolist(),
        "sigma_within sigma": within,
        "first_signal": to.first(to.one_based(chart.beyond)),
    }


def cusum(given: Given) -> Fields:
    values, centre, sigma, within = _means(given)
    in_data_units = given.get("units") == "data"
    if given.has("head_start_fraction", "fir_fraction"):
        start: Any = to.product(given.need("head_start_fraction", "fir_fraction"), given.need("h", "H"))
    else:
        start = given.get("head_start", "fir", "FIR", "headstart", "start")
        if isinstance(start, bool):
            start = to.half(given.need("h", "H")) if start else None
    options = given.options(is_reset=("reset", "is_reset"))
    if not in_data_units:
        options["sigma"] = sigma
    if start is not None:
        options["head_start"] = start
    found = time_weighted.cusum_chart(
        values,
        target=centre,
        k=given.need("k", "K"),
        h=given.need("h", "H"),
        **options,
    )
    shift = found.shift
    fields: Fields = {
        "c_plus": found.above.tolist(),
        "c_minus": found.below.tolist(),
        "n_plus": found.periods_above.tolist(),
        "n_minus": found.periods_below.tolist(),
        "center": centre,
        "sigma sigma_within": within,
        "signals": to.one_based(found.signals),
        "signals_upper": to.one_based(found.signals_above),
        "signals_lower": to.one_based(found.signals_below),
        "first_signal": to.first(to.one_based(found.signals)),
        "head_start": start,
    }
    if shift is not None:
        (since,) = to.one_based([shift.last_in_control])
        fields |= {
            "n_plus_at_signal": shift.periods if shift.side == "above" else None,
            "n_minus_at_signal": shift.periods if shift.side == "below" else None,
            "n_at_signal": shift.periods,
            "last_in_control change_point": since,
            "new_mean_estimate": shift.new_mean,
        }
    return fields


def fast_cusum(given: Given) -> Fields:
    """With and without a head start, each under its own name, and with it under the plain ones."""
    start = given.get("head_start", "fir", "FIR", "headstart")
    quick = cusum(
        given if start is not None else Given({**given.data, "head_start": to.half(given.need("h", "H"))})
    )
    plain = cusum(
        Given(
            {
                name: value
                for name, value in given.data.items()
                if name.lower() not in ("head_start", "fir", "headstart")
            }
        )
    )
    return {
        **quick,
        "fir with_fir": quick,
        "plain no_fir without_fir": plain,
        "first_signal_fir": to.field(quick, "first_signal"),
        "first_signal_plain": to.field(plain, "first_signal"),
    }


def bernoulli(given: Given) -> Fields:
    p0, p1, h = given.need("p0"), given.need("p1"), given.need("h", "H")
    units = given.need("x", "units", "defective", "y", "values", "data")
    scale: Any = (
        "log_likelihood" if "log" in str(given.get("scale", "scores", "form", default="")) else "units"
    )
    found = time_weighted.bernoulli_cusum(units, p0=p0, p1=p1, h=h, scale=scale)
    plain = run_length.bernoulli_reference(p0=p0, p1=p1)
    return {
        "reference": found.reference,
        "gamma k r1_over_r2": plain,
        "m": to.inverse(plain),
        "per_event": found.per_event,
        "weight_defect w1": found.per_event - found.reference,
        "weight_good w0": -found.reference,
        "cusum B S": found.value.tolist(),
        "max": float(found.value.max()),
        "signals": to.one_based(found.signals),
        "first_signal": to.first(to.one_based(found.signals)),
        "last final": to.last(found.value.tolist()),
        "change_point last_zero": to.one_based_or_none(found.last_zero),
    }


def poisson(given: Given) -> Fields:
    found = time_weighted.poisson_cusum(
        given.need("counts", "x", "defects"),
        rate0=given.need("rate0", "lambda0", "mu0", "c0"),
        rate1=given.need("rate1", "lambda1", "mu1", "c1"),
        h=given.need("h", "H"),
        **given.options(
            opportunity=("opportunity", "area", "units", "exposure"), head_start=("head_start", "fir")
        ),
    )
    return {
        "k reference": found.reference,
        "cusum c_plus S": found.value.tolist(),
        "signals": to.one_based(found.signals),
        "first_signal": to.first(to.one_based(found.signals)),
        "change_point": to.one_based_or_none(found.last_zero),
    }


def _t2(found: multivariate.T2Chart) -> Fields:
    known = found.established
    return {
        "mean center means": known.mean.tolist(),
        "cov": known.covariance.tolist(),
        "t2": found.value.tolist(),
        "ucl": found.upper,
        "prediction_ucl ucl_phase2": found.prediction_limit,
        "beyond_limits": to.one_based(found.beyond),
        "contribution contributions": found.contribution.tolist(),
        "lcl": None,
    }


def hotelling(given: Given) -> Fields:
    options = given.options(confidence=("confidence", "conf", "confidence_level"))
    if given.has("alpha"):
        options["confidence"] = to.complement(given.need("alpha"))
    first = given.get("phase1", "x", "subgroups", "data")
    if isinstance(first, Mapping):
        first = list(map(list, zip(*first.values(), strict=True)))
    if first is None:
        raise NotReported("no observations")
    is_grouped = isinstance(to.first(to.first(first)), list)
    chart: Callable[..., multivariate.T2Chart] = (
        multivariate.t2_subgroups if is_grouped else multivariate.t2_individuals
    )
    found = chart(first, **options)
    fields = _t2(found)
    if (later := given.get("phase2", "new", "newdata", "x_new")) is not None:
        new = chart(later, established=found.established, **options)
        fields |= {
            "t2": new.value.tolist(),
            "ucl": new.upper,
            "beyond_limits": to.one_based(new.beyond),
            "phase1": _t2(found),
            "phase2": _t2(new),
            "t2_new t2_phase2": new.value.tolist(),
            "ucl_phase2": new.upper,
            "beyond_limits_phase2 phase2_beyond_limits": to.one_based(new.beyond),
            "ucl_phase1": found.upper,
            "t2_phase1": found.value.tolist(),
        }
    return fields


def mewma(given: Given) -> Fields:
    weight = given.need("lambda", "weight", "r")
    first = given.get("phase1")
    later = given.need("x", "phase2", "data")
    known = multivariate.t2_individuals(first).established if first is not None else None
    mean = known.mean if known is not None else given.need("mean", "mu", "mu0", "target")
    covariance = known.covariance if known is not None else given.need("cov", "sigma", "Sigma", "covariance")
    h = given.get("h", "h4", "H", "ucl", "limit")
    if h is None:
        h = run_length.mewma_h(weight=weight, variables=len(mean), arl0=given.need("arl0", "ARL0"))
    limits: Any = "asymptotic" if str(given.get("limits", default="exact")).startswith("asym") else "exact"
    found = multivariate.mewma_chart(
        later, weight=weight, mean=mean, covariance=covariance, h=h, limits=limits
    )
    return {
        "t2": found.value.tolist(),
        "z mewma": found.z.tolist(),
        "ucl h": found.upper,
        "signals beyond_limits": to.one_based(found.beyond),
        "first_signal": to.first(to.one_based(found.beyond)),
        "mean": list(map(float, mean)),
    }
