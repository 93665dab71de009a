from __future__ import annotations

from datetime import timedelta

from tests.builders import NOON
from traceability.gauge_studies import VALID_FOR, is_gauge_proven, record, studies
from traceability.store import TraceStore

# Ten parts, two stations, two trials: a gauge that tells the parts well.
CROSSED = {
    "part": [f"P{part}" for part in range(10) for _ in range(4)],
    "operator": [f"S{station}" for _ in range(10) for station in range(2) for _ in range(2)],
    "value": [
        round(10 + 0.2 * part + 0.01 * station + 0.02 * trial, 3)
        for part in range(10)
        for station in range(2)
        for trial in range(2)
    ],
    "tolerance": 2.0,
}

AUDIT = {"audited": 50, "escapes": 0}


def _made(store: TraceStore, *, days_ago: float, kind="crossed", readings=CROSSED):
    return record(
        store,
        kind=kind,
        characteristic="width",
        model="",
        readings=readings,
        at=NOON - timedelta(days=days_ago),
        by=None,
    )


def test_a_gauge_stays_proven_however_many_other_studies_came_after(store: TraceStore):
    proof = _made(store, days_ago=300)
    for number in range(201):
        _made(store, days_ago=200 - number / 4, kind="audit", readings=AUDIT)
    assert is_gauge_proven(store, "width", at=NOON)
    assert studies(store, kinds=("crossed",), since=NOON - VALID_FOR, limit=None) == (proof,)
    assert len(studies(store, limit=None)) == 202


def test_a_gauge_is_proven_for_a_year_to_the_moment(store: TraceStore):
    _made(store, days_ago=VALID_FOR.days)
    assert is_gauge_proven(store, "width", at=NOON)
    assert not is_gauge_proven(store, "width", at=NOON + timedelta(seconds=1))
