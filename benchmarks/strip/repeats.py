"""How often a roll's mark is found, and how often there is none: the figures of docs/strip.md.

PYTHONPATH=. python benchmarks/strip/repeats.py
"""

from __future__ import annotations

import numpy as np

from inspection.repeats import RepeatFinder, RepeatRules
from inspection.types import Box, Defect, Repeat

RULES = RepeatRules(shortest_mm=500, longest_mm=2500, across_mm=10, along_mm=5)
COILS = 200
WIDTH_MM, LENGTH_MM = 1200.0, 60_000.0

Places = list[tuple[float, float]]


def found_in(places: Places) -> tuple[Repeat, ...]:
    finder = RepeatFinder(RULES)
    for x, y in sorted(places, key=lambda one: one[1]):
        mm = Box(x - 4, y - 4, x + 4, y + 4)
        finder.add(Defect(kind="pits", score=0.9, box_px=mm, box_mm=mm, camera="top", sequence=0))
    return finder.found


def at_random(random: np.random.Generator, count: int, *, length_mm: float, width_mm: float) -> Places:
    return list(zip(random.uniform(0, width_mm, count), random.uniform(0, length_mm, count), strict=True))


def is_found(random: np.random.Generator, marks: int) -> bool:
    period_mm = random.uniform(520, 2400)
    places = [
        (600 + random.uniform(-4, 4), 300 + turn * period_mm + random.uniform(-2, 2))
        for turn in range(marks)
        if random.random() > 0.2
    ]
    places += at_random(random, 20, length_mm=marks * period_mm, width_mm=WIDTH_MM)
    return any(abs(one.period_mm - period_mm) < 3 for one in found_in(places))


def main() -> None:
    for marks in (5, 6, 8, 10, 12, 16):
        found = sum(is_found(np.random.default_rng([marks, coil]), marks) for coil in range(COILS))
        print(f"{marks} marks due, 20 % missing, 20 others: found on {found} of {COILS} coils")
    alarms = coils = 0
    for count, width_mm in ((15, WIDTH_MM), (60, WIDTH_MM), (300, WIDTH_MM), (40, 15.0)):
        for coil in range(300):
            random = np.random.default_rng([count, coil, 9])
            alarms += bool(found_in(at_random(random, count, length_mm=LENGTH_MM, width_mm=width_mm)))
            coils += 1
    print(f"defects at random places: a repeat on {alarms} of {coils} coils")


if __name__ == "__main__":
    main()
