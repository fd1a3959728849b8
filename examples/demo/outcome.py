"""The outcome table of one event and the check against what each charger must have come to.

Rule: the verdict is the bridge's, the opt is what the VTN holds, and the power is checked here once more against the
limit, so that a verdict that the meter does not bear out fails the demonstration.
"""

from dataclasses import dataclass
from typing import Any

from rich.markup import escape

from examples.demo import behind
from examples.demo.acts import Act, Published
from examples.demo.fleet import DemoCharger, Expected
from examples.demo.stage import STATE_STYLE, VOLTAGE, Stage

COMPLIES = ("verified", "constrained_by")
SLACK_KW = 0.25  # meter and control error of the simulated chargers


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One charger in one event: the bridge's outcome, and the VTN's view of the resource."""

    charger: DemoCharger
    expected: Expected
    changed: bool  # the event was, so that it ended earlier: the last meter value under it may be missing
    outcome: dict[str, Any]
    opt: str
    opt_reason: str
    telemetry: int
    qualities: frozenset[str]

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        expected, state = self.expected, self.outcome.get("state")
        unproven = self.changed and expected.state in COMPLIES and state == "applied"
        found = []
        if state != expected.state and not unproven:
            found.append(f"outcome {state}, expected {expected.state}")
        if self.opt != expected.opt or (expected.reason and self.opt_reason != expected.reason):
            wanted = f"{expected.opt} {expected.reason}".rstrip()
            found.append(f"the VTN holds {self.opt} {self.opt_reason}, expected {wanted}")
        if self.telemetry == 0:
            found.append("the VTN holds no telemetry")
        if self.charger.quality not in {"", *self.qualities}:
            found.append(f"no telemetry of {self.charger.quality!r}")
        return [*found, *self._power_faults()]

    def _power_faults(self) -> list[str]:
        """Check the verdict by the power during the event."""
        during, limit, must = self.outcome.get("kWDuring"), self.outcome.get("limitA"), self.expected.state
        if must == "received":
            return [] if limit is None else [f"it was limited to {limit:g} A by what is no limit"]
        if during is None or limit is None:
            return ["no power measured during the event"] if must in COMPLIES else []
        allowed = limit * self.charger.phases * VOLTAGE / 1000 + SLACK_KW
        if must in COMPLIES and during > allowed:
            return [f"{during:.2f} kW during the event, at most {allowed:.2f} kW are allowed"]
        if must == "failed" and during <= allowed:
            return ["the meter shows compliance"]
        return []


async def collect(stage: Stage, event: Published) -> list[Line]:
    """Ask the bridge and the VTN how an event ended."""
    outcomes = {row["chargerID"]: row for row in await stage.bridge.get(f"/outcomes?eventID={event.event_id}")}
    shown = await stage.vtn.get(f"/events/{event.event_id}")
    resources = {row["resourceID"]: row for ven in shown["vens"] for row in ven["resources"]}
    lines = []
    for charger in event.act.among(stage.fleet):
        resource = resources.get(charger.resource_id, {})
        page = await stage.vtn.get(f"/reports?resourceID={charger.resource_id}&limit=1000")
        lines.append(
            Line(
                charger=charger,
                expected=behind.expected(charger, event.act.key, stage.site.csms),
                changed=event.changed,
                outcome=outcomes.get(charger.identity, {}),
                opt=str(resource.get("optType")),
                opt_reason=str(resource.get("optReason") or ""),
                telemetry=len(page["reports"]),
                qualities=frozenset(str(row.get("dataQuality")) for row in page["reports"]),
            )
        )
    return lines


def _kw(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return "-" if value is None else f"{value:.1f}"


def _accepted(row: dict[str, Any]) -> str:
    if row.get("acceptedAt"):
        return "yes"
    return "no" if row.get("state") == "failed" else "-"


def _quality(line: Line) -> str:
    quality = line.charger.quality
    return f"; telemetry: {quality}" if quality and quality in line.qualities else ""


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
