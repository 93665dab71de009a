from __future__ import annotations

import random
import re

import biip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.where import vectors
from traceability.errors import CodeNotParsed
from traceability.identifiers import examine, parse
from traceability.identifiers.gs1 import digital_link_of, element_string_of, primary_keys, urn_of
from traceability.identifiers.gs1.checks import CHECKS, CSET82, check_digit, check_pair, csum, csumalpha
from traceability.identifiers.gs1.elements import (
    Element,
    bracketed,
    element_string,
    lookup,
    pairing_faults,
    read_bracketed,
    read_element_string,
    table,
)

digits = st.text(st.sampled_from("0123456789"), min_size=13, max_size=13)
gtins = digits.map(lambda payload: payload + check_digit(payload))
values = st.text(st.sampled_from(CSET82), min_size=1, max_size=20)


def elements_of(*pairs: tuple[str, str]) -> list[Element]:
    found = []
    for ai, value in pairs:
        known = lookup(ai)
        assert known is not None
        found.append(Element(known=known, value=value, index=0))
    return found


def test_the_table_says_what_gs1s_dictionary_says():
    """Line by line, but for blanks and titles."""
    from importlib.resources import files

    def told(text: str) -> list[list[str]]:
        lines = (line.partition("#")[0].split() for line in text.splitlines() if not line.startswith("#"))
        return [line for line in lines if line]

    ours = files("traceability.identifiers.gs1").joinpath("application_identifiers.txt")
    theirs = vectors("gs1", "gs1-syntax-dictionary.txt")
    assert told(ours.read_text(encoding="utf-8")) == told(theirs.read_text(encoding="utf-8"))


def test_every_check_that_the_table_names_is_there():
    named = {check for known in table().values() for part in known.parts for check in part.checks}
    assert named <= set(CHECKS)


@given(gtins, values, values)
def test_one_unit_has_one_canonical_spelling_however_it_is_written(gtin: str, serial: str, lot: str):
    elements = elements_of(("01", gtin), ("10", lot), ("21", serial))
    spelling = bracketed(elements_of(("01", gtin), ("21", serial)))
    code = parse(bracketed(elements))
    assert (code.scheme, code.canon) == ("gs1", spelling)
    assert parse("]d2" + element_string(elements, "\x1d")[1:]) == code
    assert parse(element_string(elements)) == code
    assert parse(digital_link_of(str(code), stem="https://example.com/some/stem")) == code
    assert parse(element_string_of(str(code))) == code
    assert parse(str(code)) == code


@given(gtins, values)
def test_what_we_take_biip_takes_too(gtin: str, serial: str):
    read = read_element_string(f"^01{gtin}21{serial}")
    assert not read.faults
    theirs = biip.parse(f"]d201{gtin}21{serial}").gs1_message
    assert theirs is not None
    assert [(one.ai.ai, one.value) for one in theirs.element_strings] == [("01", gtin), ("21", serial)]


@given(gtins, st.integers(0, 13), st.integers(1, 9))
def test_one_misread_digit_is_always_noticed(gtin: str, place: int, by: int):
    wrong = gtin[:place] + str((int(gtin[place]) + by) % 10) + gtin[place + 1 :]
    assert csum(gtin) is None
    fault = csum(wrong)
    assert fault is not None
    assert (fault.reason, fault.index) == ("incorrect_check_digit", 13)


@given(values, st.integers(0, 19), st.sampled_from(CSET82))
def test_one_misread_character_is_always_noticed_by_a_check_pair(value: str, place: int, letter: str):
    place %= len(value)
    pair = check_pair(value)
    assert csumalpha(value + pair) is None
    wrong = value[:place] + letter + value[place + 1 :]
    assert (csumalpha(wrong + pair) is None) == (wrong == value)


