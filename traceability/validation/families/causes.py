"""Maps and causes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from traceability.spc import causes, maps
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given


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
