"""Cameras that lie: what our clients make of them, each in a process of its own that must end by itself."""

import json
import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise

import pytest

from cameras.simulator.protocol import stream_header
from tests.cameras.gige_client import Client, a_camera, a_scene, until
from tests.gige import ADDRESS, a_network_of_its_own, built_producer
from tests.where import REPOSITORY

SERIAL = "LIAR-1"
HUNG_S = 120.0
"""A client that says nothing for so long on a busy machine hangs."""

CLIENT = """
import json, sys
from cameras import open_camera
from cameras.settings import GenicamSettings, GigeSettings
from inspection.errors import InspectionError

settings = {
    "producer": lambda: GenicamSettings(producer="lynceus", serial=sys.argv[2], silent_after_s=3),
    "pip": lambda: GigeSettings(serial=sys.argv[2], silent_after_s=3),
}[sys.argv[1]]()
given, error = [], None
try:
    with open_camera("top", settings) as camera:
        for frame in camera.frames():
            greys = set(frame.pixels.tobytes())
            given.append([*frame.pixels.shape[:2], len(greys), min(greys), frame.sequence])
            if len(given) == int(sys.argv[3]):
                break
except InspectionError as told:
    error = told.code
print("outcome " + json.dumps({"given": given, "error": error}))
"""

CHAINS = [
    pytest.param(
        "producer",
        marks=pytest.mark.skipif(
            find_spec("harvesters") is None or find_spec("genicam") is None,
            reason='pip install "lynceus[gige]"',
        ),
    ),
    pytest.param(
        "pip", marks=pytest.mark.skipif(find_spec("viva_genicam") is None, reason="pip install viva-genicam")
    ),
]


@pytest.fixture(params=CHAINS)
def chain(request):
    if request.param == "producer":
        built_producer()
    with a_network_of_its_own():
        yield request.param


