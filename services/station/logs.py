"""The logs of a station's processes, kept in files beside its pictures: at three in the morning nobody watched the
terminal."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

LOGS: Final = "logs"
"""Folder beside the pictures; each process of the station has a file of its own."""

LOG_BYTES: Final = 2_000_000
LOG_FILES: Final = 2


def keep_logs(folder: Path, process: str) -> None:
    """From now on this process's log is kept in `folder`/logs, the newest few MB of it; warnings go to the terminal
    as well. A folder that cannot be written to costs the file, not the process."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [terminal]
    try:
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
        file = folder / LOGS / f"{process}.log"
        handlers.append(
            RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
        )
    except OSError as error:
        root.warning("Logs of the %s are not kept: %s", process, error)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        root.addHandler(handler)


def log_files(folder: Path) -> tuple[Path, ...]:
    """The newest log of each process, by name."""
    return tuple(sorted((folder / LOGS).glob("*.log")))
