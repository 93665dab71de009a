"""Labels go into every format and come back the same; what cannot be right is refused with its place."""

from __future__ import annotations

import json
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.types import Box
from models.errors import LabelsWrong, TrainingDataMissing
from models.labels import (
    LabelledFile,
    LabelledSet,
    Truth,
    read_class_folders,
    read_coco,
    read_voc,
    read_yolo,
    set_apart,
    write_class_folders,
    write_coco,
    write_label,
    write_labels,
    write_voc,
    write_yolo,
)
from tests.where import shared

WIDTH, HEIGHT = 120, 80
KINDS = ("scratch", "pits", "crack")


def truths(whole_px):
    side = st.integers if whole_px else lambda low, high: st.floats(low, high, width=32)

    @st.composite
    def one(draw):
        x1, y1 = draw(side(0, WIDTH - 10)), draw(side(0, HEIGHT - 10))
        x2, y2 = draw(side(int(x1) + 5, WIDTH)), draw(side(int(y1) + 5, HEIGHT))
        box = Box(x1, y1, x2, y2)
        outline = ((x1, y1), (x2, y1), (x2, y2), (x1, y2)) if not whole_px and draw(st.booleans()) else ()
        return Truth(kind=draw(st.sampled_from(KINDS)), box_px=box, outline_px=outline)

    return st.lists(st.lists(one(), max_size=4), min_size=1, max_size=4)


def a_set(folder: Path, given_truths) -> LabelledSet:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, truth in enumerate(given_truths):
        name = f"images/{number:03}.png"
        cv2.imwrite(str(folder / name), np.full((HEIGHT, WIDTH), number, np.uint8))
        pictures.append(LabelledFile(name=name, width_px=WIDTH, height_px=HEIGHT, truth=tuple(truth)))
    return LabelledSet(folder=folder, kinds=KINDS, pictures=tuple(pictures))


def same(one: LabelledSet, other: LabelledSet, *, outlines: bool = True, within_px: float = 1e-3) -> None:
    assert len(one.pictures) == len(other.pictures)
    for mine, theirs in zip(one.pictures, other.pictures, strict=True):
        assert (mine.width_px, mine.height_px) == (theirs.width_px, theirs.height_px)
        assert [t.kind for t in mine.truth] == [t.kind for t in theirs.truth]
        for a, b in zip(mine.truth, theirs.truth, strict=True):
            assert (a.box_px.x1, a.box_px.y1, a.box_px.x2, a.box_px.y2) == pytest.approx(
                (b.box_px.x1, b.box_px.y1, b.box_px.x2, b.box_px.y2), abs=within_px
            )
            if outlines:
                assert np.array(a.outline_px) == pytest.approx(np.array(b.outline_px), abs=within_px)


SEVERAL = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SEVERAL
@given(truths(whole_px=False))
def test_yolo_boxes_and_outlines_come_back_the_same_with_pictures_without_a_defect(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder / "in", told)
    write_yolo(before, folder / "out")
    after = read_yolo(folder / "out")
    assert after.kinds == KINDS
    same(before, after)


@SEVERAL
@given(truths(whole_px=False))
def test_coco_comes_back_the_same(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder, told)
    write_coco(before, folder / "coco.json")
    same(before, read_coco(folder / "coco.json", folder))


@SEVERAL
@given(truths(whole_px=True))
def test_voc_comes_back_the_same_in_whole_px(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder / "in", told)
    write_voc(before, folder / "out")
    same(before, read_voc(folder / "out"), outlines=False, within_px=0)


def test_class_folders_come_back_the_same_with_good_ones(tmp_path):
    whole = Truth(kind="crack", box_px=Box(0, 0, WIDTH, HEIGHT))
    before = a_set(tmp_path / "in", [[whole], [], [whole]])
    write_class_folders(before, tmp_path / "out")
    after = read_class_folders(tmp_path / "out")
    assert {one.name: one.kinds for one in after.pictures} == {
        "crack/000.png": ("crack",),
        "crack/002.png": ("crack",),
        "good/001.png": (),
    }


