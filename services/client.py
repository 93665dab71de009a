"""A small client of the interface for programs (docs/http_api.md), typed as the service's answers are.

    with Client("https://station.plant", key="lyn_…") as lynceus:
        for inspection in lynceus.inspections(verdict=["REJECT"], since=this_morning):
            print(inspection.unit.code, inspection.defects)

What creates something is sent with a key of its own, so that it is done once however often the network fails: a request
that was not answered is sent again by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
from pydantic import BaseModel

from services.api.answers import InspectionAnswer, StationAnswer, UnitAnswer, VerdictName
from services.api.cases import CaseAnswer, WrittenAct
from services.api.handovers import HandoverAnswer
from services.api.history import HeldAnswer
from services.problems import Problem
from traceability.cases import Source

TIMEOUT_S: Final = 30.0
TRIES: Final = 3
WAIT_S: Final = 0.5
AT_ONCE: Final = 200

_Answer = TypeVar("_Answer", bound=BaseModel)


class Refused(Exception):
    """The service refused, and says why: decide by `code`; `title` and `action` are for people (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.title} {problem.action}")
        self.status = problem.status
        self.code = problem.code
        self.title = problem.title
        self.action = problem.action


class Unanswered(Exception):
    """The service did not answer, however often it was asked, or not as one."""


class Client:
    """One service. A client is used by one thread at a time, and closed."""

    def __init__(
        self,
        address: str,
        *,
        key: str | None = None,
        language: str = "en",
        verify: str | bool = True,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """key  of a program (`POST /api/v1/tokens`); without it one may look
        verify     the file of the plant's own certificate authority, where the service's certificate is of that
        transport  None: the network
        """
        headers = {"Accept": "application/json", "Accept-Language": language}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx2.Client(
            base_url=address, headers=headers, timeout=TIMEOUT_S, verify=verify, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ------------------------------------------------------------------ looking

    def station(self) -> StationAnswer:
        """What every lane shows now."""
        return self._get(StationAnswer, "/api/v1/station")

    def unit(self, code: str) -> UnitAnswer:
        return self._get(UnitAnswer, f"/api/v1/units/{quote(code, safe='/')}")

    def inspection(self, id: UUID | str) -> InspectionAnswer:
        return self._get(InspectionAnswer, f"/api/v1/inspections/{id}")

    def inspections(
        self,
        *,
        station: str | None = None,
        lane: str | None = None,
        verdict: Sequence[VerdictName] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[InspectionAnswer]:
        """All of them, the newest first, page by page as they are taken."""
        asked = {"station": station, "lane": lane, "since": since, "until": until}
        return self._pages(
            InspectionAnswer,
            "/api/v1/inspections",
            {
                **{name: value for name, value in asked.items() if value is not None},
                **({"verdict": list(verdict)} if verdict else {}),
            },
        )

    def cases(self, *, search: str = "", is_open: bool | None = None) -> Iterator[CaseAnswer]:
        asked: dict[str, Any] = {"search": search} if search else {}
        return self._pages(
            CaseAnswer, "/api/v1/cases", asked if is_open is None else {**asked, "is_open": is_open}
        )

    def handovers(self) -> Iterator[HandoverAnswer]:
        return self._pages(HandoverAnswer, "/api/v1/handovers", {})

    # ------------------------------------------------------------------ doing

    def open_case(self, *, source: Source, key: str, title: str, text: str = "") -> CaseAnswer:
        said = {"source": source.value, "key": key, "title": title, "text": text}
        return self._post(CaseAnswer, "/api/v1/cases", said)

    def add_to_case(self, id: UUID, act: WrittenAct, text: str, **more: Any) -> CaseAnswer:
        """`more`: `owner` of `assigned`, `due` of `action`, `effective` of `check`."""
        return self._post(CaseAnswer, f"/api/v1/cases/{id}/acts", {"act": act, "text": text, **more})

    def hold(self, codes: Sequence[str], *, reason: str) -> HeldAnswer:
        """Put units on hold, all or none."""
        return self._post(HeldAnswer, "/api/v1/holds", {"units": list(codes), "reason": reason})

    def hand_over(self, text: str = "") -> HandoverAnswer:
        return self._post(HandoverAnswer, "/api/v1/handovers", {"text": text})

    # ------------------------------------------------------------------

    def _get(self, kind: type[_Answer], path: str, asked: Mapping[str, Any] | None = None) -> _Answer:
        return kind.model_validate_json(self._answered("GET", path, params=asked).content)

    def _post(self, kind: type[_Answer], path: str, said: Mapping[str, Any]) -> _Answer:
        answer = self._answered("POST", path, json=said, headers={"Idempotency-Key": str(uuid4())})
        return kind.model_validate_json(answer.content)

    def _pages(self, kind: type[_Answer], path: str, asked: Mapping[str, Any]) -> Iterator[_Answer]:
        answer = self._answered("GET", path, params={**_plain(asked), "limit": AT_ONCE})
        while True:
            for one in answer.json():
                yield kind.model_validate(one)
            there = answer.links.get("next", {}).get("url")
            if there is None:
                return
            answer = self._answered("GET", there)

    def _answered(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """Raises Refused, Unanswered."""
        reason = ""
        for tried in range(TRIES):
            if tried:
                time.sleep(WAIT_S * 2 ** (tried - 1))
            try:
                answer = self._http.request(method, path, **given)
            except httpx2.TransportError as error:
                reason = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return answer
            if answer.headers.get("content-type", "").startswith("application/problem+json"):
                raise Refused(Problem.model_validate_json(answer.content))
            reason = f"status {answer.status_code}"
        raise Unanswered(f"{method} {path}: {reason}")


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()
    }
