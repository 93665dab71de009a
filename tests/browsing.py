"""A browser, and a station's service for it to look at."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def a_browser(playwright: Playwright) -> Browser:
    """Chromium as the system has it, or a skip."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("not there: apt-get install -y chromium fonts-noto-cjk")
    return playwright.chromium.launch(executable_path=chromium, args=list(QUIET))


def signs_in(page: Page, name: str, password: str, *, to: str = "/") -> None:
    """Sign in by name and wait for the page that it leads to; the sign-in's own address ends with it, too."""
    page.goto(f"/sign-in?next={to}")
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: urlsplit(url).path == to)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of a service on a free port of this host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # What is still open when the grace is over is left unclosed, and a busy machine takes its time.
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=20))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.join()