def test_a_picture_with_two_kinds_has_no_class_folder(tmp_path):
    two = [Truth(kind="crack", box_px=Box(0, 0, 5, 5)), Truth(kind="pits", box_px=Box(9, 9, 19, 19))]
    with pytest.raises(LabelsWrong, match="crack, pits"):
        write_class_folders(a_set(tmp_path, [two]), tmp_path / "out")


def yolo_with(folder, label):
    written = a_set(folder / "in", [[], []])
    write_yolo(written, folder / "out")
    (folder / "out" / "labels" / "001.txt").write_text(label)
    return folder / "out"


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("0 0.95 0.5 0.3 0.2", "outside of the picture of 120 x 80 px"),
        ("7 0.5 0.5 0.1 0.1", "class 7 of 3"),
        ("-1 0.5 0.5 0.1 0.1", "neither a box nor an outline"),
        ("0 0.5 0.5 0.1", "neither a box nor an outline"),
        ("scratch 0.5 0.5 0.1 0.1", "no numbers"),
        ("0 0.5 0.5 0 0.1", "no area"),
        ("0 nan 0.5 0.1 0.1", "outside"),
        ("0 0.1 0.1 0.5 0.1 0.5 nan", "no number"),
        ("0 -0.02 0.1 0.5 0.1 0.5 0.4", "outside of the picture of 120 x 80 px"),
    ],
)
def test_a_label_that_cannot_be_right_is_refused_with_its_line(tmp_path, label, told):
    with pytest.raises(LabelsWrong, match=told) as refusal:
        read_yolo(yolo_with(tmp_path, f"0 0.5 0.5 0.1 0.1\n{label}\n"))
    assert "001.txt, 2:" in str(refusal.value.facts["mistakes"])


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(LabelsWrong) as refusal:
        read_yolo(yolo_with(tmp_path, "9 0.5 0.5 0.1 0.1\n0 2 2 1 1\n"))
    assert refusal.value.facts["count"] == 2


def test_what_rounding_put_over_the_border_is_cut_there(tmp_path):
    found = read_yolo(yolo_with(tmp_path, "0 0.95 0.5 0.105 0.2\n"))
    assert found.pictures[1].truth[0].box_px.x2 == WIDTH


def test_an_outline_that_rounding_put_over_the_border_is_cut_there_as_a_box_is(tmp_path):
    found = read_yolo(yolo_with(tmp_path, "0 -0.005 0.1 1.005 0.1 0.5 0.4\n")).pictures[1].truth[0]
    across = [x for x, _ in found.outline_px]
    assert (min(across), max(across)) == (found.box_px.x1, found.box_px.x2) == (0, WIDTH)


@pytest.mark.parametrize(
    ("outline", "told"),
    [
        ([80, 10, 123, 10, 123, 30, 80, 30], "outside of the picture of 120 x 80 px"),
        ([10, 51, 70, 51, 40, 51], "no area"),
        ([10, 51, 70, 51, 40, float("inf")], "no number"),
    ],
)
def test_an_outline_of_coco_that_cannot_be_right_is_refused_though_its_box_is(tmp_path, outline, told):
    file = a_coco(tmp_path, lambda table: table["annotations"][0].update(segmentation=[outline]))
    with pytest.raises(LabelsWrong, match=told):
        read_coco(file, tmp_path)


def test_a_line_of_two_corners_is_no_outline_and_its_box_comes_back_the_same_from_yolo(tmp_path):
    line = [1, 1, 9, 9]
    file = a_coco(tmp_path, lambda table: table["annotations"][0].update(segmentation=[line]))
    before = read_coco(file, tmp_path)
    write_yolo(before, tmp_path / "out")
    after = read_yolo(tmp_path / "out")
    assert before.pictures[0].truth[0].outline_px == ()
    same(before, after)


