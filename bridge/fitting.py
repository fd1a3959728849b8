"""Which rule a programme may give to which signal (table 3.2, R104); pure.

Rule: a wrong programme is refused when it is read, with words that say what would fit.
"""

from collections.abc import Mapping

from bridge.rules import LevelsRule, SignalRule
from openadr.model import SignalName, SignalType

_PRICES = {SignalType.PRICE, SignalType.PRICE_RELATIVE, SignalType.PRICE_MULTIPLIER}
_INFORMATIVE = {"informative"}
FITTING: Mapping[tuple[str, SignalType], set[str]] = {
    (SignalName.SIMPLE, SignalType.LEVEL): {"levels"},
    **{(name, kind): {"informative", "price"} for name in ("ELECTRICITY_PRICE", "ENERGY_PRICE") for kind in _PRICES},
    **{(SignalName.DEMAND_CHARGE, kind): _INFORMATIVE for kind in _PRICES},
    (SignalName.BID_PRICE, SignalType.PRICE): _INFORMATIVE,
    (SignalName.BID_LOAD, SignalType.SETPOINT): _INFORMATIVE,
    (SignalName.BID_ENERGY, SignalType.SETPOINT): _INFORMATIVE,
    **{
        (SignalName.CHARGE_STATE, kind): {"charge_state", "informative"}
        for kind in (SignalType.SETPOINT, SignalType.DELTA, SignalType.MULTIPLIER)
    },
    (SignalName.LOAD_DISPATCH, SignalType.SETPOINT): {"setpoint", "informative"},
    (SignalName.LOAD_DISPATCH, SignalType.DELTA): {"delta", "informative"},
    (SignalName.LOAD_DISPATCH, SignalType.MULTIPLIER): {"multiplier", "informative"},
    (SignalName.LOAD_DISPATCH, SignalType.LEVEL): {"levels", "informative"},
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_CAPACITY): {"capacity", "informative"},
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_LEVEL_OFFSET): {"levels", "informative"},
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_SETPOINT): {"device_setpoint", "informative"},
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_PERCENT_OFFSET): {"percent", "informative"},
}
"""The rules that each well-known signal may have."""

_FITTING_OWN: Mapping[SignalType, set[str]] = {
    SignalType.LEVEL: {"levels", "drm"},
    SignalType.SETPOINT: {"setpoint", "device_setpoint"},
    SignalType.DELTA: {"delta"},
    SignalType.MULTIPLIER: {"multiplier"},
    **{kind: {"price"} for kind in _PRICES},
    SignalType.LOAD_CONTROL_CAPACITY: {"capacity"},
    SignalType.LOAD_CONTROL_LEVEL_OFFSET: {"levels"},
    SignalType.LOAD_CONTROL_SETPOINT: {"device_setpoint"},
    SignalType.LOAD_CONTROL_PERCENT_OFFSET: {"percent"},
}
"""The rules that a signal with an ``x-`` name may have by its type, besides ``informative``."""

_LEVELS: Mapping[str, range] = {SignalName.SIMPLE: range(4), SignalName.LOAD_DISPATCH: range(-10, 11)}


def misfit(rule: SignalRule) -> str:
    """Return what is wrong with giving this rule to its signal, '' if nothing (R104)."""
    if rule.name.startswith("x-"):
        fitting = {"informative", *_FITTING_OWN[rule.type]}
    else:
        fitting = FITTING.get((rule.name, rule.type), set())
    if not fitting:
        return f"{rule.what} is no signal of OpenADR 2.0b (R104)"
    if rule.rule not in fitting:
        if rule.name == SignalName.SIMPLE:
            return "SIMPLE is a step signal, its rule must be 'levels'"
        return f"{rule.what} cannot have the rule {rule.rule!r}: use {' or '.join(sorted(fitting))}"
    if isinstance(rule, LevelsRule) and rule.name in _LEVELS:
        wrong = [key for key in rule.levels if int(key) not in _LEVELS[rule.name]]
        if wrong:
            return f"{rule.what} has no level {wrong[0]} (R104)"
    return ""
