from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest

from inspection.types import Verdict
from tests.builders import NOON, an_inspection
from traceability.accounts import Accounts, Role
from traceability.errors import ReviewStands, ReviewUnknown
from traceability.reviews import REPEAT_AFTER, TAKE_BACK, Decision, Reviews
from traceability.store import TraceStore

SINCE = NOON - timedelta(days=1)
NOW = NOON + timedelta(minutes=5)


@pytest.fixture
def reviews(store: TraceStore) -> Reviews:
    return Reviews(store)


@pytest.fixture
def li(store: TraceStore):
    # Blind repeats are drawn from who decides: this one gets five in 70 looks, each run.
    return replace(_person(store, "li"), id=UUID(int=2))


@pytest.fixture
def wang(store: TraceStore):
    return _person(store, "wang")


def _person(store: TraceStore, name: str):
    return Accounts(store).add(
        name=name, title=name, role=Role.OPERATOR, password_hash=None, by=None, at=NOON
    )


def _withheld(store: TraceStore, count: int = 1, **given):
    made = [
        an_inspection(**{"verdict": Verdict.REVIEW, "finished_at": NOON + timedelta(seconds=number), **given})
        for number in range(count)
    ]
    store.record(made)
    return made if count > 1 else made[0]


def test_what_the_system_was_not_sure_of_and_what_it_refused_waits_oldest_first(store, reviews, li):
    refused = _withheld(store, verdict=Verdict.REJECT, finished_at=NOON - timedelta(hours=1))
    unsure = _withheld(store)
    _withheld(store, verdict=Verdict.ACCEPT)
    task = reviews.next_for(li, at=NOW, since=SINCE)
    assert (task.inspection.id, task.waiting) == (refused.id, 2)
    reviews.decide(refused.id, Decision.REJECT, by=li, at=NOW, reason="scratch")
    task = reviews.next_for(li, at=NOW, since=SINCE)
    assert (task.inspection.id, task.waiting) == (unsure.id, 1)
    reviews.decide(unsure.id, Decision.ACCEPT, by=li, at=NOW)
    assert reviews.next_for(li, at=NOW, since=SINCE) is None


def test_a_unit_that_was_not_inspected_is_made_good_by_nobody(store, reviews, li):
    blind = _withheld(store, verdict=Verdict.NOT_INSPECTED)
    assert reviews.next_for(li, at=NOW, since=SINCE) is None
    with pytest.raises(ReviewUnknown):
        reviews.decide(blind.id, Decision.ACCEPT, by=li, at=NOW)


def test_an_accepted_or_unknown_unit_needs_no_review(store, reviews, li):
    for inspection in (_withheld(store, verdict=Verdict.ACCEPT).id, an_inspection().id):
        with pytest.raises(ReviewUnknown):
            reviews.decide(inspection, Decision.REJECT, by=li, at=NOW)


def test_simulated_units_other_stations_and_what_is_long_gone_do_not_wait(store, reviews, li):
    _withheld(store, simulated=True)
    _withheld(store, station="elsewhere")
    _withheld(store, finished_at=SINCE - timedelta(seconds=1))
    _withheld(store, lane="parts")
    assert reviews.next_for(li, at=NOW, since=SINCE, station="demo", lane="strip") is None
    assert reviews.next_for(li, at=NOW, since=SINCE, station="demo", lane="parts").waiting == 1


def test_two_people_do_not_decide_about_the_same_unit(store, reviews, li, wang):
    unit = _withheld(store)
    reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    with pytest.raises(ReviewStands) as refused:
        reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW)
    assert refused.value.facts == {"by": "li", "decision": "accept"}


def test_a_second_look_is_another_persons(store, reviews, li, wang):
    unit = _withheld(store)
    reviews.decide(unit.id, Decision.SECOND_LOOK, by=li, at=NOW)
    assert reviews.next_for(li, at=NOW, since=SINCE) is None
    assert reviews.next_for(wang, at=NOW, since=SINCE).inspection.id == unit.id
    reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW, reason="pits")
    assert reviews.next_for(wang, at=NOW, since=SINCE) is None


def test_who_left_a_unit_for_a_second_look_does_not_decide_about_it(store, reviews, li, wang):
    unit = _withheld(store)
    left = reviews.decide(unit.id, Decision.SECOND_LOOK, by=li, at=NOW)
    for decision in Decision:
        with pytest.raises(ReviewStands) as refused:
            reviews.decide(unit.id, decision, by=li, at=NOW + timedelta(days=1))
        assert refused.value.facts == {"by": "li", "decision": "second_look"}
    # Nor where another person left it, too.
    of_wang = reviews.decide(unit.id, Decision.SECOND_LOOK, by=wang, at=NOW)
    with pytest.raises(ReviewStands):
        reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    for slip, by in ((left, li), (of_wang, wang)):
        reviews.take_back(slip.id, by=by, at=NOW)
    assert reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW).decision is Decision.ACCEPT


def test_who_left_a_unit_for_a_second_look_may_see_it_as_a_blind_repeat_when_it_is_decided(
    store, reviews, li, wang
):
    unit = _withheld(store)
    reviews.decide(unit.id, Decision.SECOND_LOOK, by=li, at=NOW)
    reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW)
    later = NOW + 2 * REPEAT_AFTER
    assert reviews.decide(unit.id, Decision.REJECT, by=li, at=later).is_repeat


