"""How long a chart over a million results takes, from request to JSON: the figures of docs/statistics.md.

PYTHONPATH=. python benchmarks/spc/rollups.py [--results 1000000] [--database URL]

Beside it, in the same run, the query that one would write without sums: units per hour and verdict, counted by the
database. Both are asked for the p chart by hour of 30 days and by shift of 90 days. Medians of seven.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy import func, select

from inspection.types import Verdict
from tests.a_station import an_empty_station
from tests.builders import a_defect, a_unit, an_inspection
from traceability import tables
from traceability.store import TraceStore

AT_ONCE = 2000
RUNS = 7
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
                    models=(),
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
    parser.add_argument("--database", help="default: SQLite in a folder that is removed again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.database or f"sqlite:///{Path(folder) / 'trace.db'}"
        station = an_empty_station(Path(folder), database=url)
        with station.store as store:
            now = datetime.now(UTC)
            rate = fill(store, asked.results, now)
            print(f"{url.partition(':')[0]}: {rate:,.0f} results/s recorded")
            app = station.app(has_live=False)
            client = TestClient(app)
            for by, days in (("hour", 30), ("shift", 90)):
                since = now - timedelta(days=days)
                address = f"/api/v1/spc/p?by={by}&since={since:%Y-%m-%dT%H:%M:%SZ}"
                points = len(client.get(address).json()["points"])
                chart = median_ms(lambda address=address: client.get(address))  # type: ignore[misc]
                plain = median_ms(plainly(store, since))
                print(
                    f"p chart by {by}, {days} days, {points} points: {chart:.0f} ms to JSON; "
                    f"counting alone, without sums: {plain:.0f} ms"
                )


if __name__ == "__main__":
    main()
