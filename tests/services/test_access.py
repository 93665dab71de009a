from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from services.access import (
    COOKIE,
    IDLE,
    LOCK_AFTER,
    LOCK_FOR,
    LONGEST,
    RIGHTS,
    Access,
    AccountLocked,
    FirstRunOver,
    Right,
    RightMissing,
    SecretTooWeak,
    SignInNeeded,
    SignInRefused,
)
from tests.services.signed_in import PASSWORD, QUICK, adds, with_quick_passwords
from traceability.accounts import Accounts, Role

NOW = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)


class Clock:
    """The time is what a test says."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def passes(self, time: timedelta) -> None:
        self.at += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(station, clock) -> Access:
    made = Access(Accounts(station.store), first_run_code="the-code", clock=clock, hasher=QUICK)
    made.add_first(code="the-code", name="chief", title="Chief", password=PASSWORD)
    return made


def _caller(access: Access, name: str):
    key = access.sign_in(name=name, password=PASSWORD)
    return access.caller(session=key, bearer=None, used=False)


def test_the_first_administrator_needs_the_code_and_there_is_one_first(station, clock):
    access = Access(Accounts(station.store), first_run_code="the-code", clock=clock, hasher=QUICK)
    assert access.is_first_run()
    with pytest.raises(FirstRunOver):
        access.add_first(code="another", name="chief", title="Chief", password=PASSWORD)
    access.add_first(code="the-code", name="chief", title="Chief", password=PASSWORD)
    assert not access.is_first_run()
    with pytest.raises(FirstRunOver):
        access.add_first(code="the-code", name="second", title="Second", password=PASSWORD)


def test_a_service_without_a_code_has_no_first_run(station):
    access = Access(Accounts(station.store))
    assert not access.is_first_run()
    with pytest.raises(FirstRunOver):
        access.add_first(code="", name="chief", title="Chief", password=PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_weak_password_is_refused(access, password):
    with pytest.raises(SecretTooWeak):
        access.hashed_password(password)


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(access):
    for name in ("chief", "nobody"):
        with pytest.raises(SignInRefused) as refused:
            access.sign_in(name=name, password="not the password")
        assert refused.value.facts == {}


def test_after_five_wrong_passwords_even_the_right_one_waits(access, clock):
    for _ in range(LOCK_AFTER):
        with pytest.raises(SignInRefused):
            access.sign_in(name="chief", password="not the password")
    with pytest.raises(AccountLocked) as locked:
        access.sign_in(name="chief", password=PASSWORD)
    assert locked.value.facts == {"minutes": 15}
    clock.passes(LOCK_FOR)
    assert access.sign_in(name="chief", password=PASSWORD)


def test_a_right_password_forgives_the_wrong_ones_before(access):
    for _ in range(2 * LOCK_AFTER):
        with pytest.raises(SignInRefused):
            access.sign_in(name="chief", password="not the password")
        access.sign_in(name="chief", password=PASSWORD)


def test_a_right_signature_forgives_the_wrong_ones_before(access):
    chief = access.caller(session=access.sign_in(name="chief", password=PASSWORD), bearer=None, used=True)
    for _ in range(2 * LOCK_AFTER):
        with pytest.raises(SignInRefused):
            access.confirm(chief, "not the password")
        access.confirm(chief, PASSWORD)


def test_who_has_no_pin_does_not_sign_in_by_badge(access):
    adds(access, Role.OPERATOR, badge="B-1")
    with pytest.raises(SignInRefused):
        access.sign_in_by_badge(badge="B-1", pin="")


def test_a_badge_opens_what_an_operator_does_and_no_more(access):
    adds(access, Role.ENGINEER, badge="B-1", pin_hash=access.hashed_pin("2580"))
    key = access.sign_in_by_badge(badge="B-1", pin="2580")
    caller = access.caller(session=key, bearer=None, used=False)
    assert caller.rights == {Right.OPERATE}


def test_a_session_ends_when_nobody_uses_it_and_not_while_somebody_does(access, clock):
    key = access.sign_in(name="chief", password=PASSWORD)
    for _ in range(4):
        clock.passes(IDLE - timedelta(seconds=1))
        assert access.caller(session=key, bearer=None, used=True) is not None
    clock.passes(IDLE - timedelta(seconds=1))
    assert access.caller(session=key, bearer=None, used=False) is not None
    clock.passes(timedelta(seconds=1))
    assert access.caller(session=key, bearer=None, used=True) is None


def test_a_session_ends_with_the_shift_however_much_it_is_used(access, clock):
    key = access.sign_in(name="chief", password=PASSWORD)
    while clock.at < NOW + LONGEST - timedelta(minutes=10):
        clock.passes(timedelta(minutes=10))
        assert access.caller(session=key, bearer=None, used=True) is not None
    clock.passes(timedelta(minutes=10))
    assert access.caller(session=key, bearer=None, used=True) is None


def test_signing_out_ends_the_session(access):
    key = access.sign_in(name="chief", password=PASSWORD)
    access.sign_out(key, access.caller(session=key, bearer=None, used=False))
    assert access.caller(session=key, bearer=None, used=False) is None


def test_a_new_password_ends_the_other_sessions(access):
    key = access.sign_in(name="chief", password=PASSWORD)
    caller = access.caller(session=key, bearer=None, used=False)
    with pytest.raises(SignInRefused):
        access.change_own_password(caller, current="not the password", new="another one, longer")
    access.change_own_password(caller, current=PASSWORD, new="another one, longer")
    assert access.caller(session=key, bearer=None, used=False) is None
    with pytest.raises(SignInRefused):
        access.sign_in(name="chief", password=PASSWORD)
    assert access.sign_in(name="chief", password="another one, longer")


def test_a_key_may_no_more_than_its_person_and_loses_what_its_person_loses(access):
    engineer = adds(access, Role.ENGINEER)
    caller = _caller(access, "engineer")
    with pytest.raises(RightMissing):
        access.make_token(caller, name="x", rights={Right.CONFIGURE}, expires_at=NOW + timedelta(1))
    key, _ = access.make_token(caller, name="MES", rights={Right.DISPOSE}, expires_at=NOW + timedelta(1))
    assert access.caller(session=None, bearer=key, used=False).rights == {Right.DISPOSE}
    access.accounts.change(engineer.name, by=access.accounts.named("chief"), at=NOW, role=Role.OPERATOR)
    assert access.caller(session=None, bearer=key, used=False).rights == frozenset()


def test_a_key_makes_no_further_keys(access):
    key, _ = access.make_token(
        _caller(access, "chief"), name="x", rights={Right.ADMINISTER}, expires_at=NOW + timedelta(1)
    )
    program = access.caller(session=None, bearer=key, used=False)
    with pytest.raises(SignInNeeded):
        access.make_token(program, name="y", rights=set(), expires_at=NOW + timedelta(1))


def test_a_refused_sign_in_is_in_the_audit_without_what_was_typed(access):
    with pytest.raises(SignInRefused):
        access.sign_in(name="x" * 5000, password="not the password")
    newest = access.accounts.audit(limit=1)[0]
    assert (newest.action, newest.person, newest.subject) == ("sign_in.refused", None, "account:unknown")
    assert "not the password" not in repr(access.accounts.audit(limit=100))


def test_no_role_has_every_right():
    """Who gives rights has none over quality, so that one lost password does not open everything."""
    assert all(rights < frozenset(Right) for rights in RIGHTS.values())
    assert frozenset().union(*RIGHTS.values()) == frozenset(Right)
    assert not RIGHTS[Role.ADMINISTRATOR] & {Right.OPERATE, Right.BYPASS, Right.DISPOSE, Right.APPROVE}


# ---------------------------------------------------------------------- over HTTP


@pytest.fixture
def people_client(station) -> TestClient:
    """A station whose administrator, operator and auditor have accounts."""
    app = station.app()
    access = with_quick_passwords(app)
    adds(access, Role.ADMINISTRATOR, name="chief")
    for role in (Role.OPERATOR, Role.ENGINEER, Role.INTEGRATOR, Role.AUDITOR):
        adds(access, role)
    return TestClient(app, follow_redirects=False)


def _signs_in(client: TestClient, name: str) -> None:
    answer = client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 201


def test_a_session_says_who_it_is_and_ends(people_client):
    assert people_client.get("/api/v1/session").json()["code"] == "SVC-SIGN-IN-NEEDED"
    _signs_in(people_client, "operator")
    assert people_client.get("/api/v1/session").json() == {
        "name": "operator",
        "title": "operator",
        "role": "operator",
        "rights": ["operate"],
    }
    assert people_client.delete("/api/v1/session").status_code == 204
    assert people_client.get("/api/v1/session").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_new_at_every_sign_in(people_client):
    people_client.cookies.set(COOKIE, "fixed-by-somebody")
    answer = people_client.post("/api/v1/session", json={"name": "chief", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "fixed-by-somebody" not in cookie


ENDPOINTS = [
    ("GET", "/api/v1/people", None, Right.ADMINISTER),
    (
        "POST",
        "/api/v1/people",
        {"name": "new", "title": "N", "role": "operator", "password": PASSWORD},
        Right.ADMINISTER,
    ),
    ("PATCH", "/api/v1/people/operator", {"title": "O"}, Right.ADMINISTER),
    ("PUT", "/api/v1/people/operator/secret", {"password": PASSWORD}, Right.ADMINISTER),
    ("GET", "/api/v1/audit", None, Right.READ_AUDIT),
    ("GET", "/people", None, Right.ADMINISTER),
    ("GET", "/audit", None, Right.READ_AUDIT),
]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("method", "path", "given", "right"), ENDPOINTS)
def test_each_endpoint_is_open_to_those_with_its_right_alone(people_client, role, method, path, given, right):
    _signs_in(people_client, "chief" if role is Role.ADMINISTRATOR else role.value)
    answer = people_client.request(method, path, json=given)
    if right in RIGHTS[role]:
        assert answer.is_success
    else:
        assert answer.status_code == 403
        assert answer.json()["code"] == "SVC-RIGHT-MISSING"


@pytest.mark.parametrize(("method", "path", "given", "right"), ENDPOINTS)
def test_none_is_open_to_somebody_who_did_not_sign_in(people_client, method, path, given, right):
    answer = people_client.request(method, path, json=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "SVC-SIGN-IN-NEEDED")


def test_a_program_acts_with_its_key_and_only_until_it_is_revoked(people_client):
    _signs_in(people_client, "chief")
    made = people_client.post(
        "/api/v1/tokens", json={"name": "HR", "rights": ["administer"], "days": 7}
    ).json()
    program = TestClient(people_client.app, headers={"Authorization": f"Bearer {made['key']}"})
    assert program.get("/api/v1/people").status_code == 200
    assert program.get("/api/v1/audit").status_code == 403
    assert made["key"] not in people_client.get("/api/v1/tokens").text
    assert people_client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert program.get("/api/v1/people").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
def test_a_page_of_another_site_changes_nothing_in_the_readers_name(people_client, headers):
    _signs_in(people_client, "chief")
    for method, path, given, _ in ENDPOINTS:
        if method != "GET":
            answer = people_client.request(method, path, json=given, headers=headers)
            assert answer.json()["code"] == "SVC-OTHER-SITE"
    assert people_client.post("/sign-out", headers=headers).status_code == 403


def test_our_own_pages_change_what_they_may(people_client):
    headers = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    answer = people_client.post("/sign-in", data={"name": "chief", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("next", "goes_to"),
    [
        ("/spc?by=shift", "/spc?by=shift"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_back_to_our_own_pages_and_nowhere_else(people_client, next, goes_to):
    answer = people_client.post("/sign-in", data={"name": "chief", "password": PASSWORD, "next": next})
    assert answer.headers["location"] == goes_to


def test_a_page_that_needs_a_name_asks_for_it_and_comes_back(people_client):
    answer = people_client.get("/people", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/sign-in?next=%2Fpeople"


@pytest.mark.parametrize(
    ("stood_on", "goes_to"),
    [
        ("http://testserver/datasets/flange/label?picture=a/1", "/datasets/flange/label?picture=a/1"),
        ("http://testserver/people/chief", "/"),
        ("http://testserver//elsewhere.example/", "/"),
        ("https://elsewhere.example/people", "/"),
        ("http://[no-address", "/"),
        (None, "/"),
    ],
)
def test_who_sent_a_form_when_the_session_had_ended_comes_back_to_its_page(people_client, stood_on, goes_to):
    headers = {"Accept": "text/html"} | ({"Referer": stood_on} if stood_on else {})
    answer = people_client.post("/people/chief", data={"role": "operator"}, headers=headers)
    assert answer.headers["location"] == f"/sign-in?{urlencode({'next': goes_to})}"


def test_the_live_picture_is_there_for_somebody_who_did_not_sign_in(station, people_client):
    station.runs()
    assert people_client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert people_client.get("/api/v1/station").status_code == 200


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", ["/people", "/audit", "/account", "/sign-in"])
def test_the_pages_come_in_both_languages(people_client, path, language):
    _signs_in(people_client, "chief")
    if path == "/sign-in":
        people_client.cookies.clear()
    answer = people_client.get(path, headers={"Accept": "text/html", "Accept-Language": language})
    assert answer.status_code == 200
    assert answer.headers["content-language"] == language


def test_the_other_language_of_an_answer_to_a_form_is_that_of_the_page_where_the_form_stood(people_client):
    _signs_in(people_client, "chief")
    sent = {"name": "chief", "title": "", "role": "engineer", "password": PASSWORD}
    for referer, link in (
        ("http://testserver/people?done=added", "/people?done=added&amp;lang=zh"),
        ("https://elsewhere.example/people", "/?lang=zh"),
        ("", "/?lang=zh"),
    ):
        refused = people_client.post(
            "/people", data=sent, headers={"Accept": "text/html", "Referer": referer}
        )
        assert refused.status_code == 409
        assert f'href="{link}"' in refused.text


def _told_after(client: TestClient, form: str, sent: dict[str, str]) -> str:
    """What the page of people says was done."""
    answer = client.post(form, data=sent)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"], headers={"Accept": "text/html", "Accept-Language": "en"})
    return page.text.split('<p class="banner" role="status">')[1].split("</p>")[0]


def test_an_administrator_works_through_the_forms(people_client):
    _signs_in(people_client, "chief")
    added = {
        "name": "wang",
        "title": "王",
        "role": "engineer",
        "password": PASSWORD,
        "badge": "B-7",
        "pin": "1470",
    }
    assert _told_after(people_client, "/people", added) == "王 is added and may sign in."
    assert "B-7" in people_client.get("/people").text
    refused = people_client.post("/people", data=added, headers={"Accept": "text/html"})
    assert refused.status_code == 409
    assert "TRC-NAME-TAKEN" in refused.text
    assert _told_after(people_client, "/people/wang", {"role": "operator"}).startswith("王: saved.")
    assert _told_after(people_client, "/people/wang", {"role": "operator"}) == "王: nothing was changed."
    ended = _told_after(people_client, "/people/wang/sign-out", {})
    assert ended == "王 was signed out everywhere: 0 sessions ended."
    wang = next(one for one in people_client.get("/api/v1/people").json() if one["name"] == "wang")
    assert (wang["role"], wang["is_active"]) == ("operator", False)


def test_a_first_run_ends_with_the_administrator_signed_in(station):
    app = station.app()
    client = TestClient(app, follow_redirects=False)
    app.state.access = Access(Accounts(station.store), first_run_code="the-code", hasher=QUICK)
    assert client.get("/sign-in").headers["location"] == "/first-run"
    given = {"code": "wrong", "name": "chief", "title": "", "password": PASSWORD}
    assert client.post("/first-run", data=given).status_code == 403
    answer = client.post("/first-run", data=given | {"code": " the-code "})
    assert answer.headers["location"] == "/people"
    assert client.get("/people").status_code == 200
    assert client.get("/first-run").headers["location"] == "/sign-in"


def test_one_sees_where_one_is_signed_in_and_ends_what_was_left_open(station):
    app = station.app()
    access = with_quick_passwords(app)
    adds(access, Role.OPERATOR, badge="B-1", pin_hash=access.hashed_pin("2580"))
    at_desk, at_line = TestClient(app), TestClient(app)
    assert at_line.post("/api/v1/session", json={"badge": "B-1", "pin": "2580"}).status_code == 201
    assert at_desk.post("/api/v1/session", json={"name": "operator", "password": PASSWORD}).status_code == 201
    listed = at_desk.get("/api/v1/sessions").json()
    assert {(one["by_badge"], one["is_this"]) for one in listed} == {(False, True), (True, False)}
    # What is listed opens nothing: it is the hash of the key.
    assert at_desk.cookies[COOKIE] not in {one["id"] for one in listed}
    left_open = next(one["id"] for one in listed if not one["is_this"])
    assert left_open in at_desk.get("/account", headers={"Accept": "text/html"}).text
    assert at_desk.delete(f"/api/v1/sessions/{left_open}").status_code == 204
    assert at_line.get("/api/v1/session").status_code == 401
    assert at_desk.get("/api/v1/session").status_code == 200
    gone = at_desk.delete(f"/api/v1/sessions/{left_open}")
    assert (gone.status_code, gone.json()["code"]) == (404, "TRC-SESSION-UNKNOWN")
    assert access.accounts.audit(limit=1)[0].action == "session.revoked"


def test_nobody_ends_another_persons_session_but_an_administrator_ends_them_all(station):
    app = station.app()
    access = with_quick_passwords(app)
    clients = {}
    for role in (Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR):
        adds(access, role)
        clients[role] = TestClient(app)
        clients[role].post("/api/v1/session", json={"name": role.value, "password": PASSWORD})
    operator, engineer, administrator = clients.values()
    (own,) = operator.get("/api/v1/sessions").json()
    assert engineer.delete(f"/api/v1/sessions/{own['id']}").status_code == 404
    assert engineer.delete("/api/v1/people/operator/sessions").status_code == 403
    assert operator.get("/api/v1/session").status_code == 200
    assert administrator.delete("/api/v1/people/operator/sessions").status_code == 204
    assert operator.get("/api/v1/session").status_code == 401
    assert engineer.get("/api/v1/session").status_code == 200
    # And from the page.
    assert administrator.post("/people/engineer/sign-out", follow_redirects=False).status_code == 303
    assert engineer.get("/api/v1/session").status_code == 401
