from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspection.types import PictureRef, Verdict
from inspection.vision.drawing import PART_KINDS
from models.anomaly import KIND, write
from models.errors import SetUnfit, SignerUnknown, VersionTaken
from models.training.dataset import drawn_parts
from services.access import Access, RightMissing, SignInRefused
from services.cli.model import model
from services.cli.options import OutputUnwritable
from services.cli.signing import signs
from services.model_life import CandidateUnseen, ModelLife, NotSeenEnough, SecondPersonNeeded
from tests.builders import NOON, a_defect, an_inspection
from tests.models.networks import a_model, answering
from tests.models.releases import PART, STRIP
from tests.services.signed_in import PASSWORD, QUICK, adds
from traceability.accounts import Accounts, Role
from traceability.images import ImageStore
from traceability.reviews import Decision, Reviews
from traceability.store import TraceStore


def asked(*arguments, models, language="en"):
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "200", "LYNCEUS_MODELS": str(models)}
    result = CliRunner(env=environment).invoke(model, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def test_the_models_of_the_package_are_listed_with_what_their_licence_restricts(tmp_path):
    told = asked("list", models=tmp_path).output
    assert PART in told
    assert "research only" in told


def test_a_model_that_the_policy_refuses_is_listed_as_refused_and_the_others_still_are(tmp_path):
    (tmp_path / "policy.toml").write_text('refuse = ["research_only"]')
    by_name = {one["name"]: one for one in json.loads(asked("list", "--json", models=tmp_path).output)}
    assert by_name[STRIP]["refused"] == "MOD-LICENCE-REFUSED"
    assert by_name[PART]["task"] == "boxes"


def test_a_bundle_goes_from_one_plant_to_the_other_once_its_key_is_trusted(tmp_path):
    bundle, here, there = tmp_path / "part.lynceus", tmp_path / "here", tmp_path / "there"
    asked("export", PART, "--out", str(bundle), models=there)
    with pytest.raises(SignerUnknown) as refusal:
        asked("import", str(bundle), models=here)
    assert "供应商" in asked("trust", refusal.value.facts["key"], "供应商", models=here).output


def test_a_name_that_comes_with_the_package_is_not_brought_in_again(tmp_path):
    bundle = tmp_path / "part.lynceus"
    asked("export", PART, "--out", str(bundle), models=tmp_path)
    with pytest.raises(VersionTaken, match="comes with Lynceus"):
        asked("import", str(bundle), models=tmp_path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Four parts with defects and four without, as drawn for the model that comes with the package."""
    folder = tmp_path_factory.mktemp("drawn")
    pictures = list(drawn_parts(77, range(8), defective_share=0.5))
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("\n".join(PART_KINDS))
    for one in pictures:
        cv2.imwrite(str(folder / "images" / f"{one.name}.png"), one.pixels)
        height, width = one.pixels.shape[:2]
        lines = [
            f"{PART_KINDS.index(t.kind)} {(t.box_px.x1 + t.box_px.x2) / 2 / width} "
            f"{(t.box_px.y1 + t.box_px.y2) / 2 / height} {t.box_px.width / width} {t.box_px.height / height}\n"
            for t in one.truth
        ]
        (folder / "labels" / f"{one.name}.txt").write_text("".join(lines))
    (folder / "four.txt").write_text("".join(f"images/part_{n}.png\n" for n in (0, 1, 6, 7)))
    rows = "".join(f"part_{n}.png,{'dark' if n % 2 else 'bright'}\n" for n in range(8))
    (folder / "images.csv").write_text(f"file,light\n{rows}")
    return folder


def test_an_outside_scorer_gets_every_picture_with_its_truth_and_its_detections(drawn, tmp_path):
    told = asked("evaluate", PART, "--data", str(drawn), "--list", "four.txt", "--json", models=tmp_path)
    found = json.loads(told.output)
    assert [one["file"] for one in found["images"]] == [f"images/part_{n}.png" for n in (0, 1, 6, 7)]
    assert found["pictures"]["defective"] == found["pictures"]["clean"] == 2
    assert found["images"][0]["truth"]
    assert not found["images"][2]["truth"]
    scores = [one["score"] for image in found["images"] for one in image["detections"]]
    assert scores
    assert min(scores) >= found["lowest_score"] == 0.001
    assert found["images"][0]["score"] == max(one["score"] for one in found["images"][0]["detections"])
    assert found["units"]["auroc"] == 1.0
    assert found["precision"]["map50"] > 0.5


def test_escapes_are_counted_by_light_and_priced(drawn, tmp_path):
    told = asked(
        "evaluate",
        PART,
        "--data",
        str(drawn),
        "--by",
        "light",
        "--escape-costs",
        "40",
        "--json",
        models=tmp_path,
    )
    found = json.loads(told.output)
    assert {light: one["defective"] + one["clean"] for light, one in found["by"].items()} == {
        "dark": 4,
        "bright": 4,
    }
    assert found["price"]["cost_of_a_unit"] <= found["price"]["cost_of_a_unit_by_card"]


def test_what_another_threshold_would_judge_otherwise_is_shown_in_pictures(drawn, tmp_path):
    flips = tmp_path / "flips"
    priced = ("evaluate", PART, "--data", str(drawn), "--flips", str(flips), "--json")
    with pytest.raises(click.UsageError, match="--escape-costs"):
        asked(*priced, models=tmp_path)
    # Where an escape costs nothing, no unit is worth stopping: all that the card reports now escape.
    told = asked(*priced, "--escape-costs", "0", models=tmp_path)
    units = [one["unit"] for one in json.loads(told.output)["price"]["flips"]]
    assert units
    named = [f"{number:03}_escapes_{Path(unit).stem}.png" for number, unit in enumerate(units, 1)]
    assert sorted(file.name for file in flips.iterdir()) == named
    plain = cv2.imread(str(drawn / units[0]))
    shown = cv2.imread(str(flips / named[0]))
    assert shown.shape == plain.shape
    assert (shown != plain).any()
    with pytest.raises(SetUnfit, match="there already"):
        asked(*priced, "--escape-costs", "0", models=tmp_path)


def test_a_model_is_no_worse_than_itself(drawn, tmp_path):
    told = asked(
        "evaluate",
        PART,
        "--data",
        str(drawn),
        "--list",
        "four.txt",
        "--against",
        PART,
        models=tmp_path,
        language="zh",
    )
    assert told.return_value == 0
    assert "McNemar" in told.output


def test_a_set_of_other_kinds_is_refused_with_both_lists(drawn, tmp_path):
    with pytest.raises(SetUnfit, match="scratch"):
        asked("evaluate", STRIP, "--data", str(drawn), models=tmp_path)


def test_a_class_of_the_set_is_a_kind_where_it_is_said(drawn, tmp_path):
    kind = PART_KINDS[0]
    told = asked(
        "evaluate",
        STRIP,
        "--data",
        str(drawn),
        "--list",
        "four.txt",
        "--as",
        f"{kind}=pits",
        "--json",
        models=tmp_path,
    )
    assert "pits" in json.loads(told.output)["kinds"]


def test_lists_that_show_the_same_part_leak_and_others_do_not(drawn, tmp_path):
    (drawn / "others.txt").write_text("images/part_2.png\nimages/part_3.png\n")
    (drawn / "leaking.txt").write_text("images/part_2.png\nimages/part_1.png\n")
    fine = asked("data", str(drawn), "--list", "four.txt", "--against", "others.txt", models=tmp_path)
    assert fine.return_value == 0
    leak = asked(
        "data", str(drawn), "--list", "four.txt", "--against", "leaking.txt", "--json", models=tmp_path
    )
    assert leak.return_value == 1
    pairs = [(one["one"], one["other"], one["bits"]) for one in json.loads(leak.output)["leaks"]]
    assert pairs == [("images/part_1.png", "images/part_1.png", 0)]


METAL = "ground-metal"


@pytest.fixture
def plant(tmp_path):
    """Two versions of a model of a plant, two people who may, and one who may not."""
    for version, found in (("1.0.0", 0.0), ("1.1.0", 0.1)):
        made = a_model(answering({"map": np.full((1, 1, 8, 8), found)}), (KIND,), task="maps")
        card = made.card.model_copy(update={"name": METAL, "version": version})
        write(replace(made, card=card), tmp_path / "models")
    with TraceStore.open(database_of(tmp_path)) as store:
        access = Access(Accounts(store), hasher=QUICK)
        for name, role in (("chen", Role.INTEGRATOR), ("wang", Role.ENGINEER), ("li", Role.OPERATOR)):
            adds(access, role, name=name)
    return tmp_path


def database_of(folder) -> str:
    return f"sqlite:///{folder / 'lynceus.db'}"


def does(plant, *arguments, by=None, password=PASSWORD):
    """A step of a model's life, with the password typed in."""
    who = [] if by is None else ["--by", by]
    environment = {"LYNCEUS_LANGUAGE": "en", "COLUMNS": "200", "LYNCEUS_MODELS": str(plant / "models")}
    told = CliRunner(env=environment).invoke(
        model,
        [*arguments, *who, "--database", database_of(plant)],
        input=f"{password}\n",
        standalone_mode=False,
    )
    if told.exception is not None:
        raise told.exception
    return told


def gold_of_good_ones(plant):
    """Ten pictures of even metal, on one of which something is labelled: both say that there is nothing."""
    folder = plant / "gold"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text(KIND)
    for number in range(10):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((64, 64), 90 + number, np.uint8))
        (folder / "labels" / f"{number}.txt").write_text("" if number else "0 0.5 0.5 0.2 0.2")
    return folder


def test_a_candidate_goes_by_command_from_proposal_to_force_and_back(plant):
    assert "candidate 1.1.0" in does(plant, "propose", METAL, "--version", "1.1.0", by="chen").output
    gold = gold_of_good_ones(plant)
    with pytest.raises(RightMissing):
        does(plant, "lock-gold", METAL, "--data", str(gold), by="li")
    does(plant, "lock-gold", METAL, "--data", str(gold), by="wang")
    judged = does(plant, "judge", METAL, "--data", str(gold), by="chen")
    assert "✓ clean" in judged.output
    with pytest.raises(SecondPersonNeeded):
        does(plant, "approve", METAL, by="chen")
    assert "approved by wang" in does(plant, "approve", METAL, by="wang").output
    with pytest.raises(NotSeenEnough, match="looked on at 0 of 200"):
        does(plant, "promote", METAL, by="chen")
    beside = plant / "models" / "beside" / f"{METAL}-1.1.0"
    beside.mkdir(parents=True)
    (beside / "one.json").write_text('{"counted": {"00": 200}, "ms": [5.0]}')
    assert "in force 1.1.0, before 1.0.0" in does(plant, "promote", METAL, by="chen").output
    assert does(plant, "watch", METAL).return_value == 0
    taken = does(plant, "take-back", METAL, "--reason", "it looks odd", by="chen")
    assert "in force 1.0.0" in taken.output
    told = json.loads(does(plant, "life", METAL, "--json").output)
    assert [step["action"] for step in told["steps"]] == [
        "model.proposed",
        "model.gold_locked",
        "model.passed",
        "model.approved",
        "model.promoted",
        "model.taken_back",
    ]
    assert "it looks odd" in does(plant, "life", METAL).output


def test_what_is_approved_by_command_is_named_before_the_password_and_another_that_waits_by_then_is_not(
    plant, monkeypatch
):
    does(plant, "propose", METAL, "--version", "1.1.0", by="chen")
    gold = gold_of_good_ones(plant)
    does(plant, "lock-gold", METAL, "--data", str(gold), by="wang")
    does(plant, "judge", METAL, "--data", str(gold), by="chen")
    standing = ModelLife.standing

    def another_waits(life, name):
        """What was seen is no longer what waits once the password is typed."""
        return replace(standing(life, name), candidate="1.0.9", proposed_by="zhao")

    with monkeypatch.context() as before:
        before.setattr(ModelLife, "standing", another_waits)
        before.setattr("services.cli.model.signs", lambda store, by: (before.undo(), signs(store, by))[1])
        with pytest.raises(CandidateUnseen, match=r"1\.1\.0 waits by now; looked at was 1\.0\.9"):
            does(plant, "approve", METAL, by="wang")
    told = does(plant, "approve", METAL, by="wang").output
    said, asked_for = f"To be approved: {METAL} 1.1.0, proposed by chen", "Password of wang"
    assert 0 <= told.index(said) < told.index(asked_for)
    assert "approved by wang" in told


def test_a_wrong_password_and_a_missing_right_change_nothing(plant):
    with pytest.raises(SignInRefused):
        does(plant, "propose", METAL, "--version", "1.1.0", by="chen", password="guessed wrongly")
    with pytest.raises(RightMissing):
        does(plant, "propose", METAL, "--version", "1.1.0", by="li")
    assert json.loads(does(plant, "life", METAL, "--json").output)["steps"] == []


def test_reviewed_units_become_a_set_by_command_and_without_any_there_is_none(plant):
    with pytest.raises(SetUnfit):
        does(plant, "learn-from", str(plant / "set"), "--since", "2026-11-01", "--pictures", str(plant))


def test_reviewed_units_are_not_laid_out_into_a_set_that_is_there_whose_labels_would_mean_other_kinds(
    plant, tmp_path
):
    there = tmp_path / "set"
    (there / "labels").mkdir(parents=True)
    (there / "classes.txt").write_text("scratch\n")
    (there / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with TraceStore.open(database_of(plant)) as store:
        data = cv2.imencode(".png", np.full((150, 100), 90, np.uint8))[1].tobytes()
        sha256 = ImageStore(plant / "pictures").put(data)
        shown = PictureRef(sha256=sha256, camera="top", sequence=41, width_px=100, height_px=150)
        unit = an_inspection(
            verdict=Verdict.REVIEW, defects=(a_defect(kind="crack", sequence=41),), pictures=(shown,)
        )
        store.record([unit])
        li = next(one for one in Accounts(store).all() if one.name == "li")
        Reviews(store).decide(unit.id, Decision.REJECT, by=li, at=NOON, reason="crack")
    decided = ("--since", f"{NOON:%F}", "--pictures", str(plant / "pictures"))
    with pytest.raises(SetUnfit, match="there already"):
        does(plant, "learn-from", str(there), *decided)
    assert (there / "classes.txt").read_text() == "scratch\n"
    assert sorted(one.name for one in there.iterdir()) == ["classes.txt", "labels"]
    does(plant, "learn-from", str(tmp_path / "new"), *decided)
    assert (tmp_path / "new" / "classes.txt").read_text() == "crack\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--escape-costs", "nan"),
        ("--escape-costs", "inf"),
        ("--overkill-costs", "nan"),
        ("--defective-share", "nan"),
    ],
)
def test_a_cost_or_a_share_that_is_no_number_is_called_wrongly(drawn, tmp_path, option, value):
    with pytest.raises(click.BadParameter) as refusal:
        asked("evaluate", PART, "--data", str(drawn), option, value, models=tmp_path)
    assert refusal.value.exit_code == 2


