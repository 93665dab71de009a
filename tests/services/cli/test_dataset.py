from __future__ import annotations

import json
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspection.types import Box
from inspection.vision.drawing import PART_KINDS
from models.errors import LabelsWrong, SetUnfit
from models.labels import LabelledFile, LabelledSet, Truth, read_coco, read_yolo, write_yolo
from models.training.dataset import drawn_parts
from services.cli.dataset import dataset
from services.cli.options import OutputUnwritable
from tests.models.releases import PART
from tests.services.test_doubts import withheld
from traceability.images import ImageStore
from traceability.store import TraceStore

CORNERS = ((12.0, 12.0), (40.0, 16.0), (30.0, 44.0))


def does(*arguments, language="en"):
    result = CliRunner(env={"LYNCEUS_LANGUAGE": language, "COLUMNS": "200"}).invoke(
        dataset, [str(one) for one in arguments], standalone_mode=False
    )
    if result.exception is not None:
        raise result.exception
    return result


@pytest.fixture
def outlined(tmp_path) -> Path:
    """Twelve pictures of four coils, three with an outlined defect."""
    rng = np.random.default_rng(1)
    pictures = []
    for number in range(12):
        name = f"images/coil_{number // 3}_{number}.png"
        (tmp_path / "in" / "images").mkdir(parents=True, exist_ok=True)
        grain = cv2.resize(rng.integers(0, 255, (9, 9), np.uint8).astype(np.uint8), (64, 64))
        cv2.imwrite(str(tmp_path / "in" / name), grain)
        truth = (Truth(kind="scratch", box_px=Box(12, 12, 40, 44), outline_px=CORNERS),)
        pictures.append(
            LabelledFile(name=name, width_px=64, height_px=64, truth=truth if number % 4 == 0 else ())
        )
    made = LabelledSet(folder=tmp_path / "in", kinds=("scratch",), pictures=tuple(pictures))
    write_yolo(made, tmp_path / "set")
    return tmp_path / "set"


def test_outlines_and_good_pictures_go_to_coco_and_back_by_command(outlined, tmp_path):
    does("convert", outlined, tmp_path / "coco", "--from", "yolo", "--to", "coco")
    between = read_coco(tmp_path / "coco" / "coco.json", tmp_path / "coco")
    assert sum(bool(one.truth) for one in between.pictures) == 3
    told = does("convert", tmp_path / "coco", tmp_path / "back", "--from", "coco", "--to", "yolo").output
    assert "12 pictures, 3 defects" in told
    before, after = read_yolo(outlined), read_yolo(tmp_path / "back")
    assert [one.name for one in after.pictures] == [one.name for one in before.pictures]
    for one, other in zip(before.pictures, after.pictures, strict=True):
        assert len(one.truth) == len(other.truth)
        for mine, theirs in zip(one.truth, other.truth, strict=True):
            assert np.array(theirs.outline_px) == pytest.approx(np.array(mine.outline_px), abs=1e-3)


def test_a_set_is_written_over_by_no_command(outlined):
    with pytest.raises(SetUnfit, match="there already"):
        does("convert", outlined, outlined, "--from", "yolo", "--to", "coco")
    does("split", outlined, "--group", r"coil_(\d)_", "--share", "0.5")
    with pytest.raises(SetUnfit, match="there already"):
        does("split", outlined, "--group", r"coil_(\d)_", "--share", "0.5")


def test_a_coil_is_on_one_side_of_a_split(outlined):
    assert does("split", outlined, "--group", r"coil_(\d)_", "--share", "0.5").return_value == 0
    coils = [
        {name.split("_")[1] for name in (outlined / file).read_text().split()}
        for file in ("learn.txt", "judge.txt")
    ]
    assert coils[0] | coils[1] == {"0", "1", "2", "3"}
    assert not coils[0] & coils[1]
    assert len(read_yolo(outlined, outlined / "judge.txt").pictures) == 3 * len(coils[1])


def test_a_split_between_what_shows_the_same_is_told_as_a_leak(outlined):
    for number in range(4, 12):
        same = (outlined / "images" / "coil_0_0.png").read_bytes()
        (outlined / "images" / f"coil_{number // 3}_{number}.png").write_bytes(same)
    told = does("split", outlined, "--group", r"coil_\d_(\d+)", "--share", "0.5")
    assert told.return_value == 1
    assert "/256)" in told.output


def test_a_split_is_not_made_without_saying_what_belongs_together(outlined):
    with pytest.raises(click.UsageError):
        does("split", outlined)
    with pytest.raises(click.BadParameter):
        does("split", outlined, "--group", "coil")


