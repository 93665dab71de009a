"""`lynceus spc causes|maps|inspector|studies|file`: what the pages about charts show, for the terminal and programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.table import Table

from services.api.causes import CausesAnswer, PositionsAnswer, causes_of, positions_of
from services.api.charts import ChartAnswer, Preset
from services.api.inspector import InspectorAnswer, inspector_of
from services.api.measured import Measured, individuals_of
from services.api.spc import Selection, chart_of
from services.api.studies import StudyAnswer
from services.chart_files import Format, as_file
from services.cli.options import database_option
from services.cli.spc import spc
from services.text import language_of_environment, say
from station_config import Catalogue, load_catalogue
from traceability import gauge_studies
from traceability.store import TraceStore

Answer = TypeVar("Answer", bound=BaseModel)

SHOWN_BY_DEFAULT = timedelta(days=3)


def _help(key: str) -> str:
    return say(key, language_of_environment())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    store: TraceStore
    catalogue: Catalogue


@contextmanager
def _opened(database: str) -> Iterator[_Opened]:
    with TraceStore.open(database) as store:
        yield _Opened(store=store, catalogue=load_catalogue())


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What all of these ask for in the same words."""
    for option in (
        click.option("--station", help=_help("cli.spc.station")),
        click.option("--lane", help=_help("cli.spc.lane")),
        click.option("--since", type=click.DateTime(), help=_help("cli.spc.since_3")),
        database_option,
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help=_help("cli.spc.json"))
kind_option = click.option("--kind", help=_help("cli.spc.kind"))


def _begin(since: datetime | None) -> datetime:
    # A time without a zone, as typed, is local.
    return datetime.now(UTC) - SHOWN_BY_DEFAULT if since is None else since.astimezone(UTC)


def _lane_needed(lane: str | None) -> str:
    if not lane:
        raise click.UsageError(_help("cli.spc.lane_needed"))
    return lane


@spc.command(help=_help("cli.spc.causes"))
@kind_option
@json_option
@_options
def causes(
    kind: str | None,
    as_json: bool,
    station: str | None,
    lane: str | None,
    since: datetime | None,
    database: str,
) -> None:
    with _opened(database) as here:
        found = causes_of(here, station=station, lane=lane, kind=kind, since=_begin(since))
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
@_options
def maps(
    kind: str | None,
    as_json: bool,
    station: str | None,
    lane: str | None,
    since: datetime | None,
    database: str,
) -> None:
    with _opened(database) as here:
        found = positions_of(
            here,
            language_of_environment(),
            lane=_lane_needed(lane),
            station=station,
            kind=kind,
            since=_begin(since),
        )
    _told(found, as_json, _show_maps)


def _show_maps(found: PositionsAnswer, language: str, console: Console) -> None:
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
@_options
def inspector(
    as_json: bool, station: str | None, lane: str | None, since: datetime | None, database: str
) -> None:
    with _opened(database) as here:
        found = inspector_of(
            here,
            language_of_environment(),
            lane=_lane_needed(lane),
            station=station,
            since=_begin(since),
        )
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
    for name, chart in (("plain", found.plain), ("corrected", found.corrected)):
        if chart is not None:
            signals = say("web.inspector.signals", language, count=len(chart.signals))
            console.print(f"{say(f'web.inspector.{name}', language)}: {signals}", markup=False)
    if found.refusal is not None:
        console.print(f"{found.refusal.code} {found.refusal.what} {found.refusal.action}", markup=False)


@spc.command(help=_help("cli.spc.studies"))
@click.argument("characteristic", required=False)
@json_option
@database_option
def studies(characteristic: str | None, as_json: bool, database: str) -> None:
    with _opened(database) as here:
        found = [
            StudyAnswer.of(one) for one in gauge_studies.studies(here.store, characteristic=characteristic)
        ]
    if as_json:
        click.echo(TypeAdapter(list[StudyAnswer]).dump_json(found, indent=2).decode())
        return
    language = language_of_environment()
    table = _table(language, "studies.kind", "studies.of", "studies.figures", "studies.by")
    for one in found:
        figures = ", ".join(
            f"{say(f'web.figure.{figure.key}', language)} {_figure(figure.value)}" for figure in one.figures
        )
        table.add_row(
            say(f"web.study.{one.kind}", language),
            f"{one.characteristic} {one.model}".strip(),
            figures,
            f"{one.person or '–'} {one.made_at.astimezone():%Y-%m-%d}",
        )
    Console(highlight=False).print(table)


@spc.command("file", help=_help("cli.spc.file"))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--measurement", help=_help("cli.spc.file_measurement"))
@click.option("--by", type=click.Choice(["hour", "shift"]), default="hour", show_default=True)
@click.option("--rules", type=click.Choice(get_args(Preset)), default="nelson_1_2", show_default=True)
@_options
def file(
    target: Path,
    measurement: str | None,
    by: Any,
    rules: Any,
    station: str | None,
    lane: str | None,
    since: datetime | None,
    database: str,
) -> None:
    format: Format | None = next((one for one in get_args(Format) if target.suffix == f".{one}"), None)
    if format is None:
        raise click.UsageError(_help("cli.spc.file_kinds"))
    language = language_of_environment()
    with _opened(database) as here:
        if measurement is None:
            selected = Selection(
                by=by, station=station, lane=lane, since=_begin(since), until=None, rules=rules
            )
            charts: list[ChartAnswer] = [chart_of(here, language, selected)]
        else:
            asked = Measured(
                measurement=measurement, since=_begin(since), station=station, lane=lane, rules=rules
            )
            pair = individuals_of(here, language, asked)
            charts = [pair.location, pair.spread]
    target.write_bytes(as_file(charts, format, station=station or "–", language=language))
    click.echo(str(target))


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
