"""What a challenge by known-bad parts showed, kept on record: what containment reaches back to."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.station.messages import LaneMode
from traceability.accounts import note
from traceability.steps import MISSED, PROVEN, ProcessStep, place_of, record_steps, steps_from
from traceability.store import TraceStore

ACTIONS: Final = {PROVEN: "challenge.passed", MISSED: "challenge.missed"}


def keep_proof(store: TraceStore, station: str, mode: LaneMode) -> None:
    """Keep that all parts were caught, or that one was missed. Told again, it changes nothing."""
    if mode.proof is None:
        return
    for kind, at in ((PROVEN, mode.proof.proven_at), (MISSED, mode.proof.missed_at)):
        if at is not None:
            _keep(store, kind, place_of(station, mode.lane), at, parts=mode.proof.parts)


def _keep(store: TraceStore, kind: str, place: str, at: datetime, *, parts: int) -> None:
    step = ProcessStep(
        id=uuid5(NAMESPACE_URL, f"urn:lynceus:{kind}:{place}:{at.isoformat()}"),
        kind=kind,
        equipment=place,
        started_at=at,
        finished_at=at,
        parameters={"parts": float(parts)},
    )
    with store.reading() as connection:
        if steps_from(connection, [step.id]):
            return
    record_steps(
        store,
        [step],
        audit=lambda connection: note(
            connection, at=at, by=None, action=ACTIONS[kind], subject=f"lane:{place}"
        ),
    )
