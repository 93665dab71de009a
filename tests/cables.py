"""Network cables between this thread and devices with a network of their own: veth pairs, as root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gige import a_network_of_its_own
from tests.where import REPOSITORY


@dataclass(frozen=True, kw_only=True)
class FarEnd:
    """Where a device is. `interface` has the same name on both ends; here it may be a port of a switch."""

    interface: str
    pid: int

    def run(self, *command: str) -> None:
        _run("nsenter", "-t", str(self.pid), "-n", *command)

    @contextmanager
    def camera(self, address: str, serial: str, *words: str) -> Iterator[None]:
        """`lynceus camera simulate` there, on."""
        command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
        options = [
            "--address",
            address,
            "--serial",
            serial,
            "--interface",
            self.interface,
            "--show",
            "parts",
            *words,
        ]
        with subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-n", *command, *options],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LYNCEUS_LANGUAGE": "en"},
        ) as device:
            try:
                assert device.stdout is not None
                assert serial in device.stdout.readline()
                yield
            finally:
                device.kill()


@contextmanager
def a_cable(
    name: str, *, here: str | None, there: str, mtu_here: int = 1500, mtu_there: int = 1500
) -> Iterator[FarEnd]:
    """A veth pair `name` from this thread's network, which must be its own, to a new one. Addresses with prefix."""
    with subprocess.Popen(["unshare", "-n", "sleep", "600"]) as holder:
        try:
            far = FarEnd(interface=name, pid=holder.pid)
            _until_apart(holder.pid)
            _run(
                "ip",
                "link",
                "add",
                "name",
                name,
                "type",
                "veth",
                "peer",
                "name",
                name,
                "netns",
                str(holder.pid),
            )
            _run("ip", "link", "set", "dev", name, "mtu", str(mtu_here), "up")
            if here is not None:
                _run("ip", "addr", "add", here, "dev", name)
            far.run("ip", "link", "set", "dev", "lo", "up")
            far.run("ip", "link", "set", "dev", name, "mtu", str(mtu_there), "up")
            far.run("ip", "addr", "add", there, "dev", name)
            yield far
        finally:
            holder.kill()


@contextmanager
def a_switch(name: str, *, here: str) -> Iterator[str]:
    """A bridge into which cables can be plugged with `plug`."""
    _run("ip", "link", "add", "name", name, "type", "bridge")
    _run("ip", "addr", "add", here, "dev", name)
    _run("ip", "link", "set", "dev", name, "up")
    yield name


def plug(cable: FarEnd, switch: str) -> None:
    _run("ip", "link", "set", "dev", cable.interface, "master", switch)


@contextmanager
def cables_can_be_laid() -> Iterator[None]:
    """This thread on a network of its own, or a skip that says what is missing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network cables of its own need Linux and root")
    for tool in ("ip", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: iproute2 and util-linux have it")
    with a_network_of_its_own():
        probe = subprocess.run(
            ["ip", "link", "add", "name", "probe", "type", "veth"], check=False, capture_output=True
        )
        if probe.returncode != 0:
            pytest.skip(f"this kernel lays no veth cable: {probe.stderr.decode().strip()}")
        _run("ip", "link", "del", "dev", "probe")
        yield


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _until_apart(pid: int) -> None:
    """`unshare` takes a moment until the process is on a network of its own."""
    from tests.cameras.gige_client import until

    own = Path("/proc/thread-self/ns/net").readlink()
    until(lambda: Path(f"/proc/{pid}/ns/net").readlink() != own)
