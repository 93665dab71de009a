from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from traceability.errors import CodeNotParsed
from traceability.identifiers import LONGEST, Minter, gs1, oid, parse, unit_code_of_file
from traceability.resolution import anchor

prefixes = st.from_regex(r"[0-9]{1,4}(\.[0-9A-Za-z_-]{1,8}){0,4}", fullmatch=True)
suffixes = st.text(min_size=1, max_size=60).map(lambda text: unicodedata.normalize("NFC", text).strip())
suffixes = suffixes.filter(lambda text: text != "" and text.isprintable())
plain_numbers = st.text(st.sampled_from("0123456789ABCxyz._-:#+卷号ÄßЖ"), min_size=1, max_size=60).filter(
    lambda text: not oid.looks_like(text)
)
STARTED = datetime(2026, 11, 20, 10, 15, 30, tzinfo=UTC)


@given(prefixes, suffixes)
def test_parsing_undoes_printing_for_handles(prefix: str, suffix: str):
    code = parse(f"{prefix}/{suffix}")
    assert code.scheme == "handle"
    assert parse(str(code)) == code


@given(plain_numbers)
def test_parsing_undoes_printing_for_plant_numbers(number: str):
    code = parse(number)
    assert code.scheme == "plain"
    assert parse(str(code)) == code


@given(st.text(max_size=80))
def test_any_text_is_a_code_or_is_refused_with_the_place_of_the_mistake(text: str):
    try:
        code = parse(text)
    except CodeNotParsed as refused:
        position = refused.facts["position"]
        assert isinstance(position, int)
        assert 1 <= position <= len(unicodedata.normalize("NFC", text)) + 1
    else:
        assert code.raw == text
        assert parse(str(code)) == code


def test_capitals_mean_nothing_in_a_prefix_and_something_in_a_suffix():
    assert parse("86.ABC.1/Coil-7") == parse("86.abc.1/Coil-7")
    assert parse("86.abc.1/Coil-7") != parse("86.abc.1/coil-7")


def test_a_trailing_slash_is_another_code():
    assert parse("86.1/7/") != parse("86.1/7")


def test_both_spellings_of_an_accent_are_one_code():
    assert parse("86.1/e\u0301") == parse("86.1/\u00e9")
    assert parse("e\u0301") == parse("\u00e9")


def test_a_scanners_line_end_is_not_part_of_the_code():
    code = parse(" C-2024.0117\r\n")
    assert str(code) == "C-2024.0117"
    assert code.raw == " C-2024.0117\r\n"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("   ", 4),
        ("C 17", 2),
        ("C-17\x00", 5),
        ("/17", 1),
        ("86./17", 4),
        ("86.1 0/17", 5),
        ("86.100/", 8),
        ("  86.100/", 10),
        ("86.100/1\t7", 9),
        ("86.100/1\u20287", 9),
        ("x" * (LONGEST + 1), LONGEST + 1),
    ],
)
def test_a_refused_text_is_told_with_the_place_of_the_first_mistake(text: str, position: int):
    with pytest.raises(CodeNotParsed) as refused:
        parse(text)
    assert refused.value.facts["position"] == position
    assert isinstance(refused.value, InspectionError)


def test_the_longest_code_is_a_code():
    assert str(parse("x" * LONGEST)) == "x" * LONGEST


@pytest.mark.parametrize(
    ("address", "canon"),
    [
        ("https://ex.com/id/86.100.12/ABC?linkType=all", "86.100.12/ABC"),
        ("https://ex.com/id/86.100.12/ABC#defects", "86.100.12/ABC"),
        ("https://ex.com/id/86.100.12/ABC#a?b", "86.100.12/ABC"),
        ("https://ex.com/id/86.100.12/A%3FB%23C?linkType=all", "86.100.12/A?B#C"),
        ("https://hdl.handle.net/10.1000/182?noredirect", "10.1000/182"),
        ("https://ex.com/id/(01)09520123456788(21)A?linkType=all", "(01)09520123456788(21)A"),
        ("https://ex.com/01/09520123456788/21/A?linkType=all#x", "(01)09520123456788(21)A"),
    ],
)
def test_only_the_path_of_an_address_is_its_code(address: str, canon: str):
    assert str(parse(address)) == canon


