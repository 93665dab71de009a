"""The shapes of all answers, as OpenAPI shows them. Boxes are [x1, y1, x2, y2]; the field says px or mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from inspection.identity import IdentifierCode
from inspection.types import Box, Defect, Inspection, InspectionBegun, Looked, Repeat, Strip, Verdict
from inspection.vision.escapes import escape_rate
from services.live import LaneNow, LiveState
from services.station.accounting import LaneBalance
from services.station.messages import (
    Alarm,
    FrameSeen,
    LaneCondition,
    LaneMode,
    LineState,
    Mode,
    RecipeCondition,
    RecipeState,
)
from services.text import explain
from services.timings import FrameTrace, StepTimes, Timings
from services.web.rendering import kind_colour, kind_name
from station_config.catalogue import Catalogue
from station_config.choosing import Offer, Unread
from station_config.errors import ConfigError

VerdictName = Literal["ACCEPT", "REVIEW", "NOT_INSPECTED", "REJECT"]
Corners = tuple[float, float, float, float]


class CodeAnswer(BaseModel):
    """An identifier code. `code` is the canonical spelling."""

    code: str
    scheme: str

    @staticmethod
    def of(unit: IdentifierCode) -> CodeAnswer:
        return CodeAnswer(code=str(unit), scheme=unit.scheme)


class PieceAnswer(BaseModel):
    """What another frame shows of a defect that the borders of frames have cut."""

    sequence: int
    box_px: Corners


class DefectAnswer(BaseModel):
    """`box_mm` is the whole of it; `box_px` is in frame `sequence`, what other frames show is in `pieces`.

    `edge_near_mm` and `edge_far_mm`: how near to the nearer edge of the strip it comes, how far in it reaches.
    `outline_px`: the corners of the line around its pixels, where the detector says which they are; else empty.
    """

    kind: str
    name: str
    colour: str
    score: float
    box_px: Corners
    box_mm: Corners | None
    length_mm: float | None
    area_mm2: float | None
    outline_px: list[tuple[float, float]]
    edge_near_mm: float | None
    edge_far_mm: float | None
    camera: str
    sequence: int
    pieces: list[PieceAnswer]

    @staticmethod
    def of(defect: Defect, catalogue: Catalogue, language: str) -> DefectAnswer:
        return DefectAnswer(
            kind=defect.kind,
            name=kind_name(catalogue, language, defect.kind),
            colour=kind_colour(catalogue, defect.kind),
            score=defect.score,
            box_px=_corners(defect.box_px),
            box_mm=None if defect.box_mm is None else _corners(defect.box_mm),
            length_mm=defect.length_mm,
            area_mm2=defect.area_mm2,
            outline_px=list(defect.outline_px),
            edge_near_mm=defect.edge_near_mm,
            edge_far_mm=defect.edge_far_mm,
            camera=defect.camera,
            sequence=defect.sequence,
            pieces=[
                PieceAnswer(sequence=piece.sequence, box_px=_corners(piece.box_px)) for piece in defect.pieces
            ],
        )


class MeasurementAnswer(BaseModel):
    name: str
    value: float
    unit: str
    uncertainty: float | None


class RecipeAnswer(BaseModel):
    name: str
    revision: int
    sha256: str


class ModelAnswer(BaseModel):
    name: str
    version: str
    sha256: str


class PictureAnswer(BaseModel):
    sha256: str
    url: str
    camera: str
    sequence: int
    width_px: int
    height_px: int


class FramesAnswer(BaseModel):
    """triggers = inspected + failed + lost + unaccounted; the last is 0 unless the station made a mistake."""

    triggers: int
    inspected: int
    failed: int
    lost: int
    unaccounted: int


class InspectionHead(BaseModel):
    """Enough to list an inspection and to find the whole of it."""

    id: UUID
    unit: CodeAnswer
    lane: str
    verdict: VerdictName
    started_at: datetime
    finished_at: datetime
    defects: int
    simulated: bool

    @staticmethod
    def of(inspection: Inspection) -> InspectionHead:
        return InspectionHead(
            id=inspection.id,
            unit=CodeAnswer.of(inspection.unit),
            lane=inspection.lane,
            verdict=verdict_name(inspection.verdict),
            started_at=inspection.started_at,
            finished_at=inspection.finished_at,
            defects=len(inspection.defects),
            simulated=inspection.simulated,
        )


class StretchAnswer(BaseModel):
    from_mm: float
    to_mm: float


class EdgePointAnswer(BaseModel):
    y_mm: float
    left_mm: float
    right_mm: float


class RepeatAnswer(BaseModel):
    """Marks of one kind in step along the strip, `period_mm` apart ± one standard error.

    `missed`: due between `first_mm` and `last_mm` and not found. `chance`: bound of the probability that defects at
    random places line up like this anywhere on a coil.
    """

    kind: str
    name: str
    colour: str
    x_mm: float
    period_mm: float
    period_error_mm: float
    first_mm: float
    last_mm: float
    hits: int
    missed: int
    chance: float

    @staticmethod
    def of(repeat: Repeat, catalogue: Catalogue, language: str) -> RepeatAnswer:
        return RepeatAnswer(
            name=kind_name(catalogue, language, repeat.kind),
            colour=kind_colour(catalogue, repeat.kind),
            **asdict(repeat),
        )


class StripAnswer(BaseModel):
    """What a strip map is drawn from, with the inspection's defects: mm, x across, y from the head.

    `welds` are seams, with what is cut out beside them. `head`, `tail` and `welds` hold defects that are recorded and
    not judged; `unseen` was not inspected. `edges` of a long strip are thinned.
    """

    length_mm: float
    x_from_mm: float
    x_to_mm: float
    head: StretchAnswer | None
    tail: StretchAnswer | None
    unseen: list[StretchAnswer]
    edges: list[EdgePointAnswer]
    repeats: list[RepeatAnswer]
    welds: list[StretchAnswer]

    @staticmethod
    def of(strip: Strip, catalogue: Catalogue, language: str) -> StripAnswer:
        return StripAnswer(
            length_mm=strip.length_mm,
            x_from_mm=strip.x_from_mm,
            x_to_mm=strip.x_to_mm,
            head=None if strip.head is None else StretchAnswer(**asdict(strip.head)),
            tail=None if strip.tail is None else StretchAnswer(**asdict(strip.tail)),
            unseen=[StretchAnswer(**asdict(one)) for one in strip.unseen],
            edges=[EdgePointAnswer(**asdict(one)) for one in strip.edges],
            repeats=[RepeatAnswer.of(one, catalogue, language) for one in strip.repeats],
            welds=[StretchAnswer(**asdict(one)) for one in strip.welds],
        )


class InspectionAnswer(BaseModel):
    """Everything one station has to say about one unit. `failures`: error code to frames.

    `grade` is null for a unit that was refused or not inspected in full, and where the recipe has no grades.
    `code_failure` is the error code of why the unit's code was not known from its pictures; null where it was read or
    not asked for.
    """

    id: UUID
    unit: CodeAnswer
    station: str
    lane: str
    recipe: RecipeAnswer
    models: list[ModelAnswer]
    started_at: datetime
    finished_at: datetime
    verdict: VerdictName
    grade: str | None
    strip: StripAnswer | None
    defects: list[DefectAnswer]
    measurements: list[MeasurementAnswer]
    frames: FramesAnswer
    failures: dict[str, int]
    code_failure: str | None
    pictures: list[PictureAnswer]
    simulated: bool

    @staticmethod
    def of(inspection: Inspection, catalogue: Catalogue, language: str) -> InspectionAnswer:
        recipe = inspection.recipe
        return InspectionAnswer(
            id=inspection.id,
            unit=CodeAnswer.of(inspection.unit),
            station=inspection.station,
            lane=inspection.lane,
            recipe=RecipeAnswer(name=recipe.name, revision=recipe.revision, sha256=recipe.sha256),
            models=[
                ModelAnswer(name=model.name, version=model.version, sha256=model.sha256)
                for model in inspection.models
            ],
            started_at=inspection.started_at,
            finished_at=inspection.finished_at,
            verdict=verdict_name(inspection.verdict),
            grade=inspection.grade,
            strip=None if inspection.strip is None else StripAnswer.of(inspection.strip, catalogue, language),
            defects=[DefectAnswer.of(defect, catalogue, language) for defect in inspection.defects],
            measurements=[
                MeasurementAnswer(
                    name=measured.name,
                    value=measured.value,
                    unit=measured.unit,
                    uncertainty=measured.uncertainty,
                )
                for measured in inspection.measurements
            ],
            frames=FramesAnswer(
                triggers=inspection.triggers,
                inspected=inspection.frames_inspected,
                failed=inspection.frames_failed,
                lost=inspection.frames_lost,
                unaccounted=inspection.unaccounted,
            ),
            failures=inspection.failures,
            code_failure=inspection.code_failure,
            pictures=[
                PictureAnswer(
                    sha256=picture.sha256,
                    url=f"/api/v1/pictures/{picture.sha256}",
                    camera=picture.camera,
                    sequence=picture.sequence,
                    width_px=picture.width_px,
                    height_px=picture.height_px,
                )
                for picture in inspection.pictures
            ],
            simulated=inspection.simulated,
        )


class UnitAnswer(BaseModel):
    """A unit and all that was seen of it, oldest first. `verdict` is that of the newest inspection.

    `verdict` is null where no station inspected the unit, which is on record by its genealogy or its codes: nobody
    accepted it.
    """

    unit: CodeAnswer
    verdict: VerdictName | None
    inspections: list[InspectionAnswer]

    @staticmethod
    def of(
        asked: IdentifierCode, inspections: Sequence[Inspection], catalogue: Catalogue, language: str
    ) -> UnitAnswer:
        """asked  the code that named the unit; an inspected one is told by that of its newest inspection"""
        newest = inspections[-1] if inspections else None
        return UnitAnswer(
            unit=CodeAnswer.of(asked if newest is None else newest.unit),
            verdict=None if newest is None else verdict_name(newest.verdict),
            inspections=[InspectionAnswer.of(one, catalogue, language) for one in inspections],
        )


class FoundAnswer(BaseModel):
    codes: list[CodeAnswer]


class RepeatHead(BaseModel):
    """Marks in step along the strip in view, so far: of a roll of about this circumference."""

    kind: str
    x_mm: float
    period_mm: float
    hits: int


class InHandAnswer(BaseModel):
    """The unit in view, so far. `worst` is None before its first frame."""

    id: UUID
    unit: CodeAnswer
    started_at: datetime
    frames: int
    defects: int
    worst: VerdictName | None
    repeats: list[RepeatHead]

    @staticmethod
    def of(begun: InspectionBegun, lane: LaneNow) -> InHandAnswer:
        worst = lane.in_hand_worst
        return InHandAnswer(
            id=begun.id,
            unit=CodeAnswer.of(begun.unit),
            started_at=begun.started_at,
            frames=lane.in_hand_frames,
            defects=lane.in_hand_defects,
            worst=None if worst is None else verdict_name(worst),
            repeats=[
                RepeatHead(kind=one.kind, x_mm=one.x_mm, period_mm=one.period_mm, hits=one.hits)
                for one in lane.in_hand_repeats
            ],
        )


class ScreenAnswer(BaseModel):
    """What a lane's screen let the network see since the service began, in tiles (docs/screening.md).

    escape_rate  of the tiles held back, in which share the network would have found something: 0..1 of those it saw
                 by lot, None while it saw none; `escape_rate_at_most` with a confidence of 95 %
    """

    tiles: int
    sent: int
    sampled: int
    escaped: int
    escape_rate: float | None
    escape_rate_at_most: float

    @staticmethod
    def of(looked: Looked) -> ScreenAnswer:
        rate = escape_rate(looked)
        return ScreenAnswer(
            tiles=looked.tiles,
            sent=looked.sent,
            sampled=looked.sampled,
            escaped=looked.escaped,
            escape_rate=rate.estimate,
            escape_rate_at_most=rate.at_most,
        )


class QuantilesAnswer(BaseModel):
    """Of `count` frames; at most 5 % too high, `max_ms` exact. 0 where there was none."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class StepTimesAnswer(BaseModel):
    """One step: since the service began, and in the last minute. `total`: from a frame's arrival to its verdict."""

    step: str
    start: QuantilesAnswer
    minute: QuantilesAnswer

    @staticmethod
    def of(times: StepTimes) -> StepTimesAnswer:
        return StepTimesAnswer(
            step=times.step,
            start=QuantilesAnswer(**asdict(times.start)),
            minute=QuantilesAnswer(**asdict(times.minute)),
        )


