"""Pictures in a bucket of an S3 server: Amazon's, MinIO, Ceph. boto3's errors become ours here.

Where the server is and who we are, the environment says, in the names that every S3 program reads: AWS_ENDPOINT_URL_S3,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from inspection.errors import InspectionError
from traceability.errors import BucketDenied, BucketUnreachable, DiskFull

CONNECT_S: Final = 2
ANSWER_S: Final = 5
"""A frame is recorded every few milliseconds: whoever does not answer by then is not waited for."""

LISTED_AT_ONCE: Final = 1000
"""The most that S3 lists in one answer."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

# Amazon has none; MinIO: cmd/api-errors.go, Ceph: rgw_common.cc.
_FULL: Final = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"}
_GONE: Final = {"NoSuchKey", "404", "NotFound"}


class Bucket:
    """`<prefix>/<first two digits>/<sha256>` in a bucket: as in a folder, so that one can be copied to the other.

    An object is there whole or not at all, and the server compares its SHA-256 with its name before it is.
    """

    def __init__(self, name: str, prefix: str = "") -> None:
        self._name = name
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._place = f"s3://{name}/{self._prefix}"
        self._opened: Any = None

    def exists(self) -> bool:
        return True  # that it is not is an answer to every question asked of it

    def has(self, sha256: str, size: int) -> bool:
        with self._asking() as client:
            try:
                head = client.head_object(Bucket=self._name, Key=self._key(sha256))
            except client.exceptions.ClientError as error:
                if _code(error) in _GONE:
                    return False
                raise
            return bool(head["ContentLength"] == size)

    def put(self, sha256: str, content: bytes) -> None:
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._asking() as client:
            client.put_object(Bucket=self._name, Key=self._key(sha256), Body=content, ChecksumSHA256=checksum)

    def get(self, sha256: str) -> bytes | None:
        with self._asking() as client:
            try:
                found = client.get_object(Bucket=self._name, Key=self._key(sha256))
            except client.exceptions.ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise
            return bytes(found["Body"].read())

    def remove(self, sha256: str) -> None:
        with self._asking() as client:
            client.delete_object(Bucket=self._name, Key=self._key(sha256))

    def sizes(self) -> dict[str, int]:
        with self._asking() as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._name, Prefix=self._prefix, PaginationConfig={"PageSize": LISTED_AT_ONCE}
            )
            return {
                name: int(one["Size"])
                for page in pages
                for one in page.get("Contents", ())
                for name in (one["Key"].rpartition("/")[2],)
                if _DIGEST.fullmatch(name) and one["Key"] == self._key(name)
            }

    def free_bytes(self) -> int | None:
        return None

    def _key(self, sha256: str) -> str:
        return f"{self._prefix}{sha256[:2]}/{sha256}"

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client; what it raises becomes ours."""
        if self._opened is None:
            self._opened = self._open()
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            yield self._opened
        except ClientError as error:
            raise self._refusal(error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise self._denied(str(error)) from error
        except BotoCoreError as error:
            raise self._unreachable(str(error)) from error

    def _open(self) -> Any:
        try:
            # Half a second to load, and not there where pictures lie in a folder.
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ModuleNotFoundError as error:
            raise self._unreachable("boto3 is not installed (pip install 'lynceus[s3]')") from error
        settings = Config(
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            # One more try, for the moment in which a server drops a connection that it kept open.
            retries={"total_max_attempts": 2, "mode": "standard"},
            # A server in the plant has one name, and none of its own for each bucket.
            s3={"addressing_style": "path"},
            # The name is the checksum: what is not as it was put is told as that, not as a failed transfer.
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
        )
        try:
            return boto3.session.Session().client("s3", config=settings)
        except (
            ValueError,
            BotoCoreError,
        ) as error:  # of an endpoint that is no address, or a profile that is none
            raise self._unreachable(str(error)) from error

    def _refusal(self, error: Any) -> InspectionError:
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = error.response.get("Error", {}).get("Message") or code
        if code in _FULL or status == 507:
            return DiskFull(
                f"No room left in {self._place}: {said}.",
                action="Make room on that server, then start again; nothing recorded was lost.",
                place=self._place,
            )
        if status in (401, 403):
            return self._denied(f"{code}, {said}")
        return self._unreachable(f"{code}, {said}")

    def _denied(self, reason: str) -> BucketDenied:
        return BucketDenied(
            f"{self._place} does not let us in: {reason}.",
            action="Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may read, write, list and delete.",
            place=self._place,
            reason=reason.rstrip("."),
        )

    def _unreachable(self, reason: str) -> BucketUnreachable:
        return BucketUnreachable(
            f"No answer from {self._place}: {reason}.",
            action="Check AWS_ENDPOINT_URL_S3, and that the server runs and has that bucket.",
            place=self._place,
            reason=reason.rstrip("."),
        )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
