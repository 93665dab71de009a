from __future__ import annotations

from datetime import UTC, datetime

from tests.a_station import a_part, jpeg_of
from tests.builders import an_inspection
from traceability.retention import Rules, prune


def test_a_picture_is_served_as_it_was_stored_and_for_ever(station, client):
    part = a_part(1, defective=False)
    sha256 = station.keeps(part, lane="parts").sha256
    answer = client.get(f"/api/v1/pictures/{sha256}")
    assert answer.content == jpeg_of(part)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{sha256}"'
    assert "immutable" in answer.headers["cache-control"]


def test_a_picture_the_reader_has_is_not_sent_again(station, client):
    sha256 = station.keeps(a_part(1, defective=False), lane="parts").sha256
    answer = client.get(f"/api/v1/pictures/{sha256}", headers={"If-None-Match": f'"{sha256}"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_other_formats_are_called_by_their_names_and_the_unknown_by_none(station, client):
    for content, media_type in (
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"BM....", "image/bmp"),
        (b"II*\x00....", "image/tiff"),
        (b"<html>", "application/octet-stream"),
    ):
        sha256 = station.images.put(content)
        answer = client.get(f"/api/v1/pictures/{sha256}")
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_altered_picture_is_not_shown_as_evidence(station, client, tmp_path):
    sha256 = station.keeps(a_part(1, defective=False), lane="parts").sha256
    (stored,) = (file for file in (tmp_path / "pictures").rglob("*") if file.is_file())
    stored.chmod(0o644)
    stored.write_bytes(b"\xff\xd8\xff something else")
    answer = client.get(f"/api/v1/pictures/{sha256}")
    assert (answer.status_code, answer.json()["code"]) == (500, "TRC-PICTURE-ALTERED")


def test_a_picture_that_a_rule_gave_up_is_said_to_be_so_with_the_date(station, client):
    picture = station.keeps(a_part(1, defective=False), lane="parts")
    seen = station.finishes(an_inspection(pictures=(picture,)))
    prune(station.store, station.images, Rules(max_bytes=0), at=datetime(2026, 11, 23, 9, tzinfo=UTC))
    refused = client.get(f"/api/v1/pictures/{picture.sha256}")
    assert (refused.status_code, refused.json()["code"]) == (410, "TRC-PICTURE-GIVEN-UP")
    for address in (f"/trace/{seen.unit}", f"/picture/{picture.sha256}?inspection={seen.id}"):
        page = client.get(address).text
        assert "Given up on 2026-11-23 by the rule “no room left" in page
        assert "This picture is no longer there" not in page


def test_how_much_room_pictures_take_is_told_by_class(station, client):
    picture = station.keeps(a_part(1, defective=False), lane="parts")
    station.finishes(an_inspection(pictures=(picture,)))
    size = len(station.images.read(picture.sha256))
    told = client.get("/api/v1/picture-room").json()
    assert (told["bytes"], told["room_bytes"]) == (size, 10**9)
    assert told["classes"]["accepted"]["pictures"] == 1
    assert told["classes"]["needed"]["bytes"] == 0
    assert told["full_in_days"] is None
