"""`lynceus trace CODE`: all that was seen of a unit, by which camera, recipe and model."""

from __future__ import annotations

from datetime import datetime

import click
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inspection.identity import IdentifierCode
from inspection.types import Defect, Inspection, Verdict
from services.api.answers import UnitAnswer
from services.api.genealogy import (
    PlacedAnswer,
    PlacesAnswer,
    RelativeAnswer,
    RelativesAnswer,
    box_between,
)
from services.api.history import LifeAnswer
from services.cli.options import Numbers, database_option, lane_titles
from services.text import language_of_environment, say
from services.web.rendering import lane_name
from station_config import Catalogue, load_catalogue
from traceability.errors import UnitUnknown
from traceability.genealogy.tracing import Placed, Relative, ancestors, at_risk, descendants, place_up
from traceability.history import Event, Life, life
from traceability.identifiers import parse
from traceability.store import TraceStore

# A verdict is a colour, a shape and a word.
MARKS = {
    Verdict.ACCEPT: ("bold green", "✔"),
    Verdict.REVIEW: ("bold yellow", "◆"),
    Verdict.NOT_INSPECTED: ("bold magenta", "□"),
    Verdict.REJECT: ("bold red", "✖"),
}

SIMILAR_SHOWN = 5


@click.command(help=say("cli.trace", language_of_environment()))
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help=say("cli.trace.json", language_of_environment()))
@click.option("--up", "way", flag_value="up", help=say("cli.trace.up", language_of_environment()))
@click.option("--down", "way", flag_value="down", help=say("cli.trace.down", language_of_environment()))
@click.option("--at", type=Numbers(2), metavar="X,Y", help=say("cli.trace.at", language_of_environment()))
@click.option(
    "--box", type=Numbers(4), metavar="X1,Y1,X2,Y2", help=say("cli.trace.box", language_of_environment())
)
@click.option("--life", "is_life", is_flag=True, help=say("cli.trace.life", language_of_environment()))
@database_option
def trace(
    code: str,
    as_json: bool,
    way: str | None,
    is_life: bool,
    at: tuple[float, ...] | None,
    box: tuple[float, ...] | None,
    database: str,
) -> None:
    language = language_of_environment()
    unit = parse(code)
    catalogue = load_catalogue()
    with TraceStore.open(database) as store:
        if is_life:
            click.echo(_life(life(store, unit), as_json=as_json, language=language))
            return
        if way is not None or at is not None or box is not None:
            click.echo(_kin(store, unit, way, at, box, as_json=as_json, language=language))
            return
        try:
            inspections = store.inspections_of(unit)
        except UnitUnknown:
            _tell_similar(store, str(unit), language)
            raise
        if as_json:
            # What the service answers at `/api/v1/units/CODE`: programs read one shape, however they ask.
            answer = UnitAnswer.of(unit, inspections, catalogue, language)
            click.echo(answer.model_dump_json(indent=2))
            return
        if not inspections:
            head = _head_of_life(life(store, unit), language)
            click.echo("\n".join([*head, say("cli.trace.not_inspected", language)]))
            return
    console = Console(highlight=False)
    console.print(
        Text(say("cli.trace.unit", language, code=inspections[-1].unit), style="bold"),
        say("cli.trace.inspections", language, count=len(inspections)),
        sep="\n",
    )
    for inspection in inspections:
        console.print(_panel(inspection, catalogue, language))


def _kin(
    store: TraceStore,
    unit: IdentifierCode,
    way: str | None,
    at: tuple[float, ...] | None,
    box: tuple[float, ...] | None,
    *,
    as_json: bool,
    language: str,
) -> str:
    """Relatives of the unit, or where a place on it lies on them: one a line, or as the service answers."""
    if at is not None or box is not None:
        placed = (
            place_up(store, unit, at[0], at[1])
            if at is not None
            else at_risk(store, unit, box_between(*(box or ())))
        )
        if as_json:
            places = PlacesAnswer(places=[PlacedAnswer.of(one) for one in placed])
            return places.model_dump_json(indent=2)
        return "\n".join(_said_of_place(one, language) for one in placed)
    relatives = ancestors(store, unit) if way == "up" else descendants(store, unit)
    if as_json:
        return RelativesAnswer(relatives=[RelativeAnswer.of(one) for one in relatives]).model_dump_json(
            indent=2
        )
    return "\n".join(f"{one.unit}  {_kind(one, language)}".rstrip() for one in relatives)


def _head_of_life(told: Life, language: str) -> list[str]:
    counts = {"ancestors": len(told.ancestors), "descendants": len(told.descendants)}
    lines = [
        f"{told.unit.unit}  {_kind(told.unit, language)}".rstrip(),
        say("cli.trace.kin", language, **counts),
    ]
    return [*lines, say("web.containment.is_held", language)] if told.is_held else lines


def _life(told: Life, *, as_json: bool, language: str) -> str:
    """What happened to the unit and its relatives, one a line in order of time; or as the service answers."""
    if as_json:
        return LifeAnswer.of(told).model_dump_json(indent=2)
    lines = _head_of_life(told, language)
    lines += [
        "  ".join(
            part
            for part in (
                _local(event.at),
                say(f"web.timeline.{event.what}", language),
                str(event.unit),
                _place_of(event, language),
                _fact(event, language),
            )
            if part
        )
        for event in told.events
    ]
    lines += [
        say(
            "cli.trace.contradiction",
            language,
            at=_local(one.received_at),
            about=say(f"web.contradiction.kind.{one.kind}", language),
            id=one.record,
        )
        for one in told.contradictions
    ]
    return "\n".join(lines)


