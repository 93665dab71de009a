from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from tests.builders import NOON, an_inspection
from traceability import tables
from traceability.books import Sums
from traceability.database import open_engine, writing
from traceability.rollups import QUARTER
from traceability.store import TraceStore


def books_of(store: TraceStore, lane: str = "strip"):
    return store.books(station="demo", since=NOON - QUARTER, until=NOON + QUARTER)[lane]


@pytest.fixture
def at_noon(store):
    """Three units, one of them twice, one just before noon, one of another station, one that a demo made up."""
    units = [
        an_inspection(frames_inspected=39, frames_lost=1),
        an_inspection(),
        an_inspection(finished_at=NOON - timedelta(seconds=1)),
    ]
    store.record(units)
    store.record([units[0], an_inspection(station="other"), an_inspection(simulated=True)])
    return units


def test_what_was_handed_over_is_what_is_recorded(store, at_noon):
    books = books_of(store)
    assert books.recorded == Sums(units=3, triggers=120, frames_inspected=119, frames_lost=1)
    assert books.handed_over == books.recorded
    assert books.gap == 0


def test_a_record_that_is_gone_is_a_gap(store, at_noon, database_url):
    engine = open_engine(database_url)
    gone = at_noon[1].id
    with writing(engine) as connection:
        connection.execute(
            delete(tables.inspection_model).where(tables.inspection_model.c.inspection_id == gone)
        )
        connection.execute(delete(tables.inspection).where(tables.inspection.c.id == gone))
    engine.dispose()
    assert books_of(store).gap == 40


def test_a_record_whose_frames_were_altered_is_a_gap(store, at_noon, database_url):
    engine = open_engine(database_url)
    with writing(engine) as connection:
        altered = update(tables.inspection).where(tables.inspection.c.id == at_noon[0].id)
        connection.execute(altered.values(frames_lost=0, frames_inspected=40))
    engine.dispose()
    assert books_of(store).gap == 1


def test_a_book_that_lacks_a_line_is_a_gap_too(store, at_noon, database_url):
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(delete(tables.rollup_units))
    engine.dispose()
    assert books_of(store).gap == 120
