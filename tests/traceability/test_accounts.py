from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.builders import NOON
from traceability import people
from traceability.accounts import Accounts, Role
from traceability.errors import LastAdministrator, NameTaken, PersonUnknown, TokenUnknown
from traceability.store import TraceStore

A_KEY = "a" * 64
LONG_AGO = NOON - timedelta(days=1)


@pytest.fixture
def accounts(store: TraceStore) -> Accounts:
    return Accounts(store)


@pytest.fixture
def chief(accounts: Accounts):
    return accounts.add(
        name="chief", title="Chief", role=Role.ADMINISTRATOR, password_hash="h", by=None, at=NOON, first=True
    )


def _operator(accounts: Accounts, chief, name: str = "li.wei", **given):
    return accounts.add(
        name=name, title="李伟", role=Role.OPERATOR, password_hash="h", by=chief, at=NOON, **given
    )


def test_nobody_is_there_until_somebody_was_added(accounts: Accounts):
    assert accounts.none_yet()
    accounts.add(name="a", title="A", role=Role.AUDITOR, password_hash=None, by=None, at=NOON)
    assert not accounts.none_yet()


def test_only_one_can_be_the_first(accounts: Accounts, chief):
    with pytest.raises(NameTaken):
        accounts.add(
            name="other", title="O", role=Role.ADMINISTRATOR, password_hash="h", by=None, at=NOON, first=True
        )
    assert [one.name for one in accounts.all()] == ["chief"]


def test_a_name_and_a_badge_belong_to_one_person(accounts: Accounts, chief):
    _operator(accounts, chief, badge="B-1")
    with pytest.raises(NameTaken):
        _operator(accounts, chief)
    with pytest.raises(NameTaken) as taken:
        _operator(accounts, chief, name="wang", badge="B-1")
    assert taken.value.facts["name"] == "B-1"
    assert accounts.secrets_of(badge="B-1").person.name == "li.wei"


def test_who_left_signs_in_no_more_and_is_signed_out_at_once(accounts: Accounts, chief):
    person = _operator(accounts, chief)
    accounts.open_session(person, token_sha256=A_KEY, rights=None, at=NOON)
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=LONG_AGO) is not None
    accounts.change("li.wei", by=chief, at=NOON, is_active=False, reason="left the plant")
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=LONG_AGO) is None
    assert accounts.secrets_of(name="li.wei") is None


def test_another_role_signs_out_and_another_title_does_not(accounts: Accounts, chief):
    person = _operator(accounts, chief)
    accounts.open_session(person, token_sha256=A_KEY, rights=["operate"], at=NOON)
    accounts.change("li.wei", by=chief, at=NOON, title="Li Wei")
    found = accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=LONG_AGO)
    assert (found.person.title, found.rights) == ("Li Wei", frozenset({"operate"}))
    accounts.change("li.wei", by=chief, at=NOON, role=Role.ENGINEER)
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=LONG_AGO) is None


def test_a_session_is_over_when_it_is_old_or_idle(accounts: Accounts, chief):
    accounts.open_session(chief, token_sha256=A_KEY, rights=None, at=NOON)
    assert accounts.session(A_KEY, opened_after=NOON, seen_after=LONG_AGO) is None
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=NOON) is None
    accounts.touch(A_KEY, at=NOON + timedelta(minutes=1))
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=NOON) is not None
    accounts.forget_sessions(opened_before=NOON, seen_before=LONG_AGO)
    assert accounts.session(A_KEY, opened_after=LONG_AGO, seen_after=LONG_AGO) is None


def test_the_last_administrator_stays(accounts: Accounts, chief):
    for change in ({"is_active": False}, {"role": Role.OPERATOR}):
        with pytest.raises(LastAdministrator):
            accounts.change("chief", by=chief, at=NOON, **change)
    accounts.add(name="deputy", title="D", role=Role.ADMINISTRATOR, password_hash="h", by=chief, at=NOON)
    assert accounts.change("chief", by=chief, at=NOON, role=Role.AUDITOR).role is Role.AUDITOR
    with pytest.raises(LastAdministrator):
        accounts.change("deputy", by=chief, at=NOON, is_active=False)


