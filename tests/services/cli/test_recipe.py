from pathlib import Path

import pytest
from click.testing import CliRunner

from inspection.types import Box, RecipeRef, Verdict
from services.cli.recipe import recipe
from station_config.errors import ConfigInvalid
from tests.builders import a_defect, a_unit, an_inspection
from traceability.store import TraceStore

RECIPE = """
name = "plate"
revision = 3
product = "plate"
[detector]
model = "strip-surface"
[[limits]]
kind = "scratch"
measure = "length_mm"
review_from = 5
reject_from = 20
"""
PLATE = RecipeRef(name="plate", revision=2, sha256="3c" * 32)


def a_plate(number: int, length_mm: float | None, verdict: Verdict, **overrides):
    box = None if length_mm is None else Box(0, 0, length_mm, 1)
    defects = () if length_mm is None else (a_defect(box_mm=box),)
    return an_inspection(
        **{
            "unit": a_unit(f"P-{number}"),
            "recipe": PLATE,
            "defects": defects,
            "verdict": verdict,
            **overrides,
        }
    )


def asked(folder: Path, text: str, *inspections, language="en") -> str:
    file, database = folder / "plate.toml", f"sqlite:///{folder / 'lynceus.db'}"
    file.write_text(text, encoding="utf-8")
    with TraceStore.open(database) as store:
        store.record(inspections)
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "120"}
    result = CliRunner(env=environment).invoke(recipe, ["what-if", str(file), "--database", database])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_changed_recipe_says_which_units_would_have_come_out_differently(tmp_path):
    told = asked(
        tmp_path,
        RECIPE,
        a_plate(1, 3, Verdict.ACCEPT),
        a_plate(2, 10, Verdict.ACCEPT),
        a_plate(3, 30, Verdict.REVIEW),
        a_plate(4, None, Verdict.ACCEPT),
    )
    assert "2 of 4 units of recipe plate" in told
    assert "OK → Review  P-2" in told
    assert "Review → NG  P-3" in told
    assert "P-1" not in told


@pytest.mark.parametrize("language", ["zh", "en"])
def test_units_of_other_recipes_and_simulated_ones_are_left_out(tmp_path, language):
    other = a_plate(1, 30, Verdict.ACCEPT, recipe=RecipeRef(name="other", revision=1, sha256="0" * 64))
    made_up = a_plate(2, 30, Verdict.ACCEPT, simulated=True)
    told = asked(tmp_path, RECIPE, other, made_up, language=language)
    assert {"en": "0 of 0 units", "zh": "0 件中有 0 件"}[language] in told


def test_what_was_not_inspected_is_not_accepted_by_any_recipe(tmp_path):
    lost = a_plate(1, None, Verdict.NOT_INSPECTED, frames_lost=1, failures={"CAM-FRAME-LOST": 1})
    assert "0 of 1 units" in asked(tmp_path, RECIPE, lost)


def test_a_grade_that_would_change_is_a_flip_too(tmp_path):
    graded = (
        RECIPE
        + """
[[grades]]
name = "A"
limits = [{ kind = "scratch", measure = "length_mm", below = 2 }]
[[grades]]
name = "B"
limits = [{ kind = "scratch", measure = "length_mm", below = 5 }]
"""
    )
    told = asked(tmp_path, graded, a_plate(1, 3, Verdict.ACCEPT, grade="A"))
    assert "OK A → OK B  P-1" in told


def test_of_many_flips_of_one_sort_the_first_are_named_and_the_rest_counted(tmp_path):
    told = asked(tmp_path, RECIPE, *(a_plate(number, 30, Verdict.ACCEPT) for number in range(25)))
    assert "25 of 25 units" in told
    assert told.count("  OK → NG  P-") == 20
    assert "OK → NG: 5 more" in told


def test_a_recipe_with_a_mistake_tries_nothing(tmp_path):
    with pytest.raises(ConfigInvalid):
        asked(tmp_path, RECIPE.replace("length_mm", "length"), a_plate(1, 3, Verdict.ACCEPT))