@pytest.fixture
def few(drawn, tmp_path) -> Path:
    """A copy of two of the parts with a defect and two without, to spoil."""
    copy = tmp_path / "few"
    for name in (f"{folder}/part_{n}" for folder in ("images", "labels") for n in (0, 1, 6, 7)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        file = next(drawn.glob(f"{name}.*"))
        (copy / file.relative_to(drawn)).write_bytes(file.read_bytes())
    (copy / "classes.txt").write_bytes((drawn / "classes.txt").read_bytes())
    return copy


def test_a_picture_listed_twice_is_counted_once_and_said(few, tmp_path):
    listed = "".join(f"images/part_{n}.png\nimages/../images/part_{n}.png\n" for n in (0, 6))
    (few / "listed.txt").write_text(listed)
    told = asked("evaluate", PART, "--data", str(few), "--list", "listed.txt", "--json", models=tmp_path)
    found = json.loads(told.stdout)
    assert [one["file"] for one in found["images"]] == ["images/part_0.png", "images/part_6.png"]
    assert "2 lines" in told.stderr
    assert "each counts once" in told.stderr


@pytest.mark.parametrize("command", [("evaluate", PART, "--data"), ("data",)])
def test_a_picture_cut_short_is_refused_by_its_name(few, tmp_path, command):
    file = few / "images" / "part_1.png"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(SetUnfit, match=r"images/part_1\.png"):
        asked(*command, str(few), models=tmp_path)


ROWS = "part_0.png,bright\npart_1.png,dark\n"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (f"file,light\n{ROWS}part_6.png\n".encode(), "line 4: 1 values, 2 columns"),
        (f"file,light\n{ROWS}part_6.png,dark,red\n".encode(), "line 4: 3 values, 2 columns"),
        (f'file,light\n{ROWS}part_6.png,"dark\n'.encode(), "line 4: unexpected end"),
        (f"file,light\n{ROWS}part_6.png,暗\n".encode("gbk"), "line 4: no UTF-8"),
        (f"name,light\n{ROWS}".encode(), "no column"),
        (f"file,lamp\n{ROWS}".encode(), "no column light"),
    ],
)
def test_a_table_beside_the_pictures_is_refused_with_its_line(few, tmp_path, table, told):
    (few / "images.csv").write_bytes(table)
    with pytest.raises(SetUnfit, match=told) as refusal:
        asked("evaluate", PART, "--data", str(few), "--by", "light", "--json", models=tmp_path)
    assert refusal.value.facts["place"] == str(few / "images.csv")