def test_of_two_administrators_who_close_each_others_accounts_at_once_one_stays(accounts: Accounts, chief):
    deputy = accounts.add(
        name="deputy", title="D", role=Role.ADMINISTRATOR, password_hash="h", by=chief, at=NOON
    )
    at_once = threading.Barrier(2)

    def closes(name: str, by) -> bool:
        at_once.wait()
        try:
            accounts.change(name, by=by, at=NOON, is_active=False)
        except LastAdministrator:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        closed = [*both.map(closes, ("deputy", "chief"), (chief, deputy))]
    assert sorted(closed) == [False, True]
    assert sum(one.is_active for one in accounts.all()) == 1


def test_an_unknown_person_is_not_changed(accounts: Accounts, chief):
    with pytest.raises(PersonUnknown):
        accounts.change("nobody", by=chief, at=NOON, title="N")
    with pytest.raises(PersonUnknown):
        accounts.set_secret("nobody", by=chief, at=NOON, password_hash="h")


def test_five_refusals_in_a_row_lock_and_a_new_password_unlocks(accounts: Accounts, chief):
    person = _operator(accounts, chief)
    until = NOON + timedelta(minutes=15)
    for _ in range(4):
        accounts.refuse(person, at=NOON, lock_at=5, until=until)
    assert accounts.secrets_of(name="li.wei").locked_until is None
    accounts.refuse(person, at=NOON, lock_at=5, until=until)
    assert accounts.secrets_of(name="li.wei").locked_until == until
    accounts.set_secret("li.wei", by=chief, at=NOON, password_hash="other")
    assert accounts.secrets_of(name="li.wei").locked_until is None


def test_a_key_acts_for_its_person_until_it_expires_or_is_revoked(accounts: Accounts, chief):
    later = NOON + timedelta(days=1)
    token = accounts.add_token(
        person=chief, name="MES", rights=["operate"], token_sha256=A_KEY, expires_at=later, at=NOON
    )
    person, found = accounts.by_token(A_KEY, at=NOON)
    assert (person, found) == (chief, token)
    assert accounts.by_token(A_KEY, at=later) is None
    accounts.revoke_token(token.id, by=chief, at=NOON)
    assert accounts.by_token(A_KEY, at=NOON) is None
    assert accounts.tokens_of(chief)[0].revoked_at == NOON


def test_nobody_revokes_a_key_of_another_or_one_twice(accounts: Accounts, chief):
    token = accounts.add_token(
        person=chief, name="MES", rights=[], token_sha256=A_KEY, expires_at=NOON + timedelta(1), at=NOON
    )
    with pytest.raises(TokenUnknown):
        accounts.revoke_token(token.id, by=_operator(accounts, chief), at=NOON)
    accounts.revoke_token(token.id, by=chief, at=NOON)
    with pytest.raises(TokenUnknown):
        accounts.revoke_token(token.id, by=chief, at=NOON)


def test_every_change_is_in_the_audit_with_before_and_after(accounts: Accounts, chief):
    operator = _operator(accounts, chief)
    accounts.change("li.wei", by=chief, at=NOON, role=Role.ENGINEER, reason="promoted")
    newest, added, _first = accounts.audit(limit=10)
    assert (newest.person, newest.role, newest.action, newest.subject, newest.reason) == (
        "chief",
        "administrator",
        "account.changed",
        f"account:{operator.id}",
        "promoted",
    )
    assert (newest.before, newest.after) == ({"role": "operator"}, {"role": "engineer"})
    assert added.after == {"role": "operator"}
    assert accounts.audit(limit=10, before=newest.id)[0] == added
    assert accounts.audit(limit=10, subject=f"account:{chief.id}") == accounts.audit(limit=10)[-1:]
    assert {entry.person for entry in accounts.audit(limit=10, person="chief")} == {"chief"}


def test_a_change_that_changes_nothing_is_no_entry(accounts: Accounts, chief):
    accounts.change("chief", by=chief, at=NOON, title="Chief")
    assert len(accounts.audit(limit=10)) == 1


def test_a_change_that_is_refused_is_no_entry(accounts: Accounts, chief):
    with pytest.raises(LastAdministrator):
        accounts.change("chief", by=chief, at=NOON, is_active=False)
    assert [entry.action for entry in accounts.audit(limit=10)] == ["account.added"]


def test_an_erased_name_leaves_the_audit_whole(store: TraceStore, accounts: Accounts, chief):
    operator = _operator(accounts, chief)
    before = accounts.audit(limit=10)
    people.erase(store, "chief")
    after = accounts.audit(limit=10)
    assert [entry.action for entry in after] == [entry.action for entry in before]
    assert "chief" not in repr(after)
    assert after[0].subject == f"account:{operator.id}"
    assert len(after[0].person) == 64
