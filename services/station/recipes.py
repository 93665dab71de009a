"""What the service asks the engine for: recipes that lanes may change over to, and how lanes are to work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from services.station.messages import LaneMode, ModeWish, RecipeState, RecipeWish, Wish
from station_config import LaneSettings, Recipe, load_recipe
from station_config.choosing import Offer, Unread, chosen
from station_config.errors import ConfigError
from station_config.schema import RecipeChoice

logger = logging.getLogger(__name__)


class Wishes:
    """The service's side: what was asked for and not answered yet. Told to each engine that comes until one answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[type, str], Wish] = {}
        self._told: set[Wish] = set()

    def ask(self, lane: str, recipe: str) -> None:
        self._ask(RecipeWish(lane=lane, recipe=recipe))

    def ask_mode(self, wish: ModeWish) -> None:
        self._ask(wish)

    def _ask(self, wish: Wish) -> None:
        with self._lock:
            self._waiting[type(wish), wish.lane] = wish
            self._told.discard(wish)

    def greet(self) -> None:
        """Another engine has come: it knows of none."""
        with self._lock:
            self._told.clear()

    def to_tell(self) -> Sequence[Wish]:
        with self._lock:
            new = [wish for wish in self._waiting.values() if wish not in self._told]
            self._told.update(new)
            return new

    def answered(self, state: RecipeState | LaneMode) -> None:
        with self._lock:
            match state, self._waiting.get((_ASKED_BY[type(state)], state.lane)):
                case RecipeState(), RecipeWish() as wish:
                    is_answer = wish.recipe == state.recipe and state.condition != "preparing"
                case LaneMode(), ModeWish() as wish:
                    is_answer = (wish.mode, wish.until) == (state.mode, state.until)
                case _:
                    return
            if is_answer:
                del self._waiting[type(wish), state.lane]


_ASKED_BY: Final[dict[type, type]] = {RecipeState: RecipeWish, LaneMode: ModeWish}


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
        self._unread: dict[str, str] = {}

    @property
    def lanes(self) -> tuple[LaneSettings, ...]:
        """As the station's file has them."""
        return tuple(self._lanes.values())

    def listed(self, lane: str) -> tuple[Offer | Unread, ...]:
        """Every recipe the lane may have, as the station's file has them; none for a lane the station has not."""
        return tuple(self._read_or_not(choice) for choice in self._choices(lane))

    def offers(self, lane: str) -> tuple[Offer, ...]:
        """Those that can be read."""
        return tuple(one for one in self.listed(lane) if isinstance(one, Offer))

    def names(self, lane: str) -> tuple[str, ...]:
        """Of every recipe the lane may have, whether or not it can be read."""
        return tuple(choice.recipe for choice in self._choices(lane))

    def choose(
        self,
        lane: str,
        *,
        recipe: str | None = None,
        product: str | None = None,
        order: str | None = None,
        number: int | None = None,
    ) -> Offer:
        """The one that is meant. Raises RecipeNotChosen, and CFG- errors where it cannot be read."""
        if product is not None:
            return chosen(lane, self.offers(lane), recipe=recipe, product=product, order=order, number=number)
        # All but the product stands in the station's file, so that no other recipe needs to be read. One that cannot be
        # is not left out: an order of its own would come to mean the recipe that fits second best.
        named = [Offer(choice=choice, product="", revision=0) for choice in self._choices(lane)]
        return self._read(chosen(lane, named, recipe=recipe, order=order, number=number).choice)

    def change(self, lane: str, offer: Offer) -> None:
        """Let the engine take it up with the lane's next unit."""
        self._ask(lane, offer.recipe)

    def _choices(self, lane: str) -> tuple[RecipeChoice, ...]:
        known = self._lanes.get(lane)
        return () if known is None else known.choices

    def _read(self, choice: RecipeChoice) -> Offer:
        settings = self._load(choice.recipe).settings
        return Offer(choice=choice, product=settings.product, revision=settings.revision)

    def _read_or_not(self, choice: RecipeChoice) -> Offer | Unread:
        try:
            offer = self._read(choice)
        except ConfigError as error:
            # Once, not with every page that is looked at.
            if self._unread.get(choice.recipe) != str(error):
                logger.error("Recipe %s is not offered: %s", choice.recipe, error)
            self._unread[choice.recipe] = str(error)
            return Unread(choice=choice, error=error)
        self._unread.pop(choice.recipe, None)
        return offer