def test_a_class_that_the_categories_have_not_is_refused(tmp_path):
    write_coco(a_set(tmp_path, [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))]]), tmp_path / "coco.json")
    told = json.loads((tmp_path / "coco.json").read_text())
    told["categories"] = told["categories"][:1]
    (tmp_path / "coco.json").write_text(json.dumps(told))
    with pytest.raises(LabelsWrong, match="not among the categories"):
        read_coco(tmp_path / "coco.json", tmp_path)


@pytest.mark.parametrize(
    "name", ["../elsewhere.png", "{}/elsewhere.png", "a/../../elsewhere.png", "..\\elsewhere.png", "a\0.png"]
)
def test_a_coco_table_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    inside = tmp_path / "set"
    inside.mkdir()
    write_coco(a_set(inside, [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))]]), inside / "coco.json")
    (picture,) = inside.rglob("*.png")
    (tmp_path / "elsewhere.png").write_bytes(picture.read_bytes())
    told = json.loads((inside / "coco.json").read_text())
    told["images"][0]["file_name"] = name.format(tmp_path)
    (inside / "coco.json").write_text(json.dumps(told))
    with pytest.raises(LabelsWrong, match="leads out"):
        read_coco(inside / "coco.json", inside)


def test_a_class_of_two_words_stays_one_class(tmp_path):
    truth = [[Truth(kind="oil-stain", box_px=Box(1, 1, 9, 9)), Truth(kind="pits", box_px=Box(2, 2, 8, 8))]]
    made = replace(a_set(tmp_path, truth), kinds=("oil-stain", "pits"))
    write_coco(made, tmp_path / "coco.json")
    told = json.loads((tmp_path / "coco.json").read_text())
    for one in told["categories"]:
        one["name"] = one["name"].replace("oil-stain", "Oil stain")
    (tmp_path / "coco.json").write_text(json.dumps(told))
    read = read_coco(tmp_path / "coco.json", tmp_path)
    write_yolo(read, tmp_path / "yolo")
    (picture,) = read_yolo(tmp_path / "yolo").pictures
    assert [one.kind for one in picture.truth] == ["oil-stain", "pits"]


def test_an_empty_folder_is_no_set(tmp_path):
    for read in (read_voc, read_class_folders):
        with pytest.raises(TrainingDataMissing):
            read(tmp_path)
    (tmp_path / "classes.txt").write_text("pits\n")
    with pytest.raises(TrainingDataMissing):
        read_yolo(tmp_path)


def test_a_picture_cut_short_is_named(tmp_path):
    folder = yolo_with(tmp_path, "")
    (folder / "images" / "000.png").write_bytes(b"\x89PNG")
    with pytest.raises(LabelsWrong, match=r"000\.png"):
        read_yolo(folder)


def test_a_list_may_not_lead_out_of_its_folder(tmp_path):
    folder = yolo_with(tmp_path, "")
    (folder / "some.txt").write_text("../in/images/000.png\n")
    with pytest.raises(LabelsWrong, match="outside"):
        read_yolo(folder, folder / "some.txt")


def test_labels_with_a_document_type_are_not_read(tmp_path):
    write_voc(a_set(tmp_path / "in", [[]]), tmp_path / "out")
    (tmp_path / "out" / "Annotations" / "000.xml").write_text('<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>')
    with pytest.raises(LabelsWrong, match="document types"):
        read_voc(tmp_path / "out")


def test_the_strip_set_says_the_same_in_yolo_and_in_voc():
    """The public set came as VOC; our copy has both."""
    folder = shared("data/neu_det")
    found = read_yolo(folder, folder / "val.txt")
    assert len(found.pictures) == 288
    assert found.kinds == ("crazing", "inclusion", "patch", "pits", "scale", "scratch")


CRACK = Truth(kind="crack", box_px=Box(0, 0, WIDTH, HEIGHT))


