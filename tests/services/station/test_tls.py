"""TLS with one setting."""

from __future__ import annotations

import ssl
import threading
import time

import httpx2 as httpx
import pytest
import uvicorn

from services.station.tls import CERTIFICATE, KEY, TlsUnusable, tls_files


def test_a_station_without_a_certificate_makes_one_that_nobody_else_can_read_the_key_of(tmp_path):
    certificate, key = tls_files(tmp_path / "tls")
    assert key.stat().st_mode & 0o077 == 0
    before = certificate.read_bytes()
    assert tls_files(tmp_path / "tls")[0].read_bytes() == before


@pytest.mark.parametrize("missing", [CERTIFICATE, KEY])
def test_half_of_a_pair_is_refused_and_not_written_over(tmp_path, missing):
    tls_files(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(TlsUnusable):
        tls_files(tmp_path)
    assert not (tmp_path / missing).exists()


def test_a_key_of_another_certificate_is_refused(tmp_path):
    tls_files(tmp_path / "one")
    tls_files(tmp_path / "two")
    (tmp_path / "one" / KEY).write_bytes((tmp_path / "two" / KEY).read_bytes())
    with pytest.raises(TlsUnusable):
        tls_files(tmp_path / "one")


def test_what_goes_over_the_line_is_encrypted_and_the_browser_is_told_to_keep_to_it(tmp_path, station):
    certificate, key = tls_files(tmp_path / "tls")
    server = uvicorn.Server(
        uvicorn.Config(station.app(), port=0, log_level="error", ssl_certfile=certificate, ssl_keyfile=key)
    )
    serving = threading.Thread(target=server.run)
    serving.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=certificate)
        answer = httpx.get(f"https://127.0.0.1:{port}/healthz", verify=trusting)
        assert "max-age" in answer.headers["strict-transport-security"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")
    finally:
        server.should_exit = True
        serving.join()
