"""Tables of reports: what VENs offer, what they are asked for, what they have sent, and what they are sent.

Rule: as in ``tables``.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
)

from runtime.columns import Instant, Micros
from vtn.store.tables import ID_LENGTH, SERIAL, identifier, metadata, ven_key

report_specifier = Table(
    "report_specifier",
    metadata,
    ven_key(primary_key=True),
    identifier("report_specifier_id", primary_key=True),
    Column("report_name", Text, nullable=False),
    Column("duration", Text),
    Column("registered_at", Instant, nullable=False),
    Column("remarks", Text, nullable=False, server_default="[]"),  # what is irregular in it, with the rule
)

report_description = Table(
    "report_description",
    metadata,
    Column("ven_id", String(ID_LENGTH), primary_key=True),
    Column("report_specifier_id", String(ID_LENGTH), primary_key=True),
    identifier("r_id", primary_key=True),
    Column("report_type", Text, nullable=False),
    Column("resource_id", String(ID_LENGTH)),  # set if the data source is exactly one resource
    Column("document", Text, nullable=False),
    ForeignKeyConstraint(
        ["ven_id", "report_specifier_id"],
        ["report_specifier.ven_id", "report_specifier.report_specifier_id"],
        ondelete="CASCADE",
    ),
)

report_request = Table(
    "report_request",
    metadata,
    identifier("report_request_id", primary_key=True),
    ven_key(),
    Column("report_specifier_id", String(ID_LENGTH), nullable=False),
    Column("report_name", Text, nullable=False),
    Column("state", String(16), nullable=False),  # RequestState
    Column("created_at", Instant, nullable=False),
    Column("last_data_at", Instant),
    Column("document", Text, nullable=False),  # the ReportRequest
    Column("points", Text, nullable=False),  # rID -> resourceID and unit at the time of asking
    Column("request_id", Text, nullable=False, server_default=""),  # of the payload that carried it
    Column("actor", Text),  # null: asked by policy
    Column("standing", Boolean, nullable=False, server_default=false()),  # asked again after new METADATA (R306)
    Column("confirmed_at", Instant),
    Column("due_at", Instant),  # when to look at it again: late by then, or at its end
    Column("overdue_since", Instant),
    Column("ended_at", Instant),
    Column("reason", Text),  # why it was refused or ended
    Column("response_code", Integer),
    Column("received", Integer, nullable=False, server_default="0"),  # reports
    Column("stray", Integer, nullable=False, server_default="0"),  # reports that came after its end
    Column("to_follow", Boolean, nullable=False, server_default=false()),  # one more report was asked for (R345)
    Column("cancel_id", Text),  # requestID of the oadrCancelReport
    Index(None, "ven_id"),
    Index(None, "due_at"),
    Index(None, "created_at"),
)

data_point = Table(
    "data_point",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    identifier("report_request_id"),
    identifier("r_id"),
    identifier("report_specifier_id"),
    Column("report_name", Text, nullable=False),
    identifier("resource_id"),  # '' where there is none
    Column("unit", Text, nullable=False),  # with its SI prefix, for example kW; '' where there is none
    Index(
        "uq_data_point",
        *("ven_id", "report_request_id", "r_id", "report_specifier_id", "report_name", "resource_id", "unit"),
        unique=True,
    ),
)

telemetry = Table(
    "telemetry",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("point_id", ForeignKey("data_point.id", ondelete="CASCADE"), nullable=False),
    Column("dtstart", Micros, nullable=False),
    Column("duration_s", BigInteger),  # null: point data (R315)
    Column("value", Float),
    Column("online", Boolean),
    Column("manual_override", Boolean),
    Column("load_control_state", Text),
    Column("data_quality", Text),
    Column("confidence", Integer),
    Column("accuracy", Float),
    Column("received_at", Micros, nullable=False),
    Index("uq_telemetry_point", "point_id", "dtstart", unique=True),
    Index(None, "dtstart"),
)

telemetry_latest = Table(
    "telemetry_latest",
    metadata,
    ven_key(primary_key=True),
    Column("resource_key", String(ID_LENGTH), primary_key=True),  # the resourceID, '' where there is none
    Column("report_name", String(ID_LENGTH), primary_key=True),
    identifier("r_id", primary_key=True),
    Column("dtstart", Instant, nullable=False),
    Column("document", Text, nullable=False),  # the newest Telemetry of the point
)

report_document = Table(
    "report_document",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    identifier("report_request_id"),
    Column("position", Integer, nullable=False),  # of the document within its report
    Column("report_specifier_id", String(ID_LENGTH), nullable=False),
    Column("report_name", Text, nullable=False),
    Column("dtstart", Instant),
    Column("received_at", Instant, nullable=False),
    Column("body", Text, nullable=False),  # the atom:feed as it came
    Index("uq_report_document_place", "ven_id", "report_request_id", "position", unique=True),
)

ven_report = Table(
    "ven_report",
    metadata,
    ven_key(primary_key=True),
    Column("metadata_at", Instant),  # when the VEN's METADATA came last
    Column("asked_at", Instant),  # when it was asked for METADATA last because something was missing
    Column("offered_at", Instant),  # when our METADATA was last made
    Column("offer", Text, nullable=False, server_default="[]"),  # the reports in it
)

own_report = Table(
    "own_report",
    metadata,
    ven_key(primary_key=True),
    identifier("report_request_id", primary_key=True),
    Column("report_specifier_id", String(ID_LENGTH), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_due", Instant),  # null: nothing more will be sent
    Column("covered_until", Instant, nullable=False),
    Column("until", Instant),  # null: for ever (R325)
    Column("last", Boolean, nullable=False),  # the next report is the last one
    Column("sent", Integer, nullable=False, server_default="0"),  # reports put into the queue
    Column("request_id", Text, nullable=False, server_default=""),  # of the newest of them
    Column("ended_at", Instant),
    Column("reason", Text),
    Column("document", Text, nullable=False),  # the ReportRequest
    Index(None, "next_due"),
)
