"""What one thread hands to another, in order, until it ends or fails."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class HandOver(Generic[T]):
    """A queue whose end, and whose failure, come after all that was put before them.

    changed  its lock, and notified at every change; the same for several, where one thread waits for all of them
    waiting  what was put and not taken, the oldest first; to be looked at, and made shorter, while `changed` is held
    """

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self.changed = changed or threading.Condition()
        self.waiting: deque[T] = deque()
        self.has_ended = False
        self.failure: BaseException | None = None

    def put(self, one: T) -> None:
        with self.changed:
            self.waiting.append(one)
            self.changed.notify_all()

    def put_all(self, these: Iterable[T]) -> None:
        """All of them, and then the end; where taking them raises, that is the failure. Raises nothing."""
        try:
            for one in these:
                self.put(one)
        except BaseException as error:  # noqa: BLE001 - known by the thread that takes
            self.end(error)
        else:
            self.end()

    def end(self, failure: BaseException | None = None) -> None:
        with self.changed:
            self.failure = failure
            self.has_ended = True
            self.changed.notify_all()

    def take(self) -> T | None:
        """The oldest, waiting for it; None at the end, and after a failure."""
        with self.changed:
            self.wait()
            return self.waiting.popleft() if self.waiting else None

    def wait(self) -> None:
        """Until something waits, or nothing will come any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.has_ended)
