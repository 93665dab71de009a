"""`lynceus pictures`: how long pictures are kept by the station's rules, and when the room is full."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from services.api.pictures import RoomAnswer, rules_of
from services.cli.options import database_option, pictures_option
from services.text import language_of_environment, say
from station_config import load_station
from traceability.images import ImageStore
from traceability.retention import Forecast, forecast
from traceability.retention import prune as give_up
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.pictures.{key}", language_of_environment())


_station_option = click.option(
    "--station", metavar="NAME|FILE.toml", default="demo", show_default=True, help=_help("station")
)


@click.group(help=_help("help"))
def pictures() -> None:
    """What is done with pictures is a subcommand."""


@pictures.command("room", help=_help("room"))
@_station_option
@click.option("--json", "as_json", is_flag=True, help=say("cli.trace.json", language_of_environment()))
@database_option
@pictures_option
def room(station: str, as_json: bool, database: str, pictures: ImageStore) -> None:
    rules = rules_of(load_station(station))
    if not as_json:
        tell_waiting(pictures)
    with TraceStore.open(database) as store:
        found = forecast(store, pictures, rules, at=datetime.now(UTC))
    click.echo(RoomAnswer.of(found).model_dump_json(indent=2) if as_json else _said(found))


@pictures.command("prune", help=_help("prune"))
@_station_option
@database_option
@pictures_option
def prune(station: str, database: str, pictures: ImageStore) -> None:
    language = language_of_environment()
    rules = rules_of(load_station(station))
    with TraceStore.open(database) as store:
        done = give_up(store, pictures, rules, at=datetime.now(UTC))
    for one in done:
        rule = say(f"picture_rule.{one.rule}", language)
        click.echo(say("cli.pictures.pruned", language, pictures=len(one.pictures), rule=rule))
    if not done:
        click.echo(say("cli.pictures.nothing", language))


@pictures.command("send", help=_help("send"))
@pictures_option
def send(pictures: ImageStore) -> None:
    language = language_of_environment()
    sent = pictures.send_on()
    click.echo(say("cli.pictures.sent", language, pictures=sent.pictures))
    for sha256 in sent.spoilt:
        click.echo(say("cli.pictures.spoilt", language, sha256=sha256), err=True)
    if sent.spoilt:
        raise click.exceptions.Exit(1)


def tell_waiting(images: ImageStore) -> None:
    """Say how many pictures wait here for their bucket, where any do."""
    waiting = images.waiting()
    if waiting:
        size = _mb(sum(waiting.values()))
        told = say("cli.pictures.waiting", language_of_environment(), pictures=len(waiting), size=size)
        click.echo(told, err=True)


def _said(found: Forecast) -> str:
    language = language_of_environment()
    lines = [say("cli.pictures.size", language, used=_mb(found.size), room=_mb(found.room))]
    for kind, one in found.classes.items():
        facts = {"pictures": one.pictures, "size": _mb(one.size), "per_day": _mb(one.per_day)}
        lines.append(
            "  " + say("cli.pictures.class", language, name=say(f"picture_class.{kind}", language), **facts)
        )
    for key, days, now in (("full_in", found.full_in, "is_full"), ("short_in", found.short_in, "is_short")):
        if days is not None:
            lines.append(say(f"web.room.{key if days else now}", language, days=f"{days:.0f}"))
    if found.full_in is None:
        lines.append(say("web.room.never_full", language))
    return "\n".join(lines)


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f}"
