"""`lynceus camera doctor`: what is wrong between this computer and its cameras, and the line that mends it.

Exit status: 0 nothing is wrong, 1 something is, 2 called wrongly, 3 no camera can be reached: it is not there, or
its library cannot be used. What could not be looked at does not change it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.text import Text

from cameras.doctor.judging import Finding, Severity, judge
from services.cli.options import FiniteRange
from services.doctor_texts import mend, said
from services.text import language_of_environment, say

SIGNS = {
    Severity.WRONG: ("✗", "bold red"),
    Severity.UNSEEN: ("?", "yellow"),
    Severity.NOTE: ("!", "cyan"),
    Severity.OK: ("✓", "green"),
}

UNREACHABLE = frozenset(
    {
        "camera-none",
        "camera-not-found",
        "control-channel",
        "subnet",
        "subnet-none",
        "producer-architecture",
        "producer-loads",
        "producer-missing",
        "producer-no-library",
        "producer-not-built",
        "python-packages",
        "python-wheel",
    }
)
"""With one of these wrong, there is no camera, or no way to one."""


@click.command(help=say("camera.help.doctor", language_of_environment()))
@click.option(
    "--producer",
    default="lynceus",
    show_default=True,
    metavar="PATH|lynceus|simulated",
    help=say("camera.help.producer", language_of_environment()),
)
@click.option("--serial", metavar="SERIAL", help=say("camera.help.doctor_serial", language_of_environment()))
@click.option("--device", metavar="NAME|MAC|IP", help=say("camera.help.device", language_of_environment()))
@click.option(
    "--seconds",
    type=FiniteRange(0, 600),
    default=3.0,
    show_default=True,
    help=say("camera.help.doctor_seconds", language_of_environment()),
)
@click.option("--json", "as_json", is_flag=True, help=say("camera.help.json", language_of_environment()))
def doctor(producer: str, serial: str | None, device: str | None, seconds: float, as_json: bool) -> int:
    from cameras.doctor.looking import look

    language = language_of_environment()
    if serial is not None and device is not None:
        raise click.UsageError(say("camera.snap.one_name", language))
    if not as_json:
        click.echo(say("doctor.looking", language), err=True)
    findings = judge(look(_producer(producer), wanted=serial or device, seconds=seconds))
    if as_json:
        told = [as_document(finding, language) for finding in findings]
        click.echo(json.dumps({"findings": told}, ensure_ascii=False))
    else:
        show(findings, Console(highlight=False), language)
    return status_of(findings)


def status_of(findings: Sequence[Finding]) -> int:
    wrong = {finding.code for finding in findings if finding.severity is Severity.WRONG}
    return 3 if wrong & UNREACHABLE else 1 if wrong else 0


def show(findings: Sequence[Finding], console: Console, language: str) -> None:
    """A line for each finding, and under it the one that mends it; one for all that one reason hid of a camera."""
    for (about, severity, why), group in groupby(findings, key=_shown_together):
        together = list(group)
        codes = ", ".join(finding.code for finding in together)
        if why is None:
            for finding in together:
                _print(console, severity, about, said(finding, language), finding.code)
                if (line_that_mends := mend(finding, language)) is not None:
                    console.print(Text(f"    → {line_that_mends}"), soft_wrap=True)
        else:
            names = [say(f"doctor.{finding.code}.name", language) for finding in together]
            told = say(
                "doctor.unseen",
                language,
                name=say("doctor.and", language).join(names),
                why=say(f"doctor.why.{why}", language),
            )
            _print(console, severity, about, told, codes)
    counts = Counter(finding.severity for finding in findings)
    console.print(
        say("doctor.summary", language, **{severity.name.lower(): counts[severity] for severity in Severity})
    )


def _shown_together(finding: Finding) -> tuple[str, Severity, object]:
    return finding.about, finding.severity, finding.facts.get("why")


def _print(console: Console, severity: Severity, about: str, told: str, codes: str) -> None:
    sign, style = SIGNS[severity]
    line = Text(f"{sign} ", style=style)
    line.append(f"{about}  ", style="bold")
    line.append(told, style="" if severity is not Severity.OK else "dim")
    line.append(f"  [{codes}]", style="dim")
    console.print(line, soft_wrap=True)


def as_document(finding: Finding, language: str) -> dict[str, object]:
    """One finding of `--json`. docs/cameras.md describes it; it is an interface."""
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "about": finding.about,
        "facts": dict(finding.facts),
        "said": said(finding, language),
        "mend": mend(finding, language),
    }


def _producer(given: str) -> Path | Literal["simulated", "lynceus"]:
    match given:
        case "simulated" | "lynceus":
            return given
        case _:
            return Path(given)
