from datetime import timedelta

from inspection.types import Verdict
from tests.builders import NOON, a_defect, a_unit, an_inspection
from traceability.rare_events import rare_events
from traceability.store import TraceStore


def _unit(number: int, verdict: Verdict, *kinds: str):
    return an_inspection(
        unit=a_unit(f"86.1/P-{number}"),
        verdict=verdict,
        defects=tuple(a_defect(kind=kind) for kind in kinds),
        finished_at=NOON + timedelta(hours=number),
    )


def _record(store: TraceStore) -> None:
    store.record(
        [
            _unit(0, Verdict.ACCEPT),
            _unit(1, Verdict.REJECT, "scratch", "scratch", "pits"),
            _unit(2, Verdict.ACCEPT),
            # Nobody judged it: it is no event, and lies between none.
            _unit(3, Verdict.NOT_INSPECTED, "scratch"),
            _unit(4, Verdict.ACCEPT, "pits"),
            _unit(5, Verdict.ACCEPT),
            _unit(6, Verdict.REJECT, "scratch"),
        ]
    )


def _told(store: TraceStore, **how):
    found = rare_events(store, since=NOON, until=NOON + timedelta(days=1), **how)
    return [(round((one.at - NOON) / timedelta(hours=1)), one.count, one.between) for one in found]


def test_refused_units_are_told_with_the_judged_ones_between_them(store: TraceStore):
    _record(store)
    # The first only begins what lies before the second.
    assert _told(store) == [(6, 1, 3)]


def test_defects_are_counted_on_each_judged_unit_that_has_any(store: TraceStore):
    _record(store)
    store.record([_unit(7, Verdict.REJECT, "pits", "scratch", "pits")])
    assert _told(store, counting="defects") == [(4, 1, 1), (6, 1, 1), (7, 3, 0)]


def test_defects_of_one_kind_are_counted_alone(store: TraceStore):
    _record(store)
    store.record([_unit(7, Verdict.REJECT, "pits", "scratch", "pits")])
    assert _told(store, counting="defects", kind="pits") == [(4, 1, 1), (7, 2, 2)]
    assert _told(store, kind="pits") == [(4, 1, 1), (7, 1, 2)]
