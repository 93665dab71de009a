"""A case runs from what happened to a checked action, and what recurs opens it again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import update

from tests.builders import NOON
from traceability import tables
from traceability.accounts import Accounts, Role
from traceability.cases import NEEDED, RECURS_WITHIN, Act, Cases, Source
from traceability.errors import CaseNotReady, CaseOver, CaseUnknown, PersonUnknown


@pytest.fixture
def engineer(store):
    return Accounts(store).add(
        name="wang", title="王", role=Role.ENGINEER, password_hash=None, by=None, at=NOON
    )


@pytest.fixture
def cases(store):
    return Cases(store)


def _opened(cases, engineer, *, at=NOON, key="p:parts"):
    return cases.open(
        source=Source.SIGNAL, key=key, title="Parts refused", text="14 of 20", by=engineer, at=at
    )


def _answered(cases, id, engineer, *, effective=True):
    given = {
        Act.ASSIGNED: {"owner": "wang"},
        Act.CAUSE: {},
        Act.ACTION: {"due": date(2026, 12, 1)},
        Act.CHECK: {"effective": effective},
    }
    for act, more in given.items():
        case = cases.act(id, act, f"the {act}", by=engineer, at=NOON, **more)
    return case


def test_a_case_says_what_is_still_needed_and_ends_when_all_is_answered(cases, engineer):
    case = _opened(cases, engineer)
    assert case.missing == NEEDED
    with pytest.raises(CaseNotReady) as refused:
        cases.close(case.id, "learnt", by=engineer, at=NOON)
    assert refused.value.facts["missing"] == "assigned, cause, action, check"
    case = _answered(cases, case.id, engineer)
    assert (case.missing, case.owner, case.due) == ((), "wang", date(2026, 12, 1))
    case = cases.close(case.id, "learnt", by=engineer, at=NOON)
    assert not case.is_open
    assert [one.act for one in case.acts] == [Act.OPENED, *NEEDED, Act.CLOSED]


def test_what_comes_back_opens_its_case_though_the_clock_was_set_back_since_that_ended(
    cases, store, engineer
):
    case = _opened(cases, engineer)
    _answered(cases, case.id, engineer)
    case = cases.close(case.id, "learnt", by=engineer, at=NOON)
    with store.writing() as connection:
        # Of a station whose clock is an hour ahead: ids begin with the time, in milliseconds.
        last = case.acts[-1].id
        ahead = UUID(int=last.int + (3_600_000 << 80))
        connection.execute(update(tables.case_act).where(tables.case_act.c.id == last).values(id=ahead))
    again = _opened(cases, engineer)
    assert (again.id, again.is_open, again.acts[-1].act) == (case.id, True, Act.REOPENED)
    assert [one.id for one in cases.all(is_open=True)] == [case.id]
    assert _opened(cases, engineer).acts[-1].act is Act.SEEN_AGAIN
    assert cases.act(case.id, Act.NOTE, "looked at", by=engineer, at=NOON).acts[-1].act is Act.NOTE


def test_an_action_that_did_not_help_keeps_the_case_open_and_so_does_one_that_nobody_checked(cases, engineer):
    case = _answered(cases, _opened(cases, engineer).id, engineer, effective=False)
    assert case.missing == (Act.CHECK,)
    case = cases.act(case.id, Act.CHECK, "again", by=engineer, at=NOON, effective=True)
    assert case.missing == ()
    case = cases.act(case.id, Act.ACTION, "another", by=engineer, at=NOON)
    assert case.missing == (Act.CHECK,)


def test_the_same_again_while_it_is_open_is_no_second_case(cases, engineer):
    first = _opened(cases, engineer)
    again = _opened(cases, engineer, at=NOON + timedelta(days=1))
    assert again.id == first.id
    assert again.acts[-1].act is Act.SEEN_AGAIN
    assert _opened(cases, engineer, key="p:strip").id != first.id


def test_what_recurs_opens_its_case_again_and_asks_its_questions_anew(cases, engineer):
    case = _answered(cases, _opened(cases, engineer).id, engineer)
    cases.close(case.id, "learnt", by=engineer, at=NOON)
    again = _opened(cases, engineer, at=NOON + RECURS_WITHIN)
    assert (again.id, again.is_open) == (case.id, True)
    assert again.missing == (Act.CAUSE, Act.ACTION, Act.CHECK)
    assert again.owner == "wang"


def test_what_comes_back_much_later_is_another_case(cases, engineer):
    case = _answered(cases, _opened(cases, engineer).id, engineer)
    cases.close(case.id, "learnt", by=engineer, at=NOON)
    later = NOON + RECURS_WITHIN + timedelta(seconds=1)
    assert _opened(cases, engineer, at=later).id != case.id


def test_a_closed_case_takes_nothing_more(cases, engineer):
    case = _answered(cases, _opened(cases, engineer).id, engineer)
    cases.close(case.id, "learnt", by=engineer, at=NOON)
    with pytest.raises(CaseOver):
        cases.act(case.id, Act.NOTE, "late", by=engineer, at=NOON)
    with pytest.raises(CaseOver):
        cases.close(case.id, "twice", by=engineer, at=NOON)


def test_an_owner_has_an_account_and_a_case_is_there(cases, engineer):
    case = _opened(cases, engineer)
    with pytest.raises(PersonUnknown):
        cases.act(case.id, Act.ASSIGNED, "-", by=engineer, at=NOON, owner="nobody")
    with pytest.raises(CaseUnknown):
        cases.of(case.acts[0].id)


def test_countermeasures_are_found_by_what_was_written(cases, engineer):
    case = _opened(cases, engineer)
    cases.act(case.id, Act.ACTION, "Lamp at 100% changed", by=engineer, at=NOON)
    assert [one.id for one in cases.all(search="lamp at 100%")] == [case.id]
    assert cases.all(search="100_") == ()
    assert cases.all(is_open=False) == ()


def test_each_act_is_in_the_audit(cases, engineer, store):
    case = _opened(cases, engineer)
    cases.act(case.id, Act.CAUSE, "wear", by=engineer, at=NOON)
    newest = Accounts(store).audit(limit=1)[0]
    assert (newest.action, newest.subject, newest.person) == ("case.cause", f"case:{case.id}", "wang")
    assert newest.after == {"text": "wear"}


def test_what_two_people_see_in_the_same_moment_is_one_case(cases, engineer):
    for number in range(12):
        both = Barrier(2)

        def opened(_, *, key=f"p:lane-{number}", both=both):
            both.wait()
            return _opened(cases, engineer, key=key).id

        with ThreadPoolExecutor(2) as pool:
            assert len(set(pool.map(opened, range(2)))) == 1
    assert [[one.act for one in case.acts] for case in cases.all()] == [[Act.OPENED, Act.SEEN_AGAIN]] * 12


def test_a_case_that_two_people_end_in_the_same_moment_ends_once(cases, engineer):
    for number in range(12):
        case = _answered(cases, _opened(cases, engineer, key=f"p:lane-{number}").id, engineer)
        both = Barrier(2)

        def closed(_, *, id=case.id, both=both):
            both.wait()
            try:
                cases.close(id, "learnt", by=engineer, at=NOON)
            except CaseOver:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(closed, range(2))) == [False, True]
