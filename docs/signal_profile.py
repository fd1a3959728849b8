"""The page ``signal-profile.md``: what every OpenADR signal does to a charger, from the code and the golden vectors.

Rule: nothing on the page is typed by hand that the code knows: signals from ``bridge.fitting``, rules from
``bridge.rules``, programmes from their files, examples from the vectors that the tests run.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bridge.asks import Basis, Effect
from bridge.cta2045.mapping import PRICE_SIGNALS
from bridge.fitting import FITTING
from bridge.program import OverrideTable, Programme
from bridge.programmes import load, names
from bridge.rules import DRM_FRACTION, DrmRule, LevelsRule, PriceRule, SignalRule
from openadr.model import SignalType
from openadr.signals import RULES

VECTORS = Path(__file__).parents[1] / "schemas" / "signal-profile.vectors.json"

MEANING = {
    "levels": "a fraction of the reference for each level; 0 is normal operation; `more` asks for load",
    "drm": "modes 0 to 8 of AS/NZS 4755; -1 is none",
    "capacity": "value x installed maximum",
    "percent": "(100 + value) % of the reference; above 0 asks for load; below -100 is export",
    "multiplier": "value x reference; above 1 asks for load; below 0 is export",
    "setpoint": "the power itself, as an upper limit; below 0 is export",
    "delta": "reference + value, never below 0; above 0 asks for load",
    "device_setpoint": "in the unit that the programme declares for the kind of resource",
    "charge_state": "mean power that reaches the content by the interval's end; needs a known state of charge",
    "price": "the fraction of the highest band that the price reaches; no cap below all bands",
    "informative": "stored and shown, never a limit",
}
_STOP = "Grid Emergency (0B); where it may be overridden Power Level 0 (06 00)"
_REFUSED = "refused: optOut, 469, nothing sent"
DRM = (
    ("0", "open disconnection device", "emergency programme, capacity 0.0", "as DRM 1; DRM 0 is not claimed", _STOP),
    ("1", "no import", "capacity 0.0; dispatch setpoint 0; `x-DRM` 1", "0 A", _STOP),
    (
        "2",
        "import ≤ 50 %",
        "capacity 0.5 (fixed); multiplier 0.5 or PercentOffset -50 (dynamic); `x-DRM` 2",
        "50 %",
        "Power Level (06 3F); in steps Critical Peak (0A)",
    ),
    (
        "3",
        "import ≤ 75 %",
        "capacity 0.75; multiplier 0.75 or PercentOffset -25; `x-DRM` 3",
        "75 %; no power quality",
        "Power Level (06 5F); in steps Shed (01)",
    ),
    (
        "4",
        "more import",
        "delta or PercentOffset above 0, LevelOffset below 0; `x-DRM` 4",
        "no limit of the event's",
        "Grid Guidance good (0C 02), then Load Up (17)",
    ),
    ("5", "no export", "`x-DRM` 5", _REFUSED, _REFUSED),
    ("6", "export ≤ 50 %", "negative dispatch; `x-DRM` 6", _REFUSED, _REFUSED),
    ("7", "export ≤ 75 %", "negative dispatch; `x-DRM` 7", _REFUSED, _REFUSED),
    ("8", "more export", "negative dispatch; `x-DRM` 8", _REFUSED, _REFUSED),
)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = tuple(head)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def _signals() -> list[str]:
    rows = []
    for (name, kind), fitting in FITTING.items():
        rule = RULES[(name, kind)]
        unit = ", ".join(sorted(each for each in rule.units if "Apparent" not in each and "Reactive" not in each))
        rules = ", ".join(f"`{each}`" for each in sorted(fitting))
        rows.append((str(name), str(kind), unit or "none", rule.values, rules))
    return _table(("signalName", "signalType", "unit", "values", "rules a programme may give it"), sorted(rows))


def _detail(rule: SignalRule) -> str:
    if isinstance(rule, LevelsRule):
        text = "; ".join(f"{key} → {each if each == 'more' else f'{each:.0%}'}" for key, each in rule.levels.items())
        return text.replace("%", " %")
    if isinstance(rule, PriceRule):
        bands = (f"≥ {band.at_least:g} → {band.fraction * 100:g} %" for band in rule.bands)
        return f"{rule.currency + ': ' if rule.currency else ''}{'; '.join(bands)}"
    if rule.rule == "drm":
        return "; ".join(f"{mode} → {share * 100:g} %" for mode, share in DRM_FRACTION.items())
    if rule.rule == "device_setpoint":
        return "; ".join(f"{kind.value}: {unit}" for kind, unit in rule.meaning.items())
    if rule.rule in ("setpoint", "delta"):
        return "of all targeted together" if rule.applies_to == "together" else "of each"
    return ""


def _reference(rule: SignalRule) -> str:
    if rule.rule == "capacity":
        return Basis.FIXED.value
    if rule.rule == "charge_state":
        return "content at the start"
    basis = getattr(rule, "reference", None)
    return "-" if basis is None else str(basis.value)


def _override(programme: Programme) -> str:
    if isinstance(programme.override, OverrideTable):
        parts = {"stop": "stop", "constrain": "constrain", "load_up": "load-up"}
        return ", ".join(f"{words} {getattr(programme.override, key)}" for key, words in parts.items())
    return str(programme.override)


def _cta(rule: SignalRule, programme: Programme) -> str:
    """Return what CTA-2045 devices are sent for a rule's values."""
    priced = rule.type is SignalType.PRICE_MULTIPLIER or programme.cta2045.base_price is not None
    prices = "relative prices (07, 08, 09)" if rule.name in PRICE_SIGNALS and priced else ""
    if rule.rule == "informative":
        return prices or "nothing"
    if rule.rule == "charge_state":
        return "Load Up (17, 0C) of the energy missing"
    level = "Power Level (06)"
    if isinstance(rule, LevelsRule | DrmRule) and (steps := ", ".join(each.value for each in programme.cta2045.steps)):
        level = f"{level}; {steps}: mildest level Shed (01), others Critical Peak (0A)"
    stop = "" if programme.overridable(Effect.STOP) else "; no import: Grid Emergency (0B)"
    return "; ".join(filter(None, (f"{level}{stop}", prices)))


