"""What several commands ask for in the same words."""

from __future__ import annotations

import os
from math import isfinite
from pathlib import Path

import click

from services.station.place import SPOOL
from services.text import language_of_environment, say
from traceability.identifiers.handle import NATIONAL_PREFIXES, prefixes_in
from traceability.images import ImageStore

VAR = Path("var")


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
