"""Makes a release of what was trained: `python -m models.training.release strip|part|metal --version 1.0.0`.

Export to ONNX, comparison of the file with the trained network, choice of thresholds, evaluation of the file run
as a station runs it, and the card that says all this. What is measured is measured on pictures that neither
taught the network nor chose it, except where the card says that the list also chose.

`--of 1.1.0` releases a network anew that was released before, with thresholds and suppression chosen anew or another
number of looks (`--looks`); `--int8` releases the int8 twin of the newest, or of that named by `--of`, as
`<name>-int8`; `--ensemble 1.1.0 1.2.0` releases several released networks in one file, as `<name>-ensemble`.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import tomli_w
from numpy.typing import NDArray

from inspection.types import Image
from inspection.vision.boxes import Letterbox
from inspection.vision.tiles import cut_into_tiles
from models.boxes import BoxDetector, fill_input
from models.card import (
    FUSED_ABOVE,
    KindMeasured,
    Latency,
    Measured,
    ModelCard,
    Training,
    TrainingSource,
    Unlabelled,
)
from models.evaluation import Judged, auroc, best_threshold, hits_of, misses, precision
from models.maps import MapDetector
from models.session import Session
from models.store import RELEASED, ModelStore, ReleasedModel
from models.training import train
from models.training.dataset import (
    NEU_LICENCE,
    SPINDLE_LICENCE,
    TILE_LICENCE,
    Labelled,
    TrainingSet,
    drawn_frames,
    drawn_parts,
    drawn_strip,
    good_tiles,
    piece_of,
    read_neu,
    read_spindles,
    read_tiles,
)
from models.training.ensemble import SHARES, ensemble
from models.training.quantise import quantised

OPSET = 17
LOWEST_SCORE = 0.001  # precision needs the whole range of scores
# The file and the trained network may differ by rounding, not by more.
PARITY_PX = 0.05
PARITY_SCORE = 0.001

# The int8 network may be worse than its float twin by this much mAP50 on the list that chose.
INT8_LOSS = 0.01

THRESHOLDS_BY = (
    "per kind the highest F1 at an overlap of 0.5 on the list that chose; lowered together, by a tenth at a time, "
    "until at most 1 % of its defective pictures escape; but for every kind so high that all kinds together alarm on "
    "at most 1.5 % of the defect-free pictures set aside for this, or on one, and never below 0.05"
)
LAST_EPOCH = ", the epoch being that of what it goes on from; of its own the last is kept"
LOWEST_THRESHOLD = 0.05
ESCAPED_SHARE = 0.01
CLEAN_SHARE = 0.015
SUPPRESS_CHOICES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
FUSE_CHOICES = (0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A labelled set to measure on, by the name the card gives it."""

    on: str
    pictures: Sequence[Labelled]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """What one model is chosen and measured by. `clean` serves the thresholds and is not measured on; `calibrate`,
    pictures it learned from, the scales of its int8 twin."""

    released_as: str
    tile_px: int
    licence: str
    chosen_by: str
    choose: Sequence[Labelled]
    clean: Sequence[Labelled]
    calibrate: Sequence[Labelled]
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
            *drawn_strip(range(12000, 12250), clean=True),
            *(one for seed in (31, 32, 33) for one in drawn_frames(seed, range(20), clean=True)),
        ],
        calibrate=[
            *read_neu(neu, "train.txt")[::10],
            *drawn_strip(range(7200, 7230), clean=True),
            *drawn_strip(range(7230, 7260), clean=False),
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
        calibrate=list(drawn_parts(11, range(120), defective_share=2 / 3)),
        gold=(
            Gold(
                on="300 drawn parts of seed 13, half of them defective",
                pictures=list(drawn_parts(13, range(300), defective_share=0.5)),
                note="Trained and measured on drawn parts only. It says nothing about real parts.",
            ),
        ),
        unlabelled=None,
    )


