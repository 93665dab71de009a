"""One address may ask so much, and send so much, and no more."""

from __future__ import annotations

from fastapi.testclient import TestClient

from services.web.limits import MOST_BYTES, SIGN_INS, Buckets, Rate
from tests.services.signed_in import with_quick_passwords


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_a_bucket_gives_its_burst_and_then_as_it_fills():
    clock = Clock()
    buckets = Buckets(Rate(burst=3, per_s=2), monotonic_s=clock)
    assert [buckets.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.s = 0.5
    assert [buckets.wait_s("a"), buckets.wait_s("a")] == [0, 0.5]
    clock.s = 1000.0
    assert [buckets.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_one_address_takes_nothing_from_another():
    buckets = Buckets(Rate(burst=1, per_s=1), monotonic_s=Clock())
    assert (buckets.wait_s("a"), buckets.wait_s("b")) == (0, 0)
    assert buckets.wait_s("a") == 1


def test_who_tries_passwords_without_end_waits(station):
    app = station.app()
    with_quick_passwords(app)
    client = TestClient(app)
    given = {"name": "nobody", "password": "not the password"}
    answers = [client.post("/api/v1/session", json=given) for _ in range(SIGN_INS.burst + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "SVC-TOO-MANY-REQUESTS"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert client.get("/api/v1/station").status_code == 200


def test_what_is_too_large_is_refused_before_it_is_read(client):
    answer = client.post("/epcis/capture", content=b"x", headers={"Content-Length": str(MOST_BYTES + 1)})
    assert (answer.status_code, answer.json()["code"]) == (413, "SVC-REQUEST-TOO-LARGE")


def test_what_is_too_large_and_does_not_say_so_is_refused_while_it_is_read(client):
    def without_end():
        for _ in range(MOST_BYTES // 1_000_000 + 2):
            yield b"x" * 1_000_000

    answer = client.post("/api/v1/session", content=without_end())
    assert (answer.status_code, answer.json()["code"]) == (413, "SVC-REQUEST-TOO-LARGE")
