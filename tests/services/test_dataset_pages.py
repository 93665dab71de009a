"""Data sets that a plant labels on pages: from the queue and from files to a zip that any labelling tool takes."""

from __future__ import annotations

import io
import json
import re
import resource
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import cv2
import pytest

from inspection.types import Verdict
from models.labels import read_coco, read_yolo
from services.datasets import ArchiveUnfit, DataSets
from tests.a_station import AStation, a_part, an_empty_station, defects_of, jpeg_of, needs_libraries
from tests.builders import a_unit, an_inspection
from tests.models.releases import PART, a_copy, latest, reworded
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role
from traceability.reviews import Decision, Reviews

CHIP = {"kind": "chip", "box": [10, 20, 60, 90]}
CRACK = {"kind": "crack", "outline": [[100, 100], [150, 110], [120, 160]]}


@pytest.fixture
def station(tmp_path: Path, monkeypatch) -> Iterator[AStation]:
    monkeypatch.setenv("LYNCEUS_DATASETS", str(tmp_path / "datasets"))
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        yield made


@pytest.fixture
def integrator(station):
    return signed_in(station.app(), Role.INTEGRATOR)


def has_a_set(client, name: str = "flange") -> None:
    assert client.post("/datasets", data={"name": name, "kinds": ["chip", "crack"]}).status_code == 303


def gets_pictures(client, *seeds: int, name: str = "flange") -> list[str]:
    files = [
        ("pictures", (f"{seed}.jpg", jpeg_of(a_part(seed, defective=True)), "image/jpeg")) for seed in seeds
    ]
    assert client.post(f"/datasets/{name}/pictures", files=files).status_code == 303
    return client.get(f"/api/v1/datasets/{name}").json()["waiting"]


def labels(client, picture: str, *marks: dict, name: str = "flange"):
    return client.post(
        f"/datasets/{name}/label", params={"picture": picture}, data={"labels": json.dumps(marks)}
    )


