"""Makes a release of what was trained: `python -m models.training.release strip|part --version 1.0.0`.

Export to ONNX, comparison of the file with the trained network, choice of thresholds, evaluation of the file run
as a station runs it, and the card that says all this. What is measured is measured on pictures that neither
taught the network nor chose it, except where the card says that the list also chose.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tomli_w
from numpy.typing import NDArray

from inspection.types import Image
from inspection.vision.boxes import Letterbox
from inspection.vision.tiles import cut_into_tiles
from models.boxes import BoxDetector, fill_input
from models.card import KindMeasured, Measured, ModelCard, Training, TrainingSource, Unlabelled
from models.evaluation import Judged, best_threshold, hits_of, misses, precision
from models.session import Session
from models.store import RELEASED, ReleasedModel
from models.training import train
from models.training.dataset import (
    NEU_LICENCE,
    Labelled,
    TrainingSet,
    drawn_frames,
    drawn_parts,
    drawn_strip,
    read_neu,
)

OPSET = 17
LOWEST_SCORE = 0.001  # precision needs the whole range of scores
LOWEST_THRESHOLD = 0.1

# The file and the trained network may differ by rounding, not by more.
PARITY_PX = 0.05
PARITY_SCORE = 0.001

THRESHOLDS_BY = (
    "per kind the highest F1 at an overlap of 0.5 on the list that chose, raised where needed until at most 5 % "
    f"of the defect-free drawn pictures set aside for this report that kind, never below {LOWEST_THRESHOLD}"
)
CLEAN_SHARE = 0.05
SUPPRESS_CHOICES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A labelled set to measure on, by the name the card gives it."""

    on: str
    pictures: Sequence[Labelled]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """What one model is chosen and measured by. `clean` serves the thresholds and is not measured on."""

    released_as: str
    tile_px: int
    licence: str
    chosen_by: str
    choose: Sequence[Labelled]
    clean: Sequence[Labelled]
    gold: Sequence[Gold]
    unlabelled: Path | None


def strip_exhibit(neu: Path) -> Exhibit:
    choose = read_neu(neu, "val.txt")
    return Exhibit(
        released_as="strip-surface",
        tile_px=200,
        licence=f"weights: to be treated like their training pictures, of which NEU-DET has {NEU_LICENCE}",
        chosen_by="NEU-DET val.txt (epoch by ultralytics' fitness; thresholds)",
        choose=choose,
        clean=[
            *drawn_strip(range(7000, 7150), clean=True),
            *(one for seed in (31, 32, 33) for one in drawn_frames(seed, range(20), clean=True)),
        ],
        gold=(
            Gold(
                on="NEU-DET val.txt",
                pictures=choose,
                note="This list also chose the epoch and the thresholds, so a list never seen will do worse. "
                "It holds no defect-free picture: its overkill per kind means another kind of defect.",
            ),
            Gold(
                on="drawn strip 200 px, defect-free, seeds 8000 to 8199",
                pictures=list(drawn_strip(range(8000, 8200), clean=True)),
                note="Drawn, not photographed.",
            ),
            Gold(
                on="drawn strip 200 px, seeds 9000 to 9199",
                pictures=list(drawn_strip(range(9000, 9200), clean=False)),
                note="Drawn, not photographed. Some pictures are crops that happen to hold no defect.",
            ),
            Gold(
                on="drawn strip frames 800 x 400 px, seeds 21 and 22, 40 frames each",
                pictures=[
                    *drawn_frames(21, range(40), clean=False),
                    *drawn_frames(22, range(40), clean=False),
                ],
                note="Drawn as in the demo, looked at in tiles.",
            ),
        ),
        unlabelled=neu.parent / "strip_frames_severstal" / "images",
    )


def part_exhibit(neu: Path) -> Exhibit:
    del neu  # parts are drawn
    return Exhibit(
        released_as="part-surface",
        tile_px=400,
        licence="Apache-2.0; trained on drawn pictures only",
        chosen_by="150 drawn parts of seed 12 (epoch by ultralytics' fitness; thresholds)",
        choose=list(drawn_parts(12, range(150), defective_share=2 / 3)),
        clean=list(drawn_parts(14, range(150), defective_share=0)),
        gold=(
            Gold(
                on="300 drawn parts of seed 13, half of them defective",
                pictures=list(drawn_parts(13, range(300), defective_share=0.5)),
                note="Trained and measured on drawn parts only. It says nothing about real parts.",
            ),
        ),
        unlabelled=None,
    )


EXHIBITS = {"strip": strip_exhibit, "part": part_exhibit}


