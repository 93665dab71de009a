from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Verdict
from tests.builders import a_defect, a_measurement, a_picture, an_inspection
from traceability.statements import statement
from traceability.verifier import canonical

# RFC 8785, appendix B: IEEE 754 bits and the one spelling; further ones from ECMAScript's own tests.
NUMBERS = [
    (0.0, "0"),
    (-0.0, "0"),
    (5e-324, "5e-324"),
    (-5e-324, "-5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (9007199254740992.0, "9007199254740992"),
    (295147905179352830000.0, "295147905179352830000"),
    (9.999999999999997e22, "9.999999999999997e+22"),
    (1e23, "1e+23"),
    (1.0000000000000001e23, "1.0000000000000001e+23"),
    (999999999999999700000.0, "999999999999999700000"),
    (999999999999999900000.0, "999999999999999900000"),
    (1e21, "1e+21"),
    (9.999999999999997e-7, "9.999999999999997e-7"),
    (0.000001, "0.000001"),
    (333333333.3333332, "333333333.3333332"),
    (-0.0000033333333333333333, "-0.0000033333333333333333"),
    (1424953923781206.2, "1424953923781206.2"),
    (1e-7, "1e-7"),
    (100.0, "100"),
    (0.1, "0.1"),
    (4.35, "4.35"),
    (123e-20, "1.23e-18"),
]


@pytest.mark.parametrize(("number", "spelled"), NUMBERS)
def test_numbers_are_spelled_as_the_rfc_asks(number: float, spelled: str):
    assert canonical(number).decode() == spelled


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_as_it_was(number):
    spelled = canonical(number).decode()
    assert float(spelled) == number
    assert len(spelled) <= 25
    assert " " not in spelled


def test_the_rfcs_own_example_is_spelled_as_there():
    """RFC 8785, 3.2.2 and 3.2.3."""
    given_ = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(given_).decode() == expected


def test_names_are_sorted_by_utf_16_as_in_the_rfc():
    """RFC 8785, 3.2.3: the emoji sorts before the Hebrew presentation form, by code points it would not."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    spelled = json.loads(canonical(dict.fromkeys(names, 0)), object_pairs_hook=lambda pairs: pairs)
    assert [name for name, _ in spelled] == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_spelled_is_json_that_says_the_same_and_spells_the_same(value):
    try:
        spelled = canonical(value)
    except UnicodeEncodeError:
        return  # half a surrogate pair is no text
    # Numbers of JSON are doubles, also those without a point.
    assert json.loads(spelled, parse_int=float) == value
    assert canonical(json.loads(spelled)) == spelled


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, 10**400, {1: 2}, b"bytes", {"x": object()}])
def test_what_has_no_spelling_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011 - each with words of its own
        canonical(value)


def test_a_statement_keeps_its_spelling_when_records_gain_fields():
    """Of this very inspection as it was first put into a ledger. A field that is added must have a default."""
    seen = an_inspection(
        id=UUID("01a1f889-1371-7030-be90-abe1fda4a77a"),
        verdict=Verdict.REJECT,
        defects=(a_defect(),),
        measurements=(a_measurement(),),
        pictures=(a_picture(),),
        finished_at=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
    )
    said = statement(seen)
    assert said["verdict"] == "REJECT"
    assert said["finished_at"] == "2026-11-20T12:00:00.123456Z"
    assert said["defects"][0]["box_mm"] == [1.0, 2.0, 1.5, 12.0]
    assert "grade" not in said
    assert hashlib.sha256(canonical(said)).hexdigest() == GOLDEN


def test_numbers_that_are_none_and_numbers_too_large_are_said_as_text():
    @dataclass
    class Odd:
        value: float
        count: int

    assert statement(Odd(math.nan, 2**60)) == {"value": "nan", "count": str(2**60)}
    with pytest.raises(TypeError):
        statement(Odd(object(), 1))  # type: ignore[arg-type]


GOLDEN = "91dc299c51859268001fd7ac49ae65e4e37f663839bb3ac1940de6592f6e8eaf"
