"""Settings on a device of whatever kind: what is written, what it made of it, and what came first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.features import Change, NodeRefused, apply_settings, make_idle, values_of
from cameras.settings import GenicamSettings
from tests.fake_cameras import Choice, Deed, FakeFeatures, Number

OFF_ON = ("Off", "On")


def applied(device, **settings):
    return apply_settings(device, GenicamSettings(producer="simulated", **settings))


def a_triggered_device(*selectors, sources=("Software", "Line1", "Line2", "Encoder0")):
    """All its triggers are on, as another program left them."""
    return FakeFeatures(
        TriggerSelector=Choice(entries=selectors, value=selectors[0]),
        TriggerMode=Choice(entries=OFF_ON, value="On", per="TriggerSelector"),
        TriggerSource=Choice(entries=sources, value="Line2", per="TriggerSelector"),
        TriggerActivation=Choice(
            entries=("RisingEdge", "FallingEdge"), value="RisingEdge", per="TriggerSelector"
        ),
    )


def trigger_modes(device):
    mode = device.features["TriggerMode"]
    return {name: mode.values.get(name, mode.value) for name in device.entries("TriggerSelector")}


def test_nothing_set_leaves_the_device_alone():
    device = a_triggered_device("FrameStart")
    assert applied(device).changes == ()
    assert device.written == []


@given(exposure_us=st.floats(1, 1e6))
def test_a_value_within_two_percent_is_a_rounding_any_other_a_refusal(exposure_us):
    device = FakeFeatures(ExposureTime=Number(value=0.0, rounds_to=10.0))
    (change,) = applied(device, exposure_us=exposure_us).changes or (None,)
    found = device.read("ExposureTime")
    if change is None:
        assert found == exposure_us
    else:
        assert change.found == found
        assert change.is_refused == (abs(found - exposure_us) > 0.02 * exposure_us)


def test_every_refusal_is_told_with_what_the_device_offers():
    device = FakeFeatures(
        ExposureTime=Number(value=100.0, lowest=10, highest=500),
        PixelFormat=Choice(entries=("Mono8", "Mono12"), value="Mono8"),
        Width=Number(value=640, highest=2048),
    )
    changes = applied(device, exposure_us=900.0, pixel_format="RGB8", gain_db=3.0, width_px=320).changes
    assert changes == (
        Change(
            setting="pixel_format",
            feature="PixelFormat",
            wanted="RGB8",
            found="Mono8",
            offers="Mono8, Mono12",
            is_refused=True,
        ),
        Change(
            setting="exposure_us",
            feature="ExposureTime",
            wanted=900.0,
            found=100.0,
            offers="10 … 500",
            is_refused=True,
        ),
        Change(setting="gain_db", feature="Gain", wanted=3.0, found=None, offers="", is_refused=True),
    )
    assert device.read("Width") == 320


def test_a_setting_that_a_later_one_changed_is_found_out():
    def exposes_shorter(device):
        device.features["ExposureTime"].value = 50.0

    class Coupled(FakeFeatures):
        def write(self, name, value):
            super().write(name, value)
            if name == "AcquisitionFrameRate":
                exposes_shorter(self)

    device = Coupled(ExposureTime=Number(value=10.0), AcquisitionFrameRate=Number(value=1.0))
    (change,) = applied(device, exposure_us=100.0, frames_per_s=1000.0).changes
    assert (change.setting, change.found, change.is_refused) == ("exposure_us", 50.0, True)


def test_automatic_exposure_and_gain_are_switched_off_first():
    device = FakeFeatures(
        ExposureTime=Number(value=10.0, locked_by="ExposureAuto"),
        ExposureAuto=Choice(entries=("Off", "Continuous"), value="Continuous"),
        Gain=Number(value=0.0, locked_by="GainAuto"),
        GainAuto=Choice(entries=("Off", "Continuous"), value="Continuous"),
    )
    assert applied(device, exposure_us=80.0, gain_db=6.0).changes == ()
    assert (device.read("ExposureTime"), device.read("Gain")) == (80.0, 6.0)


@given(before=st.integers(0, 1000), width=st.integers(16, 1000), data=st.data())
def test_a_region_is_set_whatever_region_was_set_before(before, width, data):
    offset = data.draw(st.integers(0, 1016 - width))
    device = FakeFeatures(
        Width=Number(value=1016 - before, lowest=1, highest=1016, room_of="OffsetX"),
        OffsetX=Number(value=before, highest=1016, room_of="Width"),
    )
    assert applied(device, width_px=width, offset_x_px=offset).changes == ()
    assert (device.read("Width"), device.read("OffsetX")) == (width, offset)


def a_device_with_a_place_on_its_sensor(*, offset=600):
    return FakeFeatures(
        Width=Number(value=400, highest=2048, room_of="OffsetX"),
        OffsetX=Number(value=offset, highest=2048, room_of="Width"),
        Height=Number(value=400, highest=1536, room_of="OffsetY"),
        OffsetY=Number(value=300, highest=1536, room_of="Height"),
    )


def test_a_size_alone_leaves_the_picture_where_it_is_on_the_sensor():
    device = a_device_with_a_place_on_its_sensor()
    assert applied(device, width_px=800, height_px=500).changes == ()
    assert [device.read(name) for name in ("Width", "OffsetX", "Height", "OffsetY")] == [800, 600, 500, 300]


def test_a_size_that_leaves_no_room_where_the_picture_is_is_refused_with_the_offset_to_set():
    device = a_device_with_a_place_on_its_sensor()
    (change,) = applied(device, width_px=1600).changes
    assert (change.setting, change.wanted, change.found, change.is_refused) == ("offset_x_px", 600, 0, True)
    assert applied(a_device_with_a_place_on_its_sensor(), width_px=1600, offset_x_px=0).changes == ()


def test_the_whole_sensor_has_one_place_only_and_that_it_is_another_is_told():
    device = a_device_with_a_place_on_its_sensor()
    told = applied(device, width_px=2048, height_px=1536)
    told.check("top")
    assert [(change.setting, change.wanted, change.found) for change in told.changes] == [
        ("offset_x_px", 600, 0),
        ("offset_y_px", 300, 0),
    ]


def test_a_device_without_offsets_still_takes_a_size():
    device = FakeFeatures(Height=Number(value=480, highest=1080))
    assert applied(device, height_px=1080).changes == ()


def test_binning_and_scan_type_come_before_the_size_they_bound():
    device = FakeFeatures(
        DeviceScanType=Choice(entries=("Areascan", "Linescan"), value="Areascan"),
        BinningHorizontal=Number(value=1, lowest=1, highest=4),
        BinningVertical=Number(value=1, lowest=1, highest=4),
        Width=Number(value=640, highest=2048),
    )
    assert applied(device, width_px=320, binning_x=2, binning_y=4, device_scan_type="line").changes == ()
    assert [name for name, _ in device.written] == [
        "DeviceScanType",
        "BinningHorizontal",
        "BinningVertical",
        "Width",
    ]
    assert device.read("DeviceScanType") == "Linescan"


def test_what_cannot_be_set_but_is_so_is_taken():
    def refuses(_):
        raise NodeRefused("read-only")

    scan_type = Choice(entries=("Linescan",), value="Linescan")
    scan_type.takes = refuses
    assert applied(FakeFeatures(DeviceScanType=scan_type), device_scan_type="line").changes == ()
    (change,) = applied(FakeFeatures(DeviceScanType=scan_type), device_scan_type="area").changes
    assert (change.found, change.is_refused) == ("Linescan", True)


def test_a_free_camera_waits_for_no_trigger_wherever_one_was_left_on():
    device = a_triggered_device("FrameStart", "AcquisitionStart", "LineStart")
    assert applied(device, trigger="free").changes == ()
    assert set(trigger_modes(device).values()) == {"Off"}
    assert applied(FakeFeatures(), trigger="free").changes == ()


@pytest.mark.parametrize(
    ("settings", "selector", "source"),
    [
        ({"trigger": "software"}, "FrameStart", "Software"),
        ({"trigger": "line", "trigger_source": "Line1"}, "FrameStart", "Line1"),
        ({"trigger": "encoder"}, "LineStart", "Encoder0"),
    ],
)
def test_exactly_the_trigger_that_is_set_is_on(settings, selector, source):
    device = a_triggered_device("AcquisitionStart", "FrameStart", "LineStart")
    assert applied(device, **settings).changes == ()
    assert [name for name, mode in trigger_modes(device).items() if mode == "On"] == [selector]
    assert device.features["TriggerSource"].values[selector] == source


def test_an_area_camera_takes_a_frame_and_not_a_line_from_the_encoder():
    device = a_triggered_device("FrameStart")
    assert applied(device, trigger="encoder").changes == ()
    assert trigger_modes(device) == {"FrameStart": "On"}


def test_the_edge_of_a_trigger_is_set():
    device = a_triggered_device("FrameStart")
    applied(device, trigger="line", trigger_source="Line1", trigger_activation="FallingEdge")
    assert device.read("TriggerActivation") == "FallingEdge"


def test_a_trigger_input_that_is_not_there_is_refused_with_those_that_are():
    device = a_triggered_device("FrameStart", sources=("Software", "Line1"))
    (change,) = applied(device, trigger="line", trigger_source="Line7").changes
    assert (change.setting, change.offers, change.is_refused) == ("trigger_source", "Software, Line1", True)


def test_a_device_without_a_trigger_refuses_to_be_triggered():
    changes = applied(FakeFeatures(), trigger="software").changes
    assert changes
    assert all(change.is_refused for change in changes)


def a_device_with_chunks(*names, **more):
    return FakeFeatures(
        ChunkModeActive=Number(value=False),
        ChunkSelector=Choice(entries=("Image", *names), value="Image"),
        ChunkEnable=Number(value=False, per="ChunkSelector"),
        **{f"Chunk{name}": Number(value=0) for name in names},
        **more,
    )


def test_every_value_the_device_has_is_to_come_with_each_frame():
    device = a_device_with_chunks("FrameID", "EncoderValue")
    told = applied(device, chunks=True, mm_per_encoder_count=0.1)
    assert told.changes == ()
    assert told.chunks == ("FrameID", "EncoderValue")
    assert device.features["ChunkEnable"].values == {"FrameID": True, "EncoderValue": True}


def test_places_by_an_encoder_that_the_device_does_not_send_are_refused():
    (change,) = applied(a_device_with_chunks("FrameID"), chunks=True, mm_per_encoder_count=0.1).changes
    assert (change.setting, change.feature, change.is_refused) == (
        "mm_per_encoder_count",
        "ChunkEncoderValue",
        True,
    )


def a_device_that_counts(*chunks, sources=("Off", "Line1", "Line2"), **more):
    return a_device_with_chunks(
        "FrameID",
        *chunks,
        TriggerSource=Choice(entries=("Software", "Line1"), value="Software"),
        TriggerMode=Choice(entries=OFF_ON, value="Off"),
        TriggerActivation=Choice(entries=("RisingEdge", "LevelLow"), value="RisingEdge"),
        CounterSelector=Choice(entries=("Counter0", "Counter1"), value="Counter1"),
        CounterEventSource=Choice(entries=sources, value="Off", per="CounterSelector"),
        CounterEventActivation=Choice(
            entries=("RisingEdge", "FallingEdge"), value="RisingEdge", per="CounterSelector"
        ),
        CounterReset=Deed(),
        **more,
    )


COUNTED = {"trigger": "line", "trigger_source": "Line1", "chunks": True, "count_triggers": True}


def test_the_first_counter_counts_the_signal_that_triggers_and_comes_with_each_frame():
    device = a_device_that_counts(
        "CounterValue", ChunkCounterSelector=Choice(entries=("Counter0", "Counter1"), value="Counter1")
    )
    told = applied(device, **COUNTED, trigger_activation="LevelLow")
    assert told.changes == ()
    assert told.chunks == ("FrameID", "CounterValue")
    assert device.features["CounterEventSource"].values == {"Counter0": "Line1"}
    assert device.features["CounterEventActivation"].values == {"Counter0": "FallingEdge"}
    assert device.read("ChunkCounterSelector") == "Counter0"
    assert device.features["CounterReset"].done == 1, "by the standard, that is what starts it"


def test_a_device_that_counts_no_input_counts_the_triggers_it_received():
    device = a_device_that_counts("CounterValue", sources=("Off", "FrameTrigger", "ExposureStart"))
    assert applied(device, **COUNTED).changes == ()
    assert device.features["CounterEventSource"].values == {"Counter0": "FrameTrigger"}


@pytest.mark.parametrize(
    ("device", "feature"),
    [
        pytest.param(
            a_device_that_counts("CounterValue", sources=("Off",)), "CounterEventSource", id="nothing"
        ),
        pytest.param(a_device_that_counts(), "ChunkCounterValue", id="does not send it"),
    ],
)
def test_a_device_that_cannot_count_its_triggers_refuses_to(device, feature):
    (change, *_) = applied(device, **COUNTED).changes
    assert (change.setting, change.feature, change.is_refused) == ("count_triggers", feature, True)


def test_a_counter_that_counts_nothing_is_not_asked_to_tell():
    assert applied(a_device_that_counts("CounterValue"), chunks=True).chunks == ("FrameID",)


def test_values_are_switched_off_only_where_that_is_set():
    device = a_device_with_chunks("FrameID")
    device.features["ChunkModeActive"].value = True
    assert applied(device).chunks == ()
    assert device.read("ChunkModeActive") is True
    assert applied(device, chunks=False).changes == ()
    assert device.read("ChunkModeActive") is False
    assert applied(FakeFeatures(), chunks=False).changes == ()


def test_a_user_set_is_loaded_before_anything_is_set():
    def as_saved(device):
        device.features["ExposureTime"].value = 7.0

    device = FakeFeatures(
        UserSetSelector=Choice(entries=("Default", "UserSet0"), value="Default"),
        UserSetLoad=Deed(do=as_saved),
        ExposureTime=Number(value=10.0),
    )
    assert applied(device, user_set="UserSet0").changes == ()
    assert device.read("ExposureTime") == 7.0
    assert applied(device, user_set="UserSet0", exposure_us=80.0).changes == ()
    assert device.read("ExposureTime") == 80.0
    assert applied(device, user_set="Line3").changes[0].offers == "Default, UserSet0"
    assert device.features["UserSetLoad"].done == 2


def test_a_share_of_the_link_and_a_pause_between_packets_reach_the_device_in_its_units():
    device = FakeFeatures(
        DeviceLinkThroughputLimitMode=Choice(entries=OFF_ON, value="Off"),
        DeviceLinkThroughputLimit=Number(value=125_000_000, locked_by=None),
        GevSCPD=Number(value=0),
        GevTimestampTickFrequency=Number(value=125_000_000),
        GevSCPSPacketSize=Number(value=1400, highest=9000),
    )
    assert applied(device, link_mb_per_s=57.5, packet_delay_us=8.0, packet_bytes=8000).changes == ()
    assert device.read("DeviceLinkThroughputLimitMode") == "On"
    assert device.read("DeviceLinkThroughputLimit") == 57_500_000
    assert device.read("GevSCPD") == 1000
    assert device.read("GevSCPSPacketSize") == 8000


@pytest.mark.parametrize("how", ["rounds_to", "step"])
def test_a_share_of_the_link_is_rounded_to_the_devices_steps(how):
    """A third of 110 MB/s is no whole number of bytes, and a device limits itself in steps, as of 16 000."""
    device = FakeFeatures(DeviceLinkThroughputLimit=Number(value=124_992_000, **{how: 16_000}))
    told = applied(device, link_mb_per_s=110 / 3)
    (change,) = told.changes
    assert (change.found, change.is_refused) == (36_672_000 if how == "rounds_to" else 36_656_000, False)
    told.check("top")


def test_a_quantity_that_is_on_one_of_the_devices_steps_is_no_change():
    device = FakeFeatures(DeviceLinkThroughputLimit=Number(value=124_992_000, lowest=8_000, step=16_000))
    assert applied(device, link_mb_per_s=40.008).changes == ()
    assert device.read("DeviceLinkThroughputLimit") == 40_008_000


def test_a_share_of_the_link_is_not_made_another_by_a_coarse_step():
    device = FakeFeatures(DeviceLinkThroughputLimit=Number(value=100_000_000, step=25_000_000))
    (change,) = applied(device, link_mb_per_s=30.0).changes
    assert (change.found, change.is_refused) == (25_000_000, True)


def test_a_whole_number_that_was_set_is_never_another():
    device = FakeFeatures(Width=Number(value=640, rounds_to=16))
    (change,) = applied(device, width_px=1001).changes
    assert (change.found, change.is_refused) == (1008, True)


@pytest.mark.parametrize("name", ["PtpEnable", "GevIEEE1588"])
def test_clocks_are_kept_together_under_the_new_name_and_the_old(name):
    device = FakeFeatures(**{name: Number(value=False)})
    assert applied(device, ptp=True).changes == ()
    assert device.read(name) is True


def test_a_device_left_running_is_stopped_and_unlocked():
    device = FakeFeatures(AcquisitionStop=Deed(), TLParamsLocked=Number(value=1))
    make_idle(device)
    assert device.features["AcquisitionStop"].done == 1
    assert device.read("TLParamsLocked") == 0
    make_idle(FakeFeatures())


def test_what_a_device_says_now_is_asked_by_name_and_the_clock_is_latched_first():
    def latch(device):
        device.features["PtpStatus"].value = "Slave"

    device = FakeFeatures(
        PtpDataSetLatch=Deed(do=latch),
        PtpStatus=Choice(entries=("Slave",), value="Initializing"),
        DeviceTemperature=Number(value=41.5),
        ReverseX=Number(value=True),
    )
    assert values_of(device, ["DeviceTemperature", "PtpStatus", "ReverseX", "Gain"]) == {
        "DeviceTemperature": 41.5,
        "PtpStatus": "Slave",
        "ReverseX": 1,
    }