class FrameTraceAnswer(BaseModel):
    """What became of one frame. `timings_ms` in the order of the steps: `wait` is all waiting, `total` arrival to
    verdict; `recorded_at` when the service had its result."""

    lane: str
    camera: str
    sequence: int
    inspection_id: UUID
    unit: str | None
    captured_at: datetime
    recorded_at: datetime
    verdict: VerdictName
    failure: str | None
    defects: int
    timings_ms: dict[str, float]

    @staticmethod
    def of(trace: FrameTrace) -> FrameTraceAnswer:
        fields = {name: getattr(trace, name) for name in FrameTraceAnswer.model_fields}
        return FrameTraceAnswer(
            **fields | {"verdict": verdict_name(trace.verdict), "timings_ms": dict(trace.timings_ms)}
        )


class TimingsAnswer(BaseModel):
    """A lane's steps in their order, and its slowest frames since the service began, the slowest first."""

    lane: str
    steps: list[StepTimesAnswer]
    slowest: list[FrameTraceAnswer]

    @staticmethod
    def of(lane: str, timings: Timings) -> TimingsAnswer:
        return TimingsAnswer(
            lane=lane,
            steps=[StepTimesAnswer.of(one) for one in timings.steps(lane)],
            slowest=[FrameTraceAnswer.of(one) for one in timings.slowest(lane)],
        )