def unzipped(data: bytes, into: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(into)
    return into


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_what_people_disagree_about_comes_from_the_queue_into_a_set(station, integrator):
    part = a_part(3, defective=True)
    kept = station.keeps(part, lane="parts")
    station.finishes(
        an_inspection(
            unit=a_unit("86.999.1/P-1"),
            lane="parts",
            verdict=Verdict.REVIEW,
            defects=defects_of(part, lane="parts"),
            pictures=(kept,),
            finished_at=datetime.now(UTC),
        )
    )
    has_a_set(integrator)
    assert kept.sha256 in integrator.get("/datasets").text
    taken = integrator.post("/datasets/queue", data={"name": "flange", "pictures": [kept.sha256]})
    assert taken.status_code == 303
    found = integrator.get("/api/v1/datasets/flange").json()
    assert (len(found["waiting"]), found["labelled"]) == (1, 0)
    acts = [one.action for one in Accounts(station.store).audit(limit=2)]
    assert acts == ["dataset.filled", "dataset.made"]


def offers(station, number: int, *, verdict=Verdict.REVIEW):
    """A unit whose picture teaches, with that picture."""
    part = a_part(number, defective=True)
    kept = station.keeps(part, lane="parts")
    unit = an_inspection(
        unit=a_unit(f"86.999.1/P-{number}"),
        lane="parts",
        verdict=verdict,
        defects=defects_of(part, lane="parts"),
        pictures=(kept,),
        finished_at=datetime.now(UTC),
    )
    station.finishes(unit)
    return unit, kept


def test_what_was_ticked_in_the_queue_is_taken_though_other_units_came_before_it_meanwhile(
    station, integrator, monkeypatch
):
    monkeypatch.setattr("services.web.dataset_pages.QUEUED", 1)
    has_a_set(integrator)
    unit, ticked = offers(station, 3)
    assert ticked.sha256 in integrator.get("/datasets").text
    li = Accounts(station.store).add(
        name="li", title="li", role=Role.OPERATOR, password_hash=None, by=None, at=datetime.now(UTC)
    )
    other, _ = offers(station, 4)
    Reviews(station.store).decide(other.id, Decision.ACCEPT, by=li, at=datetime.now(UTC))
    assert ticked.sha256 not in integrator.get("/datasets").text
    integrator.post("/datasets/queue", data={"name": "flange", "pictures": [ticked.sha256]})
    (waiting,) = integrator.get("/api/v1/datasets/flange").json()["waiting"]
    assert unit.id.hex in waiting


def test_a_ticked_picture_that_is_kept_no_more_is_told_and_the_others_are_taken(station, integrator):
    has_a_set(integrator)
    (_, gone), (unit, kept) = offers(station, 3), offers(station, 4)
    station.images.remove(gone.sha256)
    told = integrator.post("/datasets/queue", data={"name": "flange", "pictures": [gone.sha256, kept.sha256]})
    assert (told.status_code, "TRC-PICTURE-MISSING" in told.text) == (404, True)
    (waiting,) = integrator.get("/api/v1/datasets/flange").json()["waiting"]
    assert unit.id.hex in waiting


def test_a_picture_of_no_unit_is_not_taken_and_that_is_told(integrator):
    has_a_set(integrator)
    told = integrator.post("/datasets/queue", data={"name": "flange", "pictures": ["0" * 64]})
    assert (told.status_code, "0" * 64 in told.text) == (422, True)


def test_a_set_that_cannot_be_read_is_told_in_the_list_and_hides_no_other(integrator, tmp_path):
    has_a_set(integrator)
    has_a_set(integrator, "seam")
    (picture,) = gets_pictures(integrator, 1, name="seam")
    assert labels(integrator, picture, CHIP, name="seam").status_code == 303
    next((tmp_path / "datasets" / "seam" / "labels").rglob("*.txt")).write_text("7 0.5 0.5 0.1 0.1\n")
    for language, action in (("en", "Mend them in the labelling tool"), ("zh", "请在标注工具中修正")):
        page = integrator.get(f"/datasets?lang={language}")
        assert page.status_code == 200
        for told in ('href="/datasets/flange"', "seam MOD-LABELS-WRONG", "class 7 of 2", action):
            assert told in page.text
        assert "<option>seam" not in page.text
    flange, seam = integrator.get("/api/v1/datasets").json()
    assert (flange["name"], flange["refused"], flange["kinds"]) == ("flange", None, ["chip", "crack"])
    assert (seam["name"], seam["refused"], seam["labelled"]) == ("seam", "MOD-LABELS-WRONG", 0)
    assert integrator.get("/api/v1/datasets/seam").json()["code"] == "MOD-LABELS-WRONG"


def test_labelling_a_picture_leaves_the_kinds_of_the_others_as_they_are(integrator, tmp_path):
    """As people write them by hand: of several words, and two names of one kind."""
    folder = tmp_path / "datasets" / "hand"
    (folder / "labels").mkdir(parents=True)
    (folder / "classes.txt").write_text("oil stain\nscratches\nscratch\ncrack\n")
    sets = DataSets.of_plant()
    data = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    first, second = (sets.add("hand", name, data) for name in "ab")
    (folder / "labels" / "a.txt").write_text("3 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    assert sets.find("hand").kinds == ("oil-stain", "scratch", "crack")
    sets.label("hand", second, [{"kind": "scratch", "box": [1, 1, 20, 20]}])
    assert sets.truth("hand", first).kinds == ("crack", "oil-stain")
    assert sets.truth("hand", second).kinds == ("scratch",)


def test_two_people_label_one_set_at_once_and_each_is_kept(integrator):
    has_a_set(integrator)
    marked, good = gets_pictures(integrator, 1, 2)
    sets = DataSets.of_plant()
    with ThreadPoolExecutor() as people:
        asked = [
            people.submit(sets.label, "flange", picture, marks)
            for _ in range(20)
            for picture, marks in ((marked, [CHIP]), (good, []))
        ]
        for one in asked:
            one.result()
    assert [sets.truth("flange", one).kinds for one in (marked, good)] == [("chip",), ()]


def test_what_was_read_from_labels_is_saved_again_in_the_editor_though_it_lay_a_little_over_the_border(
    integrator, tmp_path
):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, CHIP).status_code == 303
    file = next((tmp_path / "datasets" / "flange" / "labels").rglob("*.txt"))
    file.write_text("0 -0.001 0.1 0.5 0.1 0.5 0.4\n")
    page = integrator.get("/datasets/flange/label", params={"picture": picture}).text
    marks = json.loads(unescape(re.search(r'name="labels" value="([^"]*)"', page)[1]))
    assert labels(integrator, picture, *marks).status_code == 303


def test_labels_that_are_refused_are_still_drawn_and_say_of_whose_guess_they_are(integrator):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    flat = CRACK | {"outline": [[100, 100], [150, 100], [200, 100]]}
    refused = integrator.post(
        "/datasets/flange/label",
        params={"picture": picture},
        data={"labels": json.dumps([CHIP, flat]), "guessed_by": "strip-surface 1"},
    )
    assert refused.status_code == 422
    assert "MOD-LABELS-WRONG" in refused.text
    drawn = json.loads(unescape(re.search(r'name="labels" value="([^"]*)"', refused.text)[1]))
    assert drawn == [CHIP, flat]
    assert 'name="guessed_by" value="strip-surface 1"' in refused.text
    assert labels(integrator, picture, CHIP, CRACK).status_code == 303


@pytest.mark.parametrize("format", ["yolo", "coco"])
def test_boxes_outlines_and_good_pictures_survive_the_way_out_and_in_and_what_waits_is_given_to_nobody(
    integrator, tmp_path, format
):
    has_a_set(integrator)
    marked, good, waits = gets_pictures(integrator, 1, 2, 3)
    assert labels(integrator, marked, CHIP, CRACK).headers["location"].endswith(good)
    assert labels(integrator, good).status_code == 303
    data = integrator.get(f"/api/v1/datasets/flange/file?format={format}").content
    folder = unzipped(data, tmp_path / "out")
    read = read_yolo(folder) if format == "yolo" else read_coco(folder / "coco.json", folder)
    assert [len(one.truth) for one in read.pictures] == [2, 0]
    assert not (folder / waits).exists()

    sent = integrator.post(
        "/datasets/bring-in", data={"name": "again"}, files={"archive": ("a.zip", data, "application/zip")}
    )
    assert sent.status_code == 303
    again = integrator.get("/api/v1/datasets/again").json()
    assert (again["labelled"], again["good"], again["defects"]) == (2, 1, {"chip": 1, "crack": 1})
    (chip, crack) = DataSets.of_plant().truth("again", again["pictures"][0]).truth
    assert chip.box_px.x1 == pytest.approx(10, abs=1e-3)
    assert crack.outline_px[1] == pytest.approx((150, 110), abs=1e-3)


LICENCE, SOURCE = "CC BY-NC 4.0", "Lab camera, line 2; 2026"


@pytest.mark.parametrize("format", ["yolo", "coco"])
def test_source_and_licence_are_shown_in_both_languages_told_to_programs_and_survive_the_way_out_and_in(
    station, integrator, format
):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, CHIP).status_code == 303
    before = integrator.get("/api/v1/datasets/flange").json()
    assert (before["source"], before["licence"]) == (None, None)
    assert "not stated" in integrator.get("/datasets/flange").text
    said = {"source": SOURCE, "licence": LICENCE}
    assert integrator.post("/datasets/flange/source", data=said).status_code == 303
    noted = Accounts(station.store).audit(limit=1)[0]
    assert (noted.action, noted.after) == ("dataset.described", said)

    data = integrator.get(f"/api/v1/datasets/flange/file?format={format}").content
    sent = integrator.post(
        "/datasets/bring-in", data={"name": "again"}, files={"archive": ("a.zip", data, "application/zip")}
    )
    assert sent.status_code == 303
    again = integrator.get("/api/v1/datasets/again").json()
    assert (again["source"], again["licence"]) == (SOURCE, LICENCE)
    for language, word in (("en", "Licence"), ("zh", "许可证")):
        page = integrator.get(f"/datasets/again?lang={language}").text
        assert word in page
        assert LICENCE in page
        assert SOURCE in page


