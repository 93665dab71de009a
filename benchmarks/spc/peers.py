"""The same figures and charts beside mfgqc and beside R's spc, in one run: the tables of docs/statistics.md.

PYTHONPATH=. python benchmarks/spc/peers.py --peer FOLDER/bin/python [--r Rscript]

FOLDER is an environment of its own: `python -m venv FOLDER && FOLDER/bin/pip install mfgqc==0.3.1`. R's spc is Debian's
r-cran-spc. Both are given the same numbers. Times are medians of nine, after one that is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RUNS = 9
VALUES, SUBGROUPS, UNITS, SHARE = 2500, 720, 460, 0.03
LOWER, UPPER, TARGET = 7.0, 13.0, 10.0
PARTS, OPERATORS, TRIALS = 10, 3, 3
ALIKE = 1e-6
"""Relative: rounding in the last printed digits of a peer."""

RUN_LENGTHS = {
    "cusum k 0.5 h 5, in control": "xcusum.arl(0.5, 5, 0, sided='two')",
    "cusum k 0.5 h 5, 1 sigma": "xcusum.arl(0.5, 5, 1, sided='two')",
    "ewma 0.1 L 2.7, in control": "xewma.arl(0.1, 2.7, 0, sided='two')",
    "ewma 0.1 L 2.7, 1 sigma": "xewma.arl(0.1, 2.7, 1, sided='two')",
    "h of a cusum with ARL0 370.4": "uniroot(function(h) xcusum.arl(0.5, h, 0, sided='two') - 370.4, c(3, 6), "
    "tol = 1e-10)$root",
    "L of an ewma 0.2 with ARL0 370.4": "xewma.crit(0.2, 370.4, sided='two')",
}

Told = dict[str, Any]


def given() -> Told:
    import numpy as np

    random = np.random.default_rng(1)
    part = np.repeat(np.arange(PARTS), OPERATORS * TRIALS)
    operator = np.tile(np.repeat(np.arange(OPERATORS), TRIALS), PARTS)
    return {
        "values": random.normal(10, 1, VALUES).tolist(),
        "counts": random.binomial(UNITS, SHARE, SUBGROUPS).tolist(),
        "part": part.tolist(),
        "operator": operator.tolist(),
        "trial": np.tile(np.arange(TRIALS), PARTS * OPERATORS).tolist(),
        "gauged": (10 + 0.5 * part + 0.1 * operator + random.normal(0, 0.2, part.size)).tolist(),
    }


def median_ms(asked: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        asked()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[1:])


def peer(data: Told) -> Told:
    """Run by the peer's interpreter."""
    import mfgqc
    import pandas as pd

    table = pd.DataFrame({"x": data["values"], "g": [place // 5 for place in range(VALUES)]})
    single = mfgqc.load(table[["x"]], measure="x")
    grouped = mfgqc.load(table, measure="x", subgroup="g")
    counted = mfgqc.load(pd.DataFrame({"x": data["counts"], "n": UNITS}), measure="x")
    gauged = mfgqc.load(
        pd.DataFrame(
            {"part": data["part"], "operator": data["operator"], "k": data["trial"], "y": data["gauged"]}
        ),
        measure="y",
        roles={"part": "part", "operator": "operator", "replicate": "k"},
    ).spec(lower=LOWER, upper=UPPER)

    def fields(result: Any) -> Told:
        found: Told = result.to_dict()["fields"]
        return found

    def last(limit: Any) -> float:
        return float(limit[-1] if hasattr(limit, "__len__") else limit)

    i_mr = fields(single.control_chart("i_mr", rules="nelson"))
    p = fields(counted.control_chart("p", rules="nelson", n="n"))
    x_r, x_s = (fields(grouped.control_chart(kind, rules="nelson")) for kind in ("xbar_r", "xbar_s"))
    ewma = fields(single.ewma_chart(0.2, 2.86, mu0=TARGET, sigma=1.0))
    cusum = fields(single.cusum_chart(0.5, 4.77, mu0=TARGET, sigma=1.0))
    study = fields(grouped.spec(lower=LOWER, upper=UPPER, target=TARGET).capability())
    rr = fields(gauged.gage_rr())
    plan = fields(mfgqc.z14_plan(1000, 1.0))
    return {
        "figures": {
            "I-MR: upper limit": last(i_mr["location_ucl"]),
            "I-MR: upper limit of moving ranges": last(i_mr["disp_ucl"]),
            "p: upper limit": last(p["location_ucl"]),
            "X̄-R: upper limit": last(x_r["location_ucl"]),
            "X̄-R: upper limit of R": last(x_r["disp_ucl"]),
            "X̄-S: upper limit": last(x_s["location_ucl"]),
            "X̄-S: upper limit of s": last(x_s["disp_ucl"]),
            "EWMA: last point": ewma["z"][-1],
            "EWMA: last upper limit": last(ewma["ucl"]),
            "CUSUM: last sum above": cusum["c_plus"][-1],
            "Cp": study["cp"],
            "Cpk": study["cpk"],
            "Ppk": study["ppk"],
            "Cpm": study["cpm"],
            "lower bound of Cpk": study["cpk_ci"][0],
            "gauge R&R, % of study": rr["pct_study"]["GRR"],
            "gauge R&R, % of tolerance": rr["pct_tol"]["GRR"],
            "number of distinct categories": rr["ndc"],
            "AQL 1.0, 1000 parts: n": plan["n"],
            "AQL 1.0, 1000 parts: Ac": plan["c"],
        },
        "signals": {
            "I-MR, Nelson's 1 to 8": len(i_mr["violations"]),
            "p, Nelson's 1 to 8": len(p["violations"]),
        },
        "ms": {
            "I-MR of 2500 values": median_ms(lambda: single.control_chart("i_mr", rules="nelson")),
            "p of 720 subgroups": median_ms(lambda: counted.control_chart("p", rules="nelson", n="n")),
            "X̄-R of 500 subgroups": median_ms(lambda: grouped.control_chart("xbar_r", rules="nelson")),
            "EWMA of 2500 values": median_ms(lambda: single.ewma_chart(0.2, 2.86, mu0=TARGET, sigma=1.0)),
            "CUSUM of 2500 values": median_ms(lambda: single.cusum_chart(0.5, 4.77, mu0=TARGET, sigma=1.0)),
            "gauge R&R, 90 readings": median_ms(lambda: gauged.gage_rr()),
        },
    }


def ours(data: Told) -> Told:
    import numpy as np

    from traceability.spc.attributes import attribute_chart
    from traceability.spc.capability import Specification, capability
    from traceability.spc.charts import individuals_chart, subgroup_chart
    from traceability.spc.msa import crossed_study
    from traceability.spc.rules import NELSON
    from traceability.spc.sampling import single_plan
    from traceability.spc.time_weighted import cusum_chart, ewma_chart

    x = np.array(data["values"])
    groups = list(x.reshape(-1, 5))
    counts, sizes = np.array(data["counts"]), np.full(SUBGROUPS, UNITS)
    i_mr = individuals_chart(x, rules=NELSON)
    p = attribute_chart("p", counts, sizes, rules=NELSON)
    x_r = subgroup_chart(groups, rules=NELSON)
    x_s = subgroup_chart(groups, spread="standard_deviation", rules=NELSON)
    ewma = ewma_chart(x, weight=0.2, sigmas=2.86, target=TARGET, sigma=1.0)
    cusum = cusum_chart(x, k=0.5, h=4.77, target=TARGET, sigma=1.0)
    specification = Specification(lower=LOWER, upper=UPPER, target=TARGET)
    study = capability(groups, specification, is_subgrouped=True, estimator="rbar_d2")
    rr = crossed_study(data["part"], data["operator"], data["gauged"], tolerance=UPPER - LOWER)
    plan = single_plan(1000, aql=1.0)
    assert i_mr.spread is not None
    assert x_r.spread is not None
    assert x_s.spread is not None
    assert study.within is not None
    assert study.within.nearest_interval is not None
    assert rr.result.percent_tolerance is not None
    return {
        "figures": {
            "I-MR: upper limit": i_mr.location.upper[-1],
            "I-MR: upper limit of moving ranges": i_mr.spread.upper[-1],
            "p: upper limit": p.chart.upper[-1],
            "X̄-R: upper limit": x_r.location.upper[-1],
            "X̄-R: upper limit of R": x_r.spread.upper[-1],
            "X̄-S: upper limit": x_s.location.upper[-1],
            "X̄-S: upper limit of s": x_s.spread.upper[-1],
            "EWMA: last point": ewma.value[-1],
            "EWMA: last upper limit": ewma.upper[-1],
            "CUSUM: last sum above": cusum.above[-1],
            "Cp": study.within.spread,
            "Cpk": study.within.nearest,
            "Ppk": study.overall.nearest,
            "Cpm": study.taguchi,
            "lower bound of Cpk": study.within.nearest_interval[0],
            "gauge R&R, % of study": rr.result.percent_study["GRR"],
            "gauge R&R, % of tolerance": rr.result.percent_tolerance["GRR"],
            "number of distinct categories": rr.result.ndc,
            "AQL 1.0, 1000 parts: n": plan.n,
            "AQL 1.0, 1000 parts: Ac": plan.accept,
        },
        "signals": {
            "I-MR, Nelson's 1 to 8": len(i_mr.location.signals) + len(i_mr.spread.signals),
            "p, Nelson's 1 to 8": len(p.chart.signals),
        },
        "ms": {
            "I-MR of 2500 values": median_ms(lambda: individuals_chart(x, rules=NELSON)),
            "p of 720 subgroups": median_ms(lambda: attribute_chart("p", counts, sizes, rules=NELSON)),
            "X̄-R of 500 subgroups": median_ms(lambda: subgroup_chart(groups, rules=NELSON)),
            "EWMA of 2500 values": median_ms(
                lambda: ewma_chart(x, weight=0.2, sigmas=2.86, target=TARGET, sigma=1.0)
            ),
            "CUSUM of 2500 values": median_ms(
                lambda: cusum_chart(x, k=0.5, h=4.77, target=TARGET, sigma=1.0)
            ),
            "gauge R&R, 90 readings": median_ms(
                lambda: crossed_study(data["part"], data["operator"], data["gauged"], tolerance=UPPER - LOWER)
            ),
        },
    }


def run_lengths() -> dict[str, float]:
    from traceability.spc.run_length import cusum_arl, cusum_h, ewma_arl, ewma_sigmas

    found = [
        cusum_arl(k=0.5, h=5),
        cusum_arl(k=0.5, h=5, shift=1),
        ewma_arl(weight=0.1, sigmas=2.7),
        ewma_arl(weight=0.1, sigmas=2.7, shift=1),
        cusum_h(k=0.5, arl0=370.4),
        ewma_sigmas(weight=0.2, arl0=370.4),
    ]
    return dict(zip(RUN_LENGTHS, found, strict=True))


def by_r(program: str) -> dict[str, float]:
    asked = "; ".join(f"cat(format({each}, digits=12), '\\n')" for each in RUN_LENGTHS.values())

    told = subprocess.run(
        [program, "-e", f"library(spc); {asked}"], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(zip(RUN_LENGTHS, map(float, told.stdout.split()), strict=True))


def show(name: str, mine: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    print(f"| {name} | Lynceus | peer | difference |\n|---|---|---|---|")
    for figure, value in mine.items():
        off = float(value) - theirs[figure]
        if theirs[figure]:
            off /= theirs[figure]
        told = "none" if abs(off) < ALIKE else f"{off:+.2e}"
        print(f"| {figure} | {float(value):.7g} | {theirs[figure]:.7g} | {told} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--r", help="the program Rscript, with Debian's r-cran-spc")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.as_peer:
        print(json.dumps(peer(json.load(sys.stdin))))
        return
    if asked.peer is not None:
        data = given()
        mine = ours(data)
        told = subprocess.run(
            [asked.peer, "-W", "ignore", __file__, "--as-peer"],
            check=True,
            input=json.dumps(data),
            stdout=subprocess.PIPE,
            text=True,
            env={},
        )
        theirs = json.loads(told.stdout.splitlines()[-1])
        show("mfgqc", mine["figures"], theirs["figures"])
        show("signals", mine["signals"], theirs["signals"])
        for name, taken in mine["ms"].items():
            ratio = theirs["ms"][name] / taken
            print(f"{name}: Lynceus {taken:.2f} ms, mfgqc {theirs['ms'][name]:.2f} ms, ratio {ratio:.1f}")
    if asked.r is not None:
        show("R's spc", run_lengths(), by_r(asked.r))


if __name__ == "__main__":
    main()
