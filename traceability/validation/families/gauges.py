"""Studies of measurement systems."""

from __future__ import annotations

from traceability.spc import msa
from traceability.validation import comparing as to
from traceability.validation.drawn import pair_fields
from traceability.validation.given import Fields, Given


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
        **pair_fields(pair, "xbar", "R"),
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
