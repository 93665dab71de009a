"""From the names of a published case to our functions and back. It computes nothing and holds no number.

A case that no function here knows is a gap, and so is a field that none reports: both are listed, not hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from traceability.spc import (
    agreement,
    attributes,
    capability,
    causes,
    charts,
    checks,
    constants,
    detection,
    distributions,
    inspector,
    maps,
    msa,
    multivariate,
    rules,
    run_length,
    sampling,
    time_weighted,
    yields,
)
from traceability.validation import comparing as to
from traceability.validation.comparing import Case

Fields = dict[str, Any]


class NotReported(Exception):
    """The product reports nothing for this case."""


class Given:
    """A case's input, by any of the names a field goes by."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def get(self, *names: str, default: Any = None) -> Any:
        for name in names:
            if self.data.get(name) is not None:
                return self.data[name]
        return default

    def need(self, *names: str) -> Any:
        value = self.get(*names)
        if value is None:
            raise NotReported(f"input has none of {names}")
        return value

    def has(self, *names: str) -> bool:
        return self.get(*names) is not None

    def options(self, **names: Sequence[str]) -> Fields:
        """Keyword arguments for those that the case gives."""
        return {ours: self.get(*theirs) for ours, theirs in names.items() if self.has(*theirs)}


def answer(case: Case) -> Fields:
    """What our functions report for this case. Raises NotReported."""
    given = Given(case.input)
    for pattern, reports in ROUTES:
        if re.search(pattern, case.method) or re.search(pattern, case.id):
            return reports(given)
    raise NotReported(case.method)


# --- charts ---------------------------------------------------------------------------------------------------


def _chart(chart: charts.ControlChart, prefix: str = "") -> Fields:
    return to.prefixed(
        prefix,
        {
            "center": to.scalar(chart.centre),
            "lcl": to.scalar(to.present(chart.lower)),
            "ucl": to.scalar(to.present(chart.upper)),
            "limits": to.pairs(chart.lower, chart.upper),
            "centers": chart.centre.tolist(),
            "beyond_limits signals": to.one_based(chart.beyond),
            "values": to.present(chart.value),
        },
    )


SIGMA_METHODS: Mapping[str, charts.Estimator] = {
    "rbar": "rbar_d2",
    "uwaver": "rbar_d2",
    "mvluer": "rbar_d2_weighted",
    "sbar": "sbar_c4",
    "uwavesd": "sbar_c4",
    "mvluesd": "sbar_c4_weighted",
    "pooled": "pooled_c4",
    "rmsdf": "pooled_c4",
    "mean": "mean_variance",
    "sqrt": "mean_variance",
}


def _estimator(given: Given, default: charts.Estimator) -> charts.Estimator:
    said = re.sub(
        "[^a-z]",
        "",
        str(given.get("sigma_within_method", "sigma_method", "method", "estimator", default="")).lower(),
    )
    return next((ours for name, ours in SIGMA_METHODS.items() if said.startswith(name)), default)


def _sigmas(given: Given) -> Fields:
    return given.options(sigmas=("nsigmas", "sigmas", "L", "k_sigma"))


def _pair(pair: charts.ChartPair, location: str, spread: str) -> Fields:
    fields = {
        **_chart(pair.location),
        location: pair.location.value.tolist(),
        "sigma sigma_within sigma_hat": pair.limits.sigma,
    }
    if pair.spread is not None:
        fields |= {
            **_chart(pair.spread, f"{spread}_"),
            spread: to.present(pair.spread.value),
            f"{spread.lower()}bar": to.scalar(pair.spread.centre),
        }
    return fields


def subgroup_chart(kind: str, default: charts.Estimator) -> Callable[[Given], Fields]:
    def reports(given: Given) -> Fields:
        spread: Any = "range" if kind.endswith("r") or kind == "median" else "standard_deviation"
        location: Any = "median" if kind == "median" else "mean"
        letter = "R" if spread == "range" else "S"
        rule = str(given.get("limits", "limit_rule", default="sigmas")).lower()
        options: Fields = {
            "location": location,
            "spread": spread,
            "estimator": _estimator(given, default),
            "varying_sizes": True,
            "limit_rule": "probability" if rule.startswith(("prob", "exact")) else "sigmas",
            **_sigmas(given),
        }
        name = "xbar" if location == "mean" else "medians"
        first_phase = given.get("phase1", "calibration", "subgroups_phase1")
        if first_phase is None:
            pair = charts.subgroup_chart(given.need("subgroups", "x", "data"), **options)
            return {**_pair(pair, name, letter), "median": pair.location.value.tolist()}
        later = given.need("phase2", "new", "newdata", "subgroups_phase2")
        known = charts.subgroup_chart(first_phase, **options)
        together = charts.subgroup_chart([*first_phase, *later], limits=known.limits, **options)
        new = charts.subgroup_chart(later, limits=known.limits, **options)
        return {
            **_pair(together, name, letter),
            "xbar_phase2 new_xbar phase2_xbar": new.location.value.tolist(),
            "beyond_limits_phase2 phase2_beyond_limits": to.one_based(new.location.beyond),
            "phase2": _pair(new, name, letter),
            "phase1": _pair(known, name, letter),
        }

    return reports


def individuals(given: Given) -> Fields:
    first = given.get("phase1", "trial", "calibration")
    if first is not None:
        frozen = _sigmas(given)
        known = charts.individuals_chart(first, **frozen)
        later = given.need("phase2", "new", "newdata")
        together = charts.individuals_chart([*first, *later], limits=known.limits, **frozen)
        new = charts.individuals_chart(later, limits=known.limits, **frozen)
        return {
            **_pair(together, "x", "MR"),
            "beyond_limits_phase2 phase2_beyond_limits phase2_beyond": to.one_based(new.location.beyond),
            "phase1": _pair(known, "x", "MR"),
            "phase2": _pair(new, "x", "MR"),
        }
    options: Fields = {**_sigmas(given), **given.options(span=("mr_span", "span", "w"))}
    stage = given.get("stage", "stages")
    pair = charts.individuals_chart(given.need("x", "values", "data"), stages=stage, **options)
    fields = {**_pair(pair, "x", "MR"), "mr_bar": to.scalar(pair.spread.centre) if pair.spread else None}
    if stage is not None:
        fields["stages"] = {
            label: {
                **_stage(pair.location, label),
                **to.prefixed("MR_", _stage(pair.spread, label) if pair.spread else {}),
            }
            for label in dict.fromkeys(stage)
        }
    return fields


def _stage(chart: charts.ControlChart, label: str) -> Fields:
    here = [place for place, own in enumerate(chart.stage) if own == label]
    return {
        "center": to.scalar(chart.centre[here]),
        "ucl": to.scalar(chart.upper[here]),
        "lcl": to.scalar(chart.lower[here]),
        "sigma": to.scalar(chart.sigma[here]),
    }


def individual_sigmas(given: Given) -> Fields:
    x = checks.numbers(given.need("x", "values", "data"), method="sigma")
    span: Fields = given.options(span=("mr_span", "span"))
    found = {name: charts.sigma_of_singles(x, name, **span) for name in SINGLE_ESTIMATORS}
    names = {
        "mean_moving_range": (
            "MR",
            "mr_mean",
            "mean_mr",
            "mr",
            "average_mr",
            "MRbar",
            "sigma_mr",
            "mrbar_d2",
            "sigma_mr_mean",
            "mr_d2",
        ),
        "median_moving_range": (
            "median_mr",
            "mr_median",
            "MMR",
            "sigma_median_mr",
            "mr_median_d4",
            "median_mr_d4",
            "sigma_mr_median",
        ),
        "sd": ("SD", "sd_overall", "stdev", "s", "sigma_sd", "sd_raw"),
        "sd_c4": ("sd_unbiased", "SD_c4", "s_c4", "sigma_sd_c4", "sd_over_c4"),
        "mssd": ("MSSD", "sqrt_mssd", "sigma_mssd", "von_neumann"),
    }
    fields = {alias: value for name, value in found.items() for alias in (name, *names[name])}
    words = (
        (("median",), found["median_moving_range"]),
        (("mssd", "succ"), found["mssd"]),
        (("c4", "unbias"), found["sd_c4"]),
        (("mr", "moving"), found["mean_moving_range"]),
        (("sd", "std"), found["sd"]),
    )
    by_words = to.Worded(fields, words)
    return to.Worded({**fields, "center mean": float(x.mean()), "results sigma": by_words}, words)


def attribute(kind: attributes.CountKind) -> Callable[[Given], Fields]:
    counted = ("defectives", "defects", "counts", "count", "x", "nonconformities", "events", "D")
    sized = ("sizes", "size", "n", "units", "area", "areas", "opportunity", "opportunities", "N")

    def reports(given: Given) -> Fields:
        if given.has("phase2", "new", "newdata"):
            return attribute_phases(kind)(given)
        count = given.need(*counted)
        size = None if kind == "c" else given.need(*sized)
        return _attribute(kind, count, size, given)

    return reports


def _attribute(kind: attributes.CountKind, count: Any, size: Any, given: Given) -> Fields:
    options = _sigmas(given)
    plain = attributes.attribute_chart(kind, count, size, **options)
    laney = attributes.attribute_chart(kind, count, size, limits="laney", **options)
    exact = attributes.attribute_chart(kind, count, size, limits="exact", **options)
    return {
        **_chart(plain.chart),
        "p u c": plain.chart.value.tolist(),
        "z": plain.z.tolist(),
        "sigma_z": plain.sigma_z,
        "laney_limits": to.pairs(laney.chart.lower, laney.chart.upper),
        "laney_lcl": to.scalar(laney.chart.lower),
        "laney_ucl": to.scalar(laney.chart.upper),
        "laney_beyond laney_beyond_limits": to.one_based(laney.chart.beyond),
        "ordinary_limits": to.pairs(plain.chart.lower, plain.chart.upper),
        "ordinary_beyond ordinary_beyond_limits plain_beyond u_beyond p_beyond": to.one_based(
            plain.chart.beyond
        ),
        "n_beyond n_beyond_ordinary": len(plain.chart.beyond),
        "exact_limits": to.pairs(exact.chart.lower, exact.chart.upper),
        "exact_lcl lcl_exact": to.scalar(exact.chart.lower),
        "exact_ucl ucl_exact": to.scalar(exact.chart.upper),
        "exact_beyond exact_beyond_limits": to.one_based(exact.chart.beyond),
        "exact": _chart(exact.chart),
        "laney": _chart(laney.chart),
        "ordinary": _chart(plain.chart),
        **_dispersion(plain.dispersion),
    }


