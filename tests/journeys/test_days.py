"""A day at each desk, in both languages: an operator with a keyboard alone, an engineer from a signal to a closed case.

Twenty decisions are twenty pages: these tests take some ten seconds each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from inspection.types import Verdict
from services.station.messages import LaneState
from tests.a_station import AStation, a_part, an_empty_station, defects_of, hours_of_parts, needs_libraries
from tests.browsing import served, signs_in
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Accounts, Role
from traceability.cases import Cases
from traceability.reviews import Decision, Reviews

PARTS = 20


@pytest.fixture
def station(tmp_path) -> Iterator[AStation]:
    """A day of parts, the last hour of which was bad; twenty of them wait for a person, and a camera is lost."""
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        made.runs()
        now = datetime.now(UTC)
        hours_of_parts(made, [1, 2] * 12 + [14], until=now - timedelta(days=8), simulated=False)
        yield made


@contextmanager
def a_desk(station: AStation, browser, language: str) -> Iterator[Page]:
    app = station.app(language=language)
    access = with_quick_passwords(app)
    adds(access, Role.ENGINEER)
    adds(access, Role.OPERATOR, badge="B-1", pin_hash=access.hashed_pin("2580"))
    with served(app) as address:
        context = browser.new_context(
            base_url=address,
            viewport={"width": 1280, "height": 800},
            locale="zh-CN" if language == "zh" else "en-GB",
        )
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        station.live.close()
        context.close()
        assert wrong == []


def _walks_to(page: Page, selector: str) -> None:
    """By Tab alone, as who has no mouse."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def _presses(page: Page, key: str) -> None:
    """A key of the desk, once somebody can have looked at the unit: nobody is as fast as a program."""
    page.wait_for_function(
        "() => document.readyState === 'complete' && document.querySelector('review-desk').isSeen?.()"
    )
    page.keyboard.press(key)


