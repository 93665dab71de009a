"""`kill -9` of a writer under load, again and again: nothing acknowledged is lost, nothing doubled, the ledger whole.

    python -m benchmarks.trace.killing --kills 200
    python -m benchmarks.trace.killing --kills 200 --database postgresql://user@host/db

A writer records batches of inspections and says each id only after it is committed; every second time the batch before
is delivered again, as a station does that was not heard. It is killed at a random moment, then the next one starts. At
the end every id that was said must be on record, once, and every record in the ledger as it was kept, under every head.
Ends with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.trace.genealogy import a_schema
from tests.builders import a_defect, a_unit, an_inspection
from traceability import tables
from traceability.merkle import Sealer, read_heads
from traceability.store import TraceStore
from traceability.verification import verify

BATCH = 8


def write(url: str, said: Path, ledger: Path) -> None:
    """The writer: until it is killed."""
    sealer = Sealer(ledger)
    with TraceStore.open(url) as store, said.open("a", encoding="utf-8") as ids:
        before: list[object] = []
        number = 0
        while True:
            number += 1
            batch = [
                an_inspection(unit=a_unit(f"86.1/{number % 97}"), defects=(a_defect(),)) for _ in range(BATCH)
            ]
            store.record([*batch, *before] if number % 2 else batch)  # type: ignore[list-item]
            ids.write("".join(f"{one.id}\n" for one in batch))
            ids.flush()
            before = list(batch)
            if number % 5 == 0:
                with store.reading() as connection:
                    sealer.seal(connection)


def drill(url: str, kills: int, folder: Path) -> int:
    said, ledger = folder / "said", folder / "ledger"
    said.touch()
    moment = random.Random(5)
    for done in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.trace.killing", "--write", url, str(said), str(ledger)]
        )
        known = said.stat().st_size
        while said.stat().st_size == known and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        print(f"\rkilled {done + 1}", end="", file=sys.stderr, flush=True)
    # What is acknowledged to nobody, half a line, was not acknowledged.
    lines = said.read_text(encoding="utf-8").split("\n")[:-1]
    with TraceStore.open(url) as store, store.reading() as connection:
        rows = connection.execute(select(tables.inspection.c.id)).mappings()
        on_record = [str(row["id"]) for row in rows]
        leaves = connection.execute(select(func.count()).select_from(tables.ledger_leaf)).scalar_one()
    with TraceStore.open(url) as store:
        heads = read_heads(ledger / "heads.jsonl")
        found = verify(store, heads=heads)
    lost = set(lines) - set(on_record)
    result = {
        "kills": kills,
        "acknowledged": len(lines),
        "on_record": len(on_record),
        "lost": len(lost),
        "doubled": len(on_record) - len(set(on_record)),
        "leaves": leaves,
        "heads": len(heads),
        "findings": len(found.findings),
    }
    print("\n" + json.dumps(result))
    return int(bool(lost or result["doubled"] or found.findings or leaves != len(on_record)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", help="a PostgreSQL server; default: a SQLite file")
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.write[0], Path(given.write[1]), Path(given.write[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.database:
            with a_schema(given.database) as url:
                sys.exit(drill(url, given.kills, Path(folder)))
        sys.exit(drill(f"sqlite:///{Path(folder) / 'trace.db'}", given.kills, Path(folder)))


if __name__ == "__main__":
    main()
