from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from pypdf import PdfReader
from uuid_utils.compat import uuid7

from inspection.types import Box, Verdict
from services.chart_files import FONTS
from station_config import load_catalogue
from tests.builders import a_defect, a_unit, an_inspection
from traceability.steps import ProcessStep, record_steps

HOURS, A_HOUR = 12, 30
BEGUN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 1)


@pytest.fixture
def a_hot_afternoon(station):
    """From the sixth hour on another lot, pressed hotter; one in three is refused then, before one in thirty."""
    units = [a_unit(f"86.999.1/P-{number}") for number in range(HOURS * A_HOUR)]
    is_bad = [number % (3 if number >= 6 * A_HOUR else 30) == 1 for number in range(len(units))]
    station.store.record(
        [
            an_inspection(
                unit=unit,
                lane="parts",
                verdict=Verdict.REJECT if bad else Verdict.ACCEPT,
                defects=(a_defect(),) if bad else (),
                finished_at=BEGUN + timedelta(minutes=2 * number),
            )
            for number, (unit, bad) in enumerate(zip(units, is_bad, strict=True))
        ]
    )
    record_steps(
        station.store,
        [
            ProcessStep(
                id=uuid7(),
                kind="press",
                equipment="press 1",
                started_at=BEGUN + timedelta(hours=hour),
                finished_at=BEGUN + timedelta(hours=hour + 1),
                materials=("LOT-B" if hour >= 6 else "LOT-A",),
                parameters={"oil_c": 55.0 + hour % 2 if hour >= 6 else 40.0 + hour % 2},
                units_out=tuple(units[hour * A_HOUR : (hour + 1) * A_HOUR]),
            )
            for hour in range(HOURS)
        ],
    )


