"""Devices as they announce themselves, and the address they are given: against one that does as it is told."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from ipaddress import IPv4Address
from threading import Event, Thread

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import AddressRefused, CameraNotFound
from cameras.gvcp import discover, force_ip, normal_mac, parse_announcement
from cameras.simulator.protocol import (
    GVCP_PORT,
    Ack,
    Discovery,
    ForceIp,
    Malformed,
    Status,
    pack_ack,
    parse_command,
    parse_header,
)
from services.cli.camera import camera as command
from tests.gige import a_network_of_its_own

MAC = "00:11:22:aa:bb:cc"
SO_BINDTODEVICE = 25


class ScriptedDevice:
    """Hears broadcasts only: its address is of another network, and no packet of ours can be sent to it."""

    def __init__(self, *, obeys=True):
        self.address = IPv4Address("169.254.7.7")
        self.gateway = None
        self._obeys = obeys

    def answer(self, data):
        header = parse_header(data)
        match parse_command(header):
            case Discovery():
                return self._ack(header, self._announcement())
            case ForceIp(mac=mac) as forced if mac.hex(":") == MAC:
                if not self._obeys:
                    return self._ack(header, b"", status=Status.ACCESS_DENIED)
                self.address, self.gateway = IPv4Address(forced.address), IPv4Address(forced.gateway)
                return self._ack(header, b"")
        return None

    @staticmethod
    def _ack(header, body, *, status=Status.SUCCESS):
        return pack_ack(Ack(status=status, code=header.code + 1, request_id=header.request_id, body=body))

    def _announcement(self):
        body = bytearray(248)
        body[0x0A:0x10] = bytes.fromhex(MAC.replace(":", ""))
        body[0x24:0x28] = self.address.packed
        body[0x34:0x38] = IPv4Address("255.255.0.0").packed
        for at, text in {0x48: b"Maker", 0x68: b"Model", 0xD8: b"S-1", 0xE8: b"over the coil"}.items():
            body[at : at + len(text)] = text
        return bytes(body)


@contextmanager
def on_the_network(device):
    ended = Event()
    with a_network_of_its_own(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo")
        listener.bind(("255.255.255.255", GVCP_PORT))
        listener.settimeout(0.05)
        answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def serve():
            while not ended.is_set():
                try:
                    data, sender = listener.recvfrom(2048)
                except TimeoutError:
                    continue
                if (answer := device.answer(data)) is not None:
                    answering.sendto(answer, sender)

        server = Thread(target=serve)
        server.start()
        try:
            yield device
        finally:
            ended.set()
            server.join()
            answering.close()


def test_a_device_is_heard_whatever_its_address():
    with on_the_network(ScriptedDevice()):
        (heard,) = discover()
    assert (heard.mac, heard.address, heard.mask) == (MAC, "169.254.7.7", "255.255.0.0")
    assert (heard.serial, heard.vendor, heard.model, heard.user_name) == (
        "S-1",
        "Maker",
        "Model",
        "over the coil",
    )
    assert heard.interface == "lo"


def test_where_nobody_answers_nothing_is_heard():
    with a_network_of_its_own():
        assert discover(seconds=0.1) == ()


def test_a_device_takes_the_address_it_is_given_by_its_mac_address():
    with on_the_network(ScriptedDevice()) as device:
        now = force_ip("00-11-22-AA-BB-CC", "192.168.10.7", gateway="192.168.10.1")
        assert now.address == "192.168.10.7"
        assert device.gateway == IPv4Address("192.168.10.1")


def test_a_device_that_does_not_obey_says_why():
    with on_the_network(ScriptedDevice(obeys=False)), pytest.raises(AddressRefused) as refusal:
        force_ip(MAC, "192.168.10.7")
    assert refusal.value.facts == {
        "mac": MAC,
        "address": "192.168.10.7",
        "found": "169.254.7.7",
        "status": "0x8006",
    }


def test_a_mac_address_nobody_has_is_answered_with_those_that_are_there():
    with on_the_network(ScriptedDevice()), pytest.raises(CameraNotFound) as missing:
        force_ip("02:00:00:00:00:01", "192.168.10.7")
    assert missing.value.facts["found"] == f"{MAC} (S-1, 169.254.7.7)"


def test_the_command_gives_an_address_and_says_so(monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    with on_the_network(ScriptedDevice()) as device:
        done = CliRunner().invoke(command, ["force-ip", MAC, "192.168.10.7"])
        assert done.exit_code == 0, done.output
        assert device.address == IPv4Address("192.168.10.7")
    assert "192.168.10.7 until it is switched off" in done.output


@pytest.mark.parametrize(
    "arguments", [["00:11", "192.168.10.7"], [MAC, "192.168.10.700"], [MAC, "192.168.10.7", "--mask", "x"]]
)
def test_what_is_no_address_is_a_wrong_call(arguments):
    assert CliRunner().invoke(command, ["force-ip", *arguments]).exit_code == 2


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_address_means_the_same_however_it_is_written(raw):
    plain = raw.hex(":")
    assert normal_mac(plain) == normal_mac(raw.hex("-").upper()) == plain


@given(st.binary(max_size=260))
def test_whatever_comes_is_an_announcement_or_malformed(body):
    try:
        heard = parse_announcement(body, interface="lo")
    except Malformed:
        return
    assert normal_mac(heard.mac) == heard.mac
