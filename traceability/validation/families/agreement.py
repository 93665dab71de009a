"""Attribute agreement and probability of detection."""

from __future__ import annotations

from typing import Any

from traceability.spc import agreement, detection
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given


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
