from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.a_station import AStation, an_empty_station, needs_libraries


@pytest.fixture
def station(tmp_path: Path) -> Iterator[AStation]:
    """A station of which nothing is recorded yet, and whose engine has not come."""
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        yield made


@pytest.fixture
def client(station: AStation) -> TestClient:
    """Asks the station's service as a program would: no browser, no language."""
    return TestClient(station.app())
