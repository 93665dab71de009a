"""A device's frame count made into one that only rises, so that every jump is a loss and nothing else is."""

from __future__ import annotations

GEV_BLOCK_ID_MAX = 65535
"""GigE Vision before 2.0 counts in 16 bits from 1 and leaves out 0, so 1 follows 65535."""

MOST_LOST = 1_000_000_000
"""Between two frames: 11 days of a thousand exposures a second. A count that leaps farther has begun anew, or is
broken; taken for a loss, it would not fit into the 32 bits that the record of a unit has for it."""

_MAY_COUNT_LATE = 1
"""Triggers by which a device's counter may be behind its exposures: some read it before they count."""


class CountRestarted(Exception):
    """A count of the device's fell where it cannot have wrapped, stood still while it went on, or leapt farther than
    can be: how many frames are lost is not knowable."""


class ExposureCount:
    """Counts exposures from the ids of the frames that arrived. Starts at the first id.

    first  sequence of the first exposure known of, which the first frames' may be that came damaged before it; None
           until there is a whole one

    A 16-bit count is told from a wider one by never having passed 65535, and whether 0 is in use by having
    been seen: 64-bit counts (GigE Vision 2.0, USB3 Vision) do not wrap in the life of a camera.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self._last_id: int | None = None
        self._sequence: int | None = None
        self._zero_is_used = False
        self._last_trigger: int | None = None
        self._uncounted = 0
        self._last_time_ns: int | None = None
        self._last_received_s: float | None = None
        self._shortest_ns: int | None = None

    def of(
        self,
        frame_id: int | None,
        *,
        incomplete_before: int,
        trigger: int | None = None,
        device_time_ns: int | None = None,
        received_s: float | None = None,
    ) -> int | None:
        """Sequence of a frame; None when the device sent this exposure before.

        frame_id           as the device counts; None where it does not, then only seen losses count
        incomplete_before  frames that came damaged since the last whole one: at least so many are lost
        trigger            how many triggers the device has had, this one's counted; None where nobody counts them.
                           One that exposed nothing has no frame id, and is lost all the same
        device_time_ns     when it was exposed, where the device says so: after a silence in which a 16-bit count may
                           have come round, a hole in it has no size that anybody knows
        received_s         when it came, in seconds of a clock of ours that never jumps, as the device's may: the
                           silence is the shorter of the two

        Raises CountRestarted.
        """
        advance = 1 + incomplete_before
        if frame_id is not None:
            counted = self._advance(frame_id)
            self._check_turns(frame_id, counted, device_time_ns, received_s)
            if counted == 0:
                return None
            if counted is not None:
                # Some devices give a damaged frame no id of its own; the loss is real all the same.
                advance = max(counted, advance)
        if trigger is not None:
            advance = max(self._triggered(trigger, exposed=advance), advance)
        if self._sequence is None:
            # Those that came damaged may have had no ids of their own.
            self._sequence = max(incomplete_before, frame_id or 0)
            self.first = self._sequence - incomplete_before
        else:
            self._sequence += advance
        return self._sequence

    def _check_turns(
        self, frame_id: int, counted: int | None, time_ns: int | None, received_s: float | None
    ) -> None:
        last_ns, self._last_time_ns = self._last_time_ns, time_ns
        last_s, self._last_received_s = self._last_received_s, received_s
        if counted is None or time_ns is None or last_ns is None or time_ns <= last_ns:
            return
        if counted == 1:
            self._shortest_ns = min(time_ns - last_ns, self._shortest_ns or time_ns - last_ns)
            return
        if self._shortest_ns is None or frame_id > GEV_BLOCK_ID_MAX:
            return
        silent_ns = time_ns - last_ns
        if received_s is not None and last_s is not None:
            silent_ns = min(silent_ns, int((received_s - last_s) * 1e9))
        if silent_ns >= GEV_BLOCK_ID_MAX * self._shortest_ns:
            raise CountRestarted(
                f"its frame count went to {frame_id} after {silent_ns / 1e9:.0f} s without a frame, in which"
                " it may have come round"
            )

    def _triggered(self, trigger: int, *, exposed: int) -> int:
        """Triggers since the last frame's, while so many pictures were exposed."""
        last, self._last_trigger = self._last_trigger, trigger
        if last is None:
            return 0
        if trigger < last:
            raise CountRestarted(f"its trigger counter went from {last} back to {trigger}")
        if trigger - last > MOST_LOST:
            raise CountRestarted(f"its trigger counter leapt from {last} to {trigger}")
        self._uncounted = max(0, self._uncounted + exposed - (trigger - last))
        if self._uncounted > _MAY_COUNT_LATE:
            # What is counted is not what triggers: it could not show a trigger that was missed.
            raise CountRestarted(
                f"its trigger counter went from {last} to {trigger} while {exposed} pictures were exposed"
            )
        return trigger - last

    def _advance(self, frame_id: int) -> int | None:
        last, self._last_id = self._last_id, frame_id
        self._zero_is_used |= frame_id == 0
        if last is None:
            return None
        if frame_id - last > MOST_LOST:
            raise CountRestarted(f"its frame count leapt from {last} to {frame_id}")
        if frame_id >= last:
            return frame_id - last
        ids = GEV_BLOCK_ID_MAX + self._zero_is_used
        advance = (frame_id - last) % ids
        if last > GEV_BLOCK_ID_MAX or advance > ids // 2:
            raise CountRestarted(f"its frame count went from {last} back to {frame_id}")
        return advance