def named(folder: Path, **truths: list[Truth]) -> LabelledSet:
    """A set whose pictures have these names, `_of_` for a slash and `_dot_` for a dot."""
    pictures = []
    for number, (word, truth) in enumerate(truths.items()):
        name = f"images/{word.replace('_of_', '/').replace('_dot_', '.')}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((HEIGHT, WIDTH), 10 * number, np.uint8))
        pictures.append(LabelledFile(name=name, width_px=WIDTH, height_px=HEIGHT, truth=tuple(truth)))
    return LabelledSet(folder=folder, kinds=("crack",), pictures=tuple(pictures))


def kept(labelled: LabelledSet) -> list[tuple[int, tuple[str, ...]]]:
    """The grey level of each picture, which tells it from the others, and its kinds."""
    return sorted(
        (round(float(cv2.imread(str(labelled.file(one))).mean()), -1), one.kinds) for one in labelled.pictures
    )


FORMATS = {
    "yolo": (write_yolo, read_yolo),
    "voc": (write_voc, read_voc),
    "classes": (write_class_folders, read_class_folders),
}


@pytest.mark.parametrize("format", FORMATS)
def test_pictures_of_one_name_in_several_folders_or_with_several_suffixes_are_all_kept(tmp_path, format):
    made = named(
        tmp_path / "in",
        a_of_1_dot_jpg=[CRACK],
        b_of_1_dot_jpg=[],
        p_dot_jpg=[CRACK],
        p_dot_png=[],
        images_of_p_dot_png=[CRACK],
    )
    write, read = FORMATS[format]
    write(made, tmp_path / "out")
    assert kept(read(tmp_path / "out")) == kept(made)


@pytest.mark.parametrize("format", FORMATS)
def test_pictures_that_differ_only_by_the_folder_images_are_all_kept(tmp_path, format):
    made = named(tmp_path / "in", _of_1_dot_png=[CRACK], _of_2_dot_png=[])
    (tmp_path / "in" / "1.png").write_bytes((tmp_path / "in" / "images" / "2.png").read_bytes())
    outside = replace(made.pictures[1], name="1.png")
    made = replace(made, pictures=(replace(made.pictures[0], name="images/1.png"), outside))
    write, read = FORMATS[format]
    write(made, tmp_path / "out")
    assert kept(read(tmp_path / "out")) == kept(made)


@given(st.lists(st.sampled_from(["p.jpg", "p.png", "P.png", "p-2.jpg", "a/p.jpg", "p.2.jpg"]), max_size=8))
def test_names_set_apart_are_apart_and_keep_their_order_and_suffix(names):
    apart = set_apart(map(PurePosixPath, names))
    assert len({str(one.with_suffix("")).casefold() for one in apart}) == len(names)
    assert [(one.suffix, one.parent) for one in apart] == [
        (PurePosixPath(name).suffix, PurePosixPath(name).parent) for name in names
    ]


