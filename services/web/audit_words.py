"""The audit in words: what was done to what, and what it was before and after.

Entries hold stable keys and values for programs. Here keys become words and values what people call them; what a later
version wrote, and this one does not know, is shown as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from services.text import catalogue, say
from services.web.rendering import lane_name, when
from station_config import Title
from traceability.accounts import AuditEntry

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+\d\d:\d\d|Z)")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_DIGITS: Final = 6
"""Of a number: more than any of them was measured to."""

_NAMED_BY: Final = {
    "role": ("web.role.",),
    "mode": ("web.work.",),
    "rights": ("web.right.",),
    "decision": ("web.containment.decision.", "web.decision."),
    "changed": ("web.people.",),
    "entry": ("web.action.chart.",),
    "part": ("web.changes.",),
    "kind": ("web.study.",),
    "state": ("web.alarm.state.",),
}
"""Where the words for a value lie, by its key."""

_PAGES: Final = {
    "unit": "/trace/",
    "code": "/trace/",
    "inspection": "/inspection/",
    "case": "/cases/",
    "handover": "/handover/",
    "recipe": "/recipes/",
    "model": "/models/",
    "dataset": "/datasets/",
}
"""Of what an entry may be about: the page that shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What something was done to. `url` where a page shows it."""

    kind: str
    name: str
    url: str | None
    is_person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditWords:
    """Words in one language.

    station   whose lanes have titles in `lanes`; those of another are shown by name, with theirs
    accounts  the names that sign in, by account
    owners    names by commitment, as entries hold them
    person    what people call who signs in by a name
    """

    language: str
    station: str
    lanes: Mapping[str, Title]
    accounts: Mapping[str, str]
    owners: Mapping[str, str]
    person: Callable[[str | None], str]

    def subject(self, entry: AuditEntry) -> Subject:
        kind, _, rest = entry.subject.partition(":")
        known = catalogue(self.language).get(f"web.subject.{kind}")
        if known is None:
            return Subject(kind="", name=entry.subject, url=None)
        url = f"{_PAGES[kind]}{quote(rest, safe='/')}" if kind in _PAGES and rest else None
        return Subject(kind=known, name=self._name(kind, rest), url=url, is_person=kind == "account")

    def told(self, side: Mapping[str, Any] | None) -> list[tuple[str, str]]:
        """What is said of one side, each with what it is: (label, value)."""
        return [] if side is None else list(self._lines(side, ""))

    def _name(self, kind: str, rest: str) -> str:
        if kind == "account":
            return self.person(self.accounts[rest]) if rest in self.accounts else ""
        if kind in ("lane", "camera", "alarm"):
            place, *code = rest.split(":", maxsplit=1)
            # Earlier versions named no station.
            station, _, lane = place.rpartition("/")
            if station in ("", self.station):
                return " ".join([lane_name(self.lanes, self.language, lane), *code])
            return " ".join([place, *code])
        return rest

    def _lines(self, side: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
        for key in sorted(side):
            label = before + catalogue(self.language).get(f"web.audited.{key}", key)
            value = side[key]
            if isinstance(value, Mapping):
                yield from self._lines(value, f"{label} · ")
            elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
                for number, one in enumerate(value, start=1):
                    yield from self._lines(one, f"{label} {number} · ")
            elif isinstance(value, list):
                yield label, ", ".join(self._value(key, one) for one in value) or "–"
            else:
                yield label, self._value(key, value)

    def _value(self, key: str, value: object) -> str:
        texts = catalogue(self.language)
        if key == "title":
            # The audit keeps that a name changed and not to what: names are erased elsewhere.
            return say("web.audited.is_changed", self.language)
        if value is None:
            return "–"
        if isinstance(value, bool):
            return say("web.audited.yes" if value else "web.audited.no", self.language)
        if isinstance(value, float):
            return f"{value:,.{_DIGITS}g}"
        word = str(value)
        for prefix in _NAMED_BY.get(key, ()):
            if prefix + word in texts:
                return texts[prefix + word]
        if key == "owner":
            return self.person(self.owners.get(word, word))
        if key == "lane":
            return lane_name(self.lanes, self.language, word)
        if _TIME.fullmatch(word):
            return when(self.language, datetime.fromisoformat(word))
        return f"{word[:12]}…" if _DIGEST.fullmatch(word) else word
