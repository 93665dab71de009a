"""What several commands ask for in the same words."""

from __future__ import annotations

import os
from pathlib import Path

import click

from services.text import language_of_environment, say

VAR = Path("var")


def default_database() -> str:
    """LYNCEUS_DATABASE_URL, else SQLite in the folder `var` here."""
    return os.environ.get("LYNCEUS_DATABASE_URL") or f"sqlite:///{VAR / 'lynceus.db'}"


database_option = click.option(
    "--database",
    metavar="URL",
    default=default_database,
    help=say("cli.option.database", language_of_environment()),
)
