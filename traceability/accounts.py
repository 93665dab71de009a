"""Who may act: accounts, their sessions and tokens, and the audit of what was done.

Knows no password and no token, only what `services/access.py` made of them: hashes. Whoever changes something
says who did it, and the entry of the audit is in the same transaction as the change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from traceability import database, people, tables
from traceability.errors import LastAdministrator, NameTaken, PersonUnknown, SessionUnknown, TokenUnknown
from traceability.merkle import append
from traceability.recorded import ON_RECORD, Audited, entry
from traceability.store import TraceStore

_LOCK: Final = 7_105_022_043
"""Whether somebody is the first, or the last administrator, is asked and acted upon by one at a time."""


class Role(StrEnum):
    """What a person is here for. What each may do is the service's to say."""

    OPERATOR = "operator"
    ENGINEER = "engineer"
    INTEGRATOR = "integrator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """name   what signs in, and what the audit says: never used again for another person
    title  what people call them
    badge  the code on their badge, or None
    """

    id: UUID
    name: str
    title: str
    role: Role
    badge: str | None
    has_pin: bool
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a person signs in against. The hashes are of `services/access.py`'s making; None: cannot sign in so."""

    person: Person
    password_hash: str | None
    pin_hash: str | None
    failures: int
    locked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """As its person sees it. `id` is the SHA-256 of its key and opens nothing; `rights` None: all of the person's."""

    id: str
    opened_at: datetime
    seen_at: datetime
    rights: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`rights` are the names of all that it may do; None: whatever the person's role may."""

    person: Person
    rights: frozenset[str] | None
    opened_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A program's key, without the key."""

    id: UUID
    person: str
    name: str
    rights: frozenset[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What was done, by whom, to what.

    person   the name that signed in; its commitment where the name was erased since; None where nobody had signed
             in, as at a refused sign-in
    action   a stable key, such as `account.added`
    subject  what it was done to, such as `account:` and its id: no names, which could not be erased
    before, after  what changed, as far as it changed
    """

    id: UUID
    at: datetime
    person: str | None
    role: str | None
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None


def note(
    connection: Connection,
    *,
    at: datetime,
    by: Person | None,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Put an entry into the audit, in the transaction of the change it is about."""
    made = Audited(
        id=uuid7(),
        at=at,
        by=None if by is None else people.commit(connection, by.name),
        role=None if by is None else by.role.value,
        action=action,
        subject=subject,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        reason=reason,
    )
    connection.execute(insert(tables.audit), asdict(made))
    # From here on other writers wait: the last thing its transaction does.
    append(connection, [entry("audit", made)], ON_RECORD)


class Accounts:
    """The accounts of a plant, over the same database as its records.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    # ------------------------------------------------------------------ accounts

    def none_yet(self) -> bool:
        """Whether nobody was ever added: then the first administrator may be."""
        with self._store.reading() as connection:
            return connection.execute(select(tables.account.c.id).limit(1)).first() is None

    def all(self) -> tuple[Person, ...]:
        """Everybody, by name; those who left too."""
        with self._store.reading() as connection:
            rows = connection.execute(select(tables.account).order_by(tables.account.c.name)).mappings()
            return tuple(_person(row) for row in rows)

    def named(self, name: str) -> Person:
        """Raises PersonUnknown."""
        with self._store.reading() as connection:
            return _person(_row_of(connection, name))

    def add(
        self,
        *,
        name: str,
        title: str,
        role: Role,
        password_hash: str | None,
        pin_hash: str | None = None,
        badge: str | None = None,
        by: Person | None,
        at: datetime,
        first: bool = False,
        provider_subject: str | None = None,
    ) -> Person:
        """A new person. `first` only where nobody was there yet. Raises NameTaken, for a name or a badge.

        provider_subject  who they are at the plant's identity provider
        """
        person = Person(
            id=uuid7(),
            name=name,
            title=title,
            role=role,
            badge=badge,
            has_pin=pin_hash is not None,
            is_active=True,
            created_at=at,
        )
        row = asdict(person) | {
            "password_hash": password_hash,
            "pin_hash": pin_hash,
            "role": role.value,
            "failures": 0,
            "locked_until": None,
            "provider_subject": provider_subject,
        }
        del row["has_pin"]
        try:
            with self._store.writing() as connection:
                database.lock(connection, _LOCK)
                if badge is not None and _has_badge(connection, badge):
                    raise _taken(badge)
                if first and connection.execute(select(tables.account.c.id).limit(1)).first() is not None:
                    raise _taken(name)
                connection.execute(insert(tables.account), row)
                after = {"role": role.value}
                note(connection, at=at, by=by, action="account.added", subject=_subject(person), after=after)
        except IntegrityError as error:
            raise _taken(name) from error
        return person

    def change(
        self,
        name: str,
        *,
        by: Person,
        at: datetime,
        reason: str | None = None,
        title: str | None = None,
        role: Role | None = None,
        is_active: bool | None = None,
    ) -> Person:
        """Change what is not None. Who leaves, or gets another role, is signed out everywhere.

        Raises PersonUnknown, and LastAdministrator where nobody could administer afterwards.
        """
        with self._store.writing() as connection:
            database.lock(connection, _LOCK)
            before = _person(_row_of(connection, name))
            changed = {
                key: value
                for key, value in (("title", title), ("role", role), ("is_active", is_active))
                if value is not None and value != getattr(before, key)
            }
            if not changed:
                return before
            kept = changed.get("is_active", before.is_active) and changed.get("role", before.role) is (
                Role.ADMINISTRATOR
            )
            if before.role is Role.ADMINISTRATOR and before.is_active and not kept:
                _keep_an_administrator(connection, name)
            connection.execute(
                update(tables.account).where(tables.account.c.id == before.id).values(**_plain(changed))
            )
            if "role" in changed or not changed.get("is_active", True):
                connection.execute(delete(tables.session).where(tables.session.c.account_id == before.id))
            note(
                connection,
                at=at,
                by=by,
                action="account.changed",
                subject=_subject(before),
                before=_audited({key: getattr(before, key) for key in changed}),
                after=_audited(changed),
                reason=reason,
            )
            return _person(_row_of(connection, name))

    def set_secret(
        self,
        name: str,
        *,
        by: Person | None,
        at: datetime,
        password_hash: str | None = None,
        pin_hash: str | None = None,
        badge: str | None = None,
    ) -> None:
        """Give a person another password, or another badge and PIN; what is None stays. Unlocks, and signs out.

        Raises PersonUnknown, and NameTaken for a badge.
        """
        given = {"password_hash": password_hash, "pin_hash": pin_hash, "badge": badge}
        values = {key: value for key, value in given.items() if value is not None}
        try:
            with self._store.writing() as connection:
                person = _person(_row_of(connection, name))
                connection.execute(
                    update(tables.account)
                    .where(tables.account.c.id == person.id)
                    .values(**values, failures=0, locked_until=None)
                )
                connection.execute(delete(tables.session).where(tables.session.c.account_id == person.id))
                after = {"changed": sorted(key.removesuffix("_hash") for key in values)}
                note(connection, at=at, by=by, action="account.secret", subject=_subject(person), after=after)
        except IntegrityError as error:
            raise _taken(str(badge)) from error

    # ------------------------------------------------------------------ signing in

    def from_provider(
        self, subject: str, *, name: str, title: str, role: Role, at: datetime
    ) -> Person | None:
        """Who the plant's identity provider says it is, with the role that it gives today; None for somebody who was
        closed here. Who comes for the first time is added.

        Raises NameTaken where somebody else has the name: an account that was made here is nobody's at the provider.
        LastAdministrator as `change` does.
        """
        wanted = select(tables.account).where(tables.account.c.provider_subject == subject)
        with self._store.reading() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return self.add(
                name=name,
                title=title,
                role=role,
                password_hash=None,
                by=None,
                at=at,
                provider_subject=subject,
            )
        person = _person(row)
        if not person.is_active:
            return None
        return self.change(person.name, by=person, at=at, title=title, role=role, reason="identity provider")

    def secrets_of(self, *, name: str | None = None, badge: str | None = None) -> Secrets | None:
        """Of an active person, by name or by badge; None where there is none."""
        by = tables.account.c.badge == badge if name is None else tables.account.c.name == name
        wanted = select(tables.account).where(by, tables.account.c.is_active)
        with self._store.reading() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        return Secrets(
            person=_person(row),
            password_hash=row["password_hash"],
            pin_hash=row["pin_hash"],
            failures=row["failures"],
            locked_until=row["locked_until"],
        )

    def refuse(self, person: Person | None, *, at: datetime, lock_at: int, until: datetime) -> None:
        """Count a refused sign-in; from the `lock_at`-th in a row on the person is locked until `until`."""
        with self._store.writing() as connection:
            if person is not None:
                one = tables.account.c.id == person.id
                connection.execute(
                    update(tables.account).where(one).values(failures=tables.account.c.failures + 1)
                )
                failures: int = connection.execute(select(tables.account.c.failures).where(one)).scalar_one()
                if failures >= lock_at:
                    connection.execute(
                        update(tables.account).where(one).values(failures=0, locked_until=until)
                    )
                    note(connection, at=at, by=None, action="account.locked", subject=_subject(person))
            subject = "account:unknown" if person is None else _subject(person)
            note(connection, at=at, by=None, action="sign_in.refused", subject=subject)

    def forgive(self, person: Person) -> None:
        """The secret was right: those refused before are no longer in a row with what is refused next."""
        with self._store.writing() as connection:
            connection.execute(
                update(tables.account).where(tables.account.c.id == person.id).values(failures=0)
            )

    def open_session(
        self, person: Person, *, token_sha256: str, rights: Sequence[str] | None, at: datetime
    ) -> None:
        with self._store.writing() as connection:
            connection.execute(
                update(tables.account)
                .where(tables.account.c.id == person.id)
                .values(failures=0, locked_until=None)
            )
            connection.execute(
                insert(tables.session),
                {
                    "token_sha256": token_sha256,
                    "account_id": person.id,
                    "rights": None if rights is None else sorted(rights),
                    "opened_at": at,
                    "seen_at": at,
                },
            )
            note(connection, at=at, by=person, action="sign_in", subject=_subject(person))

    def session(self, token_sha256: str, *, opened_after: datetime, seen_after: datetime) -> Session | None:
        """The session, where it is not too old and its person still active."""
        wanted = (
            select(
                tables.account, tables.session.c.rights, tables.session.c.opened_at, tables.session.c.seen_at
            )
            .join(tables.session, tables.session.c.account_id == tables.account.c.id)
            .where(
                tables.session.c.token_sha256 == token_sha256,
                tables.session.c.opened_at > opened_after,
                tables.session.c.seen_at > seen_after,
                tables.account.c.is_active,
            )
        )
        with self._store.reading() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        rights = row["rights"]
        return Session(
            person=_person(row),
            rights=None if rights is None else frozenset(rights),
            opened_at=row["opened_at"],
            seen_at=row["seen_at"],
        )

    def touch(self, token_sha256: str, *, at: datetime) -> None:
        """The session was used just now."""
        with self._store.writing() as connection:
            connection.execute(
                update(tables.session).where(tables.session.c.token_sha256 == token_sha256).values(seen_at=at)
            )

    def close_session(self, token_sha256: str, *, by: Person, at: datetime) -> None:
        with self._store.writing() as connection:
            connection.execute(delete(tables.session).where(tables.session.c.token_sha256 == token_sha256))
            note(connection, at=at, by=by, action="sign_out", subject=_subject(by))

    def sessions_of(
        self, person: Person, *, opened_after: datetime, seen_after: datetime
    ) -> tuple[OpenSession, ...]:
        """Those that are not over, the newest first."""
        table = tables.session.c
        wanted = (
            select(tables.session)
            .where(table.account_id == person.id, table.opened_at > opened_after, table.seen_at > seen_after)
            .order_by(table.opened_at.desc(), table.token_sha256)
        )
        with self._store.reading() as connection:
            return tuple(
                OpenSession(
                    id=row.token_sha256,
                    opened_at=row.opened_at,
                    seen_at=row.seen_at,
                    rights=None if row.rights is None else frozenset(row.rights),
                )
                for row in connection.execute(wanted)
            )

    def revoke_session(self, id: str, *, by: Person, at: datetime) -> None:
        """End one of one's own sessions, wherever it is. Raises SessionUnknown."""
        with self._store.writing() as connection:
            gone = connection.execute(
                delete(tables.session).where(
                    tables.session.c.token_sha256 == id, tables.session.c.account_id == by.id
                )
            )
            if not gone.rowcount:
                raise SessionUnknown(
                    "There is no such session of yours.", action="It is over; look at the list."
                )
            note(connection, at=at, by=by, action="session.revoked", subject=_subject(by))

    def sign_out_everywhere(self, name: str, *, by: Person, at: datetime) -> int:
        """End all sessions of somebody; how many there were. Raises PersonUnknown."""
        with self._store.writing() as connection:
            person = _person(_row_of(connection, name))
            gone = connection.execute(
                delete(tables.session).where(tables.session.c.account_id == person.id)
            ).rowcount
            after = {"sessions": gone}
            note(connection, at=at, by=by, action="session.revoked", subject=_subject(person), after=after)
        return gone

    def forget_sessions(self, *, opened_before: datetime, seen_before: datetime) -> None:
        """Remove what `session` would not find any more."""
        old = (tables.session.c.opened_at <= opened_before) | (tables.session.c.seen_at <= seen_before)
        with self._store.writing() as connection:
            connection.execute(delete(tables.session).where(old))

    # ------------------------------------------------------------------ programs

    def add_token(
        self,
        *,
        person: Person,
        name: str,
        rights: Sequence[str],
        token_sha256: str,
        expires_at: datetime,
        at: datetime,
    ) -> Token:
        """A key with which a program acts for `person`, as far as `rights` go."""
        made = Token(
            id=uuid7(),
            person=person.name,
            name=name,
            rights=frozenset(rights),
            created_at=at,
            expires_at=expires_at,
            revoked_at=None,
        )
        with self._store.writing() as connection:
            connection.execute(
                insert(tables.token),
                {
                    "id": made.id,
                    "token_sha256": token_sha256,
                    "account_id": person.id,
                    "name": name,
                    "rights": sorted(rights),
                    "created_at": at,
                    "expires_at": expires_at,
                    "revoked_at": None,
                },
            )
            after = {"name": name, "rights": sorted(rights), "expires_at": expires_at.isoformat()}
            note(connection, at=at, by=person, action="token.added", subject=f"token:{made.id}", after=after)
        return made

    def tokens_of(self, person: Person) -> tuple[Token, ...]:
        """All of a person's, the newest first; revoked and expired ones too."""
        wanted = _tokens().where(tables.token.c.account_id == person.id)
        with self._store.reading() as connection:
            rows = connection.execute(wanted.order_by(tables.token.c.created_at.desc())).mappings()
            return tuple(_token(row) for row in rows)

    def revoke_token(self, id: UUID, *, by: Person, at: datetime) -> None:
        """Raises TokenUnknown for one that is not `by`'s, or is revoked already."""
        with self._store.writing() as connection:
            revoked = connection.execute(
                update(tables.token)
                .where(
                    tables.token.c.id == id,
                    tables.token.c.account_id == by.id,
                    tables.token.c.revoked_at.is_(None),
                )
                .values(revoked_at=at)
            )
            if not revoked.rowcount:
                raise TokenUnknown(
                    f"You have no valid token {id}.", action="Choose one from the list.", token=str(id)
                )
            note(connection, at=at, by=by, action="token.revoked", subject=f"token:{id}")

    def by_token(self, token_sha256: str, *, at: datetime) -> tuple[Person, Token] | None:
        """Whom a program acts for; None for a key that is unknown, expired or revoked."""
        wanted = (
            select(tables.account)
            .add_columns(*(column.label(f"token_{column.name}") for column in tables.token.c))
            .join(tables.token, tables.token.c.account_id == tables.account.c.id)
            .where(
                tables.token.c.token_sha256 == token_sha256,
                tables.token.c.revoked_at.is_(None),
                tables.token.c.expires_at > at,
                tables.account.c.is_active,
            )
        )
        with self._store.reading() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        person = _person(row)
        return person, Token(
            id=row["token_id"],
            person=person.name,
            name=row["token_name"],
            rights=frozenset(row["token_rights"]),
            created_at=row["token_created_at"],
            expires_at=row["token_expires_at"],
            revoked_at=row["token_revoked_at"],
        )

    # ------------------------------------------------------------------ audit

    def audit(
        self, *, limit: int, before: UUID | None = None, person: str | None = None, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """What was done, newest first; `before` goes on where an earlier answer ended."""
        wanted = select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(tables.audit.c.id < before)
        if person is not None:
            named = select(tables.person.c.commitment).where(tables.person.c.name == person).scalar_subquery()
            wanted = wanted.where(tables.audit.c.by == named)
        if subject is not None:
            wanted = wanted.where(tables.audit.c.subject == subject)
        with self._store.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
            names = people.names(connection, {row["by"] for row in rows if row["by"] is not None})
        return tuple(
            AuditEntry(
                **{key: row[key] for key in row if key != "by"}, person=names.get(row["by"], row["by"])
            )
            for row in rows
        )

    def subjects(self, action: str) -> tuple[str, ...]:
        """All that this was ever done to, in alphabetical order."""
        column = tables.audit.c.subject
        wanted = select(column).where(tables.audit.c.action == action).distinct().order_by(column)
        with self._store.reading() as connection:
            return tuple(connection.execute(wanted).scalars())


def _subject(person: Person) -> str:
    return f"account:{person.id}"


def _audited(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the audit keeps it: that a title changed, and not to what."""
    return {key: None if key == "title" else value for key, value in _plain(values).items()}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.value if isinstance(value, Role) else value for key, value in values.items()}


def _person(row: RowMapping) -> Person:
    return Person(
        id=row["id"],
        name=row["name"],
        title=row["title"],
        role=Role(row["role"]),
        badge=row["badge"],
        has_pin=row["pin_hash"] is not None,
        is_active=row["is_active"],
        created_at=row["created_at"],
    )


def _row_of(connection: Connection, name: str) -> RowMapping:
    row = connection.execute(select(tables.account).where(tables.account.c.name == name)).mappings().first()
    if row is None:
        raise PersonUnknown(f"Nobody is called {name} here.", action="Choose from the list.", name=name)
    return row


def _keep_an_administrator(connection: Connection, name: str) -> None:
    others = connection.execute(
        select(func.count())
        .select_from(tables.account)
        .where(
            tables.account.c.role == Role.ADMINISTRATOR.value,
            tables.account.c.is_active,
            tables.account.c.name != name,
        )
    ).scalar_one()
    if not others:
        raise LastAdministrator(
            f"{name} is the only administrator.", action="Make somebody else administrator first.", name=name
        )


def _has_badge(connection: Connection, badge: str) -> bool:
    return (
        connection.execute(select(tables.account.c.id).where(tables.account.c.badge == badge)).first()
        is not None
    )


def _taken(name: str) -> NameTaken:
    return NameTaken(f"{name} is taken.", action="Choose another name or badge.", name=name)


def _tokens() -> Any:
    return select(
        tables.token.c.id,
        tables.account.c.name.label("person"),
        tables.token.c.name,
        tables.token.c.rights,
        tables.token.c.created_at,
        tables.token.c.expires_at,
        tables.token.c.revoked_at,
    ).join(tables.account, tables.account.c.id == tables.token.c.account_id)


def _token(row: RowMapping) -> Token:
    return Token(**{**row, "rights": frozenset(row["rights"])})
