"""The client of the interface for programs, against a running service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from inspection.types import Verdict
from services.access import Right
from services.client import Client, Refused, Unanswered
from tests.a_station import an_empty_station, needs_libraries
from tests.browsing import served
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import adds, with_quick_passwords
from traceability.accounts import Role
from traceability.cases import Cases, Source


@pytest.fixture
def station(tmp_path):
    made = needs_libraries(an_empty_station(tmp_path))
    made.runs()
    with made.store:
        yield made


@pytest.fixture
def service(station) -> Iterator[tuple[str, str]]:
    """Its address, and the key of a program that may dispose and operate."""
    app = station.app()
    access = with_quick_passwords(app)
    adds(access, Role.ENGINEER)
    session = access.sign_in(name="engineer", password="vier Wörter am Band")
    engineer = access.caller(session=session, bearer=None, used=False)
    key, _ = access.make_token(
        engineer,
        name="mes",
        rights={Right.DISPOSE, Right.OPERATE},
        expires_at=access.now() + timedelta(days=1),
    )
    with served(app) as address:
        yield address, key
        station.live.close()


def test_a_program_reads_units_and_all_pages_of_inspections(station, service):
    address, _ = service
    now = datetime.now(UTC)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number:03d}"),
                lane="parts",
                verdict=Verdict.REJECT if number % 2 else Verdict.ACCEPT,
                finished_at=now,
            )
            for number in range(450)
        ]
    )
    with Client(address) as lynceus:
        assert {lane.lane for lane in lynceus.station().lanes} == {"strip", "parts"}
        refused = list(lynceus.inspections(verdict=["REJECT"], since=now - timedelta(hours=1)))
        assert len({one.id for one in refused}) == 225
        assert {one.verdict for one in refused} == {"REJECT"}
        assert list(lynceus.inspections(lane="strip")) == []
        unit = lynceus.unit("86.999.1/P-001")
        assert lynceus.inspection(unit.inspections[0].id) == unit.inspections[0]


def test_a_program_holds_units_and_works_on_cases(station, service):
    address, key = service
    seen = station.finishes(an_inspection(unit=a_unit("86.999.1/BAD"), verdict=Verdict.REJECT))
    with Client(address, key=key) as lynceus:
        assert lynceus.hold([str(seen.unit)], reason="pits").new == 1
        case = lynceus.open_case(source=Source.COMPLAINT, key="part 7", title="scratches")
        told = lynceus.add_to_case(case.id, "action", "polish", due="2026-12-01")
        assert [one.act for one in told.acts] == ["opened", "action"]
        assert [one.id for one in lynceus.cases(is_open=True)] == [case.id]
        assert lynceus.hand_over("all quiet").taken is None
        assert [one.text for one in lynceus.handovers()] == ["all quiet"]


def test_what_is_refused_has_the_code_and_what_to_do(service):
    address, _ = service
    with Client(address) as lynceus, pytest.raises(Refused) as refusal:
        lynceus.unit("86.999.1/NOTHING")
    assert (refusal.value.status, refusal.value.code) == (404, "TRC-UNIT-UNKNOWN")
    with Client(address) as lynceus, pytest.raises(Refused) as refusal:
        lynceus.open_case(source=Source.OTHER, key="k", title="t")
    assert refusal.value.status == 401


class LosesTheFirstAnswer(httpx2.HTTPTransport):
    """The network fails once the service has done what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.has_lost = False

    def handle_request(self, request):
        answer = super().handle_request(request)
        if not self.has_lost:
            self.has_lost = True
            answer.close()
            raise httpx2.ReadError("the cable was pulled", request=request)
        return answer


def test_what_was_not_answered_is_sent_again_and_done_once(station, service):
    address, key = service
    with Client(address, key=key, transport=LosesTheFirstAnswer()) as lynceus:
        case = lynceus.open_case(source=Source.COMPLAINT, key="part 7", title="scratches")
    (kept,) = Cases(station.store).all()
    assert kept.id == case.id
    # Sent twice without a key it would say that it was seen again.
    assert [one.act for one in kept.acts] == ["opened"]


def test_a_service_that_is_away_is_said_to_be(monkeypatch):
    monkeypatch.setattr("services.client.WAIT_S", 0.0)
    broken = httpx2.MockTransport(lambda _: httpx2.Response(502, text="proxy"))
    with Client("http://station", transport=broken) as lynceus, pytest.raises(Unanswered, match="502"):
        lynceus.station()
