"""Every change by a person is in the audit: each route that changes something, done once, with what it left there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from models.store import ModelStore
from services.access import Access
from services.station.messages import LaneState, RecipeState
from services.text import LANGUAGES, catalogue
from station_config import load_recipe
from tests.a_station import STATION, AStation, a_part, an_empty_station, defects_of, jpeg_of, needs_libraries
from tests.builders import a_measurement, a_unit, an_inspection
from tests.services.signed_in import PASSWORD, QUICK, adds, with_quick_passwords
from tests.services.test_model_pages import NAME as MODEL
from tests.services.test_model_pages import VERSIONS, has_looked_on, has_passed, writes_versions
from tests.services.test_recipe_pages import changed, form_of
from tests.services.test_roles import RIGHT_OF, routes_of
from tests.traceability.epcis.test_repository import RECEIVED
from traceability.accounts import Accounts, AuditEntry, Role

CHANGES_NOTHING = {
    "POST /api/v1/cameras/doctor": "looks",
    "POST /cameras/doctor": "looks",
    "POST /api/v1/spc/merit/given": "computes",
    "POST /spc/merit/given": "computes",
    "POST /recipes/{name}/compare": "computes",
    "POST /recipes/{name}/preview": "computes",
    "DELETE /api/v1/what-if": "ends a computation of which nothing is kept",
    "POST /what-if/stop": "ends a computation of which nothing is kept",
    "POST /cameras/{lane}/calibration/board": "the bench alone, which ends with the service",
    "POST /cameras/{lane}/calibration/take": "the bench alone, which ends with the service",
    "POST /cameras/{lane}/calibration/upload": "the bench alone, which ends with the service",
    "POST /cameras/{lane}/calibration/remove": "the bench alone, which ends with the service",
}

SEEN_ELSEWHERE = {
    "POST /cameras/{lane}/calibration": (
        "test_camera_pages.py",
        "test_pictures_of_a_board_become_a_calibration_beside_the_recipes_and_in_the_audit",
    ),
    "POST /cameras/{lane}/flat-field": (
        "test_camera_pages.py",
        "test_an_even_surface_becomes_a_flat_field_that_a_recipe_takes",
    ),
    **dict.fromkeys(
        ("POST /api/v1/recipes/brought-in", "POST /recipes/brought-in"),
        ("test_recipe_archive.py", "test_pages_and_programs_give_recipes_out_and_take_them_in"),
    ),
    **dict.fromkeys(
        ("POST /api/v1/training", "POST /training", "DELETE /api/v1/training", "POST /training/cancel"),
        (
            "test_training.py",
            "test_a_training_stands_still_while_lanes_need_its_cores_goes_on_after_and_is_cancelled",
        ),
    ),
}
"""They need what takes long to make; the test that is named asks for their line in the audit."""

OF_WHAT_WAS_THERE = {
    "account.changed",
    "alarm.acknowledged",
    "alarm.shelved",
    "chart.ended",
    "chart.released",
    "chart.included",
    "dataset.described",
    "dataset.labelled",
    "lane.mode",
    "model.promoted",
    "model.taken_back",
    "recipe.approved",
    "recipe.changed",
    "recipe.proposed",
    "recipe.published",
    "review.taken_back",
    "unit.released",
}
"""Their line says what was before, too; the others make something, or end it whole."""

ENDS = {
    "review.taken_back",
    "sign_out",
    "session.revoked",
    "token.revoked",
    "sign_in",
    "support.bundle",
    "genealogy.voided",
}
"""Of which the subject says all."""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Iterator[dict[str, list[AuditEntry]]]:
    """By route, what doing it once left in the audit."""
    folder = tmp_path_factory.mktemp("station")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("recipes", "models", "datasets"):
            patch.setenv(f"LYNCEUS_{name.upper()}", str(folder / name))
        writes_versions(folder / "models")
        station = needs_libraries(an_empty_station(folder))
        with station.store:
            yield _Plant(station).works()


class _Plant:
    """A station in which everybody does everything once."""

    def __init__(self, station: AStation) -> None:
        self.station = station
        self.app = station.app(language="en")
        self.access = with_quick_passwords(self.app)
        self.left: dict[str, list[AuditEntry]] = {}
        self.people: dict[str, TestClient] = {}
        for role in Role:
            adds(self.access, role, badge=f"B-{role.value}", pin_hash=self.access.hashed_pin("2580"))
            self.people[role.value] = self._signed_in(role.value)
        adds(self.access, Role.OPERATOR, name="late")
        self.people["late"] = self._signed_in("late")

    def _signed_in(self, name: str) -> TestClient:
        client = TestClient(self.app, follow_redirects=False)
        answer = client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 201
        return client

    def does(self, who: str | TestClient, route: str, **request: Any) -> Any:
        """What the route answered. `at` fills in its address."""
        method, path = route.split()
        for name, value in request.pop("at", {}).items():
            path = path.replace("{" + name + "}", str(value))
        before = {one.id for one in self._audit()}
        client = self.people[who] if isinstance(who, str) else who
        answer = client.request(method, path, **request)
        assert answer.status_code < 400, (route, answer.status_code, answer.text[:600])
        self.left[route] = [one for one in self._audit() if one.id not in before]
        return answer

    def _audit(self) -> tuple[AuditEntry, ...]:
        return Accounts(self.station.store).audit(limit=1000)

    def works(self) -> dict[str, list[AuditEntry]]:
        for part in (
            self.at_the_door,
            self.with_people,
            self.at_the_line,
            self.with_cases,
            self.with_holds,
            self.with_what_the_plant_knows,
            # A lens that is changed, as among the charts, is another gauge: what was measured before says nothing.
            self.with_studies,
            self.with_charts,
            self.with_recipes,
            self.with_models,
            self.with_data_sets,
        ):
            part()
        return self.left

    # ------------------------------------------------------------------ people

    def at_the_door(self) -> None:
        known = {"name": "auditor", "password": PASSWORD}
        guest = TestClient(self.app, follow_redirects=False)
        self.does(guest, "POST /api/v1/session", json=known)
        self.does(guest, "DELETE /api/v1/session")
        self.does(guest, "POST /sign-in", data=known)
        self.does(guest, "POST /sign-out")
        self.does(guest, "POST /sign-in/badge", data={"badge": "B-operator", "pin": "2580"})
        folder = self.station.folder / "new"
        folder.mkdir()
        with an_empty_station(folder).store as store:
            app = replace(self.station, store=store).app()
            app.state.access = Access(Accounts(store), first_run_code="code", hasher=QUICK)
            given = {"code": "code", "name": "chief", "password": PASSWORD}
            assert TestClient(app).post("/first-run", data=given).status_code == 200
            self.left["POST /first-run"] = [*Accounts(store).audit(limit=10)]

    def with_people(self) -> None:
        chief = self.people["administrator"]
        person = {"name": "wang", "title": "Wang", "role": "operator", "password": PASSWORD}
        self.does(chief, "POST /api/v1/people", json=person)
        self.does(chief, "POST /people", data=person | {"name": "li"})
        self.does(chief, "PATCH /api/v1/people/{name}", at={"name": "wang"}, json={"role": "engineer"})
        self.does(
            chief, "POST /people/{name}", at={"name": "li"}, data={"role": "engineer", "is_active": "true"}
        )
        self.does(chief, "PUT /api/v1/people/{name}/secret", at={"name": "wang"}, json={"password": PASSWORD})
        self.does(chief, "DELETE /api/v1/people/{name}/sessions", at={"name": "wang"})
        self.does(chief, "POST /people/{name}/sign-out", at={"name": "li"})

        wang = self._signed_in("wang")
        for route in ("DELETE /api/v1/sessions/{id}", "POST /account/sessions/{id}/revoke"):
            self._signed_in("wang")
            other = next(one for one in wang.get("/api/v1/sessions").json() if not one["is_this"])
            self.does(wang, route, at={"id": other["id"]})
        made = self.does(wang, "POST /api/v1/tokens", json={"name": "mes", "rights": [], "days": 1}).json()
        self.does(wang, "POST /account/tokens", data={"name": "erp", "days": 1})
        self.does(wang, "DELETE /api/v1/tokens/{id}", at={"id": made["id"]})
        other = next(one for one in wang.get("/api/v1/tokens").json() if one["revoked_at"] is None)
        self.does(wang, "POST /account/tokens/{id}/revoke", at={"id": other["id"]})
        self.does(wang, "POST /account/password", data={"current": PASSWORD, "new": PASSWORD + "!"})
        self.does("integrator", "POST /api/v1/system/bundle")
        self.does("integrator", "POST /system/bundle")

    # ------------------------------------------------------------------ the line

    def at_the_line(self) -> None:
        now = datetime.now(UTC)
        self.station.runs()
        for lane in ("strip", "parts"):
            recipe = load_recipe({"strip": "strip-demo", "parts": "part-demo"}[lane])
            state = RecipeState(
                lane=lane, recipe=recipe.settings.name, ref=recipe.ref, condition="in_use", at=now
            )
            self.station.live.recipe(state)
        asked = {"mode": "setup", "reason": "new lamp"}
        self._in_mode("parts")
        self.does("integrator", "POST /api/v1/lanes/{lane}/mode", at={"lane": "parts"}, json=asked)
        self.does("integrator", "POST /lanes/{lane}/mode", at={"lane": "parts"}, data=asked)
        strip = {"lane": "strip"}
        self.does(
            "operator", "POST /api/v1/lanes/{lane}/recipe", at=strip, json={"recipe": "strip-demo-exposed"}
        )
        self.does("operator", "POST /lanes/{lane}/recipe", at=strip, params={"recipe": "strip-demo"})

        lost = LaneState(
            lane="parts", camera="C", driver="gige", condition="lost", at=now, failure="CAM-LOST", facts={}
        )
        self.station.live.lane(lost)
        alarm = {"lane": "parts", "code": "CAM-LOST"}
        self.does("operator", "POST /api/v1/lanes/{lane}/alarms/{code}/acknowledge", at=alarm)
        self.does(
            "operator", "POST /api/v1/lanes/{lane}/alarms/{code}/shelve", at=alarm, json={"minutes": 15}
        )
        self.does("operator", "POST /lanes/{lane}/alarms/{code}/acknowledge", at=alarm)
        self.does("operator", "POST /lanes/{lane}/alarms/{code}/shelve", at=alarm, data={"minutes": 15})

        made = self.does("operator", "POST /api/v1/handovers", json={"text": "drips"}).json()
        self.does("late", "POST /api/v1/handovers/{id}/take", at={"id": made["id"]}, json={"text": "seen"})
        self.does("operator", "POST /handover", data={"text": "drips"})
        made = self.people["late"].get("/api/v1/handovers").json()[0]
        self.does("late", "POST /handover/{id}/take", at={"id": made["id"]}, data={"text": "seen"})

        units = [self._withheld(f"86.999.1/R-{number}") for number in range(2)]
        told = {"inspection": str(units[0].id), "decision": "accept"}
        decided = self.does("operator", "POST /api/v1/reviews", json=told).json()
        self.does("operator", "DELETE /api/v1/reviews/{id}", at={"id": decided["id"]})
        told = {"inspection": str(units[1].id), "decision": "accept"}
        to = self.does("operator", "POST /review", data=told).headers["location"]
        self.does("operator", "POST /review/{id}/take-back", at={"id": to.split("done=")[1].split("&")[0]})

    def _in_mode(self, lane: str) -> None:
        from services.station.messages import LaneMode

        self.station.live.mode(LaneMode(lane=lane, mode="run", at=datetime.now(UTC), until=None, proof=None))

    def _withheld(self, code: str):
        part = a_part(3, defective=True)
        return self.station.finishes(
            an_inspection(
                unit=a_unit(code),
                lane="parts",
                verdict=Verdict.REVIEW,
                defects=defects_of(part, lane="parts"),
                pictures=(self.station.keeps(part, lane="parts"),),
                finished_at=datetime.now(UTC),
            )
        )

    # ------------------------------------------------------------------ quality

    def with_cases(self) -> None:
        new = {"source": "complaint", "key": "4711", "title": "Scratches"}
        case = self.does("engineer", "POST /api/v1/cases", json=new).json()["id"]
        acts = (
            {"act": "assigned", "text": "-", "owner": "engineer"},
            {"act": "cause", "text": "wear"},
            {"act": "action", "text": "changed", "due": "2036-12-01"},
            {"act": "check", "text": "none of 200", "effective": True},
        )
        for given in acts:
            self.does("engineer", "POST /api/v1/cases/{id}/acts", at={"id": case}, json=given)
        end = {"password": PASSWORD, "text": "learnt"}
        self.does("engineer", "POST /api/v1/cases/{id}/close", at={"id": case}, json=end)
        to = self.does("engineer", "POST /cases", data=new | {"key": "4712"}).headers["location"]
        case = to.rsplit("/", 1)[1]
        for given in acts:
            self.does("engineer", "POST /cases/{id}/acts", at={"id": case}, data=given)
        self.does("engineer", "POST /cases/{id}/close", at={"id": case}, data=end)

    def with_holds(self) -> None:
        now = datetime.now(UTC)
        escape = an_inspection(unit=a_unit("P-1"), lane="parts", finished_at=now - timedelta(minutes=9))
        other = an_inspection(unit=a_unit("P-2"), lane="parts", finished_at=now - timedelta(minutes=8))
        self.station.store.record([escape, other])
        why = {"reason": "crack"}
        free = {"decision": "rework", "password": PASSWORD} | why
        self.does("engineer", "POST /api/v1/holds", json={"units": ["P-1"]} | why)
        self.does("engineer", "POST /api/v1/holds/release", json={"unit": "P-1"} | free)
        self.does("engineer", "POST /containment/hold", data={"code": "P-2"} | why)
        self.does("engineer", "POST /containment/release", data={"code": "P-2"} | free)
        self.does("engineer", "POST /api/v1/containments", json={"escape": str(escape.id)} | why)
        self.does("engineer", "POST /containment/open", data={"escape": "P-2"} | why)
        board = self.people["engineer"].get("/api/v1/containments").json()["containments"][0]["id"]
        self.does("engineer", "POST /containment/{id}/hold", at={"id": board})

    # ------------------------------------------------------------------ what the plant knows

    def with_what_the_plant_knows(self) -> None:
        at = "2026-11-20T10:00:00Z"
        step = {"kind": "weld", "equipment": "W-2", "started_at": at, "finished_at": at, "units_out": ["C-1"]}
        link = {"parent": "C-1", "child": "S-1", "kind": "slit"}
        series = {
            "unit": "C-1",
            "quantity": "thickness",
            "unit_of_measure": "mm",
            "gauge": "X-1",
            "measured_at": at,
            "points": [{"value": 2.0}],
        }
        csv = f"unit,quantity,unit_of_measure,gauge,measured_at,y_mm,value\nC-1,crown,mm,X-1,{at},0,2.0\n"
        self.does("engineer", "POST /api/v1/genealogy", json={"links": [link]})
        made = self.people["engineer"].get("/api/v1/genealogy/S-1").json()["links"][0]["id"]
        self.does("engineer", "POST /api/v1/genealogy/void", json={"link": made, "reason": "wrong"})
        self.does("engineer", "POST /api/v1/steps", json={"steps": [step]})
        self.does("engineer", "POST /api/v1/gauges", json={"series": [series]})
        as_csv = {"content": csv.encode(), "headers": {"Content-Type": "text/csv"}}
        self.does("engineer", "POST /api/v1/gauges/csv", **as_csv)
        self.does("integrator", "POST /epcis/capture", json=RECEIVED)
        event = {"@context": RECEIVED["@context"], **RECEIVED["epcisBody"]["eventList"][0]}
        self.does("integrator", "POST /epcis/events", json={**event, "eventTime": "2026-11-21T10:00:00Z"})

    # ------------------------------------------------------------------ charts

    def with_charts(self) -> None:
        begin = datetime.now(UTC) - timedelta(hours=30)
        self.station.store.record(
            [
                an_inspection(
                    unit=a_unit(f"86.999.1/C-{number}"),
                    station=STATION,
                    lane="parts",
                    verdict=Verdict.REJECT if number % 7 == 0 else Verdict.ACCEPT,
                    measurements=(a_measurement(name="width", value=400 + number % 5 / 10),),
                    finished_at=begin + timedelta(minutes=4 * number),
                )
                for number in range(400)
            ]
        )
        p = {"by": "hour", "lane": "parts"}
        width = {"measurement": "width", "lane": "parts"}
        engineer = self.people["engineer"]
        point = engineer.get("/api/v1/spc/p", params=p).json()["points"][3]["key"]
        entries = (("excluded", point), ("included", point), ("frozen", None), ("released", None))
        for kind, where in entries:
            said = {"reason": "new water", "kind": kind} | ({} if where is None else {"point": where})
            self.does(engineer, "POST /api/v1/spc/p/entries", params=p, json=said)
            form = {"reason": "new water", "kind_of": kind, "point": where or ""}
            self.does(engineer, "POST /spc/p/entries", params=p, data=form)
        for kind in ("frozen", "released"):
            said = {"reason": "new water", "kind": kind}
            self.does(engineer, "POST /api/v1/spc/measured/entries", params=width, json=said)
            form = {"reason": "new water", "kind_of": kind}
            self.does(engineer, "POST /spc/measured/entries", params=width, data=form)
        lens = {"part": "lens", "lane": "parts", "what": "50 mm for 35 mm"}
        self.does(engineer, "POST /api/v1/spc/changes", json=lens)
        form = {"part": "lamp", "changed_lane": "parts", "what": "new"}
        self.does(engineer, "POST /spc/changes", data=form)
        aim = {"figure": "first_pass", "target": 0.98, "reason": "agreed"}
        self.does(engineer, "POST /api/v1/spc/merit/targets", json=aim)
        self.does(engineer, "POST /spc/merit/targets", data=aim | {"target": "0.99"})
        for route, how in (("POST /api/v1/spc/audits", "json"), ("POST /spc/audits", "data")):
            self.does(engineer, route, **{how: {"lane": "parts", "size": 5, "why": "weekly"}})
        drawn = engineer.get("/api/v1/spc/audits").json()
        for one, route in zip(
            drawn, ("POST /api/v1/spc/audits/{id}/looks", "POST /spc/audits/{id}/looks"), strict=True
        ):
            part = engineer.get(f"/api/v1/spc/audits/{one['id']}").json()["parts"][0]["inspection"]
            said = (
                {"json": {"inspection": part, "is_bad": False}}
                if route.startswith("POST /api")
                else {"data": {"part": part, "is_bad": "false"}}
            )
            self.does(engineer, route, at={"id": one["id"]}, **said)

    def with_studies(self) -> None:
        begin = datetime.now(UTC) - timedelta(hours=1)
        gold = "86.999.1/GOLD-1"
        self.station.store.record(
            [
                an_inspection(
                    unit=a_unit(gold),
                    station=STATION,
                    lane="parts",
                    measurements=(a_measurement(name="bore", value=10 + 0.01 * (number % 4)),),
                    finished_at=begin + timedelta(seconds=number),
                )
                for number in range(20)
            ]
        )
        readings = {"value": [10 + 0.01 * (number % 4) for number in range(20)], "reference": 10.0}
        kept = {"kind": "bias", "characteristic": "bore"}
        self.does("engineer", "POST /api/v1/spc/studies", json=kept | {"readings": readings})
        lines = "\n".join(str(value) for value in readings["value"])
        self.does("engineer", "POST /spc/studies", data=kept | {"readings": lines, "reference": "10"})
        made = kept | {"reference": 10.0, "lane": "parts"}
        self.does("engineer", "POST /api/v1/spc/studies/from-record", json=made | {"parts": [gold]})
        self.does("engineer", "POST /spc/studies/from-record", data=made | {"parts": gold})
        ordered = made | {"runs": 6, "why": "each shift"}
        self.does("engineer", "POST /api/v1/spc/studies/standing", json=ordered | {"parts": [gold]})
        self.does(
            "engineer",
            "POST /spc/studies/standing",
            data=ordered | {"parts": gold, "characteristic": "width"},
        )
        standing = self.people["engineer"].get("/api/v1/spc/studies/standing").json()
        ends = ("POST /api/v1/spc/studies/standing/{id}/end", "POST /spc/studies/standing/{id}/end")
        for route, how, one in zip(ends, ("json", "data"), standing, strict=True):
            self.does("engineer", route, at={"id": one["id"]}, **{how: {"why": "enough"}})

    # ------------------------------------------------------------------ setting up

    def with_recipes(self) -> None:
        of = {"name": "part-demo"}
        recipe = load_recipe("part-demo")
        number = recipe.settings.revision
        new = recipe.text.decode().replace(f"revision = {number}", f"revision = {number + 1}")
        new = new.replace("review_from = 0.5", "review_from = 0.8")
        said = {"text": new, "reason": "chips below 0.8 mm are fine"}
        self.does("integrator", "POST /api/v1/recipes/{name}/propose", at=of, json=said)
        signed = {"password": PASSWORD, "sha256": self._waiting()}
        self.does("engineer", "POST /api/v1/recipes/{name}/approve", at=of, json=signed)
        self.does("integrator", "POST /api/v1/recipes/{name}/publish", at=of)
        form = changed(form_of(self.people["integrator"]), review_from=(0, "0.9"), reason=(0, "finer"))
        self.does("integrator", "POST /recipes/{name}/propose", at=of, data=form)
        waits = {"sha256": self._waiting()}
        self.does("engineer", "POST /recipes/{name}/approve", at=of, data={"password": PASSWORD} | waits)
        self.does("integrator", "POST /recipes/{name}/publish", at=of, data=waits)
        looser = new.replace("revision = 6", "revision = 9")
        self.does("integrator", "POST /api/v1/what-if", json={"recipe": looser, "units": 1})
        while self.people["integrator"].get("/api/v1/what-if").json()["is_running"]:
            time.sleep(0.02)
        self.does("integrator", "POST /what-if", data={"text": looser, "units": 1})

    def _waiting(self) -> str:
        """Of the recipe's proposal, the digest that its page shows."""
        found = self.people["integrator"].get("/api/v1/recipes/part-demo").json()
        return str(found["proposal"]["sha256"])

    def with_models(self) -> None:
        of = {"name": MODEL}
        for route, how, version in (
            ("POST /api/v1/models/{name}/", "json", VERSIONS[1]),
            ("POST /models/{name}/", "data", VERSIONS[2]),
        ):
            self.does("integrator", f"{route}propose", at=of, **{how: {"version": version}})
            has_passed(self.station, version)
            has_looked_on(self.station, version, seen=1000)
            signed = {"password": PASSWORD, "version": version}
            self.does("engineer", f"{route}approve", at=of, **{how: signed})
            self.does("integrator", f"{route}promote", at=of)
            assert ModelStore.of_plant().in_force(MODEL) == version
            self.does("integrator", f"{route}take-back", at=of, **{how: {"reason": "too many refused"}})

    def with_data_sets(self) -> None:
        integrator = self.people["integrator"]
        self.does(integrator, "POST /datasets", data={"name": "flange", "kinds": ["chip", "crack"]})
        jpeg = jpeg_of(a_part(1, defective=True))
        files = [("pictures", (f"{number}.jpg", jpeg, "image/jpeg")) for number in range(1)]
        files += [("pictures", ("9.jpg", jpeg_of(a_part(2, defective=True)), "image/jpeg"))]
        of = {"name": "flange"}
        said = {"source": "press 3, spring 2026", "licence": "the plant's own"}
        self.does(integrator, "POST /datasets/{name}/source", at=of, data=said)
        self.does(integrator, "POST /datasets/{name}/pictures", at=of, files=files)
        first, second = integrator.get("/api/v1/datasets/flange").json()["waiting"]
        chip = [{"kind": "chip", "box": [10, 20, 60, 90]}]
        self.does(
            integrator,
            "PUT /api/v1/datasets/{name}/labels",
            at=of,
            params={"picture": first},
            json={"labels": chip},
        )
        self.does(
            integrator,
            "POST /datasets/{name}/label",
            at=of,
            params={"picture": second},
            data={"labels": json.dumps(chip)},
        )
        packed = integrator.get("/api/v1/datasets/flange/file", params={"format": "yolo"}).content
        archive = {"archive": ("flange.zip", packed, "application/zip")}
        self.does(integrator, "POST /datasets/bring-in", data={"name": "brought"}, files=archive)
        queued = self._withheld("86.999.1/Q-1")
        told = {"inspection": str(queued.id), "decision": "accept"}
        assert self.people["operator"].post("/api/v1/reviews", json=told).status_code == 201
        self.does(
            integrator,
            "POST /datasets/queue",
            data={"name": "flange", "pictures": [queued.pictures[0].sha256]},
        )


