"""Every published case through the one adapter. `LYNCEUS_VECTORS` names another folder of such cases."""

from __future__ import annotations

import ast
import inspect
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.where import REPOSITORY, shared
from traceability.spc.rules import PRESETS, Reading, signals
from traceability.validation import adapter
from traceability.validation.comparing import Case, Lazily, Worded, cases_in, compare, shipped_cases
from traceability.validation.comparing import field as field_of
from traceability.validation.running import check


def folder() -> Path:
    """LYNCEUS_VECTORS/spc, else shared/vectors/spc; where neither is there, no case is collected."""
    root = os.environ.get("LYNCEUS_VECTORS")
    if root is not None:
        return Path(root) / "spc"
    return Path(os.environ.get("LYNCEUS_SHARED", REPOSITORY.parent / "shared")) / "vectors" / "spc"


CASES = cases_in(folder()) if folder().is_dir() else ()


def test_there_are_published_cases():
    shared("vectors", "spc")
    assert len(CASES) > 0


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_statistics_give_the_published_answer(case: Case):
    compared = compare(case, adapter.answer(case))
    assert [field for field in compared if field.status == "differs"] == []
    assert [field.path for field in compared if field.status == "gap"] == []
    assert any(field.status == "agrees" for field in compared)


def test_the_adapter_holds_no_number():
    folder = Path(inspect.getfile(adapter)).parent
    files = [
        folder / "adapter.py",
        folder / "drawn.py",
        folder / "given.py",
        *(folder / "families").glob("*.py"),
    ]
    assert len(files) > 10
    found = [
        (file.name, node.lineno, node.value)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ]
    assert found == []


def a_case(expected: dict[str, Any], **tolerance: float) -> Case:
    return Case(
        id="it", family="f", method="m", title="", source={}, input={}, expected=expected, tolerance=tolerance
    )


def statuses(case: Case, got: dict[str, Any]) -> dict[str, str]:
    return {field.path: field.status for field in compare(case, got)}


def test_a_wrong_figure_differs_and_a_missing_one_is_a_gap():
    case = a_case({"ucl": 1.0, "lcl": 0.5, "sigma": 2.0}, abs=0.01)
    assert statuses(case, {"ucl": 1.005, "lcl": 0.6}) == {"ucl": "agrees", "lcl": "differs", "sigma": "gap"}


def test_a_list_of_another_length_differs():
    assert statuses(a_case({"signals": [1, 2]}), {"signals": [1]}) == {"signals": "differs"}


def test_null_means_that_nothing_may_be_reported():
    assert statuses(a_case({"Cpk": None}), {"Ppk": 1.0}) == {"Cpk": "agrees"}
    assert statuses(a_case({"Cpk": None}), {"Cpk": 1.0}) == {"Cpk": "differs"}


def test_printed_figures_are_held_to_how_they_were_printed():
    case = a_case({"printed": {"d2": 1.128}}, abs=1e-9)
    assert statuses(case, {"d2": 1.12838}) == {"printed.d2": "agrees"}
    assert statuses(case, {"d2": 1.1290}) == {"printed.d2": "differs"}


def test_a_field_is_found_by_any_of_its_names():
    assert statuses(a_case({"CL": 3.0}), {"center": 3.0}) == {"CL": "agrees"}
    assert statuses(a_case({"gamma": 3.0}), {"reference gamma": 3.0}) == {"gamma": "agrees"}


def test_a_small_name_is_not_taken_for_a_capital_one_where_both_are_reported():
    assert statuses(a_case({"d2": 1.1, "D2": 3.6}), {"D2": 3.6, "d2": 1.1}) == {
        "d2": "agrees",
        "D2": "agrees",
    }


def test_a_place_in_a_name_is_asked_at_that_place():
    got = Lazily({}, "conformity_at_", lambda at: 2 * at)
    assert statuses(a_case({"conformity_at_10_5": 21.0}), got) == {"conformity_at_10_5": "agrees"}


def test_a_case_that_nobody_knows_is_a_gap_and_no_error():
    with pytest.raises(adapter.NotReported):
        adapter.answer(a_case({"x": 1}))


def test_a_figure_is_found_by_a_word_of_its_name_where_no_name_fits():
    got = Worded({"sd": 2.0}, ((("median",), 1.5), (("mr",), 1.0)))
    expected = {"sd": 2.0, "sigma_of_median_mr": 1.5, "mr_based": 1.0, "other": 3.0}
    found = statuses(a_case(expected, abs=1e-9), got)
    assert found == {"sd": "agrees", "sigma_of_median_mr": "agrees", "mr_based": "agrees", "other": "gap"}


@pytest.mark.parametrize(
    ("method", "given", "field"),
    [
        ("u_ms_vda5", {"u_cal": 0.01, "u_re": 0.005, "tolerance": 0.5}, "Q_ms"),
        ("c_zero_plan", {"N": 1000, "p": 0.01, "confidence": 0.95}, "n"),
        ("sprt", {"p0": 0.01, "p1": 0.06, "alpha": 0.05, "beta": 0.1}, "slope"),
        ("tolerance_two_sided", {"n": [10, 20], "coverage": 0.99, "confidence": 0.95}, "k"),
        ("observed_to_real", {"observed": [1.33, 1.5], "pct_grr": [10, 20, 30]}, "real"),
        ("lang_reiczigel", {"k": 63, "n": 2000, "se_k": 94, "se_n": 100, "sp_k": 197, "sp_n": 200}, "ci"),
        ("rogan_gladen_p_chart", {"rejected": [20, 22, 30], "n": 1000, "Se": 0.9, "Sp": 0.99}, "true"),
        ("oqc_sampling", {"inspected": 40, "shipped": 1000}, "rate"),
    ],
)
def test_a_case_finds_its_family_by_the_names_that_texts_use(method, given, field):
    """Names of one family that begin as another's do, and fields by their other names."""
    asked = Case(
        id=method, family="f", method=method, title="", source={}, input=given, expected={}, tolerance={}
    )
    assert field_of(adapter.answer(asked), field) is not None


def test_every_rule_of_every_preset_has_a_case_counted_by_hand_above_and_below():
    cases = {case.input["rule_set"]: case for case in shipped_cases() if case.id.startswith("rules_by_hand")}
    assert set(cases) == set(PRESETS)
    for name, case in cases.items():
        found = case.expected["rules"]
        assert list(found) == [f"rule{place}" for place in range(1, len(PRESETS[name]) + 1)]
        z = [float("nan") if value is None else value for value in case.input["z"]]
        for place, rule in enumerate(PRESETS[name], start=1):
            sides = {one.side for one in signals(z, [rule]) if one.index + 1 in found[f"rule{place}"]}
            both = {"both"} if rule.kind in ("alternating", "within", "outside") else {"above", "below"}
            assert sides >= both, (name, rule.name)


def test_every_switch_of_how_rules_are_read_has_a_case_counted_by_hand():
    shipped = [case for case in shipped_cases() if case.family == "run_rules"]
    set_in = {name for case in shipped for name in case.input.get("reading", {})}
    assert set_in == {one.name for one in fields(Reading)}
    assert all("by hand" in case.source["cite"] for case in shipped)


def test_a_switch_of_a_case_that_no_rule_has_is_a_finding():
    case = a_case({"signal_points": []})
    wrong = replace(
        case, method="rule_reading", input={"z": [1], "rule": 1, "reading": {"on_limt": "beyond"}}
    )
    assert check(wrong).outcome == "refused"
