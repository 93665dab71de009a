"""`lynceus code`: reading, issuing, binding and printing identifier codes."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.options import database_option, handle_prefixes
from services.text import catalogue, language_of_environment, say
from traceability.codes import CodeBlock, CodeRecord, CodeRegister
from traceability.errors import UnitUnknown
from traceability.identifiers import SCHEMES, Examined, Fault, examine, parse
from traceability.resolution import VOC, Link, Resolver, linkset
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.code.{key}", language_of_environment())


json_option = click.option("--json", "as_json", is_flag=True, help=_help("json"))
scheme_option = click.option("--scheme", type=click.Choice(sorted(SCHEMES)), help=_help("scheme"))
lenient_option = click.option("--lenient", is_flag=True, help=_help("lenient"))
reason_option = click.option("--reason", default="", help=_help("reason"))


@click.group(help=_help("code"))
def code() -> None:
    """What is done with codes is a subcommand."""


@code.command("parse", help=_help("parse"))
@click.argument("texts", nargs=-1, required=True)
@scheme_option
@lenient_option
@json_option
def parse_(texts: tuple[str, ...], scheme: str | None, lenient: bool, as_json: bool) -> int:
    national = handle_prefixes()
    examined = [examine(text, scheme=scheme, lenient=lenient, national_prefixes=national) for text in texts]
    for one in examined:
        if as_json:
            click.echo(json.dumps(examined_as_json(one), ensure_ascii=False))
        else:
            _tell_examined(one)
    return 0 if all(one.code is not None for one in examined) else 2


@code.command("reserve", help=_help("reserve"))
@click.argument("prefix")
@click.option("--count", type=click.IntRange(1, 10**9), required=True, help=_help("count"))
@click.option("--digits", type=click.IntRange(1, 18), default=8, show_default=True, help=_help("digits"))
@click.option("--first", type=click.IntRange(0), help=_help("first"))
@click.option("--for", "holder", metavar="STATION", help=_help("holder"))
@database_option
def reserve(
    prefix: str, count: int, digits: int, first: int | None, holder: str | None, database: str
) -> None:
    # Looked at before any is issued: a number of it stands for the part that counts.
    for note in examine(f"{prefix}1", national_prefixes=handle_prefixes()).notes:
        click.echo(f"{prefix}: " + say(f"code.fault.{note.reason}", language_of_environment()), err=True)
    with TraceStore.open(database) as store:
        block = CodeRegister(store).reserve(
            prefix,
            count=count,
            digits=digits,
            first=first,
            holder=holder or "",
            is_issued_here=holder is None,
        )
    # The file that `adopt` takes, on standard output; so it can be piped there.
    click.echo(json.dumps(block_as_json(block), ensure_ascii=False))


@code.command("adopt", help=_help("adopt"))
@click.argument("block", type=click.File(encoding="utf-8"))
@database_option
def adopt(block: Any, database: str) -> None:
    taken = block_from_json(block.read(10_000))
    with TraceStore.open(database) as store:
        codes = CodeRegister(store)
        codes.adopt(taken)
        left = codes.left(taken.prefix)
    said = say("cli.code.adopted", language_of_environment(), prefix=taken.prefix, left=left)
    click.echo(said)


@code.command("mint", help=_help("mint"))
@click.argument("prefix")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=1, show_default=True, help=_help("mint_count")
)
@reason_option
@database_option
def mint(prefix: str, count: int, reason: str, database: str) -> None:
    with TraceStore.open(database) as store:
        codes = CodeRegister(store)
        for _ in range(count):
            click.echo(str(codes.issue(prefix, reason=reason)))


@code.command("register", help=_help("register"))
@click.argument("text", metavar="CODE")
@scheme_option
@reason_option
@database_option
def register(text: str, scheme: str | None, reason: str, database: str) -> None:
    unit = parse(text, scheme=scheme)
    with TraceStore.open(database) as store:
        _tell_done("registered" if CodeRegister(store).register(unit, reason=reason) else "known", code=unit)


@code.command("bind", help=_help("bind"))
@click.argument("text", metavar="CODE")
@click.argument("to", metavar="KNOWN")
@scheme_option
@reason_option
@database_option
def bind(text: str, to: str, scheme: str | None, reason: str, database: str) -> None:
    new, known = parse(text, scheme=scheme), parse(to)
    with TraceStore.open(database) as store:
        done = CodeRegister(store).bind(new, known, reason=reason)
    _tell_done("bound" if done else "bound_already", code=new, to=known)


@code.command("retire", help=_help("retire"))
@click.argument("text", metavar="CODE")
@click.option("--reason", required=True, help=_help("reason"))
@click.option("--undo", is_flag=True, help=_help("undo"))
@database_option
def retire(text: str, reason: str, undo: bool, database: str) -> None:
    unit = parse(text)
    with TraceStore.open(database) as store:
        codes = CodeRegister(store)
        done = codes.reinstate(unit, reason=reason) if undo else codes.retire(unit, reason=reason)
    key = ("reinstated" if undo else "retired") if done else "unchanged"
    _tell_done(key, code=unit)


@code.command("show", help=_help("show"))
@click.argument("text", metavar="CODE")
@json_option
@database_option
def show(text: str, as_json: bool, database: str) -> None:
    with TraceStore.open(database) as store:
        record = CodeRegister(store).of(parse(text))
    if as_json:
        click.echo(json.dumps(record_as_json(record), ensure_ascii=False, indent=2))
        return
    language = language_of_environment()
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for one in record.codes:
        marks = [say("cli.code.key", language)] if one == record.key else []
        marks += [say("cli.code.is_retired", language)] if one in record.retired else []
        table.add_row(Text(str(one)), say(f"code.scheme.{one.scheme}", language), ", ".join(marks))
    console.print(table)
    for event in record.events:
        kind = say(f"code.event.{event.kind}", language)
        console.print(
            f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}  {kind}  {event.code}  {event.reason}", markup=False
        )


@code.command("read", help=_help("read"))
@click.argument(
    "pictures", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@json_option
def read(pictures: tuple[Path, ...], as_json: bool) -> int:
    # Reading pictures loads OpenCV, which the other commands do without.
    from inspection.vision.codes import read_codes
    from inspection.vision.decoding import decode_image

    is_all_read, national = True, handle_prefixes()
    for picture in pictures:
        found = read_codes(decode_image(picture.read_bytes()))
        is_all_read &= bool(found)
        examined = [examine(one.aim + one.text, national_prefixes=national) for one in found]
        if as_json:
            answer = {"picture": str(picture), "codes": [examined_as_json(one) for one in examined]}
            click.echo(json.dumps(answer, ensure_ascii=False))
            continue
        click.echo(str(picture))
        if not found:
            click.echo("  " + say("failure.INS-CODE-NOT-READ", language_of_environment()))
        for one in examined:
            _tell_examined(one)
    return 0 if is_all_read else 1


@code.command("resolve", help=_help("resolve"))
@click.argument("text", metavar="CODE")
@click.option("--node", "nodes", multiple=True, metavar="URL", help=_help("node"))
@click.option("--address", default="http://localhost:8080", show_default=True, help=_help("address"))
@scheme_option
@database_option
def resolve(text: str, nodes: tuple[str, ...], address: str, scheme: str | None, database: str) -> None:
    from traceability.nodes import HandleNode

    unit = parse(text, scheme=scheme)
    first = str(unit).partition("/")[0].partition(".")[0]
    with TraceStore.open(database) as store:
        resolver = Resolver(store, nodes=[HandleNode(node, [first]) for node in nodes])
        try:
            answer = linkset(resolver.resolve(unit, address=address))
        except UnitUnknown:
            answer = resolver.elsewhere(unit)
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))


@code.command("link", help=_help("link"))
@click.argument("text", metavar="CODE")
@click.argument("relation")
@click.argument("href")
@click.option("--title", default="", help=_help("link_title"))
@click.option("--default", "is_default", is_flag=True, help=_help("link_default"))
@click.option("--language", multiple=True, help=_help("link_language"))
@click.option("--media-type", help=_help("link_media_type"))
@click.option("--context", help=_help("link_context"))
@click.option("--void", is_flag=True, help=_help("link_void"))
@database_option
def link(
    text: str,
    relation: str,
    href: str,
    title: str,
    is_default: bool,
    language: tuple[str, ...],
    media_type: str | None,
    context: str | None,
    void: bool,
    database: str,
) -> None:
    unit = parse(text)
    with TraceStore.open(database) as store:
        resolver = Resolver(store)
        if void:
            _tell_done("link_voided", code=unit, count=resolver.void(unit, href))
            return
        named = VOC + relation.removeprefix("gs1:") if relation.startswith("gs1:") else relation
        told = Link(
            relation=named,
            href=href,
            title=title,
            media_type=media_type,
            languages=language,
            context=context,
            is_default=is_default,
        )
        resolver.register(unit, told)
    _tell_done("linked", code=unit, href=href)


@code.command("print", help=_help("print"))
@click.argument("text", metavar="CODE")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--kind", type=click.Choice(("datamatrix", "qr")), default="datamatrix", show_default=True)
@click.option("--resolver", metavar="URL", help=_help("resolver"))
@click.option(
    "--module-mm", type=click.FloatRange(0.1, 10), default=0.5, show_default=True, help=_help("module_mm")
)
@click.option("--dpi", type=click.IntRange(72, 2400), default=300, show_default=True, help=_help("dpi"))
@scheme_option
def print_(
    text: str, file: Path, kind: str, resolver: str | None, module_mm: float, dpi: int, scheme: str | None
) -> None:
    from services.labels import LABEL_FORMATS, LABEL_KINDS, label, write_label

    if file.suffix.lower().removeprefix(".") not in LABEL_FORMATS:
        raise click.BadParameter(", ".join(f".{one}" for one in LABEL_FORMATS), param_hint="FILE")
    chosen = next(one for one in LABEL_KINDS if one == kind)
    made = label(parse(text, scheme=scheme), chosen, resolver=resolver, module_mm=module_mm)
    try:
        write_label(made, file, dpi=dpi)
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from error
    _tell_done("printed", file=file, width=made.width_mm, height=made.height_mm)


def examined_as_json(one: Examined) -> dict[str, Any]:
    """Positions are from 1, as people count."""
    return {
        "text": one.text,
        "scheme": one.scheme,
        "code": None if one.code is None else str(one.code),
        "faults": [fault_as_json(fault) for fault in one.faults],
        "notes": [fault_as_json(note) for note in one.notes],
        "parts": dict(one.parts),
    }


def fault_as_json(fault: Fault) -> dict[str, Any]:
    return {"position": fault.index + 1, "reason": fault.reason, "expected": fault.expected}


def record_as_json(record: CodeRecord) -> dict[str, Any]:
    return {
        "unit": str(record.unit),
        "key": str(record.key),
        "codes": [
            {"code": str(one), "scheme": one.scheme, "retired": one in record.retired} for one in record.codes
        ],
        "events": [
            {"code": str(one.code), "kind": one.kind, "at": one.at.isoformat(), "reason": one.reason}
            for one in record.events
        ],
    }


def block_as_json(block: CodeBlock) -> dict[str, Any]:
    return {**asdict(block), "id": str(block.id), "reserved_at": block.reserved_at.isoformat()}


def block_from_json(text: str) -> CodeBlock:
    """Raises click.ClickException for a file that `reserve` did not write."""
    try:
        said = json.loads(text)
        return CodeBlock(
            id=UUID(said["id"]),
            prefix=str(said["prefix"]),
            first=int(said["first"]),
            last=int(said["last"]),
            digits=int(said["digits"]),
            holder=str(said["holder"]),
            reserved_at=datetime.fromisoformat(said["reserved_at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.BadParameter(
            say("cli.code.no_block", language_of_environment()), param_hint="BLOCK"
        ) from error


def _tell_done(key: str, **facts: object) -> None:
    click.echo(say(f"cli.code.{key}", language_of_environment(), **facts))


def _tell_examined(one: Examined) -> None:
    language = language_of_environment()
    console = Console(highlight=False)
    scheme = say(f"code.scheme.{one.scheme}", language)
    if one.code is not None:
        console.print(Text(f"✔ {one.code}", style="bold green"), Text(f"  {scheme}"), sep="")
    else:
        console.print(Text(f"✗ {one.text}", style="bold red"), Text(f"  {scheme}"), sep="")
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in one.parts:
        table.add_row("  " + catalogue(language).get(f"code.part.{name}", name), Text(value))
    console.print(table)
    for mark, faults in (("✗", one.faults), ("◆", one.notes)):
        for fault in faults:
            said = say(f"code.fault.{fault.reason}", language)
            told = say(
                "cli.code.fault", language, position=fault.index + 1, said=said, expected=fault.expected
            )
            console.print(f"  {mark} {told}", markup=False)
