import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.counting import GEV_BLOCK_ID_MAX, CountRestarted, ExposureCount


def sequences(ids, *, incomplete_before=0):
    count = ExposureCount()
    return [count.of(frame_id, incomplete_before=incomplete_before) for frame_id in ids]


def test_a_count_that_wraps_loses_nothing():
    assert sequences([65533, 65534, 65535, 1, 2]) == [65533, 65534, 65535, 65536, 65537]


def test_a_16_bit_count_that_uses_zero_wraps_through_it():
    assert sequences([65534, 65535, 0, 1]) == [65534, 65535, 65536, 65537]
    assert sequences([0, 65535, 1]) == [0, 65535, 65537]


def test_a_loss_across_the_wrap_is_counted():
    assert sequences([65534, 3]) == [65534, 65538]  # 65535, 1 and 2 are missing


def test_a_wide_count_does_not_wrap_at_16_bits():
    assert sequences([65535, 65536, 65540]) == [65535, 65536, 65540]


@pytest.mark.parametrize("ids", [(70_000, 1), (500, 400), (2, 1)])
def test_a_count_that_falls_elsewhere_makes_no_claim_about_losses(ids):
    with pytest.raises(CountRestarted, match=str(ids[0])):
        sequences(ids)


@pytest.mark.parametrize("last", [7, 70_000])
def test_a_count_that_leaps_farther_than_can_have_been_makes_no_claim_about_losses(last):
    assert sequences([last, last + 1_000_000_000]) == [last, last + 1_000_000_000]
    with pytest.raises(CountRestarted, match=f"leapt from {last} to {last + 2**31}"):
        sequences([last, last + 2**31])


def test_a_frame_sent_twice_counts_once():
    assert sequences([7, 8, 8, 9]) == [7, 8, None, 9]


def test_without_ids_at_least_the_damaged_frames_are_holes():
    count = ExposureCount()
    assert count.of(None, incomplete_before=0) == 0
    assert count.of(None, incomplete_before=0) == 1
    assert count.of(None, incomplete_before=2) == 4


def test_a_damaged_frame_without_an_id_of_its_own_is_a_hole_all_the_same():
    count = ExposureCount()
    assert count.of(1, incomplete_before=0) == 1
    assert count.of(2, incomplete_before=3) == 5


@pytest.mark.parametrize(("first_id", "sequence", "first"), [(4, 4, 1), (1, 3, 0), (None, 3, 0)])
def test_what_came_damaged_before_the_first_whole_frame_is_known_of(first_id, sequence, first):
    count = ExposureCount()
    assert count.first is None
    assert count.of(first_id, incomplete_before=3) == sequence
    assert count.first == first


def with_triggers(*frames):
    """Sequences of frames, each with its id and the trigger counter's value."""
    count = ExposureCount()
    return [count.of(frame_id, incomplete_before=0, trigger=trigger) for frame_id, trigger in frames]


def test_a_trigger_that_exposed_nothing_is_a_hole_as_a_lost_frame_is():
    assert with_triggers((1, 10), (2, 11), (3, 13), (4, 14)) == [1, 2, 4, 5]
    assert with_triggers((1, 10), (4, 13)) == [1, 4], "lost on the way, and counted once"
    assert with_triggers((1, 10), (3, 14)) == [1, 5], "one lost on the way and two never exposed"


def test_a_trigger_counter_that_began_anew_makes_no_claim_about_losses():
    with pytest.raises(CountRestarted, match="from 12 back to 1"):
        with_triggers((1, 11), (2, 12), (3, 1))


def test_a_trigger_counter_that_leaps_farther_than_can_have_been_makes_no_claim_about_losses():
    with pytest.raises(CountRestarted, match="leapt from 12 to 4294967295"):
        with_triggers((1, 11), (2, 12), (3, 2**32 - 1))


def test_a_counter_that_does_not_count_what_triggers_is_not_believed():
    with pytest.raises(CountRestarted, match="trigger counter went from 7 to 7"):
        with_triggers((1, 7), (2, 7), (3, 7))


def test_a_counter_read_a_little_early_or_late_is_believed_and_hides_no_trigger():
    assert with_triggers((1, 1), (2, 1), (3, 3), (4, 3), (5, 5)) == [1, 2, 4, 5, 7]


@given(st.lists(st.sampled_from(["came", "lost", "missed"]), max_size=60))
def test_every_trigger_between_two_frames_is_one_of_them_or_a_hole(fates):
    frames, frame_id = [(0, 0)], 0
    for trigger, fate in enumerate(fates, 1):
        frame_id += fate != "missed"
        if fate == "came":
            frames.append((frame_id, trigger))
    first, *_, last = [*with_triggers(*frames), 0] if len(frames) == 1 else with_triggers(*frames)
    assert last - first == frames[-1][1]


@given(
    start=st.integers(1, GEV_BLOCK_ID_MAX),
    advances=st.lists(st.integers(1, GEV_BLOCK_ID_MAX // 2), max_size=30),
)
def test_sequence_rises_by_every_exposure_however_often_the_count_wraps(start, advances):
    exposure, expected, ids = start, [start], [start]
    for advance in advances:
        exposure += advance
        expected.append(exposure)
        ids.append((exposure - 1) % GEV_BLOCK_ID_MAX + 1)
    assert sequences(ids) == expected


MS = 1_000_000


def counted_at(*frames):
    """Sequences of frames given as (id, time in ms)."""
    count = ExposureCount()
    return [count.of(frame_id, incomplete_before=0, device_time_ns=at * MS) for frame_id, at in frames]


def test_a_hole_after_a_silence_in_which_a_16_bit_count_may_have_come_round_has_no_known_size():
    """At 100 a second it comes round in 11 minutes: 5 more may be 65540 lost."""
    before = (100, 0), (101, 10)
    assert counted_at(*before, (107, 655_000)) == [100, 101, 107]
    with pytest.raises(CountRestarted, match="107 after 656 s"):
        counted_at(*before, (107, 656_000))


def test_the_same_count_after_such_a_silence_is_no_frame_sent_twice():
    with pytest.raises(CountRestarted, match="may have come round"):
        counted_at((100, 0), (101, 10), (101, 656_000))


def test_a_line_that_stood_still_and_lost_nothing_goes_on():
    assert counted_at((100, 0), (101, 10), (102, 10_000_000)) == [100, 101, 102]


def test_a_count_too_wide_to_come_round_may_have_a_hole_after_any_silence():
    assert counted_at((70_000, 0), (70_001, 10), (70_009, 10_000_000)) == [70_000, 70_001, 70_009]


def test_a_jump_of_the_devices_clock_beside_a_hole_is_no_silence():
    count = ExposureCount()
    for frame_id, device_ms, host_s in ((100, 0, 5.0), (101, 10, 5.01)):
        count.of(frame_id, incomplete_before=0, device_time_ns=device_ms * MS, received_s=host_s)
    jumped = count.of(107, incomplete_before=0, device_time_ns=3_600_000 * MS, received_s=6.01)
    assert jumped == 107
    with pytest.raises(CountRestarted, match="may have come round"):
        count.of(111, incomplete_before=0, device_time_ns=7_200_000 * MS, received_s=700.0)
