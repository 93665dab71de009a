"""Walking up and down a genealogy of a million units, through the public API, on both engines.

    python -m benchmarks.trace.genealogy                     1.0 M units, 1.6 M links, on SQLite
    python -m benchmarks.trace.genealogy --10M               ten times as many
    python -m benchmarks.trace.genealogy --database postgresql://user@host/db      in a schema of its own
    python -m benchmarks.trace.genealogy --keep FOLDER       built there once, and measured again the next time

Per heat 6 slabs, of which every fifth holds a second heat; each slab is a coil, slit into 5 strips, half of them wound
backwards, each cut into 6 segments, those into 15 blanks of 2 parts; 5 parts, of any coils, make a subassembly, 12 of
those an assembly. Units and links are loaded in bulk, past the ledger; what is timed reads them as a page does. Beside
the time that passed stands the processor's own, of this process: on SQLite that is all there is, and other work on the
machine does not lengthen it.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import random
import sqlite3
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from sqlalchemy import Engine, create_engine, make_url, select, text

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability import tables
from traceability.genealogy.cuts import LinkKind, UnitKind
from traceability.genealogy.tracing import ancestors, at_risk, descendants, place_up
from traceability.store import TraceStore

COILS = 640
SLABS_PER_HEAT = 6
STRIPS, SEGMENTS, BLANKS, PARTS = 5, 6, 15, 2
LENGTH_MM, WIDTH_MM = 90_000.0, 1250.0

UNIT_KINDS = tuple(kind.value for kind in UnitKind)
LINK_KINDS = tuple(kind.value for kind in LinkKind)

Row = tuple[Any, ...]
TARGET_MS = {"assembly": 20.0, "defect": 10.0, "coil": 100.0, "heat": 400.0}


class Graph:
    """Units, links and cuts, made one after another and kept as numbers, and some codes to ask for."""

    def __init__(self, scale: int) -> None:
        self._random = random.Random(7)
        self._shapes: dict[Row, int] = {}
        self._links = tuple(array("I") for _ in range(2))
        self._link_kinds = bytearray()
        self._cuts = tuple(array("I") for _ in range(2))
        self._kinds = bytearray()
        self.asked: dict[str, list[str]] = {"heat": [], "coil": [], "part": [], "assembly": []}
        self._build(COILS * scale)

    def code(self, unit: int) -> str:
        return f"86.999.1/U{unit}"

    def units(self) -> Iterator[tuple[int, str]]:
        return ((number, UNIT_KINDS[kind]) for number, kind in enumerate(self._kinds, 1))

    def links(self) -> Iterator[tuple[int, int, int, str]]:
        return (
            (number, parent, child, LINK_KINDS[kind])
            for number, (parent, child, kind) in enumerate(
                zip(*self._links, self._link_kinds, strict=True), 1
            )
        )

    def cuts(self) -> Iterator[Row]:
        shapes = list(self._shapes)
        return ((link, *shapes[shape]) for link, shape in zip(*self._cuts, strict=True))

    def sizes(self) -> tuple[int, int, int]:
        """How many units, links and cuts."""
        return len(self._kinds), len(self._link_kinds), len(self._cuts[0])

    def _unit(self, kind: str, *, is_asked: bool = False) -> int:
        self._kinds.append(UNIT_KINDS.index(kind))
        if is_asked:
            self.asked[kind].append(self.code(len(self._kinds)))
        return len(self._kinds)

    def _link(self, parent: int, child: int, kind: str, cut: Row | None = None) -> None:
        self._links[0].append(parent)
        self._links[1].append(child)
        self._link_kinds.append(LINK_KINDS.index(kind))
        if cut is not None:
            self._cuts[0].append(len(self._link_kinds))
            self._cuts[1].append(self._shapes.setdefault(cut, len(self._shapes)))

    def _build(self, coils: int) -> None:
        parts = array("I")
        heat = before = 0
        for number in range(coils):
            if number % SLABS_PER_HEAT == 0:
                before, heat = heat, self._unit("heat", is_asked=True)
            slab, coil = self._unit("slab"), self._unit("coil", is_asked=True)
            self._link(heat, slab, "melt")
            if before and number % 5 == 0:
                self._link(before, slab, "mix")
            self._link(
                slab, coil, "roll", _cut(Box(0, 0, WIDTH_MM, LENGTH_MM / 30), Box(0, 0, WIDTH_MM, LENGTH_MM))
            )
            for strip_number in range(STRIPS):
                strip = self._unit("strip")
                x = WIDTH_MM / STRIPS * strip_number
                whole = Box(0, 0, WIDTH_MM / STRIPS, LENGTH_MM)
                self._link(
                    coil,
                    strip,
                    "slit",
                    _cut(Box(x, 0, x + whole.x2, LENGTH_MM), whole, strip_number % 2 == 1),
                )
                parts.extend(self._strip(strip, whole))
        self._random.shuffle(parts)
        subassemblies = []
        for start in range(0, len(parts), 5):
            made = self._unit("assembly")
            subassemblies.append(made)
            for part in parts[start : start + 5]:
                self._link(part, made, "assemble")
        for start in range(0, len(subassemblies), 12):
            made = self._unit("assembly", is_asked=True)
            for one in subassemblies[start : start + 12]:
                self._link(one, made, "assemble")

    def _strip(self, strip: int, whole: Box) -> Iterator[int]:
        length = LENGTH_MM / SEGMENTS
        for segment_number in range(SEGMENTS):
            segment = self._unit("segment")
            y = length * segment_number
            self._link(
                strip, segment, "cut", _cut(Box(0, y, whole.x2, y + length), Box(0, 0, whole.x2, length))
            )
            for blank_number in range(BLANKS):
                blank = self._unit("blank")
                size = length / BLANKS
                y = size * blank_number
                self._link(
                    segment, blank, "blank", _cut(Box(0, y, whole.x2, y + size), Box(0, 0, whole.x2, size))
                )
                for part_number in range(PARTS):
                    part = self._unit("part")
                    if segment_number == 0 and blank_number == 0:
                        self.asked["part"].append(self.code(part))
                    x = whole.x2 / PARTS * part_number
                    half = Box(0, 0, whole.x2 / PARTS, size)
                    self._link(blank, part, "form", _cut(Box(x, 0, x + half.x2, size), half))
                    yield part


def _cut(parent: Box, child: Box, is_reversed: bool = False) -> Row:
    sides = [getattr(box, side) for box in (parent, child) for side in ("x1", "y1", "x2", "y2")]
    return (0, *sides, is_reversed, False, False, False, 0.5, 5.0)


CUT_COLUMNS = (
    "link_id",
    "position",
    *(f"{of}_{side}_mm" for of in ("parent", "child") for side in ("x1", "y1", "x2", "y2")),
    "is_reversed",
    "is_mirrored",
    "is_turned",
    "is_flipped",
    "sigma_x_mm",
    "sigma_y_mm",
)


def tables_of(graph: Graph) -> Iterator[tuple[str, Sequence[str], Iterable[Row]]]:
    def id_of(kind: int, number: int) -> str:
        return f"{kind:08x}{number:024x}"

    at = "2026-11-20 12:00:00.000000"
    yield "unit", ("id", "created_at"), ((id_of(1, unit), at) for unit, _ in graph.units())
    yield (
        "identifier",
        ("id", "unit_id", "scheme", "canon"),
        ((unit, id_of(1, unit), "handle", graph.code(unit)) for unit, _ in graph.units()),
    )
    yield (
        "unit_form",
        ("id", "unit_id", "identifier_id", "kind", "length_mm", "width_mm"),
        ((id_of(3, unit), id_of(1, unit), unit, kind, 1000.0, 100.0) for unit, kind in graph.units()),
    )
    yield (
        "link",
        ("id", "parent_id", "child_id", "parent_identifier_id", "child_identifier_id", "kind"),
        (
            (id_of(2, number), id_of(1, parent), id_of(1, child), parent, child, kind)
            for number, parent, child, kind in graph.links()
        ),
    )
    yield "link_cut", CUT_COLUMNS, ((id_of(2, link), *rest) for link, *rest in graph.cuts())


LOADED = ("unit", "identifier", "unit_form", "link", "link_cut")
ROWS_AT_ONCE = 10_000


def load(url: str, graph: Graph) -> None:
    """All rows, then the indexes: one that grows row by row, in no order, takes many times as long.

    Past all that guards a database in service: what goes wrong here is built again.
    """
    engine = _engine(url)
    indexes = [one for name in LOADED for one in tables.metadata.tables[name].indexes]
    with engine.connect() as connection:
        raw = cast(Any, connection.connection.driver_connection)
        is_sqlite = isinstance(raw, sqlite3.Connection)
        # What refers to what is known to be there; looking each of it up takes as long as the rest.
        for setting in (
            ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000")
            if is_sqlite
            else ("SET session_replication_role = replica", "SET maintenance_work_mem = '512MB'")
        ):
            connection.exec_driver_sql(setting)
        for index in indexes:
            index.drop(connection)
        for table, columns, rows in tables_of(graph):
            names = ", ".join(columns)
            if is_sqlite:
                raw.executemany(
                    f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", rows
                )
            else:
                with raw.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    lines = ("\t".join(map(str, row)) + "\n" for row in rows)
                    while some := "".join(islice(lines, ROWS_AT_ONCE)):
                        copy.write(some)
        for index in indexes:
            index.create(connection)
        connection.commit()
        if is_sqlite:
            # Statistics it has none, as in service: with them a walk would read all links.
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()
    if not is_sqlite:
        # As the server does by itself, in time.
        engine = _engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for table in LOADED:
                connection.execute(text(f"VACUUM (ANALYZE) {table}"))
        engine.dispose()


def _engine(url: str, **settings: Any) -> Engine:
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    return create_engine(address, **settings)


@contextmanager
def a_schema(address: str, *, kept_as: str | None = None) -> Iterator[str]:
    """A schema of its own on a PostgreSQL server, dropped afterwards unless it is to be kept under a name."""
    name = kept_as or f"lynceus_benchmark_{os.getpid()}"
    engine = _engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
    try:
        url = make_url(address).update_query_dict({"options": f"-csearch_path={name}"})
        yield url.render_as_string(hide_password=False)
    finally:
        if kept_as is None:
            with engine.connect() as connection:
                connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


def timed(
    ask: Callable[[IdentifierCode], Sequence[object]], codes: Sequence[str], count: int
) -> tuple[Any, ...]:
    chosen = random.Random(11).choices(codes, k=count)
    for warm in chosen:
        ask(_unit(warm))
    times, own, rows = [], [], []
    for code in chosen:
        start, cpu = time.perf_counter(), time.process_time()
        found = ask(_unit(code))
        times.append(1000 * (time.perf_counter() - start))
        own.append(1000 * (time.process_time() - cpu))
        rows.append(len(found))
    return *np.percentile(times, (50, 99)), *np.percentile(own, (50, 99)), int(np.median(rows))


def _unit(code: str) -> IdentifierCode:
    return IdentifierCode(scheme="handle", raw=code, canon=code)


def measure(url: str, scale: int, out: io.TextIOBase) -> None:
    graph = Graph(scale)
    with TraceStore.open(url) as store, store.reading() as connection:
        is_loaded = connection.execute(select(tables.unit.c.id).limit(1)).first() is not None
    start = time.perf_counter()
    if not is_loaded:
        load(url, graph)
    with TraceStore.open(url) as store:
        engine = make_url(url).get_backend_name()
        how = "of an earlier run" if is_loaded else f"loaded in {time.perf_counter() - start:.0f} s"
        out.write("{}: {:,} units, {:,} links, {:,} cuts {}\n".format(engine, *graph.sizes(), how))
        asked_for = graph.asked
        # The millions of rows are of this benchmark: a service has none of them to collect garbage among.
        del graph
        gc.collect()
        # As the service does when it has started.
        gc.freeze()
        place = random.Random(13)

        def defect(coil: IdentifierCode) -> Sequence[object]:
            x, y = place.uniform(0, WIDTH_MM - 10), place.uniform(0, LENGTH_MM - 10)
            return at_risk(store, coil, Box(x, y, x + 10, y + 10))

        asked: tuple[tuple[str, str, Callable[[IdentifierCode], Sequence[object]], str, int], ...] = (
            ("assembly", "assembly -> all ancestors", lambda unit: ancestors(store, unit), "assembly", 300),
            ("defect", "coil defect -> parts", defect, "coil", 300),
            ("coil", "whole coil", lambda unit: descendants(store, unit), "coil", 200),
            ("heat", "whole heat", lambda unit: descendants(store, unit), "heat", 100),
            ("place", "place on a part -> coil", lambda unit: place_up(store, unit, 10, 10), "part", 300),
        )
        out.write(
            f"{'':28}{'rows':>8}{'p50 ms':>10}{'p99 ms':>10}{'cpu p50':>10}{'cpu p99':>10}{'at most':>10}\n"
        )
        for key, name, ask, kind, count in asked:
            p50, p99, own50, own99, rows = timed(ask, asked_for[kind], count)
            target = f"{TARGET_MS[key]:10.0f}" if key in TARGET_MS else ""
            out.write(f"{name:28}{rows:8,}{p50:10.2f}{p99:10.2f}{own50:10.2f}{own99:10.2f}{target}\n")
            out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--10M",
        dest="scale",
        action="store_const",
        const=10,
        default=1,
        help="ten million units instead of one",
    )
    parser.add_argument("--database", help="a PostgreSQL server; default: a SQLite file")
    parser.add_argument(
        "--keep", type=Path, help="a folder: what was built stays, a file there or a schema on the server"
    )
    given = parser.parse_args()
    out = cast(io.TextIOBase, sys.stdout)
    if given.database:
        kept_as = f"lynceus_benchmark_x{given.scale}" if given.keep else None
        with a_schema(given.database, kept_as=kept_as) as url:
            measure(url, given.scale, out)
        return
    if given.keep:
        measure(f"sqlite:///{given.keep / f'trace-x{given.scale}.db'}", given.scale, out)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'trace.db'}", given.scale, out)


if __name__ == "__main__":
    main()
