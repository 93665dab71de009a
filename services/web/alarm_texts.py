"""Alarms in words."""

from __future__ import annotations

from collections.abc import Mapping

from services.station.messages import Alarm
from services.text import Explanation, catalogue, explain_code, say, say_failure
from services.web.rendering import lane_name, step_name
from station_config import Title


def explained(alarm: Alarm, language: str, titles: Mapping[str, Title]) -> Explanation:
    """An alarm in words, with the names that people have for the lane and its steps.

    One of which only the code was kept may lack the facts its text names: then a few words must do.
    """
    facts = dict(alarm.facts) | {"lane": lane_name(titles, language, alarm.lane)}
    if "step" in facts:
        facts["step"] = step_name(language, str(facts["step"]))
    try:
        if _is_told_apart(alarm.code, language):
            return Explanation(
                code=alarm.code,
                what=say(f"alarm.{alarm.code}.what", language, **facts),
                action=say(f"error.{alarm.code}.action", language, **facts),
            )
        return explain_code(alarm.code, facts, language)
    except KeyError:
        return Explanation(code=alarm.code, what=say_failure(alarm.code, language), action="")


def said_by_driver(alarm: Alarm, language: str) -> str | None:
    """The words of a camera's driver, which come in a language of their own: beside the alarm, never within it."""
    reason = alarm.facts.get("reason")
    return str(reason) if reason is not None and _is_told_apart(alarm.code, language) else None


def _is_told_apart(code: str, language: str) -> bool:
    return f"alarm.{code}.what" in catalogue(language)
