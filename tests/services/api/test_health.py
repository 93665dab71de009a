from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.a_station import AStation, an_empty_station, needs_libraries
from traceability.errors import DatabaseUnreachable
from traceability.store import TraceStore


def test_a_station_without_its_engine_is_not_well(station, client):
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"healthy": False, "database": True, "engine": False, "lanes": {}}


def test_a_station_with_engine_and_database_is_well(station, client):
    station.runs()
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["lanes"] == {"parts": "running", "strip": "running"}


def test_a_plants_server_needs_no_engine(station):
    answer = TestClient(station.app(has_live=False)).get("/healthz")
    assert (answer.status_code, answer.json()["engine"]) == (200, None)


def test_a_station_whose_database_went_away_is_not_well(dying):
    client = TestClient(dying.app())
    assert client.get("/healthz").status_code == 200
    assert isinstance(dying.store, _Dying)
    dying.store.is_dead = True
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["database"]) == (503, False)


def test_metrics_are_in_the_prometheus_format(station, client):
    station.runs()
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\nengine_connected 1.0\n" in answer.text


@pytest.fixture
def dying(tmp_path: Path) -> Iterator[AStation]:
    station = needs_libraries(an_empty_station(tmp_path))
    with _Dying.open(f"sqlite:///{tmp_path / 'other.sqlite'}") as store, station.store:
        made = replace(station, store=store)
        made.runs()
        yield made


class _Dying(TraceStore):
    """A store whose database goes away when told."""

    is_dead = False

    def latest(self, **wanted: object) -> object:  # type: ignore[override]
        if self.is_dead:
            raise DatabaseUnreachable("No answer.", action="Start it.", database="trace", reason="gone")
        return super().latest(**wanted)  # type: ignore[arg-type]
