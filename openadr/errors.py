"""The one error tree: each error knows whose fault it is and which responseCode or HTTP status it means.

Rule: services and sessions raise these; each edge maps them once. ``description`` is written for the peer's operator:
it names the field and the rule and never carries secrets or stack traces.
"""

from enum import IntEnum, StrEnum
from typing import ClassVar


class ResponseCode(IntEnum):
    """oadr responseCode values (2.0b profile, table of application errors)."""

    OK = 200
    OUT_OF_SEQUENCE = 450
    NOT_ALLOWED = 451
    INVALID_ID = 452
    NOT_RECOGNIZED = 453
    INVALID_DATA = 454
    COMPLIANCE_ERROR = 459
    SIGNAL_NOT_SUPPORTED = 460
    REPORT_NOT_SUPPORTED = 461
    TARGET_MISMATCH = 462
    NOT_REGISTERED = 463
    DEPLOYMENT_ERROR = 469


class Fault(StrEnum):
    """Whose fault an error is: the peer sent something wrong, or we failed."""

    PEER = "peer"
    OURS = "ours"


class OadrError(Exception):
    """An application error: HTTP 200 with the normal answer type carrying ``code`` (R33, R48)."""

    code: ClassVar[ResponseCode] = ResponseCode.COMPLIANCE_ERROR
    fault: ClassVar[Fault] = Fault.PEER

    def __init__(self, description: str, *, field: str = "") -> None:
        """Keep ``description`` (for responseDescription) and ``field`` (the element at fault, '' if none)."""
        super().__init__(description)
        self.description = description
        self.field = field


class OutOfSequence(OadrError):
    """450: lower or mismatching modificationNumber, uid or event order."""

    code = ResponseCode.OUT_OF_SEQUENCE


class NotAllowed(OadrError):
    """451: the state does not permit it, for example changing the past."""

    code = ResponseCode.NOT_ALLOWED


class InvalidId(OadrError):
    """452: a venID, vtnID, eventID, optID, registrationID, report ID or rID unknown or foreign."""

    code = ResponseCode.INVALID_ID


class NotRecognized(OadrError):
    """453: an unknown reportName and the like."""

    code = ResponseCode.NOT_RECOGNIZED


class InvalidData(OadrError):
    """454: a value out of range, or more report data asked than offered."""

    code = ResponseCode.INVALID_DATA


class ComplianceError(OadrError):
    """459: missing information or a payload that does not belong to the service."""

    code = ResponseCode.COMPLIANCE_ERROR


class SignalNotSupported(OadrError):
    """460: signal name, type or unit not supported."""

    code = ResponseCode.SIGNAL_NOT_SUPPORTED


class ReportNotSupported(OadrError):
    """461: a known report that is not supported."""

    code = ResponseCode.REPORT_NOT_SUPPORTED


class TargetMismatch(OadrError):
    """462: target or marketContext is not ours."""

    code = ResponseCode.TARGET_MISMATCH


class NotRegistered(OadrError):
    """463: not registered, or not authorised."""

    code = ResponseCode.NOT_REGISTERED


class DeploymentError(OadrError):
    """469: for example a resource that cannot be resolved."""

    code = ResponseCode.DEPLOYMENT_ERROR


class WireError(Exception):
    """The bytes cannot be taken as an OpenADR message at all: answered by an HTTP status, never by a responseCode."""

    http_status: ClassVar[int] = 406
    fault: ClassVar[Fault] = Fault.PEER

    def __init__(self, description: str) -> None:
        """Keep ``description``: one line saying what was expected."""
        super().__init__(description)
        self.description = description


class NotXml(WireError):
    """Not well-formed XML, or XML with a DTD or entities (SEC-30)."""


class TooLarge(WireError):
    """The body exceeds the configured limit (SEC-30)."""

    http_status = 413


class SchemaInvalid(WireError):
    """Fails the official 2.0b XSD."""


class UnknownPayload(WireError):
    """A payload the 2.0b schema does not know, or another OpenADR version."""


class SignatureInvalid(WireError):
    """The XML signature does not prove who sent the message: such a message is not acted on (R514)."""

    http_status = 403


class SignatureMissing(SignatureInvalid):
    """There is no XML signature at all; an edge that does not demand one may ``decode`` the message instead (R514)."""


class Replayed(SignatureInvalid):
    """Rightly signed, but not now: the time of sending is outside the window, or the nonce was used before (R514)."""
