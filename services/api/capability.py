"""Capability reports: none of an unstable process or without a gauge study, unless a reason is given, and printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from math import isfinite
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from services.api.charts import ChartAnswer
from services.api.measured import Asked, Measured, measured_of
from services.api.serving import Here, Language, OnRecord
from services.chart_files import FAINT, GRID, INK, LIMIT, draw, new_sheet
from services.problems import problems
from services.text import say
from traceability import gauge_studies
from traceability.errors import CapabilityOfTooFew
from traceability.samples import measured_values
from traceability.spc.capability import (
    Indices,
    Naming,
    Specification,
    capability,
    named,
    nearest_interval,
    quantile_capability,
    release,
    tolerance_interval,
)
from traceability.spc.checks import LARGEST
from traceability.spc.distributions import (
    best_fit,
    box_cox,
    box_cox_lambda,
    fit,
    johnson,
    johnson_z,
    normality,
    rounded_half,
)

router = APIRouter(prefix="/spc", tags=["statistics"])

NamingName = Literal["aiag_2005", "iso22514", "aiag_vda_2026", "machine"]

Shape = Literal["normal", "best_fit", "lognormal", "weibull", "gamma", "johnson", "box_cox"]
"""What the values are taken to follow. Of all but the normal distribution, indices are by percentiles (ISO 22514-2); of
Box and Cox's transformation those of the transformed values against transformed limits."""

NOT_NORMAL = 0.05

COVERAGE, CONFIDENCE = 0.99, 0.95
"""Of the tolerance interval."""

BINS = 20

LEAST_VALUES = 25
"""For a report at all: even there, the 95 % interval of a Cpk of 1.33 is 0.93 to 1.73 (Bissell)."""

ENOUGH_VALUES = 100
"""25 subgroups of together 100 readings (AIAG, PPAP, 4th ed., 2.2.11); of fewer a report says how little that is."""

USUAL_INDEX = 1.33
"""What is commonly asked for, to say in numbers what too few values would leave of it."""

LEAST_PPM = 0.001
"""Below, a tail is the curve's and not the process's."""


# A form sends a field that was left empty as an empty text.
Limit = Annotated[
    Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)] | None,
    BeforeValidator(lambda given: None if given == "" else given),
    Query(),
]


class Specified(BaseModel):
    """The drawing's limits, and what a report is to be printed with."""

    lower: float | None = None
    upper: float | None = None
    target: float | None = None
    natural_lower: float | None = None
    natural_upper: float | None = None
    naming: NamingName = "aiag_vda_2026"
    shape: Shape = "normal"
    although_unstable: str = ""
    without_gauge: str = ""


def specified(
    lower: Limit = None,
    upper: Limit = None,
    target: Limit = None,
    natural_lower: Limit = None,
    natural_upper: Limit = None,
    naming: NamingName = "aiag_vda_2026",
    shape: Annotated[Shape, Query(description="what the values are taken to follow")] = "normal",
    although_unstable: Annotated[str, Query(max_length=500)] = "",
    without_gauge: Annotated[str, Query(max_length=500)] = "",
) -> Specified:
    return Specified(
        lower=lower,
        upper=upper,
        target=target,
        natural_lower=natural_lower,
        natural_upper=natural_upper,
        naming=naming,
        shape=shape,
        although_unstable=although_unstable,
        without_gauge=without_gauge,
    )


Wanted = Annotated[Specified, Depends(specified)]


class IndexAnswer(BaseModel):
    name: str
    value: float
    interval: tuple[float, float] | None


class BarAnswer(BaseModel):
    from_value: float
    to_value: float
    values: int


class ShapeAnswer(BaseModel):
    """What the values were taken to follow. `family` is the one that fits best where that was asked for.

    low, median, high  X0.135 %, X50 % and X99.865 %, in the unit of the values
    z_method           nearest index by the share beyond (z over 3), beside that by percentiles
    p                  normality of the values in the normal scale of Box-Cox or Johnson, by Anderson and Darling
    aic                of each family that fits at all
    """

    family: str
    parameters: dict[str, float]
    low: float
    median: float
    high: float
    z_method: float | None
    p: float | None
    aic: dict[str, float]


