import time
import weakref
from fractions import Fraction
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import beta

from inspection.pipeline import Pipeline
from inspection.types import Detections, Frame, Looked, Surface, Verdict
from inspection.vision import screening
from inspection.vision.cells import CELL_PX, DEPTH, STATISTICS, cell_statistics
from inspection.vision.correction import FlatField
from inspection.vision.escapes import escape_rate
from inspection.vision.screening import (
    WEIGHT_STEP,
    Places,
    Screen,
    Screened,
    ScreenOverrun,
)
from inspection.vision.tiles import cut_into_tiles
from tests.builders import NOON

CELL = hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def a_screen(*, from_ratio: float = 0.25) -> Screen:
    """One that looks for spots, dark ones and light ones, of at least this contrast against what is around."""
    first = np.zeros((3 * DEPTH + 1, 2))
    for unit, name in enumerate(("darkest spot", "brightest spot")):
        first[len(STATISTICS) + STATISTICS.index(name), unit] = 1
    second = np.zeros((5, 2))
    second[:2] = np.eye(2)
    level = float(np.rint(160 * np.sqrt(from_ratio)))
    last = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    return Screen(
        kinds=("dark", "light"), thresholds=np.full(2, level), first=first, second=second, last=last
    )


def any_screen(seed: int) -> Screen:
    rng = np.random.default_rng(seed)

    def layer(rows: int, columns: int, spread: float) -> np.ndarray:
        return np.rint(rng.normal(0, spread, (rows, columns)) / WEIGHT_STEP) * WEIGHT_STEP

    return Screen(
        kinds=("dark", "light", "rough"),
        thresholds=np.zeros(3),
        first=layer(3 * DEPTH + 1, 5, 0.01),
        second=layer(11, 5, 0.2),
        last=layer(6, 3, 0.5),
    )


class Network:
    """Finds what is darker than 50 or brighter than 200, and remembers where it was asked to look."""

    def __init__(self, tile_px: int = 128) -> None:
        self.tile_px = tile_px
        self.looked_at = []

    def tiles(self, image_hw):
        return cut_into_tiles(image_hw, tile_px=self.tile_px)

    def detect(self, image):
        tiles = self.tiles(image.shape[:2])
        return self.together(image.shape[:2], tiles, [self.look_at(image, tile) for tile in tiles])

    def look_at(self, image, tile):
        self.looked_at.append(tile)
        shown = tile.of(image)
        return tile.placed(spots((shown < 50) | (shown > 200)))

    def together(self, image_hw, tiles, found):
        seen = np.zeros(image_hw, np.bool_)
        for one in found:
            for left, top, right, bottom in one.xyxy.astype(int):
                seen[top:bottom, left:right] = True
        return spots(seen)


def spots(seen):
    """The boxes around what was seen; spots are drawn as upright rectangles, so boxes are all there is to them."""
    _, _, boxes, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=8)
    xywh = boxes[1:, :4].astype(np.float32)
    return Detections(
        xyxy=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        score=np.full(len(xywh), 0.9, np.float32),
        kind=("spot",) * len(xywh),
    )