def _programme(name: str) -> list[str]:
    [programme] = load((name,)).by_context.values()
    figures = {
        "market context": f"`{programme.market_context}`",
        "version": programme.version,
        "class": programme.event_class.value,
        "0 to 6 A": "6 A (`floor`)" if programme.terms.floor == "floor" else "0 A (`pause`)",
        "driver's override": _override(programme),
        "random start without startafter": f"0 to {programme.random_window_s} s",
        "random release": f"0 to {programme.release_window_s} s",
        "ramp-up / recovery without their own": f"{programme.ramp_up_s} / {programme.recovery_s} s",
        "VTN silent": f"`{programme.comms_loss.policy.value}` after {programme.comms_loss.after_s} s",
        "dynamic reference": f"mean of {programme.reference_window_s} s before the start",
        "charge that starts inside": {"fixed": "installed maximum", "free": "no limit"}[programme.started_inside],
        "CTA-2045 in steps": ", ".join(kind.value for kind in programme.cta2045.steps) or "none",
    }
    lines = [f"### `{name}`: {programme.title}", "", *_table(("", ""), ((k, v) for k, v in figures.items()))]
    rows = (
        (rule.name, rule.type.value, f"`{rule.rule}`", _reference(rule), _detail(rule), _cta(rule, programme))
        for rule in programme.signals
    )
    return [*lines, *_table(("signalName", "signalType", "rule", "reference", "values", "CTA-2045"), rows)]


def _result(expect: dict[str, Any]) -> str:
    if "responseCode" in expect:
        return f"optOut, {expect['responseCode']}"
    if expect.get("no_cap"):
        return "no limit, shown only"
    if expect.get("group_kw") is not None:
        return f"{expect['group_kw']:g} kW for all"
    return "no limit" if expect["limit_a"] is None else f"{expect['limit_a']:g} A"


def _devices(told: dict[str, str] | None) -> str:
    """Return what devices of each kind are sent; once, if that is the same for all."""
    if not told:
        return "-"
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{kind.replace('_', ' ')}: {words}" for kind, words in told.items())


def _vectors() -> list[str]:
    rows = []
    for each in json.loads(VECTORS.read_text())["values"]:
        on, before = each["resource"], each["powerBeforeW"]
        equipment = f"{each['resources']} x " if each["resources"] > 1 else ""
        rows.append(
            (
                f"`{each['id']}`",
                each["programme"],
                f"{each['signalName']} {each['signalType']}",
                f"{each['value']:g} {each['unit'] or ''}".strip(),
                f"{equipment}{on['max_a']:g} A, {on['phases']} phase{'s' if on['phases'] > 1 else ''}",
                "-" if before is None else f"{before / 1000:g} kW",
                _result(each["expect"]),
                each["expect"].get("effect", "-"),
                _devices(each["cta2045"]),
                ", ".join(each["requirements"]),
            )
        )
    head = ("vector", "programme", "signal", "value", "installed", "drew before", "limit", "effect", "CTA-2045", "ids")
    return _table(head, rows)


