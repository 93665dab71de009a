from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traceability.errors import DiskFull, PictureAltered, PictureMissing, PicturesNotWritable
from traceability.images import ImageStore
from traceability.shelf import refusal


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "pictures")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_comes_back_as_it_was_put(images: ImageStore):
    sha256 = images.put(b"a picture")
    assert sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert images.read(sha256) == b"a picture"


@given(st.binary(max_size=100))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, picture: bytes):
    images = ImageStore(tmp_path_factory.getbasetemp() / "any")
    assert images.read(images.put(picture)) == picture


def test_the_same_picture_is_kept_once(images: ImageStore, tmp_path: Path):
    assert images.put(b"a picture") == images.put(b"a picture")
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "name", ["00" * 32, "", "../../etc/passwd", "AB" * 32, "ab" * 31 + "/.", "ab" * 32 + "\n"]
)
def test_what_is_no_name_of_a_picture_is_missing(images: ImageStore, name: str):
    with pytest.raises(PictureMissing):
        images.read(name)


def test_a_picture_whose_bytes_changed_is_not_shown(images: ImageStore, tmp_path: Path):
    sha256 = images.put(b"a picture")
    (file,) = files(tmp_path)
    file.write_bytes(b"b picture")
    with pytest.raises(PictureAltered) as refused:
        images.read(sha256)
    assert refused.value.facts["found"] == hashlib.sha256(b"b picture").hexdigest()


def test_a_picture_that_a_power_cut_left_empty_is_written_again(images: ImageStore, tmp_path: Path):
    sha256 = images.put(b"a picture")
    (file,) = files(tmp_path)
    file.write_bytes(b"")
    images.put(b"a picture")
    assert images.read(sha256) == b"a picture"


def test_what_is_removed_is_missing_and_removing_it_again_harms_nothing(images: ImageStore):
    gone, stays = images.put(b"goes"), images.put(b"stays")
    images.remove(gone)
    images.remove(gone)
    assert images.sizes() == {stays: 5}
    with pytest.raises(PictureMissing):
        images.read(gone)


def test_an_empty_store_holds_nothing_and_has_room(images: ImageStore):
    assert images.sizes() == {}
    assert images.free_bytes() > 0


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path):
    (tmp_path / "pictures").write_text("a file where the folder should be")
    with pytest.raises(PicturesNotWritable) as refused:
        ImageStore(tmp_path / "pictures").put(b"a picture")
    assert refused.value.facts["place"] == str(tmp_path / "pictures")


def test_a_full_disk_is_told_as_such(tmp_path: Path):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert isinstance(refusal(error, tmp_path), DiskFull)


def test_a_read_only_disk_is_told_with_its_reason(tmp_path: Path):
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    told = refusal(error, tmp_path)
    assert isinstance(told, PicturesNotWritable)
    assert told.facts["reason"] == os.strerror(errno.EROFS)
