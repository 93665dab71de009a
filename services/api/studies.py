"""Studies of gauges: readings in, figures out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import isfinite
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.access import Caller, Right, needs
from services.api.once import OnceRoute
from services.api.paging import NEXT, Paged
from services.api.serving import Here, Moment
from services.problems import problems
from traceability import gauge_studies
from traceability.accounts import Person
from traceability.errors import ReadingsUnreadable
from traceability.gauge_studies import Accuracy, Agreement, Stability, Study, StudyKind, result_of
from traceability.golden_parts import FromRecord, check_parts, golden_readings, golden_values
from traceability.identifiers import parse
from traceability.spc.agreement import McNemar
from traceability.spc.detection import AnalyticStudy, PodCurve, SignalDetection, SignalPod
from traceability.spc.msa import BiasStudy, GaugeStudy, LinearityStudy, TypeOneStudy
from traceability.spc.sampling import EscapeAudit
from traceability.store import TraceStore

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)

LOOKS_BACK = timedelta(days=30)

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)

Reader = Annotated[Caller, Depends(needs(Right.RECORD))]

Numbers = Annotated[list[float], Field(max_length=gauge_studies.MOST_READINGS)]
Words = Annotated[list[str], Field(max_length=gauge_studies.MOST_READINGS)]


class Readings(BaseModel):
    """What a study of each kind needs; the rest stays empty.

    crossed    part, operator (whatever the part was measured under: station, camera, reload), value; tolerance
    nested     the same, where nobody measures another's parts
    type_one   value, reference, tolerance
    bias       value, reference
    linearity  master (the known value of each part), value
    stability  part (the occasion), value; reference
    attribute  part, operator, rating, truth: `ok` for a good part, any other word for a bad one
    versions   the same, with two model versions for operators, each once on each part
    grey_zone  part, master (its known size), rating, tried often; tolerance
    analytic   the same, each part as often, around one limit: reference
    hit_miss   size, hit (1 found, 0 missed)
    signal     size, value (the signal); threshold
    audit      audited, escapes: passed parts looked at again, and the bad ones among them
    accuracy   bad_parts, bad_rejected, good_parts, good_passed
    """

    model_config = ConfigDict(extra="forbid")

    part: Words | None = None
    operator: Words | None = None
    value: Numbers | None = None
    master: Numbers | None = None
    rating: Words | None = None
    truth: Words | None = None
    size: Numbers | None = None
    hit: Annotated[list[Annotated[int, Field(ge=0, le=1)]], Field(max_length=20_000)] | None = None
    tolerance: Annotated[float, Field(gt=0)] | None = None
    reference: float | None = None
    threshold: Annotated[float, Field(gt=0)] | None = None
    audited: Annotated[int, Field(ge=1, le=10**7)] | None = None
    escapes: Annotated[int, Field(ge=0, le=10**7)] | None = None
    bad_parts: Annotated[int, Field(ge=0, le=10**7)] | None = None
    bad_rejected: Annotated[int, Field(ge=0, le=10**7)] | None = None
    good_parts: Annotated[int, Field(ge=0, le=10**7)] | None = None
    good_passed: Annotated[int, Field(ge=0, le=10**7)] | None = None


class NewStudy(BaseModel):
    """`characteristic` is a measurement's name, or a lane whose verdicts are measured; `model` as records name it."""

    model_config = ConfigDict(extra="forbid")

    kind: StudyKind
    characteristic: str = Field(min_length=1, max_length=100)
    model: str = Field(default="", max_length=200)
    readings: Readings


class FigureAnswer(BaseModel):
    """`key` names the figure in texts and programs."""

    key: str
    value: float | None


class StudyAnswer(BaseModel):
    """`remarks`: what the study cannot say. Figures that it would take more appraisers or trials for are null."""

    id: UUID
    kind: StudyKind
    characteristic: str
    model: str
    made_at: datetime
    person: str | None
    simulated: bool
    is_good: bool
    figures: list[FigureAnswer]
    remarks: list[gauge_studies.Remark]

    @staticmethod
    def of(study: Study) -> StudyAnswer:
        result = result_of(study)
        return StudyAnswer(
            id=study.id,
            kind=study.kind,
            characteristic=study.characteristic,
            model=study.model,
            made_at=study.made_at,
            person=study.person,
            simulated=study.simulated,
            is_good=gauge_studies.is_good(result),
            figures=[FigureAnswer(key=key, value=value) for key, value in figures(result).items()],
            remarks=list(gauge_studies.remarks_on(result)),
        )


@router.get("/studies", responses=NEXT)
def all_studies(
    here: Here, page: Paged, characteristic: Annotated[str | None, Query(max_length=100)] = None
) -> list[StudyAnswer]:
    """The newest first."""
    found = gauge_studies.studies(
        here.store, characteristic=characteristic or None, limit=page.limit, before=page.before
    )
    page.told([one.id for one in found])
    return [StudyAnswer.of(one) for one in found]


