"""Signing in at the plant's own identity provider (OpenID Connect): authorization code with PKCE, state and nonce.

The only file that knows Authlib (BSD) and joserfc (BSD), which it is built on. What it trusts is the ID token alone:
signed by one of the provider's keys, for this client, now, and for the browser that began.
Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636; RFC 9700.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from inspection.errors import InspectionError
from station_config import OidcSettings
from traceability.accounts import Role

logger = logging.getLogger(__name__)

COOKIE: Final = "lynceus_oidc"
BACK: Final = "/sign-in/oidc/back"
"""Where the provider sends the browser back to; the provider has to know `address` + this."""

LONGEST_S: Final = 600.0
"""From the button to the way back: somebody looks for their second factor."""
MOST_BEGUN: Final = 1000
TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 1_000_000
LEEWAY_S: Final = 60
"""By how much the clocks of provider and station may differ."""
KEYS_AT_MOST_EVERY_S: Final = 60.0

ALGORITHMS: Final = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Asymmetric ones only: what is signed with the client's secret, or with nothing, is refused."""


class OidcOff(InspectionError):
    """No provider is set. Facts: none."""

    code = "SVC-OIDC-OFF"


class OidcUnusable(InspectionError):
    """What is set cannot be used. Facts: reason."""

    code = "SVC-OIDC-UNUSABLE"


class OidcUnreachable(InspectionError):
    """The provider does not answer, or not as one. Facts: issuer, reason."""

    code = "SVC-OIDC-UNREACHABLE"


class OidcRefused(InspectionError):
    """The provider, or what it sent, does not sign anybody in. Facts: reason."""

    code = "SVC-OIDC-REFUSED"


class OidcNoRole(InspectionError):
    """Signed in at the provider, but nothing it says of the person is a role here. Facts: claim."""

    code = "SVC-OIDC-NO-ROLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the provider says it is. `subject` is theirs for good, with the provider's address; the others may change."""

    subject: str
    name: str
    title: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    nonce: str
    verifier: str
    next: str
    until_s: float


