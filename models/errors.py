"""What can be wrong with a model."""

from __future__ import annotations

from inspection.errors import InspectionError


class ModelMissing(InspectionError):
    """No such model, or not in that version, among the released ones."""

    code = "MOD-MISSING"


class ModelAltered(InspectionError):
    """The bytes on disk are not those that were released."""

    code = "MOD-ALTERED"


class ModelMismatch(InspectionError):
    """The model and its card contradict each other, or the runtime cannot run it as asked."""

    code = "MOD-MISMATCH"


class DetectionFailed(InspectionError):
    """The runtime gave up on an image."""

    code = "MOD-DETECT-FAILED"


class TrainingDataMissing(InspectionError):
    """What the training desk was to learn from is not there."""

    code = "MOD-TRAINING-DATA"