def metal_exhibit(neu: Path) -> Exhibit:
    tiles, spindles = neu.parent / "magnetic_tile", neu.parent / "bsdata"
    free = {one.name for one in good_tiles(tiles, "val.txt")}
    # A few of the kind "Uneven" have nothing outlined: neither defective nor clean can be said of them here.
    shown = [one for one in read_tiles(tiles, "val.txt") if one.truth or one.name in free]
    pitted = [piece_of(one, pitted=True) for one in read_spindles(spindles, "val.txt")]
    even = [piece_of(one, pitted=False) for one in read_spindles(spindles, "val.txt")]
    pieces = [one for one in (*pitted, *even) if one is not None]
    return Exhibit(
        released_as="metal-surface",
        tile_px=400,
        licence=f"weights: to be treated like their training pictures: tiles, {TILE_LICENCE}; {SPINDLE_LICENCE}",
        chosen_by="magnetic tiles val.txt and pieces of BSData val.txt (epoch by ultralytics' fitness; thresholds)",
        choose=[*shown, *pieces],
        clean=good_tiles(tiles, "train.txt")[1::2],
        calibrate=[one for one in read_tiles(tiles, "train.txt") if one.truth],
        gold=(
            Gold(
                on="magnetic tiles val.txt",
                pictures=shown,
                note="Other tiles than were learned from; these also chose the epoch and the thresholds.",
            ),
            Gold(
                on="BSData val.txt, pieces of 400 px",
                pictures=pieces,
                note="Other places of spindles than were learned from; these also chose. A piece with pitting and one "
                "without, where there is one, of each picture.",
            ),
        ),
        unlabelled=None,
    )


EXHIBITS = {
    "strip": strip_exhibit,
    "strip-quiet": strip_exhibit,
    "strip-quiet-11": strip_exhibit,
    "part": part_exhibit,
    "metal": metal_exhibit,
}


def release(name: str, *, version: str, run: Path, neu: Path, into: Path, looks: int) -> ModelCard:
    """Write `<into>/<model>/<version>/` from the weights of a training run, and return its card.

    Raises RuntimeError when the exported file does not answer as the trained network does.
    """
    return release_run(
        EXHIBITS[name](neu),
        train.PLANS[name],
        run=run,
        version=version,
        command=f"make train-{name}",
        into=into,
        looks=looks,
    )


def release_run(
    exhibit: Exhibit,
    plan: train.Plan,
    *,
    run: Path,
    version: str,
    command: str,
    into: Path,
    looks: int = 1,
) -> ModelCard:
    """As `release`, of a run of any plan: `run` holds data/, weights/ and run.json."""
    made = TrainingSet.load(run / "data")
    weights = train.weights_of(plan, run)
    network = train.export_onnx(weights, input_px=plan.input_px, opset=OPSET).read_bytes()
    by_tool = train.figures_by_the_tool(weights, run / "data" / "data.yaml", input_px=plan.input_px)
    card = ModelCard(
        name=exhibit.released_as,
        version=version,
        task="boxes",
        file="model.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        made_on=today(),
        kinds=made.kinds,
        input_hw=(plan.input_px, plan.input_px),
        tile_px=exhibit.tile_px,
        opset=OPSET,
        thresholds=dict.fromkeys(made.kinds, 0.25),
        thresholds_by=THRESHOLDS_BY,
        suppress_above=0.6,
        licence=exhibit.licence,
        export_parity="",
        training=training_of(
            plan,
            made,
            run=run,
            command=command,
            chosen_by=exhibit.chosen_by + (LAST_EPOCH if plan.begins_with else ""),
            by_its_own_tool=f"mAP50 {by_tool[0]:.4f}, mAP50-95 {by_tool[1]:.4f} on the list that chose",
            tool_version=train.tool_version(),
        ),
        measured=(),
    )
    card = card.model_copy(
        update={"export_parity": check_parity(card, network, weights, exhibit.choose[:60])}
    )
    return finish(card, network, exhibit, looks=looks, into=into)


def training_of(
    plan: train.Plan,
    made: TrainingSet,
    *,
    run: Path,
    command: str,
    chosen_by: str,
    by_its_own_tool: str,
    tool_version: str,
) -> Training:
    """What a card says of a run. After how many epochs it ended and whether it was stopped and went on, its run.json
    says."""
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return Training(
        tool=f"ultralytics {tool_version}, {_beginning(plan)}",
        tool_licence="AGPL-3.0; used for training only, no part of it is in the product",
        network=f"{plan.network}{', its activations ReLU' if plan.rectified else ''}",
        command=command,
        seed=plan.seed,
        epochs=facts["epochs"],
        interrupted=facts["resumed"],
        digest=made.digest,
        chosen_by=chosen_by,
        by_its_own_tool=by_its_own_tool,
        sources=tuple(
            TrainingSource(name=one.name, licence=one.licence, images=one.images, boxes=one.boxes)
            for one in made.sources
        ),
    )


