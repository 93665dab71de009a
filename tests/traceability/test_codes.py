from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from inspection.identity import IdentifierCode
from tests.builders import NOON, an_inspection
from traceability import tables
from traceability.codes import CodeRegister
from traceability.errors import BlockMissing, BlockRefused, CodeRetired, CodeTaken, UnitUnknown
from traceability.identifiers import parse
from traceability.store import TraceStore

PREFIX = "86.100.12/COIL-"
MES = parse("C-2026.0117")
LASER = parse("(01)09520123456788(21)A7")
LABEL = parse("86.100.12/0017")


@pytest.fixture
def codes(store: TraceStore) -> CodeRegister:
    return CodeRegister(store)


def a_block(codes: CodeRegister, *, count: int = 3, first: int | None = None, is_issued_here: bool = True):
    return codes.reserve(
        PREFIX, count=count, digits=6, holder="slitter-2", is_issued_here=is_issued_here, first=first
    )


def seen(store: TraceStore, *units: IdentifierCode) -> None:
    store.record([an_inspection(unit=unit, started_at=NOON) for unit in units])


def test_codes_are_issued_in_order_and_each_makes_its_unit(codes: CodeRegister):
    a_block(codes)
    issued = [codes.issue(PREFIX, reason="new coil") for _ in range(3)]
    assert [str(code) for code in issued] == [f"{PREFIX}00000{number}" for number in (1, 2, 3)]
    record = codes.of(issued[1])
    assert record.key == issued[1]
    assert [(one.kind, one.reason) for one in record.events] == [("issued", "new coil")]


def test_a_block_that_is_used_up_issues_nothing(codes: CodeRegister):
    a_block(codes, count=1)
    codes.issue(PREFIX)
    assert codes.left(PREFIX) == 0
    with pytest.raises(BlockMissing):
        codes.issue(PREFIX)


def test_the_next_block_goes_on_where_the_last_one_ends(codes: CodeRegister):
    a_block(codes, count=2)
    second = a_block(codes, count=5)
    assert (second.first, second.last) == (3, 7)
    assert [str(codes.issue(PREFIX))[-1] for _ in range(4)] == ["1", "2", "3", "4"]


def test_a_station_issues_from_its_block_and_the_plant_does_not(codes: CodeRegister, tmp_path: Path):
    block = a_block(codes, is_issued_here=False)
    with pytest.raises(BlockMissing):
        codes.issue(PREFIX)
    with TraceStore.open(f"sqlite:///{tmp_path / 'station.db'}") as station:
        there = CodeRegister(station)
        assert there.adopt(block)
        assert not there.adopt(block), "twice is once"
        assert str(there.issue(PREFIX)) == f"{PREFIX}000001"


def test_two_blocks_never_share_a_number(codes: CodeRegister):
    a_block(codes, first=10, count=5)
    for first in (8, 12, 14):
        with pytest.raises(BlockRefused) as refused:
            a_block(codes, first=first, count=3)
        assert "another block" in str(refused.value.facts["reason"])
    with pytest.raises(BlockRefused):
        codes.adopt(replace(a_block(codes, first=100), id=an_inspection().id, first=102, last=110))


@pytest.mark.parametrize(
    ("prefix", "first", "digits"),
    [("no slash or number ", 1, 6), (PREFIX, 999_999, 6), (PREFIX, 1, 0), (PREFIX, 1, 19)],
)
def test_a_block_that_makes_no_codes_is_refused(codes: CodeRegister, prefix: str, first: int, digits: int):
    with pytest.raises(BlockRefused):
        codes.reserve(prefix, count=2, digits=digits, holder="x", is_issued_here=True, first=first)


def test_a_number_that_somebody_wrote_by_hand_is_not_issued_again(codes: CodeRegister, store: TraceStore):
    a_block(codes)
    seen(store, parse(f"{PREFIX}000001"))
    assert str(codes.issue(PREFIX)) == f"{PREFIX}000002"


def test_capitals_of_a_handle_s_prefix_make_no_second_block(codes: CodeRegister):
    codes.reserve("86.ABC.1/", count=2, digits=3, holder="a", is_issued_here=True)
    second = codes.reserve("86.abc.1/", count=2, digits=3, holder="b", is_issued_here=True)
    assert second.first == 3


def test_shipping_units_get_their_check_digit(codes: CodeRegister):
    codes.reserve("(00)09520123", count=2, digits=9, holder="packing", is_issued_here=True)
    assert str(codes.issue("(00)09520123")) == "(00)095201230000000011"