class RecipeStateAnswer(BaseModel):
    """How far a lane is with a recipe: `preparing`, `ready` (taken up with the next unit), `in_use`, or `refused` with
    the code of why. `revision` is null until it has been read."""

    recipe: str
    revision: int | None
    condition: RecipeCondition
    at: datetime
    failure: str | None

    @staticmethod
    def of(state: RecipeState) -> RecipeStateAnswer:
        return RecipeStateAnswer(
            recipe=state.recipe,
            revision=None if state.ref is None else state.ref.revision,
            condition=state.condition,
            at=state.at,
            failure=state.failure,
        )


class UnreadAnswer(BaseModel):
    """Why a recipe's file cannot be read: the code of the refusal, and for people what is wrong and what to do."""

    code: str
    what: str
    action: str

    @staticmethod
    def of(error: ConfigError, language: str) -> UnreadAnswer:
        told = explain(error, language)
        return UnreadAnswer(code=told.code, what=told.what, action=told.action)


class OfferAnswer(BaseModel):
    """A recipe that the lane may have, and what asks for it: its name, its product, the PLC's number, an order that
    begins so.

    `revision` and `product` are null where its file cannot be read, which `unread` is about: until it is mended the
    lane cannot change over to it.
    """

    recipe: str
    revision: int | None
    product: str | None
    number: int | None
    orders: list[str]
    unread: UnreadAnswer | None

    @staticmethod
    def of(offer: Offer | Unread, language: str) -> OfferAnswer:
        read = offer if isinstance(offer, Offer) else None
        unread = offer if isinstance(offer, Unread) else None
        return OfferAnswer(
            recipe=offer.recipe,
            revision=None if read is None else read.revision,
            product=None if read is None else read.product,
            number=offer.choice.number,
            orders=list(offer.choice.orders),
            unread=None if unread is None else UnreadAnswer.of(unread.error, language),
        )


