"""Rules 400 to 517: registration and what holds for everything."""

from tests.conformance.kinds import met, na, not_met, partly, rule

_NO_XMPP = "XMPP is not planned"

PARTY_RULES = (
    rule(400, "B", "venID, vtnID and registrationID are checked: 452."),
    rule(
        401,
        "B",
        "Query and create by the VEN, re-registration by the VTN, cancel by both; a configured VEN tries at power-up.",
    ),
    rule(402, "B", "Contents of oadrCreatePartyRegistration; registrationID never in a new registration."),
    rule(403, "B", "The answer to a create has all profiles and transports, IDs, and the poll frequency for pull."),
    rule(404, "B", "The answer to a query names no IDs to a VEN that is not registered."),
    rule(405, "B", "Registration before anything else; then METADATA both ways and oadrRequestEvent."),
    rule(406, "T", "A new registration of a registered VEN erases its reports and registration."),
    rule(407, "B", "A cancelled registration erases everything about the peer."),
    rule(
        500,
        "B",
        "oadrPoll is answered with one payload, repeated until oadrResponse, never used in push.",
    ),
    rule(501, "B", "Every VTN and every HTTP VEN has oadrPoll."),
    rule(502, "T", "New or changed content triggers a payload, a mere change of status need not; always complete."),
    rule(
        506,
        "B",
        "A VTN serves 2.0a too; a VEN may.",
        not_met("2.0b only; 2.0a VENs get HTTP 404 or 406"),
        na("optional for a VEN; 2.0b only"),
    ),
    rule(507, "B", "A VTN has XMPP, in the push model.", not_met(_NO_XMPP), na("this VEN speaks HTTP")),
    rule(508, "N", "Every payload to the VTN names the venID."),
    rule(509, "B", "schemaVersion stands on every payload."),
    rule(
        510,
        "B",
        "The minimum of services, signals, reports and targets.",
        partly("all of it over HTTP pull and push; XMPP is missing"),
    ),
    rule(511, "B", "URLs are `.../OpenADR2/Simple/2.0b/<service>`, spelled so; equal paths are equal."),
    rule(
        512,
        "B",
        "venID and vtnID are case-sensitive; marketContexts are compared after normalisation.",
    ),
    rule(
        514,
        "B",
        "High security: XML signatures with replay protection.",
        met("off, accept or require by setting; SHA-1 forms only if allowed"),
        met("by setting; with it unsigned answers are not read"),
    ),
    rule(515, "B", "XMPP: identities, presence, discovery, no traffic among VENs.", not_met(_NO_XMPP), na("HTTP VEN")),
    rule(516, "B", "No application traffic with expired certificates."),
    rule(
        517, "T", "Refused identity 403, unknown or unregistered 463, foreign ID 452.", met("TLS ends instead of 403")
    ),
)