def test_where_the_disk_is_full_the_former_labels_stay_and_nothing_is_left_beside_them(tmp_path):
    made = named(tmp_path, p_dot_png=[CRACK])
    write_labels(made)
    there = sorted(tmp_path.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with pytest.raises(OSError, match="too large"):
            write_label(tmp_path, made.kinds, replace(made.pictures[0], truth=(CRACK, CRACK)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [one.kinds for one in read_yolo(tmp_path).pictures] == [("crack",)]
    assert sorted(tmp_path.rglob("*")) == there


def test_who_reads_while_labels_are_written_never_finds_a_defective_picture_good(tmp_path):
    made = named(tmp_path, p_dot_png=[CRACK])
    write_labels(made)
    with ThreadPoolExecutor() as people:
        writing = [people.submit(write_labels, made) for _ in range(100)]
        seen = set()
        while not all(one.done() for one in writing):
            seen.add(read_yolo(tmp_path).pictures[0].kinds)
        for one in writing:
            one.result()
    assert seen == {("crack",)}


def test_labels_are_not_written_where_two_pictures_would_share_them(tmp_path):
    made = named(tmp_path, p_dot_jpg=[CRACK], p_dot_png=[])
    with pytest.raises(LabelsWrong, match=r"images/p\.jpg and of images/p\.png"):
        write_labels(made)
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("kind", ["../../escaped", "/escaped", "a/b", "a\\b", "c:a", "..", "ok"])
def test_a_kind_that_no_folder_can_be_called_is_refused_and_nothing_is_written(tmp_path, kind):
    made = a_set(tmp_path / "in", [[Truth(kind=kind, box_px=Box(1, 1, 9, 9))]])
    with pytest.raises(LabelsWrong, match="no name for a folder"):
        write_class_folders(replace(made, kinds=(kind,)), tmp_path / "in" / "deep" / "out")
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["000.png", "images", "in"]


def a_coco(folder: Path, change) -> Path:
    write_coco(a_set(folder, [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))], []]), folder / "coco.json")
    told = json.loads((folder / "coco.json").read_text())
    change(told)
    (folder / "coco.json").write_text(json.dumps(told))
    return folder / "coco.json"


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\u200bb"])
def test_a_category_without_a_name_or_with_what_nobody_sees_is_refused(tmp_path, name):
    with pytest.raises(LabelsWrong, match="no name of a class"):
        read_coco(a_coco(tmp_path, lambda told: told["categories"][0].update(name=name)), tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"file_name": "images/000.png"}, "a picture of the table already"),
        ({"file_name": "./images//000.png"}, "a picture of the table already"),
        ({"id": 1}, "the number of more than one picture"),
    ],
)
def test_a_coco_table_that_names_or_numbers_a_picture_twice_is_refused(tmp_path, change, told):
    with pytest.raises(LabelsWrong, match=told):
        read_coco(a_coco(tmp_path, lambda table: table["images"][1].update(change)), tmp_path)


def test_a_picture_that_no_folder_would_be_searched_for_is_refused_with_its_name(tmp_path):
    file = a_coco(tmp_path, lambda told: told["images"][1].update(file_name="images/001.dat"))
    (tmp_path / "images" / "001.png").rename(tmp_path / "images" / "001.dat")
    with pytest.raises(LabelsWrong, match=r"001\.dat"):
        read_coco(file, tmp_path)


