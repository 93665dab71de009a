"""Studies of gauges, kept as their readings: whatever follows from them is computed when it is asked for.

A study is of a characteristic (a measurement's name, or a lane whose verdicts are the measurement), made under a model.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from sqlalchemy import insert, select
from uuid_utils.compat import uuid7

from traceability import people, tables
from traceability.accounts import Person, note
from traceability.changes import changes
from traceability.errors import InputMissing, OneClassOnly, StudyIncomplete, TruthContradicts
from traceability.rows import older
from traceability.spc.agreement import (
    AttributeStudy,
    McNemar,
    attribute_study,
    bowker,
    exact_share_interval,
    gwet_ac1_raters,
    mcnemar,
)
from traceability.spc.charts import ChartPair
from traceability.spc.checks import counts, within
from traceability.spc.detection import (
    AnalyticStudy,
    Discrimination,
    PodCurve,
    SignalDetection,
    SignalPod,
    analytic_study,
    discrimination,
    hit_miss,
    signal_against_size,
    signal_detection,
)
from traceability.spc.inspector import Proof
from traceability.spc.msa import (
    BiasStudy,
    GaugeStudy,
    LinearityStudy,
    TypeOneStudy,
    bias_study,
    crossed_study,
    linearity_study,
    nested_study,
    stability_study,
    type_one_study,
)
from traceability.spc.sampling import EscapeAudit, audit_of_passed
from traceability.store import TraceStore

StudyKind = Literal[
    "crossed",
    "nested",
    "type_one",
    "bias",
    "linearity",
    "stability",
    "attribute",
    "versions",
    "grey_zone",
    "analytic",
    "hit_miss",
    "signal",
    "accuracy",
    "audit",
]
"""Gauge R&R (each operator measures all parts, or parts of their own), one part of known value measured often, its
bias, that over the range, and over time; verdicts of appraisers, or of two model versions, beside the truth; verdicts
on parts of known size near a limit, to see how wide the zone is in which they differ (signal detection, and AIAG's
analytic method); which defects of known size were found, and how strong their signal was; sensitivity and specificity
from parts of known state; passed parts looked at again."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MOST_READINGS: Final = 20_000

LARGEST_GRR: Final = 30.0
"""Percent of the tolerance, or of the study variation where there is none: above, a gauge is not acceptable (AIAG, MSA,
4th ed., chapter III, section B)."""

LEAST_CG: Final = 1.33

LEAST_EFFECTIVENESS: Final = 0.9
"""Of an appraiser (AIAG, MSA, 4th ed., chapter III, section C)."""

GOOD: Final = "ok"
"""What an attribute study calls a good part."""

