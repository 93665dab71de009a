"""A case's input, by any of the names a field goes by; and the words in which an answer is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Fields = dict[str, Any]


class NotReported(Exception):
    """The product reports nothing for this case."""


class Given:
    """A case's input, by any of the names a field goes by."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def get(self, *names: str, default: Any = None) -> Any:
        for name in names:
            if self.data.get(name) is not None:
                return self.data[name]
        return default

    def need(self, *names: str) -> Any:
        value = self.get(*names)
        if value is None:
            raise NotReported(f"input has none of {names}")
        return value

    def has(self, *names: str) -> bool:
        return self.get(*names) is not None

    def options(self, **names: Sequence[str]) -> Fields:
        """Keyword arguments for those that the case gives."""
        return {ours: self.get(*theirs) for ours, theirs in names.items() if self.has(*theirs)}