@router.post(
    "/studies",
    status_code=HTTPStatus.CREATED,
    responses=NOT_FOR_ALL,
)
def new_study(here: Here, caller: Reader, given: NewStudy) -> StudyAnswer:
    """Keep a study. One from which nothing follows is refused with what is wrong in it."""
    study = gauge_studies.record(
        here.store,
        kind=given.kind,
        characteristic=given.characteristic,
        model=given.model,
        readings=given.readings.model_dump(exclude_none=True),
        at=datetime.now(UTC),
        by=caller.person,
    )
    return StudyAnswer.of(study)


class FromRecordSaid(BaseModel):
    """A study of what the lanes measured on golden `parts`, by their codes, from `since` on (default: 30 days)."""

    model_config = ConfigDict(extra="forbid")

    kind: FromRecord
    characteristic: str = Field(min_length=1, max_length=100)
    parts: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1)]
    since: Moment | None = None
    station: str | None = Field(default=None, max_length=100)
    lane: str | None = Field(default=None, max_length=100)
    model: str = Field(default="", max_length=200)
    reference: float | None = None
    tolerance: Annotated[float, Field(gt=0)] | None = None


@router.post(
    "/studies/from-record",
    status_code=HTTPStatus.CREATED,
    responses=NOT_FOR_ALL | problems(HTTPStatus.BAD_REQUEST),
)
def new_study_from_record(here: Here, caller: Reader, said: FromRecordSaid) -> StudyAnswer:
    """Gauge R&R over lanes, type 1, bias or stability of what is on record of golden parts: nothing is typed."""
    return study_from_record(here.store, said, by=caller.person)


def study_from_record(store: TraceStore, said: FromRecordSaid, *, by: Person | None) -> StudyAnswer:
    """Raises CodeNotParsed, and SpcError where nothing follows from what is on record."""
    now = datetime.now(UTC)
    parts = [parse(code) for code in said.parts]
    check_parts(said.kind, parts)
    values = golden_values(
        store,
        said.characteristic,
        parts,
        since=said.since or now - LOOKS_BACK,
        station=said.station or None,
        lane=said.lane or None,
    )
    readings = golden_readings(said.kind, parts, values)
    known = {"reference": said.reference, "tolerance": said.tolerance}
    study = gauge_studies.record(
        store,
        kind=said.kind,
        characteristic=said.characteristic,
        model=said.model,
        readings=readings | {name: value for name, value in known.items() if value is not None},
        at=now,
        by=by,
        simulated=any(one.simulated for one in values),
    )
    return StudyAnswer.of(study)


