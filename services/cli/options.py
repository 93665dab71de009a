"""What several commands ask for in the same words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Final, SupportsFloat, SupportsIndex

import click

from inspection.errors import InspectionError
from services.cli import printable
from services.station.place import SPOOL
from services.text import language_of_environment, say
from station_config import Title, load_station
from station_config.errors import ConfigError
from traceability.identifiers.handle import NATIONAL_PREFIXES, prefixes_in
from traceability.images import ImageStore

VAR = Path("var")

NAME_MOST_BYTES: Final = 200


def default_database() -> str:
    """LYNCEUS_DATABASE_URL, else SQLite in the folder `var` here."""
    return os.environ.get("LYNCEUS_DATABASE_URL") or f"sqlite:///{VAR / 'lynceus.db'}"


def default_ledger() -> Path:
    """LYNCEUS_LEDGER, else the folder `var/ledger` here."""
    return Path(os.environ.get("LYNCEUS_LEDGER") or VAR / "ledger")


def default_pictures() -> str:
    """LYNCEUS_PICTURES, a folder or `s3://bucket/prefix`; else the folder `var/pictures` here."""
    return os.environ.get("LYNCEUS_PICTURES") or str(VAR / "pictures")


def handle_prefixes() -> tuple[str, ...]:
    """LYNCEUS_HANDLE_PREFIXES, else 86 and 88. Raises HandlePrefixesInvalid."""
    listed = os.environ.get("LYNCEUS_HANDLE_PREFIXES")
    return NATIONAL_PREFIXES if listed is None else prefixes_in(listed)


def default_tls() -> Path | None:
    """LYNCEUS_TLS, a folder with certificate.pem and key.pem; None: without."""
    folder = os.environ.get("LYNCEUS_TLS")
    return Path(folder) if folder else None


ledger_option = click.option(
    "--ledger",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=default_ledger,
    help=say("cli.option.ledger", language_of_environment()),
)


def open_pictures(address: str) -> ImageStore:
    """What waits for a bucket that is away waits in the folder `var/spool` here."""
    return ImageStore.open(address, spool=VAR / SPOOL)


pictures_option = click.option(
    "--pictures",
    metavar="FOLDER|s3://BUCKET",
    default=default_pictures,
    callback=lambda _context, _option, address: open_pictures(address),
    help=say("cli.option.pictures", language_of_environment()),
)

database_option = click.option(
    "--database",
    metavar="URL",
    default=default_database,
    help=say("cli.option.database", language_of_environment()),
)


@cache
def lane_titles(station: str) -> Mapping[str, Title]:
    """What people call the lanes of a station that is set up on this computer; of another one nothing.

    The record has names only, and is told by them where the station's file is not here, or cannot be read.
    """
    try:
        return {lane.name: lane.title for lane in load_station(station).lanes}
    except ConfigError:
        return {}


class OutputUnwritable(InspectionError):
    """The results cannot be written where they were asked for. Facts: file, reason."""

    code = "SVC-OUTPUT-UNWRITABLE"


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Around what writes this file. Raises OutputUnwritable where the system refuses."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputUnwritable(
            f"{printable(str(file))} cannot be written: {reason}.",
            action="Free the disk, or choose a place that can be written to.",
            file=printable(str(file)),
            reason=reason,
        ) from error


def shortened(stem: str) -> str:
    """A name that leaves room in the 255 bytes of a file name for what is put before and behind it."""
    while len(os.fsencode(stem)) > NAME_MOST_BYTES:
        stem = stem[:-1]
    return stem


class Finite(click.types.FloatParamType):
    """A number. Neither NaN nor infinity is one: every comparison with NaN is false, so as a least score it would
    report nothing of any picture, and accept all of them; and click's own ranges let it pass.
    """

    def convert(
        self,
        value: SupportsFloat | SupportsIndex,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(say("cli.option.finite", language_of_environment(), value=str(value)), param, ctx)
        return number


class FiniteRange(Finite, click.FloatRange):
    """A number in a range, see `Finite`."""


class Numbers(click.ParamType[tuple[float, ...]]):
    """So many numbers, with commas between."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self._count = count

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count or not all(isfinite(one) for one in numbers):
            message = say(
                "cli.option.numbers", language_of_environment(), count=self._count, value=str(value)
            )
            self.fail(message, param, ctx)
        return numbers
