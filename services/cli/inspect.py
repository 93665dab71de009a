"""`lynceus inspect`: pictures, folders and recorded runs to verdicts in the database."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

import click
import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cameras.recording import MANIFEST, PICTURES, png_of
from inspection.errors import InspectionError
from inspection.types import Defect, Image, Inspection, PictureRef, Verdict
from inspection.vision.annotating import annotate
from inspection.vision.decoding import MIN_SIDE_PX
from services.cli import printable
from services.cli.options import (
    VAR,
    FiniteRange,
    database_option,
    default_pictures,
    open_pictures,
    shortened,
    writing,
)
from services.cli.pictures import tell_waiting
from services.cli.station import make_writable
from services.files import WAVEFORM, Inspected, by_view, gather, inspect_all, one_by_one
from services.ingredients import keep_recipe, keep_software
from services.station.build import build_pipeline
from services.text import explain, language_of_environment, say, say_failure
from station_config import Catalogue, load_catalogue, load_recipe
from traceability.images import ImageStore
from traceability.store import TraceStore

RECORDS_AT_ONCE: Final = 64

STANDARD_OUTPUT: Final = Path("-")

INTERRUPTED: Final = "SVC-INTERRUPTED"

REASONS_SHOWN: Final = 20


LINE_BEGINS: Final = b'{"image":'
"""Every line of `--json`."""

_GZIP: Final = b"\x1f\x8b"

JPEG_MOST_PX: Final = 65_500
"""Of a side. Source: libjpeg, JPEG_MAX_DIMENSION."""


class OutputTaken(InspectionError):
    """The file for the results is, or is named like, something that was to be inspected. Facts: file."""

    code = "SVC-OUTPUT-TAKEN"


class NothingGiven(InspectionError):
    """The paths hold no picture."""

    code = "SVC-NOTHING-GIVEN"


@click.command(help=say("cli.inspect", language_of_environment()))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "recipe_name",
    default="strip-surface",
    show_default=True,
    metavar="NAME",
    help=say("cli.inspect.recipe", language_of_environment()),
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help=say("cli.inspect.json", language_of_environment()),
)
@click.option(
    "--annotate",
    "annotated",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help=say("cli.inspect.annotate", language_of_environment()),
)
@click.option(
    "--min-score",
    type=FiniteRange(0, 1),
    metavar="S",
    help=say("cli.inspect.min_score", language_of_environment()),
)
@database_option
def inspect(
    paths: tuple[Path, ...],
    recipe_name: str,
    json_file: Path | None,
    annotated: Path | None,
    min_score: float | None,
    database: str,
) -> int:
    language = language_of_environment()
    console = Console(stderr=True, highlight=False)
    if json_file is not None:
        check_is_ours(json_file)
    given = list(gather(paths))
    if not given:
        named = ", ".join(printable(str(path)) for path in paths)
        raise NothingGiven(
            f"No picture in {named}.",
            action=f"Give files or folders with {', '.join(sorted(PICTURES))}, or a recorded run.",
            paths=named,
            suffixes=", ".join(sorted(PICTURES)),
        )
    recipe = load_recipe(recipe_name)
    pipeline, models = build_pipeline(recipe, min_score=min_score, threads=os.cpu_count() or 1)
    views = [view.name for view in recipe.settings.views]
    units = list(by_view(given, views) if views else one_by_one(given))
    pictures = sum(len(unit) for unit in units)
    make_writable(VAR)
    images = open_pictures(default_pictures())
    keep_recipe(images, recipe)
    # Under other scores than the recipe's, what judged is in no record, and nobody may take it for what it was not.
    software = keep_software(images) if min_score is None else None
    with ExitStack() as held:
        store = held.enter_context(TraceStore.open(database))
        out = Results(
            store=store,
            images=images,
            json_lines=None if json_file is None else held.enter_context(opened(json_file)),
            annotated=annotated,
            catalogue=load_catalogue(),
            language=language,
            software=software,
        )
        progress = held.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
            )
        )
        task = progress.add_task(say("cli.inspect.running", language), total=pictures)
        try:
            for unit in inspect_all(units, pipeline, recipe=recipe.ref, models=models):
                out.take(unit)
                progress.advance(task, len(unit))
        except KeyboardInterrupt:
            out.summary.interrupted(pictures)
        finally:
            out.flush()
    to_stdout = json_file == STANDARD_OUTPUT
    out.summary.show(Console(highlight=False, stderr=to_stdout), given=pictures)
    if out.undrawn:
        console.print(say("cli.inspect.undrawn", language, count=out.undrawn), soft_wrap=True)
    tell_waiting(images)
    return 0 if out.summary.not_inspected == 0 else 1


def as_json(one: Inspected) -> dict[str, object]:
    """One line of `--json`. docs/commands.md describes it; it is an interface."""
    return {
        "image": one.given.name,
        "sha256": one.sha256,
        "unit": str(one.inspection.unit),
        "verdict": one.inspection.verdict.name,
        "defects": [_defect_as_json(defect) for defect in one.result.defects],
        "measurements": [
            {"name": m.name, "value": m.value, "unit": m.unit, "uncertainty": m.uncertainty}
            for m in one.result.measurements
        ],
        "timings_ms": one.result.timings_ms,
        "failure": one.result.failure,
        "camera": one.given.camera,
        "code_failure": one.inspection.code_failure,
    }


def _defect_as_json(defect: Defect) -> dict[str, object]:
    px, mm = defect.box_px, defect.box_mm
    return {
        "kind": defect.kind,
        # Of low scores, more digits than a person reads: who draws curves needs their order.
        "score": round(defect.score, 6),
        "box_px": [round(side, 2) for side in (px.x1, px.y1, px.x2, px.y2)],
        "box_mm": None if mm is None else [round(side, 3) for side in (mm.x1, mm.y1, mm.x2, mm.y2)],
        "area_mm2": None if defect.area_mm2 is None else round(defect.area_mm2, 4),
        "outline_px": [[round(x, 1), round(y, 1)] for x, y in defect.outline_px],
    }


class Summary:
    """What became of all that was given. It balances: given = inspected + not inspected."""

    def __init__(self, language: str) -> None:
        self._language = language
        self.verdicts: Counter[Verdict] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], str] = {}

    def take(self, one: Inspected) -> None:
        self.verdicts[one.inspection.verdict] += 1
        code = one.result.failure or one.inspection.code_failure
        if code is not None:
            told = say_failure(code, self._language)
            if one.failure is not None:
                told = printable(explain(one.failure, self._language).what)
            self.reasons[code, told] += 1
            self.examples.setdefault((code, told), printable(one.given.name))

    def interrupted(self, given: int) -> None:
        """Ctrl-C: what was not reached was not inspected."""
        left = given - self.verdicts.total()
        self.verdicts[Verdict.NOT_INSPECTED] += left
        reason = INTERRUPTED, say_failure(INTERRUPTED, self._language)
        self.reasons[reason] += left
        self.examples[reason] = "Ctrl-C"

    @property
    def inspected(self) -> int:
        return sum(self.verdicts.values()) - self.not_inspected

    @property
    def not_inspected(self) -> int:
        return self.verdicts[Verdict.NOT_INSPECTED]

    def show(self, console: Console, *, given: int) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column()
        table.add_column(justify="right")
        for verdict in Verdict:
            table.add_row(say(f"verdict.{verdict.name}", self._language), str(self.verdicts[verdict]))
        console.print(table)
        most_frequent = self.reasons.most_common()
        for (code, told), count in most_frequent[:REASONS_SHOWN]:
            name = self.examples[code, told]
            console.print(f"  {count} × {code}  {told}  ({name})", markup=False, soft_wrap=True)
        if rest := sum(count for _, count in most_frequent[REASONS_SHOWN:]):
            console.print("  " + say("cli.inspect.more", self._language, count=rest))
        console.print(
            say(
                "cli.inspect.balance",
                self._language,
                given=given,
                inspected=self.inspected,
                not_inspected=self.not_inspected,
                unaccounted=given - self.inspected - self.not_inspected,
            )
        )


class Results:
    """Where inspected pictures go: a JSON line at once, an annotated copy, and the database in portions."""

    def __init__(
        self,
        *,
        store: TraceStore,
        images: ImageStore,
        json_lines: TextIO | None,
        annotated: Path | None,
        catalogue: Catalogue,
        language: str,
        software: str | None,
    ) -> None:
        self.summary = Summary(language)
        self.undrawn = 0
        self._software = software
        self._store = store
        self._images = images
        self._json_lines = json_lines
        self._annotated = annotated
        self._catalogue = catalogue
        self._waiting: list[Inspection] = []

    def take(self, unit: Sequence[Inspected]) -> None:
        """A unit, with all its pictures."""
        kept = []
        for one in unit:
            shown = one.image if one.result.picture is None else one.result.picture
            if shown is not None and one.data is not None and min(shown.shape[:2]) >= MIN_SIDE_PX:
                if (picture := self._keep(one, shown, one.data)) is not None:
                    kept.append(picture)
                if self._annotated is not None:
                    self._annotate(one, shown, self._annotated)
        self._waiting.append(replace(unit[0].inspection, pictures=tuple(kept), software=self._software))
        if len(self._waiting) >= RECORDS_AT_ONCE:
            self.flush()
        for one in unit:
            if self._json_lines is not None:
                with writing(_place_of(self._json_lines)):
                    self._json_lines.write(f"{json_line(as_json(one), self._json_lines)}\n")
            self.summary.take(one)

    def flush(self) -> None:
        """Everything taken so far is in the database, and in the file."""
        self._store.record(self._waiting)
        self._waiting.clear()
        if self._json_lines is not None:
            with writing(_place_of(self._json_lines)):
                self._json_lines.flush()

    def _keep(self, one: Inspected, image: Image, data: bytes) -> PictureRef | None:
        # As it came where a browser shows it: the record then holds the very bytes that were judged.
        is_shown = one.result.picture is None and data.startswith((b"\xff\xd8\xff", b"\x89PNG"))
        kept = data if is_shown else _png_or(data, image)
        if kept.startswith(_GZIP):
            # An array too long for a PNG: no picture can be shown of it.
            return None
        height, width = image.shape[:2]
        return PictureRef(
            sha256=self._images.put(kept),
            camera=one.given.camera,
            sequence=one.given.sequence,
            width_px=width,
            height_px=height,
            y_origin_mm=one.given.y_origin_mm,
            is_exact=one.result.picture is None,
        )

    def _annotate(self, one: Inspected, image: Image, folder: Path) -> None:
        assert one.sha256 is not None
        picture = annotate(
            image,
            one.result.defects,
            verdict=one.inspection.verdict,
            colours={kind: entry.colour for kind, entry in self._catalogue.items()},
        )
        # The digest keeps pictures of the same name from different folders apart.
        suffix = ".jpg" if max(picture.shape) <= JPEG_MOST_PX else ".png"
        file = folder / f"{shortened(Path(one.given.name).stem)}-{one.sha256[:8]}{suffix}"
        done, drawn = cv2.imencode(suffix, picture)
        if not done:
            self.undrawn += 1
            return
        with writing(file):
            folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(drawn.tobytes())


def check_is_ours(file: Path) -> None:
    """Raises OutputTaken for what may not be written over: `--json a.png b.png` takes the first picture for FILE.

    What is there has to be empty or results of an earlier call, and what is not must not be named like a picture:
    else the picture that was meant by it would be inspected by nobody.
    """
    is_input = file.suffix.lower() in PICTURES | {WAVEFORM} or file.name == MANIFEST
    if not is_input and file.is_file():
        with writing(file), file.open("rb") as there:
            begins = there.read(len(LINE_BEGINS))
        is_input = begins != LINE_BEGINS[: len(begins)]
    if is_input:
        raise OutputTaken(
            f"{printable(str(file))} is no file of results: nothing was written to it, and nothing inspected.",
            action="Name a new file after --json, or write --json - for standard output.",
            file=printable(str(file)),
        )


def json_line(told: dict[str, object], stream: TextIO) -> str:
    """JSON in one line, with escapes where the stream cannot write a letter: names of files need not be UTF-8."""
    line = json.dumps(told, ensure_ascii=False)
    try:
        line.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(told)
    return line


def _png_or(data: bytes, image: Image) -> bytes:
    """PNG of the picture; where it is too long for one (a million px), the file as it came."""
    try:
        return png_of(image)
    except (ValueError, cv2.error):
        return data


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """The file, new, for JSON Lines; standard output for `-`."""
    if file == STANDARD_OUTPUT:
        yield sys.stdout
        return
    with writing(file):
        handle = file.open("w", encoding="utf-8")
    try:
        yield handle
    finally:
        # Closing writes what is still held back, and may find the disk full.
        with writing(file):
            handle.close()


def _place_of(lines: TextIO) -> Path:
    """Standard output need not have a name."""
    return Path(getattr(lines, "name", STANDARD_OUTPUT))
