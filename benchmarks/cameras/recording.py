"""How fast drawn strip becomes a run on disk: processor time of its PNG, and what is lost at a rate.

PYTHONPATH=. python benchmarks/cameras/recording.py [--size 2048] [--frames-per-s 20] [--seconds 5] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cameras.drawn import drawn_strip
from cameras.recording import BackgroundRecorder, Recorder, png_of
from cameras.settings import DrawnStripSettings
from tests.fake_cameras import TurnedClock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="width and height, px")
    parser.add_argument("--frames-per-s", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    given = parser.parse_args()
    settings = DrawnStripSettings(
        seed=5, width_px=given.size, height_px=given.size, frames_per_s=1000, buffers=256
    )
    with drawn_strip("top", settings, clock=TurnedClock()) as camera:
        drawn = list(islice(camera.frames(), 4))
    cpu_s = time.process_time()
    sizes = [len(png_of(frame.pixels)) for frame in drawn]
    cpu_s = time.process_time() - cpu_s
    pixels = sum(frame.pixels.nbytes for frame in drawn)
    print(
        f"PNG: {pixels / cpu_s / 1e6:.0f} MB of pixels in a second of one core; {sum(sizes) / pixels:.2f} of their size"
    )
    count = int(given.seconds * given.frames_per_s)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        recorder = BackgroundRecorder(Recorder(Path(folder) / "run"))
        began_s = time.monotonic()
        with recorder:
            for index in range(count):
                recorder.take(replace(drawn[index % len(drawn)], sequence=index))
                time.sleep(max(0.0, began_s + (index + 1) / given.frames_per_s - time.monotonic()))
        took_s = time.monotonic() - began_s
    rate = recorder.written * pixels / len(drawn) / took_s / 1e6
    print(
        f"{recorder.written} of {count} frames written in {took_s:.1f} s, {rate:.0f} MB/s; {recorder.lost} lost"
    )


if __name__ == "__main__":
    main()
