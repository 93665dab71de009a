"""What was taken back: the record stays, names its correction, and counts no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from traceability.rows import Found, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """`kind` and `record`: what was taken back. `made_by` is a commitment to a name (`people.py`)."""

    id: UUID
    kind: str
    record: UUID
    reason: str
    made_at: datetime
    made_by: str | None


def correction_row(correction: Correction) -> Row:
    return {
        "id": correction.id,
        "record_kind": correction.kind,
        "record_id": correction.record,
        "reason": correction.reason,
        "made_at": correction.made_at,
        "made_by": correction.made_by,
    }


def correction_from(row: Found) -> Correction:
    return Correction(
        id=row["id"],
        kind=row["record_kind"],
        record=row["record_id"],
        reason=row["reason"],
        made_at=row["made_at"],
        made_by=row["made_by"],
    )
