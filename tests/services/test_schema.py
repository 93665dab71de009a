"""What schemathesis finds out about the service by its own OpenAPI document: requests that fit it, and such that do
not, of people who together have every right. No answer is a failure of ours, and none is of a kind that is not
documented."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.a_station import AStation, an_empty_station, hours_of_parts, needs_libraries
from tests.databases import ENGINES, a_database
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Role

schemathesis = pytest.importorskip("schemathesis", reason="pip install -e '.[dev]'")
conforming = pytest.importorskip("schemathesis.specs.openapi.checks")

PROMISED = [
    schemathesis.checks.not_a_server_error,
    conforming.status_code_conformance,
    conforming.content_type_conformance,
    conforming.response_schema_conformance,
    conforming.response_headers_conformance,
]

ROLES = (Role.ENGINEER, Role.INTEGRATOR, Role.ADMINISTRATOR)
"""Together they have every right."""

ENDLESS = "/api/v1/events"
"""A stream until the reader leaves."""


@schemathesis.serializer("application/zip")
def as_it_is(ctx, value):
    """What is sent as a zip is bytes, and mostly none of a zip."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module", params=ENGINES)
def filled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("station")
    with a_database(request.param, folder) as address:
        station = needs_libraries(an_empty_station(folder, database=address))
        station.runs()
        hours_of_parts(station, [1, 2, 3], until=datetime.now(UTC), simulated=False)
        with station.store:
            yield station


def test_no_request_makes_the_service_fail_or_answer_as_it_does_not_document(filled: AStation):
    app = filled.app()
    access = with_quick_passwords(app)
    for role in ROLES:
        adds(access, role)
    asked: set[str] = set()
    failures: list[str] = []
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        try:
            _ask(operation, access)
        except schemathesis.core.failures.FailureGroup as failed:
            failures.append(f"{operation.label}: {failed}")
        asked.add(operation.label)
    assert failures == []
    assert len(asked) > 80


def _ask(operation, access) -> None:
    fitting = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    other = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    can_be_wrong = bool(operation.body or [*operation.iter_parameters()])

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=fitting | other if can_be_wrong else fitting, role=st.sampled_from(ROLES))
    def ask(case, role) -> None:
        # Signed in anew each time: some requests sign out, and some change the password.
        case.headers = {**(case.headers or {}), "Authorization": ""}
        case.cookies = {"lynceus_session": _session(access, role)}
        case.call_and_validate(checks=PROMISED)

    ask()


def _session(access, role: Role) -> str:
    return access.sign_in(name=role.value, password=PASSWORD)
