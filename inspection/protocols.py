"""All that can be plugged in. `tests/promises/` runs one list of tests over every implementation."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from inspection.identity import IdentifierCode
from inspection.types import Detections, Frame, FrameResult, Image, Inspection, InspectionBegun, Sensed


class Camera(Protocol):
    """A source of frames. Entering starts it; leaving, from whichever thread, stops it, frees the device and ends
    `frames`.

    The pixels of a frame belong to the receiver and never change afterwards.
    `sequence` counts every exposure the device made, so a jump is a loss; what is known to be lost before the first
    frame, its `first_sequence` says.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, until the source ends. Raises CameraSilent, CameraLost."""
        ...


class Detector(Protocol):
    """Finds defects in one image. Same image in, same detections out, in the same order."""

    def detect(self, image: Image) -> Detections: ...


class Sensor(Protocol):
    """Makes a picture of the surface of what another sensor than a camera records, and finds what only it shows.

    What it was given lies in a frame's pixels as it came: docs/sensors.md. Same raw in, same result out.
    """

    def sense(self, raw: Image) -> Sensed:
        """Raises one of our errors where a part of the surface could not be seen that is large enough to hide what
        is looked for: then nothing of it was inspected."""
        ...


class UnitSource(Protocol):
    """Knows which unit a frame shows; gives a provisional code when the label cannot be read."""

    def unit_of(self, frame: Frame) -> IdentifierCode: ...

    def completes_unit(self, frame: Frame) -> bool:
        """Whether nothing more of its unit comes after this frame, so that its verdict can be given now."""
        ...

    def unit_of_lost(self, sequence: int) -> IdentifierCode | None:
        """The unit of an exposure nobody saw. None: it may be either neighbour's, and both are withheld."""
        ...


class Sink(Protocol):
    """Somewhere results go. Called on the lane's thread, so it returns within a millisecond."""

    def unit_begun(self, begun: InspectionBegun) -> None: ...

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None: ...

    def unit_done(self, inspection: Inspection) -> None: ...
