"""`lynceus spc p` and `alarms`: the chart of refused units in a terminal, and what run rules cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import isnan

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.options import database_option
from services.text import language_of_environment, say
from traceability.samples import By, count_samples
from traceability.spc.attributes import ESTABLISHED_FROM, CountChart, count_chart
from traceability.spc.rules import PRESETS
from traceability.spc.run_length import false_alarms
from traceability.store import TraceStore

# What is shown when nobody says since when: about as many rows as can be read.
SHOWN_BY_DEFAULT = {"hour": timedelta(days=3), "shift": timedelta(days=30)}

# A row without its bar: the bar takes what is left of the line.
REST_CELLS = 72


def _help(key: str) -> str:
    return say(key, language_of_environment())


@click.group(help=_help("cli.spc"))
def spc() -> None:
    """Charts are subcommands: `lynceus spc CHART`."""


@spc.command(help=_help("cli.spc.p"))
@click.option(
    "--by",
    type=click.Choice(["hour", "shift"]),
    default="shift",
    show_default=True,
    help=_help("cli.spc.by"),
)
@click.option("--station", help=_help("cli.spc.station"))
@click.option("--lane", help=_help("cli.spc.lane"))
@click.option("--since", type=click.DateTime(), help=_help("cli.spc.since"))
@click.option("--measured-only", is_flag=True, help=_help("cli.spc.measured_only"))
@click.option("--json", "as_json", is_flag=True, help=_help("cli.spc.json"))
@database_option
def p(
    by: By,
    station: str | None,
    lane: str | None,
    since: datetime | None,
    measured_only: bool,
    as_json: bool,
    database: str,
) -> None:
    # A time without a zone, as typed, is local.
    start = datetime.now(UTC) - SHOWN_BY_DEFAULT[by] if since is None else since.astimezone(UTC)
    with TraceStore.open(database) as store:
        samples = count_samples(
            store,
            by=by,
            since=start,
            station=station,
            lane=lane,
            simulated=False if measured_only else None,
        )
    chart = count_chart(samples)
    if as_json:
        click.echo(json.dumps(chart.as_dict(), ensure_ascii=False, indent=2))
    else:
        show(chart, by, language_of_environment(), Console(highlight=False))


preset_option = click.option(
    "--rules",
    "preset",
    type=click.Choice(sorted(PRESETS)),
    default="nelson_1_2",
    show_default=True,
    help=_help("cli.spc.rules"),
)


@spc.command(help=_help("cli.spc.alarms"))
@click.option("--charts", type=click.IntRange(1), default=1, show_default=True, help=_help("cli.spc.charts"))
@click.option("--json", "as_json", is_flag=True, help=_help("cli.spc.json"))
def alarms(charts: int, as_json: bool) -> None:
    meters = {name: false_alarms(rules, charts=charts) for name, rules in sorted(PRESETS.items())}
    if as_json:
        told = {
            name: {
                "arl0": meter.in_control.mean,
                "arl_one_sigma": meter.at_one_sigma.mean,
                "method": meter.in_control.method,
                "per_cycle": meter.per_cycle,
            }
            for name, meter in meters.items()
        }
        click.echo(json.dumps(told, indent=2))
        return
    language = language_of_environment()
    table = Table(box=None)
    for key in ("rules_column", "arl0", "arl1", "how", "per_cycle"):
        table.add_column(
            say(f"cli.spc.{key}", language), justify="left" if key == "rules_column" else "right"
        )
    for name, meter in sorted(meters.items(), key=lambda one: -one[1].in_control.mean):
        table.add_row(
            name,
            f"{meter.in_control.mean:.1f}",
            f"{meter.at_one_sigma.mean:.1f}",
            say(
                "cli.spc.exact" if meter.in_control.method == "exact" else "cli.spc.simulated_rule", language
            ),
            f"{meter.per_cycle:.2f}",
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(say("cli.spc.alarms_read", language, charts=charts), markup=False)


def show(chart: CountChart, by: By, language: str, console: Console) -> None:
    """The chart as a table with a bar per subgroup, then what it says."""

    def told(key: str, **facts: object) -> str:
        return say(f"cli.spc.{key}", language, **facts)

    method = say(f"spc.method.{chart.baseline.method}", language)
    table = Table(title=told("title", method=method, by=told(by)), title_justify="left", box=None)
    table.add_column(told("subgroup"), no_wrap=True)
    for key in ("units", "rejected", "share", "limits"):
        table.add_column(told(key), justify="right", no_wrap=True)
    table.add_column(told("beside"), justify="right", max_width=9)
    table.add_column("", no_wrap=True)
    cells = min(max(console.width - REST_CELLS, 8), 40)
    for index, sample in enumerate(chart.samples):
        table.add_row(
            sample.label,
            str(sample.opportunity),
            str(sample.count),
            _percent(chart.value[index]),
            f"{_percent(chart.lower[index])}–{_percent(chart.upper[index])}",
            str(sample.not_inspected),
            _bar(chart, index, cells),
        )
    console.print(table)
    for line in _footer(chart, language):
        console.print(line, markup=False)


def _footer(chart: CountChart, language: str) -> list[str]:
    def told(key: str, **facts: object) -> str:
        return say(f"cli.spc.{key}", language, **facts)

    baseline = chart.baseline
    lines = [
        told(
            "centre",
            centre=_percent(baseline.centre),
            subgroups=baseline.subgroups,
            sigma_z=f"{baseline.sigma_z:.2f}",
        )
    ]
    if baseline.method == "laney_p" and chart.dispersion is not None:
        lines.append(told("laney", p_value=f"{chart.dispersion.p_value:.2g}"))
    if baseline.is_provisional:
        lines.append(told("provisional", established=ESTABLISHED_FROM))
    lines.append(told("counting"))
    simulated = sum(sample.simulated for sample in chart.samples)
    if simulated:
        units = sum(sample.opportunity + sample.not_inspected for sample in chart.samples)
        lines.append(told("simulated", simulated=simulated, units=units))
    if not chart.signals:
        return [*lines, told("no_signals")]
    lines.append(told("signals", count=len(chart.signals)))
    return lines + [
        "  "
        + told(
            "one_signal",
            label=chart.samples[signal.index].label,
            rule=say(f"spc.rule.{signal.rule}", language),
            side=say(f"spc.side.{signal.side}", language),
        )
        for signal in chart.signals
    ]


def _bar(chart: CountChart, index: int, width: int) -> Text:
    """The share as a bar, the limits and the centre as marks, on one scale for all rows; red when signalling."""
    value, lower, upper = (float(line[index]) for line in (chart.value, chart.lower, chart.upper))
    if isnan(value):
        return Text("")
    tops = [number for number in (*chart.value, *chart.upper) if not isnan(number)]
    top = max(tops) or 1.0

    def cell(number: float) -> int:
        return min(int(number / top * (width - 1)), width - 1)

    cells = ["█" if value > 0 and at <= cell(value) else "·" for at in range(width)]
    for mark, number in (("┊", chart.centre), ("│", lower), ("│", upper)):
        cells[cell(number)] = mark
    signals = any(signal.index == index for signal in chart.signals)
    bar = Text("".join(cells), style="dim")
    bar.stylize("bold red" if signals else "green", 0, cell(value) + 1)
    return bar.append(" ✖" if signals else "", style="bold red")


def _percent(share: float) -> str:
    return "–" if isnan(share) else f"{100 * share:.2f}"
