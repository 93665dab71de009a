"""`lynceus model`: the models of a plant: brought in, taken out, shown, and judged on labelled pictures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from inspection.errors import InspectionError
from inspection.types import Box, Image
from inspection.vision.decoding import decode_image
from models.bundle import Keys
from models.card import ModelCard
from models.datasets import balance, check_fit, twice, version_of
from models.errors import SetUnfit
from models.exchange import bring_in_bundle, bring_in_network, exported
from models.labels import LabelledSet, read_yolo, set_apart, write_labels
from models.store import ModelStore, plant_folder
from services.cli.options import FiniteRange, database_option, pictures_option, shortened, writing
from services.cli.signing import by_option, signs
from services.evaluating import Evaluated, Price, column_of, compare, evaluate, pace_in_turn
from services.evaluating import as_json as evaluated_as_json
from services.model_life import ModelLife, Standing
from services.reviewed import reviewed
from services.text import language_of_environment, say
from station_config import load_catalogue
from traceability.accounts import Person
from traceability.images import ImageStore
from traceability.store import TraceStore

PAIRS_SHOWN = 20


def _help(key: str) -> str:
    return say(f"cli.model.{key}", language_of_environment())


picture_option = click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=_help("picture"),
)
data_option = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help=_help("data"),
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
    with writing(file):
        file.write_bytes(bundle)
    click.echo(file)


@model.command("trust", help=_help("trust"))
@click.argument("key")
@click.argument("name")
def trust(key: str, name: str) -> None:
    keys = Keys.read(plant_folder()).trust(key, name)
    for known, called in keys.known.items():
        click.echo(f"{known}  {called}")


@model.command("evaluate", help=_help("evaluate"))
@click.argument("name")
@click.option("--version", metavar="X.Y.Z", help=_help("version"))
@data_option
@click.option("--list", "listed", metavar="FILE", help=_help("listed"))
@click.option("--as", "codes", multiple=True, metavar="CLASS=KIND", help=_help("as"))
@click.option("--unit", metavar="REGEX", help=_help("unit"))
@click.option("--by", metavar="COLUMN", help=_help("by"))
@click.option("--against", metavar="NAME[:X.Y.Z]", help=_help("against"))
@click.option("--escape-costs", type=FiniteRange(0), help=_help("escape_costs"))
@click.option(
    "--overkill-costs", type=FiniteRange(0), default=1.0, show_default=True, help=_help("overkill_costs")
)
@click.option(
    "--defective-share",
    type=FiniteRange(0, 1),
    default=0.01,
    show_default=True,
    help=_help("defective_share"),
)
@click.option(
    "--flips", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help=_help("flips")
)
@json_option
def evaluate_model(
    name: str,
    version: str | None,
    data: Path,
    listed: str | None,
    codes: tuple[str, ...],
    unit: str | None,
    by: str | None,
    against: str | None,
    escape_costs: float | None,
    overkill_costs: float,
    defective_share: float,
    flips: Path | None,
    as_json: bool,
) -> int:
    if flips is not None:
        if escape_costs is None:
            raise click.UsageError(say("cli.model.flips_of_costs", language_of_environment()))
        check_new(flips)
    labelled = labelled_set(data, listed, codes)
    beside = None if by is None else column_of(data, by)
    console = Console(stderr=True, highlight=False)
    look = partial(evaluate, labelled, threads=os.cpu_count() or 1, unit=grouped(unit, hint="--unit"))
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=len(labelled.pictures) * (1 if against is None else 2))
        look = partial(look, progress=lambda: progress.advance(task))
        challenger = look(name, version)
        gates = None
        if against is not None:
            champion, _, its_version = against.partition(":")
            gates = compare(look(champion, its_version or None), challenger)
    price = None
    if escape_costs is not None:
        price = Price(escape=escape_costs, overkill=overkill_costs, defective_share=defective_share)
    told = evaluated_as_json(challenger, price=price, by=beside)
    if gates is not None:
        told["against"] = against
        told["gates"] = [{**asdict(gate), "passed": gate.passed()} for gate in gates]
    if flips is not None:
        _write_flips(challenger, labelled, told["price"], flips)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        _show(told)
    return 0 if gates is None or all(gate.passed() for gate in gates) else 1


def _write_flips(one: Evaluated, labelled: LabelledSet, price: dict[str, Any], folder: Path) -> None:
    """The pictures of the units that the cheapest threshold judges otherwise than the card, the surest place in a box.
    Their names say what becomes of the unit."""
    with writing(folder):
        folder.mkdir(parents=True)
    for number, flip in enumerate(price["flips"], 1):
        what = {
            (True, True): "escapes",
            (True, False): "is_caught",
            (False, True): "is_spared",
            (False, False): "is_refused",
        }[flip["defective"], flip["reported_by_card"]]
        of_unit = [seen for seen in one.seen if one.unit_of(seen.picture.name) == flip["unit"]]
        # Views of a unit are called alike: top/1.jpg and side/1.jpg.
        stems = (shortened(PurePosixPath(seen.picture.name).stem) for seen in of_unit)
        names = set_apart(PurePosixPath(f"{stem}.png") for stem in stems)
        for seen, name in zip(of_unit, names, strict=True):
            found = seen.all.found
            surest = Box(*found.xyxy[np.argmax(found.score)].tolist()) if len(found) else None
            shown = boxed(decode_image(labelled.file(seen.picture).read_bytes()), surest)
            file = folder / f"{number:03}_{what}_{name}"
            with writing(file):
                file.write_bytes(cv2.imencode(".png", shown)[1].tobytes())


@model.command("data", help=_help("data_help"))
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "listed", metavar="FILE", help=_help("listed"))
@click.option("--against", metavar="FILE", help=_help("data_against"))
@click.option("--as", "codes", multiple=True, metavar="CLASS=KIND", help=_help("as"))
@json_option
def show_data(
    data: Path, listed: str | None, against: str | None, codes: tuple[str, ...], as_json: bool
) -> int:
    language = language_of_environment()
    labelled = labelled_set(data, listed, codes)
    check_fit(labelled)
    other = None if against is None else labelled_set(data, against, codes)
    told: dict[str, Any] = {
        "version": version_of(labelled),
        **balance(labelled),
        "twice": [asdict(pair) for pair in twice(labelled)],
        "leaks": None if other is None else [asdict(pair) for pair in twice(labelled, other)],
    }
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        table = Table(box=None)
        for column in ("kind", "pictures", "defects"):
            table.add_column(say(f"cli.model.column.{column}", language))
        for kind, counted in told["kinds"].items():
            table.add_row(kind, str(counted["pictures"]), str(counted["defects"]))
        console.print(table)
        console.print(say("cli.model.data_told", language, **told), soft_wrap=True)
        for pair in (told["twice"] + (told["leaks"] or []))[:PAIRS_SHOWN]:
            console.print(f"  {pair['one']} = {pair['other']} ({pair['bits']}/256)", markup=False)
        found = {"twice": len(told["twice"]), "leaks": "–" if told["leaks"] is None else len(told["leaks"])}
        console.print(say("cli.model.data_pairs", language, **found))
    return 1 if told["leaks"] else 0


@model.command("learn-from", help=_help("learn_from"))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--since", type=click.DateTime(), required=True, help=_help("since"))
@pictures_option
@database_option
def learn_from(out: Path, since: datetime, pictures: ImageStore, database: str) -> None:
    # Numbers of kinds are this run's: the labels of an earlier one would come to mean others.
    check_new(out)
    now = datetime.now(UTC)
    with TraceStore.open(database) as store:
        made = reviewed(store, pictures, out, since=since.astimezone(UTC), until=now)
    write_labels(made.labelled)
    told = {
        **balance(made.labelled),
        "version": version_of(made.labelled),
        "to_label": made.to_label,
        "gone": made.gone,
        "withdrawn": made.withdrawn,
    }
    console = Console(highlight=False)
    console.print(say("cli.model.data_told", language_of_environment(), **told), soft_wrap=True)
    console.print(say("cli.model.learnt", language_of_environment(), **told), soft_wrap=True)


@model.command("life", help=_help("life"))
@click.argument("name")
@json_option
@database_option
def life(name: str, as_json: bool, database: str) -> None:
    with TraceStore.open(database) as store:
        plant = ModelLife(store, ModelStore.of_plant())
        stands, steps = plant.standing(name), plant.steps(name)
        beside = None if stands.candidate is None else plant.beside(name)
    if as_json:
        told = {
            **asdict(stands),
            "beside": beside,
            "steps": [{"at": f"{one.at:%FT%TZ}", "action": one.action, "by": one.person} for one in steps],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _tell(stands)
    language = language_of_environment()
    console = Console(highlight=False)
    if beside is not None:
        console.print(say("cli.model.beside", language, **beside), soft_wrap=True)
    for one in steps:
        what = say(f"cli.model.step.{one.action.removeprefix('model.')}", language)
        version = (one.after or {}).get("version", "–")
        console.print(
            f"{one.at:%F %T}  {what}  {version}  {one.person or '–'}  {one.reason or ''}", markup=False
        )


@model.command("propose", help=_help("propose"))
@click.argument("name")
@click.option("--version", metavar="X.Y.Z", required=True, help=_help("version"))
@by_option
@database_option
def propose(name: str, version: str, by: str, database: str) -> None:
    _step(database, by, lambda plant, person, at: plant.propose(name, version, by=person, at=at))


@model.command("lock-gold", help=_help("lock_gold"))
@click.argument("name")
@data_option
@click.option("--list", "listed", metavar="FILE", help=_help("listed"))
@click.option("--as", "codes", multiple=True, metavar="CLASS=KIND", help=_help("as"))
@by_option
@database_option
def lock_gold(
    name: str, data: Path, listed: str | None, codes: tuple[str, ...], by: str, database: str
) -> None:
    """The set's version goes into the audit; the pictures stay where they are."""
    labelled = labelled_set(data, listed, codes)
    check_fit(labelled)
    gold, pictures = version_of(labelled), len(labelled.pictures)
    _step(
        database,
        by,
        lambda plant, person, at: plant.lock_gold(name, gold, pictures=pictures, by=person, at=at),
    )


