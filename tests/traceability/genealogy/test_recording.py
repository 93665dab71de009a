from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from inspection.types import Box
from tests.builders import a_unit
from tests.drawn_coil import (
    COIL_A,
    HEAT,
    LINKS,
    SEGMENTS,
    STRIP_A1,
    UNITS,
    WELDED,
    a_form,
    a_link,
    a_piece,
    an_id,
)
from traceability import people, tables
from traceability.errors import LinkCycle, LinkOutside, RecordUnknown, RecordVoided
from traceability.genealogy.cuts import Cut, LinkKind, UnitKind
from traceability.genealogy.recording import id_of, record, void, void_form
from traceability.genealogy.rows import links_query, links_selected
from traceability.genealogy.tracing import ancestors, descendants
from traceability.store import TraceStore


def count(store: TraceStore, table) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_links_come_back_as_they_were_recorded(store: TraceStore):
    given = a_link(
        COIL_A,
        STRIP_A1,
        LinkKind.SLIT,
        Cut(
            parent_mm=Box(0, 1, 600, 5_001.5),
            child_mm=Box(0, 0, 600, 10_000),
            is_reversed=True,
            is_flipped=True,
            sigma_x_mm=0.25,
            sigma_y_mm=12.5,
        ),
        a_piece(6_000, 7_000, child_mm=Box(0, 10_000, 600, 11_000)),
        quantity=1250.5,
        step=uuid7(),
    )
    record(store, links=[given])
    with store.reading() as connection:
        assert links_selected(connection, links_query()) == [given]


def test_saying_the_same_twice_changes_nothing(store: TraceStore):
    first = record(store, units=UNITS, links=LINKS)
    assert (first.units, first.links, first.contradictions) == (len(UNITS), len(LINKS), ())
    again = record(store, units=UNITS, links=LINKS)
    assert (again.units, again.links, again.contradictions) == (0, 0, ())
    assert count(store, tables.link) == len(LINKS)


def test_one_delivery_may_say_the_same_twice(store: TraceStore):
    assert record(store, units=[*UNITS, UNITS[0]], links=[*LINKS, LINKS[0]]).links == len(LINKS)


def test_a_contradicting_duplicate_is_kept_and_flagged_and_the_first_one_counts(store: TraceStore):
    record(store, units=UNITS, links=LINKS)
    other = replace(LINKS[0], quantity=12.0)
    shorter = replace(UNITS[1], length_mm=9_000.0, id=uuid7())
    for _ in range(2):
        said = record(store, units=[shorter], links=[other])
        assert (said.units, said.links) == (0, 0)
        assert said.contradictions == (UNITS[1].id, LINKS[0].id)
    assert count(store, tables.contradiction) == 2
    with store.reading() as connection:
        (kept,) = links_selected(connection, links_query().where(tables.link.c.id == LINKS[0].id))
        (said,) = connection.execute(
            select(tables.contradiction.c.said).where(tables.contradiction.c.record_id == LINKS[0].id)
        ).scalars()
    assert kept.quantity is None
    assert said["quantity"] == 12.0


def test_a_link_outside_its_parents_length_is_refused_with_the_numbers(store: TraceStore):
    record(store, units=UNITS)
    with pytest.raises(LinkOutside) as refused:
        record(store, links=[a_link(COIL_A, STRIP_A1, LinkKind.SLIT, a_piece(2_000, 10_500))])
    facts = refused.value.facts
    assert (facts["unit"], facts["side"]) == ("COIL-A", "length_mm")
    assert (facts["from_mm"], facts["to_mm"], facts["size_mm"]) == (2_000, 10_500, 10_000)
    assert descendants(store, COIL_A) == ()


