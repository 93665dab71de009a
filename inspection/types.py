"""The shared words, as types.

Conventions, stated once. Pixels: origin top left, x right, y down, boxes half-open `x1 y1 x2 y2`.
Surface millimetres: x from the operator-side edge, y from the head end. Images: uint8, `(height, width)`
or `(height, width, 3)` BGR. Times: aware UTC. A quantity carries its unit in its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from inspection.identity import IdentifierCode

Image = NDArray[np.uint8]


class Verdict(IntEnum):
    """What the system decides. Ordered by how much it withholds, so that the worst one stands for all."""

    ACCEPT = 0
    REVIEW = 1
    NOT_INSPECTED = 2
    REJECT = 3

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict of a whole from those of its pieces. No piece at all was not inspected."""
        return max(verdicts, default=Verdict.NOT_INSPECTED)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, half-open. The field that holds it says px or mm."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One exposure of one camera.

    pixels          read-only and the receiver's own: no driver writes to them again
    sequence        the device's own count of exposures; a jump is a loss
    first_sequence  of the first exposure that is known of since the camera was entered: what lies between it and the
                    first frame that comes is lost. None: that frame is the first
    device_time_ns  the device's clock, where it has one
    y_origin_mm     surface position of row 0; 0 for parts
    trigger         count that pairs the cameras of one unit, where there are several
    chunks          what the device said of this very exposure, by the standard's name without its `Chunk`:
                    FrameID, Timestamp, ExposureTime, EncoderValue …, in the standard's units; a bool as 0 or 1
    """

    pixels: Image
    camera: str
    sequence: int
    captured_at: datetime
    device_time_ns: int | None = None
    y_origin_mm: float = 0.0
    trigger: int | None = None
    chunks: Mapping[str, int | float] = field(default_factory=dict)
    first_sequence: int | None = None

    @property
    def lost_before(self) -> int:
        """How many exposures are known of before it, where it is the first frame that comes."""
        return 0 if self.first_sequence is None else max(0, self.sequence - self.first_sequence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """Which pixels of an image belong to a defect.

    pixels      bool (height, width): a window of the image, no larger than the defect needs
    left, top   column and row of the image where the window begins
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]

    @property
    def area_px(self) -> int:
        return int(np.count_nonzero(self.pixels))

    def moved(self, left: int, top: int) -> Mask:
        """The same in an image that has this one `left` columns and `top` rows inside."""
        return replace(self, left=self.left + left, top=self.top + top)

    @staticmethod
    def union(masks: Sequence[Mask]) -> Mask:
        """What is in any of them; of one or more."""
        left, top = min(one.left for one in masks), min(one.top for one in masks)
        right = max(one.left + one.pixels.shape[1] for one in masks)
        bottom = max(one.top + one.pixels.shape[0] for one in masks)
        pixels = np.zeros((bottom - top, right - left), np.bool_)
        for one in masks:
            height, width = one.pixels.shape
            pixels[one.top - top :, one.left - left :][:height, :width] |= one.pixels
        return Mask(left=left, top=top, pixels=pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How much of an image a screen let the network see, in the network's tiles; or of many images together.

    sent     shown to the network because something stood out there
    sampled  of the others, shown to the network all the same, by lot
    escaped  of the sampled ones: the network found something there that the sent ones did not show
    """

    tiles: int = 0
    sent: int = 0
    sampled: int = 0
    escaped: int = 0

    @property
    def quiet(self) -> int:
        """Tiles in which nothing stood out."""
        return self.tiles - self.sent

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            tiles=self.tiles + other.tiles,
            sent=self.sent + other.sent,
            sampled=self.sampled + other.sampled,
            escaped=self.escaped + other.escaped,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What a detector found in one image, the surest first.

    xyxy    float32 (N, 4), px of the image given
    score   float32 (N,), 0..1, descending
    kind    N codes of the defect catalogue
    masks   N: which pixels of the image belong to each, where the detector says so, else None. Left out: of none
    looked  how much of the image a screen let the network see; None without a screen: all of it
    N may be 0: the image was looked at and nothing was found.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    kind: tuple[str, ...]
    masks: tuple[Mask | None, ...] = ()
    looked: Looked | None = None

    def __post_init__(self) -> None:
        n = len(self.kind)
        if not self.masks:
            object.__setattr__(self, "masks", (None,) * n)
        if self.xyxy.shape != (n, 4) or self.score.shape != (n,) or len(self.masks) != n:
            raise ValueError(
                f"{n} kinds, but boxes {self.xyxy.shape}, scores {self.score.shape}, {len(self.masks)} masks"
            )

    def __len__(self) -> int:
        return len(self.kind)

    def picked(self, rows: NDArray[np.intp]) -> Detections:
        """Only these, in this order."""
        return Detections(
            xyxy=self.xyxy[rows],
            score=self.score[rows],
            kind=tuple(self.kind[row] for row in rows),
            masks=tuple(self.masks[row] for row in rows),
            looked=self.looked,
        )

    @staticmethod
    def none() -> Detections:
        return Detections(xyxy=np.empty((0, 4), np.float32), score=np.empty((0,), np.float32), kind=())

    @staticmethod
    def together(found: Sequence[Detections]) -> Detections:
        """All of them, the surest first; equally sure ones in the order given."""
        if not found:
            return Detections.none()
        score = np.concatenate([one.score for one in found])
        screened = [one.looked for one in found if one.looked is not None]
        every = Detections(
            xyxy=np.concatenate([one.xyxy for one in found]),
            score=score,
            kind=tuple(kind for one in found for kind in one.kind),
            masks=tuple(mask for one in found for mask in one.masks),
            looked=sum(screened[1:], screened[0]) if screened else None,
        )
        return every.picked(np.argsort(-score, kind="stable"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sensed:
    """What a sensor other than a camera shows of the surface.

    picture   for people and networks; one pixel for each place that the sensor tells apart
    found     in px of the picture
    measured  of the whole of it
    """

    picture: Image
    found: Detections
    measured: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one frame shows of a defect that the borders of frames have cut."""

    sequence: int
    box_px: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A detection at its place on the surface. `box_mm` is None where the scale is not known.

    box_px, sequence            in the frame that shows it; of several, in the one that shows it most surely
    pieces                      in the other frames that show some of it, in the order of their count
    edge_near_mm, edge_far_mm   how near to the nearer edge of the strip it comes, and how far from it it
                                reaches; below 0 is beyond the edge. None where no edge was looked for.
    mask_area_mm2               area of the pixels that belong to it; None where the detector gave a box, or all of
                                them are not known, or the scale is not
    outline_px                  corners of the line around those pixels, in the frame that shows it; none for a box
    """

    kind: str
    score: float
    box_px: Box
    box_mm: Box | None
    camera: str
    sequence: int
    edge_near_mm: float | None = None
    edge_far_mm: float | None = None
    pieces: tuple[Piece, ...] = ()
    mask_area_mm2: float | None = None
    outline_px: tuple[tuple[float, float], ...] = ()

    def box_in(self, camera: str, sequence: int) -> Box | None:
        """Where this frame shows it, px; None where it does not."""
        if camera != self.camera:
            return None
        if sequence == self.sequence:
            return self.box_px
        return next((piece.box_px for piece in self.pieces if piece.sequence == sequence), None)

    @property
    def length_mm(self) -> float | None:
        """The longer side."""
        return None if self.box_mm is None else max(self.box_mm.width, self.box_mm.height)

    @property
    def area_mm2(self) -> float | None:
        """Of its pixels where they are known, else of its box."""
        if self.mask_area_mm2 is not None:
            return self.mask_area_mm2
        return None if self.box_mm is None else self.box_mm.area


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A quantity measured on the unit; what variables charts are made of."""

    name: str
    value: float
    unit: str
    uncertainty: float | None = None


Measure = Literal["score", "length_mm", "area_mm2", "count", "per_m", "repeat_hits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the surface that a limit may be for. A defect is in it as soon as any part of it is.

    edge_within_mm  no farther than this from the nearer edge of the strip
    edge_beyond_mm  farther than this from both edges
    box_mm          inside this rectangle of the surface
    What is None does not bound the zone.
    """

    name: str
    edge_within_mm: float | None = None
    edge_beyond_mm: float | None = None
    box_mm: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """From where on kinds of defect are withheld, and from where on they are refused.

    kinds           what it is for; of several kinds, `count` and `per_m` count all together
    measure         what is compared: of a defect its `score`, `length_mm` or `area_mm2`; of a unit the `count`
                    of its defects, `per_m`, the most of them on any one metre of strip, or `repeat_hits`, how
                    often the same mark came again
    review_from     at or above this a person looks; None: never by this limit
    reject_from     at or above this the unit is refused; None: never by this limit
    zone            only defects in it; None: all of them
    min_length_mm   only defects of this length and more; None: all of them
    view            only what the camera of this view shows; None: what any of them does
    """

    kinds: frozenset[str]
    measure: Measure
    review_from: float | None
    reject_from: float | None
    zone: Zone | None = None
    min_length_mm: float | None = None
    view: str | None = None

    def is_about(self, defect: Defect) -> bool:
        """Whether it is for this kind of defect, and for the view that shows it."""
        return defect.kind in self.kinds and self.view in (None, defect.camera)

    @property
    def is_general(self) -> bool:
        """Whether it speaks about every defect that it is about, wherever it lies and whatever its size."""
        return self.measure != "repeat_hits" and self.zone is None and self.min_length_mm is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Between which values a measured quantity must lie, in its unit. None: open on that side."""

    name: str
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade of units. A unit has it when none of its limits is reached; `reject_from` is what counts here."""

    name: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """How one camera's pixels lie on the surface. None as scale: millimetres are not known."""

    name: str
    x_mm_per_px: float | None = None
    y_mm_per_px: float | None = None
    x_origin_mm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A released model: the name people use, and the digest that says which bytes."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRef:
    """The recipe an inspection ran under: its digest is that of the text, so a changed text shows."""

    name: str
    revision: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some length of the surface, half-open, mm along y."""

    from_mm: float
    to_mm: float

    @property
    def length_mm(self) -> float:
        return self.to_mm - self.from_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePoint:
    """Where the two edges of the strip are, at one place along it."""

    y_mm: float
    left_mm: float
    right_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Defects of one kind that come again and again at one place across the strip, as a mark on a roll makes them.

    period_mm   from one to the next, ± one standard error `period_error_mm`
    first_mm    where the first one lies that belongs to it, last_mm the last
    hits        how many there are; `missed` how many were due between them and not found
    chance      bound of the probability that defects at random places line up like this anywhere on a coil
    """

    kind: str
    x_mm: float
    period_mm: float
    period_error_mm: float
    first_mm: float
    last_mm: float
    hits: int
    missed: int
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The surface of one coil as far as it was seen, in its own millimetres: x of the surface, y from its head.

    length_mm       head to tail, with what was lost on the way
    x_from_mm, x_to_mm   what the camera sees across
    head, tail      the ends whose defects are recorded and not judged; None: there is none
    unseen          what was not inspected: frames lost or not judged
    edges           both edges along the strip; a long one's are thinned, each then stands for the stretch around it
    repeats         by period, as found until the end
    welds           seams across it, with what is cut out beside them: their defects are recorded and not judged
    """

    length_mm: float
    x_from_mm: float
    x_to_mm: float
    head: Stretch | None
    tail: Stretch | None
    unseen: tuple[Stretch, ...]
    edges: tuple[EdgePoint, ...]
    repeats: tuple[Repeat, ...]
    welds: tuple[Stretch, ...] = ()

    @property
    def judged_mm(self) -> float:
        """What is left between head and tail, without the welds; a weld in one of them counts twice."""
        ends = sum(end.length_mm for end in (self.head, self.tail, *self.welds) if end is not None)
        return max(0.0, self.length_mm - ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReading:
    """What came of reading the unit's code in one frame.

    unit     the unit that the code names; None: it was not read
    failure  error code of why it was not; None where it was
    box_px   round the code in the frame
    """

    unit: IdentifierCode | None = None
    failure: str | None = None
    box_px: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameResult:
    """What became of one frame.

    timings_ms  per step, in the order of the steps
    failure     error code when the frame could not be judged, else None
    seen_mm     the part of the surface that was inspected in it; None where the scale is not known
    edges       of the strip, from the top of the frame down; none where they are not looked for
    repeats     those known of its unit once this frame was seen
    welds       that cross the strip in it; none where they are not looked for
    looked      how much of it a screen let the network see; None without a screen
    picture     what a sensor made of the frame, for people, with its own pixels; None: the frame is a picture
    code        what came of reading the unit's code in it; None: it was not looked for here
    """

    camera: str
    sequence: int
    verdict: Verdict
    defects: tuple[Defect, ...]
    measurements: tuple[Measurement, ...]
    timings_ms: dict[str, float]
    failure: str | None = None
    seen_mm: Box | None = None
    edges: tuple[EdgePoint, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    welds: tuple[Stretch, ...] = ()
    looked: Looked | None = None
    picture: Image | None = field(default=None, compare=False, repr=False)
    code: CodeReading | None = None

    @staticmethod
    def not_inspected(
        frame: Frame,
        *,
        failure: str,
        timings_ms: dict[str, float] | None = None,
        measurements: tuple[Measurement, ...] = (),
        code: CodeReading | None = None,
    ) -> FrameResult:
        """`measurements`, `code`: what was known before it failed."""
        return FrameResult(
            camera=frame.camera,
            sequence=frame.sequence,
            verdict=Verdict.NOT_INSPECTED,
            defects=(),
            measurements=measurements,
            timings_ms=timings_ms or {},
            failure=failure,
            code=code,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRef:
    """A stored picture of a unit, by the SHA-256 of its bytes. Its boxes are the defects of that frame.

    y_origin_mm   where its first row lies on the surface; 0 for parts
    is_exact      its pixels are the very ones that were judged, not a picture made of them for people
    """

    sha256: str
    camera: str
    sequence: int
    width_px: int
    height_px: int
    y_origin_mm: float = 0.0
    is_exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Everything one station has to say about one unit. Made once, never changed.

    id            UUIDv7, made at the station: delivering twice is harmless
    triggers      exposures the unit was due, by the device's own count; the three below should add up to it
    frames_failed seen, but not judged (each with its code in `failures`)
    frames_lost   never seen: holes in the device's count
    failures      error code -> how many frames
    simulated     made by the demo's seeded history, not by looking at anything
    grade         the recipe's grade that the unit fits; None: it has none, or not all of the unit was inspected
    strip         the surface of a coil; None for parts, and where the recipe has no [strip]
    code_failure  error code of why the unit's code was not known from its pictures: `unit` is then one that the
                  station gave it. None: it was read, or not asked for
    software      SHA-256 of the statement of the programs that judged (services/ingredients.py); None: not on record
    """

    id: UUID
    unit: IdentifierCode
    station: str
    lane: str
    recipe: RecipeRef
    models: tuple[ModelRef, ...]
    started_at: datetime
    finished_at: datetime
    verdict: Verdict
    defects: tuple[Defect, ...]
    measurements: tuple[Measurement, ...]
    triggers: int
    frames_inspected: int
    frames_failed: int
    frames_lost: int
    failures: dict[str, int]
    pictures: tuple[PictureRef, ...]
    simulated: bool = False
    grade: str | None = None
    strip: Strip | None = None
    code_failure: str | None = None
    software: str | None = None

    @property
    def unaccounted(self) -> int:
        """Exposures of the unit nobody can say anything about. Anything but 0 is a fault of ours."""
        return self.triggers - self.frames_inspected - self.frames_failed - self.frames_lost


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionBegun:
    """Said when a unit comes into view, so that a station that dies with it in hand leaves a trace of it.

    `id` is that of the inspection it is to become. `unit` is what it is called until its own code is read in its
    pictures, where a recipe asks for that.
    """

    id: UUID
    unit: IdentifierCode
    station: str
    lane: str
    recipe: RecipeRef
    models: tuple[ModelRef, ...]
    started_at: datetime