def exact_attribute(kind: attributes.CountKind) -> Callable[[Given], Fields]:
    usual = attribute(kind)

    def reports(given: Given) -> Fields:
        fields = usual(given)
        return {**fields, **to.field(fields, "exact"), "sigma_limits": to.field(fields, "limits")}

    return reports


def attribute_phases(kind: attributes.CountKind) -> Callable[[Given], Fields]:
    def reports(given: Given) -> Fields:
        first = given.need("phase1", "trial", "calibration")
        later = given.need("phase2", "new", "newdata")
        names = ("defectives", "defects", "counts", "count", "x")
        sizes = ("sizes", "size", "n", "units")

        def parts(of: Any) -> tuple[Any, Any]:
            if not isinstance(of, Mapping):
                return of, given.get(*sizes)
            return Given(of).need(*names), Given(of).get(*sizes, default=given.get(*sizes))

        excluded = [
            charts.Exclusion(index=index, person="case", reason="case")
            for index, _ in enumerate(to.first(parts(first)))
            if index in to.zero_based(given.get("exclude", "excluded", "removed", default=[]))
        ]
        known = attributes.attribute_chart(kind, *parts(first), excluded=excluded, **_sigmas(given))
        centre = to.first(known.chart.centre)
        scale = to.first(known.chart.centre) if kind in ("p", "u", "c") else None
        if scale is None:
            count, size = parts(first)
            centre = to.first(attributes.attribute_chart("p", count, size, excluded=excluded).chart.centre)
        new = attributes.attribute_chart(kind, *parts(later), centre=centre, **_sigmas(given))
        return {
            **_chart(known.chart),
            "phase1": _chart(known.chart),
            "phase2": _chart(new.chart),
            "beyond_limits_phase2 phase2_beyond phase2_beyond_limits phase2_signals": to.one_based(
                new.chart.beyond
            ),
        }

    return reports


def _dispersion(found: attributes.Dispersion | None) -> Fields:
    if found is None:
        return {}
    return {
        "var_ratio dispersion_ratio": found.ratio,
        "statistic dispersion_statistic": found.statistic,
        "dispersion_df": found.degrees,
        "dispersion_p overdispersion_p": found.p_value,
    }


def overdispersion(given: Given) -> Fields:
    fields: Fields = {}
    for kind, name in (to.each("p", "binomial"), to.each("u", "poisson")):
        if (part := given.get(name)) is not None:
            one = Given(part)
            found = attributes.count_dispersion(
                one.need("defectives", "counts", "defects", "x"),
                one.get("sizes", "size", "n", "units"),
                kind=kind,
            )
            fields[name] = {**_dispersion(found), "p": found.p_value, "df": found.degrees}
    return fields


def iterative_screening(given: Given) -> Fields:
    kind: Any = "p" if given.has("defectives", "sizes", "size") else "u" if given.has("units") else "c"
    rounds, final = attributes.screen_iteratively(
        kind,
        given.need("defectives", "defects", "counts"),
        given.get("sizes", "size", "n", "units"),
        person="case",
        reason="case",
        **_sigmas(given),
    )
    listed = []
    for one, after in zip(rounds, [*to.rest(rounds), None], strict=True):
        new = [index for index in (after.removed if after else ()) if index not in one.removed]
        listed.append(
            {
                "center": one.centre,
                "lcl": to.scalar(one.lower),
                "ucl": to.scalar(one.upper),
                "removed beyond_limits out": to.one_based(sorted(new)),
                "removed_so_far": to.one_based(sorted(one.removed)),
            }
        )
    end = to.last(rounds)
    removed = to.one_based(sorted(end.removed))
    closing = {"center": end.centre, "lcl": to.scalar(end.lower), "ucl": to.scalar(end.upper)}
    return {
        **_chart(final.chart),
        **closing,
        "rounds iterations steps": listed,
        "removed removed_total excluded all_removed": removed,
        "n_iterations n_rounds": len(rounds),
        "final": (
            {
                **closing,
                "removed excluded": removed,
            }
        ),
        **to.prefixed("final_", closing),
    }


def g_chart(given: Given) -> Fields:
    found = attributes.g_chart(given.need("counts", "x", "between", "opportunities"), **_sigmas(given))
    low, high = found.probability_limits
    return {
        **_chart(found.chart),
        "p_hat": found.share,
        "prob_ucl ucl_prob": high,
        "prob_lcl lcl_prob": low,
        "zeros_to_signal zero_run consecutive_zeros benneyan_zeros": found.zeros_to_signal,
        "zero_runs zero_signals": to.one_based(found.zero_runs),
    }


def t_chart(given: Given) -> Fields:
    times = given.need("times", "x", "time_between", "values", "t")
    method: Any = str(given.get("method", "distribution", default="")).lower()
    if not method:
        method = "nelson" if given.has("power", "transform") else "weibull"
    chosen: Any = next((name for name in ("nelson", "weibull", "exponential") if name in method), "nelson")
    found = attributes.t_chart(times, method=chosen, **given.options(power=("power",)), **_sigmas(given))
    return {
        **_chart(found.chart),
        "transformed": found.transformed.tolist(),
        "sigma": to.scalar(found.chart.sigma),
        "shape": found.shape,
        "scale": found.scale,
        "median": to.scalar(found.chart.centre),
    }


def t_chart_weibull(given: Given) -> Fields:
    return t_chart(Given({**given.data, "method": "weibull"}))


def residual_chart(given: Given) -> Fields:
    found = charts.residual_chart(given.need("x", "values"), **_sigmas(given))

    def one(pair: charts.ChartPair) -> Fields:
        return {**_chart(pair.location), "sigma_mr": pair.limits.sigma}

    return {
        "ar1 phi": found.phi,
        "mean intercept": found.mean,
        "sigma2": found.innovation_variance,
        "acf_lag1": found.autocorrelation.lag_1,
        "acf": list(found.autocorrelation.acf),
        "raw": one(found.raw_chart),
        "residual": one(found.residual_chart),
        "residuals": found.residual.tolist(),
    }


def short_run(given: Given) -> Fields:
    parts, nominal = given.need("part", "parts"), given.get("nominal", "nominals", "target")
    if nominal is None:
        return z_mr(given)
    if given.has("subgroups"):
        groups = [
            charts.deviations(group, [part] * len(group), nominal).tolist()
            for part, group in zip(parts, given.need("subgroups"), strict=True)
        ]
        return _pair(charts.subgroup_chart(groups, **_sigmas(given)), "xbar", "R")
    off = charts.deviations(given.need("x", "values"), parts, nominal)
    return {**_pair(charts.individuals_chart(off, **_sigmas(given)), "x", "MR"), "deviation": off.tolist()}


def z_mr(given: Given) -> Fields:
    found = charts.z_mr_chart(
        given.need("x", "values"),
        given.need("part", "parts"),
        **given.options(
            by=("by", "sigma_by", "estimate"),
            sigma=("sigma", "sigmas_by_part"),
            mean=("mean", "nominal", "target"),
        ),
    )
    return {
        **_pair(found.chart, "z", "MR"),
        "mean part_mean": dict(found.mean),
        "sigma_by_part part_sigma": dict(found.sigma),
    }


SINGLE_ESTIMATORS: tuple[charts.SingleEstimator, ...] = (
    "mean_moving_range",
    "median_moving_range",
    "sd",
    "sd_c4",
    "mssd",
)

ZONES = {"green": "G", "yellow_low": "YL", "yellow_high": "YH", "red_low": "R", "red_high": "R"}


def pre_control(given: Given) -> Fields:
    found = charts.pre_control(given.need("x", "values"), lower=given.need("lsl"), upper=given.need("usl"))
    return {
        "zones": [ZONES[zone] for zone in found.zones],
        "pc_lines": list(found.lines),
        "qualified_at": to.one_based_or_none(found.qualified_at),
        "decisions": [
            {"index": index, "action": action}
            for index, (_, action) in zip(
                to.one_based(place for place, _ in found.decisions), found.decisions, strict=True
            )
        ],
    }


def acceptance_chart(given: Given) -> Fields:
    low, high = charts.acceptance_limits(
        lower=given.need("lsl"),
        upper=given.need("usl"),
        sigma=given.need("sigma"),
        n=given.need("n"),
        share=given.need("delta", "p1", "aql", "p"),
        **given.options(alpha=("alpha",)),
    )
    return {"lcl lacl lower_acl": low, "ucl uacl upper_acl": high, "limits acl": [low, high]}


def middle_third(given: Given) -> Fields:
    found = rules.middle_third(_z(given))
    return {
        "inside n_inside count": found.inside,
        "share": to.quotient(found.inside, found.points),
        "pct": to.percent(to.quotient(found.inside, found.points)),
        "p_few": found.p_few,
        "p_many": found.p_many,
    }


# --- time-weighted, multivariate ------------------------------------------------------------------------------


def _means(given: Given) -> tuple[list[float], float, float, float]:
    """Values to plot, centre, sigma of one of them, and sigma within."""
    if given.has("phase1", "subgroups"):
        base = given.need("phase1", "subgroups")
        estimator = _estimator(given, "rbar_d2")
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
        **_chart(chart),
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


# --- rules and run lengths ------------------------------------------------------------------------------------

RULE_SETS = {
    "we": "western_electric",
    "aiag": "aiag_2005",
    "aiag_spc2": "aiag_2005",
    "iso7870": "iso7870_2",
    "gbt17989": "iso7870_2",
    "iso8258": "gb4091",
}


def _preset(name: str) -> tuple[rules.Rule, ...]:
    plain = str(name).lower()
    if plain in rules.PRESETS:
        return rules.PRESETS[plain]
    for known in sorted((*RULE_SETS, *rules.PRESETS), key=len, reverse=True):
        if plain.startswith(known):
            return rules.PRESETS[RULE_SETS.get(known, known)]
    raise NotReported(f"preset {name}")


def _signalling(z: Sequence[float], chosen: Sequence[rules.Rule], given: Given) -> list[int]:
    reading: Fields = {}
    if str(given.get("missing", default="")).startswith(("skip", "left")):
        reading["missing"] = "left out"
    values = [float("nan") if value is None else value for value in z]
    found = rules.signals(
        values, chosen, stages=given.get("stage", "stages"), reading=rules.Reading(**reading)
    )
    return sorted(set(to.one_based(signal.index for signal in found)))


def _z(given: Given) -> list[float]:
    if (z := given.get("z", "x", "values")) is None:
        raise NotReported("no points")
    return to.standardised(z, given.get("center"), given.get("sigma"))


