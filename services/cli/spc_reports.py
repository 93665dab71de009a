"""What the pages about charts show: `lynceus spc counts`, `measured`, `capability`, `pareto`, `causes`, `maps`,
`inspector`, `changes`, `studies`, `merit`, `sampling` and `file`; and `change`, which says one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table

from services.access import Right, check_right_of
from services.api.capability import CapabilityAnswer, NamingName, Shape, Specified, few_said, report_of
from services.api.causes import CausesAnswer, PositionsAnswer, causes_of, empty_said, positions_of
from services.api.changes import ChangeAnswer
from services.api.charts import ChartAnswer, Preset
from services.api.inspector import InspectorAnswer, inspector_of
from services.api.measured import USUAL_SIZE, Measured, MeasuredAnswer, asked_for, measured_of
from services.api.merit import FiguresAnswer, Given, MeritAnswer, Place, figures_of, given_figures
from services.api.sampling import LevelName, SeverityName, sampling_plan, zero_acceptance
from services.api.spc import (
    COUNTED,
    CountedChart,
    ParetoAnswer,
    Selection,
    chart_of,
    pareto_of,
    pareto_table,
    rates_of,
    weighing,
)
from services.api.studies import FromRecordSaid, StudyAnswer, study_from_record
from services.chart_files import Format, as_file
from services.cli.options import Finite, FiniteRange, database_option, lane_titles
from services.cli.spc import preset_option, spc
from services.measured_charts import CHARTS, MeasuredChart
from services.text import language_of_environment, say
from services.web.rendering import kind_name, lane_name
from station_config import Catalogue, load_catalogue
from traceability import gauge_studies, golden_parts
from traceability.accounts import Accounts
from traceability.changes import Part, changes, record_change
from traceability.golden_parts import FromRecord
from traceability.samples import By, Stratum, Weigh
from traceability.store import TraceStore
from traceability.subgroups import LARGEST, SMALLEST

Answer = TypeVar("Answer", bound=BaseModel)

SHOWN_BY_DEFAULT = timedelta(days=3)

WEIGHTS: tuple[Weigh, ...] = get_args(Weigh)


def _help(key: str) -> str:
    return say(key, language_of_environment())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is on record, and which part of it is asked about."""

    store: TraceStore
    catalogue: Catalogue
    station: str | None
    lane: str | None
    since: datetime
    language: str

    @property
    def one_lane(self) -> str:
        if not self.lane:
            raise click.UsageError(_help("cli.spc.lane_needed"))
        return self.lane


def _on_record(command: Callable[..., None]) -> Callable[..., None]:
    """With the options that all of these have, the record opened, and what they say in the reader's language."""

    @wraps(command)
    def run(
        station: str | None, lane: str | None, since: datetime | None, database: str, **rest: object
    ) -> None:
        with TraceStore.open(database) as store:
            asked = _Asked(
                store=store,
                catalogue=load_catalogue(),
                station=station,
                lane=lane,
                # A time without a zone, as typed, is local.
                since=datetime.now(UTC) - SHOWN_BY_DEFAULT if since is None else since.astimezone(UTC),
                language=language_of_environment(),
            )
            command(asked, **rest)

    told: Callable[..., None] = run
    for option in (
        click.option("--station", help=_help("cli.spc.station")),
        click.option("--lane", help=_help("cli.spc.lane")),
        click.option("--since", type=click.DateTime(), help=_help("cli.spc.since_3")),
        database_option,
    ):
        told = option(told)
    return told


json_option = click.option("--json", "as_json", is_flag=True, help=_help("cli.spc.json"))
kind_option = click.option("--kind", help=_help("cli.spc.kind"))


def _chart_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--chart",
            type=click.Choice(CHARTS),
            default="individuals",
            show_default=True,
            help=_help("cli.spc.chart"),
        ),
        click.option(
            "--size",
            type=click.IntRange(SMALLEST, LARGEST),
            default=USUAL_SIZE,
            show_default=True,
            help=_help("cli.spc.size"),
        ),
        click.option("--beside", multiple=True, help=_help("cli.spc.beside_option")),
        click.option("--lower", type=Finite(), help=_help("cli.spc.limits_of_pre_control")),
        click.option("--upper", type=Finite(), help=_help("cli.spc.limits_of_pre_control")),
        click.option("--nominal", "nominals", multiple=True, help=_help("cli.spc.nominals")),
        preset_option,
    ):
        command = option(command)
    return command


