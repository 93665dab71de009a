"""A recipe goes from the station that published it to another, where nothing of it acts before two people said so."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from models.bundle import packed
from services.cli.recipe import recipe as recipe_commands
from services.recipe_archive import (
    BESIDE,
    MANIFEST,
    RECIPE,
    SIGNATURE,
    Carried,
    Manifest,
    RecipeArchiveUnfit,
    RecipeModelsMissing,
    RecipeNotPublished,
    carried,
)
from services.recipe_life import RecipeLife, RecipeSecondPerson
from station_config import load_recipe
from station_config.errors import ConfigMissing
from tests.a_station import AStation, an_empty_station, needs_libraries
from tests.services.signed_in import PASSWORD, adds, signed_in
from traceability.accounts import Accounts, Person, Role
from traceability.merkle import Sealer

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAME = "part-demo"
FLAT = "flange.flat.png"
LIMIT = ("review_from = 0.5", "review_from = 0.8")


@dataclass
class Plant:
    """Two stations, each with recipes of its own; one of them is where we stand."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    station: AStation = field(init=False)
    life: RecipeLife = field(init=False)
    name: str = ""

    def at(self, name: str) -> Plant:
        self.name = name
        place = self.folder / name
        place.mkdir(exist_ok=True)
        self.monkeypatch.setenv("LYNCEUS_RECIPES", str(place / "recipes"))
        self.station = an_empty_station(place)
        self.life = RecipeLife(self.station.store)
        return self

    def person(self, name: str, role: Role = Role.INTEGRATOR):
        accounts = Accounts(self.station.store)
        return accounts.add(name=name, title=name, role=role, password_hash=None, by=None, at=NOON)

    def approves(self, name: str, *, by: Person) -> None:
        """What waits, as who looked at it."""
        waits = self.life.standing(name).proposal
        assert waits is not None
        self.life.approve(name, waits.sha256, by=by, at=NOON)

    def publishes(self, *, name: str = NAME, with_flat_field: bool = True) -> bytes:
        """The archive of a recipe that was changed, approved and published here."""
        text = load_recipe(NAME).text.decode().replace(*LIMIT)
        if name != NAME:
            text = text.replace(f'name = "{NAME}"', f'name = "{name}"')
            (self.life.folder).mkdir(parents=True, exist_ok=True)
            (self.life.folder / f"{name}.toml").write_text(text.replace(*reversed(LIMIT)))
        if with_flat_field:
            even = cv2.imencode(".png", np.full((400, 400), 200, np.uint8))[1].tobytes()
            self.life.folder.mkdir(parents=True, exist_ok=True)
            (self.life.folder / FLAT).write_bytes(even)
            text += f'\n[flat_field]\nfile = "{FLAT}"\nsha256 = "{hashlib.sha256(even).hexdigest()}"\n'
        li, wang = self.person("li"), self.person("wang")
        self.life.propose(name, text, by=li, at=NOON, reason="chips below 0.8 mm are fine")
        self.approves(name, by=wang)
        self.life.publish(name, by=li, at=NOON)
        return self.life.archive(name, station=self.name, sealer=self.station.sealer)


@pytest.fixture
def plant(tmp_path, monkeypatch):
    stores = []

    class Watched(Plant):
        def at(self, name: str) -> Plant:
            super().at(name)
            stores.append(self.station.store)
            return self

    yield Watched(tmp_path, monkeypatch)
    for store in stores:
        store.__exit__(None, None, None)


