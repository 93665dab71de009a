"""For what a unit was not accepted: which of the defects and measurements on its record asked for its verdict."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from inspection.errors import InspectionError
from inspection.judging import judge_defect, judge_measurements
from inspection.strip import is_judged
from inspection.types import Defect, Inspection, Measurement, RecipeRef, Verdict
from services.replay import kept_recipe
from station_config import RecipeSettings
from traceability.images import ImageStore

_KEPT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One of the two: the longest of the defects, or the first of the measurements. `others`: how many more asked."""

    defect: Defect | None = None
    measurement: Measurement | None = None
    others: int = 0


class Reasons:
    """By the recipes that records name, of which the texts are kept beside the pictures. Used by many threads."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._known: OrderedDict[RecipeRef, RecipeSettings] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, inspection: Inspection) -> Reason | None:
        """None where it was accepted or not inspected, where its recipe is not known, and where it is all defects
        together that asked, or something else: nothing is said then instead of something that may be wrong."""
        verdict = inspection.verdict
        if verdict not in (Verdict.REVIEW, Verdict.REJECT):
            return None
        recipe = self._settings(inspection.recipe)
        if recipe is None:
            return None
        limits = recipe.judged_by()
        strip = inspection.strip
        asking = [
            one
            for one in inspection.defects
            if (strip is None or is_judged(one, strip)) and judge_defect(one, limits) is verdict
        ]
        if asking:
            longest = max(asking, key=lambda one: (one.length_mm or 0.0, one.score))
            return Reason(defect=longest, others=len(asking) - 1)
        tolerances = {one.name: one for one in recipe.tolerances()}
        out = [
            one
            for one in inspection.measurements
            if one.name in tolerances and judge_measurements([one], [tolerances[one.name]]) is verdict
        ]
        return Reason(measurement=out[0], others=len(out) - 1) if out else None

    def _settings(self, ref: RecipeRef) -> RecipeSettings | None:
        known = self._known.get(ref)
        if known is None:
            try:
                known = kept_recipe(self._images, ref, self._images.read(ref.sha256)).settings
            except InspectionError:
                return None
            with self._lock:
                self._known[ref] = known
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return known