def _rate_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--in-control", type=Finite(), help=_help("cli.spc.in_control")),
        click.option("--to-find", type=Finite(), help=_help("cli.spc.to_find")),
    ):
        command = option(command)
    return command


@spc.command(help=_help("cli.spc.counts"))
@click.option(
    "--chart", type=click.Choice(COUNTED), default="p", show_default=True, help=_help("cli.spc.chart")
)
@_rate_options
@click.option(
    "--by", type=click.Choice(["hour", "shift"]), default="hour", show_default=True, help=_help("cli.spc.by")
)
@kind_option
@preset_option
@json_option
@_on_record
def counts(
    asked: _Asked,
    chart: CountedChart,
    by: By,
    kind: str | None,
    preset: Preset,
    in_control: float | None,
    to_find: float | None,
    as_json: bool,
) -> None:
    selected = Selection(
        by=by,
        station=asked.station,
        lane=asked.lane,
        since=asked.since,
        until=None,
        stratum=Stratum(kind=kind),
        rules=preset,
        chart=chart,
        rates=rates_of(in_control, to_find),
    )
    _told(chart_of(asked, asked.language, selected), as_json, _show_chart)


@spc.command(help=_help("cli.spc.pareto"))
@click.option(
    "--weigh", type=click.Choice(WEIGHTS), default="count", show_default=True, help=_help("cli.spc.weigh")
)
@click.option("--costs", default="", help=_help("cli.spc.costs"))
@json_option
@_on_record
def pareto(asked: _Asked, weigh: Weigh, costs: str, as_json: bool) -> None:
    selected = Selection(by="hour", station=asked.station, lane=asked.lane, since=asked.since, until=None)
    found = pareto_of(asked, asked.language, selected, weighing(weigh, costs))
    _told(found, as_json, _show_pareto)


def _show_pareto(found: ParetoAnswer, language: str, console: Console) -> None:
    told = pareto_table(found, language)
    table = Table(title=told.title, title_justify="left", caption=told.notes[0])
    for place, heading in enumerate(told.headings):
        table.add_column(heading, justify="right" if place else "left")
    for name, *figures, share, cumulative in told.rows:
        table.add_row(str(name), *(f"{figure:g}" for figure in figures), f"{share:.1%}", f"{cumulative:.1%}")
    console.print(table)


@spc.command(help=_help("cli.spc.measured"))
@click.argument("measurement")
@_chart_options
@json_option
@_on_record
def measured(
    asked: _Asked,
    measurement: str,
    chart: MeasuredChart,
    as_json: bool,
    **options: Any,
) -> None:
    found = measured_of(asked, asked.language, _measured(asked, measurement, chart, **options))
    _told(found, as_json, _show_measured)


def _measured(
    asked: _Asked,
    measurement: str,
    chart: MeasuredChart,
    *,
    size: int,
    beside: tuple[str, ...],
    preset: Preset,
    lower: float | None,
    upper: float | None,
    nominals: tuple[str, ...],
) -> Measured:
    return asked_for(
        measurement,
        since=asked.since,
        station=asked.station,
        lane=asked.lane,
        rules=preset,
        chart=chart,
        size=size,
        beside=list(beside),
        lower=lower,
        upper=upper,
        nominals=",".join(nominals),
    )


def _show_measured(found: MeasuredAnswer, language: str, console: Console) -> None:
    for chart in found.charts:
        _show_chart(chart, language, console)
    if found.lag_1 is not None:
        console.print(say("cli.spc.autocorrelated", language, lag_1=f"{found.lag_1:.2f}"), markup=False)
    zones = found.pre_control
    if zones is not None:
        told = say("web.spc.pre_control", language, green=zones.green, yellow=zones.yellow, red=zones.red)
        key = "not_qualified" if zones.qualified is None else "qualified"
        console.print(told, say(f"web.spc.{key}", language, at=zones.qualified), markup=False)


