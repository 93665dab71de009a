"""Records as plain JSON values: the form in which they are compared, hashed into the ledger and certified.

A field that holds its default is left out. So a field that a later version adds to a record changes no record that
was made before it, and what the ledger holds of that one stays true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from numbers import Integral, Real
from typing import Any
from uuid import UUID

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability.verifier import LARGEST_INTEGER

Plain = dict[str, Any]


def statement(record: object) -> Plain:
    """A record, a dataclass of ours, as JSON values. Equal records give equal statements."""
    assert is_dataclass(record)
    said: Plain = {}
    for one in fields(record):
        value = getattr(record, one.name)
        if not _is_default(one, value):
            said[one.name] = _plain(value)
    return said


def _is_default(field: Field[Any], value: object) -> bool:
    if field.default is not MISSING:
        return bool(value == field.default)
    return field.default_factory is not MISSING and bool(value == field.default_factory())


def _plain(value: object) -> Any:
    match value:
        case None | bool() | str() if not isinstance(value, Enum):
            return value
        case IntEnum():
            return value.name
        case Enum():
            return value.value
        case IdentifierCode():
            code = {"scheme": value.scheme, "canon": value.canon}
            return code if value.raw == value.canon else {**code, "read_as": value.raw}
        case Box():
            return [_plain(side) for side in (value.x1, value.y1, value.x2, value.y2)]
        case UUID():
            return str(value)
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        case Integral():
            # Beyond it two integers may be one number to whoever reads the JSON (RFC 8785, appendix D).
            return int(value) if abs(int(value)) <= LARGEST_INTEGER else str(int(value))
        case Real():
            # A number that is none has no JSON.
            return float(value) if math.isfinite(value) else str(float(value))
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case frozenset() | set():
            return sorted(_plain(one) for one in value)
    if is_dataclass(value):
        return statement(value)
    raise TypeError(f"{type(value).__name__} has no plain form")
