"""What somebody wrote or drew outlives the end of their session, and what the station refuses: it is sent once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.access import Access
from services.datasets import DataSets
from tests.a_station import AStation, a_part, an_empty_station, jpeg_of, needs_libraries
from tests.browsing import served, signs_in
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Role
from traceability.handovers import Handovers

WRITTEN = "Roll 3 was changed at 21:40; watch the left edge."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    station: AStation
    access: Access
    page: Page

    def ends_the_session_of(self, name: str) -> None:
        assert self.access.accounts.sign_out_everywhere(name, by=None, at=datetime.now(UTC))

    def signs_in_again(self, name: str) -> None:
        self.page.wait_for_url("**/sign-in?next=*")
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.keyboard.press("Enter")


@pytest.fixture(params=["en", "zh"])
def desk(request, browser, tmp_path: Path, monkeypatch) -> Iterator[Desk]:
    monkeypatch.setenv("LYNCEUS_DATASETS", str(tmp_path / "datasets"))
    station = needs_libraries(an_empty_station(tmp_path))
    station.runs()
    app = station.app(language=request.param)
    access = with_quick_passwords(app)
    for role in Role:
        adds(access, role)
    with station.store, served(app) as address:
        context = browser.new_context(base_url=address, locale="zh-CN" if request.param == "zh" else "en-GB")
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield Desk(station=station, access=access, page=page)
        station.live.close()
        context.close()
    assert wrong == []


def test_a_handover_written_while_the_session_ended_is_there_after_signing_in(desk):
    page = desk.page
    signs_in(page, "operator", PASSWORD, to="/handover")
    text = page.locator("form[action='/handover'] textarea")
    text.fill(WRITTEN)
    desk.ends_the_session_of("operator")
    page.locator("form[action='/handover'] button").click()
    desk.signs_in_again("operator")
    page.wait_for_url("**/handover")
    expect(text).to_have_value(WRITTEN)
    expect(page.locator("form[action='/handover'] [role=status]")).to_be_visible()
    assert Handovers(desk.station.store).all() == ()
    page.locator("form[action='/handover'] button").click()
    expect(page.locator(".handover-waiting")).to_contain_text(WRITTEN)
    expect(text).to_have_value("")
    assert [one.text for one in Handovers(desk.station.store).all()] == [WRITTEN]
    page.reload()
    expect(text).to_have_value("")


def test_what_one_wrote_is_not_put_into_the_form_of_another(desk):
    page = desk.page
    signs_in(page, "operator", PASSWORD, to="/handover")
    text = page.locator("form[action='/handover'] textarea")
    text.fill(WRITTEN)
    desk.ends_the_session_of("operator")
    page.locator("form[action='/handover'] button").click()
    desk.signs_in_again("engineer")
    page.wait_for_url("**/handover")
    expect(text).to_have_value("")


def test_labels_drawn_while_the_session_ended_are_there_after_signing_in(desk):
    page = desk.page
    sets = DataSets.of_plant()
    sets.make("flange", ["chip"])
    sets.add_all("flange", {"brought/1": jpeg_of(a_part(1, defective=True))})
    (picture,) = sets.find("flange").pictures
    signs_in(page, "integrator", PASSWORD)
    page.goto(f"/datasets/flange/label?picture={picture}")
    page.keyboard.press("n")
    expect(page.locator(".labels-list li")).to_have_count(1)
    desk.ends_the_session_of("integrator")
    page.keyboard.press("s")
    desk.signs_in_again("integrator")
    page.wait_for_url("**/label?**")
    expect(page.locator(".labels-list li")).to_have_count(1)
    page.keyboard.press("s")
    page.wait_for_url("**/datasets/flange")
    assert sets.truth("flange", picture).kinds == ("chip",)


def test_a_password_is_not_kept(desk):
    page = desk.page
    signs_in(page, "engineer", PASSWORD, to="/containment")
    form = page.locator("form[action='/containment/release']")
    form.locator("[name=code]").fill("86.999.1/PART-9")
    form.locator("[name=reason]").fill(WRITTEN)
    form.locator("[name=password]").fill(PASSWORD)
    desk.ends_the_session_of("engineer")
    form.locator("button").click()
    page.wait_for_url("**/sign-in?next=*")
    kept = page.evaluate("JSON.stringify({...sessionStorage})")
    assert WRITTEN in kept
    assert PASSWORD not in kept
    desk.signs_in_again("engineer")
    page.wait_for_url("**/containment")
    expect(form.locator("[name=reason]")).to_have_value(WRITTEN)
    expect(form.locator("[name=password]")).to_have_value("")