VALID_FOR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`readings` by name, as `check` wants them; `person` is None where a program brought them, or the service made it
    by itself (`standing_studies.py`; then they name the order under `standing`)."""

    id: UUID
    kind: StudyKind
    characteristic: str
    model: str
    readings: Mapping[str, Any]
    made_at: datetime
    person: str | None
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Of parts of known state: share of bad ones rejected, of good ones passed, with exact 95 % intervals."""

    proof: Proof
    sensitivity_interval: tuple[float, float]
    specificity_interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """X̄ and R of a master part over time, and the bias of its grand mean; None without a reference."""

    pair: ChartPair
    bias: float | None

    @property
    def signals(self) -> int:
        spread = () if self.pair.spread is None else self.pair.spread.signals
        return len(self.pair.location.signals) + len(spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An attribute study, and what its tables say further.

    ac1         agreement of all appraisers beyond chance, that does not collapse where bad parts are rare (Gwet)
    symmetry_p  the least of Bowker's tests between two appraisers, times their pairs: is one stricter than another?
    sight       how far apart good and bad look to all appraisers (signal detection theory); None without both
    """

    study: AttributeStudy
    ac1: float
    symmetry_p: float
    sight: Discrimination | None


Result = (
    GaugeStudy
    | TypeOneStudy
    | BiasStudy
    | LinearityStudy
    | Stability
    | Agreement
    | McNemar
    | SignalDetection
    | AnalyticStudy
    | PodCurve
    | SignalPod
    | Accuracy
    | EscapeAudit
)


def result_of(study: Study) -> Result:
    """What follows from a study's readings. Raises SpcError where nothing can."""
    return _computed(study.kind, study.readings, made_at=study.made_at, model=study.model)


def is_good(result: Result) -> bool:
    """Does the study show a gauge that may be used? Accuracy, POD and audits have no limit: they are figures."""
    match result:
        case GaugeStudy():
            shares = result.result.percent_tolerance or result.result.percent_study
            return shares["GRR"] <= LARGEST_GRR
        case TypeOneStudy():
            return min(result.cg, result.cgk) >= LEAST_CG
        case BiasStudy() | LinearityStudy():
            return result.is_acceptable
        case Stability():
            return result.signals == 0
        case Agreement():
            return all(one.effectiveness >= LEAST_EFFECTIVENESS for one in result.study.appraisers.values())
        case _:
            return True


Remark = Literal["one_appraiser", "one_trial"]


def remarks_on(result: Result) -> tuple[Remark, ...]:
    """What a study cannot say for lack of somebody or something: of one appraiser alone nothing about how far several
    agree, of one trial each nothing about whether an appraiser agrees with himself."""
    if not isinstance(result, Agreement):
        return ()
    of_all = list(result.study.appraisers.values())
    said: dict[Remark, bool] = {"one_appraiser": len(of_all) == 1, "one_trial": result.study.trials == 1}
    return tuple(remark for remark, holds in said.items() if holds)


JUDGED: Final = ("crossed", "nested", "type_one", "bias", "linearity", "stability", "attribute")
"""The kinds that end in acceptable or not."""


def is_gauge_proven(
    store: TraceStore,
    characteristic: str,
    *,
    at: datetime,
    measured: Iterable[tuple[str, datetime]] = (),
    station: str | None = None,
) -> bool:
    """Is there a gauge R&R study of it, not older than a year, whose result is good?

    measured  lane and time of each value that is to be reported. Of all that a lane measured between two changes of its
              camera, lamp or lens, the newest study between the same two counts: before and after are other gauges
    """
    known = studies(
        store,
        characteristic=characteristic,
        kinds=("crossed", "nested"),
        since=at - VALID_FOR,
        limit=None,
    )
    changed: dict[str, list[datetime]] = {}
    for change in changes(store, station=station):
        changed.setdefault(change.lane, []).append(change.at)
    reported = {(lane, bisect_right(changed.get(lane, []), when)) for lane, when in measured} or {("", 0)}
    newest = [
        next((one for one in known if bisect_right(changed.get(lane, []), one.made_at) == span), None)
        for lane, span in sorted(reported)
    ]
    return all(one is not None and is_good(result_of(one)) for one in newest)


def record(
    store: TraceStore,
    *,
    kind: StudyKind,
    characteristic: str,
    model: str,
    readings: Mapping[str, Any],
    at: datetime,
    by: Person | None,
    simulated: bool = False,
) -> Study:
    """Keep a study that something follows from. Raises SpcError for one that nothing does."""
    _one_truth(kind, readings)
    _computed(kind, readings, made_at=at, model=model)
    id = uuid7()
    with store.writing() as connection:
        row = {
            "id": id,
            "kind": kind,
            "characteristic": characteristic,
            "model": model,
            "readings": dict(readings),
            "made_at": at,
            "by": None if by is None else people.commit(connection, by.name),
            "simulated": simulated,
        }
        connection.execute(insert(tables.gauge_study), row)
        note(connection, at=at, by=by, action="study.recorded", subject=f"study:{id}", after={"kind": kind})
    return Study(
        id=id,
        kind=kind,
        characteristic=characteristic,
        model=model,
        readings=readings,
        made_at=at,
        person=None if by is None else by.name,
        simulated=simulated,
    )


def check(kind: StudyKind, readings: Mapping[str, Any]) -> None:
    """Raises SpcError for readings from which nothing follows."""
    _one_truth(kind, readings)
    _computed(kind, readings, made_at=datetime.now(UTC), model="")


def studies(
    store: TraceStore,
    *,
    characteristic: str | None = None,
    kinds: Sequence[StudyKind] = (),
    since: datetime | None = None,
    limit: int | None = 200,
    before: UUID | None = None,
) -> tuple[Study, ...]:
    """The newest first. `before` goes on where an earlier answer ended.

    kinds  none: all
    limit  None: all. A proof holds, however many other studies came after it
    """
    study = tables.gauge_study
    rows = select(study).order_by(study.c.made_at.desc(), study.c.id.desc()).limit(limit)
    if before is not None:
        rows = rows.where(older(study.c.made_at, study.c.id, before))
    if characteristic is not None:
        rows = rows.where(study.c.characteristic == characteristic)
    if kinds:
        rows = rows.where(study.c.kind.in_(kinds))
    if since is not None:
        rows = rows.where(study.c.made_at >= since)
    with store.reading() as connection:
        found = connection.execute(rows).all()
        names = people.names(connection, [row.by for row in found if row.by is not None])
    return tuple(
        Study(
            id=row.id,
            kind=row.kind,
            characteristic=row.characteristic,
            model=row.model,
            readings=row.readings,
            made_at=row.made_at,
            person=None if row.by is None else names.get(row.by, row.by[:12]),
            simulated=row.simulated,
        )
        for row in found
    )


_TRUE_OF_A_PART: Final[Mapping[StudyKind, str]] = {
    "attribute": "truth",
    "versions": "truth",
    "grey_zone": "master",
    "analytic": "master",
}
"""What readings say of a part each time that it was looked at, by kind."""


def _one_truth(kind: StudyKind, readings: Mapping[str, Any]) -> None:
    """Raises TruthContradicts where the same part is said to be two things, or of two sizes."""
    parts, said = readings.get("part") or [], readings.get(_TRUE_OF_A_PART.get(kind, "")) or []
    known: dict[str, int] = {}
    for line, (part, one) in enumerate(zip(parts, said, strict=False)):
        first = known.setdefault(part, line)
        if said[first] != one:
            raise TruthContradicts(
                f"{kind}: part {part} is {said[first]!r} in reading {first + 1} and {one!r} in reading {line + 1}.",
                action="Find out which is true, correct the other, and enter the study again.",
                method=kind,
                part=part,
                first=said[first],
                first_line=first + 1,
                second=one,
                second_line=line + 1,
            )


def _computed(kind: StudyKind, readings: Mapping[str, Any], *, made_at: datetime, model: str) -> Result:
    size = max((len(one) for one in readings.values() if isinstance(one, list)), default=0)
    within(size, parameter="readings", allowed=f"0..{MOST_READINGS}", is_allowed=size <= MOST_READINGS)

    def given(name: str) -> Any:
        said = readings.get(name)
        if said is None or said == []:
            raise InputMissing(
                f"{kind}: {name} was not given.",
                action="Give it with the other readings.",
                method=kind,
                name=name,
            )
        return said

    match kind:
        case "crossed":
            return crossed_study(
                given("part"), given("operator"), given("value"), tolerance=readings.get("tolerance")
            )
        case "nested":
            return nested_study(
                given("operator"), given("part"), given("value"), tolerance=readings.get("tolerance")
            )
        case "type_one":
            return type_one_study(given("value"), reference=given("reference"), tolerance=given("tolerance"))
        case "bias":
            return bias_study(given("value"), reference=given("reference"))
        case "linearity":
            by_master = _grouped(given("master"), given("value"))
            return linearity_study(list(by_master), list(by_master.values()))
        case "stability":
            pair, bias = stability_study(
                list(_grouped(given("part"), given("value")).values()), reference=readings.get("reference")
            )
            return Stability(pair=pair, bias=bias)
        case "attribute":
            return _agreement(given("part"), given("operator"), given("rating"), given("truth"))
        case "versions":
            return _versions(given("part"), given("operator"), given("rating"), given("truth"))
        case "grey_zone":
            tried = _tried(given("part"), given("master"), given("rating"))
            return signal_detection(
                [one.size for one in tried],
                [one.accepted == one.trials for one in tried],
                [one.accepted == 0 for one in tried],
                tolerance=readings.get("tolerance"),
            )
        case "analytic":
            return _analytic(given("part"), given("master"), given("rating"), limit=given("reference"))
        case "hit_miss":
            return hit_miss(given("size"), given("hit"))
        case "signal":
            return signal_against_size(given("size"), given("value"), threshold=given("threshold"))
        case "audit":
            audited, escapes = int(given("audited")), int(given("escapes"))
            counts([escapes], [audited], method="audit")
            return audit_of_passed(audited=audited, escapes=escapes)
        case "accuracy":
            pass
    bad, good = int(given("bad_parts")), int(given("good_parts"))
    caught, passed = int(given("bad_rejected")), int(given("good_passed"))
    counts([caught, passed], [bad, good], method="accuracy")
    return Accuracy(
        proof=Proof(
            sensitivity=caught / bad,
            specificity=passed / good,
            bad_parts=bad,
            good_parts=good,
            proven_at=made_at,
            model=model,
        ),
        sensitivity_interval=exact_share_interval(caught, bad),
        specificity_interval=exact_share_interval(passed, good),
    )


def _grouped(keys: Sequence[Key], values: Sequence[Value]) -> dict[Key, list[Value]]:
    """The values of each key, in the order in which keys first came."""
    within(len(values), parameter="value", allowed=str(len(keys)), is_allowed=len(values) == len(keys))
    found: dict[Key, list[Value]] = {}
    for key, value in zip(keys, values, strict=True):
        found.setdefault(key, []).append(value)
    return found


def _lines(*columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Raises ParameterOutOfRange where one of the columns is shorter than another."""
    longest = max(map(len, columns))
    shortest = min(map(len, columns))
    within(shortest, parameter="readings", allowed=str(longest), is_allowed=shortest == longest)
    return list(zip(*columns, strict=True))


def _agreement(
    part: Sequence[str], operator: Sequence[str], rating: Sequence[str], truth: Sequence[str]
) -> Agreement:
    """A line each rating. Raises StudyIncomplete where somebody did not rate a part, or not as often, OneClassOnly
    where all is the same."""
    people = list(dict.fromkeys(operator))
    of_part = _grouped(part, _lines(operator, rating, truth))
    if len({*rating, *truth}) == 1:
        raise OneClassOnly(
            f"attribute: all parts are {truth[0]!r}, and so are all verdicts on them.",
            action="Put parts of the other kind into the study, and parts near the limit.",
            method="attribute",
            value=truth[0],
        )
    study = attribute_study(
        [
            [[seen for who, seen, _ in lines if who == person] for person in people]
            for lines in of_part.values()
        ],
        reference=[lines[0][2] for lines in of_part.values()],
        good=GOOD,
        appraisers=people,
    )
    tests = [bowker(table).p for table in study.crosstabs.values()]
    said = [[seen for _, seen, _ in lines] for lines in of_part.values()]
    counted = [[sum(seen == category for seen in some) for category in study.categories] for some in said]
    return Agreement(
        study=study,
        ac1=gwet_ac1_raters(counted) if len(said[0]) > 1 else nan,
        symmetry_p=min(1.0, min(tests) * len(tests)) if tests else nan,
        sight=_sight(rating, truth),
    )


def _sight(rating: Sequence[str], truth: Sequence[str]) -> Discrimination | None:
    calls = Counter((called != GOOD, is_so != GOOD) for called, is_so in zip(rating, truth, strict=True))
    if len({is_bad for _, is_bad in calls}) < 2:
        return None
    return discrimination(
        hits=calls[True, True],
        misses=calls[False, True],
        false_alarms=calls[True, False],
        correct_rejections=calls[False, False],
    )


def _versions(
    part: Sequence[str], model: Sequence[str], rating: Sequence[str], truth: Sequence[str]
) -> McNemar:
    """Two versions on the same parts, the one that was named first before the other. Raises StudyIncomplete where one
    did not see a part once."""
    names = list(dict.fromkeys(model))
    within(len(names), parameter="operator", allowed="2", is_allowed=len(names) == 2)
    table = [[0, 0], [0, 0]]
    for name, lines in _grouped(part, _lines(model, rating, truth)).items():
        right = {version: (called == GOOD) == (is_so == GOOD) for version, called, is_so in lines}
        if len(lines) != 2 or set(right) != set(names):
            raise StudyIncomplete(
                f"versions: {name} has {len(lines)} results where 2 are needed.",
                action="Give one verdict of each version on each part.",
                method="versions",
                cell=name,
                found=len(lines),
                needed=2,
            )
        table[not right[names[0]]][not right[names[1]]] += 1
    return mcnemar(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A part of known size: how often it was tried, and accepted."""

    size: float
    trials: int
    accepted: int


def _tried(part: Sequence[str], master: Sequence[float], rating: Sequence[str]) -> tuple[_Tried, ...]:
    of_part = _grouped(part, _lines(master, rating))
    return tuple(
        _Tried(size=lines[0][0], trials=len(lines), accepted=sum(called == GOOD for _, called in lines))
        for lines in of_part.values()
    )


def _analytic(
    part: Sequence[str], master: Sequence[float], rating: Sequence[str], *, limit: float
) -> AnalyticStudy:
    """Of a lower limit where greater parts are accepted more often, else of an upper one. Raises StudyIncomplete where
    a part was tried more often than another."""
    tried = _tried(part, master, rating)
    most = max((one.trials for one in tried), default=0)
    for name, one in zip(dict.fromkeys(part), tried, strict=True):
        if one.trials != most:
            raise StudyIncomplete(
                f"analytic: {name} has {one.trials} results where {most} are needed.",
                action="Try each part as often as the others.",
                method="analytic",
                cell=name,
                found=one.trials,
                needed=most,
            )
    by_size = sorted(tried, key=lambda one: one.size)
    is_rising = not by_size or by_size[-1].accepted >= by_size[0].accepted
    return analytic_study(
        [one.size for one in tried],
        [one.accepted for one in tried],
        trials=max(most, 1),
        limit=limit,
        side="lower" if is_rising else "upper",
    )
