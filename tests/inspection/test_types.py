import pickle

import numpy as np

from tests.cameras.recorded import a_frame


def test_a_frame_comes_whole_out_of_another_process():
    frame = a_frame(3, trigger=7, chunks={"EncoderValue": -12, "ExposureTime": 80.5})
    again = pickle.loads(pickle.dumps(frame))
    assert np.array_equal(again.pixels, frame.pixels)
    assert (again.camera, again.sequence, again.trigger) == ("top", 3, 7)
    assert again.captured_at == frame.captured_at
    assert again.chunks == {"EncoderValue": -12, "ExposureTime": 80.5}


def test_two_frames_are_the_same_only_if_they_are_one():
    frame, twin = a_frame(3), a_frame(3)
    assert frame == frame
    assert frame != twin
    assert {frame, twin, frame} == {frame, twin}


def test_what_a_device_says_of_one_exposure_does_not_reach_another():
    assert a_frame(3).chunks is not a_frame(4).chunks
    assert a_frame(3).chunks == {}