@model.command("judge", help=_help("judge"))
@click.argument("name")
@data_option
@click.option("--list", "listed", metavar="FILE", help=_help("listed"))
@click.option("--as", "codes", multiple=True, metavar="CLASS=KIND", help=_help("as"))
@by_option
@database_option
def judge(name: str, data: Path, listed: str | None, codes: tuple[str, ...], by: str, database: str) -> int:
    labelled = labelled_set(data, listed, codes)
    gold = version_of(labelled)

    def act(plant: ModelLife, person: Person, at: datetime) -> Standing:
        plant.check_gold(name, gold)
        stands = plant.standing(name)
        versions = (stands.in_force, stands.candidate)
        champion, challenger = (evaluate(labelled, name, version, threads=1) for version in versions)
        took_ms = pace_in_turn(labelled, name, versions)
        return plant.judge(name, champion, challenger, took_ms=took_ms, gold=gold, by=person, at=at)

    return 0 if _step(database, by, act).has_passed else 1


@model.command("approve", help=_help("approve"))
@click.argument("name")
@by_option
@database_option
def approve(name: str, by: str, database: str) -> None:
    """Says what waits before it asks for the password, and approves that alone."""
    with TraceStore.open(database) as store:
        waits = ModelLife(store, ModelStore.of_plant()).standing(name)
    if waits.candidate is not None:
        facts = {"name": name, "version": waits.candidate, "person": waits.proposed_by or "–"}
        said = say("cli.model.approves", language_of_environment(), **facts)
        Console(highlight=False).print(said, markup=False, soft_wrap=True)
    _step(database, by, lambda plant, person, at: plant.approve(name, by=person, at=at, seen=waits.candidate))


