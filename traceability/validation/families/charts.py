"""Charts of values and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from traceability.spc import attributes, charts, checks, rules
from traceability.validation import comparing as to
from traceability.validation.drawn import chart_fields, estimator_of, pair_fields, z_of
from traceability.validation.given import Fields, Given


def _sigmas(given: Given) -> Fields:
    return given.options(sigmas=("nsigmas", "sigmas", "L", "k_sigma"))


def subgroup_chart(kind: str, default: charts.Estimator) -> Callable[[Given], Fields]:
    def reports(given: Given) -> Fields:
        spread: Any = "range" if kind.endswith("r") or kind == "median" else "standard_deviation"
        location: Any = "median" if kind == "median" else "mean"
        letter = "R" if spread == "range" else "S"
        rule = str(given.get("limits", "limit_rule", default="sigmas")).lower()
        options: Fields = {
            "location": location,
            "spread": spread,
            "estimator": estimator_of(given, default),
            "varying_sizes": True,
            "limit_rule": "probability" if rule.startswith(("prob", "exact")) else "sigmas",
            **_sigmas(given),
        }
        name = "xbar" if location == "mean" else "medians"
        first_phase = given.get("phase1", "calibration", "subgroups_phase1")
        if first_phase is None:
            pair = charts.subgroup_chart(given.need("subgroups", "x", "data"), **options)
            return {**pair_fields(pair, name, letter), "median": pair.location.value.tolist()}
        later = given.need("phase2", "new", "newdata", "subgroups_phase2")
        known = charts.subgroup_chart(first_phase, **options)
        together = charts.subgroup_chart([*first_phase, *later], limits=known.limits, **options)
        new = charts.subgroup_chart(later, limits=known.limits, **options)
        return {
            **pair_fields(together, name, letter),
            "xbar_phase2 new_xbar phase2_xbar": new.location.value.tolist(),
            "beyond_limits_phase2 phase2_beyond_limits": to.one_based(new.location.beyond),
            "phase2": pair_fields(new, name, letter),
            "phase1": pair_fields(known, name, letter),
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
            **pair_fields(together, "x", "MR"),
            "beyond_limits_phase2 phase2_beyond_limits phase2_beyond": to.one_based(new.location.beyond),
            "phase1": pair_fields(known, "x", "MR"),
            "phase2": pair_fields(new, "x", "MR"),
        }
    options: Fields = {**_sigmas(given), **given.options(span=("mr_span", "span", "w"))}
    stage = given.get("stage", "stages")
    pair = charts.individuals_chart(given.need("x", "values", "data"), stages=stage, **options)
    fields = {
        **pair_fields(pair, "x", "MR"),
        "mr_bar": to.scalar(pair.spread.centre) if pair.spread else None,
    }
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
        **chart_fields(plain.chart),
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
        "exact": chart_fields(exact.chart),
        "laney": chart_fields(laney.chart),
        "ordinary": chart_fields(plain.chart),
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
            **chart_fields(known.chart),
            "phase1": chart_fields(known.chart),
            "phase2": chart_fields(new.chart),
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
        **chart_fields(final.chart),
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
        **chart_fields(found.chart),
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
        **chart_fields(found.chart),
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
        return {**chart_fields(pair.location), "sigma_mr": pair.limits.sigma}

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
        return pair_fields(charts.subgroup_chart(groups, **_sigmas(given)), "xbar", "R")
    off = charts.deviations(given.need("x", "values"), parts, nominal)
    return {
        **pair_fields(charts.individuals_chart(off, **_sigmas(given)), "x", "MR"),
        "deviation": off.tolist(),
    }


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
        **pair_fields(found.chart, "z", "MR"),
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
    found = rules.middle_third(z_of(given))
    return {
        "inside n_inside count": found.inside,
        "share": to.quotient(found.inside, found.points),
        "pct": to.percent(to.quotient(found.inside, found.points)),
        "p_few": found.p_few,
        "p_many": found.p_many,
    }
