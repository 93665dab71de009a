"""What the service does beside the engine's records: it goes on, and says what it could not do."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from services.station import service
from services.station.place import FolderUnwritable
from services.station.service import (
    _first_run_code,
    _seed,
    keep_auditing,
    keep_sealing,
    keep_sending,
    keep_studying,
    keep_watching,
)
from tests.a_station import an_empty_station


class AuditsThatFail:
    """An accounting with a mistake of ours in it; it has the clock stopped at the second audit."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.audits = 0

    def audit(self) -> None:
        self.audits += 1
        if self.audits == 2:
            self._stop.set()
        raise ZeroDivisionError("a mistake of ours")


def test_records_are_compared_again_after_a_mistake_of_the_program_ended_a_comparison(caplog):
    stop = threading.Event()
    accounting = AuditsThatFail(stop)
    keep_auditing(accounting, stop, every_s=0)
    assert accounting.audits == 2
    assert caplog.text.count("ZeroDivisionError: a mistake of ours") == 2


class FallsOver:
    """Something to be done, with a mistake of ours in it; the station is stopped as it is done the second time."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1
        if self.times == 2:
            self._stop.set()
        raise ZeroDivisionError("a mistake of ours")


def _goes_on(caplog, keep, **options) -> bool:
    """Whether what `keep` does was done again after a mistake, and each mistake is in the log with its trace."""
    stop = threading.Event()
    act = FallsOver(stop)
    keep(act, stop, **options)
    return act.times >= 2 and caplog.text.count("ZeroDivisionError: a mistake of ours") == act.times


def test_records_are_sealed_again_after_a_mistake_of_the_program_kept_a_head_from_being_signed(caplog):
    def keep(act, stop, **options):
        keep_sealing(SimpleNamespace(reading=act), SimpleNamespace(), stop, **options)

    assert _goes_on(caplog, keep, every_s=0.001)


def test_promoted_models_are_watched_again_after_a_mistake_of_the_program(caplog):
    assert _goes_on(caplog, lambda act, stop: keep_watching(SimpleNamespace(promoted=act), stop, every_s=0))


def test_studies_that_are_due_are_looked_for_again_after_a_mistake_of_the_program(caplog):
    assert _goes_on(
        caplog, lambda act, stop: keep_studying(SimpleNamespace(reading=act), "s", stop, every_s=0)
    )


def test_pictures_that_wait_are_sent_on_again_after_a_mistake_of_the_program(caplog, monkeypatch):
    monkeypatch.setattr(service, "SEND_EVERY_S", 0)

    def keep(act, stop):
        keep_sending(SimpleNamespace(waiting=dict, send_on=act), lambda waiting: None, stop)

    assert _goes_on(caplog, keep)


def test_a_simulated_history_that_falls_over_is_in_the_log_with_its_trace(caplog):
    _seed(SimpleNamespace(), SimpleNamespace(), SimpleNamespace(), 1)
    assert "The simulated history could not be stored" in caplog.text
    assert caplog.records[0].exc_info


def test_a_first_run_code_that_cannot_be_kept_says_where_there_is_no_room_and_what_to_do(tmp_path):
    blocked = tmp_path / "var"
    blocked.write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(FolderUnwritable) as refusal:
        _first_run_code(an_empty_station(tmp_path).store, blocked)
    assert refusal.value.code == "SVC-FOLDER-UNWRITABLE"
    assert refusal.value.facts == {"folder": str(blocked), "reason": "Not a directory"}
    assert refusal.value.action
