"""Recipes on pages and for programs: changed by a form, seen on stored units, approved, published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inspection.types import RecipeRef, Verdict
from services.station.messages import RecipeState, RecipeWish
from station_config import load_recipe
from tests.a_station import AStation, a_part, an_empty_station, defects_of, needs_libraries
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import PASSWORD, adds, signed_in
from traceability.accounts import Accounts, Role

NAME = "part-demo"


@pytest.fixture
def station(tmp_path: Path, monkeypatch) -> Iterator[AStation]:
    monkeypatch.setenv("LYNCEUS_RECIPES", str(tmp_path / "recipes"))
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        made.runs()
        yield made


class _Form(HTMLParser):
    """What a browser would send of the form with the id `form`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self._inside = False
        self._select: str | None = None
        self._chosen: str | None = None

    def handle_starttag(self, tag: str, attributes) -> None:
        given = dict(attributes)
        if tag == "form":
            self._inside = given.get("id") == "form"
        if not self._inside:
            return
        if tag == "input" and given.get("name"):
            if given.get("type") != "checkbox" or "checked" in given:
                self.sent.append((given["name"], given.get("value") or ""))
        elif tag == "select":
            self._select, self._chosen = given["name"], None
        elif tag == "option" and self._select:
            value = given.get("value")
            if self._chosen is None or "selected" in given:
                self._chosen = value
                self._by_text = value is None

    def handle_data(self, data: str) -> None:
        if self._select and self._chosen is None:
            self._chosen = data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._inside and self._select:
            self.sent.append((self._select, self._chosen or ""))
            self._select = None
        elif tag == "form":
            self._inside = False


def form_of(client, name: str = NAME) -> dict[str, list[str]]:
    read = _Form()
    read.feed(client.get(f"/recipes/{name}").text)
    fields: dict[str, list[str]] = {}
    for key, value in read.sent:
        fields.setdefault(key, []).append(value)
    return fields


def changed(fields: dict[str, list[str]], **to: tuple[int, str]) -> dict[str, list[str]]:
    made = {key: list(values) for key, values in fields.items()}
    for key, (row, value) in to.items():
        made[key][row] = value
    return made


def another(app, of, role: Role):
    adds(app.state.access, role)
    client = type(of)(app, follow_redirects=False)
    client.post("/api/v1/session", json={"name": role.value, "password": PASSWORD})
    return client


def test_a_change_goes_from_a_form_through_a_second_person_to_the_lanes(station):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    before = load_recipe(NAME)
    station.live.recipe(
        RecipeState(lane="parts", recipe=NAME, ref=before.ref, condition="in_use", at=datetime.now(UTC))
    )
    fields = changed(form_of(integrator), review_from=(0, "0.8"), reason=(0, "chips below 0.8 mm are fine"))
    assert integrator.post(f"/recipes/{NAME}/propose", data=fields).status_code == 303
    waits = integrator.get(f"/api/v1/recipes/{NAME}").json()["proposal"]
    assert (waits["revision"], waits["by"]) == (before.settings.revision + 1, "integrator")
    shown = integrator.get(f"/recipes/{NAME}").text
    assert "-review_from = 0.5" in shown
    assert "+review_from = 0.8" in shown

    # Neither published unapproved, nor approved by who proposed it.
    early = integrator.post(f"/recipes/{NAME}/publish", data={"sha256": waits["sha256"]})
    assert (early.status_code, "SVC-RECIPE-NOT-APPROVED" in early.text) == (409, True)
    looked_at = {"sha256": waits["sha256"]}
    own = integrator.post(f"/recipes/{NAME}/approve", data={"password": PASSWORD} | looked_at)
    assert (own.status_code, "SVC-RECIPE-SECOND-PERSON" in own.text) == (409, True)
    engineer = another(app, integrator, Role.ENGINEER)
    unsigned = engineer.post(f"/recipes/{NAME}/approve", data={"password": "guessed wrongly"} | looked_at)
    assert unsigned.status_code == 401
    signed = engineer.post(f"/recipes/{NAME}/approve", data={"password": PASSWORD} | looked_at)
    assert signed.status_code == 303

    published = integrator.post(f"/recipes/{NAME}/publish", data={"sha256": waits["sha256"]})
    assert published.status_code == 303
    said = integrator.get(published.headers["location"], headers={"Accept-Language": "en"}).text
    assert "lanes that run it take it up with their next unit" in said
    now = load_recipe(NAME)
    assert (now.settings.revision, now.settings.limits[0].review_from) == (waits["revision"], 0.8)
    assert now.ref.sha256 == waits["sha256"]
    assert station.wishes.to_tell() == [RecipeWish(lane="parts", recipe=NAME)]
    acts = [one.action for one in Accounts(station.store).audit(limit=100, subject=f"recipe:{NAME}")]
    assert acts == ["recipe.published", "recipe.approved", "recipe.proposed"]