def test_of_two_people_who_decide_in_the_same_moment_one_does(store, reviews, li, wang):
    units = _withheld(store, 12)
    for unit in units:
        both = Barrier(2)

        def decided(by, decision, *, unit=unit, both=both):
            both.wait()
            try:
                reviews.decide(unit.id, decision, by=by, at=NOW)
            except ReviewStands:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(decided, (li, wang), (Decision.ACCEPT, Decision.REJECT))) == [False, True]
    assert {len(found) for found in reviews.of([unit.id for unit in units]).values()} == {1}


def test_a_slip_is_taken_back_and_the_unit_waits_again(store, reviews, li):
    unit = _withheld(store)
    slip = reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    reviews.take_back(slip.id, by=li, at=NOW + TAKE_BACK)
    assert reviews.next_for(li, at=NOW, since=SINCE).inspection.id == unit.id
    reviews.decide(unit.id, Decision.REJECT, by=li, at=NOW, reason="scratch")
    first, second = reviews.of([unit.id])[unit.id]
    assert (first.decision, first.is_taken_back) == (Decision.ACCEPT, True)
    assert (second.decision, second.is_taken_back, second.reason) == (Decision.REJECT, False, "scratch")


def test_only_the_one_who_decided_takes_back_soon_and_once(store, reviews, li, wang):
    unit = _withheld(store)
    review = reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    with pytest.raises(ReviewUnknown):
        reviews.take_back(review.id, by=wang, at=NOW)
    with pytest.raises(ReviewUnknown):
        reviews.take_back(review.id, by=li, at=NOW + 2 * TAKE_BACK)
    reviews.take_back(review.id, by=li, at=NOW)
    with pytest.raises(ReviewUnknown):
        reviews.take_back(review.id, by=li, at=NOW)


def test_the_verdict_stays_what_it_was(store, reviews, li):
    unit = _withheld(store)
    reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    assert store.inspection(unit.id).verdict is Verdict.REVIEW


def test_decisions_that_stand_are_what_a_training_set_is_made_from(store, reviews, li, wang):
    good, bad, left, slip = _withheld(store, 4)
    reviews.decide(good.id, Decision.ACCEPT, by=li, at=NOW)
    reviews.decide(bad.id, Decision.REJECT, by=wang, at=NOW, reason="pits")
    reviews.decide(left.id, Decision.SECOND_LOOK, by=li, at=NOW)
    reviews.take_back(reviews.decide(slip.id, Decision.ACCEPT, by=li, at=NOW).id, by=li, at=NOW)
    found = reviews.decided(since=SINCE, until=NOW + timedelta(seconds=1), limit=10)
    assert [(one.inspection, one.decision, one.by) for one in found] == [
        (bad.id, Decision.REJECT, "wang"),
        (good.id, Decision.ACCEPT, "li"),
    ]


def test_now_and_then_a_reviewer_sees_a_unit_again_without_being_told_and_it_changes_nothing(
    store, reviews, li, wang
):
    units = _withheld(store, 130)
    for unit in units[:60]:
        reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW)
    later, repeats = NOW + 2 * REPEAT_AFTER, 0
    decided = {unit.id for unit in units[:60]}
    for _ in range(70):
        task = reviews.next_for(li, at=later, since=SINCE)
        again = task.inspection.id in decided
        repeats += again
        review = reviews.decide(task.inspection.id, Decision.ACCEPT, by=li, at=later)
        assert review.is_repeat is again
    # About one in twenty.
    assert 1 <= repeats <= 12
    (of_li,) = reviews.agreements(since=SINCE)
    assert (of_li.by, of_li.repeats, of_li.agreed) == ("li", repeats, 0)
    standing = reviews.decided(since=SINCE, until=NOW + timedelta(seconds=1), limit=100)
    assert {one.decision for one in standing} == {Decision.REJECT}


def test_what_waits_falls_by_one_with_each_decision_also_with_one_about_a_repeat(store, reviews, li, wang):
    units = _withheld(store, 130)
    for unit in units[:60]:
        reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW)
    later, told, repeats = NOW + 2 * REPEAT_AFTER, [], 0
    while (task := reviews.next_for(li, at=later, since=SINCE)) is not None:
        told.append(task.waiting)
        repeats += reviews.decide(task.inspection.id, Decision.ACCEPT, by=li, at=later).is_repeat
    assert repeats > 0
    assert told == list(range(70 + repeats, 0, -1))


def test_a_slip_about_a_repeat_is_taken_back_as_any_other_and_the_unit_comes_again(store, reviews, li, wang):
    units = _withheld(store, 130)
    for unit in units[:60]:
        reviews.decide(unit.id, Decision.REJECT, by=wang, at=NOW)
    later, is_repeat = NOW + 2 * REPEAT_AFTER, False
    while not is_repeat:
        task = reviews.next_for(li, at=later, since=SINCE)
        review = reviews.decide(task.inspection.id, Decision.ACCEPT, by=li, at=later)
        is_repeat = review.is_repeat
    reviews.take_back(review.id, by=li, at=later)
    assert reviews.next_for(li, at=later, since=SINCE) == task


def test_everything_decided_is_in_the_audit(store, reviews, li):
    unit = _withheld(store)
    review = reviews.decide(unit.id, Decision.ACCEPT, by=li, at=NOW)
    reviews.take_back(review.id, by=li, at=NOW)
    newest, before = Accounts(store).audit(limit=2)
    assert (newest.action, newest.person, newest.subject) == (
        "review.taken_back",
        "li",
        f"inspection:{unit.id}",
    )
    assert (before.action, before.after) == ("review.decided", {"decision": "accept", "reason": None})
