import threading
import time
from datetime import UTC, datetime
from itertools import count

import cv2
import numpy as np

from inspection.types import Frame, FrameResult, Inspection, Verdict
from services.station import reporter as reporting
from services.station.messages import FrameSeen
from services.station.reporter import FRAMES_WAITING, LIVE_EVERY_S, PUT_OFF_S, Reporter
from tests.builders import an_inspection, an_inspection_begun

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TEXTURE = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)


class Desk:
    """Where a courier would stand; keeps what is sent."""

    def __init__(self) -> None:
        self.sent = []

    def send(self, message) -> None:
        self.sent.append(message)


def a_frame(sequence: int) -> Frame:
    return Frame(pixels=TEXTURE + np.uint8(sequence), camera="top", sequence=sequence, captured_at=NOW)


def a_result(sequence: int, verdict: Verdict) -> FrameResult:
    return FrameResult(
        camera="top", sequence=sequence, verdict=verdict, defects=(), measurements=(), timings_ms={}
    )


def report(*verdicts: Verdict, every_s: float = 1.0) -> list:
    """What is sent of a unit with these frames, one every so many seconds."""
    desk = Desk()
    begun = an_inspection_begun()
    ticks = count(0.0, every_s)
    with Reporter(desk, clock=lambda: next(ticks)) as reporter:
        reporter.unit_begun(begun)
        for number, verdict in enumerate(verdicts):
            reporter.frame_done(begun, a_frame(number), a_result(number, verdict))
        reporter.unit_done(an_inspection(id=begun.id))
    return desk.sent


def test_every_frame_is_shown_as_a_picture_of_its_size():
    seen = [message for message in report(Verdict.ACCEPT, Verdict.ACCEPT) if isinstance(message, FrameSeen)]
    for message in seen:
        picture = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (message.height_px, message.width_px) == (40, 60)


def test_at_high_rates_the_live_view_has_some_of_the_frames_and_the_record_all_that_matter():
    # The clock is asked once for a frame that is not kept, and once more for one that is shown.
    sent = report(*[Verdict.ACCEPT] * 26, Verdict.REJECT, Verdict.REJECT, every_s=LIVE_EVERY_S / 5)
    seen = [message for message in sent if isinstance(message, FrameSeen)]
    assert len(seen) == 28
    assert 3 <= sum(bool(message.jpeg) for message in seen[1:26]) <= 5
    assert [message.result.sequence for message in seen if message.sha256] == [0, 26, 27]


def test_the_first_frame_and_every_one_not_accepted_are_kept_with_the_record():
    sent = report(Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT, Verdict.ACCEPT, Verdict.NOT_INSPECTED)
    kept = [message.result.sequence for message in sent if isinstance(message, FrameSeen) and message.sha256]
    assert kept == [0, 2, 4]
    (inspection,) = (message for message in sent if isinstance(message, Inspection))
    assert [picture.sequence for picture in inspection.pictures] == kept
    digests = [message.sha256 for message in sent if isinstance(message, FrameSeen) and message.sha256]
    assert [picture.sha256 for picture in inspection.pictures] == digests


def test_a_picture_travels_before_the_record_that_refers_to_it():
    sent = report(Verdict.REJECT)
    assert [type(message).__name__ for message in sent] == ["InspectionBegun", "FrameSeen", "Inspection"]


def test_results_do_not_wait_for_a_picture_that_takes_long(monkeypatch):
    """As on a machine whose cores are all needed by the lanes."""
    let_go = threading.Event()

    def slow(shown):
        let_go.wait(60)
        return b"picture"

    monkeypatch.setattr(reporting, "_jpeg_of", slow)
    desk, begun, frames = Desk(), an_inspection_begun(), FRAMES_WAITING + 2
    with Reporter(desk) as reporter:
        reporter.unit_begun(begun)
        for number in range(frames):
            reporter.frame_done(begun, a_frame(number), a_result(number, Verdict.REJECT))
        until = time.monotonic() + 30
        while len(desk.sent) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        told = len(desk.sent)
        let_go.set()
        reporter.unit_done(an_inspection(id=begun.id))
    assert told == 2
    seen = [message for message in desk.sent if isinstance(message, FrameSeen)]
    assert [message.result.sequence for message in seen] == list(range(frames))
    assert (seen[0].jpeg, seen[-1].jpeg) == (b"", b"picture")
    (inspection,) = (message for message in desk.sent if isinstance(message, Inspection))
    assert [picture.sequence for picture in inspection.pictures] == [
        message.result.sequence for message in seen if message.sha256
    ]


