"""How long a chart over a million results takes, from request to JSON: the figures of docs/statistics.md.

PYTHONPATH=. python benchmarks/spc/rollups.py [--results 1000000] [--database URL] [--folder FOLDER]

Beside it, in the same run, the query that one would write without sums: units per hour and verdict, counted by the
database. Both are asked for the p chart by hour of 30 days and by shift of 90 days. Medians of five, after one
that is not counted. What was recorded once in a folder or a database that is kept is measured again without recording.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from inspection.types import Measurement, Verdict
from tests.a_station import an_empty_station
from tests.builders import a_defect, a_unit, an_inspection
from traceability import tables
from traceability.store import TraceStore

AT_ONCE = 2000
RUNS = 5
DAYS = 90


def fill(store: TraceStore, results: int, until: datetime) -> float:
    """Records per second, written as a station writes them."""
    step = timedelta(days=DAYS) / results
    units = [a_unit(f"86.999.1/P-{number}") for number in range(100)]
    began = time.perf_counter()
    for start in range(0, results, AT_ONCE):
        store.record(
            [
                an_inspection(
                    unit=units[number % 100],
                    lane=("strip", "parts")[number % 2],
                    verdict=Verdict.REJECT if number % 37 == 0 else Verdict.ACCEPT,
                    defects=(a_defect(),) if number % 37 == 0 else (),
                    measurements=(
                        Measurement(
                            name="width", value=1200 + math.sin(number) + math.sin(7.3 * number), unit="mm"
                        ),
                    ),
                    finished_at=until - timedelta(days=DAYS) + number * step,
                )
                for number in range(start, min(start + AT_ONCE, results))
            ]
        )
        if start % (AT_ONCE * 25) == 0:
            print(f"\r{start:,} of {results:,}", end="", flush=True)
    print(f"\r{results:,} results on record")
    return results / (time.perf_counter() - began)


def median_ms(asked: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        asked()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def plainly(store: TraceStore, since: datetime) -> Callable[[], object]:
    head = tables.inspection.c
    with store.reading() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
    hour = (
        func.strftime("%Y-%m-%d %H", head.finished_at)
        if is_sqlite
        else func.date_trunc("hour", head.finished_at)
    )
    query = (
        select(hour, head.verdict, func.count()).where(head.finished_at >= since).group_by(hour, head.verdict)
    )

    def count() -> object:
        with store.reading() as connection:
            return connection.execute(query).all()

    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--database", help="default: SQLite in the folder")
    parser.add_argument(
        "--folder", type=Path, help="kept, and measured again; default: one that is removed again"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = asked.folder or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        url = asked.database or f"sqlite:///{folder / 'trace.db'}"
        station = an_empty_station(folder, database=url)
        with station.store as store:
            if not store.latest(limit=1):
                rate = fill(store, asked.results, datetime.now(UTC))
                print(f"{url.partition(':')[0]}: {rate:,.0f} results/s recorded")
            if url.startswith("postgresql"):
                # Autovacuum does so by itself a minute after; a server for tests may have it off.
                with store.writing() as connection:
                    connection.execute(text("ANALYZE"))
            client = TestClient(station.app(has_live=False))
            # As the service does once it has started.
            gc.collect()
            gc.freeze()
            measure(store, client)


def measure(store: TraceStore, client: TestClient) -> None:
    """Each address that a page draws from, beside the plain count of the same window."""
    newest = store.latest(limit=1)[0].finished_at
    for name, address, days in (
        ("p chart by hour, 30 days", "p?by=hour", 30),
        ("p chart by shift, 90 days", "p?by=shift", 90),
        ("p chart by hour of one lane, with stages, 30 days", "p?by=hour&lane=strip", 30),
        ("p chart by hour of units with one kind of defect, 30 days", "p?by=hour&kind=scratch", 30),
        ("Pareto, 90 days", "pareto?by=shift", 90),
        ("Pareto by area, 90 days", "pareto?by=shift&weigh=area", 90),
        ("single values and moving ranges, newest 2500", "measured?measurement=width", 90),
        ("causes, newest 5000", "causes?lane=strip", 90),
    ):
        since = newest - timedelta(days=days)
        whole = f"/api/v1/spc/{address}&since={since:%Y-%m-%dT%H:%M:%SZ}"
        answer = client.get(whole)
        assert answer.status_code == 200, answer.text
        taken = median_ms(partial(client.get, whole))
        print(f"{name}: {taken:.0f} ms to {len(answer.content) / 1000:.0f} kB of JSON")
    for days in (30, 90):
        plain = median_ms(plainly(store, newest - timedelta(days=days)))
        print(f"counting units by hour and verdict alone, without sums, {days} days: {plain:.0f} ms")


if __name__ == "__main__":
    main()
