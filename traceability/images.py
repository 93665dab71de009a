"""Pictures named by their content: the same picture is kept once, and an altered one shows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from inspection.errors import InspectionError
from traceability.bucket import Bucket
from traceability.errors import PictureAltered, PictureMissing
from traceability.shelf import DIGEST, Folder, Shelf
from traceability.spool import NOTHING_SENT, Sent, Spooled

_S3: Final = "s3://"


class ImageStore:
    """Pictures in a folder, or on another shelf; what format they are in, their bytes say."""

    def __init__(self, place: Path | Shelf) -> None:
        self._shelf = Folder(place) if isinstance(place, Path) else place

    @classmethod
    def open(cls, address: str, *, spool: Path) -> Self:
        """A folder by its path, or a bucket: `s3://name/prefix`. Neither is looked at before it is used.

        spool  folder here in which pictures wait while a bucket is away, those of each bucket apart
        """
        if not address.startswith(_S3):
            return cls(Path(address))
        place = address.removeprefix(_S3).rstrip("/")
        name, _, prefix = place.partition("/")
        return cls(Spooled(Bucket(name, prefix), Folder(spool / quote(place, safe=""))))

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
        picture = self._shelf.get(sha256) if DIGEST.fullmatch(sha256) else None
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

    def waiting(self) -> dict[str, int]:
        """What waits here for a bucket that is away, by name, with its bytes. Pictures in a folder never do."""
        return self._shelf.waiting() if isinstance(self._shelf, Spooled) else {}

    def waits_for(self) -> InspectionError | None:
        """Why that bucket does not take it: what it last said; None where it is being sent, or nothing waits."""
        return self._shelf.waits_for() if isinstance(self._shelf, Spooled) else None

    def send_on(self) -> Sent:
        """Bring what waits to its bucket. Raises what Bucket does: then the rest waits on."""
        return self._shelf.send_on() if isinstance(self._shelf, Spooled) else NOTHING_SENT

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
