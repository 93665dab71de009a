"""A recipe goes from one station to another, in both languages: given out, brought in, approved by a second person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.recipe_life import RecipeLife
from station_config import load_recipe
from tests.a_station import AStation, an_empty_station, needs_libraries
from tests.browsing import served, signs_in
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Role

NAME = "part-demo"


@contextmanager
def at(station: AStation, browser: Browser, language: str) -> Iterator[tuple[Page, Page]]:
    """The station's desk, for an integrator and for an engineer who are signed in."""
    app = station.app(language=language)
    access = with_quick_passwords(app)
    people = (adds(access, Role.INTEGRATOR), adds(access, Role.ENGINEER))
    with served(app) as address:
        contexts = [
            browser.new_context(base_url=address, viewport={"width": 1280, "height": 800}) for _ in people
        ]
        pages = [context.new_page() for context in contexts]
        wrong: list[str] = []
        for page, person in zip(pages, people, strict=True):
            page.on("pageerror", lambda error: wrong.append(str(error)))
            signs_in(page, person.name, PASSWORD, to="/recipes")
        yield pages[0], pages[1]
        station.live.close()
        for context in contexts:
            context.close()
        assert wrong == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_recipe_goes_to_another_station_and_acts_there_once_two_people_said_so(
    tmp_path: Path, monkeypatch, browser, language
):
    def here(name: str) -> AStation:
        monkeypatch.setenv("LYNCEUS_RECIPES", str(tmp_path / name / "recipes"))
        (tmp_path / name).mkdir()
        return needs_libraries(an_empty_station(tmp_path / name))

    sent = tmp_path / f"{NAME}.recipe.zip"
    first = here("line-1")
    with first.store, at(first, browser, language) as (integrator, engineer):
        life = RecipeLife(first.store)
        text = load_recipe(NAME).text.decode().replace("review_from = 0.5", "review_from = 0.8")
        by = with_quick_passwords(first.app()).accounts
        now = datetime.now(UTC)
        why = "chips below 0.8 mm are fine"
        stands = life.propose(NAME, text, by=by.named("integrator"), at=now, reason=why)
        assert stands.proposal is not None
        life.approve(NAME, stands.proposal.sha256, by=by.named("engineer"), at=now)
        engineer.goto(f"/recipes/{NAME}")
        expect(engineer.locator("a[download]")).to_have_count(0)
        integrator.goto(f"/recipes/{NAME}")
        expect(integrator.locator("a[download]")).to_have_count(0)
        integrator.locator("form[action$='/publish'] button").click()
        with integrator.expect_download() as download:
            integrator.locator("a[download]").click()
        download.value.save_as(sent)

    second = here("line-2")
    with second.store, at(second, browser, language) as (integrator, engineer):
        before = load_recipe(NAME).ref
        altered = bytearray(sent.read_bytes())
        altered[len(altered) // 3] ^= 1
        bring = integrator.locator("form[action='/recipes/brought-in']")
        for data in (bytes(altered), sent.read_bytes()):
            bring.locator("input[type=file]").set_input_files(
                {"name": sent.name, "mimeType": "application/zip", "buffer": data}
            )
            bring.locator("input[name=reason]").fill("as on line 1")
            bring.locator("button").click()
            if data == bytes(altered):
                expect(integrator.locator(".banner-failure")).to_contain_text("SVC-RECIPE-ARCHIVE-UNFIT")
        integrator.wait_for_url(lambda url: url.endswith(f"/recipes/{NAME}?done=brought_in#way"))
        expect(integrator.locator(".banner[role=status]")).to_contain_text(NAME)
        expect(integrator.locator("#way")).to_contain_text(first.sealer.public_key.hex()[:16])
        expect(integrator.locator(".difference")).to_contain_text("+review_from = 0.8")
        expect(integrator.locator("form[action$='/approve']")).to_have_count(0)
        assert load_recipe(NAME).ref == before

        engineer.goto(f"/recipes/{NAME}")
        engineer.locator("form[action$='/approve'] input[type=password]").fill(PASSWORD)
        engineer.locator("form[action$='/approve'] button").click()
        expect(engineer.locator("form[action$='/approve']")).to_have_count(0)
        assert load_recipe(NAME).ref == before
        integrator.reload()
        integrator.locator("form[action$='/publish'] button").click()
        expect(integrator.locator("form[action$='/publish']")).to_have_count(0)
        assert load_recipe(NAME).settings.limits[0].review_from == 0.8
