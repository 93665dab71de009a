"""The table of `benchmarks/cameras/accounting.py`: it balances, and would not if one trigger were missing."""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from benchmarks.cameras.accounting import BREAKS, SHARES, Given, Row, balance, run, table

LOOKS = ("even", "odd")


def sent(trigger, *, block_id=None, fault=None, is_sent=True):
    block_id = trigger if block_id is None else block_id
    return {
        "block_id": block_id,
        "trigger": trigger,
        "timestamp_ns": 1000 * trigger,
        "fault": fault,
        "sent": is_sent,
    }


def missed(trigger, fault=None):
    return {"trigger": trigger, "missed": True, "fault": fault}


def given(told, *, start=1, sequence=None):
    return Given(
        start=start,
        sequence=told["block_id"] if sequence is None else sequence,
        block_id=told["block_id"],
        device_time_ns=told["timestamp_ns"],
        look=LOOKS[told["trigger"] % 2],
    )


def balanced(truth, frames, *, triggers=None, ends=0):
    return balance(truth, frames, triggers=triggers or len(truth), looks=LOOKS, ends=ends)


def test_what_was_given_counted_lost_and_missed_is_what_was_triggered():
    truth = [
        sent(1),
        sent(2, fault="incomplete"),
        missed(3, "missed"),
        sent(4, block_id=3, fault="lost"),
        sent(5, block_id=4),
    ]
    found = balanced(truth, [given(truth[0]), given(truth[3], sequence=4), given(truth[4], sequence=5)])
    assert found.wrong == []
    assert found.rows["incomplete"] == Row(triggers=1, holes=1)
    assert found.rows["missed"] == Row(triggers=1, missed=1)
    assert found.total == Row(triggers=5, whole=3, holes=1, missed=1)


def test_a_trigger_that_gave_two_pictures_is_one_trigger():
    truth = [sent(1), sent(2, fault="double"), sent(2, block_id=3, fault="double"), sent(3, block_id=4)]
    found = balanced(truth, [given(told) for told in truth], triggers=3)
    assert found.wrong == []
    assert found.rows["double"] == Row(triggers=1, pictures_more=1, whole=2)


def test_parts_that_pass_while_there_is_no_camera_count_as_triggers_of_what_broke_it():
    truth = [sent(1), sent(2, fault="reboot", is_sent=False), sent(7, block_id=1)]
    frames = [given(truth[0]), given(truth[2], start=2)]
    found = balanced(truth, frames, triggers=7, ends=1)
    assert found.wrong == []
    assert found.rows["reboot"] == Row(triggers=5, unconnected=5)


def test_pictures_of_a_lost_link_are_counted_by_the_driver_and_belong_to_the_link():
    truth = [sent(1), sent(2, fault="link", is_sent=False), sent(3, is_sent=False), sent(4)]
    found = balanced(truth, [given(truth[0]), given(truth[3])])
    assert found.wrong == []
    assert found.rows["link"] == Row(triggers=2, holes=2)


TRUTH = [sent(trigger) for trigger in range(1, 6)]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        pytest.param(lambda frames: [*frames[:2], *frames[3:], frames[3]], "given twice", id="twice"),
        pytest.param(
            lambda frames: [*frames[:4], replace(frames[4], look="another")], "not the picture", id="torn"
        ),
        pytest.param(
            lambda frames: [*frames[:4], replace(frames[4], device_time_ns=9)], "never made", id="strange"
        ),
        pytest.param(
            lambda frames: [
                frames[0],
                frames[1],
                replace(frames[3], sequence=3),
                replace(frames[4], sequence=4),
            ],
            "counted 0 lost, and 1 were",
            id="a loss that leaves no hole",
        ),
        pytest.param(
            lambda frames: [*frames[:2], replace(frames[4], start=2)],
            "never said",
            id="a loss nobody spoke of",
        ),
    ],
)
def test_what_does_not_agree_is_said(spoilt, said):
    frames = [given(told) for told in TRUTH]
    assert balanced(TRUTH, frames).wrong == []
    assert said in " ".join(balanced(TRUTH, spoilt(frames)).wrong)


def test_a_missed_trigger_that_leaves_no_hole_is_wrong():
    truth = [sent(1), missed(2, "missed"), sent(3, block_id=2)]
    frames = [given(truth[0]), given(truth[2], sequence=3)]
    assert balanced(truth, frames).wrong == []
    assert "counted 0 lost, and 1 were" in " ".join(
        balanced(truth, [frames[0], replace(frames[1], sequence=2)]).wrong
    )


def test_a_frame_of_a_picture_that_was_never_sent_is_wrong():
    truth = [sent(1), sent(2, is_sent=False), sent(3)]
    assert "never sent" in " ".join(balanced(truth, [given(told) for told in truth]).wrong)


def test_a_lost_packet_that_costs_a_frame_is_wrong():
    truth = [sent(1), sent(2, fault="lost"), sent(3)]
    assert "in spite of resend" in " ".join(balanced(truth, [given(truth[0]), given(truth[2])]).wrong)


def test_where_undamaged_frames_were_lost_too_resend_is_not_blamed():
    truth = [sent(1), sent(2, fault="lost"), sent(3), sent(4)]
    found = balanced(truth, [given(truth[0]), given(truth[3])])
    assert (found.wrong, found.undamaged_lost) == ([], 1)


@pytest.mark.skipif(
    find_spec("harvesters") is None or find_spec("genicam") is None, reason='pip install "lynceus[gige]"'
)
def test_every_trigger_through_our_device_producer_and_driver_is_accounted_for():
    found, said = run(triggers=500, frames_per_s=50.0, breaks_each=1)
    assert found.wrong == []
    assert found.total.triggers >= 500
    assert {*SHARES, *BREAKS} - {"jump", "ptp"} <= found.rows.keys()
    assert said, "the device restarted, and dropped its controller"
    assert str(found.total.triggers) in table(found)
