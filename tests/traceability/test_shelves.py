"""What a folder and a bucket promise alike, and what only a bucket can do wrong."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from inspection.errors import InspectionError
from inspection.types import Verdict
from services.text import say
from tests.a_bucket import a_bucket, an_s3_server
from tests.a_bucket import client as client_to
from tests.builders import NOON, a_picture, a_unit, an_inspection
from traceability import backup
from traceability.bucket import Bucket
from traceability.errors import (
    BucketDenied,
    BucketUnreachable,
    DiskFull,
    PictureAltered,
    PictureMissing,
)
from traceability.images import ImageStore
from traceability.retention import Rule, Rules, forecast, given_up, prune
from traceability.store import TraceStore
from traceability.verification import verify

A_YEAR_ON = NOON + timedelta(days=365)


@dataclass(frozen=True)
class Place:
    """A place for pictures; `overwrite` puts other bytes under a name, past the shelf."""

    images: ImageStore
    overwrite: Callable[[str, bytes], object]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with an_s3_server() as address:
        yield address


@pytest.fixture
def bucket(server: str) -> Iterator[str]:
    with a_bucket(server) as name:
        yield name


def in_bucket(bucket: str, spool: Path, prefix: str = "") -> Place:
    client = client_to(os.environ["AWS_ENDPOINT_URL_S3"])

    def overwrite(sha256: str, content: bytes) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}{sha256[:2]}/{sha256}", Body=content)

    return Place(ImageStore.open(f"s3://{bucket}/{prefix}", spool=spool), overwrite)


@pytest.fixture(params=["folder", "bucket", "part of a bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        folder = tmp_path / "pictures"
        return Place(
            ImageStore.open(str(folder), spool=tmp_path / "spool"),
            lambda sha256, content: (folder / sha256[:2] / sha256).write_bytes(content),
        )
    prefix = "" if request.param == "bucket" else "line-1/"
    return in_bucket(request.getfixturevalue("bucket"), tmp_path / "spool", prefix)


def test_a_picture_comes_back_as_it_was_put(place: Place):
    sha256 = place.images.put(b"a picture")
    assert sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert place.images.read(sha256) == b"a picture"
    assert place.images.sizes() == {sha256: 9}


def test_the_same_picture_is_kept_once(place: Place):
    assert place.images.put(b"a picture") == place.images.put(b"a picture")
    assert list(place.images.sizes().values()) == [9]


def test_a_picture_whose_bytes_changed_is_not_shown(place: Place):
    sha256 = place.images.put(b"a picture")
    place.overwrite(sha256, b"b picture")
    with pytest.raises(PictureAltered) as refused:
        place.images.read(sha256)
    assert refused.value.facts["found"] == hashlib.sha256(b"b picture").hexdigest()


def test_a_picture_that_is_not_whole_is_written_again(place: Place):
    sha256 = place.images.put(b"a picture")
    place.overwrite(sha256, b"")
    place.images.put(b"a picture")
    assert place.images.read(sha256) == b"a picture"


def test_what_is_removed_is_missing_and_removing_it_again_harms_nothing(place: Place):
    gone, stays = place.images.put(b"goes"), place.images.put(b"stays")
    place.images.remove(gone)
    place.images.remove(gone)
    assert place.images.sizes() == {stays: 5}
    with pytest.raises(PictureMissing):
        place.images.read(gone)


def test_pictures_are_listed_while_others_are_given_up(tmp_path: Path):
    images = ImageStore(tmp_path / "pictures")
    stays, *go = [images.put(b"%d" % number) for number in range(1500)]

    def give_up() -> None:
        for sha256 in go:
            images.remove(sha256)

    giving_up = Thread(target=give_up)
    giving_up.start()
    while giving_up.is_alive():
        assert stays in images.sizes()
    assert images.sizes().keys() == {stays}


def test_a_swapped_picture_and_a_lost_one_are_found_by_verify_and_named(place: Place, store: TraceStore):
    kept, swapped, lost = (place.images.put(one) for one in (b"kept", b"swapped", b"lost"))
    named = [a_picture(sha256=one, sequence=at) for at, one in enumerate((kept, swapped, lost))]
    store.record([an_inspection(pictures=tuple(named))])
    assert verify(store, images=place.images).findings == ()
    place.overwrite(swapped, b"SWAPPED")
    place.images.remove(lost)
    found = verify(store, images=place.images)
    assert [(one.what, one.facts["sha256"]) for one in sorted(found.findings, key=lambda one: one.what)] == [
        ("picture_altered", swapped),
        ("picture_missing", lost),
    ]
    assert found.pictures == 3


def test_the_rules_give_up_accepted_pictures_alone_and_the_ledger_says_which(place: Place, store: TraceStore):
    accepted, refused = place.images.put(b"accepted"), place.images.put(b"refused")
    for number, (sha256, verdict) in enumerate(((accepted, Verdict.ACCEPT), (refused, Verdict.REJECT))):
        seen = an_inspection(
            unit=a_unit(f"86.1/{number}"), verdict=verdict, pictures=(a_picture(sha256=sha256),)
        )
        store.record([seen])
    (done,) = prune(store, place.images, Rules(max_bytes=0), at=A_YEAR_ON)
    assert (done.rule, done.pictures) == (Rule.ROOM, (accepted,))
    assert place.images.sizes().keys() == {refused}
    told = given_up(store, accepted)
    assert told is not None
    assert told.rule is Rule.ROOM
    found = verify(store, images=place.images)
    assert (found.findings, found.given_up[0].pictures) == ((), 1)


def test_a_backup_takes_all_pictures_and_puts_them_back_on_another_shelf(place: Place, tmp_path: Path):
    url, sha256 = f"sqlite:///{tmp_path / 'one.db'}", place.images.put(b"a picture")
    with TraceStore.open(url) as store:
        store.record([an_inspection(pictures=(a_picture(sha256=sha256),))])
    made = backup.make(url, tmp_path / "kept", images=place.images, heads=tmp_path / "heads.jsonl")
    assert made.pictures == 1
    place.images.remove(sha256)
    back = f"sqlite:///{tmp_path / 'two.db'}"
    backup.restore(
        backup.latest(tmp_path / "kept"), back, images=place.images, heads=tmp_path / "h" / "heads.jsonl"
    )
    assert place.images.read(sha256) == b"a picture"


# ------------------------------------------------------------------ a bucket


def test_more_pictures_than_one_answer_lists_are_all_counted(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("traceability.bucket.LISTED_AT_ONCE", 2)
    images = in_bucket(bucket, tmp_path).images
    put = {images.put(bytes(size)): size for size in range(5)}
    assert images.sizes() == put


def test_what_else_lies_in_the_bucket_is_not_taken_for_pictures(bucket: str, server: str, tmp_path: Path):
    whole, part = in_bucket(bucket, tmp_path).images, in_bucket(bucket, tmp_path, "line-1/").images
    mine, other = whole.put(b"mine"), part.put(b"of line 1")
    client_to(server).put_object(Bucket=bucket, Key="readme.txt", Body=b"not ours")
    assert whole.sizes() == {mine: 4}
    assert part.sizes() == {other: 9}


def test_nobody_says_how_much_room_a_bucket_has_but_what_is_allowed(
    bucket: str, store: TraceStore, tmp_path: Path
):
    images = in_bucket(bucket, tmp_path).images
    images.put(b"a picture")
    assert images.free_bytes() is None
    assert forecast(store, images, Rules(max_bytes=1000), at=NOON).room == 1000


def everything(shelf: Bucket) -> list[Callable[[], object]]:
    name = hashlib.sha256(b"a").hexdigest()
    return [
        lambda: shelf.has(name, 1),
        lambda: shelf.put(name, b"a"),
        lambda: shelf.get(name),
        lambda: shelf.remove(name),
        shelf.sizes,
    ]


def refused_by(shelf: Bucket, kind: type[InspectionError]) -> InspectionError:
    """What every question is answered with."""
    for ask in everything(shelf):
        with pytest.raises(kind) as refused:
            ask()
    for language in ("en", "zh"):
        told = say(f"error.{refused.value.code}.what", language, **refused.value.facts)
        assert str(refused.value.facts["place"]) in told
    return refused.value


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Servers that answer everything with one status and one S3 error code."""
    running: list[HTTPServer] = []

    def start(status: int, code: str) -> str:
        body = f"<Error><Code>{code}</Code><Message>said by the test</Message></Error>".encode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names of http.server

            def log_message(self, *_: object) -> None:
                pass

        running.append(HTTPServer(("127.0.0.1", 0), Answer))
        Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