def test_who_brings_a_set_in_says_its_licence_and_that_goes_before_what_the_archive_says(integrator):
    picture = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    files = {
        "classes.txt": b"pits",
        "images/a.png": picture,
        "source.json": json.dumps({"source": "a mirror", "licence": "unknown"}).encode(),
    }
    sent = integrator.post(
        "/datasets/bring-in",
        data={"name": "public", "licence": LICENCE},
        files={"archive": ("a.zip", zipped(files), "application/zip")},
    )
    assert sent.status_code == 303
    told = integrator.get("/api/v1/datasets/public").json()
    assert (told["source"], told["licence"]) == ("a mirror", LICENCE)


def test_what_leaks_and_what_is_twice_is_shown_side_by_side_with_the_balance_and_how_much_more_there_is(
    integrator, monkeypatch
):
    has_a_set(integrator)
    sets = DataSets.of_plant()
    for number in range(24):
        part = a_part(number, defective=False).pixels
        data = cv2.imencode(".png", part)[1].tobytes()
        picture = sets.add("flange", f"{number:032x}/a", data)
        sets.label("flange", picture, [[CHIP], [{**CHIP, "kind": "crack"}], []][number % 3])
    monkeypatch.setattr("services.web.dataset_pages.PAIRS_SHOWN", 1)
    monkeypatch.setattr("services.web.dataset_pages.COMPARED", 20)
    assert "/datasets/flange/worth" in integrator.get("/datasets/flange").text
    # Parts in one pose look alike to the fingerprint: every pair is one.
    shown = integrator.get("/datasets/flange/worth").text
    assert shown.count('<ul class="pairs">') == 2
    assert "more pairs are not shown" in shown
    assert "The first 20 of 24 labelled pictures were compared." in shown
    leaks = shown.split('<ul class="pairs">')[1].split("</ul>")[0]
    assert (leaks.count("<img "), "teaches" in leaks, "judges" in leaks) == (2, True, True)
    assert "labelled differently" in shown
    assert "学习与评判之间的泄漏" in integrator.get("/datasets/flange/worth?lang=zh").text