def _beginning(plan: train.Plan) -> str:
    if plan.begins_with is None:
        return "from scratch (no downloaded weights)"
    name, version = plan.begins_with
    return f"going on from {name} {version}, itself from scratch (no downloaded weights)"


def release_again(name: str, *, of: str, version: str, neu: Path, into: Path, looks: int) -> ModelCard:
    """A released network under a new version, looked at in another way. Its weights stay the same to the bit."""
    exhibit = EXHIBITS[name](neu)
    released = ModelStore().find(exhibit.released_as, of)
    network = train.without_traces(released.network)
    update = {"version": version, "made_on": today(), "sha256": hashlib.sha256(network).hexdigest()}
    return finish(released.card.model_copy(update=update), network, exhibit, looks=looks, into=into)


def release_int8(name: str, *, of: str | None, neu: Path, into: Path, looks: int) -> ModelCard:
    """The int8 twin of a released network, as `<name>-int8` of the same version.

    Raises RuntimeError where it is worse than INT8_LOSS allows.
    """
    exhibit = EXHIBITS[name](neu)
    twin = ModelStore().find(exhibit.released_as, of)
    inputs = []
    for one in exhibit.calibrate:
        inputs.append(np.empty((1, 3, *twin.card.input_hw), np.float32))
        fill_input(inputs[-1][0], one.pixels, Letterbox.fit(_size(one.pixels), twin.card.input_hw))
    network = quantised(twin.network, inputs)
    card = twin.card.model_copy(
        update={
            "name": f"{twin.card.name}-int8",
            "sha256": hashlib.sha256(network).hexdigest(),
            "made_on": today(),
            "looks": 1,
            "fuse_above": None,
        }
    )
    alone = twin.card.model_copy(update={"looks": 1, "fuse_above": None})
    before, after = (
        precision(judged(one, data, exhibit.choose, min_score=LOWEST_SCORE), one.kinds)
        for one, data in ((alone, twin.network), (card, network))
    )
    lost = (before.map50 or 0.0) - (after.map50 or 0.0)
    if lost > INT8_LOSS:
        raise RuntimeError(f"int8 costs {lost:.4f} mAP50, allowed {INT8_LOSS}")
    parity = (
        f"one look of the list that chose: mAP50 {after.map50:.4f} and mAP50-95 {after.map50_95:.4f}; its float twin "
        f"{before.map50:.4f} and {before.map50_95:.4f} (allowed {INT8_LOSS} mAP50 less). The float twin: "
        f"{twin.card.export_parity}"
    )
    card = card.model_copy(update={"export_parity": parity})
    return finish(card, network, exhibit, looks=looks, into=into, twin=twin)


def release_ensemble(
    name: str, *, of: Sequence[str], version: str, neu: Path, into: Path, looks: int
) -> ModelCard:
    """Networks of the package or of `into` in one file, as `<name>-ensemble`; the card is that of the last of them but
    for what differs.

    Raises RuntimeError where the file answers otherwise than its networks.
    """
    exhibit = EXHIBITS[name](neu)
    # Also those that were made here and do not come with the package.
    members = [ModelStore(plant=into).find(exhibit.released_as, one) for one in of]
    network = ensemble([one.network for one in members])
    newest = members[-1].card
    if newest.training is None or any(
        one.card.training is None or one.card.training.digest != newest.training.digest for one in members
    ):
        raise RuntimeError(
            "the networks of an ensemble learned from different sets: one card cannot name both"
        )
    networks = [f"{one.card.version} ({one.card.training.network})" for one in members if one.card.training]
    tools = dict.fromkeys(one.card.training.tool for one in members if one.card.training)
    training = newest.training.model_copy(
        update={
            "tool": "; ".join(tools),
            "network": f"{exhibit.released_as} {' and '.join(networks)}, each shown its input at "
            f"{' and '.join(f'{share:g}' for share in SHARES)} of its sides",
            "command": f"make ensemble-{name}",
            "chosen_by": f"{newest.training.chosen_by}; and by the same list that these are the networks and sizes",
            "by_its_own_tool": "-",
        }
    )
    update = {
        "name": f"{exhibit.released_as}-ensemble",
        "version": version,
        "made_on": today(),
        "sha256": hashlib.sha256(network).hexdigest(),
        "form": newest.form.model_copy(update={"opinions": len(members) * len(SHARES)}),
        "fuse_above": FUSED_ABOVE,
        "training": training,
    }
    card = newest.model_copy(update=update)
    card = card.model_copy(
        update={"export_parity": check_members(card, network, members, exhibit.choose[:60])}
    )
    return finish(card, network, exhibit, looks=looks, into=into)