def test_a_bucket_that_does_not_let_us_in_is_told(bucket: str, answering, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", answering(403, "AccessDenied"))
    told = refused_by(Bucket(bucket), BucketDenied)
    assert told.facts["place"] == f"s3://{bucket}/"


@pytest.mark.parametrize(("status", "code"), [(507, "XMinioStorageFull"), (403, "QuotaExceeded")])
def test_a_full_bucket_is_told_as_a_full_disk_is(
    status: int, code: str, bucket: str, answering, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", answering(status, code))
    with pytest.raises(DiskFull) as refused:
        Bucket(bucket).put(hashlib.sha256(b"a").hexdigest(), b"a")
    assert refused.value.facts["place"] == f"s3://{bucket}/"


def test_a_bucket_that_is_not_there_is_told(bucket: str):
    told = refused_by_writing(Bucket("no-such-bucket"))
    assert "NoSuchBucket" in str(told.facts["reason"])


def refused_by_writing(shelf: Bucket) -> InspectionError:
    with pytest.raises(BucketUnreachable) as refused:
        shelf.put(hashlib.sha256(b"a").hexdigest(), b"a")
    return refused.value


def test_without_a_key_we_are_not_let_in(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    refused_by(Bucket(bucket), BucketDenied)


def test_a_server_that_does_not_answer_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    told = refused_by(Bucket(bucket), BucketUnreachable)
    assert "127.0.0.1:9" in str(told.facts["reason"])


@pytest.mark.parametrize("endpoint", ["no address", "http://"])
def test_an_endpoint_that_is_no_address_is_told(endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    refused_by(Bucket(bucket), BucketUnreachable)


def test_where_boto3_is_not_installed_it_says_how(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "lynceus[s3]" in str(refused_by(Bucket(bucket), BucketUnreachable).facts["reason"])
