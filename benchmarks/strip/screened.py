"""How much faster a screen makes the inspection of strip: the same network on the same frames, with and without it.

PYTHONPATH=. python benchmarks/strip/screened.py [--runs 5] [--workers 2] [--data ../shared/data]

Frames from memory, fp32, one worker thread per core, each with a network session of one thread and a detector of its
own; OpenCV's own threads off. Only the ratios of one run say something: the machine may be busy;
the ratio of processor times suffers less from that. `without` looks at
every tile (200 px, a quarter of overlap); `with` is the screen, its tiles, and 2 in 1000 quiet tiles by lot.
What the screen costs in findings is measured by benchmarks/screening/recall.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from inspection.protocols import Detector
from inspection.types import Detections, Image, Looked
from inspection.vision.cells import cell_statistics
from inspection.vision.drawing import StripDrawing
from inspection.vision.screening import Screened
from inspection.vision.tiles import Tile
from models import open_detector
from models.screens import open_screen, put_before
from models.training.dataset import read_neu

HEIGHT, WIDTH = 1024, 4096
QUIET_SHARE = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--screen", default="strip-screen")
    parser.add_argument("--released", type=Path, default=None, help="folder of released screens")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=24, help="drawn frames of each mix")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    where = {} if given.released is None else {"folder": given.released}
    released = open_screen(given.screen, **where)
    teacher = released.card.teacher

    def without() -> Detector:
        return open_detector(teacher.name, version=teacher.version)

    def with_screen() -> Screened:
        detector = open_detector(teacher.name, version=teacher.version)
        return put_before(released, detector, detector.ref, most_tiles=10**6, quiet_share=QUIET_SHARE)

    tiles_of = open_detector(teacher.name, version=teacher.version).tiles
    with_screen()
    cost_of_the_screen(released.screen.candidates, given.runs)
    print(
        "\n| frames | hot tiles | sent on | without, ms | with, ms | ratio | of processor time | with, MB/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, frames, hot in mixes(given.data, given.frames, tiles_of):
        few = frames[: given.workers] if frames[0].shape[1] == WIDTH else frames
        plain, screened = [], []
        detectors = [with_screen() for _ in range(given.workers)]
        for _ in range(given.runs):
            plain.append(ms_per_frame([without() for _ in range(given.workers)], few))
            screened.append(ms_per_frame(detectors, frames))
        looked = Detections.together([detectors[0].detect(frame) for frame in frames]).looked or Looked()
        sent = looked.sent / looked.tiles
        slow, fast = (statistics.median(wall for wall, _ in runs) for runs in (plain, screened))
        slow_work, fast_work = (statistics.median(work for _, work in runs) for runs in (plain, screened))
        rate = 1000 * float(np.mean([frame.size for frame in frames])) / 1e6 / fast
        times = f"{slow:.1f} | {fast:.2f} | {slow / fast:.1f} | {slow_work / fast_work:.1f} | {rate:.0f}"
        print(f"| {name} | {hot} | {sent:.2%} | {times} |", flush=True)


def cost_of_the_screen(candidates: Callable[[Image], object], runs: int) -> None:
    frames = [StripDrawing(seed, width_px=WIDTH).frame(0, height_px=HEIGHT).pixels for seed in range(5)]
    print("one frame of 4096 x 1024 px, one thread, ms of processor time (median; least)")
    for name, work in (
        ("read once (numpy max)", lambda frame: frame.max()),
        ("copied", lambda frame: frame.copy()),
        ("cell statistics", cell_statistics),
        ("screen in all", candidates),
    ):
        taken = [timed(work, frame) for _ in range(runs * 4) for frame in frames]
        print(f"  {name:22} {statistics.median(taken):.2f}; {min(taken):.2f}")


def timed(work: Callable[[Image], object], frame: Image) -> float:
    """Processor time of this thread, ms: what else the machine does is not in it."""
    began = time.thread_time()
    work(frame)
    return (time.thread_time() - began) * 1000


def ms_per_frame(detectors: Sequence[Detector], frames: Sequence[Image]) -> tuple[float, float]:
    """Wall and processor time per frame with each worker taking every n-th frame."""
    number = len(detectors)

    def work(which: int) -> None:
        for frame in frames[which::number]:
            detectors[which].detect(frame)

    with ThreadPoolExecutor(number) as workers:
        began, used = time.perf_counter(), time.process_time()
        list(workers.map(work, range(number)))
        wall, processor = time.perf_counter() - began, time.process_time() - used
    return 1000 * wall / len(frames), 1000 * processor / len(frames)


def mixes(
    data: Path, count: int, tiles_of: Callable[[tuple[int, int]], tuple[Tile, ...]]
) -> Iterator[tuple[str, list[Image], str]]:
    """Name, frames, and the share of tiles with any part of a known defect."""
    for rate in (0.011, 0.11, 0.6):
        strip = StripDrawing(77, width_px=WIDTH, defects_per_megapixel=rate)
        drawings = [strip.frame(index, height_px=HEIGHT) for index in range(count)]
        tiles = tiles_of((HEIGHT, WIDTH))
        hot = sum(
            any(
                box.x1 < tile.right and box.x2 > tile.left and box.y1 < tile.bottom and box.y2 > tile.top
                for box in (defect.box_px for defect in drawing.truth)
            )
            for drawing in drawings
            for tile in tiles
        )
        yield "drawn 4096 x 1024", [one.pixels for one in drawings], f"{hot / len(tiles) / count:.2%}"
    folder = data / "strip_frames_severstal" / "images"
    paths = sorted(folder.glob("*.jpg"))
    yield (
        "Severstal 1600 x 256",
        [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in paths],
        "unknown",
    )
    for share in (0.01, 0.05, 0.2):
        yield f"NEU-DET val in {share:.0%} of drawn strip", list(mosaics(data, share, count // 4)), "by area"


def mosaics(data: Path, share: float, count: int) -> Iterator[Image]:
    """Defect-free drawn strip with pictures of NEU-DET laid in, at its brightness; their seams can be seen."""
    pictures = [one.pixels for one in read_neu(data / "neu_det", "val.txt")]
    rng = np.random.default_rng(3)
    strip = StripDrawing(78, width_px=WIDTH, defects_per_megapixel=0)
    for index in range(count):
        frame = strip.frame(index, height_px=HEIGHT).pixels.copy()
        for _ in range(rng.binomial(HEIGHT * WIDTH // 200**2, share)):
            picture = pictures[rng.integers(len(pictures))].astype(np.float32)
            x, y = int(rng.integers(WIDTH - 200)), int(rng.integers(HEIGHT - 200))
            window = frame[y : y + 200, x : x + 200]
            window[:] = np.clip(np.rint(picture + (window.mean() - picture.mean())), 0, 255).astype(np.uint8)
        yield frame


if __name__ == "__main__":
    main()
