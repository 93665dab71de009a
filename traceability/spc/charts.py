"""Control charts for counts: the share of units refused, subgroup by subgroup.

Sources: D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed., section 7.2 (p chart, also
with sample sizes that vary); D. B. Laney, Improved Control Charts for Attributes, Quality Engineering 14
(2002) 531-537 (p' chart); G. W. Snedecor and W. G. Cochran, Statistical Methods, 8th ed., section 11.7 (test
of dispersion). `docs/statistics.md` says which conventions were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from traceability.errors import TooFewSubgroups
from traceability.spc.rules import DEFAULT, Rule, Signal, signals

Floats = NDArray[np.float64]
Method = Literal["p", "laney_p"]

# Mean moving range of two standard normal values: 2/sqrt(pi).
D2_OF_2 = 2 / np.sqrt(np.pi)

# Below this a chart may still be looked at, but its limits are provisional (AIAG SPC, 2nd ed., chapter II).
ESTABLISHED_FROM = 20

# The level at which spread beyond chance counts as shown.
OVERDISPERSION_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSample:
    """One rational subgroup: how many of how many.

    key            names the subgroup in addresses; `samples.window_of` reads it back
    label          for people: local time
    at             start of the subgroup, aware UTC
    count          units refused
    opportunity    units that were judged: accepted, to be reviewed or refused
    review         of those, how many wait for a person
    not_inspected  units nobody could judge, beside the opportunity: they could not have been refused, and
                   counting them would make a blind camera look like good quality
    simulated      units of any verdict that come from a demo's made-up history
    """

    key: str
    label: str
    at: datetime
    count: int
    opportunity: int
    review: int = 0
    not_inspected: int = 0
    simulated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Limits to be kept: what a chart was set up with, for judging later subgroups.

    centre     share refused, 0..1
    sigma_z    spread over that of chance alone; 1 for a plain p chart
    subgroups  from how many it was estimated
    """

    centre: float
    sigma_z: float
    subgroups: int

    @property
    def method(self) -> Method:
        return "p" if self.sigma_z == 1 else "laney_p"

    @property
    def is_provisional(self) -> bool:
        return self.subgroups < ESTABLISHED_FROM


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Test of the counts against chance alone: chi-square with `degrees` degrees of freedom."""

    statistic: float
    degrees: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlChart:
    """A chart, ready to be drawn. Arrays have shape (n,), one entry per sample.

    value         share refused, 0..1; NaN where no unit was judged, and such a point never signals
    lower, upper  three sigmas off the centre at that point's own opportunity, kept within 0..1; NaN as above
    is_frozen     the limits came from outside, not from these samples
    dispersion    of these samples about their own mean; None where fewer than two were judged
    """

    samples: tuple[CountSample, ...]
    value: Floats
    lower: Floats
    upper: Floats
    baseline: Baseline
    is_frozen: bool
    dispersion: Dispersion | None
    rules: tuple[str, ...]
    signals: tuple[Signal, ...]

    @property
    def centre(self) -> float:
        return self.baseline.centre

    def as_dict(self) -> dict[str, object]:
        """For JSON: what programs draw from, without computing anything. Texts are keys of `services/texts`."""
        return {
            "chart": "p",
            "method": self.baseline.method,
            "method_key": f"spc.method.{self.baseline.method}",
            "baseline": {
                "centre": self.centre,
                "sigma_z": self.baseline.sigma_z,
                "subgroups": self.baseline.subgroups,
                "is_frozen": self.is_frozen,
                "is_provisional": self.baseline.is_provisional,
            },
            "dispersion": self.dispersion
            and {
                "statistic": self.dispersion.statistic,
                "degrees": self.dispersion.degrees,
                "p_value": self.dispersion.p_value,
            },
            "points": [
                {
                    "key": sample.key,
                    "label": sample.label,
                    "at": sample.at.isoformat(),
                    "count": sample.count,
                    "opportunity": sample.opportunity,
                    "review": sample.review,
                    "not_inspected": sample.not_inspected,
                    "simulated": sample.simulated,
                    "value": _number(self.value[index]),
                    "lower": _number(self.lower[index]),
                    "upper": _number(self.upper[index]),
                }
                for index, sample in enumerate(self.samples)
            ],
            "rules": [{"rule": rule, "text_key": f"spc.rule.{rule}"} for rule in self.rules],
            "signals": [
                {
                    "rule": signal.rule,
                    "text_key": f"spc.rule.{signal.rule}",
                    "index": signal.index,
                    "key": self.samples[signal.index].key,
                    "members": list(signal.members),
                    "side": signal.side,
                }
                for signal in self.signals
            ],
        }


def p_chart(
    samples: Sequence[CountSample],
    *,
    baseline: Baseline | None = None,
    rules: Sequence[Rule] = DEFAULT,
) -> ControlChart:
    """The p chart of `samples`, against kept limits or against limits of their own.

    Limits of their own are Laney's p' where the samples show more spread than chance (see `estimate`).
    Raises TooFewSubgroups where there are fewer than two judged samples to estimate from.
    """
    count, opportunity = _arrays(samples)
    judged = opportunity > 0
    limits = baseline if baseline is not None else estimate(samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(judged, count / opportunity, np.nan)
        sigma = limits.sigma_z * np.sqrt(limits.centre * (1 - limits.centre) / opportunity)
        off = value - limits.centre
        # A centre of 0 or 1 leaves no room for chance: any point off it is infinitely far off.
        z = np.where(off == 0, 0.0, off / sigma)
    z[~judged] = np.nan
    sigma[~judged] = np.nan
    return ControlChart(
        samples=tuple(samples),
        value=value,
        lower=np.maximum(limits.centre - 3 * sigma, 0),
        upper=np.minimum(limits.centre + 3 * sigma, 1),
        baseline=limits,
        is_frozen=baseline is not None,
        dispersion=dispersion(samples) if judged.sum() >= 2 else None,
        rules=tuple(rule.name for rule in rules),
        signals=signals(z, rules),
    )


def estimate(samples: Sequence[CountSample], *, method: Method | None = None) -> Baseline:
    """Centre and spread of these samples, to set up a chart with.

    method  None: Laney's p' where the test of dispersion finds more spread than chance at the 5 % level and
            neighbours differ more than chance too; the plain p chart otherwise. With the 10^4 units an hour
            of full inspection, the plain chart's limits are so narrow that most points fall outside.

    A shift of level alone is no reason for wider limits: it is what the chart is to find. That is why
    Laney's sigma_z is taken from neighbours, and why it must exceed 1.

    Raises TooFewSubgroups below two judged samples.
    """
    count, opportunity = _arrays(samples)
    judged = opportunity > 0
    count, opportunity = count[judged], opportunity[judged]
    if len(count) < 2:
        raise TooFewSubgroups(
            f"A control chart needs at least 2 subgroups with inspected units; there are {len(count)}.",
            action="Choose a longer time or shorter subgroups, or wait until more was inspected.",
            found=len(count),
            needed=2,
        )
    centre = float(count.sum() / opportunity.sum())
    sigma_z = _sigma_z(count, opportunity, centre)
    if method is None:
        wider = sigma_z > 1 and dispersion(samples).p_value < OVERDISPERSION_LEVEL
        method = "laney_p" if wider else "p"
    return Baseline(centre=centre, sigma_z=sigma_z if method == "laney_p" else 1.0, subgroups=len(count))


def dispersion(samples: Sequence[CountSample]) -> Dispersion:
    """Do the counts vary more than chance lets them? Sum of squared z over the judged samples.

    All equal to 0, or to their opportunity, leaves nothing to vary: statistic 0, p-value 1.
    """
    count, opportunity = _arrays(samples)
    judged = opportunity > 0
    count, opportunity = count[judged], opportunity[judged]
    centre = count.sum() / opportunity.sum()
    degrees = len(count) - 1
    statistic = float(np.sum(_z(count, opportunity, float(centre)) ** 2))
    return Dispersion(statistic=statistic, degrees=degrees, p_value=float(chi2.sf(statistic, degrees)))


def _sigma_z(count: Floats, opportunity: Floats, centre: float) -> float:
    """Spread of the standardised shares, from the mean moving range of neighbours."""
    return float(np.mean(np.abs(np.diff(_z(count, opportunity, centre)))) / D2_OF_2)


def _z(count: Floats, opportunity: Floats, centre: float) -> Floats:
    if centre in (0, 1):
        return np.zeros_like(count)
    z: Floats = (count / opportunity - centre) / np.sqrt(centre * (1 - centre) / opportunity)
    return z


def _arrays(samples: Sequence[CountSample]) -> tuple[Floats, Floats]:
    return (
        np.array([sample.count for sample in samples], np.float64),
        np.array([sample.opportunity for sample in samples], np.float64),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
