"""Handle, VAA, OID and Ecode; and which of all schemes a text is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.text import LANGUAGES, catalogue
from tests.where import REPOSITORY
from traceability.errors import CodeNotParsed, HandlePrefixesInvalid
from traceability.identifiers import SCHEMES, examine, handle, parse, vaa

CODE = REPOSITORY / "traceability" / "identifiers"

arcs = st.lists(st.integers(0, 10**12), min_size=0, max_size=5)


@pytest.mark.parametrize(
    ("text", "scheme", "canon"),
    [
        ("86.100.12/0012", "handle", "86.100.12/0012"),
        ("hdl:86.100.12/0012", "handle", "86.100.12/0012"),
        ("https://hdl.handle.net/86.100.12/0012", "handle", "86.100.12/0012"),
        ("https://plant.example/id/86.100.12/00%2012", "handle", "86.100.12/00 12"),
        ("https://plant.example/id/C-17", "plain", "C-17"),
        ("https://plant.example/id/01/09520123456788", "gs1", "(01)09520123456788"),
        ("VAA08810012345678/abc123", "vaa", "VAA08810012345678/abc123"),
        ("1.2.156.3001", "oid", "urn:oid:1.2.156.3001"),
        ("urn:oid:2.999", "oid", "urn:oid:2.999"),
        ("URN:OID:1.2.156.Steel-Works", "oid", "urn:oid:1.2.156.steel-works"),
        ("ecode:2123445678", "ecode", "ecode:2123445678"),
        ("]d186.100.12/0012", "handle", "86.100.12/0012"),
        ("2024.0117", "plain", "2024.0117"),
        ("3.1.4", "plain", "3.1.4"),
        ("86.1/a^b", "handle", "86.1/a^b"),
    ],
)
def test_a_text_shows_its_scheme(text: str, scheme: str, canon: str):
    code = parse(text)
    assert (code.scheme, code.canon) == (scheme, canon)
    assert parse(code.canon) == code


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("VAA0881001234567", 17, "handle_slash_missing"),
        ("VAA0881A012345678/abc", 8, "vaa_prefix_malformed"),
        ("VAA088100/abc", 10, "vaa_prefix_malformed"),
        ("VAA08810012345678/", 19, "handle_suffix_missing"),
        ("VAA088100123456789012345678901/a", 30, "enterprise_too_long"),
        ("1.2.156.", 9, "oid_arc_missing"),
        ("1.2.156.01", 9, "leading_zero"),
        ("1.40.3", 3, "oid_second_arc_too_large"),
        ("urn:oid:3.1", 9, "oid_root_unknown"),
        ("urn:oid:1", 10, "oid_needs_two_arcs"),
        ("urn:oid:1.2." + "1" * 100, 109, "oid_too_long"),
        # More digits than Python makes a number of.
        ("1.2." + "9" * 5000, 101, "oid_too_long"),
        ("urn:oid:1." + "9" * 5000, 11, "oid_second_arc_too_large"),
        ("urn:oid:1.2.840.abc", 17, "non_digit_character"),
        ("urn:oid:1.2.156." + "a" * 64, 80, "oid_arc_too_long"),
        ("ecode:5000112", 7, "ecode_version_reserved"),
        ("ecode:x", 7, "ecode_version_unknown"),
        ("ecode:100", 10, "ecode_system_malformed"),
        ("ecode:10001", 12, "ecode_number_missing"),
        ("ecode:10001" + "1" * 21, 32, "ecode_number_too_long"),
        ("ecode:1000112a", 14, "character_not_allowed"),
        ("ecode:000016901234567893", 24, "incorrect_check_digit"),
    ],
)
def test_a_wrong_code_is_refused_with_place_and_reason(text: str, position: int, reason: str):
    scheme = "vaa" if text.startswith("VAA") else None
    with pytest.raises(CodeNotParsed) as refused:
        parse(text, scheme=scheme)
    assert (refused.value.facts["position"], refused.value.facts["reason"]) == (position, reason)


@given(st.integers(0, 2), st.integers(0, 39), arcs)
def test_parsing_undoes_printing_for_object_identifiers(root: int, second: int, rest: list[int]):
    code = parse("urn:oid:" + ".".join(str(arc) for arc in (root, second, *rest)))
    assert code.scheme == "oid"
    assert parse(str(code)) == code


@given(st.text(max_size=60), st.sampled_from(sorted(SCHEMES)))
def test_every_scheme_takes_a_text_or_says_where_it_is_wrong(text: str, scheme: str):
    examined = examine(text, scheme=scheme)
    assert (examined.code is None) == bool(examined.faults)
    if examined.code is not None:
        assert parse(str(examined.code), scheme=scheme) == examined.code


def test_a_national_code_with_too_long_an_enterprise_is_noted():
    examined = examine("86.100.123456789012345678901/x")
    assert examined.code is not None
    assert [(note.reason, note.index) for note in examined.notes] == [("enterprise_too_long", 27)]


def test_a_national_code_without_an_enterprise_is_noted():
    examined = examine("86.100/x")
    assert examined.code is not None
    assert [(note.reason, note.index) for note in examined.notes] == [("enterprise_missing", 6)]


def test_a_plant_says_under_which_prefixes_codes_name_an_enterprise():
    own = handle.prefixes_in("10, 88.")
    assert own == ("10", "88")
    assert dict(examine("10.100.12/x", national_prefixes=own).parts)["enterprise"] == "12"
    assert "enterprise" not in dict(examine("86.100.12/x", national_prefixes=own).parts)
    assert [note.reason for note in examine("10.100/x", national_prefixes=own).notes] == [
        "enterprise_missing"
    ]
    assert examine("86.100/x", national_prefixes=own).notes == ()
    # The key is the same, whatever the plant says.
    assert examine("86.100/x", national_prefixes=own).code == parse("86.100/x")
    assert handle.prefixes_in("") == ()


@pytest.mark.parametrize("listed", ["86;88", "x", "86,8８", "86.100", "-1"])
def test_what_is_no_list_of_prefixes_is_told(listed: str):
    with pytest.raises(HandlePrefixesInvalid) as refused:
        handle.prefixes_in(listed)
    assert refused.value.facts["value"] == listed


def test_a_vaa_code_has_a_handle_form():
    assert vaa.handle_of("VAA08810012345678/abc123") == "088.100.12345678/abc123"


def reasons_in(file: Path) -> set[str]:
    """What stands where a reason does: behind `reason=`, and among the arguments of what makes a fault of it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            found |= snake_words(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "_fault",
            "_only",
            "_listed",
            "_refused",
        ):
            found |= {word for argument in node.args[1:] for word in snake_words(argument)}
    return found


def snake_words(node: ast.AST) -> set[str]:
    constants = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
    return {one for one in constants if isinstance(one, str) and re.fullmatch("[a-z0-9]+(_[a-z0-9]+)+", one)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_part_has_words_in_both_languages(language: str):
    texts = catalogue(language)
    reasons = {reason for file in sorted(CODE.rglob("*.py")) for reason in reasons_in(file)}
    assert len(reasons) > 80
    assert {reason for reason in reasons if f"code.fault.{reason}" not in texts} == set()
    assert {scheme for scheme in SCHEMES if f"code.scheme.{scheme}" not in texts} == set()
    parts = {
        name
        for scheme in ("86.1.2/x", "VAA0881001/x", "1.2.3", "ecode:0000112")
        for name, _ in examine(scheme).parts
    }
    assert {part for part in parts if f"code.part.{part}" not in texts} == set()
