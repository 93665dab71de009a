"""Steps, gauges, holds and containment, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from uuid_utils.compat import uuid7

from inspection.errors import InspectionError
from inspection.types import Verdict
from tests.builders import NOON, RECIPE, a_unit, an_inspection
from tests.drawn_coil import COIL_B, LINKS, SEGMENTS, STRIP_B1, UNITS, WELDED
from traceability.codes import CodeRegister
from traceability.errors import EscapeLeftOut, HoldMissing, RecordUnknown, UnitUnknown
from traceability.genealogy.cuts import Link, LinkKind
from traceability.genealogy.recording import record, void
from traceability.holds import (
    Decision,
    board,
    boards,
    contain,
    contained_units,
    holds_of,
    open_holds,
    place,
    release,
)
from traceability.steps import (
    GaugePoint,
    GaugeSeries,
    ProcessStep,
    gauges_of,
    measured_at,
    record_gauges,
    record_steps,
    steps_of,
)
from traceability.store import TraceStore
from traceability.verification import verify


def a_step(kind: str = "weld", *, hour: float = 0, **given) -> ProcessStep:
    return ProcessStep(
        **{
            "id": uuid7(),
            "kind": kind,
            "equipment": "WELDER-2",
            "started_at": NOON + timedelta(hours=hour),
            "finished_at": NOON + timedelta(hours=hour, minutes=5),
            **given,
        }
    )


def a_series(unit, *points: GaugePoint, **given) -> GaugeSeries:
    return GaugeSeries(
        **{
            "id": uuid7(),
            "unit": unit,
            "quantity": "thickness",
            "unit_of_measure": "mm",
            "gauge": "X-RAY-1",
            "measured_at": NOON,
            "points": points,
            **given,
        }
    )


def test_a_step_comes_back_with_man_machine_material_method_and_environment(store: TraceStore):
    step = a_step(
        units_in=(STRIP_B1,),
        units_out=(WELDED,),
        program="W-7",
        materials=("WIRE-LOT-3",),
        tools=("WHEEL-12",),
        parameters={"current_A": 11_000.0, "mode": "pulse"},
        environment={"humidity_percent": 41.5},
    )
    kept = record_steps(store, [step, step], operators={step.id: "Li Wei"})
    assert (kept.new, kept.contradictions) == (1, ())
    with store.reading() as connection:
        ((_, role, found),) = steps_of(connection, [store.unit_id(connection, WELDED)])
    assert role == "out"
    assert replace(found, operator=None) == step
    assert found.operator is not None
    assert "Li Wei" not in found.operator
    assert verify(store).findings == ()


def test_a_step_that_comes_again_is_absorbed_and_another_under_its_id_is_kept_and_flagged(store: TraceStore):
    step = a_step(units_out=(WELDED,))
    record_steps(store, [step])
    assert record_steps(store, [step]).new == 0
    assert record_steps(store, [replace(step, equipment="WELDER-3")]).contradictions == (step.id,)
    assert verify(store).findings == ()


def test_a_gauges_values_are_found_at_a_place_of_what_was_made_from_it(store: TraceStore):
    """Segment 3 at 3000 mm is coil B at 6600 mm (docs/genealogy.md)."""
    record(store, units=UNITS, links=LINKS)
    profile = a_series(COIL_B, *(GaugePoint(y_mm=1_000.0 * at, value=2.0 + at / 100) for at in range(9)))
    whole = a_series(
        SEGMENTS[2], GaugePoint(value=88.0), quantity="hardness", gauge="HV-1", unit_of_measure="HV"
    )
    assert record_gauges(store, [profile, whole]).new == 2
    found = {one.quantity: one for one in measured_at(store, SEGMENTS[2], 150, 3_000)}
    assert found["thickness"].unit == COIL_B
    assert found["thickness"].value == pytest.approx(2.07)
    assert found["thickness"].distance_mm == pytest.approx(400)
    assert (found["hardness"].value, found["hardness"].distance_mm) == (88.0, 0.0)
    with store.reading() as connection:
        ((_, kept),) = gauges_of(connection, [store.unit_id(connection, COIL_B)])
    assert kept == profile


def test_a_unit_is_held_once_and_released_with_a_reason(store: TraceStore):
    store.record([an_inspection(unit=a_unit("P-1"))])
    for _ in range(2):
        place(store, [a_unit("P-1")], ids=[uuid7()], reason="scratched", at=NOON, by="Li Wei")
    assert open_holds(store) == 1
    release(store, a_unit("P-1"), id=uuid7(), decision="rework", reason="polished", at=NOON, by="Wang Fang")
    ((hold, released),) = holds_of(store, a_unit("P-1"))
    assert (hold.reason, released.decision, released.reason) == ("scratched", "rework", "polished")
    assert open_holds(store) == 0
    with pytest.raises(HoldMissing):
        release(store, a_unit("P-1"), id=uuid7(), decision="scrap", reason="?", at=NOON, by=None)
    with pytest.raises(UnitUnknown):
        place(store, [a_unit("P-1"), a_unit("nobody")], ids=[uuid7(), uuid7()], reason="?", at=NOON, by=None)
    assert open_holds(store) == 0
    assert verify(store).findings == ()


def test_a_unit_that_is_named_twice_is_held_once_and_free_after_one_release(store: TraceStore):
    store.record([an_inspection(unit=a_unit("P-1"))])
    CodeRegister(store).bind(a_unit("LABEL-1"), a_unit("P-1"), reason="label")
    units = [a_unit("LABEL-1"), a_unit("P-1"), a_unit("LABEL-1")]
    assert place(store, units, ids=[uuid7() for _ in units], reason="scratched", at=NOON, by=None) == 1
    ((hold, _),) = holds_of(store, a_unit("P-1"))
    assert hold.unit == a_unit("LABEL-1")
    release(store, a_unit("P-1"), id=uuid7(), decision="rework", reason="polished", at=NOON, by=None)
    assert open_holds(store) == 0
    assert verify(store).findings == ()


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What became of acts that are begun at one moment: their answers, or what they raised."""
    begun = Barrier(len(acts), timeout=60)

    def done(act: Callable[[], object]) -> object:
        begun.wait()
        try:
            return act()
        except InspectionError as error:
            return type(error)

    with ThreadPoolExecutor(len(acts)) as people:
        return list(people.map(done, acts))


