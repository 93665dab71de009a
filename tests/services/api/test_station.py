from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from inspection.types import RecipeRef, Verdict
from services.api.station import event_stream
from services.live import LiveState
from services.station.messages import LaneState, RecipeState, RecipeWish
from tests.a_station import a_frame_seen, a_strip, begun_now, jpeg_of
from tests.builders import NOON, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role


def test_the_station_says_what_every_lane_shows(station, client):
    station.runs()
    begun = begun_now(lane="strip", code="COIL-9")
    strip = a_strip()
    station.sees(a_frame_seen(strip, begun), begun)
    station.finishes(an_inspection(lane="parts", verdict=Verdict.REVIEW))

    answer = client.get("/api/v1/station").json()
    assert answer["engine_connected"]
    parts, strip_lane = answer["lanes"]
    assert (parts["lane"], parts["condition"], parts["in_hand"]) == ("parts", "running", None)
    assert [one["verdict"] for one in parts["recent"]] == ["REVIEW"]
    assert strip_lane["in_hand"]["unit"]["code"] == "COIL-9"
    assert (strip_lane["in_hand"]["frames"], strip_lane["in_hand"]["defects"]) == (1, len(strip.truth))


def test_a_plants_server_has_no_station(station):
    client = TestClient(station.app(has_live=False))
    for url in ("/api/v1/station", "/api/v1/events"):
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (404, "SVC-NO-STATION")


def test_a_reader_of_events_is_first_told_everything():
    live = LiveState()
    live.done(an_inspection(lane="parts"))
    (told,) = _events(live, until="station")
    assert [lane["lane"] for lane in told["data"]["lanes"]] == ["parts"]


def test_a_reader_that_comes_back_and_missed_nothing_is_not_told_again():
    live = LiveState()
    live.done(an_inspection(lane="parts"))
    (first,) = _events(live, until="station")
    names = [told["event"] for told in _events(live, until="alive", last_event_id=first["id"])]
    assert names == ["alive"]


def test_a_reader_that_comes_back_to_a_service_that_began_anew_is_told_everything():
    live = LiveState()
    live.done(an_inspection(lane="parts"))
    # The service before it had counted as many changes.
    for of_before in (live.revision, f"00000000-{live.revision}"):
        names = [told["event"] for told in _events(live, until="alive", last_event_id=of_before)]
        assert names == ["station", "alive"]


def test_a_reader_that_missed_something_is_told_everything():
    live = LiveState()
    (before,) = _events(live, until="station")
    live.done(an_inspection(lane="parts"))
    names = [told["event"] for told in _events(live, until="alive", last_event_id=before["id"])]
    assert names == ["station", "alive"]


def test_a_verdict_reaches_the_reader_as_its_lanes_new_state():
    live = LiveState()
    done = an_inspection(lane="parts", verdict=Verdict.REJECT)
    told = _events(live, until="lane", then=lambda: live.done(done))[-1]
    assert told["data"]["recent"][0]["verdict"] == "REJECT"
    assert told["id"].endswith(f"-{live.revision}")


def test_a_frame_reaches_the_reader_as_progress():
    live = LiveState()
    begun = begun_now(lane="strip", code="COIL-1")
    live.begun(begun)
    strip = a_strip()
    told = _events(live, until="progress", then=lambda: live.frame(a_frame_seen(strip, begun)))[-1]
    assert (told["data"]["lane"], told["data"]["frames"]) == ("strip", 1)
    assert told["data"]["defects"] == len(strip.truth)


def test_the_reader_learns_that_the_engine_went_away():
    live = LiveState()
    live.engine(True)
    told = [
        told
        for told in _events(live, until="station", times=2, then=lambda: live.engine(False))
        if told["event"] == "station"
    ]
    assert [one["data"]["engine_connected"] for one in told] == [True, False]


def test_streams_end_when_the_service_does():
    live = LiveState()
    live.close()
    assert [told["event"] for told in _events(live, until="never")] == ["station"]


