"""What may be asked for in a query: a lane, a kind of defect, a camera. Of a name that nobody has heard of, an empty
chart would say that all is well there."""

from __future__ import annotations

from fastapi import Request

from services.api.serving import Here, Language, Serving
from services.text import say
from services.web.rendering import lane_name
from traceability.errors import ChoiceUnknown
from traceability.factors import knows_camera, knows_kind, knows_lane


def known_choices(request: Request, here: Here, language: Language) -> None:
    """Of a request of statistics. Raises ChoiceUnknown."""
    check_lane(here, language, request.query_params.get("lane", ""))
    check_kind(here, language, request.query_params.get("kind", ""))
    check_camera(here, language, request.query_params.get("camera", ""))


def lanes_of(here: Serving) -> list[str]:
    """Those that have been heard of; before any was, those the station is to have."""
    return [known.lane for known in here.lanes()] or list(here.lane_titles)


def check_lane(here: Serving, language: str, lane: str) -> None:
    """Raises ChoiceUnknown for one that neither the station has nor the record."""
    known = list(dict.fromkeys([*here.lane_titles, *lanes_of(here)]))
    if lane and lane not in known and not knows_lane(here.store, lane):
        refuse_choice(language, "lane", lane, [lane_name(here.lane_titles, language, one) for one in known])


def check_kind(here: Serving, language: str, kind: str) -> None:
    """Raises ChoiceUnknown for one that is neither in the catalogue nor in the record."""
    if kind and kind not in here.catalogue and not knows_kind(here.store, kind):
        refuse_choice(language, "kind", kind, [one.name(language) for one in here.catalogue.values()])


def check_camera(here: Serving, language: str, camera: str) -> None:
    """Raises ChoiceUnknown for one that neither the station has nor the record."""
    known = [name for lane in here.lanes() for name in lane.cameras]
    if camera and camera not in known and not knows_camera(here.store, camera):
        refuse_choice(language, "camera", camera, known)


def refuse_choice(language: str, what: str, value: str, there: list[str]) -> None:
    """Raises ChoiceUnknown."""
    raise ChoiceUnknown(
        f"There is no {what} {value!r} here; there are: {', '.join(there) or '–'}.",
        action="Choose one of these.",
        choice=what,
        value=value,
        there=say("web.models.comma", language).join(there) or "–",
    )
