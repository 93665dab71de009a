from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browsing import a_browser

# What a page is to show is there within moments; where three tests run at once on two cores, what scripts draw after an
# answer has taken longer than the usual five seconds.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = a_browser(playwright)
        yield started
        started.close()
