"""`lynceus recipe …`: what a changed recipe would have made of the units on record, and recipes from one station to
another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from inspection.types import Verdict
from services.cli.options import database_option, ledger_option, pictures_option
from services.cli.signing import by_option, signs
from services.recipe_archive import carried
from services.recipe_life import RecipeLife
from services.text import language_of_environment, say
from services.what_if import compare, units_of
from station_config import load_recipe
from traceability.images import ImageStore
from traceability.merkle import Sealer
from traceability.store import TraceStore

FLIPPED_SHOWN = 20


def _help(key: str) -> str:
    return say(key, language_of_environment())


@click.group(help=_help("cli.recipe"))
def recipe() -> None:
    """What is done with a recipe is a subcommand."""


@recipe.command("what-if", help=_help("cli.recipe.what_if"))
@click.argument("name")
@click.option(
    "--units",
    type=click.IntRange(1, 100_000),
    default=5000,
    show_default=True,
    metavar="N",
    help=_help("cli.recipe.units"),
)
@click.option("--look-again", is_flag=True, help=_help("cli.recipe.look_again"))
@pictures_option
@database_option
def what_if(name: str, units: int, look_again: bool, pictures: ImageStore, database: str) -> None:
    language = language_of_environment()
    changed = load_recipe(name)
    with TraceStore.open(database) as store:
        seen = units_of(store, changed, among=units)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        disable=not look_again,
    )
    with progress:
        task = progress.add_task(changed.settings.name, total=len(seen))

        def done() -> bool:
            progress.advance(task)
            return True

        found = compare(seen, changed, images=pictures if look_again else None, progress=done)
    console = Console(highlight=False)
    key = "cli.recipe.flips_looked" if look_again else "cli.recipe.flips"
    told = say(key, language, flips=len(found.flips), units=found.units, recipe=changed.settings.name)
    console.print(told, markup=False)
    if found.left_out:
        console.print(say("cli.recipe.left_out", language, count=found.left_out), markup=False)
    changes = [
        (f"{_said(*before, language)} → {_said(*after, language)}", flips)
        for before, after, flips in found.changes()
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for change, flips in changes:
        table.add_row(change, str(len(flips)))
    console.print(table)
    for change, flips in changes:
        for flip in flips[:FLIPPED_SHOWN]:
            console.print(f"  {change}  {flip.inspection.unit}", markup=False, soft_wrap=True)
        if len(flips) > FLIPPED_SHOWN:
            rest = len(flips) - FLIPPED_SHOWN
            console.print("  " + say("cli.recipe.more", language, change=change, count=rest), markup=False)


@recipe.command("export", help=_help("cli.recipe.export"))
@click.argument("name")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--station", required=True, metavar="NAME", help=_help("cli.recipe.station"))
@ledger_option
@database_option
def export(name: str, file: Path | None, station: str, ledger: Path, database: str) -> None:
    file = file or Path(f"{name}.recipe.zip")
    with TraceStore.open(database) as store:
        sealer = Sealer(ledger)
        file.write_bytes(RecipeLife(store).archive(name, station=station, sealer=sealer))
    told = say(
        "cli.recipe.exported",
        language_of_environment(),
        recipe=name,
        file=str(file),
        key=sealer.public_key.hex(),
    )
    Console(highlight=False).print(told, markup=False, soft_wrap=True)


@recipe.command("bring-in", help=_help("cli.recipe.bring_in"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", required=True, help=_help("cli.recipe.reason"))
@by_option
@database_option
def bring_in(file: Path, reason: str, by: str, database: str) -> None:
    brought = carried(file.read_bytes())
    with TraceStore.open(database) as store:
        person = signs(store, by)
        stands = RecipeLife(store).bring_in(brought, by=person, at=datetime.now(UTC), reason=reason)
    told = say(
        "cli.recipe.brought_in",
        language_of_environment(),
        recipe=brought.manifest.recipe,
        revision="–" if stands.proposal is None else stands.proposal.revision,
        station=brought.manifest.station,
        key=brought.manifest.key,
    )
    Console(highlight=False).print(told, markup=False, soft_wrap=True)


def _said(verdict: Verdict, grade: str | None, language: str) -> str:
    word = say(f"verdict.{verdict.name}", language)
    return word if grade is None else f"{word} {grade}"
