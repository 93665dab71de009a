"""The station page in Chromium: how soon it is seen, what it weighs, and what it takes of a core while pictures come.

PYTHONPATH=. python benchmarks/station/page.py [--rate 25] [--seconds 20] [--loads 5]

The service is a process of its own, with a live state that is fed one frame every 1 / rate seconds, alternately of a
good and of a bad part, and a finished unit every second. First paint is what the browser reports
(first-contentful-paint), from the start of the navigation, with nothing in its cache. Processor time is of all
processes of the browser, and of the service beside, over the seconds after the page has settled; 100 % is one core.
Chromium draws without a GPU, in software: a panel with a GPU takes less.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from inspection.types import Verdict
from tests.a_station import AStation, a_frame_seen, a_part, an_empty_station, begun_now
from tests.browsing import QUIET
from tests.builders import an_inspection

PAGES = ("/", "/handover", "/alarms", "/trace", "/spc", "/cases", "/containment")
SETTLES_S = 5.0
LANE = "parts"


def serve(told: Connection, rate: float) -> None:
    """The service's process: says its port, serves and is fed until it is told to end."""
    with tempfile.TemporaryDirectory() as folder:
        station = an_empty_station(Path(folder))
        with station.store:
            station.runs()
            app = station.app(language="en")
            server = uvicorn.Server(
                uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2)
            )
            serving = threading.Thread(target=server.run)
            serving.start()
            while not server.started:
                time.sleep(0.05)
            over = threading.Event()
            feeding = threading.Thread(target=feed, args=(station, over, rate))
            feeding.start()
            told.send(server.servers[0].sockets[0].getsockname()[1])
            told.recv()
            over.set()
            feeding.join()
            station.live.close()
            server.should_exit = True
            serving.join()


def feed(station: AStation, over: threading.Event, rate: float) -> None:
    """Frames of good and bad parts in turn, made before; a unit ends every second."""
    parts = [a_part(3, defective=bad) for bad in (False, True)]
    kept = [station.keeps(part, lane=LANE) for part in parts]
    begun = begun_now(lane=LANE, code="86.999.1/PAGE-0")
    frames = [a_frame_seen(part, begun) for part in parts]
    began = time.monotonic()
    number = 0
    while not over.wait(max(0.0, began + number / rate - time.monotonic())):
        if number % round(rate) == 0:
            if number:
                which = number // round(rate) % 2
                station.finishes(
                    an_inspection(
                        id=begun.id,
                        unit=begun.unit,
                        lane=LANE,
                        verdict=Verdict.REJECT if which else Verdict.ACCEPT,
                        defects=frames[which].result.defects,
                        pictures=(kept[which],),
                        finished_at=datetime.now(UTC),
                    )
                )
            begun = begun_now(lane=LANE, code=f"86.999.1/PAGE-{number}")
            station.live.begun(begun)
        frame = frames[number % 2]
        result = replace(frame.result, sequence=number)
        station.live.frame(
            replace(frame, inspection_id=begun.id, captured_at=datetime.now(UTC), result=result)
        )
        number += 1


@contextmanager
def a_service(rate: float) -> Iterator[tuple[str, psutil.Process]]:
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=serve, args=(theirs, rate))
    process.start()
    try:
        if not ours.poll(60):
            raise SystemExit("The service did not start.")
        yield f"http://127.0.0.1:{ours.recv()}", psutil.Process(process.pid)
    finally:
        ours.send("end")
        process.join(30)


def spent_s(of: psutil.Process) -> float:
    """Processor time of a process and all below it; one that ends meanwhile takes its time with it."""
    total = 0.0
    for one in (of, *of.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def load(browser: Browser, address: str, path: str) -> tuple[float, int, int]:
    """First paint in ms, bytes over the wire and requests until the page stands, with nothing in the cache."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(path, wait_until="load")
    page.wait_for_timeout(500)
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN"
    )
    sizes = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((entry) => entry.transferSize)"
    )
    context.close()
    return float(paint), int(sum(sizes)), len(sizes)


def drawn_per_s(page: Page, seconds: float) -> float:
    """How many previews the page draws a second: each sets the width of its canvas."""
    page.evaluate(
        """() => {
          window.drawn = 0;
          const draw = CanvasRenderingContext2D.prototype.drawImage;
          CanvasRenderingContext2D.prototype.drawImage = function (...given) {
            window.drawn += 1;
            return draw.apply(this, given);
          };
        }"""
    )
    page.wait_for_timeout(1000 * seconds)
    return int(page.evaluate("window.drawn")) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--loads", type=int, default=5)
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no Chromium: apt-get install -y chromium fonts-noto-cjk")
    with sync_playwright() as playwright, a_service(asked.rate) as (address, service):
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        # Chromium's own processes hang below Playwright's driver.
        own = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
        root = min(own, key=lambda one: one.create_time())
        print(
            "| page | first paint, ms (median of loads) | KiB over the wire | requests |\n|---|---|---|---|"
        )
        for path in PAGES:
            loads = [load(browser, address, path) for _ in range(asked.loads if path == "/" else 1)]
            paint = statistics.median(one[0] for one in loads)
            worst = max(one[0] for one in loads)
            of = f"{paint:.0f} (worst of {len(loads)}: {worst:.0f})" if len(loads) > 1 else f"{paint:.0f}"
            print(f"| {path} | {of} | {loads[-1][1] / 1024:.0f} | {loads[-1][2]} |")
        page = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800}).new_page()
        page.goto("/")
        page.wait_for_timeout(1000 * SETTLES_S)
        taken = (spent_s(root), spent_s(service), time.monotonic())
        drawn = drawn_per_s(page, asked.seconds)
        seconds = time.monotonic() - taken[2]
        print(f"\npreviews drawn a second: {drawn:.1f} of {asked.rate:g}")
        print(f"browser: {100 * (spent_s(root) - taken[0]) / seconds:.1f} % of one core")
        print(f"service: {100 * (spent_s(service) - taken[1]) / seconds:.1f} % of one core")
        browser.close()


if __name__ == "__main__":
    main()