def test_an_untouched_form_proposes_nothing(station):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    fields = changed(form_of(integrator), reason=(0, "why not"))
    refused = integrator.post(f"/recipes/{NAME}/propose", data=fields)
    assert (refused.status_code, "SVC-RECIPE-UNCHANGED" in refused.text) == (409, True)


def test_what_is_wrong_in_a_form_is_said_and_nothing_is_kept(station):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    fields = form_of(integrator)
    wrong = changed(fields, review_from=(0, ""), reject_from=(0, ""), reason=(0, "typo"))
    refused = integrator.post(f"/recipes/{NAME}/propose", data=wrong)
    assert (refused.status_code, "CFG-INVALID" in refused.text) == (422, True)
    half = changed(fields, zone_name=(0, "rim"), zone_x1=(0, "5"), reason=(0, "half a box"))
    refused = integrator.post(f"/recipes/{NAME}/propose", data=half)
    assert (refused.status_code, "zones.rim" in refused.text) == (422, True)
    assert integrator.get(f"/api/v1/recipes/{NAME}").json()["proposal"] is None


def test_a_newer_proposal_needs_its_own_approval(station):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    engineer = another(app, integrator, Role.ENGINEER)
    text = load_recipe(NAME).text.decode()
    url = f"/api/v1/recipes/{NAME}"
    for limit in ("0.7", "0.9"):
        changed_text = text.replace("review_from = 0.5", f"review_from = {limit}")
        given = {"text": changed_text, "reason": "try"}
        assert integrator.post(f"{url}/propose", json=given).status_code == 200
        if limit == "0.7":
            first = integrator.get(url).json()["proposal"]["sha256"]
            approved = engineer.post(f"{url}/approve", json={"password": PASSWORD, "sha256": first})
            assert approved.status_code == 200
    refused = integrator.post(f"{url}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "SVC-RECIPE-NOT-APPROVED")
    unseen = integrator.post(f"/recipes/{NAME}/publish", data={"sha256": first})
    assert (unseen.status_code, "SVC-RECIPE-UNSEEN" in unseen.text) == (409, True)


@pytest.mark.parametrize("how", ["page", "program"])
def test_an_approval_holds_for_the_text_that_was_shown_and_for_no_later_one(station, how):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    engineer = another(app, integrator, Role.ENGINEER)
    text = load_recipe(NAME).text.decode()
    url = f"/api/v1/recipes/{NAME}"

    def proposes(limit: str) -> str:
        given = {"text": text.replace("review_from = 0.5", f"review_from = {limit}"), "reason": "try"}
        return integrator.post(f"{url}/propose", json=given).json()["proposal"]["sha256"]

    shown = proposes("0.6")
    assert f'name="sha256" value="{shown}"' in engineer.get(f"/recipes/{NAME}").text
    later = proposes("0.99")

    def approves(sha256: str):
        said = {"password": PASSWORD, "sha256": sha256}
        if how == "page":
            return engineer.post(f"/recipes/{NAME}/approve", data=said)
        return engineer.post(f"{url}/approve", json=said)

    refused = approves(shown)
    assert (refused.status_code, "SVC-RECIPE-UNSEEN" in refused.text) == (409, True)
    assert engineer.get(url).json()["proposal"]["approved_by"] is None
    assert approves(later).status_code in (200, 303)
    assert engineer.get(url).json()["proposal"]["approved_by"] == "engineer"


def test_a_text_that_was_changed_on_disk_is_neither_approved_nor_published(station, tmp_path):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    engineer = another(app, integrator, Role.ENGINEER)
    text = load_recipe(NAME).text.decode().replace("review_from = 0.5", "review_from = 0.9")
    url = f"/api/v1/recipes/{NAME}"
    integrator.post(f"{url}/propose", json={"text": text, "reason": "try"})
    digest = integrator.get(url).json()["proposal"]["sha256"]
    file = tmp_path / "recipes" / "texts" / f"{digest}.toml"
    file.write_text(file.read_text().replace("0.9", "9"))
    refused = engineer.post(f"{url}/approve", json={"password": PASSWORD, "sha256": digest})
    assert (refused.status_code, refused.json()["code"]) == (409, "SVC-RECIPE-ALTERED")


def test_a_change_of_what_is_in_force_makes_a_proposal_old(station, tmp_path):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    engineer = another(app, integrator, Role.ENGINEER)
    text = load_recipe(NAME).text.decode()
    url = f"/api/v1/recipes/{NAME}"
    changed_text = text.replace("review_from = 0.5", "review_from = 0.9")
    proposed = integrator.post(f"{url}/propose", json={"text": changed_text, "reason": "try"}).json()
    signed = {"password": PASSWORD, "sha256": proposed["proposal"]["sha256"]}
    assert engineer.post(f"{url}/approve", json=signed).status_code == 200
    (tmp_path / "recipes" / f"{NAME}.toml").write_text(text.replace("reject_from = 60", "reject_from = 50"))
    refused = integrator.post(f"{url}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "SVC-RECIPE-MOVED")


def test_the_preview_shows_stored_units_with_the_verdict_that_the_form_would_have_given(station):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    part = a_part(3, defective=True)
    recipe = load_recipe(NAME)
    digest = hashlib.sha256(recipe.text).hexdigest()
    defects = defects_of(part, lane="parts")
    kinds = {one.kind for one in defects}
    station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/PART-7"),
            lane="parts",
            station="demo",
            recipe=RecipeRef(name=NAME, revision=recipe.settings.revision, sha256=digest),
            verdict=Verdict.REJECT,
            defects=defects,
            pictures=(station.keeps(part, lane="parts"),),
        )
    )
    fields = form_of(integrator)
    strict = integrator.post(f"/recipes/{NAME}/preview", data=fields).text
    assert "PART-7" in strict
    assert "is-flip" not in strict
    lenient = {**fields, "review_from": [], "reject_from": []}
    for about in fields["about"]:
        lenient["review_from"].append("100000" if about else "")
        lenient["reject_from"].append("100000" if about else "")
    assert kinds <= {about.removeprefix("kind:") for about in fields["about"] if about}
    shown = integrator.post(f"/recipes/{NAME}/preview", data=lenient).text
    assert "is-flip" in shown
    # What it measures was not measured then: that leaves it to a person, where its stain no longer refuses it.
    assert "verdict-REVIEW" in shown