def _picked(chosen: Sequence[rules.Rule], said: Any) -> list[rules.Rule]:
    """One of a preset by its number, one by words such as "9 one side", or all."""
    if said is None:
        return list(chosen)
    if isinstance(said, int):
        return [chosen[index] for index in to.zero_based([said])]
    (points,) = map(int, re.findall(r"\d+", said))
    kinds = {"side": rules.run, "trend": rules.trend, "alternating": rules.alternating}
    make = next((made for word, made in kinds.items() if word in said), None)
    if make is None:
        raise NotReported(f"rule {said}")
    return [make(points)]


def one_rule(given: Given) -> Fields:
    z = _z(given)
    chosen = _preset(given.get("rule_set", "preset", default="nelson"))
    picked = _picked(chosen, given.get("rule"))
    signals = _signalling(z, picked, given)
    each = {f"rule{number}": _signalling(z, [rule], given) for number, rule in to.numbered(chosen)}
    far = next(rule for rule in rules.NELSON if rule.kind == "outside")
    either = rules.outside(far.points, far.sigmas, sides="either")
    both_sides, either_side = (_signalling(z, [rule], given) for rule in (far, either))
    each["both_sides both nelson_both_sides"] = both_sides
    each["either_side either minitab_either_side"] = either_side
    for rule in (one for preset in rules.PRESETS.values() for one in preset if one.kind == "alternating"):
        each[f"alternating_{rule.points} alt_{rule.points}"] = _signalling(z, [rule], given)
    return {
        **each,
        "signal_points signals": signals,
        "first_signal": to.first(signals),
        "rules": each,
    }


def trend_lengths(given: Given) -> Fields:
    z = _z(given)
    named = {
        rule.points: rule for preset in rules.PRESETS.values() for rule in preset if rule.kind == "trend"
    }
    fields: Fields = {}
    for points, rule in named.items():
        signals = _signalling(z, [rule], given)
        fields |= {f"points_{points}": signals, f"iso7870_2_points_{points}": signals}
        (increases,) = to.zero_based([points])
        fields |= {f"increases_{increases}_minitab": signals, f"increases_{increases}": signals}
    return fields


def run_lengths(given: Given) -> Fields:
    z = _z(given)
    named = {rule.points: rule for preset in rules.PRESETS.values() for rule in preset if rule.kind == "run"}
    fields: Fields = {}
    for points, rule in named.items():
        signals = _signalling(z, [rule], given)
        for name in (
            "aiag_or_iso",
            "aiag",
            "iso",
            "western_electric",
            "nelson",
            "juran",
            "gb4091",
            "iso8258",
        ):
            fields[f"{name}_run{points}"] = signals
    return fields


def staged_rule(given: Given) -> Fields:
    z = _z(given)
    chosen = _preset(given.get("rule_set", "preset", default="nelson"))
    picked = _picked(chosen, given.get("rule"))
    without = Given({name: value for name, value in given.data.items() if name not in ("stage", "stages")})
    signals = _signalling(z, picked, given)
    plain = _signalling(z, picked, without)
    return {
        "signal_points with_restart restart signal_points_with_restart": signals,
        "first_signal": to.first(signals),
        "without_restart no_restart signal_points_without_restart": plain,
    }


def western_electric_arl(given: Given) -> Fields:
    by_number = dict(to.numbered(rules.WESTERN_ELECTRIC))
    ticked = [[*map(int, name)] for name in to.subsets(given.need("rules"))]
    fields: Fields = {}
    for delta, name in ((to.none_of(given), "arl0"), (to.last(given.need("delta")), "arl_delta1")):
        fields[name] = {
            "".join(map(str, one)): run_length.run_length(
                [by_number[number] for number in one], shift=delta
            ).mean
            for one in ticked
        }
    return fields


def _rule_of(code: Sequence[Any]) -> rules.Rule:
    """A rule from its short name in the case and its number of points."""
    name, points = code
    if name in ("1", "23", "45"):
        kinds = {"1": "beyond_limits", "23": "2_of_3_beyond_2_sigma", "45": "4_of_5_beyond_1_sigma"}
        return next(rule for preset in rules.PRESETS.values() for rule in preset if rule.name == kinds[name])
    within = next(rule.sigmas for rule in rules.NELSON if rule.kind == "within")
    return {
        "run": lambda: rules.run(points),
        "trend": lambda: rules.trend(points),
        "alt": lambda: rules.alternating(points),
        "in": lambda: rules.within(points, within),
        "mix": lambda: rules.outside(points, within),
        "out": lambda: rules.outside(points, within, sides="either"),
    }[name]()


def preset_arl(given: Given) -> Fields:
    rows: Fields = {}
    for name, codes in given.need("presets").items():
        chosen = [_rule_of(code) for code in codes]
        meter = run_length.false_alarms(chosen)
        rows[name] = {
            "arl0": meter.in_control.mean,
            "arl_delta1": meter.at_one_sigma.mean,
        }
    return {"rows": rows}


def cusum_arl(given: Given) -> Fields:
    is_one = "one" in str(given.get("sides", "type", default="two"))
    options: Fields = {"sides": to.one_side()} if is_one else {}
    widths = given.need("h")
    listed = widths if isinstance(widths, list) else [widths]
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for h in listed:
            start = given.get("head_start", "fir", "headstart")
            if start is True:
                start = to.half(h)
            extra = {} if start is None else {"head_start": start}
            arl = run_length.cusum_arl(k=given.need("k"), h=h, shift=delta, **options, **extra)
            row |= {
                f"h{h}": arl,
                "arl ARL": arl,
            }
            quick = run_length.cusum_arl(
                k=given.need("k"), h=h, shift=delta, head_start=to.half(h), **options
            )
            row |= {
                f"h{h}_fir": quick,
                "fir arl_fir": quick,
            }
        rows.append(row)
    return {
        "rows": rows,
        "arl": [to.field(row, "arl") for row in rows],
        "arl_fir": [to.field(row, "arl_fir") for row in rows],
        "arl0": to.field(to.first(rows), "arl"),
    }


def ewma_arl(given: Given) -> Fields:
    weights, widths = given.need("lambda", "weight"), given.need("L", "c", "nsigmas")
    if not isinstance(weights, list):
        weights = [weights]
    if not isinstance(widths, list):
        widths = [widths] * len(weights)
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for weight, width in zip(weights, widths, strict=True):
            arl = run_length.ewma_arl(weight=weight, sigmas=width, shift=delta)
            row |= {
                f"lambda{weight}": arl,
                f"lambda_{weight}": arl,
                f"l{weight}": arl,
                f"L{width}": arl,
                "arl": arl,
            }
        rows.append(row)
    return {
        "rows": rows,
        "arl": [to.field(row, "arl") for row in rows],
        "arl0": to.field(to.first(rows), "arl"),
    }


def shewhart_arl(given: Given) -> Fields:
    options = given.options(sigmas=("L", "nsigmas", "k"))
    if given.has("phi", "ar1"):
        phis = given.need("phi", "ar1")
        listed = phis if isinstance(phis, list) else [phis]
        fixed: Fields = options
        found = [run_length.autocorrelated_arl(phi=phi, **fixed) for phi in listed]
        shrunk = [
            run_length.autocorrelated_arl(phi=phi, sigmas=to.shrunk(fixed.get("sigmas"), phi))
            for phi in listed
        ]
        rows = [
            {
                "phi": phi,
                "arl arl0 arl_true_sigma arl0_true_sigma": arl,
                "arl_mr_sigma arl0_mr_sigma": small,
                "false_alarm_per_point_mr": to.beyond(to.shrunk(fixed.get("sigmas"), phi)),
                "sigma_ratio": to.ratio(phi),
            }
            for phi, arl, small in zip(listed, found, shrunk, strict=True)
        ]
        return {
            "rows": rows,
            "arl arl0 arl_true_sigma": found,
            "arl_mr_sigma": shrunk,
        }
    sizes = given.get("n", default=None)
    listed_n = sizes if isinstance(sizes, list) else [sizes]
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for n in listed_n:
            arl = run_length.shewhart_arl(shift=delta, **({} if n is None else {"n": n}), **options)
            row |= {"arl": arl, f"n{n}": arl}
        rows.append(row)
    return {"rows": rows, "arl": [to.field(row, "arl") for row in rows]}


def chart_design(given: Given) -> Fields:
    fields: Fields = {}
    if (one := given.get("cusum")) is not None:
        fields["cusum_h"] = run_length.cusum_h(k=one["k"], arl0=one["arl0"])
    if (one := given.get("ewma")) is not None:
        fields["ewma_L"] = run_length.ewma_sigmas(weight=one["lambda"], arl0=one["arl0"])
    if (one := given.get("mewma")) is not None:
        fields["mewma_h"] = run_length.mewma_h(weight=one["lambda"], variables=one["p"], arl0=one["arl0"])
    if (one := given.get("shewhart")) is not None:
        fields["shewhart_L"] = run_length.shewhart_sigmas(arl0=one["arl0"])
    return fields


# --- constants ------------------------------------------------------------------------------------------------


def _factors(n: int) -> Fields:
    f = constants.factors(n)
    return {
        "n": n,
        "d2": f.d2,
        "d3": f.d3,
        "c4": f.c4,
        "c5": constants.c5(n),
        "A": f.a,
        "A2": f.a2,
        "A3": f.a3,
        "B3": f.b3,
        "B4": f.b4,
        "B5": f.b5,
        "B6": f.b6,
        "D1": f.d_1,
        "D2": f.d_2,
        "D3": f.d_3,
        "D4": f.d_4,
        "E2": f.e2,
        "E3": f.e3,
        "A2_tilde": f.a2_median,
        "d4": constants.d4(n),
        "sd_median": constants.sd_of_median(n),
        "w_0_135 w_00135 W_0_135": constants.range_quantile(to.tail(), n),
        "w_99_865 w_99865 W_99_865": constants.range_quantile(to.complement(to.tail()), n),
    }


def shewhart_constants(given: Given) -> Fields:
    sizes = given.need("n", "sizes")
    listed = sizes if isinstance(sizes, list) else [sizes]
    rows = [_factors(n) for n in listed]
    columns: Fields = {name: [row[name] for row in rows] for name in to.first(rows)}
    printed = [row for row in rows if to.field(row, "n") in to.small_sizes(rows)]
    return {
        **columns,
        "rows": rows,
        "printed_n2_10": {name: [row[name] for row in printed] for name in columns},
    }


def d2_star(given: Given) -> Fields:
    def inverses(name: str, factor: Callable[[int], float]) -> list[float]:
        return [to.inverse(factor(n)) for n in given.get(name, default=[])]

    return {
        "K1": inverses("K1_trials", constants.d2),
        "K2": inverses("K2_appraisers", constants.d2_star),
        "K3": inverses("K3_parts", constants.d2_star),
        "d2star": [constants.d2_star(one["m"], one["g"]) for one in given.get("d2star", default=[])],
    }


