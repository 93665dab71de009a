from __future__ import annotations

import json
import threading

import pytest

from services.station.change_over import BUILD_FAILED, IN_FORCE, Changer, InForce
from services.station.messages import RecipeWish
from services.station.recipes import LaneRecipes, Wishes
from station_config import load_recipe, load_station
from station_config.errors import ConfigMissing, ConfigSyntax, RecipeNotChosen
from station_config.schema import RecipeChoice
from tests.services.station.test_intake import Pushes
from tests.services.station.test_lane import Keeps, Plays, a_lane, a_recipe

STRIP = load_station("demo").lanes[0]


class Changes:
    """An engine with one lane whose recipes need no network, and what it said."""

    def __init__(self, folder=None, *, build=None) -> None:
        self.said = []
        self.changed = threading.Condition()
        self.sink = Keeps()
        self.lane = a_lane(self.sink, frames_per_unit=3)
        self.changer = Changer(
            {"strip": (STRIP, self.lane)},
            build=build or (lambda recipe, workers: a_recipe(recipe.ref.name)),
            say=self._say,
            in_force=InForce(folder),
        )
        self.changer.begin()
        self.said.clear()

    def _say(self, state) -> None:
        with self.changed:
            self.said.append(state)
            self.changed.notify_all()

    def wish(self, recipe: str, *, until: str) -> list[str]:
        """The conditions that were said of it, once this one was."""
        self.changer.change(RecipeWish(lane="strip", recipe=recipe))
        with self.changed:
            assert self.changed.wait_for(lambda: until in self.conditions(recipe), timeout=60)
            return self.conditions(recipe)

    def conditions(self, recipe: str) -> list[str]:
        return [state.condition for state in self.said if state.recipe == recipe]


def test_a_recipe_that_is_asked_for_is_built_aside_and_in_use_with_the_next_unit():
    engine = Changes()
    assert engine.wish("strip-demo-exposed", until="ready") == ["preparing", "ready"]
    engine.lane.run(Plays(*range(6)), started=lambda: None)
    assert engine.conditions("strip-demo-exposed") == ["preparing", "ready", "in_use"]
    assert {i.recipe.name for i in engine.sink.done} == {"strip-demo-exposed"}


def test_units_go_on_while_a_recipe_is_built_and_not_one_exposure_is_lost():
    built = threading.Event()

    def builds_slowly(recipe, workers):
        assert built.wait(60)
        return a_recipe(recipe.ref.name)

    engine = Changes(build=builds_slowly)
    camera = Pushes(*range(12))
    engine.lane.holds = 12
    frames = engine.sink.frames

    def after_each(begun, frame, result):
        frames.append((begun.id, result))
        if frame.sequence == 1:
            engine.changer.change(RecipeWish(lane="strip", recipe="strip-demo-exposed"))
        if frame.sequence == 4:
            # Two units were begun meanwhile.
            built.set()
            with engine.changed:
                assert engine.changed.wait_for(lambda: len(engine.said) == 2, timeout=60)
        if frame.sequence == 11:
            engine.lane.stop.set()

    engine.sink.frame_done = after_each
    engine.lane.run(camera, started=lambda: None)
    assert [i.recipe.name for i in engine.sink.done] == ["r", "r", "strip-demo-exposed", "strip-demo-exposed"]
    assert [i.frames_inspected for i in engine.sink.done] == [3, 3, 3, 3]
    assert engine.lane.account.gap == 0


@pytest.mark.parametrize("recipe", ["nothing-like-it", "strip-demo-exposed"])
def test_a_recipe_that_cannot_be_had_is_refused_and_the_lane_keeps_its_own(recipe):
    def fails(recipe, workers):
        raise ZeroDivisionError

    engine = Changes(build=fails)
    engine.wish(recipe, until="refused")
    expected = ConfigMissing.code if recipe == "nothing-like-it" else BUILD_FAILED
    assert engine.said[-1].failure == expected
    engine.lane.run(Plays(*range(3)), started=lambda: None)
    assert [i.recipe.name for i in engine.sink.done] == ["r"]


def test_an_engine_that_is_started_again_goes_on_with_the_recipe_that_was_chosen(tmp_path):
    Changes(tmp_path).wish("strip-demo-exposed", until="ready")
    assert InForce(tmp_path).of(STRIP) == "strip-demo-exposed"
    # One that is not offered any more is not taken up.
    assert InForce(tmp_path).of(STRIP.model_copy(update={"recipes": ()})) == "strip-demo"


@pytest.mark.parametrize("kept", [None, "no json", "[]", json.dumps({"strip": 7})])
def test_without_a_file_that_can_be_read_lanes_begin_as_the_station_says(tmp_path, kept):
    if kept is not None:
        (tmp_path / IN_FORCE).write_text(kept, encoding="utf-8")
    assert InForce(tmp_path).of(STRIP) == "strip-demo"


def test_a_wish_is_told_once_to_each_engine_until_one_answers():
    wishes = Wishes()
    wishes.ask("strip", "strip-demo-exposed")
    wish = RecipeWish(lane="strip", recipe="strip-demo-exposed")
    assert list(wishes.to_tell()) == [wish]
    assert list(wishes.to_tell()) == []
    wishes.greet()
    assert list(wishes.to_tell()) == [wish]
    engine = Changes()
    engine.wish("strip-demo-exposed", until="ready")
    for state in engine.said:
        wishes.answered(state)
    wishes.greet()
    assert list(wishes.to_tell()) == []


