import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click import MissingParameter
from click.testing import CliRunner

from inspection.types import Inspection
from services.access import Access, RightMissing, SignInRefused
from services.cli.hold import hold
from services.cli.trace import trace
from services.text import say
from tests.builders import NOON, a_unit, an_inspection
from tests.services.signed_in import PASSWORD, QUICK, adds
from traceability.accounts import Accounts, Role
from traceability.errors import HoldMissing, UnitUnknown
from traceability.holds import holds_of, open_holds
from traceability.store import TraceStore
from traceability.verification import verify


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Three parts, accepted an hour apart, and an engineer and an operator with passwords."""
    url = f"sqlite:///{tmp_path / 'lynceus.db'}"
    with TraceStore.open(url) as store:
        for role in (Role.ENGINEER, Role.OPERATOR):
            adds(Access(Accounts(store), hasher=QUICK), role)
        for number in range(3):
            at = NOON + timedelta(hours=number)
            store.record([an_inspection(unit=a_unit(f"86.1/P{number}"), finished_at=at)])
    return url


def asked(
    database: str, *call: str, language: str = "en", exits: int = 0, password: str | None = None
) -> str:
    command = trace if call[0].startswith("86.") else hold
    runner = CliRunner(env={"LYNCEUS_LANGUAGE": language})
    typed = None if password is None else f"{password}\n"
    result = runner.invoke(command, [*call, "--database", database], input=typed, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert (result.return_value or 0) == exits
    return result.output


def decided(database: str, code: str, decision: str, reason: str, **signed: str) -> str:
    """By the engineer, unless another one signs."""
    by, password = signed.get("by", "engineer"), signed.get("password", PASSWORD)
    call = ("release", code, "--decision", decision, "--reason", reason, "--by", by)
    return asked(database, *call, password=password)


def first(database: str) -> Inspection:
    with TraceStore.open(database) as store:
        return store.latest()[-1]


def last(database: str) -> Inspection:
    with TraceStore.open(database) as store:
        return store.latest()[0]


def test_a_unit_is_held_once_and_released_with_a_decision(database: str):
    told = asked(database, "place", "86.1/P0", "86.1/P1", "--reason", "dent", "--by", "Li Wei")
    assert "2 units put on hold; 2 holds" in told
    assert "0 units put on hold; 2 holds" in asked(database, "place", "86.1/P0", "--reason", "again")
    told = decided(database, "86.1/P0", "rework", "ground")
    assert "86.1/P0: Rework; 1 holds" in told
    told = asked(database, "of", "86.1/P0")
    assert "on hold: dent" in told
    assert "Rework: ground" in told
    assert "返工" in asked(database, "of", "86.1/P0", language="zh")
    with pytest.raises(HoldMissing):
        decided(database, "86.1/P0", "scrap", "twice")


def test_a_hold_ends_by_command_as_on_the_page_signed_by_somebody_who_may_dispose(database: str):
    asked(database, "place", "86.1/P0", "--reason", "dent")
    with pytest.raises(SignInRefused):
        decided(database, "86.1/P0", "use_as_is", "fits", password="not mine at all")
    with pytest.raises(RightMissing):
        decided(database, "86.1/P0", "use_as_is", "fits", by="operator")
    with pytest.raises(MissingParameter, match="by"):
        asked(database, "release", "86.1/P0", "--decision", "use_as_is", "--reason", "fits")
    with TraceStore.open(database) as store:
        assert open_holds(store) == 1
    decided(database, "86.1/P0", "use_as_is", "fits")
    with TraceStore.open(database) as store:
        (entry,) = Accounts(store).audit(limit=1)
        assert (entry.action, entry.person, entry.reason) == ("unit.released", "engineer", "fits")
        ((_, ended),) = holds_of(store, a_unit("86.1/P0"))
        assert ended is not None
        assert ended.released_by is not None


def test_what_is_held_by_command_is_in_the_audit_and_in_the_ledger_and_names_nobody(database: str):
    asked(database, "place", "86.1/P0", "--reason", "dent", "--by", "Li Wei")
    with TraceStore.open(database) as store:
        (entry,) = Accounts(store).audit(limit=1)
        assert (entry.action, entry.person, entry.after) == ("unit.held", None, {"units": ["86.1/P0"]})
        assert verify(store).findings == ()


def test_all_or_none_of_the_units_are_held(database: str):
    with pytest.raises(UnitUnknown):
        asked(database, "place", "86.1/P0", "86.1/NOBODY", "--reason", "dent")
    assert asked(database, "of", "86.1/P0") == ""


def test_an_escape_is_contained_held_and_counted_down_to_nothing_open(database: str):
    told = asked(database, "contain", str(first(database).id), "--reason", "burr", "--hold")
    assert "3 open  burr" in told
    assert "0 found, 3 held, 0 shipped, 0 closed" in told
    assert "3 open" in asked(database, "board", exits=1)
    for number in range(3):
        decided(database, f"86.1/P{number}", "scrap", "burr")
    (board,) = json.loads(asked(database, "board", "--json"))["containments"]
    assert (board["open"], board["counts"]["closed"]) == (0, 3)


def test_a_time_without_its_zone_is_refused(database: str):
    with pytest.raises(Exception, match="with its zone"):
        asked(database, "contain", str(first(database).id), "--reason", "burr", "--since", "2026-11-20T06:00")
    late = (NOON + timedelta(minutes=90)).isoformat()
    told = asked(database, "contain", str(last(database).id), "--reason", "burr", "--since", late)
    assert "86.1/P2" in told
    assert "86.1/P1" not in told


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_whole_life_is_told_in_order_of_time(database: str, language: str):
    asked(database, "place", "86.1/P0", "--reason", "dent")
    lines = asked(database, "86.1/P0", "--life", language=language).splitlines()
    assert say("verdict.ACCEPT", language) in lines[-2]
    assert lines[-1].endswith("86.1/P0  dent")
    assert say("web.containment.is_held", language) in lines
    answer = json.loads(asked(database, "86.1/P0", "--life", "--json"))
    assert [one["what"] for one in answer["events"]] == ["inspection", "hold"]
    assert (answer["is_held"], answer["contradictions"]) == (True, [])


def test_a_whole_life_says_what_contradicts_it(database: str):
    seen = first(database)
    with TraceStore.open(database) as store:
        store.record([replace(seen, grade="Z")])
    told = asked(database, str(seen.unit), "--life")
    assert f"contradicts a record  Inspection  {seen.id}" in told
