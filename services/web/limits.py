"""How much one address may ask, and how large what it sends may be: one flood must not take the station's cores.

Two buckets for each address (token bucket): one for signing in, where each try costs a core for 50 ms, and one for
whatever else. Live streams count once, as they are opened.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.problems import RequestTooLarge, TooManyRequests, problem_answer

MOST_BYTES: Final = 20_000_000
"""Of one request. The largest that anything takes is an EPCIS document of events."""

ADDRESSES: Final = 10_000
"""So many addresses are kept apart; the one longest unheard of is forgotten first."""

ASKING: Final = ("/sign-in/oidc", "/sign-in/oidc/back")
"""Signs in by asking: each of them asks the identity provider, too."""

SIGNING_IN: Final = ("/sign-in", "/sign-in/badge", "/first-run", "/api/v1/session", "/account/password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` at once, and then `per_s` more each second."""

    burst: int
    per_s: float


SIGN_INS: Final = Rate(burst=20, per_s=20 / 60)
REQUESTS: Final = Rate(burst=1000, per_s=100)
"""A page asks for some thirty things; a panel for a few each second."""


@dataclass(slots=True)
class Buckets:
    """One bucket per address; safe to use from all threads."""

    rate: Rate
    monotonic_s: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _full: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, address: str) -> float:
        """Take one. 0 where it was there; else in how many seconds it will be, and nothing is taken."""
        now_s = self.monotonic_s()
        with self._lock:
            left, at_s = self._full.pop(address, (float(self.rate.burst), now_s))
            left = min(float(self.rate.burst), left + (now_s - at_s) * self.rate.per_s)
            wait_s = 0.0 if left >= 1 else (1 - left) / self.rate.per_s
            self._full[address] = (left - 1 if not wait_s else left, now_s)
            if len(self._full) > ADDRESSES:
                self._full.popitem(last=False)
            return wait_s


class Limits:
    """Refuses with 429 what comes too often, and with 413 what is too large."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sign_ins: Rate = SIGN_INS,
        requests: Rate = REQUESTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.app = app
        self._sign_ins = Buckets(sign_ins)
        self._requests = Buckets(requests)
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        address = "-" if request.client is None else request.client.host
        path = request.url.path
        signs_in = path in ASKING or (request.method == "POST" and path in SIGNING_IN)
        wait_s = (self._sign_ins if signs_in else self._requests).wait_s(address)
        if wait_s:
            seconds = int(wait_s) + 1
            refused = TooManyRequests(
                f"{address} asks too often.", action=f"Wait {seconds} s.", seconds=seconds
            )
            answer = problem_answer(request, refused, {"Retry-After": str(seconds)})
            await answer(scope, receive, send)
            return
        await self._within_size(request, scope, receive, send)

    async def _within_size(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        told = request.headers.get("content-length", "0")
        if not told.isdigit() or int(told) > self._most_bytes:
            await self._too_large(request, scope, receive, send)
            return
        received, is_too_large, has_begun = 0, False, False

        async def counted() -> Message:
            nonlocal received, is_too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                is_too_large = True
                # As if the sender had gone: nothing more of it is read or kept.
                return {"type": "http.disconnect"}
            return message

        async def unless_too_large(message: Message) -> None:
            nonlocal has_begun
            if is_too_large and not has_begun:
                return
            has_begun = True
            await send(message)

        try:
            await self.app(scope, counted, unless_too_large)
        except ClientDisconnect:
            if not is_too_large:
                raise
        if is_too_large and not has_begun:
            await self._too_large(request, scope, receive, send)

    async def _too_large(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        refused = RequestTooLarge(
            f"More than {self._most_bytes} bytes were sent.",
            action="Send less at once.",
            most=self._most_bytes,
        )
        answer = problem_answer(request, refused)
        await answer(scope, receive, send)