def of(kind, desk: Desk) -> list:
    return [message for message in desk.sent if isinstance(message, kind)]


def test_a_picture_is_put_off_while_its_lane_is_behind_and_made_when_it_has_caught_up():
    desk, begun, asked = Desk(), an_inspection_begun(), count()
    with Reporter(desk, keeps_up=lambda: next(asked) == 2) as reporter:
        reporter.unit_begun(begun)
        reporter.frame_done(begun, a_frame(0), a_result(0, Verdict.REJECT))
        reporter.unit_done(an_inspection(id=begun.id))
    assert next(asked) == 3
    assert [message.jpeg != b"" for message in of(FrameSeen, desk)] == [True]
    assert [len(inspection.pictures) for inspection in of(Inspection, desk)] == [1]


def test_a_lane_that_never_catches_up_has_its_pictures_all_the_same_while_few_results_wait():
    desk, begun = Desk(), an_inspection_begun()
    began_s = time.monotonic()
    with Reporter(desk, keeps_up=lambda: False) as reporter:
        reporter.unit_begun(begun)
        reporter.frame_done(begun, a_frame(0), a_result(0, Verdict.REJECT))
        reporter.unit_done(an_inspection(id=begun.id))
    assert time.monotonic() - began_s >= PUT_OFF_S
    assert [len(inspection.pictures) for inspection in of(Inspection, desk)] == [1]


def test_a_picture_that_is_put_off_is_given_up_when_results_come_to_wait_for_it():
    desk, begun, asked, told = Desk(), an_inspection_begun(), threading.Event(), threading.Event()

    def keeps_up() -> bool:
        asked.set()
        # Meanwhile more results came than may wait.
        assert told.wait(60)
        return False

    with Reporter(desk, keeps_up=keeps_up) as reporter:
        reporter.unit_begun(begun)
        reporter.frame_done(begun, a_frame(0), a_result(0, Verdict.REJECT))
        assert asked.wait(60)
        for number in range(1, FRAMES_WAITING + 3):
            reporter.frame_done(begun, a_frame(number), a_result(number, Verdict.ACCEPT))
        told.set()
        reporter.unit_done(an_inspection(id=begun.id))
    first, *_ = of(FrameSeen, desk)
    assert (first.result.sequence, first.jpeg, first.sha256) == (0, b"", None)
    assert len(of(FrameSeen, desk)) == FRAMES_WAITING + 3


def test_a_frame_that_is_too_tall_for_a_picture_costs_no_result_and_no_record():
    """A JPEG's side has 65 500 px at most; a laser line's frame may have more."""
    desk, parts = Desk(), [an_inspection_begun() for _ in range(3)]
    shapes = (TEXTURE.shape, (65_536, 64), TEXTURE.shape)
    with Reporter(desk) as reporter:
        for begun, shape in zip(parts, shapes, strict=True):
            frame = Frame(pixels=np.zeros(shape, np.uint8), camera="top", sequence=0, captured_at=NOW)
            reporter.unit_begun(begun)
            reporter.frame_done(begun, frame, a_result(0, Verdict.REJECT))
            reporter.unit_done(an_inspection(id=begun.id))
    assert [one.id for one in of(Inspection, desk)] == [begun.id for begun in parts]
    assert [len(one.pictures) for one in of(Inspection, desk)] == [1, 0, 1]
    assert [(seen.jpeg != b"", seen.height_px) for seen in of(FrameSeen, desk)] == [
        (True, 40),
        (False, 65_536),
        (True, 40),
    ]


def test_the_service_is_told_of_the_next_unit_after_a_mistake_in_telling_it_of_one(caplog):
    desk = Desk()
    stranger, known = an_inspection(), an_inspection_begun()
    with Reporter(desk) as reporter:
        # Of a unit that nobody began there is nothing to put its pictures to.
        reporter.unit_done(stranger)
        reporter.unit_begun(known)
        reporter.unit_done(an_inspection(id=known.id))
    assert [one.id for one in desk.sent] == [known.id] * 2
    assert "KeyError" in caplog.text
