"""The genealogy on the trace page, and the containment board."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inspection.types import Box, Verdict
from services.web.family_map import cut_map, family_map
from tests.builders import NOON, a_defect, a_unit, an_inspection
from tests.drawn_coil import COIL_A, LINKS, SEGMENTS, STRIP_A1, STRIP_B1, UNITS, WELDED
from tests.services.signed_in import PASSWORD, signed_in
from traceability.accounts import Role
from traceability.genealogy.recording import record
from traceability.genealogy.tracing import family
from traceability.history import life
from traceability.people import erase

HTML = {"Accept": "text/html"}


@pytest.fixture
def plant(station):
    record(station.store, units=UNITS, links=LINKS)
    return station


def drawn(plant, unit):
    told = life(plant.store, unit)
    return told, family(plant.store, unit, most=60)


def test_parents_stand_left_of_their_children_and_no_two_boxes_overlap(plant):
    told, kin = drawn(plant, WELDED)
    graph = family_map(kin, told.unit, relatives=len(told.ancestors) + len(told.descendants))
    at = {str(node.relative.unit): node for node in graph.nodes}
    for edge in graph.edges:
        assert at[str(edge.link.parent)].x + graph.node_width < at[str(edge.link.child)].x
    places = [(node.x, node.y) for node in graph.nodes]
    assert len(set(places)) == len(places)
    for one in graph.nodes:
        for other in graph.nodes:
            if one is not other and one.x == other.x:
                assert abs(one.y - other.y) >= graph.node_height
        assert 0 <= one.x <= graph.width - graph.node_width
        assert 0 <= one.y <= graph.height - graph.node_height
    assert [node.relative.unit for node in graph.nodes if node.is_root] == [WELDED]
    assert graph.hidden == 0


def test_a_fan_of_links_of_one_kind_is_labelled_once_and_other_links_each(plant):
    told, kin = drawn(plant, WELDED)
    graph = family_map(kin, told.unit, relatives=len(told.ancestors) + len(told.descendants))
    kinds = sorted(label.kind for label in graph.labels)
    assert kinds == ["cut", "melt", "melt", "slit", "slit", "weld", "weld"]
    (cut,) = (label for label in graph.labels if label.kind == "cut")
    (root,) = (node for node in graph.nodes if node.is_root)
    assert cut.x > root.x + graph.node_width
    assert cut.y == root.y + graph.node_height / 2


def test_cuts_and_defects_are_drawn_to_one_scale(plant):
    """COIL-A is 10 000 x 1200: each strip takes half of its height and all of its length."""
    told, kin = drawn(plant, COIL_A)
    cuts = cut_map(told.unit, kin, (a_defect(box_mm=Box(600, 5_000, 1200, 6_000)), a_defect(box_mm=None)))
    first, second = sorted(cuts.pieces, key=lambda piece: piece.y)
    assert (first.height, second.height) == (cuts.body_height / 2,) * 2
    assert first.width == pytest.approx(cuts.body_width, abs=0.01)
    assert second.y == pytest.approx(cuts.y + cuts.body_height / 2, abs=0.01)
    (dot,) = cuts.dots
    assert dot.x == pytest.approx(cuts.x + cuts.body_width / 2, abs=0.01)
    assert dot.width == pytest.approx(cuts.body_width / 10, abs=0.01)


@pytest.mark.parametrize(
    ("unit", "pieces"),
    [
        (WELDED, {f"SEGMENT-{number}": (25.0 * number - 25, 25.0) for number in (1, 2, 3, 4)}),
        (STRIP_A1, {"COIL-W": (0.0, 96.0)}),
        (STRIP_B1, {"COIL-W": (20.0, 80.0)}),
        (COIL_A, {"STRIP-A1": (0.0, 100.0), "STRIP-A2": (0.0, 100.0)}),
    ],
)
def test_each_unit_of_the_drawn_example_is_drawn_as_by_hand(plant, unit, pieces):
    """docs/genealogy.md: from where and how much of its length went into each, in percent; what was cropped is bare."""
    told, kin = drawn(plant, unit)
    cuts = cut_map(told.unit, kin, ())
    percent = 100 / cuts.body_width
    found = {
        str(piece.link.child): ((piece.x - cuts.x) * percent, piece.width * percent) for piece in cuts.pieces
    }
    assert found.keys() == pieces.keys()
    for child, (begins, length) in pieces.items():
        assert found[child] == (pytest.approx(begins, abs=0.01), pytest.approx(length, abs=0.01))


def test_a_unit_alone_has_no_graph_and_one_of_unknown_size_no_cuts(station):
    station.store.record([an_inspection(unit=a_unit("P-1"))])
    told = life(station.store, a_unit("P-1"))
    kin = family(station.store, a_unit("P-1"), most=60)
    assert family_map(kin, told.unit, relatives=0) is None
    assert cut_map(told.unit, kin, ()) is None


@pytest.mark.parametrize(("language", "word"), [("en", "Made from, made into"), ("zh", "来源与去向")])
def test_the_trace_page_shows_the_family_and_what_happened(plant, client, language, word):
    plant.store.record([an_inspection(unit=SEGMENTS[2], verdict=Verdict.REJECT)])
    page = client.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": language}).text
    assert word in page
    assert 'href="/trace/COIL-B"' in page
    assert 'href="/api/v1/certificates/SEGMENT-3?format=pdf"' in page


def test_a_coil_nobody_inspected_has_a_page_with_its_cuts(plant, client):
    answer = client.get("/trace/COIL-A", headers={**HTML, "Accept-Language": "en"})
    assert answer.status_code == 200
    assert "STRIP-A2" in answer.text
    assert "600 … 1,200 mm across" in answer.text
    assert client.get("/trace/COIL-404", headers=HTML).status_code == 404


@pytest.mark.parametrize(
    ("language", "said"), [("en", "No inspection of it is on record."), ("zh", "没有它的检测记录。")]
)
def test_the_page_of_a_unit_nobody_inspected_says_so_beside_what_its_kin_were_found_to_be(
    plant, client, language, said
):
    headers = HTML | {"Accept-Language": language}
    plant.store.record([an_inspection(unit=STRIP_A1, verdict=Verdict.ACCEPT)])
    assert said in client.get(f"/trace/{COIL_A}", headers=headers).text
    assert said not in client.get(f"/trace/{STRIP_A1}", headers=headers).text


def test_a_held_unit_says_so_on_its_page_until_it_is_released(plant):
    engineer = signed_in(plant.app(), Role.ENGINEER)
    sent = {"code": "SEGMENT-3", "reason": "scratched"}
    assert engineer.post("/containment/hold", data=sent).status_code == 303
    board = engineer.get("/containment", headers={**HTML, "Accept-Language": "en"}).text
    assert (board.count(sent["reason"]), "#release" in board) == (1, True)
    page = engineer.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": "en"}).text
    assert "On hold: do not use, do not ship." in page
    sent = {"code": "SEGMENT-3", "decision": "rework", "reason": "polished", "password": PASSWORD}
    unsigned = engineer.post("/containment/release", data=sent | {"password": "guessed wrongly"})
    assert (unsigned.status_code, "SVC-SIGN-IN-REFUSED" in unsigned.text) == (401, True)
    assert "On hold" in engineer.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": "en"}).text
    assert engineer.post("/containment/release", data=sent).status_code == 303
    page = engineer.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": "en"}).text
    assert "On hold: do not use" not in page
    assert "Rework" in page


def test_the_board_counts_down_to_nothing_open(plant):
    escape = an_inspection(unit=a_unit("P-1"), finished_at=NOON)
    plant.store.record([escape, an_inspection(unit=a_unit("P-2"), finished_at=NOON + timedelta(minutes=1))])
    engineer = signed_in(plant.app(), Role.ENGINEER)
    engineer.post("/containment/open", data={"escape": str(escape.id), "reason": "customer found a crack"})
    page = engineer.get("/containment", headers={**HTML, "Accept-Language": "en"}).text
    assert "<b>2</b> open" in page
    assert "customer found a crack" in page
    assert "Station demo, never proven before: all it accepted until" in page
    (one,) = engineer.get("/api/v1/containments").json()["containments"]
    engineer.post(f"/containment/{one['id']}/hold")
    for unit in ("P-1", "P-2"):
        engineer.post(
            "/containment/release",
            data={"code": unit, "decision": "scrap", "reason": "cracked", "password": PASSWORD},
        )
        if unit == "P-1":
            page = engineer.get("/containment", headers={**HTML, "Accept-Language": "en"}).text
            assert page.index("/trace/P-2") < page.index("/trace/P-1"), "what is open comes first"
    page = engineer.get("/containment", headers={**HTML, "Accept-Language": "zh"}).text
    assert "全部了结" in page
    assert "报废" in page or "已处置" in page


def test_who_put_a_unit_on_hold_and_who_released_it_stands_in_its_history_by_the_names_people_have(plant):
    engineer = signed_in(plant.app(), Role.ENGINEER)
    engineer.app.state.access.accounts.change(
        "engineer", by=engineer.app.state.access.accounts.named("engineer"), at=NOON, title="Wang Min"
    )
    engineer.post("/containment/hold", data={"code": "SEGMENT-3", "reason": "scratched"})
    decided = {"code": "SEGMENT-3", "decision": "rework", "reason": "polished", "password": PASSWORD}
    engineer.post("/containment/release", data=decided)
    page = engineer.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": "en"}).text
    events = page.split("timeline-title")[-1]
    assert events.count("<td>Wang Min</td>") == 2
    told = engineer.get("/api/v1/history/SEGMENT-3").json()["events"]
    assert [one["by"] for one in told if one["what"].startswith("hold")] == ["engineer", "engineer"]
    erase(plant.store, "engineer")
    page = engineer.get("/trace/SEGMENT-3", headers={**HTML, "Accept-Language": "zh"}).text
    assert page.split("timeline-title")[-1].count("<td>姓名已删除的人员</td>") == 2


def test_where_a_unit_was_inspected_is_said_by_the_lanes_title_and_of_another_station_as_its_record_has_it(
    plant,
):
    here = an_inspection(unit=a_unit("P-1"), station="demo", lane="parts", finished_at=NOON)
    there = an_inspection(
        unit=a_unit("P-1"), station="hall-2", lane="parts", finished_at=NOON + timedelta(minutes=5)
    )
    plant.store.record([here, there])
    client = signed_in(plant.app(), Role.ENGINEER)
    for language, title in (("en", "Parts"), ("zh", "零件")):
        page = client.get("/trace/P-1", headers={**HTML, "Accept-Language": language}).text
        events = page.split("timeline-title")[-1]
        assert f"<td>{title}</td>" in events
        assert "demo / parts" not in events
        assert "<td>hall-2 / parts</td>" in events
    assert client.get("/api/v1/history/P-1").json()["events"][0]["place"] == "demo / parts"


def test_who_holds_a_unit_that_is_held_already_is_told_that_nothing_changed(plant):
    engineer = signed_in(plant.app(), Role.ENGINEER)
    english = {**HTML, "Accept-Language": "en"}
    sent = {"code": "SEGMENT-3", "reason": "scratched"}
    first = engineer.post("/containment/hold", data=sent).headers["location"]
    assert "SEGMENT-3 is on hold now." in engineer.get(first, headers=english).text
    second = engineer.post("/containment/hold", data=sent | {"reason": "bent"}).headers["location"]
    page = engineer.get(second, headers=english).text
    assert "SEGMENT-3 was on hold already; nothing changed." in page
    assert "bent" not in page
    assert "此前已扣留" in engineer.get(second, headers={**HTML, "Accept-Language": "zh"}).text


@pytest.mark.parametrize(
    ("language", "sure"), [("en", "All 2 units will be on hold"), ("zh", "将扣留全部 2 件")]
)
def test_all_suspects_are_put_on_hold_at_the_second_press_which_says_what_follows(plant, language, sure):
    spoken = {**HTML, "Accept-Language": language}
    escape = an_inspection(unit=a_unit("P-1"), finished_at=NOON)
    plant.store.record([escape, an_inspection(unit=a_unit("P-2"), finished_at=NOON + timedelta(minutes=1))])
    engineer = signed_in(plant.app(), Role.ENGINEER)
    engineer.post("/containment/open", data={"escape": str(escape.id), "reason": "crack"})
    page = engineer.get("/containment", headers=spoken).text
    asked = page[
        page.index('<details class="sure">') : page.index("/hold", page.index('<details class="sure">'))
    ]
    assert "<summary" in asked
    assert sure in page
    (one,) = engineer.get("/api/v1/containments").json()["containments"]
    done = engineer.post(f"/containment/{one['id']}/hold").headers["location"]
    assert "count=2" in done
    assert 'class="sure"' not in engineer.get(done, headers=spoken).text


def test_a_containment_is_opened_by_the_code_of_the_unit_that_escaped_and_a_wrong_one_is_told(plant):
    plant.store.record([an_inspection(unit=a_unit("P-1"), finished_at=NOON)])
    engineer = signed_in(plant.app(), Role.ENGINEER)
    wrong = engineer.post("/containment/open", data={"escape": "abc", "reason": "crack"}, headers=HTML)
    assert (wrong.status_code, "TRC-UNIT-UNKNOWN" in wrong.text) == (404, True)
    assert 'value="abc"' in wrong.text
    opened = engineer.post("/containment/open", data={"escape": "P-1", "reason": "crack"})
    assert opened.status_code == 303
    assert len(engineer.get("/api/v1/containments").json()["containments"]) == 1


def test_who_may_not_dispose_sees_the_board_and_changes_nothing(plant, client):
    page = client.get("/containment", headers={**HTML, "Accept-Language": "en"}).text
    assert "Sign in as somebody who may dispose" in page
    assert 'action="/containment/hold"' not in page
    sent = {"code": "SEGMENT-3", "reason": "scratched"}
    assert client.post("/containment/hold", data=sent).status_code == 401
    operator = signed_in(plant.app(), Role.OPERATOR)
    assert operator.post("/containment/hold", data=sent).status_code == 403


def test_what_cannot_be_released_is_told_on_the_board(plant):
    engineer = signed_in(plant.app(), Role.ENGINEER)
    sent = {"code": "SEGMENT-3", "decision": "scrap", "reason": "?", "password": PASSWORD}
    answer = engineer.post("/containment/release", data=sent, headers={**HTML, "Accept-Language": "en"})
    assert answer.status_code == 409
    assert "TRC-HOLD-MISSING" in answer.text