@pytest.mark.parametrize(
    ("address", "canon"),
    [
        ("https://ex.com/01/09520123456788/10/ID/21/12345", "(01)09520123456788(21)12345"),
        ("https://ex.com/id/foo/01/09520123456788/21/A", "(01)09520123456788(21)A"),
        ("https://ex.com/some/id/86/01/09520123456788", "(01)09520123456788"),
        ("https://ex.com/id/01/09520123456788", "(01)09520123456788"),
    ],
)
def test_a_valid_digital_link_is_one_whatever_its_path_leads_through(address: str, canon: str):
    code = parse(address)
    assert (code.scheme, code.canon) == ("gs1", canon)


def test_a_digital_link_of_an_older_label_is_one_when_one_says_so():
    address = "https://ex.com/gtin/9520123456788/lot/ID/ser/12345"
    assert str(parse(address, lenient=True)) == "(01)09520123456788(21)12345"


@given(
    st.sampled_from(["", "/plant", "/some/stem", "/01/09520123456788"]),
    st.sampled_from(["86.100.12", "20.500.12592", "VAA0881001"]),
    suffixes | st.sampled_from(["01/09520123456788", "01/09520123456788/21/A", "id/21/7", "00/1?#", "(01)1"]),
)
def test_a_code_behind_a_resolver_of_ours_is_read_from_its_address(stem: str, prefix: str, suffix: str):
    code = parse(f"{prefix}/{suffix}")
    assert parse(f"https://plant.example{stem}/id/{quote(str(code), safe='/:')}") == code


keys = st.sampled_from(gs1.primary_keys())
unit_codes = st.one_of(
    plain_numbers,
    keys,
    st.tuples(prefixes | keys, suffixes | keys | st.just("01/09520123456788")).map("/".join),
    st.sampled_from(
        (
            "VAA08810012345678/01/7",
            "urn:oid:1.2.156.3001.501",
            "ecode:000016901234567892",
            "(00)095201234567891235",
            "(01)09520123456788(21)A/7?%",
        )
    ),
).map(parse)


@given(unit_codes, st.sampled_from(["", "/", "/plant", "/01/09520123456788"]))
@example(parse("01"), "")
@example(parse("00"), "/plant")
@example(parse("01/7"), "")
@example(parse("86/01/09520123456788"), "")
def test_the_address_of_every_unit_reads_back_as_its_code(code: IdentifierCode, stem: str):
    assert parse(anchor(code, f"https://plant.example{stem}")) == code


def test_a_handle_on_a_proxy_is_all_of_the_path_also_where_id_is_in_it():
    assert str(parse("https://doi.org/10.1000/id/5")) == "10.1000/id/5"


def test_minted_codes_count_up_per_kind():
    minter = Minter("86.999.1", started_at=STARTED)
    assert str(minter.mint("COIL")) == "86.999.1/COIL-20261120-101530-0001"
    assert str(minter.mint("PART")) == "86.999.1/PART-20261120-101530-0001"
    assert str(minter.mint("COIL")) == "86.999.1/COIL-20261120-101530-0002"


def test_a_restart_mints_other_codes():
    before = Minter("86.999.1", started_at=STARTED).mint("COIL")
    after = Minter("86.999.1", started_at=STARTED + timedelta(seconds=1)).mint("COIL")
    assert before != after


def test_the_clock_going_back_an_hour_in_autumn_repeats_no_code():
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    winter = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1)))
    first, second = (Minter("86.999.1", started_at=start).mint("COIL") for start in (summer, winter))
    assert first != second


def test_what_is_minted_can_be_parsed():
    minted = Minter("86.ABC.1", started_at=STARTED).mint("COIL")
    assert parse(str(minted)) == minted
    assert parse(minted.raw) == minted


def test_the_same_picture_is_the_same_unit():
    code = unit_code_of_file("0123456789abcdef" * 4)
    assert str(code) == "86.999.1/IMG-0123456789abcdef"
    assert parse(str(code)) == code
