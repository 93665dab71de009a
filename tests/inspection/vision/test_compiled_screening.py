"""The compiled screen against the plain one, in every way it was built that this machine can run."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspection.vision.cells import CELL_PX, DEPTH, plain_statistics
from inspection.vision.screening import WEIGHT_STEP, Screen, padded
from tests.where import REPOSITORY


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The module that an installation makes, made here where none was: by the compiler, as pyproject.toml says."""
    try:
        from inspection.vision import _screening
    except ImportError:
        pass
    else:
        return _screening
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler here")
    asked = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    (module,) = asked["tool"]["setuptools"]["ext-modules"]
    made = tmp_path_factory.mktemp("compiled") / "_screening.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        f"-I{sysconfig.get_path('include')}",
        *module["extra-compile-args"],
    ]
    command += [f"-D{name}={value}" for name, value in module["define-macros"]]
    command += [str(REPOSITORY / source) for source in module["sources"]]
    subprocess.run([*command, "-o", str(made)], check=True)
    spec = importlib.util.spec_from_file_location("_screening", made)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def any_screen(seed, units, kinds):
    rng = np.random.default_rng(seed)

    def layer(rows, columns, spread):
        return np.rint(rng.normal(0, spread, (rows, columns)) / WEIGHT_STEP) * WEIGHT_STEP

    return Screen(
        kinds=tuple(f"kind {number}" for number in range(kinds)),
        thresholds=rng.normal(0, 3, kinds),
        first=layer(3 * DEPTH + 1, units, 0.01),
        second=layer(2 * units + 1, units, 0.2),
        last=layer(units + 1, kinds, 0.5),
    )


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda hw: (hw[0] * CELL_PX, hw[1] * CELL_PX))
PICTURES = st.one_of(
    SIZES.flatmap(lambda hw: hnp.arrays(np.uint8, hw)),
    st.tuples(SIZES, st.integers(0, 99), st.integers(0, 120)).map(
        lambda one: np.clip(np.random.default_rng(one[1]).normal(128, one[2], one[0]), 0, 255).astype(
            np.uint8
        )
    ),
)


def statistics_by(compiled, image, way):
    out = np.empty((image.shape[0] // CELL_PX, image.shape[1] // CELL_PX, DEPTH), np.float32)
    compiled.cell_statistics(image, out, way)
    return out


@settings(deadline=None, max_examples=60)
@given(PICTURES)
def test_compiled_statistics_are_those_of_the_plain_code_to_the_last_bit(compiled, image):
    plain = plain_statistics(image)
    for way in range(compiled.ways()):
        np.testing.assert_array_equal(statistics_by(compiled, image, way), plain)


@settings(deadline=None, max_examples=60)
@given(PICTURES, st.integers(0, 99), st.sampled_from([(1, 1), (5, 3), (32, 6), (32, 8)]))
def test_compiled_scoring_picks_the_candidates_of_the_plain_code(compiled, image, seed, size):
    screen = any_screen(seed, *size)
    statistics = plain_statistics(image)
    plain = (screen.scores(statistics) >= screen.thresholds).any(axis=2)
    for way in range(compiled.ways()):
        stands_out = np.empty(plain.shape, np.bool_)
        compiled.candidates(
            statistics, *padded(screen), screen.thresholds, stands_out, *plain.shape, len(screen.kinds), way
        )
        np.testing.assert_array_equal(stands_out, plain)


def test_a_cell_exactly_on_its_threshold_is_a_candidate_in_every_way(compiled):
    statistics = plain_statistics(np.full((64, 96), 100, np.uint8))
    screen = any_screen(3, 32, 6)
    score = screen.scores(statistics)[1, 1]
    for way in range(compiled.ways()):
        for above, expected in ((0.0, True), (WEIGHT_STEP, False)):
            stands_out = np.empty((2, 3), np.bool_)
            compiled.candidates(statistics, *padded(screen), score + above, stands_out, 2, 3, 6, way)
            assert stands_out[1, 1] == expected


def test_a_region_whose_rows_lie_apart_is_read_where_it_is(compiled):
    whole = np.random.default_rng(1).integers(0, 256, (128, 200)).astype(np.uint8)
    region = whole[13 : 13 + 96, 7 : 7 + 160]
    plain = plain_statistics(np.ascontiguousarray(region))
    for way in range(compiled.ways()):
        np.testing.assert_array_equal(statistics_by(compiled, region, way), plain)


def test_arrays_of_other_sizes_are_refused_before_anything_is_read_or_written(compiled):
    image, out = np.zeros((64, 64), np.uint8), np.zeros((2, 2, DEPTH), np.float32)
    for wrong in (image[:60], image[:, ::2], image.astype(np.uint16), image[0], image[:0]):
        with pytest.raises(ValueError, match="whole cells"):
            compiled.cell_statistics(wrong, out)
    with pytest.raises(ValueError, match="out"):
        compiled.cell_statistics(image, out[:1])
    screen = any_screen(0, 4, 2)
    stands_out = np.zeros((2, 2), np.bool_)
    good = [out, *padded(screen), screen.thresholds, stands_out]
    for number, name in enumerate(("statistics", "first", "second", "last", "thresholds", "out")):
        wrong = [*good]
        wrong[number] = good[number][:-1].copy()
        with pytest.raises(ValueError, match=name):
            compiled.candidates(*wrong, 2, 2, 2)
    with pytest.raises(ValueError, match="kinds"):
        compiled.candidates(*good, 2, 2, 9)
    assert not stands_out.any()