def test_the_preview_sends_the_newest_frame_with_its_defects_in_the_readers_language(station):
    station.live.lane(
        LaneState(lane="strip", camera="top", driver="drawn_strip", condition="running", at=datetime.now(UTC))
    )
    begun = begun_now(lane="strip", code="COIL-1")
    strip = a_strip()
    station.sees(a_frame_seen(strip, begun, sequence=41), begun)
    with TestClient(station.app()).websocket_connect("/api/v1/lanes/strip/preview?lang=zh") as socket:
        header, jpeg = _parted(socket.receive_bytes())
    assert jpeg == jpeg_of(strip)
    assert (header["sequence"], header["width_px"], header["height_px"]) == (41, 800, 400)
    assert len(header["defects"]) == len(strip.truth)
    assert all(defect["name"] != defect["kind"] for defect in header["defects"])


def test_the_preview_goes_on_with_what_comes_and_leaves_out_what_came_in_between(station):
    begun = begun_now(lane="strip", code="COIL-1")
    station.sees(a_frame_seen(a_strip(), begun, sequence=1), begun)
    with TestClient(station.app()).websocket_connect("/api/v1/lanes/strip/preview") as socket:
        assert _parted(socket.receive_bytes())[0]["sequence"] == 1
        for sequence in (2, 3, 4):
            station.live.frame(a_frame_seen(a_strip(), begun, sequence=sequence))
        seen = [_parted(socket.receive_bytes())[0]["sequence"]]
        while seen[-1] != 4:
            seen.append(_parted(socket.receive_bytes())[0]["sequence"])
    assert seen == sorted(seen)


def test_each_of_several_views_has_a_preview_of_its_own(station):
    """The newest frame alone would show the operator now the one, now the other."""
    station.live.lane(
        LaneState(lane="parts", camera="top, side", driver="gige", condition="running", at=datetime.now(UTC))
    )
    begun = begun_now(lane="parts", code="PART-1")
    for sequence, view in enumerate(("top", "side", "bottom")):
        seen = a_frame_seen(a_strip(), begun, sequence=sequence)
        station.sees(replace(seen, result=replace(seen.result, camera=view)), begun)
    for view, sequence in (("top", 0), ("side", 1)):
        address = f"/api/v1/lanes/parts/preview?view={view}"
        with TestClient(station.app()).websocket_connect(address) as socket:
            assert _parted(socket.receive_bytes())[0]["sequence"] == sequence
    assert list(station.live.of_lane("parts").view_frames) == ["top", "side"]
    page = TestClient(station.app()).get("/").text
    assert page.count("data-preview=") == 2
    assert "/preview?view=side" in page


def test_a_frame_that_could_not_be_judged_says_so_in_the_preview(station):
    begun = begun_now(lane="strip", code="COIL-1")
    station.sees(a_frame_seen(a_strip(), begun, failure="INS-IMAGE-UNFIT"), begun)
    with TestClient(station.app()).websocket_connect("/api/v1/lanes/strip/preview") as socket:
        header, _ = _parted(socket.receive_bytes())
    assert (header["verdict"], header["failure"], header["defects"]) == (
        "NOT_INSPECTED",
        "INS-IMAGE-UNFIT",
        [],
    )


@pytest.mark.parametrize(
    ("lane", "headers"),
    [("nobody", {}), ("strip", {"Origin": "https://elsewhere.example"})],
    ids=["no such lane", "a page from elsewhere"],
)
def test_the_preview_is_refused(station, lane, headers):
    station.runs()
    with (
        pytest.raises(WebSocketDisconnect),
        TestClient(station.app()).websocket_connect(f"/api/v1/lanes/{lane}/preview", headers=headers),
    ):
        pass


