import threading
from itertools import islice

import pytest

from cameras.handing import HandOver


def taken(handed):
    return list(iter(handed.take, None))


def test_what_was_put_before_the_end_is_still_taken_in_its_order():
    handed = HandOver()
    handed.put_all([1, 2, 3])
    assert taken(handed) == [1, 2, 3]
    assert handed.failure is None


def test_what_was_put_before_a_failure_is_still_taken_and_the_failure_is_known():
    def fails():
        yield 1
        raise OSError("the disk is full")

    handed = HandOver()
    handed.put_all(fails())
    assert taken(handed) == [1]
    with pytest.raises(OSError, match="full"):
        raise handed.failure


def test_whoever_takes_waits_for_what_comes_and_for_the_end():
    handed, given = HandOver(), []
    taking = threading.Thread(target=lambda: given.extend(taken(handed)))
    taking.start()
    for number in range(100):
        handed.put(number)
    handed.end()
    taking.join(60)
    assert given == list(range(100))


def test_several_that_share_a_change_are_waited_for_by_one_thread():
    changed = threading.Condition()
    left, right = HandOver(changed), HandOver(changed)
    putting = threading.Thread(target=lambda: [handed.put("there") for handed in (left, right)])
    with changed:
        putting.start()
        assert changed.wait_for(lambda: left.waiting and right.waiting, timeout=60)
    putting.join(60)
    assert list(islice(left.waiting, 1)) == ["there"]