def finish(
    card: ModelCard,
    network: bytes,
    exhibit: Exhibit,
    *,
    looks: int,
    into: Path,
    twin: ReleasedModel | None = None,
) -> ModelCard:
    """Choose how detections are made one and from which score they count, measure, and write the release."""
    card = card.model_copy(
        update={"thresholds": dict.fromkeys(card.kinds, 0.25), "thresholds_by": THRESHOLDS_BY, "looks": looks}
    )
    card = choose_suppression(card, network, exhibit.choose)
    card = card.model_copy(update={"thresholds": choose_thresholds(card, network, exhibit)})
    card = card.model_copy(
        update={
            "measured": (
                *(measure(card, network, gold) for gold in exhibit.gold),
                *looked_at_more_often(card, network, exhibit.gold[0]),
            ),
            "unlabelled": tuple(look_at_unlabelled(card, network, exhibit.unlabelled)),
            "latency": latency(ReleasedModel(card=card, network=network), twin),
        }
    )
    write(card, network, into)
    return card


def write(card: ModelCard, network: bytes, into: Path) -> None:
    """`<into>/<model>/<version>/`, figures of the card with four places.

    Raises RuntimeError for a network that names where it was made: every release goes through here.
    """
    if train.without_traces(network) != network:
        raise RuntimeError("the network's metadata say where or when it was made: see train.without_traces")
    folder = into / card.name / card.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.file).write_bytes(network)
    facts = ModelCard.model_validate(card.model_dump()).model_dump(exclude_none=True)
    (folder / "card.toml").write_text(tomli_w.dumps(rounded(facts)), encoding="utf-8")


def looked_at_more_often(card: ModelCard, network: bytes, gold: Gold) -> list[Measured]:
    """What more looks of each tile than the card's own bring, at the same thresholds."""
    if card.fuse_above is None:
        return []
    return [
        measure(
            card.model_copy(update={"looks": looks}),
            network,
            replace(gold, on=f"{gold.on}, {looks} looks of each"),
        )
        for looks in (2, 4)
        if looks > card.looks
    ]


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def latency(model: ReleasedModel, twin: ReleasedModel | None, *, rounds: int = 60) -> Latency:
    """What one run of the network takes on one core of this machine, beside its float twin in turn."""
    sessions = [Session(one) for one in (model, twin) if one is not None]
    picture = np.random.default_rng(0).random((1, 3, *model.card.input_hw), np.float32)
    took: list[list[float]] = [[] for _ in sessions]
    for _ in range(rounds):
        for one, times in zip(sessions, took, strict=True):
            began = time.process_time()
            one.run(picture)
            times.append((time.process_time() - began) * 1e3)
    ms = [float(np.median(times)) for times in took]
    return Latency(
        on=f"one core of {platform.processor() or platform.machine()}", ms=ms[0], float_ms=(*ms, None)[1]
    )


def check_members(
    card: ModelCard, network: bytes, members: Sequence[ReleasedModel], pictures: Sequence[Labelled]
) -> str:
    """The sentence of an ensemble's card that says how far it is from its networks. Raises RuntimeError."""
    whole, alone = Session(ReleasedModel(card=card, network=network)), [Session(one) for one in members]
    together, one_by_one = [], []
    for one in pictures:
        row = np.empty((1, 3, *card.input_hw), np.float32)
        fill_input(row[0], one.pixels, Letterbox.fit(_size(one.pixels), card.input_hw))
        # Of the sizes, the first is that of the input.
        together.append(whole.run(row)[: len(members)])
        one_by_one.append(np.concatenate([session.run(row) for session in alone]))
    return _parity(np.concatenate(one_by_one), np.concatenate(together), len(pictures), "its networks alone")


def check_parity(card: ModelCard, network: bytes, weights: Path, pictures: Sequence[Labelled]) -> str:
    """The sentence of the card that says how far file and trained network differ. Raises RuntimeError."""
    session = Session(ReleasedModel(card=card, network=network))
    inputs = np.empty((len(pictures), 3, *card.input_hw), np.float32)
    for row, one in zip(inputs, pictures, strict=True):
        fill_input(row, one.pixels, Letterbox.fit(_size(one.pixels), card.input_hw))
    trained = train.answers(weights, inputs)
    exported = np.concatenate([session.run(row[None]) for row in inputs])
    return _parity(trained, exported, len(pictures), "the trained network")


