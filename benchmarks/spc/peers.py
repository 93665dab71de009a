"""The same charts beside mfgqc, in one run: the ratio of docs/statistics.md.

PYTHONPATH=. python benchmarks/spc/peers.py --peer FOLDER/bin/python

FOLDER is an environment of its own: `python -m venv FOLDER && FOLDER/bin/pip install mfgqc==0.3.1`. Each draws single
values with moving ranges of 2500 values, and a p chart of 720 subgroups, by Nelson's rules. Medians of nine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 9
VALUES, SUBGROUPS, UNITS, SHARE = 2500, 720, 460, 0.03


def median_ms(asked: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        asked()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[1:])


def peer() -> dict[str, float]:
    """Run by the peer's interpreter."""
    import mfgqc
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(1)
    values = mfgqc.load(pd.DataFrame({"x": random.normal(10, 1, VALUES)}), measure="x")
    counts = mfgqc.load(
        pd.DataFrame({"x": random.binomial(UNITS, SHARE, SUBGROUPS), "n": UNITS}), measure="x"
    )
    return {
        "individuals": median_ms(lambda: values.control_chart("i_mr", rules="nelson")),
        "p": median_ms(lambda: counts.control_chart("p", rules="nelson", n="n")),
    }


def ours() -> dict[str, float]:
    import numpy as np

    from traceability.spc.attributes import attribute_chart
    from traceability.spc.charts import individuals_chart
    from traceability.spc.rules import NELSON

    random = np.random.default_rng(1)
    values = random.normal(10, 1, VALUES)
    counts = random.binomial(UNITS, SHARE, SUBGROUPS)
    sizes = np.full(SUBGROUPS, UNITS)
    return {
        "individuals": median_ms(lambda: individuals_chart(values, rules=NELSON)),
        "p": median_ms(lambda: attribute_chart("p", counts, sizes, rules=NELSON)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.as_peer:
        print(json.dumps(peer()))
        return
    mine = ours()
    told = subprocess.run(
        [asked.peer, __file__, "--as-peer"], check=True, stdout=subprocess.PIPE, text=True, env={}
    )
    theirs = json.loads(told.stdout.splitlines()[-1])
    for name, taken in mine.items():
        ratio = theirs[name] / taken
        print(
            f"{name}: Lynceus {taken:.1f} ms, mfgqc {theirs[name]:.1f} ms, ratio {ratio:.1f}", file=sys.stdout
        )


if __name__ == "__main__":
    main()