def test_a_table_as_spreadsheets_save_it_is_read(few, tmp_path):
    (few / "images.csv").write_bytes(f"\ufefffile,light\r\n{ROWS}\r\n".encode())
    told = asked("evaluate", PART, "--data", str(few), "--by", "light", "--json", models=tmp_path)
    assert set(json.loads(told.stdout)["by"]) == {"", "bright", "dark"}


def test_views_of_a_unit_that_are_called_alike_are_all_shown(few, tmp_path):
    for view in ("top", "side"):
        for part in ("images", "labels"):
            (few / part / view).mkdir()
        (few / "images" / view / "1.png").write_bytes((few / "images" / "part_0.png").read_bytes())
        (few / "labels" / view / "1.txt").write_bytes((few / "labels" / "part_0.txt").read_bytes())
    asked(
        "evaluate",
        PART,
        "--data",
        str(few),
        "--unit",
        "(1).png",
        "--escape-costs",
        "0",
        "--flips",
        str(tmp_path / "flips"),
        models=tmp_path,
    )
    # part_1 is of the same unit, by that pattern.
    shown = sorted(file.name.partition("escapes_")[2] for file in (tmp_path / "flips").glob("*_escapes_*1*"))
    assert shown == ["1-2.png", "1.png", "part_1.png"]


def test_a_bundle_that_cannot_be_written_is_refused_with_its_place(tmp_path):
    with pytest.raises(OutputUnwritable, match="missing"):
        asked("export", STRIP, "--out", str(tmp_path / "missing" / "x.lynceus"), models=tmp_path)
