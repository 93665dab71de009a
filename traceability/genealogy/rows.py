"""Units, links and cuts to rows and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, Table, literal, select

from inspection.identity import IdentifierCode
from inspection.types import Box
from traceability import tables
from traceability.genealogy.cuts import Cut, Link, LinkKind, UnitForm, UnitKind
from traceability.rows import Found, Row, portions


def walk(unit: UUID, *, downwards: bool) -> Any:
    """A recursive query whose column `id` has the unit and all below it, or above it. Ends on a circle, too."""
    here, there = (
        (tables.link.c.parent_id, tables.link.c.child_id)
        if downwards
        else (tables.link.c.child_id, tables.link.c.parent_id)
    )
    start: Select[Any] = select(literal(unit, tables.unit.c.id.type).label("id"))
    found = start.cte("walk", recursive=True)
    further = select(there).where(here == found.c.id, tables.link.c.voided_by.is_(None))
    return found.union(further)


def live_forms(connection: Connection, unit_ids: Sequence[UUID]) -> dict[UUID, UnitForm]:
    """What units are said to be, as far as it was said."""
    form = tables.unit_form.c
    found: dict[UUID, UnitForm] = {}
    for some in portions(unit_ids):
        rows = forms_query().where(form.unit_id.in_(some), form.voided_by.is_(None))
        found |= {row["unit_id"]: form_from(row) for row in connection.execute(rows).mappings()}
    return found


def forms_query() -> Select[Any]:
    form, named = tables.unit_form, tables.identifier
    return select(form, named.c.scheme, named.c.canon).join(named, named.c.id == form.c.identifier_id)


def links_query() -> Select[Any]:
    """To be narrowed, then given to `links_selected`."""
    parent, child = tables.identifier.alias("parent"), tables.identifier.alias("child")
    link = tables.link
    return (
        select(
            link,
            parent.c.scheme.label("parent_scheme"),
            parent.c.canon.label("parent_canon"),
            child.c.scheme.label("child_scheme"),
            child.c.canon.label("child_canon"),
        )
        .join(parent, parent.c.id == link.c.parent_identifier_id)
        .join(child, child.c.id == link.c.child_identifier_id)
    )


def links_selected(connection: Connection, wanted: Select[Any]) -> list[Link]:
    heads = connection.execute(wanted).mappings().all()
    cuts: dict[UUID, list[Cut]] = defaultdict(list)
    table = tables.link_cut
    for some in portions([head["id"] for head in heads]):
        rows = select(table).where(table.c.link_id.in_(some)).order_by(table.c.position)
        for row in connection.execute(rows).mappings():
            cuts[row["link_id"]].append(cut_from(row))
    return [
        Link(
            id=head["id"],
            parent=_code(head["parent_scheme"], head["parent_canon"]),
            child=_code(head["child_scheme"], head["child_canon"]),
            kind=LinkKind(head["kind"]),
            cuts=tuple(cuts[head["id"]]),
            step=head["step"],
            quantity=head["quantity"],
        )
        for head in heads
    ]


def form_from(row: Found) -> UnitForm:
    return UnitForm(
        id=row["id"],
        unit=_code(row["scheme"], row["canon"]),
        kind=UnitKind(row["kind"]),
        length_mm=row["length_mm"],
        width_mm=row["width_mm"],
        quantity=row["quantity"],
        quantity_unit=row["quantity_unit"],
    )


_SIDES: Final = ("x1", "y1", "x2", "y2")


CUT_COLUMNS: Final = (
    *(f"parent_{side}_mm" for side in _SIDES),
    *(f"child_{side}_mm" for side in _SIDES),
    "is_reversed",
    "is_mirrored",
    "is_turned",
    "is_flipped",
    "sigma_x_mm",
    "sigma_y_mm",
)
"""In the order in which `cut_of` takes them."""


def cut_of(values: Sequence[Any]) -> Cut:
    """A cut from the columns CUT_COLUMNS."""
    is_reversed, is_mirrored, is_turned, is_flipped, sigma_x_mm, sigma_y_mm = values[8:]
    return Cut(
        parent_mm=Box(*values[:4]),
        child_mm=Box(*values[4:8]),
        is_reversed=is_reversed,
        is_mirrored=is_mirrored,
        is_turned=is_turned,
        is_flipped=is_flipped,
        sigma_x_mm=sigma_x_mm,
        sigma_y_mm=sigma_y_mm,
    )


def cut_from(row: Found) -> Cut:
    return cut_of([row[name] for name in CUT_COLUMNS])


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def form_row(form: UnitForm, unit_of: Mapping[IdentifierCode, UUID], identifier_id: int) -> Row:
    return {
        "id": form.id,
        "unit_id": unit_of[form.unit],
        "identifier_id": identifier_id,
        "kind": form.kind.value,
        "length_mm": form.length_mm,
        "width_mm": form.width_mm,
        "quantity": form.quantity,
        "quantity_unit": form.quantity_unit,
    }


def link_row(link: Link, unit_of: Mapping[IdentifierCode, UUID]) -> Row:
    return {
        "id": link.id,
        "parent_id": unit_of[link.parent],
        "child_id": unit_of[link.child],
        "kind": link.kind.value,
        "step": link.step,
        "quantity": link.quantity,
    }


def cut_rows(link: Link) -> list[Row]:
    return [
        {
            "link_id": link.id,
            "position": position,
            **{f"parent_{side}_mm": getattr(cut.parent_mm, side) for side in _SIDES},
            **{f"child_{side}_mm": getattr(cut.child_mm, side) for side in _SIDES},
            "is_reversed": cut.is_reversed,
            "is_mirrored": cut.is_mirrored,
            "is_turned": cut.is_turned,
            "is_flipped": cut.is_flipped,
            "sigma_x_mm": cut.sigma_x_mm,
            "sigma_y_mm": cut.sigma_y_mm,
        }
        for position, cut in enumerate(link.cuts)
    ]


def _code(scheme: str, canon: str) -> IdentifierCode:
    return IdentifierCode(scheme=scheme, raw=canon, canon=canon)