def test_of_a_set_too_small_to_train_from_the_reason_and_the_balance_are_shown_and_of_an_empty_one_nothing(
    integrator,
):
    has_a_set(integrator)
    assert "/worth" not in integrator.get("/datasets/flange").text
    assert integrator.get("/datasets/flange/worth").status_code == 422
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, CHIP).status_code == 303
    shown = integrator.get("/datasets/flange/worth").text
    assert "MOD-SET-UNFIT" in shown
    assert shown.count("<img ") == 1


def test_labels_that_a_model_contradicts_are_shown_place_by_place_and_a_right_one_is_not(
    integrator, monkeypatch
):
    has_a_set(integrator)
    sets = DataSets.of_plant()
    parts = [one for one in (a_part(number, defective=True) for number in range(60)) if len(one.truth) == 1]
    chipped = [one for one in parts if one.truth[0].kind == "chip"][:4]
    for number, part in enumerate(chipped):
        data = cv2.imencode(".png", part.pixels)[1].tobytes()
        picture = sets.add("flange", f"{number:032x}/a", data)
        box = part.truth[0].box_px
        right = {"kind": "chip", "box": [box.x1, box.y1, box.x2, box.y2]}
        # Labelled as it is; as another kind; not at all; and where nothing is, beside what is.
        elsewhere = {"kind": "crack", "box": [2, 2, 30, 30]}
        marks = [[right], [{**right, "kind": "crack"}], [], [right, elsewhere]][number]
        sets.label("flange", picture, marks)
    asked = {"model": PART, "lang": "en"}
    whole = integrator.get("/datasets/flange", params={"doubted_by": PART}).text
    assert f"/datasets/flange/doubts?model={PART}" in whole
    shown = integrator.get("/datasets/flange/doubts", params=asked).text
    assert "pictures 1 to 4 of 4 and contradicts 3 labels" in shown
    for caption in ("Crack looks like Chip", "Chip is not labelled", "Crack: nothing seen there"):
        assert shown.count(caption) == 1
    assert f"{0:032x}" not in shown
    in_chinese = integrator.get("/datasets/flange/doubts", params={**asked, "lang": "zh"}).text
    assert "对 3 处标注有异议" in in_chinese
    # A large set is looked at in parts.
    monkeypatch.setattr("services.web.dataset_pages.DOUBTED", 2)
    first = integrator.get("/datasets/flange/doubts", params=asked).text
    assert "pictures 1 to 2 of 4" in first
    assert "start=2" in first
    last = integrator.get("/datasets/flange/doubts", params={**asked, "start": 2}).text
    assert ("pictures 3 to 4 of 4" in last, "start=" in last) == (True, False)


