"""`lynceus replay CODE`: judge again what is on record of a unit, or name what is not as it was."""

from __future__ import annotations

import json
from uuid import UUID

import click
from rich.console import Console

from services.cli.options import database_option, pictures_option
from services.replay import Replayed
from services.replay import replay as judge_again
from services.text import language_of_environment, say
from traceability.identifiers import parse
from traceability.images import ImageStore
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.replay.{key}", language_of_environment())


@click.command(help=_help("help"))
@click.argument("code")
@click.option("--inspection", type=click.UUID, metavar="ID", help=_help("inspection"))
@click.option("--recipe", "recipe_file", metavar="FILE", help=_help("recipe"))
@click.option("--json", "as_json", is_flag=True, help=say("cli.trace.json", language_of_environment()))
@database_option
@pictures_option
def replay(
    code: str,
    inspection: UUID | None,
    recipe_file: str | None,
    as_json: bool,
    database: str,
    pictures: ImageStore,
) -> int:
    with TraceStore.open(database) as store:
        of_unit = store.inspections_of(parse(code))
    if not of_unit:
        not_inspected = say("cli.trace.not_inspected", language_of_environment())
        raise click.BadParameter(not_inspected, param_hint="CODE")
    wanted = [one for one in of_unit if inspection in (None, one.id)]
    if not wanted:
        raise click.BadParameter(_help("none_such"), param_hint="--inspection")
    done = judge_again(pictures, wanted[-1], recipe_file=recipe_file)
    if as_json:
        click.echo(json.dumps(_as_json(done), ensure_ascii=False))
    else:
        _tell(done)
    return 0 if done.is_same else 1


def _as_json(done: Replayed) -> dict[str, object]:
    return {
        "inspection": str(done.inspection.id),
        "unit": str(done.inspection.unit),
        "recorded": done.inspection.verdict.name,
        "again": None if done.verdict is None else done.verdict.name,
        "is_same": done.is_same,
        "frames_due": done.due,
        "frames_again": done.again,
        "unlike": [{"camera": camera, "sequence": sequence} for camera, sequence in done.unlike],
        "differences": [{"what": one.what, **one.facts} for one in done.differences],
    }


def _tell(done: Replayed) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    for one in done.differences:
        console.print("≠ " + say(f"replay.{one.what}", language, **one.facts), markup=False, soft_wrap=True)
    for camera, sequence in done.unlike:
        said = say("replay.unlike", language, camera=camera, sequence=sequence)
        console.print("≠ " + said, markup=False, soft_wrap=True)
    counts = {"again": done.again, "due": done.due}
    recorded = say(f"verdict.{done.inspection.verdict.name}", language)
    if done.verdict is None:
        outcome, facts = "partly", {"recorded": recorded}
    else:
        outcome = "same" if done.is_same else "other"
        facts = {"recorded": recorded, "verdict": say(f"verdict.{done.verdict.name}", language)}
    mark = "✔ " if done.is_same else "✗ "
    console.print(mark + say(f"replay.{outcome}", language, **counts, **facts), markup=False, soft_wrap=True)
