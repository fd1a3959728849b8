"""Tables of the bridge's database, for SQLite and PostgreSQL alike; those of single devices are in ``device_tables``.

Rule: instants are stored in UTC by ``Instant`` and read back aware; only whole schedules are kept as JSON documents,
because a version of a schedule is immutable; everything an operator may ask for is a column.
"""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, false

from runtime.columns import Instant

metadata = MetaData()

draw = Table(
    "bridge_draw",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("start_u", Float, nullable=False),
    Column("release_u", Float, nullable=False),
)

installed = Table(
    "bridge_installed",
    metadata,
    Column("charger", String, primary_key=True),
    Column("schedule", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("accepted_at", Instant),
)

command = Table(
    "bridge_command",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("charger", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("schedule", Text),
    Column("outcome", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("done_at", Instant, nullable=False),
    Index("bridge_command_by_charger", "charger", "sent_at"),
)

outcome = Table(
    "bridge_outcome",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("modification_number", Integer, nullable=False),
    Column("charger", String, nullable=False),
    Column("programme", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("limit_a", Float),
    Column("effective_start", Instant, nullable=False),
    Column("effective_end", Instant),
    Column("known_at", Instant, nullable=False),
    Column("accepted_at", Instant),
    Column("applied_at", Instant),
    Column("verified_at", Instant),
    Column("kw_before", Float),
    Column("kw_during", Float),
    Column("kw_after", Float),
    Column("met", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("checked_at", Instant),
    Column("phase", String, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("scheduled_start", Instant),
    Column("scheduled_end", Instant),
    Index("bridge_outcome_by_phase", "phase"),
)

override = Table(
    "bridge_override",
    metadata,
    Column("override_id", String, primary_key=True),
    Column("resource_id", String, nullable=False),
    Column("event_ids", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("source", String, nullable=False),
    Column("start_at", Instant, nullable=False),
    Column("end_at", Instant),
    Column("closed", Boolean, nullable=False),
    Column("opt_id", String, nullable=False, server_default=""),
    Column("budgeted", Boolean, nullable=False, server_default=false()),
    Index("bridge_override_open", "closed"),
    Index("bridge_override_by_start", "start_at"),
)

opt_told = Table(
    "bridge_opt_told",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("opt_type", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("opt_id", String, nullable=False),
    Column("at", Instant, nullable=False),
)

reading = Table(
    "bridge_reading",
    metadata,
    Column("charger", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("power_w", Float),
    Column("max_a", Float),
    Column("energy_wh", Float),
    Column("estimated", Boolean, nullable=False, server_default=false()),
    Column("frequency_hz", Float),
    Index("bridge_reading_by_time", "at"),
)

standing = Table(
    "bridge_standing",
    metadata,
    Column("limit_id", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("resource_id", String),
    Column("group_id", String),
    Column("limit_a", Float),
    Column("limit_kw", Float),
    Column("reason", Text, nullable=False),
    Column("start_at", Instant, nullable=False),
    Column("end_at", Instant),
    Column("ended_at", Instant),
)

share = Table(
    "bridge_share",
    metadata,
    Column("division", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("limit_a", Float, nullable=False),
)

limit_history = Table(
    "bridge_limit_history",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("limit_a", Float),
    Column("source", String, nullable=False),
    Column("event_id", String),
    Column("reason", Text, nullable=False),
    Column("losers", Text, nullable=False),
    Index("bridge_limit_history_by_time", "at"),
)

attribution = Table(
    "bridge_attribution",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("start_at", Instant, primary_key=True),
    Column("end_at", Instant, nullable=False),
    Column("contracted_kw", Float),
    Column("requested_kw", Float),
    Column("effective_kw", Float),
    Column("metered_kw", Float),
    Column("counted_kw", Float),
    Column("source", String, nullable=False),
    Column("by_event", String),
    Column("outcome", String, nullable=False),
    Column("reason", Text, nullable=False),
    Index("bridge_attribution_by_time", "start_at"),
)

agreement = Table(
    "bridge_agreement",
    metadata,
    Column("agreement_id", String, primary_key=True),
    Column("resource_id", String, nullable=False),
    Column("context", String, nullable=False),
    Column("who", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("given_at", Instant, nullable=False),
    Column("until", Instant),
    Column("over_user", Boolean, nullable=False),
    Column("withdrawn_at", Instant),
    Index("bridge_agreement_by_resource", "resource_id"),
)

random_window = Table(
    "bridge_random_window",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("window_s", Integer),
)

charging_mode = Table(
    "bridge_charging_mode",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("mode", String, nullable=False),
    Column("at", Instant, nullable=False),
)

forecast = Table(
    "bridge_forecast",
    metadata,
    Column("kind", String, primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("end_at", Instant, nullable=False),
    Column("value", Float, nullable=False),
)

reference = Table(
    "bridge_reference",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("power_w", Float),
    Column("window_s", Float, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("content_wh", Float),
    Column("full_wh", Float),
    Column("content_at", Instant),
    Column("content_session", String, nullable=False, server_default=""),
)

supply = Table(
    "bridge_supply",
    metadata,
    Column("charger", String, primary_key=True),
    Column("event_id", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

heard = Table(
    "bridge_heard",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("at", Instant, nullable=False),
)

outage = Table(
    "bridge_outage",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("since", Instant, primary_key=True),
    Column("noticed", Instant, nullable=False),
    Column("until", Instant),
)

presence = Table(
    "bridge_presence",
    metadata,
    Column("charger", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("online", Boolean, nullable=False),
    Column("overridden", Boolean, nullable=False),
    Column("session", Boolean, nullable=False, server_default=false()),
    Column("level", Integer),
    Index("bridge_presence_by_time", "at"),
)

half_hour = Table(
    "bridge_half_hour",
    metadata,
    Column("charger", String, primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("energy_wh", Float),
    Column("mean_w", Float),
    Column("max_w", Float),
    Column("samples", Integer, nullable=False),
    Column("covered_s", Float, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Index("bridge_half_hour_by_time", "start"),
)

late = Table(
    "bridge_late",
    metadata,
    Column("start", Instant, primary_key=True),
    Column("noted", Instant, nullable=False),
)

alert = Table(
    "bridge_alert",
    metadata,
    Column("alert_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("cleared_at", Instant),
    Index("bridge_alert_by_time", "raised_at"),
)

alert_message = Table(
    "bridge_alert_message",
    metadata,
    Column("alert_id", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("document", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
)

content_told = Table(
    "bridge_content_told",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("at", Instant, nullable=False),
)

need = Table(
    "bridge_need",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("departure", Instant, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("energy_wh", Float),
    Column("target_soc", Float),
    Column("must_run", Boolean, nullable=False),
    Column("source", String, nullable=False),
    Column("session", String, nullable=False),
    Column("meter_wh", Float),
)

plug_in = Table(
    "bridge_plug_in",
    metadata,
    Column("charger", String, primary_key=True),
    Column("session", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Index("bridge_plug_in_by_time", "at"),
)
