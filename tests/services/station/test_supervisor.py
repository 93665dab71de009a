"""What the supervisor does with a process that ends, and with one that cannot be started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

import pytest

from services.station.supervisor import _attend, _Child, _spawn
from station_config.errors import ConfigInvalid


def runs(parent) -> None:
    """A process that is ready, and stays."""
    parent.send("ready")
    time.sleep(600)


def dies(parent) -> None:
    """One that is ready and then ends, as a kill ends it."""
    parent.send("ready")


def is_refused(parent) -> None:
    """One whose recipe was spoilt on disk."""
    parent.send(
        ConfigInvalid("a.toml has 1 mistake(s)", action="Mend it.", file="a.toml", count=1, mistakes="x")
    )


class Station:
    """A service that stays, and an engine whose lives go as they are told to."""

    def __init__(self, *lives: Callable[..., None]) -> None:
        lives_left = deque(lives)
        self.started = 0

        def start():
            self.started += 1
            return _spawn(lives_left.popleft())

        self.service = _Child("service", partial(_spawn, runs))
        self.engine = _Child("engine", start)
        self.was_ready: list[str] = []

    def attends_until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not reached() and time.monotonic() < end:
            _attend(
                [self.service, self.engine],
                ready=lambda: self.was_ready.append("ready"),
                first=lambda _: None,
            )

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        for child in (self.engine, self.service):
            child.end()


def test_a_process_that_cannot_be_started_for_the_first_time_ends_the_station():
    with Station(is_refused) as station, pytest.raises(ConfigInvalid):
        station.attends_until(lambda: False)


def test_an_engine_that_cannot_be_started_again_is_tried_again_and_the_service_goes_on(caplog):
    with Station(dies, is_refused, runs) as station:
        station.attends_until(lambda: station.started == 3)
        assert station.service.process.is_alive()
        assert station.engine.process.is_alive()
        assert station.was_ready == ["ready"]
    assert "cannot be started again: CFG-INVALID" in caplog.text
