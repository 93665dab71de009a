"""`lynceus recipe what-if`: what a changed recipe would have made of the units on record."""

from __future__ import annotations

from collections import Counter

import click
from rich.console import Console
from rich.table import Table

from inspection.tally import judged_again
from inspection.types import Verdict
from services.cli.options import database_option
from services.text import language_of_environment, say
from station_config import load_recipe
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
@database_option
def what_if(name: str, units: int, database: str) -> None:
    language = language_of_environment()
    settings = load_recipe(name).settings
    limits, grades = settings.judged_by(), settings.graded_by()
    tolerances = settings.tolerances()
    welds = None if settings.strip is None else settings.strip.weld_rules()
    with TraceStore.open(database) as store:
        seen = [one for one in store.latest(simulated=False, limit=units) if one.recipe.name == settings.name]
    flips: Counter[tuple[str, str]] = Counter()
    shown: dict[str, list[str]] = {}
    for one in seen:
        verdict, grade = judged_again(
            one,
            limits,
            grades=grades,
            tolerances=tolerances,
            welds=welds,
            without_code=settings.without_code(),
        )
        before, after = _said(one.verdict, one.grade, language), _said(verdict, grade, language)
        if before != after:
            flips[before, after] += 1
            shown.setdefault(f"{before} → {after}", []).append(str(one.unit))
    console = Console(highlight=False)
    said = say("cli.recipe.flips", language, flips=flips.total(), units=len(seen), recipe=settings.name)
    console.print(said, markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for (before, after), count in flips.most_common():
        table.add_row(f"{before} → {after}", str(count))
    console.print(table)
    for change, codes in shown.items():
        for code in codes[:FLIPPED_SHOWN]:
            console.print(f"  {change}  {code}", markup=False, soft_wrap=True)
        if len(codes) > FLIPPED_SHOWN:
            rest = len(codes) - FLIPPED_SHOWN
            console.print("  " + say("cli.recipe.more", language, change=change, count=rest), markup=False)


def _said(verdict: Verdict, grade: str | None, language: str) -> str:
    word = say(f"verdict.{verdict.name}", language)
    return word if grade is None else f"{word} {grade}"
