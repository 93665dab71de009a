"""Cases over HTTP and on their pages: who may, and the signature that ends one."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from services.web.case_pages import midnight_of
from tests.a_bucket import UNREACHABLE, FakeBucket
from tests.a_station import a_part, jpeg_of
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import PASSWORD, signed_in
from traceability.accounts import Role
from traceability.images import ImageStore
from traceability.retention import Rules
from traceability.shelf import Folder
from traceability.spool import Spooled

HTML = {"Accept": "text/html"}
NEW = {"source": "signal", "key": "p:parts", "title": "Parts refused"}
CASES = "/api/v1/cases"


@pytest.fixture
def engineer(station):
    return signed_in(station.app(), Role.ENGINEER)


def _answered(client, id) -> None:
    for given in (
        {"act": "assigned", "text": "-", "owner": "engineer"},
        {"act": "cause", "text": "wear"},
        {"act": "action", "text": "changed", "due": "2026-12-01"},
        {"act": "check", "text": "none of 200", "effective": True},
    ):
        assert client.post(f"{CASES}/{id}/acts", json=given).status_code == 201


def test_a_case_is_closed_by_who_signs_it_and_not_before_its_questions_are_answered(engineer):
    id = engineer.post(CASES, json=NEW).json()["id"]
    closing = {"password": PASSWORD, "text": "learnt"}
    early = engineer.post(f"{CASES}/{id}/close", json=closing)
    assert (early.status_code, early.json()["code"]) == (409, "TRC-CASE-NOT-READY")
    _answered(engineer, id)
    wrong = engineer.post(f"{CASES}/{id}/close", json=closing | {"password": "not the password"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "SVC-SIGN-IN-REFUSED")
    closed = engineer.post(f"{CASES}/{id}/close", json=closing).json()
    assert (closed["is_open"], closed["missing"], closed["acts"][-1]["by"]) == (False, [], "engineer")
    again = engineer.post(CASES, json=NEW).json()
    assert (again["id"], again["is_open"], again["acts"][-1]["act"]) == (id, True, "reopened")


@pytest.mark.parametrize(("language", "told"), [("en", "before it came back"), ("zh", "复发之前")])
def test_the_report_of_a_case_that_came_back_shows_old_answers_as_such_and_no_end(engineer, language, told):
    id = engineer.post(CASES, json=NEW).json()["id"]
    _answered(engineer, id)
    assert told not in engineer.get(f"/cases/{id}?lang={language}", headers=HTML).text
    engineer.post(f"{CASES}/{id}/close", json={"password": PASSWORD, "text": "tool life is counted"})
    report = engineer.get(f"/cases/{id}", headers=HTML).text.partition("<details")[0]
    assert "tool life is counted" in report
    engineer.post(CASES, json=NEW)
    report = engineer.get(f"/cases/{id}?lang={language}", headers=HTML).text.partition("<details")[0]
    assert "tool life is counted" not in report
    assert report.count(told) == 3  # cause, action, check: the owner stays


def test_a_key_of_a_program_signs_nothing(engineer):
    id = engineer.post(CASES, json=NEW).json()["id"]
    _answered(engineer, id)
    key = engineer.post("/api/v1/tokens", json={"name": "x", "rights": ["dispose"], "days": 1}).json()["key"]
    program = TestClient(engineer.app, headers={"Authorization": f"Bearer {key}"})
    answer = program.post(f"{CASES}/{id}/close", json={"password": PASSWORD, "text": "learnt"})
    assert (answer.status_code, answer.json()["code"]) == (401, "SVC-SIGN-IN-NEEDED")


@pytest.mark.parametrize("role", [None, *Role])
def test_cases_are_worked_on_by_who_may_dispose_and_seen_by_all(station, role):
    id = signed_in(station.app(), Role.ENGINEER).post(CASES, json=NEW).json()["id"]
    client = TestClient(station.app()) if role is None else signed_in(station.app(), role)
    refused = 401 if role is None else 403
    may = role is Role.ENGINEER
    assert client.post(CASES, json=NEW).status_code == (201 if may else refused)
    act = {"act": "note", "text": "seen"}
    assert client.post(f"{CASES}/{id}/acts", json=act).status_code == (201 if may else refused)
    closing = {"password": PASSWORD, "text": "learnt"}
    assert client.post(f"{CASES}/{id}/close", json=closing).status_code == (409 if may else refused)
    assert client.get(f"{CASES}/{id}").status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"act": "closed", "text": "by the back door"},
        {"act": "note", "text": ""},
        {"act": "note"},
        {"act": "action", "text": "x", "due": "soon"},
        {"act": "note", "text": "x", "by": "somebody else"},
        {"act": "cause", "text": "  \n "},
    ],
)
def test_what_is_no_act_is_not_written(engineer, given):
    id = engineer.post(CASES, json=NEW).json()["id"]
    assert engineer.post(f"{CASES}/{id}/acts", json=given).status_code == 422
    assert len(engineer.get(f"{CASES}/{id}").json()["acts"]) == 1


@pytest.mark.parametrize("due", ["2026-02-30", "2026-13-01", "0000-01-01", "２０２６-01-01", "soon"])
def test_a_day_that_no_calendar_has_is_refused_on_the_page_of_a_case_too(engineer, due):
    id = engineer.post(CASES, json=NEW).json()["id"]
    given = {"act": "action", "text": "changed", "due": due}
    assert engineer.post(f"/cases/{id}/acts", data=given, headers=HTML).status_code == 422
    assert engineer.post(f"/cases/{id}/acts", data=given | {"due": ""}, headers=HTML).status_code == 303


@pytest.mark.parametrize("missing", ["key", "title"])
def test_blanks_name_no_case_and_those_around_a_name_are_none_of_it(engineer, missing):
    for send in ({"json": NEW | {missing: " \t"}}, {"data": NEW | {missing: " \t"}}):
        address = CASES if "json" in send else "/cases"
        assert engineer.post(address, **send).status_code == 422
    id = engineer.post(CASES, json=NEW).json()["id"]
    again = engineer.post(CASES, json=NEW | {"key": f" {NEW['key']} "}).json()
    assert (again["id"], again["acts"][-1]["act"]) == (id, "seen_again")


def test_a_case_is_not_ended_with_blanks(engineer):
    id = engineer.post(CASES, json=NEW).json()["id"]
    _answered(engineer, id)
    closing = {"password": PASSWORD, "text": "   "}
    assert engineer.post(f"{CASES}/{id}/close", json=closing).status_code == 422
    assert engineer.post(f"/cases/{id}/close", data=closing, headers=HTML).status_code == 422
    assert engineer.get(f"{CASES}/{id}").json()["is_open"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_case_runs_through_its_pages(engineer, language):
    headers = HTML | {"Accept-Language": language}
    form = engineer.get("/cases?source=signal&key=p:parts&title=T%3Cb%3E", headers=headers)
    assert "T&lt;b&gt;" in form.text
    page = engineer.post("/cases", data=NEW).headers["location"]
    for given in (
        {"act": "assigned", "text": "-", "owner": "engineer"},
        {"act": "cause", "text": "wear <script>"},
        {"act": "action", "text": "changed", "due": "2026-12-01"},
        {"act": "check", "text": "none of 200", "effective": "true"},
    ):
        assert engineer.post(f"{page}/acts", data=given).headers["location"] == page
    shown = engineer.get(page, headers=headers).text
    assert "wear &lt;script&gt;" in shown
    refused = engineer.post(f"{page}/close", data={"text": "x", "password": "wrong"}, headers=headers)
    assert (refused.status_code, "SVC-SIGN-IN-REFUSED" in refused.text) == (401, True)
    assert engineer.post(f"{page}/close", data={"text": "x", "password": PASSWORD}).status_code == 303
    assert "/acts" not in engineer.get(page, headers=headers).text
    assert "Parts refused" in engineer.get("/cases?search=wear", headers=headers).text


def test_an_owner_may_stand_alone_and_nothing_else_is_an_answer_without_words(engineer):
    page = engineer.post("/cases", data=NEW).headers["location"]
    assert engineer.post(f"{page}/acts", data={"act": "assigned", "owner": "engineer"}).status_code == 303
    refused = engineer.post(f"{page}/acts", data={"act": "cause", "text": " "})
    assert (refused.status_code, refused.json()["title"]) == (
        422,
        "The request is not valid: text: is missing",
    )


def test_what_was_written_stays_in_the_form_when_a_case_may_not_be_closed_yet(engineer):
    page = engineer.post("/cases", data=NEW).headers["location"]
    refused = engineer.post(
        f"{page}/close", data={"text": "Look at rolls.", "password": PASSWORD}, headers=HTML
    )
    assert (refused.status_code, "TRC-CASE-NOT-READY" in refused.text) == (409, True)
    assert ">Look at rolls.</textarea>" in refused.text


def test_a_case_about_a_chart_leads_back_to_it_and_says_who_signed_its_end(engineer):
    page = engineer.post("/cases", data=NEW).headers["location"]
    assert 'href="/spc?lane=parts"' in engineer.get(page, headers=HTML).text
    other = engineer.post("/cases", data=NEW | {"source": "complaint"}).headers["location"]
    assert "/spc?lane" not in engineer.get(other, headers=HTML).text
    for given in (
        {"act": "assigned", "owner": "engineer"},
        {"act": "cause", "text": "wear"},
        {"act": "action", "text": "changed"},
        {"act": "check", "text": "none of 200", "effective": "true"},
    ):
        engineer.post(f"{page}/acts", data=given)
    engineer.post(f"{page}/close", data={"text": "x", "password": PASSWORD})
    assert engineer.post("/cases", data=NEW | {"title": "Again at noon"}).headers["location"] == page
    assert (
        engineer.get(page, headers=HTML).text.count("Again at noon") == 2
    )  # under D2, and among all that was done
    engineer.post(f"{page}/acts", data={"act": "cause", "text": "wear"})
    engineer.post(f"{page}/acts", data={"act": "action", "text": "changed"})
    engineer.post(f"{page}/acts", data={"act": "check", "text": "none", "effective": "true"})
    engineer.post(f"{page}/close", data={"text": "x", "password": PASSWORD})
    assert "signed by engineer" in engineer.get(page, headers=HTML | {"Accept-Language": "en"}).text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_engineers_day_begins_with_how_it_goes_and_what_is_open(station, engineer, language):
    station.runs()
    engineer.post("/cases", data=NEW)
    page = engineer.get("/today", headers=HTML | {"Accept-Language": language})
    assert page.status_code == 200
    assert "Parts refused" in page.text


@pytest.fixture
def in_berlin(monkeypatch):
    """Where clocks go forward at 02:00 on 28 March 2027, and back at 03:00 on 31 October."""
    with monkeypatch.context() as here:
        here.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("day", "hours_before_utc"),
    [
        (date(2027, 3, 27), 1),
        (date(2027, 3, 28), 1),
        (date(2027, 3, 29), 2),
        (date(2027, 10, 31), 2),
        (date(2027, 11, 1), 1),
    ],
)
def test_a_day_begins_at_its_midnight_also_when_clocks_change(in_berlin, day, hours_before_utc):
    midnight = datetime.combine(day, datetime.min.time(), UTC)
    assert midnight_of(day) == midnight - timedelta(hours=hours_before_utc)


@pytest.mark.parametrize(("language", "missed"), [("en", "missed"), ("zh", "未达")])
def test_the_engineer_sees_today_against_the_targets_that_are_set(station, engineer, language, missed):
    now = datetime.now(UTC)
    for number, verdict in enumerate((Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT)):
        unit = a_unit(f"86.999.1/T-{number}")
        station.finishes(an_inspection(unit=unit, verdict=verdict, started_at=now, finished_at=now))
    headers = HTML | {"Accept-Language": language}
    assert missed not in engineer.get("/today", headers=headers).text
    said = {"figure": "first_pass", "target": 0.9, "reason": "agreed for this year"}
    assert engineer.post("/api/v1/spc/merit/targets", json=said).status_code == 201
    page = engineer.get("/today", headers=headers).text
    assert "66.67%" in page
    assert "90.00%" in page
    assert missed in page


@pytest.mark.parametrize(("language", "said"), [("en", "does not become full"), ("zh", "不会存满")])
def test_the_engineer_sees_for_how_long_there_is_room_for_pictures(station, engineer, language, said):
    picture = station.keeps(a_part(1, defective=False), lane="parts")
    station.finishes(an_inspection(pictures=(picture,)))
    page = engineer.get("/today", headers=HTML | {"Accept-Language": language})
    assert said in page.text
    assert "/ 1,000" in page.text or "of 1,000" in page.text


def test_a_disk_that_is_full_soon_is_told_as_an_alarm_is(station, engineer):
    size = len(jpeg_of(a_part(1, defective=True)))
    picture = station.keeps(a_part(1, defective=True), lane="parts")
    now = datetime.now(UTC)
    station.finishes(an_inspection(verdict=Verdict.REJECT, pictures=(picture,), finished_at=now))
    serving = engineer.app.state.serving
    engineer.app.state.serving = replace(serving, retention=Rules(max_bytes=4 * size))
    page = engineer.get("/today", headers=HTML).text
    assert '<p class="banner banner-failure" role="status">' in page
    assert "Full in 3 days" in page


@pytest.mark.parametrize(
    ("language", "away", "sending"),
    [
        ("en", "wait here and are sent on once it takes them: 1 so far", "that waited here are being sent"),
        ("zh", "恢复接收后自动补传：目前 1 张", "正在补传到存储桶"),
    ],
)
def test_a_bucket_that_is_away_is_told_where_the_day_begins_and_the_page_still_opens(
    station, engineer, tmp_path, language, away, sending
):
    bucket = FakeBucket(tmp_path / "bucket")
    serving = engineer.app.state.serving
    engineer.app.state.serving = replace(
        serving, images=ImageStore(Spooled(bucket, Folder(tmp_path / "spool")))
    )
    bucket.refuses = UNREACHABLE
    engineer.app.state.serving.images.put(b"a picture")
    shown = engineer.get("/today", headers=HTML | {"Accept-Language": language})
    assert shown.status_code == 200
    assert '<p class="banner banner-failure" role="status">' in shown.text
    assert "s3://pictures/" in shown.text
    assert away in shown.text
    assert "AWS_ENDPOINT_URL_S3" in shown.text
    # Back, and not everything is sent yet: nothing to see to any more.
    bucket.refuses = None
    engineer.app.state.serving = replace(
        serving, images=ImageStore(Spooled(bucket, Folder(tmp_path / "spool")))
    )
    shown = engineer.get("/today", headers=HTML | {"Accept-Language": language})
    assert sending in shown.text
    assert "banner-failure" not in shown.text
