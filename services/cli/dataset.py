"""`lynceus dataset`: labelled pictures from one format to another, split by what belongs together, doubted, and what to
label next."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import cv2
from rich.console import Console
from rich.table import Table

from inspection.vision.decoding import decode_image
from models.datasets import split, twice
from models.labels import (
    LabelledFile,
    LabelledSet,
    read_class_folders,
    read_coco,
    read_voc,
    read_yolo,
    write_class_folders,
    write_coco,
    write_voc,
    write_yolo,
)
from services.cli.model import boxed, check_new, data_option, grouped, labelled_set
from services.cli.options import FiniteRange, database_option, pictures_option, shortened, writing
from services.doubts import doubts, offered
from services.evaluating import column_of, evaluate
from services.reviewed import suffix_of
from services.text import language_of_environment, say
from traceability.images import ImageStore
from traceability.store import TraceStore

COCO_FILE: Final = "coco.json"

READERS: Final[dict[str, Callable[[Path], LabelledSet]]] = {
    "yolo": read_yolo,
    "coco": lambda folder: read_coco(folder / COCO_FILE, folder),
    "voc": read_voc,
    "classes": read_class_folders,
}


def _write_coco(labelled: LabelledSet, folder: Path) -> None:
    write_yolo(labelled, folder)
    write_coco(read_yolo(folder), folder / COCO_FILE)


WRITERS: Final[dict[str, Callable[[LabelledSet, Path], None]]] = {
    "yolo": write_yolo,
    "coco": _write_coco,
    "voc": write_voc,
    "classes": write_class_folders,
}
"""COCO's pictures lie beside YOLO's labels of the same set: its file needs a folder of pictures."""


def _help(key: str) -> str:
    return say(f"cli.dataset.{key}", language_of_environment())


def _told(key: str, **facts: object) -> None:
    Console(highlight=False).print(
        say(f"cli.dataset.{key}", language_of_environment(), **facts), markup=False, soft_wrap=True
    )


@click.group(help=_help("help"))
def dataset() -> None:
    """What is done with labelled pictures is a subcommand."""


@dataset.command("convert", help=_help("convert"))
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--from", "from_", type=click.Choice(sorted(READERS)), required=True, help=_help("from"))
@click.option("--to", type=click.Choice(sorted(WRITERS)), required=True, help=_help("to"))
def convert(source: Path, out: Path, from_: str, to: str) -> None:
    check_new(out)
    labelled = READERS[from_](source)
    with writing(out):
        WRITERS[to](labelled, out)
    defects = sum(len(one.truth) for one in labelled.pictures)
    _told("converted", out=out, pictures=len(labelled.pictures), defects=defects)


@dataset.command("split", help=_help("split"))
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--group", metavar="REGEX", help=_help("group"))
@click.option("--by", metavar="COLUMN", help=_help("by"))
@click.option(
    "--share", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.2, help=_help("share")
)
@click.option("--seed", default="", help=_help("seed"))
def split_set(data: Path, group: str | None, by: str | None, share: float, seed: str) -> int:
    """Exit status 1 where the lists leak."""
    if (group is None) == (by is None):
        raise click.UsageError(_help("group_or_by"))
    lists = data / "learn.txt", data / "judge.txt"
    for file in lists:
        check_new(file)
    labelled = read_yolo(data)
    sides = split(labelled, _group_of(data, group, by), share=share, seed=seed)
    for file, side in zip(lists, sides, strict=True):
        with writing(file):
            file.write_text("".join(f"{one.name}\n" for one in side.pictures), encoding="utf-8")
    leaks = twice(*sides)
    _told("splitted", learn=len(sides[0].pictures), judge=len(sides[1].pictures), leaks=len(leaks))
    for pair in leaks[:20]:
        click.echo(f"  {pair.one} = {pair.other} ({pair.bits}/256)")
    return 1 if leaks else 0


def _group_of(data: Path, group: str | None, by: str | None) -> Callable[[LabelledFile], str]:
    """What a picture belongs to. A picture that the pattern, or the table, does not know is a group of its own."""
    if by is not None:
        column = column_of(data, by)
        return lambda one: column.get(one.name, one.name)
    pattern = grouped(group, hint="--group")
    return lambda one: found.group(1) if pattern and (found := pattern.search(one.name)) else one.name


@dataset.command("doubt", help=_help("doubt"))
@click.argument("name")
@click.option("--version", metavar="X.Y.Z", help=say("cli.model.version", language_of_environment()))
@data_option
@click.option("--list", "listed", metavar="FILE", help=say("cli.model.listed", language_of_environment()))
@click.option(
    "--as", "codes", multiple=True, metavar="CLASS=KIND", help=say("cli.model.as", language_of_environment())
)
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help=_help("most"))
@click.option(
    "--pictures", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help=_help("drawn")
)
@click.option("--json", "as_json", is_flag=True, help=say("cli.model.json", language_of_environment()))
def doubt(
    name: str,
    version: str | None,
    data: Path,
    listed: str | None,
    codes: tuple[str, ...],
    most: int,
    pictures: Path | None,
    as_json: bool,
) -> None:
    labelled = labelled_set(data, listed, codes)
    found = doubts(evaluate(labelled, name, version))
    if pictures is not None:
        check_new(pictures)
        with writing(pictures):
            pictures.mkdir(parents=True)
        for number, one in enumerate(found[:most], 1):
            shown = boxed(decode_image((data / one.picture).read_bytes()), one.box_px)
            file = pictures / f"{number:03}_{one.what}_{shortened(Path(one.picture).stem)}.png"
            with writing(file):
                file.write_bytes(cv2.imencode(".png", shown)[1].tobytes())
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found[:most]], ensure_ascii=False))
        return
    table = Table(box=None)
    for column in ("picture", "what", "kind", "seen", "doubt"):
        table.add_column(_help(f"column.{column}"))
    for one in found[:most]:
        table.add_row(one.picture, _help(f"what.{one.what}"), one.kind, one.seen or "–", f"{one.doubt:.2f}")
    Console(highlight=False).print(table)
    _told("doubted", count=len(found), pictures=len(labelled.pictures))


@dataset.command("next", help=_help("next"))
@click.option("--since", type=click.DateTime(), required=True, help=_help("since"))
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help=_help("most"))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help=_help("out"))
@pictures_option
@database_option
def label_next(since: datetime, most: int, out: Path | None, pictures: ImageStore, database: str) -> None:
    with TraceStore.open(database) as store:
        found = offered(store, since=since.astimezone(UTC), most=most)
    if out is not None:
        check_new(out)
    table = Table(box=None)
    for column in ("unit", "why", "score"):
        table.add_column(_help(f"column.{column}"))
    for number, one in enumerate(found, 1):
        table.add_row(str(one.inspection.unit), _help(f"why.{one.why}"), f"{one.score:.2f}")
        for picture in one.inspection.pictures if out is not None else ():
            data = pictures.read(picture.sha256)
            file = Path(str(out)) / f"{number:03}_{one.why}_{picture.sha256[:16]}{suffix_of(data)}"
            with writing(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
    Console(highlight=False).print(table)
    _told("offered", count=len(found))
