import threading
import time
import weakref

import numpy as np
import pytest

from inspection.errors import DetectorOvertime, ImageUnfit
from inspection.types import Detections
from services.station.budget import MOST_HUNG, WithinBudget

PICTURE = np.zeros((16, 16), np.uint8)


class Answers:
    def detect(self, image):
        return Detections.none()


class Hangs:
    """Until it is let go, which no station can do."""

    def __init__(self, let_go: threading.Event) -> None:
        self._let_go = let_go

    def detect(self, image):
        self._let_go.wait(60)
        return Detections.none()


class Refuses:
    def detect(self, image):
        raise ImageUnfit("dark", action="Check the lamp.")


@pytest.fixture
def let_go():
    event = threading.Event()
    yield event
    event.set()


def test_an_answer_in_time_is_passed_on_and_so_is_a_refusal():
    answering = WithinBudget(Answers(), again=Answers, budget_ms=60_000)
    assert [len(answering.detect(PICTURE)) for _ in range(3)] == [0, 0, 0]
    refusing = WithinBudget(Refuses(), again=Answers, budget_ms=60_000)
    for _ in range(2):
        with pytest.raises(ImageUnfit):
            refusing.detect(PICTURE)


def test_a_detector_that_hangs_costs_one_frame_and_another_takes_its_place(let_go):
    made = []
    watched = WithinBudget(Hangs(let_go), again=lambda: made.append(1) or Answers(), budget_ms=20)
    with pytest.raises(DetectorOvertime):
        watched.detect(PICTURE)
    watched._budget_ms = 60_000
    assert len(watched.detect(PICTURE)) == 0
    assert made == [1]


def test_a_detector_that_hangs_again_and_again_is_given_up_and_no_more_threads_are_made(let_go):
    before = threading.active_count()
    watched = WithinBudget(Hangs(let_go), again=lambda: Hangs(let_go), budget_ms=1)
    for _ in range(3 * MOST_HUNG):
        with pytest.raises(DetectorOvertime):
            watched.detect(PICTURE)
    assert threading.active_count() <= before + MOST_HUNG


def test_a_detector_that_only_answers_late_is_asked_again(let_go):
    """A computer that was busy for minutes left its lane without a detector until the station was started again."""
    watched = WithinBudget(Hangs(let_go), again=lambda: Hangs(let_go), budget_ms=1)
    for _ in range(MOST_HUNG + 1):
        with pytest.raises(DetectorOvertime):
            watched.detect(PICTURE)
    let_go.set()
    watched._budget_ms = 60_000
    until = time.monotonic() + 10
    while any(not worker.has_answered for worker in watched._hung) and time.monotonic() < until:
        time.sleep(0.01)
    assert len(watched.detect(PICTURE)) == 0


def test_a_detector_that_is_not_needed_any_more_leaves_its_memory():
    """A recipe is taken up many times a day, and each has networks."""
    looking = Answers()
    watched = WithinBudget(looking, again=Answers, budget_ms=60_000)
    watched.detect(PICTURE)
    gone = weakref.ref(looking)
    del looking, watched
    until = time.monotonic() + 10
    while gone() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert gone() is None
