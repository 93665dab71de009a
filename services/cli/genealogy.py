"""`lynceus genealogy`: what was made from what, from a file onto record, and back off it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from services.api.genealogy import DeliverySaid
from services.cli.options import database_option
from services.problems import RequestInvalid
from services.text import language_of_environment, say
from traceability.genealogy.recording import void
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.genealogy.{key}", language_of_environment())


@click.group(help=_help("help"))
def genealogy() -> None:
    """What is done with the genealogy is a subcommand."""


@genealogy.command("record", help=_help("record"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_option
def record(file: Path, database: str) -> None:
    delivery = read_said(file)
    with TraceStore.open(database) as store:
        done = delivery.record(store)
    language = language_of_environment()
    click.echo(say("cli.genealogy.recorded", language, units=done.units, links=done.links))
    for id_ in done.contradictions:
        click.echo(say("cli.genealogy.contradiction", language, id=id_), err=True)
    if done.contradictions:
        raise click.exceptions.Exit(1)


@genealogy.command("void", help=_help("void"))
@click.argument("link", type=click.UUID)
@click.option("--reason", required=True, help=_help("reason"))
@click.option("--by", help=_help("by"))
@database_option
def void_link(link: UUID, reason: str, by: str | None, database: str) -> None:
    with TraceStore.open(database) as store:
        void(store, link=link, id=uuid7(), reason=reason, by=by)


def read_said(file: Path) -> DeliverySaid:
    """What a file says, in the shape of `POST /api/v1/genealogy`. Raises RequestInvalid."""
    try:
        return DeliverySaid.model_validate_json(file.read_bytes())
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()
        )
        raise RequestInvalid(
            f"{file} is no genealogy: {mistakes}", action="Correct the file.", mistakes=mistakes
        ) from error