@model.command("promote", help=_help("promote"))
@click.argument("name")
@by_option
@database_option
def promote(name: str, by: str, database: str) -> None:
    _step(database, by, lambda plant, person, at: plant.promote(name, by=person, at=at))


@model.command("take-back", help=_help("take_back"))
@click.argument("name")
@click.option("--reason", required=True, help=_help("reason"))
@by_option
@database_option
def take_back(name: str, reason: str, by: str, database: str) -> None:
    _step(database, by, lambda plant, person, at: plant.take_back(name, by=person, at=at, reason=reason))


def _step(database: str, by: str, act: Callable[[ModelLife, Person, datetime], Standing]) -> Standing:
    """What somebody who gives their password does to a model, and where it stands then."""
    with TraceStore.open(database) as store:
        person = signs(store, by)
        stands = act(ModelLife(store, ModelStore.of_plant()), person, datetime.now(UTC))
    _tell(stands)
    return stands


@model.command("watch", help=_help("watch"))
@click.argument("name")
@database_option
def watch(name: str, database: str) -> int:
    """Exit status 1 where it was taken back."""
    with TraceStore.open(database) as store:
        plant = ModelLife(store, ModelStore.of_plant())
        found = plant.watch(name, at=datetime.now(UTC))
        _tell(plant.standing(name))
    for one in found:
        click.echo(f"{one.what}: {one.before:.3g} → {one.after:.3g} (p {one.p:.1e})")
    return 1 if found else 0


