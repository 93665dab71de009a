"""A published case, and how an answer is held against it: field by field, within the case's own tolerance.

A case is JSON: id, family, method, title, source, input, expected, tolerance. A field that is expected and not
reported is a gap, not an error; null means that a field must be absent. Figures under `printed` are rounded as the
source prints them and have a tolerance of their own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from traceability.errors import CasesUnreadable

Status = Literal["agrees", "differs", "gap"]

# The same field under the names that sources give it; the first stands for all.
_SYNONYMS = (
    ("center", "centre", "cl", "centerline", "grandmean"),
    ("ucl", "upper", "uppercontrollimit"),
    ("lcl", "lower", "lowercontrollimit"),
    ("beyondlimits", "outofcontrol", "ooc", "violations", "outoflimits", "beyond"),
    ("pvalue", "p"),
    ("chi2", "chisq", "chisquare", "chisquared", "x2"),
    ("df", "degrees", "dof", "degreesoffreedom"),
    ("ci", "confint", "confidenceinterval", "interval"),
    ("se", "stderr", "standarderror"),
    ("signals", "signalpoints"),
    ("loglikelihoodratio", "llr", "lr"),
)
_CANON = {name: group[0] for group in _SYNONYMS for name in group}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    id: str
    family: str
    method: str
    title: str
    source: Mapping[str, Any]
    input: Mapping[str, Any]
    expected: Mapping[str, Any]
    tolerance: Mapping[str, float]

    @staticmethod
    def read(data: Mapping[str, Any]) -> Case:
        """Raises KeyError where the JSON is no case."""
        return Case(
            id=data["id"],
            family=data["family"],
            method=data["method"],
            title=data.get("title", ""),
            source=data.get("source", {}),
            input=data["input"],
            expected=data["expected"],
            tolerance=data.get("tolerance", {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One expected figure. `path` as in `stages.before.ucl` or `limits[2][1]`."""

    path: str
    status: Status
    expected: object
    got: object


def cases_in(folder: Path) -> tuple[Case, ...]:
    """Every case of a folder, by name; its index is none. Raises CasesUnreadable, also where there is none."""
    cases = []
    for file in sorted(folder.glob("*.json")):
        if file.name == "index.json":
            continue
        try:
            cases.append(Case.read(json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(file, f"{type(error).__name__} {error}") from error
    if not cases:
        raise _unreadable(folder, "no *.json")
    return tuple(cases)


def _unreadable(place: Path, reason: str) -> CasesUnreadable:
    return CasesUnreadable(
        f"There are no published cases in {place}: {reason}.",
        action="Name a folder of cases, one JSON file each.",
        place=str(place),
        reason=reason,
    )


def shipped_cases() -> tuple[Case, ...]:
    """Worked examples of textbooks and standards that come with the program."""
    text = files("traceability.validation").joinpath("published.json").read_text(encoding="utf-8")
    return tuple(Case.read(data) for data in json.loads(text))


def compare(case: Case, got: Mapping[str, Any]) -> tuple[Field, ...]:
    """Every expected figure against what was reported."""
    return tuple(_compared("", case.expected, got, case.tolerance, is_printed=False))


def one_based(indices: Iterable[int]) -> list[int]:
    """Indices as publications count them."""
    return [int(index) + 1 for index in indices]


def one_based_or_none(index: int | None) -> int | None:
    return None if index is None else index + 1


def field(fields: Mapping[str, Any], name: str) -> Any:
    """A reported field by any of its names. Raises KeyError."""
    found, answer = _looked_up(fields, name)
    if not found:
        raise KeyError(name)
    return answer


def rest(values: Sequence[Any]) -> Sequence[Any]:
    """All but the first."""
    return values[1:]


def one_side() -> Literal[1]:
    return 1


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1))


def each(*names: Any) -> tuple[Any, ...]:
    return names


def first(values: Any) -> Any:
    return values[0] if len(values) else None


def last(values: Any) -> Any:
    return values[-1] if len(values) else None


def scalar(values: Iterable[float]) -> Any:
    """The one value where all are equal, else the list."""
    array = np.asarray(list(values), np.float64)
    if array.size and np.all(np.isclose(array, array[0], rtol=1e-13, atol=0)):
        return float(array[0])
    return array.tolist()


def present(values: Iterable[float]) -> list[float]:
    """Without what is missing."""
    return [float(value) for value in values if not math.isnan(value)]


def pairs(lower: Iterable[float], upper: Iterable[float]) -> list[list[float]]:
    return [[float(low), float(high)] for low, high in zip(lower, upper, strict=True)]


def percent(share: float) -> float:
    return 100 * share


def per_million(share: float) -> float:
    return 1e6 * share


def share_of_percent(value: float) -> float:
    return value / 100


def complement(share: float) -> float:
    return 1 - share


def prefixed(prefix: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in fields.items()}


