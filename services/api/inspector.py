"""The inspector as a gauge: did the process move or the inspection? And rejects corrected for both errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import ceil, isfinite
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.api.charts import ChartAnswer, comments_of, points_of, rules_of, signals_of
from services.api.serving import Here, Language, Moment, OnRecord
from services.problems import problems
from services.text import explain, say
from services.web.rendering import quantity_name, subgroup_url
from traceability.changes import Change, changes
from traceability.chart_book import Book, chart_name
from traceability.errors import ProofStale, SpcError, TooFewSubgroups
from traceability.factors import places
from traceability.gauge_studies import Accuracy, Study, result_of, studies
from traceability.own_series import Own, by_hour, own_series
from traceability.samples import MeasuredMean, Window, count_samples, hourly_means
from traceability.spc.attributes import CountSample, count_chart
from traceability.spc.causes import Change as Jump
from traceability.spc.causes import change_point
from traceability.spc.charts import ControlChart, individuals_chart
from traceability.spc.detection import PodCurve
from traceability.spc.inspector import (
    CorrectedChart,
    Proof,
    accuracy_from_review,
    corrected_chart,
    require_fresh,
    score_drift,
    who_moved,
    why_stale,
)
from traceability.spc.rules import PRESETS
from traceability.spc.sampling import EscapeAudit

router = APIRouter(prefix="/spc", tags=["statistics"])

LOOKS_BACK = timedelta(days=3)

INSPECTORS_OWN = ("image_", "golden", "registration", "focus", "exposure", "latency", "score_of_passed")
"""How measurements begin that say how well the inspection sees, not what the product is like."""

UNDER = "recipe, model"
"""The step that a change of what units are judged under makes; told to readers by a key of the texts."""

LEAST_HOURS = 6

NEAR_HOURS = 2
"""From the change of the rejects: what changed nearer to it is a suspect."""

LEAST_ON_A_SIDE = 2
"""Hours before, and after, a change: one hour alone is no level."""

LEAST_RATES = 2
"""Points of a chart of false calls or escapes."""

LEAST_SCORES = 50
"""In each half: below, bins of a tenth hold chance."""

LEAST_LOOKED_AT = 30
"""Reviewed rejects, and audited passed parts: as many as a proof takes of bad parts, and of good ones."""

BINS = 16

RULES = "nelson_1_2"

NO_BOOK = Book(excluded={}, comments=(), frozen=None, version=0)


class RefusalAnswer(BaseModel):
    """Why there is no corrected chart, in the reader's language."""

    code: str
    what: str
    action: str


class MoverAnswer(BaseModel):
    """A series beside the rejects: where it changed and how surely. Ranked: sure and near first."""

    name: str
    title: str
    is_inspector: bool
    at: datetime
    hours_after: int
    level_before: float
    level_after: float
    p: float
    is_suspect: bool


class NotComparedAnswer(BaseModel):
    """A series with a value in too few of the hours that were judged, or in too few before or after the rejects
    changed: whether it moved with them nobody can say."""

    name: str
    title: str
    is_inspector: bool
    hours: int


class ProofAnswer(BaseModel):
    """What a model was proven to see: shares with exact 95 % intervals."""

    model: str
    sensitivity: float
    sensitivity_interval: tuple[float, float]
    specificity: float
    specificity_interval: tuple[float, float]
    bad_parts: int
    good_parts: int
    at: datetime
    simulated: bool


class BinAnswer(BaseModel):
    from_mm: float
    to_mm: float
    defects: int


class BlindZoneAnswer(BaseModel):
    """Sizes of the defects found, and below which size not nine in ten are found for sure. `method` names the bound."""

    bins: list[BinAnswer]
    a90_mm: float | None
    a90_95_mm: float | None
    method: str
    found_in_study: int
    defects_in_study: int


