"""All that is looked at, in order. The one place that knows which look needs which."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cameras
from cameras.doctor import computer, wire
from cameras.doctor.facts import Answers, CameraFacts, Facts, Heard, Opened, ProducerFile, Seen, Unseen
from cameras.errors import ProducerMissing
from cameras.producers import Producer, producer_file

_ELF_HEAD_BYTES = 20


def look(producer: Producer, *, wanted: str | None, seconds: float) -> Facts:
    """What there is to know of this computer, its networks and its cameras.

    producer  through which cameras are opened
    wanted    only this camera is questioned and opened: its serial number, name, MAC or IP address; None: all
    seconds   of pictures of each camera that is free; 0 takes none

    A camera that another program controls is read, as far as it lets others read, and nothing else.
    """
    facts = Facts(
        python=computer.python_here(),
        packages=computer.packages_here(),
        producer=_file(producer),
        search=computer.search_folders(os.environ),
        interfaces=computer.interfaces(),
        socket_buffer=computer.socket_buffer(),
        firewall=computer.firewall(),
        wanted=wanted,
        heard=wire.hear_devices(),
    )
    there = () if isinstance(facts.interfaces, Unseen) else facts.interfaces
    on_wire = [(one, wire.question(one, there)) for one in facts.heard if _is_called(one, wanted)]
    failure, listed = _listed(producer, facts.producer)
    # A name, MAC or IP address may be known on the wire alone.
    called = {device.serial for device, _ in on_wire} | {
        serial for serial in listed if wanted in (None, serial)
    }
    opened = {
        one: _watched(one, producer, seconds) for one in listed if one in called and _is_free(one, on_wire)
    }
    return replace(
        facts,
        producer=replace(facts.producer, failure=failure),
        cameras=(
            *(
                CameraFacts(
                    serial=device.serial or device.mac,
                    heard=device,
                    answers=answers,
                    opened=opened.get(
                        device.serial, _why_not_opened(device.serial, listed, on_wire, failure)
                    ),
                )
                for device, answers in on_wire
            ),
            *(
                CameraFacts(serial=one, heard=None, answers=None, opened=found)
                for one, found in opened.items()
                if one not in {device.serial for device, _ in on_wire}
            ),
        ),
    )


def _is_called(device: Heard, wanted: str | None) -> bool:
    names = {device.serial, device.user_id, device.mac, str(device.address.ip)}
    return wanted is None or wanted in names or wanted.lower().replace("-", ":") == device.mac


def _file(producer: Producer) -> ProducerFile:
    path = _path(producer)
    try:
        with path.open("rb") as file:
            head = file.read(_ELF_HEAD_BYTES)
    except OSError:
        head = None
    return ProducerFile(
        path=str(path),
        is_ours=producer == "lynceus",
        is_there=head is not None,
        elf=None if head is None else computer.elf_of(head),
        failure=Unseen("no_library"),
    )


def _path(producer: Producer) -> Path:
    """Where the file is, or would be: asking the driver would end at the first thing that is missing."""
    if producer == "lynceus":
        return Path(cameras.__file__).with_name("gentl") / "build" / "lynceus.cti"
    if isinstance(producer, Path):
        return producer.expanduser().resolve()
    try:
        return producer_file(producer)
    except ProducerMissing:
        return Path("viky.cti")


def _listed(producer: Producer, file: ProducerFile) -> tuple[Seen[str | None], tuple[str, ...]]:
    """Why the producer cannot be used, and the serial numbers it lists."""
    if not file.is_there:
        return Unseen("no_library"), ()
    try:
        from cameras.genicam import list_devices
    except ProducerMissing:
        return Unseen("no_library"), ()
    try:
        return None, tuple(device.serial for device in list_devices(producer))
    except ProducerMissing as error:
        return str(error.facts["reason"]), ()


def _watched(serial: str, producer: Producer, seconds: float) -> Seen[Opened]:
    from cameras.doctor.device import watch

    return watch(serial, producer, seconds=seconds)


def _is_free(serial: str, on_wire: Iterable[tuple[Heard, Answers]]) -> bool:
    return all(
        answers.privilege == "open" or isinstance(answers.privilege, Unseen)
        for device, answers in on_wire
        if device.serial == serial
    )


def _why_not_opened(
    serial: str,
    listed: Iterable[str],
    on_wire: Iterable[tuple[Heard, Answers]],
    failure: Seen[str | None],
) -> Unseen:
    if not _is_free(serial, on_wire):
        return Unseen("taken")
    return Unseen(
        "no_library" if failure is not None else "not_listed" if serial not in listed else "not_opened"
    )