def test_a_text_of_another_recipe_is_not_its_next_revision(station):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    text = load_recipe("strip-demo").text.decode()
    refused = integrator.post(f"/api/v1/recipes/{NAME}/propose", json={"text": text, "reason": "slip"})
    assert (refused.status_code, refused.json()["code"]) == (422, "SVC-RECIPE-OF-ANOTHER")


def test_texts_that_nobody_proposed_are_not_shown(station):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    digest = load_recipe(NAME).ref.sha256
    url = f"/api/v1/recipes/{NAME}/difference/{digest}"
    assert integrator.get(f"{url}/{digest}").json()["lines"] == []
    assert integrator.get(f"{url}/{'0' * 64}").status_code == 404


def test_a_recipe_that_was_spoilt_on_disk_costs_the_pages_of_no_other(station, tmp_path):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    wider = load_recipe(NAME).text.decode().replace("upper = 84.4", "upper = 84.5")
    given = {"text": wider, "reason": "the customer takes it"}
    assert integrator.post(f"/api/v1/recipes/{NAME}/propose", json=given).status_code == 200
    for name in (NAME, "strip-demo-exposed"):
        file = tmp_path / "recipes" / f"{name}.toml"
        file.write_text(f'name = "{name}', encoding="utf-8")
    for page in ("/recipes", "/lanes/strip/recipe", "/what-if"):
        html = integrator.get(page, headers={"Accept": "text/html"})
        assert html.status_code == 200
        assert "strip-demo" in html.text
    listed = {one["name"]: one for one in integrator.get("/api/v1/recipes").json()}
    assert list(listed) == ["strip-demo", "strip-demo-exposed", NAME]
    assert listed["strip-demo"]["unread"] is None
    assert listed["strip-demo"]["revision"] == load_recipe("strip-demo").settings.revision
    # What waits of a spoilt one is on record, whatever its file says.
    assert listed[NAME]["proposal"]["reason"] == "the customer takes it"
    offers = {one["recipe"]: one for one in integrator.get("/api/v1/lanes/strip/recipes").json()}
    for spoilt in (listed["strip-demo-exposed"], listed[NAME], offers["strip-demo-exposed"]):
        assert spoilt["unread"]["code"] == "CFG-SYNTAX"
        assert spoilt["revision"] is spoilt["product"] is None
    asked = integrator.post("/api/v1/lanes/strip/recipe", json={"recipe": "strip-demo-exposed"})
    assert (asked.status_code, asked.json()["code"]) == (422, "CFG-SYNTAX")
    for page in ("/recipes", "/lanes/strip/recipe"):
        for language in ("en", "zh"):
            told = integrator.get("/api/v1/recipes", headers={"Accept-Language": language}).json()
            html = integrator.get(page, headers={"Accept": "text/html", "Accept-Language": language}).text
            assert "CFG-SYNTAX" in html
            unread = next(one["unread"] for one in told if one["name"] == "strip-demo-exposed")
            assert unread["action"] in unescape(html)
    # Who looks for one of these is told what is wrong with it.
    spoilt = integrator.get(f"/api/v1/recipes/{NAME}")
    assert (spoilt.status_code, spoilt.json()["code"]) == (422, "CFG-SYNTAX")
