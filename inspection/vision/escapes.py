"""What escapes a screen, from the places that it held back and the network saw all the same, by lot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inspection.types import Looked


@dataclass(frozen=True, slots=True, kw_only=True)
class EscapeRate:
    """Of the places that a screen holds back: in which share the network would have found something.

    estimate   0..1; None while no quiet place has been sampled
    at_most    with the given confidence; 1 while none has been sampled
    """

    estimate: float | None
    at_most: float


def escape_rate(looked: Looked, *, confidence: float = 0.95) -> EscapeRate:
    """What the sample of quiet places says about all of them.

    The bound is Clopper and Pearson's, one-sided: the largest rate at which so few escapes, or fewer, still have
    a chance of 1 - confidence. Source: Biometrika 26 (1934), 404-413.
    """
    if not looked.sampled:
        return EscapeRate(estimate=None, at_most=1.0)
    low, high = looked.escaped / looked.sampled, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _chance_of_at_most(looked.escaped, looked.sampled, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return EscapeRate(estimate=looked.escaped / looked.sampled, at_most=high)


def _chance_of_at_most(count: int, trials: int, rate: float) -> float:
    """The binomial distribution's sum of 0 to `count`."""
    if rate >= 1:
        return float(count >= trials)
    total = 0.0
    for k in range(count + 1):
        ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        total += math.exp(ways + (k * math.log(rate) if k else 0.0) + (trials - k) * math.log1p(-rate))
    return total
