"""What tiles that overlap less cost and save: defects of drawn strip found, by how much of a tile neighbours share.

PYTHONPATH=. python benchmarks/strip/overlap.py [--model strip-surface-int8]

Frames of 1600 x 400 px that taught and chose nothing. A defect is found where its kind is reported with an overlap of
at least 0.1, found well from 0.5 on; false is what overlaps no defect by 0.1.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.screening.recall import drawn
from inspection.vision.boxes import overlaps
from inspection.vision.tiles import cut_into_tiles
from models import open_detector

FRAME_HW = (400, 1600)
SHARES = (0.25, 0.125, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="strip-surface-int8")
    detector = open_detector(parser.parse_args().model)
    pictures = [
        *drawn(range(900, 906), defects_per_megapixel=6.0),
        *drawn(range(930, 940), defects_per_megapixel=6.0),
    ]
    print(f"{detector.ref.name} {detector.ref.version}, {len(pictures)} frames of 1600 x 400 px\n")
    print("| neighbours share | tiles a frame | of 4096 x 1024 px | defects | found | found well | false |")
    print("|---|---|---|---|---|---|---|")
    for share in SHARES:
        tiles = cut_into_tiles(FRAME_HW, tile_px=200, overlap=share)
        large = cut_into_tiles((1024, 4096), tile_px=200, overlap=share)
        defects = found = well = false = 0
        for one in pictures:
            looks = [detector.look_at(one.pixels, tile) for tile in tiles]
            said = detector.together(FRAME_HW, tiles, looks)
            boxes = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in one.truth]
            true = np.array(boxes, np.float32).reshape(-1, 4)
            for defect, box in zip(one.truth, true, strict=True):
                best = most(box, said.xyxy[[kind == defect.kind for kind in said.kind]])
                defects, found, well = defects + 1, found + (best >= 0.1), well + (best >= 0.5)
            false += sum(most(box, true) < 0.1 for box in said.xyxy)
        print(
            f"| {share:.3f} | {len(tiles)} | {len(large)} | {defects} | {found} | {well} | {false} |",
            flush=True,
        )


def most(box: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    return float(overlaps(box[None], others).max(initial=0.0))


if __name__ == "__main__":
    main()
