"""`lynceus backup`: records, pictures and signed heads kept elsewhere, checked, and taken back."""

from __future__ import annotations

from pathlib import Path

import click

from services.cli.ledger import tell_verified, verified
from services.cli.options import database_option, ledger_option, pictures_option
from services.text import language_of_environment, say
from traceability import backup as backups
from traceability.backup import Backup
from traceability.images import ImageStore
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.backup.{key}", language_of_environment())


folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.group(help=_help("help"))
def backup() -> None:
    """What is done with backups is a subcommand."""


@backup.command("make", help=_help("make"))
@folder_argument
@database_option
@ledger_option
@pictures_option
def make(folder: Path, database: str, ledger: Path, pictures: ImageStore) -> None:
    _tell(backups.make(database, folder, images=pictures, heads=ledger / "heads.jsonl"), "made")


@backup.command("check", help=_help("check"))
@folder_argument
def check(folder: Path) -> None:
    _tell(backups.check(backups.latest(folder)), "checked")


@backup.command("restore", help=_help("restore"))
@folder_argument
@database_option
@ledger_option
@pictures_option
def restore(folder: Path, database: str, ledger: Path, pictures: ImageStore) -> None:
    place = backups.latest(folder)
    _tell(backups.restore(place, database, images=pictures, heads=ledger / "heads.jsonl"), "restored")
    # Against the heads of that moment, too: where the ledger's folder has newer ones, records since then are missing.
    with TraceStore.open(database) as store:
        found = verified(store, ledger, pictures, (place / "heads.jsonl",))
    tell_verified(found)
    if found.findings:
        raise click.exceptions.Exit(1)


def _tell(one: Backup, what: str) -> None:
    facts = {
        "made_at": f"{one.made_at:%Y-%m-%d %H:%M:%S}",
        "rows": sum(one.rows.values()),
        "pictures": one.pictures,
    }
    click.echo(say(f"cli.backup.{what}", language_of_environment(), **facts))