# --- capability -----------------------------------------------------------------------------------------------


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
    estimator = _estimator(given, "pooled_c4")
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


# --- measurement systems --------------------------------------------------------------------------------------


def _components(found: msa.Components) -> Fields:
    return {
        "variance": dict(found.variance),
        "sd": found.sd,
        "pct_contribution": found.percent_contribution,
        "pct_study_var": found.percent_study,
        "pct_tolerance": found.percent_tolerance,
        "ndc_raw": found.ndc_raw,
        "ndc": found.ndc,
        "pooled_interaction": found.is_pooled,
    }


def _study(found: msa.GaugeStudy) -> Fields:
    anova: Fields = {
        name: {"df": row.degrees, "ss": row.squares, "ms": row.mean_square, "F": row.f, "p": row.p}
        for name, row in found.anova.items()
    }
    anova |= {"total_ss": found.total_squares, "F_vs_repeatability": dict(found.against_repeatability)}
    return {
        "anova": anova,
        "result": _components(found.result),
        **_components(found.result),
        "interaction_used": not found.result.is_pooled,
        "other_model": None if found.other is None else _components(found.other),
        "ci ci_variance": {name: list(bounds) for name, bounds in found.intervals.items()},
    }


def crossed(given: Given) -> Fields:
    found = msa.crossed_study(
        given.need("part", "parts"),
        given.need("operator", "appraiser", "operators"),
        given.need("y", "values", "x"),
        **given.options(
            tolerance=("tolerance",),
            study=("study_var_multiplier", "study"),
            pool_above=("alpha_to_remove_interaction", "alpha"),
            confidence=("confidence",),
        ),
    )
    return _study(found)


def nested(given: Given) -> Fields:
    found = msa.nested_study(
        given.need("operator", "operators"),
        given.need("batch", "part", "parts"),
        given.need("y", "values"),
        **given.options(tolerance=("tolerance",), study=("study_var_multiplier",)),
    )
    return _study(found)


def average_and_range(given: Given) -> Fields:
    factors = {name.lower(): value for name, value in given.get("K", default={}).items()}
    found = msa.average_and_range_study(
        given.need("part", "parts"),
        given.need("operator", "appraiser"),
        given.need("y", "values"),
        **factors,
        **given.options(tolerance=("tolerance",), study=("study_var_multiplier",)),
    )
    return {
        "Rbar": found.mean_range,
        "Xdiff": found.operator_difference,
        "Rp": found.part_range,
        **found.sd,
        **to.prefixed("pct_", found.percent),
        **to.prefixed("pct_tol_", found.percent_tolerance or {}),
        "ndc_raw": found.ndc_raw,
        "ndc": found.ndc,
        "UCL_R": found.upper_range_limit,
    }


def short_study(given: Given) -> Fields:
    first, second = given.get("a", "A", "appraiser_a"), given.get("b", "B", "appraiser_b")
    if first is None:
        table = given.need("readings", "data", "x")
        columns = list(zip(*table, strict=True)) if len(table) > len(to.first(table)) else table
        first, second = columns
    found = msa.range_method(
        first,
        second,
        **given.options(process_sd=("process_sd", "process_sigma", "sigma_process", "sd_process")),
    )
    return {
        "Rbar": found.mean_range,
        "GRR sigma_grr": found.grr,
        "pct_GRR pct_grr": found.percent_process,
        "d2_star": to.quotient(found.mean_range, found.grr),
    }


def type_one(given: Given) -> Fields:
    found = msa.type_one_study(
        given.need("readings", "x"),
        reference=given.need("reference", "ref"),
        tolerance=given.need("tolerance", "T"),
        **given.options(
            percent_of_tolerance=("pct_tolerance", "K"),
            study=("study_var_multiplier", "L"),
            confidence=("confidence",),
        ),
    )
    return {
        "n": found.n,
        "mean": found.mean,
        "bias": found.bias,
        "sd": found.sd,
        "Cg": found.cg,
        "Cgk": found.cgk,
        "pct_var_rep": found.percent_repeatability,
        "pct_var_rep_bias": found.percent_with_bias,
        "t": found.t,
        "p": found.p,
        "bias_ci": list(found.bias_interval),
    }


def bias(given: Given) -> Fields:
    readings = given.need("readings", "x", "values")
    size = given.get("subgroup_size", "g_size")
    said = str(given.get("method", "sigma_method", default="")).lower()
    if size is None and ("range" in said or "d2" in said or given.has("d2_star", "d2star")):
        size = len(readings)
    by_range = msa.bias_study(readings, reference=given.need("reference", "ref"), subgroup_size=len(readings))
    found = msa.bias_study(
        readings,
        reference=given.need("reference", "ref"),
        subgroup_size=size,
        **given.options(confidence=("confidence",)),
    )
    return {
        "sigma_r_range sd_range": by_range.sd,
        "sigma_b_range se_range": by_range.standard_error,
        "t_range": by_range.t,
        "df_range": by_range.degrees,
        "ci_range": list(by_range.interval),
        "n": found.n,
        "mean": found.mean,
        "bias": found.bias,
        "sd s sigma_repeatability sigma_r": found.sd,
        "se sigma_b": found.standard_error,
        "t": found.t,
        "df": found.degrees,
        "p": found.p,
        "ci bias_ci": list(found.interval),
        "acceptable zero_in_ci": found.is_acceptable,
        "pct_bias": to.percent_of(found.bias, given.get("process_variation", "tolerance")),
    }


def linearity(given: Given) -> Fields:
    found = msa.linearity_study(
        given.need("reference"),
        given.need("readings"),
        **given.options(process_variation=("process_variation",)),
    )
    return {
        "slope": found.slope,
        "intercept": found.intercept,
        "r_squared": found.r_squared,
        "s": found.sd,
        "t_slope": found.t_slope,
        "t_intercept": found.t_intercept,
        "p_slope": found.p_slope,
        "p_intercept": found.p_intercept,
        "mean_bias": list(found.mean_bias),
        "p_bias": list(found.p_bias),
        "overall_bias": found.overall_bias,
        "linearity": found.linearity,
        "pct_linearity": found.percent_linearity,
        "acceptable": found.is_acceptable,
    }


def lack_of_fit(given: Given) -> Fields:
    found = msa.lack_of_fit(given.need("reference"), given.need("readings"))
    return {
        "beta0": found.intercept,
        "beta1": found.slope,
        "ss_e": found.squares_residual,
        "ss_evr": found.squares_repeatability,
        "ss_lin": found.squares_linearity,
        "df_lin": found.degrees_linearity,
        "df_evr": found.degrees_repeatability,
        "F": found.f,
        "F_crit": found.f_critical,
        "p": found.p,
        "u_lin": found.u_linearity,
        "u_evr": found.u_repeatability,
        "lack_of_fit": found.is_lacking,
    }


def stability(given: Given) -> Fields:
    pair, off = msa.stability_study(
        given.need("subgroups", "readings", "x"), reference=given.get("reference")
    )
    return {
        **_pair(pair, "xbar", "R"),
        "bias": off,
        "stable": not pair.location.beyond and not (pair.spread and pair.spread.beyond),
    }


def uncertainty(given: Given) -> Fields:
    parts = given.get("components", "u", default=None)
    if parts is None:
        parts = {name: value for name, value in given.data.items() if name.startswith("u_")}
    found = msa.measurement_uncertainty(
        parts, tolerance=given.need("tolerance", "T"), **given.options(k=("k",))
    )
    return {
        "u u_ms u_mp": found.u,
        "U U_ms U_mp": found.expanded,
        "Q Q_ms Q_mp": found.q_percent,
        "C C_ms": found.index,
        "T_min": found.smallest_tolerance,
    }


def conformity(given: Given) -> Fields:
    options: Fields = {
        "process_mean": given.need("process_mean"),
        "process_sd": given.need("process_sd"),
        "u": given.need("u_measurement", "u", "u_m"),
        "lower": given.get("lsl"),
        "upper": given.get("usl"),
    }
    plain = msa.conformity_risks(**options)
    band = given.get("guard_band", "w")
    guarded = plain if band is None else msa.conformity_risks(guard_band=band, **options)

    def one(found: msa.Risks) -> Fields:
        return {"consumer_risk": found.consumer, "producer_risk": found.producer}

    fields: Fields = {"no_guard": one(plain), "with_guard": one(guarded), **one(guarded)}
    return to.Lazily(
        fields,
        "specific_conformity_at_",
        lambda at: msa.conformity_probability(
            at, u=options["u"], lower=options["lower"], upper=options["upper"]
        ),
    )


def real_capability(given: Given) -> Fields:
    rows = [
        {"real": msa.real_capability(observed, percent_grr=grr), "observed": observed}
        for observed, grr in to.crossed(
            given.need("observed", "Cp_observed", "cp_obs"), given.need("pct_grr", "grr_pct", "percent_grr")
        )
    ]
    return {
        "rows": rows,
        "real Cp_real": to.scalar(to.field(row, "real") for row in rows),
    }


# --- attribute agreement and detection ------------------------------------------------------------------------


def attribute_study(given: Given) -> Fields:
    names = given.get("appraisers")
    found = agreement.attribute_study(
        given.need("ratings"),
        reference=given.need("reference"),
        good=given.need("good"),
        appraisers=names,
        **given.options(confidence=("confidence",)),
    )
    people = list(found.appraisers)
    tables = to.upper_triangle(people, found.crosstabs)
    return {
        "crosstab": {
            **{name: table.tolist() for name, table in tables.items()},
            **{
                f"{name}_ref": person.crosstab_reference.tolist() for name, person in found.appraisers.items()
            },
        },
        "kappa_between": {
            name: kappa.kappa for name, kappa in to.upper_triangle(people, found.kappas).items()
        },
        "appraisers": {
            name: {
                "within_matched": person.within,
                "effectiveness_matched": person.matched,
                "effectiveness_pct": to.percent(person.effectiveness),
                "effectiveness_ci_pct": [to.percent(bound) for bound in person.effectiveness_interval],
                "within_ci_pct": [to.percent(bound) for bound in person.within_interval],
                "miss_rate_pct": None if person.miss is None else to.percent(person.miss),
                "false_alarm_pct": None if person.false_alarm is None else to.percent(person.false_alarm),
                "kappa_vs_reference": person.kappa_reference.kappa,
            }
            for name, person in found.appraisers.items()
        },
        "system_all_agree": found.all_agree,
        "system_all_agree_with_reference": found.all_right,
        "system_effectiveness_pct": to.percent(found.system_effectiveness),
        "system_ci_pct": [to.percent(bound) for bound in found.system_interval],
        "fleiss_kappa": found.fleiss_between.kappa,
    }


