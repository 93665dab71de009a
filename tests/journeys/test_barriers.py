"""No page keeps anybody out: axe-core finds no serious barrier, light or dark, on the panel and on a phone.

The pages are found as a reader finds them, by following links from the header. Of each kind of page one is measured as
each of the roles sees it, and one is looked at by axe-core. WCAG 2.2 A and AA: https://www.w3.org/TR/WCAG22/
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from tests.a_station import (
    AStation,
    a_frame_seen,
    a_part,
    a_strip,
    an_empty_station,
    begun_now,
    defects_of,
    hours_of_parts,
    needs_libraries,
)
from tests.browsing import served, signs_in
from tests.builders import a_measurement, a_strip_map, a_unit, an_inspection
from tests.drawn_coil import COIL_A, LINKS, UNITS
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from tests.where import REPOSITORY
from traceability import holds
from traceability.accounts import Role
from traceability.genealogy.recording import record

AXE = REPOSITORY / "tests" / "vendor" / "axe.min.js"

SCREENS = (("light", 1280, 800), ("dark", 390, 844))

ROLES = (Role.ENGINEER, Role.INTEGRATOR, Role.ADMINISTRATOR)
"""Between them they see every page."""

NO_PAGES = ("/api/", "/static/", "/openapi.json", "/metrics", "/healthz")

ADDRESSES = """links => links.map(link => new URL(link.getAttribute('href'), location.href))
  .map(({pathname, search}) => pathname + search)"""

LOOKS = """async () => (await axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  resultTypes: ["violations"],
})).violations.filter(({impact}) => impact === "serious" || impact === "critical")
  .map(({id, help, nodes}) => `${id}: ${help}: ${nodes.slice(0, 3).map(({html}) => html.slice(0, 160)).join(" | ")}`)"""

TOO_LOW = """() => [...document.querySelectorAll("main .button:not(.button-small)")]
  .filter(({offsetHeight}) => offsetHeight > 0 && offsetHeight < 44).map(({textContent}) => textContent.trim())"""
"""A finger in a glove hits 44 px."""


@pytest.fixture
def station(tmp_path) -> AStation:
    return a_busy_station(tmp_path)


def a_busy_station(folder: Path) -> AStation:
    """A station that has seen everything once: units of each verdict, a family, a unit on hold, a live picture."""
    made = needs_libraries(an_empty_station(folder))
    made.runs()
    now = datetime.now(UTC)
    hours_of_parts(made, [0, 3, 1, 2] * 6 + [14], until=now, simulated=False)
    record(made.store, units=UNITS, links=LINKS)
    part = a_part(3, defective=True)
    for verdict in Verdict:
        made.finishes(
            an_inspection(
                unit=a_unit(f"86.999.1/PART-9-{verdict}"),
                lane="parts",
                verdict=verdict,
                defects=defects_of(part, lane="parts"),
                measurements=(a_measurement(),),
                pictures=(made.keeps(part, lane="parts"),),
                finished_at=now,
            )
        )
    made.finishes(an_inspection(unit=COIL_A, verdict=Verdict.REJECT, strip=a_strip_map(), finished_at=now))
    holds.place(made.store, [COIL_A], ids=[uuid7()], reason="pits", at=now, by="engineer")
    begun = begun_now(lane="strip", code="86.999.1/COIL-9")
    made.sees(a_frame_seen(a_strip(), begun), begun)
    return made


# Every page in every role: 50 s alone, several times that on an older machine beside other tests.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_has_a_serious_barrier_and_none_is_wider_than_a_phone(station, browser, language):
    if not AXE.is_file():
        pytest.skip("not there: python scripts/fetch_web_libraries.py")
    app = station.app(language=language)
    access = with_quick_passwords(app)
    for role in ROLES:
        adds(access, role)
    found: list[str] = []
    looked_at: set[str] = set()
    with station.store, served(app) as address:
        for role in ROLES:
            context = browser.new_context(base_url=address, locale="zh-CN" if language == "zh" else "en-GB")
            page = context.new_page()
            if not looked_at:
                found += _barriers(page, "/sign-in", AXE)
            signs_in(page, role.value, PASSWORD)
            waiting = [*_leads_to(page), f"/trace/{COIL_A}"]
            measured: set[str] = set()
            while waiting:
                url = waiting.pop(0)
                kind = _kind(url)
                if kind is not None and kind not in measured:
                    found += _barriers(page, url, None if kind in looked_at else AXE)
                    measured.add(kind)
                    waiting += _leads_to(page)
            looked_at |= measured
            context.close()
        station.live.close()
    assert {"/", "/trace", "/trace/*", "/spc", "/containment", "/review", "/people", "/audit"} <= looked_at
    assert found == [], "\n".join(found)


FOLDED = "is => document.querySelectorAll('details').forEach(one => { one.open = !is; })"

DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def _barriers(page: Page, url: str, axe: Path | None) -> list[str]:
    """Of all that the page holds, what is folded up too; without `axe` only whether it fits and its buttons are high
    enough."""
    page.goto(url, wait_until="load")
    found: list[str] = []
    for scheme, width, height in SCREENS:
        page.evaluate(FOLDED, True)
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(f"innerWidth === {width}")
        page.evaluate(DRAWN)
        page.evaluate(FOLDED, False)
        page.evaluate(DRAWN)
        if axe is not None:
            page.evaluate(axe.read_text(encoding="utf-8"))
            found += [f"{url} {scheme}: {barrier}" for barrier in page.evaluate(LOOKS)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{url} is wider than {width} px")
        found += [f"{url} has a button that is too low: {button}" for button in page.evaluate(TOO_LOW)]
    return found


def _leads_to(page: Page) -> list[str]:
    return page.eval_on_selector_all("a[href]:not([download])", ADDRESSES)


def _kind(url: str) -> str | None:
    """The address with a star for what names one of many; None for what is no page."""
    path = urlsplit(url).path
    if path.startswith(NO_PAGES):
        return None
    return re.sub(r"(/[^/]*\d[^/]*)+", "/*", path)
