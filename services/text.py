"""All text shown to people, looked up by key in their language. Nothing below `services` translates.

Texts lie in `services/texts/<area>.<language>.toml`; all areas of a language are one catalogue. Nested tables
are flattened with dots, so `[web] title = "…"` is `web.title`. An error's texts are `error.<code>.what` and
`error.<code>.action`, filled in with the error's facts; of one with several reasons `error.<code>.<reason>.what` and
`….action` come before these.
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter
from types import MappingProxyType

from inspection.errors import InspectionError

LANGUAGES = ("zh", "en")

logger = logging.getLogger(__name__)


def say(key: str, language: str, /, **facts: object) -> str:
    """The text of `key` with its facts filled in. Facts it does not name are ignored.

    Raises KeyError for a text or a fact that is not there: both are mistakes of ours, and tests find them.
    """
    try:
        text = catalogue(language)[key]
    except KeyError:
        raise KeyError(f"no text {key!r} in language {language!r}") from None
    return text.format_map(facts)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Every text of one of LANGUAGES, by key."""
    if language not in LANGUAGES:
        raise KeyError(f"no texts in language {language!r}; there are {', '.join(LANGUAGES)}")
    fragments = sorted(
        (
            file
            for file in files("services").joinpath("texts").iterdir()
            if file.name.endswith(f".{language}.toml")
        ),
        key=lambda file: file.name,
    )
    return merged((file.name, file.read_text(encoding="utf-8")) for file in fragments)


def merged(fragments: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """One catalogue from (file name, TOML) pairs. Raises ValueError where two say the same key."""
    texts: dict[str, str] = {}
    said_in: dict[str, str] = {}
    for name, toml in fragments:
        for key, text in _flattened(tomllib.loads(toml)):
            if key in texts:
                raise ValueError(f"text {key!r} is in {said_in[key]} and in {name}")
            texts[key] = text
            said_in[key] = name
    return MappingProxyType(texts)


def placeholders(text: str) -> frozenset[str]:
    """The names of the facts a text is filled in with."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def language_of_environment() -> str:
    """LYNCEUS_LANGUAGE, else the locale's language: Chinese where it says `zh…`, English everywhere else."""
    for variable in ("LYNCEUS_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if chosen := os.environ.get(variable):
            return "zh" if chosen.lower().startswith("zh") else "en"
    return "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An error as a person is to read it."""

    code: str
    what: str
    action: str


def explain(error: InspectionError, language: str) -> Explanation:
    """What happened and what to do, in the reader's language."""
    try:
        return explain_code(error.code, error.facts, language)
    except (KeyError, IndexError, ValueError):
        # An error without its text must still reach the reader: English is better than a second error.
        logger.exception("%s has no text in %r for the facts %s", error.code, language, sorted(error.facts))
        return Explanation(code=error.code, what=error.what, action=error.action)


def explain_code(code: str, facts: Mapping[str, object], language: str) -> Explanation:
    """The same for an error of which only code and facts came along. Raises KeyError as `say` does."""
    called = {name: _called(fact, language) for name, fact in facts.items()}
    key = f"error.{code}"
    # Of an error with several reasons each may have texts of its own.
    if f"{key}.{facts.get('reason')}.what" in catalogue(language):
        key = f"{key}.{facts['reason']}"
    return Explanation(
        code=code,
        what=say(f"{key}.what", language, **called),
        action=say(f"{key}.action", language, **called),
    )


def _called(fact: object, language: str) -> object:
    """What people call a method, a parameter or what is allowed, where it has a name, and each of several in a row;
    every other fact as it is."""
    if not isinstance(fact, str):
        return fact
    texts = catalogue(language)
    called = [texts.get(f"spc.called.{one}") for one in fact.split(", ")]
    if len(called) > 1 and all(one is not None for one in called):
        return ("、" if language == "zh" else ", ").join(one for one in called if one is not None)
    return texts.get(f"spc.called.{fact}", fact)


def say_failure(code: str, language: str) -> str:
    """Why a frame was not judged, in a few words. The code itself where we have no words for it."""
    return catalogue(language).get(f"failure.{code}", code)


def _flattened(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{key}.")
        elif isinstance(value, str):
            yield key, value
        else:
            raise ValueError(f"text {key!r} is {value!r}, not a string")
