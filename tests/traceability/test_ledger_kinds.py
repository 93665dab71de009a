"""Kinds of record that joined the ledger later: what is of them from before is taken in, what is new is proven."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, text, update

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from tests.builders import NOON, a_unit, an_inspection
from traceability import tables
from traceability.accounts import Accounts, Person, Role
from traceability.codes import CodeRegister
from traceability.epcis.repository import EpcisRepository
from traceability.identifiers import parse
from traceability.merkle import OnRecord, Sealer, begin
from traceability.recorded import KINDS, ON_RECORD
from traceability.reviews import Decision, Reviews
from traceability.store import TraceStore
from traceability.verification import verify

COIL = parse("86.100.12/COIL-1")
JOINED = ("review", "code_event", "epcis_event")
RECEIVED: dict[str, Any] = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-11-20T12:00:00Z",
    "epcisBody": {
        "eventList": [
            {
                "type": "ObjectEvent",
                "eventTime": "2026-11-20T11:00:00Z",
                "eventTimeZoneOffset": "+08:00",
                "action": "OBSERVE",
                "epcList": ["urn:epc:id:sgtin:9520123.045678.A7"],
            }
        ]
    },
}


def a_person(store: TraceStore) -> Person:
    return Accounts(store).add(
        name="reviewer", title="", role=Role.OPERATOR, password_hash=None, by=None, at=NOON
    )


def one_of_each(store: TraceStore) -> None:
    """A review and its taking back, a code bound and retired, an event taken in."""
    seen = an_inspection(unit=COIL, verdict=Verdict.REVIEW)
    store.record([seen])
    person = a_person(store)
    made = Reviews(store).decide(seen.id, Decision.ACCEPT, by=person, at=NOON, reason="dust")
    Reviews(store).take_back(made.id, by=person, at=NOON + timedelta(seconds=3))
    codes = CodeRegister(store)
    codes.bind(parse("C-7"), COIL, reason="laser")
    codes.retire(parse("C-7"), reason="scratched")
    EpcisRepository(store).capture(copy.deepcopy(RECEIVED), by=None)


def leaves(store: TraceStore) -> list[str]:
    with store.reading() as connection:
        rows = select(tables.ledger_leaf.c.kind).order_by(tables.ledger_leaf.c.position)
        return list(connection.execute(rows).scalars())


def findings(store: TraceStore, **more: Any) -> list[tuple[str, object]]:
    return [(one.what, one.facts.get("kind")) for one in verify(store, **more).findings]


def test_reviews_codes_and_events_are_in_the_ledger_each_once(store: TraceStore):
    one_of_each(store)
    EpcisRepository(store).capture(copy.deepcopy(RECEIVED), by=None)
    assert {kind: leaves(store).count(kind) for kind in JOINED} == {
        "review": 2,
        "code_event": 2,
        "epcis_event": 1,
    }
    assert findings(store) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("review", update(tables.review).values(decision="reject")),
        ("code_event", update(tables.code_event).values(reason="another")),
        ("epcis_event", update(tables.epcis_event).values(body={"action": "DELETE"})),
    ],
)
def test_who_changes_one_afterwards_is_found(store: TraceStore, kind: str, change: Any):
    one_of_each(store)
    with store.writing() as connection:
        connection.execute(change)
    assert set(findings(store)) == {("record_altered", kind)}


def test_an_event_that_is_deleted_is_missed(store: TraceStore):
    one_of_each(store)
    with store.writing() as connection:
        connection.execute(delete(tables.epcis_item))
        connection.execute(delete(tables.epcis_event))
    assert findings(store) == [("record_gone", "epcis_event")]


def test_what_is_done_with_a_code_is_in_the_audit(store: TraceStore):
    one_of_each(store)
    CodeRegister(store).reinstate(parse("C-7"), reason="clean again")
    CodeRegister(store).register(parse("C-8"))
    done = [
        (one.action, one.subject, one.reason)
        for one in Accounts(store).audit(limit=20)
        if one.action.startswith("code.")
    ]
    assert done[::-1] == [
        ("code.bound", "code:C-7", "laser"),
        ("code.retired", "code:C-7", "scratched"),
        ("code.reinstated", "code:C-7", "clean again"),
        ("code.registered", "code:C-8", None),
    ]


def test_the_audit_has_the_units_of_a_code_whole_before_and_after(store: TraceStore):
    provisional, real, laser = parse("86.999.1/PART-1"), parse("86.1/REAL"), parse("L-1")
    store.record([an_inspection(unit=provisional)])
    codes = CodeRegister(store)
    codes.bind(laser, provisional)
    codes.register(real)
    was, other = codes.of(provisional).unit, codes.of(real).unit
    codes.bind(provisional, real, reason="label read later")
    codes.retire(laser, reason="scratched")
    retired, bound, registered, first = [
        (one.before, one.after) for one in Accounts(store).audit(limit=4) if one.action.startswith("code.")
    ]

    def unit(id_: UUID, *of: IdentifierCode, retired: Sequence[str] = ()) -> dict[str, Any]:
        return {
            "unit": str(id_),
            "codes": [{"scheme": one.scheme, "canon": one.canon} for one in of],
            "retired": [*retired],
        }

    assert first == ({"units": [unit(was, provisional)]}, {"units": [unit(was, provisional, laser)]})
    assert registered == (None, {"units": [unit(other, real)]})
    assert bound == (
        {"units": [unit(was, provisional, laser), unit(other, real)]},
        {"units": [unit(other, provisional, laser, real)]},
    )
    assert retired == (bound[1], {"units": [unit(other, provisional, laser, real, retired=["L-1"])]})
    assert findings(store) == []


def test_a_code_that_was_known_already_leaves_no_entry(store: TraceStore):
    one_of_each(store)
    before = leaves(store)
    assert not CodeRegister(store).register(COIL)
    assert not CodeRegister(store).retire(parse("C-7"), reason="twice")
    assert leaves(store) == before


# ------------------------------------------------------------------ databases of earlier versions


@pytest.fixture
def of_0021(database_url: str) -> str:
    """A database of revision 0021 with one of each on record, and none of them in its ledger."""
    held = OnRecord(kinds=tuple(kind for kind in KINDS if kind not in JOINED), entries=ON_RECORD.entries)
    with TraceStore.open(database_url) as store:
        one_of_each(store)
        with store.writing() as connection:
            for table in (tables.ledger_leaf, tables.ledger_block, tables.ledger):
                connection.execute(delete(table))
            begin(connection, "sha256", held)
            for undone in (
                "DROP TABLE webhook",
                "DROP INDEX ix_account_provider_subject",
                "ALTER TABLE account DROP COLUMN provider_subject",
                "DROP TABLE shift_taken",
                "DROP TABLE shift_handover",
                "ALTER TABLE ledger DROP COLUMN kinds",
                "DROP INDEX ix_epcis_event_id",
                "ALTER TABLE epcis_event DROP COLUMN id",
                "UPDATE alembic_version SET version_num = '0021'",
            ):
                connection.execute(text(undone))
    return database_url


def test_what_an_earlier_version_kept_is_no_finding_and_is_taken_in_with_the_next_record(
    of_0021: str, tmp_path: Path
):
    with TraceStore.open(of_0021) as store:
        before = leaves(store)
        assert not {*before} & {*JOINED}
        assert findings(store) == []
        sealer = Sealer(tmp_path / "ledger")
        with store.reading() as connection:
            sealer.seal(connection)
        store.record([an_inspection(unit=a_unit("86.1/next"))])
        after = leaves(store)
        assert after[: len(before)] == before
        assert after[len(before) :] == [
            "review",
            "review",
            "code_event",
            "code_event",
            "epcis_event",
            "inspection",
        ]
        with store.reading() as connection:
            sealer.seal(connection)
        assert findings(store, heads=sealer.heads()) == []
        with store.writing() as connection:
            connection.execute(update(tables.code_event).values(reason="another"))
        assert findings(store) == [("record_altered", "code_event")] * 2


def test_the_first_record_after_the_upgrade_may_be_of_a_kind_that_joined(of_0021: str):
    with TraceStore.open(of_0021) as store:
        CodeRegister(store).bind(parse("C-9"), COIL)
        EpcisRepository(store).capture(copy.deepcopy(RECEIVED), by=None)
        assert leaves(store).count("code_event") == 3
        assert leaves(store).count("epcis_event") == 1
        assert findings(store) == []


def test_who_strikes_a_kind_off_the_list_and_adds_a_record_is_found(store: TraceStore):
    one_of_each(store)
    with store.writing() as connection:
        connection.execute(update(tables.ledger).values(kinds=["inspection"]))
        row = connection.execute(select(tables.code_event).limit(1)).mappings().one()
        connection.execute(insert(tables.code_event), {**row, "id": UUID(int=7)})
    assert findings(store) == [("record_unknown", "code_event")]
    store.record([an_inspection(unit=a_unit("86.1/next"))])
    assert findings(store) == [("record_unknown", "code_event")]
