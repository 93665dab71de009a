"""`lynceus demo`: a whole station on drawn strip and drawn parts, seen by simulated cameras."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.console import Console

from cameras.errors import AddressUnusable
from services.cli.options import VAR, default_database
from services.cli.station import LOCALHOST, run_here
from services.station.logs import LOGS
from services.station.place import ENGINE_LOGS, FIRST_RUN_FILE, SPOOL
from services.station.wired import Wired, wired
from services.text import language_of_environment, say
from station_config import load_station

HISTORY_SEED = 20261120
TRIES = 5

DATABASE = "lynceus.db"
HEADS = "ledger/heads.jsonl"

MADE_HERE = (
    # What an engine that was killed had yet to deliver would be delivered to the next one's database.
    f"{ENGINE_LOGS}/demo",
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    "pictures",
    SPOOL,
    LOGS,
    FIRST_RUN_FILE,
    "recipes-in-force.json",
    "modes-in-force.json",
)
"""What the demo puts into `var`, and all that --clean takes away, but for the heads of its ledger. The ledger's key
stays: what it signed may be kept elsewhere, too."""


@click.command(help=say("cli.demo", language_of_environment()))
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--clean", is_flag=True, help=say("cli.demo.clean", language_of_environment()))
def demo(port: int, clean: bool) -> int:
    language = language_of_environment()
    console = Console(highlight=False)
    if clean:
        # Of another database, the heads are its proof.
        is_own = default_database() == f"sqlite:///{VAR / DATABASE}"
        removed = remove_traces(VAR, heads_too=is_own)
        console.print(say("cli.demo.cleaned", language, names=", ".join(removed) or "–", folder=VAR))
        return 0
    console.print(say("cli.demo.starting", language))
    for tries_left in reversed(range(TRIES)):
        demo_station = wired(load_station("demo"))
        console.print(_said_of(demo_station, language), soft_wrap=True, markup=False)
        try:
            run_here(
                demo_station.station,
                console,
                host=LOCALHOST,
                port=port,
                devices=demo_station.devices,
                seed_history=HISTORY_SEED,
            )
            break
        except AddressUnusable:
            # Another demo that began at the same moment was faster: there are other addresses.
            if not tries_left:
                raise
    console.print(say("cli.station.stopped", language))
    return 0


def _said_of(station: Wired, language: str) -> str:
    """Which way the pictures take."""
    if station.chain is None:
        return say("cli.demo.drawn", language, reason=say(f"cli.demo.why.{station.why_not}", language))
    cameras = ", ".join(f"{device.serial} ({device.address})" for device in station.devices)
    return say(f"cli.demo.{station.chain}", language, cameras=cameras)


def remove_traces(folder: Path, *, heads_too: bool) -> list[str]:
    """Remove what the demo made in `folder`, and nothing else. Returns the names that were there.

    heads_too  those of the ledger are of the database that goes: behind them, none of another could ever be signed
    """
    removed = []
    # The heads first: broken off in between, a database without heads is signed anew.
    for name in (*([HEADS] if heads_too else []), *MADE_HERE):
        path = folder / name
        if path.parent != folder and path.parent.is_symlink():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
        else:
            continue
        removed.append(name)
    for emptied in (folder / ENGINE_LOGS, folder):
        if emptied.is_dir() and not emptied.is_symlink() and not any(emptied.iterdir()):
            emptied.rmdir()
    return removed
