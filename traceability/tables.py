"""The tables. Nothing outside this package sees a row; `store.py` speaks in the types of `inspection`.

Rows are only ever added, except in `inspection_begun`, which holds the units in hand, in the rollups, whose numbers
grow, and in `account`, `session` and `token`, whose history is the audit. What was corrected names its correction in
`voided_by` and stays. A code that turns out to name a unit that was known by another moves to it; `code_event` says so.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)

from inspection.types import Verdict


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, on both engines; SQLite knows no time zones and keeps text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A collation by code point, as SQLite's own: searching and sorting give the same answer on both engines,
# and PostgreSQL can use the index for a search by prefix.
_CODE = Text().with_variant(Text(collation="C"), "postgresql")
_SHA256 = String(64)
_VERDICT = Enum(Verdict, native_enum=False, create_constraint=False, length=16)

unit = Table(
    "unit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
)

identifier = Table(
    "identifier",
    metadata,
    # SQLite counts by itself only in a column that is called INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False),
    Column("scheme", String(16), nullable=False),
    Column("canon", _CODE, nullable=False),
    UniqueConstraint("scheme", "canon"),
    # All that names a unit: of thousands of relatives the table itself is not read.
    Index(None, "unit_id", "id", "scheme", "canon"),
)

inspection = Table(
    "inspection",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("read_as", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("recipe_name", Text, nullable=False),
    Column("recipe_revision", Integer, nullable=False),
    Column("recipe_sha256", _SHA256, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("verdict", _VERDICT, nullable=False),
    # Stored beside its three parts, not computed from them: what does not add up is meant to show.
    Column("triggers", Integer, nullable=False),
    Column("frames_inspected", Integer, nullable=False),
    Column("frames_failed", Integer, nullable=False),
    Column("frames_lost", Integer, nullable=False),
    Column("failures", JSON, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("grade", Text),
    Column("code_failure", Text),
    Column("software", _SHA256),
    # Read as a whole and never searched: a table each for its edges and repeats would serve nobody.
    Column("strip", JSON(none_as_null=True)),
    Index(None, "identifier_id", "started_at"),
    # These two hold all that counts and charts ask for, of all stations or of one, so that the table itself
    # is not read. The time stands before the lane: SQLite, asked for one station, would else read all of it.
    Index(None, "finished_at", "station", "lane", "verdict", "simulated"),
    Index(None, "station", "finished_at", "lane", "verdict", "simulated"),
    Index(None, "verdict", "finished_at"),
)

inspection_model = Table(
    "inspection_model",
    metadata,
    Column("inspection_id", ForeignKey("inspection.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("sha256", _SHA256, nullable=False),
)

defect = Table(
    "defect",
    metadata,
    Column("inspection_id", ForeignKey("inspection.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("camera", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    *(Column(f"{side}_px", Double, nullable=False) for side in ("x1", "y1", "x2", "y2")),
    *(Column(f"{side}_mm", Double) for side in ("x1", "y1", "x2", "y2")),
    Column("edge_near_mm", Double),
    Column("edge_far_mm", Double),
    Column("pieces", JSON(none_as_null=True)),
    Column("mask_area_mm2", Double),
    Column("outline_px", JSON(none_as_null=True)),
    Index(None, "kind", "inspection_id"),
)

measurement = Table(
    "measurement",
    metadata,
    Column("inspection_id", ForeignKey("inspection.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("unit", Text, nullable=False),
    Column("uncertainty", Double),
)

picture = Table(
    "picture",
    metadata,
    Column("inspection_id", ForeignKey("inspection.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("sha256", _SHA256, nullable=False, index=True),
    Column("camera", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("y_origin_mm", Double, nullable=False),
    Column("is_exact", Boolean, nullable=False),
)

# What was given up to make room, and by which rule: written before the pictures go.
pruning = Table(
    "pruning",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("rule", String(16), nullable=False),
)

pruned_picture = Table(
    "pruned_picture",
    metadata,
    Column("pruning_id", ForeignKey("pruning.id"), primary_key=True),
    Column("sha256", _SHA256, primary_key=True, index=True),
)

# Sums of what the tables above hold, which grow with them: see rollups.py.
rollup_units = Table(
    "rollup_units",
    metadata,
    Column("quarter", UtcTime, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("simulated", Boolean, primary_key=True),
    Column("verdict", _VERDICT, primary_key=True),
    *(
        Column(counted, BigInteger, nullable=False)
        for counted in (
            "units",
            "triggers",
            "frames_inspected",
            "frames_failed",
            "frames_lost",
            "unaccounted",
        )
    ),
)

# Of units that were produced: not of those shown to a lane in setup, or because they are known to be bad.
rollup_defects = Table(
    "rollup_defects",
    metadata,
    Column("quarter", UtcTime, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("simulated", Boolean, primary_key=True),
    Column("verdict", _VERDICT, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("defects", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
)

# The same units by what they were judged under: a change of it is a stage of a chart.
rollup_stages = Table(
    "rollup_stages",
    metadata,
    Column("quarter", UtcTime, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("simulated", Boolean, primary_key=True),
    Column("verdict", _VERDICT, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("units", BigInteger, nullable=False),
)

# Sums of what was measured on units that were inspected.
rollup_measurements = Table(
    "rollup_measurements",
    metadata,
    Column("quarter", UtcTime, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("simulated", Boolean, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("values", BigInteger, nullable=False),
    Column("total", Double, nullable=False),
)

inspection_begun = Table(
    "inspection_begun",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("scheme", String(16), nullable=False),
    Column("canon", _CODE, nullable=False),
    Column("read_as", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("recipe_name", Text, nullable=False),
    Column("recipe_revision", Integer, nullable=False),
    Column("recipe_sha256", _SHA256, nullable=False),
    Column("models", JSON, nullable=False),
    Column("started_at", UtcTime, nullable=False),
)

# ------------------------------------------------------------------ genealogy

_KIND = String(16)

unit_form = Table(
    "unit_form",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("length_mm", Double),
    Column("width_mm", Double),
    Column("quantity", Double),
    Column("quantity_unit", Text),
    Column("voided_by", Uuid),
    # All that is said of thousands of relatives, without reading the table.
    Index(None, "unit_id", "voided_by", "kind", "length_mm", "width_mm"),
)

link = Table(
    "link",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("parent_id", ForeignKey("unit.id"), nullable=False),
    Column("child_id", ForeignKey("unit.id"), nullable=False),
    # Under which of their codes they were named, as the statement said it.
    Column("parent_identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("child_identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("step", Uuid),
    Column("quantity", Double),
    Column("voided_by", Uuid),
    # Walking up or down reads these alone.
    Index(None, "parent_id", "voided_by", "child_id"),
    Index(None, "child_id", "voided_by", "parent_id"),
)

link_cut = Table(
    "link_cut",
    metadata,
    Column("link_id", ForeignKey("link.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    *(Column(f"parent_{side}_mm", Double, nullable=False) for side in ("x1", "y1", "x2", "y2")),
    *(Column(f"child_{side}_mm", Double, nullable=False) for side in ("x1", "y1", "x2", "y2")),
    Column("is_reversed", Boolean, nullable=False),
    Column("is_mirrored", Boolean, nullable=False),
    Column("is_turned", Boolean, nullable=False),
    Column("is_flipped", Boolean, nullable=False),
    Column("sigma_x_mm", Double, nullable=False),
    Column("sigma_y_mm", Double, nullable=False),
)

correction = Table(
    "correction",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("record_kind", _KIND, nullable=False),
    Column("record_id", Uuid, nullable=False, unique=True),
    Column("reason", Text, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", _SHA256),
)

# Names of people stand here and with their accounts, and nowhere else: records and the audit hold the commitment,
# and erasing a row leaves them whole.
person = Table(
    "person",
    metadata,
    Column("commitment", _SHA256, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("salt", String(64), nullable=False),
)

# What came a second time under the id of a record, and said something else.
contradiction = Table(
    "contradiction",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("record_kind", _KIND, nullable=False),
    Column("record_id", Uuid, nullable=False, index=True),
    Column("said", JSON, nullable=False),
    Column("received_at", UtcTime, nullable=False),
)


# ------------------------------------------------------------------ codes

# `next` counts up as codes are issued; nothing else in it changes.
code_block = Table(
    "code_block",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("prefix", _CODE, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("digits", Integer, nullable=False),
    Column("holder", Text, nullable=False),
    # Of the blocks a plant's server gave away, it issues from none.
    Column("is_issued_here", Boolean, nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("reserved_at", UtcTime, nullable=False),
    UniqueConstraint("prefix", "first"),
)

# What was done with a code, and why. The newest of an identifier says whether it is retired.
code_event = Table(
    "code_event",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    # The unit that the code named from then on.
    Column("unit_id", ForeignKey("unit.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)


# ------------------------------------------------------------------ who may act

account = Table(
    "account",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", _CODE, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("badge", _CODE, unique=True),
    Column("password_hash", Text),
    Column("pin_hash", Text),
    Column("is_active", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    # Of who signs in at the plant's identity provider: its address, and its name for the person.
    Column("provider_subject", String(600), index=True, unique=True),
)

session = Table(
    "session",
    metadata,
    Column("token_sha256", _SHA256, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("rights", JSON(none_as_null=True)),
    Column("opened_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("token_sha256", _SHA256, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("rights", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

review = Table(
    "review",
    metadata,
    # UUIDv7: in the order in which they were made.
    Column("id", Uuid, primary_key=True),
    Column("inspection_id", ForeignKey("inspection.id"), nullable=False),
    Column("at", UtcTime, nullable=False, index=True),
    Column("by", _SHA256, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("reason", Text),
    Column("is_repeat", Boolean, nullable=False),
    Column("takes_back", ForeignKey("review.id"), index=True),
    Index(None, "inspection_id", "id"),
    Index(None, "by", "id"),
)

quality_case = Table(
    "quality_case",
    metadata,
    # UUIDv7: in the order in which they were opened.
    Column("id", Uuid, primary_key=True),
    Column("opened_at", UtcTime, nullable=False),
    Column("source", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Index(None, "source", "key"),
)

case_act = Table(
    "case_act",
    metadata,
    # UUIDv7: in the order in which they were done.
    Column("id", Uuid, primary_key=True),
    Column("case_id", ForeignKey("quality_case.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("by", _SHA256, nullable=False),
    Column("act", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("facts", JSON(none_as_null=True)),
)

shift_handover = Table(
    "shift_handover",
    metadata,
    # UUIDv7: in the order in which they were handed over.
    Column("id", Uuid, primary_key=True),
    Column("station", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", _SHA256, nullable=False),
    Column("text", Text, nullable=False),
    Column("sheet", JSON, nullable=False),
    Index(None, "station", "id"),
)

# Once, and by somebody of the next shift.
shift_taken = Table(
    "shift_taken",
    metadata,
    Column("handover_id", ForeignKey("shift_handover.id"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("by", _SHA256, nullable=False),
    Column("text", Text, nullable=False),
)

# How far in the ledger each program that wants to be told has been told.
webhook = Table(
    "webhook",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("position", BigInteger, nullable=False),
    # Of what is told now: how often it failed, since when, and when it is tried again.
    Column("tries", Integer, nullable=False),
    Column("failing_since", UtcTime),
    Column("next_at", UtcTime),
)

kept_answer = Table(
    "kept_answer",
    metadata,
    Column("person_id", Uuid, primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_sha256", _SHA256, nullable=False),
    Column("asked_at", UtcTime, nullable=False, index=True),
    # Both null while the request is worked on.
    Column("status", Integer),
    Column("body", LargeBinary),
)

audit = Table(
    "audit",
    metadata,
    # UUIDv7: in the order in which they were made.
    Column("id", Uuid, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("by", _SHA256),
    Column("role", String(16)),
    Column("action", String(64), nullable=False),
    Column("subject", _CODE, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("reason", Text),
    Index(None, "by", "id"),
    Index(None, "subject", "id"),
)


# ------------------------------------------------------------------ what was done with units, and decided about them

process_step = Table(
    "process_step",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("equipment", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("operator", _SHA256),
    Column("program", Text),
    Column("materials", JSON, nullable=False),
    Column("tools", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Index(None, "kind", "equipment", "finished_at"),
)

step_unit = Table(
    "step_unit",
    metadata,
    Column("step_id", ForeignKey("process_step.id"), primary_key=True),
    Column("role", String(8), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False, index=True),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
)

gauge_series = Table(
    "gauge_series",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False, index=True),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("quantity", Text, nullable=False),
    Column("unit_of_measure", Text, nullable=False),
    Column("gauge", Text, nullable=False),
    Column("measured_at", UtcTime, nullable=False),
    Column("step", Uuid),
    # x mm, y mm, value, uncertainty of each: read as a whole and never searched.
    Column("points", JSON, nullable=False),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False, index=True),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", UtcTime, nullable=False),
    Column("placed_by", _SHA256),
    Column("containment", Uuid),
)

hold_release = Table(
    "hold_release",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("hold_id", ForeignKey("hold.id"), nullable=False, unique=True),
    Column("decision", _KIND, nullable=False),
    Column("reason", Text, nullable=False),
    Column("released_at", UtcTime, nullable=False),
    Column("released_by", _SHA256),
)

containment = Table(
    "containment",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("escape", ForeignKey("inspection.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("opened_by", _SHA256),
    Column("station", Text, nullable=False),
    Column("recipe_sha256", _SHA256, nullable=False),
    Column("models", JSON, nullable=False),
    Column("lot_identifier_id", ForeignKey("identifier.id")),
    Column("since", UtcTime),
    Column("until", UtcTime, nullable=False),
)

containment_unit = Table(
    "containment_unit",
    metadata,
    Column("containment_id", ForeignKey("containment.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("unit_id", ForeignKey("unit.id"), nullable=False),
    Column("identifier_id", ForeignKey("identifier.id"), nullable=False),
)

# ------------------------------------------------------------------ charts and gauges

# What people decided about charts: only ever added; the newest about a point, or about limits, holds.
chart_entry = Table(
    "chart_entry",
    metadata,
    # UUIDv7: in the order in which they were made.
    Column("id", Uuid, primary_key=True),
    Column("chart", Text, nullable=False),
    Column("kind", _KIND, nullable=False),
    Column("point", Text),
    Column("reason", Text, nullable=False),
    Column("value", JSON(none_as_null=True)),
    Column("at", UtcTime, nullable=False),
    Column("by", _SHA256, nullable=False),
    Index(None, "chart", "id"),
)

# The readings of a study; what follows from them is computed when it is asked for.
gauge_study = Table(
    "gauge_study",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", _KIND, nullable=False),
    Column("characteristic", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("readings", JSON, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("by", _SHA256),
    Column("simulated", Boolean, nullable=False),
    Index(None, "characteristic", "made_at"),
)

# ------------------------------------------------------------------ ledger

_POSITION = BigInteger().with_variant(Integer, "sqlite")

# One row, once the ledger has begun.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("began_at", UtcTime, nullable=False),
    # Those it holds: what a later version adds to them is taken in with the next record.
    Column("kinds", JSON, nullable=False),
)

ledger_leaf = Table(
    "ledger_leaf",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=False),
    Column("kind", _KIND, nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("hash", _SHA256, nullable=False),
    UniqueConstraint("record_id", "kind"),
)

ledger_block = Table(
    "ledger_block",
    metadata,
    Column("number", _POSITION, primary_key=True, autoincrement=False),
    Column("hash", _SHA256, nullable=False),
)

# What resolvers answer beside our own pages: documents that somebody registered for a unit or a class of units.
code_link = Table(
    "code_link",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("scheme", String(16), nullable=False),
    Column("canon", _CODE, nullable=False),
    Column("relation", Text, nullable=False),
    Column("href", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", String(16)),
    Column("media_type", Text),
    Column("context", Text),
    Column("is_default", Boolean, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Column("voided_at", UtcTime),
    Index(None, "scheme", "canon"),
)

# What other nodes answered, so that it is still there when the network is not.
code_elsewhere = Table(
    "code_elsewhere",
    metadata,
    Column("scheme", String(16), primary_key=True),
    Column("canon", _CODE, primary_key=True),
    Column("node", Text, nullable=False),
    Column("body", JSON(none_as_null=True)),
    Column("fetched_at", UtcTime, nullable=False),
    Column("fresh_until", UtcTime, nullable=False),
)

# ------------------------------------------------------------------ EPCIS

epcis_event = Table(
    "epcis_event",
    metadata,
    # By its hash: what comes twice is one.
    Column("event_id", Text, primary_key=True),
    # Made of that: under it the ledger holds it.
    Column("id", Uuid, nullable=False),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("event_time", UtcTime, nullable=False, index=True),
    Column("recorded_at", UtcTime, nullable=False),
    Column("action", Text),
    Column("biz_step", Text),
    Column("disposition", Text),
    Column("read_point", Text),
    Column("body", JSON, nullable=False),
    Index(None, "id"),
)

epcis_item = Table(
    "epcis_item",
    metadata,
    Column("event_id", ForeignKey("epcis_event.event_id"), primary_key=True),
    # Where in the event it is named: epc, parent, child, input, output, class.
    Column("role", String(16), primary_key=True),
    Column("key", _CODE, primary_key=True),
    Index(None, "key"),
)

epcis_capture = Table(
    "epcis_capture",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("has_succeeded", Boolean, nullable=False),
    Column("events", Integer, nullable=False),
    Column("mistakes", JSON, nullable=False),
)
