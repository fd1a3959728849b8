"""From a wish to commands, from an answer to the next rung, from a state to a verdict; pure.

Rule: what an ACK or NAK means is a table (requirements table 9.1); an App ACK is never effect (CTA-04). What Shed and
Critical Peak mean in per cent is the model's, measured or told, and never a constant here (decision 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.cta2045 import commands
from bridge.cta2045.commands import AppNak, Basic, Guidance, Op
from bridge.cta2045.frames import NakReason
from bridge.cta2045.link import Finished, Result
from bridge.cta2045.orders import Mode, Order
from bridge.cta2045.values import OperationalState, level_kept


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """What a model makes of the commands, as shares of its full rating; ``None``: not known, not even measured."""

    shed: float | None = None
    critical_peak: float | None = None
    power_level: bool | None = None  # takes Request Power Level; None: find out by asking
    floor: float = 0.0  # the least share above 0 that it can run at: 6 A of its reference for an EVSE


def model_for(models: Mapping[str, DeviceModel], model: str, kind: str) -> DeviceModel:
    """Return the entry of a model name, else of its device type, else the one that knows nothing."""
    return models.get(model) or models.get(kind) or DeviceModel()


def rungs(order: Order, model: DeviceModel, refused: frozenset[Op], now: datetime) -> tuple[Basic, ...]:
    """Return the commands to try for ``order``, best first; ``refused`` are those that the device does not know.

    The last rung of a reduction is Shed (CTA-02); a load up has no other rung, for Shed would be its opposite.
    """
    left = order.left_s(now)
    level = commands.power_level(level_kept(order.share, model.floor))
    ops = {
        Mode.SHED: [Op.SHED],
        Mode.CRITICAL_PEAK: [Op.CRITICAL_PEAK, Op.SHED],
        Mode.GRID_EMERGENCY: [Op.GRID_EMERGENCY, Op.SHED],
        Mode.LOAD_UP: [Op.LOAD_UP],
        Mode.POWER_LEVEL: [Op.CRITICAL_PEAK, Op.SHED] if _prefers_peak(order.share, model) else [Op.SHED],
    }[order.mode]
    ladder = [commands.event(op, left) for op in ops]
    if order.mode is Mode.POWER_LEVEL and model.power_level is not False:
        ladder.insert(0, level)
    last = ladder[-1]
    return tuple(basic for basic in ladder if basic.op not in refused or basic == last)


def spelled(order: Order, model: DeviceModel, now: datetime) -> str:
    """Return the bytes of the commands, best first, as documents and golden vectors show them."""
    ladder = [commands.encode(each).payload.hex(" ") for each in rungs(order, model, frozenset(), now)]
    words = " else ".join(ladder)
    if order.mode is not Mode.LOAD_UP:
        return words
    return f"{commands.encode(commands.guidance(Guidance.GOOD)).payload.hex(' ')} then {words}"  # CTA-12


def _prefers_peak(share: float, model: DeviceModel) -> bool:
    """Without power levels: the mildest command that keeps under the cap, else the strongest that may be overridden."""
    if model.shed is not None and model.shed <= share:
        return False
    if model.critical_peak is not None:
        return True
    return share <= 0 or model.shed is not None


def delivered_share(basic: Basic, model: DeviceModel) -> float | None:
    """Return the share of the rating that a command stands for on this model; ``None``: not known."""
    match basic.op:
        case Op.POWER_LEVEL:
            return basic.share if basic.share <= 0 else max(basic.share, model.floor)
        case Op.GRID_EMERGENCY:
            return 0.0
        case Op.SHED:
            return model.shed
        case Op.CRITICAL_PEAK:
            return model.critical_peak
        case _:
            return None


class Answer(StrEnum):
    """What the ending of one exchange means for a command."""

    TAKEN = "taken"  # received and supported, not more
    OVERRIDDEN = "overridden"  # the customer wants none of it
    BUSY = "busy"  # try again a little later
    REFUSED = "refused"  # not supported: next rung
    DOUBT = "doubt"  # it may have arrived, and no answer came
    UNSENT = "unsent"  # it cannot have had an effect


def answer(command: Basic, finished: Finished) -> Answer:
    """Return what the end of an exchange means for ``command``."""
    match finished.result:
        case Result.REPLIED if finished.reply is not None:
            return _app_answer(commands.answers(command, finished.reply))
        case Result.REFUSED if finished.nak in (NakReason.UNSUPPORTED_TYPE, NakReason.NOT_SUPPORTED):
            return Answer.REFUSED
        case Result.REFUSED | Result.TOO_LONG:
            return Answer.UNSENT
        case _:
            return Answer.DOUBT


def _app_answer(reply: Basic | None) -> Answer:
    if reply is None:
        return Answer.DOUBT
    if reply.op is not Op.APP_NAK:
        return Answer.TAKEN
    return {AppNak.OVERRIDE: Answer.OVERRIDDEN, AppNak.BUSY: Answer.BUSY}.get(reply.why, Answer.REFUSED)


class Verdict(StrEnum):
    """Whether a command has its effect, by the operational state."""

    FOLLOWED = "followed"
    NOT_YET = "not_yet"  # the state does not show it
    NOT_FOLLOWING = "not_following"  # the device says that it cannot keep to the power level
    OPTED_OUT = "opted_out"
    FAULT = "fault"


_S = OperationalState
_REDUCED = frozenset({_S.RUNNING_CURTAILED, _S.IDLE_CURTAILED, _S.CYCLING_ON, _S.CYCLING_OFF})
EXPECTED: dict[Op, frozenset[OperationalState]] = {
    Op.SHED: _REDUCED,
    Op.CRITICAL_PEAK: _REDUCED,
    Op.GRID_EMERGENCY: _REDUCED,
    Op.POWER_LEVEL: frozenset({_S.VARIABLE_FOLLOWING}),
    Op.LOAD_UP: frozenset({_S.RUNNING_HEIGHTENED, _S.IDLE_HEIGHTENED}),
    Op.END_SHED: frozenset(
        {_S.IDLE_NORMAL, _S.RUNNING_NORMAL, _S.RUNNING_PRICE_STREAM, _S.IDLE_PRICE_STREAM}
        | {_S.IDLE_OPTED_OUT, _S.RUNNING_OPTED_OUT}  # opted out of the next one, too: there is no event any more
    ),
}
OPTED_OUT = frozenset({_S.IDLE_OPTED_OUT, _S.RUNNING_OPTED_OUT})
IN_EVENT = _REDUCED | EXPECTED[Op.LOAD_UP] | {_S.VARIABLE_FOLLOWING, _S.VARIABLE_NOT_FOLLOWING} | OPTED_OUT
"""States that show an event that was not ended."""


def verdict(op: Op, state: OperationalState | None) -> Verdict:
    """Return whether ``state`` shows the effect of ``op``."""
    if state in EXPECTED[op]:
        return Verdict.FOLLOWED
    if state in OPTED_OUT:
        return Verdict.OPTED_OUT
    if state is _S.ERROR:
        return Verdict.FAULT
    if op is Op.POWER_LEVEL and state is _S.VARIABLE_NOT_FOLLOWING:
        return Verdict.NOT_FOLLOWING
    return Verdict.NOT_YET
