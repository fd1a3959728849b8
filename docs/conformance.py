"""The conformance pages: ``conformance.md`` from the table of rules and the names of the tests, ``pics.md`` beside it.

Rule: nothing is claimed here; statuses come from ``tests/conformance/rules.py``, proofs from the test tree, and what is
offered from the tables that the code itself works with.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from bridge.programmes import load, names
from bridge.telemetry import STATUS, USAGE
from openadr.exchange import PROFILES, SERVICE_OF, VEN_ACCEPTS, VTN_ACCEPTS, Service
from openadr.messages import Message
from openadr.signals import RULES as SIGNALS
from openadr.tls import OPENADR_SUITES, TlsProfile
from tests.conformance.kinds import Rule, Standing, Status
from tests.conformance.rules import RULES
from tests.conformance.scan import Proof, proving, scan
from vtn.services.context import ReportPolicy

_ORDER = (Status.MET, Status.PARTLY, Status.NOT_MET, Status.NOT_APPLICABLE)
_CHAPTERS: tuple[tuple[int, str], ...] = (
    (1, "Events, inherited from 2.0a"),
    (100, "Events, added by 2.0b"),
    (200, "Opts"),
    (300, "Reports"),
    (400, "Registration"),
    (500, "General"),
)
_REPORTS: tuple[tuple[str, str | None], ...] = (
    ("TELEMETRY_USAGE", USAGE),
    ("TELEMETRY_STATUS", STATUS),
    ("HISTORY_USAGE", None),
    ("HISTORY_GREENBUTTON", None),
)


def conformance() -> str:
    """Return ``conformance.md``."""
    proofs = scan()
    lines = [
        "# Conformance rules of OpenADR 2.0b",
        "",
        "Made by `make docs` from the table in [`tests/conformance`](../../tests/conformance) and from the names of",
        "the tests: a test function whose name has `rule_050` proves rule 50. The restatements are our own words; the",
        "rules are those of the 2.0b Profile Specification. This is no certificate: no test house has seen this code.",
        "T binds the VTN, N the VEN, B both; each table has the rules that bind its party.",
        "",
        "| | " + " | ".join(_ORDER) + " | rules |",
        "|---|" + "---|" * (len(_ORDER) + 1),
        _sum("VTN", [rule.vtn for rule in RULES if rule.vtn is not None]),
        _sum("VEN", [rule.ven for rule in RULES if rule.ven is not None]),
        "",
    ]
    for title, party in (("VTN", "T"), ("VEN", "N")):
        lines += [f"## {title}", "", *_table(party, proofs)]
    lines += ["## Not met and why", "", *_holes()]
    return "\n".join(lines).rstrip() + "\n"


def _sum(name: str, standings: list[Standing]) -> str:
    count = Counter(standing.status for standing in standings)
    return f"| {name} | " + " | ".join(str(count[status]) for status in _ORDER) + f" | {len(standings)} |"


def _standing(rule: Rule, party: str) -> Standing | None:
    return rule.vtn if party == "T" else rule.ven


def _table(party: str, proofs: tuple[Proof, ...]) -> list[str]:
    lines = []
    for chapter, title in _CHAPTERS:
        rows = [rule for rule in RULES if (rule.number // 100 * 100 or 1) == chapter and _standing(rule, party)]
        lines += [f"### {title}", "", "| rule | | restated | status | tests |", "|---|---|---|---|---|"]
        lines += [_row(rule, party, proofs) for rule in rows] + [""]
    return lines


def _row(rule: Rule, party: str, proofs: tuple[Proof, ...]) -> str:
    standing = _standing(rule, party) or Standing()
    status = f"{standing.status}{': ' + standing.reason if standing.reason else ''}"
    return f"| {rule.number} | {rule.party} | {rule.text} | {status} | {_tests(proving(proofs, rule.number, party))} |"


def _tests(proofs: Iterable[Proof]) -> str:
    """Return a link to each file with the names of its tests."""
    files = groupby(proofs, key=lambda proof: proof.path)
    return "<br>".join(
        f"[{path.removeprefix('tests/')}](../../{path}): " + ", ".join(f"`{each.name[5:]}`" for each in found)
        for path, found in files
    )


def _holes() -> list[str]:
    lines = []
    for title, party in (("VTN", "T"), ("VEN", "N")):
        lines += [f"### {title}", ""]
        for rule in RULES:
            standing = _standing(rule, party)
            if standing is not None and standing.status in (Status.PARTLY, Status.NOT_MET):
                lines.append(f"- Rule {rule.number} ({standing.status}): {standing.reason}.")
        lines.append("")
    return lines


# --- pics.md ----------------------------------------------------------------------------------------------------------


def pics() -> str:
    """Return ``pics.md``."""
    lines = [
        "# What is implemented (PICS)",
        "",
        "Made by `make docs` from the tables that the code works with. The rules one by one:",
        '[conformance.md](conformance.md). "yes" is implemented and tested, "part" says what is missing, "no" is no.',
        "",
        *_block("Profiles, transports, security", _TRANSPORTS),
        *_block("Services", _services()),
        *_block("Signals", _signals()),
        *_block("Event content", _EVENTS),
        *_block("Reports", _reports()),
        *_block("Targets", _TARGETS),
        *_block("Opts", _OPTS),
    ]
    return "\n".join(lines).rstrip() + "\n"


_Row = tuple[str, str, str]


def _block(title: str, rows: Iterable[_Row]) -> list[str]:
    return [f"## {title}", "", "| | VTN | VEN |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _named(kinds: Iterable[type[Message]], service: Service) -> str:
    mine = sorted(f"`oadr{kind.__name__}`" for kind in kinds if SERVICE_OF[kind] is service)
    return ", ".join(mine) or "-"


def _services() -> list[_Row]:
    rows = [
        (f"{service}: takes", _named(VTN_ACCEPTS[service], service), _named(VEN_ACCEPTS, service))
        for service in Service
    ]
    return [
        *rows,
        ("begun by itself", "METADATA (empty), events, report requests in `oadrRegisteredReport`", "everything else"),
        ("begun by an operator", "events and their cancel", "opts"),
        ("`oadrRequestReregistration`", "no: cannot be asked for", "yes: obeyed"),
        ("`oadrCancelPartyRegistration`", "part: obeyed, cannot be begun", "part: obeyed, never begun"),
        ("`oadrCreateReport`, `oadrCancelReport`", "part: answered, cannot be begun", "part: obeyed, never begun"),
    ]


def _signals() -> list[_Row]:
    programmes = load(names()).by_context.values()
    mapped = {(each.name, str(each.type)) for programme in programmes for each in programme.signals}
    other = "part: refused (460) unless a programme lists it"
    known = sorted({(str(name), str(kind)) for name, kind in SIGNALS})
    return [
        (f"`{name}` / `{kind}`", "yes", "yes: in the shipped programmes" if (name, kind) in mapped else other)
        for name, kind in known
    ] + [("`x-...`", "yes: any type, unit and value", other)]


def _reports() -> list[_Row]:
    asked = ReportPolicy().names
    return [
        (
            f"`{name}`",
            "yes: asked for and stored" if name in asked else "no: never asked for",
            "no" if specifier is None else f"yes: specifier `{specifier}`",
        )
        for name, specifier in _REPORTS
    ] + [
        ("METADATA", "yes: taken; its own has no reports", "yes: sent when registered, changed or asked for"),
        ("periodic", "yes", "yes"),
        ("one-shot", "part: taken, never asked for", "yes"),
        ("on change", "no", "no: refused (454)"),
        ("cancel, with a last report", "no", "yes"),
        ("request by an operator", "no", "-"),
        ("stored until delivered", "-", "yes: survives outage and restart"),
    ]


_SUITES = ", ".join(f"`{suite}`" for suite in OPENADR_SUITES)
_PROFILE = ", ".join(f"{profile.profile_name} over {' and '.join(profile.transports)}" for profile in PROFILES)
_TRANSPORTS: tuple[_Row, ...] = (
    ("profile offered", _PROFILE, _PROFILE),
    ("2.0a", "no", "no"),
    ("HTTP pull", "yes", "yes"),
    ("HTTP push", "yes: VENs that register for it", "yes, instead of pull: `[ven.push]`"),
    ("XMPP", "no", "no"),
    ("standard security: mutual TLS 1.2", f"yes: {_SUITES}", f"yes: {_SUITES}"),
    ("TLS profiles by configuration", *(", ".join(f"`{each}`" for each in TlsProfile),) * 2),
    ("RSA and ECC certificates", "yes, both at once", "yes, one of them"),
    ("high security: XML signature", "yes, by default where a VEN signs", "yes, by setting"),
    ("report-only VEN", "part: registered and served like any other", "no"),
    ("several VTNs at once", "-", "no: one"),
)
_EVENTS: tuple[_Row, ...] = (
    ("create, cancel", "yes", "yes"),
    ("modify", "no: an operator cannot", "yes"),
    ("several signals and intervals, open-ended events", "yes", "yes"),
    ("startafter (random start and stop)", "yes: sent", "yes: drawn for each charger"),
    ("ramp-up, recovery, notification", "yes: sent", "part: shown, not acted on"),
    ("currentValue", "no: never sent", "part: read, not needed"),
    ("baseline", "no", "part: read and checked, not used"),
    ("test event", "yes", "yes: only chargers enrolled for tests"),
    ("`oadrResponseRequired` always, never", "yes", "yes"),
    ("replyLimit", "yes", "never sent"),
)
_TARGETS: tuple[_Row, ...] = (
    ("venID, resourceID, groupID", "yes: resolved for each VEN, sent as venID and resourceID", "yes"),
    ("groupName", "no", "yes: as a group"),
    ("partyID, areas, nodes, meters", "no", "no: such a target names nothing (462)"),
    ("device class of a signal", "yes: sent", "yes"),
)
_OPTS: tuple[_Row, ...] = (
    ("opt of an event, whole VEN", "yes", "yes: by `oadrCreatedEvent`"),
    ("opt of an event, single resources", "yes", "yes: by `oadrCreateOpt`"),
    ("opt schedules", "yes: taken, replaced, cancelled, shown", "no"),
    ("programme rules for schedules", "no", "-"),
)

PAGES = {"conformance.md": conformance, "pics.md": pics}
