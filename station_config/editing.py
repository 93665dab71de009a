"""A recipe's limits, zones and severities changed in its text, where everything else stays as it was written: comments
say why a limit is what it is.

The text is cut at its table headers. A table that says what it said keeps its lines; one that does not gets its keys
anew under its old comments. What comes out is read again and compared with what was asked for.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from station_config.errors import ConfigSyntax

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\"'-]+)\s*\]\]?\s*(#.*)?$")
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
_MARK = "\ufeff"
"""With which editors on Windows begin UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a form changes, as TOML has it: a row of a limit with the place it had before, or None for a new one."""

    limits: Sequence[tuple[int | None, Mapping[str, Any]]]
    zones: Mapping[str, Mapping[str, Any]]
    severities: Mapping[str, Sequence[str]]


def tables_of(text: str) -> Tables:
    """What stands in a recipe's text. Raises ConfigSyntax where it is no TOML, or no tables stand there."""
    try:
        given = tomllib.loads(text.removeprefix(_MARK))
    except tomllib.TOMLDecodeError as error:
        raise _not_tables("recipe", str(error)) from error
    limits, zones, severities = given.get("limits", []), given.get("zones", {}), given.get("severities", {})
    fits = (
        isinstance(limits, list)
        and all(isinstance(one, dict) for one in limits)
        and isinstance(zones, dict)
        and all(isinstance(one, dict) for one in zones.values())
        and isinstance(severities, dict)
        and all(isinstance(one, list) for one in severities.values())
    )
    if not fits:
        raise _not_tables(str(given.get("name", "recipe")), "limits, zones and severities are no tables")
    return Tables(limits=list(enumerate(limits)), zones=zones, severities=severities)


def edited(text: str, wanted: Tables, *, revision: int) -> str:
    """The text with these tables and this revision.

    Raises ConfigSyntax where its tables are written in a way that cannot be edited so.
    """
    text = text.removeprefix(_MARK)
    old = tables_of(text)
    before = tomllib.loads(text)
    head, blocks = _blocks(text)
    kept: list[str] = []
    number = -1
    places = {at: keys for at, keys in wanted.limits if at is not None}
    at_limits = at_head = None
    for header, lines in blocks:
        if header == "[[limits]]":
            number += 1
            at_limits = len(kept)
            if number in places:
                same = dict(places[number]) == dict(old.limits[number][1])
                kept.append(lines if same else _anew(lines, places[number]))
                at_limits = len(kept)
        elif header == "[severities]":
            at_head = len(kept)
            if wanted.severities:
                same = dict(wanted.severities) == dict(old.severities)
                kept.append(lines if same else _anew(lines, wanted.severities))
        elif header.startswith("[zones."):
            at_head = len(kept)
            name = header[len("[zones.") : -1].strip("\"'")
            if name in wanted.zones:
                same = dict(wanted.zones[name]) == dict(old.zones.get(name, {}))
                kept.append(lines if same else _anew(lines, wanted.zones[name]))
        else:
            kept.append(lines)
    new = [_table("[[limits]]", keys) for at, keys in wanted.limits if at is None]
    kept[len(kept) if at_limits is None else at_limits : 0 if at_limits is None else at_limits] = new
    first = [
        *(
            _table(f"[zones.{_key(name)}]", keys)
            for name, keys in wanted.zones.items()
            if name not in old.zones
        ),
        *([_table("[severities]", wanted.severities)] if wanted.severities and not old.severities else []),
    ]
    place = len(kept) if at_head is None else min(at_head, len(kept))
    kept[place:place] = first
    changed = re.sub(r"(?m)^revision\s*=\s*\d+", f"revision = {revision}", head, count=1) + "".join(kept)
    asked = before | {
        "revision": revision,
        "limits": [dict(keys) for _, keys in sorted(wanted.limits, key=_old_first)],
        "zones": {name: dict(keys) for name, keys in wanted.zones.items()},
        "severities": {name: list(kinds) for name, kinds in wanted.severities.items()},
    }
    try:
        is_so = _told(tomllib.loads(changed)) == _told(asked)
    except tomllib.TOMLDecodeError:
        is_so = False
    if not is_so:
        why = "limits, zones and severities are not [[limits]], [zones.…] and [severities]"
        raise _not_tables(str(before.get("name", "recipe")), why)
    return changed


def _not_tables(file: str, why: str) -> ConfigSyntax:
    return ConfigSyntax(
        f"The limits, zones or severities of {file} cannot be changed by a form: {why}.",
        action="Change its text instead.",
        file=file,
        why=why,
    )


def _old_first(row: tuple[int | None, Mapping[str, Any]]) -> tuple[bool, int]:
    return row[0] is None, row[0] or 0


def _told(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without tables that are empty: leaving one out says the same."""
    return {key: value for key, value in given.items() if value not in ({}, [])}


def _blocks(text: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first table, and each table: its header, and its lines with the comments above it."""
    lines = text.splitlines(keepends=True)
    starts: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        found = _HEADER.match(line)
        if found is not None:
            opened = found[1]
            header = f"{opened}{found[2]}{']' * len(opened)}"
            begin = number
            while begin > 0 and lines[begin - 1].lstrip().startswith("#"):
                begin -= 1
            starts.append((begin, header))
    if not starts:
        return text, []
    ends = [begin for begin, _ in starts[1:]] + [len(lines)]
    head = "".join(lines[: starts[0][0]])
    return head, [
        (header, "".join(lines[begin:end])) for (begin, header), end in zip(starts, ends, strict=True)
    ]


def _anew(lines: str, keys: Mapping[str, Any]) -> str:
    """The table's comments and header, with these keys, and the empty lines behind it."""
    old = lines.splitlines(keepends=True)
    head = next(number for number, line in enumerate(old) if _HEADER.match(line))
    behind = len(lines) - len(lines.rstrip("\n"))
    return "".join(old[: head + 1]) + _lines(keys) + "\n" * max(0, behind - 1)


def _table(header: str, keys: Mapping[str, Any]) -> str:
    return f"{header}\n{_lines(keys)}\n"


def _lines(keys: Mapping[str, Any]) -> str:
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in keys.items())


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Iterable):
        return f"[{', '.join(_value(one) for one in value)}]"
    return repr(value)