@pytest.mark.parametrize("through_a_link", [False, True])
@pytest.mark.parametrize("is_relative", [False, True])
def test_a_list_may_name_pictures_absolutely_whatever_way_leads_to_the_set(
    tmp_path, monkeypatch, through_a_link, is_relative
):
    folder = yolo_with(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    (folder / "some.txt").write_text(f"{folder}/images/000.png\nimages/001.png\n")
    (tmp_path / "link").symlink_to(folder)
    given_folder = tmp_path / "link" if through_a_link else folder
    if is_relative:
        given_folder = given_folder.relative_to(tmp_path)
    found = read_yolo(given_folder, folder / "some.txt")
    assert [one.name for one in found.pictures] == ["images/000.png", "images/001.png"]
    assert found.listed_twice == 0


def test_a_picture_that_is_listed_more_than_once_counts_once(tmp_path):
    folder = yolo_with(tmp_path, "")
    same = ["images/000.png", "images/../images/000.png", "./images/000.png", f"{folder}/images/000.png"]
    (folder / "some.txt").write_text("\n".join([*same, "images/001.png"]))
    found = read_yolo(folder, folder / "some.txt")
    assert [one.name for one in found.pictures] == ["images/000.png", "images/001.png"]
    assert found.listed_twice == 3


def test_a_listed_picture_that_is_a_link_to_another_keeps_its_own_labels(tmp_path):
    folder = yolo_with(tmp_path, "0 0.5 0.5 0.1 0.1\n")
    (folder / "images" / "000.png").unlink()
    (folder / "images" / "000.png").symlink_to("001.png")
    (folder / "some.txt").write_text(f"{folder}/images/000.png\n")
    assert read_yolo(folder, folder / "some.txt").pictures[0].truth == ()


@pytest.mark.parametrize("line", ["a\0.png", "/".join(["x" * 300] * 30)])
def test_a_line_of_a_list_that_is_no_path_is_refused(tmp_path, line):
    folder = yolo_with(tmp_path, "")
    (folder / "some.txt").write_text(f"images/000.png\n{line}\n")
    with pytest.raises(LabelsWrong):
        read_yolo(folder, folder / "some.txt")


def test_a_class_of_several_words_does_not_shift_the_numbers_of_those_behind_it(tmp_path):
    folder = yolo_with(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    (folder / "classes.txt").write_text("\ufeffrolled in scale\r\npits\r\ncrack\r\n\r\n", encoding="utf-8")
    found = read_yolo(folder)
    assert found.kinds == ("rolled-in-scale", "pits", "crack")
    assert found.pictures[1].kinds == ("pits",)


def test_classes_in_one_line_are_parted_by_blanks(tmp_path):
    folder = yolo_with(tmp_path, "1 0.5 0.5 0.1 0.1\n")
    (folder / "classes.txt").write_text("scratch pits crack\n")
    assert read_yolo(folder).kinds == KINDS


def test_an_empty_line_among_the_classes_is_refused_with_its_number(tmp_path):
    folder = yolo_with(tmp_path, "")
    (folder / "classes.txt").write_text("scratch\n\npits\n")
    with pytest.raises(LabelsWrong, match=r"classes\.txt, 2: no name"):
        read_yolo(folder)


@pytest.mark.parametrize("file", ["classes.txt", "labels/001.txt", "some.txt"])
def test_text_that_is_no_utf8_is_refused_with_file_and_line(tmp_path, file):
    folder = yolo_with(tmp_path, "")
    (folder / "some.txt").write_text("images/001.png\n")
    (folder / file).write_bytes(b"pits\n" + "划伤".encode("gbk"))
    with pytest.raises(LabelsWrong, match=rf"{Path(file).name}, 2: no UTF-8"):
        read_yolo(folder, folder / "some.txt")


def test_labels_that_begin_with_a_byte_order_mark_are_read(tmp_path):
    assert read_yolo(yolo_with(tmp_path, "\ufeff0 0.5 0.5 0.1 0.1\n")).pictures[1].kinds == ("scratch",)


def voc_with(folder: Path, data: bytes) -> Path:
    write_voc(a_set(folder / "in", [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))]]), folder / "out")
    (folder / "out" / "Annotations" / "000.xml").write_bytes(data)
    return folder / "out"


XML = """<?xml version="1.0" encoding="{}"?>
<annotation><object><name>划伤</name>
<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"""


@pytest.mark.parametrize("encoding", ["GBK", "gb18030", "utf-8", "utf-16"])
def test_voc_is_read_in_the_encoding_it_says_it_has(tmp_path, encoding):
    assert read_voc(voc_with(tmp_path, XML.format(encoding).encode(encoding))).kinds == ("划伤",)


@pytest.mark.parametrize(
    ("declared", "encoding", "told"),
    [("utf-8", "gbk", "000.xml, 2: no utf-8"), ("klingon", "utf-8", "klingon"), ("zip", "utf-8", "zip")],
)
def test_voc_in_another_encoding_than_it_says_is_refused_with_its_place(tmp_path, declared, encoding, told):
    with pytest.raises(LabelsWrong, match=told):
        read_voc(voc_with(tmp_path, XML.format(declared).encode(encoding)))


def test_a_document_type_is_not_read_in_any_encoding(tmp_path):
    text = '<?xml version="1.0" encoding="utf-7"?><!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'
    with pytest.raises(LabelsWrong, match="document types"):
        read_voc(voc_with(tmp_path, text.replace("<!D", "+ADwAIQ-D").encode("ascii")))


def test_a_voc_object_without_a_name_is_refused_with_its_place(tmp_path):
    with pytest.raises(LabelsWrong, match=r"000\.xml, 1: an object without a name"):
        read_voc(voc_with(tmp_path, XML.format("utf-8").replace("划伤", "").encode()))
