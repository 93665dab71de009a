"""Cameras on pages and for programs: how they stand, what helps to focus them, and what pictures of a board give."""

from __future__ import annotations

import re
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.doctor.judging import Finding, Severity
from inspection.errors import ImageUnsuitable
from inspection.types import Image
from inspection.vision.calibration import _REFUSED, Calibration
from services.setting_up import MOST_PICTURES, Bench, BenchFull, DoctorBusy, blank_of
from services.text import LANGUAGES, catalogue
from station_config import load_recipe
from tests.a_station import (
    FINDINGS,
    AStation,
    a_frame_seen,
    a_part,
    an_empty_station,
    begun_now,
    needs_libraries,
)
from tests.inspection.vision.drawn_scenes import CHECKERS, LENS, board_picture, views
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role


@pytest.fixture
def station(tmp_path: Path, monkeypatch) -> Iterator[AStation]:
    monkeypatch.setenv("LYNCEUS_RECIPES", str(tmp_path / "recipes"))
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        made.runs()
        yield made


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 88))[1].tobytes()


def png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def shows(station: AStation, image: Image, *, age_s: float = 0.0) -> None:
    """The camera of the parts shows this picture."""
    begun = begun_now(lane="parts", code="86.999.1/PART-1")
    seen = a_frame_seen(a_part(3, defective=False), begun)
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    station.sees(replace(seen, jpeg=jpeg(image), captured_at=at), begun)


def has_board(client) -> None:
    board = {"kind": "checkerboard", "columns": 12, "rows": 9, "square_mm": 6, "tolerance": 0.0002}
    assert client.post("/cameras/parts/calibration/board", data=board).status_code == 303


def test_each_camera_of_the_station_is_listed_with_how_it_stands(station):
    listed = signed_in(station.app(), Role.INTEGRATOR).get("/api/v1/cameras").json()
    assert [(one["lane"], one["driver"], one["condition"]) for one in listed] == [
        ("strip", "drawn_strip", "running"),
        ("parts", "drawn_parts", "running"),
    ]
    assert listed[0]["settings"]["mm_per_px"] == 0.5