class NowAnswer(BaseModel):
    """Sensitivity and specificity in the time shown, from review of rejects and audits of passed parts, without the
    bias of looking at rejects more often (Begg and Greenes). Shares, with 95 % intervals."""

    sensitivity: float | None
    sensitivity_interval: tuple[float, float]
    specificity: float | None
    specificity_interval: tuple[float, float]
    false_call_rate: float
    escape_rate: float
    reviewed: int
    audited: int


class DriftAnswer(BaseModel):
    """Population stability index of the scores of passed parts: the newer half of them against the older."""

    psi: float
    grade: Literal["steady", "moving", "changed"]
    parts: int


class InspectorAnswer(BaseModel):
    """`moved_at`: where the share of rejects changed. `verdict`: whose series moved with it (docs/statistics.md), of
    those that are not in `not_compared`.

    `corrected_by`: the accuracy studies that hold, or, where none does, what reviews and audits say `now`; `refusal`
    says why none does
    """

    lane: str
    since: datetime
    moved_at: datetime | None
    share_before: float | None
    share_after: float | None
    moved_p: float | None
    verdict: str
    movers: list[MoverAnswer]
    not_compared: list[NotComparedAnswer]
    plain: ChartAnswer
    corrected: ChartAnswer | None
    corrected_by: Literal["proofs", "now"] | None
    refusal: RefusalAnswer | None
    proofs: list[ProofAnswer]
    own: list[ChartAnswer]
    now: NowAnswer | None
    drift: DriftAnswer | None
    blind_zone: BlindZoneAnswer | None