def test_only_a_model_that_knows_a_kind_of_the_set_can_doubt_it_and_only_labels(integrator):
    has_a_set(integrator)
    assert 'id="doubts"' not in integrator.get("/datasets/flange").text
    assert integrator.get("/datasets/flange/doubts", params={"model": PART}).status_code == 422
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, CHIP).status_code == 303
    assert 'id="doubts"' in integrator.get("/datasets/flange").text
    for model in ("strip-surface", "nobodys-model", "../../part-surface"):
        assert integrator.get("/datasets/flange/doubts", params={"model": model}).status_code == 422
    for start in (-1, 1):
        asked = {"model": PART, "start": start}
        assert integrator.get("/datasets/flange/doubts", params=asked).status_code == 422


def test_a_model_that_learned_from_a_set_is_offered_last_to_doubt_it_and_named_so(
    integrator, tmp_path, monkeypatch
):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, CHIP).status_code == 303
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    taught = a_copy(PART, tmp_path, version="1.0.0")
    reworded(taught, f'name = "{PART}"', 'name = "flange-surface"')
    reworded(taught, 'name = "drawn parts"', 'name = "flange (line 2)"')
    shutil.copytree(taught, tmp_path / "models" / "flange-surface" / "1.0.0")
    page = integrator.get("/datasets/flange?lang=en").text
    offered = re.findall(r'<option value="([^"]+)">([^<]+)', page)
    assert offered[-1] == ("flange-surface", "flange-surface · learned from this set")
    assert (PART, PART) in offered[:-1]


@pytest.mark.parametrize("said", [b"[" * 100_000, b'"x"', b"{}", b"\xff", b'{"source": 7, "licence": []}'])
def test_what_an_archive_says_of_its_source_and_nobody_can_read_is_as_unsaid(integrator, said):
    picture = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    files = {"classes.txt": b"pits", "images/a.png": picture, "source.json": said}
    sent = integrator.post(
        "/datasets/bring-in",
        data={"name": "x"},
        files={"archive": ("a.zip", zipped(files), "application/zip")},
    )
    assert sent.status_code == 303
    told = integrator.get("/api/v1/datasets/x").json()
    assert (told["source"], told["licence"]) == (None, None)


@pytest.mark.parametrize(
    "mark",
    [
        {"kind": "chip", "box": [10, 20, 900, 90]},
        {"kind": "chip", "box": [10, 20, 10, 90]},
        {"kind": "pits", "box": [10, 20, 60, 90]},
        {"kind": "chip", "box": ["a", 1, 2, 3]},
        {"kind": "chip", "outline": [[1, 1], [9, 9]]},
        {"kind": "chip", "outline": [[1, 1], [float("nan"), 5], [9, 9]]},
        {"kind": "chip", "box": [float("nan"), 1, 2, 3]},
        {"kind": "chip", "outline": [[1 + corner % 9, 1 + corner % 7] for corner in range(501)]},
    ],
)
def test_a_mark_that_cannot_be_right_is_refused_and_the_picture_waits_on(integrator, mark):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, mark).status_code == 422
    assert integrator.get("/api/v1/datasets/flange").json()["waiting"] == [picture]


def test_programs_label_too(integrator):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    url = "/api/v1/datasets/flange/labels"
    done = integrator.put(url, params={"picture": picture}, json={"labels": [CHIP]})
    assert done.json()["defects"] == {"chip": 1, "crack": 0}
    assert integrator.put(url, params={"picture": "../x.jpg"}, json={"labels": []}).status_code == 404


def test_a_model_guesses_what_is_on_a_picture_and_nothing_of_it_is_a_label(station, integrator):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    drawn = a_part(1, defective=True).truth
    asked = {"picture": picture, "model": "part-surface"}
    guess = integrator.get("/api/v1/datasets/flange/guess", params=asked).json()
    assert (guess["model"], guess["version"]) == (PART, latest(PART).name)
    assert {one["kind"] for one in guess["labels"]} == {one.kind for one in drawn} & {"chip", "crack"}
    assert integrator.get("/api/v1/datasets/flange").json()["waiting"] == [picture]
    assert DataSets.of_plant().truth("flange", picture).truth == ()


