"""Ports for servers that tests start."""

import socket

HERE = "127.0.0.1"


def a_free_port() -> int:
    """Of TCP."""
    with socket.socket() as one:
        one.bind((HERE, 0))
        return one.getsockname()[1]
