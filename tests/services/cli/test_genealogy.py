from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli.genealogy import genealogy
from services.problems import RequestInvalid
from tests.builders import a_unit
from traceability.genealogy.tracing import ancestors
from traceability.store import TraceStore

LINK = {"parent": "C-1", "child": "S-1", "kind": "slit", "id": "01a1f891-eac9-777d-b0a2-f33ba62bc3a3"}


def asked(folder: Path, *arguments: str) -> Result:
    database = f"sqlite:///{folder / 'lynceus.db'}"
    result = CliRunner(env={"LYNCEUS_LANGUAGE": "en"}).invoke(genealogy, [*arguments, "--database", database])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def a_file(folder: Path, said: object) -> str:
    file = folder / "genealogy.json"
    file.write_text(json.dumps(said))
    return str(file)


def test_a_file_is_kept_and_its_link_taken_back(tmp_path: Path):
    file = a_file(tmp_path, {"links": [LINK]})
    assert asked(tmp_path, "record", file).output == "New: 0 unit(s), 1 link(s).\n"
    assert asked(tmp_path, "record", file).output == "New: 0 unit(s), 0 link(s).\n"
    asked(tmp_path, "void", LINK["id"], "--reason", "another coil", "--by", "Li Wei")
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        assert ancestors(store, a_unit("S-1")) == ()


def test_a_contradiction_is_told_and_ends_with_1(tmp_path: Path):
    asked(tmp_path, "record", a_file(tmp_path, {"links": [LINK]}))
    result = asked(tmp_path, "record", a_file(tmp_path, {"links": [{**LINK, "parent": "C-2"}]}))
    assert result.exit_code == 1
    assert LINK["id"] in result.stderr


def test_a_file_that_says_something_else_is_refused_with_all_its_mistakes(tmp_path: Path):
    wrong = a_file(tmp_path, {"links": [{"parent": "C-1", "kind": "bend"}]})
    with pytest.raises(RequestInvalid) as refused:
        asked(tmp_path, "record", wrong)
    assert "links.0.child" in refused.value.facts["mistakes"]
    assert "links.0.kind" in refused.value.facts["mistakes"]
