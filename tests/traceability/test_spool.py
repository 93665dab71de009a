"""While a bucket is away nothing is lost and nothing waits for it; when it is back it gets everything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from services.station import service
from services.station.service import keep_sending
from tests.a_bucket import UNREACHABLE, FakeBucket, S3Server, a_bucket
from tests.builders import a_picture, an_inspection
from traceability.bucket import Bucket
from traceability.errors import BucketDenied, BucketUnreachable, DiskFull
from traceability.images import ImageStore
from traceability.shelf import Folder
from traceability.spool import KEPT_FREE_BYTES, Sent, Spooled
from traceability.store import TraceStore
from traceability.verification import verify


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    one = S3Server()
    yield one
    one.away()


@pytest.fixture
def bucket(server: S3Server) -> Iterator[str]:
    with a_bucket(server.address) as name:
        yield name
        server.away()
        server.back()


@pytest.fixture
def images(bucket: str, tmp_path: Path) -> ImageStore:
    return ImageStore.open(f"s3://{bucket}/line-1", spool=tmp_path / "spool")


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_pictures_of_an_outage_are_named_by_records_read_meanwhile_and_in_the_bucket_afterwards(
    server: S3Server, bucket: str, images: ImageStore, tmp_path: Path, store: TraceStore
):
    before = images.put(b"before")
    server.away()
    during = [images.put(content) for content in (b"one", b"two")]
    store.record(
        [an_inspection(pictures=(a_picture(sha256=before), *(a_picture(sha256=one) for one in during)))]
    )
    assert [images.read(one) for one in during] == [b"one", b"two"]
    assert images.waiting() == dict.fromkeys(during, 3)
    with pytest.raises(BucketUnreachable):
        images.send_on()
    assert images.waiting().keys() == set(during)
    server.back()
    assert images.send_on() == Sent(pictures=2, spoilt=())
    assert images.waiting() == {}
    # Another process, which never knew of an outage, has them all from the bucket.
    other = ImageStore.open(f"s3://{bucket}/line-1", spool=tmp_path / "elsewhere")
    assert [other.read(one) for one in (before, *during)] == [b"before", b"one", b"two"]
    assert verify(store, images=other).findings == ()


def test_an_outage_outlives_the_process_that_saw_it_begin(server: S3Server, bucket: str, tmp_path: Path):
    server.away()
    address, spool = f"s3://{bucket}", tmp_path / "spool"
    kept = ImageStore.open(address, spool=spool).put(b"a picture")
    server.back()
    next_one = ImageStore.open(address, spool=spool)
    assert next_one.sizes() == {kept: 9}
    assert next_one.send_on().pictures == 1
    assert Bucket(bucket).get(kept) == b"a picture"


def test_what_waits_for_one_bucket_is_not_sent_to_another(server: S3Server, bucket: str, tmp_path: Path):
    server.away()
    ImageStore.open(f"s3://{bucket}/line-1", spool=tmp_path).put(b"of line 1")
    other = ImageStore.open(f"s3://{bucket}/line-2", spool=tmp_path)
    assert other.waiting() == {}


def test_a_running_station_sends_on_by_itself_what_waited(
    server: S3Server, images: ImageStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "SEND_EVERY_S", 0.05)
    server.away()
    kept = images.put(b"a picture")
    told: list[int] = []
    stop, is_away, is_sent = Event(), Event(), Event()

    def tell(waiting: int) -> None:
        told.append(waiting)
        is_away.set()
        if waiting == 0:
            is_sent.set()

    sending = Thread(target=keep_sending, args=(images, tell, stop))
    sending.start()
    assert is_away.wait(30)
    server.back()
    assert is_sent.wait(30)
    stop.set()
    sending.join(30)
    assert told[0] == 1
    assert images.sizes() == {kept: 9}


# ------------------------------------------------------------------ without a server


@pytest.fixture
def fake(tmp_path: Path) -> FakeBucket:
    return FakeBucket(tmp_path / "bucket")


@pytest.fixture
def here(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "spool")


def test_no_picture_after_the_first_waits_for_a_bucket_that_is_away(fake: FakeBucket, here: Folder):
    images = ImageStore(Spooled(fake, here))
    fake.refuses = UNREACHABLE
    for content in (b"one", b"two", b"three"):
        images.put(content)
    assert fake.asked == 1
    assert len(images.waiting()) == 3


def test_what_cannot_be_known_while_the_bucket_is_away_is_refused_and_not_made_up(
    fake: FakeBucket, here: Folder
):
    images = ImageStore(Spooled(fake, here))
    elsewhere = images.put(b"in the bucket")
    fake.refuses = UNREACHABLE
    for ask in (lambda: images.read(elsewhere), images.sizes, lambda: images.remove(elsewhere)):
        with pytest.raises(BucketUnreachable):
            ask()


def test_a_key_that_is_no_longer_let_in_loses_no_picture_either(fake: FakeBucket, here: Folder):
    images = ImageStore(Spooled(fake, here))
    fake.refuses = BucketDenied("No.", action="Check the key.", place="s3://b/", reason="expired")
    kept = images.put(b"a picture")
    assert images.read(kept) == b"a picture"
    fake.refuses = None
    assert images.send_on().pictures == 1
    assert fake.get(kept) == b"a picture"


def test_a_full_bucket_is_told_so_that_the_rules_make_room(fake: FakeBucket, here: Folder):
    images = ImageStore(Spooled(fake, here))
    full = DiskFull("No room.", action="Make room.", place="s3://b/")
    fake.refuses = full
    with pytest.raises(DiskFull):
        images.put(b"a picture")
    # Full when it came back: what waited waits on, and the next picture is refused as before, not spooled.
    fake.refuses = UNREACHABLE
    images.put(b"waits")
    fake.refuses = full
    with pytest.raises(DiskFull):
        images.send_on()
    with pytest.raises(DiskFull):
        images.put(b"another")
    assert images.waiting().keys() == {name_of(b"waits")}


def test_what_a_power_cut_spoilt_while_it_waited_is_named_and_holds_nothing_up(
    fake: FakeBucket, here: Folder, tmp_path: Path
):
    images = ImageStore(Spooled(fake, here))
    fake.refuses = UNREACHABLE
    spoilt, whole = images.put(b"spoilt"), images.put(b"whole")
    (tmp_path / "spool" / spoilt[:2] / spoilt).write_bytes(b"")
    fake.refuses = None
    assert images.send_on() == Sent(pictures=1, spoilt=(spoilt,))
    assert images.sizes() == {whole: 5}


class SmallDisk(Folder):
    """With so many bytes free."""

    free = KEPT_FREE_BYTES + 10

    def free_bytes(self) -> int | None:
        return self.free - sum(self.sizes().values())


def test_pictures_that_wait_leave_the_disk_room_for_records(fake: FakeBucket, tmp_path: Path):
    images = ImageStore(Spooled(fake, SmallDisk(tmp_path / "spool")))
    fake.refuses = UNREACHABLE
    images.put(b"ten bytes.")
    with pytest.raises(DiskFull) as refused:
        images.put(b"x")
    assert "1000 MB are for records" in str(refused.value)
    assert list(images.waiting().values()) == [10]
