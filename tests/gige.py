"""Our GenTL producer, and GigE Vision devices to try it on, on a network of their own: the one that Aravis ships, and
ours."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock, ioctl
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest

from tests.where import REPOSITORY

ADDRESS = "127.0.0.1"
GVCP_PORT = 3956
DEVICE = "arv-fake-gv-camera-0.8"
INSTALL = "scripts/install_system_packages.sh, as root"

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_STARTS_WITHIN_S = 60.0


@cache
def built_producer() -> Path:
    """What `make producer` builds, or a skip that says what is missing for it."""
    for tool in ("make", "cc", "pkg-config", DEVICE):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: {INSTALL}")
    if subprocess.run(["pkg-config", "--exists", "aravis-0.8"], check=False).returncode != 0:
        pytest.skip(f"libaravis-dev or libusb-1.0-0-dev is missing: {INSTALL}")
    built = REPOSITORY / "cameras" / "gentl" / "build" / "lynceus.cti"
    built.parent.mkdir(exist_ok=True)
    with (built.parent / ".building").open("w") as building:
        flock(building, LOCK_EX)  # another process of the tests may be at it
        made = subprocess.run(
            ["make", "producer"], cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=240
        )
    assert made.returncode == 0, made.stderr
    return built


@contextmanager
def the_port_of_this_computer() -> Iterator[None]:
    """Of GigE Vision devices at 127.0.0.1: for one process of the tests at a time."""
    with (Path(gettempdir()) / f"lynceus-tests-{os.getuid()}.lock").open("w") as ours:
        flock(ours, LOCK_EX)
        yield


@contextmanager
def a_network_of_its_own() -> Iterator[None]:
    """This thread, and what it starts, on a network with nothing but a loopback: a GigE Vision device has one port
    on an address, and another session's may be on ours. Without the right to that it is the machine's own, if the
    port is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(_CLONE_NEWNET) != 0:
            with the_port_of_this_computer():
                _skip_unless_free()
                yield
            return
        try:
            _raise_loopback()
            yield
        finally:
            assert libc.setns(before.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def _skip_unless_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ADDRESS, GVCP_PORT))
        except OSError:
            pytest.skip(f"UDP port {GVCP_PORT} of {ADDRESS} is taken: run the tests as root")


@dataclass(kw_only=True)
class GigeDevice:
    """`lost_per_thousand` of its stream's packets it does not send. Its frame ids begin at 65400, and it counts in
    16 bits."""

    serial: str = "LYN1"
    lost_per_thousand: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        command = [DEVICE, "-i", ADDRESS, "-s", self.serial, "-r", str(self.lost_per_thousand)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        give_up_s = time.monotonic() + _STARTS_WITHIN_S
        while not _is_listening():
            assert self._process.poll() is None, f"{DEVICE} ended with {self._process.returncode}"
            assert time.monotonic() < give_up_s, f"{DEVICE} does not listen"
            time.sleep(0.02)

    @property
    def process_id(self) -> int:
        assert self._process is not None, "it was not started"
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _is_listening() -> bool:
    wanted = f"{struct.unpack('=I', socket.inet_aton(ADDRESS))[0]:08X}:{GVCP_PORT:04X}"
    return wanted in Path("/proc/thread-self/net/udp").read_text()


@contextmanager
def a_gige_device(*, lost_per_thousand: int = 0) -> Iterator[GigeDevice]:
    """A running one, with the producer built; ended whatever happens."""
    built_producer()
    device = GigeDevice(lost_per_thousand=lost_per_thousand)
    with a_network_of_its_own():
        try:
            device.start()
            yield device
        finally:
            device.kill()


@contextmanager
def a_simulated_device(*options: str, serial: str) -> Iterator[None]:
    """`lynceus camera simulate`, on a network of its own."""
    built_producer()
    with a_network_of_its_own(), a_switched_on_device(*options, serial=serial):
        yield


@contextmanager
def a_switched_on_device(*options: str, serial: str) -> Iterator[None]:
    """`lynceus camera simulate` on the network of this thread. A process of its own: harvesters holds Python while it
    looks for devices, and one in this process could not answer."""
    command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
    with subprocess.Popen(
        [*command, "--serial", serial, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as device:
        try:
            assert device.stdout is not None
            assert serial in device.stdout.readline()
            yield
        finally:
            device.kill()