class FewAnswer(BaseModel):
    """Fewer values than an index takes. `interval` and `width` of the nearest index with 95 % confidence, where it has
    one: indices by percentiles have none."""

    values: int
    wanted: int
    index: str
    value: float
    interval: tuple[float, float] | None
    width: float | None


class CapabilityAnswer(BaseModel):
    """A report that may be printed. `reasons` are those it was released for although a gate was closed.

    ppm        parts per million beyond the limits, expected of the process, and as observed
    tolerance  holds 99 % of a normal process with 95 % confidence
    few        where there are fewer values than 100
    """

    title: str
    measurement: str
    unit: str
    n: int
    mean: float
    sigma_within: float
    sigma_overall: float
    lower: float | None
    upper: float | None
    target: float | None
    naming: NamingName
    shape: ShapeAnswer | None
    tolerance: Annotated[list[float], Field(min_length=2, max_length=2)]
    indices: list[IndexAnswer]
    taguchi: float | None
    expected_ppm: float
    observed_ppm: float
    normality_p: float | None
    is_normal: bool | None
    signals: int
    is_stable: bool
    is_gauge_proven: bool
    reasons: list[str]
    resolution: int
    histogram: list[BarAnswer]
    simulated: int
    first: datetime
    last: datetime
    few: FewAnswer | None
    chart: ChartAnswer


