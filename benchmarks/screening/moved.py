"""What a network keeps of its own findings when its tiles lie elsewhere: why a screen sends on tiles of the grid.

PYTHONPATH=. python benchmarks/screening/moved.py [--data ../shared/data]

Each finding of the network everywhere is sought again (same kind, overlap of half or more) by the same network: on all
tiles of the picture without its first 8 rows and 16 columns; in one tile around the finding; and in the one tile of
the grid in whose middle it lies best.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.screening.recall import drawn, magnetic_tiles, severstal, share
from inspection.types import Detections
from inspection.vision.boxes import overlaps
from inspection.vision.tiles import Tile
from models import open_detector

DOWN, ALONG = 8, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    cv2.setNumThreads(1)
    detector = open_detector("strip-surface")
    print(f"{detector.ref.name} {detector.ref.version}\n")
    print("| pictures | findings | tiles moved by 16 x 8 px | a tile around it | the best tile of the grid |")
    print("|---|---|---|---|---|")
    for name, pictures in (
        ("Severstal frames", severstal(given.data / "strip_frames_severstal")),
        ("drawn strip 1600 x 400", drawn(range(900, 906), defects_per_megapixel=6.0)),
        ("magnetic tiles val, first 60", list(magnetic_tiles(given.data / "magnetic_tile"))[:60]),
    ):
        found = 0
        kept = np.zeros(3, int)
        for picture in pictures:
            image = picture.pixels
            height, width = image.shape
            tiles = detector.tiles((height, width))
            if len(tiles) == 1:
                continue
            moved = detector.detect(image[DOWN:, ALONG:])
            shift = np.array([ALONG, DOWN, ALONG, DOWN], np.float32)
            everywhere = detector.detect(image)
            for kind, box in zip(everywhere.kind, everywhere.xyxy, strict=True):
                x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                left = int(np.clip(x - 100, 0, max(width - 200, 0)))
                top = int(np.clip(y - 100, 0, max(height - 200, 0)))
                around = Tile(left=left, top=top, right=min(left + 200, width), bottom=min(top + 200, height))
                best = max(tiles, key=lambda tile: _inside(tile, x, y, width=width, height=height))
                found += 1
                kept += [
                    is_in(kind, box, moved, moved.xyxy + shift),
                    *(
                        is_in(kind, box, one, one.xyxy)
                        for one in (detector.look_at(image, t) for t in (around, best))
                    ),
                ]
        print(f"| {name} | {found} | {' | '.join(share(int(one), found) for one in kept)} |", flush=True)


def _inside(tile: Tile, x: float, y: float, *, width: int, height: int) -> float:
    """How far a place lies from the nearest border of a tile that is not one of the picture."""
    ways = [(x - tile.left, tile.left > 0), (tile.right - x, tile.right < width)]
    ways += [(y - tile.top, tile.top > 0), (tile.bottom - y, tile.bottom < height)]
    return min((distance if is_inner else 1e9 for distance, is_inner in ways), default=0.0)


def is_in(kind: str, box: NDArray[np.float32], found: Detections, xyxy: NDArray[np.float32]) -> bool:
    same = xyxy[[other == kind for other in found.kind]]
    return bool((overlaps(box[None], same) >= 0.5).any())


if __name__ == "__main__":
    main()
