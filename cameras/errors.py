"""What can go wrong between a camera and its frames."""

from __future__ import annotations

from inspection.errors import InspectionError


class CameraNotFound(InspectionError):
    """Not exactly one device is what the settings ask for. Facts: camera, wanted, found."""

    code = "CAM-NOT-FOUND"


class CameraInUse(InspectionError):
    """The device is there, but another program or another lane holds it. Facts: camera, wanted."""

    code = "CAM-IN-USE"


class CameraSilent(InspectionError):
    """Open and started, but no whole frame came in time. Facts: camera, timeout_s, incomplete."""

    code = "CAM-SILENT"


class CameraLost(InspectionError):
    """The link broke, or the device can no longer say how many frames it made. Facts: camera, reason."""

    code = "CAM-LOST"


class ViewsOutOfStep(InspectionError):
    """Nobody knows which frames of several cameras show the same unit. Facts: camera (all views), found, allowed."""

    code = "CAM-VIEWS-OUT-OF-STEP"


class SettingRefused(InspectionError):
    """The device does not have a feature, or did not take its value. Facts: camera, setting, value, found."""

    code = "CAM-SETTING-REFUSED"


class ProducerMissing(InspectionError):
    """No camera library: not installed, not at its path, or it does not load. Facts: producer, reason, install."""

    code = "CAM-PRODUCER-MISSING"


class MemoryTooSmall(InspectionError):
    """The memory that a camera's frames are handed over in is not free.
    Facts: camera, buffers, frame_bytes, needed_mb, available_mb."""

    code = "CAM-MEMORY-TOO-SMALL"


class RunUnreadable(InspectionError):
    """A recorded run, or a folder of pictures, cannot be played whole. Facts: file, reason."""

    code = "CAM-RUN-UNREADABLE"


class RunUnwritable(InspectionError):
    """A recording cannot be begun or go on. Facts: folder, reason, written (frames that are in it)."""

    code = "CAM-RUN-UNWRITABLE"


class AddressUnusable(InspectionError):
    """The simulated camera cannot listen where it is to. Facts: address, port, reason."""

    code = "CAM-ADDRESS-UNUSABLE"


class AddressRefused(InspectionError):
    """A camera did not take the address it was told to take. Facts: mac, address, found, status."""

    code = "CAM-ADDRESS-REFUSED"


class FaultsUnreadable(InspectionError):
    """The faults a simulated camera is to make are not understood. Facts: given, part, kinds."""

    code = "CAM-FAULTS-UNREADABLE"