def test_two_people_who_hold_one_unit_at_once_hold_it_once_and_one_of_two_decides(store: TraceStore):
    for number in range(10):
        unit = a_unit(f"P-{number}")
        store.record([an_inspection(unit=unit)])

        def hold(unit=unit):
            return place(store, [unit], ids=[uuid7()], reason="scratched", at=NOON, by=None)

        def decide(unit=unit):
            return release(store, unit, id=uuid7(), decision="scrap", reason="deep", at=NOON, by=None)

        assert sorted(at_once(hold, hold)) == [0, 1]
        assert len(holds_of(store, unit)) == 1
        assert set(at_once(decide, decide)) == {None, HoldMissing}
    assert open_holds(store) == 0


def seen(unit: str, hour: float, **given):
    return an_inspection(unit=a_unit(unit), finished_at=NOON + timedelta(hours=hour), **given)


def opened(store: TraceStore, escape, **given):
    return contain(
        store, escape.id, id=uuid7(), reason="customer", at=NOON + timedelta(days=1), by="Li Wei", **given
    )


def suspects(found) -> list[str]:
    return [str(one.unit) for one in found.suspects]


def test_the_suspects_are_those_accepted_alike_since_the_last_proof_and_what_was_made_from_them(
    store: TraceStore,
):
    escape = seen("ESCAPE", 3)
    other_recipe = replace(RECIPE, sha256="aa" * 32)
    store.record(
        [
            seen("BEFORE-THE-PROOF", 0.5),
            seen("SUSPECT-1", 2),
            escape,
            seen("SUSPECT-2", 4),
            seen("AFTER-THE-NEXT-PROOF", 7),
            seen("REJECTED", 3.1, verdict=Verdict.REJECT),
            seen("ANOTHER-STATION", 3.2, station="elsewhere"),
            seen("ANOTHER-RECIPE", 3.3, recipe=other_recipe),
            seen("ANOTHER-MODEL", 3.4, models=()),
            seen("SIMULATED", 3.5, simulated=True),
        ]
    )
    record_steps(store, [a_step("proof", hour=hour, equipment="demo") for hour in (1, 6)])
    record_steps(store, [a_step("proof", hour=2.5, equipment="elsewhere")])
    from tests.drawn_coil import a_link

    record(store, links=[a_link(a_unit("SUSPECT-1"), a_unit("MADE-FROM-IT"), LinkKind.FORM)])
    found = opened(store, escape)
    assert suspects(found) == ["ESCAPE", "MADE-FROM-IT", "SUSPECT-1", "SUSPECT-2"]
    assert found.counts == {"found": 4, "held": 0, "shipped": 0, "closed": 0}
    assert found.containment.since == NOON + timedelta(hours=1, minutes=5)
    assert found.containment.until == NOON + timedelta(hours=6, minutes=5)


