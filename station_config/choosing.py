"""Which of a lane's recipes is meant, by its name, its product, an order or the number that a PLC says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from station_config.errors import ConfigError, RecipeNotChosen
from station_config.schema import RecipeChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One of a lane's recipes, with the product it is for."""

    choice: RecipeChoice
    product: str
    revision: int

    @property
    def recipe(self) -> str:
        return self.choice.recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """One of a lane's recipes whose file cannot be read; `error` says why."""

    choice: RecipeChoice
    error: ConfigError

    @property
    def recipe(self) -> str:
        return self.choice.recipe


def chosen(
    lane: str,
    offers: Iterable[Offer],
    *,
    recipe: str | None = None,
    product: str | None = None,
    order: str | None = None,
    number: int | None = None,
) -> Offer:
    """The one that is meant; exactly one of the four says how. An order is a recipe's whose beginnings it begins with,
    and of several it is that of the longest.

    Raises RecipeNotChosen where none is meant, or two are.
    """
    asked = {"recipe": recipe, "product": product, "order": order, "number": number}
    given = {name: value for name, value in asked.items() if value is not None}
    offers = tuple(offers)
    if len(given) != 1:
        raise _not_chosen(lane, ", ".join(given) or "nothing", offers)
    ((name, value),) = given.items()
    fits: dict[str, Callable[[Offer], int]] = {
        "recipe": lambda offer: offer.recipe == value,
        "product": lambda offer: offer.product == value,
        "number": lambda offer: offer.choice.number == value,
        "order": lambda offer: max(
            (len(begins) for begins in offer.choice.orders if str(value).startswith(begins)), default=0
        ),
    }
    ranked = sorted(((fits[name](offer), offer) for offer in offers), key=lambda one: -one[0])
    if not ranked or not ranked[0][0] or (len(ranked) > 1 and ranked[1][0] == ranked[0][0]):
        raise _not_chosen(lane, f"{name} {value}", offers)
    return ranked[0][1]


def _not_chosen(lane: str, asked: str, offers: tuple[Offer, ...]) -> RecipeNotChosen:
    there = ", ".join(offer.recipe for offer in offers)
    return RecipeNotChosen(
        f"Lane {lane} has not exactly one recipe for {asked}; it has: {there}.",
        action="The recipe in use stays. Choose one of these, or add what was asked for to the station's file.",
        lane=lane,
        asked=asked,
        there=there,
    )