def _times() -> list[str]:
    rows = []
    for each in json.loads(VECTORS.read_text())["times"]:
        window = "absent" if each["startafterS"] is None else f"{each['startafterS']} s"
        scheduled = f"{each['start']} + {each['durationS']} s"
        effective = f"{each['expect']['start']} to {each['expect']['end']}"
        rows.append((f"`{each['id']}`", each["programme"], scheduled, window, f"{each['drawS']} s", effective))
    return _table(("vector", "programme", "scheduled", "startafter", "draw", "effective"), rows)


def _contents() -> list[str]:
    rows = []
    for each in json.loads(VECTORS.read_text())["contents"]:
        on = each["resource"]
        limits = (f"{limit:g} A" if not at else f"{limit:g} A after {at} s" for at, limit in each["expect"])
        rows.append(
            (
                f"`{each['id']}`",
                f"{each['signalType']} {each['value']:g} {each['unit'] or ''}".strip(),
                f"{each['contentKWh']:g} of {each['fullKWh']:g} kWh",
                f"{each['hours']} h",
                f"{on['max_a']:g} A, {on['phases']} phase{'s' if on['phases'] > 1 else ''}",
                ", ".join(limits),
            )
        )
    return _table(("vector", "CHARGE_STATE", "content at the start", "length", "installed", "limit"), rows)


INTRODUCTION = """# Signal profile

Made by `make docs` from the programmes shipped, the rules in the code and the golden vectors in
[`schemas/signal-profile.vectors.json`](../../schemas/signal-profile.vectors.json), which the tests run. How to write a
programme of your own: [howto](../howto/write-a-programme.md).

## What always holds

1. A result is an **upper limit, never a set-point**: a car below it is left alone and is not driven up (MAP-06).
2. The signal type chooses the **reference** (MAP-04). *Fixed* is the installed maximum. *Dynamic* is the mean power of
   the 5 minutes before the event begins at that charger, frozen there and stored: a restart, a modification and the
   event itself do not move it. Until it is taken the installed maximum stands in for it, so that a charger knows what
   to do if the gateway dies.
3. Watts become amperes by phases and voltage, A per phase, **rounded down** to 0.1 A (MAP-08).
4. What lies **between 0 and 6 A** is raised to 6 A (`floor`) or paused (`pause`), as the programme says (MAP-09).
5. Asking for **more load** limits nothing and lifts nobody else's limit (MAP-13).
6. **Export**, and limits on it, are refused for equipment that only charges: optOut with the reason, nothing is sent
   (VEN-11).
7. **Prices** limit nothing without a rule that says so, and are never counted as curtailment (EVT-11).
8. Of several signals in one event the first in the programme's order decides; several events combine by the most
   restrictive.
9. An on/off device is switched off by anything below its maximum (MAP-07).
10. A **CTA-2045** device is asked for a share of its rating (Request Power Level, rounded down to 1/127) or, for the
    kinds that a programme lists, for steps. *else* is the next command after a refusal, for a model of which nothing is
    known ([devices](../howto/cta2045-devices.md)). Every event ends with one End Shed (02 00). Bytes are for an hour.

## When

Random start, drawn for each charger and stored, moves start, changes and end alike (RND-02). A positive ramp-up lies
before the start, a negative one inside the event; a positive recovery lies after the end, a negative one inside. Both
go in steps, which each charger shifts by its own draw so that a fleet makes a slope (RND-07, RND-08). An emergency
begins at once, without ramp-up, whatever was sent (RND-03).
"""


def page() -> str:
    """Return ``signal-profile.md``."""
    lines = [*INTRODUCTION.splitlines(), "", *_times(), "## Rules", ""]
    lines += _table(("rule", "a value means"), ((f"`{rule}`", words) for rule, words in MEANING.items()))
    lines += ["## Signals of OpenADR 2.0b", "", "Every other triple is refused with 460. `x-` names take any rule.", ""]
    lines += [*_signals(), "## Programmes shipped", ""]
    for name in names():
        lines += _programme(name)
    lines += ["## Demand response modes of AS/NZS 4755", ""]
    lines += _table(("DRM", "meaning", "as OpenADR", "over OCPP", "CTA-2045"), DRM)
    lines += ["## Golden vectors", "", *_vectors(), "## Where the state of charge is known", "", *_contents()]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"signal-profile.md": page}