class Oidc:
    """One provider. What was begun is kept in this process: after a restart one presses the button again."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        transport: httpx2.BaseTransport | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """transport  None: the network

        Raises OidcUnusable where the secret's file cannot be read.
        """
        self._settings = settings
        self._secret = _secret_of(settings)
        self._monotonic_s = monotonic_s
        self._transport = transport
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._provider: Mapping[str, Any] | None = None
        self._keys: KeySet | None = None
        self._keys_read_s = float("-inf")

    @property
    def title(self) -> str:
        return self._settings.title

    def begin(self, *, next: str) -> tuple[str, str]:
        """The provider's address to send the browser to, and the state, for a cookie: whoever comes back has to have
        begun. Raises OidcUnreachable."""
        provider = self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        now_s = self._monotonic_s()
        with self._lock:
            self._begun[state] = _Begun(nonce=nonce, verifier=verifier, next=next, until_s=now_s + LONGEST_S)
            while len(self._begun) > MOST_BEGUN:
                self._begun.popitem(last=False)
        url: str = prepare_grant_uri(
            provider["authorization_endpoint"],
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=" ".join(self._settings.scopes),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url, state

    def finish(self, *, state: str, kept_state: str, code: str) -> tuple[Identity, str]:
        """Who came back, and where they were going. Each beginning has one end.

        kept_state  from the cookie of this browser

        Raises OidcRefused, OidcNoRole, OidcUnreachable.
        """
        if not kept_state or not hmac.compare_digest(state.encode(), kept_state.encode()):
            raise _refused("this browser did not begin it")
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or begun.until_s < self._monotonic_s():
            raise _refused("it was begun too long ago, or used already")
        claims = self._claims(self._id_token(code, begun.verifier), begun.nonce)
        return self._identity(claims), begun.next

    # ------------------------------------------------------------------

    @property
    def _redirect_uri(self) -> str:
        # From the settings: a Host header can be made up by whoever asks.
        return self._settings.address.rstrip("/") + BACK

    def _discovered(self) -> Mapping[str, Any]:
        if self._provider is None:
            issuer = self._settings.issuer
            found = self._json("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise self._unreachable(f"it calls itself {found.get('issuer')}")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not _is_safe(str(found.get(name))):
                    raise self._unreachable(f"its {name} is not https")
            self._provider = found
        return self._provider

    def _id_token(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": verifier,
        }
        auth = None if self._secret is None else (self._settings.client_id, self._secret)
        told = self._json("POST", self._discovered()["token_endpoint"], data=form, auth=auth)
        token = told.get("id_token")
        if not isinstance(token, str):
            raise _refused(f"no ID token: {str(told.get('error', 'nothing said why'))[:100]}")
        return token

    def _claims(self, token: str, nonce: str) -> CodeIDToken:
        settings = self._settings
        try:
            try:
                read = jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                # The provider may have changed its keys since they were read.
                read = jwt.decode(token, self._key_set(anew=True), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                read.claims,
                read.header,
                options={
                    "iss": {"essential": True, "value": settings.issuer},
                    "aud": {"essential": True, "value": settings.client_id},
                },
                params={"nonce": nonce, "client_id": settings.client_id},
            )
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError) as error:
            raise _refused(f"the ID token does not hold ({type(error).__name__}: {error})") from error
        return claims

    def _key_set(self, *, anew: bool = False) -> KeySet:
        now_s = self._monotonic_s()
        is_due = anew and now_s - self._keys_read_s > KEYS_AT_MOST_EVERY_S
        if self._keys is None or is_due:
            self._keys_read_s = now_s
            told = self._json("GET", self._discovered()["jwks_uri"])
            given = told.get("keys")
            keys = [_key(one) for one in given] if isinstance(given, list) else []
            readable = [one for one in keys if one is not None]
            if not readable:
                raise self._unreachable("its keys cannot be read")
            self._keys = KeySet(readable)
        return self._keys

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        settings = self._settings
        said = claims.get(settings.claim)
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        role = next((Role(role) for value, role in settings.roles.items() if value in values), None)
        if role is None:
            raise OidcNoRole(
                f"Nothing in the claim {settings.claim} is a role here.",
                action="Ask who looks after the identity provider to put you into one of its groups for this system.",
                claim=settings.claim,
            )
        subject = str(claims["sub"])
        name = "".join(
            letter if letter.isalnum() or letter in "_.@-" else "-"
            for letter in str(claims.get("preferred_username") or claims.get("email") or subject)
        )[:60]
        return Identity(
            subject=f"{settings.issuer} {subject}",
            name=name,
            title=str(claims.get("name") or name)[:100],
            role=role,
        )

    def _json(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        try:
            # Somebody signs in a few times a shift: no connection is kept for that.
            with httpx2.Client(timeout=TIMEOUT_S, transport=self._transport) as client:
                answer = client.request(method, url, headers={"Accept": "application/json"}, **given)
            told = answer.json() if len(answer.content) <= MOST_BYTES else None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        except ValueError as error:
            raise self._unreachable(f"status {answer.status_code}, and no JSON") from error
        if not isinstance(told, dict):
            raise self._unreachable(f"status {answer.status_code}, and no object")
        return told

    def _unreachable(self, reason: str) -> OidcUnreachable:
        issuer = self._settings.issuer
        return OidcUnreachable(
            f"No answer from {issuer}: {reason}.",
            action="Sign in by name and password or by badge, and check the network to the identity provider.",
            issuer=issuer,
            reason=reason,
        )


def _refused(reason: str) -> OidcRefused:
    return OidcRefused(
        f"The identity provider signed nobody in: {reason}.", action="Try again.", reason=reason
    )


def _secret_of(settings: OidcSettings) -> str | None:
    if settings.secret_file is None:
        return None
    try:
        return settings.secret_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OidcUnusable(
            f"{settings.secret_file} cannot be read: {error.strerror}.",
            action="Put the client's secret there, readable by this service alone.",
            reason=f"{settings.secret_file}: {error.strerror}",
        ) from error


def _key(given: Any) -> Key | None:
    """None for one that cannot be read: providers have keys of other curves and kinds beside those they sign with for
    us. Source: RFC 7517, section 5."""
    try:
        return JWKRegistry.import_key(given)
    except Exception:
        # A KeyError for a curve nobody here knows, a ValueError for a point beside its curve, and more.
        logger.warning("A key of the identity provider is left out", exc_info=True)
        return None


def _is_safe(url: str) -> bool:
    """Encrypted, or on this computer."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1"))
