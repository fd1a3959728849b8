"""What a signal's value asks of a load, and the limit in A per phase that this means for one resource; pure.

Rule: every ask is ``fraction`` of a reference plus ``offset_w``, so that one sum serves all signals. The signal type
chooses the reference (MAP-04, MAP-05, decision 8): fixed is the installed maximum, dynamic the mean power before the
start, frozen there. Watts become amperes by phases and voltage, rounded down to 0.1 A (MAP-08); what lies between 0
and 6 A is raised to 6 A or paused, as the programme says (MAP-09). A result is an upper limit, never a set-point
(MAP-06), and a wish for more load limits nothing (MAP-13).
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.resources import Resource

STEP_A = 0.1  # OCPP limits carry one decimal
IDLE_W = 100.0  # a mean below it is no charging: electronics and contactor
_EXACT = 6  # decimals kept before rounding down, so that 0.3 * 20 A stays 6.0 A


class Effect(StrEnum):
    """Which way an ask goes; override policy and refusal depend on it (table 4.1)."""

    NORMAL = "normal"  # nothing is asked for
    STOP = "stop"  # no import (DRM 0, 1)
    CONSTRAIN = "constrain"  # less import (DRM 2, 3)
    LOAD_UP = "load_up"  # more import (DRM 4): a request, never a lifted limit
    EXPORT = "export"  # export, or a limit on it (DRM 5-8): not for charge-only equipment


class Basis(StrEnum):
    """The reference that a fraction is taken of."""

    FIXED = "fixed"  # the installed maximum
    DYNAMIC = "dynamic"  # the mean power before the start, frozen there


class FloorPolicy(StrEnum):
    """What becomes of a cap between 0 and 6 A per phase, which no charger can hold (MAP-09, decision 9)."""

    FLOOR = "floor"  # raise to 6 A; the overshoot is stated in the reason
    PAUSE = "pause"  # quantise down to 0 A


class StartedInside(StrEnum):
    """What a dynamic ask means where nothing was charging before the start (MAP-05)."""

    FIXED = "fixed"  # the installed maximum is the reference
    FREE = "free"  # the event asks for nothing there


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One value's meaning: at most ``fraction`` x reference + ``offset_w`` (W, all phases).

    ``together``: the power is meant for all resources of the event at once. ``target_wh`` is a stored energy to reach
    instead (CHARGE_STATE), ``target_share`` the same as a share of full, ``gain_wh`` as a change of the content.
    """

    effect: Effect
    fraction: float = 0.0
    offset_w: float = 0.0
    basis: Basis | None = None  # None: an absolute power
    together: bool = False
    target_wh: float | None = None
    target_share: float | None = None
    gain_wh: float | None = None
    note: str = ""
    step: int | None = None  # of a step signal: 0 is its mildest reduction, 1 and more are stronger

    @property
    def stored(self) -> bool:
        """True for an ask about stored energy."""
        return self.target_wh is not None or self.target_share is not None or self.gain_wh is not None


NORMAL = Ask(effect=Effect.NORMAL)
MORE = Ask(effect=Effect.LOAD_UP)
EXPORT = Ask(effect=Effect.EXPORT)