def _place_of(event: Event, language: str) -> str:
    """Where it happened; of an inspection station and lane, the lane by its title where the station is set up here."""
    if event.station is None or event.lane is None:
        return event.place
    return f"{event.station} / {lane_name(lane_titles(event.station), language, event.lane)}"


def _fact(event: Event, language: str) -> str:
    match event.what:
        case "inspection":
            return say(f"verdict.{event.fact}", language)
        case "hold_release":
            return say(f"web.containment.decision.{event.fact}", language)
    return event.fact


def _said_of_place(placed: Placed, language: str) -> str:
    head = f"{placed.probability:6.1%}  {placed.relative.unit}  {_kind(placed.relative, language)}".rstrip()
    if not placed.regions:
        return f"{head}  {say('cli.trace.somewhere', language)}"
    return "\n".join(
        f"{head}  "
        + say(
            "cli.trace.region",
            language,
            x=_span(region.box_mm.x1, region.box_mm.x2),
            y=_span(region.box_mm.y1, region.box_mm.y2),
            sigma_x=f"{region.sigma_x_mm:.3g}",
            sigma_y=f"{region.sigma_y_mm:.3g}",
        )
        for region in placed.regions
    )


def _span(low: float, high: float) -> str:
    return f"{low:.1f}" if low == high else f"{low:.1f}…{high:.1f}"


def _kind(relative: Relative, language: str) -> str:
    return "" if relative.kind is None else say(f"unit_kind.{relative.kind}", language)


def _tell_similar(store: TraceStore, text: str, language: str) -> None:
    similar = store.find(text, limit=SIMILAR_SHOWN)
    if similar:
        click.echo(say("cli.trace.similar", language), err=True)
        for code in similar:
            click.echo(f"  {code}", err=True)


def _panel(inspection: Inspection, catalogue: Catalogue, language: str) -> Panel:
    style, shape = MARKS[inspection.verdict]
    word = say(f"verdict.{inspection.verdict.name}", language)
    parts: list[Table | Text] = [_head(inspection, language)]
    if inspection.simulated:
        parts.insert(0, Text(say("cli.trace.simulated", language), style="reverse"))
    if inspection.defects:
        parts.append(_defects(inspection.defects, catalogue, language))
    else:
        parts.append(Text(say("cli.trace.no_defects", language)))
    return Panel(
        Group(*parts),
        title=f"[{style}]{shape} {escape(word)}[/]  {_local(inspection.finished_at)}",
        title_align="left",
        subtitle=str(inspection.id),
        subtitle_align="right",
    )


def _head(inspection: Inspection, language: str) -> Table:
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")

    def row(key: str, value: str) -> None:
        rows.add_row(say(f"cli.trace.{key}", language), Text(value))

    def told(key: str, **facts: object) -> str:
        return say(f"cli.trace.{key}", language, **facts)

    recipe = inspection.recipe
    lane = lane_name(lane_titles(inspection.station), language, inspection.lane)
    row("place", told("place_value", station=inspection.station, lane=lane))
    row("time", f"{_local(inspection.started_at)} – {_local(inspection.finished_at)}")
    row("recipe", told("recipe_value", name=recipe.name, revision=recipe.revision))
    row("digest", recipe.sha256)
    for model in inspection.models:
        row("model", told("model_value", name=model.name, version=model.version))
        row("digest", model.sha256)
    if cameras := _cameras(inspection):
        row("cameras", ", ".join(cameras))
    row(
        "exposures",
        told(
            "balance",
            triggers=inspection.triggers,
            inspected=inspection.frames_inspected,
            failed=inspection.frames_failed,
            lost=inspection.frames_lost,
            unaccounted=inspection.unaccounted,
        ),
    )
    for code, frames in sorted(inspection.failures.items()):
        row("failures", told("failure_value", code=code, frames=frames))
    if inspection.code_failure is not None:
        row("code_unread", inspection.code_failure)
    for measured in inspection.measurements:
        spread = "" if measured.uncertainty is None else f" ± {measured.uncertainty:g}"
        row("measurements", f"{measured.name} = {measured.value:g}{spread} {measured.unit}")
    for picture in inspection.pictures:
        row("pictures", f"{picture.camera} {picture.sequence}: {picture.sha256}")
    return rows


def _defects(defects: tuple[Defect, ...], catalogue: Catalogue, language: str) -> Table:
    """Where each defect begins on the surface; in the picture, where the surface's scale is not known."""
    has_scale = all(defect.box_mm is not None for defect in defects)
    place = (
        ("x_mm", "y_mm", "length_mm", "area_mm2") if has_scale else ("x_px", "y_px", "width_px", "height_px")
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(say("cli.trace.kind", language))
    table.add_column(say("cli.trace.camera", language))
    for key in ("frame", "score", *place):
        table.add_column(say(f"cli.trace.{key}", language), justify="right")
    for defect in defects:
        known = catalogue.get(defect.kind)
        table.add_row(
            Text(defect.kind if known is None else known.name(language)),
            Text(defect.camera),
            str(defect.sequence),
            f"{defect.score:.2f}",
            *_place(defect, has_scale=has_scale),
        )
    return table


def _place(defect: Defect, *, has_scale: bool) -> list[str]:
    if has_scale and defect.box_mm is not None:
        mm = defect.box_mm
        return [f"{value:.1f}" for value in (mm.x1, mm.y1, max(mm.width, mm.height), mm.area)]
    px = defect.box_px
    return [f"{value:.0f}" for value in (px.x1, px.y1, px.width, px.height)]


def _cameras(inspection: Inspection) -> list[str]:
    """Those that left something: a clean unit without a kept picture names none."""
    of_defects = {defect.camera for defect in inspection.defects}
    return sorted(of_defects | {picture.camera for picture in inspection.pictures})


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
