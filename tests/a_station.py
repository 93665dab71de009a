"""A station with records, pictures and a live state, for tests of the service and its pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from cameras.doctor.judging import Finding, Severity
from inspection.types import Box, Defect, FrameResult, Inspection, InspectionBegun, PictureRef, Verdict
from inspection.vision.drawing import Drawing, StripDrawing, draw_part
from services.app import check_libraries, create_app
from services.live import LiveState
from services.problems import StaticMissing
from services.station.accounting import Accounting
from services.station.messages import FrameSeen, LaneMode, LaneState, Mode
from services.station.recipes import LaneRecipes, Wishes
from services.web.rendering import static_folder
from station_config import load_catalogue, load_station
from tests.builders import MODEL, RECIPE, a_unit, an_inspection
from traceability.images import ImageStore
from traceability.merkle import Sealer
from traceability.retention import Rules
from traceability.store import TraceStore

STATION = "demo"
FINDINGS = (
    Finding(
        code="python-packages",
        severity=Severity.WRONG,
        about="python",
        facts={"python": "3.11.2", "machine": "x86_64", "missing": "harvesters"},
    ),
    Finding(code="gentl-path-unset", severity=Severity.OK, about="GENICAM_GENTL64_PATH"),
)
"""What the doctor finds there."""
MM_PER_PX = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AStation:
    store: TraceStore
    images: ImageStore
    live: LiveState
    accounting: Accounting
    sealer: Sealer
    folder: Path
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def recipes(self) -> LaneRecipes:
        return LaneRecipes(load_station(STATION).lanes, ask=self.wishes.ask)

    def app(self, *, language: str = "en", has_live: bool = True) -> FastAPI:
        app = create_app(
            store=self.store,
            images=self.images,
            live=self.live if has_live else None,
            accounting=self.accounting if has_live else None,
            recipes=self.recipes,
            wishes=self.wishes,
            catalogue=load_catalogue(),
            station=STATION,
            default_language=language,
            lane_titles={lane.name: lane.title for lane in load_station("demo").lanes},
            coil_lanes=frozenset({"strip"}),
            sealer=self.sealer,
            folder=self.folder,
            retention=Rules(max_bytes=10**9) if has_live else None,
        )
        # Nobody shouts over the test machine's networks.
        app.state.setting_up.doctor.look = lambda producer: FINDINGS
        return app

    def runs(self, *, mode: Mode | None = "run") -> None:
        """The engine is there, and two lanes are running; it has said in which mode, unless that is None."""
        self.live.engine(True)
        for lane, camera in (("strip", "drawn strip"), ("parts", "drawn parts")):
            self.live.lane(
                LaneState(
                    lane=lane, camera=camera, driver="drawn_strip", condition="running", at=datetime.now(UTC)
                )
            )
            if mode is not None:
                self.live.mode(LaneMode(lane=lane, mode=mode, at=datetime.now(UTC)))

    def sees(self, seen: FrameSeen, begun: InspectionBegun) -> None:
        self.live.begun(begun)
        self.live.frame(seen)

    def finishes(self, inspection: Inspection) -> Inspection:
        """As the service does it: recorded first, shown then."""
        self.store.record([inspection])
        self.live.done(inspection)
        return inspection

    def keeps(self, drawing: Drawing, *, lane: str, sequence: int = 0) -> PictureRef:
        height_px, width_px = drawing.pixels.shape[:2]
        return PictureRef(
            sha256=self.images.put(jpeg_of(drawing)),
            camera=lane,
            sequence=sequence,
            width_px=width_px,
            height_px=height_px,
        )


def an_empty_station(folder: Path, *, database: str | None = None) -> AStation:
    """With a database of its own in `folder`, unless one is named."""
    store, live = TraceStore.open(database or f"sqlite:///{folder / 'trace.sqlite'}"), LiveState()
    return AStation(
        store=store,
        images=ImageStore(folder / "pictures"),
        live=live,
        accounting=Accounting(store, STATION, alarmed=live.alarms),
        sealer=Sealer(folder / "ledger"),
        folder=folder,
    )


def needs_libraries(station: AStation) -> AStation:
    """The station, or a skip: its service refuses to start without the pages' libraries."""
    try:
        check_libraries(static_folder() / "vendor")
    except StaticMissing as missing:
        pytest.skip(f"not there: {missing.action}")
    return station


def jpeg_of(drawing: Drawing) -> bytes:
    return cv2.imencode(".jpg", drawing.pixels, (cv2.IMWRITE_JPEG_QUALITY, 88))[1].tobytes()


def a_strip(index: int = 0) -> Drawing:
    return StripDrawing(7, defects_per_megapixel=6.0).frame(index)


def a_part(seed: int, *, defective: bool) -> Drawing:
    return draw_part(seed, 0, defective=defective)


def defects_of(drawing: Drawing, *, lane: str, sequence: int = 0) -> tuple[Defect, ...]:
    return tuple(
        Defect(
            kind=drawn.kind,
            score=0.91 - 0.04 * number,
            box_px=drawn.box_px,
            box_mm=Box(
                *(
                    MM_PER_PX * side
                    for side in (drawn.box_px.x1, drawn.box_px.y1, drawn.box_px.x2, drawn.box_px.y2)
                )
            ),
            camera=lane,
            sequence=sequence,
        )
        for number, drawn in enumerate(drawing.truth)
    )


def a_frame_seen(
    drawing: Drawing, begun: InspectionBegun, *, sequence: int = 0, failure: str | None = None
) -> FrameSeen:
    height_px, width_px = drawing.pixels.shape[:2]
    defects = () if failure else defects_of(drawing, lane=begun.lane, sequence=sequence)
    verdict = Verdict.REJECT if defects else Verdict.ACCEPT
    return FrameSeen(
        inspection_id=begun.id,
        lane=begun.lane,
        captured_at=datetime.now(UTC),
        result=FrameResult(
            camera=begun.lane,
            sequence=sequence,
            verdict=Verdict.NOT_INSPECTED if failure else verdict,
            defects=defects,
            measurements=(),
            timings_ms={"correct": 0.4, "detect": 11.0, "judge": 0.1},
            failure=failure,
        ),
        jpeg=jpeg_of(drawing),
        width_px=width_px,
        height_px=height_px,
    )


def begun_now(*, lane: str, code: str) -> InspectionBegun:
    return InspectionBegun(
        id=uuid7(),
        unit=a_unit(code),
        station=STATION,
        lane=lane,
        recipe=RECIPE,
        models=(MODEL,),
        started_at=datetime.now(UTC),
    )


def hours_of_parts(
    station: AStation, rejected_per_hour: Sequence[int], *, until: datetime, simulated: bool
) -> None:
    """Twenty parts in each whole hour of the clock up to `until`, so many of them refused, with a picture."""
    last = until.astimezone().replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    start = last - timedelta(hours=len(rejected_per_hour))
    drawing = a_part(3, defective=True)
    picture = station.keeps(drawing, lane="parts")
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/PART-{hour:02d}-{number:02d}"),
                station=STATION,
                lane="parts",
                verdict=Verdict.REJECT if number < rejected else Verdict.ACCEPT,
                defects=defects_of(drawing, lane="parts") if number < rejected else (),
                pictures=(picture,) if number < rejected else (),
                frames_inspected=1,
                finished_at=start + timedelta(hours=hour, minutes=1 + 2 * number),
                simulated=simulated,
            )
            for hour, rejected in enumerate(rejected_per_hour)
            for number in range(20)
        ]
    )