def repacked(data: bytes, **changed: bytes) -> bytes:
    """The archive with other bytes for the files whose names begin so."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.namelist():
            given = next((value for key, value in changed.items() if entry.startswith(key)), None)
            new.writestr(entry, old.read(entry) if given is None else given)
    return made.getvalue()


def test_a_published_recipe_acts_at_another_station_only_after_a_second_person_there(plant):
    sent = carried(plant.at("line-1").publishes())
    assert (sent.manifest.recipe, sent.manifest.station) == (NAME, "line-1")
    assert [one.name for one in sent.manifest.models] == ["part-surface"]

    there = plant.at("line-2")
    before = load_recipe(NAME)
    chen = there.person("chen")
    stands = there.life.bring_in(sent, by=chen, at=NOON, reason="as on line 1")
    assert stands.proposal is not None
    assert stands.proposal.origin is not None
    assert (stands.proposal.origin.station, stands.proposal.by) == ("line-1", "chen")
    assert stands.proposal.origin.key == sent.manifest.key
    assert load_recipe(NAME).ref == before.ref
    with pytest.raises(RecipeSecondPerson):
        there.approves(NAME, by=chen)

    there.approves(NAME, by=there.person("zhao", Role.ENGINEER))
    assert load_recipe(NAME).ref == before.ref
    there.life.publish(NAME, by=chen, at=NOON)
    now = load_recipe(NAME)
    assert now.settings.limits[0].review_from == 0.8
    assert now.files[FLAT] == sent.beside[FLAT]


def test_a_recipe_that_the_other_station_never_had_waits_there_and_is_then_in_force(plant):
    sent = carried(plant.at("line-1").publishes(name="flange"))
    there = plant.at("line-2")
    chen = there.person("chen")
    stands = there.life.bring_in(sent, by=chen, at=NOON, reason="the flange comes to us, too")
    assert stands.in_force is None
    assert there.life.names() == ("flange",)
    assert stands.proposal is not None
    assert there.life.difference("flange", "", stands.proposal.sha256)
    there.approves("flange", by=there.person("zhao"))
    there.life.publish("flange", by=chen, at=NOON)
    assert (load_recipe("flange").settings.revision, load_recipe("flange").settings.name) == (1, "flange")


def test_what_nobody_approved_here_does_not_go_to_another_station(plant):
    here = plant.at("line-1")
    with pytest.raises(RecipeNotPublished):
        here.life.archive(NAME, station="line-1", sealer=here.station.sealer)
    here.publishes()
    file = here.life.folder / f"{NAME}.toml"
    file.write_text(file.read_text().replace("review_from = 0.8", "review_from = 0.9"))
    with pytest.raises(RecipeNotPublished):
        here.life.archive(NAME, station="line-1", sealer=here.station.sealer)


@pytest.mark.parametrize("part", ["recipe.toml", "beside/", "manifest.json", "manifest.sig"])
def test_an_altered_byte_anywhere_is_refused(plant, part):
    data = plant.at("line-1").publishes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(one for one in archive.namelist() if one.startswith(part))
        content = bytearray(archive.read(name))
    content[len(content) // 2] ^= 1
    with pytest.raises(RecipeArchiveUnfit):
        carried(repacked(data, **{part: bytes(content)}))


def test_digests_that_were_made_to_fit_an_altered_text_do_not_fit_the_signature(plant):
    data = plant.at("line-1").publishes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        told = json.loads(archive.read(MANIFEST))
        text = archive.read("recipe.toml").replace(b"review_from = 0.8", b"review_from = 800")
    told["files"]["recipe.toml"] = hashlib.sha256(text).hexdigest()
    forged = repacked(data, **{MANIFEST: json.dumps(told).encode(), "recipe.toml": text})
    with pytest.raises(RecipeArchiveUnfit, match="signature"):
        carried(forged)


@pytest.mark.parametrize("packed_by", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_whose_data_are_spoilt_or_packed_otherwise_is_refused(plant, packed_by):
    data = plant.at("line-1").publishes()
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", packed_by) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    spoilt = bytearray(made.getvalue())
    spoilt[300:360] = b"\xff" * 60
    with pytest.raises(RecipeArchiveUnfit):
        carried(bytes(spoilt))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04 torn"])
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(RecipeArchiveUnfit):
        carried(data)


def test_an_archive_that_unpacks_to_more_than_a_recipe_is_refused_before_it_is(plant, monkeypatch):
    data = plant.at("line-1").publishes()
    monkeypatch.setattr("services.recipe_archive.MOST_UNPACKED", 1000)
    with pytest.raises(RecipeArchiveUnfit, match="more than"):
        carried(data)


def test_models_that_are_not_here_are_named_and_nothing_is_kept(plant):
    here = plant.at("line-1")
    sent = carried(here.publishes())
    (model,) = sent.manifest.models
    other = model.model_copy(update={"sha256": "0" * 64})
    strange = type(sent)(
        manifest=sent.manifest.model_copy(update={"models": (other,)}), text=sent.text, beside=sent.beside
    )
    there = plant.at("line-2")
    with pytest.raises(RecipeModelsMissing, match=rf"part-surface {model.version}"):
        there.life.bring_in(strange, by=there.person("chen"), at=NOON, reason="as on line 1")
    assert there.life.names() == ()
    assert not (there.life.folder / FLAT).exists()


def test_a_file_of_the_other_station_never_takes_the_place_of_one_that_a_recipe_here_needs(plant):
    sent = carried(plant.at("line-1").publishes())
    there = plant.at("line-2")
    there.life.folder.mkdir(parents=True)
    (there.life.folder / FLAT).write_bytes(b"our own lamp")
    with pytest.raises(RecipeArchiveUnfit, match=FLAT):
        there.life.bring_in(sent, by=there.person("chen"), at=NOON, reason="as on line 1")
    assert (there.life.folder / FLAT).read_bytes() == b"our own lamp"


def of_a_strangers_key(folder: Path, *, beside: str, data: bytes) -> Carried:
    """A recipe `carrier` whose flat field is called so and has these bytes; anybody can make and sign one."""
    key = Sealer(folder / "strangers-key")
    recipe = load_recipe(NAME)
    text = recipe.text.decode().replace(f'name = "{NAME}"', 'name = "carrier"')
    text += f'\n[flat_field]\nfile = "{beside}"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
    files = {RECIPE: text.encode(), f"{BESIDE}{beside}": data}
    told = Manifest(
        recipe="carrier",
        revision=recipe.settings.revision,
        station="line-1",
        published_at=NOON,
        models=(),
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        key=key.public_key.hex(),
    )
    signed = told.model_dump_json().encode()
    return carried(packed({MANIFEST: signed, SIGNATURE: key.sign(signed), **files}))


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "what it lacks comes after it"])
def test_no_recipe_comes_into_force_as_a_file_beside_another(plant, whole):
    there = plant.at("line-2")
    hidden = load_recipe(NAME).text.decode().replace(f'name = "{NAME}"', 'name = "flange"')
    if not whole:
        hidden += f'\n[flat_field]\nfile = "later.png"\nsha256 = "{"0" * 64}"\n'
    sent = of_a_strangers_key(plant.folder, beside="flange.toml", data=hidden.encode())
    with pytest.raises(RecipeArchiveUnfit, match=r"flange\.toml beside it is a recipe"):
        there.life.bring_in(sent, by=there.person("chen"), at=NOON, reason="as on line 1")
    assert not (there.life.folder / "flange.toml").exists()
    with pytest.raises(ConfigMissing):
        load_recipe("flange")


def test_a_calibration_beside_a_recipe_comes_with_it(plant):
    there = plant.at("line-2")
    calibration = b'focal_px = [2000.0, 2000.0]\nsha256 = "0"\n'
    sent = of_a_strangers_key(plant.folder, beside="camera.toml", data=calibration)
    there.life.bring_in(sent, by=there.person("chen"), at=NOON, reason="as on line 1")
    assert (there.life.folder / "camera.toml").read_bytes() == calibration


def test_a_file_beside_a_recipe_never_takes_the_place_of_the_kept_texts(plant):
    there = plant.at("line-2")
    sent = of_a_strangers_key(plant.folder, beside="texts", data=b"no folder")
    with pytest.raises(RecipeArchiveUnfit, match="texts is a folder"):
        there.life.bring_in(sent, by=there.person("chen"), at=NOON, reason="as on line 1")
    assert there.life.names() == ()


def test_pages_and_programs_give_recipes_out_and_take_them_in(plant):
    here = plant.at("line-1")
    needs_libraries(here.station)
    here.publishes()
    sent = signed_in(here.station.app(), Role.INTEGRATOR).get(f"/api/v1/recipes/{NAME}/file")
    assert (sent.status_code, sent.headers["content-type"]) == (200, "application/zip")
    assert carried(sent.content).manifest.station == "demo"

    there = plant.at("line-2")
    integrator = signed_in(there.station.app(), Role.INTEGRATOR)
    refused = integrator.get(f"/api/v1/recipes/{NAME}/file")
    assert (refused.status_code, refused.json()["code"]) == (409, "SVC-RECIPE-NOT-PUBLISHED")
    url = "/api/v1/recipes/brought-in"
    zipped = {"Content-Type": "application/zip"}
    wrong = integrator.post(url, params={"reason": "try"}, content=b"no zip", headers=zipped)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "SVC-RECIPE-ARCHIVE-UNFIT")
    done = integrator.post(url, params={"reason": "as on line 1"}, content=sent.content, headers=zipped)
    assert done.status_code == 200
    assert done.json()["proposal"]["origin"]["station"] == "demo"

    form = {"archive": ("r.zip", b"no zip", "application/zip")}
    wrong = integrator.post("/recipes/brought-in", data={"reason": "try"}, files=form)
    assert (wrong.status_code, "SVC-RECIPE-ARCHIVE-UNFIT" in wrong.text) == (422, True)
    form = {"archive": ("r.zip", sent.content, "application/zip")}
    done = integrator.post("/recipes/brought-in", data={"reason": "as on line 1"}, files=form)
    assert done.headers["location"] == f"/recipes/{NAME}?done=brought_in#way"
    brought = Accounts(there.station.store).audit(limit=100, subject=f"recipe:{NAME}")
    assert [(one.action, one.reason) for one in brought] == [("recipe.proposed", "as on line 1")] * 2
    assert all(one.before and one.after for one in brought)


def test_a_recipe_that_is_new_here_has_a_page_while_it_waits(plant):
    sent = plant.at("line-1").publishes(name="flange")
    there = plant.at("line-2")
    needs_libraries(there.station)
    integrator = signed_in(there.station.app(), Role.INTEGRATOR)
    form = {"archive": ("r.zip", sent, "application/zip")}
    done = integrator.post("/recipes/brought-in", data={"reason": "new"}, files=form)
    assert done.headers["location"] == "/recipes/flange?done=brought_in#way"
    for language, said in (
        (
            "en",
            r"Brought in: the recipe flange, revision \d+ of station line-1\. Here it waits as revision \d+",
        ),
        ("zh", r"已导入：工位 line-1 的配方 flange，修订 \d+。它在此处作为修订 \d+ 等待"),
    ):
        shown = integrator.get(done.headers["location"], headers={"Accept-Language": language}).text
        assert re.search(said, shown)
        assert '<a href="#way">' in shown
    shown = integrator.get("/recipes/flange").text
    assert "Brought in" not in shown
    assert "+review_from = 0.8" in shown
    assert "new here, not in force" in integrator.get("/recipes").text
    answer = TestClient(there.station.app()).get("/api/v1/recipes/flange").json()
    assert (answer["revision"], answer["text"], answer["may_leave"]) == (None, None, False)


def test_commands_give_recipes_out_and_take_them_in(plant, tmp_path):
    here = plant.at("line-1")
    here.publishes()
    file = tmp_path / "sent.zip"

    def asked(*words: str, typed: str = "") -> str:
        database = f"sqlite:///{plant.folder / plant.name / 'trace.sqlite'}"
        done = CliRunner(env={"LYNCEUS_LANGUAGE": "zh"}).invoke(
            recipe_commands, [*words, "--database", database], input=typed, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.output

    ledger = str(plant.folder / "line-1" / "ledger")
    told = asked("export", NAME, str(file), "--station", "line-1", "--ledger", ledger)
    assert here.station.sealer.public_key.hex() in told
    there = plant.at("line-2")
    adds(there.station.app().state.access, Role.INTEGRATOR)
    told = asked("bring-in", str(file), "--by", "integrator", "--reason", "同线 1", typed=f"{PASSWORD}\n")
    assert "line-1" in told
    stands = there.life.standing(NAME)
    assert stands.proposal is not None
    assert stands.proposal.reason == "同线 1"
