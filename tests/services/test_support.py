"""The station's computer on a page and in a bundle: nothing that goes out holds a secret."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy.engine import make_url

from models.provider import OPENVINO
from services.station.logs import LOGS, keep_logs
from services.support import GONE, cleaned, tail_of, without_secrets
from tests.a_bucket import UNREACHABLE, FakeBucket
from tests.a_station import AStation, an_empty_station, needs_libraries
from tests.services.signed_in import PASSWORD, signed_in
from traceability.accounts import Accounts, Role
from traceability.errors import DiskFull
from traceability.images import ImageStore
from traceability.shelf import Folder
from traceability.spool import Spooled

FULL: Final = DiskFull("No room.", action="Make some.", place="s3://pictures/")

SECRETS = {
    "in an address": ("postgresql://lynceus:hunter2secret@db.plant:5432/trace", "hunter2secret"),
    "a key of a program": ("asked with lyn_3Kd0-aZ9_x8Q", "lyn_3Kd0-aZ9_x8Q"),
    "a bearer": ("Authorization: Bearer abc.def-123", "abc.def-123"),
    "a cookie": ("Cookie: lynceus_session=s3ss10nvalue; a=b", "s3ss10nvalue"),
    "a setting": ('smtp_password = "open sesame"', "open sesame"),
    "JSON": ('{"client_secret": "c0rrect-horse", "lane": "parts"}', "c0rrect-horse"),
    "a bucket's key": ("AWS_ACCESS_KEY_ID=AKIA12345 AWS_SECRET_ACCESS_KEY=wJalrX", "AKIA12345"),
    "a signed address": ("GET /b/k?X-Amz-Signature=fe5f80 HTTP", "fe5f80"),
    "a hash": ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "c2FsdA"),
    "a private key": ("-----BEGIN PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY-----", "MIIEv"),
    "a private key cut off": ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQ", "MHcCAQ"),
}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[AStation]:
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        made.runs()
        yield made


@pytest.mark.parametrize(
    "password", ["Ab3/xyZ9q", "a/b?c", "a#b", "a:b", "a@b", "/?#:@/", "two words", "a,b;c"]
)
@pytest.mark.parametrize("name", ["lynceus", "lynceus@plant", ""])
def test_no_password_that_the_database_takes_is_left_in_its_address(name, password):
    address = f"postgresql+psycopg://{name}:{password}@db.plant:5432/trace"
    kept = f"postgresql+psycopg://{name}:{GONE}@db.plant:5432/trace"
    assert cleaned({"LYNCEUS_DATABASE_URL": address}) == {"LYNCEUS_DATABASE_URL": kept}
    assert without_secrets(f"engine: {address} is asked\nfor anna@plant") == (
        f"engine: {kept} is asked\nfor anna@plant"
    )


@pytest.mark.parametrize("password", ["a\nb", "Ab3/xyZ9q", "a b", "a?b"])
def test_nothing_of_what_sqlalchemy_reads_as_the_password_stands_in_a_value(password):
    address = f"postgresql://lynceus:{password}@db.plant/trace"
    assert make_url(address).password == password
    assert cleaned(address) == f"postgresql://lynceus:{GONE}@db.plant/trace"


def test_nothing_is_left_of_a_password_among_the_parameters_of_an_address():
    address = "postgresql://db.plant/trace?user=lynceus&password=a,b;c"
    assert cleaned(address) == f"postgresql://db.plant/trace?user=lynceus&password={GONE}"


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_taken_out_and_the_rest_stays(text, secret):
    told = without_secrets(f"before {text}\nlane parts is running")
    assert secret not in told
    assert GONE in told
    assert told.startswith("before ")
    assert told.endswith("lane parts is running") or "PRIVATE" in text


def test_a_value_goes_by_the_name_it_stands_under():
    told = cleaned({"api_key": "abc", "lanes": [{"pin": "2580", "name": "parts"}], "S3_KEY": "x"})
    assert told == {
        "api_key": GONE,
        "lanes": [{"pin": GONE, "name": "parts"}],
        "S3_KEY": GONE,
    }


def test_no_planted_secret_is_anywhere_in_a_bundle_and_the_audit_says_who_made_it(
    station, tmp_path, monkeypatch
):
    log = "\n".join(f"2026-11-27 INFO engine: {text}" for text, _ in SECRETS.values())
    (tmp_path / LOGS).mkdir()
    (tmp_path / LOGS / "engine.log").write_text(f"lane parts is running\n{log}\n", encoding="utf-8")
    monkeypatch.setenv("LYNCEUS_DATABASE_URL", SECRETS["in an address"][0])
    monkeypatch.setenv("LYNCEUS_OIDC_CLIENT_SECRET", "c0rrect-horse")
    monkeypatch.setenv("ELSEWHERE_PASSWORD", "not ours at all")
    app = station.app()
    app.state.folder = tmp_path
    client = signed_in(app, Role.INTEGRATOR)
    answer = client.post("/system/bundle")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"about.json", "system.json", "station.json", "recipes/part-demo.toml", "logs/engine.log"} <= set(
        files
    )
    everything = "\n".join(files.values())
    for _, secret in SECRETS.values():
        assert secret not in everything
    assert "not ours at all" not in everything
    assert PASSWORD not in everything
    # What helps is there all the same.
    assert "lane parts is running" in files["logs/engine.log"]
    assert json.loads(files["system.json"])["computer"]["environment"]["LYNCEUS_DATABASE_URL"].startswith(
        "postgresql://lynceus:"
    )
    assert "review_from" in files["recipes/part-demo.toml"]
    (entry,) = Accounts(station.store).audit(limit=1)
    assert (entry.action, entry.person) == ("support.bundle", "integrator")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR, Role.AUDITOR])
def test_a_bundle_is_for_who_sets_the_station_up(station, role):
    client = signed_in(station.app(), role)
    assert client.post("/api/v1/system/bundle").status_code == 403
    assert client.get("/system").status_code == 403


@pytest.mark.parametrize(("language", "said"), [("en", "Neural networks run on"), ("zh", "神经网络执行设备")])
def test_the_system_page_says_where_networks_run(station, monkeypatch, language, said):
    monkeypatch.setenv("LYNCEUS_PROVIDER", OPENVINO)
    page = (
        signed_in(station.app(), Role.INTEGRATOR).get("/system", headers={"Accept-Language": language}).text
    )
    assert f"{said}</th><td>{OPENVINO}</td>" in page


@pytest.mark.parametrize(
    ("language", "refusal", "said"),
    [
        ("en", UNREACHABLE, "No answer from s3://pictures/: Connection refused. Check AWS_ENDPOINT_URL_S3"),
        ("zh", UNREACHABLE, "s3://pictures/ 没有应答"),
        ("en", FULL, "There is no room left at s3://pictures/."),
        ("en", None, "They are being sent."),
        ("zh", None, "正在补传。"),
    ],
)
def test_the_system_page_says_why_pictures_wait(station, tmp_path, language, refusal, said):
    bucket = FakeBucket(tmp_path / "bucket")
    images = ImageStore(Spooled(bucket, Folder(tmp_path / "spool")))
    bucket.refuses = UNREACHABLE
    images.put(b"a picture")
    if refusal is None:  # the service begins anew, and has not sent it yet
        images = ImageStore(Spooled(bucket, Folder(tmp_path / "spool")))
    else:
        bucket.refuses = refusal
        with pytest.raises(type(refusal)):
            images.send_on()
    bucket.refuses = refusal if refusal is UNREACHABLE else None
    client = signed_in(station.app(), Role.INTEGRATOR)
    client.app.state.serving = replace(client.app.state.serving, images=images)
    assert said in client.get("/system", headers={"Accept-Language": language}).text
    told = client.get("/api/v1/system").json()
    assert told["pictures_waiting"] == 1
    assert told["pictures_wait_for"] == (
        None if refusal is None else {"code": refusal.code, "facts": dict(refusal.facts)}
    )


def test_a_log_is_shown_by_name_and_no_other_file_is(station, tmp_path):
    (tmp_path / LOGS).mkdir()
    (tmp_path / LOGS / "engine.log").write_text("lane parts is running\n", encoding="utf-8")
    app = station.app()
    app.state.folder = tmp_path
    client = signed_in(app, Role.INTEGRATOR)
    assert client.get("/api/v1/system/logs/engine").json()["text"] == "lane parts is running\n"
    assert "lane parts is running" in client.get("/system").text
    assert client.get("/api/v1/system/logs/service").status_code == 404
    assert client.get("/system?log=../trace").status_code == 404


def test_of_a_long_log_the_end_is_shown_from_the_beginning_of_a_line(tmp_path):
    file = tmp_path / "engine.log"
    file.write_text("".join(f"line {number:05}\n" for number in range(10_000)), encoding="utf-8")
    told = tail_of(file, bytes_=1000)
    assert told.startswith("line ")
    assert told.endswith("line 09999\n")
    assert len(told) <= 1000


@contextmanager
def logs_kept(folder: Path) -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        keep_logs(folder, "engine")
        yield logging.getLogger("services.station.engine")
    finally:
        for handler in [one for one in root.handlers if one not in before]:
            root.removeHandler(handler)
            with suppress(OSError):
                handler.close()
        root.setLevel(level)


def test_a_process_keeps_its_log_beside_the_pictures(tmp_path):
    with logs_kept(tmp_path) as logger:
        logger.info("Lane parts is running")
    assert "Lane parts is running" in (tmp_path / LOGS / "engine.log").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full: run on Linux")
def test_a_full_disk_costs_a_process_its_log_and_is_said_once_without_a_trace(tmp_path, capsys):
    (tmp_path / LOGS).mkdir()
    (tmp_path / LOGS / "engine.log").symlink_to("/dev/full")
    with logs_kept(tmp_path) as logger:
        for _ in range(3):
            logger.warning("Lane parts lost its camera")
    said = capsys.readouterr().err
    assert said.count("Lane parts lost its camera") == 3, "the terminal has each line all the same"
    assert said.count("Logs of the engine are not kept: [Errno 28] No space left on device") == 1
    assert "Traceback" not in said
