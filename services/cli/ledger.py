"""`lynceus ledger`: that the records are those that were kept; certificates and the verifier for customers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from services.api.certificates import file_name, pdf_of, verifier_text
from services.cli.options import database_option, ledger_option, pictures_option
from services.text import language_of_environment, say
from traceability import people
from traceability.certificate import as_json, certify
from traceability.identifiers import parse
from traceability.images import ImageStore
from traceability.merkle import Head, Sealer, begin, read_heads
from traceability.recorded import ON_RECORD
from traceability.store import TraceStore
from traceability.verification import Verified, verify
from traceability.verifier import HASHES


def _help(key: str) -> str:
    return say(f"cli.ledger.{key}", language_of_environment())


@click.group(help=_help("help"))
def ledger() -> None:
    """What is done with the ledger is a subcommand."""


@ledger.command("begin", help=_help("begin"))
@click.option("--hash", "algorithm", type=click.Choice(HASHES), default="sha256", show_default=True)
@database_option
def begin_ledger(algorithm: str, database: str) -> None:
    with TraceStore.open(database) as store, store.writing() as connection:
        begin(connection, algorithm, ON_RECORD)


@ledger.command("head", help=_help("head"))
@database_option
@ledger_option
def head(database: str, ledger: Path) -> None:
    with TraceStore.open(database) as store, store.reading() as connection:
        click.echo(json.dumps(Sealer(ledger).seal(connection)))


@ledger.command("verify", help=_help("verify"))
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help=_help("heads"),
)
@click.option("--json", "as_json_", is_flag=True, help=say("cli.trace.json", language_of_environment()))
@database_option
@ledger_option
@pictures_option
def verify_ledger(
    heads: tuple[Path, ...], as_json_: bool, database: str, ledger: Path, pictures: ImageStore
) -> None:
    with TraceStore.open(database) as store:
        found = verified(store, ledger, pictures, heads)
    if as_json_:
        click.echo(json.dumps({
            "origin": found.origin,
            "algorithm": found.algorithm,
            "leaves": found.leaves,
            "records": found.records,
            "pictures": found.pictures,
            "given_up": [
                {"rule": one.rule.value, "day": one.day.isoformat(), "pictures": one.pictures}
                for one in found.given_up
            ],
            "heads": found.heads,
            "findings": [{"what": one.what, **one.facts} for one in found.findings],
        }))  # fmt: skip
    else:
        tell_verified(found)
    if found.findings:
        raise click.exceptions.Exit(1)


def verified(
    store: TraceStore, ledger: Path, images: ImageStore, more_heads: Sequence[Path] = ()
) -> Verified:
    """Against the heads of the ledger's folder and of other files; with progress on a terminal."""
    heads: list[Head] = [head for file in (ledger / "heads.jsonl", *more_heads) for head in read_heads(file)]
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(say("cli.ledger.comparing", language_of_environment()), total=None)
        return verify(
            store,
            heads=heads,
            images=images if images.exists() else None,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )


def tell_verified(found: Verified) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    for one in found.findings:
        console.print("[bold red]✗[/] ", end="")
        console.print(say(f"finding.{one.what}", language, **one.facts), markup=False, soft_wrap=True)
    for given in found.given_up:
        facts = {"rule": say(f"picture_rule.{given.rule}", language), "day": given.day}
        said = say("cli.ledger.given_up", language, pictures=given.pictures, **facts)
        console.print(f"· {said}", markup=False, soft_wrap=True)
    counts = {"records": found.records, "pictures": found.pictures, "heads": found.heads}
    console.print(say("cli.ledger.compared", language, **counts), markup=False, soft_wrap=True)
    if not found.heads:
        console.print(say("cli.ledger.no_heads", language), markup=False, soft_wrap=True)
    if not found.findings:
        console.print("[bold green]✔[/] ", end="")
        console.print(say("cli.ledger.as_kept", language), markup=False)


@ledger.command("certificate", help=_help("certificate"))
@click.argument("code")
@click.option("--pdf", is_flag=True, help=_help("pdf"))
@click.option("--out", type=click.Path(path_type=Path), help=_help("out"))
@click.option("--issued-by", default="Lynceus", show_default=True, help=_help("issued_by"))
@database_option
@ledger_option
def certificate(code: str, pdf: bool, out: Path | None, issued_by: str, database: str, ledger: Path) -> None:
    unit = parse(code)
    with TraceStore.open(database) as store:
        certified = certify(store, Sealer(ledger), unit)
    content = pdf_of(certified, language_of_environment(), issued_by) if pdf else as_json(certified)
    file = out or Path(file_name(unit, "pdf" if pdf else "json"))
    file.write_bytes(content)
    click.echo(file)


@ledger.command("verifier", help=_help("verifier"))
def verifier() -> None:
    click.echo(verifier_text(), nl=False)


@ledger.command("erase", help=_help("erase"))
@click.argument("name")
@database_option
def erase(name: str, database: str) -> None:
    with TraceStore.open(database) as store:
        known = people.erase(store, name)
    click.echo(say(f"cli.ledger.{'erased' if known else 'nobody'}", language_of_environment(), name=name))
    if not known:
        raise click.exceptions.Exit(1)
