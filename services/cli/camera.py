"""`lynceus camera`: which cameras are there, what one of them sees, and one that is simulated."""

from __future__ import annotations

import ipaddress
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from services.cli.camera_doctor import doctor
from services.cli.camera_record import record
from services.cli.options import FiniteRange
from services.text import language_of_environment, say

if TYPE_CHECKING:
    from cameras.genicam import DeviceInfo
    from cameras.producers import Producer
    from cameras.simulator.scene import Scene

producer_option = click.option(
    "--producer",
    default="simulated",
    metavar="PATH|lynceus|simulated",
    help=say("camera.help.producer", language_of_environment()),
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help=say("camera.help.json", language_of_environment())
)


@click.group(help=say("camera.help.camera", language_of_environment()))
def camera() -> None:
    pass


camera.add_command(doctor)
camera.add_command(record)


@camera.command("list", help=say("camera.help.list", language_of_environment()))
@producer_option
@json_option
def list_cameras(producer: str, as_json: bool) -> None:
    from cameras.genicam import list_devices

    devices = list_devices(_producer(producer))
    if as_json:
        click.echo(json.dumps([asdict(device) for device in devices], ensure_ascii=False))
    elif devices:
        Console().print(_table(devices, producer))
    if not devices:
        raise _nothing_found(producer)


@camera.command(help=say("camera.help.snap", language_of_environment()))
@producer_option
@click.option("--serial", metavar="SERIAL", help=say("camera.help.serial", language_of_environment()))
@click.option("--device", metavar="NAME|MAC|IP", help=say("camera.help.device", language_of_environment()))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("snap.png"),
    show_default=True,
    metavar="FILE.png",
    help=say("camera.help.out", language_of_environment()),
)
@json_option
def snap(producer: str, serial: str | None, device: str | None, out: Path, as_json: bool) -> None:
    from cameras import open_camera
    from cameras.genicam import list_devices
    from cameras.recording import png_of
    from cameras.settings import GenicamSettings

    if out.suffix.lower() != ".png":
        raise click.BadParameter(say("camera.snap.only_png", language_of_environment(), file=out))
    if not out.parent.is_dir():
        raise click.BadParameter(say("camera.snap.no_folder", language_of_environment(), folder=out.parent))
    if serial is not None and device is not None:
        raise click.UsageError(say("camera.snap.one_name", language_of_environment()))
    if serial is None and device is None:
        devices = list_devices(_producer(producer))
        if not devices:
            raise _nothing_found(producer)
        serial = devices[0].serial
    name = serial or device or ""
    settings = GenicamSettings(producer=_producer(producer), serial=serial, device=device)
    with open_camera(name, settings) as opened:
        frame = next(opened.frames())
    try:
        out.write_bytes(png_of(frame.pixels))
    except OSError as error:
        raise click.FileError(str(out), hint=error.strerror) from error
    height_px, width_px = frame.pixels.shape[:2]
    facts = {"serial": name, "file": str(out), "width_px": width_px, "height_px": height_px}
    if as_json:
        click.echo(
            json.dumps(
                {**facts, "sequence": frame.sequence, "captured_at": frame.captured_at.isoformat()},
                ensure_ascii=False,
            )
        )
    else:
        click.echo(say("camera.snap.saved", language_of_environment(), **facts))


@camera.command("force-ip", help=say("camera.help.force_ip", language_of_environment()))
@click.argument("mac")
@click.argument("address")
@click.option(
    "--mask",
    default="255.255.255.0",
    show_default=True,
    metavar="MASK",
    help=say("camera.help.mask", language_of_environment()),
)
@click.option(
    "--gateway",
    default="0.0.0.0",  # noqa: S104 - none, and not an address to bind
    metavar="IP",
    help=say("camera.help.gateway", language_of_environment()),
)
def force_ip_of(mac: str, address: str, mask: str, gateway: str) -> None:
    from cameras.gvcp import force_ip, normal_mac

    _check_address(mac, normal_mac)
    for given in (address, mask, gateway):
        _check_address(given, ipaddress.IPv4Address)
    device = force_ip(mac, address, mask=mask, gateway=gateway)
    facts = {"mac": device.mac, "address": device.address, "serial": device.serial}
    click.echo(say("camera.force_ip.done", language_of_environment(), **facts))


def _check_address(given: str, read: Callable[[str], object]) -> None:
    try:
        read(given)
    except ValueError as error:
        raise click.BadParameter(
            say("camera.force_ip.no_address", language_of_environment(), given=given)
        ) from error


