from __future__ import annotations

from tests.a_station import a_part, jpeg_of


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