def steel(height=384, width=512, *, spots=(), seed=0):
    """An even surface with some grain, and spots of 24 px at (x, y) in a grey."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.normal(120, 4, (height, width)), 0, 255).astype(np.uint8)
    for x, y, grey in spots:
        image[y : y + 24, x : x + 24] = grey
    return image


def screened(network, *, screen=None, most_tiles=100, quiet_share=0.0, beside=None):
    return Screened(
        screen or a_screen(), network, most_tiles=most_tiles, quiet_share=quiet_share, beside=beside
    )


# --- the classifier ------------------------------------------------------------------------------------


def plainly(screen, statistics):
    """The scores in fractions, cell by cell: the judge of the fast code, which must agree to the last bit."""
    rows, columns, _ = statistics.shape

    def around(cells, row, column):
        def reflected(at, count):
            return at if 0 <= at < count else (abs(at) if at < 0 else 2 * count - 2 - at)

        return [
            cells[reflected(row + down, rows)][reflected(column + right, columns)]
            for down, right in product((-1, 0, 1), repeat=2)
        ]

    def times(values, weights):
        total = [Fraction(0)] * weights.shape[1]
        for value, row in zip([*values, Fraction(1)], weights, strict=True):
            total = [one + value * Fraction(weight) for one, weight in zip(total, row.tolist(), strict=True)]
        return total

    def rectified(values):
        return [Fraction(round(min(max(value, 0), 1024) * 256), 256) for value in values]

    cells = [[[Fraction(int(v)) for v in cell] for cell in row] for row in statistics]
    hidden = [
        [
            rectified(
                times(
                    [
                        *cells[row][column],
                        *map(sum, zip(*around(cells, row, column), strict=True)),
                        *(
                            max(cells[r][c][k] for r in near(row, rows) for c in near(column, columns))
                            for k in range(DEPTH)
                        ),
                    ],
                    screen.first,
                )
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    return [
        [
            times(
                rectified(
                    times(
                        [*hidden[row][column], *map(sum, zip(*around(hidden, row, column), strict=True))],
                        screen.second,
                    )
                ),
                screen.last,
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def near(at, count):
    return range(max(at - 1, 0), min(at + 2, count))


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_exact_so_that_no_machine_and_no_library_gives_others(seed):
    screen = any_screen(seed)
    statistics = cell_statistics(steel(96, 128, spots=[(40, 30, 60)], seed=seed))
    plain = np.array(
        [[[float(score) for score in cell] for cell in row] for row in plainly(screen, statistics)]
    )
    np.testing.assert_array_equal(screen.scores(statistics), plain)


def test_the_same_picture_gives_the_same_places_however_many_threads_work():
    image = steel(512, 640, spots=[(100, 100, 60), (400, 300, 190)])
    screen = any_screen(1)
    before = cv2.getNumThreads()
    try:
        scores = []
        for threads in (1, 4):
            cv2.setNumThreads(threads)
            scores.append(screen.scores(cell_statistics(image)))
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*scores)


def test_weights_that_could_not_be_summed_exactly_are_refused():
    good = a_screen()
    for wrong in (good.first + WEIGHT_STEP / 2, good.first * 2.0**9):
        with pytest.raises(ValueError, match="exact"):
            Screen(
                kinds=good.kinds,
                thresholds=good.thresholds,
                first=wrong,
                second=good.second,
                last=good.last,
            )


def test_weights_of_other_shapes_are_refused():
    good = a_screen()
    with pytest.raises(ValueError, match="shapes"):
        Screen(
            kinds=("dark",),
            thresholds=good.thresholds,
            first=good.first,
            second=good.second,
            last=good.last,
        )


@pytest.mark.parametrize("grey", [60, 190])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (200, 150), (300, 7), (488, 360)])
def test_a_spot_of_known_contrast_stands_out_wherever_it_lies_dark_or_light(x, y, grey):
    candidates = a_screen().candidates(steel(spots=[(x, y, grey)]))
    rows, columns = (slice(at // CELL_PX, -(-(at + 24) // CELL_PX)) for at in (y, x))
    assert candidates[rows, columns].any()
    candidates[rows, columns] = False
    assert not candidates.any()


def test_an_even_surface_has_no_candidate():
    assert not a_screen().candidates(steel()).any()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5))
def test_a_surface_moved_by_whole_cells_has_its_candidates_moved_by_as_many(down, right, seed):
    surface = steel(18 * CELL_PX, 18 * CELL_PX, spots=[(270, 260, 60), (300, 190, 190)], seed=seed)
    screen = any_screen(seed)
    here = screen.candidates(surface[: 15 * CELL_PX, : 15 * CELL_PX])
    moved = screen.candidates(surface[down * CELL_PX :, right * CELL_PX :][: 15 * CELL_PX, : 15 * CELL_PX])
    # Statistics reach 3 cells, the two layers one each.
    reach = 5
    np.testing.assert_array_equal(
        here[down + reach : -reach, right + reach : -reach],
        moved[reach : -reach - down, reach : -reach - right],
    )


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float32, 512, elements=st.sampled_from([0.5, 1.0, 2.0])))
def test_a_lamp_that_the_flat_field_evens_out_changes_no_place(gain):
    # Multiples of 4, so that neither the lamp nor its correction rounds.
    even = (steel(spots=[(200, 150, 60)]) // 4 * 4 // 2).astype(np.uint8) // 2 * 2
    seen = (even / gain).astype(np.uint8)
    corrected = FlatField(gain).correct(seen)
    np.testing.assert_array_equal(a_screen().candidates(corrected), a_screen().candidates(even))


# --- places --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(CELL, st.integers(32, 300))
def test_every_candidate_lies_in_tiles_that_are_sent_and_no_tile_is_sent_without_one(candidates, tile_px):
    image_hw = (candidates.shape[0] * CELL_PX - 5, candidates.shape[1] * CELL_PX - 9)
    tiles = cut_into_tiles(image_hw, tile_px=tile_px)
    sent = Places(tiles, image_hw).showing(candidates)
    covered = np.zeros(image_hw, np.bool_)
    wanted = np.kron(candidates, np.ones((CELL_PX, CELL_PX), np.bool_))[: image_hw[0], : image_hw[1]]
    for tile, is_sent in zip(tiles, sent, strict=True):
        assert not is_sent or tile.of(wanted).any()
        if is_sent:
            covered[tile.top : tile.bottom, tile.left : tile.right] = True
    assert (covered | ~wanted).all()


@settings(deadline=None, max_examples=40)
@given(CELL)
def test_a_tile_that_is_not_sent_shows_of_a_candidate_no_more_than_8_px_at_its_border(candidates):
    image_hw = (candidates.shape[0] * CELL_PX, candidates.shape[1] * CELL_PX)
    tiles = cut_into_tiles(image_hw, tile_px=200)
    wanted = np.kron(candidates, np.ones((CELL_PX, CELL_PX), np.bool_))
    for tile, is_sent in zip(tiles, Places(tiles, image_hw).showing(candidates), strict=True):
        top, left = (8 if at > 0 else 0 for at in (tile.top, tile.left))
        bottom, right = (
            8 if at < end else 0 for at, end in zip((tile.bottom, tile.right), image_hw, strict=True)
        )
        inside = wanted[tile.top + top : tile.bottom - bottom, tile.left + left : tile.right - right]
        assert is_sent == inside.any()


# --- the detector with its screen ----------------------------------------------------------------------


def test_only_what_stands_out_is_shown_to_the_network_and_what_it_finds_there_is_the_same():
    image = steel(spots=[(200, 150, 20), (420, 330, 220)])
    alone, network = Network(), Network()
    everywhere, found = alone.detect(image), screened(network).detect(image)
    np.testing.assert_array_equal(found.xyxy, everywhere.xyxy)
    assert 0 < len(network.looked_at) < len(alone.looked_at)


def test_the_network_is_not_asked_about_a_surface_on_which_nothing_stands_out():
    network = Network()
    assert len(screened(network).detect(steel())) == 0
    assert network.looked_at == []


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(screening, "_AT_WORK", screening._AtWork(4))


@given(candidates=hnp.arrays(np.bool_, (3, 4)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("four_cores")
def test_with_a_second_network_beside_it_the_same_is_found_and_no_tile_is_shown_twice(candidates):
    spots = [(128 * column + 40, 128 * row + 40, 40) for row, column in np.argwhere(candidates).tolist()]
    image = steel(spots=spots)
    alone, first, second = Network(), Network(), Network()
    wanted = screened(alone, quiet_share=0.1).detect(image)
    found = screened(first, quiet_share=0.1, beside=second).detect(image)
    assert found.xyxy.tolist() == wanted.xyxy.tolist()
    assert found.looked == wanted.looked
    assert sorted([*first.looked_at, *second.looked_at], key=repr) == sorted(alone.looked_at, key=repr)


class Slow(Network):
    """Leaves tiles for the one beside it."""

    def look_at(self, image, tile):
        time.sleep(0.05)
        return super().look_at(image, tile)


class Broken(Network):
    def look_at(self, image, tile):
        raise IndexError("as when a network answers with too few numbers")


@pytest.mark.parametrize(("first", "second"), [(Slow(), Broken()), (Broken(), Slow())])
@pytest.mark.usefixtures("four_cores")
def test_a_network_that_fails_on_one_tile_fails_the_picture_whichever_of_the_two_it_is(first, second):
    image = steel(spots=[(40, 40, 40), (300, 40, 40), (40, 300, 40), (300, 300, 40)])
    for _ in range(2):
        with pytest.raises(IndexError):
            screened(first, beside=second).detect(image)


def test_a_second_network_is_not_asked_while_the_cores_have_pictures_of_their_own(monkeypatch):
    monkeypatch.setattr(screening, "_AT_WORK", screening._AtWork(2))
    image = steel(spots=[(40, 40, 40), (300, 40, 40), (40, 300, 40), (300, 300, 40)])
    first, second = Slow(), Network()
    screen = screened(first, beside=second)
    with screening._AT_WORK:
        screen.detect(image)
    assert first.looked_at
    assert not second.looked_at
    screen.detect(image)
    assert second.looked_at


def test_a_screen_that_is_not_needed_any_more_leaves_its_second_network():
    second = Network()
    unused = screened(Network(), beside=second)
    gone = weakref.ref(second)
    del second, unused
    until = time.monotonic() + 10
    while gone() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert gone() is None


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_a_tile_cuts_is_followed_to_its_end_though_only_its_beginning_stands_out(turned, mirrored):
    # A stripe of which the screen sees the first 24 px: what goes on fades below its contrast, not below the network's.
    image = steel(height=200, width=1200)
    image[80:104, 40:64] = 20
    image[80:104, 64:1000] = 49
    image = image.T if turned else image
    image = np.ascontiguousarray(image[::-1, ::-1] if mirrored else image)
    screen = a_screen(from_ratio=0.62)
    network, everywhere = Network(), Network()
    found = screened(network, screen=screen).detect(image)
    np.testing.assert_array_equal(found.xyxy, everywhere.detect(image).xyxy)
    assert len(found) == 1
    assert 7 < found.looked.sent == len(network.looked_at) == len(set(network.looked_at)) < found.looked.tiles


def test_what_an_escape_shows_the_beginning_of_is_followed_too():
    image = steel(height=200, width=3000)
    image[80:104, 40:2900] = 49
    found = screened(Network(), screen=a_screen(from_ratio=0.9), quiet_share=0.2).detect(image)
    np.testing.assert_array_equal(found.xyxy, Network().detect(image).xyxy)
    assert 0 < found.looked.escaped <= found.looked.sampled < found.looked.sent


def test_following_what_is_cut_does_not_go_beyond_what_may_be_looked_at():
    image = steel(height=200, width=1200)
    image[80:104, 40:1000] = 20
    with pytest.raises(ScreenOverrun):
        screened(Network(), most_tiles=5).detect(image)


def test_with_every_quiet_place_sampled_nothing_can_escape():
    # Contrast 0.5 is required, so these stand out for the network only.
    image = steel(spots=[(200, 150, 49), (30, 300, 210)])
    blind = a_screen(from_ratio=0.9)
    network = Network()
    found = screened(network, screen=blind, quiet_share=1.0).detect(image)
    np.testing.assert_array_equal(found.xyxy, Network().detect(image).xyxy)
    looked = found.looked
    assert (looked.sent, looked.sampled, looked.tiles) == (0, looked.quiet, len(network.tiles(image.shape)))
    assert looked.escaped > 0


def test_a_piece_of_what_is_already_found_is_no_escape():
    image = steel(spots=[(200, 150, 20)])
    looked = screened(Network(), quiet_share=1.0).detect(image).looked
    assert looked.sampled > 0
    assert looked.escaped == 0


def test_the_lot_is_drawn_anew_for_each_picture_but_alike_for_the_same_one():
    def sampled(seed):
        network = Network(tile_px=64)
        screened(network, quiet_share=0.2).detect(steel(seed=seed))
        return network.looked_at

    assert sampled(1) == sampled(1)
    assert len({tuple((tile.left, tile.top) for tile in sampled(seed)) for seed in range(8)}) > 6


def test_about_the_asked_share_of_quiet_places_is_sampled():
    watched = screened(Network(tile_px=64), quiet_share=0.1)
    looked = sum((watched.detect(steel(seed=seed)).looked for seed in range(30)), Looked())
    # 30 pictures of 88 tiles: 264 expected, of which four standard deviations are 62.
    assert abs(looked.sampled - 0.1 * looked.quiet) < 62


def test_a_picture_with_more_standing_out_than_allowed_is_refused_not_cut_short():
    image = steel(spots=[(x, 150, 20) for x in range(0, 480, 60)])
    network = Network()
    watched = screened(network, most_tiles=2)
    with pytest.raises(ScreenOverrun) as refusal:
        watched.detect(image)
    assert refusal.value.facts["allowed"] == 2
    assert refusal.value.facts["found"] > 2
    assert network.looked_at == []


def test_exactly_as_much_standing_out_as_allowed_is_inspected():
    image = steel(spots=[(200, 150, 20)])
    network = Network()
    screened(network).detect(image)
    assert len(screened(Network(), most_tiles=len(network.looked_at)).detect(image)) == 1


def test_a_frame_with_too_much_standing_out_is_not_inspected():
    image = steel(spots=[(200, 150, 20)])
    pipeline = Pipeline(detector=screened(Network(), most_tiles=0), surface=Surface(name="top"), limits=())
    result = pipeline.inspect(Frame(pixels=image, camera="top", sequence=1, captured_at=NOON))
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-SCREEN-OVERRUN")


# --- what escapes --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40), st.integers(0, 3000), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_bound_on_escapes_is_clopper_and_pearsons(escaped, more, confidence):
    counts = Looked(sampled=escaped + more, escaped=escaped)
    rate = escape_rate(counts, confidence=confidence)
    expected = float(beta.ppf(confidence, escaped + 1, more)) if more else 1.0
    assert rate.at_most == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_nothing_sampled_says_nothing():
    assert escape_rate(Looked(tiles=100)).estimate is None
    assert escape_rate(Looked(tiles=100)).at_most == 1.0


def test_no_escape_in_300_samples_bounds_the_rate_at_one_percent():
    # The rule of three: 3 / 300. Hanley and Lippman-Hand, JAMA 249 (1983), 1743-1745.
    rate = escape_rate(Looked(sampled=300))
    assert rate.estimate == 0
    assert rate.at_most == pytest.approx(0.01, abs=0.0002)
