"""What one part of 1280 x 1024 px takes: found, five diameters measured, its code read, and looked at by the network.

PYTHONPATH=. python benchmarks/parts/frame.py [--frames 300]
PYTHONPATH=. .venv-peers/bin/python benchmarks/parts/frame.py --beside-ultralytics     after `make .venv-peers/ready`

Processor time, so that what else runs on the machine counts little; nothing here waits.

The network is the released part-surface model on one thread, as in a lane: once on the whole picture, as ultralytics'
predict does it with the same file, and in its tiles of 400 px, which is what a lane does with so large a picture.
`all` is finding, measuring, reading and one pass. Ultralytics does the pass alone, and wall time is its own measure
too, since its runtime waits for threads of its own.
The code is a DataMatrix that is read as it is; a frame whose code cannot be read takes longest, and is shown apart.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import zxingcpp

from inspection.types import Image
from inspection.vision.aligning import OutlineReference
from inspection.vision.calibration import EvenScale
from inspection.vision.codes import read_codes
from inspection.vision.drawing import draw_part
from inspection.vision.measuring import CircleGauge, Edge, Quantity, measure
from inspection.vision.outline import PartOutline
from inspection.vision.tiles import Tile
from models import ModelStore, open_detector

SIZE_PX, WIDTH_PX = 1024, 1280
MM_PER_PX = 100 / SIZE_PX
RIM = CircleGauge(
    centre_mm=(0, 0), radius_mm=42.0, reach_mm=1.5, edge=Edge(brightness="falling", min_contrast=15)
)
BORE = CircleGauge(centre_mm=(0, 0), radius_mm=11.5, reach_mm=1.0, edge=Edge(brightness="rising"))
GAUGES = {
    "rim": RIM,
    "rim above": replace(RIM, from_deg=180, to_deg=360),
    "rim below": replace(RIM, from_deg=0, to_deg=180),
    "bore": BORE,
    "bore below": replace(BORE, from_deg=0, to_deg=180),
}
QUANTITIES = [Quantity(name=name, kind="diameter", of=(name,)) for name in GAUGES]
PLANE = EvenScale(x_mm_per_px=MM_PER_PX, y_mm_per_px=MM_PER_PX, scale_uncertainty=0.0)
ALIGNER = OutlineReference(
    outline=PartOutline(min_share=0.2, max_share=0.85), offset_px=(0.0, 0.0), angle_deg=None
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--beside-ultralytics", action="store_true")
    given = parser.parse_args()
    frames = given.frames
    cv2.setNumThreads(1)
    detector = open_detector("part-surface", threads=1)
    pictures = [a_picture(index) for index in range(4)]
    whole = Tile(left=0, top=0, right=WIDTH_PX, bottom=SIZE_PX)
    predict = by_ultralytics() if given.beside_ultralytics else None
    took_ms: dict[str, list[float]] = defaultdict(list)
    for number in range(frames + 10):
        picture = pictures[number % len(pictures)]
        began_s = time.perf_counter()
        marks = [time.process_time()]
        pose = ALIGNER.find(picture, PLANE)
        marks.append(time.process_time())
        assert len(measure(picture, PLANE, GAUGES, QUANTITIES, pose=pose)) == 5
        marks.append(time.process_time())
        assert len(read_codes(picture, ["datamatrix"])) == 1
        marks.append(time.process_time())
        detector.look_at(picture, whole)
        marks.append(time.process_time())
        ours_s = time.perf_counter() - began_s
        if number >= 10:
            steps = np.diff(marks) * 1e3
            for step, ms in zip(("find", "measure", "read code", "one pass"), steps, strict=True):
                took_ms[step].append(ms)
            took_ms["all"].append(steps.sum())
            took_ms["all, on the wall"].append(ours_s * 1e3)
            began = time.process_time()
            detector.detect(picture)
            took_ms["network, tiles"].append((time.process_time() - began) * 1e3)
        if predict is not None:
            began_s, began = time.perf_counter(), time.process_time()
            predict(picture)
            if number >= 10:
                took_ms["ultralytics"].append((time.process_time() - began) * 1e3)
                took_ms["ultralytics, on the wall"].append((time.perf_counter() - began_s) * 1e3)
    for picture in [without_label(one) for one in pictures] * 5:
        began = time.process_time()
        assert not read_codes(picture, ["datamatrix"])
        took_ms["no code there"].append((time.process_time() - began) * 1e3)
    print("step                       median    p99    max   ms")
    for step, values in took_ms.items():
        print(f"{step:24} {np.median(values):8.1f} {np.percentile(values, 99):6.1f} {max(values):6.1f}")


def by_ultralytics() -> Callable[[Image], object]:
    """Its predict on our file, with its defaults but for the size."""
    from models.training.cpu_torchvision import make_importable

    make_importable()
    import ultralytics

    released = ModelStore().find("part-surface")
    folder = Path(tempfile.mkdtemp())
    file = folder / "model.onnx"
    file.write_bytes(released.network)
    model = ultralytics.YOLO(str(file), task="detect")
    side = released.card.input_hw[0]
    predict: Callable[[Image], object] = lambda picture: model.predict(  # noqa: E731
        cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), imgsz=side, verbose=False
    )
    predict(np.zeros((SIZE_PX, WIDTH_PX), np.uint8))
    shutil.rmtree(folder)
    return predict


def without_label(picture: Image) -> Image:
    made = picture.copy()
    made[:300, 1040:] = 34
    return made


def a_picture(index: int) -> Image:
    """A flange, and a label beside it."""
    picture: Image = np.full((SIZE_PX, WIDTH_PX), 34, np.uint8)
    picture[:, :SIZE_PX] = draw_part(9, index, size_px=SIZE_PX, defective=False).pixels
    code = zxingcpp.create_barcode(f"86.999.1/PART-{index:04}", zxingcpp.BarcodeFormat.DataMatrix)
    label = np.array(code.to_image(scale=6), np.uint8) // 2 + 60
    picture[40 : 40 + label.shape[0], 1060 : 1060 + label.shape[1]] = label
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.uint8)


if __name__ == "__main__":
    main()