def _show_chart(chart: ChartAnswer, language: str, console: Console) -> None:
    """A row per stage, then every signal with the time of its point."""
    unit = f" ({chart.unit})" if chart.unit else ""
    console.print(
        f"{chart.title}{unit}{say('web.colon', language)}{chart.method_text}", style="bold", markup=False
    )
    table = Table(box=None)
    for key in ("stage", "points", "centre_column", "limits_column"):
        table.add_column(
            say(f"cli.spc.{key}", language, unit=chart.unit),
            justify="left" if key == "stage" else "right",
        )
    for stage, some in groupby(chart.points, key=lambda point: point.stage if chart.stages else ""):
        points = list(some)
        last = points[-1]
        table.add_row(
            stage,
            str(len(points)),
            _figure(last.centre),
            f"{_figure(last.lower)} … {_figure(last.upper)}",
        )
    console.print(table)
    if chart.cusum is not None:
        console.print(chart.cusum.text, markup=False)
    if not chart.signals:
        console.print(say("cli.spc.no_signals", language), markup=False)
    for signal in chart.signals:
        line = say(
            "cli.spc.one_signal",
            language,
            label=chart.points[signal.index].label,
            rule=signal.text,
            side=say(f"spc.side.{signal.side}", language),
        )
        console.print("  " + line, markup=False)
    if chart.simulated:
        told = say("cli.spc.simulated", language, simulated=chart.simulated, units=chart.units)
        console.print(told, markup=False)


@spc.command(help=_help("cli.spc.capability"))
@click.argument("measurement")
@click.option("--lower", type=Finite(), help=_help("cli.spc.lower"))
@click.option("--upper", type=Finite(), help=_help("cli.spc.upper"))
@click.option("--target", type=Finite(), help=_help("cli.spc.target"))
@click.option("--natural-lower", type=Finite(), help=_help("cli.spc.natural"))
@click.option("--natural-upper", type=Finite(), help=_help("cli.spc.natural"))
@click.option(
    "--naming",
    type=click.Choice(get_args(NamingName)),
    default="aiag_vda_2026",
    show_default=True,
    help=_help("cli.spc.naming"),
)
@click.option(
    "--shape",
    type=click.Choice(get_args(Shape)),
    default="normal",
    show_default=True,
    help=_help("cli.spc.shape"),
)
@click.option("--although-unstable", metavar="REASON", default="", help=_help("cli.spc.although_unstable"))
@click.option(
    "--without-gauge-study",
    "without_gauge",
    metavar="REASON",
    default="",
    help=_help("cli.spc.without_gauge"),
)
@preset_option
@json_option
@_on_record
def capability(asked: _Asked, measurement: str, preset: Preset, as_json: bool, **wanted: Any) -> None:
    charted = Measured(
        measurement=measurement, since=asked.since, station=asked.station, lane=asked.lane, rules=preset
    )
    _told(report_of(asked, asked.language, charted, Specified(**wanted)), as_json, _show_capability)


def _show_capability(report: CapabilityAnswer, language: str, console: Console) -> None:
    """Indices under the names of the standard chosen, then what must be read with them."""
    table = Table(box=None, show_header=False)

    def row(key: str, text: str) -> None:
        table.add_row(say(f"cli.spc.{key}", language), text)

    row("measurement", f"{report.title} ({report.unit})")
    row("units", str(report.n))
    row("mean", f"{report.mean:.5g}")
    row("sigma_within", f"{report.sigma_within:.5g}")
    row("sigma_overall", f"{report.sigma_overall:.5g}")
    row("naming_used", say(f"web.naming.{report.naming}", language))
    shape = report.shape
    if shape is not None:
        table.add_row(say("web.capability.shape", language), say(f"web.shape.{shape.family}", language))
        percentiles = " / ".join(f"{value:.5g}" for value in (shape.low, shape.median, shape.high))
        table.add_row(say("web.capability.percentiles", language), percentiles)
    for index in report.indices:
        bounds = "" if index.interval is None else "  ({:.3f} … {:.3f})".format(*index.interval)
        table.add_row(index.name, f"{index.value:.3f}{bounds}")
    row("expected_ppm", f"{report.expected_ppm:.4g}")
    row("observed_ppm", f"{report.observed_ppm:.4g}")
    console.print(table)
    if (few := few_said(report, language)) is not None:
        console.print(few, markup=False)
    if report.is_normal is False and shape is None:
        console.print(say("cli.spc.not_normal", language, p=f"{report.normality_p:.2g}"), markup=False)
    if report.signals:
        console.print(say("cli.spc.unstable", language, signals=report.signals), markup=False)
    for reason in report.reasons:
        console.print(say("cli.spc.reason", language, reason=reason), markup=False)


