"""An S3 server for tests, in this process, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer


@contextmanager
def an_s3_server() -> Iterator[str]:
    """Its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


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