def test_a_lot_and_a_time_narrow_the_suspects(store: TraceStore):
    from tests.drawn_coil import a_link

    escape = seen("ESCAPE", 3)
    store.record([seen("EARLY", 1), seen("OTHER-LOT", 2.5), escape, seen("SAME-LOT", 2.8)])
    lot = a_unit("LOT-1")
    record(
        store, links=[a_link(lot, a_unit(code), LinkKind.FORM) for code in ("ESCAPE", "SAME-LOT", "EARLY")]
    )
    assert suspects(opened(store, escape)) == ["EARLY", "ESCAPE", "OTHER-LOT", "SAME-LOT"]
    narrow = opened(store, escape, lot=lot, since=NOON + timedelta(hours=2))
    assert suspects(narrow) == ["ESCAPE", "SAME-LOT"]


@pytest.mark.parametrize("how", ["a time after it", "a lot it was not made from"])
def test_a_lot_or_a_time_that_leaves_out_the_escape_itself_is_refused_and_no_containment_is_done_at_once(
    store: TraceStore, how: str
):
    escape = seen("ESCAPE", 3)
    store.record([seen("EARLY", 1), escape, seen("LATE", 4), seen("LOT-2", 0)])
    given: dict[str, dict[str, object]] = {
        "a time after it": {"since": NOON + timedelta(hours=3, minutes=1)},
        "a lot it was not made from": {"lot": a_unit("LOT-2")},
    }
    with pytest.raises(EscapeLeftOut, match="ESCAPE"):
        opened(store, escape, **given[how])
    assert boards(store) == ()


def test_a_containment_reaches_back_to_the_very_time_of_its_escape(store: TraceStore):
    escape = seen("ESCAPE", 3)
    store.record([seen("EARLY", 1), escape, seen("LATE", 4)])
    assert suspects(opened(store, escape, since=escape.finished_at)) == ["ESCAPE", "LATE"]


def test_a_containment_counts_down_to_nothing_open(store: TraceStore):
    escape = seen("P-1", 1)
    store.record([escape, seen("P-2", 1), seen("P-3", 1)])
    record_steps(store, [a_step("ship", hour=2, units_in=(a_unit("P-3"),))])
    found = opened(store, escape)
    assert (found.counts, found.open) == ({"found": 2, "held": 0, "shipped": 1, "closed": 0}, 3)
    id_, at = found.containment.id, NOON + timedelta(days=2)
    units = [a_unit(f"P-{number}") for number in (1, 2, 3)]
    assert (
        place(store, units, ids=[uuid7() for _ in units], reason="contained", at=at, by=None, containment=id_)
        == 3
    )
    assert board(store, id_).counts["held"] == 3
    for number, unit in enumerate(units, 1):
        release(store, unit, id=uuid7(), decision="scrap", reason="it was", at=at, by=None)
        assert board(store, id_).open == 3 - number
    assert [one.containment.id for one in boards(store)] == [id_]
    assert verify(store).findings == ()


def made_from(parent: str, child: str) -> Link:
    return Link(id=uuid7(), parent=a_unit(parent), child=a_unit(child), kind=LinkKind.SLIT)


def decided(store: TraceStore, unit: str, decision: Decision = "scrap") -> None:
    at = NOON + timedelta(days=2)
    place(store, [a_unit(unit)], ids=[uuid7()], reason="contained", at=at, by=None)
    release(store, a_unit(unit), id=uuid7(), decision=decision, reason="looked at", at=at, by=None)


