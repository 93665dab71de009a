"""Up and down the genealogy, on both engines, beside a plain walk over the links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from inspection.types import Box
from tests.builders import a_unit
from tests.databases import ENGINES, a_database
from tests.drawn_coil import (
    COIL_A,
    COIL_B,
    HEAT,
    LINKS,
    SEGMENTS,
    STRIP_A1,
    STRIP_A2,
    STRIP_B1,
    UNITS,
    WELDED,
    a_link,
    a_piece,
)
from traceability.errors import UnitUnknown
from traceability.genealogy.cuts import Cut, Face, Link, LinkKind, Region, downwards, upwards
from traceability.genealogy.recording import record, void
from traceability.genealogy.tracing import LEVELS, ancestors, at_risk, descendants, family, place_up
from traceability.store import TraceStore


@pytest.fixture
def coil(store: TraceStore) -> TraceStore:
    """The drawn example, on record."""
    record(store, units=UNITS, links=LINKS)
    return store


def units_of(relatives) -> list[str]:
    return [str(one.unit) for one in relatives]


def places(placed) -> dict[str, tuple[float, float]]:
    return {
        str(one.relative.unit): (region.box_mm.x1, region.box_mm.y1)
        for one in placed
        for region in one.regions
    }


def test_a_segment_tells_all_it_was_made_from(coil: TraceStore):
    assert units_of(ancestors(coil, SEGMENTS[2])) == [
        "COIL-A",
        "COIL-B",
        "COIL-W",
        "HEAT-7",
        "STRIP-A1",
        "STRIP-B1",
    ]


def test_a_coil_tells_all_that_was_made_from_it(coil: TraceStore):
    made = ["COIL-W", "SEGMENT-1", "SEGMENT-2", "SEGMENT-3", "SEGMENT-4", "STRIP-B1"]
    assert units_of(descendants(coil, COIL_B)) == made
    assert ancestors(coil, HEAT) == ()
    assert descendants(coil, SEGMENTS[0]) == ()


def test_a_place_behind_the_weld_lies_on_the_other_coil_and_reversed(coil: TraceStore):
    """By hand, in docs/genealogy.md: 3000 mm along segment 3 are 11 000 of the weld, 6600 of strip B1 and coil B."""
    found = place_up(coil, SEGMENTS[2], 150, 3_000)
    assert places(found) == {
        "COIL-W": (150, 11_000),
        "STRIP-B1": (150, 6_600),
        "COIL-B": (150, 6_600),
    }
    heat = next(one for one in found if one.relative.unit == HEAT)
    assert (heat.regions, heat.probability) == ((), 1.0)
    assert {region.sigma_y_mm for one in found for region in one.regions} == {5.0}


def test_a_place_before_the_weld_lies_on_the_first_coil(coil: TraceStore):
    assert places(place_up(coil, SEGMENTS[2], 150, 1_000)) == {
        "COIL-W": (150, 9_000),
        "STRIP-A1": (150, 9_000),
        "COIL-A": (150, 9_000),
    }


def test_a_place_near_the_weld_is_on_both_coils_as_sure_as_the_cut_is(coil: TraceStore):
    """5 mm behind the weld, with 5 mm of standard error: Φ(1) = 0.84 on coil B, the rest on coil A."""
    found = {str(one.relative.unit): one.probability for one in place_up(coil, SEGMENTS[2], 150, 1_605)}
    assert found["COIL-B"] == pytest.approx(0.8413, abs=1e-4)
    assert found["COIL-A"] == pytest.approx(0.1587, abs=1e-4)
    assert found["HEAT-7"] == pytest.approx(0.8413, abs=1e-4)


def test_a_defect_on_a_coil_is_on_the_segment_cut_from_there_and_on_no_other(coil: TraceStore):
    found = at_risk(coil, COIL_B, Box(100, 6_500, 200, 6_700))
    assert [(str(one.relative.unit), one.probability) for one in found] == [
        ("COIL-W", 1.0),
        ("SEGMENT-3", 1.0),
        ("STRIP-B1", 1.0),
    ]
    assert found[1].regions == (Region(box_mm=Box(100, 2_900, 200, 3_100), sigma_y_mm=5.0),)


def test_a_defect_on_what_was_cropped_is_on_no_segment(coil: TraceStore):
    assert units_of(one.relative for one in at_risk(coil, COIL_A, Box(100, 9_700, 200, 9_800))) == [
        "STRIP-A1"
    ]


def test_a_defect_on_the_mirrored_strip_is_measured_from_its_own_operator_side(coil: TraceStore):
    (found,) = at_risk(coil, COIL_A, Box(700, 10, 720, 20))
    assert found.relative.unit == STRIP_A2
    assert found.regions == (Region(box_mm=Box(480, 10, 500, 20)),)


def test_a_defect_is_followed_down_more_links_than_are_asked_for_at_once(store: TraceStore):
    units = [a_unit(f"86.1/{number:02}") for number in range(2 * LEVELS + 3)]
    cut = Cut(parent_mm=Box(0, 0, 100, 50), child_mm=Box(0, 0, 100, 50), is_reversed=True, sigma_y_mm=1.0)
    links = [
        Link(id=uuid7(), parent=parent, child=child, kind=LinkKind.CUT, cuts=(cut,))
        for parent, child in pairwise(units)
    ]
    record(store, links=links)
    found = places(at_risk(store, units[0], Box(10, 20, 20, 21)))
    assert found.keys() == {str(unit) for unit in units[1:]}
    along = [found[str(unit)][1] for unit in units[1:]]
    # A nanometre: what a chain of maps loses to floating point.
    assert along == pytest.approx([20 if number % 2 else 29 for number in range(len(along))], abs=1e-6)


def test_a_defect_on_the_edge_of_two_segments_is_at_risk_on_both(coil: TraceStore):
    """On the cut itself, with 5 mm of standard error, as likely on one as on the other."""
    found = {
        str(one.relative.unit): one.probability
        for one in at_risk(coil, COIL_A, Box(10, 3_999.9, 20, 4_000.1))
    }
    assert found["SEGMENT-1"] == pytest.approx(0.508, abs=1e-3)
    assert found["SEGMENT-2"] == pytest.approx(0.508, abs=1e-3)


def test_the_whole_of_a_heat_is_at_risk_of_what_is_wrong_with_the_melt(coil: TraceStore):
    found = at_risk(coil, HEAT, Box(0, 0, 1, 1))
    assert len(found) == 10
    assert {one.probability for one in found} == {1.0}
    assert all(one.regions == () for one in found)


def test_faces_are_told_where_strip_was_turned_over(store: TraceStore):
    link = a_link(COIL_A, STRIP_A1, LinkKind.SLIT, a_piece(0, 100, is_flipped=True))
    record(store, links=[link])
    (found,) = place_up(store, STRIP_A1, 1, 1, face=Face.TOP)
    assert found.regions[0].face is Face.BOTTOM


def test_the_top_of_the_drawn_segment_is_the_bottom_of_the_strip_that_was_welded_from_its_tail(
    coil: TraceStore,
):
    """A sheet keeps its handedness: what changes its direction and not its sides was turned over."""
    for y_mm, faces in (
        (1_000, {"COIL-W": Face.TOP, "STRIP-A1": Face.TOP, "COIL-A": Face.TOP}),
        (3_000, {"COIL-W": Face.TOP, "STRIP-B1": Face.BOTTOM, "COIL-B": Face.BOTTOM}),
    ):
        found = place_up(coil, SEGMENTS[2], 150, y_mm, face=Face.TOP)
        assert {str(one.relative.unit): one.regions[0].face for one in found if one.regions} == faces
    found = at_risk(coil, COIL_A, Box(700, 10, 720, 20), face=Face.TOP)
    assert [one.regions[0].face for one in found] == [Face.BOTTOM]


def test_a_piece_of_sheet_lies_on_another_as_a_rigid_body_can_where_faces_are_told():
    for link in LINKS:
        for cut in link.cuts:
            assert (cut.is_reversed + cut.is_mirrored + cut.is_turned + cut.is_flipped) % 2 == 0


def test_what_is_void_leads_nowhere_and_stays_on_record(coil: TraceStore):
    wrong = next(one for one in LINKS if one.parent == STRIP_B1)
    void(coil, link=wrong.id, id=uuid7(), reason="another strip was welded on", by="Li Wei")
    assert units_of(ancestors(coil, WELDED)) == ["COIL-A", "HEAT-7", "STRIP-A1"]
    assert places(place_up(coil, SEGMENTS[2], 150, 3_000)) == {"COIL-W": (150, 11_000)}
    right = replace(wrong, id=uuid7(), parent=STRIP_A2)
    record(coil, links=[right])
    assert "STRIP-A2" in units_of(ancestors(coil, SEGMENTS[3]))


def test_a_family_has_what_is_near_first_and_no_more_than_asked_for(coil: TraceStore):
    whole = family(coil, WELDED, most=100)
    assert len(whole.relatives) == 10  # all but the strip that went elsewhere
    assert STRIP_A2 not in [one.unit for one in whole.relatives]
    assert len(whole.links) == len(LINKS) - 1
    few = family(coil, WELDED, most=3)
    assert {WELDED, STRIP_A1, STRIP_B1} == {one.unit for one in few.relatives}
    assert {(one.parent, one.child) for one in few.links} == {(STRIP_A1, WELDED), (STRIP_B1, WELDED)}


def test_a_unit_nobody_named_has_no_family(store: TraceStore):
    for ask in (
        lambda unit: ancestors(store, unit),
        lambda unit: place_up(store, unit, 0, 0),
        lambda unit: at_risk(store, unit, Box(0, 0, 1, 1)),
    ):
        with pytest.raises(UnitUnknown):
            ask(a_unit("never-seen"))


# ------------------------------------------------------------------ laws, on both engines at once


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TraceStore, TraceStore]]:
    with ExitStack() as held:
        folder = tmp_path_factory.mktemp("both")
        urls = [held.enter_context(a_database(engine, folder)) for engine in ENGINES]
        first, second = (held.enter_context(TraceStore.open(url)) for url in urls)
        yield first, second


cut = st.one_of(
    st.just(()),
    st.tuples(
        st.builds(
            lambda low, size, stretch, reversed_, turned, sigma: Cut(
                parent_mm=Box(0, low, 100, low + size),
                child_mm=Box(0, 0, size, 100) if turned else Box(0, 0, 100, size * stretch),
                is_reversed=reversed_,
                is_turned=turned,
                sigma_y_mm=sigma,
            ),
            st.integers(0, 80),
            st.integers(5, 60),
            st.sampled_from([0.5, 1.0, 3.0]),
            st.booleans(),
            st.booleans(),
            st.sampled_from([0.0, 3.0]),
        )
    ),
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, list[Link]]:
    """Up to nine units, each linked to some that came before it: any graph without a circle."""
    of = uuid7().hex
    units = [a_unit(f"{of}-{number}") for number in range(draw(st.integers(2, 9)))]
    links = []
    for number, child in enumerate(units[1:], 1):
        for parent in draw(st.sets(st.integers(0, number - 1), max_size=3)):
            links.append(
                Link(id=uuid7(), parent=units[parent], child=child, kind=LinkKind.FORM, cuts=draw(cut))
            )
    return of, links


def plainly(links: list[Link], unit, *, down: bool) -> set:
    found, waiting = set(), [unit]
    while waiting:
        here = waiting.pop()
        for one in links:
            start, end = (one.parent, one.child) if down else (one.child, one.parent)
            if start == here and end not in found:
                found.add(end)
                waiting.append(end)
    return found


def plain_places(links: list[Link], unit, region: Region, *, down: bool) -> dict:
    """Every way from the unit, one by one: the largest probability of each relative, and whether a place is known."""
    found: dict = {}

    def go(here, at: Region | None, probability: float) -> None:
        for one in links:
            start, end = (one.parent, one.child) if down else (one.child, one.parent)
            if start != here:
                continue
            if at is None or not one.cuts:
                ways = [(None, probability)]
            else:
                carried = [(downwards if down else upwards)(at, each) for each in one.cuts]
                ways = [(way, way.probability) for way in carried if way is not None]
            for way, sure in ways:
                before, regions = found.get(end, (0.0, set()))
                found[end] = max(before, sure), regions | {way}
                go(end, way, sure)

    go(unit, region, 1.0)
    return found


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 100), st.integers(0, 40))
def test_both_engines_find_what_a_plain_walk_finds(both, graph, y, size):
    _, links = graph
    for store in both:
        record(store, links=links)
    units = {one for link in links for one in (link.parent, link.child)}
    for unit in units:
        for down, ask in ((False, ancestors), (True, descendants)):
            first, second = (ask(store, unit) for store in both)
            assert first == second
            assert {one.unit for one in first} == plainly(links, unit, down=down)
        ups = [place_up(store, unit, 10, y) for store in both]
        downs = [at_risk(store, unit, Box(10, y, 20, y + size + 1)) for store in both]
        assert ups[0] == ups[1]
        assert downs[0] == downs[1]
        for down, found, start in (
            (False, ups[0], Box(10, y, 10, y)),
            (True, downs[0], Box(10, y, 20, y + size + 1)),
        ):
            expected = plain_places(links, unit, Region(box_mm=start), down=down)
            assert {one.relative.unit for one in found} == expected.keys()
            for one in found:
                sure, regions = expected[one.relative.unit]
                if None not in regions:  # else it is somewhere on the unit, by one of the ways
                    assert one.probability == pytest.approx(sure)
                    assert set(one.regions) == regions
                else:
                    assert one.regions == ()
                    assert one.probability >= sure - 1e-9