def _parity(before: NDArray[np.float32], after: NDArray[np.float32], pictures: int, from_what: str) -> str:
    """How far the file's answers, (M, 4 + K, N), are from those before. Raises RuntimeError above what is allowed."""
    off_px = float(np.abs(before[:, :4] - after[:, :4]).max())
    off_score = float(np.abs(before[:, 4:] - after[:, 4:]).max())
    if off_px > PARITY_PX or off_score > PARITY_SCORE:
        raise RuntimeError(
            f"the ONNX file differs by {off_px:g} px and {off_score:g} in score from {from_what}"
        )
    return (
        f"on {pictures} pictures at most {off_px:.1e} px and {off_score:.1e} in score from {from_what} "
        f"(allowed {PARITY_PX} px, {PARITY_SCORE})"
    )


def choose_suppression(card: ModelCard, network: bytes, pictures: Sequence[Labelled]) -> ModelCard:
    """The card with the overlaps of SUPPRESS_CHOICES, or of FUSE_CHOICES at a suppression of 0.6, that give the
    highest mAP50. Several looks are always fused."""
    ways: list[dict[str, float | None]] = [
        {"suppress_above": 0.6, "fuse_above": above} for above in FUSE_CHOICES
    ]
    if card.looks == 1:
        ways += [{"suppress_above": above, "fuse_above": None} for above in SUPPRESS_CHOICES]

    def score(way: dict[str, float | None]) -> float:
        tried = card.model_copy(update=way)
        return precision(judged(tried, network, pictures, min_score=LOWEST_SCORE), card.kinds).map50 or 0.0

    return card.model_copy(update=max(ways, key=score))


def choose_thresholds(card: ModelCard, network: bytes, exhibit: Exhibit) -> dict[str, float]:
    """By THRESHOLDS_BY."""
    chosen = judged(card, network, exhibit.choose, min_score=LOWEST_SCORE)
    clean = judged(card, network, exhibit.clean, min_score=LOWEST_SCORE)
    best = []
    for kind in card.kinds:
        scores, hits = hits_of(chosen, kind)
        true_boxes = sum(one.truth_kind.count(kind) for one in chosen)
        best.append(best_threshold(scores, hits[:, 0], true_boxes=true_boxes))
    defective = loudest([one for one in chosen if one.truth_kind], card.kinds)
    thresholds = lowered(np.array(best), defective, loudest(clean, card.kinds))
    return {kind: round(min(float(t), 1.0), 3) for kind, t in zip(card.kinds, thresholds, strict=True)}


