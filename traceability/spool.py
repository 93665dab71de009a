"""Pictures that wait in a folder here while their bucket is away, and are sent on when it is back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from inspection.errors import InspectionError
from traceability.errors import BucketDenied, BucketUnreachable, DiskFull
from traceability.shelf import Folder, Shelf

KEPT_FREE_BYTES: Final = 1_000_000_000
"""Of the disk here, for the records: a bucket that is away for a week must not end them."""

_AWAY: Final = (BucketUnreachable, BucketDenied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """pictures  how many a bucket took
    spoilt    names of those whose bytes were no longer theirs (a power cut while they waited); they are gone
    """

    pictures: int
    spoilt: tuple[str, ...]


NOTHING_SENT: Final = Sent(pictures=0, spoilt=())


class Spooled:
    """A bucket, and a folder here for what it does not take: while it is away nothing is lost and nothing waits for it.

    Once it did not answer it is asked by `send_on` alone: a writer would stand still for seconds each time, and behind
    it the records. What waits here is read from here.
    """

    def __init__(self, bucket: Shelf, folder: Folder) -> None:
        self._bucket = bucket
        self._folder = folder
        self._away: BucketUnreachable | BucketDenied | None = None
        self._full: DiskFull | None = None

    def exists(self) -> bool:
        return self._bucket.exists()

    def has(self, sha256: str, size: int) -> bool:
        """False, too, where the bucket cannot be asked: then the picture waits here, and is sent once more at worst."""
        if self._folder.has(sha256, size):
            return True
        try:
            with self._asking() as bucket:
                return bucket.has(sha256, size)
        except _AWAY:
            return False

    def put(self, sha256: str, content: bytes) -> None:
        try:
            with self._asking() as bucket:
                bucket.put(sha256, content)
        except _AWAY:
            self._put_here(sha256, content)

    def get(self, sha256: str) -> bytes | None:
        # In this order: what is sent on meanwhile is in the bucket before it goes here.
        here = self._folder.get(sha256)
        if here is not None:
            return here
        with self._asking() as bucket:
            return bucket.get(sha256)

    def remove(self, sha256: str) -> None:
        self._folder.remove(sha256)
        with self._asking() as bucket:
            bucket.remove(sha256)

    def sizes(self) -> dict[str, int]:
        here = self._folder.sizes()
        with self._asking() as bucket:
            return bucket.sizes() | here

    def free_bytes(self) -> int | None:
        return self._bucket.free_bytes()

    def waiting(self) -> dict[str, int]:
        """What is here and not in the bucket yet, with its bytes."""
        return self._folder.sizes()

    def waits_for(self) -> InspectionError | None:
        """Why the bucket did not take what waits here when it was last asked; None where it is being sent."""
        return self._away or self._full

    def send_on(self) -> Sent:
        """Bring what waits to the bucket, and ask it for everything again. Raises what it does: then the rest waits."""
        pictures, spoilt = 0, []
        for sha256 in sorted(self._folder.sizes()):
            content = self._folder.get(sha256)
            if content is None:  # another process has sent it
                continue
            if hashlib.sha256(content).hexdigest() == sha256:
                self._send(sha256, content)
                pictures += 1
            else:
                spoilt.append(sha256)
            self._folder.remove(sha256)
        self._away = self._full = None
        return Sent(pictures=pictures, spoilt=tuple(spoilt))

    def _send(self, sha256: str, content: bytes) -> None:
        try:
            self._bucket.put(sha256, content)
        except _AWAY as error:
            self._away = error
            raise
        except DiskFull as error:
            # It answers: the next picture is refused for want of room, and for that the rules make some.
            self._away, self._full = None, error
            raise
        self._away = self._full = None

    def _put_here(self, sha256: str, content: bytes) -> None:
        free = self._folder.free_bytes()
        if free is not None and free - len(content) < KEPT_FREE_BYTES:
            raise DiskFull(
                f"No room left for pictures that wait for their bucket: {free / 1e6:.0f} MB are free here, "
                f"{KEPT_FREE_BYTES / 1e6:.0f} MB are for records.",
                action="Bring the bucket back, or free space on this disk; records are kept meanwhile.",
                place=str(self._folder),
            )
        self._folder.put(sha256, content)

    @contextmanager
    def _asking(self) -> Iterator[Shelf]:
        """The bucket, unless it is known to be away: then what it said of that."""
        if self._away is not None:
            raise self._away.with_traceback(None)
        try:
            yield self._bucket
        except _AWAY as error:
            self._away = error
            raise
