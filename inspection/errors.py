"""What every refusal of ours carries: a stable code, what happened, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class InspectionError(Exception):
    """Base of all errors that a person may come to see.

    code    stable, `<family>-<name>`; families INS CAM MOD CFG TRC SPC SVC. It is also the key of the
            texts in every language: `error.<code>.what` and `error.<code>.action`, filled in with `facts`.
    facts   the actual values, JSON-able, named as the texts name them

    `str(error)` is the English sentence of what happened, for logs.
    """

    code: ClassVar[str] = "INS-ERROR"

    def __init__(self, what: str, *, action: str, **facts: object) -> None:
        super().__init__(what)
        self.what = what
        self.action = action
        self.facts = facts

    def __reduce__(self) -> tuple[object, ...]:
        # The default rebuilds from `args` alone and fails on `action`; errors cross process borders here.
        return _rebuild, (type(self), self.what, self.action, self.facts)


def _rebuild(
    kind: type[InspectionError], what: str, action: str, facts: dict[str, object]
) -> InspectionError:
    return kind(what, action=action, **facts)


class ImageUnreadable(InspectionError):
    """The bytes are no picture, or a truncated one."""

    code = "INS-IMAGE-UNREADABLE"


class ImageUnsuitable(InspectionError):
    """A picture, but not one that can be judged: wrong depth, too small, too large."""

    code = "INS-IMAGE-UNSUITABLE"


class ImageUnfit(InspectionError):
    """The exposure, the focus or the scene does not allow a judgement (see `vision/health.py`)."""

    code = "INS-IMAGE-UNFIT"


class DetectorFailed(InspectionError):
    """The detector raised something that is no refusal of ours. Facts: reason."""

    code = "INS-DETECTOR-FAILED"


class DetectorOvertime(InspectionError):
    """The detector gave no answer in the time that it has. Facts: budget_ms."""

    code = "INS-DETECTOR-OVERTIME"


class DetectionsInvalid(InspectionError):
    """The detector answered with numbers that are none."""

    code = "INS-DETECTIONS-INVALID"


class TooManyDetections(InspectionError):
    """So many places stand out in one picture that not all are kept: what is left out might decide. Facts: most."""

    code = "INS-TOO-MANY-DETECTIONS"


def too_many(most: int) -> TooManyDetections:
    return TooManyDetections(
        f"More than {most} places stand out in one picture.",
        action="The frame counts as not inspected. Look at the picture: dirt, light, or another surface than the model "
        "knows.",
        most=most,
    )


class SensorMisfit(InspectionError):
    """What came is not of the form that the sensor's settings say. Facts: found, allowed."""

    code = "INS-SENSOR-MISFIT"


class SensorBlind(InspectionError):
    """The sensor could not see enough of the surface: a defect may hide there. Facts: found, allowed."""

    code = "INS-SENSOR-BLIND"
