"""A client of a service in which somebody has signed in."""

from __future__ import annotations

from datetime import UTC, datetime

from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.access import Access
from traceability.accounts import Accounts, Role

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""As sure as the real one for what tests ask, and a thousandth of its work."""

PASSWORD = "vier Wörter am Band"


def with_quick_passwords(app: FastAPI) -> Access:
    """The service's door, with passwords that cost a test nothing."""
    app.state.access = Access(Accounts(app.state.serving.store), hasher=QUICK)
    return app.state.access


def adds(access: Access, role: Role, *, name: str | None = None, **given):
    """An account of this role, called like it."""
    return access.accounts.add(
        name=name or role.value,
        title=role.value,
        role=role,
        password_hash=access.hashed_password(PASSWORD),
        by=None,
        at=datetime.now(UTC),
        **given,
    )


def signed_in(app: FastAPI, role: Role) -> TestClient:
    """A client whose session is that of somebody of this role, who has an account from now on."""
    access = with_quick_passwords(app)
    if access.accounts.secrets_of(name=role.value) is None:
        adds(access, role)
    client = TestClient(app, follow_redirects=False)
    answer = client.post("/api/v1/session", json={"name": role.value, "password": PASSWORD})
    assert answer.status_code == 201
    return client
