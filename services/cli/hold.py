"""`lynceus hold`: units on hold and released, and containment, for whoever may write the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import click
from uuid_utils.compat import uuid7

from services.access import Right, check_right_of
from services.api.history import BoardAnswer, BoardsAnswer
from services.cli import signing
from services.cli.options import database_option
from services.text import language_of_environment, say
from traceability import holds
from traceability.accounts import Person, note
from traceability.genealogy.recording import Audit
from traceability.holds import DECISIONS, Board, Decision
from traceability.identifiers import parse
from traceability.store import TraceStore


def _help(key: str) -> str:
    return say(f"cli.hold.{key}", language_of_environment())


_reason_option = click.option("--reason", required=True, help=_help("reason"))
_by_option = click.option("--by", metavar="NAME", help=_help("by"))
_json_option = click.option(
    "--json", "as_json", is_flag=True, help=say("cli.trace.json", language_of_environment())
)

_SHOWN_OPEN: Final = ("found", "held", "shipped")


@click.group(help=_help("help"))
def hold() -> None:
    """What is done with holds is a subcommand."""


@hold.command("place", help=_help("place"))
@click.argument("codes", metavar="CODE...", nargs=-1, required=True)
@_reason_option
@_by_option
@database_option
def place(codes: tuple[str, ...], reason: str, by: str | None, database: str) -> None:
    units = [parse(code) for code in codes]
    with TraceStore.open(database) as store:
        new = holds.place(
            store,
            units,
            ids=[uuid7() for _ in units],
            reason=reason,
            at=datetime.now(UTC),
            by=by,
            audit=_noted("unit.held", "units", {"units": [str(unit) for unit in units]}, reason),
        )
        left = holds.open_holds(store)
    click.echo(say("cli.hold.placed", language_of_environment(), new=new, open=left))


@hold.command("release", help=_help("release"))
@click.argument("code")
@click.option("--decision", type=click.Choice(DECISIONS), required=True, help=_help("decision"))
@_reason_option
@signing.by_option
@database_option
def release(code: str, decision: Decision, reason: str, by: str, database: str) -> None:
    language = language_of_environment()
    unit = parse(code)
    with TraceStore.open(database) as store:
        person = signing.signs(store, by)
        check_right_of(person, Right.DISPOSE)
        holds.release(
            store,
            unit,
            id=uuid7(),
            decision=decision,
            reason=reason,
            at=datetime.now(UTC),
            by=person.name,
            audit=_noted("unit.released", f"unit:{unit}", {"decision": decision}, reason, by=person),
        )
        left = holds.open_holds(store)
    decided = say(f"web.containment.decision.{decision}", language)
    click.echo(say("cli.hold.released", language, unit=unit, decision=decided, open=left))


@hold.command("of", help=_help("of"))
@click.argument("code")
@database_option
def of(code: str, database: str) -> None:
    language = language_of_environment()
    with TraceStore.open(database) as store:
        found = holds.holds_of(store, parse(code))
    for one, ended in found:
        click.echo(say("cli.hold.held", language, at=_local(one.placed_at), reason=one.reason))
        if ended is not None:
            decided = say(f"web.containment.decision.{ended.decision}", language)
            facts = {"at": _local(ended.released_at), "decision": decided, "reason": ended.reason}
            click.echo("  " + say("cli.hold.ended", language, **facts))


@hold.command("contain", help=_help("contain"))
@click.argument("escape", metavar="INSPECTION", type=click.UUID)
@_reason_option
@click.option("--lot", metavar="CODE", help=_help("lot"))
@click.option("--since", metavar="TIME", help=_help("since"))
@click.option("--hold", "is_held", is_flag=True, help=_help("hold_all"))
@_by_option
@_json_option
@database_option
def contain(
    escape: UUID,
    reason: str,
    lot: str | None,
    since: str | None,
    is_held: bool,
    by: str | None,
    as_json: bool,
    database: str,
) -> None:
    start = None if since is None else _time(since)
    with TraceStore.open(database) as store:
        board = holds.contain(
            store,
            escape,
            id=uuid7(),
            reason=reason,
            at=datetime.now(UTC),
            by=by,
            lot=None if lot is None else parse(lot),
            since=start,
            audit=lambda opened: _noted(
                "containment.opened", f"inspection:{escape}", {"suspects": len(opened.suspects)}, reason
            ),
        )
        if is_held:
            _hold_all(store, board, by)
            board = holds.board(store, board.containment.id)
    click.echo(BoardAnswer.of(board).model_dump_json(indent=2) if as_json else _said(board))


@hold.command("board", help=_help("board"))
@_json_option
@database_option
def board(as_json: bool, database: str) -> int:
    """Ends with 1 while anything is open."""
    with TraceStore.open(database) as store:
        boards = holds.boards(store)
    if as_json:
        answer = BoardsAnswer(containments=[BoardAnswer.of(one) for one in boards])
        click.echo(answer.model_dump_json(indent=2))
    else:
        for one in boards:
            click.echo(_said(one))
    return 1 if any(one.open for one in boards) else 0


def _hold_all(store: TraceStore, board: Board, by: str | None) -> None:
    units = [one.unit for one in board.suspects if one.state in ("found", "shipped")]
    reason = say("web.containment.contained", language_of_environment(), reason=board.containment.reason)
    id_ = board.containment.id
    holds.place(
        store,
        units,
        ids=[uuid7() for _ in units],
        reason=reason,
        at=datetime.now(UTC),
        by=by,
        containment=id_,
        audit=_noted("unit.held", f"containment:{id_}", {"units": len(units)}, reason),
    )


def _noted(
    action: str,
    subject: str,
    after: Mapping[str, object] | None,
    reason: str,
    *,
    by: Person | None = None,
) -> Audit:
    """`by` is who signed. Nobody has at a command that only holds: the audit says what was done, the record by whom."""
    return lambda connection: note(
        connection, at=datetime.now(UTC), by=by, action=action, subject=subject, after=after, reason=reason
    )


def _said(board: Board) -> str:
    language = language_of_environment()
    one = board.containment
    lines = [
        say("cli.hold.stands", language, id=one.id, open=board.open, reason=one.reason),
        "  " + say("cli.hold.counts", language, **board.counts),
    ]
    lines += [
        f"  {say(f'web.containment.state.{each.state}', language)}  {each.unit}"
        for each in board.suspects
        if each.state in _SHOWN_OPEN
    ]
    return "\n".join(lines)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(_help("no_zone"), param_hint="--since") from error
    if at.tzinfo is None:
        raise click.BadParameter(_help("no_zone"), param_hint="--since")
    return at


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
