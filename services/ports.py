"""Whether an address of this computer can be listened on, before a server tries."""

from __future__ import annotations

import socket


def why_taken(host: str, port: int) -> str | None:
    """Why not, in the system's words; None: it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