@spc.command("change", help=_help("cli.spc.change"))
@click.argument("part", type=click.Choice(get_args(Part)))
@click.argument("what")
@click.option("--station", required=True, help=_help("cli.spc.change_station"))
@click.option("--lane", required=True, help=_help("cli.spc.change_lane"))
@click.option("--at", type=click.DateTime(), help=_help("cli.spc.changed_at"))
@click.option("--by", metavar="NAME", required=True, help=_help("cli.spc.change_by"))
@database_option
def change(
    part: Part, what: str, station: str, lane: str, at: datetime | None, by: str, database: str
) -> None:
    now = datetime.now(UTC)
    with TraceStore.open(database) as store:
        person = Accounts(store).named(by)
        check_right_of(person, Right.DISPOSE)
        moment = now if at is None else at.astimezone(UTC)
        record_change(
            store, part=part, station=station, lane=lane, at=moment, what=what, by=person, said_at=now
        )
        (*_, newest) = changes(store, station=station, lane=lane)
    click.echo(f"{newest.station} {newest.lane}: {newest.label}")


@spc.command("changes", help=_help("cli.spc.changes"))
@click.option("--station", help=_help("cli.spc.station"))
@click.option("--lane", help=_help("cli.spc.lane"))
@json_option
@database_option
def changes_said(station: str | None, lane: str | None, as_json: bool, database: str) -> None:
    with TraceStore.open(database) as store:
        found = [ChangeAnswer.of(one) for one in changes(store, station=station, lane=lane)]
    if as_json:
        click.echo(TypeAdapter(list[ChangeAnswer]).dump_json(found, indent=2).decode())
        return
    language = language_of_environment()
    table = _table(language, "changes.part", "spc.lane", "changes.at_column", "changes.what", "changes.by")
    for one in found:
        table.add_row(
            say(f"web.changes.{one.part}", language),
            f"{one.station} {one.lane}",
            f"{one.at.astimezone():%Y-%m-%d %H:%M}",
            one.what,
            one.person,
        )
    Console(highlight=False).print(table)


@spc.command(help=_help("cli.spc.causes"))
@kind_option
@json_option
@_on_record
def causes(asked: _Asked, kind: str | None, as_json: bool) -> None:
    found = causes_of(asked, station=asked.station, lane=asked.lane, kind=kind, since=asked.since)
    _told(found, as_json, _show_causes)


def _show_causes(found: CausesAnswer, language: str, console: Console) -> None:
    console.print(say("web.causes.basis", language, bad=found.bad, units=found.units, looked=found.looked_at))
    table = _table(
        language, "causes.what", "causes.with_it", "causes.without", "causes.odds", "causes.interval"
    )
    table.add_column(say("web.causes.q", language), justify="right")
    for one in found.factors[:20]:
        low, high = (_figure(bound) for bound in one.interval)
        table.add_row(
            f"{say(f'web.factor.{one.category}', language)} {one.level}",
            f"{one.bad} / {one.units}",
            f"{one.bad_elsewhere} / {one.units_elsewhere}",
            _figure(one.odds_ratio),
            f"{low} … {high}",
            f"{one.p_adjusted:.2g}" + (" ◆" if one.is_shown else ""),
        )
    console.print(table)
    console.print(say("web.causes.read", language), markup=False)


