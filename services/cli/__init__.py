"""`lynceus`: one file per noun. Exit status: 0 fine, 1 a problem was found, 2 called wrongly, 3 unreachable."""

from __future__ import annotations

import importlib
import logging
import sys

import click
from rich.console import Console

from inspection.errors import InspectionError
from services.text import explain, language_of_environment, say

COMMANDS = {
    "demo": "services.cli.demo:demo",
    "station": "services.cli.station:station",
    "inspect": "services.cli.inspect:inspect",
    "code": "services.cli.code:code",
    "trace": "services.cli.trace:trace",
    "replay": "services.cli.replay:replay",
    "genealogy": "services.cli.genealogy:genealogy",
    "hold": "services.cli.hold:hold",
    "ledger": "services.cli.ledger:ledger",
    "spc": "services.cli.spc_reports:spc",
    "backup": "services.cli.backup:backup",
    "pictures": "services.cli.pictures:pictures",
    "validate": "services.cli.validate:validate",
    "recipe": "services.cli.recipe:recipe",
    "camera": "services.cli.camera:camera",
    "person": "services.cli.person:person",
    "model": "services.cli.model:model",
    "dataset": "services.cli.dataset:dataset",
}
"""Loaded when asked for: `lynceus trace` needs no camera library and no network runtime."""

CALLED_WRONGLY = (
    "CFG-",
    "TRC-CODE-NOT-PARSED",
    "SVC-NOTHING-GIVEN",
    "SVC-OUTPUT-TAKEN",
    "SVC-REQUEST-INVALID",
)
UNREACHABLE = (
    "TRC-DATABASE-UNREACHABLE",
    "TRC-DATABASE-EMPTY",
    "CAM-NOT-FOUND",
    "CAM-PRODUCER-MISSING",
    "CAM-IN-USE",
    "CAM-LOST",
    "CAM-SILENT",
    "LIN-AWAY",
)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, help=say("cli.lynceus", language_of_environment()))
@click.version_option(package_name="lynceus", prog_name="lynceus")
def lynceus() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def main() -> None:
    """Entry point: runs the command, says errors of ours in the user's language, and exits with the status."""
    try:
        status = lynceus.main(standalone_mode=False)
    except InspectionError as error:
        tell(error)
        sys.exit(status_of(error))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def tell(error: InspectionError) -> None:
    """What happened and what to do, on standard error."""
    told = explain(error, language_of_environment())
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]✗ {told.code}[/]  ", end="")
    console.print(printable(told.what), markup=False, soft_wrap=True)
    console.print(f"  → {printable(told.action)}", markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """What any terminal shows: of a file's name, bytes that are no UTF-8 by their numbers."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def status_of(error: InspectionError) -> int:
    """The exit status that stands for this error."""
    if error.code.startswith(CALLED_WRONGLY):
        return 2
    return 3 if error.code in UNREACHABLE else 1