class AlarmAnswer(BaseModel):
    """Something to see to. `code` has its texts as a refusal's has; `withholds`: what it is about is not accepted."""

    code: str
    since: datetime
    withholds: bool
    facts: dict[str, str]

    @staticmethod
    def of(alarm: Alarm) -> AlarmAnswer:
        return AlarmAnswer(
            code=alarm.code,
            since=alarm.since,
            withholds=alarm.withholds,
            facts={name: str(fact) for name, fact in alarm.facts.items()},
        )


class AccountAnswer(BaseModel):
    """A lane's account since its engine started: see docs/accounting.md."""

    exposures: int
    frames: int
    dropped: int
    passed_over: int
    results: int
    withheld: int
    units: int
    triggers: int
    inspected: int
    failed: int
    lost: int
    unaccounted: int
    in_hand_triggers: int
    in_hand_results: int
    gap: int
    slowest_step: str | None


class SumsAnswer(BaseModel):
    units: int
    triggers: int
    frames_inspected: int
    frames_failed: int
    frames_lost: int


class DeliveredAnswer(BaseModel):
    units: int
    triggers: int
    results: int


class BalanceAnswer(BaseModel):
    """How a lane's counts stand: those of the engine, of the service since this engine came, and of this shift's
    records beside what was handed over to be recorded. `balanced` is false while an alarm withholds acceptance."""

    lane: str
    shift_since: datetime
    balanced: bool
    engine: AccountAnswer
    delivered: DeliveredAnswer
    handed_over: SumsAnswer
    recorded: SumsAnswer
    unaccounted: int
    alarms: list[AlarmAnswer]

    @staticmethod
    def of(balance: LaneBalance) -> BalanceAnswer:
        account = asdict(balance.account) | {"slowest_step": balance.account.slowest_step}
        return BalanceAnswer(
            lane=balance.lane,
            shift_since=balance.shift_since,
            balanced=balance.is_balanced,
            engine=AccountAnswer(**{name: account[name] for name in AccountAnswer.model_fields}),
            delivered=DeliveredAnswer(**asdict(balance.delivered)),
            handed_over=SumsAnswer(**asdict(balance.books.handed_over)),
            recorded=SumsAnswer(**asdict(balance.books.recorded)),
            unaccounted=balance.unaccounted,
            alarms=[AlarmAnswer.of(alarm) for alarm in balance.alarms],
        )


