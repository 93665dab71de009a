"""`lynceus model`: the models of a plant: brought in, taken out, shown, and judged on labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspection.errors import InspectionError
from inspection.types import Image
from inspection.vision.decoding import decode_image
from models.bundle import Keys
from models.card import ModelCard
from models.exchange import bring_in_bundle, bring_in_network, exported
from models.store import ModelStore, plant_folder
from services.text import language_of_environment, say
from station_config import load_catalogue


def _help(key: str) -> str:
    return say(f"cli.model.{key}", language_of_environment())


picture_option = click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=_help("picture"),
)
json_option = click.option("--json", "as_json", is_flag=True, help=_help("json"))


@click.group(help=_help("help"))
def model() -> None:
    """What is done with models is a subcommand."""


@model.command("list", help=_help("list"))
@json_option
def list_models(as_json: bool) -> None:
    language = language_of_environment()
    store = ModelStore.of_plant()
    found = [
        (name, version, _found(store, name, version))
        for name, versions in store.versions().items()
        for version in versions
    ]
    if as_json:
        told = [
            {"name": name, "version": version, "refused": one.code}
            if isinstance(one, InspectionError)
            else one.model_dump(mode="json")
            for name, version, one in found
        ]
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    table = Table(box=None)
    for column in ("name", "version", "task", "kinds", "map50", "restrictions"):
        table.add_column(say(f"cli.model.column.{column}", language))
    for name, version, one in found:
        if isinstance(one, InspectionError):
            table.add_row(name, version, f"✗ {one.code}")
            continue
        best = next((on.map50 for on in one.measured if on.map50 is not None), None)
        restrictions = [say(f"cli.model.restriction.{word}", language) for word in one.restrictions]
        table.add_row(
            name,
            version,
            say(f"cli.model.task.{one.task}", language),
            " ".join(one.kinds),
            "–" if best is None else f"{best:.3f}",
            ", ".join(restrictions) or "–",
        )
    Console(highlight=False).print(table)


def _found(store: ModelStore, name: str, version: str) -> ModelCard | InspectionError:
    try:
        return store.find(name, version).card
    except InspectionError as error:
        return error


@model.command("import", help=_help("import"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help=_help("card")
)
@picture_option
def import_model(file: Path, card: Path | None, picture: Path | None) -> None:
    store, codes = ModelStore.of_plant(), load_catalogue()
    if card is None:
        kept = bring_in_bundle(store, file, codes=codes)
    else:
        kept = bring_in_network(store, file, card, codes=codes, picture=_picture(picture))
    told = say("cli.model.imported", language_of_environment(), model=f"{kept.name} {kept.version}")
    Console(highlight=False).print(told, markup=False, soft_wrap=True)


@model.command("export", help=_help("export"))
@click.argument("name")
@click.option("--version", metavar="X.Y.Z", help=_help("version"))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_help("out"))
@picture_option
def export_model(name: str, version: str | None, out: Path | None, picture: Path | None) -> None:
    store = ModelStore.of_plant()
    card = store.find(name, version).card
    bundle = exported(store, name, card.version, picture=_picture(picture))
    file = out or Path(f"{card.name}-{card.version}.lynceus")
    file.write_bytes(bundle)
    click.echo(file)


@model.command("trust", help=_help("trust"))
@click.argument("key")
@click.argument("name")
def trust(key: str, name: str) -> None:
    keys = Keys.read(plant_folder()).trust(key, name)
    for known, called in keys.known.items():
        click.echo(f"{known}  {called}")


def _picture(file: Path | None) -> Image | None:
    return None if file is None else decode_image(file.read_bytes())
