"""An integrator's day, in both languages: from a new camera to a promoted model.

What a page cannot do is done by its command: a gold set is locked and a candidate judged on it, where the pictures are.
That it looked on beside a lane is written as a lane writes it.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import expect

from inspection.types import Image
from models.anomaly import KIND, write
from models.store import ModelStore
from services.cli.model import model
from services.datasets import DataSets
from station_config import load_recipe
from tests.a_station import (
    AStation,
    a_frame_seen,
    a_part,
    an_empty_station,
    begun_now,
    jpeg_of,
    needs_libraries,
)
from tests.browsing import served, signs_in
from tests.inspection.vision.drawn_scenes import CHECKERS, views
from tests.models.networks import a_model, answering
from tests.models.releases import PART, latest
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from tests.services.test_model_pages import NAME, VERSIONS, has_looked_on
from traceability.accounts import Accounts, Role


@pytest.fixture
def station(tmp_path: Path, monkeypatch) -> Iterator[AStation]:
    for name in ("models", "recipes", "datasets"):
        monkeypatch.setenv(f"LYNCEUS_{name.upper()}", str(tmp_path / name))
    for number, version in enumerate(VERSIONS):
        made = a_model(answering({"map": np.full((1, 1, 8, 8), number / 10)}), (KIND,), task="maps")
        write(
            replace(made, card=made.card.model_copy(update={"name": NAME, "version": version})),
            tmp_path / "models",
        )
    made_here = needs_libraries(an_empty_station(tmp_path))
    with made_here.store:
        made_here.runs()
        yield made_here


@contextmanager
def showing(station: AStation, image: Image) -> Iterator[None]:
    """The camera of the parts shows this, again and again."""
    stop = threading.Event()
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()

    def show() -> None:
        begun = begun_now(lane="parts", code="86.999.1/SET-UP")
        seen = a_frame_seen(a_part(3, defective=False), begun)
        while not stop.wait(0.1):
            station.sees(replace(seen, jpeg=jpeg, captured_at=datetime.now(UTC)), begun)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def by_command(folder: Path, step: str, *, by: str) -> Result:
    """A step of the model's life that runs where the labelled pictures are; what is chip or crack there, the model
    finds as an anomaly."""
    return CliRunner().invoke(
        model,
        [
            *(step, NAME, "--data", str(folder / "datasets" / "flange"), "--by", by),
            *("--as", f"chip={KIND}", "--as", f"crack={KIND}"),
            *("--database", f"sqlite:///{folder / 'trace.sqlite'}"),
        ],
        input=f"{PASSWORD}\n",
    )


def even_surface() -> Image:
    light = 120 + 60 * np.cos(np.linspace(-1, 1, 400))
    return np.repeat(light[None, :], 400, axis=0).astype(np.uint8)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_models_guess_is_saved_only_once_a_person_has_answered_each(station, browser, language):
    app = station.app(language=language)
    adds(with_quick_passwords(app), Role.INTEGRATOR)
    sets = DataSets.of_plant()
    sets.make("flange", ["chip", "crack", "stain"])
    picture = sets.add("flange", "brought/1", jpeg_of(a_part(3, defective=True)))
    wrong: list[str] = []
    with served(app) as address:
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        signs_in(page, "integrator", PASSWORD, to="/datasets/flange")
        page.locator("a[href*='/label']").first.click()
        page.wait_for_function("() => customElements.get('label-editor') !== undefined")
        page.keyboard.press("g")
        guesses = page.locator(".labelling-picture .is-guess")
        expect(guesses.first).to_be_visible(timeout=30_000)
        count = guesses.count()
        page.keyboard.press("s")
        status = page.locator("[data-status]")
        expect(status).to_have_text(status.get_attribute("data-unsaved") or "")
        assert sets.find("flange").waiting == (picture,)
        for _ in range(count):
            expect(guesses).not_to_have_count(0)
            page.keyboard.press("a")
        expect(guesses).to_have_count(0)
        page.keyboard.press("s")
        page.wait_for_url("**/datasets/flange")
        station.live.close()
        context.close()
    assert wrong == []
    assert len(sets.truth("flange", picture).truth) == count
    labelled = Accounts(station.store).audit(limit=1)[0]
    assert labelled.after is not None
    assert labelled.after["guessed_by"] == f"{PART} {latest(PART).name}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_integrator_goes_from_a_new_camera_to_a_promoted_model(station, browser, language, tmp_path):
    app = station.app(language=language)
    access = with_quick_passwords(app)
    adds(access, Role.INTEGRATOR)
    adds(access, Role.ENGINEER)
    wrong: list[str] = []
    with served(app) as address:
        opened = [
            browser.new_context(
                base_url=address,
                viewport={"width": 1280, "height": 800},
                locale="zh-CN" if language == "zh" else "en-GB",
            )
            for _ in range(2)
        ]
        page, second = (context.new_page() for context in opened)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        signs_in(page, "integrator", PASSWORD, to="/cameras")
        signs_in(second, "engineer", PASSWORD, to="/recipes")

        # The camera: what is wrong, focus and light, the lens, the lamp.
        page.locator("form[action='/cameras/doctor'] button").click()
        expect(page.locator(".finding-wrong")).to_contain_text("harvesters")
        taken = views(CHECKERS)
        page.goto("/cameras/parts")
        with showing(station, taken[0]):
            expect(page.locator("[data-value=sharpness]")).not_to_have_text("–")
            expect(page.locator(".aids-histogram rect")).to_have_count(64)
            page.goto("/cameras/parts/calibration")
            page.locator("input[name=square_mm]").fill("6")
            page.locator("form[action$='/board'] button").click()
            page.locator("form[action$='/take'] button").click()
            expect(page.locator(".bench li")).to_have_count(1)
        page.locator("input[type=file]").set_input_files(
            [
                {
                    "name": f"{number}.png",
                    "mimeType": "image/png",
                    "buffer": cv2.imencode(".png", one)[1].tobytes(),
                }
                for number, one in enumerate(taken[1:])
            ]
        )
        page.locator(".aids-upload button").click()
        expect(page.locator(".bench li")).to_have_count(len(taken))
        page.locator("form:has(input[name=keep][value=false]) button").click()
        page.locator("form:has(input[name=keep][value=true]) button").click()
        expect(page.locator("#files .snippet")).to_have_count(1)
        with showing(station, even_surface()):
            page.locator("input[name=pictures]").fill("2")
            page.locator("form[action$='/flat-field'] button").click()
            expect(page.locator("#files .snippet")).to_have_count(2)
        (flat,) = (tmp_path / "recipes").glob("parts-*.flat.png")
        snippet = page.locator("#files .snippet", has_text=flat.name).inner_text()

        # The recipe: the flat field in, a limit changed, a second person, published.
        before = load_recipe("part-demo").settings.revision
        page.goto("/recipes/part-demo")
        text = page.locator("textarea[name=text]").input_value()
        page.locator(".recipe-text summary").click()
        page.locator("textarea[name=text]").fill(f"{text}\n{snippet}\n")
        page.locator(".recipe-text input[name=reason]").fill("the lamp is uneven")
        page.locator(".recipe-text button:not([formaction])").click()
        page.wait_for_url(lambda url: url.endswith("/recipes/part-demo?done=proposed#way"))
        page.locator("a[href$='of=proposal#form']").click()
        # The page before has the same form.
        page.wait_for_url("**of=proposal#form")
        page.locator("#form input[name=review_from]").first.fill("0.8")
        page.locator("#form input[name=reason]").fill("the lamp is uneven; chips below 0.8 mm are fine")
        page.locator("#form button:not([formaction])").click()
        expect(page.locator(".difference")).to_contain_text("+review_from = 0.8")
        expect(page.locator(".difference")).to_contain_text(flat.name)
        second.goto("/recipes/part-demo")
        second.locator("form[action$='/approve'] input[type=password]").fill(PASSWORD)
        with second.expect_navigation():
            second.locator("form[action$='/approve'] button").click()
        page.reload()
        page.locator("form[action$='/publish'] button").click()
        expect(page.locator("form[action$='/publish']")).to_have_count(0)
        published = load_recipe("part-demo").settings
        assert (published.revision, published.limits[0].review_from) == (before + 1, 0.8)
        assert published.flat_field is not None

        # The data set: two pictures, one marked by keys alone, one good, out as COCO.
        page.goto("/datasets")
        page.locator("form[action='/datasets'] input[name=name]").fill("flange")
        for kind in ("chip", "crack"):
            page.locator(f"form[action='/datasets'] input[value={kind}]").check()
        page.locator("form[action='/datasets'] button").click()
        page.locator("input[type=file]").set_input_files(
            [
                {
                    "name": f"{seed}.jpg",
                    "mimeType": "image/jpeg",
                    "buffer": jpeg_of(a_part(seed, defective=seed == 1)),
                }
                for seed in (1, 2)
            ]
        )
        page.locator("form[action$='/pictures'] button").click()
        page.locator("a[href*='/label']").first.click()
        page.wait_for_function("() => customElements.get('label-editor') !== undefined")
        first = page.url
        page.locator(".labelling-picture").focus()
        page.keyboard.press("n")
        page.keyboard.press("2")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("m")
        for arrow in ("ArrowRight", "ArrowDown", "ArrowLeft"):
            page.keyboard.press(" ")
            page.keyboard.press(f"Shift+{arrow}")
        page.keyboard.press("Enter")
        expect(page.locator(".labels-list li")).to_have_count(2)
        page.keyboard.press("s")
        page.wait_for_url(lambda url: "/label" in url and url != first)
        page.keyboard.press("s")
        page.wait_for_url("**/datasets/flange")
        with page.expect_download() as download:
            page.locator("a[href$='format=coco']").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            names = archive.namelist()
        assert "coco.json" in names
        assert sum(name.startswith("images/") for name in names) == 2

        # The model: proposed, judged where the pictures are, looked on, approved by another, promoted.
        page.goto(f"/models/{NAME}")
        page.locator("form[action$='/propose'] select").select_option("1.1.0")
        page.locator("form[action$='/propose'] button").click()
        locked = by_command(tmp_path, "lock-gold", by="engineer")
        assert locked.exit_code == 0, locked.output
        judged = by_command(tmp_path, "judge", by="integrator")
        assert judged.exit_code == 0, judged.output
        page.reload()
        gates = page.locator("li:has(.table-tight) tbody tr")
        expect(gates).to_have_count(5)
        has_looked_on(station, "1.1.0", seen=250)
        second.goto(f"/models/{NAME}")
        second.locator("form[action$='/approve'] input[type=password]").fill(PASSWORD)
        with second.expect_navigation():
            second.locator("form[action$='/approve'] button").click()
        page.reload()
        with page.expect_navigation():
            page.locator("form[action$='/promote'] button").click()
        assert ModelStore.of_plant().in_force(NAME) == "1.1.0"
        station.live.close()
        for context in opened:
            context.close()
    assert wrong == []
    acts = {one.action for one in Accounts(station.store).audit(limit=200)}
    assert {
        "camera.calibration",
        "camera.flat_field",
        "recipe.proposed",
        "recipe.approved",
        "recipe.published",
        "dataset.labelled",
        "model.gold_locked",
        "model.passed",
        "model.promoted",
    } <= acts
