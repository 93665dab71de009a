"""A study that somebody orders once is made by the service, and shown as the system's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from services.station.service import keep_studying
from services.text import say
from tests.a_station import STATION
from tests.builders import a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role

GOLD = "86.999.1/GOLD-1"
SAID = {
    "kind": "bias",
    "characteristic": "diameter",
    "parts": [GOLD],
    "lane": "parts",
    "reference": 10.0,
    "runs": 6,
    "why": "shown at the begin of each shift",
}


@pytest.fixture
def engineer(station):
    return signed_in(station.app(), Role.ENGINEER)


def _shown(station, values, *, minutes_ago: int):
    begin = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(GOLD),
                station=STATION,
                lane="parts",
                measurements=(a_measurement(name="diameter", value=value),),
                finished_at=begin + timedelta(seconds=number),
            )
            for number, value in enumerate(values)
        ]
    )


def _service_looks(station, *, times: int = 1):
    """The service's own thread, until it has looked so often."""

    class Looks(Event):
        seen = 0

        def wait(self, timeout=None):
            self.seen += 1
            if self.seen >= times:
                self.set()
            return super().wait(0)

    looking = Thread(target=keep_studying, args=(station.store, STATION, Looks()))
    looking.start()
    looking.join(30)
    assert not looking.is_alive()


def _order(client, **given):
    answer = client.post("/api/v1/spc/studies/standing", json=SAID | given)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _standing(client):
    return client.get("/api/v1/spc/studies/standing").json()


VALUES = [10.0, 10.1, 9.9, 10.2, 10.0, 9.8]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_service_makes_what_was_ordered_once_enough_runs_are_on_record(station, engineer, language):
    _order(engineer)
    _shown(station, VALUES[:4], minutes_ago=20)
    _service_looks(station)
    assert engineer.get("/api/v1/spc/studies").json() == []
    (one,) = _standing(engineer)
    assert (one["values"], one["runs"], one["refused"]) == (4, 6, None)
    _shown(station, VALUES[4:], minutes_ago=10)
    _service_looks(station, times=3)
    (study,) = engineer.get("/api/v1/spc/studies").json()
    assert (study["kind"], study["characteristic"], study["person"]) == ("bias", "diameter", None)
    figures = {one["key"]: one["value"] for one in study["figures"]}
    assert figures["bias"] == pytest.approx(0)
    assert _standing(engineer)[0]["values"] == 0
    page = engineer.get("/spc/studies", headers={"Accept": "text/html", "Accept-Language": language}).text
    assert f'<td class="when">{say("web.people.system", language)}' in page
    auditor = signed_in(station.app(), Role.AUDITOR)
    audit = auditor.get("/audit", headers={"Accept": "text/html", "Accept-Language": language}).text
    assert say("web.people.system", language) in audit


def test_a_study_that_is_due_and_cannot_be_made_says_why_and_what_to_do(station, engineer):
    _order(engineer, runs=4)
    _shown(station, [10.0] * 4, minutes_ago=20)
    _service_looks(station, times=2)
    assert engineer.get("/api/v1/spc/studies").json() == []
    (one,) = _standing(engineer)
    assert one["refused"]
    page = engineer.get("/spc/studies", headers={"Accept": "text/html"}).text
    assert one["refused"].split(".")[0] in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_orders_shows_and_ends_it(station, engineer, language):
    headers = {"Accept": "text/html", "Accept-Language": language}
    form = SAID | {"parts": GOLD, "tolerance": ""}
    assert engineer.post("/spc/studies/standing", data=form, headers=headers).status_code == 303
    (one,) = _standing(engineer)
    shown = engineer.get("/spc/studies", headers=headers).text
    assert say("web.standing.so_far", language, values=0, runs=6) in shown
    assert "shown at the begin of each shift" in shown
    nobody = engineer.post(f"/spc/studies/standing/{one['id']}/end", data={"why": " "}, headers=headers)
    assert nobody.status_code == 422
    ended = engineer.post(f"/spc/studies/standing/{one['id']}/end", data={"why": "lost"}, headers=headers)
    assert ended.status_code == 303
    assert _standing(engineer) == []
    again = engineer.post(f"/api/v1/spc/studies/standing/{one['id']}/end", json={"why": "lost"})
    assert (again.status_code, again.json()["code"]) == (404, "SPC-STANDING-STUDY-UNKNOWN")


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"reference": None}, 422, "SPC-PARAMETER"),
        ({"parts": [GOLD, "86.999.1/GOLD-2"]}, 422, "SPC-PARAMETER"),
        ({"parts": ["86.999.1/"]}, 400, "TRC-CODE-NOT-PARSED"),
        ({"runs": 1}, 422, "SVC-REQUEST-INVALID"),
    ],
)
def test_what_no_study_could_follow_from_is_refused_when_it_is_ordered(engineer, wrong, status, code):
    answer = engineer.post("/api/v1/spc/studies/standing", json=SAID | wrong)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert _standing(engineer) == []


def test_a_plants_server_makes_no_studies_and_takes_no_order(station):
    plant = signed_in(station.app(has_live=False), Role.ENGINEER)
    assert plant.post("/api/v1/spc/studies/standing", json=SAID).status_code == 404
    page = plant.get("/spc/studies", headers={"Accept": "text/html"}).text
    assert 'formaction="/spc/studies/standing"' not in page
