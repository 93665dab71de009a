"""`lynceus validate`: the statistics of this installation against published answers, with a signed report."""

from __future__ import annotations

import hashlib
import html
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from services.cli.options import ledger_option
from services.text import LANGUAGES, language_of_environment, say
from traceability.merkle import Sealer
from traceability.validation.comparing import cases_in, shipped_cases
from traceability.validation.running import check, record_of
from traceability.verifier import canonical

MARKS = {"agrees": "✔", "differs": "✗", "gap": "—", "refused": "✗"}


def _help(key: str) -> str:
    return say(f"cli.validate.{key}", language_of_environment())


@click.command(help=_help("help"))
@click.option(
    "--cases",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_help("cases"),
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/validation"),
    show_default=True,
    help=_help("out"),
)
@click.option("--json", "as_json", is_flag=True, help=say("cli.trace.json", language_of_environment()))
@ledger_option
def validate(folder: Path | None, out: Path, as_json: bool, ledger: Path) -> None:
    language = language_of_environment()
    cases = shipped_cases() if folder is None else cases_in(folder)
    told = Console(stderr=True)
    results = [
        check(case)
        for case in track(
            cases,
            say("cli.validate.running", language),
            console=told,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
    ]
    record = record_of(results, at=datetime.now(UTC).replace(microsecond=0))
    signed = sign(record, Sealer(ledger))
    out.mkdir(parents=True, exist_ok=True)
    written = out / "verification.json"
    written.write_text(json.dumps(signed, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (out / "verification.html").write_text(report_of(signed), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(signed, ensure_ascii=False))
    else:
        show(record, language, Console(highlight=False))
        click.echo(say("cli.validate.written", language, file=out / "verification.html"))
    if not record["passed"]:
        raise click.exceptions.Exit(1)


def sign(record: Mapping[str, Any], sealer: Sealer) -> dict[str, Any]:
    """The record with the key that signs the ledger's heads, the digest and the signature of its canonical JSON
    (RFC 8785, without digest and signature)."""
    named = {**record, "key": sealer.public_key.hex()}
    text = canonical(named)
    return {**named, "sha256": hashlib.sha256(text).hexdigest(), "signature": sealer.sign(text).hex()}


def show(record: Mapping[str, Any], language: str, console: Console) -> None:
    """A row per family, then every figure that differs and every gap."""
    table = Table(box=None)
    table.add_column(say("cli.validate.family", language))
    for name in ("cases_column", *MARKS):
        table.add_column(say(f"cli.validate.{name}", language), justify="right")
    for family, outcomes in by_family(record).items():
        table.add_row(family, *map(str, outcomes))
    console.print(table)
    for one in record["results"]:
        for text in findings(one):
            console.print(f"{MARKS[one['outcome']]} {text}", markup=False, soft_wrap=True)
    key = "passed" if record["passed"] else "failed"
    counts = {"cases": record["cases"], "figures": record["figures"], "agrees": record["counted"]["agrees"]}
    console.print(say(f"cli.validate.{key}", language, **counts), markup=False, soft_wrap=True)


def by_family(record: Mapping[str, Any]) -> dict[str, list[int]]:
    """Of each family: how many cases, and how many of them came out as each of MARKS."""
    outcomes: dict[str, list[str]] = {}
    for one in record["results"]:
        outcomes.setdefault(one["family"], []).append(one["outcome"])
    return {name: [len(some), *map(some.count, MARKS)] for name, some in sorted(outcomes.items())}


def findings(result: Mapping[str, Any]) -> list[str]:
    """What to look at of one case, in no language: names and numbers."""
    found = [
        f"{result['id']}  {one['path']}: {one['got']} ≠ {one['expected']}" for one in result["differing"]
    ]
    found += [f"{result['id']}  {path}: —" for path in result["gaps"]]
    return found + ([f"{result['id']}  {result['error']}"] if result["error"] else [])


def report_of(signed: Mapping[str, Any]) -> str:
    """The verification report, one HTML page that needs nothing else: every heading in both languages."""

    def both(key: str, **facts: object) -> str:
        return "<br>".join(
            html.escape(say(f"cli.validate.{key}", language, **facts)) for language in LANGUAGES
        )

    def cell(text: object) -> str:
        return f"<td>{html.escape(str(text))}</td>"

    counts = {"cases": signed["cases"], "figures": signed["figures"], "agrees": signed["counted"]["agrees"]}
    verdict = both("passed" if signed["passed"] else "failed", **counts)
    facts = [
        (both("at"), signed["at"]),
        (both("program"), ", ".join(f"{name} {number}" for name, number in signed["program"].items())),
        (both("system"), f"Python {signed['python']}, {signed['platform']}"),
        (both("digest"), signed["sha256"]),
        (both("key"), signed["key"]),
        (both("signature"), signed["signature"]),
    ]
    rows = "".join(
        f"<tr class={one['outcome']}>"
        + cell(MARKS[one["outcome"]])
        + cell(one["id"])
        + cell(one["method"])
        + cell(one["source"])
        + cell(one["figures"])
        + "<td>"
        + "<br>".join(html.escape(text) for text in findings(one))
        + "</td></tr>"
        for one in signed["results"]
    )
    heads = "".join(
        f"<th>{text}</th>"
        for text in (
            both("outcome"),
            both("case"),
            both("method"),
            both("source"),
            both("figures_column"),
            both("finding"),
        )
    )
    covers = "".join(
        f"<tr>{cell(name)}{''.join(cell(count) for count in counts)}</tr>"
        for name, counts in by_family(signed).items()
    )
    covered = "".join(f"<th>{both(name)}</th>" for name in ("family", "cases_column", *MARKS))
    sources = "".join(f"<tr>{cell(name)}{cell(digest)}</tr>" for name, digest in signed["sources"].items())
    told = "".join(f"<tr><th>{name}</th>{cell(value)}</tr>" for name, value in facts)
    return f"""<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>{html.escape(say("cli.validate.title", "zh"))}</title>
<style>
body {{ font: 11pt/1.45 "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif }}
body {{ margin: 2rem auto; max-width: 62rem; color: #1a1a1a }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .5rem; text-align: left; vertical-align: top }}
td {{ overflow-wrap: anywhere }}
tr {{ break-inside: avoid }}
h2, tr:first-child {{ break-after: avoid }}
.verdict {{ font-size: 1.2rem; font-weight: 600; border: 2px solid; padding: .6rem 1rem }}
.differs, .refused {{ color: #c3241c }} .gap {{ color: #7a5c00 }}
@page {{ size: A4; margin: 15mm }}
</style></head><body>
<h1>{both("title")}</h1>
<p>{both("purpose")}</p>
<p class="verdict">{verdict}</p>
<table>{told}</table>
<h2>{both("covered")}</h2>
<p>{both("covered_about")}</p>
<table><tr>{covered}</tr>{covers}</table>
<h2>{both("results")}</h2>
<table><tr>{heads}</tr>{rows}</table>
<h2>{both("sources")}</h2>
<table>{sources}</table>
</body></html>
"""
