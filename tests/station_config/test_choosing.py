import pytest
from pydantic import ValidationError

from station_config import load_station
from station_config.choosing import Offer, chosen
from station_config.errors import RecipeNotChosen
from station_config.schema import RecipeChoice


def an_offer(recipe: str, *, product: str = "plate", number: int | None = None, orders=()) -> Offer:
    return Offer(
        choice=RecipeChoice(recipe=recipe, number=number, orders=tuple(orders)), product=product, revision=1
    )


OFFERS = (
    an_offer("thick", product="plate 20", number=1, orders=("A-",)),
    an_offer("thin", product="plate 2", number=2, orders=("B-",)),
    an_offer("thin-exposed", product="plate 2", number=3, orders=("B-AUTO",)),
)


@pytest.mark.parametrize(
    ("asked", "recipe"),
    [
        ({"recipe": "thin"}, "thin"),
        ({"product": "plate 20"}, "thick"),
        ({"number": 3}, "thin-exposed"),
        ({"order": "A-4711"}, "thick"),
        ({"order": "B-4711"}, "thin"),
        # The longer beginning is the closer one.
        ({"order": "B-AUTO-1"}, "thin-exposed"),
    ],
)
def test_a_recipe_is_chosen_by_its_name_its_product_an_order_or_the_plcs_number(asked, recipe):
    assert chosen("strip", OFFERS, **asked).recipe == recipe


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"recipe": "thin", "number": 2},
        {"recipe": "thinner"},
        {"number": 9},
        {"order": "C-1"},
        {"order": ""},
        # Two are for it: which one is meant nobody can say.
        {"product": "plate 2"},
    ],
)
def test_where_not_exactly_one_recipe_is_meant_none_is_chosen(asked):
    with pytest.raises(RecipeNotChosen) as refused:
        chosen("strip", OFFERS, **asked)
    assert refused.value.facts["lane"] == "strip"


@pytest.mark.parametrize(
    "twice",
    [
        [{"recipe": "a"}, {"recipe": "a"}],
        [{"recipe": "a", "number": 1}, {"recipe": "b", "number": 1}],
        [{"recipe": "a", "orders": ["X"]}, {"recipe": "b", "orders": ["X"]}],
    ],
)
def test_two_recipes_that_the_same_word_asks_for_are_refused(twice):
    lane = load_station("demo").lanes[0]
    with pytest.raises(ValidationError, match="two have the same"):
        type(lane).model_validate(lane.model_dump() | {"recipes": twice})


def test_the_recipe_a_lane_begins_with_is_always_among_those_it_may_have():
    lane = load_station("demo").lanes[1]
    assert lane.offered == (lane.recipe,)
    other = lane.model_copy(update={"recipes": (RecipeChoice(recipe="other"),)})
    assert other.offered == (lane.recipe, "other")
