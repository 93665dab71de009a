from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.cli.validate import validate
from services.text import LANGUAGES, say
from traceability.errors import CasesUnreadable
from traceability.validation.comparing import shipped_cases
from traceability.verifier import canonical

WRONG = {
    "id": "wrong_on_purpose",
    "family": "control_chart",
    "method": "c",
    "source": {"cite": "nobody"},
    "input": {"defects": [3, 5, 4]},
    "expected": {"center": 5.0, "unheard_of": 1},
    "tolerance": {"abs": 1e-6},
}


def run(tmp_path: Path, *arguments: str):
    return CliRunner().invoke(
        validate, ["--out", str(tmp_path / "out"), "--ledger", str(tmp_path / "ledger"), *arguments]
    )


def test_the_worked_examples_that_come_with_the_program_all_agree(tmp_path: Path):
    done = run(tmp_path, "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert record["passed"]
    assert record["counted"]["agrees"] == len(shipped_cases()) > 20
    assert "traceability.spc/charts.py" in record["sources"]


def test_the_report_is_signed_and_a_changed_one_is_found_out(tmp_path: Path):
    folder = tmp_path / "cases"
    folder.mkdir()
    right = {**WRONG, "id": "right", "expected": {"center": 4.0}}
    (folder / "right.json").write_text(json.dumps(right), encoding="utf-8")
    assert run(tmp_path, "--cases", str(folder)).exit_code == 0
    record = json.loads((tmp_path / "out" / "verification.json").read_text(encoding="utf-8"))
    signature = bytes.fromhex(record.pop("signature"))
    record.pop("sha256")
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record["key"]))
    key.verify(signature, canonical(record))
    with pytest.raises(InvalidSignature):
        key.verify(signature, canonical({**record, "figures": record["figures"] + 1}))


def test_a_figure_that_differs_fails_and_stands_in_the_report_in_both_languages(tmp_path: Path):
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "wrong.json").write_text(json.dumps(WRONG), encoding="utf-8")
    done = run(tmp_path, "--cases", str(folder))
    page = (tmp_path / "out" / "verification.html").read_text(encoding="utf-8")
    assert done.exit_code == 1
    assert "center: 4.0 ≠ 5.0" in page
    assert "unheard_of: —" in page
    assert all(say("cli.validate.title", language) in page for language in LANGUAGES)


def test_the_report_says_which_families_it_covers_and_that_it_says_nothing_of_others(tmp_path: Path):
    run(tmp_path)
    record = json.loads((tmp_path / "out" / "verification.json").read_text(encoding="utf-8"))
    page = (tmp_path / "out" / "verification.html").read_text(encoding="utf-8")
    for family, counted in Counter(one["family"] for one in record["results"]).items():
        assert f"<td>{family}</td><td>{counted}</td><td>{counted}</td>" in page
    assert all(escape(say("cli.validate.covered_about", language)) in page for language in LANGUAGES)
    assert "." not in record["at"]


def test_a_case_of_an_unknown_shape_is_reported_and_does_not_end_the_run(tmp_path: Path):
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "odd.json").write_text(json.dumps({**WRONG, "input": {"defects": [1, -2]}}), encoding="utf-8")
    done = run(tmp_path, "--cases", str(folder), "--json")
    (result,) = json.loads(done.stdout)["results"]
    assert done.exit_code == 1
    assert result["outcome"] == "refused"
    assert "SPC-COUNT-IMPOSSIBLE" in result["error"]


@pytest.mark.parametrize("content", [None, "no json", "[1]"])
def test_a_folder_without_cases_is_refused(tmp_path: Path, content: str | None):
    folder = tmp_path / "cases"
    folder.mkdir()
    if content is not None:
        (folder / "odd.json").write_text(content, encoding="utf-8")
    assert isinstance(run(tmp_path, "--cases", str(folder)).exception, CasesUnreadable)
