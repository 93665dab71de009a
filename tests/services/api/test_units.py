from __future__ import annotations

from uuid import UUID

from inspection.types import Box, Piece, Verdict
from tests.a_station import a_part, defects_of
from tests.builders import a_defect, a_measurement, a_strip_map, a_unit, an_inspection
from tests.drawn_coil import LINKS, UNITS
from traceability.genealogy.recording import record


def test_a_unit_tells_all_that_was_seen_of_it(station, client):
    part = a_part(3, defective=True)
    first = station.finishes(an_inspection(unit=a_unit("86.999.1/P-1"), lane="parts", frames_inspected=1))
    again = station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/P-1"),
            lane="parts",
            verdict=Verdict.REJECT,
            defects=defects_of(part, lane="parts"),
            pictures=(station.keeps(part, lane="parts"),),
            measurements=(a_measurement(),),
            frames_inspected=1,
            frames_failed=1,
            frames_lost=2,
            failures={"INS-IMAGE-UNFIT": 1},
        )
    )
    answer = client.get("/api/v1/units/86.999.1/P-1", headers={"Accept-Language": "zh"}).json()
    assert answer["unit"] == {"code": "86.999.1/P-1", "scheme": "handle"}
    assert answer["verdict"] == "REJECT"
    assert [UUID(one["id"]) for one in answer["inspections"]] == [first.id, again.id]
    seen = answer["inspections"][1]
    assert seen["frames"] == {
        "triggers": 4,
        "inspected": 1,
        "failed": 1,
        "lost": 2,
        "unaccounted": 0,
    }
    assert seen["failures"] == {"INS-IMAGE-UNFIT": 1}
    assert seen["measurements"] == [{"name": "width", "value": 1250.25, "unit": "mm", "uncertainty": 0.05}]
    assert seen["recipe"]["sha256"] == "3c" * 32
    assert seen["models"][0]["sha256"] == "5e" * 32
    defect, truth = seen["defects"][0], part.truth[0].box_px
    assert defect["box_px"] == [truth.x1, truth.y1, truth.x2, truth.y2]
    assert defect["name"] != defect["kind"]
    assert client.get(seen["pictures"][0]["url"]).content[:3] == b"\xff\xd8\xff"


def test_a_unit_that_is_known_by_its_genealogy_alone_is_known_and_has_no_verdict(station, client):
    record(station.store, units=UNITS, links=LINKS)
    answer = client.get("/api/v1/units/STRIP-A1")
    assert answer.status_code == 200
    assert answer.json() == {
        "unit": {"code": "STRIP-A1", "scheme": "plain"},
        "verdict": None,
        "inspections": [],
    }
    assert client.get("/api/v1/units/STRIP-A404").json()["code"] == "TRC-UNIT-UNKNOWN"


def test_a_defect_whose_scale_is_unknown_has_no_millimetres(station, client):
    done = station.finishes(an_inspection(defects=(a_defect(box_mm=None),)))
    defect = client.get(f"/api/v1/inspections/{done.id}").json()["defects"][0]
    assert (defect["box_mm"], defect["length_mm"], defect["area_mm2"]) == (None, None, None)


def test_a_coil_tells_all_that_its_map_is_drawn_from(station, client):
    piece = Piece(sequence=42, box_px=Box(10, 0, 15, 30))
    defect = a_defect(edge_near_mm=-0.5, edge_far_mm=4.0, pieces=(piece,))
    done = station.finishes(an_inspection(strip=a_strip_map(), defects=(defect,), grade="B"))
    answer = client.get(f"/api/v1/inspections/{done.id}", headers={"Accept-Language": "zh"}).json()
    strip = answer["strip"]
    assert answer["grade"] == "B"
    assert (strip["length_mm"], strip["x_from_mm"], strip["x_to_mm"]) == (60_000, 0, 400)
    assert strip["head"] == {"from_mm": 0, "to_mm": 500}
    assert strip["unseen"] == [{"from_mm": 20_000, "to_mm": 20_200}]
    assert strip["edges"][1] == {"y_mm": 20_100, "left_mm": 12, "right_mm": 390}
    repeat = strip["repeats"][0]
    assert (repeat["kind"], repeat["name"], repeat["period_mm"]) == ("pits", "麻点", 1885)
    told = answer["defects"][0]
    assert (told["edge_near_mm"], told["edge_far_mm"]) == (-0.5, 4.0)
    assert told["pieces"] == [{"sequence": 42, "box_px": [10, 0, 15, 30]}]


def test_a_part_has_no_strip(station, client):
    done = station.finishes(an_inspection())
    assert client.get(f"/api/v1/inspections/{done.id}").json()["strip"] is None


def test_a_kind_that_left_the_catalogue_is_called_by_its_code(station, client):
    done = station.finishes(an_inspection(defects=(a_defect(kind="retired-kind"),)))
    defect = client.get(f"/api/v1/inspections/{done.id}").json()["defects"][0]
    assert defect["name"] == "retired-kind"


def test_codes_are_found_by_a_part_of_them(station, client):
    for code in ("86.999.1/COIL-1", "86.999.1/COIL-2", "86.999.1/PART-1"):
        station.finishes(an_inspection(unit=a_unit(code)))
    found = client.get("/api/v1/units", params={"find": "coil"}).json()["codes"]
    assert [one["code"] for one in found] == ["86.999.1/COIL-1", "86.999.1/COIL-2"]
    assert client.get("/api/v1/units", params={"find": "coil", "limit": 1}).json()["codes"] == found[:1]


def test_a_code_that_cannot_be_one_is_refused_with_the_place_of_the_mistake(client):
    answer = client.get("/api/v1/units/86.100.12/")
    assert (answer.status_code, answer.json()["code"]) == (400, "TRC-CODE-NOT-PARSED")
    assert "character 11" in answer.json()["title"]
