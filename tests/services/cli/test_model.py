from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from models.errors import SignerUnknown, VersionTaken
from services.cli.model import model
from tests.models.releases import PART, STRIP


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
