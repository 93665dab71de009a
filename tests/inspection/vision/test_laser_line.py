"""Where a laser line lies, judged on drawn ones at known rows; the surfaces made of them are in test_sensors.py."""

import numpy as np
import pytest

from inspection.vision.laser_line import line_rows_of

ROWS, COLUMNS = 64, 400


def a_line(at_rows: np.ndarray, *, width: float, brightness: float) -> np.ndarray:
    """Grey levels (ROWS, COLUMNS) before the camera's limit. `width` is the line's sigma, in rows."""
    rows = np.arange(ROWS)[:, None]
    return brightness * np.exp(-((rows - at_rows) ** 2) / 2 / width**2)


def seen(*lines: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 1.5, (ROWS, COLUMNS))
    return np.clip(20 + sum(lines) + noise, 0, 255).astype(np.uint8)[None]


@pytest.mark.parametrize("brightness", [150.0, 250.0, 400.0, 800.0])
@pytest.mark.parametrize("width", [1.0, 1.5, 2.0])
def test_a_line_too_bright_for_the_camera_is_not_seen_higher_than_it_lies(width, brightness):
    at = 30 + np.random.default_rng(1).random(COLUMNS) * 4
    off = line_rows_of(seen(a_line(at, width=width, brightness=brightness)), min_peak=30)[0] - at
    assert np.isfinite(off).all()
    # Of 400 columns with noise of 0.05 rows each.
    assert abs(off.mean()) < 0.01
    assert off.std() < 0.06


@pytest.mark.parametrize("apart", range(5, 20))
@pytest.mark.parametrize("brightness", [200.0, 800.0])
def test_between_two_lines_as_bright_as_each_other_no_line_is_made_up(apart, brightness):
    at = np.full(COLUMNS, 24.0)
    both = (a_line(one, width=0.8, brightness=brightness) for one in (at, at + apart))
    found = line_rows_of(seen(*both), min_peak=30)
    assert not np.isfinite(found).any()