def cohen(given: Given) -> Fields:
    table = given.get("table", "counts")
    if table is None:
        columns = given.get("ratings")
        if columns is None:
            columns = list(
                zip(given.need("a", "rater1", "r1", "x"), given.need("b", "rater2", "r2", "y"), strict=True)
            )
        first, second = zip(*columns, strict=True)
        table = agreement.cross_table(
            first, second, categories=given.get("categories", default=sorted({*first, *second}))
        )
    found = {
        name: agreement.cohen_kappa(table, weights=name) for name in to.each("none", "linear", "quadratic")
    }
    said = str(given.get("weights", "weight", default="none")).lower()
    squared = ("quad", "squ")
    chosen = found[
        "linear" if said.startswith(("lin", "equal")) else "quadratic" if said.startswith(squared) else "none"
    ]
    gwet = agreement.gwet_ac1(table)
    mirrored = agreement.bowker(table)
    low, high = chosen.interval()
    return {
        "kappa": chosen.kappa,
        "se": chosen.standard_error,
        "z": chosen.z,
        "p": chosen.p,
        "ci": [low, high],
        "agreement po": chosen.agreement,
        "pe expected": chosen.expected,
        "lower": low,
        "upper": high,
        "unweighted kappa_unweighted": found["none"].kappa,
        "linear kappa_linear weighted_linear equal": found["linear"].kappa,
        "quadratic kappa_quadratic weighted_quadratic squared": found["quadratic"].kappa,
        "z_unweighted": found["none"].z,
        "z_linear": found["linear"].z,
        "z_quadratic": found["quadratic"].z,
        "ac1": gwet.ac1,
        "pabak": gwet.pabak,
        "bowker_chi2": mirrored.chi2,
        "bowker_p": mirrored.p,
    }


def fleiss(given: Given) -> Fields:
    counts = given.get("counts", "table")
    names = given.get("categories", default=None)
    if counts is None:
        ratings = given.need("ratings")
        names = names or sorted({rating for row in ratings for rating in row}, key=str)
        counts = [[sum(rating == name for rating in row) for name in names] for row in ratings]
    found = agreement.fleiss_kappa(counts)
    labels = names or [str(number) for number, _ in to.numbered(to.first(counts))]
    return {
        "kappa": found.kappa,
        "z": found.z,
        "p": found.p,
        "se": found.standard_error,
        "agreement": found.agreement,
        "ac1": agreement.gwet_ac1_raters(counts),
        "per_category": [
            {"category": label, "kappa": kappa, "z": z, "p": p}
            for label, (kappa, z, p) in zip(labels, found.by_category, strict=True)
        ],
    }


def light(given: Given) -> Fields:
    return {"kappa": agreement.light_kappa(given.need("ratings"))}


def gwet(given: Given) -> Fields:
    if (counts := given.get("counts")) is not None:
        return {"ac1": agreement.gwet_ac1_raters(counts), "kappa": agreement.fleiss_kappa(counts).kappa}
    found = agreement.gwet_ac1(given.need("table"))
    return {
        "agreement": found.agreement,
        "kappa": found.kappa,
        "ac1": found.ac1,
        "pabak": found.pabak,
        "se": found.standard_error,
    }


def bowker(given: Given) -> Fields:
    found = agreement.bowker(given.need("table"))
    return {
        "chi2": found.chi2,
        "df": found.degrees,
        "critical_95": found.critical,
        "p": found.p,
        "symmetric": found.is_symmetric,
    }


def mcnemar(given: Given) -> Fields:
    table = given.get("table")
    if table is None:
        b, c = given.need("b", "only_a"), given.need("c", "only_b")
        both = given.get("a", "both", default=to.nothing_counted())
        table = [[both, b], [c, given.get("d", "neither", default=to.nothing_counted())]]
    found = agreement.mcnemar(table)
    return {
        "b": found.only_first,
        "c": found.only_second,
        "chi2 chi2_uncorrected": found.chi2,
        "chi2_corrected chi2_cc": found.chi2_corrected,
        "p p_uncorrected": found.p,
        "p_corrected p_cc": found.p_corrected,
        "p_exact exact_p": found.p_exact,
        "difference": found.difference,
        "ci": list(found.interval),
        "odds_ratio": found.odds_ratio,
    }


def hit_miss(given: Given) -> Fields:
    size, hit = given.need("size", "a"), given.need("hit", "y")
    transform = str(given.get("transform", default="log"))
    link: Any = given.get("link", default="logit")
    options: Fields = {"is_log": transform.startswith("log")}
    found = detection.hit_miss(size, hit, link=link, **options)
    others = {
        name: detection.hit_miss(size, hit, link=name, **options) for name in to.each("logit", "probit")
    }
    bounds = found.a90_95
    return {
        "n": found.n,
        "hits": found.hits,
        "intercept": found.intercept,
        "slope": found.slope,
        "cov": [list(row) for row in found.covariance],
        "deviance": found.deviance,
        "mu": found.mu,
        "sigma": found.sigma,
        "a50": found.a50,
        "a90": found.a90,
        "a90_95": {
            "wald_delta_log wald_delta delta": bounds["delta"],
            "wald_band": bounds["wald_band"],
            "likelihood_ratio lr": bounds["likelihood_ratio"],
        },
        "aic": found.aic,
        "loglik": found.log_likelihood,
        **{f"aic_{name}": other.aic for name, other in others.items()},
        "pod": found.pod(given.get("at", "pod_at", default=[])).tolist(),
    }


def signal_pod(given: Given) -> Fields:
    transform = str(given.get("transform", "model", default="")).lower()
    by_axis = {
        name: str(given.get(f"transform_{name}", f"{name}_transform", f"log_{name}", default="")).lower()
        for name in ("a", "x", "size", "ahat", "y", "signal")
    }

    def is_log(*axes: str) -> bool:
        said = [by_axis[axis] for axis in axes if by_axis[axis]]
        if said:
            return bool(to.first(said).startswith(("log", "ln", "true")))
        return "log" in transform or not transform

    found = detection.signal_against_size(
        given.need("size", "a", "x"),
        given.need("signal", "ahat", "a_hat", "response", "y"),
        threshold=given.need(
            "threshold", "decision", "y_dec", "ahat_decision", "decision_threshold", "a_hat_dec", "ydec"
        ),
        is_log_size=is_log("a", "x", "size"),
        is_log_signal=is_log("ahat", "y", "signal"),
        **given.options(
            noise_below=("noise", "left_censor", "lower_censor", "censor_low", "left", "threshold_noise"),
            saturated_above=("saturation", "right_censor", "upper_censor", "censor_high", "right"),
        ),
    )
    return {
        "n": found.n,
        "intercept b0 beta0": found.intercept,
        "slope b1 beta1": found.slope,
        "tau s sigma_residual residual_sd": found.tau,
        "tau_ml delta": found.tau_likelihood,
        "r_squared": found.r_squared,
        "mu": found.mu,
        "sigma": found.sigma,
        "cov": [list(row) for row in found.covariance],
        "a50": found.a50,
        "a90": found.a90,
        "a90_95": found.a90_95,
    }


def demonstration(given: Given) -> Fields:
    confidence = given.options(confidence=("confidence",))
    lower = [detection.demonstrated(case["x"], case["n"], **confidence) for case in given.need("cases")]
    pod = to.pod_required(given.get("pod"))
    return {"lower": lower, "pass_90_95": [bound >= pod for bound in lower]}


def signal_detection(given: Given) -> Fields:
    if given.has("hits", "hit"):
        found = detection.discrimination(
            hits=given.need("hits", "hit"),
            misses=given.need("misses", "miss"),
            false_alarms=given.need("false_alarms", "false_alarm", "fa"),
            correct_rejections=given.need("correct_rejections", "correct_rejection", "cr"),
        )
        return {
            "hit_rate": found.hit_rate,
            "false_alarm_rate": found.false_alarm_rate,
            "d_prime dprime": found.d_prime,
            "criterion c": found.criterion,
            "beta": found.beta,
            "auc area az": found.area,
        }
    reference = given.need("reference", "reference_value", "x", "ref_value", "values")
    accepted, refused = given.get("all_accept"), given.get("all_reject")
    if accepted is None:
        good = given.get("good", default=True)
        ratings = given.get("ratings")
        if ratings is not None:
            flat = [
                [rating for person in part for rating in (person if isinstance(person, list) else [person])]
                for part in ratings
            ]
            accepted = [all(rating == good for rating in part) for part in flat]
            refused = [all(rating != good for rating in part) for part in flat]
        else:
            codes = given.need("code", "codes")
            accepted, refused = [code == "+" for code in codes], [code == "-" for code in codes]
    found_width = detection.signal_detection(
        reference,
        accepted,
        refused,
        **given.options(lower=("lsl",), upper=("usl",), tolerance=("tolerance",)),
    )
    return {
        "d_lsl d_lower": found_width.width_lower,
        "d_usl d_upper": found_width.width_upper,
        "d width GRR grr": found_width.width,
        "sigma_grr": found_width.grr,
        "pct_grr pct_tolerance pct_GRR": found_width.percent_tolerance,
    }


def analytic(given: Given) -> Fields:
    lower, upper = given.get("lsl", "lower", "lower_limit"), given.get("usl", "upper", "upper_limit")
    limit = (
        lower
        if lower is not None
        else upper
        if upper is not None
        else given.need("limit", "spec_limit", "tolerance_limit")
    )
    side: Any = "upper" if lower is None and upper is not None else "lower"
    found = detection.analytic_study(
        given.need("reference", "x", "ref", "xt"),
        given.need("accepted", "accepts", "acceptances", "a", "counts"),
        limit=limit,
        side=side,
        **given.options(trials=("trials", "m", "n")),
    )
    return {
        "p p_adjusted probability prob": list(found.probability),
        "intercept": found.intercept,
        "slope": found.slope,
        "r_squared": found.r_squared,
        "bias": found.bias,
        "pre_adjusted_repeatability repeatability_unadjusted preadjusted_repeatability": found.unadjusted,
        "repeatability": found.repeatability,
        "t": found.t,
        "df": found.degrees,
        "p_value": found.p,
    }


# --- sampling -------------------------------------------------------------------------------------------------


def code_letters(given: Given) -> Fields:
    return {
        "letters": [
            [sampling.code_letter(lot, level=level) for level in given.need("levels")]
            for lot in given.need("lot_low")
        ]
    }