@spc.command(help=_help("cli.spc.maps"))
@kind_option
@json_option
@_on_record
def maps(asked: _Asked, kind: str | None, as_json: bool) -> None:
    found = positions_of(
        asked, asked.language, lane=asked.one_lane, station=asked.station, kind=kind, since=asked.since
    )
    called = None if kind is None else kind_name(asked.catalogue, asked.language, kind)
    _told(found, as_json, partial(_show_maps, lane=asked.one_lane, kind=called))


def _show_maps(
    found: PositionsAnswer, language: str, console: Console, *, lane: str, kind: str | None
) -> None:
    if (empty := empty_said(found, language, lane=lane, kind=kind)) is not None:
        console.print(" ".join(empty), markup=False)
        return
    console.print(say("web.maps.basis", language, defects=len(found.x_mm)))
    zones = _table(language, "maps.across", "spc.defects", "maps.share", "maps.relative")
    for zone in found.zones:
        zones.add_row(zone.zone, str(zone.count), f"{100 * zone.share:.1f} %", f"{zone.relative:.2f}")
    console.print(zones)
    if found.marks:
        marks = _table(language, "maps.roll", "maps.period", "maps.diameter", "maps.hits", "trace.unit")
        for mark in found.marks:
            marks.add_row(
                mark.roll or "–",
                f"{mark.period_mm:.1f} ± {mark.period_error_mm:.1f}",
                f"{mark.diameter_mm:.2f}",
                str(mark.hits),
                mark.unit,
            )
        console.print(marks)


@spc.command(help=_help("cli.spc.inspector"))
@json_option
@_on_record
def inspector(asked: _Asked, as_json: bool) -> None:
    found = inspector_of(asked, asked.language, lane=asked.one_lane, station=asked.station, since=asked.since)
    _told(found, as_json, _show_inspector)


def _show_inspector(found: InspectorAnswer, language: str, console: Console) -> None:
    console.print(say(f"web.inspector.answer.{found.verdict}", language), style="bold", markup=False)
    if found.moved_at is not None and found.share_before is not None and found.share_after is not None:
        told = say(
            "web.inspector.moved",
            language,
            at=f"{found.moved_at.astimezone():%Y-%m-%d %H:%M}",
            before=f"{100 * found.share_before:.1f} %",
            after=f"{100 * found.share_after:.1f} %",
        )
        console.print(told, markup=False)
    table = _table(language, "inspector.series", "inspector.whose", "inspector.hours")
    table.add_column("p", justify="right")
    for one in found.movers:
        table.add_row(
            one.title + (" ◆" if one.is_suspect else ""),
            say(f"web.inspector.{'of_inspection' if one.is_inspector else 'of_process'}", language),
            f"{one.hours_after:+d}",
            f"{one.p:.3f}",
        )
    console.print(table)
    if found.not_compared:
        names = " · ".join(f"{one.title} ({one.hours})" for one in found.not_compared)
        console.print(f"{say('web.inspector.not_compared', language)} {names}", markup=False)
    colon = say("web.colon", language)
    for name, chart in (("plain", found.plain), ("corrected", found.corrected)):
        if chart is not None:
            signals = say("web.inspector.signals", language, count=len(chart.signals))
            console.print(f"{say(f'web.inspector.{name}', language)}{colon}{signals}", markup=False)
    if found.refusal is not None:
        console.print(f"{found.refusal.code} {found.refusal.what} {found.refusal.action}", markup=False)


@spc.command(help=_help("cli.spc.study"))
@click.argument("kind", type=click.Choice(golden_parts.KINDS))
@click.argument("characteristic")
@click.argument("parts", nargs=-1, required=True)
@click.option("--station", help=_help("cli.spc.station"))
@click.option("--lane", help=_help("cli.spc.lane"))
@click.option("--since", type=click.DateTime(), help=_help("cli.spc.since_days"))
@click.option("--reference", type=Finite(), help=_help("cli.spc.reference"))
@click.option("--tolerance", type=Finite(), help=_help("cli.spc.tolerance"))
@json_option
@database_option
def study(
    kind: FromRecord,
    characteristic: str,
    parts: tuple[str, ...],
    station: str | None,
    lane: str | None,
    since: datetime | None,
    reference: float | None,
    tolerance: float | None,
    as_json: bool,
    database: str,
) -> None:
    said = FromRecordSaid(
        kind=kind,
        characteristic=characteristic,
        parts=list(parts),
        station=station,
        lane=lane,
        since=None if since is None else since.astimezone(UTC),
        reference=reference,
        tolerance=tolerance,
    )
    with TraceStore.open(database) as store:
        # Nobody has signed in at a command: the study is the program's.
        made = study_from_record(store, said, by=None)
    if as_json:
        click.echo(made.model_dump_json(indent=2))
    else:
        _show_studies([made], language_of_environment(), Console(highlight=False))


