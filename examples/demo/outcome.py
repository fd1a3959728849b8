"""The outcome table of one event and the check against what each charger must have come to.

Rule: the verdict is the bridge's, the opt is what the VTN holds, and the power is checked here once more against the
limit, so that a verdict that the meter does not bear out fails the demonstration.
"""

from dataclasses import dataclass
from typing import Any

from rich.markup import escape

from examples.demo import behind
from examples.demo.acts import Act
from examples.demo.fleet import DemoCharger, Expected
from examples.demo.stage import STATE_STYLE, VOLTAGE, Stage

COMPLIES = {"verified", "constrained_by", "applied"}  # after a kill it is a question of when the meter was read last
SLACK_KW = 0.25  # meter and control error of the simulated chargers


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One charger in one event: the bridge's outcome, the VTN's view of the resource, the faults found."""

    charger: DemoCharger
    expected: Expected
    outcome: dict[str, Any]
    opt: str
    opt_reason: str
    telemetry: int
    quality: str
    faults: tuple[str, ...]


async def collect(stage: Stage, act: Act, event_id: str) -> list[Line]:
    """Ask the bridge and the VTN and compare with what is expected."""
    outcomes = {row["chargerID"]: row for row in await stage.bridge.get(f"/outcomes?eventID={event_id}")}
    event = await stage.vtn.get(f"/events/{event_id}")
    resources = {row["resourceID"]: row for ven in event["vens"] for row in ven["resources"]}
    lines = []
    for charger in act.chargers:
        expected = behind.expected(charger, act.key, stage.site.csms)
        resource = resources.get(charger.resource_id, {})
        opt, reason = str(resource.get("optType")), str(resource.get("optReason") or "")
        page = await stage.vtn.get(f"/reports?resourceID={charger.resource_id}&limit=1000")
        qualities = {row.get("dataQuality") for row in page["reports"]}
        outcome = outcomes.get(charger.identity, {})
        lines.append(
            Line(
                charger=charger,
                expected=expected,
                outcome=outcome,
                opt=opt,
                opt_reason=reason,
                telemetry=len(page["reports"]),
                quality=charger.quality if charger.quality in qualities else "",
                faults=(
                    *_faults(charger, expected, outcome, opt, reason, len(page["reports"]), killed=stage.killed),
                    *([f"no telemetry of {charger.quality!r}"] if charger.quality not in {"", *qualities} else []),
                ),
            )
        )
    return lines


def _faults(
    charger: DemoCharger,
    expected: Expected,
    outcome: dict[str, Any],
    opt: str,
    reason: str,
    telemetry: int,
    *,
    killed: bool,
) -> list[str]:
    faults = []
    states = COMPLIES if killed and expected.state in COMPLIES else {expected.state}
    if outcome.get("state") not in states:
        faults.append(f"outcome {outcome.get('state')}, expected {expected.state}")
    if opt != expected.opt or (expected.reason and reason != expected.reason):
        faults.append(f"the VTN holds {opt} {reason}, expected {expected.opt} {expected.reason}".rstrip())
    if telemetry == 0:
        faults.append("the VTN holds no telemetry")
    during, limit = outcome.get("kWDuring"), outcome.get("limitA")
    if expected.state == "received":
        if limit is not None:
            faults.append(f"it was limited to {limit:g} A by what is no limit")
    elif during is not None and limit is not None:
        allowed = limit * charger.phases * VOLTAGE / 1000 + SLACK_KW
        if expected.state in ("verified", "constrained_by") and during > allowed:
            faults.append(f"{during:.2f} kW during the event, at most {allowed:.2f} kW are allowed")
        if expected.state == "failed" and during <= allowed:
            faults.append("the meter shows compliance")
    elif expected.state in ("verified", "constrained_by"):
        faults.append("no power measured during the event")
    return faults


def _kw(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return "-" if value is None else f"{value:.1f}"


def _accepted(row: dict[str, Any]) -> str:
    if row.get("acceptedAt"):
        return "yes"
    return "no" if row.get("state") == "failed" else "-"


def _quality(line: Line) -> str:
    return f"; telemetry: {line.quality}" if line.quality else ""


HEADER = (
    f"{'charger':8}{'link':7}{'wiring':9}{'limit':>7}  {'accepted':9}{'kW before':>9}{'during':>8}{'after':>7}  "
    f"{'outcome':15}{'opt at the VTN':24}{'values':>6}  ok"
)


def render(act: Act, lines: list[Line]) -> str:
    """Return the table: two lines a charger, the second with its story and the reason of the verdict."""
    rows = ["", f"[bold]{act.title}[/bold]", f"[bold]{HEADER}[/bold]"]
    for line in lines:
        row, charger = line.outcome, line.charger
        state = str(row.get("state"))
        style = STATE_STYLE.get(state, "yellow")
        limit = "-" if row.get("limitA") is None else f"{row['limitA']:g} A"
        verdict = "[red]no[/red]" if line.faults else "[green]yes[/green]"
        rows.append(
            f"{charger.identity:8}{charger.version:7}{f'{charger.phases}x{charger.max_a} A':9}{limit:>7}  "
            f"{_accepted(row):9}{_kw(row, 'kWBefore'):>9}{_kw(row, 'kWDuring'):>8}{_kw(row, 'kWAfter'):>7}  "
            f"[{style}]{state:15}[/{style}]{f'{line.opt} {line.opt_reason}':24}{line.telemetry:>6}  {verdict}"
        )
        rows.append(f"        [dim]{escape(f'{charger.story}: ' + str(row.get('reason', '')) + _quality(line))}[/dim]")
    return "\n".join([*rows, ""])
