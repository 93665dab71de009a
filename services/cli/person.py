"""`lynceus person`: who may act, for whoever may write the database. Passwords are asked for, never given as words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from services.access import LONGEST_NAME, PERSON_NAME, Access
from services.cli.options import database_option
from services.text import language_of_environment, say
from traceability.accounts import Accounts, Role
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(key, language_of_environment())


@click.group(help=_help("cli.person"))
def person() -> None:
    """What is done with people is a subcommand."""


@person.command("add", help=_help("cli.person.add"))
@click.argument("name", callback=lambda context, argument, name: _checked(name))
@click.option("--title", default=None, help=_help("cli.person.title"))
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help=_help("cli.person.role")
)
@database_option
def add(name: str, title: str | None, role: str, database: str) -> None:
    language = language_of_environment()
    with TraceStore.open(database) as store:
        access = Access(Accounts(store))
        access.accounts.add(
            name=name,
            title=(title or "").strip() or name,
            role=Role(role),
            password_hash=access.hashed_password(_asked(name)),
            by=None,
            at=datetime.now(UTC),
        )
    said = say("cli.person.added", language, name=name, role=say(f"web.role.{role}", language))
    Console(highlight=False).print(said, markup=False)


@person.command("password", help=_help("cli.person.password"))
@click.argument("name")
@database_option
def password(name: str, database: str) -> None:
    with TraceStore.open(database) as store:
        access = Access(Accounts(store))
        access.accounts.named(name)
        access.accounts.set_secret(
            name, by=None, at=datetime.now(UTC), password_hash=access.hashed_password(_asked(name))
        )
    Console(highlight=False).print(
        say("cli.person.changed", language_of_environment(), name=name), markup=False
    )


@person.command("list", help=_help("cli.person.list"))
@database_option
def list_people(database: str) -> None:
    language = language_of_environment()
    with TraceStore.open(database) as store:
        everybody = Accounts(store).all()
    console = Console(highlight=False)
    if not everybody:
        console.print(say("cli.person.none", language))
        return
    table = Table(box=None, show_header=False)
    for one in everybody:
        state = "" if one.is_active else say("cli.person.inactive", language)
        table.add_row(one.name, one.title, say(f"web.role.{one.role.value}", language), state)
    console.print(table)


def _checked(name: str) -> str:
    """By the rule of the page: a person it cannot name could not be changed or signed out there."""
    if len(name) > LONGEST_NAME or not re.fullmatch(PERSON_NAME, name):
        raise click.BadParameter(say("web.people.name_rule", language_of_environment()), param_hint="NAME")
    return name


def _asked(name: str) -> str:
    asked: str = click.prompt(
        say("cli.person.ask", language_of_environment(), name=name), hide_input=True, confirmation_prompt=True
    )
    return asked
