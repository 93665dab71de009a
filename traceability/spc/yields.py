"""What is lost, and to what: Pareto."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoBar:
    """One cause. `share` and `cumulative_share` are 0..1 of the total, the latter up to this bar."""

    name: str
    weight: float
    share: float
    cumulative_share: float


def pareto(weights: Mapping[str, float]) -> tuple[ParetoBar, ...]:
    """Causes by weight (a count, or count x cost), the heaviest first, ties by name."""
    total = sum(weights.values())
    bars: list[ParetoBar] = []
    so_far = 0.0
    for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        so_far += weight
        bars.append(
            ParetoBar(
                name=name,
                weight=weight,
                share=weight / total if total else 0.0,
                cumulative_share=so_far / total if total else 0.0,
            )
        )
    return tuple(bars)
