"""The gist of the set that part-surface learned from, which is not the same to the bit on every processor: OpenCV
and numpy round the last digit of blurs and sines as its vector units do, and a grey level here and there is another.

PYTHONPATH=. python -m tests.models.part_set    # writes part_set.npz anew: after a drawing was changed on purpose
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from models.training.dataset import make_part_set

KEPT = Path(__file__).with_suffix(".npz")
EVERY = 10
SIDE = 16


def gist(folder):
    """Of every tenth picture learnt from its mean grey levels, (n, 16, 16); of all their labels, a row each."""
    means, labels = [], []
    for path in sorted((folder / "images" / "train").iterdir())[::EVERY]:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        means.append(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        text = (folder / "labels" / "train" / f"{path.stem}.txt").read_text(encoding="utf-8")
        labels += [[len(means), *map(float, row.split())] for row in text.splitlines()]
    return {"means": np.array(means), "labels": np.array(labels, np.float32)}


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        make_part_set(Path(made))
        np.savez_compressed(KEPT, **gist(Path(made)))
