"""Who may do what: every endpoint, as every role and as nobody. The table is complete: a route without a line fails."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from services.access import RIGHTS, Right
from tests.a_station import an_empty_station, needs_libraries
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Role

EVERYBODY = "everybody"
SIGNED_IN = "whoever is signed in"

ID = "01a1f891-eac9-777d-b0a2-f33ba62bc3a3"
EXAMPLE = {"id": ID, "lane": "strip", "code": "X-1", "name": "nobody", "key": "k", "sha256": "0" * 64}

RIGHT_OF: dict[str, object] = {
    # The station's screen, traces and charts: looking needs no account.
    "GET /": EVERYBODY,
    "GET /.well-known/gs1resolver": EVERYBODY,
    "GET /alarms": EVERYBODY,
    "GET /api/handles/{handle}": EVERYBODY,
    "GET /api/v1/accounting": EVERYBODY,
    "GET /api/v1/alarms": EVERYBODY,
    "GET /api/v1/ancestors/{code}": EVERYBODY,
    "GET /api/v1/at-risk/{code}": EVERYBODY,
    "GET /api/v1/cases": EVERYBODY,
    "GET /api/v1/cases/{id}": EVERYBODY,
    "GET /api/v1/certificates/{code}": EVERYBODY,
    "GET /api/v1/common-factors": EVERYBODY,
    "GET /api/v1/containments": EVERYBODY,
    "GET /api/v1/containments/{id}": EVERYBODY,
    "GET /api/v1/descendants/{code}": EVERYBODY,
    "GET /api/v1/gauges/{code}": EVERYBODY,
    "GET /api/v1/genealogy/{code}": EVERYBODY,
    "GET /api/v1/handovers": EVERYBODY,
    "GET /api/v1/handovers/sheet": EVERYBODY,
    "GET /api/v1/handovers/{id}": EVERYBODY,
    "GET /handover": EVERYBODY,
    "GET /sign-in/oidc": EVERYBODY,
    "GET /sign-in/oidc/back": EVERYBODY,
    "GET /handover/{id}": EVERYBODY,
    "POST /api/v1/handovers": Right.OPERATE,
    "POST /api/v1/handovers/{id}/take": Right.OPERATE,
    "POST /handover": Right.OPERATE,
    "POST /handover/{id}/take": Right.OPERATE,
    "GET /api/v1/history/{code}": EVERYBODY,
    "GET /api/v1/inspections": EVERYBODY,
    "GET /api/v1/inspections/{id}": EVERYBODY,
    "GET /api/v1/lanes/{lane}/frames/{sequence}": EVERYBODY,
    "GET /api/v1/lanes/{lane}/recipes": EVERYBODY,
    "GET /api/v1/lanes/{lane}/timings": EVERYBODY,
    "GET /api/v1/pictures/{sha256}": EVERYBODY,
    "GET /api/v1/places/{code}": EVERYBODY,
    "GET /api/v1/proofs/consistency": EVERYBODY,
    "GET /api/v1/proofs/head": EVERYBODY,
    "GET /api/v1/proofs/verifier": EVERYBODY,
    "GET /api/v1/resolve": EVERYBODY,
    "GET /api/v1/spc/capability": EVERYBODY,
    "GET /api/v1/spc/capability/file": EVERYBODY,
    "GET /api/v1/spc/causes": EVERYBODY,
    "GET /api/v1/spc/inspector": EVERYBODY,
    "GET /api/v1/spc/measurements": EVERYBODY,
    "GET /api/v1/models": EVERYBODY,
    "GET /api/v1/models/{name}": EVERYBODY,
    "GET /api/v1/picture-room": EVERYBODY,
    "GET /api/v1/spc/causes/file": EVERYBODY,
    "GET /api/v1/spc/changes": EVERYBODY,
    "GET /api/v1/spc/measured": EVERYBODY,
    "GET /api/v1/spc/measured/file": EVERYBODY,
    "GET /api/v1/spc/merit": EVERYBODY,
    "GET /api/v1/spc/pareto/file": EVERYBODY,
    "GET /api/v1/spc/positions/file": EVERYBODY,
    "GET /api/v1/spc/sampling/audit": EVERYBODY,
    "GET /api/v1/spc/sampling/continuous": EVERYBODY,
    "GET /api/v1/spc/sampling/plan": EVERYBODY,
    "GET /api/v1/spc/sampling/switching": EVERYBODY,
    "GET /api/v1/spc/sampling/zero": EVERYBODY,
    "GET /api/v1/cameras": EVERYBODY,
    "GET /api/v1/cameras/{lane}/aids": EVERYBODY,
    "GET /cameras": EVERYBODY,
    "GET /cameras/{lane}": EVERYBODY,
    "GET /api/v1/recipes": EVERYBODY,
    "GET /api/v1/recipes/{name}": EVERYBODY,
    "GET /api/v1/recipes/{name}/difference/{before}/{after}": EVERYBODY,
    "GET /recipes": EVERYBODY,
    "GET /recipes/{name}": EVERYBODY,
    "GET /recipes/{name}/difference/{before}/{after}": EVERYBODY,
    "GET /models": EVERYBODY,
    "GET /models/{name}": EVERYBODY,
    "GET /spc/merit": EVERYBODY,
    "GET /spc/sampling": EVERYBODY,
    "GET /spc/units": EVERYBODY,
    "POST /api/v1/spc/merit/given": EVERYBODY,
    "POST /spc/merit/given": EVERYBODY,
    "GET /api/v1/spc/p": EVERYBODY,
    "GET /api/v1/spc/p/file": EVERYBODY,
    "GET /api/v1/spc/pareto": EVERYBODY,
    "GET /api/v1/spc/positions": EVERYBODY,
    "GET /api/v1/spc/studies": EVERYBODY,
    "GET /api/v1/spc/studies/standing": EVERYBODY,
    "GET /api/v1/spc/subgroups/{key}": EVERYBODY,
    "GET /api/v1/station": EVERYBODY,
    "GET /api/v1/units": EVERYBODY,
    "GET /api/v1/units/{code}": EVERYBODY,
    "GET /cases": EVERYBODY,
    "GET /cases/{id}": EVERYBODY,
    "GET /containment": EVERYBODY,
    "GET /epcis/capture/{id}": EVERYBODY,
    "GET /epcis/events": EVERYBODY,
    "GET /epcis/events/{id}": EVERYBODY,
    "GET /epcis/eventTypes/{kind}/events": EVERYBODY,
    "GET /first-run": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /id/{code}": EVERYBODY,
    "GET /inspection/{id}": EVERYBODY,
    "GET /lanes/{lane}/map": EVERYBODY,
    "GET /lanes/{lane}/mode": EVERYBODY,
    "GET /lanes/{lane}/panel": EVERYBODY,
    "GET /lanes/{lane}/recipe": EVERYBODY,
    "GET /lanes/{lane}/timings": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /mode": EVERYBODY,
    "GET /picture/{sha256}": EVERYBODY,
    "GET /sign-in": EVERYBODY,
    "GET /spc": EVERYBODY,
    "GET /spc/capability": EVERYBODY,
    "GET /spc/causes": EVERYBODY,
    "GET /spc/inspector": EVERYBODY,
    "GET /spc/maps": EVERYBODY,
    "GET /spc/measured": EVERYBODY,
    "GET /spc/audits": EVERYBODY,
    "GET /spc/studies": EVERYBODY,
    "GET /spc/subgroup/{key}": EVERYBODY,
    "GET /today": EVERYBODY,
    "GET /trace": EVERYBODY,
    "GET /trace/{code}": EVERYBODY,
    # Signing in and out.
    "DELETE /api/v1/session": SIGNED_IN,
    "GET /api/v1/session": SIGNED_IN,
    "POST /api/v1/session": EVERYBODY,
    "POST /first-run": EVERYBODY,
    "POST /sign-in": EVERYBODY,
    "POST /sign-in/badge": EVERYBODY,
    "POST /sign-out": EVERYBODY,
    # One's own account; keys and chart entries are weighed right by right.
    "DELETE /api/v1/tokens/{id}": SIGNED_IN,
    "DELETE /api/v1/sessions/{id}": SIGNED_IN,
    "DELETE /api/v1/people/{name}/sessions": Right.ADMINISTER,
    "GET /api/v1/sessions": SIGNED_IN,
    "POST /account/sessions/{id}/revoke": SIGNED_IN,
    "POST /people/{name}/sign-out": Right.ADMINISTER,
    "GET /account": SIGNED_IN,
    "GET /api/v1/tokens": SIGNED_IN,
    "POST /account/password": SIGNED_IN,
    "POST /account/tokens": SIGNED_IN,
    "POST /account/tokens/{id}/revoke": SIGNED_IN,
    "POST /api/v1/lanes/{lane}/mode": SIGNED_IN,
    "POST /api/v1/spc/measured/entries": SIGNED_IN,
    "POST /api/v1/spc/p/entries": SIGNED_IN,
    "POST /api/v1/tokens": SIGNED_IN,
    "POST /lanes/{lane}/mode": SIGNED_IN,
    "POST /spc/measured/entries": SIGNED_IN,
    "POST /spc/p/entries": SIGNED_IN,
    # At the line.
    "DELETE /api/v1/reviews/{id}": Right.OPERATE,
    "GET /api/v1/reviews/next": Right.OPERATE,
    "GET /review": Right.OPERATE,
    "POST /api/v1/lanes/{lane}/alarms/{code}/acknowledge": Right.OPERATE,
    "POST /api/v1/lanes/{lane}/alarms/{code}/shelve": Right.OPERATE,
    "POST /api/v1/lanes/{lane}/recipe": Right.OPERATE,
    "POST /api/v1/reviews": Right.OPERATE,
    "POST /lanes/{lane}/alarms/{code}/acknowledge": Right.OPERATE,
    "POST /lanes/{lane}/alarms/{code}/shelve": Right.OPERATE,
    "POST /lanes/{lane}/recipe": Right.OPERATE,
    "POST /review": Right.OPERATE,
    "POST /review/{id}/take-back": Right.OPERATE,
    # Quality.
    "GET /api/v1/reviews": Right.DISPOSE,
    "GET /api/v1/reviews/agreement": Right.DISPOSE,
    "POST /api/v1/cases": Right.DISPOSE,
    "POST /api/v1/cases/{id}/acts": Right.DISPOSE,
    "POST /api/v1/cases/{id}/close": Right.DISPOSE,
    "POST /api/v1/containments": Right.DISPOSE,
    "POST /api/v1/holds": Right.DISPOSE,
    "POST /api/v1/holds/release": Right.DISPOSE,
    "POST /api/v1/spc/changes": Right.DISPOSE,
    "POST /spc/changes": Right.DISPOSE,
    "POST /api/v1/spc/merit/targets": Right.DISPOSE,
    "POST /spc/merit/targets": Right.DISPOSE,
    "POST /cases": Right.DISPOSE,
    "POST /cases/{id}/acts": Right.DISPOSE,
    "POST /cases/{id}/close": Right.DISPOSE,
    "POST /containment/hold": Right.DISPOSE,
    "POST /containment/open": Right.DISPOSE,
    "POST /containment/release": Right.DISPOSE,
    "POST /containment/{id}/hold": Right.DISPOSE,
    # What the plant knows.
    "POST /api/v1/gauges": Right.RECORD,
    "POST /api/v1/gauges/csv": Right.RECORD,
    "POST /api/v1/genealogy": Right.RECORD,
    "POST /api/v1/genealogy/void": Right.RECORD,
    "POST /api/v1/spc/studies": Right.RECORD,
    "POST /api/v1/spc/studies/from-record": Right.RECORD,
    "POST /spc/studies/from-record": Right.RECORD,
    "POST /api/v1/spc/studies/standing": Right.RECORD,
    "POST /api/v1/spc/studies/standing/{id}/end": Right.RECORD,
    "POST /spc/studies/standing": Right.RECORD,
    "POST /spc/studies/standing/{id}/end": Right.RECORD,
    "POST /api/v1/steps": Right.RECORD,
    "POST /epcis/capture": Right.RECORD,
    "POST /epcis/events": Right.RECORD,
    "POST /spc/studies": Right.RECORD,
    "GET /api/v1/spc/audits": Right.RECORD,
    "GET /api/v1/spc/audits/{id}": Right.RECORD,
    "POST /api/v1/spc/audits": Right.RECORD,
    "POST /api/v1/spc/audits/{id}/looks": Right.RECORD,
    "POST /spc/audits": Right.RECORD,
    "POST /spc/audits/{id}/looks": Right.RECORD,
    # Making the station.
    "DELETE /api/v1/training": Right.CONFIGURE,
    "DELETE /api/v1/what-if": Right.CONFIGURE,
    "GET /api/v1/training": Right.CONFIGURE,
    "GET /api/v1/training/past": Right.CONFIGURE,
    "GET /api/v1/what-if": Right.CONFIGURE,
    "GET /training": Right.CONFIGURE,
    "GET /training/state": Right.CONFIGURE,
    "GET /what-if": Right.CONFIGURE,
    "GET /what-if/result": Right.CONFIGURE,
    "POST /api/v1/models/{name}/approve": Right.APPROVE,
    "POST /api/v1/models/{name}/promote": Right.CONFIGURE,
    "POST /api/v1/models/{name}/propose": Right.CONFIGURE,
    "POST /api/v1/models/{name}/take-back": Right.CONFIGURE,
    "POST /models/{name}/approve": Right.APPROVE,
    "POST /models/{name}/promote": Right.CONFIGURE,
    "POST /models/{name}/propose": Right.CONFIGURE,
    "POST /models/{name}/take-back": Right.CONFIGURE,
    "POST /api/v1/training": Right.CONFIGURE,
    "POST /api/v1/what-if": Right.CONFIGURE,
    "POST /training": Right.CONFIGURE,
    "POST /training/cancel": Right.CONFIGURE,
    "POST /what-if": Right.CONFIGURE,
    "POST /what-if/stop": Right.CONFIGURE,
    "GET /api/v1/system": Right.CONFIGURE,
    "GET /api/v1/system/logs/{process}": Right.CONFIGURE,
    "POST /api/v1/system/bundle": Right.CONFIGURE,
    "GET /system": Right.CONFIGURE,
    "POST /system/bundle": Right.CONFIGURE,
    "GET /api/v1/datasets": Right.CONFIGURE,
    "GET /api/v1/datasets/{name}": Right.CONFIGURE,
    "GET /api/v1/datasets/{name}/file": Right.CONFIGURE,
    "GET /api/v1/datasets/{name}/guess": Right.CONFIGURE,
    "PUT /api/v1/datasets/{name}/labels": Right.CONFIGURE,
    "GET /datasets": Right.CONFIGURE,
    "GET /datasets/{name}": Right.CONFIGURE,
    "GET /datasets/{name}/doubts": Right.CONFIGURE,
    "GET /datasets/{name}/label": Right.CONFIGURE,
    "GET /datasets/{name}/picture": Right.CONFIGURE,
    "GET /datasets/{name}/worth": Right.CONFIGURE,
    "POST /datasets": Right.CONFIGURE,
    "POST /datasets/bring-in": Right.CONFIGURE,
    "POST /datasets/queue": Right.CONFIGURE,
    "POST /datasets/{name}/label": Right.CONFIGURE,
    "POST /datasets/{name}/pictures": Right.CONFIGURE,
    "POST /datasets/{name}/source": Right.CONFIGURE,
    "GET /api/v1/recipes/{name}/file": Right.CONFIGURE,
    "POST /api/v1/recipes/brought-in": Right.CONFIGURE,
    "POST /recipes/brought-in": Right.CONFIGURE,
    "POST /api/v1/recipes/{name}/approve": Right.APPROVE,
    "POST /api/v1/recipes/{name}/propose": Right.CONFIGURE,
    "POST /api/v1/recipes/{name}/publish": Right.CONFIGURE,
    "POST /recipes/{name}/approve": Right.APPROVE,
    "POST /recipes/{name}/compare": Right.CONFIGURE,
    "POST /recipes/{name}/preview": Right.CONFIGURE,
    "POST /recipes/{name}/propose": Right.CONFIGURE,
    "POST /recipes/{name}/publish": Right.CONFIGURE,
    "GET /api/v1/cameras/doctor": Right.CONFIGURE,
    "GET /api/v1/cameras/{lane}/bench": Right.CONFIGURE,
    "GET /cameras/doctor": Right.CONFIGURE,
    "GET /cameras/{lane}/calibration": Right.CONFIGURE,
    "GET /cameras/{lane}/calibration/pictures/{number}": Right.CONFIGURE,
    "POST /api/v1/cameras/doctor": Right.CONFIGURE,
    "POST /cameras/doctor": Right.CONFIGURE,
    "POST /cameras/{lane}/calibration": Right.CONFIGURE,
    "POST /cameras/{lane}/calibration/board": Right.CONFIGURE,
    "POST /cameras/{lane}/calibration/remove": Right.CONFIGURE,
    "POST /cameras/{lane}/calibration/take": Right.CONFIGURE,
    "POST /cameras/{lane}/calibration/upload": Right.CONFIGURE,
    "POST /cameras/{lane}/flat-field": Right.CONFIGURE,
    # People.
    "GET /api/v1/audit": Right.READ_AUDIT,
    "GET /api/v1/people": Right.ADMINISTER,
    "GET /audit": Right.READ_AUDIT,
    "GET /people": Right.ADMINISTER,
    "PATCH /api/v1/people/{name}": Right.ADMINISTER,
    "POST /api/v1/people": Right.ADMINISTER,
    "POST /people": Right.ADMINISTER,
    "POST /people/{name}": Right.ADMINISTER,
    "PUT /api/v1/people/{name}/secret": Right.ADMINISTER,
}

STANDARD = ("/00/", "/01/", "/253/", "/255/", "/401/", "/402/", "/414/", "/415/", "/417/", "/80")
"""Addresses of GS1 Digital Link, which are for everybody (docs/identifiers.md)."""

ENDLESS = "GET /api/v1/events"
OPEN_API = "GET /openapi.json"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    station = needs_libraries(an_empty_station(tmp_path_factory.mktemp("station")))
    station.runs()
    with station.store:
        yield station.app()


@pytest.fixture(scope="module")
def clients(app):
    """By role, and None for somebody who is not signed in."""
    access = with_quick_passwords(app)
    made = {None: TestClient(app, follow_redirects=False)}
    for role in Role:
        adds(access, role)
        key = access.sign_in(name=role.value, password=PASSWORD)
        made[role] = TestClient(app, follow_redirects=False, cookies={"lynceus_session": key})
    return made


def routes_of(app) -> set[str]:
    """All that the application answers to: what it documents, and its pages."""
    documented = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    pages = {
        f"{method} {route.path.replace(':path', '')}"
        for included in app.routes
        for route in getattr(getattr(included, "original_router", None), "routes", [included])
        if isinstance(route, APIRoute) and not route.include_in_schema
        for method in route.methods - {"HEAD", "OPTIONS"}
    }
    return {one for one in documented | pages if not one.split()[1].startswith(STANDARD)} - {
        ENDLESS,
        OPEN_API,
    }


def test_every_route_has_its_line_in_the_table(app):
    assert routes_of(app) == set(RIGHT_OF)


def _asked(client: TestClient, route: str) -> int:
    method, path = route.split()
    body = {} if method in ("POST", "PUT", "PATCH") else None
    for name, value in EXAMPLE.items():
        path = path.replace("{" + name + "}", value)
    path = path.replace("{handle}", "86.1/X").replace("{kind}", "ObjectEvent").replace("{sequence}", "1")
    path = path.replace("{process}", "engine")
    path = path.replace("{number}", "1").replace("{before}", "0" * 64).replace("{after}", "1" * 64)
    return client.request(method, path, json=body).status_code


LEAVES = {"DELETE /api/v1/session", "POST /sign-out"}
"""They end the session that the other questions are asked in; `test_access.py` has them."""


@pytest.mark.parametrize("role", [None, *Role], ids=str)
@pytest.mark.parametrize("route", sorted(RIGHT_OF.keys() - LEAVES))
def test_each_route_is_open_to_those_with_its_right_and_to_nobody_else(clients, route, role):
    status = _asked(clients[role], route)
    needed = RIGHT_OF[route]
    if needed is EVERYBODY:
        assert status not in (401, 403)
    elif role is None:
        assert status == 401
    elif needed is SIGNED_IN or needed in RIGHTS[role]:
        assert status not in (401, 403)
    else:
        assert status == 403