class ProofAnswer(BaseModel):
    """From `due` on nothing is accepted. `caught` of `parts` in the challenge that runs; `missed_at` where one was
    missed since it was proven last."""

    due: datetime
    parts: int
    caught: int
    proven_at: datetime | None
    missed_at: datetime | None


class LaneModeAnswer(BaseModel):
    """How a lane works since `at`: run (inspects), setup (looks, and accepts nothing), bypass (lets through, not looked
    at, and accepts nothing; ends by itself at `until`), challenge (is shown known-bad parts). `proof`: how it stands
    with the lane's challenge; null where none is set."""

    mode: Mode
    at: datetime
    until: datetime | None
    proof: ProofAnswer | None

    @staticmethod
    def of(mode: LaneMode) -> LaneModeAnswer:
        proof = None if mode.proof is None else ProofAnswer(**asdict(mode.proof))
        return LaneModeAnswer(mode=mode.mode, at=mode.at, until=mode.until, proof=proof)


class LineAnswer(BaseModel):
    """How a lane stands with the PLC since its engine started: told = taken + waiting + given_up.

    address  where the PLC reaches it; `is_served` whether it can be reached there, else `reason` says why
    unconfirmed  taken without a word of what was done with the unit; let_pass  not accepted, and let pass all the same
    """

    address: str
    is_served: bool
    reason: str
    clients: int
    told: int
    taken: int
    waiting: int
    given_up: int
    unconfirmed: int
    let_pass: int

    @staticmethod
    def of(line: LineState) -> LineAnswer:
        return LineAnswer.model_validate(line, from_attributes=True)


