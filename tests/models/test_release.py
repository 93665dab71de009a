import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.training.release import quiet_from

scores = st.floats(0, 1)


@given(
    arrays(np.float64, (8, 3), elements=scores),
    arrays(np.float64, (20, 3), elements=scores),
    st.sampled_from([0.0, 0.05, 0.2]),
)
def test_no_more_clean_pictures_alarm_than_allowed_and_fewer_defective_ones_escape_than_with_none(
    defective, clean, share
):
    thresholds = quiet_from(defective, clean, share=share)
    assert (clean >= thresholds).any(axis=1).sum() <= share * len(clean)
    strictest = quiet_from(defective, clean, share=0.0)
    escaped, escaped_then = ((defective < one).all(axis=1).sum() for one in (thresholds, strictest))
    assert escaped <= escaped_then


def test_the_clean_picture_that_is_let_through_is_the_one_that_costs_most_escapes():
    clean = np.array([[0.9, 0.1], [0.2, 0.8]])
    # The first kind's loud clean picture hides two defective ones, the second kind's only one.
    defective = np.array([[0.5, 0.0], [0.6, 0.0], [0.0, 0.5]])
    thresholds = quiet_from(defective, clean, share=0.5)
    assert (defective >= thresholds).any(axis=1).tolist() == [True, True, False]