def test_a_second_press_that_was_meant_for_the_unit_before_decides_nothing(station, browser):
    part = a_part(3, defective=True)
    for number in range(3):
        station.finishes(
            an_inspection(
                unit=a_unit(f"86.999.1/BOUNCE-{number}"),
                lane="parts",
                verdict=Verdict.REVIEW,
                defects=defects_of(part, lane="parts"),
                pictures=(station.keeps(part, lane="parts"),),
                finished_at=datetime.now(UTC),
            )
        )
    with a_desk(station, browser, "en") as page:
        signs_in(page, "operator", PASSWORD, to="/review")
        code = page.locator(".review-side .code")
        expect(code).to_contain_text("BOUNCE-0")
        _presses(page, "F5")
        expect(code).to_contain_text("BOUNCE-1")
        page.keyboard.press("F5")
        page.keyboard.press("F7")
        page.wait_for_function("() => document.querySelector('review-desk').isSeen?.()")
        expect(code).to_contain_text("BOUNCE-1")
        page.keyboard.press("F5")
        expect(code).to_contain_text("BOUNCE-2")
    decided = Reviews(station.store).decided(
        since=datetime.now(UTC) - timedelta(hours=1), until=datetime.now(UTC), limit=100
    )
    assert [one.decision for one in decided] == [Decision.ACCEPT] * 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_operator_decides_twenty_parts_by_keyboard_alone(station, browser, language):
    part = a_part(3, defective=True)
    kept = station.keeps(part, lane="parts")
    for number in range(PARTS):
        station.finishes(
            an_inspection(
                unit=a_unit(f"86.999.1/TODAY-{number:02d}"),
                lane="parts",
                verdict=Verdict.REVIEW,
                defects=defects_of(part, lane="parts"),
                pictures=(kept,),
                finished_at=datetime.now(UTC),
            )
        )
    station.live.lane(
        LaneState(
            lane="parts",
            camera="SIM-1",
            driver="gige",
            condition="lost",
            at=datetime.now(UTC),
            failure="CAM-LOST",
            facts={},
        )
    )
    began = datetime.now(UTC)
    # Of the eight days before some wait, too: they are long elsewhere, and not asked about any more.
    with a_desk(station, browser, language) as page:
        page.goto("/sign-in")
        _walks_to(page, "input[name=badge]")
        page.keyboard.type("B-1")
        page.keyboard.press("Tab")
        page.keyboard.type("2580")
        page.keyboard.press("Enter")
        page.wait_for_url("**/")

        page.keyboard.press("F2")
        expect(page.locator(".alarm-acknowledged")).to_be_visible()

        _walks_to(page, "a[href='/review']")
        page.keyboard.press("Enter")
        for number in range(PARTS):
            code = page.locator(".review-side .code")
            expect(code).to_contain_text(f"TODAY-{number:02d}")
            if number % 4 == 3:
                _presses(page, "F8")
                _presses(page, "1")
            else:
                _presses(page, "F5")
            if number == 0:
                # A slip: taken back within ten seconds, and decided anew.
                expect(code).to_contain_text("TODAY-01")
                _presses(page, "F9")
                expect(code).to_contain_text("TODAY-00")
                _presses(page, "F5")
        expect(page.locator(".review-side")).to_have_count(0)
    decided = Reviews(station.store).decided(since=began, until=datetime.now(UTC), limit=100)
    stands = [one for one in decided if not one.is_taken_back]
    assert len(stands) == PARTS
    assert sum(one.decision is Decision.REJECT for one in stands) == PARTS // 4
    assert {one.by for one in stands} == {"operator"}
    acts = [one.action for one in Accounts(station.store).audit(limit=100)]
    assert acts.count("alarm.acknowledged") == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_engineer_goes_from_a_signal_to_a_closed_case_and_it_opens_again_when_it_recurs(
    station, browser, language
):
    hours_of_parts(station, [1, 2] * 12 + [14], until=datetime.now(UTC), simulated=False)
    with a_desk(station, browser, language) as page:
        signs_in(page, "engineer", PASSWORD, to="/today")

        signal = page.locator(".today-signals li").last
        expect(signal).to_be_visible()
        signal.locator("a.button").click()
        form = page.locator("form#new")
        expect(form.locator("input[name=key]")).to_have_value("p:parts")
        form.locator("textarea").fill("14 of 20 parts refused within an hour")
        form.locator("button").click()

        page.wait_for_url("**/cases/*-*")
        for act, text in (
            ("assigned", "with the shift"),
            ("cause", "a worn tool"),
            ("action", "the tool changed"),
        ):
            act_form = page.locator(f"form:has(input[value={act}])")
            act_form.locator("textarea").fill(text)
            # All of the page that comes, before anything on it is clicked.
            with page.expect_navigation():
                act_form.locator("button").click()
            expect(page.locator(".eight-d")).to_contain_text(text)
        check = page.locator("form:has(input[value=check])")
        check.locator("textarea").fill("none of 200 refused")
        check.locator("input[name=effective]").check()
        check.locator("button").click()
        expect(page.locator(".discipline-missing")).to_have_count(0)

        closing = page.locator("form[action$='/close']")
        closing.locator("textarea").fill("tool life is counted now")
        closing.locator("input[name=password]").fill("not the password")
        closing.locator("button").click()
        expect(page.locator(".banner-failure")).to_contain_text("SVC-SIGN-IN-REFUSED")
        closing.locator("textarea").fill("tool life is counted now")
        closing.locator("input[name=password]").fill(PASSWORD)
        closing.locator("button").click()
        expect(page.locator("form[action$='/close']")).to_have_count(0)
        (case,) = Cases(station.store).all()
        assert not case.is_open

        page.goto("/today")
        page.locator(".today-signals a.button").last.click()
        page.locator("form#new button").click()
        page.wait_for_url(f"**/cases/{case.id}")
        (case,) = Cases(station.store).all()
        assert case.is_open
