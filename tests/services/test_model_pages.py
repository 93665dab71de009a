"""The models of a plant on pages and for programs: looked at by everybody, changed by who may, each step on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.anomaly import KIND, write
from models.store import ModelStore
from services.access import Access
from services.model_life import ModelLife
from tests.a_station import an_empty_station, needs_libraries
from tests.models.networks import a_model, answering
from tests.services.signed_in import PASSWORD, adds, signed_in
from traceability.accounts import Role, note

NAME = "ground-metal"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
GATES = [
    {
        "what": KIND,
        "counted": 30,
        "both": 28,
        "only_champion": 0,
        "only_challenger": 2,
        "p": 0.5,
        "passed": True,
    },
    {"what": "latency", "in_force_ms": 6.1, "candidate_ms": 6.4, "passed": True},
]
LOST = {
    "what": "kinds",
    "counted": 2,
    "both": 1,
    "only_champion": 1,
    "only_challenger": 0,
    "p": 0.0,
    "lost": ["crack"],
    "passed": False,
}


def writes_versions(folder: Path) -> None:
    """Three of one model, each with another answer."""
    for number, version in enumerate(VERSIONS):
        made = a_model(answering({"map": np.full((1, 1, 8, 8), number / 10)}), (KIND,), task="maps")
        card = made.card.model_copy(update={"name": NAME, "version": version})
        write(replace(made, card=card), folder)


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """A station whose plant has three versions of a model of its own."""
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    writes_versions(tmp_path / "models")
    station = needs_libraries(an_empty_station(tmp_path))
    with station.store:
        yield station


def life_of(plant) -> ModelLife:
    return ModelLife(plant.store, ModelStore.of_plant())


def has_passed(plant, version: str, *, gates=GATES, step: str = "passed") -> None:
    """As `lynceus model judge` leaves it."""
    with plant.store.writing() as connection:
        models = ModelStore.of_plant()
        after = {
            "version": version,
            "sha256": models.find(NAME, version).card.sha256,
            "in_force": {"version": models.in_force(NAME)},
            "gates": gates,
        }
        note(
            connection,
            at=datetime.now(UTC),
            by=None,
            action=f"model.{step}",
            subject=f"model:{NAME}",
            after=after,
        )


def has_looked_on(plant, version: str, *, seen: int) -> None:
    folder = ModelStore.of_plant().plant / "beside" / f"{NAME}-{version}"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(f'{{"counted": {{"11": 4, "00": {seen - 4}}}, "ms": [6.0]}}')


def test_a_program_walks_a_candidate_into_force_with_a_second_person_and_back(plant):
    app = plant.app()
    integrator, engineer = signed_in(app, Role.INTEGRATOR), None
    proposed = integrator.post(f"/api/v1/models/{NAME}/propose", json={"version": "1.1.0"})
    assert (proposed.status_code, proposed.json()["candidate"]) == (200, "1.1.0")
    refused = integrator.post(f"/api/v1/models/{NAME}/promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "MOD-NOT-JUDGED")
    has_passed(plant, "1.1.0")
    signed = {"password": PASSWORD, "version": "1.1.0"}
    own = integrator.post(f"/api/v1/models/{NAME}/approve", json=signed)
    assert (own.status_code, own.json()["code"]) == (409, "MOD-SECOND-PERSON")

    engineer = another(app, integrator, Role.ENGINEER)
    unsigned = engineer.post(f"/api/v1/models/{NAME}/approve", json=signed | {"password": "guessed wrongly"})
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "SVC-SIGN-IN-REFUSED")
    approved = engineer.post(f"/api/v1/models/{NAME}/approve", json=signed)
    assert approved.json()["approved_by"] == "engineer"
    assert engineer.post(f"/api/v1/models/{NAME}/promote").status_code == 403

    early = integrator.post(f"/api/v1/models/{NAME}/promote")
    assert (early.status_code, early.json()["code"]) == (409, "MOD-NOT-SEEN-ENOUGH")
    has_looked_on(plant, "1.1.0", seen=life_of(plant).pictures_beside)
    promoted = integrator.post(f"/api/v1/models/{NAME}/promote").json()
    assert (promoted["in_force"], promoted["before"], promoted["candidate"]) == ("1.1.0", "1.0.0", None)
    back = integrator.post(f"/api/v1/models/{NAME}/take-back", json={"reason": "too many refused"}).json()
    assert (back["in_force"], back["before"]) == ("1.0.0", None)
    nothing = integrator.post(f"/api/v1/models/{NAME}/take-back", json={"reason": "again"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "MOD-NOTHING-BEFORE")
    assert [(step["action"], step["by"]) for step in back["steps"]] == [
        ("model.proposed", "integrator"),
        ("model.passed", None),
        ("model.approved", "engineer"),
        ("model.promoted", "integrator"),
        ("model.taken_back", "integrator"),
    ]
    # What a record may name stays, whatever was promoted and taken back.
    assert [one["version"] for one in back["versions"]] == ["1.2.0", "1.1.0", "1.0.0"]
    assert all(one["card"] is not None for one in back["versions"])


@pytest.mark.parametrize("how", ["page", "program"])
def test_an_approval_holds_for_the_version_that_was_shown_and_for_no_later_one(plant, how):
    app = plant.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    engineer = another(app, integrator, Role.ENGINEER)
    for version in ("1.1.0", "1.2.0"):
        integrator.post(f"/api/v1/models/{NAME}/propose", json={"version": version})
        has_passed(plant, version)
        if version == "1.1.0":
            assert 'name="version" value="1.1.0"' in engineer.get(f"/models/{NAME}").text

    def approves(version: str):
        said = {"password": PASSWORD, "version": version}
        if how == "page":
            return engineer.post(f"/models/{NAME}/approve", data=said)
        return engineer.post(f"/api/v1/models/{NAME}/approve", json=said)

    refused = approves("1.1.0")
    assert (refused.status_code, "MOD-CANDIDATE-UNSEEN" in refused.text) == (409, True)
    assert life_of(plant).standing(NAME).approved_by is None
    assert approves("1.2.0").status_code in (200, 303)
    assert life_of(plant).standing(NAME).approved_by == "engineer"


def test_who_may_not_configure_proposes_promotes_and_takes_back_nothing(plant):
    operator = signed_in(plant.app(), Role.OPERATOR)
    for step, given in (
        ("propose", {"version": "1.1.0"}),
        ("approve", {"password": PASSWORD, "version": "1.1.0"}),
        ("promote", None),
        ("take-back", {"reason": "why not"}),
    ):
        assert operator.post(f"/api/v1/models/{NAME}/{step}", json=given).status_code == 403
        assert TestClient(plant.app()).post(f"/api/v1/models/{NAME}/{step}", json=given).status_code == 401
    assert life_of(plant).steps(NAME) == ()


def test_a_version_that_is_not_there_is_not_proposed(plant):
    answer = signed_in(plant.app(), Role.INTEGRATOR).post(
        f"/api/v1/models/{NAME}/propose", json={"version": "9.9.9"}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "MOD-MISSING")


def test_what_the_policy_refuses_is_listed_without_its_card_and_not_proposed(plant):
    (ModelStore.of_plant().plant / "policy.toml").write_text('refuse = ["no_licence"]')
    client = signed_in(plant.app(), Role.INTEGRATOR)
    by_name = {one["name"]: one for one in client.get("/api/v1/models").json()}
    strip = by_name["strip-surface"]["versions"][0]
    assert (strip["refused"], strip["card"]) == ("MOD-LICENCE-REFUSED", None)
    assert by_name[NAME]["versions"][0]["refused"] is None
    refused = client.post(
        "/api/v1/models/strip-surface/propose",
        json={"version": by_name["strip-surface"]["versions"][1]["version"]},
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "MOD-LICENCE-REFUSED")
    assert "MOD-LICENCE-REFUSED" in client.get("/models/strip-surface").text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_who_looks_only_what_there_is_and_who_may_act_what_is_missing(plant, language):
    app = plant.app(language=language)
    looks = TestClient(app).get(f"/models/{NAME}", headers={"Accept": "text/html"}).text
    assert '<form class="form"' not in looks
    integrator = signed_in(app, Role.INTEGRATOR)
    answer = integrator.post(f"/models/{NAME}/propose", data={"version": "1.2.0"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/models/{NAME}")
    proposed = integrator.get(f"/models/{NAME}?lang={language}").text
    assert "lynceus model judge" in proposed
    assert 'action="/models/ground-metal/approve"' not in proposed
    refused = integrator.post(f"/models/{NAME}/promote")
    assert refused.status_code == 409
    assert "MOD-NOT-JUDGED" in refused.text
    has_passed(plant, "1.2.0")
    approves = another(app, integrator, Role.ENGINEER)
    assert 'action="/models/ground-metal/approve"' in approves.get(f"/models/{NAME}").text
    signed = {"password": PASSWORD, "version": "1.2.0"}
    assert approves.post(f"/models/{NAME}/approve", data=signed).status_code == 303
    has_looked_on(plant, "1.2.0", seen=200)
    assert integrator.post(f"/models/{NAME}/promote").status_code == 303
    assert integrator.post(f"/models/{NAME}/take-back", data={"reason": "odd"}).status_code == 303
    told = integrator.get(f"/models/{NAME}").text
    assert {"zh": "退回模型", "en": "took a model back"}[language] in told


@pytest.mark.parametrize(("language", "told"), [("zh", "不再识别： 裂纹"), ("en", "no longer known: Crack")])
def test_the_page_names_the_kinds_that_a_candidate_has_lost(plant, language, told):
    app = plant.app(language=language)
    signed_in(app, Role.INTEGRATOR).post(f"/models/{NAME}/propose", data={"version": "1.1.0"})
    has_passed(plant, "1.1.0", gates=[*GATES, LOST], step="blocked")
    page = TestClient(app).get(f"/models/{NAME}").text
    assert told in page


def test_two_versions_stand_side_by_side(plant):
    told = TestClient(plant.app()).get(f"/models/{NAME}?version=1.1.0&beside=1.2.0").text
    heads = told.split("model-cards")[-1].split("</thead>")[0]
    assert heads.index("1.1.0") < heads.index("1.2.0")
    assert "1.0.0" not in heads


def test_a_recipe_is_named_with_the_version_that_judges_in_it(plant):
    judges = {
        (one["lane"], one["recipe"]): one
        for model in TestClient(plant.app()).get("/api/v1/models").json()
        for one in model["judges"]
    }
    assert {lane for lane, _ in judges} == {"strip", "parts"}


def another(app, beside: TestClient, role: Role) -> TestClient:
    """Somebody else signed in at the same service, whose first guest stays signed in."""
    access: Access = app.state.access
    adds(access, role)
    client = TestClient(app, follow_redirects=False)
    assert client.post("/api/v1/session", json={"name": role.value, "password": PASSWORD}).status_code == 201
    assert beside.get("/api/v1/session").status_code == 200
    return client
