import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Verdict
from services.signals.handshake import (
    CODE_BYTES,
    LENGTH,
    MAP_VERSION,
    OFFSETS,
    PER_LANE,
    STILL_S,
    VERDICT_CODE,
    Done,
    Gate,
    LaneRegisters,
    LineMode,
    NotWritable,
    Read,
    RecipeStep,
    RecipeWanted,
    Standing,
    Taken,
    Told,
    after,
)
from tests.builders import a_defect, an_inspection

SESSION, FRESH_S = 777, 5.0


def told(number=1, verdict=Verdict.ACCEPT, *, code="86.1000/PART-1", given_s=0.0):
    return Told(number=number, given_s=given_s, verdict=verdict, code=code, defects=0, exposures=1, lost=0)


def a_lane(*verdicts: Told) -> LaneRegisters:
    lane = LaneRegisters(session=SESSION, fresh_s=FRESH_S)
    for one in verdicts:
        lane.told(one)
    return lane


def read(lane: LaneRegisters, *, now_s=0.0) -> Read:
    """With an engine that lives."""
    lane.beat(now_s)
    return Read.of(lane.registers(now_s))


def take(lane: LaneRegisters, number: int, *, session=SESSION, done=Done.NOT_SAID):
    return lane.written(OFFSETS["session_taken"], [session, number, done])


def test_a_lane_of_which_nothing_is_known_is_not_ready_and_opens_no_gate():
    shown = read(a_lane())
    assert not shown.is_ready
    assert shown.mode is LineMode.STOPPED
    assert shown.gate is Gate.NONE
    assert shown.shown is None


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.ACCEPT])
def test_the_gate_diverts_whatever_was_not_accepted(verdict):
    assert read(a_lane(told(verdict=verdict))).gate is Gate.DIVERT


def test_the_gate_opens_for_what_was_accepted_and_no_longer_than_it_may_wait():
    lane = a_lane(told(given_s=100.0))
    assert read(lane, now_s=100.0 + FRESH_S).gate is Gate.PASS
    late = read(lane, now_s=100.1 + FRESH_S)
    assert late.gate is Gate.DIVERT
    assert late.shown.verdict is Verdict.ACCEPT


def test_only_a_lane_that_inspects_is_ready():
    lane = a_lane()
    for mode in LineMode:
        lane.stands(Standing(mode=mode))
        assert read(lane).is_ready == (mode is LineMode.RUN)
        assert read(lane).mode is mode


def test_a_lane_whose_engine_stands_still_is_not_ready_whatever_it_said_last():
    lane = a_lane()
    lane.stands(Standing(mode=LineMode.RUN))
    lane.beat(100.0)
    assert Read.of(lane.registers(100.0 + STILL_S)).is_ready
    still = Read.of(lane.registers(100.1 + STILL_S))
    assert not still.is_ready
    assert still.mode is LineMode.STOPPED


def test_the_unit_is_told_with_its_code_in_any_script_and_what_was_counted():
    unit = an_inspection(
        verdict=Verdict.REJECT, defects=(a_defect(), a_defect()), frames_inspected=3, frames_lost=2
    )
    shown = read(a_lane(Told.of(unit, 9, given_s=0.0))).shown
    assert shown.code == str(unit.unit)
    assert (shown.number, shown.defects, shown.exposures, shown.lost) == (9, 2, 5, 2)
    assert read(a_lane(told(code="86.1000/零件-1"))).shown.code == "86.1000/零件-1"


def test_a_code_that_is_longer_than_its_registers_is_cut_and_its_length_says_so():
    code = "86.1000/" + "7" * 100
    registers = a_lane(told(code=code)).registers(0.0)
    assert registers[OFFSETS["code_bytes"]] == len(code)
    assert Read.of(registers).shown.code == code[:CODE_BYTES]


def test_a_verdict_stands_until_its_number_is_written_back_with_the_session():
    lane = a_lane(told(1), told(2, Verdict.REJECT))
    assert take(lane, 2) == ()
    assert take(lane, 1, session=SESSION + 1) == ()
    assert read(lane).shown.number == 1
    assert take(lane, 1, done=Done.LET_PASS) == (Taken(1, Done.LET_PASS),)
    assert read(lane).shown.number == 2
    assert read(lane).waiting == 1


def test_a_number_written_twice_takes_one_verdict():
    lane = a_lane(told(1), told(2))
    assert take(lane, 1) == (Taken(1, Done.NOT_SAID),)
    assert take(lane, 1) == ()
    assert read(lane).shown.number == 2