@pytest.mark.parametrize(
    ("cut", "unit", "side"),
    [
        (Cut(parent_mm=Box(900, 0, 1300, 10), child_mm=Box(0, 0, 400, 10)), "COIL-A", "width_mm"),
        (Cut(parent_mm=Box(0, -5, 600, 10), child_mm=Box(0, 0, 600, 15)), "COIL-A", "length_mm"),
        (Cut(parent_mm=Box(0, 0, 600, 10), child_mm=Box(0, 0, 601, 10)), "STRIP-A1", "width_mm"),
        (Cut(parent_mm=Box(0, 0, 600, 10), child_mm=Box(0, 9_999, 600, 10_009)), "STRIP-A1", "length_mm"),
    ],
)
def test_a_cut_beyond_either_unit_on_any_side_is_refused(store: TraceStore, cut, unit, side):
    record(store, units=UNITS)
    with pytest.raises(LinkOutside) as refused:
        record(store, links=[a_link(COIL_A, STRIP_A1, LinkKind.SLIT, cut)])
    assert (refused.value.facts["unit"], refused.value.facts["side"]) == (unit, side)


def test_a_cut_beyond_its_unit_by_less_than_its_own_uncertainty_is_taken(store: TraceStore):
    record(store, units=UNITS)
    cut = a_piece(5_000, 10_020, child_mm=Box(0, 0, 600, 5_020), sigma_y_mm=10.0)
    assert record(store, links=[a_link(COIL_A, STRIP_A1, LinkKind.SLIT, cut)]).links == 1


def test_a_length_said_after_the_cuts_is_held_to_them(store: TraceStore):
    record(store, links=LINKS)
    with pytest.raises(LinkOutside) as refused:
        record(store, units=[a_form(WELDED, UnitKind.COIL, 15_000, 600)])
    assert refused.value.facts["size_mm"] == 15_000
    assert count(store, tables.unit_form) == 0


def test_a_unit_cannot_be_its_own_ancestor(store: TraceStore):
    record(store, units=UNITS, links=LINKS)
    with pytest.raises(LinkCycle) as refused:
        record(store, links=[a_link(SEGMENTS[0], COIL_A, LinkKind.REWORK)])
    assert refused.value.facts["path"].startswith("COIL-A → ") or "COIL-A" in refused.value.facts["path"]
    assert units_above(store) == set()
    with pytest.raises(LinkCycle):
        record(store, links=[a_link(COIL_A, COIL_A, LinkKind.REWORK)])


def units_above(store: TraceStore) -> set:
    return {one.unit for one in ancestors(store, HEAT)}


def test_a_circle_within_one_delivery_is_refused_as_a_whole(store: TraceStore):
    a, b, c = (a_unit(name) for name in "ABC")
    circle = [a_link(one, other, LinkKind.REWORK) for one, other in ((a, b), (b, c), (c, a))]
    with pytest.raises(LinkCycle):
        record(store, links=circle)
    assert count(store, tables.link) == 0


def test_a_circle_through_what_is_on_record_is_refused(store: TraceStore):
    a, b, c, d = (a_unit(name) for name in "ABCD")
    record(store, links=[a_link(a, b, LinkKind.REWORK), a_link(c, d, LinkKind.REWORK)])
    with pytest.raises(LinkCycle):
        record(store, links=[a_link(b, c, LinkKind.REWORK), a_link(d, a, LinkKind.REWORK)])


def test_two_writers_cannot_close_a_circle_between_them(store: TraceStore):
    for number in range(10):
        a, b = a_unit(f"A-{number}"), a_unit(f"B-{number}")

        def said(ends) -> bool:
            try:
                record(store, links=[a_link(*ends, LinkKind.REWORK)])
            except LinkCycle:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(said, [(a, b), (b, a)])) == [False, True]


def test_a_voided_link_no_longer_closes_a_circle(store: TraceStore):
    a, b = a_unit("A"), a_unit("B")
    wrong = a_link(a, b, LinkKind.REWORK)
    record(store, links=[wrong])
    void(store, link=wrong.id, id=uuid7(), reason="the wrong way round")
    assert record(store, links=[a_link(b, a, LinkKind.REWORK)]).links == 1


def test_voiding_twice_changes_nothing_and_voiding_nothing_is_told(store: TraceStore):
    record(store, links=LINKS)
    for _ in range(2):
        void(store, link=LINKS[0].id, id=an_id("void"), reason="twice")
    assert count(store, tables.correction) == 1
    with pytest.raises(RecordUnknown):
        void(store, link=uuid7(), id=uuid7(), reason="nothing")


