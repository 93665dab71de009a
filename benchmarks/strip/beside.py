"""Strip frames inspected by us beside what a user would pick: same frames, same weights, one run, two cores.

make benchmark-strip, or: PYTHONPATH=. .venv-peers/bin/python benchmarks/strip/beside.py [--data ../shared/data]

SAHI, supervision and ultralytics run the fp32 ONNX file in windows of the network's own 224 px, which are fewer
than our tiles of 200 px, with onnxruntime and all the cores. Ours run in as many workers as there are cores, each with
its own session of one thread, as in a station: `everywhere` is our detector on all of its tiles, `screened` what the
screen sends on and 1 in 5000 quiet tiles by lot. Peers see the first frame of each mix, `everywhere` one for each core.
A frame is hot by the share of its 256 px squares that show any of a defect.

Figures are medians over the runs; each run does all ways one after the other. `of one core` is processor time, which a
busy machine stretches less than the time on the wall.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inspection.protocols import Detector
from inspection.types import Detections, Image, Looked
from inspection.vision.cells import cell_statistics
from inspection.vision.drawing import StripDrawing
from models import ModelStore, open_detector
from models.screens import open_screen, put_before
from models.training.dataset import read_neu

HEIGHT, WIDTH = 1024, 4096
SQUARE_PX = 256
WINDOW_PX = 224
QUIET_SHARE = 0.0002


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mix:
    name: str
    frames: list[Image]
    hot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How frames are inspected. `look` does with the frames what is timed; `at_most` of them, where that takes long."""

    name: str
    look: Callable[[Sequence[Image]], None]
    at_most: int | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--screen", default="strip-screen")
    parser.add_argument("--version", default=None, help="of the screen")
    parser.add_argument("--released", type=Path, default=None, help="folder of released screens")
    parser.add_argument("--frames", type=int, default=48, help="drawn frames of each mix")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--without-peers", action="store_true")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    where = {} if given.released is None else {"folder": given.released}
    screen = open_screen(given.screen, version=given.version, **where)
    card = screen.card
    networks = {"fp32": card.teacher, "int8": next(iter(card.also), None)}

    def everywhere(precision: str) -> list[Detector]:
        network = networks[precision]
        assert network is not None
        return [open_detector(network.name, version=network.version) for _ in range(given.workers)]

    def screened(precision: str) -> list[Detector]:
        return [
            put_before(screen, one, one.ref, most_tiles=10**6, quiet_share=QUIET_SHARE)  # type: ignore[attr-defined,arg-type]
            for one in everywhere(precision)
        ]

    ours = {}
    for precision, network in networks.items():
        if network is not None:
            ours[f"everywhere, {precision}"] = everywhere(precision)
            ours[f"screened, {precision}"] = screened(precision)
    ways = [
        Way(
            name=name,
            look=side_by_side(detectors),
            at_most=given.workers if name.startswith("everywhere") else None,
        )
        for name, detectors in ours.items()
    ]
    print(
        f"{card.name} {card.version} before "
        + ", ".join(f"{one.name} {one.version}" for one in networks.values() if one)
    )
    cost_of_the_screen(screen.screen.candidates, given.runs)
    with tempfile.TemporaryDirectory() as folder:
        if not given.without_peers:
            onnx = Path(folder) / "model.onnx"
            onnx.write_bytes(ModelStore().find(card.teacher.name, card.teacher.version).network)
            ways = [*peers(onnx), *ways]
        for mix in mixes(given.data, given.frames):
            report(mix, ways, ours, given.runs)


def report(mix: Mix, ways: Sequence[Way], ours: dict[str, list[Detector]], runs: int) -> None:
    taken: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            some = mix.frames if way.at_most is None else mix.frames[: way.at_most]
            began, used = time.perf_counter(), time.process_time()
            way.look(some)
            taken[way.name].append(
                (
                    1000 * (time.perf_counter() - began) / len(some),
                    1000 * (time.process_time() - used) / len(some),
                )
            )
    wall = {name: statistics.median(one for one, _ in times) for name, times in taken.items()}
    work = {name: statistics.median(one for _, one in times) for name, times in taken.items()}
    sent = {}
    for name, detectors in ours.items():
        if name.startswith("screened"):
            looked = (
                Detections.together([detectors[0].detect(frame) for frame in mix.frames]).looked or Looked()
            )
            sent[name] = f"{looked.sent / looked.tiles:.2%}"
    size = statistics.fmean(frame.size for frame in mix.frames) / 1e6
    print(f"\n{mix.name}, hot {mix.hot}, {len(mix.frames)} frames\n")
    print("| way | ms | ms of one core | MB/s | sent on | screened fp32 is faster by | screened int8 by |")
    print("|---|---|---|---|---|---|---|")
    for way in ways:
        by = [
            f"{wall[way.name] / wall[name]:.1f}" if name in wall and name != way.name else "–"
            for name in ("screened, fp32", "screened, int8")
        ]
        figures = f"{wall[way.name]:.1f} | {work[way.name]:.1f} | {1000 * size / wall[way.name]:.0f}"
        print(f"| {way.name} | {figures} | {sent.get(way.name, '–')} | {' | '.join(by)} |", flush=True)


