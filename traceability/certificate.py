"""A unit's certificate: its records, each with the proof that the ledger holds it, under a signed head.

JSON for programs and PDF for people; the PDF has the JSON attached. `verifier.py` checks either, alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select

from inspection.identity import IdentifierCode
from traceability import tables
from traceability.errors import LedgerForked
from traceability.genealogy.rows import walk
from traceability.merkle import Sealer, Tree
from traceability.recorded import read
from traceability.statements import Plain, statement
from traceability.store import TraceStore, unit_unknown
from traceability.verifier import FORMAT, canonical, corrections_of, record_leaf

Certificate = dict[str, Any]

ATTACHED: Final = "certificate.json"


def certify(store: TraceStore, sealer: Sealer, unit: IdentifierCode) -> Certificate:
    """All that is on record of a unit: what was seen of it, what it is, and the links up to all it was made from.

    A record that was taken back is in it with its correction. Raises UnitUnknown, LedgerForked, HeadsUnreadable.
    """

    with store.reading() as connection:
        id_ = store.unit_id(connection, unit)
        codes = select(tables.identifier).where(tables.identifier.c.unit_id == id_)
        named = connection.execute(codes.order_by(tables.identifier.c.id)).mappings().all()
        ids = _records_of(connection, id_)
        head = sealer.seal(connection)
        if head is None or not any(ids.values()):
            raise unit_unknown(unit)
        tree = Tree(connection, head["size"])
        leaf = tables.ledger_leaf
        entries: list[Plain] = []
        for kind, wanted in ids.items():
            records = read(connection, kind, wanted)
            places = select(leaf.c.record_id, leaf.c.position).where(
                leaf.c.kind == kind, leaf.c.record_id.in_(wanted), leaf.c.position < tree.size
            )
            found = connection.execute(places.order_by(leaf.c.position)).mappings().all()
            for missing in sorted(set(wanted) - {row["record_id"] for row in found}, key=str):
                raise _not_as_kept(kind, missing)
            for row in found:
                said = statement(records[row["record_id"]])
                position = row["position"]
                if record_leaf(kind, said, tree.algorithm) != tree.leaf(position):
                    raise _not_as_kept(kind, row["record_id"])
                proof = [step.hex() for step in tree.inclusion(position)]
                entries.append({"kind": kind, "position": position, "record": said, "proof": proof})
    return {
        "format": FORMAT,
        "issued_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "unit": {"codes": [{"scheme": row["scheme"], "canon": row["canon"]} for row in named]},
        "head": head,
        "records": sorted(entries, key=lambda entry: entry["position"]),
    }


def _not_as_kept(kind: str, id: UUID) -> LedgerForked:
    return LedgerForked(
        f"{kind} {id} is not what the ledger has of it.",
        action="Run `lynceus ledger verify` and compare with a backup before anything is written.",
        reason=f"{kind} {id}",
    )


def _records_of(connection: Connection, unit: UUID) -> dict[str, list[UUID]]:
    """The ids of a unit's records, by kind."""

    def ids(query: Any) -> list[UUID]:
        return list(connection.execute(query).scalars())

    inspection, named, form, link = tables.inspection, tables.identifier, tables.unit_form, tables.link
    above = walk(unit, downwards=False)
    found = {
        "inspection": ids(
            select(inspection.c.id)
            .join(named, named.c.id == inspection.c.identifier_id)
            .where(named.c.unit_id == unit)
        ),
        "unit_form": ids(select(form.c.id).where(form.c.unit_id == unit)),
        "link": ids(select(link.c.id).where(link.c.child_id.in_(select(above.c.id)))),
    }
    of_these = [id_ for some in found.values() for id_ in some]
    correction, contradiction = tables.correction.c, tables.contradiction.c
    found["correction"] = ids(select(correction.id).where(correction.record_id.in_(of_these)))
    found["contradiction"] = ids(select(contradiction.id).where(contradiction.record_id.in_(of_these)))
    return found


def as_json(certificate: Certificate) -> bytes:
    """`format` first, so that it can be found in a PDF; else as `json.dumps` would, in canonical numbers and texts."""
    rest = {name: value for name, value in certificate.items() if name != "format"}
    return b'{"format":' + canonical(certificate["format"]) + b"," + canonical(rest)[1:]


# ------------------------------------------------------------------ PDF


