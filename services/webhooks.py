"""Other programs of the plant told of what happens, by POST: signed, again until they have it, in order.

Each delivery is JSON with three headers. `Lynceus-Delivery` is its number, the same when it comes again; whoever takes
it twice does nothing the second time. `Lynceus-Timestamp` and `Lynceus-Signature`: `v1=` and the HMAC-SHA256, in hex,
of `timestamp.body` under the secret that both know: what is older than a few minutes, or signed otherwise, is not from
here.
"""

from __future__ import annotations

import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from inspection.errors import InspectionError
from station_config import WebhookSettings
from traceability.store import TraceStore
from traceability.told import Event, Reader, Readers, Told

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
TIMEOUT_S: Final = 10.0
FIRST_AGAIN: Final = timedelta(seconds=5)
LONGEST_AGAIN: Final = timedelta(minutes=15)
GIVE_UP_AFTER: Final = timedelta(hours=24)
"""What nobody took for a day is left out, with a line in the audit: what came after waits behind it."""

DELIVERY: Final = "Lynceus-Delivery"
TIMESTAMP: Final = "Lynceus-Timestamp"
SIGNATURE: Final = "Lynceus-Signature"

Resolve = Callable[[str, int], Sequence[str]]


class WebhookUnusable(InspectionError):
    """A program to be told is set wrongly. Facts: name, reason."""

    code = "SVC-WEBHOOK-UNUSABLE"


class NotTold(Exception):
    """One try failed; the text says why."""


def signature_of(secret: bytes, timestamp: str, body: bytes) -> str:
    """As `Lynceus-Signature` has it."""
    return "v1=" + hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()


def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this computer knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    settings: WebhookSettings
    secret: bytes

    @staticmethod
    def of(settings: WebhookSettings) -> Target:
        """Raises WebhookUnusable where the secret cannot be read or is too short to keep anybody out."""
        try:
            secret = settings.secret_file.read_bytes().strip()
        except OSError as error:
            raise _unusable(settings, f"{settings.secret_file}: {error.strerror}") from error
        if len(secret) < SHORTEST_SECRET:
            raise _unusable(settings, f"{settings.secret_file}: fewer than {SHORTEST_SECRET} bytes")
        return Target(settings=settings, secret=secret)


SHORTEST_SECRET: Final = 32


class Webhooks:
    """All programs that one service tells. `tell` is called again and again, on one thread."""

    def __init__(
        self,
        store: TraceStore,
        targets: Sequence[Target],
        *,
        station: str,
        transport: httpx2.BaseTransport | None = None,
        resolve: Resolve = resolved,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """transport  None: the network"""
        self._readers = Readers(store)
        self._targets = tuple(targets)
        self._station = station
        self._client = httpx2.Client(
            timeout=TIMEOUT_S, transport=transport, follow_redirects=False, trust_env=False
        )
        self._resolve = resolve
        self._now = now

    def keep_telling(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        with self._client:
            while not stop.is_set():
                for target in self._targets:
                    try:
                        self._tell(target)
                    except Exception:
                        # Whatever is wrong with one program silences no other.
                        logger.exception(
                            "%s could not be told; again in %g s", target.settings.name, LOOK_EVERY_S
                        )
                stop.wait(LOOK_EVERY_S)

    def tell(self) -> None:
        """Everybody whatever is new to them, up to the first that fails."""
        for target in self._targets:
            self._tell(target)

    def _tell(self, target: Target) -> None:
        reader = self._readers.reader(self._station, target.settings.name)
        if reader.next_at is not None and reader.next_at > self._now():
            return
        events = [Event(name) for name in target.settings.events]
        while True:
            told, behind = self._readers.next_for(reader, events)
            for one in told:
                try:
                    self._send(target, one)
                except NotTold as error:
                    at = self._now()
                    since = reader.failing_since or at
                    if at - since < GIVE_UP_AFTER:
                        tries = reader.tries + 1
                        # 2 ** 20 is far beyond the longest already.
                        wait = min(LONGEST_AGAIN, FIRST_AGAIN * 2 ** min(reader.tries, 20))
                        self._readers.moved(
                            replace(reader, tries=tries, failing_since=since, next_at=at + wait)
                        )
                        logger.warning("%s was not told of %d: %s", reader.name, one.position, error)
                        return
                    reader = Reader(name=reader.name, position=one.position + 1)
                    self._readers.given_up(reader, one, at=at, reason=str(error)[:500])
                    continue
                reader = Reader(name=reader.name, position=one.position + 1)
                self._readers.moved(reader)
            if behind.position == reader.position:
                return
            reader = Reader(name=reader.name, position=behind.position)
            self._readers.moved(reader)

    def _send(self, target: Target, one: Told) -> None:
        body = json.dumps(self._said(one), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = str(int(self._now().timestamp()))
        url, host = self._reached(target.settings)
        headers = {
            "Content-Type": "application/json",
            "Host": host,
            DELIVERY: str(one.position),
            TIMESTAMP: timestamp,
            SIGNATURE: signature_of(target.secret, timestamp, body),
        }
        try:
            answer = self._client.post(
                url,
                content=body,
                headers=headers,
                # The certificate is that of the name, not of the address.
                extensions={"sni_hostname": urlsplit(target.settings.url).hostname},
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NotTold(str(error) or type(error).__name__) from error
        if not answer.is_success:
            raise NotTold(f"status {answer.status_code}")

    def _said(self, one: Told) -> dict[str, Any]:
        return {
            "delivery": one.position,
            "event": one.event.value,
            "at": one.at.astimezone(UTC).isoformat(),
            "told_by": self._station,
            **one.facts,
        }

    def _reached(self, settings: WebhookSettings) -> tuple[str, str]:
        """The URL by an address that was looked at, and the name for the Host header: a name that leads elsewhere the
        next moment leads nowhere else. Raises NotTold for an address inside, where the plant does not allow that."""
        parts = urlsplit(settings.url)
        assert parts.hostname is not None  # as the settings were checked
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = self._resolve(parts.hostname, port)
        except (OSError, UnicodeError) as error:
            raise NotTold(f"{parts.hostname} has no address: {error}") from error
        if not addresses:
            raise NotTold(f"{parts.hostname} has no address")
        if not settings.may_be_inside:
            inside = [one for one in addresses if not _is_outside(one)]
            if inside:
                raise NotTold(
                    f"{parts.hostname} is {inside[0]}, an address inside; set may_be_inside to allow it"
                )
        chosen = addresses[0]
        netloc = f"[{chosen}]:{port}" if ":" in chosen else f"{chosen}:{port}"
        # A header is ASCII, which a Chinese name is not.
        return parts._replace(netloc=netloc).geturl(), parts.netloc.encode("idna").decode("ascii")


def _is_outside(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_global


def _unusable(settings: WebhookSettings, reason: str) -> WebhookUnusable:
    return WebhookUnusable(
        f"The webhook {settings.name} cannot be used: {reason}.",
        action="Put at least 32 random bytes into that file, readable by this service alone.",
        name=settings.name,
        reason=reason,
    )
