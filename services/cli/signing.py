"""Who does it, for commands that do what a person answers for: their name is given, their password asked for."""

from __future__ import annotations

import click

from services.access import Access
from services.text import language_of_environment, say
from traceability.accounts import Accounts, Person
from traceability.store import TraceStore

by_option = click.option(
    "--by", required=True, metavar="NAME", help=say("cli.model.by_name", language_of_environment())
)


def signs(store: TraceStore, name: str) -> Person:
    """Raises SignInRefused, AccountLocked."""
    password = click.prompt(say("cli.model.password", language_of_environment(), name=name), hide_input=True)
    return Access(Accounts(store)).person_of(name=name, password=password)