@pytest.mark.parametrize(
    "asked", [{"model": "nobodys-model"}, {"picture": "../x.jpg"}, {"model": "../../part-surface"}]
)
def test_of_what_is_not_there_there_is_no_guess(integrator, asked):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    answer = integrator.get(
        "/api/v1/datasets/flange/guess", params={"picture": picture, "model": "part-surface"} | asked
    )
    assert answer.status_code in (404, 422)


def test_a_model_that_finds_none_of_the_sets_kinds_is_not_offered(integrator):
    made = integrator.post("/datasets", data={"name": "coil", "kinds": ["scratch"]})
    assert made.status_code == 303
    (picture,) = gets_pictures(integrator, 1, name="coil")
    page = integrator.get("/datasets/coil/label", params={"picture": picture}).text
    assert "strip-surface" in page
    assert "part-surface" not in page


def test_what_a_person_took_of_a_guess_is_in_the_audit(station, integrator):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    sent = {"labels": json.dumps([CHIP]), "guessed_by": "part-surface 1.0.0"}
    assert integrator.post("/datasets/flange/label", params={"picture": picture}, data=sent).is_redirect
    labelled = Accounts(station.store).audit(limit=1)[0]
    assert labelled.after == {"picture": picture, "defects": 1, "guessed_by": "part-surface 1.0.0"}


def a_picture_of(number: int) -> bytes:
    return cv2.imencode(".png", a_part(number, defective=False).pixels)[1].tobytes()


PIT = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
PARTS = ("train", "valid", "test")


def in_three_tables(**changed: bytes) -> bytes:
    """As Roboflow packs COCO: what teaches, chooses and judges, each in a folder with its table."""
    tables = {part: a_table(annotations=[PIT]) for part in PARTS} | changed
    return zipped(
        {f"{part}/_annotations.coco.json": table for part, table in tables.items()}
        | {f"{part}/a.png": a_picture_of(number) for number, part in enumerate(PARTS)}
    )


def test_a_set_that_comes_in_several_coco_tables_is_taken_whole(integrator):
    found = DataSets.of_plant().bring_in("parted", in_three_tables())
    assert [one.name for one in found.all_labelled().pictures] == [
        "images/test/a.png",
        "images/train/a.png",
        "images/valid/a.png",
    ]
    assert found.balance["kinds"] == {"pits": {"pictures": 3, "defects": 3}}


def test_coco_tables_of_other_categories_or_of_the_same_picture_are_refused_by_their_names(integrator):
    with pytest.raises(ArchiveUnfit, match=r"test/_ann.*, train/_ann.* have other categories"):
        DataSets.of_plant().bring_in("parted", in_three_tables(train=a_table(category="crack")))
    again = zipped({"a.json": a_table(), "b.json": a_table(annotations=[PIT]), "a.png": a_picture_of(1)})
    with pytest.raises(ArchiveUnfit, match=r"a\.png is in more than one of a\.json, b\.json"):
        DataSets.of_plant().bring_in("again", again)
    assert DataSets.of_plant().names() == ()


def test_of_two_yolo_folders_in_an_archive_none_is_left_out_silently(integrator):
    files = {
        f"{part}/{name}": data
        for part in PARTS
        for name, data in {"images/a.png": a_picture_of(1), "classes.txt": b"pits"}.items()
    }
    with pytest.raises(ArchiveUnfit, match=r"test/classes\.txt, train/classes\.txt, valid/classes\.txt"):
        DataSets.of_plant().bring_in("parted", zipped(files))


@pytest.mark.parametrize(
    "files",
    [
        # As Label Studio exports YOLO, with what it notes of the export.
        {
            "images/a.png": a_picture_of(1),
            "labels/a.txt": b"0 0.5 0.5 0.2 0.2",
            "classes.txt": b"pits",
            "notes.json": b'{"categories": [{"id": 0, "name": "pits"}], "info": {"year": 2026}}',
        },
        # As a Mac packs what lies in a folder.
        {
            "set/a.png": a_picture_of(1),
            "set/coco.json": json.dumps(
                {
                    "images": [{"id": 1, "file_name": "a.png"}],
                    "annotations": [PIT],
                    "categories": [{"id": 1, "name": "pits"}],
                }
            ).encode(),
            "__MACOSX/set/._coco.json": b"\0\5\x16\7\0\2\0\0Mac OS X        \x9f\xff",
            "set/._coco.json": b"\0\5\x16\7\0\2\0\0Mac OS X        \x9f\xff",
        },
    ],
    ids=["Label Studio", "Mac"],
)
def test_what_tools_put_beside_labels_keeps_no_set_out(integrator, files):
    found = DataSets.of_plant().bring_in("tool", zipped(files))
    assert found.balance["kinds"] == {"pits": {"pictures": 1, "defects": 1}}
    assert found.waiting == ()


