"""Who may do what: roles and rights, signing in and out, keys of programs; and that the page asking is ours.

Looking is open to whoever reaches the page: the live picture is never hidden from the line. Whatever changes
something needs a right, and who used it stands in the audit.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Annotated, Final
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response

from inspection.errors import InspectionError
from traceability.accounts import Accounts, OpenSession, Person, Role, Secrets, Token

COOKIE: Final = "lynceus_session"

LOCK_AFTER: Final = 5
LOCK_FOR: Final = timedelta(minutes=15)
IDLE: Final = timedelta(minutes=15)
"""A session nobody used for so long is over; the pictures stay."""
LONGEST: Final = timedelta(hours=12)
"""A session ends with the shift, used or not."""
TOUCH_EVERY: Final = timedelta(seconds=30)

PERSON_NAME: Final = r"^[\w.@-]*[\w@-][\w.@-]*$"
"""What signs in: typed by people, and part of an address, in which dots alone lead elsewhere."""
LONGEST_NAME: Final = 60

SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 200
SHORTEST_PIN: Final = 4

_HASHES_AT_ONCE: Final = 2
"""argon2 takes 64 MiB and a core for some 50 ms: a flood of sign-ins must not take the station's."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Right(StrEnum):
    """What a person, or a program for them, may do beyond looking."""

    OPERATE = "operate"
    """Review verdicts, answer alarms, hand a shift over."""
    BYPASS = "bypass"
    """Let parts through that are not inspected: marked, with a reason and an end."""
    DISPOSE = "dispose"
    """Hold, release, scrap, rework; work on cases; freeze limits of charts."""
    RECORD = "record"
    """State what the plant knows: what was made from what, process steps, measurements of other gauges."""
    CONFIGURE = "configure"
    """Recipes, cameras, data sets, training, models up to their approval."""
    APPROVE = "approve"
    """Approve what somebody else made: recipes and models."""
    ADMINISTER = "administer"
    """People and what they may do."""
    READ_AUDIT = "read_audit"
    """See who did what."""


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.OPERATOR: frozenset({Right.OPERATE}),
    Role.ENGINEER: frozenset({Right.OPERATE, Right.BYPASS, Right.DISPOSE, Right.RECORD, Right.APPROVE}),
    Role.INTEGRATOR: frozenset({Right.OPERATE, Right.RECORD, Right.CONFIGURE, Right.APPROVE}),
    Role.ADMINISTRATOR: frozenset({Right.ADMINISTER, Right.READ_AUDIT}),
    Role.AUDITOR: frozenset({Right.READ_AUDIT}),
}
"""An administrator gives rights and has none over quality: who needs both has two names."""

PIN_RIGHTS: Final = frozenset({Right.OPERATE})
"""What a badge and a PIN open: a PIN is short, and the panel stands where everybody passes."""


class AccessError(InspectionError):
    """Base of what signing in and rights refuse."""

    code = "SVC-ACCESS"


class SignInNeeded(AccessError):
    """Nobody is signed in, or not any more. Facts: none."""

    code = "SVC-SIGN-IN-NEEDED"


class SignInRefused(AccessError):
    """No such name with that password, or badge with that PIN: which of both is not said. Facts: none."""

    code = "SVC-SIGN-IN-REFUSED"


class AccountLocked(AccessError):
    """Too many wrong passwords. Facts: minutes until the next try."""

    code = "SVC-ACCOUNT-LOCKED"


class RightMissing(AccessError):
    """Signed in, but not for this. Facts: right, role."""

    code = "SVC-RIGHT-MISSING"


class OtherSite(AccessError):
    """A page of another site asked in the reader's name. Facts: origin."""

    code = "SVC-OTHER-SITE"


class SecretTooWeak(AccessError):
    """A password or PIN that is too short, or too long to be hashed. Facts: shortest, longest, given."""

    code = "SVC-SECRET-TOO-WEAK"


class FirstRunOver(AccessError):
    """Somebody has an account already, or the code of the first run is wrong. Facts: none."""

    code = "SVC-FIRST-RUN-OVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `token` is set where a program asks for the person."""

    person: Person
    rights: frozenset[Right]
    token: Token | None = None

    def may(self, right: Right) -> bool:
        return right in self.rights


