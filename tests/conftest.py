"""Laws are held on busy machines too: how long one example takes says nothing about them. Nor is a device of ours
lost that a busy machine keeps from answering for the usual two seconds.

Where a change is landed (CI), the examples are the same each time, so that it is judged by what it changed; at a desk
they are new each time, and find more."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import tables_made_once
from tests.where import REPOSITORY

settings.register_profile("lynceus", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("lynceus")
os.environ.setdefault("LYNCEUS_GENTL_LOST_AFTER_MS", "10000")

_ON_THE_MACHINES_OWN_NETWORK = {
    Path("tests/cameras/test_simulator_strangers.py"),
    Path("tests/journeys/test_browser.py"),
    Path("tests/journeys/test_station.py"),
    Path("tests/services/station/test_build.py"),
    Path("tests/services/station/test_wired.py"),
}
"""They look for the port of GigE Vision on the addresses of this machine; one of them takes it away."""


@pytest.fixture(scope="session", autouse=True)
def _tables_made_once() -> Iterator[None]:
    with tables_made_once():
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests one process runs one after the other where several run at once: those of a file, for what its
    fixtures make is used by all of them."""
    for item in items:
        file = item.path.relative_to(REPOSITORY)
        group = "machine's network" if file in _ON_THE_MACHINES_OWN_NETWORK else file.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
