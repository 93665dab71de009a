"""Where a station's service is, said apart from it: the supervisor needs none of what the service loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inspection.errors import InspectionError

FIRST_RUN_FILE = "first-run-code"
"""In the station's folder: what the first administrator shows."""

ENGINE_LOGS = "engine"
"""In the station's folder, by the station's name: what its engines have begun and decided (`write_ahead.py`)."""

SPOOL = "spool"
"""In the station's folder: pictures that wait for a bucket that is away."""


class FolderUnwritable(InspectionError):
    """The station cannot keep its records where it is to keep them."""

    code = "SVC-FOLDER-UNWRITABLE"


def unwritable(folder: Path, error: OSError) -> FolderUnwritable:
    return FolderUnwritable(
        f"Nothing can be written to {folder.absolute()}: {error.strerror}.",
        action="Free the disk, mend its permissions, or start from a folder that can be written to.",
        folder=str(folder.absolute()),
        reason=error.strerror,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlace:
    """Where the service keeps things and where it is reached. `seed_history` None: no simulated history.

    pictures  a folder, or `s3://bucket/prefix`
    folder    what else the station keeps here: the first-run code, what engines have begun and decided, pictures that
              wait for their bucket
    ledger    folder of the key and the heads; best on another disk than the database
    tls       folder of certificate and key (`tls.py`); None: what is sent goes in the clear
    """

    database: str
    pictures: str
    folder: Path
    ledger: Path
    host: str
    port: int
    language: str
    seed_history: int | None
    tls: Path | None = None
