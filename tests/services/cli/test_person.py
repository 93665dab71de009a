"""People from a terminal: whom it lets in, the pages can name."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from services.cli.person import person
from tests.a_station import an_empty_station, needs_libraries
from tests.services.signed_in import PASSWORD, signed_in
from traceability.accounts import Accounts, Role
from traceability.store import TraceStore

UNNAMEABLE = ["a/b", "..", ".", "", " ", "wang li", " wang", "wang\n", "a?b", "a#b", "a%2fb", "w" * 61]
NAMEABLE = ["wang", "王伟", "w.li@plant", "a_b-c", "..wang", "w" * 60]


def _added(database: str, name: str) -> tuple[str, ...]:
    """The names that are there once somebody of this name was added by the command."""
    told = CliRunner(env={"LYNCEUS_LANGUAGE": "en"}).invoke(
        person,
        ["add", "--role", "operator", "--title", " ", "--database", database, "--", name],
        input=f"{PASSWORD}\n{PASSWORD}\n",
        standalone_mode=False,
    )
    if told.exception is not None:
        raise told.exception
    with TraceStore.open(database) as store:
        everybody = Accounts(store).all()
    # Of a full name that is nothing but blanks, nothing is left: then it is the short one.
    assert all(one.title == one.name for one in everybody)
    return tuple(one.name for one in everybody)


@pytest.mark.parametrize("name", UNNAMEABLE)
def test_a_person_whom_the_page_cannot_name_is_let_in_by_no_command(name, tmp_path):
    with pytest.raises(click.BadParameter, match="without spaces and not dots alone"):
        _added(f"sqlite:///{tmp_path / 'lynceus.db'}", name)


@pytest.mark.parametrize("name", NAMEABLE)
def test_a_person_whom_the_page_can_name_is_let_in_by_command(name, tmp_path):
    assert _added(f"sqlite:///{tmp_path / 'lynceus.db'}", name) == (name,)


def test_the_page_and_programs_name_people_by_the_same_rule(tmp_path):
    client = signed_in(needs_libraries(an_empty_station(tmp_path)).app(), Role.ADMINISTRATOR)
    given = {"role": "operator", "password": PASSWORD}
    for name in UNNAMEABLE:
        assert client.post("/people", data=given | {"name": name}).status_code == 422, name
        said = given | {"name": name, "title": "Wang"}
        assert client.post("/api/v1/people", json=said).status_code == 422, name
    for name in NAMEABLE:
        added = client.post("/people", data=given | {"name": name}, follow_redirects=False)
        assert added.status_code == 303, name