@camera.command(help=say("camera.help.simulate", language_of_environment()))
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    metavar="IP",
    help=say("camera.help.address", language_of_environment()),
)
@click.option("--interface", metavar="NAME", help=say("camera.help.interface", language_of_environment()))
@click.option(
    "--serial",
    default="LYNCEUS-1",
    show_default=True,
    metavar="SERIAL",
    help=say("camera.help.own_serial", language_of_environment()),
)
@click.option(
    "--show",
    default="strip",
    show_default=True,
    metavar="strip|parts|FOLDER|RUN",
    help=say("camera.help.show", language_of_environment()),
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help=say("camera.help.seed", language_of_environment()),
)
@click.option("--size", metavar="WxH", help=say("camera.help.size", language_of_environment()))
@click.option(
    "--prepared",
    type=click.IntRange(1, 1000),
    metavar="N",
    help=say("camera.help.prepared", language_of_environment()),
)
@click.option(
    "--frames-per-s",
    type=FiniteRange(0.1, 1000),
    default=2.0,
    show_default=True,
    help=say("camera.help.frames_per_s", language_of_environment()),
)
@click.option(
    "--faults", default="", metavar="SPEC", help=say("camera.help.faults", language_of_environment())
)
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.jsonl",
    help=say("camera.help.truth", language_of_environment()),
)
def simulate(
    address: str,
    interface: str | None,
    serial: str,
    show: str,
    seed: int,
    size: str | None,
    prepared: int | None,
    frames_per_s: float,
    faults: str,
    truth: Path | None,
) -> None:
    from cameras.simulator.device import LOOPBACK, DeviceSettings, SimulatedCamera
    from cameras.simulator.faults import parse_faults

    language = language_of_environment()
    settings = DeviceSettings(
        address=address,
        interface=interface or (LOOPBACK if _is_loopback(address) else None),
        serial=serial,
        scene=_scene(show, seed, size, prepared),
        frames_per_s=frames_per_s,
        faults=parse_faults(faults),
        truth=truth,
    )
    stop = Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with SimulatedCamera(settings) as device:
            click.echo(say("camera.simulate.ready", language, serial=serial, address=address, show=show))
            stop.wait()
        counts = device.counts()
        names = ("blocks", "sent", "triggers", "triggers_missed")
        click.echo(say("camera.simulate.ended", language, **{name: counts[name] for name in names}))
    except OSError as error:
        if truth is None:
            raise
        raise click.FileError(str(truth), hint=error.strerror) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _scene(show: str, seed: int, size: str | None, prepared: int | None) -> Scene:
    from cameras.simulator.scene import folder_scene, parts_scene, prepared_scene, strip_scene

    wh_px = None if size is None else _size(size, show)
    match show:
        case "strip":
            scene = strip_scene(seed, wh_px=wh_px) if wh_px else strip_scene(seed)
        case "parts":
            scene = parts_scene(seed, size_px=wh_px[0]) if wh_px else parts_scene(seed)
        case _:
            scene = folder_scene(Path(show))
    return prepared_scene(scene, prepared) if prepared else scene


def _size(size: str, show: str) -> tuple[int, int]:
    """What is drawn can have any size that the device can announce; a part lies in a square."""
    width, _, height = size.partition("x")
    if width.isdecimal() and height.isdecimal() and show in ("strip", "parts"):
        width_px, height_px = int(width), int(height)
        fits = 64 <= width_px <= 16384 and width_px % 4 == 0 and 16 <= height_px <= 16384
        if fits and (show == "strip" or width_px == height_px):
            return width_px, height_px
    raise click.BadParameter(say("camera.simulate.size", language_of_environment(), size=size))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # No address at all: said so by the device, with what to do.
        return False


def _producer(given: str) -> Producer:
    match given:
        case "simulated" | "lynceus":
            return given
        case _:
            return Path(given)


def _nothing_found(producer: str) -> Exception:
    from cameras.errors import CameraNotFound

    return CameraNotFound(
        f"The camera library {producer} lists no camera.",
        action="Check power, cable and network of the camera, then list again.",
        camera="-",
        wanted="*",
        found="-",
    )


def _table(devices: Sequence[DeviceInfo], producer: str) -> Table:
    language = language_of_environment()
    names = ("serial", "vendor", "model", "name", "transport", "address", "mac")
    columns = [name for name in names if any(getattr(device, name) for device in devices)]
    table = Table(
        *(say(f"camera.list.{column}", language) for column in columns),
        title=say("camera.list.title", language, producer=producer),
        title_justify="left",
    )
    for device in devices:
        table.add_row(*(getattr(device, column) for column in columns))
    return table
