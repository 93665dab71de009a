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


class ProviderMissing(InspectionError):
    """The network would run elsewhere than asked. Facts: model, provider, instead."""

    code = "MOD-PROVIDER-MISSING"


class ModelDrifted(InspectionError):
    """The reference run gives another answer here. Facts: model, by, allowed, runtime."""

    code = "MOD-DRIFTED"


class SignerUnknown(InspectionError):
    """The bundle is signed by nobody this plant trusts. Facts: model, key, folder."""

    code = "MOD-SIGNER-UNKNOWN"


class BundleUnreadable(InspectionError):
    """The file is no bundle of a model, or one with something else in it. Facts: file, wrong."""

    code = "MOD-BUNDLE-UNREADABLE"


class LicenceRefused(InspectionError):
    """The plant's policy does not allow the model's licence. Facts: model, restrictions, licence, policy."""

    code = "MOD-LICENCE-REFUSED"


class VersionTaken(InspectionError):
    """That name and version is there already, with other bytes. Facts: model, folder."""

    code = "MOD-VERSION-TAKEN"


class DetectionFailed(InspectionError):
    """The runtime gave up on an image."""

    code = "MOD-DETECT-FAILED"


class TrainingDataMissing(InspectionError):
    """What the training desk was to learn from is not there."""

    code = "MOD-TRAINING-DATA"


class LabelsWrong(InspectionError):
    """Labels of a set that cannot be right. Facts: place, count, mistakes (the first of them, as text)."""

    code = "MOD-LABELS-WRONG"


class SetUnfit(InspectionError):
    """A set that nothing can be learnt or shown from. Facts: place, wrong."""

    code = "MOD-SET-UNFIT"