@contextmanager
def a_client(chain, *, frames):
    """In a process of its own; ended whatever happens."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, chain, SERIAL, str(frames)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process):
    """What it says of the camera when it ends, which it must by itself."""
    said, errors = process.communicate(timeout=HUNG_S)
    assert process.returncode == 0, errors[-3000:]
    (outcome,) = [line for line in said.splitlines() if line.startswith("outcome ")]
    return json.loads(outcome.removeprefix("outcome "))


def outcome(chain):
    with a_client(chain, frames=5) as process:
        return told(process)


def a_liar(**lies):
    # Pictures of one grey level each, which counts them: a frame that is torn, or of two pictures, has more.
    return a_camera(address=ADDRESS, interface="lo", serial=SERIAL, frames_per_s=20.0, **lies)


def filled(xml):
    return xml + b"\n" * (-len(xml) % 4)


def cut(share):
    return lambda xml: filled(xml[: int(share * len(xml))])


def without_register(name):
    """The description promises a register where the device has no memory."""

    def describe(xml):
        start = xml.index(f'Name="{name}Reg"'.encode())
        at = xml.index(b"<Address>", start) + len(b"<Address>")
        return filled(xml[:at] + b"0x50000" + xml[xml.index(b"</Address>", at) :])

    return describe


def without_feature(name):
    return lambda xml: filled(xml.replace(f'Name="{name}"'.encode(), f'Name="{name}Gone"'.encode()))


def rubbish(xml):
    return random.Random(3).randbytes(4000)


def a_tower(xml):
    """Entities in entities: a few hundred bytes that are a gigabyte once read."""
    levels = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 10))
    return filled(
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "{"x" * 10}">{levels}]><a>&a9;</a>'.encode()
    )


DESCRIPTIONS = {
    "cut in half": cut(0.5),
    "cut before its end": cut(0.999),
    "empty": lambda xml: b"\n\n\n\n",
    "rubbish": rubbish,
    "a tower of entities": a_tower,
    "no register of the width": without_register("Width"),
    "no register of the payload": without_register("PayloadSize"),
    "no register to start": without_register("AcquisitionStart"),
    "no payload at all": without_feature("PayloadSize"),
}


UNREAD = {
    ("pip", lie)
    for lie in (
        "cut before its end",
        "no register of the width",
        "no register of the payload",
        "no payload at all",
    )
}
"""What a client may read as far as it goes, or take from the pictures themselves: then they must be right."""


def assert_right(seen):
    assert seen["given"], seen
    assert all(frame[:3] == [48, 64, 1] for frame in seen["given"]), seen
    for earlier, later in pairwise(seen["given"]):
        pictures = (later[3] - earlier[3]) % 256
        assert later[4] - earlier[4] >= pictures > 0, "what lies between two frames is lost, and counted"


@pytest.mark.parametrize("lie", DESCRIPTIONS)
def test_a_description_that_lies_is_an_error_and_no_frame(chain, lie):
    with a_liar(described=DESCRIPTIONS[lie]):
        seen = outcome(chain)
    if seen["error"] is None and (chain, lie) in UNREAD:
        assert_right(seen)
    else:
        assert seen["given"] == [], seen
        assert (seen["error"] or "").startswith("CAM-"), seen


def changed(rng, ack):
    """A byte of an answer changed."""
    at = rng.randrange(len(ack))
    return ack[:at] + bytes([ack[at] ^ rng.randrange(1, 256)]) + ack[at + 1 :]


ANSWERS = {
    "rubbish": lambda rng, ack: rng.randbytes(rng.randrange(600)),
    "changed": changed,
    "cut": lambda rng, ack: ack[: rng.randrange(len(ack))],
    "of another request": lambda rng, ack: ack[:6] + bytes([ack[6] ^ 0x55]) + ack[7:],
    "refusals": lambda rng, ack: bytes([0x80, rng.randrange(16)]) + ack[2:],
}


@pytest.mark.parametrize("lie", ANSWERS)
def test_answers_that_are_rubbish_give_an_error_or_frames_that_are_right(chain, lie):
    """From the tenth on: until then it is a camera like any other. A quarter of them: each costs a time-out."""
    rng, count = random.Random(7), 0

    def said(ack):
        nonlocal count
        count += 1
        return ANSWERS[lie](rng, ack) if count > 10 and rng.random() < 0.25 else ack

    with a_liar(said=said):
        seen = outcome(chain)
    if seen["error"] is None or seen["given"]:
        assert_right(seen)
    else:
        assert seen["error"].startswith("CAM-"), seen


def test_a_camera_that_another_program_controls_is_refused_and_the_other_keeps_it(chain):
    with a_liar() as camera, Client(ADDRESS, scene=a_scene()) as first:
        first.start()
        until(lambda: camera.counts()["sent"] > 3)
        seen = outcome(chain)
        assert seen["error"] in ("CAM-IN-USE", "CAM-LOST"), seen
        assert seen["given"] == []
        before = camera.counts()["sent"]
        until(lambda: camera.counts()["sent"] > before + 3)
        first.must_write("AcquisitionStop")


def around(rng, newest):
    """Headers of pictures that are on their way, and nothing right behind them."""
    header = stream_header(
        rng.randrange(1, 4),
        block_id=(newest + rng.randrange(-2, 3)) % 65535 + 1,
        packet_id=rng.choice([0, 1, 2, rng.randrange(2**24), 2**24 - 1]),
    )
    return header + rng.randbytes(rng.randrange(1400))


PACKETS = {
    "rubbish": lambda rng, _: rng.randbytes(rng.randrange(1500)),
    "too short for a header": lambda rng, _: rng.randbytes(rng.randrange(8)),
    "of pictures on their way": around,
    "too large an id": lambda rng, newest: (
        stream_header(3, block_id=(newest + rng.randrange(2)) % 65535 + 1, packet_id=2**24 - 1)
        + rng.randbytes(80)
    ),
}


@pytest.mark.parametrize("kind", PACKETS)
def test_rubbish_in_the_stream_makes_no_frame_wrong_and_no_loss_vanish(chain, kind):
    rng = random.Random(11)
    with (
        a_liar() as camera,
        a_client(chain, frames=40) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        until(lambda: camera.counts()["sent"] > 5)
        port = camera.stream_port
        while process.poll() is None and camera.counts()["sent"] < 200:
            for _ in range(10):
                stranger.sendto(PACKETS[kind](rng, camera.counts()["blocks"]), (ADDRESS, port))
            time.sleep(0.02)
        seen = told(process)
    assert seen["given"] or seen["error"]
    if seen["given"]:
        assert_right(seen)
    assert seen["error"] is None or seen["error"].startswith("CAM-"), seen