_RECOMMENDED: Final = PasswordHasher()


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    """Of a secret that nobody knows. It is checked where no such name is known, so that the answer takes as long as for
    one that is; made once, since it takes as long to make."""
    return hasher.hash(secrets.token_urlsafe())


class Access:
    """Signing in and out over the accounts of the plant."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        first_run_code: str | None = None,
        clock: Callable[[], datetime] = _utc_now,
        hasher: PasswordHasher | None = None,
    ) -> None:
        """first_run_code  what the first administrator shows, while nobody has an account; None: not from a page
        hasher  None: argon2id as RFC 9106 recommends it where memory is short (64 MiB)
        """
        self.accounts = accounts
        self.now = clock
        self._first_run_code = first_run_code
        self._hasher = hasher or _RECOMMENDED
        self._hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._nobodys = _nobodys(self._hasher)

    # ------------------------------------------------------------------ secrets

    def hashed_password(self, password: str) -> str:
        """Raises SecretTooWeak."""
        _check_length(password, SHORTEST_PASSWORD)
        return self._hash(password)

    def hashed_pin(self, pin: str) -> str:
        """Raises SecretTooWeak."""
        _check_length(pin, SHORTEST_PIN)
        return self._hash(pin)

    def _hash(self, secret: str) -> str:
        with self._hashing:
            return self._hasher.hash(secret)

    def _fits(self, hashed: str | None, secret: str) -> bool:
        with self._hashing:
            try:
                fits = self._hasher.verify(hashed or self._nobodys, secret[:LONGEST_PASSWORD])
            except (VerificationError, InvalidHashError):
                return False
        return fits and hashed is not None

    # ------------------------------------------------------------------ signing in

    def sign_in(self, *, name: str, password: str) -> str:
        """A new session's key, for the cookie. Raises SignInRefused, AccountLocked."""
        known = self.accounts.secrets_of(name=name)
        hashed = None if known is None else known.password_hash
        return self._open(known, hashed, password, rights=None)

    def sign_in_by_badge(self, *, badge: str, pin: str) -> str:
        """The same by badge and PIN, for what an operator does. Raises SignInRefused, AccountLocked."""
        known = self.accounts.secrets_of(badge=badge)
        hashed = None if known is None else known.pin_hash
        rights = None if known is None else PIN_RIGHTS & RIGHTS[known.person.role]
        return self._open(known, hashed, pin, rights=rights)

    def sign_in_from_provider(self, *, subject: str, name: str, title: str, role: Role) -> str:
        """The same for somebody who signed in at the plant's identity provider. Raises SignInRefused for who was closed
        here, NameTaken, LastAdministrator."""
        person = self.accounts.from_provider(subject, name=name, title=title, role=role, at=self.now())
        if person is None:
            raise SignInRefused("The account is closed here.", action="Ask an administrator.")
        return self._session_of(person, rights=None)

    def confirm(self, caller: Caller, password: str) -> None:
        """Raises SignInRefused or AccountLocked unless the caller gives their password once more: a signature."""
        known = self.accounts.secrets_of(name=caller.person.name)
        self._check(known, None if known is None else known.password_hash, password)

    def person_of(self, *, name: str, password: str) -> Person:
        """Who that is, without a session: for one act at the command line. Raises SignInRefused, AccountLocked."""
        known = self.accounts.secrets_of(name=name)
        return self._check(known, None if known is None else known.password_hash, password)

    def change_own_password(self, caller: Caller, *, current: str, new: str) -> None:
        """Signs out everywhere. Raises SignInRefused, AccountLocked, SecretTooWeak."""
        self.confirm(caller, current)
        hashed = self.hashed_password(new)
        self.accounts.set_secret(caller.person.name, by=caller.person, at=self.now(), password_hash=hashed)

    def open_sessions(self, person: Person) -> tuple[OpenSession, ...]:
        at = self.now()
        return self.accounts.sessions_of(person, opened_after=at - LONGEST, seen_after=at - IDLE)

    def sign_out(self, key: str, caller: Caller) -> None:
        self.accounts.close_session(_digest(key), by=caller.person, at=self.now())

    def _open(
        self,
        known: Secrets | None,
        hashed: str | None,
        secret: str,
        *,
        rights: Collection[Right] | None,
    ) -> str:
        return self._session_of(self._check(known, hashed, secret), rights=rights)

    def _session_of(self, person: Person, *, rights: Collection[Right] | None) -> str:
        at = self.now()
        self.accounts.forget_sessions(opened_before=at - LONGEST, seen_before=at - IDLE)
        key = secrets.token_urlsafe(32)
        named = None if rights is None else [right.value for right in rights]
        self.accounts.open_session(person, token_sha256=_digest(key), rights=named, at=at)
        return key

    def _check(self, known: Secrets | None, hashed: str | None, secret: str) -> Person:
        at = self.now()
        if known is not None and known.locked_until is not None and known.locked_until > at:
            minutes = -(-(known.locked_until - at).total_seconds() // 60)
            raise AccountLocked(
                f"Too many wrong passwords; wait {minutes:.0f} min.",
                action="Wait, or ask an administrator for a new password.",
                minutes=int(minutes),
            )
        if not self._fits(hashed, secret):
            person = None if known is None else known.person
            self.accounts.refuse(person, at=at, lock_at=LOCK_AFTER, until=at + LOCK_FOR)
            raise SignInRefused("Name and password do not fit.", action="Try again; mind capitals.")
        assert known is not None
        if known.failures:
            # Also where no session begins: a signature, a command.
            self.accounts.forgive(known.person)
        return known.person

    # ------------------------------------------------------------------ first run

    def is_first_run(self) -> bool:
        return self._first_run_code is not None and self.accounts.none_yet()

    def add_first(self, *, code: str, name: str, title: str, password: str) -> Person:
        """The first administrator. Raises FirstRunOver, SecretTooWeak, NameTaken."""
        expected = self._first_run_code
        if (
            expected is None
            or not hmac.compare_digest(code.encode(), expected.encode())
            or not self.is_first_run()
        ):
            raise FirstRunOver(
                "This is not the code of the first run.", action="Look it up again, or sign in."
            )
        person = self.accounts.add(
            name=name,
            title=title,
            role=Role.ADMINISTRATOR,
            password_hash=self.hashed_password(password),
            by=None,
            at=self.now(),
            first=True,
        )
        self._first_run_code = None
        return person

    # ------------------------------------------------------------------ programs

    def make_token(
        self, caller: Caller, *, name: str, rights: Collection[Right], expires_at: datetime
    ) -> tuple[str, Token]:
        """A key for a program, shown this once, and what is kept of it.

        Raises RightMissing for more than the caller may, SignInNeeded where a program asks.
        """
        if caller.token is not None:
            # What a lost key has made would outlive it.
            raise SignInNeeded("A key makes no further keys.", action="Sign in, then try again.")
        for right in sorted(rights):
            check_right(caller, right)
        key = f"lyn_{secrets.token_urlsafe(32)}"
        token = self.accounts.add_token(
            person=caller.person,
            name=name,
            rights=[right.value for right in rights],
            token_sha256=_digest(key),
            expires_at=expires_at,
            at=self.now(),
        )
        return key, token

    # ------------------------------------------------------------------ who asks

    def caller(self, *, session: str | None, bearer: str | None, used: bool) -> Caller | None:
        """Who asks, by the cookie of a page or the key of a program. `used`: a person did something just now."""
        at = self.now()
        if bearer is not None:
            found = self.accounts.by_token(_digest(bearer), at=at)
            if found is None:
                return None
            person, token = found
            return Caller(person=person, rights=_rights(token.rights) & RIGHTS[person.role], token=token)
        if session is None:
            return None
        digest = _digest(session)
        opened = self.accounts.session(digest, opened_after=at - LONGEST, seen_after=at - IDLE)
        if opened is None:
            return None
        if used and at - opened.seen_at > TOUCH_EVERY:
            self.accounts.touch(digest, at=at)
        rights = RIGHTS[opened.person.role]
        return Caller(
            person=opened.person, rights=rights if opened.rights is None else rights & _rights(opened.rights)
        )


# ---------------------------------------------------------------------- in a request


def access_of(connection: HTTPConnection) -> Access:
    access: Access = connection.app.state.access
    return access


def caller_of(connection: HTTPConnection) -> Caller | None:
    """Who asks, looked up once a request; None for somebody who only looks."""
    if not hasattr(connection.state, "caller"):
        connection.state.caller = access_of(connection).caller(
            session=connection.cookies.get(COOKIE), bearer=_bearer(connection), used=_is_used(connection)
        )
    caller: Caller | None = connection.state.caller
    return caller


@cache
def needs(right: Right) -> Callable[[HTTPConnection], Caller]:
    """A dependency: the caller, who has `right`; the same one at each call, so that it is known again among those of
    a route. Raises SignInNeeded, RightMissing."""

    def caller_with_right(connection: HTTPConnection) -> Caller:
        caller = signed_in(connection)
        check_right(caller, right)
        return caller

    return caller_with_right


def signed_in(connection: HTTPConnection) -> Caller:
    """A dependency: the caller, whoever it is. Raises SignInNeeded."""
    caller = caller_of(connection)
    if caller is None:
        raise SignInNeeded("This needs you to sign in.", action="Sign in, then try again.")
    return caller


def check_right(caller: Caller, right: Right) -> None:
    """Raises RightMissing."""
    if not caller.may(right):
        raise RightMissing(
            f"{caller.person.role} may not {right}.",
            action="Ask somebody who may, or sign in under another name.",
            right=right.value,
            role=caller.person.role.value,
        )


def check_right_of(person: Person, right: Right) -> None:
    """The same of somebody who stands at the command line. Raises RightMissing."""
    check_right(Caller(person=person, rights=RIGHTS[person.role]), right)


def same_site(connection: HTTPConnection) -> None:
    """A dependency of every route: what changes something, or listens, is asked for by a page of ours or a program.

    Browsers say where a request comes from (Sec-Fetch-Site, Origin) and no page can make them lie; programs that
    are no browsers say nothing and carry no cookies of ours. Raises OtherSite.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return
    fetched_from = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    if fetched_from is not None and fetched_from not in ("same-origin", "none"):
        refused = True
    else:
        refused = origin is not None and _host_of(origin) != connection.headers.get("host")
    if refused:
        raise OtherSite(
            f"{origin} may not ask this.", action="Use this station's own pages.", origin=str(origin)
        )


def _host_of(origin: str) -> str | None:
    """None where it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def session_id(connection: HTTPConnection) -> str | None:
    """Of the session that asks, as `OpenSession` names it."""
    key = connection.cookies.get(COOKIE)
    return None if key is None else _digest(key)


def keep_session(connection: HTTPConnection, answer: Response, key: str) -> None:
    """The cookie, out of reach of scripts and of other sites."""
    answer.set_cookie(
        COOKIE,
        key,
        max_age=int(LONGEST.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=connection.url.scheme == "https",
    )


Who = Annotated[Caller | None, Depends(caller_of)]
SignedIn = Annotated[Caller, Depends(signed_in)]
AccessHere = Annotated[Access, Depends(access_of)]


def _bearer(connection: HTTPConnection) -> str | None:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key else None


def _is_used(connection: HTTPConnection) -> bool:
    """A person opened a page or changed something; what a page asks for by itself keeps no session alive."""
    if connection.scope["type"] != "http":
        return False
    return (
        connection.scope["method"] not in ("GET", "HEAD")
        or connection.headers.get("sec-fetch-mode") == "navigate"
    )


def _rights(names: Collection[str]) -> frozenset[Right]:
    """Those of `names` that there are: a right that was taken out of the program is nobody's."""
    return frozenset(right for right in Right if right.value in names)


def _check_length(secret: str, shortest: int) -> None:
    if not shortest <= len(secret) <= LONGEST_PASSWORD:
        raise SecretTooWeak(
            f"{len(secret)} characters, allowed {shortest} to {LONGEST_PASSWORD}.",
            action="Choose a longer one, such as four words.",
            given=len(secret),
            shortest=shortest,
            longest=LONGEST_PASSWORD,
        )


def _digest(key: str) -> str:
    """Keys are random and long: a plain hash is enough, and quick to look up."""
    return sha256(key.encode()).hexdigest()