@given(st.text(st.sampled_from("0123456789()^\x1dABab%/\\]dC1"), max_size=60))
def test_elements_are_read_or_refused_with_places_inside_the_text(text: str):
    for read in (read_element_string, read_bracketed):
        found = read(text)
        assert all(0 <= fault.index <= len(text) for fault in found.faults)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("(01)09520123456789", 18, "incorrect_check_digit"),
        ("(01)0952012345678", 18, "ai_data_too_short"),
        ("(01)09520123456788(21)", 23, "ai_value_is_empty"),
        ("(01)09520123456788(17)261331", 25, "illegal_month"),
        ("(01)09520123456788(17)260231", 27, "illegal_day"),
        ("(01)09520123456788(21)a b", 24, "invalid_cset82_character"),
        ("(01)09520123456788(422)157", 24, "not_iso3166"),
        ("(12345)1", 2, "ai_unrecognised"),
        ("(10)LOT", 1, "no_gs1_key"),
        ("]d20109520123456789", 19, "incorrect_check_digit"),
        ("https://example.com/01/09520123456789", 37, "incorrect_check_digit"),
        ("https://example.com/01/0952012345678%39", 37, "incorrect_check_digit"),
        ("https://example.com/01/09520123456788?10=L", 39, "ai_should_be_in_path_info"),
        ("https://example.com/01/09520123456788?89=L", 39, "unknown_ai_in_query_params"),
        ("https://user@example.com/01/09520123456788", 9, "domain_is_illegal"),
        ("https://example.com/nothing", 28, "no_gs1_dl_keys_found_in_path_info"),
        ("urn:epc:id:sgtin:95201.1.1", 9, "epc_not_understood"),
        ("^01095201234567882", 18, "no_ai_for_prefix"),
    ],
)
def test_a_wrong_code_is_refused_with_place_and_reason(text: str, position: int, reason: str):
    with pytest.raises(CodeNotParsed) as refused:
        parse(text)
    assert (refused.value.facts["position"], refused.value.facts["reason"]) == (position, reason)


def test_every_fault_of_a_code_is_told_not_the_first_alone():
    examined = examine("(01)09520123456789(17)261331(21)a b")
    assert [fault.reason for fault in examined.faults] == [
        "incorrect_check_digit",
        "illegal_month",
        "invalid_cset82_character",
    ]


def test_older_labels_are_taken_when_one_says_so():
    for text in ("https://example.com/gtin/9520123456788/ser/A", "https://example.com/01/9520123456788/21/A"):
        with pytest.raises(CodeNotParsed):
            parse(text)
        assert str(parse(text, lenient=True)) == "(01)09520123456788(21)A"


def test_bare_digits_are_a_plant_number_unless_one_says_gs1():
    assert parse("9520123456788").scheme == "plain"
    assert str(parse("9520123456788", scheme="gs1")) == "(01)09520123456788"
    assert str(parse("]E09520123456788")) == "(01)09520123456788"
    assert str(parse("095201234567891235", scheme="gs1")) == "(00)095201234567891235"
    with pytest.raises(CodeNotParsed):
        parse("9520123456789", scheme="gs1")


def test_a_serial_number_identifies_without_the_lot_beside_it():
    assert parse("(01)09520123456788(10)L1(21)S") == parse("(01)09520123456788(21)S(10)L2")
    assert parse("(01)09520123456788(10)L1") != parse("(01)09520123456788(10)L2")


KEYS = {
    "00": "095201234567891235",
    "01": "09520123456788",
    "253": "9520123456788",
    "255": "9520123456788",
    "401": "9520123SHIPMENT",
    "402": "95201234567890122",
    "414": "9520123456788",
    "415": "9520123456788",
    "417": "9520123456788",
    "8003": "09520123456788",
    "8004": "9520123ASSET",
    "8006": "095201234567880102",
    "8010": "9520123PART",
    "8013": "1987654Ad4X4bL5ttr2310c2K",
    "8017": "952012345678912345",
    "8018": "952012345678912345",
}
NARROWING = {"10": "LOT", "20": "01", "21": "A", "254": "5", "8011": "7", "8019": "1", "8020": "REF"}


