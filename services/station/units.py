"""Which unit a frame shows, where no label is read: so many frames of strip are a coil, each trigger a part."""

from __future__ import annotations

from collections.abc import Callable

from inspection.identity import IdentifierCode
from inspection.types import Frame


class CountedUnits:
    """Every `frames` exposures, counted from the first one seen, are one unit with a code of its own.

    mint  gives the next code; called once per unit, in order

    A lost exposure belongs to a unit as well as a seen one does, since the device counts both.
    """

    def __init__(self, frames: int, mint: Callable[[], IdentifierCode]) -> None:
        self._frames = frames
        self._mint = mint
        self._first: int | None = None
        self._index = -1
        self._code: IdentifierCode | None = None

    def unit_of(self, frame: Frame) -> IdentifierCode:
        return self._at(frame.sequence)

    def completes_unit(self, frame: Frame) -> bool:
        self._at(frame.sequence)
        assert self._first is not None
        return (frame.sequence - self._first + 1) % self._frames == 0

    def unit_of_lost(self, sequence: int) -> IdentifierCode:
        return self._at(sequence)

    def _at(self, sequence: int) -> IdentifierCode:
        if self._first is None or sequence < self._first:
            # The first exposure, or a device that counts anew: a new unit begins with it.
            self._first, self._index = sequence, -1
        index = (sequence - self._first) // self._frames
        if self._code is None or index != self._index:
            self._index, self._code = index, self._mint()
        return self._code