def test_a_sharper_picture_has_the_higher_figure_and_brightness_alone_does_not_raise_it(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    sharp = a_part(3, defective=False).pixels
    figures = []
    for image in (sharp, cv2.GaussianBlur(sharp, (0, 0), 2), (sharp * 0.5).astype(np.uint8)):
        shows(station, image)
        figures.append(client.get("/api/v1/cameras/parts/aids").json())
    assert figures[0]["sharpness"] > 2 * figures[1]["sharpness"]
    assert figures[2]["sharpness"] == pytest.approx(figures[0]["sharpness"], rel=0.3)
    assert sum(figures[0]["histogram"]) == sharp.shape[0] * sharp.shape[1]
    assert figures[2]["mean_grey"] == pytest.approx(figures[0]["mean_grey"] / 2, rel=0.1)


def test_an_old_picture_helps_nobody_to_focus(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    shows(station, a_part(3, defective=False).pixels, age_s=60)
    refused = client.get("/api/v1/cameras/parts/aids")
    assert (refused.status_code, refused.json()["code"]) == (409, "SVC-NO-LIVE-PICTURE")


def test_pictures_of_a_board_become_a_calibration_beside_the_recipes_and_in_the_audit(station, tmp_path):
    client = signed_in(station.app(), Role.INTEGRATOR)
    has_board(client)
    taken = views(CHECKERS)
    shows(station, taken[0])
    assert client.post("/cameras/parts/calibration/take").status_code == 303
    files = [("pictures", (f"{n}.jpg", jpeg(one), "image/jpeg")) for n, one in enumerate(taken[1:])]
    assert client.post("/cameras/parts/calibration/upload", files=files).status_code == 303
    assert client.post("/cameras/parts/calibration", data={"keep": "false"}).status_code == 303
    bench = client.get("/api/v1/cameras/parts/bench").json()
    assert bench["problem"] is None
    assert {one["corners"] for one in bench["pictures"]} == {88}
    kept = client.post("/cameras/parts/calibration", data={"keep": "true"})
    assert kept.status_code == 303
    (file,) = client.get("/api/v1/cameras/parts/bench").json()["files"]
    made = Calibration.from_toml((tmp_path / "recipes" / file["file"]).read_text())
    # The lens the pictures were drawn with: JPEG costs some hundredths of a pixel.
    assert made.fx == pytest.approx(LENS[0, 0], rel=0.01)
    (entry,) = Accounts(station.store).audit(limit=1)
    assert (entry.action, entry.after["sha256"]) == ("camera.calibration", file["sha256"])


def test_one_picture_gives_a_scale_and_says_why_it_gives_no_lens(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    has_board(client)
    flat = np.full((360, 480), 200, np.uint8)
    for row in range(9):
        for column in range(12):
            if (row + column) % 2:
                flat[30 + 30 * row : 60 + 30 * row, 30 + 30 * column : 60 + 30 * column] = 40
    shows(station, flat)
    client.post("/cameras/parts/calibration/take")
    client.post("/cameras/parts/calibration", data={"keep": "false"})
    bench = client.get("/api/v1/cameras/parts/bench").json()
    assert bench["calibration"] is None
    assert bench["problem"]["code"] == "INS-CALIBRATION-REFUSED"
    # 6 mm in 30 px.
    assert bench["scale"]["x_mm_per_px"] == pytest.approx(0.2, rel=2e-3)
    assert bench["scale"]["y_mm_per_px"] == pytest.approx(0.2, rel=2e-3)


def test_a_tilted_board_gives_no_single_scale(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    has_board(client)
    shows(station, views(CHECKERS)[2])
    client.post("/cameras/parts/calibration/take")
    client.post("/cameras/parts/calibration", data={"keep": "false"})
    assert client.get("/api/v1/cameras/parts/bench").json()["scale"] is None


def test_a_picture_without_the_board_is_shown_with_the_reason_and_can_be_taken_out(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    shows(station, a_part(3, defective=False).pixels)
    client.post("/cameras/parts/calibration/take")
    page = client.get("/cameras/parts/calibration")
    assert "bench-wrong" in page.text
    assert client.get("/cameras/parts/calibration/pictures/1").headers["content-type"] == "image/jpeg"
    client.post("/cameras/parts/calibration/remove", data={"number": "1"})
    assert client.get("/api/v1/cameras/parts/bench").json()["pictures"] == []


def test_what_is_no_picture_is_refused_by_name(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    sent = client.post(
        "/cameras/parts/calibration/upload", files=[("pictures", ("x.jpg", b"no", "image/jpeg"))]
    )
    assert sent.status_code == 422
    assert "INS-IMAGE-UNREADABLE" in sent.text


def test_of_several_files_none_is_taken_where_one_is_no_picture_so_that_sending_again_doubles_nothing(
    station,
):
    client = signed_in(station.app(), Role.INTEGRATOR)
    files = [
        ("pictures", ("first.jpg", jpeg(views(CHECKERS)[0]), "image/jpeg")),
        ("pictures", ("second.jpg", b"no", "image/jpeg")),
    ]
    for _ in range(2):
        sent = client.post("/cameras/parts/calibration/upload", files=files)
        assert sent.status_code == 422
        assert "second.jpg:" in sent.text
        assert "None of the pictures was added." in sent.text
    assert client.get("/api/v1/cameras/parts/bench").json()["pictures"] == []


def test_what_pictures_of_a_board_lack_is_said_with_its_numbers_and_what_to_do(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    has_board(client)
    make = "/cameras/parts/calibration"
    lying_alike = [
        board_picture(CHECKERS, (0.02 * n, 0.02, 0), (-31 + 3 * n, -22, 90), seed=n) for n in range(4)
    ]
    for taken, english, chinese in (
        ([a_part(3, defective=False).pixels], r"the whole board: 0\. A", "图像有 0 张"),
        (
            views(CHECKERS)[:3],
            r"the whole board: 3\. A calibration of the lens needs at least 4\.",
            "至少需要 4 张",
        ),
        (
            lying_alike,
            r"are tilted by \d° against each other, at least 15° is needed",
            r"只倾斜了 \d°，至少需要 15°",
        ),
    ):
        client.post(f"{make}/remove", data={"number": "0"})
        files = [("pictures", (f"{n}.png", png(one), "image/png")) for n, one in enumerate(taken)]
        assert client.post(f"{make}/upload", files=files).status_code == 303
        client.post(make, data={"keep": "false"})
        for language, said in (("en", english), ("zh", chinese)):
            page = client.get(make, headers={"Accept": "text/html", "Accept-Language": language}).text
            assert re.search(said, page)
            assert "INS-CALIBRATION-REFUSED" in page


def test_a_board_described_with_other_squares_than_it_has_is_said_with_those_it_has(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    board = {"kind": "checkerboard", "columns": 14, "rows": 9, "square_mm": 6, "tolerance": 0.0002}
    client.post("/cameras/parts/calibration/board", data=board)
    files = [("pictures", ("1.png", png(views(CHECKERS)[0]), "image/png"))]
    client.post("/cameras/parts/calibration/upload", files=files)
    for language, said in (
        ("en", "Picture 1 shows a board of 12 x 9 squares, but a board of 14 x 9 squares is described."),
        ("zh", "第 1 张图中是一块 12 x 9 格的标定板，而描述的是 14 x 9 格。"),
    ):
        page = client.get(
            "/cameras/parts/calibration", headers={"Accept": "text/html", "Accept-Language": language}
        )
        assert said in page.text


def test_every_reason_for_which_pictures_make_no_calibration_has_words_of_its_own():
    for language in LANGUAGES:
        for reason in _REFUSED:
            assert f"error.INS-CALIBRATION-REFUSED.{reason}.what" in catalogue(language)


def test_a_bench_holds_no_more_pictures_than_are_of_use():
    bench = Bench()
    for _ in range(MOST_PICTURES):
        bench.add(jpeg(np.full((64, 64), 128, np.uint8)))
    with pytest.raises(BenchFull):
        bench.add(jpeg(np.full((64, 64), 128, np.uint8)))


def uneven() -> Image:
    light = 120 + 60 * np.cos(np.linspace(-1, 1, 400))
    return np.repeat(light[None, :], 300, axis=0).astype(np.uint8)


def test_an_even_surface_becomes_a_flat_field_that_a_recipe_takes(station, tmp_path):
    client = signed_in(station.app(), Role.INTEGRATOR)
    shows(station, uneven())
    done = client.post("/cameras/parts/flat-field", data={"pictures": "1"})
    assert done.status_code == 303
    (file,) = client.get("/api/v1/cameras/parts/bench").json()["files"]
    text = load_recipe("part-demo").text.decode()
    named = f'\n[flat_field]\nfile = "{file["file"]}"\nsha256 = "{file["sha256"]}"\n'
    (tmp_path / "recipes" / "part-demo.toml").write_text(text + named)
    recipe = load_recipe("part-demo")
    assert recipe.files[file["file"]] == (tmp_path / "recipes" / file["file"]).read_bytes()
    assert Accounts(station.store).audit(limit=1)[0].action == "camera.flat_field"


def test_a_page_that_says_what_a_flat_field_is_made_of_is_loaded_again_without_recording_another(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    shows(station, uneven())
    done = client.post("/cameras/parts/flat-field", data={"pictures": "1"})
    for _ in range(2):
        for language, said in (("en", "The flat field is recorded."), ("zh", "平场已采集。")):
            page = client.get(
                done.headers["location"], headers={"Accept": "text/html", "Accept-Language": language}
            )
            assert page.status_code == 200
            assert said in page.text
            assert ".flat.png" in page.text.split(said)[1].split("</div>")[0]
    acts = [one.action for one in Accounts(station.store).audit(limit=50)]
    assert acts.count("camera.flat_field") == 1
    # Of a file that was not recorded since the service began nothing is said but what it is.
    assert "is recorded" not in client.get("/cameras/parts?stored=parts-00000000.flat.png").text


def test_pictures_of_a_size_that_the_camera_has_left_are_in_no_flat_field(station, tmp_path):
    client = signed_in(station.app(), Role.INTEGRATOR)
    shows(station, uneven()[:64, :64])

    def turned_to_another_size() -> None:
        for _ in range(3):
            time.sleep(0.4)
            shows(station, uneven())

    camera = threading.Thread(target=turned_to_another_size)
    camera.start()
    done = client.post("/cameras/parts/flat-field", data={"pictures": "2"})
    camera.join()
    assert done.status_code == 303
    (file,) = client.get("/api/v1/cameras/parts/bench").json()["files"]
    kept = (tmp_path / "recipes" / file["file"]).read_bytes()
    assert cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_GRAYSCALE).shape == uneven().shape


def test_a_flat_field_makes_its_own_pictures_even_and_refuses_the_dark():
    made = blank_of([uneven()] * 3, per_column=False)
    assert made.evenness_after > 0.98 > made.evenness_before
    with pytest.raises(ImageUnsuitable) as refused:
        blank_of([np.full((64, 64), 3, np.uint8)], per_column=False)
    assert refused.value.facts["reason"] == "blank"


def test_a_published_recipe_comes_before_the_packages_own(tmp_path, monkeypatch):
    monkeypatch.setenv("LYNCEUS_RECIPES", str(tmp_path))
    text = load_recipe("part-demo").text.decode()
    revision = tomllib.loads(text)["revision"]
    (tmp_path / "part-demo.toml").write_text(
        text.replace(f"revision = {revision}", f"revision = {revision + 1}")
    )
    assert load_recipe("part-demo").settings.revision == revision + 1


def test_the_doctors_findings_come_in_the_readers_language_with_what_mends_them(station):
    client = signed_in(station.app(), Role.INTEGRATOR)
    assert client.get("/api/v1/cameras/doctor").json() is None
    assert client.post("/api/v1/cameras/doctor").status_code == 202
    until = time.monotonic() + 60
    while client.get("/api/v1/cameras/doctor").json()["is_running"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    told = client.get("/api/v1/cameras/doctor", headers={"Accept-Language": "zh"}).json()["findings"]
    assert [one["code"] for one in told] == [one.code for one in FINDINGS]
    assert told[0]["mend"] == 'pip install "lynceus[gige]"'
    assert "harvesters" in client.get("/cameras").text


@pytest.mark.parametrize(
    ("language", "ours", "foreign"),
    [
        ("en", "A lane of this station reads it.", "Another program controls it"),
        ("zh", "正由本站的通道读取", "其他程序控制"),
    ],
)
def test_of_a_camera_that_a_lane_reads_the_doctors_page_asks_nobody_to_end_another_program(
    station, language, ours, foreign
):
    app = station.app()
    held = {"privilege": "control", "heartbeat_s": 3}
    app.state.setting_up.doctor.look = lambda producer: tuple(
        Finding(code=code, severity=severity, about=about, facts=facts)
        for about in ("drawn parts", "SPARE-7")
        for code, severity, facts in (
            ("control", Severity.NOTE, held),
            ("exposure", Severity.UNSEEN, {"why": "taken"}),
        )
    )
    client = signed_in(app, Role.INTEGRATOR)
    client.post("/api/v1/cameras/doctor")
    until = time.monotonic() + 60
    while client.get("/api/v1/cameras/doctor").json()["is_running"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    page = client.get("/cameras", headers={"Accept-Language": language}).text
    assert page.count(ours) == 1
    assert page.index(foreign) > page.index("SPARE-7")
    assert page.count('class="finding ') == 3
    assert client.get("/cameras/doctor").headers["location"] == "/cameras#doctor"


def test_the_doctor_looks_for_one_at_a_time(station):
    doctor = station.app().state.setting_up.doctor
    asked: list[bool] = []

    def look(producer):
        while not asked:
            time.sleep(0.005)
        return ()

    doctor.look = look
    doctor.start("lynceus", by="one")
    with pytest.raises(DoctorBusy):
        doctor.start("lynceus", by="another")
    asked.append(True)