WRITES = sorted(one for one in RIGHT_OF if not one.startswith("GET "))


def test_every_route_that_writes_is_done_here_or_it_is_said_why_not(done, tmp_path):
    station = needs_libraries(an_empty_station(tmp_path))
    with station.store:
        known = {one for one in routes_of(station.app()) if not one.startswith("GET ")}
    assert done.keys() | CHANGES_NOTHING.keys() | SEEN_ELSEWHERE.keys() == known
    assert not done.keys() & (CHANGES_NOTHING.keys() | SEEN_ELSEWHERE.keys())


@pytest.mark.parametrize("route", sorted(set(WRITES) - CHANGES_NOTHING.keys() - SEEN_ELSEWHERE.keys()))
def test_a_change_by_a_person_is_in_the_audit_with_what_was_before_and_after(done, route):
    entries = [one for one in done[route] if one.person is not None or one.action == "account.added"]
    assert entries, f"{route} left nothing in the audit"
    for one in entries:
        assert one.after or one.action in ENDS, f"{route}: {one.action} does not say what is so now"
        if one.action in OF_WHAT_WAS_THERE:
            assert one.before, f"{route}: {one.action} does not say what was before"


@pytest.mark.parametrize("place", sorted(set(SEEN_ELSEWHERE.values())))
def test_what_is_said_to_be_seen_elsewhere_is(place):
    file, name = place
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    body = text.split(f"def {name}(", 1)[1].split("\ndef ", 1)[0]
    assert "audit(" in body or "steps(" in body


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_audit_says_there_are_words_for(done, language):
    texts = catalogue(language)
    entries = [one for left in done.values() for one in left]
    assert {one.action for one in entries if f"web.action.{one.action}" not in texts} == set()
    keys = {key for one in entries for side in (one.before, one.after) for key in side or {}}
    assert {key for key in keys if f"web.audited.{key}" not in texts} == set()
    kinds = {one.subject.partition(":")[0] for one in entries}
    assert {kind for kind in kinds if f"web.subject.{kind}" not in texts} == set()
