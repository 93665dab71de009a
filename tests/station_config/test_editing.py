"""A recipe changed by a form: what was asked for and nothing else, with the comments that say why."""

from __future__ import annotations

import tomllib

import pytest

from station_config import load_recipe
from station_config.editing import Tables, edited, tables_of
from station_config.errors import ConfigSyntax

RECIPES = ("part-demo", "strip-demo", "strip-surface", "strip-line-rate")


@pytest.mark.parametrize("name", RECIPES)
def test_a_form_sent_as_it_came_changes_not_a_letter(name):
    recipe = load_recipe(name)
    text = recipe.text.decode()
    assert edited(text, tables_of(text), revision=recipe.settings.revision) == text


def test_a_recipe_that_begins_with_windows_mark_of_utf_8_is_changed_by_a_form_too():
    text = load_recipe("part-demo").text.decode()
    marked = "\ufeff" + text
    revision = load_recipe("part-demo").settings.revision
    assert edited(marked, tables_of(marked), revision=revision) == text


def test_another_limit_keeps_the_comment_above_it_and_all_else():
    text = load_recipe("strip-demo").text.decode()
    tables = tables_of(text)
    limits = [
        (at, {**keys, "review_from": 6} if keys.get("zone") == "edge" else keys) for at, keys in tables.limits
    ]
    changed = edited(
        text, Tables(limits=limits, zones=tables.zones, severities=tables.severities), revision=6
    )
    before, after = text.splitlines(), changed.splitlines()
    assert [(old, new) for old, new in zip(before, after, strict=True) if old != new] == [
        ("revision = 5", "revision = 6"),
        ("review_from = 4", "review_from = 6"),
    ]


def test_rows_and_tables_come_and_go():
    text = load_recipe("strip-demo").text.decode()
    tables = tables_of(text)
    limits = [*tables.limits[1:], (None, {"kind": "pits", "measure": "count", "reject_from": 9})]
    changed = tomllib.loads(
        edited(
            text,
            Tables(
                limits=limits,
                zones={**tables.zones, "head": {"x": [0, 100.5], "y": [0, 20]}},
                severities={"all": ["pits"], "critical": ["inclusion"]},
            ),
            revision=6,
        )
    )
    assert [one.get("kind") for one in changed["limits"]][:1] == ["inclusion"]
    assert changed["limits"][-1] == {"kind": "pits", "measure": "count", "reject_from": 9}
    assert changed["zones"]["head"] == {"x": [0, 100.5], "y": [0, 20]}
    assert changed["severities"]["all"] == ["pits"]
    assert changed["grades"] == tomllib.loads(text)["grades"]


def test_a_first_zone_and_severity_are_added_to_a_recipe_without_any():
    text = load_recipe("part-demo").text.decode()
    tables = tables_of(text)
    changed = edited(
        text,
        Tables(
            limits=tables.limits, zones={"rim": {"x": [0, 5], "y": [0, 5]}}, severities={"bad": ["crack"]}
        ),
        revision=6,
    )
    assert tomllib.loads(changed)["zones"] == {"rim": {"x": [0, 5], "y": [0, 5]}}
    assert tomllib.loads(changed)["severities"] == {"bad": ["crack"]}


def test_a_recipe_that_writes_its_limits_in_one_line_is_left_to_its_text():
    text = 'name = "x"\nrevision = 1\nlimits = [{ kind = "pits", measure = "count", reject_from = 1 }]\n'
    tables = tables_of(text)
    more = [*tables.limits, (None, {"kind": "scale", "measure": "count", "reject_from": 1})]
    with pytest.raises(ConfigSyntax):
        edited(text, Tables(limits=more, zones={}, severities={}), revision=2)
