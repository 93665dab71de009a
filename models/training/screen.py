"""Trains the screen of a detector: `python -m models.training.screen --version 1.0.0`.

The screen learns to foresee where the network would find something: from the labels the network learned from,
and from what the network itself says of these pictures, of altered ones and of other surfaces. Where neither
label nor network says anything, the surface is quiet. A defect is learnt as a whole: somewhere in its box a cell
must stand out, not everywhere, because a box holds good steel, too.

A fifth of NEU-DET's train list, in whole groups of overlapping pictures, teaches nothing and sets the thresholds.
NEU-DET's val list, the real strip frames and the val list of the magnetic tiles are not touched here; they are
what benchmarks/screening/recall.py measures on.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Box, Detections, Image
from inspection.vision.cells import CELL_PX, DEPTH, STATISTICS, Grid, cell_statistics
from inspection.vision.drawing import DrawnDefect
from inspection.vision.screening import WEIGHT_STEP, Screen
from models import ModelStore, open_detector
from models.card import ModelCard, TrainingSource
from models.screens import Kept, ScreenCard, Teacher, weights_as_json
from models.training.dataset import DRAWN_LICENCE, NEU_LICENCE, Labelled, drawn_frames, drawn_strip, read_neu
from models.training.train import REPOSITORY

WINDOW_CELLS = 7
"""Side of what is learnt from at once: a picture of 200 px is filled up to it."""

DOUBT = 0.05
"""From this score on a finding of the network keeps its cells from being learnt as quiet surface."""

KEPT_SHARE, KEPT_OF_KIND = 0.999, 0.99
"""Of the network's findings that set the thresholds: of all, and of each kind."""

KEPT_ALONE = 0.99
"""Of each kind's findings, by that kind's own score: what another kind happens to keep here it may not keep there."""

LOWERED_BY = 0.5
"""Below what the pictures set aside would allow, for surfaces that taught nothing. Before strip-surface 1.2.0 all of
the network's findings on the 301st to 480th magnetic tile of the train list lie on a candidate without it, but not all
on faint inclusions of drawn strip. Clean drawn strip pays: 0.6 % of its tiles are sent on, not 0.4. (1.2.0: 2.)"""

HIDDEN = 32
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 3e-3

MINED, MINED_TIMES, MINED_ROUNDS = 1500, 2, 2
"""The loudest windows of defect-free strip that a screen knows of, how often each is learned from then, and how many
screens look for them, each among other frames. What sends a tile on for nothing is rare, and windows drawn by chance
hold hardly any of it."""

# How much a label counts that the network did not confirm, beside 1 for a finding of the network.
_LABEL_ALONE = 0.5
# Quiet cells on the average, and each window's loudest quiet cell: the second is what sends a tile for nothing.
_QUIET, _LOUDEST = 3.0, 6.0

THRESHOLDS_BY = (
    f"of those that keep {KEPT_SHARE:.1%} of what the network finds on the pictures set aside, {KEPT_OF_KIND:.0%} of "
    f"every kind by one kind or another and {KEPT_ALONE:.0%} by its own: raised step by step, each time where "
    f"cells of defect-free drawn strip come least near to standing out; then all lowered by {LOWERED_BY:g}, for "
    f"surfaces that taught nothing"
)
MINED_FROM = "drawn strip frames, defect-free: the windows that earlier screens found loudest"
FRAMES_QUIET = "drawn strip frames, defect-free, the network not asked"
XSDD_LICENCE = "Apache-2.0 (X-SDD, Feng, Gao, Luo, Symmetry 2021, 13(4), 706)"
TILE_LICENCE = "none given by the authors (Huang, Qiu, Yuan: magnetic tile defects); research with citation"

