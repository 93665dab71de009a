"""Trains a detector of boxes from a plant's own labelled pictures: what a station's page Training begins here.

    python -m models.training.labelled --data SET --name NAME --into FOLDER --work FOLDER

SET is a folder as YOLO has it (docs/models.md). A fifth of its units teach nothing: they choose the epoch and the
thresholds, and say how good the detector is.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from inspection.types import Box, Image
from inspection.vision.decoding import decode_image
from inspection.vision.drawing import DrawnDefect
from inspection.vision.tiles import cut_into_tiles
from models.anomaly import say_precision, say_progress
from models.datasets import to_train_from, version_of
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet, read_yolo
from models.training import train
from models.training.dataset import Labelled, TrainingSet, cropped, touch, write_set
from models.training.release import Exhibit, Gold, release_run

EPOCHS: Final = 60
"""At most: it ends when PATIENCE of them brought nothing better by the pictures that judge."""

PATIENCE: Final = 20

LARGEST_PX: Final = 416
"""Of a tile: what is larger is cut into such. An epoch takes four times as long as of 224 px."""

_STRIDE_PX: Final = 32
LICENCE: Final = "as the plant says of its pictures"
"""Of models trained from them."""

# As for our own metal, with mosaic given up early enough for the network to learn whole pieces.
AUGMENT: Final = {
    "fliplr": 0.5,
    "flipud": 0.5,
    "hsv_h": 0.0,
    "hsv_s": 0.0,
    "hsv_v": 0.35,
    "scale": 0.3,
    "translate": 0.1,
    "mosaic": 0.5,
    "close_mosaic": 15,
}


def pieces_of(picture: Labelled, tile_px: int) -> list[Labelled]:
    """The picture as a station will show it to the network: whole, or in tiles. Left out are tiles that show a bit of a
    defect and none that can be told: they would teach that there is nothing."""
    height, width = picture.pixels.shape[:2]
    found = []
    for number, tile in enumerate(cut_into_tiles((height, width), tile_px=tile_px)):
        window = Box(tile.left, tile.top, tile.right, tile.bottom)
        shown = _shown(picture.truth, window)
        if shown or not any(touch(one.box_px, window) for one in picture.truth):
            pixels = np.ascontiguousarray(tile.of(picture.pixels))
            found.append(Labelled(name=f"{picture.name}_{number}", pixels=pixels, truth=shown))
    return found


def _shown(truth: Sequence[DrawnDefect], window: Box) -> tuple[DrawnDefect, ...]:
    """px of the window: of what lies in it all, since somebody marked it, however thin; of what it cuts, what can be
    told."""
    found: list[DrawnDefect] = []
    for one in truth:
        box = one.box_px
        if window.x1 <= box.x1 and window.y1 <= box.y1 and box.x2 <= window.x2 and box.y2 <= window.y2:
            there = Box(box.x1 - window.x1, box.y1 - window.y1, box.x2 - window.x1, box.y2 - window.y1)
            found.append(DrawnDefect(kind=one.kind, box_px=there))
        else:
            found += cropped([one], window)
    return tuple(found)


def make_labelled_set(
    learn: LabelledSet, judge: LabelledSet, folder: Path, *, tile_px: int, source: str, licence: str
) -> TrainingSet:
    """Pieces with defects, and of those without about as many, spread evenly; to choose by, all pieces.

    Raises SetUnfit for kinds of which no piece shows enough: the network would claim to know them.
    """
    kinds = sorted({kind for one in learn.pictures for kind in one.kinds})
    pieces = [piece for one in read(learn) for piece in pieces_of(one, tile_px)]
    taught = {defect.kind for one in pieces for defect in one.truth}
    if unseen := [kind for kind in kinds if kind not in taught]:
        wrong = f"of {', '.join(unseen)} no piece of {tile_px} px shows enough"
        raise SetUnfit(
            f"{learn.folder} is no set to learn from or to judge by: {wrong}.",
            action="Give smaller pictures, or mark each place of such a defect by itself.",
            place=str(learn.folder),
            wrong=wrong,
        )
    bad, even = [one for one in pieces if one.truth], [one for one in pieces if not one.truth]
    step = max(1, len(even) // max(len(bad), 1))
    choose = [piece for one in read(judge) for piece in pieces_of(one, tile_px)]
    return write_set(folder, kinds, [(source, licence, [*bad, *even[::step]])], choose_by=choose)


def read(labelled: LabelledSet) -> list[Labelled]:
    """Its pictures in grey, with their boxes."""
    found = []
    for number, one in enumerate(labelled.pictures):
        truth = tuple(DrawnDefect(kind=truth.kind, box_px=truth.box_px) for truth in one.truth)
        found.append(Labelled(name=f"{number:05}", pixels=in_grey(labelled, one), truth=truth))
    return found


def in_grey(labelled: LabelledSet, picture: LabelledFile) -> Image:
    pixels = decode_image(labelled.file(picture).read_bytes())
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)


def size_of(labelled: LabelledSet) -> tuple[int, int]:
    """Of a tile, px, and of the network's input that shows it."""
    tile_px = min(LARGEST_PX, max(max(one.width_px, one.height_px) for one in labelled.pictures))
    return tile_px, -(-tile_px // _STRIDE_PX) * _STRIDE_PX


def train_from_labels(
    labelled: LabelledSet,
    *,
    name: str,
    source: str,
    version: str,
    work: Path,
    into: Path,
    epochs: int,
    licence: str = LICENCE,
) -> Path:
    """The folder of the released model; `licence` is that of the pictures.

    Raises SetUnfit, and RuntimeError where the exported file answers otherwise than the network.
    """
    learn, judge = to_train_from(labelled)
    tile_px, input_px = size_of(labelled)
    # Plants' sets are small: a step for each batch, or there are few.
    plan = train.Plan(
        input_px=input_px,
        epochs=epochs,
        seed=0,
        per_step=16,
        patience=PATIENCE,
        learning_rate=0.001,
        augment=AUGMENT,
    )
    made = make_labelled_set(learn, judge, work / "data", tile_px=tile_px, source=source, licence=licence)
    say(f"{made.sources[0].images} pieces of {tile_px} px with {made.sources[0].boxes} defects teach")
    say(f"{len(judge.pictures)} pictures of other units judge")
    train.fit(plan, folder=work, threads=len(os.sched_getaffinity(0)), each_epoch=_tell)
    judged_by = read(judge)
    exhibit = Exhibit(
        released_as=name,
        tile_px=tile_px,
        licence=licence,
        chosen_by="the pictures set aside (epoch by ultralytics' fitness; thresholds)",
        choose=judged_by,
        clean=[one for one in judged_by if not one.truth],
        calibrate=[],
        gold=(
            Gold(
                on=f"{len(judge.pictures)} pictures of other units than taught it",
                pictures=judged_by,
                note=f"They also chose the epoch and the thresholds. The set is {version_of(labelled)}.",
            ),
        ),
        unlabelled=None,
    )
    command = f"python -m models.training.labelled --name {name} --epochs {epochs}"
    card = release_run(exhibit, plan, run=work, version=version, command=command, into=into)
    measured = card.measured[0]
    say(
        f"AP50 {measured.map50 or 0:.3f}, {measured.escapes} of {measured.defective} defective pictures escape, "
        f"{measured.overkill} of {measured.clean} good ones are reported"
    )
    return into / card.name / card.version


def _tell(trainer: Any) -> None:
    """An epoch is over."""
    epoch, epochs = trainer.epoch + 1, trainer.epochs
    chosen = ""
    if trainer.args.val:
        map50 = float(trainer.metrics["metrics/mAP50(B)"])
        chosen = f", mAP50 {map50:.3f}"
        say_precision(epoch, map50)
    say(f"epoch {epoch} of {epochs}: loss {sum(float(one) for one in trainer.tloss.values()):.2f}{chosen}")
    if trainer.stop and epoch < epochs:
        say(f"{PATIENCE} epochs brought nothing better: it ends here")
    # The release takes little against all of them.
    say_progress(0.95 if trainer.stop else 0.95 * epoch / epochs)


def say(line: str) -> None:
    """A line of the training's log, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def what_to_train(program: str, description: str, *, epochs: int) -> argparse.ArgumentParser:
    """The words of a command that trains from labels."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--data", type=Path, required=True, help="images/, labels/ and classes.txt")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument(
        "--set", default=None, help="what the card calls the pictures; else the folder's name"
    )
    parser.add_argument("--licence", default=LICENCE, help="of the pictures, for the card")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--into", type=Path, required=True, help="where the model is written to")
    parser.add_argument("--epochs", type=int, default=epochs)
    return parser


def main(arguments: list[str]) -> int:
    words = what_to_train("python -m models.training.labelled", __doc__.splitlines()[0], epochs=EPOCHS)
    words.add_argument("--work", type=Path, required=True, help="an empty folder for pieces and weights")
    asked = words.parse_args(arguments)
    # Before its first import: it says every batch, and writes settings into a home that a service need not have.
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ["YOLO_CONFIG_DIR"] = str(asked.work.resolve())
    labelled = read_yolo(asked.data)
    folder = train_from_labels(
        labelled,
        name=asked.name,
        source=asked.set or asked.data.resolve().name,
        version=asked.version,
        work=asked.work.resolve(),
        into=asked.into,
        epochs=asked.epochs,
        licence=asked.licence,
    )
    say(str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
