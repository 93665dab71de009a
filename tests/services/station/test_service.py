"""What the service does beside the engine's records: it goes on, and says what it could not do."""

from __future__ import annotations

import threading

import pytest

from services.station.place import FolderUnwritable
from services.station.service import _first_run_code, keep_auditing
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


def test_a_first_run_code_that_cannot_be_kept_says_where_there_is_no_room_and_what_to_do(tmp_path):
    blocked = tmp_path / "var"
    blocked.write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(FolderUnwritable) as refusal:
        _first_run_code(an_empty_station(tmp_path).store, blocked)
    assert refusal.value.code == "SVC-FOLDER-UNWRITABLE"
    assert refusal.value.facts == {"folder": str(blocked), "reason": "Not a directory"}
    assert refusal.value.action
