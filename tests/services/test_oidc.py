"""Signing in at an identity provider, which is a real one in this process: what it signs is checked, once, and for the
browser that began."""

from __future__ import annotations

import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Form, Header
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import ValidationError

from services.oidc import BACK, COOKIE, Oidc, OidcUnreachable, OidcUnusable
from station_config import OidcSettings
from tests.a_station import an_empty_station, needs_libraries
from tests.browsing import served
from tests.services.signed_in import adds, with_quick_passwords
from traceability.accounts import Accounts, Role

HTML = {"Accept": "text/html"}
ADDRESS = "https://station.plant"
CLIENT, SECRET = "lynceus", "the client's secret"


@dataclass
class Provider:
    """As OpenID Connect Core has it: a code is used once, by who knows the secret and the verifier of the challenge.

    says         what the ID token says beside what belongs into it, or instead
    keys_beside  what it publishes beside the key it signs with
    """

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    says: dict[str, object] = field(default_factory=dict)
    signs_with: object = None
    algorithm: str = "RS256"
    keys_beside: tuple[object, ...] = ()
    calls_itself: str | None = None
    address: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration():
            return {
                "issuer": self.calls_itself or self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
            }

        @app.get("/keys")
        def keys():
            return {"keys": [*self.keys_beside, self.key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize(
            client_id: str,
            response_type: str,
            redirect_uri: str,
            scope: str,
            state: str,
            nonce: str,
            code_challenge: str,
            code_challenge_method: str,
        ):
            """Whoever asks is signed in there already."""
            assert (client_id, response_type, code_challenge_method) == (CLIENT, "code", "S256")
            assert redirect_uri == ADDRESS + BACK
            assert "openid" in scope.split()
            code = f"code-{len(self.codes)}"
            self.codes[code] = {"nonce": nonce, "challenge": code_challenge}
            return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 302)

        @app.post("/token")
        def token(
            grant_type: str = Form(),
            code: str = Form(),
            redirect_uri: str = Form(),
            code_verifier: str = Form(),
            authorization: str = Header(),
        ):
            assert (grant_type, redirect_uri) == ("authorization_code", ADDRESS + BACK)
            assert b64decode(authorization.removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"
            asked = self.codes.pop(code, None)
            challenge = urlsafe_b64encode(sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            if asked is None or asked["challenge"] != challenge:
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.tokens += 1
            now = int(time.time())
            claims = {
                "iss": self.address,
                "sub": "248289761001",
                "aud": CLIENT,
                "iat": now,
                "exp": now + 300,
                "nonce": asked["nonce"],
                "preferred_username": "zhang.wei",
                "name": "张伟",
                "groups": ["everybody", "line-operators"],
            }
            claims = {name: value for name, value in {**claims, **self.says}.items() if value is not None}
            signed = jwt.encode(
                {"alg": self.algorithm, "kid": "1"},
                claims,
                self.signs_with or self.key,
                algorithms=[self.algorithm],
            )
            return {"access_token": "none", "token_type": "Bearer", "id_token": signed}

        return app


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    provider = Provider()
    with served(provider.app()) as address:
        provider.address = address
        yield provider


@pytest.fixture
def provider(running) -> Provider:
    running.says, running.signs_with, running.algorithm = {}, None, "RS256"
    running.keys_beside = ()
    running.codes.clear()
    return running


@pytest.fixture
def settings(provider, tmp_path) -> OidcSettings:
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    return OidcSettings(
        title="Plant",
        issuer=provider.address,
        client_id=CLIENT,
        address=ADDRESS,
        secret_file=tmp_path / "secret",
        roles={"quality": "engineer", "line-operators": "operator"},
    )


@pytest.fixture
def app(tmp_path, settings) -> Iterator[FastAPI]:
    station = needs_libraries(an_empty_station(tmp_path))
    with station.store:
        made = station.app()
        with_quick_passwords(made)
        made.state.oidc = Oidc(settings)
        yield made


def a_browser(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=ADDRESS, follow_redirects=False, headers=HTML)


def goes_there(browser: TestClient, *, next: str = "/") -> str:
    """Presses the button, and signs in at the provider. Where that sends the browser back to."""
    begun = browser.get("/sign-in/oidc", params={"next": next})
    assert begun.status_code == 303
    there = httpx2.get(begun.headers["location"], follow_redirects=False)
    assert there.status_code == 302
    return there.headers["location"].removeprefix(ADDRESS)


def signs_in(app: FastAPI, *, next: str = "/"):
    browser = a_browser(app)
    return browser, browser.get(goes_there(browser, next=next))


def me(browser: TestClient) -> dict | None:
    answer = browser.get("/api/v1/session")
    return answer.json() if answer.status_code == 200 else None


def test_who_signs_in_there_has_the_role_that_their_groups_give_them(app):
    browser, answer = signs_in(app, next="/review")
    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    who = me(browser)
    assert (who["name"], who["title"], who["role"], who["rights"]) == (
        "zhang.wei",
        "张伟",
        "operator",
        ["operate"],
    )
    acts = [one.action for one in Accounts(app.state.serving.store).audit(limit=10)]
    assert "account.added" in acts
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie


def test_the_page_has_the_button_only_where_a_provider_is_set(app):
    assert "/sign-in/oidc" in a_browser(app).get("/sign-in").text
    app.state.oidc = None
    browser = a_browser(app)
    assert "/sign-in/oidc" not in browser.get("/sign-in").text
    assert browser.get("/sign-in/oidc").status_code == 404
    assert browser.get(BACK, params={"state": "s", "code": "c"}).status_code == 404


def test_another_role_there_is_another_role_here_the_next_time_and_ends_the_sessions_of_before(app, provider):
    before, _ = signs_in(app)
    provider.says = {"groups": "quality"}
    now, _ = signs_in(app)
    assert me(now)["role"] == "engineer"
    assert me(before) is None
    assert len(Accounts(app.state.serving.store).all()) == 1


def test_of_several_groups_the_first_in_the_settings_counts(app, provider):
    provider.says = {"groups": ["line-operators", "quality"]}
    browser, _ = signs_in(app)
    assert me(browser)["role"] == "engineer"


@pytest.mark.parametrize("groups", [None, [], ["everybody"], 7, {"quality": True}])
def test_who_has_none_of_the_groups_stays_outside(app, provider, groups):
    provider.says = {"groups": groups}
    browser, answer = signs_in(app)
    assert (answer.status_code, me(browser)) == (403, None)
    assert "SVC-OIDC-NO-ROLE" in answer.text
    assert Accounts(app.state.serving.store).all() == ()


def test_an_account_that_was_made_here_is_nobodys_there(app):
    """Who may choose their name at the provider would else be whoever they like here."""
    adds(app.state.access, Role.ADMINISTRATOR, name="zhang.wei")
    browser, answer = signs_in(app)
    assert (answer.status_code, me(browser)) == (409, None)
    assert "TRC-NAME-TAKEN" in answer.text


def test_who_was_closed_here_does_not_come_in_again(app):
    signs_in(app)
    accounts = Accounts(app.state.serving.store)
    admin = adds(app.state.access, Role.ADMINISTRATOR)
    accounts.change("zhang.wei", by=admin, at=app.state.access.now(), is_active=False)
    browser, answer = signs_in(app)
    assert (answer.status_code, me(browser)) == (401, None)


@pytest.mark.parametrize(
    "says",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": None},
        {"iss": "https://another.plant"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": None},
        {"azp": "another client"},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_signs_nobody_in(app, provider, says):
    provider.says = says
    browser, answer = signs_in(app)
    assert (answer.status_code, me(browser)) == (401, None)
    assert "SVC-OIDC-REFUSED" in answer.text


def test_keys_that_nobody_here_can_read_keep_nobody_from_signing_in(provider, app):
    provider.keys_beside = (
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AAAA", "y": "AAAA", "kid": "of another curve"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "no point of its curve"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "of another kind"},
        {"kid": "of no kind"},
        "no key at all",
    )
    browser, answer = signs_in(app)
    assert answer.status_code == 303
    assert me(browser)["name"] == "zhang.wei"


@pytest.mark.parametrize("forged", ["another key", "the client's secret"])
def test_a_token_that_the_provider_did_not_sign_signs_nobody_in(app, provider, forged):
    if forged == "another key":
        provider.signs_with = RSAKey.generate_key(2048, {"kid": "1"})
    else:
        provider.signs_with, provider.algorithm = OctKey.import_key(SECRET * 3), "HS256"
    browser, answer = signs_in(app)
    assert (answer.status_code, me(browser)) == (401, None)


def test_the_way_back_is_for_the_browser_that_began_and_for_once(app, provider):
    browser, other = a_browser(app), a_browser(app)
    back = goes_there(browser)
    # Somebody made to open another's way back would work under their name (RFC 9700, section 4.7).
    assert other.get(back).status_code == 401
    other.cookies.set(COOKIE, "made up", path=BACK)
    assert other.get(back).status_code == 401
    before = provider.tokens
    assert browser.get(back).status_code == 303
    assert provider.tokens == before + 1
    kept = parse_qs(urlsplit(back).query)["state"][0]
    browser.cookies.set(COOKIE, kept, path=BACK)
    assert browser.get(back).status_code == 401
    assert browser.get(BACK).status_code == 401


def test_what_was_begun_too_long_ago_is_over(app, settings):
    now_s = 0.0
    app.state.oidc = Oidc(settings, monotonic_s=lambda: now_s)
    browser = a_browser(app)
    back = goes_there(browser)
    now_s = 601.0
    assert browser.get(back).status_code == 401


def test_a_stolen_code_is_worth_nothing_without_the_verifier(app, provider):
    browser = a_browser(app)
    code = parse_qs(urlsplit(goes_there(browser)).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": ADDRESS + BACK,
        "code_verifier": "guessed" * 8,
    }
    stolen = httpx2.post(f"{provider.address}/token", data=form, auth=(CLIENT, SECRET))
    assert stolen.json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("next", ["https://elsewhere", "//elsewhere", "/\\elsewhere", "javascript:alert(1)"])
def test_the_way_back_leads_to_this_service_only(app, next):
    _, answer = signs_in(app, next=next)
    assert answer.headers["location"] == "/"


def test_a_host_that_was_made_up_is_not_where_the_provider_sends_the_browser(app):
    browser = a_browser(app)
    begun = browser.get("/sign-in/oidc", headers={"Host": "elsewhere"})
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["redirect_uri"] == [ADDRESS + BACK]


def test_a_provider_that_is_away_keeps_nobody_from_signing_in_by_name(app, settings):
    app.state.oidc = Oidc(settings, transport=httpx2.MockTransport(lambda _: httpx2.Response(502, text="x")))
    answer = a_browser(app).get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "SVC-OIDC-UNREACHABLE" in answer.text
    assert 'name="password"' in answer.text


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://another.plant"},
        {"token_endpoint": "http://plant.example/token"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_calls_itself_otherwise_or_speaks_in_the_clear_is_not_believed(settings, told):
    right = {
        "issuer": settings.issuer,
        **dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "https://plant.example/x"),
    }
    answers = httpx2.MockTransport(lambda _: httpx2.Response(200, json=right | told))
    with pytest.raises(OidcUnreachable):
        Oidc(settings, transport=answers).begin(next="/")


def test_keys_that_the_provider_has_changed_are_read_again(app, settings, provider):
    now_s = 0.0
    app.state.oidc = Oidc(settings, monotonic_s=lambda: now_s)
    signs_in(app)
    before, provider.key = provider.key, RSAKey.generate_key(2048, {"kid": "1"})
    try:
        now_s = 61.0
        browser, answer = signs_in(app)
        assert (answer.status_code, me(browser)["name"]) == (303, "zhang.wei")
    finally:
        provider.key = before


def test_a_secret_that_is_not_there_keeps_the_service_from_starting(settings, tmp_path):
    with pytest.raises(OidcUnusable):
        Oidc(settings.model_copy(update={"secret_file": tmp_path / "nothing"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://provider.plant"},
        {"issuer": "https://provider.plant:84430"},
        {"issuer": "https://provider..plant"},
        {"address": "https://station.plant:0"},
        {"address": "http://station.plant"},
        {"roles": {}},
        {"roles": {"x": "king"}},
        {"scopes": ("profile",)},
    ],
)
def test_settings_that_would_send_secrets_in_the_clear_or_nowhere_or_give_no_role_are_refused(
    settings, wrong
):
    with pytest.raises(ValidationError):
        OidcSettings.model_validate(settings.model_dump() | wrong)