def test_the_label_that_was_moved_to_another_place_is_the_first_in_doubt_with_its_picture(tmp_path):
    folder = tmp_path / "drawn"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("\n".join(PART_KINDS))
    for one in drawn_parts(77, range(6), defective_share=0.5):
        height, width = one.pixels.shape[:2]
        cv2.imwrite(str(folder / "images" / f"{one.name}.png"), one.pixels)
        lines = [
            f"{PART_KINDS.index(d.kind)} {(d.box_px.x1 + d.box_px.x2) / 2 / width} "
            f"{(d.box_px.y1 + d.box_px.y2) / 2 / height} {d.box_px.width / width} {d.box_px.height / height}\n"
            for d in one.truth
        ]
        (folder / "labels" / f"{one.name}.txt").write_text("".join(lines))
    good = folder / "labels" / "part_5.txt"
    good.write_text("0 0.05 0.05 0.04 0.04\n")
    told = json.loads(
        does("doubt", PART, "--data", folder, "--pictures", tmp_path / "shown", "--json").output
    )
    assert ("images/part_5.png", "not_seen") in [(one["picture"], one["what"]) for one in told]
    assert len(list((tmp_path / "shown").iterdir())) == len(told)
    assert "标注" in does("doubt", PART, "--data", folder, language="zh").output


def test_the_units_to_label_next_come_with_their_pictures(tmp_path):
    images = ImageStore(tmp_path / "pictures")
    data = cv2.imencode(".png", np.full((150, 100), 90, np.uint8))[1].tobytes()
    url = f"sqlite:///{tmp_path / 'lynceus.db'}"
    with TraceStore.open(url) as store:
        withheld(store, "P1", 0.52, sha256=images.put(data))
    told = does(
        "next", "--since", "2020-01-01", "--out", tmp_path / "out", "--pictures", tmp_path / "pictures",
        "--database", url,
    )  # fmt: skip
    assert "P1" in told.output
    (shown,) = (tmp_path / "out").iterdir()
    assert shown.read_bytes() == data


def a_picture(file: Path, grey: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((40, 40), grey, np.uint8))


@pytest.fixture
def coco(tmp_path) -> Path:
    """Four pictures of two names in two folders; two show a scratch."""
    names = ("a/1.jpg", "b/1.jpg", "p.jpg", "p.png")
    for number, name in enumerate(names):
        a_picture(tmp_path / "coco" / name, 50 * number)
    table = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 1, 20, 20]} for number in (0, 2)
        ],
        "categories": [{"id": 1, "name": "scratch"}],
    }
    (tmp_path / "coco" / "coco.json").write_text(json.dumps(table))
    return tmp_path / "coco"


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "classes"])
def test_pictures_of_one_name_keep_their_own_labels_into_every_format_and_back(coco, tmp_path, to):
    does("convert", coco, tmp_path / "out", "--from", "coco", "--to", to)
    told = does("convert", tmp_path / "out", tmp_path / "back", "--from", to, "--to", "yolo").output
    assert "4 pictures, 2 defects" in told
    back = read_yolo(tmp_path / "back")
    defective = {
        round(float(cv2.imread(str(back.file(one))).mean())): bool(one.truth) for one in back.pictures
    }
    assert defective == {0: True, 50: False, 100: True, 150: False}


@pytest.mark.parametrize("kind", ["../../escaped", "{}/escaped", "a\0b", ""])
def test_a_category_that_leads_out_of_the_folder_is_refused_and_nothing_is_written(coco, tmp_path, kind):
    table = json.loads((coco / "coco.json").read_text())
    table["categories"][0]["name"] = kind.format(tmp_path)
    (coco / "coco.json").write_text(json.dumps(table))
    with pytest.raises(LabelsWrong):
        does("convert", coco, tmp_path / "deep" / "er" / "out", "--from", "coco", "--to", "classes")
    assert [one.name for one in tmp_path.iterdir()] == ["coco"]


def test_a_set_that_cannot_be_written_is_refused_with_its_place(coco, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match="file/out"):
        does("convert", coco, tmp_path / "file" / "out", "--from", "coco", "--to", "yolo")


def test_a_share_that_is_no_number_is_called_wrongly(outlined):
    with pytest.raises(click.BadParameter):
        does("split", outlined, "--group", r"coil_(\d+)", "--share", "nan")
    assert not (outlined / "learn.txt").exists()