def lowered(
    best: NDArray[np.float64], defective: NDArray[np.float64], clean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Thresholds (K,) as good as can be had, lowered together until few defective pictures escape, but not so far that
    clean ones alarm, never below LOWEST_THRESHOLD.

    defective, clean   (N, K): the highest score of each kind on each picture
    """
    # Of a plant's few dozen good pictures 1.5 % are none, and the threshold would be set by the loudest alone.
    share = max(CLEAN_SHARE, 1.001 / max(len(clean), 1))
    floor = np.maximum(quiet_from(defective, clean, share=share), LOWEST_THRESHOLD)
    thresholds = floor
    for tenths in range(10, 0, -1):
        thresholds = np.maximum(best * tenths / 10, floor)
        if (defective < thresholds).all(axis=1).mean() <= ESCAPED_SHARE:
            break
    return thresholds


def quiet_from(
    defective: NDArray[np.float64], clean: NDArray[np.float64], *, share: float
) -> NDArray[np.float64]:
    """Thresholds (K,) at which at most this share of the clean pictures alarms, and few defective ones escape.

    defective, clean   (N, K): the highest score of each kind on each picture

    From the thresholds at which none alarms, clean pictures are let through: of that kind, and so many of them, that
    most defective ones are caught for each that newly alarms. So many at once, since the next quieter one alone may
    catch nothing and the one after it a dozen. Without a clean picture all thresholds are 0.
    """
    if not len(clean):
        return np.zeros(clean.shape[1])
    ordered = -np.sort(-clean, axis=0)
    through = np.zeros(clean.shape[1], np.intp)

    def at(counts: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(ordered[counts, np.arange(len(counts))] + 0.001, np.float64)

    def alarms(counts: NDArray[np.intp]) -> int:
        return int((clean >= at(counts)).any(axis=1).sum())

    def escapes(counts: NDArray[np.intp]) -> int:
        return int((defective < at(counts)).all(axis=1).sum())

    while True:
        worth: list[tuple[float, int, NDArray[np.intp]]] = []
        escaped, alarmed = escapes(through), alarms(through)
        for kind in np.eye(len(through), dtype=np.intp):
            for more in range(1, len(clean) - int(through @ kind)):
                counts = through + more * kind
                new = alarms(counts) - alarmed
                if alarmed + new > share * len(clean):
                    break
                caught = escaped - escapes(counts)
                # Pictures that alarm anyhow cost nothing; of two such, the one that catches more.
                worth.append((caught / max(new, 1 / (1 + len(defective))), -more, counts))
        best = max(worth, key=lambda one: one[:2], default=(0.0, 0, through))
        if best[0] <= 0:
            return at(through)
        through = best[2]


def loudest(pictures: Sequence[Judged], kinds: Sequence[str]) -> NDArray[np.float64]:
    """The highest score of each kind on each picture, (N, K); 0 where it was not found."""
    highest = np.zeros((len(pictures), len(kinds)))
    for row, one in zip(highest, pictures, strict=True):
        for score, kind in zip(one.found.score.tolist(), one.found.kind, strict=True):
            row[kinds.index(kind)] = max(row[kinds.index(kind)], score)
    return highest


def measure(card: ModelCard, network: bytes, gold: Gold) -> Measured:
    """How the file does on a labelled set: precision over all scores (of maps, of the pieces reported), the rest at the
    card's thresholds."""
    looked = judged(card, network, gold.pictures, min_score=LOWEST_SCORE)
    surest = np.array([one.found.score.max(initial=0) for one in looked], np.float64)
    reported = judged(card, network, gold.pictures, min_score=None)
    # Of a map down to no score, everything is one piece: how well pieces lie is said of what is reported.
    every = precision(reported if card.task == "maps" else looked, card.kinds)
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
        auroc=auroc(surest, np.array([bool(one.truth_kind) for one in looked])),
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
    runs = MapDetector if card.task == "maps" else BoxDetector
    session = _Remembering(ReleasedModel(card=card, network=network))
    detector = runs(session, min_score=min_score, for_figures=True)
    return [
        Judged(
            truth_xyxy=_boxes(one),
            truth_kind=tuple(defect.kind for defect in one.truth),
            found=detector.detect(one.pixels),
        )
        for one in pictures
    ]


class _Remembering(Session):
    """Runs the network once for each input, however often it is asked: what is tried here is what is done with its
    answers."""

    _answers: ClassVar[dict[bytes, NDArray[np.float32]]] = {}

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        key = hashlib.blake2b(self.card.sha256.encode() + images.tobytes(), digest_size=16).digest()
        if key not in self._answers:
            self._answers[key] = super().run(images)
        return self._answers[key]


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
    parser.add_argument(
        "--version", default="1.0.0", help="of what is released; of an int8 twin that of --of"
    )
    parser.add_argument("--neu", type=Path, default=train.REPOSITORY.parent / "shared" / "data" / "neu_det")
    parser.add_argument("--run", type=Path, default=None, help="default: runs/NAME in the repository")
    parser.add_argument("--into", type=Path, default=RELEASED)
    parser.add_argument("--of", default=None, metavar="VERSION", help="a released version, in place of a run")
    parser.add_argument("--int8", action="store_true", help="the int8 twin of that version")
    parser.add_argument("--ensemble", nargs="+", metavar="VERSION", help="released versions in one file")
    parser.add_argument(
        "--looks", type=int, choices=(1, 2, 4), default=1, help="how often a tile is looked at"
    )
    asked = parser.parse_args(arguments)
    given = {"neu": asked.neu, "into": asked.into, "looks": asked.looks}
    if asked.int8:
        card = release_int8(asked.name, of=asked.of, **given)
    elif asked.ensemble:
        card = release_ensemble(asked.name, of=asked.ensemble, version=asked.version, **given)
    elif asked.of:
        card = release_again(asked.name, of=asked.of, version=asked.version, **given)
    else:
        run = (asked.run or train.REPOSITORY / "runs" / asked.name).resolve()
        card = release(asked.name, version=asked.version, run=run, **given)
    facts = [one.model_dump() for one in card.measured]
    sys.stdout.write(
        json.dumps({"released": f"{card.name} {card.version}", "measured": facts}, indent=1) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
