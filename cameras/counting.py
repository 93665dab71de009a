"""A device's frame count made into one that only rises, so that every jump is a loss and nothing else is."""

from __future__ import annotations

GEV_BLOCK_ID_MAX = 65535
"""GigE Vision before 2.0 counts in 16 bits from 1 and leaves out 0, so 1 follows 65535."""


class CountRestarted(Exception):
    """The device's count fell where it cannot have wrapped: how many frames are lost is not knowable."""


class ExposureCount:
    """Counts exposures from the ids of the frames that arrived. Starts at the first id.

    A 16-bit count is told from a wider one by never having passed 65535, and whether 0 is in use by having
    been seen: 64-bit counts (GigE Vision 2.0, USB3 Vision) do not wrap in the life of a camera.
    """

    def __init__(self) -> None:
        self._last_id: int | None = None
        self._sequence: int | None = None
        self._zero_is_used = False

    def of(self, frame_id: int | None, *, incomplete_before: int) -> int | None:
        """Sequence of a frame; None when the device sent this exposure before.

        frame_id           as the device counts; None where it does not, then only seen losses count
        incomplete_before  frames that came damaged since the last whole one: at least so many are lost

        Raises CountRestarted.
        """
        advance = 1 + incomplete_before
        if frame_id is not None:
            counted = self._advance(frame_id)
            if counted == 0:
                return None
            if counted is not None:
                # Some devices give a damaged frame no id of its own; the loss is real all the same.
                advance = max(counted, advance)
        if self._sequence is None:
            self._sequence = incomplete_before if frame_id is None else frame_id
        else:
            self._sequence += advance
        return self._sequence

    def _advance(self, frame_id: int) -> int | None:
        last, self._last_id = self._last_id, frame_id
        self._zero_is_used |= frame_id == 0
        if last is None:
            return None
        if frame_id >= last:
            return frame_id - last
        ids = GEV_BLOCK_ID_MAX + self._zero_is_used
        advance = (frame_id - last) % ids
        if last > GEV_BLOCK_ID_MAX or advance > ids // 2:
            raise CountRestarted(f"its frame count went from {last} back to {frame_id}")
        return advance