Layer = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """A picture, its labels where it has some, and what the network says of it."""

    picture: Labelled
    doubts: Detections
    found: Detections


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Cells of a picture: their statistics, which are quiet, and per defect its kind, cells and weight."""

    statistics: NDArray[np.float32]
    quiet: NDArray[np.bool_]
    defects: tuple[tuple[int, NDArray[np.intp], float], ...]


# --- pictures ------------------------------------------------------------------------------------------


def altered(pictures: Sequence[Labelled]) -> Iterator[Labelled]:
    """Each picture under another lamp and another lens, and each seen from nearer: other mills, other optics."""
    for number, one in enumerate(pictures):
        rng = np.random.default_rng([7, number])
        pixels: NDArray[Any] = one.pixels.astype(np.float32)
        if rng.random() < 0.4:
            pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 1.1)))
        noise = rng.normal(0, rng.uniform(0, 3), pixels.shape)
        yield replace(one, name=f"{one.name}_dim", pixels=_relit(rng, pixels, noise))
    for number, one in enumerate(pictures):
        rng = np.random.default_rng([8, number])
        side = one.pixels.shape[0]
        part = int(rng.integers(side * 3 // 5, side * 37 // 40))
        left, top = (int(place) for place in rng.integers(0, side - part + 1, 2))
        pixels = cv2.resize(one.pixels[top : top + part, left : left + part], (side, side))
        truth = tuple(_seen_nearer(one.truth, left=left, top=top, part=part, factor=side / part))
        yield replace(one, name=f"{one.name}_near", pixels=_relit(rng, pixels, 0.0), truth=truth)


def _relit(rng: np.random.Generator, pixels: NDArray[Any], noise: NDArray[np.float64] | float) -> Image:
    mean = float(pixels.mean())
    lit = (pixels - mean) * rng.uniform(0.4, 1.2) + mean * rng.uniform(0.5, 1.4) + noise
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _seen_nearer(
    truth: Iterable[DrawnDefect], *, left: int, top: int, part: int, factor: float
) -> Iterator[DrawnDefect]:
    for defect in truth:
        box = defect.box_px
        x1, x2 = (float(np.clip(x - left, 0, part)) for x in (box.x1, box.x2))
        y1, y2 = (float(np.clip(y - top, 0, part)) for y in (box.y1, box.y2))
        if min(x2 - x1, y2 - y1) > 6 and (x2 - x1) * (y2 - y1) > 0.3 * box.area:
            yield replace(defect, box_px=Box(x1 * factor, y1 * factor, x2 * factor, y2 * factor))


def unlabelled(paths: Iterable[Path], *, side_px: int | None = None) -> Iterator[Labelled]:
    for path in paths:
        pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        if side_px is not None:
            pixels = np.asarray(cv2.resize(pixels, (side_px, side_px)), np.uint8)
        yield Labelled(name=path.stem, pixels=pixels, truth=())


def groups(neu: Path) -> dict[str, int]:
    """Picture -> its group of pictures that show the same steel."""
    with (neu / "images.csv").open(encoding="utf-8") as file:
        return {Path(row["file"]).stem: int(row["overlap_group"]) for row in csv.DictReader(file)}


def taught(pictures: Iterable[Labelled], model: str, version: str | None) -> Iterator[Lesson]:
    """Pictures with what the network says of them."""
    doubting = open_detector(model, version=version, min_score=DOUBT)
    thresholds = ModelStore().find(model, version).card.thresholds
    for one in pictures:
        doubts = doubting.detect(one.pixels)
        sure = [n for n, kind in enumerate(doubts.kind) if doubts.score[n] >= thresholds[kind]]
        found = Detections(
            xyxy=doubts.xyxy[sure], score=doubts.score[sure], kind=tuple(doubts.kind[n] for n in sure)
        )
        yield Lesson(picture=one, doubts=doubts, found=found)


def quiet_by_drawing(pictures: Iterable[Labelled]) -> Iterator[Lesson]:
    """Pictures on which there is nothing: the network need not be asked, and whatever it said would be its error."""
    for one in pictures:
        yield Lesson(picture=one, doubts=Detections.none(), found=Detections.none())


# --- cells ---------------------------------------------------------------------------------------------


def windows(lesson: Lesson, kinds: Sequence[str], *, shifts: Sequence[tuple[int, int]]) -> Iterator[Window]:
    """The picture in windows, once for each shift (x, y) of the cells against the picture, px."""
    side = WINDOW_CELLS * CELL_PX
    for shift_x, shift_y in shifts:
        height, width = lesson.picture.pixels.shape
        for top in range(shift_y, max(height - side, 0) + shift_y + 1, side):
            for left in range(shift_x, max(width - side, 0) + shift_x + 1, side):
                yield _window(lesson, kinds, left, top)


def _window(lesson: Lesson, kinds: Sequence[str], left: int, top: int) -> Window:
    side = WINDOW_CELLS * CELL_PX
    pixels = lesson.picture.pixels[top : top + side, left : left + side]
    statistics = cell_statistics(pixels)
    filled = [(0, WINDOW_CELLS - count) for count in statistics.shape[:2]]
    there = np.pad(np.ones(statistics.shape[:2], np.bool_), filled)
    statistics = np.pad(statistics, [*filled, (0, 0)], mode="edge")
    quiet = there.copy()
    for xyxy in [*_boxes(lesson.picture.truth), *lesson.doubts.xyxy]:
        quiet &= shares(xyxy, left=left, top=top) < 0.01
    defects = []
    labels = [
        (d.kind, xyxy, _LABEL_ALONE)
        for d, xyxy in zip(lesson.picture.truth, _boxes(lesson.picture.truth), strict=True)
    ]
    found = [(kind, xyxy, 1.0) for kind, xyxy in zip(lesson.found.kind, lesson.found.xyxy, strict=True)]
    for kind, xyxy, weight in [*labels, *found]:
        share = shares(xyxy, left=left, top=top) * there
        area = (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1])
        if share.sum() * CELL_PX**2 >= 0.3 * area and area > 0:
            cells = np.flatnonzero(share >= min(0.2, 0.8 * share.max()))
            defects.append((kinds.index(kind), cells, weight))
    return Window(statistics=statistics, quiet=quiet, defects=tuple(defects))


def _boxes(truth: Sequence[DrawnDefect]) -> NDArray[np.float32]:
    boxes = [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in truth]
    return np.array(boxes, np.float32).reshape(-1, 4)


def shares(
    xyxy: NDArray[np.float32],
    *,
    left: int = 0,
    top: int = 0,
    rows: int = WINDOW_CELLS,
    columns: int = WINDOW_CELLS,
) -> NDArray[np.float64]:
    """How much of each cell a box covers, 0..1."""

    def along(low: float, high: float, count: int) -> NDArray[np.float64]:
        edges = np.arange(count + 1) * CELL_PX
        covered = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
        return np.asarray(np.clip(covered, 0, None) / CELL_PX, np.float64)

    across: NDArray[np.float64] = along(float(xyxy[0]) - left, float(xyxy[2]) - left, columns)
    down = along(float(xyxy[1]) - top, float(xyxy[3]) - top, rows)
    return np.asarray(down[:, None] * across[None, :], np.float64)


# --- learning ------------------------------------------------------------------------------------------


def fit(lessons: Sequence[Window], kinds: Sequence[str], *, seed: int) -> Screen:
    """The screen learnt from these windows, its thresholds all 0 yet."""
    import torch
    from torch.nn import functional

    # One thread: sums in a fixed order, and the batches are too small for more to help.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    statistics = np.stack([one.statistics for one in lessons]).transpose(0, 3, 1, 2)
    mean, spread = statistics.mean((0, 2, 3)), statistics.std((0, 2, 3)) + 1e-3
    data = torch.tensor((statistics - mean[:, None, None]) / spread[:, None, None])
    quiet = torch.tensor(np.stack([one.quiet for one in lessons])).flatten(1)
    number = np.bincount([kind for one in lessons for kind, _, _ in one.defects], minlength=len(kinds))
    rarity = number.mean() / np.maximum(number, 1)
    defects = [
        [(kind, torch.tensor(cells), weight * rarity[kind]) for kind, cells, weight in one.defects]
        for one in lessons
    ]

    def around(x: Any) -> Any:
        return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)

    first = torch.nn.Conv2d(3 * DEPTH, HIDDEN, 1)
    second = torch.nn.Conv2d(2 * HIDDEN, HIDDEN, 1)
    last = torch.nn.Conv2d(HIDDEN, len(kinds), 1)
    layers = torch.nn.ModuleList([first, second, last])

    def scores(x: Any) -> Any:
        x = torch.cat([x, around(x), functional.max_pool2d(x, 3, 1, 1)], 1)
        x = functional.relu(first(x))
        return last(functional.relu(second(torch.cat([x, around(x)], 1)))).flatten(2)

    steps = -(-len(lessons) // BATCH)
    optimiser = torch.optim.AdamW(layers.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, EPOCHS * steps)
    flips = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = torch.randperm(len(lessons))
        for begin in range(0, len(lessons), BATCH):
            batch = order[begin : begin + BATCH]
            turned = [axis for axis in (2, 3) if flips.random() < 0.5]
            answer = scores(data[batch].flip(turned))
            shape = (*answer.shape[:2], WINDOW_CELLS, WINDOW_CELLS)
            answer = answer.reshape(shape).flip(turned).flatten(2)
            loss = _missed(answer, [defects[i] for i in batch.tolist()]) + _disturbed(answer, quiet[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    weights = [
        np.concatenate([one.weight.detach().numpy()[:, :, 0, 0].T, one.bias.detach().numpy()[None]]).astype(
            np.float64
        )
        for one in (first, second, last)
    ]
    return exact(weights, mean=mean.astype(np.float64), spread=spread.astype(np.float64), kinds=tuple(kinds))


def _missed(answer: Any, defects: list[list[tuple[int, Any, float]]]) -> Any:
    """What defects cost that do not stand out: of each the surest of its cells, the others as they come near."""
    import torch
    from torch.nn import functional

    flat = [(row, *one) for row, some in enumerate(defects) for one in some]
    if not flat:
        return torch.zeros(())
    sizes = torch.tensor([len(cells) for _, _, cells, _ in flat])
    which = torch.repeat_interleave(torch.arange(len(flat)), sizes)
    row = torch.tensor([row for row, _, _, _ in flat])[which]
    kind = torch.tensor([kind for _, kind, _, _ in flat])[which]
    score = answer[row, kind, torch.cat([cells for _, _, cells, _ in flat])]
    highest = torch.full((len(flat),), -1e9).scatter_reduce(0, which, score.detach(), "amax")
    weight = torch.exp(score - highest[which])
    pooled = torch.zeros(len(flat)).index_add(0, which, weight * score)
    pooled = pooled / torch.zeros(len(flat)).index_add(0, which, weight)
    counts = torch.tensor([weight for _, _, _, weight in flat], dtype=torch.float32)
    return (functional.softplus(-pooled) * counts).sum() / len(defects)


def _disturbed(answer: Any, quiet: Any) -> Any:
    """What quiet surface costs that stands out: on the average, and where it does most in each window."""
    import torch
    from torch.nn import functional

    average = (functional.softplus(answer) * quiet[:, None]).sum() / (
        answer.shape[1] * quiet.sum().clamp(min=1)
    )
    only = answer.masked_fill(~quiet[:, None], -30)
    loudest = (torch.softmax(only.detach(), 2) * only).sum(2)
    return _QUIET * average + _LOUDEST * functional.softplus(loudest)[quiet.any(1)].mean()


def exact(weights: Sequence[Layer], *, mean: Layer, spread: Layer, kinds: tuple[str, ...]) -> Screen:
    """The learnt layers with the scaling of their inputs taken in, in whole steps.

    The layers learnt on means around a cell and on inputs of mean 0 and spread 1; the screen has sums around a
    cell, and inputs as they are.
    """
    first, second, last = (layer.copy() for layer in weights)
    first[-1] -= (np.tile(mean / spread, 3)[:, None] * first[:-1]).sum(axis=0)
    first[:-1] /= np.tile(spread, 3)[:, None]
    first[DEPTH : 2 * DEPTH] /= 9
    hidden = second.shape[1]
    second[hidden : 2 * hidden] /= 9
    first, second, last = (np.rint(layer / WEIGHT_STEP) * WEIGHT_STEP for layer in (first, second, last))
    return Screen(kinds=kinds, thresholds=np.zeros(len(kinds)), first=first, second=second, last=last)


# --- working point -------------------------------------------------------------------------------------


def best_scores(screen: Screen, lessons: Iterable[Lesson]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of each finding of the network its kind (N,), and the best score of each kind on its cells (N, K)."""
    kind, best = [], []
    for lesson in lessons:
        scores = screen.scores(cell_statistics(lesson.picture.pixels))
        rows, columns = scores.shape[:2]
        for code, xyxy in zip(lesson.found.kind, lesson.found.xyxy, strict=True):
            cells = shares(xyxy, rows=rows, columns=columns) > 0
            if cells.any():
                kind.append(screen.kinds.index(code))
                best.append(scores[cells].max(axis=0))
    return np.array(kind, np.intp), np.array(best).reshape(-1, len(screen.kinds))