def _parted(message: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def _events(
    live: LiveState,
    *,
    until: str,
    times: int = 1,
    last_event_id: str | None = None,
    then: Any = None,
) -> list[dict[str, Any]]:
    """All events up to the so-manieth named `until`; `then` happens once the first were read."""

    async def read() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        stream = event_stream("demo", live, last_event_id)
        async for text in stream:
            fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
            if "event" not in fields:
                continue
            told.append({**fields, "data": json.loads(fields["data"])})
            if [one["event"] for one in told].count(until) == times:
                break
            if then is not None and fields["event"] == "alive":
                await asyncio.to_thread(then)
        await stream.aclose()
        return told

    return asyncio.run(read())


def test_a_lane_that_stands_still_is_told_anew_when_the_time_of_a_shelved_alarm_is_over(station):
    station.runs()
    station.live.lane(
        LaneState(lane="parts", camera="SIM-1", driver="gige", condition="lost", at=NOON, failure="CAM-LOST")
    )
    until = datetime.now(UTC) + timedelta(seconds=0.2)
    assert station.live.board.shelve("parts", "CAM-LOST", by="wang", until=until)
    told = _events(station.live, until="alive", times=2)
    assert [one["event"] for one in told] == ["station", "alive", "lane", "alive"]
    assert told[2]["data"]["lane"] == "parts"


def test_a_recipe_is_changed_by_the_number_that_the_plc_says(station):
    station.runs()
    client = signed_in(station.app(), Role.OPERATOR)
    offered = client.get("/api/v1/lanes/strip/recipes").json()
    assert [(one["recipe"], one["number"]) for one in offered] == [
        ("strip-demo", 1),
        ("strip-demo-exposed", 2),
    ]
    answer = client.post("/api/v1/lanes/strip/recipe", json={"number": 2})
    assert (answer.status_code, answer.json()["recipe"]) == (202, "strip-demo-exposed")
    assert list(station.wishes.to_tell()) == [RecipeWish(lane="strip", recipe="strip-demo-exposed")]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"number": 9}, "CFG-RECIPE-NOT-CHOSEN"),
        ({}, "CFG-RECIPE-NOT-CHOSEN"),
        ({"recipe": "strip-demo", "number": 1}, "CFG-RECIPE-NOT-CHOSEN"),
        ({"nummer": 1}, "SVC-REQUEST-INVALID"),
        ({"number": -1}, "SVC-REQUEST-INVALID"),
    ],
)
def test_a_recipe_that_nobody_can_tell_is_not_changed_to(station, asked, code):
    station.runs()
    client = signed_in(station.app(), Role.OPERATOR)
    answer = client.post("/api/v1/lanes/strip/recipe", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert list(station.wishes.to_tell()) == []


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.AUDITOR, 403)])
def test_nobody_changes_a_recipe_who_may_not_operate(station, client, role, status):
    station.runs()
    asking = client if role is None else signed_in(station.app(), role)
    assert asking.post("/api/v1/lanes/strip/recipe", json={"number": 2}).status_code == status
    assert list(station.wishes.to_tell()) == []


def test_who_changed_a_recipe_is_in_the_audit(station):
    station.runs()
    signed_in(station.app(), Role.OPERATOR).post("/api/v1/lanes/strip/recipe", json={"number": 2})
    (entry,) = (one for one in Accounts(station.store).audit(limit=9) if one.action == "recipe.changed")
    assert (entry.person, entry.subject) == ("operator", "lane:demo/strip")
    assert entry.after == {"recipe": "strip-demo-exposed", "revision": 2}


def test_a_lane_says_which_recipe_it_has_and_which_is_next(station, client):
    station.runs()
    for recipe, condition in (("strip-demo", "in_use"), ("strip-demo-exposed", "ready")):
        ref = RecipeRef(name=recipe, revision=3, sha256="0" * 64)
        station.live.recipe(
            RecipeState(lane="strip", recipe=recipe, ref=ref, condition=condition, at=datetime.now(UTC))
        )
    (lane,) = (one for one in client.get("/api/v1/station").json()["lanes"] if one["lane"] == "strip")
    assert (lane["recipe"]["recipe"], lane["recipe"]["revision"]) == ("strip-demo", 3)
    assert (lane["next_recipe"]["recipe"], lane["next_recipe"]["condition"]) == (
        "strip-demo-exposed",
        "ready",
    )
