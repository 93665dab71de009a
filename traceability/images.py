"""Pictures named by their content: the same picture is kept once, and an altered one shows."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self
from uuid import uuid4

from inspection.errors import InspectionError
from traceability.bucket import Bucket
from traceability.errors import DiskFull, PictureAltered, PictureMissing, PicturesNotWritable

_DIGEST = re.compile(r"[0-9a-f]{64}")

_S3: Final = "s3://"


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


class ImageStore:
    """Pictures in a folder, or on another shelf; what format they are in, their bytes say."""

    def __init__(self, place: Path | Shelf) -> None:
        self._shelf = Folder(place) if isinstance(place, Path) else place

    @classmethod
    def open(cls, address: str) -> Self:
        """A folder by its path, or a bucket: `s3://name/prefix`. Neither is looked at before it is used."""
        if not address.startswith(_S3):
            return cls(Path(address))
        name, _, prefix = address.removeprefix(_S3).partition("/")
        return cls(Bucket(name, prefix))

    def exists(self) -> bool:
        """Whether anything was ever put there, as far as that can be told without looking."""
        return self._shelf.exists()

    def put(self, picture: bytes) -> str:
        """Keep a picture and return its name, the SHA-256 of its bytes, in hexadecimal.

        Raises what Shelf does.
        """
        sha256 = hashlib.sha256(picture).hexdigest()
        # After a power cut a name may stand for an empty file: then it is written again.
        if not self._shelf.has(sha256, len(picture)):
            self._shelf.put(sha256, picture)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The very bytes that were put.

        Raises PictureMissing, also for what is no digest at all, and PictureAltered.
        """
        picture = self._shelf.get(sha256) if _DIGEST.fullmatch(sha256) else None
        if picture is None:
            raise PictureMissing(
                f"There is no picture {sha256}.",
                action="Fetch it from a backup; its inspection is still on record.",
                sha256=sha256,
            )
        found = hashlib.sha256(picture).hexdigest()
        if found != sha256:
            raise PictureAltered(
                f"The picture {sha256} was altered: its bytes give {found}.",
                action="Do not use it as evidence. Check the disk, and fetch the picture from a backup.",
                sha256=sha256,
                found=found,
            )
        return picture

    def remove(self, sha256: str) -> None:
        """For `retention.py`, which notes it first. Raises what Shelf does."""
        self._shelf.remove(sha256)

    def sizes(self) -> dict[str, int]:
        """All that is kept, by name, with its bytes."""
        return self._shelf.sizes()

    def free_bytes(self) -> int | None:
        """Room beside what is kept, before the disk is full; None where nobody says."""
        return self._shelf.free_bytes()

    def copy_into(self, folder: Path) -> int:
        """Put all that is kept into a folder too, as it is, and say how many that are.

        Pictures never change: what is there is not copied again.
        """
        into, sizes = Folder(folder), self._shelf.sizes()
        for sha256, size in sorted(sizes.items()):
            # What went since it was counted, a rule gave up.
            if not into.has(sha256, size) and (content := self._shelf.get(sha256)) is not None:
                into.put(sha256, content)
        return len(sizes)


class Folder:
    """`<first two digits>/<sha256>` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exists(self) -> bool:
        return self._folder.is_dir()

    def has(self, sha256: str, size: int) -> bool:
        path = self._path(sha256)
        return path.exists() and path.stat().st_size == size

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
        return {
            entry.name: entry.stat().st_size
            for folder in self._folder.iterdir()
            if folder.is_dir()
            for entry in os.scandir(folder)
            if _DIGEST.fullmatch(entry.name)
        }

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