class LaneAnswer(BaseModel):
    """One lane now. `condition` is None until the engine has said it; `recent` is newest first.

    driver  the way the camera's frames take: genicam (a GenTL producer), gige (GigE Vision without one), drawn_strip,
            drawn_parts, replay, samples (of a probe, over the network)
    """

    lane: str
    camera: str
    driver: str
    condition: LaneCondition | None
    failure: str | None
    last_sign_at: datetime | None
    in_hand: InHandAnswer | None
    screen: ScreenAnswer | None
    recent: list[InspectionHead]
    recipe: RecipeStateAnswer | None
    next_recipe: RecipeStateAnswer | None
    mode: LaneModeAnswer | None
    line: LineAnswer | None
    alarms: list[AlarmAnswer]

    @staticmethod
    def of(lane: LaneNow) -> LaneAnswer:
        return LaneAnswer(
            lane=lane.lane,
            camera=lane.camera,
            driver=lane.driver,
            condition=lane.condition,
            failure=lane.failure,
            last_sign_at=lane.last_sign,
            in_hand=None if lane.in_hand is None else InHandAnswer.of(lane.in_hand, lane),
            screen=None if lane.looked is None else ScreenAnswer.of(lane.looked),
            recent=[InspectionHead.of(inspection) for inspection in lane.recent],
            recipe=None if lane.recipe is None else RecipeStateAnswer.of(lane.recipe),
            next_recipe=None if lane.next_recipe is None else RecipeStateAnswer.of(lane.next_recipe),
            mode=None if lane.mode is None else LaneModeAnswer.of(lane.mode),
            line=None if lane.line is None else LineAnswer.of(lane.line),
            alarms=[AlarmAnswer.of(alarm) for alarm in lane.alarms],
        )


class StationAnswer(BaseModel):
    station: str
    at: datetime
    engine_connected: bool
    lanes: list[LaneAnswer]

    @staticmethod
    def of(station: str, live: LiveState, at: datetime) -> StationAnswer:
        return StationAnswer(
            station=station,
            at=at,
            engine_connected=live.engine_connected,
            lanes=[LaneAnswer.of(lane) for lane in live.lanes()],
        )


class ProgressAnswer(BaseModel):
    """A unit in view, so far: sent between two changes of its lane."""

    lane: str
    frames: int
    defects: int
    last_sign_at: datetime


class PreviewHeader(BaseModel):
    """What a preview picture shows; the JPEG follows it in the same message."""

    lane: str
    sequence: int
    captured_at: datetime
    width_px: int
    height_px: int
    verdict: VerdictName
    failure: str | None
    defects: list[DefectAnswer]

    @staticmethod
    def of(seen: FrameSeen, catalogue: Catalogue, language: str) -> PreviewHeader:
        result = seen.result
        return PreviewHeader(
            lane=seen.lane,
            sequence=result.sequence,
            captured_at=seen.captured_at,
            width_px=seen.width_px,
            height_px=seen.height_px,
            verdict=verdict_name(result.verdict),
            failure=result.failure,
            defects=[DefectAnswer.of(defect, catalogue, language) for defect in result.defects],
        )


class HealthAnswer(BaseModel):
    """`healthy` is that of the whole; a part that cannot be asked is not healthy."""

    healthy: bool
    database: bool
    engine: bool | None
    lanes: dict[str, LaneCondition | None]


def verdict_name(verdict: Verdict) -> VerdictName:
    name: VerdictName = verdict.name  # type: ignore[assignment]
    return name


def _corners(box: Box) -> Corners:
    return (box.x1, box.y1, box.x2, box.y2)
