"""The VTN's tables as SQLAlchemy Core metadata: what the migrations build and the repositories speak.

Rule: instants are stored as UTC and read as aware UTC; values that are replaced only as a whole (an event, an opt, a
report request) are kept as JSON documents beside the columns that are searched.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from runtime.columns import Instant

ID_LENGTH = 255  # identifiers are opaque strings without a limit in the XSD; longer ones are refused by the services
SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER key


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identifier(name: str, **options: Any) -> Column[str]:
    """Make a column for an identifier of the standard."""
    return Column(name, String(ID_LENGTH), **{"nullable": False, **options})


def ven_key(**options: Any) -> Column[str]:
    """Make the column of the VEN that a row belongs to, and goes with."""
    return Column("ven_id", ForeignKey("ven.ven_id", ondelete="CASCADE"), nullable=False, **options)


ven = Table(
    "ven",
    metadata,
    identifier("ven_id", primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("ven_name", Text),
    Column("enrolled_at", Instant, nullable=False),
    identifier("registration_id", nullable=True, unique=True),
    Column("registered_at", Instant),
    Column("profile_name", String(16)),
    Column("transport_name", String(16)),
    Column("transport_address", Text),
    Column("http_pull_model", Boolean),
    Column("report_only", Boolean, nullable=False, default=False),
    Column("xml_signature", Boolean, nullable=False, default=False),
    Column("last_seen", Instant),
    Column("poll_freq_s", Integer),  # what an operator wants it to be told; null: the VTN's own
    Column("told_poll_s", Integer),  # oadrRequestedOadrPollFreq of its registration
    Column("old_fingerprint", String(64)),  # of the certificate before the present one, good until old_until
    Column("old_until", Instant),
    Column("old_last_seen", Instant),
    Column("certificate_cn", Text),  # of the certificate that registered
    Column("certificate_not_after", Instant),
    Column("suspended_at", Instant),
    Column("suspended_reason", Text),
    Column("cancel_by", Instant),  # an operator cancels the registration: it ends with the VEN's answer, or then
    Column("ended_at", Instant),  # when the last registration ended, how, and its registrationID
    Column("ended_by", String(16)),  # EndedBy
    Column("ended_registration_id", String(ID_LENGTH)),
    Index("uq_ven_old_fingerprint", "old_fingerprint", unique=True),
    Index(None, "cancel_by"),
)

candidate = Table(
    "candidate",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("state", String(16), nullable=False),  # CandidateState
    Column("subject_cn", Text, nullable=False),
    Column("issuer_cn", Text, nullable=False),
    Column("not_after", Instant),
    Column("ven_name", Text),  # what it calls itself
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Index(None, "state", "first_seen"),
    Index(None, "last_seen"),
)

ven_resource = Table(
    "ven_resource",
    metadata,
    ven_key(primary_key=True),
    identifier("resource_id", primary_key=True),
    Column("source", String(16), nullable=False),  # enrolment | metadata
    Index(None, "resource_id"),
)

ven_group = Table(
    "ven_group",
    metadata,
    Column("ven_id", String(ID_LENGTH), primary_key=True),
    Column("resource_id", String(ID_LENGTH), primary_key=True),
    identifier("group_id", primary_key=True),
    ForeignKeyConstraint(
        ["ven_id", "resource_id"], ["ven_resource.ven_id", "ven_resource.resource_id"], ondelete="CASCADE"
    ),
    Index(None, "group_id"),
)

ven_attribute = Table(
    "ven_attribute",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    identifier("resource_id", nullable=True),  # null: of the VEN as a whole
    Column("kind", String(16), nullable=False),  # party | area | deviceClass
    identifier("value"),
    ForeignKeyConstraint(
        ["ven_id", "resource_id"], ["ven_resource.ven_id", "ven_resource.resource_id"], ondelete="CASCADE"
    ),
    Index(None, "kind", "value"),
    Index(None, "ven_id"),
)

ven_payload = Table(
    "ven_payload",
    metadata,
    ven_key(primary_key=True),
    Column("changed_at", Instant, nullable=False),  # when an event of this VEN was last made or changed (R115)
)

market_context = Table(
    "market_context",
    metadata,
    Column("uri", Text, primary_key=True),  # normalised (R512)
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("modified_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

event = Table(
    "event",
    metadata,
    identifier("event_id", primary_key=True),
    Column("modification_number", Integer, nullable=False),
    Column("market_context", Text, nullable=False),
    Column("dtstart", Instant, nullable=False),
    Column("near_at", Instant),  # dtstart less the ramp-up (R13); null: dtstart
    Column("ends_at", Instant),  # dtstart + duration; null: open-ended
    Column("payload_end", Instant),  # dtstart + duration + startafter (R66); null: open-ended
    Column("cancelled", Boolean, nullable=False, default=False),
    Column("response_required", String(8), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("modified_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "dtstart"),
    Index(None, "payload_end"),
)

event_version = Table(
    "event_version",
    metadata,
    Column("event_id", ForeignKey("event.event_id", ondelete="CASCADE"), primary_key=True),
    Column("modification_number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("document", Text, nullable=False),
)

event_ven = Table(
    "event_ven",
    metadata,
    Column("event_id", ForeignKey("event.event_id", ondelete="CASCADE"), primary_key=True),
    ven_key(primary_key=True),
    Column("whole_ven", Boolean, nullable=False),  # the target names no resource of this VEN: all of them
    Column("due_at", Instant),  # since when it is to be handed out; null: the VEN has answered
    Column("answered_modification", Integer),
    Column("answered_at", Instant),
    Column("response_code", Integer),
    Column("response_description", Text),
    Column("answer", String(8)),  # optType of the last oadrCreatedEvent
    Column("qualified", String(8)),  # optType of an oadrCreateOpt for the whole VEN (R206)
    Column("qualified_reason", Text),
    Column("parts", Text),  # signalIDs and baselineID that concern this VEN, as JSON; null: all
    Column("withdrawn", Integer),  # the version that left this VEN out: to the VEN the event is cancelled with it
    Column("withdrawn_at", Instant),
    Column("withdrawn_end", Instant),  # until when the withdrawal is in payloads
    Column("told_until", Instant),  # until when it is in this VEN's payloads, so that years of old events cost nothing
    Index(None, "ven_id", "told_until"),
)

handout = Table(
    "handout",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    Column("payload_id", String(32), nullable=False),  # of its events, which many VENs share
    Column("request_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("told_until", Instant),  # when its events have left payloads; null: the VEN has registered anew since
    Index(None, "ven_id", "told_until"),
    Index(None, "payload_id", "ven_id"),
)

payload_event = Table(
    "payload_event",
    metadata,
    Column("payload_id", String(32), primary_key=True),
    Column("event_id", ForeignKey("event.event_id", ondelete="CASCADE"), primary_key=True),
    Column("modification_number", Integer, nullable=False),
    Column("again_s", Float),  # how long after its hand-out it is due again; null: never
    Index(None, "event_id", "modification_number"),
)

event_resource = Table(
    "event_resource",
    metadata,
    Column("event_id", String(ID_LENGTH), primary_key=True),
    Column("ven_id", String(ID_LENGTH), primary_key=True),
    identifier("resource_id", primary_key=True),
    Column("opt_type", String(8)),
    Column("source", String(16)),  # createdEvent | createOpt: precedence R206
    Column("reason", Text),
    Column("opt_id", Text),
    Column("at", Instant),
    ForeignKeyConstraint(["event_id", "ven_id"], ["event_ven.event_id", "event_ven.ven_id"], ondelete="CASCADE"),
)

opt = Table(
    "opt",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    identifier("opt_id"),
    Column("kind", String(16), nullable=False),  # schedule | event
    Column("opt_type", String(8), nullable=False),
    Column("opt_reason", Text, nullable=False),
    Column("market_context", Text),
    Column("event_id", String(ID_LENGTH)),
    Column("modification_number", Integer),
    Column("created_date_time", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("superseded_at", Instant),
    Column("superseded_for", Text, nullable=False, default="[]"),  # resourceIDs that a later schedule took over
    Column("cancelled_at", Instant),
    Column("ends_at", Instant),  # of a schedule: when its last window is over; null: open-ended
    Column("windows", Integer, nullable=False, server_default="0"),  # of a schedule
    Column("document", Text, nullable=False),
    Index(None, "ven_id", "opt_id"),
    Index(None, "received_at"),
)

outbound = Table(
    "outbound",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    ven_key(),
    Column("root", String(48), nullable=False),
    Column("request_id", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant),  # null: done or given up
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent_at", Instant),
    Column("answered_at", Instant),
    Column("response_code", Integer),
    Index(None, "ven_id", "due_at"),
)

push = Table(
    "push",
    metadata,
    ven_key(primary_key=True),
    Column("due_at", Instant),  # when there is something to push; null: nothing, or given up
    Column("news", BigInteger, nullable=False),  # counts what made the VEN due, so that nothing new is overlooked
    Column("not_before", Instant),  # back-off after failures
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("failed_at", Instant),
    Column("error", Text),
    Column("delivered_at", Instant),
    Column("lease_owner", String(64)),  # the process that pushes to it now
    Column("lease_until", Instant),
    Index(None, "due_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    identifier("key", primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
)

nonce = Table(
    "nonce",
    metadata,
    Column("fingerprint", String(64), primary_key=True),  # of the certificate that signed
    Column("nonce", String(256), primary_key=True),
    Column("forget_after", Instant, nullable=False),
    Index(None, "forget_after"),
    sqlite_with_rowid=False,
)

change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("counter", BigInteger, nullable=False),
)
