"""Run lengths of every preset by simulation beside the exact ones: the table of docs/statistics.md.

PYTHONPATH=. python benchmarks/spc/run_lengths.py [PRESET ...]

Exact: the chain of `tests/traceability/spc/exact_run_lengths.py`, which remembers where the last point lay. Simulated:
as the false-alarm meter does, of 40 000 series, with another seed. Ends with 1 where any differs by 3 % or more.
"""

from __future__ import annotations

import sys
import time

from tests.traceability.spc.exact_run_lengths import exact
from traceability.spc.rules import PRESETS, Rule
from traceability.spc.run_length import simulated_run_length

SERIES = 40_000
ALLOWED = 0.03
CELLS = 4
"""Of a zone; doubled for the second cut."""


def main() -> int:
    asked = sys.argv[1:] or list(PRESETS)
    done: dict[tuple[Rule, ...], str] = {}
    worst = 0.0
    for name in asked:
        rules = PRESETS[name]
        if rules in done:
            print(f"{name}: the rules of {done[rules]}")
            continue
        done[rules] = name
        for shift in (0, 1):
            began = time.perf_counter()
            true = exact(rules, shift=shift, cells=CELLS)
            found = simulated_run_length(rules, shift=shift, series=SERIES, seed=11)
            off = found.mean / true - 1
            worst = max(worst, abs(off))
            print(
                f"{name}, shift {shift}: exact {true:.3f}, simulated {found.mean:.3f} ({off:+.2%}, standard error "
                f"{found.standard_error / true:.2%}), {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    print(f"largest difference {worst:.2%}, allowed {ALLOWED:.0%}")
    return 0 if worst < ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
