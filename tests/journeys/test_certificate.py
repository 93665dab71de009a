"""From a code as a scanner types it to a certificate that a customer proves with one file and no program of ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.a_station import AStation, a_part, an_empty_station, needs_libraries
from tests.browsing import served
from tests.builders import a_unit, an_inspection

CODE = "86.999.1/PART-20261120-0042"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[AStation]:
    """One part with its picture on record, and a delivery that contradicts it."""
    made = needs_libraries(an_empty_station(tmp_path / "station"))
    with made.store:
        picture = made.keeps(a_part(1, defective=False), lane="parts")
        seen = made.finishes(an_inspection(unit=a_unit(CODE), lane="parts", pictures=(picture,)))
        made.store.record([replace(seen, grade="Z")])
        yield made


@pytest.fixture(params=["en", "zh"])
def page(request: pytest.FixtureRequest, station: AStation, browser: Browser) -> Iterator[Page]:
    with served(station.app(language=request.param)) as address:
        context = browser.new_context(
            base_url=address, viewport={"width": 1280, "height": 800}, locale=request.param
        )
        yield context.new_page()
        station.live.close()
        context.close()


def downloaded(page: Page, words: re.Pattern[str], folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=words).click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file


def verifier_says(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Alone in a folder, with nothing of ours to import."""
    call = [sys.executable, "-I", "verifier.py", *arguments]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)


def test_a_scanned_code_leads_to_a_certificate_that_the_verifier_proves_and_a_forged_one_that_it_does_not(
    page: Page, station: AStation, tmp_path: Path
):
    page.goto("/trace")
    # A scanner types and presses Enter; whoever holds it has clicked nothing before.
    page.keyboard.type(CODE)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trace/{CODE}")
    expect(page.locator("h1.code")).to_have_text(CODE)

    customer = tmp_path / "customer"
    customer.mkdir()
    with urlopen(page.url.removesuffix(f"/trace/{CODE}") + "/api/v1/proofs/verifier") as given:
        (customer / "verifier.py").write_bytes(given.read())
    key = station.sealer.public_key.hex()
    picture = customer / "picture.jpg"
    (sha256,) = station.images.sizes()
    picture.write_bytes(station.images.read(sha256))
    for words in (re.compile("PDF"), re.compile("(Certificate|证明书).*JSON")):
        certificate = downloaded(page, words, customer)
        proven = verifier_says(customer, certificate.name, "--key", key, "--picture", picture.name)
        assert proven.returncode == 0, proven.stderr
        assert "PROVEN" in proven.stdout
        assert "NOT PROVEN" not in proven.stdout
        other_key = verifier_says(customer, certificate.name, "--key", "00" * 32)
        assert other_key.returncode != 0

    said = json.loads(certificate.read_text(encoding="utf-8"))
    forged = (
        json.dumps(said).replace('"ACCEPT"', '"REJECT"').replace("PART-20261120-0042", "PART-20261120-0043")
    )
    (customer / "forged.json").write_text(forged, encoding="utf-8")
    refused = verifier_says(customer, "forged.json", "--key", key)
    assert (refused.returncode != 0, "NOT PROVEN" in refused.stdout + refused.stderr) == (True, True)


def test_what_contradicts_a_record_is_flagged_above_and_shown_below(page: Page):
    page.goto(f"/trace/{CODE}")
    expect(page.locator(".banner-failure").first).to_contain_text("1")
    page.locator('.banner-failure a[href="#contradictions"]').click()
    section = page.locator("#contradictions")
    expect(section.locator("tbody tr")).to_have_count(1)
    section.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(section.locator("pre")).to_contain_text('"grade": "Z"')
