"""Makes the published torchvision importable beside a CPU build of torch.

The wheel's compiled operators are linked against CUDA and do not load without it; importing torchvision then
ends in `RuntimeError: operator torchvision::nms does not exist`. Ultralytics imports torchvision, but of the
compiled operators it needs non-maximum suppression only. So the operators that torchvision looks for at import
are declared here, and the one that is used is computed by OpenCV (five times as fast as the numpy loop of
`inspection.vision.boxes`, which matters here: a network that has learnt nothing yet finds 6000 boxes a picture).
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import torch

# A library's operators live as long as the object does.
_declared: list[torch.library.Library] = []


def make_importable() -> None:
    """Call before anything imports torchvision. Does nothing where torch has CUDA, or when called again."""
    if torch.version.cuda is not None or _declared:
        return
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.impl("nms", _nms, "CPU")
    _declared.append(operators)

    import torchvision.ops.boxes

    # It asks whether the compiled library was loaded; for nms the answer no longer matters.
    torchvision.ops.boxes._assert_has_ops = lambda: None


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    corners = boxes.detach().double().numpy()
    xywh = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    # An array is taken as it is; the stub of OpenCV names sequences only.
    kept = cv2.dnn.NMSBoxes(cast("Any", xywh), scores.detach().float().numpy(), 0.0, iou_threshold)
    return torch.from_numpy(np.asarray(kept, np.int64).reshape(-1))
