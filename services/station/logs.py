"""The logs of a station's processes, kept in files beside its pictures: at three in the morning nobody watched the
terminal."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

LOGS: Final = "logs"
"""Folder beside the pictures; each process of the station has a file of its own."""

LOG_BYTES: Final = 2_000_000
LOG_FILES: Final = 2


class _KeptLog(RotatingFileHandler):
    """A file whose disk may be full: that is said once on the terminal and not with a trace at every line. Lines are
    kept again as soon as there is room."""

    def __init__(self, file: Path, process: str, terminal: logging.Handler) -> None:
        super().__init__(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
        self._process = process
        self._terminal = terminal
        self._is_refused = self._was_refused = False

    def emit(self, record: logging.LogRecord) -> None:
        self._was_refused, self._is_refused = self._is_refused, False
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - so logging calls it
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._is_refused = True
        if not self._was_refused:
            self._terminal.handle(_not_kept(self._process, error))


def _not_kept(process: str, error: OSError) -> logging.LogRecord:
    said = "Logs of the %s are not kept: %s"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, (process, error), None)


def keep_logs(folder: Path, process: str) -> None:
    """From now on this process's log is kept in `folder`/logs, the newest few MB of it; warnings go to the terminal
    as well. A folder that cannot be written to, or a full disk, costs the file, not the process."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [terminal]
    try:
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
        file = folder / LOGS / f"{process}.log"
        handlers.append(_KeptLog(file, process, terminal))
    except OSError as error:
        root.handle(_not_kept(process, error))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        root.addHandler(handler)


def log_files(folder: Path) -> tuple[Path, ...]:
    """The newest log of each process, by name."""
    return tuple(sorted((folder / LOGS).glob("*.log")))