def test_of_a_set_that_is_brought_in_a_picture_without_a_label_file_waits_and_one_with_an_empty_file_is_good(
    integrator,
):
    files = {
        "images/marked.png": a_picture_of(1),
        "images/good.png": a_picture_of(2),
        "images/sub/images/unseen.png": a_picture_of(3),
        "labels/marked.txt": b"0 0.5 0.5 0.2 0.2",
        "labels/good.txt": b"",
        "classes.txt": b"pits",
    }
    found = DataSets.of_plant().bring_in("half", zipped(files))
    assert (found.balance["pictures"], found.balance["good"]) == (2, 1)
    (waits,) = found.waiting
    DataSets.of_plant().label("half", waits, [])
    assert DataSets.of_plant().find("half").waiting == ()


def test_a_set_is_there_only_once_all_of_it_is(integrator, tmp_path):
    """A disk that is full half-way leaves no set, and the name can be given again."""
    data = in_three_tables()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        with pytest.raises(OSError, match="too large"):
            DataSets.of_plant().bring_in("parted", data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list((tmp_path / "datasets").iterdir()) == []
    assert len(DataSets.of_plant().bring_in("parted", data).pictures) == 3


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(integrator, tmp_path, name):
    picture = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    with pytest.raises(ArchiveUnfit):
        DataSets.of_plant().bring_in("evil", zipped({name: picture}))
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(("name", "most"), [("MOST_UNPACKED", 1000), ("MOST_FILES", 1)])
def test_an_archive_that_unpacks_to_more_than_is_allowed_is_refused_before_it_is(
    integrator, monkeypatch, name, most
):
    monkeypatch.setattr(f"services.datasets.{name}", most)
    with pytest.raises(ArchiveUnfit, match="unpacked"):
        DataSets.of_plant().bring_in("much", zipped({"images/a.png": bytes(2000), "images/b.png": b""}))


@pytest.mark.parametrize("packed_by", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_whose_data_are_spoilt_or_packed_otherwise_is_refused(integrator, packed_by):
    picture = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed_by) as archive:
        archive.writestr("images/a.png", picture)
    data = bytearray(made.getvalue())
    data[200:260] = b"\xff" * 60
    with pytest.raises(ArchiveUnfit):
        DataSets.of_plant().bring_in("spoilt", bytes(data))


def test_what_is_no_archive_is_refused_with_its_reason(integrator):
    sent = integrator.post(
        "/datasets/bring-in", data={"name": "x"}, files={"archive": ("a.zip", b"PK not", "application/zip")}
    )
    assert (sent.status_code, "SVC-ARCHIVE-UNFIT" in sent.text) == (422, True)


def test_more_marks_than_are_kept_are_refused_not_cut_short(integrator):
    has_a_set(integrator)
    (picture,) = gets_pictures(integrator, 1)
    assert labels(integrator, picture, *[CHIP] * 501).status_code == 422
    assert integrator.get("/api/v1/datasets/flange").json()["waiting"] == [picture]


def a_table(*, images: object = None, annotations: object = (), category: str = "pits") -> bytes:
    images = [{"id": 1, "file_name": "a.png"}] if images is None else images
    told = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": category}]}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    "files",
    [
        {"c.json": a_table(images=[{"id": 1, "file_name": "../../stolen.png"}])},
        {"c.json": a_table(images=[{"id": 1, "file_name": "{inside}/stolen.png"}])},
        {"c.json": a_table(images=[{"id": 1}])},
        {"c.json": a_table(images=[7])},
        {"c.json": a_table(images=[{"id": 1, "file_name": "missing.png"}])},
        {"c.json": a_table(annotations=[{"image_id": 1, "category_id": [1], "bbox": [1, 2, 3, 4]}])},
        {"c.json": a_table(annotations=[{**PIT, "segmentation": [[-3, 10, 30, 10, 30, 30]]}])},
        {"c.json": b"[" * 100_000},
        {"labels/a.txt": b"\xff\xfe0 0.5 0.5 0.1 0.1", "classes.txt": b"pits"},
    ],
    ids=[
        "up",
        "absolute",
        "no name",
        "no picture",
        "a missing picture",
        "class of lists",
        "an outline outside",
        "deep",
        "no text",
    ],
)
def test_labels_that_cannot_be_right_are_refused_with_their_place_and_leave_nothing(
    integrator, tmp_path, files
):
    picture = cv2.imencode(".png", a_part(1, defective=False).pixels)[1].tobytes()
    (tmp_path / "stolen.png").write_bytes(picture)
    named = {name: data.replace(b"{inside}", str(tmp_path).encode()) for name, data in files.items()}
    data = zipped({"images/a.png": picture, **named})
    sent = integrator.post(
        "/datasets/bring-in", data={"name": "bad"}, files={"archive": ("a.zip", data, "application/zip")}
    )
    assert (sent.status_code, "MOD-LABELS-WRONG" in sent.text) == (422, True)
    # Nor where the station unpacks what it is sent.
    assert tempfile.gettempdir() not in sent.text.replace(str(tmp_path), "")
    assert integrator.get("/api/v1/datasets/bad").status_code == 404
    assert not list((tmp_path / "datasets").rglob("*"))
    assert integrator.get("/datasets").status_code == 200


