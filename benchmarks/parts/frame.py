"""What one part of 1280 x 1024 px takes: found, five diameters measured, its code read, and looked at by the network.

PYTHONPATH=. python benchmarks/parts/frame.py [--frames 300]

Processor time, so that what else runs on the machine counts little; nothing here waits.

The network is the released part-surface model in its tiles of 400 px, so several passes, on one thread, as in a lane.
The code is a DataMatrix that is read as it is; a frame whose code cannot be read takes longest, and is shown apart.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import replace

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
from models import open_detector

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
    frames = parser.parse_args().frames
    cv2.setNumThreads(1)
    detector = open_detector("part-surface", threads=1)
    pictures = [a_picture(index) for index in range(4)]
    took_ms: dict[str, list[float]] = defaultdict(list)
    for number in range(frames + 10):
        picture = pictures[number % len(pictures)]
        marks = [time.process_time()]
        pose = ALIGNER.find(picture, PLANE)
        marks.append(time.process_time())
        assert len(measure(picture, PLANE, GAUGES, QUANTITIES, pose=pose)) == 5
        marks.append(time.process_time())
        assert len(read_codes(picture, ["datamatrix"])) == 1
        marks.append(time.process_time())
        detector.detect(picture)
        marks.append(time.process_time())
        if number >= 10:
            steps = np.diff(marks) * 1e3
            for step, ms in zip(("find", "measure", "read code", "network"), steps, strict=True):
                took_ms[step].append(ms)
            took_ms["all"].append(steps.sum())
    for picture in [without_label(one) for one in pictures] * 5:
        began = time.process_time()
        assert not read_codes(picture, ["datamatrix"])
        took_ms["no code there"].append((time.process_time() - began) * 1e3)
    print("step             median    p99    max   ms")
    for step, values in took_ms.items():
        print(f"{step:14} {np.median(values):8.1f} {np.percentile(values, 99):6.1f} {max(values):6.1f}")


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