@router.get("/inspector", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def inspector(
    here: Here,
    language: Language,
    lane: Annotated[str, Query(min_length=1, max_length=100)],
    station: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[Moment | None, Query(description="default: 3 days")] = None,
    until: Annotated[Moment | None, Query(description="default: now")] = None,
) -> InspectorAnswer:
    """Charts of the inspection itself, beside its rejects, hour by hour."""
    return inspector_of(
        here,
        language,
        lane=lane,
        station=station or None,
        since=since or (until or datetime.now(UTC)) - LOOKS_BACK,
        until=until,
    )


def inspector_of(
    here: OnRecord,
    language: str,
    *,
    lane: str,
    station: str | None,
    since: datetime,
    until: datetime | None = None,
) -> InspectorAnswer:
    """Raises TooFewSubgroups where fewer than six hours were judged."""
    counted = [
        sample
        for sample in count_samples(
            here.store, by="hour", since=since, until=until, station=station, lane=lane
        )
        if sample.opportunity > 0
    ]
    if len(counted) < LEAST_HOURS:
        raise TooFewSubgroups(
            f"Needs at least {LEAST_HOURS} hours with judged units; there are {len(counted)}.",
            action="Choose a longer time, or wait until more was inspected.",
            found=len(counted),
            needed=LEAST_HOURS,
        )
    seen = own_series(here.store, since=since, until=until, station=station, lane=lane)
    means = hourly_means(here.store, since=since, until=until, station=station, lane=lane) | {
        name: found
        for name, series in (("latency", seen.latency_s), ("score_of_passed", seen.scores))
        if (found := _means(series))
    }
    known = studies(here.store, characteristic=lane, kinds=("accuracy", "audit", "hit_miss"), limit=None)
    proofs = _proofs(known)
    happened = changes(here.store, station=station, lane=lane)
    now = _now(known, seen, since=since)
    plain, corrected, refusal = _charts(
        language, counted, proofs, happened, now, lane=lane, station=station, since=since
    )
    moved = change_point(
        [sample.count for sample in counted],
        [sample.opportunity for sample in counted],
        kind="binomial",
        least=LEAST_ON_A_SIDE,
        permutations=199,
    )
    movers, not_compared = _movers(language, counted, means, moved)
    is_moved = moved.p <= 0.01
    suspects = [one for one in movers if one.is_suspect] if is_moved else []
    return InspectorAnswer(
        lane=lane,
        since=since,
        moved_at=counted[moved.before].at if is_moved else None,
        share_before=moved.level_before if is_moved else None,
        share_after=moved.level_after if is_moved else None,
        moved_p=moved.p,
        verdict="nothing"
        if not is_moved
        else "unknown"
        if not suspects
        else "inspector"
        if suspects[0].is_inspector
        else "process",
        movers=movers,
        not_compared=not_compared,
        plain=plain,
        corrected=corrected,
        corrected_by=None if corrected is None else "proofs" if refusal is None else "now",
        refusal=refusal,
        proofs=[_proof_answer(*of_model[0]) for of_model in proofs.values()],
        own=[
            *(
                _own_chart(language, name, series, lane=lane, station=station, since=since)
                for name, series in means.items()
                if is_inspectors(name) and _can_be_charted(series)
            ),
            *_rates(language, known, seen, lane=lane, station=station, since=since),
        ],
        now=now,
        drift=_drift(seen),
        blind_zone=_blind_zone(here, known, lane=lane, station=station, since=since),
    )


def is_inspectors(name: str) -> bool:
    """Does a measurement say how well the inspection sees? Of several views the view's name stands before it."""
    return name.rpartition(".")[2].startswith(INSPECTORS_OWN)


def _movers(
    language: str,
    counted: Sequence[CountSample],
    means: Mapping[str, Sequence[MeasuredMean]],
    rejects: Jump,
) -> tuple[list[MoverAnswer], list[NotComparedAnswer]]:
    """Each series by the hours in which it has a value: one silent hour of a sensor says nothing about the others."""
    place_of = {sample.key: place for place, sample in enumerate(counted)}
    found, not_compared = [], []

    def compare(name: str, title: str, known: Mapping[int, float], *, is_inspector: bool) -> None:
        hours = sorted(known)
        before = sum(place < rejects.before for place in hours)
        if len(hours) < LEAST_HOURS or min(before, len(hours) - before) < LEAST_ON_A_SIDE:
            not_compared.append(
                NotComparedAnswer(name=name, title=title, is_inspector=is_inspector, hours=len(hours))
            )
            return
        series = {name: [known[place] for place in hours]}
        for one in who_moved(rejects, series if is_inspector else {}, {} if is_inspector else series):
            began = hours[one.change.before]
            found.append(
                MoverAnswer(
                    name=name,
                    title=title,
                    is_inspector=is_inspector,
                    at=counted[began].at,
                    hours_after=began - rejects.before,
                    level_before=one.change.level_before,
                    level_after=one.change.level_after,
                    p=one.change.p,
                    is_suspect=one.is_shown and abs(began - rejects.before) <= NEAR_HOURS,
                )
            )

    for name, series in means.items():
        known = {place_of[one.window.key]: one.mean for one in series if one.window.key in place_of}
        compare(name, quantity_name(language, name), known, is_inspector=is_inspectors(name))
    stages = list(dict.fromkeys(sample.stage for sample in counted))
    if len(stages) > 1:
        under = {place: float(stages.index(sample.stage)) for place, sample in enumerate(counted)}
        compare(UNDER, say("web.inspector.under", language), under, is_inspector=True)
    found.sort(key=lambda one: (not one.is_suspect, one.p, abs(one.hours_after), one.name))
    return found, sorted(not_compared, key=lambda one: one.name)


Proofs = Mapping[str, Sequence[tuple[Study, Accuracy]]]
"""Accuracy studies by model, the newest first."""


def _proofs(known: Sequence[Study]) -> Proofs:
    found: dict[str, list[tuple[Study, Accuracy]]] = {}
    for study in known:
        if study.kind == "accuracy":
            result = result_of(study)
            assert isinstance(result, Accuracy)
            found.setdefault(study.model, []).append((study, result))
    return found


def _proof_answer(study: Study, accuracy: Accuracy) -> ProofAnswer:
    proof = accuracy.proof
    return ProofAnswer(
        model=study.model,
        sensitivity=proof.sensitivity,
        sensitivity_interval=accuracy.sensitivity_interval,
        specificity=proof.specificity,
        specificity_interval=accuracy.specificity_interval,
        bad_parts=proof.bad_parts,
        good_parts=proof.good_parts,
        at=study.made_at,
        simulated=study.simulated,
    )


def _proof_for(sample: CountSample, proofs: Proofs, happened: Sequence[Change]) -> Proof:
    """The newest that holds for a sample. Raises ProofStale where the models that judged it are not proven, not any
    more, or were only before camera, lamp or lens changed."""
    optics = [(one.at, one.label) for one in happened]
    # A stage names recipe, then models, then the newest change of optics.
    models = [name for name in sample.stage.split(", ")[1:] if name not in {label for _, label in optics}]
    proven = [accuracy.proof for model in models for _, accuracy in proofs.get(model, ())]
    if not proven:
        name = ", ".join(models) or "–"
        raise ProofStale(
            f"There is no accuracy study of {name}.",
            action="Review rejects and audit passed parts under the present model.",
            reason=f"{name}: n = 0",
        )
    for proof in proven:
        if why_stale(proof, at=sample.at, model=proof.model, optics=optics) is None:
            return proof
    require_fresh(proven[0], at=sample.at, model=proven[0].model, optics=optics)
    return proven[0]


def _charts(
    language: str,
    counted: Sequence[CountSample],
    proofs: Proofs,
    happened: Sequence[Change],
    now: NowAnswer | None,
    *,
    lane: str,
    station: str | None,
    since: datetime,
) -> tuple[ChartAnswer, ChartAnswer | None, RefusalAnswer | None]:
    """The plain p chart over all stages, and the corrected one by the studies that hold; where one does not, why, and
    the chart corrected by what reviews and audits say now, or none."""
    counts, sizes = [one.count for one in counted], [one.opportunity for one in counted]
    stages = [one.stage for one in counted]
    rules = PRESETS[RULES]

    def answer(found: CorrectedChart, chart: ControlChart, kind: str) -> ChartAnswer:
        point_at = points_of(chart, NO_BOOK)
        points = [
            point_at(
                index,
                key=sample.key,
                label=sample.label,
                at=sample.at,
                stage=sample.stage,
                simulated=sample.simulated,
                url=subgroup_url(sample.key, station=station, lane=lane),
                count=sample.count,
                opportunity=sample.opportunity,
                review=sample.review,
                not_inspected=sample.not_inspected,
            )
            for index, sample in enumerate(counted)
        ]
        return ChartAnswer(
            chart="corrected_p" if kind == "corrected" else "p",
            name=chart_name("corrected_p" if kind == "corrected" else "plain_p", "hour", station, lane),
            title=say(f"web.inspector.{kind}", language),
            unit="",
            statistic=chart.statistic,
            method=chart.method,
            method_text=say(f"spc.method.{chart.method}", language),
            by="hour",
            since=since,
            points=points,
            rules=rules_of(chart, RULES, language),
            signals=signals_of(chart, points, RULES, language),
            stages=list(dict.fromkeys(stages)),
            comments=comments_of(NO_BOOK),
        )

    # Sensitivity and specificity of 1 leave the plain chart as it is.
    as_seen = corrected_chart(counts, sizes, sensitivity=1.0, specificity=1.0, stages=stages, rules=rules)
    plain = answer(as_seen, as_seen.plain, "plain")

    def corrected(sensitivity: list[float], specificity: list[float]) -> ChartAnswer:
        found = corrected_chart(
            counts, sizes, sensitivity=sensitivity, specificity=specificity, stages=stages, rules=rules
        )
        return answer(found, found.chart, "corrected")

    try:
        fresh = [_proof_for(sample, proofs, happened) for sample in counted]
        return plain, corrected([one.sensitivity for one in fresh], [one.specificity for one in fresh]), None
    except SpcError as error:
        told = explain(error, language)
        refusal = RefusalAnswer(code=told.code, what=told.what, action=told.action)
    rates = _usable(now, stages)
    if rates is None:
        return plain, None, refusal
    try:
        return plain, corrected(*([rate] * len(counted) for rate in rates)), refusal
    except SpcError as error:
        # An inspection that guesses cannot be corrected for, whatever it was proven to see.
        told = explain(error, language)
        return plain, None, RefusalAnswer(code=told.code, what=told.what, action=told.action)


def _usable(now: NowAnswer | None, stages: Sequence[str]) -> tuple[float, float] | None:
    """Sensitivity and specificity now, where enough was looked at and all hours were judged under the same: of several
    recipes, models or optics they are a mixture that is true of none."""
    if now is None or now.sensitivity is None or now.specificity is None or len(set(stages)) > 1:
        return None
    return (now.sensitivity, now.specificity) if min(now.reviewed, now.audited) >= LEAST_LOOKED_AT else None


def _own_chart(
    language: str,
    name: str,
    series: Sequence[MeasuredMean],
    *,
    lane: str,
    station: str | None,
    since: datetime,
) -> ChartAnswer:
    """Hourly means as single values: what the inspection sees of itself drifts by the hour, not by the unit."""
    chart = individuals_chart([one.mean for one in series], rules=PRESETS[RULES]).location
    point_at = points_of(chart, NO_BOOK)
    points = [
        point_at(
            index,
            key=one.window.key,
            label=f"{one.window.since.astimezone():%Y-%m-%d %H:%M}",
            at=one.window.since,
            stage="",
            simulated=0,
            url=subgroup_url(one.window.key, station=station, lane=lane),
        )
        for index, one in enumerate(series)
    ]
    return ChartAnswer(
        chart="individuals",
        name=chart_name("inspector", name, station, lane),
        title=quantity_name(language, name),
        unit="–",
        statistic="mean",
        method=chart.method,
        method_text=say(f"spc.method.{chart.method}", language),
        since=since,
        points=points,
        rules=rules_of(chart, RULES, language),
        signals=signals_of(chart, points, RULES, language),
        stages=[],
    )


def _can_be_charted(series: Sequence[MeasuredMean]) -> bool:
    return len(series) >= LEAST_HOURS and len({one.mean for one in series}) > 1


def _means(series: Sequence[tuple[datetime, float]]) -> tuple[MeasuredMean, ...]:
    return tuple(
        MeasuredMean(
            window=Window(since=hour.astimezone(UTC), until=hour.astimezone(UTC) + timedelta(hours=1)),
            mean=float(np.mean(values)),
            values=len(values),
        )
        for hour, values in sorted(by_hour(series).items())
    )


def _rates(
    language: str, known: Sequence[Study], seen: Own, *, lane: str, station: str | None, since: datetime
) -> list[ChartAnswer]:
    """p charts of false calls, hour by hour, and of escapes, audit by audit: where there is enough to chart."""
    calls = [
        (Window(since=hour.astimezone(UTC), until=hour.astimezone(UTC) + timedelta(hours=1)), values)
        for hour, values in sorted(by_hour([(at, float(is_good)) for at, is_good in seen.reviewed]).items())
    ]
    false_calls = [
        CountSample(
            key=window.key,
            label=f"{window.since.astimezone():%Y-%m-%d %H:%M}",
            at=window.since,
            count=int(sum(values)),
            opportunity=len(values),
        )
        for window, values in calls
    ]
    escapes = [
        CountSample(
            key=str(study.id),
            label=f"{study.made_at.astimezone():%Y-%m-%d %H:%M}",
            at=study.made_at,
            count=found.escapes,
            opportunity=found.audited,
        )
        for study, found in reversed(_audits(known))
    ]
    drawn = []
    for name, samples in (("false_calls", false_calls), ("escapes", escapes)):
        if len(samples) < LEAST_RATES:
            continue
        chart = count_chart(samples, rules=PRESETS[RULES]).chart
        point_at = points_of(chart, NO_BOOK)
        points = [
            point_at(
                index,
                key=one.key,
                label=one.label,
                at=one.at,
                stage="",
                simulated=0,
                url="/spc/studies"
                if name == "escapes"
                else subgroup_url(one.key, station=station, lane=lane),
                count=one.count,
                opportunity=one.opportunity,
            )
            for index, one in enumerate(samples)
        ]
        drawn.append(
            ChartAnswer(
                chart="p",
                name=chart_name("inspector", name, station, lane),
                title=say(f"web.inspector.{name}", language),
                unit="",
                statistic=chart.statistic,
                method=chart.method,
                method_text=say(f"spc.method.{chart.method}", language),
                since=since,
                points=points,
                rules=rules_of(chart, RULES, language),
                signals=signals_of(chart, points, RULES, language),
                stages=[],
            )
        )
    return drawn


def _audits(known: Sequence[Study]) -> list[tuple[Study, EscapeAudit]]:
    """The newest first."""
    found = []
    for study in known:
        result = result_of(study) if study.kind == "audit" else None
        if isinstance(result, EscapeAudit):
            found.append((study, result))
    return found


def _now(known: Sequence[Study], seen: Own, *, since: datetime) -> NowAnswer | None:
    """None until both rejects were reviewed and passed parts audited, in the time shown."""
    audits = [found for study, found in _audits(known) if study.made_at >= since]
    audited, escaped = sum(one.audited for one in audits), sum(one.escapes for one in audits)
    reviewed, bad = len(seen.reviewed), sum(not is_good for _, is_good in seen.reviewed)
    if not (reviewed and audited) or reviewed > seen.rejected or audited > seen.passed:
        return None
    found = accuracy_from_review(
        rejected=seen.rejected,
        passed=seen.passed,
        reviewed=reviewed,
        reviewed_bad=bad,
        audited=audited,
        audited_bad=escaped,
    )
    return NowAnswer(
        sensitivity=found.sensitivity if isfinite(found.sensitivity) else None,
        sensitivity_interval=found.sensitivity_interval,
        specificity=found.specificity if isfinite(found.specificity) else None,
        specificity_interval=found.specificity_interval,
        false_call_rate=found.false_call_rate,
        escape_rate=found.escape_rate,
        reviewed=reviewed,
        audited=audited,
    )


def _drift(seen: Own) -> DriftAnswer | None:
    scores = [score for _, score in seen.scores]
    half = len(scores) // 2
    if half < LEAST_SCORES or len(set(scores[:half])) < 2:
        return None
    found = score_drift(scores[:half], scores[half:])
    return DriftAnswer(psi=found.psi, grade=found.grade, parts=len(scores))


def _blind_zone(
    here: OnRecord, known: Sequence[Study], *, lane: str, station: str | None, since: datetime
) -> BlindZoneAnswer | None:
    """None without a study of which defects of known size were found."""
    newest = next((one for one in known if one.kind == "hit_miss"), None)
    if newest is None:
        return None
    curve = result_of(newest)
    assert isinstance(curve, PodCurve)
    sizes = [
        max(one.box_mm.x2 - one.box_mm.x1, one.box_mm.y2 - one.box_mm.y1)
        for one in places(here.store, since=since, station=station, lane=lane)
    ]
    top = float(ceil(max([*sizes, curve.a90 * 1.5])))
    counts, edges = np.histogram(sizes, bins=BINS, range=(0.0, top))
    return BlindZoneAnswer(
        bins=[
            BinAnswer(from_mm=float(low), to_mm=float(high), defects=int(count))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        a90_mm=curve.a90,
        a90_95_mm=curve.a90_95["likelihood_ratio"],
        method="likelihood_ratio",
        found_in_study=curve.hits,
        defects_in_study=curve.n,
    )
