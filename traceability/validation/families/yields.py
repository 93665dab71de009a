"""Figures of merit."""

from __future__ import annotations

from traceability.spc import agreement, yields
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given


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
        given.need("x", "k", "accepted", "count", "lots_accepted", "inspected", "units_inspected"),
        given.need("n", "lots", "of", "received", "lots_received", "shipped", "units_shipped"),
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


def supplier_score(given: Given) -> Fields:
    found = yields.supplier_score(
        lots_accepted=given.need("lots_accepted", "accepted"),
        lots=given.need("lots", "lots_received", "received"),
        defective=given.need("defective", "defectives", "defects"),
        units=given.need("units", "parts", "delivered"),
        response_days=given.need("response_days", "days_to_respond", "days"),
        closed=given.need("closed", "closed_8d", "8d_closed"),
        opened=given.need("opened", "opened_8d", "8d_opened"),
        **given.options(
            weights=("weights",),
            ppm_worst=("ppm_worst",),
            days_worst=("days_worst",),
            confidence=("confidence",),
        ),
    )
    return {
        "score total": found.score,
        "ci interval ci95": list(found.interval),
        "parts contributions": dict(found.parts),
        "lot_acceptance": found.lot_acceptance.value,
        "lot_acceptance_ci": list(found.lot_acceptance.interval),
        "ppm": found.ppm,
    }


def handling_time(given: Given) -> Fields:
    found = yields.handling_time(
        given.need("hours", "times", "data"),
        **given.options(
            still_open=("still_open", "open"),
            target_hours=("target_hours", "target"),
            confidence=("confidence",),
        ),
    )
    return {
        "n closed": found.closed,
        "open": found.open,
        "mean": found.mean,
        "median": found.median,
        "p90": found.p90,
        "ci interval ci95": list(found.interval),
        "within_target": found.within_target,
    }