@router.get("/capability", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def capability_report(here: Here, language: Language, asked: Asked, wanted: Wanted) -> CapabilityAnswer:
    """Capability of the values charted, against the drawing's limits.

    Refused with SPC-NOT-STABLE where the chart signals and with SPC-GAUGE-NOT-PROVEN without a valid gauge R&R study,
    unless `although_unstable` or `without_gauge` says why it is to be printed all the same; with
    SPC-CAPABILITY-TOO-FEW below 25 values, whatever is said. Below 100 `few` says how wide the interval is.
    """
    return report_of(here, language, asked, wanted)


@router.get("/capability/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def capability_file(here: Here, language: Language, asked: Asked, wanted: Wanted) -> Response:
    """The report as PDF, A4."""
    made = as_pdf(report_of(here, language, asked, wanted), station=here.station, language=language)
    headers = {"Content-Disposition": 'attachment; filename="lynceus-capability.pdf"'}
    return Response(made, media_type="application/pdf", headers=headers)


def report_of(here: OnRecord, language: str, asked: Measured, wanted: Specified) -> CapabilityAnswer:
    """Raises SpecLimitsInvalid, CapabilityOfTooFew, NotStable, GaugeNotProven, and what the chart raises."""
    specification = Specification(
        lower=wanted.lower,
        upper=wanted.upper,
        target=wanted.target,
        natural_lower=wanted.natural_lower,
        natural_upper=wanted.natural_upper,
    )
    # Pre-control, for one, signals nothing: no other chart than that of the single values shows them stable.
    charted = measured_of(here, language, replace(asked, chart="individuals"))
    left_out = {point.key for point in charted.location.excluded}
    values = [
        one
        for one in measured_values(
            here.store, asked.measurement, since=asked.since, station=asked.station, lane=asked.lane
        )
        if str(one.id) not in left_out
    ]
    numbers = [one.value for one in values]
    _enough(len(numbers))
    found = capability(numbers, specification, is_subgrouped=False)
    assert found.within is not None
    assert found.sigma_within is not None
    shaped = None if wanted.shape == "normal" else _shaped(numbers, specification, wanted.shape)
    signals = len(charted.location.signals)
    naming: Naming = wanted.naming
    index = named(
        naming,
        is_stable=signals == 0,
        # What is inside subgroups has no shape of its own: of another one only the overall indices are told.
        nearest_within=found.within.nearest if shaped is None else None,
        nearest_overall=found.overall.nearest if shaped is None else shaped.indices.nearest,
        spread_within=found.within.spread if shaped is None else None,
        spread_overall=found.overall.spread if shaped is None else shaped.indices.spread,
    )
    # Indices from sigma within are an aid to analysis there, and must not stand in a report (AIAG & VDA, 2026).
    reported = {name: value for name, value in index.values.items() if not name.startswith("Cw")}
    is_proven = gauge_studies.is_gauge_proven(
        here.store,
        asked.measurement,
        at=datetime.now(UTC),
        measured=((one.lane, one.at) for one in values),
        station=asked.station,
    )
    released = release(
        index=next(iter(reported)),
        characteristic=charted.measurement.title,
        signals=signals,
        is_gauge_proven=is_proven,
        reason_unstable=wanted.although_unstable,
        reason_no_gauge=wanted.without_gauge,
    )
    intervals = _intervals(found.within, found.overall) if shaped is None else {}
    answers = [
        IndexAnswer(name=name, value=value, interval=intervals.get(value)) for name, value in reported.items()
    ]
    counts, edges = np.histogram(numbers, bins=BINS)
    p = None if found.normality is None else found.normality.anderson_darling_p
    return CapabilityAnswer(
        title=charted.measurement.title,
        measurement=asked.measurement,
        unit=charted.measurement.unit,
        n=found.n,
        mean=found.mean,
        sigma_within=found.sigma_within,
        sigma_overall=found.sigma_overall,
        lower=wanted.lower,
        upper=wanted.upper,
        target=wanted.target,
        naming=wanted.naming,
        indices=answers,
        shape=None if shaped is None else shaped.answer,
        tolerance=list(tolerance_interval(numbers, coverage=COVERAGE, confidence=CONFIDENCE)),
        taguchi=found.taguchi if shaped is None else None,
        expected_ppm=found.expected_overall.total if shaped is None else shaped.expected_ppm,
        observed_ppm=found.observed.total,
        normality_p=p,
        is_normal=None if p is None else p >= NOT_NORMAL,
        signals=signals,
        is_stable=released.is_stable,
        is_gauge_proven=is_proven,
        reasons=list(released.reasons),
        resolution=found.resolution,
        histogram=[
            BarAnswer(from_value=float(low), to_value=float(high), values=int(count))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        simulated=sum(one.simulated for one in values),
        first=values[0].at,
        last=values[-1].at,
        few=_few(found.n, answers[-1]),
        chart=charted.location,
    )


def _enough(found: int) -> None:
    """Raises CapabilityOfTooFew. Fewer than two have no spread at all, and no interval to tell: that is the chart's to
    refuse."""
    if not 2 <= found < LEAST_VALUES:
        return
    low, high = nearest_interval(USUAL_INDEX, found, confidence=CONFIDENCE)
    raise CapabilityOfTooFew(
        f"There are {found} values, and a capability report needs at least {LEAST_VALUES}: of {found} an index of "
        f"{USUAL_INDEX:g} lies between {low:.2f} and {high:.2f} with 95 % confidence.",
        action="Collect more values, or choose a longer period.",
        found=found,
        needed=LEAST_VALUES,
        index=f"{USUAL_INDEX:g}",
        low=f"{low:.2f}",
        high=f"{high:.2f}",
        width=f"{high - low:.2f}",
    )


def _few(values: int, nearest: IndexAnswer) -> FewAnswer | None:
    if values >= ENOUGH_VALUES:
        return None
    interval = nearest.interval
    return FewAnswer(
        values=values,
        wanted=ENOUGH_VALUES,
        index=nearest.name,
        value=nearest.value,
        interval=interval,
        width=None if interval is None else interval[1] - interval[0],
    )


def few_said(report: CapabilityAnswer, language: str) -> str | None:
    """What page, paper and terminal say where a report is of few values; None where it is of enough."""
    few = report.few
    if few is None:
        return None
    given = {"values": few.values, "wanted": few.wanted, "index": few.index, "value": f"{few.value:.2f}"}
    if few.interval is None:
        return say("web.capability.few_by_percentiles", language, **given)
    low, high = (f"{bound:.2f}" for bound in few.interval)
    return say("web.capability.few", language, **given, low=low, high=high, width=f"{few.width:.2f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shaped:
    indices: Indices
    expected_ppm: float
    answer: ShapeAnswer


def _shaped(values: list[float], specification: Specification, shape: Shape) -> _Shaped:
    """Raises FitImpossible where these values cannot follow that, ParameterOutOfRange for one not above 0."""
    if shape == "box_cox":
        return _by_box_cox(values, specification)
    aic: dict[str, float] = {}
    if shape == "best_fit":
        distribution, aic = best_fit(values)
    elif shape == "johnson":
        distribution = johnson(values)
    else:
        distribution = fit(values, shape)
    found = quantile_capability(distribution, specification)
    return _Shaped(
        indices=found.indices,
        expected_ppm=found.expected.total,
        answer=ShapeAnswer(
            family=distribution.family,
            parameters=distribution.parameters,
            low=found.low,
            median=found.median,
            high=found.high,
            z_method=found.z_method if isfinite(found.z_method) else None,
            p=_normal_p(johnson_z(values, distribution)) if shape == "johnson" else None,
            aic=aic,
        ),
    )


def _by_box_cox(values: list[float], specification: Specification) -> _Shaped:
    power = rounded_half(box_cox_lambda(values))

    def moved(limit: float | None) -> float | None:
        return None if limit is None else float(box_cox([limit], power)[0])

    # A power below 0 keeps the order too: what is divided by it turns it round again.
    found = capability(
        box_cox(values, power),
        Specification(lower=moved(specification.lower), upper=moved(specification.upper)),
        is_subgrouped=False,
    )

    def back(z: float) -> float:
        at = found.mean + z * found.sigma_overall
        return float(np.exp(at) if power == 0 else np.maximum(power * at + 1, 0) ** (1 / power))

    return _Shaped(
        indices=found.overall,
        expected_ppm=found.expected_overall.total,
        answer=ShapeAnswer(
            family="box_cox",
            parameters={"lambda": power},
            low=back(-3),
            median=back(0),
            high=back(3),
            z_method=None,
            p=None if found.normality is None else found.normality.anderson_darling_p,
            aic={},
        ),
    )


def _normal_p(z: NDArray[np.float64]) -> float | None:
    return normality(z).anderson_darling_p if np.all(np.isfinite(z)) else None


def _intervals(*of: Any) -> dict[float, tuple[float, float]]:
    """By the index they belong to."""
    found: dict[float, tuple[float, float]] = {}
    for one in of:
        for value, interval in (
            (one.spread, one.spread_interval),
            (one.nearest, one.nearest_interval),
        ):
            if value is not None and interval is not None:
                found[value] = interval
    return found


def facts(report: CapabilityAnswer, language: str) -> list[tuple[str, str]]:
    """The report's lines, as page and paper print them."""

    def told(key: str) -> str:
        return say(f"web.capability.{key}", language)

    def figure(value: float | None) -> str:
        return "–" if value is None else f"{value:.5g}"

    lines = [
        (told("characteristic"), f"{report.title} ({report.unit})"),
        (told("limits"), f"{figure(report.lower)} … {figure(report.upper)}"),
        (told("values"), f"{report.n:,}"),
        (
            told("time"),
            f"{report.first.astimezone():%Y-%m-%d %H:%M} – {report.last.astimezone():%Y-%m-%d %H:%M}",
        ),
        (told("mean"), figure(report.mean)),
        (told("sigma_within"), figure(report.sigma_within)),
        (told("sigma_overall"), figure(report.sigma_overall)),
        (told("naming"), say(f"web.naming.{report.naming}", language)),
    ]
    if report.shape is not None:
        shape = report.shape
        parameters = ", ".join(f"{name} {value:.5g}" for name, value in shape.parameters.items())
        lines += [
            (told("shape"), f"{say(f'web.shape.{shape.family}', language)} ({parameters})"),
            (told("percentiles"), " / ".join(figure(one) for one in (shape.low, shape.median, shape.high))),
        ]
        if shape.p is not None:
            lines.append((told("transformed_p"), f"p = {shape.p:.3g}"))
        if shape.z_method is not None:
            lines.append((told("z_method"), f"{shape.z_method:.3f}"))
    for index in report.indices:
        interval = "" if index.interval is None else f"   [{index.interval[0]:.3f} … {index.interval[1]:.3f}]"
        lines.append((index.name, f"{index.value:.3f}{interval}"))
    if report.taguchi is not None:
        lines.append(("Cpm", f"{report.taguchi:.3f}"))
    lines += [
        (told("tolerance"), " … ".join(figure(one) for one in report.tolerance)),
        (told("expected"), _ppm(report.expected_ppm)),
        (told("observed"), _ppm(report.observed_ppm)),
        (
            told("normality"),
            "–"
            if report.normality_p is None
            else f"p = {report.normality_p:.3g}"
            + ("" if report.is_normal or report.shape is not None else f"; {told('not_normal')}"),
        ),
        (
            told("stability"),
            told("stable")
            if report.is_stable
            else say("web.capability.unstable", language, signals=report.signals),
        ),
        (told("gauge"), told("gauge_proven" if report.is_gauge_proven else "gauge_not_proven")),
    ]
    lines += [(told("although"), reason) for reason in report.reasons]
    return lines


def _ppm(value: float) -> str:
    """No more digits than a tail of so few values bears out."""
    if 0 < value < LEAST_PPM:
        return f"< {LEAST_PPM:g} ppm"
    return f"{value:,.0f} ppm" if value >= 1000 else f"{value:.4g} ppm"


def as_pdf(report: CapabilityAnswer, *, station: str, language: str) -> bytes:
    """A page of A4: figures, histogram against the limits, and the chart that shows stability; what no longer fits
    below long reasons is on a second one."""
    sheet = new_sheet(station=station, language=language, landscape=False)
    sheet.heading(say("web.capability.title", language), size=16)
    if report.simulated:
        sheet.line(
            say("web.spc.simulated_banner", language, simulated=report.simulated, units=report.n),
            colour=LIMIT,
        )
    if (few := few_said(report, language)) is not None:
        sheet.line(few, colour=LIMIT)
    sheet.pdf.ln(2)
    sheet.table(facts(report, language), (45, 75))
    sheet.pdf.ln(3)
    sheet.drawing(
        say("web.capability.histogram", language),
        partial(_draw_histogram, sheet.pdf, report, height=46, language=language),
        height=49,
    )
    sheet.drawing(
        f"{report.title} ({report.unit})",
        partial(draw, sheet.pdf, report.chart, height=50, language=language),
        height=50,
    )
    return bytes(sheet.pdf.output())


def _draw_histogram(pdf: Any, report: CapabilityAnswer, top: float, *, height: float, language: str) -> None:
    left, right, bottom = 24.0, pdf.w - 24, top + height - 6
    lines = [one for one in (report.lower, report.upper, report.target) if one is not None]
    low = min(report.histogram[0].from_value, *lines)
    high = max(report.histogram[-1].to_value, *lines)
    room = (high - low) * 0.04
    low, high = low - room, high + room
    most = max(bar.values for bar in report.histogram)

    def x(value: float) -> float:
        return float(left + (right - left) * (value - low) / (high - low))

    pdf.set_fill_color(150, 163, 178)
    pdf.set_draw_color(*GRID)
    pdf.set_line_width(0.15)
    for bar in report.histogram:
        tall = (bottom - top - 6) * bar.values / most
        pdf.rect(x(bar.from_value), bottom - tall, x(bar.to_value) - x(bar.from_value), tall, style="DF")
    pdf.set_draw_color(*FAINT)
    pdf.line(left, bottom, right, bottom)
    pdf.set_font("text", size=7)
    for name, value in (("lower", report.lower), ("upper", report.upper), ("target", report.target)):
        if value is None or not isfinite(value):
            continue
        colour = INK if name == "target" else LIMIT
        pdf.set_draw_color(*colour)
        pdf.set_text_color(*colour)
        pdf.set_line_width(0.4)
        pdf.line(x(value), top + 2, x(value), bottom)
        pdf.text(x(value) - 6, bottom + 4, f"{say(f'web.capability.{name}', language)} {value:.5g}")