def single_plans(given: Given) -> Fields:
    plans = []
    for query in given.need("queries"):
        one = Given(query)
        severity: Any = one.get("severity", default="normal")
        if one.has("lot"):
            found = sampling.single_plan(
                one.need("lot"), aql=one.need("aql"), level=one.get("level", default="II"), severity=severity
            )
            plans.append({"code": found.letter, "n": found.n, "ac": found.accept, "re": found.reject})
        else:
            n, ac, re_ = sampling.plan_by_letter(
                one.need("code", "letter"), aql=one.need("aql"), severity=severity
            )
            plans.append({"code": one.need("code", "letter"), "n": n, "ac": ac, "re": re_})
    return {"plans": plans}


def master_table(given: Given) -> Fields:
    severity: Any = given.get("severity", "table", default="normal")
    if given.has("queries"):
        return single_plans(given)
    letters = given.need("letters", "codes", "code")
    aqls = given.get("aql", "aqls", default=sampling.AQLS)
    cells = [
        [sampling.plan_by_letter(letter, aql=aql, severity=severity) for aql in aqls] for letter in letters
    ]
    return {
        "n": [[n for n, _, _ in row] for row in cells],
        "ac": [[ac for _, ac, _ in row] for row in cells],
        "re": [[re_ for _, _, re_ in row] for row in cells],
        "plans": [[{"n": n, "ac": ac, "re": re_} for n, ac, re_ in row] for row in cells],
        "rows": [
            {"code": letter, "plans": [[n, ac, re_] for n, ac, re_ in row]}
            for letter, row in zip(letters, cells, strict=True)
        ],
    }


def double_plans(given: Given) -> Fields:
    plans = []
    for query in given.need("queries"):
        one = Given(query)
        severity: Any = one.get("severity", default="normal")
        standard: Any = one.get("standard", default=given.get("standard", default="z1.4"))
        found = sampling.double_plan(
            one.need("lot"),
            aql=one.need("aql"),
            level=one.get("level", default="II"),
            severity=severity,
            standard=standard,
        )
        plans.append(
            {
                "code": found.letter,
                "n1 n2 n": found.n,
                "ac1 c1": found.accept_1,
                "re1 r1": found.reject_1,
                "ac2 c2": found.accept_2,
                "re2 r2": found.reject_2,
            }
        )
    return {"plans": plans}


def switching(given: Given) -> Fields:
    found = sampling.switching(
        given.need("nonconforming", "d", "defectives"),
        accept_normal=given.need("ac_normal"),
        accept_tightened=given.need("ac_tightened"),
        accept_tighter_aql=given.get("ac_next_tighter_aql"),
        accept_reduced=given.get("ac_reduced"),
        takes_reduced=given.has("ac_reduced"),
        **given.options(begins=("start", "start_state", "initial_state")),
    )
    return {
        "lots": (
            [{"state": lot.severity, "accepted": lot.is_accepted, "score": lot.score} for lot in found.lots]
        ),
        "reduced_permitted_after_lot": found.reduced_from,
        "discontinued_after_lot discontinue_after_lot": found.discontinued_at,
        "switching_score_end": found.score,
        "final_state next_state": found.next_severity,
    }


def rectifying(given: Given) -> Fields:
    p = given.need("p")
    shares = p if isinstance(p, list) else [p]
    n, c = given.need("n"), given.need("c", "ac")
    lot = given.get("N", "lot")
    if lot is None:
        return operating(given)
    found = sampling.rectifying(shares, n=n, c=c, lot=lot)
    fields = {"pa": found.pa.tolist(), "aoq": found.aoq.tolist(), "ati": found.ati.tolist()}
    if not isinstance(p, list):
        fields = {name: to.first(values) for name, values in fields.items()}
    return {
        **fields,
        "aoql": found.aoql,
        "p_at_aoql aoql_at": found.at_p,
    }


def operating(given: Given) -> Fields:
    p = given.need("p")
    options: Fields = {"n": given.need("n"), "c": given.need("c", "ac")}
    shares = p if isinstance(p, list) else [p]
    lot = given.get("N", "lot")
    binomial = sampling.acceptance(shares, **options).tolist()
    poissonian = sampling.acceptance(shares, distribution="poisson", **options).tolist()
    hyper = (
        None
        if lot is None
        else sampling.acceptance(shares, distribution="hypergeometric", lot=lot, **options).tolist()
    )
    said = str(given.get("distribution", "type", default="binomial")).lower()
    pa = hyper if said.startswith("hyper") else poissonian if said.startswith("poisson") else binomial
    return {
        "pa": pa,
        "binomial pa_binomial": binomial,
        "poisson pa_poisson": poissonian,
        "hypergeom hypergeometric pa_hypergeometric pa_hypergeom": hyper,
    }


def double_curve(given: Given) -> Fields:
    found = sampling.double_acceptance(
        given.need("p"),
        n1=given.need("n1"),
        c1=given.need("c1"),
        r1=given.need("r1"),
        n2=given.need("n2"),
        c2=given.need("c2"),
    )
    return {"pa": found.pa.tolist(), "asn": found.asn.tolist(), "pa1": found.pa_first.tolist()}


def plan_design(given: Given) -> Fields:
    risks: Fields = {
        name: given.need(*names)
        for name, names in (
            ("aql", ("aql", "p1")),
            ("alpha", ("alpha",)),
            ("ltpd", ("ltpd", "p2", "lq")),
            ("beta", ("beta",)),
        )
    }

    def one(**options: Any) -> Fields:
        found = sampling.design_plan(**risks, **options)
        (reject,) = to.one_based([found.c])
        return {
            "n": found.n,
            "c": found.c,
            "r": reject,
            "alpha": found.producer_risk,
            "beta": found.consumer_risk,
        }

    lot = given.get("N", "lot")
    known, unknown = (
        sampling.design_variables_plan(**risks, is_sigma_known=is_known) for is_known in (True, False)
    )
    return {
        "binomial": one(),
        **one(),
        "poisson": one(distribution="poisson"),
        "hypergeom": None if lot is None else one(distribution="hypergeometric", lot=lot),
        "variables_unknown": {"n": unknown.n, "k": unknown.k},
        "variables_known": {"n": known.n, "k": known.k},
    }


def zero_acceptance(given: Given) -> Fields:
    cases = given.get("cases")
    if cases is not None:
        found = [zero_acceptance(Given(case)) for case in cases]
        return {"n": [to.field(one, "n") for one in found], "results": found}
    n = sampling.zero_acceptance_n(
        p=given.need("p", "ltpd", "lq", "p2"),
        lot=given.get("N", "lot"),
        **given.options(confidence=("confidence",)),
    )
    return {
        "n n_exact n_hypergeom": n,
        "n_infinite": (
            sampling.zero_acceptance_n(
                p=given.need("p", "ltpd", "lq", "p2"), **given.options(confidence=("confidence",))
            )
        ),
    }


def sequential(given: Given) -> Fields:
    found = sampling.sequential_plan(
        p1=given.need("p1", "aql"),
        alpha=given.need("alpha"),
        p2=given.need("p2", "ltpd"),
        beta=given.need("beta"),
    )
    return {
        "h1": found.accept,
        "h2 reject_intercept": found.reject,
        "s slope": found.slope,
        "accept_intercept": -found.accept,
    }


def continuous(given: Given) -> Fields:
    found = sampling.csp1(given.need("p"), clearance=given.need("i"), fraction=given.need("f"))
    rows = [
        {"u": u, "v": v, "AFI": afi, "pa": pa, "aoq": aoq}
        for u, v, afi, pa, aoq in zip(found.u, found.v, found.afi, found.pa, found.aoq, strict=True)
    ]
    return {"rows": rows, "aoql": found.aoql}


# --- figures of merit -----------------------------------------------------------------------------------------


def process_yield(given: Given) -> Fields:
    found = yields.process_yield(
        [
            yields.Step(
                name=str(name), units_in=units, first_pass_good=good, reworked_good=again, scrapped=lost
            )
            for name, units, good, again, lost in zip(
                given.need("name"),
                given.need("units_in"),
                given.need("first_pass_good"),
                given.need("reworked_good"),
                given.need("scrapped"),
                strict=True,
            )
        ]
    )
    return {
        "fpy": list(found.fpy),
        "rty": found.rolled,
        "final_yield": found.final,
        "scrap_rate": found.scrap_rate,
        "rework_rate": list(found.rework_rate),
        "hidden_factory": found.hidden_factory,
    }


def defective_yield(given: Given) -> Fields:
    found = yields.defective_yield(
        given.need("defects"), given.need("rework"), units=given.need("units", "opportunities")
    )
    return {
        "Yield": found.final_yield,
        "FTY": found.first_time,
        "RTY": found.rolled,
        "DPU": found.defects,
        "DPMO": found.dpmo,
    }


def defect_rate(given: Given) -> Fields:
    found = yields.defect_rate(
        defects=given.need("defects"),
        units=given.need("units"),
        **given.options(
            opportunities=("opportunities_per_unit", "opportunities"),
            defective=("defective_units", "defectives"),
            confidence=("confidence",),
            shift=("shift",),
        ),
    )
    return {
        "dpu": found.dpu,
        "dpu_ci": list(found.dpu_interval),
        "dpmo": found.dpmo,
        "dpmo_ci": list(found.dpmo_interval),
        "fpy": found.fpy,
        "fpy_ci": found.fpy_interval,
        "sigma_level": found.sigma_level,
    }


def sigma_levels(given: Given) -> Fields:
    return {
        "sigma_level": [
            yields.sigma_level(dpmo, **given.options(shift=("shift",))) for dpmo in given.need("dpmo")
        ]
    }


def pareto(given: Given) -> Fields:
    counts = given.need("counts")
    bars = yields.pareto(counts)
    cost = given.get("cost", default={})
    by_cost = yields.pareto({name: count * cost[name] for name, count in counts.items()}) if cost else ()
    return {
        "order": [bar.name for bar in bars],
        "cum_pct": [to.percent(bar.cumulative_share) for bar in bars],
        "pct": [to.percent(bar.share) for bar in bars],
        "vital_80": [bar.name for bar in yields.vital_few(bars)],
        "order_by_cost": [bar.name for bar in by_cost],
        "cum_pct_by_cost": [to.percent(bar.cumulative_share) for bar in by_cost],
    }