def test_serial_numbers_of_a_trade_item_are_issued(codes: CodeRegister):
    codes.reserve("(01)09520123456788(21)", count=2, digits=8, holder="press", is_issued_here=True)
    assert str(codes.issue("(01)09520123456788(21)")) == "(01)09520123456788(21)00000001"


def _issue(url: str, _: int) -> str:
    with TraceStore.open(url) as store:
        codes = CodeRegister(store)
        return ",".join(str(codes.issue(PREFIX)) for _ in range(10))


def test_processes_that_issue_at_once_never_issue_the_same(codes: CodeRegister, database_url: str):
    a_block(codes, count=40)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        issued = ",".join(pool.starmap(_issue, [(database_url, number) for number in range(3)])).split(",")
    assert len(set(issued)) == 30
    assert codes.left(PREFIX) == 10


def test_a_unit_is_known_before_anything_was_seen_of_it(codes: CodeRegister):
    assert codes.register(MES, reason="from the MES")
    assert not codes.register(MES)
    assert codes.of(MES).codes == (MES,)


def test_every_code_of_a_unit_finds_all_that_was_seen_of_it(codes: CodeRegister, store: TraceStore):
    seen(store, MES)
    assert codes.bind(LASER, MES, reason="marked")
    assert not codes.bind(LASER, MES), "twice is once"
    seen(store, LASER)
    assert len(store.inspections_of(MES)) == len(store.inspections_of(LASER)) == 2
    record = codes.of(LASER)
    assert (record.key, record.codes) == (MES, (MES, LASER))


def test_what_was_seen_under_a_provisional_code_is_found_by_the_real_one(
    codes: CodeRegister, store: TraceStore
):
    provisional = parse("86.999.1/PART-20261120-101530-0001")
    seen(store, provisional, LASER)
    codes.register(MES)
    assert codes.bind(provisional, MES, reason="label read later")
    assert codes.bind(LASER, MES)
    assert len(store.inspections_of(MES)) == 2
    assert codes.of(provisional).unit == codes.of(MES).unit


def test_a_unit_on_which_more_hangs_than_inspections_is_not_moved(codes: CodeRegister, store: TraceStore):
    """Whatever table names a unit: were its code moved, what the row says would be about nothing."""
    codes.register(MES)
    codes.register(LASER)
    named = [
        table
        for table in tables.metadata.sorted_tables
        if table.name not in ("identifier", "code_event")
        and any(key.column is tables.unit.c.id for column in table.columns for key in column.foreign_keys)
    ]
    if not named:
        pytest.skip("no table names units yet")
    with store.writing() as connection:
        connection.execute(insert(named[0]).values(a_row(named[0], codes.of(LASER).unit, connection)))
    with pytest.raises(CodeTaken) as refused:
        codes.bind(LASER, MES)
    assert refused.value.facts["other"] == str(LASER)


def a_row(table, unit, connection):
    """Any values that the table takes, with the unit wherever one is named."""
    identifier = connection.execute(tables.identifier.select()).first().id
    values = {}
    for column in table.columns:
        targets = {key.column.table.name for key in column.foreign_keys}
        if "unit" in targets:
            values[column.name] = unit
        elif "identifier" in targets:
            values[column.name] = identifier
        elif isinstance(column.type, tables.UtcTime):
            values[column.name] = NOON
        elif not column.nullable:
            kind = column.type.python_type
            # What is kept as JSON has no type of its own.
            plain = {str: "x", object: []}
            values[column.name] = unit if kind.__name__ == "UUID" else plain.get(kind, kind())
    return values


def test_nothing_is_bound_to_a_code_that_nobody_knows(codes: CodeRegister):
    with pytest.raises(UnitUnknown):
        codes.bind(LASER, MES)


def test_a_retired_code_still_finds_its_unit_and_is_bound_no_more(codes: CodeRegister, store: TraceStore):
    seen(store, MES)
    codes.bind(LABEL, MES)
    assert codes.retire(MES, reason="relabelled")
    assert not codes.retire(MES, reason="again")
    record = codes.of(MES)
    assert (record.key, record.retired) == (LABEL, frozenset({MES}))
    assert len(store.inspections_of(MES)) == 1
    with pytest.raises(CodeRetired) as refused:
        codes.bind(LASER, MES)
    assert refused.value.facts["reason"] == "relabelled"
    codes.reinstate(MES, reason="it was the right one")
    assert codes.of(MES).key == MES
    assert codes.bind(LASER, MES)


def test_a_code_that_nobody_knows_cannot_be_retired(codes: CodeRegister):
    with pytest.raises(UnitUnknown):
        codes.retire(MES, reason="x")