def side_by_side(detectors: Sequence[Detector]) -> Callable[[Sequence[Image]], None]:
    """Each worker takes the next frame that nobody has taken."""

    def look(frames: Sequence[Image]) -> None:
        waiting = iter(frames)

        def work(detector: Detector) -> None:
            # One thread at a time runs Python: `next` is handed out once each.
            for frame in waiting:
                detector.detect(frame)

        with ThreadPoolExecutor(len(detectors)) as workers:
            list(workers.map(work, detectors))

    return look


def peers(onnx: Path) -> list[Way]:
    """What a user would pick, warmed up."""
    from models.training.cpu_torchvision import make_importable

    make_importable()
    import supervision
    import torch
    import ultralytics
    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    ultralytics.settings.update(sync=False)
    confidence = 0.25
    model = ultralytics.YOLO(str(onnx), task="detect")
    sliced = AutoDetectionModel.from_pretrained(
        model_type="ultralytics",
        model_path=str(onnx),
        confidence_threshold=confidence,
        device="cpu",
        image_size=WINDOW_PX,
    )
    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def by_sahi(overlap: float) -> Callable[[Sequence[Image]], None]:
        def look(frames: Sequence[Image]) -> None:
            for frame in frames:
                get_sliced_prediction(
                    _in_colour(frame),
                    sliced,
                    slice_height=WINDOW_PX,
                    slice_width=WINDOW_PX,
                    overlap_height_ratio=overlap,
                    overlap_width_ratio=overlap,
                    verbose=0,
                )

        return look

    def predict(images: Any) -> Any:
        return model.predict(images, imgsz=WINDOW_PX, conf=confidence, verbose=False)

    def one_slice(image: Image) -> Any:
        return supervision.Detections.from_ultralytics(predict(image)[0])

    slicer = supervision.InferenceSlicer(
        callback=one_slice, slice_wh=(WINDOW_PX, WINDOW_PX), overlap_wh=(0, 0), thread_workers=1
    )

    def by_supervision(frames: Sequence[Image]) -> None:
        for frame in frames:
            slicer(_in_colour(frame))

    def by_ultralytics(frames: Sequence[Image]) -> None:
        for frame in frames:
            image = _in_colour(frame)
            for top in range(0, image.shape[0], WINDOW_PX):
                for left in range(0, image.shape[1], WINDOW_PX):
                    predict(image[top : top + WINDOW_PX, left : left + WINDOW_PX])

    ways = [
        Way(name="SAHI, overlap 0.2", look=by_sahi(0.2), at_most=1),
        Way(name="SAHI, overlap 0", look=by_sahi(0.0), at_most=1),
        Way(name="supervision InferenceSlicer, overlap 0", look=by_supervision, at_most=1),
        Way(name="ultralytics predict, tile by tile", look=by_ultralytics, at_most=1),
    ]
    for way in ways:
        way.look([np.full((300, 300), 120, np.uint8)])
    return ways


def _in_colour(frame: Image) -> Image:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR), np.uint8)


def cost_of_the_screen(candidates: Callable[[Image], object], runs: int) -> None:
    frames = [StripDrawing(seed, width_px=WIDTH).frame(0, height_px=HEIGHT).pixels for seed in range(5)]
    print("\none frame of 4096 x 1024 px, one thread, ms of processor time: median; least")
    for name, work in (
        ("read once (numpy max)", lambda frame: frame.max()),
        ("copied", lambda frame: frame.copy()),
        ("cell statistics", cell_statistics),
        ("screen in all", candidates),
    ):
        taken = []
        for _ in range(runs * 4):
            for frame in frames:
                began = time.thread_time()
                work(frame)
                taken.append(1000 * (time.thread_time() - began))
        print(f"  {name:22} {statistics.median(taken):.2f}; {min(taken):.2f}")


def mixes(data: Path, count: int) -> Iterator[Mix]:
    for per_megapixel in (0.01, 0.09, 0.5):
        strip = StripDrawing(77, width_px=WIDTH, defects_per_megapixel=per_megapixel)
        drawings = [strip.frame(index, height_px=HEIGHT) for index in range(count)]
        hot = np.zeros((count, HEIGHT // SQUARE_PX, WIDTH // SQUARE_PX), np.bool_)
        for squares, drawing in zip(hot, drawings, strict=True):
            for box in (defect.box_px for defect in drawing.truth):
                rows = slice(int(box.y1) // SQUARE_PX, int(-(-box.y2 // SQUARE_PX)))
                squares[rows, int(box.x1) // SQUARE_PX : int(-(-box.x2 // SQUARE_PX))] = True
        yield Mix(name="drawn 4096 x 1024", frames=[one.pixels for one in drawings], hot=f"{hot.mean():.2%}")
    paths = sorted((data / "strip_frames_severstal" / "images").glob("*.jpg"))
    frames = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) for path in paths]
    yield Mix(name="real, Severstal 1600 x 256", frames=frames, hot="unknown")
    for share in (0.05,):
        frames = list(mosaics(data, share, count // 6))
        yield Mix(
            name="NEU-DET val in drawn strip, 4096 x 1024", frames=frames, hot=f"{share:.0%} of the area"
        )


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
