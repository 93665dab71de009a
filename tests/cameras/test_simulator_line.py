"""The line under the simulated camera: its clock, what can go wrong, and what there is to see."""

from threading import Event

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import FaultsUnreadable, RunUnreadable
from cameras.simulator.clock import PART_PITCH_COUNTS, EdgeCounter, LineClock, lines_at
from cameras.simulator.faults import Fault, FaultPlan, Kind, parse_faults
from cameras.simulator.ptp import Ptp
from cameras.simulator.scene import folder_scene, parts_scene, prepared_scene, strip_scene
from inspection.vision.drawing import StripDrawing, draw_part
from tests.cameras.recorded import a_frame, record


class Turned:
    """Nanoseconds that pass only when told to."""

    def __init__(self):
        self.ns = 5_000

    def __call__(self):
        return self.ns

    def pass_s(self, seconds):
        self.ns += round(seconds * 1e9)


def a_clock(counts_per_s=800.0):
    turned = Turned()
    return LineClock(counts_per_s=counts_per_s, monotonic_ns=turned), turned


def test_the_encoder_counts_what_the_speed_says():
    clock, turned = a_clock(800.0)
    assert clock.encoder() == 0
    turned.pass_s(2.5)
    assert clock.encoder() == 2000


def test_the_encoder_goes_on_from_where_it_is_when_the_speed_changes():
    clock, turned = a_clock(800.0)
    turned.pass_s(1)
    clock.run_at(100.0)
    assert clock.encoder() == 800
    turned.pass_s(1)
    assert clock.encoder() == 900


@given(st.floats(0.5, 1e6), st.floats(0, 1e5), st.integers(0, 10**9))
def test_when_the_encoder_reaches_a_count_it_has_that_count(speed, seconds, ahead):
    clock, turned = a_clock(speed)
    turned.pass_s(seconds)
    wanted = clock.encoder() + ahead
    # Times are rounded up to nanoseconds, and above 2**53 counts times nanoseconds floats have no odd numbers.
    assert clock.encoder(clock.when(wanted)) - wanted in (-1, 0, 1)


def test_parts_pass_one_pitch_after_another():
    clock, _ = a_clock()
    assert clock.part_after(0) == 1
    assert clock.part_after(PART_PITCH_COUNTS - 1) == 1
    assert clock.part_after(PART_PITCH_COUNTS) == 2