@pytest.mark.parametrize(
    "files",
    [
        {f"{'a' * 300}.txt": b""},
        {f"{'a' * 100}/" * 40 + "a.txt": b""},
        {"é.txt": b""},
        {"c.json": a_table(images=[{"id": 1, "file_name": f"{'a' * 300}.png"}])},
        {"c.json": a_table(images=[{"id": 1, "file_name": "\ud800.png"}])},
    ],
    ids=["long", "deep", "no UTF-8", "long in the table", "half a surrogate pair in the table"],
)
def test_an_archive_with_a_name_that_no_file_can_have_is_refused(integrator, tmp_path, files):
    picture = cv2.imencode(".png", a_part(1, defective=True).pixels)[1].tobytes()
    data = zipped({**files, "images/a.png": picture}).replace("é".encode(), b"\xff\xfe")
    sent = integrator.post(
        "/datasets/bring-in", data={"name": "bad"}, files={"archive": ("a.zip", data, "application/zip")}
    )
    assert (sent.status_code, "SVC-ARCHIVE-UNFIT" in sent.text) == (422, True)
    assert not (tmp_path / "datasets" / "bad").exists()


def test_pictures_of_which_one_cannot_be_read_are_all_refused(station, integrator):
    has_a_set(integrator)
    files = [
        ("pictures", ("a.jpg", jpeg_of(a_part(3, defective=True)), "image/jpeg")),
        ("pictures", ("b.jpg", b"junk", "image/jpeg")),
    ]
    assert integrator.post("/datasets/flange/pictures", files=files).status_code == 422
    assert integrator.get("/api/v1/datasets/flange").json()["waiting"] == []
    acts = [one.action for one in Accounts(station.store).audit(limit=10, subject="dataset:flange")]
    assert acts == ["dataset.made"]


@pytest.mark.parametrize(
    "files",
    [
        {"a.txt": b"a file and a folder at once", "a.txt/b.txt": b""},
        {"classes.txt": b"pits"},
        {"notes.txt": b"nothing else"},
    ],
    ids=["file and folder", "no picture", "no classes"],
)
def test_a_refused_archive_says_nothing_of_the_stations_own_folders(integrator, files):
    sent = integrator.post(
        "/datasets/bring-in",
        data={"name": "bad"},
        files={"archive": ("a.zip", zipped(files), "application/zip")},
    )
    assert sent.status_code == 422
    assert tempfile.gettempdir() not in sent.text


def test_a_set_is_not_made_twice(integrator):
    has_a_set(integrator)
    assert integrator.post("/datasets", data={"name": "flange", "kinds": ["chip"]}).status_code == 422