def test_a_wrong_length_is_voided_and_said_again(store: TraceStore):
    record(store, units=UNITS)
    void_form(store, form=UNITS[1].id, id=uuid7(), reason="measured again")
    assert record(store, units=[replace(UNITS[1], id=uuid7(), length_mm=10_100.0)]).units == 1


def without_an_id(said):
    """As the service keeps what comes without one: under the id of its words."""
    return replace(said, id=id_of(said))


def test_a_link_that_was_voided_by_mistake_is_said_again_and_counts_as_often_as_that_happens(
    store: TraceStore,
):
    slit = without_an_id(a_link(COIL_A, STRIP_A1, LinkKind.SLIT, a_piece(0, 10_000)))
    record(store, links=[slit])
    for times in (2, 3, 4):
        with store.reading() as connection:
            (counts,) = links_selected(connection, links_query().where(tables.link.c.voided_by.is_(None)))
        void(store, link=counts.id, id=uuid7(), reason="meant another one")
        assert descendants(store, COIL_A) == ()
        assert record(store, links=[slit, slit]).links == 1
        assert [one.unit for one in descendants(store, COIL_A)] == [STRIP_A1]
        assert record(store, links=[slit]).links == 0
        assert count(store, tables.link) == times


def test_a_size_that_was_voided_by_mistake_is_said_again_and_holds(store: TraceStore):
    long = without_an_id(a_form(COIL_A, UnitKind.COIL, 10_000, 1200))
    shorter = without_an_id(replace(long, length_mm=9_990.0))
    for said in (long, shorter, long, long):
        assert record(store, units=[said, said]).units == 1
        assert record(store, units=[said]).units == 0
        with store.reading() as connection:
            form = tables.unit_form.c
            (counts,) = connection.execute(
                select(form.id, form.length_mm).where(form.voided_by.is_(None))
            ).all()
        assert counts.length_mm == said.length_mm
        void_form(store, form=counts.id, id=uuid7(), reason="measured again")


def test_what_comes_under_the_senders_own_id_of_a_voided_record_is_refused_not_swallowed(store: TraceStore):
    record(store, units=UNITS, links=LINKS)
    void(store, link=LINKS[0].id, id=uuid7(), reason="another heat")
    void_form(store, form=UNITS[1].id, id=uuid7(), reason="measured again")
    for said in ({"links": LINKS}, {"units": UNITS}):
        with pytest.raises(RecordVoided):
            record(store, **said)
    assert record(store, links=[replace(LINKS[0], id=uuid7())]).links == 1
    # What counts now was said under another id, and this says no more than that.
    record(store, units=[replace(UNITS[1], id=uuid7())])
    assert record(store, units=[UNITS[1]]) == record(store)


def test_an_id_under_which_another_unit_is_described_is_a_contradiction(store: TraceStore):
    coil, other = a_form(COIL_A, UnitKind.COIL, 10_000, 1200), a_unit("COIL-C")
    record(store, units=[coil])
    assert record(store, units=[replace(coil, unit=other)]).contradictions == (coil.id,)
    assert count(store, tables.unit_form) == 1


def test_who_corrected_is_a_commitment_and_the_name_can_be_erased(store: TraceStore):
    record(store, links=LINKS)
    void(store, link=LINKS[0].id, id=uuid7(), reason="first", by="Li Wei")
    void(store, link=LINKS[1].id, id=uuid7(), reason="second", by="Li Wei")
    with store.reading() as connection:
        by = set(connection.execute(select(tables.correction.c.made_by)).scalars())
        assert len(by) == 1
        assert people.names(connection, by) == {next(iter(by)): "Li Wei"}
    assert people.erase(store, "Li Wei")
    assert not people.erase(store, "Li Wei")
    with store.reading() as connection:
        assert people.names(connection, by) == {}
        assert set(connection.execute(select(tables.correction.c.made_by)).scalars()) == by