def choose_thresholds(
    kind: NDArray[np.intp], best: NDArray[np.float64], quiet: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By THRESHOLDS_BY. `kind` (N,) and `best` (N, K) as `best_scores` gives them.

    quiet   (M, K): scores of cells on which nothing should stand out
    """
    count = best.shape[1]
    number = np.bincount(kind, minlength=count)
    highest = np.array([np.quantile(best[kind == k, k], 1 - KEPT_ALONE) for k in range(count)])
    may_go = np.floor(number * (1 - KEPT_OF_KIND)).astype(int)
    thresholds = np.array([best[kind == k, k].min() for k in range(count)])
    lost = np.zeros(len(kind), np.bool_)
    while True:
        options = [
            (_loudness(quiet, raised), int(gone.sum()), k, raised, gone)
            for k in range(count)
            for raised, gone in [_raised(thresholds, k, best, lost, highest)]
        ]
        now = _loudness(quiet, thresholds)
        allowed = [
            (left, losses, k, raised, gone)
            for left, losses, k, raised, gone in options
            if left < now
            and gone.sum() <= (1 - KEPT_SHARE) * len(kind)
            and (np.bincount(kind[gone], minlength=count) <= may_go).all()
        ]
        if not allowed:
            return np.asarray(np.floor(thresholds * 1000) / 1000, np.float64)
        _, _, _, thresholds, lost = min(allowed, key=lambda one: one[:3])


def _loudness(quiet: NDArray[np.float64], thresholds: NDArray[np.float64]) -> float:
    """How near quiet cells come to standing out: 1 for each that does, less by the exponential of what it lacks.

    Their number alone is 0 on a surface that was learned well, long before thresholds are as high as they may be.
    """
    return float(np.exp(np.minimum(quiet - thresholds, 0)).max(axis=1).sum())


def _raised(
    thresholds: NDArray[np.float64],
    k: int,
    best: NDArray[np.float64],
    lost: NDArray[np.bool_],
    highest: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The threshold of kind k as high as one more finding that only it keeps can bear, and what is lost then.

    As high as none need be lost, where there is room for that.
    """
    others = np.delete(best >= thresholds, k, axis=1).any(axis=1)
    only = np.sort(best[~others & ~lost & (best[:, k] >= thresholds[k]), k])
    # Past all that stand where the threshold is: two networks say the same of one place.
    higher = only[only > thresholds[k] + 1e-3]
    raised = thresholds.copy()
    raised[k] = higher[0] if higher.size else np.inf
    raised[k] = min(raised[k], highest[k])
    return raised, np.asarray(~(best >= raised).any(axis=1), np.bool_)


def train_screen(
    *,
    model: str,
    version: str | None,
    also: Sequence[str],
    data: Path,
    into: Path,
    released_as: str,
    screen_version: str,
    seed: int,
) -> ScreenCard:
    """Write `<into>/<screen>/<version>/` and return its card.

    also   names of networks of the same version whose findings set the thresholds too: the int8 one
    data   the folder that holds neu_det, xsdd and magnetic_tile
    """
    teacher = ModelStore().find(model, version).card
    kinds = teacher.kinds
    neu = data / "neu_det"
    of_group = groups(neu)
    train = read_neu(neu, "train.txt")
    learn = [one for one in train if of_group[one.name] % 5]
    aside = [one for one in train if not of_group[one.name] % 5]
    xsdd = unlabelled(sorted((data / "xsdd" / "images").glob("*/*")), side_px=200)
    tiles = (data / "magnetic_tile" / "train.txt").read_text(encoding="utf-8").split()[:300]
    sources = [
        ("NEU-DET train.txt, four fifths", NEU_LICENCE, learn, 2),
        ("the same, altered", NEU_LICENCE, list(altered(learn)), 1),
        ("X-SDD, labelled by the network alone", XSDD_LICENCE, list(xsdd), 1),
        (
            "magnetic tiles, first 300 of train.txt, labelled by the network alone",
            TILE_LICENCE,
            list(unlabelled(data / "magnetic_tile" / tile for tile in tiles)),
            1,
        ),
        ("drawn strip, with defects", DRAWN_LICENCE, list(drawn_strip(range(21000, 21400), clean=False)), 2),
        ("drawn strip, defect-free", DRAWN_LICENCE, list(drawn_strip(range(20000, 20400), clean=True)), 2),
        (FRAMES_QUIET, DRAWN_LICENCE, list(_frames(range(300, 360), clean=True, each=6)), 2),
        ("drawn strip frames, with defects", DRAWN_LICENCE, list(_frames(range(500, 530), clean=False)), 2),
    ]
    digest = hashlib.sha256()
    lessons: list[Window] = []
    for name, _, pictures, times in sources:
        before = len(lessons)
        asked = quiet_by_drawing(pictures) if name == FRAMES_QUIET else taught(pictures, model, version)
        for lesson in asked:
            lessons += windows(lesson, kinds, shifts=((0, 0), (5, 3))[:times])
        sys.stdout.write(f"{name}: {len(pictures)} pictures, {len(lessons) - before} windows\n")
        sys.stdout.flush()
    for window in lessons:
        digest.update(window.statistics.tobytes() + window.quiet.tobytes() + repr(window.defects).encode())
    choosing = [*aside, *altered(aside), *drawn_strip(range(21400, 21500), clean=False)]
    others = [ModelStore().find(name, teacher.version).card for name in also]
    asked_of = [(one.name, one.version) for one in (teacher, *others)]
    sets_thresholds = [lesson for asked in asked_of for lesson in taught(choosing, *asked)]
    quiet = [cell_statistics(one.pixels) for one in _frames(range(400, 460), clean=True)]
    loudest: list[Window] = []
    screen = fit(lessons, kinds, seed=seed)
    for number in range(MINED_ROUNDS):
        kind, best = best_scores(screen, sets_thresholds)
        thresholds = choose_thresholds(kind, best, _scores_of(screen, quiet))
        found = mined(replace(screen, thresholds=thresholds), range(1000 + 300 * number, 1300 + 300 * number))
        for window in found:
            digest.update(window.statistics.tobytes())
        loudest += found
        screen = fit([*lessons, *loudest * MINED_TIMES], kinds, seed=seed)
    kind, best = best_scores(screen, sets_thresholds)
    thresholds = choose_thresholds(kind, best, _scores_of(screen, quiet)) - LOWERED_BY
    kept = np.asarray((best >= thresholds).any(axis=1))
    weights = weights_as_json(screen)
    card = ScreenCard(
        name=released_as,
        version=screen_version,
        file="weights.json",
        sha256=hashlib.sha256(weights).hexdigest(),
        made_on=datetime.datetime.now(datetime.UTC).date(),
        kinds=kinds,
        cell_px=CELL_PX,
        statistics=STATISTICS,
        thresholds=dict(zip(kinds, thresholds.tolist(), strict=True)),
        thresholds_by=THRESHOLDS_BY,
        teacher=_as_teacher(teacher),
        also=tuple(_as_teacher(one) for one in others),
        licence=f"to be treated like its training pictures, of which NEU-DET has {NEU_LICENCE}",
        command="make train-screen",
        seed=seed,
        digest=digest.hexdigest(),
        sources=(
            *(
                TrainingSource(
                    name=name, licence=licence, images=len(some), boxes=sum(len(one.truth) for one in some)
                )
                for name, licence, some, _ in sources
            ),
            TrainingSource(name=MINED_FROM, licence=DRAWN_LICENCE, images=len(loudest), boxes=0),
        ),
        chosen_on={
            code: Kept(found=int((kind == k).sum()), kept=int(kept[kind == k].sum()))
            for k, code in enumerate(kinds)
        },
    )
    # The training desk has it; a station, whose tests import this file, has not.
    import tomli_w

    folder = into / card.name / card.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.file).write_bytes(weights)
    (folder / "screen.toml").write_text(tomli_w.dumps(card.model_dump()), encoding="utf-8")
    return card


