"""Other resolvers over HTTP: Handle's JSON face, which national and enterprise nodes speak.

The only file that knows httpx2 (BSD).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import httpx2

from inspection.identity import IdentifierCode
from traceability.errors import NodeUnreachable
from traceability.identifiers import handle

TIMEOUT_S = 3.0
"""Whoever scans a code waits for this."""

MOST_BYTES = 1_000_000

# The published codes of Handle's protocol.
FOUND = 1
NOT_FOUND = 100
VALUES_NOT_FOUND = 200


class HandleNode:
    """A resolver with Handle's HTTP JSON face.

    prefixes  it answers for: `86` stands for 86 and all below it
    """

    def __init__(
        self, address: str, prefixes: Collection[str], *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        """transport  None: the network"""
        self._address = address.rstrip("/")
        self._prefixes = tuple(prefix.lower() for prefix in prefixes)
        self._client = httpx2.Client(timeout=TIMEOUT_S, transport=transport)

    @property
    def name(self) -> str:
        return self._address

    def close(self) -> None:
        self._client.close()

    def is_for(self, code: IdentifierCode) -> bool:
        if code.scheme != handle.SCHEME:
            return False
        prefix = str(code).partition("/")[0]
        return any(prefix == one or prefix.startswith(f"{one}.") for one in self._prefixes)

    def ask(self, code: IdentifierCode) -> dict[str, Any] | None:
        """Raises NodeUnreachable, also for an answer that is none."""
        url = f"{self._address}/api/handles/{quote(str(code), safe='/')}"
        try:
            answer = self._client.get(url)
            body = answer.json() if len(answer.content) <= MOST_BYTES else None
        except httpx2.HTTPError as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        except ValueError as error:
            raise self._unreachable(f"status {answer.status_code}, and no JSON") from error
        told: dict[str, Any] = body if isinstance(body, dict) else {}
        said, values = told.get("responseCode"), told.get("values", [])
        if said == NOT_FOUND:
            return None
        if said not in (FOUND, VALUES_NOT_FOUND) or not isinstance(values, list):
            raise self._unreachable(f"status {answer.status_code}, response code {said}")
        return {"responseCode": said, "handle": str(code), "values": values}

    def _unreachable(self, reason: str) -> NodeUnreachable:
        return NodeUnreachable(
            f"No answer from {self._address}: {reason}.",
            action="Check the network to that node; codes that were asked for before are still answered.",
            node=self._address,
            reason=reason,
        )