def release(name: str, *, version: str, run: Path, neu: Path, into: Path) -> ModelCard:
    """Write `<into>/<model>/<version>/` from the best weights of a training run, and return its card.

    Raises RuntimeError when the exported file does not answer as the trained network does.
    """
    exhibit = EXHIBITS[name](neu)
    plan = train.PLANS[name]
    made = TrainingSet.load(run / "data")
    weights = run / "weights" / "best.pt"
    network = train.export_onnx(weights, input_px=plan.input_px, opset=OPSET).read_bytes()
    by_tool = train.figures_by_the_tool(weights, run / "data" / "data.yaml", input_px=plan.input_px)
    card = ModelCard(
        name=exhibit.released_as,
        version=version,
        task="boxes",
        file="model.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        made_on=datetime.datetime.now(datetime.UTC).date(),
        kinds=made.kinds,
        input_hw=(plan.input_px, plan.input_px),
        tile_px=exhibit.tile_px,
        opset=OPSET,
        thresholds=dict.fromkeys(made.kinds, 0.25),
        thresholds_by=THRESHOLDS_BY,
        suppress_above=0.6,
        licence=exhibit.licence,
        export_parity="",
        training=Training(
            tool=f"ultralytics {train.tool_version()}, from scratch (no downloaded weights)",
            tool_licence="AGPL-3.0; used for training only, no part of it is in the product",
            network=train.NETWORK,
            command=f"make train-{name}",
            seed=plan.seed,
            epochs=plan.epochs,
            interrupted=json.loads((run / "run.json").read_text(encoding="utf-8"))["resumed"],
            digest=made.digest,
            chosen_by=exhibit.chosen_by,
            by_its_own_tool=f"mAP50 {by_tool[0]:.4f}, mAP50-95 {by_tool[1]:.4f} on the list that chose",
            sources=tuple(
                TrainingSource(name=one.name, licence=one.licence, images=one.images, boxes=one.boxes)
                for one in made.sources
            ),
        ),
        measured=(),
    )
    parity = check_parity(card, network, weights, exhibit.choose[:60])
    card = card.model_copy(update={"export_parity": parity})
    card = card.model_copy(update={"suppress_above": choose_suppression(card, network, exhibit.choose)})
    thresholds = choose_thresholds(card, network, exhibit)
    card = card.model_copy(update={"thresholds": thresholds})
    card = card.model_copy(
        update={
            "measured": tuple(measure(card, network, gold) for gold in exhibit.gold),
            "unlabelled": tuple(look_at_unlabelled(card, network, exhibit.unlabelled)),
        }
    )
    folder = into / card.name / card.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.file).write_bytes(network)
    facts = ModelCard.model_validate(card.model_dump()).model_dump(exclude_none=True)
    (folder / "card.toml").write_text(tomli_w.dumps(rounded(facts)), encoding="utf-8")
    return card


def check_parity(card: ModelCard, network: bytes, weights: Path, pictures: Sequence[Labelled]) -> str:
    """The sentence of the card that says how far file and trained network differ. Raises RuntimeError."""
    session = Session(ReleasedModel(card=card, network=network))
    inputs = np.empty((len(pictures), 3, *card.input_hw), np.float32)
    for row, one in zip(inputs, pictures, strict=True):
        fill_input(row, one.pixels, Letterbox.fit(_size(one.pixels), card.input_hw))
    trained = train.answers(weights, inputs)
    exported = np.concatenate([session.run(row[None]) for row in inputs])
    off_px = float(np.abs(trained[:, :4] - exported[:, :4]).max())
    off_score = float(np.abs(trained[:, 4:] - exported[:, 4:]).max())
    if off_px > PARITY_PX or off_score > PARITY_SCORE:
        raise RuntimeError(
            f"the ONNX file differs by {off_px:g} px and {off_score:g} in score from the weights"
        )
    return (
        f"on {len(pictures)} pictures at most {off_px:.1e} px and {off_score:.1e} in score from the trained "
        f"network (allowed {PARITY_PX} px, {PARITY_SCORE})"
    )


def choose_suppression(card: ModelCard, network: bytes, pictures: Sequence[Labelled]) -> float:
    """The overlap of SUPPRESS_CHOICES with the highest mAP50."""

    def score(above: float) -> float:
        tried = card.model_copy(update={"suppress_above": above})
        return precision(judged(tried, network, pictures, min_score=LOWEST_SCORE), card.kinds).map50 or 0.0

    return max(SUPPRESS_CHOICES, key=score)


