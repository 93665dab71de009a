"""An S3 server for tests, in this process, on a port of its own; and a bucket without one, which can be away, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from inspection.errors import InspectionError
from traceability.errors import BucketUnreachable
from traceability.shelf import Folder


class S3Server:
    """At one address; what is in its buckets outlives that it is away."""

    def __init__(self) -> None:
        self._running: ThreadedMotoServer | None = None
        self._port = 0
        self.back()

    def back(self) -> None:
        self._running = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._running.start()
        host, self._port = self._running.get_host_and_port()
        self.address = f"http://{host}:{self._port}"

    def away(self) -> None:
        if self._running is not None:
            self._running.stop()
        self._running = None


@contextmanager
def an_s3_server() -> Iterator[str]:
    """Its address."""
    server = S3Server()
    try:
        yield server.address
    finally:
        server.away()


@contextmanager
def a_bucket(server: str) -> Iterator[str]:
    """The name of a new bucket there; until it ends, the environment names the server and a key to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ENDPOINT_URL_S3", server)
        patch.setenv("AWS_ACCESS_KEY_ID", "station")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        name = f"pictures-{uuid4()}"
        client(server).create_bucket(Bucket=name)
        yield name


@cache
def client(server: str) -> Any:
    """Past the shelf: how the bucket itself is tampered with. To be made while there is a bucket."""
    return boto3.session.Session().client("s3", endpoint_url=server)


UNREACHABLE: Final = BucketUnreachable(
    "No answer.", action="Wait.", place="s3://pictures/", reason="Connection refused"
)


class FakeBucket(Folder):
    """A bucket that can be away, and counts how often it is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.refuses: InspectionError | None = None
        self.asked = 0

    def has(self, sha256: str, size: int) -> bool:
        self._answer()
        return super().has(sha256, size)

    def put(self, sha256: str, content: bytes) -> None:
        self._answer()
        super().put(sha256, content)

    def get(self, sha256: str) -> bytes | None:
        self._answer()
        return super().get(sha256)

    def sizes(self) -> dict[str, int]:
        self._answer()
        return super().sizes()

    def remove(self, sha256: str) -> None:
        self._answer()
        super().remove(sha256)

    def _answer(self) -> None:
        self.asked += 1
        if self.refuses is not None:
            raise self.refuses