@spc.command(help=_help("cli.spc.studies"))
@click.argument("characteristic", required=False)
@json_option
@database_option
def studies(characteristic: str | None, as_json: bool, database: str) -> None:
    with TraceStore.open(database) as store:
        found = [StudyAnswer.of(one) for one in gauge_studies.studies(store, characteristic=characteristic)]
    if as_json:
        click.echo(TypeAdapter(list[StudyAnswer]).dump_json(found, indent=2).decode())
    else:
        _show_studies(found, language_of_environment(), Console(highlight=False))


def _show_studies(found: list[StudyAnswer], language: str, console: Console) -> None:
    table = _table(language, "studies.kind", "studies.of", "studies.figures", "studies.by")
    for one in found:
        figures = ", ".join(
            f"{say(f'web.figure.{figure.key}', language)} {_figure(figure.value)}" for figure in one.figures
        )
        table.add_row(
            say(f"web.study.{one.kind}", language),
            f"{one.characteristic} {one.model}".strip(),
            figures,
            f"{one.person or say('web.people.system', language)} {one.made_at.astimezone():%Y-%m-%d}",
        )
    console.print(table)


@spc.command("file", help=_help("cli.spc.file"))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--measurement", help=_help("cli.spc.file_measurement"))
@click.option("--by", type=click.Choice(["hour", "shift"]), default="hour", show_default=True)
@click.option(
    "--counted", type=click.Choice(COUNTED), default="p", show_default=True, help=_help("cli.spc.counts")
)
@_rate_options
@_chart_options
@_on_record
def file(
    asked: _Asked,
    target: Path,
    measurement: str | None,
    by: By,
    counted: CountedChart,
    in_control: float | None,
    to_find: float | None,
    chart: MeasuredChart,
    preset: Preset,
    **options: Any,
) -> None:
    format: Format | None = next((one for one in get_args(Format) if target.suffix == f".{one}"), None)
    if format is None:
        raise click.UsageError(_help("cli.spc.file_kinds"))
    if measurement is None:
        selected = Selection(
            by=by,
            station=asked.station,
            lane=asked.lane,
            since=asked.since,
            until=None,
            rules=preset,
            chart=counted,
            rates=rates_of(in_control, to_find),
        )
        charts: list[ChartAnswer] = [chart_of(asked, asked.language, selected)]
    else:
        which = _measured(asked, measurement, chart, preset=preset, **options)
        charts = measured_of(asked, asked.language, which).charts
    target.write_bytes(as_file(charts, format, station=asked.station or "–", language=asked.language))
    click.echo(str(target))


