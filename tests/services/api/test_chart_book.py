from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspection.types import ModelRef, Verdict
from services.chart_files import FONTS
from tests.a_station import hours_of_parts
from tests.builders import MODEL, a_defect, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REFUSED = [0, 3, 1, 2] * 5 + [12] + [1, 2, 1]
WINDOW = {"since": "2026-11-19T12:00:00Z", "until": "2026-11-20T12:00:00Z", "lane": "parts"}


@pytest.fixture
def a_day(station):
    """A day of parts, few refused but for one hour in which more than half were."""
    hours_of_parts(station, REFUSED, until=NOON, simulated=False)


@pytest.fixture
def engineer(a_day, station):
    return signed_in(station.app(), Role.ENGINEER)


def _chart(client, **more):
    return client.get("/api/v1/spc/p", params=WINDOW | more).json()


def _enter(client, kind, **said):
    return client.post(
        "/api/v1/spc/p/entries", params=WINDOW, json={"kind": kind, "reason": "new cooling water"} | said
    )


def test_a_point_left_out_stays_on_the_chart_with_person_and_reason_and_moves_the_limits(engineer):
    before = _chart(engineer)
    key = before["points"][20]["key"]
    assert _enter(engineer, "excluded", point=key).status_code == 201
    after = _chart(engineer)
    assert after["points"][20]["value"] == before["points"][20]["value"]
    assert after["points"][20]["excluded"]["reason"] == "new cooling water"
    assert after["points"][20]["excluded"]["person"] == "engineer"
    assert after["baseline"]["centre"] == pytest.approx((sum(REFUSED) - 12) / (23 * 20))
    assert [signal["index"] for signal in before["signals"]] == [20]
    assert after["signals"] == []


def test_a_point_taken_in_again_counts_as_before(engineer):
    before = _chart(engineer)
    key = before["points"][20]["key"]
    _enter(engineer, "excluded", point=key)
    _enter(engineer, "included", point=key)
    assert _chart(engineer)["baseline"] == before["baseline"]


def test_only_who_disposes_of_quality_changes_limits_and_an_operator_may_comment(a_day, station, client):
    assert _enter(client, "comment").status_code == 401
    operator = signed_in(station.app(), Role.OPERATOR)
    assert _enter(operator, "frozen").status_code == 403
    assert _enter(operator, "comment").status_code == 201
    (comment,) = _chart(client)["comments"]
    assert (comment["text"], comment["person"]) == ("new cooling water", "operator")


def test_what_was_decided_stands_in_the_audit(engineer, station):
    _enter(engineer, "frozen")
    auditor = signed_in(station.app(), Role.AUDITOR)
    entries = auditor.get("/api/v1/audit").json()
    (frozen,) = [one for one in entries if one["action"] == "chart.frozen"]
    assert (frozen["person"], frozen["reason"]) == ("engineer", "new cooling water")


@pytest.mark.parametrize("said", [{"reason": ""}, {"reason": "  "}, {"point": None, "kind": "excluded"}])
def test_nothing_is_decided_without_a_reason_or_about_no_point(engineer, said):
    assert _enter(engineer, said.pop("kind", "comment"), **said).status_code == 422


def test_a_point_that_is_none_is_refused(engineer):
    answer = _enter(engineer, "excluded", point="yesterday")
    assert (answer.status_code, answer.json()["code"]) == (404, "SPC-SUBGROUP-UNKNOWN")


def test_frozen_limits_judge_what_comes_later_and_count_up(engineer, station):
    _enter(engineer, "excluded", point=_chart(engineer)["points"][20]["key"])
    frozen = _chart(engineer)["baseline"]["centre"]
    _enter(engineer, "frozen")
    hours_of_parts(station, [9] * 3, until=NOON + timedelta(hours=3), simulated=False)
    later = _chart(engineer, until="2026-11-20T15:00:00Z")
    assert later["frozen"]["version"] == 1
    assert [point["centre"] for point in later["points"]] == pytest.approx([frozen] * 27)
    assert {24, 25, 26} <= {signal["index"] for signal in later["signals"]}
    _enter(engineer, "released")
    assert _chart(engineer)["frozen"] is None
    _enter(engineer, "frozen")
    assert _chart(engineer)["frozen"]["version"] == 2


