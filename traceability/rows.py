"""Between rows and the types of `inspection`: both directions, side by side."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
)

from inspection.identity import IdentifierCode
from inspection.types import (
    Box,
    Defect,
    EdgePoint,
    Inspection,
    InspectionBegun,
    Measurement,
    ModelRef,
    PictureRef,
    Piece,
    RecipeRef,
    Repeat,
    Stretch,
    Strip,
)
from traceability import tables

Row = dict[str, Any]
Found = RowMapping | Mapping[str, Any]

# SQLite takes at most 32 766 values in a statement, PostgreSQL 65 535.
IDS_AT_ONCE = 10_000

_T = TypeVar("_T")


def older(at: Column[Any], id: Column[UUID], before: UUID) -> ColumnElement[bool]:
    """Whether a row comes after that called `before`, where the newest come first by their time and then their id."""
    last = select(at).where(id == before).scalar_subquery()
    return or_(at < last, and_(at == last, id < before))


def portions(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """As many at a time as a statement takes."""
    for start in range(0, len(items), IDS_AT_ONCE):
        yield items[start : start + IDS_AT_ONCE]


def among(connection: Connection, column: Column[Any], items: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a column has one of these values.

    PostgreSQL is sent one array: reading 5000 placeholders alone takes psycopg 200 ms. SQLite has no arrays, and is
    sent them as JSON: writing as many placeholders takes half the time of such a query.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(literal(list(items), ARRAY(column.type)))
    stored = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    sent = json.dumps([item if stored is None else stored(item) for item in items])
    return column.in_(select(func.json_each(sent).table_valued("value").c.value))


def inspection_row(inspection: Inspection, identifier_id: int) -> Row:
    return {
        "id": inspection.id,
        "identifier_id": identifier_id,
        "read_as": inspection.unit.raw,
        "station": inspection.station,
        "lane": inspection.lane,
        **_recipe_row(inspection.recipe),
        "started_at": inspection.started_at,
        "finished_at": inspection.finished_at,
        "verdict": inspection.verdict,
        "triggers": inspection.triggers,
        "frames_inspected": inspection.frames_inspected,
        "frames_failed": inspection.frames_failed,
        "frames_lost": inspection.frames_lost,
        "failures": inspection.failures,
        "simulated": inspection.simulated,
        "grade": inspection.grade,
        "code_failure": inspection.code_failure,
        "strip": None if inspection.strip is None else asdict(inspection.strip),
        "software": inspection.software,
    }


def child_rows(inspections: Sequence[Inspection]) -> dict[Table, list[Row]]:
    """The rows of the tables that hang on `inspection`, in the order of their tuples."""
    rows: dict[Table, list[Row]] = {}
    for table, children in (
        (tables.inspection_model, [(i.id, [_model_row(m) for m in i.models]) for i in inspections]),
        (tables.defect, [(i.id, [_defect_row(d) for d in i.defects]) for i in inspections]),
        (tables.measurement, [(i.id, [_measurement_row(m) for m in i.measurements]) for i in inspections]),
        (tables.picture, [(i.id, [_picture_row(p) for p in i.pictures]) for i in inspections]),
    ):
        rows[table] = [
            {"inspection_id": id_, "position": position, **row}
            for id_, of_one in children
            for position, row in enumerate(of_one)
        ]
    return rows


def begun_row(begun: InspectionBegun) -> Row:
    return {
        "id": begun.id,
        "scheme": begun.unit.scheme,
        "canon": begun.unit.canon,
        "read_as": begun.unit.raw,
        "station": begun.station,
        "lane": begun.lane,
        **_recipe_row(begun.recipe),
        "models": [_model_row(model) for model in begun.models],
        "started_at": begun.started_at,
    }


def inspections_selected(connection: Connection, wanted: Select[Any]) -> tuple[Inspection, ...]:
    """Complete inspections for a select of `inspections_query()`, in its order."""
    heads = connection.execute(wanted).mappings().all()
    ids = [head["id"] for head in heads]
    models = _children(connection, tables.inspection_model, ids)
    defects = _children(connection, tables.defect, ids)
    measurements = _children(connection, tables.measurement, ids)
    pictures = _children(connection, tables.picture, ids)
    return tuple(
        Inspection(
            id=head["id"],
            unit=_unit_from(head),
            station=head["station"],
            lane=head["lane"],
            recipe=_recipe_from(head),
            models=tuple(_model_from(row) for row in models[head["id"]]),
            started_at=head["started_at"],
            finished_at=head["finished_at"],
            verdict=head["verdict"],
            defects=tuple(_defect_from(row) for row in defects[head["id"]]),
            measurements=tuple(_measurement_from(row) for row in measurements[head["id"]]),
            triggers=head["triggers"],
            frames_inspected=head["frames_inspected"],
            frames_failed=head["frames_failed"],
            frames_lost=head["frames_lost"],
            failures=head["failures"],
            pictures=tuple(_picture_from(row) for row in pictures[head["id"]]),
            simulated=head["simulated"],
            grade=head["grade"],
            code_failure=head["code_failure"],
            strip=None if head["strip"] is None else _strip_from(head["strip"]),
            software=head["software"],
        )
        for head in heads
    )


def inspections_query() -> Select[Any]:
    """To be narrowed and ordered, then given to `inspections_selected`."""
    return select(tables.inspection, tables.identifier.c.scheme, tables.identifier.c.canon).join(
        tables.identifier, tables.identifier.c.id == tables.inspection.c.identifier_id
    )


def begun_from(row: Found) -> InspectionBegun:
    return InspectionBegun(
        id=row["id"],
        unit=_unit_from(row),
        station=row["station"],
        lane=row["lane"],
        recipe=_recipe_from(row),
        models=tuple(_model_from(model) for model in row["models"]),
        started_at=row["started_at"],
    )


def _children(connection: Connection, table: Table, ids: list[UUID]) -> dict[UUID, list[Found]]:
    found: dict[UUID, list[Found]] = defaultdict(list)
    for some in portions(ids):
        rows = select(table).where(table.c.inspection_id.in_(some)).order_by(table.c.position)
        for row in connection.execute(rows).mappings():
            found[row["inspection_id"]].append(row)
    return found


def _unit_from(row: Found) -> IdentifierCode:
    return IdentifierCode(scheme=row["scheme"], raw=row["read_as"], canon=row["canon"])


def _recipe_row(recipe: RecipeRef) -> Row:
    return {
        "recipe_name": recipe.name,
        "recipe_revision": recipe.revision,
        "recipe_sha256": recipe.sha256,
    }


def _recipe_from(row: Found) -> RecipeRef:
    return RecipeRef(name=row["recipe_name"], revision=row["recipe_revision"], sha256=row["recipe_sha256"])


def _model_row(model: ModelRef) -> Row:
    return {"name": model.name, "version": model.version, "sha256": model.sha256}


def _model_from(row: Found) -> ModelRef:
    return ModelRef(name=row["name"], version=row["version"], sha256=row["sha256"])


def _defect_row(defect: Defect) -> Row:
    mm = defect.box_mm
    return {
        "kind": defect.kind,
        # A float32 out of a network is not a float to sqlite3.
        "score": float(defect.score),
        "camera": defect.camera,
        "sequence": defect.sequence,
        "x1_px": defect.box_px.x1,
        "y1_px": defect.box_px.y1,
        "x2_px": defect.box_px.x2,
        "y2_px": defect.box_px.y2,
        "x1_mm": None if mm is None else mm.x1,
        "y1_mm": None if mm is None else mm.y1,
        "x2_mm": None if mm is None else mm.x2,
        "y2_mm": None if mm is None else mm.y2,
        "edge_near_mm": defect.edge_near_mm,
        "edge_far_mm": defect.edge_far_mm,
        "pieces": [asdict(piece) for piece in defect.pieces] or None,
        "mask_area_mm2": defect.mask_area_mm2,
        "outline_px": [list(corner) for corner in defect.outline_px] or None,
    }


def _defect_from(row: Found) -> Defect:
    mm = None
    if row["x1_mm"] is not None:
        mm = Box(row["x1_mm"], row["y1_mm"], row["x2_mm"], row["y2_mm"])
    return Defect(
        kind=row["kind"],
        score=row["score"],
        box_px=Box(row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"]),
        box_mm=mm,
        camera=row["camera"],
        sequence=row["sequence"],
        edge_near_mm=row["edge_near_mm"],
        edge_far_mm=row["edge_far_mm"],
        pieces=tuple(
            Piece(sequence=piece["sequence"], box_px=Box(**piece["box_px"])) for piece in row["pieces"] or ()
        ),
        mask_area_mm2=row["mask_area_mm2"],
        outline_px=tuple((x, y) for x, y in row["outline_px"] or ()),
    )


def _strip_from(kept: dict[str, Any]) -> Strip:
    return Strip(
        length_mm=kept["length_mm"],
        x_from_mm=kept["x_from_mm"],
        x_to_mm=kept["x_to_mm"],
        head=None if kept["head"] is None else Stretch(**kept["head"]),
        tail=None if kept["tail"] is None else Stretch(**kept["tail"]),
        unseen=tuple(Stretch(**one) for one in kept["unseen"]),
        edges=tuple(EdgePoint(**one) for one in kept["edges"]),
        repeats=tuple(Repeat(**one) for one in kept["repeats"]),
        # Records from before welds were looked for have none.
        welds=tuple(Stretch(**one) for one in kept.get("welds", ())),
    )


def _measurement_row(measurement: Measurement) -> Row:
    return {
        "name": measurement.name,
        "value": measurement.value,
        "unit": measurement.unit,
        "uncertainty": measurement.uncertainty,
    }


def _measurement_from(row: Found) -> Measurement:
    return Measurement(name=row["name"], value=row["value"], unit=row["unit"], uncertainty=row["uncertainty"])


def _picture_row(picture: PictureRef) -> Row:
    return {
        "sha256": picture.sha256,
        "camera": picture.camera,
        "sequence": picture.sequence,
        "width_px": picture.width_px,
        "height_px": picture.height_px,
        "y_origin_mm": picture.y_origin_mm,
        "is_exact": picture.is_exact,
    }


def _picture_from(row: Found) -> PictureRef:
    return PictureRef(
        sha256=row["sha256"],
        camera=row["camera"],
        sequence=row["sequence"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        y_origin_mm=row["y_origin_mm"],
        is_exact=row["is_exact"],
    )
