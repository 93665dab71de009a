"""From pixels of a frame to millimetres on the surface."""

from __future__ import annotations

from inspection.types import Box, Defect, Detections, Frame, Mask, Surface
from inspection.vision.regions import outline


def locate(
    found: Detections, frame: Frame, surface: Surface, *, roi_px: Box | None = None
) -> tuple[Defect, ...]:
    """Detections of the region of interest as defects of the frame and of the surface, in the same order.

    `box_px` is in pixels of the whole frame, `box_mm` None where the surface has no scale.
    """
    left, top = (roi_px.x1, roi_px.y1) if roi_px else (0.0, 0.0)
    defects = []
    for (x1, y1, x2, y2), score, kind, mask in zip(
        found.xyxy.tolist(), found.score.tolist(), found.kind, found.masks, strict=True
    ):
        box_px = Box(x1 + left, y1 + top, x2 + left, y2 + top)
        defects.append(
            Defect(
                kind=kind,
                score=score,
                box_px=box_px,
                box_mm=_on_surface(box_px, frame, surface),
                camera=frame.camera,
                sequence=frame.sequence,
                mask_area_mm2=None if mask is None else _area_mm2(mask, surface),
                outline_px=() if mask is None else tuple((x + left, y + top) for x, y in outline(mask)),
            )
        )
    return tuple(defects)


def _area_mm2(mask: Mask, surface: Surface) -> float | None:
    if surface.x_mm_per_px is None or surface.y_mm_per_px is None:
        return None
    return mask.area_px * surface.x_mm_per_px * surface.y_mm_per_px


def seen_in(
    seen_hw: tuple[int, int], frame: Frame, surface: Surface, *, roi_px: Box | None = None
) -> Box | None:
    """The part of the surface that the region of interest of the frame shows, `seen_hw` px of it, mm."""
    left, top = (roi_px.x1, roi_px.y1) if roi_px else (0.0, 0.0)
    height, width = seen_hw
    return _on_surface(Box(left, top, left + width, top + height), frame, surface)


def _on_surface(box_px: Box, frame: Frame, surface: Surface) -> Box | None:
    if surface.x_mm_per_px is None or surface.y_mm_per_px is None:
        return None
    return Box(
        surface.x_origin_mm + box_px.x1 * surface.x_mm_per_px,
        frame.y_origin_mm + box_px.y1 * surface.y_mm_per_px,
        surface.x_origin_mm + box_px.x2 * surface.x_mm_per_px,
        frame.y_origin_mm + box_px.y2 * surface.y_mm_per_px,
    )
