"""What may enter a computation: refusals that every method of this package shares, each said once.

A number that came from nonsense looks like any other number. So data are looked at before they are used, and
what cannot be used is refused with its place and a remedy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from traceability.errors import (
    CountImpossible,
    NoVariation,
    ParameterOutOfRange,
    SpecLimitsInvalid,
    SubgroupSizesDiffer,
    TooFewValues,
    ValueNotFinite,
    ValuesMissing,
)

Floats = NDArray[np.float64]

LARGEST = 1e100
"""Of a value or a limit, either way: nothing measured is greater, and squares of far greater ones are no numbers."""


def numbers(values: ArrayLike, *, method: str, needed: int = 1, must_vary: bool = False) -> Floats:
    """The values as an array of shape (n,), every one finite. The copy is the caller's own.

    Raises ValuesMissing, ValueNotFinite, ParameterOutOfRange beyond LARGEST, TooFewValues below `needed`, and
    NoVariation where `must_vary`.
    """
    array = np.array(values, np.float64).ravel()
    if array.size == 0:
        raise ValuesMissing(
            f"{method}: there are no values.", action="Choose data with at least one value.", method=method
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        value = float(array[wrong[0]])
        raise ValueNotFinite(
            f"{method}: value {wrong[0] + 1} is {value}; every value must be a finite number.",
            action="Correct that value, or leave the point out with a reason.",
            method=method,
            position=int(wrong[0]) + 1,
            value=str(value),
        )
    largest = float(array[np.argmax(np.abs(array))])
    magnitude(largest, parameter="value")
    enough(array.size, method=method, needed=needed)
    if must_vary:
        varying(array, method=method)
    return array


def enough(found: int, *, method: str, needed: int) -> None:
    """Raises TooFewValues where fewer than `needed` were found."""
    if found < needed:
        raise TooFewValues(
            f"{method} needs at least {needed}; there are {found}.",
            action="Collect more before computing this.",
            method=method,
            found=found,
            needed=needed,
        )


def varying(array: Floats, *, method: str) -> None:
    """Raises NoVariation where all values are equal."""
    if array.size and np.all(array == array.flat[0]):
        value = float(array.flat[0])
        raise NoVariation(
            f"{method}: values do not differ where they should (the first is {value:g}); no spread can be estimated.",
            action="Check the resolution of the gauge and whether the sensor is stuck.",
            method=method,
            value=value,
        )


def subgroups(
    values: Sequence[ArrayLike],
    *,
    method: str,
    least_size: int = 2,
    needed: int = 2,
    varying_sizes: bool = False,
    must_vary: bool = True,
) -> list[Floats]:
    """Rational subgroups, each of shape (n_i,), all finite; of one size unless `varying_sizes`.

    must_vary  a spread is to be estimated from them: some subgroup must have one

    Raises what `numbers` raises, and SubgroupSizesDiffer.
    """
    enough(len(values), method=method, needed=needed) if len(values) else numbers((), method=method)
    groups = [numbers(group, method=method, needed=least_size) for group in values]
    sizes = sorted({group.size for group in groups})
    if len(sizes) > 1 and not varying_sizes:
        raise SubgroupSizesDiffer(
            f"{method} wants subgroups of one size; the sizes here are {sizes}.",
            action="Form equal subgroups, or say that sizes vary.",
            method=method,
            sizes=", ".join(map(str, sizes)),
        )
    if must_vary and all(np.all(group == group[0]) for group in groups):
        varying(groups[0], method=method)
    return groups


def counts(
    count: ArrayLike,
    opportunity: ArrayLike | None = None,
    *,
    method: str,
    needed: int = 1,
    whole: bool = True,
) -> tuple[Floats, Floats]:
    """Counts and what they were counted in, both of shape (n,). A single opportunity holds for all.

    opportunity  None: an area of opportunity of 1 each, without an upper bound for the count
    whole        opportunities are units, so that no count exceeds its own; else areas or lengths (u chart)

    Raises what `numbers` raises, and CountImpossible.
    """
    found = numbers(count, method=method, needed=needed)
    area = np.ones_like(found) if opportunity is None else numbers(opportunity, method=method)
    area = np.broadcast_to(area, found.shape) if area.size == 1 else area
    if area.shape != found.shape:
        raise CountImpossible(
            f"{method}: there are {found.size} counts and {area.size} sizes.",
            action="Give each sample its size, or one size for all.",
            method=method,
            position=min(found.size, area.size) + 1,
            count=found.size,
            opportunity=area.size,
        )
    wrong = (found < 0) | (found != np.round(found)) | (area <= 0)
    if opportunity is not None and whole:
        wrong |= (found > area) | (area != np.round(area))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise CountImpossible(
            f"{method}: sample {at + 1} counts {found[at]:g} of {area[at]:g}.",
            action="A count is a whole number from 0 to what was looked at. Correct that sample.",
            method=method,
            position=at + 1,
            count=f"{found[at]:g}",
            opportunity=f"{area[at]:g}",
        )
    return found, np.array(area)


def rounding(spread: ArrayLike, *amounts: ArrayLike) -> Floats:
    """How far apart two numbers may be that are equal in reason: on a limit, a zone's border, a centre line.

    spread   of what is compared (a chart's sigma), itself estimated by long sums: 1e-12 of it
    amounts  what was added up or subtracted on the way: 16 last digits of each. A width of 25 mm is written to the
             nearest 4e-15 mm, and a mean of such widths misses its centre line by a few of those
    """
    slack = 1e-12 * np.abs(np.asarray(spread, np.float64))
    for amount in amounts:
        slack = slack + 16 * np.finfo(np.float64).eps * np.abs(np.asarray(amount, np.float64))
    return np.asarray(slack, np.float64)


def relative_logs(x: Floats) -> Floats:
    """Logarithms of values above 0 over their median, shape (n,); exact however little the values differ.

    ln 25.4001 - ln 25.4 has lost six of sixteen digits; values close to each other are subtracted without loss.
    """
    middle = float(np.median(x))
    with np.errstate(over="ignore"):
        off = (x - middle) / middle
    is_near = np.abs(off) < 0.5
    logs: Floats = np.where(is_near, np.log1p(np.where(is_near, off, 0.0)), np.log(x) - np.log(middle))
    return logs


def spec_limits(lower: float | None, upper: float | None) -> None:
    """Raises SpecLimitsInvalid unless there is at least one limit, and the lower is below the upper."""
    given = [limit for limit in (lower, upper) if limit is not None]
    if not given or not np.all(np.isfinite(given)) or (len(given) == 2 and given[0] >= given[1]):
        raise SpecLimitsInvalid(
            f"Specification limits {lower} (lower) and {upper} (upper) enclose nothing.",
            action="Give at least one limit, and the lower one below the upper one.",
            lower=str(lower),
            upper=str(upper),
        )
    for limit in given:
        magnitude(limit, parameter="limit")


def magnitude(value: float, *, parameter: str) -> float:
    """Raises ParameterOutOfRange beyond LARGEST."""
    return within(
        value,
        parameter=parameter,
        allowed=f"{-LARGEST:g} … {LARGEST:g}",
        is_allowed=bool(abs(value) <= LARGEST),
    )


def positive(value: float, *, parameter: str) -> float:
    """Raises ParameterOutOfRange unless the value is a finite number above 0."""
    return within(value, parameter=parameter, allowed="> 0", is_allowed=np.isfinite(value) and value > 0)


def share(value: float, *, parameter: str, ends: bool = False) -> float:
    """Raises ParameterOutOfRange unless 0 < value < 1, or 0 <= value <= 1 with its `ends`."""
    if ends:
        return within(value, parameter=parameter, allowed="0..1", is_allowed=0 <= value <= 1)
    return within(value, parameter=parameter, allowed="0 < … < 1", is_allowed=0 < value < 1)


def within(value: float, *, parameter: str, allowed: str, is_allowed: bool | np.bool) -> float:
    """The value, or ParameterOutOfRange saying what is allowed."""
    if not is_allowed:
        raise ParameterOutOfRange(
            f"{parameter} is {value}; allowed is {allowed}.",
            action="Give a value within that range.",
            parameter=parameter,
            value=str(value),
            allowed=allowed,
        )
    return float(value)
