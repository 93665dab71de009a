"""Simulated cameras in the place of drawn ones."""

import socket
import sys
from itertools import islice

import numpy as np
import pytest

from cameras import open_camera
from cameras.drawn import strip_of
from cameras.settings import ReplaySettings
from cameras.simulator.protocol import GVCP_PORT
from inspection.vision.drawing import draw_part
from services.station.wired import switched_on, wired
from station_config import load_station
from tests.gige import a_network_of_its_own

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="simulated cameras run on Linux only")
pytest.importorskip("viva_genicam", reason='pip install "lynceus[gige]"')


@pytest.fixture(autouse=True)
def network():
    with a_network_of_its_own():
        yield


def test_every_drawn_camera_becomes_a_device_that_shows_the_same():
    demo = load_station("demo")
    on_the_wire = wired(demo)
    assert [device.sees for device in on_the_wire.devices] == [lane.camera for lane in demo.lanes]
    assert len({device.address for device in on_the_wire.devices}) == 2
    for lane, before, device in zip(on_the_wire.station.lanes, demo.lanes, on_the_wire.devices, strict=True):
        assert lane.camera.driver == on_the_wire.chain
        assert lane.camera_name == device.serial
        assert lane.model_copy(update={"camera": before.camera}) == before


def test_the_pictures_that_arrive_are_those_the_drawn_cameras_would_have_given(tmp_path):
    demo = load_station("demo")
    on_the_wire = wired(demo, build=tmp_path)
    seen = []
    for lane, device in zip(on_the_wire.station.lanes, on_the_wire.devices, strict=True):
        with switched_on(device), open_camera(lane.name, lane.camera) as camera:
            seen.append(list(islice(camera.frames(), 2)))
    drawn = demo.lanes[0].camera
    strip = strip_of(drawn)
    drawings = [
        [strip.frame(index, height_px=400).pixels for index in range(40)],
        [draw_part(demo.lanes[1].camera.seed, index, size_px=400).pixels for index in range(40)],
    ]
    for frames, pictures in zip(seen, drawings, strict=True):
        first = next(at for at, picture in enumerate(pictures) if np.array_equal(picture, frames[0].pixels))
        step = frames[1].sequence - frames[0].sequence
        assert np.array_equal(pictures[first + step], frames[1].pixels)
    one, other = seen[0]
    assert other.y_origin_mm - one.y_origin_mm == (other.sequence - one.sequence) * 400 * drawn.mm_per_px


def test_a_second_station_on_this_computer_has_other_addresses_and_serial_numbers():
    first = wired(load_station("demo"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((first.devices[1].address, GVCP_PORT))
        second = wired(load_station("demo"))
    for one, other in zip(first.devices, second.devices, strict=True):
        assert one.address != other.address
        assert one.serial != other.serial


def test_where_the_pip_only_client_cannot_look_the_pictures_are_drawn_and_it_is_said_why(tmp_path):
    demo = load_station("demo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        assert wired(demo, build=tmp_path).chain == "gige"
        taken.bind(("127.0.0.1", GVCP_PORT))
        drawn = wired(demo, build=tmp_path)
    assert drawn.why_not == "localhost_taken"
    assert (drawn.station, drawn.devices, drawn.chain) == (demo, (), None)


def test_a_camera_that_is_not_drawn_stays_as_it_is(tmp_path):
    demo = load_station("demo")
    replay = demo.lanes[1].model_copy(update={"camera": ReplaySettings(folder=tmp_path)})
    on_the_wire = wired(demo.model_copy(update={"lanes": (demo.lanes[0], replay)}))
    assert [device.sees for device in on_the_wire.devices] == [demo.lanes[0].camera]
    assert on_the_wire.station.lanes[1] == replay