def mined(screen: Screen, seeds: range) -> list[Window]:
    """Of many frames of defect-free drawn strip the MINED windows that come nearest to being sent on, or are."""
    pool = [
        window
        for lesson in quiet_by_drawing(_frames(seeds, clean=True, each=4))
        for window in windows(lesson, screen.kinds, shifts=((0, 0), (150, 3)))
    ]
    loudness = np.array([(screen.scores(one.statistics) - screen.thresholds).max() for one in pool])
    sys.stdout.write(
        f"{len(pool)} defect-free windows, {np.count_nonzero(loudness >= 0)} of them not quiet\n"
    )
    sys.stdout.flush()
    return [pool[n] for n in np.argsort(-loudness, kind="stable")[:MINED]]


def _scores_of(screen: Screen, statistics: Sequence[Grid]) -> NDArray[np.float64]:
    """(M, K): of all cells of all pictures."""
    return np.concatenate([screen.scores(one).reshape(-1, len(screen.kinds)) for one in statistics])


def _as_teacher(card: ModelCard) -> Teacher:
    return Teacher(name=card.name, version=card.version, sha256=card.sha256)


def _frames(seeds: range, *, clean: bool, each: int = 3) -> Iterator[Labelled]:
    for seed in seeds:
        yield from drawn_frames(seed, range(each), clean=clean)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.screen", description=__doc__)
    parser.add_argument("--model", default="strip-surface", help="whose findings are to be foreseen")
    parser.add_argument("--model-version", default=None, help="default: the newest")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        help="whose findings set the thresholds too, of the same version",
    )
    parser.add_argument("--name", default="strip-screen")
    parser.add_argument("--version", required=True)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    card = train_screen(
        model=asked.model,
        version=asked.model_version,
        also=asked.also,
        data=asked.data,
        into=asked.into,
        released_as=asked.name,
        screen_version=asked.version,
        seed=asked.seed,
    )
    sys.stdout.write(f"{card.name} {card.version}: {card.thresholds}\n{card.chosen_on}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
