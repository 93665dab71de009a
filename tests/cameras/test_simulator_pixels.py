"""What the simulated camera makes of the grey it sees, before the judge that reads real cameras' pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cameras.pixels import FORMATS, Payload, image_of
from cameras.simulator.pixels import PIXEL_FORMATS, TINT_RGB
from cameras.simulator.protocol import Leader
from tests.cameras.gige_client import a_camera_and_client, take

GREY = [form for form in PIXEL_FORMATS if form.name.startswith("Mono")]
COLOUR = [form for form in PIXEL_FORMATS if form.name in ("RGB8", "BGR8")]


def pictures():
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 4).map(lambda count: 4 * count))
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape))


def read(form, packed, wh_px):
    width_px, height_px = wh_px
    return image_of(
        Payload(
            data=packed.tobytes(),
            offset_bytes=0,
            width_px=width_px,
            height_px=height_px,
            row_padding_bytes=0,
            format=FORMATS[form.code],
        )
    )


@pytest.mark.parametrize("form", PIXEL_FORMATS, ids=lambda form: form.name)
def test_code_and_name_are_those_that_cameras_use(form):
    assert FORMATS[form.code].name == form.name
    assert FORMATS[form.code].bits_per_px == form.bits_per_px


@pytest.mark.parametrize("form", GREY, ids=lambda form: form.name)
@given(grey=pictures())
def test_grey_survives_every_way_it_is_packed(form, grey):
    packed = form.pack(grey)
    assert packed.nbytes * 8 == grey.size * form.bits_per_px
    assert np.array_equal(read(form, packed, grey.shape[::-1]), grey)


@pytest.mark.parametrize(
    "form", [form for form in GREY if form.bits_per_px == 16], ids=lambda form: form.name
)
def test_white_is_the_highest_value_there_is(form):
    bits = int(form.name.removeprefix("Mono"))
    assert form.pack(np.full((1, 4), 255, np.uint8)).view("<u2").max() == 2**bits - 1


@pytest.mark.parametrize("form", COLOUR, ids=lambda form: form.name)
@given(grey=pictures())
def test_colour_is_the_grey_with_a_tint_whichever_channel_comes_first(form, grey):
    bgr = read(form, form.pack(grey), grey.shape[::-1])
    for channel, share in enumerate(reversed(TINT_RGB)):
        assert np.array_equal(bgr[:, :, channel], np.rint(grey * share))


def test_a_mosaic_shows_the_tint_where_it_was_put():
    (form,) = [form for form in PIXEL_FORMATS if form.name == "BayerRG8"]
    bgr = read(form, form.pack(np.full((8, 8), 200, np.uint8)), (8, 8))
    assert bgr[4, 4].tolist() == [100, 150, 200]


@pytest.mark.parametrize("form", PIXEL_FORMATS, ids=lambda form: form.name)
def test_a_client_gets_the_format_it_asked_for_in_the_size_that_was_announced(form):
    with a_camera_and_client(frames_per_s=50.0) as (_, client):
        client.take_control()
        client.aim_here()
        client.must_write("PixelFormat", form.code)
        client.must_write("Width", 60)
        payload_bytes = client.read("PayloadSize")
        client.must_write("AcquisitionMode", "MultiFrame")
        client.must_write("AcquisitionFrameCount", 3)
        client.must_write("AcquisitionStart")
        blocks = take(client, whole=3)
    block = blocks[3]
    assert isinstance(block.leader, Leader)
    assert block.leader.pixel_format == form.code
    assert len(block.payload) == payload_bytes == 60 * 48 * form.bits_per_px // 8
    assert block.payload == form.pack(np.full((48, 60), 2, np.uint8)).tobytes()
