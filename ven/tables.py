"""The VEN's tables, for SQLite and PostgreSQL alike, and the pairs that turn a value into a row and back.

Rule: every key begins with the name of the VTN, '' where there is only one. What an operator may ask for is a column;
whole events, requests and messages are JSON documents in the words of ``openadr.model``. Instants are kept in UTC and
read back aware.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from openadr.exchange import Service
from openadr.messages import ROOTS
from openadr.model import Event, OptType, ReportRequest
from runtime.columns import Instant
from ven.model import Owed, Registration, StoredEvent, StoredRequest

T = TypeVar("T")
Row = Mapping[str, Any]


class StoredValueError(Exception):
    """A row cannot be read back; the text names its table and key."""


metadata = MetaData()

registration = Table(
    "ven_registration",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("registration_id", String, nullable=False),
    Column("ven_id", String, nullable=False),
    Column("vtn_id", String, nullable=False),
    Column("poll_s", Float),
    Column("metadata_digest", String),
    Column("push_address", Text),
)

event = Table(
    "ven_event",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("modification_number", BigInteger, nullable=False),
    Column("opt_type", String, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("cancelled_at", Instant),
    Column("forgotten", Boolean, nullable=False),
    Column("document", Text, nullable=False),
)

report_request = Table(
    "ven_report_request",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("report_request_id", String, primary_key=True),
    Column("report_specifier_id", String, nullable=False),
    Column("next_due", Instant, nullable=False),
    Column("covered_until", Instant, nullable=False),
    Column("until", Instant),
    Column("last", Boolean, nullable=False),
    Column("document", Text, nullable=False),
)

outbox = Table(
    "ven_outbox",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("service", String, nullable=False),
    Column("root", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("broken", Integer, nullable=False),
    Column("document", Text, nullable=False),
)

nonce = Table(
    "ven_nonce",
    metadata,
    Column("fingerprint", String, primary_key=True),  # of the certificate that signed
    Column("nonce", String, primary_key=True),
    Column("forget_after", Instant, nullable=False),
    Index("ix_ven_nonce_forget_after", "forget_after"),
)

withdrawal = Table(
    "ven_withdrawal",
    metadata,
    Column("vtn", String, primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
)

_ONLY = 1  # a VEN has one registration


def _document(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read(row: Row, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(row["document"], type=kind)
    except msgspec.DecodeError as error:
        raise StoredValueError(f"{where}: {error}") from error


def withdrawal_row(value: datetime) -> Row:
    """Return the row of the operator's wish to leave the VTN."""
    return {"id": _ONLY, "at": value}


def registration_row(value: Registration) -> Row:
    """Return the row of the registration."""
    return {
        "id": _ONLY,
        "registration_id": value.registration_id,
        "ven_id": value.ven_id,
        "vtn_id": value.vtn_id,
        "poll_s": value.poll_s,
        "metadata_digest": value.metadata,
        "push_address": value.push_address,
    }


def registration_value(row: Row) -> Registration:
    """Return the registration of a row."""
    return Registration(
        registration_id=row["registration_id"],
        ven_id=row["ven_id"],
        vtn_id=row["vtn_id"],
        poll_s=row["poll_s"],
        metadata=row["metadata_digest"],
        push_address=row["push_address"],
    )


def event_row(value: StoredEvent) -> Row:
    """Return the row of an event."""
    return {
        "event_id": value.event.descriptor.event_id,
        "modification_number": value.event.descriptor.modification_number,
        "opt_type": value.opt_type.value,
        "request_id": value.request_id,
        "received_at": value.received_at,
        "cancelled_at": value.cancelled_at,
        "forgotten": value.forgotten,
        "document": _document(value.event),
    }


def event_value(row: Row) -> StoredEvent:
    """Return the event of a row."""
    return StoredEvent(
        event=_read(row, Event, f"ven_event {row['event_id']}"),
        received_at=row["received_at"],
        opt_type=OptType(row["opt_type"]),
        request_id=row["request_id"],
        cancelled_at=row["cancelled_at"],
        forgotten=row["forgotten"],
    )


def request_row(value: StoredRequest) -> Row:
    """Return the row of a report request."""
    return {
        "report_request_id": value.request.report_request_id,
        "report_specifier_id": value.request.specifier.report_specifier_id,
        "next_due": value.next_due,
        "covered_until": value.covered_until,
        "until": value.until,
        "last": value.last,
        "document": _document(value.request),
    }


def request_value(row: Row) -> StoredRequest:
    """Return the report request of a row."""
    return StoredRequest(
        request=_read(row, ReportRequest, f"ven_report_request {row['report_request_id']}"),
        next_due=row["next_due"],
        covered_until=row["covered_until"],
        until=row["until"],
        last=row["last"],
    )


def owed_row(value: Owed) -> Row:
    """Return the row of an owed message."""
    return {
        "seq": value.seq,
        "service": value.service.value,
        "root": f"oadr{type(value.message).__name__}",
        "created_at": value.created_at,
        "not_before": value.not_before,
        "attempts": value.attempts,
        "broken": value.broken,
        "document": _document(value.message),
    }


def owed_value(row: Row) -> Owed:
    """Return the owed message of a row."""
    return Owed(
        seq=row["seq"],
        service=Service(row["service"]),
        message=_read(row, ROOTS[row["root"]], f"ven_outbox {row['seq']}"),
        created_at=row["created_at"],
        not_before=row["not_before"],
        attempts=row["attempts"],
        broken=row["broken"],
    )
