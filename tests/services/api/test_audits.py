"""Passed parts are drawn at random and looked at by somebody who does not know what the system said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inspection.types import Verdict
from services.text import say
from tests.a_station import STATION
from tests.builders import a_picture, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role

PASSED, REJECTED, WITHHELD = 40, 12, 5
VERDICTS = [Verdict.ACCEPT] * PASSED + [Verdict.REJECT] * REJECTED + [Verdict.NOT_INSPECTED] * WITHHELD


@pytest.fixture
def parts(station):
    begin = datetime.now(UTC) - timedelta(hours=3)
    made = {
        one.id: one
        for one in (
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                station=STATION,
                lane="parts",
                verdict=verdict,
                finished_at=begin + timedelta(minutes=number),
                simulated=number % 10 == 9,
            )
            for number, verdict in enumerate(VERDICTS)
        )
    }
    station.store.record(list(made.values()))
    return {str(id): one for id, one in made.items()}


@pytest.fixture
def engineer(station):
    return signed_in(station.app(), Role.ENGINEER)


def _record(station, verdicts, *, pictured, begin):
    """Parts of these verdicts, those of the verdicts `pictured` with a picture."""
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                station=STATION,
                lane="parts",
                verdict=verdict,
                pictures=(a_picture(),) if verdict in pictured else (),
                finished_at=begin + timedelta(minutes=number),
            )
            for number, verdict in enumerate(verdicts)
        ]
    )


def _drawn(client, size=20):
    answer = client.post("/api/v1/spc/audits", json={"lane": "parts", "size": size, "why": "weekly"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _look(client, drawn, part, *, is_bad):
    said = {"inspection": part["inspection"], "is_bad": is_bad}
    return client.post(f"/api/v1/spc/audits/{drawn['id']}/looks", json=said)


def test_so_many_passed_parts_are_drawn_with_rejected_ones_among_them_and_no_verdict_told(parts, engineer):
    drawn = _drawn(engineer)
    said = [parts[one["inspection"]] for one in drawn["parts"]]
    assert sum(one.verdict is Verdict.ACCEPT for one in said) == 20
    assert sum(one.verdict is Verdict.REJECT for one in said) == 4
    assert not any(one.simulated for one in said)
    assert {one["verdict"] for one in drawn["parts"]} == {None}
    assert drawn["escapes"] is None
    assert drawn["left"] == 24


def test_two_draws_are_not_the_same_parts_in_the_same_order(parts, engineer):
    """Of 36 passed parts 20, in any order: the same twice once in 10^27."""
    first, second = (_drawn(engineer) for _ in range(2))
    assert [one["inspection"] for one in first["parts"]] != [one["inspection"] for one in second["parts"]]


def test_when_the_last_part_was_looked_at_the_escapes_are_kept_as_a_study(parts, engineer):
    drawn = _drawn(engineer)
    passed = [one for one in drawn["parts"] if parts[one["inspection"]].verdict is Verdict.ACCEPT]
    bad = {one["inspection"] for one in passed[:2]}
    first, *others = drawn["parts"]
    # A slip, set right while there is still something to look at.
    assert _look(engineer, drawn, first, is_bad=first["inspection"] not in bad).json()["left"] == 23
    for part in (first, *others):
        assert engineer.get("/api/v1/spc/studies").json() == []
        done = _look(engineer, drawn, part, is_bad=part["inspection"] in bad).json()
    last = others[-1]
    assert (done["left"], done["audited"], done["escaped"]) == (0, 20, 2)
    assert done["escapes"]["per_million"] == pytest.approx(1e5)
    assert {one["verdict"] for one in done["parts"]} == {"ACCEPT", "REJECT"}
    (study,) = engineer.get("/api/v1/spc/studies").json()
    figures = {one["key"]: one["value"] for one in study["figures"]}
    assert (study["kind"], study["characteristic"]) == ("audit", "parts")
    assert (figures["audited"], figures["escapes"]) == (20, 2)
    assert _look(engineer, drawn, last, is_bad=True).json()["code"] == "SPC-PARAMETER"
    assert len(engineer.get("/api/v1/spc/studies").json()) == 1


def test_where_only_rejected_parts_have_pictures_none_is_shown_until_all_were_looked_at(station, engineer):
    """A station that keeps pictures of rejects alone would say by each picture what it had said of the part."""
    begin = datetime.now(UTC) - timedelta(hours=3)
    verdicts = [Verdict.ACCEPT] * 6 + [Verdict.REJECT] * 3
    _record(station, verdicts, pictured=[Verdict.REJECT], begin=begin)
    drawn = _drawn(engineer, size=6)
    assert {one["picture"] for one in drawn["parts"]} == {None}
    page = engineer.get(f"/spc/audits?open={drawn['id']}", headers={"Accept": "text/html"}).text
    assert "/api/v1/pictures/" not in page
    for part in drawn["parts"]:
        done = _look(engineer, drawn, part, is_bad=False).json()
    assert {(one["verdict"], one["picture"] is not None) for one in done["parts"]} == {
        ("ACCEPT", False),
        ("REJECT", True),
    }


def test_where_every_part_has_its_picture_all_are_shown_from_the_start(station, engineer):
    begin = datetime.now(UTC) - timedelta(hours=3)
    verdicts = [Verdict.ACCEPT] * 6 + [Verdict.REJECT] * 3
    _record(station, verdicts, pictured=[Verdict.ACCEPT, Verdict.REJECT], begin=begin)
    drawn = _drawn(engineer, size=6)
    assert None not in {one["picture"] for one in drawn["parts"]}
    page = engineer.get(f"/spc/audits?open={drawn['id']}", headers={"Accept": "text/html"}).text
    assert page.count("/api/v1/pictures/") == len(drawn["parts"])


def test_more_than_were_passed_cannot_be_drawn_nor_a_part_be_judged_that_was_not(parts, engineer):
    asked = {"lane": "parts", "size": PASSED, "why": "weekly"}
    answer = engineer.post("/api/v1/spc/audits", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-TOO-FEW-VALUES")
    drawn = _drawn(engineer, size=5)
    chosen = {one["inspection"] for one in drawn["parts"]}
    other = next(id for id in parts if id not in chosen)
    assert _look(engineer, drawn, {"inspection": other}, is_bad=True).json()["code"] == "SPC-PARAMETER"
    nowhere = {"id": "0192f000-0000-7000-8000-000000000000"}
    assert _look(engineer, nowhere, drawn["parts"][0], is_bad=True).status_code == 404


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_draws_shows_parts_without_a_verdict_and_takes_what_is_found(
    client, parts, engineer, language
):
    headers = {"Accept": "text/html", "Accept-Language": language}
    form = {"lane": "parts", "size": 3, "why": "weekly"}
    made = engineer.post("/spc/audits", data=form, headers=headers)
    assert made.status_code == 303
    shown = engineer.get(made.headers["location"], headers=headers)
    (drawn,) = engineer.get("/api/v1/spc/audits").json()
    assert 'class="badge' not in shown.text
    for part in drawn["parts"]:
        assert part["unit"]["code"] in shown.text
        said = {"part": part["inspection"], "is_bad": "false"}
        made = engineer.post(f"/spc/audits/{drawn['id']}/looks", data=said, headers=headers)
        assert made.status_code == 303
    shown = engineer.get(made.headers["location"], headers=headers)
    assert say("web.audits.escaped", language) in shown.text
    assert 'class="badge' in shown.text
    stranger = client.get("/spc/audits", headers=headers).text
    assert drawn["parts"][0]["unit"]["code"] not in stranger
