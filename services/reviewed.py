"""Labelled pictures from what people decided: overruled verdicts become good pictures, confirmed ones defects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inspection.types import Inspection, PictureRef
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet, Truth
from traceability.errors import PictureAltered, PictureMissing
from traceability.holds import holds_of
from traceability.images import ImageStore
from traceability.reviews import Decision, Reviews
from traceability.store import TraceStore

MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """The set, and what of the decisions is not in it.

    to_label   units confirmed as defective for a reason that no detection names: somebody has to draw where it is
    gone       pictures that are not kept any more, or altered
    withdrawn  units that a person accepted, and that are on hold since, or were to be scrapped or reworked
    """

    labelled: LabelledSet
    to_label: int
    gone: int
    withdrawn: int


def reviewed(
    store: TraceStore, pictures: ImageStore, into: Path, *, since: datetime, until: datetime
) -> Reviewed:
    """Pictures of reviewed units in `into/images/<unit>/`, so that a unit is a group of its own.

    Of a unit that was accepted after all, every picture is a good one, unless it was put on hold since: who decided
    wrongly may not take it back after some seconds, and a hold is how it is put right. Of one that was confirmed, the
    pictures with defects are taken, with the boxes found; what is not on them nobody said, so its other pictures are
    left out.

    Raises SetUnfit where nothing can be taken.
    """
    found: list[LabelledFile] = []
    to_label = gone = withdrawn = 0
    for review in Reviews(store).decided(since=since, until=until, limit=MOST):
        unit = store.inspection(review.inspection)
        if unit is None or unit.simulated:
            continue
        if review.decision is Decision.REJECT and not _is_labelled(unit, review.reason):
            to_label += 1
            continue
        if review.decision is Decision.ACCEPT and _is_withdrawn(store, unit, review.at):
            withdrawn += 1
            continue
        for picture in unit.pictures:
            truth = () if review.decision is Decision.ACCEPT else tuple(_truth(unit, picture))
            if review.decision is Decision.REJECT and not truth:
                continue
            try:
                data = pictures.read(picture.sha256)
            except (PictureMissing, PictureAltered):
                gone += 1
                continue
            name = f"images/{unit.id.hex}/{picture.sha256[:16]}{suffix_of(data)}"
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(data)
            size = {"width_px": picture.width_px, "height_px": picture.height_px}
            found.append(LabelledFile(name=name, **size, truth=truth))
    if not found:
        raise SetUnfit(
            f"{into}: of the decisions since {since:%Y-%m-%d} none gives a picture.",
            action="Review units whose pictures are kept, or draw the labels of those that were confirmed.",
            place=str(into),
            wrong=f"{to_label} to label, {gone} gone, {withdrawn} on hold, scrapped or reworked since",
        )
    kinds = tuple(sorted({one.kind for each in found for one in each.truth}))
    labelled = LabelledSet(folder=into, kinds=kinds, pictures=tuple(sorted(found, key=lambda one: one.name)))
    return Reviewed(labelled=labelled, to_label=to_label, gone=gone, withdrawn=withdrawn)


def suffix_of(picture: bytes) -> str:
    """Of a kept picture's file: JPEG, or what is kept without loss."""
    return ".jpg" if picture[:2] == b"\xff\xd8" else ".png"


def _is_withdrawn(store: TraceStore, unit: Inspection, accepted_at: datetime) -> bool:
    """Whether somebody holds an accepted unit, or decided after a hold that it is not to be used as it is."""
    return any(
        released is None or (released.decision != "use_as_is" and released.released_at >= accepted_at)
        for _, released in holds_of(store, unit.unit)
    )


def _is_labelled(unit: Inspection, reason: str | None) -> bool:
    """Whether the detections are of what the reviewer saw; without a reason, they are what was confirmed."""
    kinds = {one.kind for one in unit.defects}
    return bool(kinds) and (reason is None or reason in kinds)


def _truth(unit: Inspection, picture: PictureRef) -> Iterable[Truth]:
    for one in unit.defects:
        box = one.box_in(picture.camera, picture.sequence)
        if box is not None:
            yield Truth(kind=one.kind, box_px=box)
