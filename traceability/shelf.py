"""Where bytes lie by their SHA-256, and the simplest such place: a folder."""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

from inspection.errors import InspectionError
from traceability.errors import DiskFull, PicturesNotWritable

DIGEST: Final = re.compile(r"[0-9a-f]{64}")

UNFINISHED: Final = re.compile(r"\.[0-9a-f]{32}\.part")
"""What a folder's file is called until all of it is written; a power cut leaves it behind."""


class Shelf(Protocol):
    """Where bytes lie by their SHA-256: a folder, or a bucket. Each is there whole or not at all.

    Any number of threads and processes may use the same one. What cannot be done raises DiskFull, PicturesNotWritable,
    BucketDenied or BucketUnreachable.
    """

    def exists(self) -> bool:
        """Whether anything was ever put there, as far as that can be told without looking."""

    def has(self, sha256: str, size: int) -> bool:
        """Whether so many bytes lie there."""

    def put(self, sha256: str, content: bytes) -> None: ...

    def get(self, sha256: str) -> bytes | None: ...

    def remove(self, sha256: str) -> None:
        """Gone afterwards, whether or not it was there."""

    def sizes(self) -> dict[str, int]:
        """All that lies there, with its bytes."""

    def free_bytes(self) -> int | None:
        """Room beside what is kept, before the disk is full; None where nobody says."""


class Folder:
    """`<first two digits>/<sha256>` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def exists(self) -> bool:
        return self._folder.is_dir()

    def has(self, sha256: str, size: int) -> bool:
        try:
            return self._path(sha256).stat().st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False

    def put(self, sha256: str, content: bytes) -> None:
        path = self._path(sha256)
        # Not flushed to the platter: a picture lost to a power cut is found missing or altered, and the
        # record does not depend on it. Waiting for the disk would cost milliseconds per frame.
        unfinished = path.with_name(f".{uuid4().hex}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):  # what could not be written need not be removable either
                unfinished.unlink()
            raise refusal(error, self._folder) from error

    def get(self, sha256: str) -> bytes | None:
        try:
            return self._path(sha256).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, sha256: str) -> None:
        try:
            self._path(sha256).unlink(missing_ok=True)
        except OSError as error:
            raise refusal(error, self._folder) from error

    def sizes(self) -> dict[str, int]:
        if not self._folder.exists():
            return {}
        found = {}
        for folder in self._folder.iterdir():
            for entry in os.scandir(folder) if folder.is_dir() else ():
                # A rule gave it up, or it was sent on, since the folder was read.
                with suppress(FileNotFoundError):
                    if DIGEST.fullmatch(entry.name):
                        found[entry.name] = entry.stat().st_size
        return found

    def free_bytes(self) -> int | None:
        there = next((one for one in (self._folder, *self._folder.absolute().parents) if one.exists()), None)
        return None if there is None else shutil.disk_usage(there).free

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def refusal(error: OSError, folder: Path) -> InspectionError:
    """Our error for what the operating system said."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"No room left for {folder}.",
            action="Free space on that disk, then start again; nothing recorded was lost.",
            place=str(folder),
        )
    return PicturesNotWritable(
        f"No picture can be kept in {folder}: {error.strerror}.",
        action="Give the program the right to write there, or name another folder.",
        place=str(folder),
        reason=error.strerror,
    )