def share_interval(given: Given) -> Fields:
    rows = []
    for count, n in to.crossed(
        given.need("x", "k", "accepted", "count", "lots_accepted"),
        given.need("n", "lots", "of", "received", "lots_received"),
    ):
        options = given.options(confidence=("confidence",))
        wilson, exact = (
            agreement.wilson_interval(count, n, **options),
            agreement.exact_share_interval(count, n, **options),
        )
        value = to.quotient(count, n)
        rows.append(
            {
                "rate value p": value,
                "wilson ci wilson_ci": list(wilson),
                "clopper_pearson exact": list(exact),
            }
        )
    only = to.only(rows)
    return {
        **(only or {}),
        "results": rows,
        "rate": [to.field(row, "rate") for row in rows] if only is None else to.field(only, "rate"),
        "wilson": [to.field(row, "wilson") for row in rows] if only is None else to.field(only, "wilson"),
    }


def quality_cost(given: Given) -> Fields:
    found = yields.QualityCost(
        prevention=given.get("prevention", default=to.nothing_counted()),
        appraisal=given.get("appraisal", default=to.nothing_counted()),
        internal_failure=given.get("internal_failure", "internal", default=to.nothing_counted()),
        external_failure=given.get("external_failure", "external", default=to.nothing_counted()),
        revenue=given.get("revenue", "sales"),
    )
    share = found.poor_quality_share
    return {
        "copq": found.poor_quality,
        "total coq": found.total,
        "copq_share copq_rate": share,
        "copq_pct": None if share is None else to.percent(share),
    }


# --- maps and causes ------------------------------------------------------------------------------------------


def zone_share(given: Given) -> Fields:
    found = maps.zone_shares(
        given.need("zones"),
        given.need("counts"),
        given.need("area"),
        **given.options(confidence=("confidence",)),
    )
    return {
        "share": [one.share for one in found],
        "rate_per_area": [one.rate for one in found],
        "relative_to_uniform": [one.relative for one in found],
        "wilson": [list(one.interval) for one in found],
        "rate_ci": [list(one.rate_interval) for one in found],
    }


def clustering(given: Given) -> Fields:
    found = maps.clustering(given.need("points"), **given.options(grid=("grid",), extent=("extent",)))
    return {
        "quadrat_counts": found.quadrats.tolist(),
        "chi2": found.chi2,
        "df": found.degrees,
        "p": found.p,
        "vmr": found.vmr,
        "clark_evans_R": found.clark_evans,
        "clark_evans_z": found.clark_evans_z,
        "clark_evans_p": found.clark_evans_p,
    }


def periodic(given: Given) -> Fields:
    places = given.need(
        "positions", "y", "places", "x", "positions_mm", "positions_m", "position", "y_mm", "y_m"
    )
    options: Fields = {
        "shortest": given.get("min_period", "t_min", "shortest", "Tmin", "period_min"),
        "longest": given.get("max_period", "t_max", "longest", "Tmax", "period_max"),
    }
    if options["shortest"] is None and given.has("period_range", "range", "periods", "search"):
        bounds = given.need("period_range", "range", "periods", "search")
        options = {"shortest": to.first(bounds), "longest": to.last(bounds)}
    if options["shortest"] is None or options["longest"] is None:
        options = to.period_bounds(places, options)
    rolls = given.get("rolls", "roll_diameters")
    if isinstance(rolls, list):
        rolls = {str(one.get("name")): one.get("diameter") for one in rolls}
    found = maps.periodic_mark(places, rolls=rolls, **options)
    return {
        "period fundamental T period_mm period_m fundamental_mm fundamental_m T_mm": found.period,
        "roll_diameter diameter roll_diameter_mm diameter_mm": found.diameter,
        "rayleigh_R R resultant": found.strength,
        "power rayleigh_power": found.power,
        "p": found.p,
        "roll": found.roll,
        "phase": found.phase,
    }


def odds_ratio(given: Given) -> Fields:
    found = causes.two_by_two(
        given.need("table"), fisher_bounds="r", **given.options(confidence=("confidence",))
    )
    return {
        "odds_ratio": found.odds_ratio,
        "or_ci_wald": list(found.interval),
        "fisher_p": found.fisher_p,
        "fisher_or_cmle": found.fisher_odds_ratio,
        "fisher_or_ci": list(found.fisher_interval),
        "chi2_uncorrected": found.chi2,
        "chi2_yates": found.chi2_yates,
        "p_uncorrected": found.chi2_p,
        "p_yates": found.chi2_yates_p,
        "risk_ratio": found.risk_ratio,
        "rr_ci risk_ratio_ci": list(found.risk_ratio_interval),
        "risk_difference": found.risk_difference,
    }


def mantel_haenszel(given: Given) -> Fields:
    tables = given.need("tables", "strata", "table")
    if isinstance(tables, Mapping):
        tables = list(tables.values())
    listed = [one.get("table", one) if isinstance(one, Mapping) else one for one in tables]
    found = causes.mantel_haenszel(listed, **given.options(confidence=("confidence",)))
    return {
        "or_mh mh_or odds_ratio_mh common_or common_odds_ratio odds_ratio mh_odds_ratio": found.common_odds_ratio,
        "or_mh_ci mh_ci ci or_ci mh_or_ci": list(found.interval),
        "chi2 chi2_cc cmh_chi2 cmh_chi2_cc mh_chi2": found.chi2_corrected,
        "cmh_chi2_uncorrected chi2_uncorrected chi2_nocorrect": found.chi2,
        "p cmh_p mh_p": found.p_corrected,
        "p_uncorrected": found.p,
        "crude_or crude_odds_ratio or_crude": found.crude_odds_ratio,
        "stratum_or strata_or or_by_stratum or_strata": list(found.by_stratum),
        "breslow_day_chi2 breslow_day": found.homogeneity_chi2,
        "breslow_day_p": found.homogeneity_p,
        "tarone_chi2": found.tarone_chi2,
        "tarone_p": found.tarone_p,
    }


def cochran_armitage(given: Given) -> Fields:
    found = causes.cochran_armitage(
        given.need("defects", "defectives"), given.need("n", "sizes"), scores=given.get("scores")
    )
    return {"chi2": found.chi2, "z": found.z, "p": found.p, "slope": found.slope}


def mutual_information(given: Given) -> Fields:
    found = causes.association(given.need("table"))
    return {
        "mi_bits": found.mutual_bits,
        "mi_nats": found.mutual_nats,
        "cramers_v": found.cramers_v,
        "chi2": found.chi2,
        "df": found.degrees,
        "p": found.p,
        "g_stat": found.g,
        "g_p": found.g_p,
        "std_residuals": found.residuals.tolist(),
    }


def permutation(given: Given) -> Fields:
    found = causes.permutation_test(given.need("a"), given.need("b"))
    return {
        "diff": found.difference,
        "p_two_sided": found.p_two_sided,
        "p_greater": found.p_greater,
        "p_less": found.p_less,
    }


def false_discovery(given: Given) -> Fields:
    p = given.need("p")
    found = {
        name: causes.adjusted(p, method=name).tolist() for name in to.each("bh", "by", "holm", "bonferroni")
    }
    level = given.get("q", "alpha")
    rejected = [] if level is None else to.one_based(i for i, one in enumerate(found["bh"]) if one <= level)
    return {**found, "p_adjusted": found["bh"], "rejected": rejected, "n_rejected": len(rejected)}


def change_point(kind: causes.ChangeKind) -> Callable[[Given], Fields]:
    def reports(given: Given) -> Fields:
        found = causes.change_point(
            given.need("counts", "x", "defectives", "defects", "values", "data"),
            given.get("n", "sizes", "size", "units"),
            kind=kind,
        )
        start = given.get("start_year", "start")
        (offset,) = to.zero_based([found.before])
        year = None if start is None else start + offset
        return {
            "k index change_after tau last_before": found.before,
            "last_year_before": year,
            "rate_before p_before mean_before p1 mean1 rate1": found.level_before,
            "rate_after p_after mean_after p2 mean2 rate2": found.level_after,
            "log_likelihood_ratio": found.log_likelihood_ratio,
            "lr_statistic lr_stat": to.doubled(found.log_likelihood_ratio),
            "p": found.p,
        }

    return reports


# --- the inspector --------------------------------------------------------------------------------------------


def rogan_gladen(given: Given) -> Fields:
    results = []
    for case in given.get("cases", default=[given.data]):
        one = Given(case)
        proof = None
        if one.has("n_se", "n_se_pos", "n_pos", "n_bad", "m_se") and one.has(
            "n_sp", "n_sp_neg", "n_neg", "n_good", "m_sp"
        ):
            proof = (
                one.need("n_se", "n_se_pos", "n_pos", "n_bad", "m_se"),
                one.need("n_sp", "n_sp_neg", "n_neg", "n_good", "m_sp"),
            )
        se, sp = one.need("se", "sensitivity", "Se"), one.need("sp", "specificity", "Sp")
        options = one.options(confidence=("confidence",))
        found = inspector.true_share(
            one.need("k", "rejects", "positives", "x"),
            one.need("n"),
            sensitivity=se,
            specificity=sp,
            proof=proof,
            **options,
        )
        known = inspector.true_share(
            one.need("k", "rejects", "positives", "x"),
            one.need("n"),
            sensitivity=se,
            specificity=sp,
            **options,
        )
        results.append(
            {
                "apparent": found.apparent,
                "true estimate prevalence": found.value,
                "true_untruncated": found.untruncated,
                "se": found.standard_error,
                "ci_wald": list(found.wald_interval),
                "ci_wilson_transformed ci_known": list(known.interval),
                "ci ci_lang_reiczigel ci_lr lang_reiczigel": list(found.interval),
                "truncated": found.is_truncated,
            }
        )
    only = to.only(results) if not given.has("cases") else None
    return {**(only or {}), "results": results}


def corrected_chart(given: Given) -> Fields:
    k, n = given.need("k", "rejects", "defectives", "counts"), given.need("n", "sizes", "size")
    se, sp = (
        to.per_lot(given.get(name, long), given.data, len(k))
        for name, long in (("se", "sensitivity"), ("sp", "specificity"))
    )
    if se is None or sp is None:
        raise NotReported("no sensitivity or specificity")
    found = inspector.corrected_chart(
        k, n if isinstance(n, list) else [n] * len(k), sensitivity=se, specificity=sp
    )
    runs = {
        name: sorted({*to.one_based(s.index for s in chart.signals if s.rule == rules.RUN_OF_9.name)})
        for name, chart in (("plain", found.plain), ("corrected", found.chart))
    }
    every = {
        name: sorted({*to.one_based(s.index for s in chart.signals)})
        for name, chart in (("plain", found.plain), ("corrected", found.chart))
    }
    return {
        "apparent": found.apparent.tolist(),
        "true corrected_p p_corrected p_true": found.chart.value.tolist(),
        "corrected": (
            {
                **_chart(found.chart),
                "run9": runs["corrected"],
                "signals": every["corrected"],
                "true": found.chart.value.tolist(),
            }
        ),
        "plain raw": {**_chart(found.plain), "run9": runs["plain"], "signals": every["plain"]},
        "center": to.scalar(found.chart.centre),
        "limits": to.pairs(found.chart.lower, found.chart.upper),
        **({f"{name}_run9": points for name, points in runs.items()}),
        **({f"{name}_signals": points for name, points in every.items()}),
        **(
            {
                f"{name}_beyond_limits": to.one_based(chart.beyond)
                for name, chart in (("plain", found.plain), ("corrected", found.chart))
            }
        ),
    }