def test_a_lane_offers_its_recipes_with_their_products():
    asked = []
    recipes = LaneRecipes([STRIP], ask=lambda *wish: asked.append(wish))
    offers = recipes.offers("strip")
    assert [offer.recipe for offer in offers] == ["strip-demo", "strip-demo-exposed"]
    assert offers[1].product == load_recipe("strip-demo-exposed").settings.product
    recipes.change("strip", recipes.choose("strip", number=2))
    assert asked == [("strip", "strip-demo-exposed")]
    with pytest.raises(RecipeNotChosen):
        recipes.choose("strip", order="X-1")
    assert recipes.offers("nobody") == ()


def spoils(*recipes: str):
    """Reads the package's recipes, and not these."""

    def load(name: str):
        if name in recipes:
            raise ConfigSyntax("no TOML", action="Mend it.", file=name, why="a quote is missing")
        return load_recipe(name)

    return load


OF_ORDERS = STRIP.model_copy(
    update={
        "recipes": (
            RecipeChoice(recipe="strip-demo", number=1, orders=("HR-",)),
            RecipeChoice(recipe="strip-demo-exposed", number=2, orders=("HR-9",)),
        )
    }
)


@pytest.mark.parametrize("asked", [{"recipe": "strip-demo"}, {"number": 1}, {"order": "HR-1"}])
def test_a_recipe_that_cannot_be_read_keeps_nobody_from_choosing_another_of_the_lane(asked, caplog):
    recipes = LaneRecipes([OF_ORDERS], ask=lambda *_: None, load=spoils("strip-demo-exposed"))
    offer = recipes.choose("strip", **asked)
    assert (offer.recipe, offer.product) == ("strip-demo", load_recipe("strip-demo").settings.product)
    assert [one.recipe for one in recipes.offers("strip") + recipes.offers("strip")] == ["strip-demo"] * 2
    assert [one.recipe for one in recipes.listed("strip")] == ["strip-demo", "strip-demo-exposed"]
    assert recipes.choose("strip", product=offer.product) == offer
    assert caplog.text.count("strip-demo-exposed is not offered") == 1


@pytest.mark.parametrize("asked", [{"recipe": "strip-demo-exposed"}, {"number": 2}, {"order": "HR-91"}])
def test_whoever_means_a_recipe_that_cannot_be_read_is_told_so_and_gets_no_other(asked):
    """The order fits another recipe, too, which is that of other orders."""
    recipes = LaneRecipes([OF_ORDERS], ask=lambda *_: None, load=spoils("strip-demo-exposed"))
    with pytest.raises(ConfigSyntax):
        recipes.choose("strip", **asked)


class Begins:
    """An engine that is being started: its lane is there only after its changer, which is asked already."""

    def __init__(self) -> None:
        self.lanes, self.said = {}, []
        self.is_ready = threading.Event()
        self.changer = Changer(
            self.lanes,
            build=lambda recipe, workers: a_recipe(recipe.ref.name),
            say=self._say,
            in_force=InForce(None),
        )

    def _say(self, state) -> None:
        self.said.append((state.recipe, state.condition))
        if state.condition == "ready":
            self.is_ready.set()

    def begins(self) -> None:
        self.lanes["strip"] = STRIP, a_lane(Keeps())
        self.changer.begin()


def test_lanes_that_are_there_only_after_the_changer_are_built_again_when_a_model_changes():
    engine = Begins()
    engine.begins()
    engine.changer.rebuild()
    assert engine.is_ready.wait(60)
    assert engine.said == [("r", "in_use"), (STRIP.recipe, "preparing"), (STRIP.recipe, "ready")]


def test_a_recipe_that_is_asked_for_before_the_lanes_are_there_waits_for_them():
    """The service tells a wish to each engine once, and a PLC its wish when it changes: who comes early comes once."""
    engine = Begins()
    engine.changer.change(RecipeWish(lane="strip", recipe="strip-demo-exposed", by_plc=True))
    engine.begins()
    assert engine.is_ready.wait(60)
    assert engine.said == [
        ("r", "in_use"),
        ("strip-demo-exposed", "preparing"),
        ("strip-demo-exposed", "ready"),
    ]


def test_a_recipe_for_a_lane_that_the_station_has_not_keeps_no_other_from_changing(caplog):
    engine = Begins()
    engine.changer.change(RecipeWish(lane="no such", recipe="strip-demo"))
    engine.changer.change(RecipeWish(lane="strip", recipe="strip-demo"))
    engine.begins()
    assert engine.is_ready.wait(60)
    assert "There is no lane no such" in caplog.text


def test_a_model_that_changes_while_a_recipe_is_built_does_not_bring_back_the_recipe_before():
    is_building, may_build = threading.Event(), threading.Event()

    def builds_slowly(recipe, workers):
        is_building.set()
        assert may_build.wait(60)
        return a_recipe(recipe.ref.name)

    engine = Changes(build=builds_slowly)
    engine.changer.change(RecipeWish(lane="strip", recipe="strip-demo-exposed"))
    assert is_building.wait(60)
    engine.changer.rebuild()
    may_build.set()
    with engine.changed:
        assert engine.changed.wait_for(lambda: len(engine.said) == 4, timeout=60)
    assert [state.recipe for state in engine.said] == ["strip-demo-exposed"] * 4


def test_recipes_are_handed_over_in_the_order_in_which_they_were_asked_for():
    engine = Changes()
    asked = ["strip-demo", "strip-demo-exposed"] * 10
    for recipe in asked:
        engine.changer.change(RecipeWish(lane="strip", recipe=recipe))
    with engine.changed:
        assert engine.changed.wait_for(lambda: len(engine.said) == 2 * len(asked), timeout=60)
    assert [state.recipe for state in engine.said if state.condition == "ready"] == asked
