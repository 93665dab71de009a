"""Factors of charts."""

from __future__ import annotations

from collections.abc import Callable

from traceability.spc import constants
from traceability.validation import comparing as to
from traceability.validation.given import Fields, Given


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