def reduced(fraction: float, basis: Basis, note: str = "") -> Ask:
    """Return the ask for a fraction of a reference, 0 being a stop."""
    effect = Effect.STOP if fraction == 0.0 else Effect.CONSTRAIN
    return Ask(effect=effect, fraction=fraction, basis=basis, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a store holds now and when full, Wh. It is measured or absent, never invented (TEL-10).

    ``at`` is when it was measured, ``session`` names the charging session: another car has another content.
    """

    content_wh: float
    full_wh: float
    at: datetime | None = None
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What was measured at one resource just before an event began there, taken once and kept (MAP-05).

    ``power_w`` is ``None`` where nothing was measured; ``window_s`` is the length of the mean that ended at ``at``.
    """

    event_id: str
    resource_id: str
    at: datetime
    power_w: float | None
    window_s: float
    samples: int = 0
    content: Content | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a programme turns asks into limits."""

    floor: FloorPolicy = FloorPolicy.FLOOR
    started_inside: StartedInside = StartedInside.FIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The result: ``amperes`` per phase, ``None`` for no limit; ``group_kw`` instead if it is of all together."""

    amperes: float | None
    words: str
    effect: Effect
    group_kw: float | None = None


def round_down(amperes: float) -> float:
    """Return ``amperes`` rounded down to 0.1 A."""
    return math.floor(round(amperes / STEP_A, _EXACT)) / 10


def settle(exact: float, resource: Resource, floor: FloorPolicy) -> tuple[float, str]:
    """Return ``exact`` as the device can hold it, A per phase, and what was done to it ('' if only rounded)."""
    exact = min(exact, resource.max_a)
    amperes = round_down(exact)
    if resource.binary:
        on = amperes >= round_down(resource.max_a)
        return (amperes, "") if on else (0.0, "an on/off device: off")
    least = resource.least_a
    if exact > 0.0 and amperes < least:
        if floor is FloorPolicy.FLOOR:
            return least, f"raised to the {least:g} A floor"
        return 0.0, f"below {least:g} A: paused"
    return amperes, ""


def watts(power_w: float) -> str:
    """Return a power as a person reads it."""
    return f"{power_w / 1000:.6g} kW"


def limit(
    ask: Ask,
    resource: Resource,
    terms: Terms,
    reference: Reference | None = None,
    length_s: float | None = None,
    *,
    share: float = 1.0,
) -> Limit:
    """Return what ``ask`` limits ``resource`` to.

    ``reference`` is ``None`` until it is taken: then the installed maximum stands in for it. ``length_s`` is how long
    the ask lasts, ``None`` for open-ended. ``share`` is the resource's part of the installed power of all that take
    part, 1 if it is alone.
    """
    if ask.effect in (Effect.NORMAL, Effect.EXPORT):
        return Limit(amperes=None, words="normal operation", effect=Effect.NORMAL)
    if ask.stored:
        return _stored(ask, resource, terms, reference, length_s)
    if ask.effect is Effect.LOAD_UP:
        return Limit(amperes=None, words=_noted("more load is asked for: no limit", ask), effect=ask.effect)
    if ask.basis is Basis.DYNAMIC:
        return _dynamic(ask, resource, terms, reference, share if ask.together else 1.0)
    if ask.together and share < 1.0:
        return Limit(
            amperes=None,
            words=f"{watts(ask.offset_w)} for all together",
            effect=ask.effect,
            group_kw=ask.offset_w / 1000,
        )
    exact = ask.fraction * resource.max_a + ask.offset_w / (resource.phases * resource.voltage)
    sum_words = watts(ask.offset_w) if ask.basis is None else f"{ask.fraction * 100:g} % of {resource.max_a:g} A"
    return _result(exact, sum_words, ask, resource, terms)


def _dynamic(ask: Ask, resource: Resource, terms: Terms, reference: Reference | None, share: float) -> Limit:
    full_w = resource.max_a * resource.phases * resource.voltage
    base_w, what = full_w, "the installed maximum, until the reference is taken at the start"
    if reference is not None and reference.power_w is not None and reference.power_w >= IDLE_W:
        base_w, what = min(reference.power_w, full_w), f"the mean of {reference.window_s:g} s before the start"
    elif reference is not None:
        if terms.started_inside is StartedInside.FREE:
            words = "nothing was charging before the start: no limit"
            return Limit(amperes=None, words=words, effect=Effect.NORMAL)
        what = "the installed maximum, for nothing was charging before the start"
    offset_w = ask.offset_w * share
    exact_w = max(0.0, ask.fraction * base_w + offset_w)
    part = f"{ask.fraction * 100:g} % of " if ask.fraction != 1.0 else ""
    change = f" - {watts(-offset_w)}" if offset_w else ""
    words = f"{part}{watts(base_w)} ({what}){change} = {watts(exact_w)}"
    return _result(exact_w / (resource.phases * resource.voltage), words, ask, resource, terms)


def target_wh(ask: Ask, content: Content) -> float:
    """Return the stored energy that is asked for, Wh."""
    if ask.target_share is not None:
        return ask.target_share * content.full_wh
    return content.content_wh + (ask.gain_wh or 0.0) if ask.target_wh is None else ask.target_wh


def missing_wh(ask: Ask, content: Content) -> float:
    """Return what is still to be charged, Wh: never more than there is room for."""
    return max(0.0, min(target_wh(ask, content), content.full_wh) - content.content_wh)


def _stored(ask: Ask, resource: Resource, terms: Terms, reference: Reference | None, length_s: float | None) -> Limit:
    """Return the mean power that brings the store to its target in time: 0 once it is there."""
    content = None if reference is None else reference.content
    if content is None or not length_s:
        words = "no limit until the content is taken at the start" if length_s else "no end to reach a content by"
        return Limit(amperes=None, words=words, effect=Effect.NORMAL)
    target = target_wh(ask, content)
    missing = missing_wh(ask, content)
    mean_w = missing * 3600.0 / length_s
    words = f"{missing / 1000:.6g} kWh to reach {target / 1000:.6g} kWh in {length_s:g} s = {watts(mean_w)}"
    return _result(mean_w / (resource.phases * resource.voltage), words, ask, resource, terms)


def _result(exact: float, words: str, ask: Ask, resource: Resource, terms: Terms) -> Limit:
    amperes, done = settle(exact, resource, terms.floor)
    words = f"{words} = {exact:.6g} A, {done}" if done else f"{words} = {amperes:g} A per phase"
    return Limit(amperes=amperes, words=_noted(words, ask), effect=ask.effect)


def _noted(words: str, ask: Ask) -> str:
    return f"{words} ({ask.note})" if ask.note else words