def _hour_of_parts(station, hour, refused, *, model: ModelRef, kind: str = "chip"):
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/Q-{hour}-{number}"),
                lane="parts",
                models=(model,),
                verdict=Verdict.REJECT if number < refused else Verdict.ACCEPT,
                defects=(a_defect(kind=kind),) if number < refused else (),
                finished_at=NOON - timedelta(hours=20 - hour) + timedelta(minutes=1 + number % 50),
            )
            for number in range(100)
        ]
    )


def test_a_change_of_model_begins_a_stage_and_is_no_signal(station, client):
    newer = ModelRef(name=MODEL.name, version="9.9", sha256=MODEL.sha256)
    for hour in range(20):
        is_newer = hour >= 10
        refused = (16 if is_newer else 4) + hour % 2
        _hour_of_parts(station, hour, refused, model=newer if is_newer else MODEL)
    staged = _chart(client)
    assert [len(staged["stages"]), staged["signals"]] == [2, []]
    assert staged["points"][0]["centre"] < staged["points"][-1]["centre"]
    unstaged = _chart(client, stages="none")
    assert unstaged["signals"]
    one = _chart(client, stage=staged["stages"][1])
    assert [point["count"] for point in one["points"]] == [16, 17] * 5


def test_units_with_one_kind_of_defect_are_charted_alone(station, client):
    for hour in range(4):
        _hour_of_parts(station, hour, 5 + hour, model=MODEL, kind="chip" if hour != 2 else "crack")
    assert [point["count"] for point in _chart(client, kind="chip")["points"]] == [5, 6, 0, 8]
    assert _chart(client, kind="chip", stage="x")["code"] == "SPC-TOO-FEW"


def test_the_file_for_spreadsheets_is_told_to_be_utf8_and_has_the_numbers_of_the_chart(engineer):
    _enter(engineer, "excluded", point=_chart(engineer)["points"][20]["key"], reason="=cmd()")
    answer = engineer.get("/api/v1/spc/p/file", params=WINDOW | {"format": "csv", "lang": "zh"})
    assert answer.content.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert "中心线" in head or "CL" in head
    assert [float(row[2]) for row in rows] == pytest.approx([refused / 20 for refused in REFUSED])
    assert rows[20][12] == "engineer: =cmd()"


def test_a_workbook_holds_no_formulas(engineer):
    answer = engineer.get("/api/v1/spc/p/file", params=WINDOW | {"format": "xlsx"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
        assert "xl/charts/chart1.xml" in book.namelist()


@pytest.mark.skipif(
    not any(Path(name).is_file() for name, _ in FONTS), reason="not there: apt-get install -y fonts-noto-cjk"
)
def test_a_chart_is_printed_in_chinese_with_its_font_in_it(engineer):
    from pypdf import PdfReader

    answer = engineer.get("/api/v1/spc/p/file", params=WINDOW | {"format": "pdf", "lang": "zh"})
    page = PdfReader(io.BytesIO(answer.content)).pages[0]
    # The reader gives both bytes of a character.
    assert "不合格品率" in page.extract_text().replace("\0", "")
    assert page.mediabox.width > page.mediabox.height


def test_of_a_chart_with_too_few_points_left_the_page_lets_them_be_taken_in_again(station):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours_of_parts(station, [1, 9, 8], until=now, simulated=False)
    client = signed_in(station.app(), Role.ENGINEER)
    asked = {"since": (now - timedelta(hours=5)).isoformat(), "lane": "parts", "station": "demo"}
    points = client.get("/api/v1/spc/p", params=asked).json()["points"][1:]
    for point in points:
        said = {"kind": "excluded", "reason": "trial run", "point": point["key"]}
        assert client.post("/api/v1/spc/p/entries", params=asked, json=said).status_code == 201
    page = client.get("/spc?lane=parts&station=demo", headers={"Accept": "text/html"}).text
    for point in points:
        assert f'name="point" value="{point["key"]}"' in page
