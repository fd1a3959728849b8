"""What an operator gets to see, as pydantic models in the standard's names, made from rows.

Rule: every instant in UTC with ``Z``, every duration as ISO 8601 text; absent values are null, never left out.
"""

from vtn.operator.fields import Instant, View


class TargetsView(View):
    """The targets an operator named."""

    venID: tuple[str, ...]
    resourceID: tuple[str, ...]
    groupID: tuple[str, ...]


class TelemetryView(View):
    """One value at one time; ``value`` with ``unit``, or a resource status."""

    venID: str
    resourceID: str | None
    reportName: str
    reportSpecifierID: str
    reportRequestID: str
    rID: str
    dtstart: Instant
    durationSeconds: int | None
    value: float | None
    unit: str | None
    online: bool | None
    manualOverride: bool | None
    dataQuality: str | None
    confidence: int | None
    accuracy: float | None
    receivedDateTime: Instant


class ProblemView(View):
    """An error (RFC 9457); ``field`` names what to correct."""

    type: str
    title: str
    status: int
    detail: str
    reference: str
    field: str | None = None
