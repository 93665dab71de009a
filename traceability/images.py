"""Pictures on disk, named by their content: the same picture is kept once, and an altered one shows."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from inspection.errors import InspectionError
from traceability.errors import DiskFull, PictureAltered, PictureMissing, PicturesNotWritable


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a pruning did. kept_bytes may still be over the limit: then nothing more may be given up."""

    removed: int
    removed_bytes: int
    kept_bytes: int


class ImageStore:
    """Pictures in one folder, as `<first two digits>/<sha256>`; what format they are in, their bytes say.

    Any number of threads and processes may use the same folder. A picture is there whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, picture: bytes) -> str:
        """Keep a picture and return its name, the SHA-256 of its bytes, in hexadecimal.

        Raises DiskFull, PicturesNotWritable.
        """
        sha256 = hashlib.sha256(picture).hexdigest()
        path = self._path(sha256)
        # After a power cut a name may stand for an empty file: then it is written again.
        if path.exists() and path.stat().st_size == len(picture):
            return sha256
        # Not flushed to the platter: a picture lost to a power cut is found missing or altered, and the
        # record does not depend on it. Waiting for the disk would cost milliseconds per frame.
        unfinished = path.with_name(f".{uuid4().hex}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(picture)
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):  # what could not be written need not be removable either
                unfinished.unlink()
            raise refusal(error, self._folder) from error
        return sha256

    def read(self, sha256: str) -> bytes:
        """The very bytes that were put.

        Raises PictureMissing, also for what is no digest at all, and PictureAltered.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise _missing(sha256)
        try:
            picture = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise _missing(sha256) from error
        found = hashlib.sha256(picture).hexdigest()
        if found != sha256:
            raise PictureAltered(
                f"The picture {sha256} was altered: its bytes give {found}.",
                action="Do not use it as evidence. Check the disk, and fetch the picture from a backup.",
                sha256=sha256,
                found=found,
            )
        return picture

    def prune(self, max_bytes: int, to_give_up: Iterable[str]) -> Pruned:
        """Remove pictures in the order given until at most `max_bytes` are kept, or none is left to give up.

        to_give_up  digests, what goes first first: `TraceStore.pictures_to_give_up`. Others are never
                    touched, so that pictures of what was withheld outlive any shortage.

        Raises PicturesNotWritable.
        """
        kept = sum(
            entry.stat().st_size
            for folder in self._folders()
            for entry in os.scandir(folder)
            if not entry.name.startswith(".")
        )
        removed = removed_bytes = 0
        for sha256 in to_give_up:
            if kept <= max_bytes:
                break
            path = self._path(sha256)
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue  # given up before
            except OSError as error:
                raise refusal(error, self._folder) from error
            kept -= size
            removed += 1
            removed_bytes += size
        return Pruned(removed=removed, removed_bytes=removed_bytes, kept_bytes=kept)

    def _folders(self) -> list[Path]:
        return [entry for entry in self._folder.iterdir() if entry.is_dir()] if self._folder.exists() else []

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


def _missing(sha256: str) -> PictureMissing:
    return PictureMissing(
        f"There is no picture {sha256}.",
        action="It may have been given up to make room; its inspection is still on record.",
        sha256=sha256,
    )