def test_registers_written_one_by_one_take_the_verdict_with_the_number():
    lane = a_lane(told(1), told(2))
    for name, value in (("session_taken", SESSION), ("done", Done.DIVERTED)):
        assert lane.written(OFFSETS[name], [value]) == ()
    assert lane.written(OFFSETS["number_taken"], [1]) == (Taken(1, Done.DIVERTED),)
    # What was done with one unit is not said of the next.
    assert lane.written(OFFSETS["number_taken"], [2]) == (Taken(2, Done.NOT_SAID),)


def test_a_recipe_is_asked_for_once_until_none_is():
    lane = a_lane()
    want = OFFSETS["recipe_wanted"]
    assert lane.written(want, [2]) == (RecipeWanted(2),)
    assert lane.written(want, [2]) == ()
    assert lane.written(want, [0]) == ()
    assert lane.written(want, [2]) == (RecipeWanted(2),)
    lane.stands(Standing(recipe=1, recipe_asked=2, recipe_state=RecipeStep.PREPARING))
    shown = read(lane)
    assert (shown.recipe, shown.recipe_asked, shown.recipe_state) == (1, 2, RecipeStep.PREPARING)


@pytest.mark.parametrize(
    ("first", "values"),
    [
        (OFFSETS["gate"], [1]),
        (OFFSETS["session_taken"] - 1, [0, SESSION, 1]),
        (OFFSETS["done"], [3]),
        (OFFSETS["recipe_wanted"], [0, 0]),
        (OFFSETS["number_taken"], []),
    ],
)
def test_what_the_plc_may_not_write_is_refused_and_changes_nothing(first, values):
    lane = a_lane(told(1))
    lane.written(OFFSETS["session_taken"], [SESSION])
    before = lane.registers(0.0)
    with pytest.raises(NotWritable):
        lane.written(first, values)
    assert lane.registers(0.0) == before


def test_what_was_given_up_is_not_shown_and_what_was_taken_meanwhile_is_not_taken_away():
    lane = a_lane(told(1), told(2))
    lane.give_up(1)
    assert read(lane).shown.number == 2
    lane.give_up(1)
    assert read(lane).shown.number == 2


def test_counts_beyond_a_register_stand_at_its_end():
    lane = a_lane()
    lane.stands(Standing(given_up=70_000))
    assert read(lane).given_up == 0xFFFF


def test_numbers_begin_again_at_one_and_none_is_nought():
    assert after(0) == 1
    assert after(0xFFFF) == 1


def test_registers_of_another_map_are_not_read():
    registers = a_lane().registers(0.0)
    registers[OFFSETS["map"]] = MAP_VERSION + 1
    with pytest.raises(ValueError, match="register map"):
        Read.of(registers)


verdicts = st.sampled_from(list(Verdict))
acts = st.lists(
    st.one_of(
        st.tuples(st.just("told"), verdicts),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("write"), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(acts)
def test_each_verdict_is_taken_once_and_in_order_whatever_the_plc_writes(acts):
    lane, number = a_lane(), 0
    given, taken = [], []
    for act, what in acts:
        said = ()
        if act == "told":
            number = after(number)
            given.append(number)
            lane.told(told(number, what))
        elif act == "take":
            said = take(lane, what)
        elif (shown := read(lane).shown) is not None:
            said = take(lane, shown.number)
        taken += [one.number for one in said]
    assert taken == given[: len(taken)]
    assert read(lane).waiting == len(given) - len(taken)


@given(verdicts, st.floats(0, 100))
def test_no_gate_opens_for_what_was_not_accepted_or_came_late(verdict, age_s):
    opened = read(a_lane(told(verdict=verdict)), now_s=age_s).gate is Gate.PASS
    assert opened == (verdict is Verdict.ACCEPT and age_s <= FRESH_S)


def test_the_map_in_the_docs_is_the_one_in_force():
    text = (Path(__file__).parents[3] / "docs" / "line.md").read_text(encoding="utf-8")
    listed = {name: int(offset) for offset, name in re.findall(r"^\| (\d+)(?:–\d+)? \| `(\w+)`", text, re.M)}
    assert listed == dict(OFFSETS)
    assert f"{PER_LANE} · n" in text
    assert f"{LENGTH} registers" in text
    for enum in (Gate, Done, LineMode, RecipeStep):
        for one in enum:
            assert f"{one.value} {one.name.lower().replace('_', ' ')}" in text
    for verdict, code in VERDICT_CODE.items():
        assert f"{code} {verdict.name}" in text