def choose_thresholds(card: ModelCard, network: bytes, exhibit: Exhibit) -> dict[str, float]:
    """By THRESHOLDS_BY."""
    chosen = judged(card, network, exhibit.choose, min_score=LOWEST_SCORE)
    clean = judged(card, network, exhibit.clean, min_score=LOWEST_SCORE)
    thresholds = {}
    for kind in card.kinds:
        scores, hits = hits_of(chosen, kind)
        true_boxes = sum(one.truth_kind.count(kind) for one in chosen)
        best = best_threshold(scores, hits[:, 0], true_boxes=true_boxes)
        loudest = sorted((_loudest(one, kind) for one in clean), reverse=True)
        # Just above the picture that would be one too many.
        quiet = loudest[int(CLEAN_SHARE * len(clean))] + 0.001
        thresholds[kind] = round(min(max(best, quiet, LOWEST_THRESHOLD), 1.0), 3)
    return thresholds


def _loudest(one: Judged, kind: str) -> float:
    scores = [s for s, code in zip(one.found.score.tolist(), one.found.kind, strict=True) if code == kind]
    return max(scores, default=0.0)


def measure(card: ModelCard, network: bytes, gold: Gold) -> Measured:
    """How the file does on a labelled set: precision over all scores, the rest at the card's thresholds."""
    every = precision(judged(card, network, gold.pictures, min_score=LOWEST_SCORE), card.kinds)
    reported = judged(card, network, gold.pictures, min_score=None)
    whole = misses(reported)
    kinds = {}
    for kind, ap50 in every.ap50.items():
        counted = misses(reported, kind)
        kinds[kind] = KindMeasured(
            ap50=ap50,
            boxes=sum(one.truth_kind.count(kind) for one in reported),
            images=counted.defective,
            escapes=counted.escapes,
            overkill=counted.overkill,
        )
    return Measured(
        on=gold.on,
        images=len(gold.pictures),
        map50=every.map50,
        map50_95=every.map50_95,
        defective=whole.defective,
        escapes=whole.escapes,
        clean=whole.clean,
        overkill=whole.overkill,
        kinds=kinds,
        note=gold.note,
    )


def look_at_unlabelled(card: ModelCard, network: bytes, folder: Path | None) -> list[Unlabelled]:
    if folder is None or not folder.exists():
        return []
    detector = BoxDetector(Session(ReleasedModel(card=card, network=network)))
    paths = sorted(folder.glob("*.jpg"))
    tiles = alarmed = 0
    for path in paths:
        frame = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        for tile in cut_into_tiles(_size(frame), tile_px=card.tile_px, overlap=0):
            tiles += 1
            alarmed += len(detector.detect(tile.of(frame))) > 0
    return [
        Unlabelled(
            on="real strip frames 1600 x 256 (Severstal)",
            images=len(paths),
            tiles=tiles,
            tiles_alarmed=alarmed,
            note="Not labelled for these kinds; some frames show defects. The steel, the light and the scale are "
            "not those of NEU-DET. The share of tiles alarmed is neither escape nor overkill.",
        )
    ]


def judged(
    card: ModelCard, network: bytes, pictures: Sequence[Labelled], *, min_score: float | None
) -> list[Judged]:
    """Every picture looked at by the file, run as a station runs it."""
    detector = BoxDetector(Session(ReleasedModel(card=card, network=network)), min_score=min_score)
    return [
        Judged(
            truth_xyxy=_boxes(one),
            truth_kind=tuple(defect.kind for defect in one.truth),
            found=detector.detect(one.pixels),
        )
        for one in pictures
    ]


def _boxes(one: Labelled) -> NDArray[np.float32]:
    corners = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in one.truth]
    return np.array(corners, np.float32).reshape(-1, 4)


def _size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def rounded(value: Any) -> Any:
    """Facts for a card, with figures of four places."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.release", description=__doc__)
    parser.add_argument("name", choices=sorted(EXHIBITS))
    parser.add_argument("--version", required=True)
    parser.add_argument("--neu", type=Path, default=train.REPOSITORY.parent / "shared" / "data" / "neu_det")
    parser.add_argument("--run", type=Path, default=None, help="default: runs/NAME in the repository")
    parser.add_argument("--into", type=Path, default=RELEASED)
    asked = parser.parse_args(arguments)
    run = (asked.run or train.REPOSITORY / "runs" / asked.name).resolve()
    card = release(asked.name, version=asked.version, run=run, neu=asked.neu, into=asked.into)
    facts = [one.model_dump() for one in card.measured]
    sys.stdout.write(
        json.dumps({"released": f"{card.name} {card.version}", "measured": facts}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