def test_every_primary_key_has_its_place_in_the_order():
    assert sorted(KEYS) == sorted(primary_keys())
    assert all(parse(f"({ai}){value}").scheme == "gs1" for ai, value in KEYS.items())


@given(
    st.sets(st.sampled_from(sorted(KEYS)), min_size=1, max_size=5),
    st.sets(st.sampled_from(sorted(NARROWING))),
    st.randoms(use_true_random=False),
)
def test_what_a_label_identifies_does_not_depend_on_the_order_of_its_elements(
    keys: set[str], narrowing: set[str], chance: random.Random
):
    label = [f"({ai}){(KEYS | NARROWING)[ai]}" for ai in sorted(keys | narrowing)]
    shuffled = chance.sample(label, len(label))
    assert parse("".join(shuffled)).canon == parse("".join(label)).canon


@pytest.mark.parametrize(
    ("label", "identity"),
    [
        ("(402)95201234567890122(00)095201234567891235", "(00)095201234567891235"),
        ("(414)9520123456788(01)09520123456788(21)A", "(01)09520123456788(21)A"),
        ("(401)9520123S(8004)9520123ASSET", "(8004)9520123ASSET"),
        ("(00)095201234567891235(01)09520123456788(21)A", "(01)09520123456788(21)A"),
        # The trade item and its lot are those of a hundred pallets, the SSCC is this one's.
        ("(01)09520123456788(10)LOT(00)095201234567891235", "(00)095201234567891235"),
        ("(01)09520123456788(8003)09520123456788", "(01)09520123456788"),
        ("(01)09520123456788(8003)095201234567887", "(8003)095201234567887"),
        ("(01)09520123456788(8010)9520123PART(8011)7", "(8010)9520123PART(8011)7"),
    ],
)
def test_of_several_keys_that_of_a_single_unit_identifies(label: str, identity: str):
    elements = re.findall(r"\([0-9]+\)[^(]*", label)
    assert str(parse(label)) == str(parse("".join(reversed(elements)))) == identity


def test_a_digital_link_identifies_what_its_path_names():
    assert str(parse("https://e.com/414/9520123456788?00=095201234567891235")) == "(414)9520123456788"


@pytest.mark.parametrize("letter", "?#/")
def test_a_character_that_would_part_an_address_is_no_part_of_an_epc_urn(letter: str):
    with pytest.raises(CodeNotParsed) as refused:
        parse(f"urn:epc:id:sgtin:9520123.045678.A{letter}B")
    assert refused.value.facts["reason"] == "epc_not_understood"


def test_a_question_mark_with_a_percent_sign_is_part_of_an_epc_urn():
    assert str(parse("urn:epc:id:sgtin:9520123.045678.A%3FB")) == "(01)09520123456788(21)A?B"


def test_what_must_go_together_is_noted_and_not_refused():
    """Another label on the same unit may carry it."""
    examined = examine("(00)095201234567891235(02)09520123456788")
    assert examined.code is not None
    assert [(note.reason, note.expected) for note in examined.notes] == [("required_ai_missing", "(37)")]
    assert (
        pairing_faults(elements_of(("01", "09520123456788"), ("37", "5")))[0].reason
        == "ais_exclude_each_other"
    )


def test_an_epc_urn_is_the_same_unit_and_can_be_had_back():
    code = parse("urn:epc:id:sgtin:0614141.812345.6789")
    assert str(code) == "(01)80614141123458(21)6789"
    assert urn_of(str(code)) == "urn:epc:id:sgtin:0614141.812345.6789"


def test_a_bracket_in_a_value_is_kept():
    code = parse("(01)09520123456788(21)a\\(b")
    assert re.search(r"a\\\(b$", str(code))
    assert parse(str(code)) == code
    assert digital_link_of(str(code), stem="https://e.com") == "https://e.com/01/09520123456788/21/a%28b"
