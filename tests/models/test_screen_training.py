import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.types import Box, Detections
from inspection.vision.cells import CELL_PX, DEPTH
from inspection.vision.drawing import DrawnDefect
from models.training.dataset import Labelled, drawn_strip, read_neu
from models.training.screen import (
    KEPT_ALONE,
    KEPT_OF_KIND,
    KEPT_SHARE,
    Lesson,
    altered,
    choose_thresholds,
    exact,
    groups,
    shares,
    windows,
)
from tests.where import shared

KINDS = ("inclusion", "scratch")


def a_lesson(*, truth=(), found=(), doubts=(), size_px=200):
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal(120, 6, (size_px, size_px)), 0, 255).astype(np.uint8)

    def detections(some):
        return Detections(
            xyxy=np.array([box for _, box in some], np.float32).reshape(-1, 4),
            score=np.full(len(some), 0.5, np.float32),
            kind=tuple(kind for kind, _ in some),
        )

    labels = tuple(DrawnDefect(kind=kind, box_px=Box(*box)) for kind, box in truth)
    return Lesson(
        picture=Labelled(name="one", pixels=pixels, truth=labels),
        found=detections(found),
        doubts=detections([*found, *doubts]),
    )


def test_no_steel_that_sets_the_thresholds_is_learnt_from():
    neu = shared("data", "neu_det")
    of_group = groups(neu)
    train = read_neu(neu, "train.txt")
    learnt = {of_group[one.name] for one in train if of_group[one.name] % 5}
    aside = {of_group[one.name] for one in train if not of_group[one.name] % 5}
    measured = {of_group[one.name] for one in read_neu(neu, "val.txt")}
    assert learnt
    assert aside
    assert not learnt & aside
    assert not measured & (learnt | aside)


@given(st.floats(0, 180), st.floats(0, 180), st.floats(1, 60), st.floats(1, 60))
@settings(deadline=None)
def test_a_boxs_shares_of_cells_add_up_to_its_area(x, y, width, height):
    found = shares(np.array([x, y, x + width, y + height]), rows=8, columns=8)
    assert found.sum() * CELL_PX**2 == pytest.approx(width * height)
    assert found.max() <= 1


def test_where_neither_label_nor_network_says_anything_the_surface_is_quiet():
    (window,) = windows(
        a_lesson(truth=[("scratch", (0, 0, 31, 31))], doubts=[("inclusion", (64, 64, 96, 96))]),
        KINDS,
        shifts=[(0, 0)],
    )
    assert window.statistics.shape == (7, 7, DEPTH)
    assert np.argwhere(~window.quiet).tolist() == [[0, 0], [2, 2]]
    assert [(kind, cells.tolist()) for kind, cells, _ in window.defects] == [(1, [0])]


def test_a_finding_of_the_network_counts_more_than_a_label_it_did_not_confirm():
    box = (64, 64, 96, 96)
    (window,) = windows(a_lesson(truth=[("scratch", box)], found=[("scratch", box)]), KINDS, shifts=[(0, 0)])
    label, finding = (weight for _, _, weight in window.defects)
    assert finding == 2 * label


def test_every_window_of_a_larger_picture_is_learnt_from_with_its_own_part_of_a_defect():
    lesson = a_lesson(truth=[("scratch", (230, 10, 260, 40))], size_px=448)
    made = list(windows(lesson, KINDS, shifts=[(0, 0)]))
    assert [len(one.defects) for one in made] == [0, 1, 0, 0]


def test_altered_pictures_keep_their_defects_where_they_are():
    some = list(drawn_strip(range(40, 44), clean=False))
    made = list(altered(some))
    assert len(made) == 2 * len(some)
    for one, dim in zip(some, made[: len(some)], strict=True):
        assert dim.truth == one.truth
        assert dim.pixels.shape == one.pixels.shape
    for near in made[len(some) :]:
        for defect in near.truth:
            box = defect.box_px
            assert 0 <= box.x1 < box.x2 <= near.pixels.shape[1] + 1e-6
            assert 0 <= box.y1 < box.y2 <= near.pixels.shape[0] + 1e-6


def test_altering_is_the_same_each_time():
    some = list(drawn_strip(range(44, 46), clean=False))
    for one, again in zip(altered(some), altered(some), strict=True):
        np.testing.assert_array_equal(one.pixels, again.pixels)


def test_thresholds_keep_their_share_and_let_as_little_quiet_surface_stand_out_as_that_allows():
    rng = np.random.default_rng(1)
    kind = np.repeat([0, 1], [1000, 300])
    best = rng.normal(0, 1, (1300, 2)) + np.where(np.arange(2)[None] == kind[:, None], 4, 0)
    quiet = rng.normal(-1, 1, (20000, 2))
    chosen = choose_thresholds(kind, best, quiet)
    kept = (best >= chosen).any(axis=1)
    assert kept.mean() >= KEPT_SHARE
    assert min(kept[kind == k].mean() for k in range(2)) >= KEPT_OF_KIND
    all_kept = np.array([best[kind == k, k].min() for k in range(2)])
    assert (quiet >= chosen).any(axis=1).sum() < 0.5 * (quiet >= all_kept).any(axis=1).sum()
    # A little more, and too much is lost.
    for k in range(2):
        higher = chosen + 0.3 * (np.arange(2) == k)
        still = (best >= higher).any(axis=1)
        alone = (best[kind == k, k] >= higher[k]).mean()
        assert still.mean() < KEPT_SHARE or alone < KEPT_ALONE


def test_the_exact_screen_says_what_the_learnt_layers_say():
    rng = np.random.default_rng(2)
    mean, spread = rng.uniform(50, 100, DEPTH), rng.uniform(5, 50, DEPTH)
    layers = [rng.normal(0, 0.3, shape) for shape in ((3 * DEPTH + 1, 8), (17, 8), (9, 2))]
    screen = exact(layers, mean=mean, spread=spread, kinds=KINDS)
    statistics = rng.integers(0, 256, (6, 5, DEPTH)).astype(np.float32)
    x = (statistics - mean) / spread

    def around(cells, how):
        padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        views = [padded[r : r + 6, c : c + 5] for r in range(3) for c in range(3)]
        return how(np.stack(views), axis=0)

    def layer(cells, weights):
        return cells @ weights[:-1] + weights[-1]

    seen = np.concatenate([x, around(x, np.mean), around(x, np.max)], axis=2)
    hidden = np.maximum(layer(seen, layers[0]), 0)
    hidden = np.maximum(layer(np.concatenate([hidden, around(hidden, np.mean)], axis=2), layers[1]), 0)
    # Weights in steps of 2^-16 on statistics of up to 9 * 255, then layers in steps of 2^-8.
    np.testing.assert_allclose(screen.scores(statistics), layer(hidden, layers[2]), atol=0.5)