def as_pdf(
    certificate: Certificate, say: Callable[..., str], *, colours: Mapping[str, str], made_by: str
) -> bytes:
    """One or more pages A4, with the JSON attached.

    say      a text by its key after `certificate.`, with facts: the caller's language
    colours  per verdict name
    made_by  who issues it: the plant's or station's name
    """
    from pypdf import PdfReader, PdfWriter

    drawn = io.BytesIO()
    _draw(drawn, certificate, say, colours, made_by)
    writer = PdfWriter(clone_from=PdfReader(drawn))
    # Not compressed: the verifier finds it without a PDF library.
    writer.add_attachment(ATTACHED, as_json(certificate))
    whole = io.BytesIO()
    writer.write(whole)
    return whole.getvalue()


def _draw(
    file: io.BytesIO,
    certificate: Certificate,
    say: Callable[..., str],
    colours: Mapping[str, str],
    made_by: str,
) -> None:
    from xml.sax.saxutils import escape

    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    # A font every PDF reader brings for Chinese; it has Latin letters too, and nothing to install or embed.
    font = "STSong-Light"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    plain = ParagraphStyle("plain", fontName=font, fontSize=9, leading=13, wordWrap="CJK")
    small = ParagraphStyle(
        "small", parent=plain, fontSize=7.5, leading=10, textColor=colors.HexColor("#55606b")
    )
    title = ParagraphStyle("title", parent=plain, fontSize=20, leading=26)
    heading = ParagraphStyle("heading", parent=plain, fontSize=12, leading=18, spaceBefore=8)
    code = ParagraphStyle("code", parent=plain, fontSize=13, leading=18)

    def text(said: object, style: ParagraphStyle = plain) -> Paragraph:
        return Paragraph(escape(str(said)), style)

    def facts(rows: Sequence[tuple[str, object]]) -> Table:
        told = Table([[text(say(key), small), text(value)] for key, value in rows], colWidths=[38 * mm, None])
        told.setStyle(
            TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 1),
                        ("BOTTOMPADDING", (0, 0), (-1, -1), 1), ("LEFTPADDING", (0, 0), (0, -1), 0)])
        )  # fmt: skip
        return told

    head = certificate["head"]
    codes = [one["canon"] for one in certificate["unit"]["codes"]]
    inspections = [one for one in certificate["records"] if one["kind"] == "inspection"]
    voided = corrections_of(certificate["records"])
    # What was taken back is in the JSON with its correction. On paper, read by people, is what the unit was made from.
    links = [
        one
        for one in certificate["records"]
        if one["kind"] == "link" and ("link", one["record"]["id"]) not in voided
    ]
    story: list[Any] = [
        text(say("title"), title),
        *(text(one, code) for one in codes),
        Spacer(1, 3 * mm),
        facts([("issued_by", made_by), ("issued_at", certificate["issued_at"])]),
        text(say("inspections", count=len(inspections)), heading),
    ]
    for entry in inspections:
        record = entry["record"]
        verdict = record["verdict"]
        badge = Table([[text(say(f"verdict.{verdict}"), ParagraphStyle("badge", parent=heading, spaceBefore=0,
                                                                        textColor=colors.white))]],
                      colWidths=[60 * mm])  # fmt: skip
        badge.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, -1), colors.HexColor(colours[verdict]))]))
        story += [
            badge,
            facts(
                [
                    ("when", f"{record['started_at'][:19]} – {record['finished_at'][:19]} UTC"),
                    ("where", f"{record['station']} / {record['lane']}"),
                    ("recipe", f"{record['recipe']['name']} {record['recipe']['revision']}"),
                    (
                        "models",
                        ", ".join(f"{one['name']} {one['version']}" for one in record["models"]) or "–",
                    ),
                    ("defects", len(record["defects"])),
                    (
                        "frames",
                        say(
                            "frames_balance",
                            triggers=record["triggers"],
                            inspected=record["frames_inspected"],
                            failed=record["frames_failed"],
                            lost=record["frames_lost"],
                        ),
                    ),
                    ("id", record["id"]),
                    ("position", entry["position"]),
                ]
            ),
            Spacer(1, 3 * mm),
        ]
    if links:
        story.append(text(say("made_from"), heading))
        story += [
            text(
                f"{one['record']['child']['canon']} ← {one['record']['parent']['canon']} "
                f"({say('link.' + one['record']['kind'])})"
            )
            for one in links
        ]
    story += [
        text(say("proof"), heading),
        text(say("proof_meaning"), small),
        facts(
            [
                ("origin", head["origin"]),
                ("records", head["size"]),
                ("root", f"{head['algorithm']} {head['root']}"),
                ("head_time", head["time"]),
                ("key", head["key"]),
                ("signature", head["signature"]),
            ]
        ),
        Spacer(1, 2 * mm),
        text(say("check", file=ATTACHED), small),
    ]
    page = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=f"{say('title')} {codes[0]}",
        author=made_by,
    )
    page.build(story)
