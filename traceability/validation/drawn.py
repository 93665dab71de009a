"""What every chart of a case reports, by the names that published answers use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from traceability.spc import charts
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given, NotReported


def chart_fields(chart: charts.ControlChart, prefix: str = "") -> Fields:
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


def estimator_of(given: Given, default: charts.Estimator) -> charts.Estimator:
    said = re.sub(
        "[^a-z]",
        "",
        str(given.get("sigma_within_method", "sigma_method", "method", "estimator", default="")).lower(),
    )
    return next((ours for name, ours in SIGMA_METHODS.items() if said.startswith(name)), default)


def pair_fields(pair: charts.ChartPair, location: str, spread: str) -> Fields:
    fields = {
        **chart_fields(pair.location),
        location: pair.location.value.tolist(),
        "sigma sigma_within sigma_hat": pair.limits.sigma,
    }
    if pair.spread is not None:
        fields |= {
            **chart_fields(pair.spread, f"{spread}_"),
            spread: to.present(pair.spread.value),
            f"{spread.lower()}bar": to.scalar(pair.spread.centre),
        }
    return fields


def z_of(given: Given) -> list[float]:
    if (z := given.get("z", "x", "values")) is None:
        raise NotReported("no points")
    return to.standardised(z, given.get("center"), given.get("sigma"))
