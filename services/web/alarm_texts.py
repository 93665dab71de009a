"""Alarms in words."""

from __future__ import annotations

from collections.abc import Mapping

from services.station.messages import Alarm
from services.text import Explanation, explain_code, say_failure
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
        return explain_code(alarm.code, facts, language)
    except KeyError:
        return Explanation(code=alarm.code, what=say_failure(alarm.code, language), action="")