def _tell(stands: Standing) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    facts = {key: "–" if value is None else value for key, value in asdict(stands).items() if key != "gates"}
    console.print(say("cli.model.stands", language, **facts), markup=False, soft_wrap=True)
    for gate in stands.gates:
        sign = "✓" if gate["passed"] else "✗"
        key = {"latency": "gate_latency", "kinds": "gate_kinds"}.get(gate["what"], "gate")
        console.print(f"{sign} {say(f'cli.model.{key}', language, **gate)}", markup=False, soft_wrap=True)


def _show(told: dict[str, Any]) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    table = Table(box=None)
    for column in ("kind", "ap50", "defective", "escapes", "clean", "overkill"):
        table.add_column(
            say(f"cli.model.column.{column}", language), justify="left" if column == "kind" else "right"
        )
    found = told["precision"]
    rows = {**told["kinds"], say("cli.model.all", language): told["pictures"]}
    for kind, counted in rows.items():
        ap50 = found["ap50"].get(kind, found["map50"] if kind not in told["kinds"] else None)
        table.add_row(
            kind,
            "–" if ap50 is None else f"{ap50:.3f}",
            str(counted["defective"]),
            _counted(counted, "escapes"),
            str(counted["clean"]),
            _counted(counted, "overkill"),
        )
    console.print(table)
    if found["map50_95"] is not None:
        console.print(say("cli.model.precise", language, **found))
    if told["units"]["auroc"] is not None:
        console.print(say("cli.model.auroc", language, auroc=told["units"]["auroc"]))
    if "price" in told:
        console.print(say("cli.model.priced", language, flipped=len(told["price"]["flips"]), **told["price"]))
    for gate in told.get("gates", ()):
        sign = "✓" if gate["passed"] else "✗"
        console.print(f"{sign} {say('cli.model.gate', language, **gate)}", markup=False, soft_wrap=True)


def _counted(counted: dict[str, Any], what: str) -> str:
    """The count, and the exact 95 % interval of its share in %."""
    interval = counted[f"{what}_95"]
    return "–" if interval is None else f"{counted[what]} ({interval[0]:.1%}–{interval[1]:.1%})"


def labelled_set(data: Path, listed: str | None, codes: tuple[str, ...]) -> LabelledSet:
    """The list may be named from here or from the set's folder."""
    list_file = None
    if listed is not None:
        list_file = Path(listed) if Path(listed).exists() else data / listed
    named = dict(code.split("=", 1) for code in codes if "=" in code)
    labelled = read_yolo(data, list_file, codes=named)
    if labelled.listed_twice:
        told = say(
            "cli.model.listed_twice", language_of_environment(), count=labelled.listed_twice, file=list_file
        )
        click.echo(told, err=True)
    return labelled


def grouped(pattern: str | None, *, hint: str) -> re.Pattern[str] | None:
    """A pattern with a group, as an option gives it. Raises BadParameter."""
    try:
        found = None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise click.BadParameter(str(error), param_hint=hint) from error
    if found is not None and found.groups < 1:
        raise click.BadParameter(say("cli.model.no_group", language_of_environment()), param_hint=hint)
    return found


def boxed(image: Image, box: Box | None) -> Image:
    """The picture, enlarged, with that place in a box: white on black, seen on any surface."""
    colour = image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    times = max(1, 640 // max(colour.shape[:2]))
    shown = np.repeat(np.repeat(colour, times, axis=0), times, axis=1)
    if box is not None:
        corners = [(int(x * times), int(y * times)) for x, y in ((box.x1, box.y1), (box.x2, box.y2))]
        for grey, width in ((0, 5), (255, 2)):
            cv2.rectangle(shown, corners[0], corners[1], (grey, grey, grey), width)
    return shown


def check_new(place: Path) -> None:
    """Raises SetUnfit: what is there is not written over."""
    if place.exists():
        raise SetUnfit(
            f"{place} is there already.",
            action="Name another place, or move it away.",
            place=str(place),
            wrong="it is there already",
        )


def _picture(file: Path | None) -> Image | None:
    return None if file is None else decode_image(file.read_bytes())
