"""The inspector as a gauge."""

from __future__ import annotations

from traceability.spc import inspector, rules
from traceability.validation import comparing as to
from traceability.validation.drawn import chart_fields
from traceability.validation.given import Fields, Given, NotReported

BAD_PARTS = ("n_se", "n_se_pos", "n_pos", "n_bad", "m_se", "bad_parts", "se_n")
GOOD_PARTS = ("n_sp", "n_sp_neg", "n_neg", "n_good", "m_sp", "good_parts", "sp_n")


def rogan_gladen(given: Given) -> Fields:
    results = []
    for case in given.get("cases", default=[given.data]):
        one = Given(case)
        proof = None
        if one.has(*BAD_PARTS) and one.has(*GOOD_PARTS):
            proof = (
                one.need(*BAD_PARTS),
                one.need(*GOOD_PARTS),
            )
        se, sp = (
            _proven(one, ("se", "sensitivity", "Se"), BAD_PARTS),
            _proven(one, ("sp", "specificity", "Sp"), GOOD_PARTS),
        )
        options = one.options(confidence=("confidence",))
        found = inspector.true_share(
            one.need("k", "rejects", "rejected", "positives", "x"),
            one.need("n"),
            sensitivity=se,
            specificity=sp,
            proof=proof,
            **options,
        )
        known = inspector.true_share(
            one.need("k", "rejects", "rejected", "positives", "x"),
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


def _proven(given: Given, names: tuple[str, ...], parts: tuple[str, ...]) -> float:
    """A rate as it is given, or the count behind it over its parts."""
    rate: float | None = given.get(*names)
    if rate is not None:
        return rate
    short = to.first(names)
    return to.quotient(given.need(f"{short}_k", f"k_{short}", f"x_{short}", f"{short}_x"), given.need(*parts))


def corrected_chart(given: Given) -> Fields:
    k, n = (
        given.need("k", "rejects", "rejected", "defectives", "counts", "x"),
        given.need("n", "sizes", "size"),
    )
    se, sp = (
        to.per_lot(given.get(*names), given.data, len(k))
        for names in (("se", "sensitivity", "Se"), ("sp", "specificity", "Sp"))
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
                **chart_fields(found.chart),
                "run9": runs["corrected"],
                "signals": every["corrected"],
                "true": found.chart.value.tolist(),
            }
        ),
        "plain raw": {**chart_fields(found.plain), "run9": runs["plain"], "signals": every["plain"]},
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
    found = inspector.outcome(
        share_defective=p,
        sensitivity=given.need("se", "sensitivity", "Se"),
        specificity=given.need("sp", "specificity", "Sp"),
    )
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
        reviewed=given.need(
            "reviewed", "reviewed_rejects", "rejects_reviewed", "n_reviewed", "v_pos", "verified_pos"
        ),
        reviewed_bad=given.need("reviewed_bad", "true_rejects", "confirmed", "reviewed_true", "d_pos"),
        audited=given.need(
            "audited", "audited_passes", "passes_audited", "n_audited", "v_neg", "verified_neg"
        ),
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
