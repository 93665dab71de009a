"""How long the strip map takes to draw 200 000 defects in Chromium, without a graphics card: docs/statistics.md.

python benchmarks/spc/map_frames.py
"""

from __future__ import annotations

import json
import random
import shutil
from importlib.resources import files

from playwright.sync_api import Route, sync_playwright

DEFECTS = 200_000
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00")
PAGE = """<!doctype html><html lang=en><style>:root{--faint:#555;--chart-line:#333;--paper:#fff}
position-map{display:block;width:1200px;height:340px}canvas{width:100%;height:100%}</style>
<script type=module src=/map.js></script>
<position-map data-url=/defects data-shape=strip data-texts='{}'></position-map>"""
MEASURE = """async (halved) => {
  const map = document.querySelector("position-map");
  map.show({ ...map.all });
  for (let at = 0; at < halved; at += 1) map.zoom(0.5);
  const taken = [];
  for (let at = 0; at < 40; at += 1) {
    await new Promise((next) => requestAnimationFrame(next));
    map.move(at % 2 ? -0.05 : 0.05, 0);
    const began = performance.now();
    map.draw();
    taken.push(performance.now() - began);
  }
  taken.sort((one, other) => one - other);
  return `${taken[20].toFixed(1)} ms a drawing, at worst ${taken[39].toFixed(1)} ms`;
}"""


def main() -> None:
    chance = random.Random(1)
    data = {
        "extent": [0, 0, 1200, 3_000_000],
        "x_mm": [chance.random() * 1200 for _ in range(DEFECTS)],
        "y_mm": [chance.random() * 3e6 for _ in range(DEFECTS)],
        "kind": [chance.randrange(len(COLOURS)) for _ in range(DEFECTS)],
        "inspection": ["-"] * DEFECTS,
        "kinds": [{"kind": each, "name": each, "colour": each, "defects": 1} for each in COLOURS],
    }
    script = files("services.web").joinpath("static", "position-map.js").read_text(encoding="utf-8")
    answers = {
        "/": (PAGE, "text/html"),
        "/map.js": (script, "text/javascript"),
        "/defects": (json.dumps(data), "application/json"),
    }

    def answer(route: Route) -> None:
        body, kind = answers["/" + route.request.url.split("/", 3)[3]]
        route.fulfill(body=body, content_type=kind)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.route("**/*", answer)
        page.goto("http://map.invalid/")
        page.wait_for_selector("position-map.is-drawn", timeout=60_000)
        for halved in (0, 1, 3):
            print(f"zoomed {2**halved} times: {page.evaluate(MEASURE, halved)}")
        browser.close()


if __name__ == "__main__":
    main()
