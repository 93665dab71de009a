"""Every error that is raised carries the facts its texts are filled in with."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from inspection.errors import InspectionError
from services.text import catalogue, placeholders
from tests.where import REPOSITORY

PACKAGES = ("inspection", "cameras", "models", "station_config", "traceability", "services")


def classes() -> dict[str, type[InspectionError]]:
    """Every error class of ours, by name; the files that define some are found by their text."""
    for file in sources():
        if "(InspectionError)" in file.read_text(encoding="utf-8"):
            module = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
            import_module(module.removesuffix(".__init__"))
    found: dict[str, type[InspectionError]] = {}
    waiting = [InspectionError]
    while waiting:
        error = waiting.pop()
        found[error.__name__] = error
        waiting += error.__subclasses__()
    return found


def sources() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((REPOSITORY / package).rglob("*.py"))]


def raised() -> Iterator[tuple[str, str, set[str]]]:
    """Where, which error, and the facts it is given; where facts are passed on as a whole, nothing is known."""
    known = classes()
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                names = {keyword.arg for keyword in node.keywords}
                if "action" in names and None not in names:
                    yield f"{file.relative_to(REPOSITORY)}:{node.lineno}", known[node.func.id].code, names


RAISED = sorted(raised())


def test_errors_are_found_in_every_package():
    assert {where.split("/")[0] for where, _, _ in RAISED} == set(PACKAGES)


@pytest.mark.parametrize(
    ("where", "code", "facts"), RAISED, ids=[f"{where}-{code}" for where, code, _ in RAISED]
)
def test_what_is_raised_has_the_facts_its_text_names(where, code, facts):
    texts = catalogue("en")
    needed = placeholders(texts[f"error.{code}.what"]) | placeholders(texts[f"error.{code}.action"])
    assert needed <= facts, where
