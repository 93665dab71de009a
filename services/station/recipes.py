"""The recipes that lanes may change over to, as the service offers them and asks the engine for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from services.station.messages import RecipeState, RecipeWish
from station_config import LaneSettings, Recipe, load_recipe
from station_config.choosing import Offer, chosen


class Wishes:
    """The service's side: what was asked for and not answered yet. Told to each engine that comes until one answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, RecipeWish] = {}
        self._told: set[RecipeWish] = set()

    def ask(self, lane: str, recipe: str) -> None:
        with self._lock:
            wish = RecipeWish(lane=lane, recipe=recipe)
            self._waiting[lane] = wish
            self._told.discard(wish)

    def greet(self) -> None:
        """Another engine has come: it knows of none."""
        with self._lock:
            self._told.clear()

    def to_tell(self) -> Sequence[RecipeWish]:
        with self._lock:
            new = [wish for wish in self._waiting.values() if wish not in self._told]
            self._told.update(new)
            return new

    def answered(self, state: RecipeState) -> None:
        with self._lock:
            wish = self._waiting.get(state.lane)
            if wish is not None and wish.recipe == state.recipe and state.condition != "preparing":
                del self._waiting[state.lane]


class LaneRecipes:
    """The recipes of a station's lanes, as the service offers them, and who is told what was chosen."""

    def __init__(
        self,
        lanes: Sequence[LaneSettings],
        *,
        ask: Callable[[str, str], None],
        load: Callable[[str], Recipe] = load_recipe,
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        self._ask = ask
        self._load = load

    def offers(self, lane: str) -> tuple[Offer, ...]:
        """Every recipe the lane may have; none for a lane the station has not. Raises CFG- errors."""
        known = self._lanes.get(lane)
        offers = []
        for choice in () if known is None else known.choices:
            settings = self._load(choice.recipe).settings
            offers.append(Offer(choice=choice, product=settings.product, revision=settings.revision))
        return tuple(offers)

    def choose(
        self,
        lane: str,
        *,
        recipe: str | None = None,
        product: str | None = None,
        order: str | None = None,
        number: int | None = None,
    ) -> Offer:
        """The one that is meant. Raises RecipeNotChosen."""
        return chosen(lane, self.offers(lane), recipe=recipe, product=product, order=order, number=number)

    def change(self, lane: str, offer: Offer) -> None:
        """Let the engine take it up with the lane's next unit."""
        self._ask(lane, offer.recipe)
