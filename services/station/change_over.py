"""Changing a lane's recipe while it runs: asked for in the service (`recipes.py`), built aside in the engine, taken up
by the lane with the next unit that begins. No frame is lost for it, and each unit's record has its own recipe.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from inspection.errors import InspectionError
from inspection.types import RecipeRef
from services.station.lane import Lane, ReadyRecipe
from services.station.messages import RecipeCondition, RecipeState, RecipeWish
from station_config import LaneSettings, Recipe, load_recipe

logger = logging.getLogger(__name__)

BUILD_FAILED = "SVC-RECIPE-FAILED"

IN_FORCE: Final = "recipes-in-force.json"


class InForce:
    """Which recipe each lane is to begin with, kept in a file: an engine that is started again goes on with the recipe
    that was chosen last, not with the one of the station's file."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / IN_FORCE
        self._lock = threading.Lock()

    def of(self, lane: LaneSettings) -> str:
        """The lane's recipe; that of the station's file where none was chosen since, or it is not offered any more."""
        kept = self._read().get(lane.name)
        return kept if kept in lane.offered else lane.recipe

    def keep(self, lane: str, recipe: str) -> None:
        if self._file is None:
            return
        with self._lock:
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._read() | {lane: recipe}), encoding="utf-8")
            new.replace(self._file)

    def _read(self) -> dict[str, str]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(lane): str(recipe) for lane, recipe in kept.items()}
        except (OSError, ValueError, AttributeError):
            logger.exception(
                "%s cannot be read: lanes begin with the recipes of the station's file", self._file
            )
            return {}


class Changer:
    """The engine's side. `change` returns at once: a thread builds the recipe and hands it to the lane.

    lanes  may be filled until `begin`
    build  reads and builds a recipe for a lane with so many workers. Raises CFG- and MOD- errors
    say    told of every step
    """

    def __init__(
        self,
        lanes: Mapping[str, tuple[LaneSettings, Lane]],
        *,
        build: Callable[[Recipe, int], ReadyRecipe],
        say: Callable[[RecipeState], None],
        in_force: InForce,
        load: Callable[[str], Recipe] = load_recipe,
    ) -> None:
        self._lanes = lanes
        self._build = build
        self._say = say
        self._in_force = in_force
        self._load = load
        self._chosen: dict[str, str] = {}
        self._asked_early: list[RecipeWish] = []
        self._has_begun = False
        # One after the other, as they were asked for: the last one is the last one handed over.
        self._asked: deque[Callable[[], None]] = deque()
        self._asking = threading.RLock()
        self._is_working = False

    def begin(self) -> None:
        """Once all lanes are there: say which recipe each has, and make the changes that were asked for before."""
        for name, (_, lane) in self._lanes.items():
            self._tell(name, lane.recipe.ref.name, "in_use", ref=lane.recipe.ref)
        with self._asking:
            self._has_begun = True
            for wish in self._asked_early:
                self._ask(partial(self._change, wish))

    def change(self, wish: RecipeWish) -> None:
        with self._asking:
            if self._has_begun:
                self._ask(partial(self._change, wish))
            else:
                # Lanes take seconds to build, and who asks, the service or the PLC, does not ask a second time.
                self._asked_early.append(wish)

    def rebuild(self) -> None:
        """Build the recipe of every lane again: a model it names was promoted, or taken back."""
        for name in self._lanes:
            self._ask(partial(self._rebuild, name))

    def _rebuild(self, name: str) -> None:
        """What is chosen by then: another may have been asked for before it."""
        settings, _ = self._lanes[name]
        self._change(RecipeWish(lane=name, recipe=self._chosen.get(name, settings.recipe)))

    def _ask(self, work: Callable[[], None]) -> None:
        with self._asking:
            self._asked.append(work)
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="recipes", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._asking:
                if not self._asked:
                    self._is_working = False
                    return
                work = self._asked.popleft()
            try:
                work()
            except Exception:
                logger.exception("A change of recipe failed; those asked for after it are made")

    def _change(self, wish: RecipeWish) -> None:
        if wish.lane not in self._lanes:
            logger.error("There is no lane %s to change over to %s", wish.lane, wish.recipe)
            return
        settings, lane = self._lanes[wish.lane]
        tell = partial(self._tell, wish.lane, wish.recipe, by_plc=wish.by_plc)
        tell("preparing")
        try:
            ready = self._build(self._load(wish.recipe), lane.workers)
            self._check_views(settings, ready)
            self._in_force.keep(wish.lane, wish.recipe)
            self._chosen[wish.lane] = wish.recipe
        except InspectionError as error:
            logger.error("Lane %s keeps its recipe: %s", wish.lane, error)
            facts = {name: str(fact) for name, fact in error.facts.items()}
            tell("refused", failure=error.code, facts=facts)
            return
        except Exception as error:
            logger.exception("Lane %s keeps its recipe: %s cannot be built", wish.lane, wish.recipe)
            facts = {"lane": wish.lane, "recipe": wish.recipe, "reason": str(error)}
            tell("refused", failure=BUILD_FAILED, facts=facts)
            return
        # Told first: the lane may take it up at once.
        tell("ready", ref=ready.ref)
        lane.change_to(ready, taken_up=lambda: tell("in_use", ref=ready.ref))

    def _check_views(self, settings: LaneSettings, ready: ReadyRecipe) -> None:
        if set(ready.views) != set(settings.cameras):
            raise ViewsDiffer(
                f"Recipe {ready.ref.name} is for the views {', '.join(ready.views) or 'of one camera'}, "
                f"lane {settings.name} has {', '.join(settings.cameras) or 'one camera'}.",
                action="Choose a recipe that is made for the lane's cameras.",
                lane=settings.name,
                recipe=ready.ref.name,
            )

    def _tell(
        self,
        lane: str,
        recipe: str,
        condition: RecipeCondition,
        *,
        ref: RecipeRef | None = None,
        failure: str | None = None,
        facts: Mapping[str, object] | None = None,
        by_plc: bool = False,
    ) -> None:
        logger.info("Lane %s: recipe %s is %s (%s)", lane, recipe, condition, failure or "-")
        self._say(
            RecipeState(
                lane=lane,
                recipe=recipe,
                ref=ref,
                condition=condition,
                at=datetime.now(UTC),
                failure=failure,
                facts=facts,
                by_plc=by_plc,
            )
        )


class ViewsDiffer(InspectionError):
    """A recipe for other cameras than the lane has. Facts: lane, recipe."""

    code = "CFG-VIEWS-DIFFER"