def test_a_suspect_that_is_known_late_is_open_though_all_that_were_named_are_decided(store: TraceStore):
    """The station was cut off, and delivers what it accepted; a coil that nobody held yet is slit, and slit again."""
    escape = seen("ESCAPE", 0)
    store.record([escape, seen("COIL", 1)])
    id_ = opened(store, escape).containment.id
    store.record([seen("LATE", 0.5), seen("LATE-AND-REJECTED", 0.5, verdict=Verdict.REJECT)])
    record(store, links=[made_from("COIL", "STRIP"), made_from("STRIP", "BLANK"), made_from("LATE", "CUT")])
    late = ["BLANK", "CUT", "LATE", "STRIP"]
    for unit in ("ESCAPE", "COIL"):
        decided(store, unit)
    found = board(store, id_)
    assert (suspects(found), found.open) == (["COIL", "ESCAPE", *late], 4)
    assert found.counts == {"found": 4, "held": 0, "shipped": 0, "closed": 2}
    # What was named when it was opened is the record, and stays.
    assert [str(code) for code in found.containment.suspects] == ["COIL", "ESCAPE"]
    with store.reading() as connection:
        waiting = {store.unit_id(connection, a_unit(code)) for code in late}
        assert contained_units(connection) == waiting
    units = [one.unit for one in found.suspects if one.state == "found"]
    assert place(store, units, ids=[uuid7() for _ in units], reason="late", at=NOON, by=None) == 4
    assert board(store, id_).counts["held"] == 4
    for unit in late:
        release(
            store,
            a_unit(unit),
            id=uuid7(),
            decision="scrap",
            reason="late",
            at=NOON + timedelta(days=3),
            by=None,
        )
    assert board(store, id_).open == 0
    with store.reading() as connection:
        assert contained_units(connection) == set()
    assert verify(store).findings == ()


@pytest.mark.parametrize(
    ("decision", "is_suspect"), [("use_as_is", False), ("rework", False), ("scrap", True)]
)
def test_what_is_made_from_a_suspect_after_it_was_found_fit_is_none(
    store: TraceStore, decision: Decision, is_suspect: bool
):
    escape = seen("ESCAPE", 0)
    store.record([escape, seen("COIL", 1)])
    id_ = opened(store, escape).containment.id
    record(store, links=[made_from("COIL", "BEFORE")])
    decided(store, "COIL", decision)
    record(store, links=[made_from("COIL", "AFTER")])
    assert ("BEFORE" in suspects(board(store, id_)), "AFTER" in suspects(board(store, id_))) == (
        True,
        is_suspect,
    )


def test_late_suspects_are_within_the_lot_and_of_no_link_that_was_taken_back(store: TraceStore):
    escape, lot = seen("ESCAPE", 0), a_unit("LOT")
    store.record([escape])
    record(store, links=[made_from("LOT", "ESCAPE")])
    id_ = opened(store, escape, lot=lot).containment.id
    wrong = made_from("ESCAPE", "STRIP")
    record(store, links=[wrong, made_from("LOT", "LATE")])
    store.record([seen("LATE", 0.5), seen("OTHER-LOT", 0.5)])
    assert suspects(board(store, id_)) == ["ESCAPE", "LATE", "STRIP"]
    void(store, link=wrong.id, id=uuid7(), reason="typed wrong")
    assert suspects(board(store, id_)) == ["ESCAPE", "LATE"]


def test_what_is_not_there_cannot_be_contained(store: TraceStore):
    with pytest.raises(RecordUnknown):
        contain(store, uuid7(), id=uuid7(), reason="?", at=NOON, by=None)
    with pytest.raises(RecordUnknown):
        board(store, uuid7())


def test_as_many_units_as_a_statement_takes_are_held_at_once(store: TraceStore):
    """PostgreSQL refused ten thousand codes in one statement as nested too deep."""
    codes = [a_unit(f"86.999.1/MANY-{number:05d}") for number in range(10_000)]
    store.record([an_inspection(unit=code, pictures=()) for code in codes])
    held = place(store, codes, ids=[uuid7() for _ in codes], reason="all of it", at=NOON, by="Li Wei")
    assert held == len(codes)