def figures(result: gauge_studies.Result) -> dict[str, float | None]:
    """The figures of a study that a page shows, by key."""
    if isinstance(result, GaugeStudy):
        found = result.result
        shares: Any = found.percent_tolerance
        return {
            "grr_study": found.percent_study["GRR"],
            "grr_tolerance": None if shares is None else shares["GRR"],
            "ev_study": found.percent_study["EV"],
            "av_study": found.percent_study["AV"],
            "pv_study": found.percent_study["PV"],
            "ndc": float(found.ndc),
        }
    if isinstance(result, TypeOneStudy):
        return {"bias": result.bias, "sd": result.sd, "cg": result.cg, "cgk": result.cgk, "p_bias": result.p}
    if isinstance(result, BiasStudy):
        low, high = result.interval
        return {"bias": result.bias, "bias_low": low, "bias_high": high, "sd": result.sd, "p_bias": result.p}
    if isinstance(result, LinearityStudy):
        return {
            "slope": result.slope,
            "p_slope": result.p_slope,
            "intercept": result.intercept,
            "bias": result.overall_bias,
            "r_squared": result.r_squared,
        }
    if isinstance(result, Stability):
        return {
            "occasions": float(result.pair.location.value.size),
            "signals": float(result.signals),
            "bias": result.bias,
            "sd": result.pair.limits.sigma,
        }
    if isinstance(result, Agreement):
        of_all = list(result.study.appraisers.values())
        # What several trials of one appraiser agree in is no agreement between appraisers.
        has_several = len(of_all) > 1
        return {
            "system_effectiveness": result.study.system_effectiveness,
            "effectiveness": min(one.effectiveness for one in of_all),
            "miss": max((one.miss for one in of_all if one.miss is not None), default=None),
            "false_alarm": max(
                (one.false_alarm for one in of_all if one.false_alarm is not None), default=None
            ),
            "within": min(one.within for one in of_all) / result.study.parts
            if result.study.trials > 1
            else None,
            "kappa": _known(min(one.kappa_reference.kappa for one in of_all)),
            "fleiss": _known(result.study.fleiss_between.kappa) if has_several else None,
            "ac1": _known(result.ac1) if has_several else None,
            "p_symmetry": _known(result.symmetry_p) if has_several else None,
            "d_prime": None if result.sight is None else result.sight.d_prime,
            "criterion": None if result.sight is None else result.sight.criterion,
        }
    if isinstance(result, McNemar):
        return {
            "only_first": float(result.only_first),
            "only_second": float(result.only_second),
            "difference": result.difference,
            "difference_low": result.interval[0],
            "difference_high": result.interval[1],
            "p_versions": result.p_exact,
        }
    if isinstance(result, SignalDetection):
        return {
            "grey_lower": result.width_lower,
            "grey_upper": result.width_upper,
            "grr_width": result.width,
            "grr_tolerance": result.percent_tolerance,
        }
    if isinstance(result, AnalyticStudy):
        return {
            "bias": result.bias,
            "repeatability": result.repeatability,
            "p_bias": result.p,
            "r_squared": result.r_squared,
        }
    if isinstance(result, SignalPod):
        return {
            "a50": result.a50,
            "a90": result.a90,
            "a90_95_delta": result.a90_95,
            "r_squared": result.r_squared,
            "looked_for": float(result.n),
        }
    if isinstance(result, EscapeAudit):
        return {
            "audited": float(result.audited),
            "escapes": float(result.escapes),
            "escapes_per_million": result.per_million,
            "escapes_at_most": result.upper,
        }
    if isinstance(result, PodCurve):
        return {
            "a50": result.a50,
            "a90": result.a90,
            "a90_95": result.a90_95["likelihood_ratio"],
            "found": float(result.hits),
            "looked_for": float(result.n),
        }
    assert isinstance(result, Accuracy)
    proof = asdict(result.proof)
    return {
        "sensitivity": proof["sensitivity"],
        "sensitivity_low": result.sensitivity_interval[0],
        "specificity": proof["specificity"],
        "specificity_low": result.specificity_interval[0],
        "bad_parts": float(proof["bad_parts"]),
        "good_parts": float(proof["good_parts"]),
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


_COLUMNS: dict[StudyKind, tuple[str, ...]] = {
    "crossed": ("part", "operator", "value"),
    "nested": ("operator", "part", "value"),
    "type_one": ("value",),
    "bias": ("value",),
    "linearity": ("master", "value"),
    "stability": ("part", "value"),
    "attribute": ("part", "operator", "rating", "truth"),
    "versions": ("part", "operator", "rating", "truth"),
    "grey_zone": ("part", "master", "rating"),
    "analytic": ("part", "master", "rating"),
    "hit_miss": ("size", "hit"),
    "signal": ("size", "value"),
    "audit": ("audited", "escapes"),
    "accuracy": ("bad_parts", "bad_rejected", "good_parts", "good_passed"),
}


_COUNTS: tuple[StudyKind, ...] = ("accuracy", "audit")
"""Of these one line says all."""


def readings_of(kind: StudyKind, text: str, *, tolerance: str = "", reference: str = "") -> dict[str, Any]:
    """Readings typed or pasted from a spreadsheet: a line each, parted by commas, semicolons, tabs or spaces.

    Raises ReadingsUnreadable, which names the line.
    """
    columns = _COLUMNS[kind]
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.replace(",", " ").replace(";", " ").split()
        if not cells:
            continue
        if len(cells) != len(columns):
            raise _unreadable(number, line, columns, reason="line")
        if kind in _COUNTS and found[columns[0]]:
            raise _unreadable(number, line, columns, reason="second_line")
        for name, cell in zip(columns, cells, strict=True):
            if name in ("part", "operator", "rating", "truth"):
                found[name].append(cell)
                continue
            try:
                found[name].append(int(cell) if name == "hit" or kind in _COUNTS else float(cell))
            except ValueError as error:
                raise _unreadable(number, line, columns, reason="line") from error
    given: dict[str, Any] = dict(found)
    if kind in _COUNTS:
        given = {name: values[0] for name, values in found.items() if values}
    # The value that a signal is judged by is asked for in the same field as a known value.
    known = "threshold" if kind == "signal" else "reference"
    for name, said in (("tolerance", tolerance), (known, reference)):
        if said.strip():
            try:
                given[name] = float(said)
            except ValueError as error:
                raise _unreadable(0, said, (name,), reason="field") from error
    return given


def _unreadable(
    line: int, text: str, columns: tuple[str, ...], *, reason: Literal["line", "second_line", "field"]
) -> ReadingsUnreadable:
    is_second = reason == "second_line"
    return ReadingsUnreadable(
        f"Line {line} ({text[:60]!r}) is {'one too many for' if is_second else 'not'} {', '.join(columns)}.",
        action="Add the figures up and give them in one line, or record a study for each."
        if is_second
        else "Give one reading a line, its parts separated by commas or tabs.",
        reason=reason,
        line=line,
        text=text[:60],
        columns=", ".join(columns),
    )