def predictive_values(given: Given) -> Fields:
    p = given.need("p", "prevalence")
    found = inspector.outcome(share_defective=p, sensitivity=given.need("se"), specificity=given.need("sp"))
    fields: Fields = {
        "reject_rate": found.reject_rate,
        "ppv": found.ppv,
        "npv": found.npv,
        "escape_ppm": found.escape_ppm,
        "overkill_rate": found.overkill_rate,
        "escape_fraction": found.escape_share,
    }
    if given.has("review_se", "review_sp"):
        both = inspector.with_review(
            found, share_defective=p, sensitivity=given.need("review_se"), specificity=given.need("review_sp")
        )
        fields["after_review"] = {
            "se": both.sensitivity,
            "sp": both.specificity,
            "escape_fraction": both.escape_share,
            "overkill_rate": both.overkill_rate,
            "ppv": both.ppv,
            "npv": both.npv,
            "escape_ppm": both.escape_ppm,
        }
    return fields


def verification_bias(given: Given) -> Fields:
    found = inspector.accuracy_from_review(
        rejected=given.need("rejected", "n_reject", "rejects", "N_pos", "n_pos"),
        passed=given.need("passed", "n_pass", "passes", "N_neg", "n_neg"),
        reviewed=given.need("reviewed", "reviewed_rejects", "n_reviewed", "v_pos", "verified_pos"),
        reviewed_bad=given.need("reviewed_bad", "true_rejects", "confirmed", "reviewed_true", "d_pos"),
        audited=given.need("audited", "audited_passes", "n_audited", "v_neg", "verified_neg"),
        audited_bad=given.need("audited_bad", "escapes", "audit_escapes", "audited_defective", "d_neg"),
        **given.options(confidence=("confidence",)),
    )
    return {
        "se sensitivity se_corrected": found.sensitivity,
        "sp specificity sp_corrected": found.specificity,
        "se_ci": list(found.sensitivity_interval),
        "sp_ci": list(found.specificity_interval),
        "prevalence p": found.share_defective,
        "false_call_rate": found.false_call_rate,
        "escape_rate": found.escape_rate,
    }


def stability_index(given: Given) -> Fields:
    if given.has("expected", "expected_counts", "expected_pct"):
        psi = inspector.stability_index(
            given.need("expected", "expected_counts", "expected_pct"),
            given.need("actual", "actual_counts", "actual_pct"),
        )
        return {"psi": psi}
    found = inspector.score_drift(
        given.need("reference", "baseline"), given.need("present", "current"), **given.options(bins=("bins",))
    )
    return {"psi": found.psi, "grade": found.grade}


def wilks(given: Given) -> Fields:
    coverage, confidence = given.need("coverage", "P", "p"), given.need("confidence", "gamma", "conf")
    sides = given.options(left_out=("left_out", "sides"))
    n = given.get("n")
    fields: Fields = {"n n_required n_min": capability.values_for_coverage(coverage, confidence, **sides)}
    if n is not None:
        fields["confidence_reached"] = capability.coverage_confidence(n, coverage, **sides)
    return fields


ROUTES: tuple[tuple[str, Callable[[Given], Fields]], ...] = (
    ("verification|begg", verification_bias),
    ("se_sp.*chart|corrected_(p|chart)|(p|chart)_corrected|rogan.*chart|model_change", corrected_chart),
    ("rogan|lang_reiczigel|prevalence", rogan_gladen),
    ("ppv|npv|escape", predictive_values),
    ("acceptance_chart|acceptance_limits", acceptance_chart),
    ("middle_third", middle_third),
    ("d2_?star", d2_star),
    ("^median_chart_constants|^shewhart_constants|^const_", shewhart_constants),
    ("^arl_western|champ_woodall", western_electric_arl),
    ("run_rules_arl", preset_arl),
    ("cusum_arl|^arl_cusum", cusum_arl),
    ("ewma_arl|^arl_ewma", ewma_arl),
    ("chart_design|^arl_design", chart_design),
    ("shewhart_arl|^arl_shewhart|^arl_ar1", shewhart_arl),
    ("^trend_length|^rule_trend_minitab", trend_lengths),
    ("preset_run_length", run_lengths),
    ("^rule_stage|stage_restart", staged_rule),
    ("^nelson|^we_rule|^western_electric|^rule", one_rule),
    ("phase1_iterative|iterative", iterative_screening),
    ("overdispersion$|overdispersion_test", overdispersion),
    ("^autocorr|^ar1", residual_chart),
    ("z_mr", z_mr),
    ("^dnom|short_run", short_run),
    ("precontrol|pre_control", pre_control),
    ("i_chart_sigma|sigma_estimators|individual_sigma", individual_sigmas),
    ("^stages|^i_mr|^imr", individuals),
    ("^xbar_pooled|^xbar_rms", subgroup_chart("xbar_s", "pooled_c4")),
    ("^xbar_s", subgroup_chart("xbar_s", "sbar_c4")),
    ("^xbar", subgroup_chart("xbar_r", "rbar_d2")),
    ("^median", subgroup_chart("median", "rbar_d2")),
    ("^np_.*(phase_?2|exclu|frozen)", attribute_phases("np")),
    ("^p_.*(phase_?2|exclu|frozen)", attribute_phases("p")),
    ("^c_.*(phase_?2|exclu|frozen)", attribute_phases("c")),
    ("^u_.*(phase_?2|exclu|frozen)", attribute_phases("u")),
    ("^np_.*(exact|binomial_lim|poisson_lim|probab)", exact_attribute("np")),
    ("^p_.*(exact|binomial_lim|poisson_lim|probab)", exact_attribute("p")),
    ("^c_.*(exact|binomial_lim|poisson_lim|probab)", exact_attribute("c")),
    ("^u_.*(exact|binomial_lim|poisson_lim|probab)", exact_attribute("u")),
    ("^np(_|$)", attribute("np")),
    ("^p(_|$)|^laney_p", attribute("p")),
    ("^c(_|$)", attribute("c")),
    ("^u(_|$)|^laney_u", attribute("u")),
    ("^g(_|$)", g_chart),
    ("^t_chart.*weibull|^t_weibull", t_chart_weibull),
    ("^t_(chart|nelson|weibull|exp)", t_chart),
    ("bernoulli", bernoulli),
    ("poisson_cusum|cusum_poisson", poisson),
    ("^cusum.*(fir|head)", fast_cusum),
    ("^cusum", cusum),
    ("mewma", mewma),
    ("^ewma", ewma),
    ("^t2|hotelling", hotelling),
    ("^box_cox|^boxcox", box_cox),
    ("yeo", yeo_johnson),
    ("normality", normality),
    ("wilks|nonparametric_tol|tolerance_nonpar", wilks),
    ("tolerance", tolerance_interval),
    ("index_naming", naming),
    ("cpk_ci|bissell", nearest_interval),
    ("cp_ci", spread_interval),
    ("johnson", johnson_percentiles),
    ("nonnormal|weibull_percentile|lognormal|gamma_fit|folded", nonnormal),
    ("real_capability|observed_real|observed_to_real", real_capability),
    ("^normal_|^full_report|^cap_diameter|^cap_pistonrings", capability_study),
    ("from_parameters|one_sided|fallout|natural_limit|^cap_", capability_parameters),
    ("grr_nested|nested", nested),
    ("grr_xbar_r|average_range", average_and_range),
    ("grr_range|range_method", short_study),
    ("grr_crossed|grr_.*anova|^grr", crossed),
    ("type1|type_1", type_one),
    ("lack_of_fit", lack_of_fit),
    ("^linearity", linearity),
    ("^bias|_bias_t", bias),
    ("^stability", stability),
    ("measurement_uncertainty|vda5|u_ms|iso22514_7_(ms|mp|unc|q)", uncertainty),
    ("guard_band|conformity", conformity),
    ("attribute_agreement", attribute_study),
    ("fleiss", fleiss),
    ("light", light),
    ("gwet|ac1", gwet),
    ("bowker", bowker),
    ("mcnemar", mcnemar),
    ("kappa|cohen", cohen),
    ("hit_miss|hitmiss", hit_miss),
    ("ahat|a_hat|signal_response", signal_pod),
    ("binomial_demo|29_of", demonstration),
    ("signal_detection|d_prime|sdt", signal_detection),
    ("analytic|autogage", analytic),
    ("code_letter", code_letters),
    ("switching", switching),
    ("double.*(lookup|plan)|iso2859_double", double_plans),
    ("oc_double", double_curve),
    ("iso2859.*table|master_table", master_table),
    ("single_plan|iso2859|z14|lookup", single_plans),
    ("plan_design|find_plan", plan_design),
    ("zero_acceptance|c_zero|c0|accept_zero", zero_acceptance),
    ("sprt|sequential", sequential),
    ("csp", continuous),
    ("oc_hyper|oc_poisson|oc_binomial|hypergeom", operating),
    ("rectifying|oc_", rectifying),
    ("fpy_rty", process_yield),
    ("yield_fty|yield_rolled", defective_yield),
    ("dpu_dpmo|dpmo_ci", defect_rate),
    ("dpmo_sigma|sigma_level", sigma_levels),
    ("pareto", pareto),
    ("copq|quality_cost", quality_cost),
    ("lot_accept|wilson|oqc|incoming", share_interval),
    ("zone_share|position_share", zone_share),
    ("csr|clustering", clustering),
    ("period|roll_mark|rayleigh", periodic),
    ("odds_ratio|fisher", odds_ratio),
    ("mantel|simpson|cmh", mantel_haenszel),
    ("cochran_armitage", cochran_armitage),
    ("mutual_information|cramer", mutual_information),
    ("permutation", permutation),
    ("fdr|holm|benjamini", false_discovery),
    ("changepoint.*poisson|poisson_single", change_point("poisson")),
    ("changepoint.*binom|binomial_single", change_point("binomial")),
    ("changepoint|change_point|mean_single", change_point("mean")),
    ("psi|population_stability", stability_index),
)
"""Patterns of a case's method or name, the first that fits decides."""