def upper_triangle(names: Sequence[str], table: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    return {f"{a}_{b}": table[a, b] for a in names for b in names if (a, b) in table}


def _compared(
    path: str, expected: Any, got: Any, tolerance: Mapping[str, float], *, is_printed: bool
) -> Iterator[Field]:
    if isinstance(expected, Mapping):
        for name, value in expected.items():
            here = f"{path}.{name}" if path else name
            if name.startswith("printed"):
                yield from _printed(here, name, value, got, tolerance)
                continue
            found, answer = _looked_up(got, name)
            if value is None:
                is_absent = not found or answer is None or (isinstance(answer, float) and math.isnan(answer))
                yield Field(path=here, status="agrees" if is_absent else "differs", expected=None, got=answer)
            elif not found or answer is None:
                yield Field(path=here, status="gap", expected=value, got=None)
            else:
                yield from _compared(here, value, answer, tolerance, is_printed=is_printed)
    elif isinstance(expected, list):
        answers = _listed(got)
        if answers is None or len(answers) != len(expected):
            yield Field(path=path, status="differs", expected=expected, got=got)
            return
        if not expected:
            yield Field(path=path, status="agrees", expected=[], got=[])
        for place, (value, answer) in enumerate(zip(expected, answers, strict=True)):
            yield from _compared(f"{path}[{place}]", value, answer, tolerance, is_printed=is_printed)
    else:
        if isinstance(got, Interval):
            got = got["value"]
        agrees = _agrees(expected, got, tolerance, is_printed=is_printed)
        yield Field(path=path, status="agrees" if agrees else "differs", expected=expected, got=got)


def _printed(
    path: str, name: str, expected: Any, got: Any, tolerance: Mapping[str, float]
) -> Iterator[Field]:
    """Rounded figures: under `printed` by their own names, or as `printed_pa` for the field pa."""
    rest = name.removeprefix("printed").lstrip("_")
    if isinstance(expected, Mapping):
        found, answer = _looked_up(got, name)
        yield from _compared(path, expected, answer if found else got, tolerance, is_printed=True)
        return
    for wanted in (name, rest, "results", "rows"):
        found, answer = _looked_up(got, wanted) if wanted else (False, None)
        if found:
            yield from _compared(path, expected, answer, tolerance, is_printed=True)
            return
    listed = [value for value in got.values() if isinstance(value, list)] if isinstance(got, Mapping) else []
    if len(listed) == 1:
        yield from _compared(path, expected, listed[0], tolerance, is_printed=True)
    else:
        yield Field(path=path, status="gap", expected=expected, got=None)


def _looked_up(got: Any, name: str) -> tuple[bool, Any]:
    if not isinstance(got, Mapping):
        return False, None
    if isinstance(got, (Lazily, Worded)):
        found, answer = got.asked(name)
        if found:
            return True, answer
    if name in got:
        return True, got[name]
    for key, value in got.items():
        if name in str(key).split():
            return True, value
    wanted = _canonical(name)
    for key, value in got.items():
        if value is not None and any(_canonical(alias) == wanted for alias in str(key).split()):
            return True, value
    return False, None


def _canonical(name: str) -> str:
    plain = re.sub(r"[^a-z0-9\u4e00-\u9fff]", "", str(name).lower())
    return _CANON.get(plain, plain)


def _listed(got: Any) -> list[Any] | None:
    if isinstance(got, np.ndarray):
        listed: list[Any] = got.tolist()
        return listed
    return list(got) if isinstance(got, (list, tuple)) else None


def _agrees(expected: Any, got: Any, tolerance: Mapping[str, float], *, is_printed: bool) -> bool:
    if isinstance(expected, bool) or isinstance(got, (bool, np.bool_)):
        return bool(expected) == bool(got)
    if isinstance(expected, (int, float)) and isinstance(got, (int, float, np.integer, np.floating)):
        if math.isnan(float(got)):
            return False
        absolute = tolerance.get("abs", 0)
        if is_printed:
            absolute = tolerance.get("printed_abs", half_of_last_digit(expected))
        elif _significant_digits(expected) in (5, 6):
            # A source that prints five or six digits has rounded them.
            absolute = max(absolute, half_of_last_digit(expected))
        # Equal in reason may differ in the last digit of a floating-point number.
        slack = 1e-9 if absolute == 0 and tolerance.get("rel", 0) == 0 else 0
        return (
            abs(float(got) - expected)
            <= absolute + (tolerance.get("rel", 0) + slack) * abs(expected) + slack * 1e-3
        )
    return bool(expected == got)


class Interval(dict[str, Any]):
    """A figure that a case may expect bare, or as value and interval."""

    def __init__(self, value: float | None, bounds: Sequence[float] | None) -> None:
        super().__init__(value=value, ci=None if bounds is None else list(bounds))


class Lazily(dict[str, Any]):
    """Fields, and a figure asked for at a place that is part of its name: `conformity_at_10_085` is that at 10.085."""

    def __init__(self, fields: Mapping[str, Any], prefix: str, at: Callable[[float], Any]) -> None:
        super().__init__(fields)
        self.prefix = prefix
        self.at = at

    def asked(self, name: str) -> tuple[bool, Any]:
        if not name.startswith(self.prefix):
            return False, None
        return True, self.at(float(name.removeprefix(self.prefix).replace("_", ".")))


class Worded(dict[str, Any]):
    """Fields, and figures found by a word of the name asked for: `sigma_by_median_mr` by "median"."""

    def __init__(self, fields: Mapping[str, Any], words: Sequence[tuple[Sequence[str], Any]]) -> None:
        super().__init__(fields)
        self.words = words

    def asked(self, name: str) -> tuple[bool, Any]:
        plain = _canonical(name)
        for key in self:
            if name == key or any(_canonical(alias) == plain for alias in str(key).split()):
                return False, None
        return next(
            ((True, value) for words, value in self.words if any(word in plain for word in words)),
            (False, None),
        )


def half_of_last_digit(value: float) -> float:
    """How far a figure that is printed so may be from what was rounded to it."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent) * (1 + 1e-9)


def _significant_digits(value: float) -> int:
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


def zero_based(numbers: Iterable[int]) -> list[int]:
    return [int(number) - 1 for number in numbers]


def numbered(values: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(values, start=1))


def standardised(values: Sequence[Any], centre: Any, sigma: Any) -> list[Any]:
    """Points in sigmas, of one sigma or each its own; those given as z already have centre 0 and sigma 1."""
    centres = centre if isinstance(centre, list) else [centre or 0] * len(values)
    sigmas = sigma if isinstance(sigma, list) else [sigma or 1] * len(values)
    return [
        None if value is None else (value - middle) / spread
        for value, middle, spread in zip(values, centres, sigmas, strict=True)
    ]


def subsets(rules: Mapping[str, Any]) -> list[str]:
    """Every set of rules that has the first, as published tables name them: 1, 12, 13, …"""
    names = sorted(rules)
    found = [names[0]]
    for size in range(1, len(names)):
        found += [names[0] + "".join(rest) for rest in combinations(names[1:], size)]
    return found


def none_of(given: Any) -> float:
    """No shift."""
    return 0.0


def nothing_counted() -> int:
    return 0


def tail() -> float:
    """What a normal value leaves beyond three sigmas on either side."""
    return math.erfc(3 / math.sqrt(2)) / 2


def upper_quantile() -> float:
    """A probability for a limit where a case names none."""
    return 0.99


def half(value: float) -> float:
    return value / 2


def doubled(value: float) -> float:
    return 2 * value


def product(a: float, b: float) -> float:
    return a * b


def quotient(a: float, b: float) -> float:
    return a / b


def inverse(value: float) -> float:
    return 1 / value


def middle(low: float | None, high: float | None) -> float:
    """Half-way between two limits."""
    assert low is not None
    assert high is not None
    return (low + high) / 2


def of_mean(sigma: float, size: int) -> float:
    return float(sigma / math.sqrt(size))


def share_of_million(value: float) -> float:
    return value / 1e6


def percent_of(value: float, whole: float | None) -> float | None:
    return None if not whole else 100 * value / whole


def shrunk(sigmas: float | None, phi: float) -> float:
    """Width of limits from moving ranges of AR(1) values, in true sigmas."""
    return (sigmas or 3.0) * ratio(phi)


def ratio(phi: float) -> float:
    return math.sqrt(1 - phi)


def beyond(sigmas: float) -> float:
    return math.erfc(sigmas / math.sqrt(2))


def small_sizes(rows: Sequence[Mapping[str, Any]]) -> range:
    """The sizes that printed tables begin with."""
    return range(2, 11)


def pod_required(value: float | None) -> float:
    return 0.9 if value is None else value


def crossed(first_values: Any, second_values: Any) -> list[tuple[Any, Any]]:
    """Pairs of two lists, or of a list and one value for all; lists of two lengths are a table's rows and columns."""
    a = first_values if isinstance(first_values, list) else [first_values]
    b = second_values if isinstance(second_values, list) else [second_values]
    if len(a) != len(b):
        return [(one, other) for one in a for other in b]
    return list(zip(a, b, strict=True))


def only(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if len(rows) == 1 else None


def period_bounds(places: Sequence[float], known: Mapping[str, float | None]) -> dict[str, float]:
    """Periods worth looking at where a case names none: between neighbours, and a third of the length."""
    length = max(places) - min(places)
    return {
        "shortest": known.get("shortest") or length / (4 * len(places)),
        "longest": known.get("longest") or length / 3,
    }


def per_lot(value: Any, data: Mapping[str, Any], lots: int) -> list[float] | None:
    """A rate for each lot: given so, for all, or by model before and after a change."""
    if isinstance(value, list) and len(value) == lots:
        return value
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        model = data.get("model") or data.get("stage") or data.get("models")
        if isinstance(model, list):
            return [value[str(one)] for one in model]
        change = data.get("change_at") or data.get("change_after") or lots // 2
        before, after = list(value.values())[:2]
        return [before if lot < change else after for lot in range(lots)]
    return None if value is None else [float(value)] * lots
