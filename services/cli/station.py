"""`lynceus station`: a plant's own station, checked and run."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from models.provider import chosen_provider
from services.cli.options import VAR, default_database, default_ledger, default_pictures, default_tls
from services.station.messages import FirstOnRecord
from services.station.place import ServicePlace, unwritable
from services.station.supervisor import run_station
from services.station.wired import Device
from services.text import language_of_environment, say
from station_config import LaneSettings, StationSettings, load_station

if TYPE_CHECKING:
    from services.signals.handshake import Done, Read
    from services.station.lane import ReadyRecipe

LOCALHOST: Final = "127.0.0.1"

POLL_S: Final = 0.01
"""A PLC's cycle."""


def _help(key: str) -> str:
    return say(f"cli.station.{key}", language_of_environment())


@click.group(help=_help("help"))
def station() -> None:
    """What is done with stations is a subcommand."""


@station.command("run", help=_help("run"))
@click.argument("name", metavar="NAME|FILE.toml")
@click.option("--host", default=LOCALHOST, show_default=True, help=_help("host"))
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
def run(name: str, host: str, port: int) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    settings = load_station(name)
    console.print(say("cli.station.starting", language, station=settings.name))
    run_here(settings, console, host=host, port=port)
    console.print(say("cli.station.stopped", language))


@station.command("check", help=_help("check"))
@click.argument("name", metavar="NAME|FILE.toml")
def check(name: str) -> None:
    # What builds lanes loads the network runtime, which running asks for in processes of its own.
    from services.station.build import build_lane
    from traceability.identifiers import Minter

    language = language_of_environment()
    settings = load_station(name)
    minter = Minter(settings.code_prefix, started_at=datetime.now(UTC))
    for lane in settings.lanes:
        # Those that it may change over to before the one it begins with, so that its line says that all can be had.
        for recipe in (*(one for one in lane.offered if one != lane.recipe), lane.recipe):
            as_if = lane.model_copy(update={"recipe": recipe})
            built = build_lane(settings, as_if, minter=minter, sinks=(), stop=threading.Event())
        click.echo(_lane_said(lane, built.recipe, language))
    lanes, provider = len(settings.lanes), chosen_provider()
    click.echo(say("cli.station.checked", language, station=settings.name, lanes=lanes, provider=provider))


def _lane_said(lane: LaneSettings, recipe: ReadyRecipe, language: str) -> str:
    models = ", ".join(f"{ref.name} {ref.version}" for ref in recipe.models)
    return say(
        "cli.station.lane",
        language,
        lane=lane.name,
        recipe=recipe.ref.name,
        revision=recipe.ref.revision,
        models=models or "–",
        camera=lane.camera_name,
        driver=lane.driver,
    )


@station.command("plc", help=_help("plc"))
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--lane", type=click.IntRange(1, 64), default=1, show_default=True, help=_help("lane_number"))
@click.option("--recipe", type=click.IntRange(1, 65535), help=_help("recipe"))
@click.option("--units", type=click.IntRange(0), help=_help("units"))
@click.option("--json", "as_json", is_flag=True, help=_help("json"))
def plc(host: str, port: int, lane: int, recipe: int | None, units: int | None, as_json: bool) -> None:
    from services.signals.handshake import Done, Gate
    from services.signals.modbus import Plc

    language = language_of_environment()
    with Plc(host, port) as stand_in:
        stands = stand_in.read(lane)
        if not as_json:
            mode = say(f"cli.station.mode.{stands.mode.name}", language)
            click.echo(
                say("cli.station.stands", language, mode=mode, recipe=stands.recipe, waiting=stands.waiting)
            )
        if recipe is not None:
            # Else one that was asked for before would not be asked for again.
            stand_in.want_recipe(lane, 0)
            stand_in.want_recipe(lane, recipe)
        taken = 0
        while units is None or taken < units:
            read = stand_in.read(lane)
            if read.shown is None:
                time.sleep(POLL_S)
                continue
            done = Done.LET_PASS if read.gate is Gate.PASS else Done.DIVERTED
            stand_in.take(lane, read, done)
            taken += 1
            click.echo(_taken_said(read, done, language, as_json=as_json))


def _taken_said(read: Read, done: Done, language: str, *, as_json: bool) -> str:
    told = read.shown
    assert told is not None
    if as_json:
        facts = {
            "session": read.session,
            "number": told.number,
            "unit": told.code,
            "verdict": told.verdict.name,
            "done": done.name,
            "defects": told.defects,
            "exposures": told.exposures,
            "lost": told.lost,
            "recipe": read.recipe,
        }
        return json.dumps(facts, ensure_ascii=False)
    return say(
        f"cli.station.taken.{done.name}",
        language,
        number=told.number,
        verdict=say(f"verdict.{told.verdict.name}", language),
        unit=told.code,
    )


def run_here(
    settings: StationSettings,
    console: Console,
    *,
    host: str,
    port: int,
    devices: Sequence[Device] = (),
    seed_history: int | None = None,
) -> None:
    """Run the station until it is stopped, with its records in `var` or where LYNCEUS_… says. Says when all is ready,
    what the first verdict was, and where the pages are.

    Raises FolderUnwritable, and as `run_station`.
    """
    language = language_of_environment()
    logging.getLogger().setLevel(logging.WARNING)
    make_writable(VAR)
    tls = default_tls()
    shown = f"[{host}]" if ":" in host else host
    url = f"{'http' if tls is None else 'https'}://{shown}:{port}"
    began = time.monotonic()
    told: list[FirstOnRecord] = []

    def first(inspection: FirstOnRecord) -> None:
        told.append(inspection)
        if len(told) == 1:
            verdict = say(f"verdict.{inspection.verdict.name}", language)
            seconds = f"{time.monotonic() - began:.1f}"
            console.print(
                say("cli.station.first", language, unit=inspection.unit, verdict=verdict, seconds=seconds),
                soft_wrap=True,
            )

    def ready() -> None:
        console.print(say("cli.station.ready", language))
        console.print(f"[bold]{say('cli.station.open', language, url=url)}[/]")

    run_station(
        settings,
        ServicePlace(
            database=default_database(),
            pictures=default_pictures(),
            folder=VAR,
            ledger=default_ledger(),
            host=host,
            port=port,
            language=language,
            seed_history=seed_history,
            tls=tls,
        ),
        devices=devices,
        ready=ready,
        first=first,
    )


def make_writable(folder: Path) -> None:
    """Make `folder` if need be; raise FolderUnwritable if nothing can be kept there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error
