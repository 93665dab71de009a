"""How a process of the station learns that it is to end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def stop_when_told() -> threading.Event:
    """An event that is set on SIGTERM, and when the parent is gone: no process of ours outlives it.

    Ctrl-C reaches the whole group; the parent decides in which order the processes end.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_follow_parent, args=(stop,), name="parent", daemon=True).start()
    return stop


def _follow_parent(stop: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.set()
        # Nobody is left to end us if the orderly way hangs.
        threading.Timer(10.0, os._exit, (1,)).start()
