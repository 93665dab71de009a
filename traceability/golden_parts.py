"""Readings for gauge studies from the record: parts of known value that are shown to the lanes now and then.

Whoever types readings types some of them wrong, and studies that take somebody's afternoon are made once. What a lane
measured on a golden part stands in the record already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, Literal, get_args

from sqlalchemy import or_, select

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from traceability import rollups, tables
from traceability.changes import changes
from traceability.errors import StudyIncomplete
from traceability.samples import Shifts, shift_at
from traceability.spc.checks import enough, within
from traceability.store import TraceStore, of

FromRecord = Literal["crossed", "type_one", "bias", "stability"]
"""Gauge R&R over the lanes that measured the parts; and one part measured often, at one time or over many shifts."""

KINDS: Final[tuple[FromRecord, ...]] = get_args(FromRecord)

MOST_PARTS: Final = 50

LEAST_A_CELL: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenValue:
    """place  station and lane that measured it"""

    part: str
    place: str
    at: datetime
    value: float
    simulated: bool


def check_parts(kind: FromRecord, parts: Sequence[IdentifierCode]) -> None:
    """Raises ParameterOutOfRange for none, and for more than that kind takes."""
    most = MOST_PARTS if kind == "crossed" else 1
    within(len(parts), parameter="parts", allowed=f"1..{most}", is_allowed=1 <= len(parts) <= most)


def golden_readings(
    kind: FromRecord,
    parts: Sequence[IdentifierCode],
    found: Sequence[GoldenValue],
    *,
    shifts: Shifts | None = None,
) -> dict[str, Any]:
    """What `gauge_studies.record` takes, without reference and tolerance; of each cell as many as of every other, the
    newest.

    crossed    part by place; each part has to have been measured twice at every place at which any was
    stability  by shift; shifts with a single value are left out

    Raises ParameterOutOfRange for more parts than that kind takes, TooFewValues, StudyIncomplete.
    """
    check_parts(kind, parts)
    enough(len(found), method=kind, needed=LEAST_A_CELL)
    if kind in ("type_one", "bias"):
        return {"value": [one.value for one in found]}
    if kind == "stability":
        plan = shifts or Shifts()
        of_shift = [
            (f"{window.since.astimezone(plan.time_zone):%Y-%m-%d %H:%M}", [one.value for one in some])
            for window, some in groupby(found, key=lambda one: shift_at(one.at, plan))
        ]
        whole = [(label, values) for label, values in of_shift if len(values) >= LEAST_A_CELL]
        enough(len(whole), method=kind, needed=2)
        size = min(len(values) for _, values in whole)
        lines = [(label, value) for label, values in whole for value in values[-size:]]
        return {"part": [label for label, _ in lines], "value": [value for _, value in lines]}
    return _crossed(found, [str(part) for part in parts])


def _crossed(found: Sequence[GoldenValue], parts: Sequence[str]) -> dict[str, Any]:
    places = sorted({one.place for one in found})
    cells: dict[tuple[str, str], list[float]] = {(part, place): [] for part in parts for place in places}
    for one in found:
        cells[one.part, one.place].append(one.value)
    for (part, place), values in cells.items():
        if len(values) < LEAST_A_CELL:
            raise StudyIncomplete(
                f"crossed: {part}, {place} has {len(values)} results where {LEAST_A_CELL} are needed.",
                action="Show that part to that lane again, or leave one of them out.",
                method="crossed",
                cell=f"{part}, {place}",
                found=len(values),
                needed=LEAST_A_CELL,
            )
    size = min(map(len, cells.values()))
    lines = [(part, place, value) for (part, place), values in cells.items() for value in values[-size:]]
    return {
        "part": [part for part, _, _ in lines],
        "operator": [place for _, place, _ in lines],
        "value": [value for _, _, value in lines],
    }


def golden_values(
    store: TraceStore,
    characteristic: str,
    parts: Sequence[IdentifierCode],
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
) -> tuple[GoldenValue, ...]:
    """All values of a measurement of these units, oldest first, those measured in setup or in a challenge among them:
    that is when golden parts are shown.

    None from before camera, lamp or lens of its lane last changed: that was another gauge.
    """
    changed: dict[str, datetime] = {}
    for change in changes(store, station=station, lane=lane):
        changed[f"{change.station}/{change.lane}"] = change.at
    head, code, measured = tables.inspection.c, tables.identifier.c, tables.measurement.c
    named = [(code.scheme == one.scheme) & (code.canon == one.canon) for one in parts]
    rows = (
        select(
            head.station,
            head.lane,
            head.finished_at,
            head.simulated,
            code.scheme,
            code.canon,
            measured.value,
        )
        .join(tables.identifier, code.id == head.identifier_id)
        .join(tables.measurement, measured.inspection_id == head.id)
        .where(
            *of(tables.inspection, station=station, lane=lane, simulated=None),
            or_(*named),
            measured.name == characteristic,
            head.finished_at >= since,
            or_(head.verdict != Verdict.NOT_INSPECTED, ~rollups.produced()),
        )
        .order_by(head.finished_at, head.id, measured.position)
    )
    text_of = {(one.scheme, one.canon): str(one) for one in parts}
    with store.reading() as connection:
        found = [
            GoldenValue(
                part=text_of[row.scheme, row.canon],
                place=f"{row.station}/{row.lane}",
                at=row.finished_at,
                value=row.value,
                simulated=row.simulated,
            )
            for row in connection.execute(rows)
        ]
    return tuple(one for one in found if one.place not in changed or one.at >= changed[one.place])
