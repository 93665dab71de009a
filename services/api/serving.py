"""What every route works with: given to `create_app` once, found again through the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Protocol

from fastapi import Depends
from pydantic import AfterValidator, AwareDatetime
from starlette.requests import HTTPConnection

from services.live import LaneNow, LiveState
from services.problems import NoStationHere
from services.reasons import Reasons
from services.station.accounting import Accounting, LaneBalance
from services.station.recipes import LaneRecipes, Wishes
from services.web.language import language_of
from services.web.shifts import ShiftCounts
from station_config import Catalogue, Title
from traceability.epcis.repository import EpcisRepository
from traceability.images import ImageStore
from traceability.merkle import Sealer
from traceability.resolution import Resolver
from traceability.retention import Rules
from traceability.store import TraceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One service's parts. `live`, `accounting` and `retention` are None on a plant's server, which has no station."""

    store: TraceStore
    images: ImageStore
    live: LiveState | None
    accounting: Accounting | None
    recipes: LaneRecipes
    wishes: Wishes
    catalogue: Catalogue
    station: str
    default_language: str
    lane_titles: Mapping[str, Title]
    coil_lanes: frozenset[str]
    shift_counts: ShiftCounts
    reasons: Reasons
    sealer: Sealer
    resolver: Resolver
    epcis: EpcisRepository
    resolver_address: str | None
    retention: Rules | None

    def lanes(self) -> tuple[LaneNow, ...]:
        """The lanes that have been heard of, in the order the station has them; strangers last."""
        order = list(self.lane_titles)
        now = () if self.live is None else self.live.lanes()
        return tuple(sorted(now, key=lambda one: order.index(one.lane) if one.lane in order else len(order)))


class OnRecord(Protocol):
    """What statistics are made from: the service's parts, or what a command opened."""

    @property
    def store(self) -> TraceStore: ...

    @property
    def catalogue(self) -> Catalogue: ...


def serving_of(connection: HTTPConnection) -> Serving:
    serving: Serving = connection.app.state.serving
    return serving


def live_of(connection: HTTPConnection) -> LiveState:
    live = serving_of(connection).live
    if live is None:
        raise NoStationHere("This server has no station of its own.", action="Open a station's address.")
    return live


def balances_of(connection: HTTPConnection) -> tuple[LaneBalance, ...]:
    accounting = serving_of(connection).accounting
    if accounting is None:
        raise NoStationHere("This server has no station of its own.", action="Open a station's address.")
    return accounting.balances()


EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _of_this_age(moment: datetime) -> datetime:
    """Near the ends of the calendar a week more or less is no date any more."""
    if not EARLIEST <= moment <= LATEST:
        raise ValueError(f"is between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_this_age)]
"""A time in a request, with its zone."""

Here = Annotated[Serving, Depends(serving_of)]
Live = Annotated[LiveState, Depends(live_of)]
Balances = Annotated[tuple[LaneBalance, ...], Depends(balances_of)]
Language = Annotated[str, Depends(language_of)]