def test_a_part_covers_the_light_barrier_for_half_a_pitch():
    covered = [lines_at(count) for count in range(2 * PART_PITCH_COUNTS)]
    assert covered == ([1] * (PART_PITCH_COUNTS // 2) + [0] * (PART_PITCH_COUNTS // 2)) * 2


def test_the_counter_counts_every_part_that_passes_and_every_bounce_while_it_is_on():
    clock, turned = a_clock(PART_PITCH_COUNTS)
    counter = EdgeCounter(clock)
    turned.pass_s(3.5)
    counter.bounce()
    assert counter.count() == 0, "off"
    counter.switch(is_on=True)
    turned.pass_s(2)
    counter.bounce()
    counter.switch(is_on=True)
    assert counter.count() == 3
    assert counter.count(5 * PART_PITCH_COUNTS) == 3, "at the edge of a part, that part is counted"
    assert counter.count(5 * PART_PITCH_COUNTS - 1) == 2
    counter.switch(is_on=False)
    turned.pass_s(2)
    assert counter.count() == 3
    counter.switch(is_on=True)
    turned.pass_s(1)
    assert counter.count() == 4
    counter.reset()
    assert counter.count() == 0
    turned.pass_s(1)
    assert counter.count() == 1


def test_waiting_for_a_time_that_is_past_takes_no_time_and_a_stop_ends_any():
    clock, turned = a_clock()
    turned.pass_s(10)
    left = Event()
    assert clock.wait_until(5, unless=left)
    left.set()
    assert not clock.wait_until(5, unless=left)
    assert not clock.wait_until(10**15, unless=left)


def test_faults_are_written_as_shares_as_single_ones_and_with_a_seed():
    plan = parse_faults("lost=0.01, late=0.005,reboot@500,link@20:2.5,seed=7")
    assert plan.shares == {Kind.LOST: 0.01, Kind.LATE: 0.005}
    assert plan.at[500] == Fault(kind=Kind.REBOOT, seconds=1.0)
    assert plan.at[20] == Fault(kind=Kind.LINK, seconds=2.5)
    assert plan.seed == 7


def test_no_words_are_no_faults():
    plan = parse_faults("")
    assert all(plan.of(exposure, is_triggered=True) is None for exposure in range(100))


@pytest.mark.parametrize(
    "given",
    ["lots=0.1", "lost", "lost=2", "lost=-1", "lost=x", "reboot@x", "reboot@-1", "link@3:x", "link@3:-1",
     "seed=x", "seed=-1", "lost=nan", "lost=0.6,late=0.6", "link@3:inf", "reboot@5=3", "=", "@"],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_the_words_it_is_about(given):
    with pytest.raises(FaultsUnreadable) as refused:
        parse_faults(given)
    assert refused.value.facts["given"] == given
    assert "reboot" in refused.value.facts["kinds"]


@given(st.text(max_size=30))
def test_any_words_are_faults_or_refused(given):
    try:
        plan = parse_faults(given)
    except FaultsUnreadable:
        return
    assert sum(plan.shares.values()) <= 1


def test_the_same_seed_gives_the_same_faults_and_about_as_many_as_asked_for():
    def drawn(seed):
        plan = FaultPlan(seed=seed, shares={Kind.LOST: 0.1, Kind.LATE: 0.2})
        return [plan.of(exposure, is_triggered=False) for exposure in range(3000)]

    faults = drawn(5)
    assert faults == drawn(5) != drawn(6)
    kinds = [fault.kind for fault in faults if fault is not None]
    # Binomial: 300 and 600 with standard deviations of 16 and 22.
    assert 200 < kinds.count(Kind.LOST) < 400
    assert 480 < kinds.count(Kind.LATE) < 720


def test_a_fault_on_demand_happens_once_at_the_next_exposure():
    plan = FaultPlan()
    plan.demand(Kind.LINK, seconds=2.0)
    assert plan.of(17, is_triggered=False) == Fault(kind=Kind.LINK, seconds=2.0)
    assert plan.of(18, is_triggered=False) is None


def test_a_clock_becomes_a_slave_whose_offset_settles_and_runs_off_when_its_master_is_lost():
    ptp = Ptp(utc_ns=lambda: 10**18)
    assert (ptp.state(5), ptp.offset_ns(5), ptp.time_ns(5, 5)) == ("Disabled", 0, None)
    ptp.enable(1_000)
    seconds = [round(tenth * 1e8) for tenth in range(50)]
    states = [ptp.state(1_000 + ns) for ns in seconds]
    assert sorted(set(states), key=states.index) == ["Listening", "Uncalibrated", "Slave"]
    slave_ns = 1_000 + seconds[states.index("Slave")]
    assert abs(ptp.offset_ns(slave_ns)) > abs(ptp.offset_ns(slave_ns + 5 * 10**9)) - 100
    assert all(abs(ptp.offset_ns(slave_ns + ns)) < 100 for ns in range(10**10, 2 * 10**10, 10**8))
    assert any(ptp.offset_ns(slave_ns + ns) < 0 for ns in range(10**10, 2 * 10**10, 10**8))
    assert abs(ptp.time_ns(slave_ns + 10**10, slave_ns + 10**10 - 7) - (10**18 - 7)) < 100
    ptp.lose_master(10**11, 10 * 10**9)
    assert ptp.state(10**11 + 5 * 10**9) == "Listening"
    assert ptp.offset_ns(10**11 + 5 * 10**9) == 100_000
    assert ptp.state(10**11 + 10 * 10**9) == "Slave"
    ptp.disable()
    assert ptp.state(2 * 10**11) == "Disabled"


def test_strip_and_parts_are_those_of_the_drawings_with_their_defects():
    strip = strip_scene(3, wh_px=(200, 100)).look(7, 100)
    drawn = StripDrawing(3, width_px=200).frame(7, height_px=100)
    assert np.array_equal(strip.pixels, drawn.pixels)
    assert strip.defects == drawn.truth
    part = parts_scene(3, size_px=128).look(7, 128)
    drawn = draw_part(3, 7, size_px=128)
    assert np.array_equal(part.pixels, drawn.pixels)
    assert part.defects == drawn.truth


def test_prepared_pictures_are_shown_again_and_again_with_what_is_true_of_them():
    strip = strip_scene(3, wh_px=(200, 100))
    prepared = prepared_scene(strip, 3)
    for index in range(7):
        seen, drawn = prepared.look(index, 100), strip.look(index % 3, 100)
        assert np.array_equal(seen.pixels, drawn.pixels)
        assert seen.defects == drawn.defects
    assert prepared.look(1, 100) is prepared.look(4, 100), "not drawn again"
    assert prepared.look(4, 60).pixels.shape == (60, 200), "a client may ask for other lines"


def test_a_folder_is_shown_by_name_and_again_and_again(tmp_path):
    for name, grey in (("b.png", 20), ("a.png", 10)):
        cv2.imwrite(str(tmp_path / name), np.full((32, 48), grey, np.uint8))
    scene = folder_scene(tmp_path)
    views = [scene.look(index, 32) for index in range(3)]
    assert [(view.file, int(view.pixels[0, 0])) for view in views] == [
        ("a.png", 10),
        ("b.png", 20),
        ("a.png", 10),
    ]


def test_pictures_of_several_sizes_and_colours_are_shown_on_one_grey_sensor(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 46), 10, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((40, 20, 3), 30, np.uint8))
    scene = folder_scene(tmp_path)
    assert scene.sensor_wh_px == (48, 40)
    small, colour = scene.look(0, 40).pixels, scene.look(1, 40).pixels
    assert small.shape == colour.shape == (40, 48)
    assert (small[31, 45], small[32, 0], small[0, 46]) == (10, 0, 0)
    assert (colour[39, 19], colour[0, 20]) == (30, 0)


def test_a_recorded_run_is_shown_in_its_order(tmp_path):
    folder = record(tmp_path / "run", [a_frame(4), a_frame(6)])
    scene = folder_scene(folder)
    assert [scene.look(index, 1).file for index in range(2)] == ["00000000.png", "00000001.png"]


def test_a_folder_without_pictures_or_with_a_broken_one_is_refused(tmp_path):
    with pytest.raises(RunUnreadable):
        folder_scene(tmp_path)
    with pytest.raises(RunUnreadable):
        folder_scene(tmp_path / "missing")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(RunUnreadable):
        folder_scene(tmp_path)