def _causes(client):
    answer = client.get("/api/v1/spc/causes", params={"lane": "parts"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_hour_of_the_change_stands_beside_the_lot_that_came_and_the_one_that_went(
    a_hot_afternoon, client
):
    (change,) = _causes(client)["changes"]
    assert datetime.fromisoformat(change["at"]) == BEGUN + timedelta(hours=6)
    assert change["before"] == pytest.approx(1 / 30)
    told = {(one["level"], one["is_begin"], one["hours"]) for one in change["events"]}
    assert {("LOT-B", True, 0), ("LOT-A", False, 0)} <= told


def test_the_tree_splits_at_the_temperature(a_hot_afternoon, client):
    tree = _causes(client)["tree"]
    cold, hot = tree["branches"]
    assert cold["rule"].startswith("oil_c < ")
    assert 41 < float(cold["rule"].split()[-1]) < 55
    assert hot["bad"] / hot["n"] == pytest.approx(1 / 3)


def test_the_strongest_level_is_no_play_of_chance(a_hot_afternoon, client):
    assert _causes(client)["chance_best"] == pytest.approx(1 / 200)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_causes_and_maps_are_written_as_files(a_hot_afternoon, client, language):
    for page in ("causes", "positions"):
        asked = {"lane": "parts", "lang": language, "format": "csv"}
        file = client.get(f"/api/v1/spc/{page}/file", params=asked)
        assert file.content.startswith(b"\xef\xbb\xbf")
        assert client.get(f"/api/v1/spc/{page}/file", params=asked | {"format": "xlsx"}).status_code == 200
    shown = client.get(f"/spc/causes?lane=parts&lang={language}", headers={"Accept": "text/html"})
    assert "oil_c" in shown.text
    assert "LOT-B" in shown.text


MAPPED = [("scratch", 100.0, 3000.0), ("scratch", 900.0, 200.0), ("pits", 450.0, 1500.0)]


@pytest.fixture
def a_mapped_coil(station):
    station.store.record(
        [
            an_inspection(
                unit=a_unit("86.999.1/C-1"),
                lane="strip",
                defects=tuple(
                    a_defect(kind=kind, box_mm=Box(x - 1, y - 1, x + 1, y + 1)) for kind, x, y in MAPPED
                ),
                finished_at=datetime.now(UTC) - timedelta(hours=1),
            )
        ]
    )


def _without_a_map(station, client, *, defects=None, kind=""):
    """What the page says where it draws nothing, in both languages."""
    if defects is not None:
        made = an_inspection(
            unit=a_unit("86.999.1/C-1"),
            lane="strip",
            defects=defects,
            finished_at=datetime.now(UTC) - timedelta(hours=1),
        )
        station.store.record([made])
    said = []
    for language in ("en", "zh"):
        page = client.get(
            "/spc/maps",
            params={"lane": "strip", "kind": kind},
            headers={"Accept": "text/html", "Accept-Language": language},
        )
        assert page.status_code == 200
        assert "<position-map" not in page.text
        said.append(page.text.split('<div class="empty">')[1])
    return said


def test_a_lane_without_units_has_no_map_and_a_word_about_another_time(station, client):
    english, chinese = _without_a_map(station, client)
    assert "On the lane Strip no unit was inspected since" in english
    assert "Choose a longer time above, or another lane." in english
    assert "通道 带钢 自" in chinese
    assert "没有检测过任何单件" in chinese


def test_a_lane_whose_units_are_all_good_says_how_many_they_are(station, client):
    english, chinese = _without_a_map(station, client, defects=())
    assert re.search(
        r"Units inspected on the lane Strip since [^:]+:\d\d: 1\. No defect was found on them\.", english
    )
    assert "均未发现缺陷" in chinese


def test_defects_without_millimetres_lead_to_the_scale_of_the_recipe(station, client):
    english, chinese = _without_a_map(station, client, defects=(a_defect(kind="scratch", box_mm=None),))
    assert "none has a place in millimetres" in english
    assert "x_mm_per_px" in english
    assert "x_mm_per_px" in chinese


def test_a_kind_of_defect_that_no_unit_has_is_named(station, client):
    defect = a_defect(kind="scratch", box_mm=Box(1, 1, 3, 3))
    english, chinese = _without_a_map(station, client, defects=(defect,), kind="pits")
    pits = load_catalogue()["pits"]
    assert f"a defect of the kind “{pits.name('en')}”" in english
    assert pits.name("zh") in chinese
    asked = {"lane": "strip", "kind": "pits"}
    assert client.get("/api/v1/spc/positions", params=asked).json()["empty"] == "none_of_kind"


def test_defects_that_all_lie_at_nothing_draw_no_map(station, client):
    english, _ = _without_a_map(station, client, defects=(a_defect(kind="scratch", box_mm=Box(0, 0, 0, 9)),))
    assert "none has a place in millimetres" in english


def test_defects_strewn_over_a_part_of_4_mm_are_neither_clustered_nor_all_in_zones_of_one_name(
    station, client
):
    """Rounded to tenths of a millimetre, a thousand of them lie on forty places a side, one upon another."""
    random = np.random.default_rng(3)
    corners = [(float(x), float(y)) for x, y in random.uniform(0, 3.97, (1000, 2))]
    station.store.record(
        [
            an_inspection(
                unit=a_unit("86.999.1/S-1"),
                lane="strip",
                defects=tuple(a_defect(box_mm=Box(x, y, x + 0.03, y + 0.03)) for x, y in corners),
                finished_at=datetime.now(UTC) - timedelta(hours=1),
            )
        ]
    )
    found = client.get("/api/v1/spc/positions", params={"lane": "strip"}).json()
    assert found["clustering_p"] > 0.01
    assert sum(map(sum, found["heat"])) == sum(zone["count"] for zone in found["zones"]) == 1000
    # Its own place, to a micrometre.
    assert max(abs(x - 0.015 - corner) for x, (corner, _) in zip(found["x_mm"], corners, strict=True)) < 6e-4
    bounds = [zone["zone"].removesuffix(" mm").split("–") for zone in found["zones"]]
    assert [len({*pair}) for pair in bounds] == [2] * 5


def _map_file(client, format, language="en"):
    answer = client.get(
        "/api/v1/spc/positions/file", params={"lane": "strip", "format": format, "lang": language}
    )
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_map_for_spreadsheets_has_a_line_for_each_defect(a_mapped_coil, client, language):
    content = _map_file(client, "csv", language)
    _, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert {(row[3], float(row[1]), float(row[0])) for row in rows} == set(MAPPED)
    assert all(UUID(row[4]) for row in rows)


def test_the_workbook_of_a_map_has_zones_grid_and_defects(a_mapped_coil, client):
    with zipfile.ZipFile(io.BytesIO(_map_file(client, "xlsx"))) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 3


@pytest.mark.skipif(
    not any(Path(name).is_file() for name, _ in FONTS), reason="not there: apt-get install -y fonts-noto-cjk"
)
def test_the_map_is_printed_with_each_defect_where_it_lies(a_mapped_coil, client):
    (page,) = PdfReader(io.BytesIO(_map_file(client, "pdf", "zh"))).pages
    (drawn,) = page.images
    image = np.asarray(drawn.image.convert("RGB"))
    across, along = np.nonzero((image < 250).any(axis=2))
    dots = {(round(x / 250), round(y / 500)) for x, y in zip(across, along, strict=True)}
    high, wide = image.shape[:2]
    # From 0 to the farthest defect's edge: 901 mm across downwards, 3001 mm along to the right.
    expected = {(round(x / 901 * high / 250), round(y / 3001 * wide / 500)) for _, x, y in MAPPED}
    assert dots == expected


@pytest.mark.skipif(
    not any(Path(name).is_file() for name, _ in FONTS), reason="not there: apt-get install -y fonts-noto-cjk"
)
def test_the_file_of_an_empty_map_says_why_it_is_empty(station, client):
    (page,) = PdfReader(io.BytesIO(_map_file(client, "pdf"))).pages
    assert "On the lane Strip no unit was inspected since" in " ".join(
        page.extract_text().replace("\0", "").split()
    )
    with zipfile.ZipFile(io.BytesIO(_map_file(client, "xlsx", "zh"))) as book:
        said = "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))
    assert "没有检测过任何单件" in said