@spc.command(help=_help("cli.spc.merit"))
@click.option("--shift", type=click.DateTime(["%H:%M"]), help=_help("cli.spc.shift_start"))
@click.option("--opportunities", type=click.IntRange(1), default=1, show_default=True)
@click.option("--sigma-shift", type=FiniteRange(0, 3), default=1.5, show_default=True)
@click.option(
    "--given", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=_help("cli.spc.given")
)
@json_option
@_on_record
def merit(
    asked: _Asked,
    shift: datetime | None,
    opportunities: int,
    sigma_shift: float,
    given: Path | None,
    as_json: bool,
) -> None:
    place = Place(station=asked.station, lane=asked.lane, shift=None if shift is None else shift.time())
    found = figures_of(
        asked,
        asked.language,
        place,
        since=asked.since,
        until=datetime.now(UTC),
        opportunities=opportunities,
        sigma_shift=sigma_shift,
    )
    if given is None:
        _told(found, as_json, _show_merit)
        return
    more = given_figures(asked.language, Given.model_validate_json(given.read_text(encoding="utf-8")))
    found.figures.extend(more.figures)
    if as_json:
        click.echo(
            json.dumps(
                found.model_dump(mode="json") | {"suppliers": more.model_dump(mode="json")["suppliers"]},
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    console = Console(highlight=False)
    _show_merit(found, asked.language, console)
    for one in more.suppliers:
        places = f"{one.rank_from}" if one.rank_from == one.rank_to else f"{one.rank_from}–{one.rank_to}"
        low, high = one.interval
        console.print(f"{places}  {one.name}  {one.score:.1f}  ({low:.1f} … {high:.1f})", markup=False)


def _show_merit(found: FiguresAnswer, language: str, console: Console) -> None:
    table = _table(
        language, "merit.figure", "merit.value", "merit.interval", "merit.target", "merit.definition"
    )
    colon = say("web.colon", language)
    for one in found.figures:

        def said(value: float | None, unit: str = one.unit, figure: str = one.figure) -> str:
            if value is None:
                return "–"
            if figure == "dpmo":
                return f"{value:,.0f}"
            return f"{100 * value:.2f} %" if unit == "" else f"{value:.4g} {unit}".removesuffix(" –")

        met = {None: "", True: " ✓", False: " ✗"}[one.is_met]
        table.add_row(
            one.name if not one.lane else f"{one.name}{colon}{_lane_of(one, language)}",
            said(one.value),
            "–" if one.interval is None else " … ".join(said(bound) for bound in one.interval),
            said(one.target) + met,
            one.definition,
        )
    console.print(table)


def _lane_of(figure: MeritAnswer, language: str) -> str:
    """By its title where its station is set up on this computer; the record knows names only."""
    titles = lane_titles(figure.station)
    return lane_name(titles, language, figure.lane) if titles else figure.place


@spc.command(help=_help("cli.spc.sampling"))
@click.argument("lot", type=click.IntRange(2))
@click.option("--aql", type=Finite(), default=0.65, show_default=True, help=_help("cli.spc.aql"))
@click.option("--level", type=click.Choice(get_args(LevelName)), default="II", show_default=True)
@click.option("--severity", type=click.Choice(get_args(SeverityName)), default="normal", show_default=True)
@click.option("--share", type=Finite(), default=0.01, show_default=True, help=_help("cli.spc.zero_share"))
@json_option
def sampling(
    lot: int, aql: float, level: LevelName, severity: SeverityName, share: float, as_json: bool
) -> None:
    found = sampling_plan(lot=lot, aql=aql, level=level, severity=severity)
    least = zero_acceptance(share=share, lot=lot)
    if as_json:
        click.echo(json.dumps(found.model_dump() | {"zero_acceptance_n": least.n}, indent=2))
        return
    language = language_of_environment()
    console = Console(highlight=False)
    console.print(f"n = {found.n}, Ac = {found.accept}, Re = {found.reject}", style="bold")
    colon = say("web.colon", language)
    letters = say("web.sampling.letters", language, letter=found.letter, used=found.plan_letter)
    console.print(letters, markup=False)
    for key, value in (
        ("risk_95", found.risk_95),
        ("risk_10", found.risk_10),
        ("aoql", found.aoql),
    ):
        console.print(f"{say(f'web.sampling.{key}', language)}{colon}{100 * value:.3f} %", markup=False)
    console.print(f"{say('web.sampling.ati', language)}{colon}{found.looked_at_aql:.0f}", markup=False)
    told = say("web.sampling.zero", language, n=least.n, share=f"{100 * share:g} %", lot=lot)
    console.print(f"c = 0{colon}{told}", markup=False)


def _told(found: Answer, as_json: bool, show: Callable[[Answer, str, Console], None]) -> None:
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        show(found, language_of_environment(), Console(highlight=False))


def _table(language: str, *headings: str) -> Table:
    table = Table(box=None)
    for place, heading in enumerate(headings):
        table.add_column(say(f"web.{heading}", language), justify="right" if place else "left")
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
