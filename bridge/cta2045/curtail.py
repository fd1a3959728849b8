"""Carries orders out on one device: the ladder of commands, their effect, their end, once each and over restarts.

Rule: what goes out is in ``Memory`` first. A curtailment that the device took, or may have taken, gets exactly one End
Shed (CTA-05): after doubt or a restart the state is asked for, and only a device that still shows an event is told
again. A new event replaces the one before without an End Shed between them; when it ends, the outer one is sent again.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.cta2045 import commands, energy
from bridge.cta2045.commands import Basic, Guidance, Op
from bridge.cta2045.delivery import Delivery, Host, OrderOutcome, Patience
from bridge.cta2045.dialogue import Facts
from bridge.cta2045.intermediate import Do, put
from bridge.cta2045.ladder import (
    IN_EVENT,
    Answer,
    DeviceModel,
    Verdict,
    delivered_share,
    rungs,
    verdict,
)
from bridge.cta2045.memory import Phase, Standing
from bridge.cta2045.orders import Mode, Order, in_force, next_change, next_start
from bridge.cta2045.values import Capability, OperationalState

ADVANCED = Basic(op=Op.LOAD_UP, operand=0)  # stands for an advanced load up, which has no Basic DR command


class Curtailer:
    """The orders of one device. ``orders`` is ``None`` until the bridge has said what it wants."""

    def __init__(self, host: Host, patience: Patience | None = None) -> None:
        self.orders: tuple[Order, ...] | None = None
        self._host = host
        self._patience = patience or Patience()
        self._model = DeviceModel()
        self._facts = Facts()
        self._refused: set[Op] = set()
        self._no_advanced = False
        self._standing: Standing | None = None
        self._doubt = False  # an End Shed may have arrived
        self._again = False  # what is in force is sent again
        self._hold: tuple[str, datetime] | None = None  # what waits, and until when
        self._closed: tuple[str, OrderOutcome] | None = None  # the order that is done with: refused or overridden
        self._guided: tuple[str, datetime] | None = None  # the load up, and when it may follow its guidance
        self._announced: str | None = None
        self._look_at: datetime | None = None
        self._look_until: datetime | None = None
        self._repeats: dict[str, int] = {}

    @property
    def standing(self) -> Standing | None:
        """What stands on the device."""
        return self._standing

    async def load(self) -> None:
        """Read what stood when the bridge was last running."""
        self._standing = await self._host.memory.load(self._host.device)
        self._doubt = self._standing is not None

    def begin(self, model: DeviceModel, facts: Facts) -> None:
        """A device was found: what it refused before may be another device's refusal."""
        self._model, self._facts = model, facts
        self._refused, self._no_advanced = set(), False
        self._hold = self._look_at = self._closed = None

    def again(self) -> None:
        """Send what is in force again: the device asks for it, came back, or the customer gave up the override."""
        self._again, self._closed, self._hold = True, None, None

    def due(self, now: datetime) -> datetime | None:
        """Return when ``step`` has something to do."""
        dues = [self._look_at]
        if self.orders is not None:
            dues.append(next_change(self.orders, now))
        elif self._standing is not None:
            dues.append(self._standing.ends)
        if (wanted := self._wanted(now)) is not None:
            dues.append(self._held(wanted) or now)
        return min((at for at in dues if at is not None), default=None)

    async def step(self, now: datetime) -> bool:
        """Do one thing that is due; False if nothing is."""
        wanted = self._wanted(now)
        if wanted is not None and ((until := self._held(wanted)) is None or now >= until):
            self._hold = None
            await (self._apply(wanted) if isinstance(wanted, Order) else self._end(wanted))
            return True
        if self._look_at is not None and now >= self._look_at:
            await self._look()
            return True
        return self._announce(now)

    def saw(self, state: OperationalState, now: datetime) -> None:
        """Judge a state by the command that stands."""
        standing = self._standing
        if standing is None or standing.phase is not Phase.ACTIVE:
            return
        found = verdict(standing.op, state)
        if self._look_until is not None:
            self._judge(standing, found, state, now)
        elif found is Verdict.NOT_YET and self._repeats.get(standing.key, 0) < self._patience.repeats:
            self._repeats[standing.key] = self._repeats.get(standing.key, 0) + 1
            self._again = True  # it lost the event: it was switched off and on

    def would_send(self, orders: Iterable[Order], now: datetime) -> bool:
        """Tell whether ``orders`` would make a command necessary now."""
        order, standing = in_force(orders, now), self._standing
        if order is None:
            return standing is not None
        waits = order.mode is Mode.LOAD_UP and self._patience.guidance_s > 0
        if waits or self.closed_as(orders, now) is not None:
            return False
        return standing is None or not _serves(standing, order)

    def closed_as(self, orders: Iterable[Order], now: datetime) -> OrderOutcome | None:
        """Return why the order in force among ``orders`` is not sent any more; ``None`` if it is, or there is none."""
        order = in_force(orders, now)
        done = order is not None and self._closed is not None and self._closed[0] == _name(order)
        return self._closed[1] if done and self._closed is not None else None

    # -- what to do

    def _wanted(self, now: datetime) -> Order | Standing | None:
        """Return the order to send, what stands and is to be ended, or ``None``."""
        standing = self._standing
        if self.orders is None:  # the bridge has not said: only what is over is ended
            over = standing is not None and standing.ends is not None and standing.ends <= now
            return standing if over else None
        order = in_force(self.orders, now)
        if order is None:
            self._again, self._closed = False, None  # the next order is asked for anew, whatever became of this one
            return standing
        if self._closed is not None and self._closed[0] == _name(order):
            return None
        return order if self._again or standing is None or not _serves(standing, order) else None

    def _held(self, wanted: Order | Standing) -> datetime | None:
        """Return until when ``wanted`` has to wait; something else need not wait for it."""
        return self._hold[1] if self._hold is not None and self._hold[0] == _wish(wanted) else None

    async def _apply(self, order: Order) -> None:
        """Send ``order``: the rungs of its ladder until the device takes one."""
        before, now = self._standing, self._host.clock.now()
        if self._guidance_first(order, now):
            return
        self._again = False
        for basic in await self._ladder(order, now):
            standing = self._note(order, basic, now)
            await self._keep(standing)
            answer = await self._send(order, basic)
            if answer is Answer.TAKEN:
                await self._keep(replace(standing, phase=Phase.ACTIVE))
                self._doubt = False
                self._watch(order, basic)
                return
            if answer in (Answer.DOUBT, Answer.UNSENT):
                await self._keep(standing if answer is Answer.DOUBT else before)
                self._wait(order)
                self._tell(_name(order), OrderOutcome.NO_ANSWER, basic)
                return
            await self._keep(before)
            if answer is Answer.OVERRIDDEN and order.overridable:
                self._closed = (_name(order), OrderOutcome.OVERRIDDEN)
                self._host.learn_override(True, self._host.clock.now())
                self._tell(_name(order), OrderOutcome.OVERRIDDEN, basic, "App NAK 05")
                return
            if answer is Answer.REFUSED:
                self._refused.add(basic.op)
        self._closed = (_name(order), OrderOutcome.REFUSED)
        self._tell(_name(order), OrderOutcome.REFUSED)

    async def _ladder(self, order: Order, now: datetime) -> tuple[Basic, ...]:
        ladder = rungs(order, self._model, frozenset(self._refused), now)
        advanced = Capability.ADVANCED_LOAD_UP
        info = self._facts.info
        hinted = info is not None and bool(info.capability & advanced)
        wants = order.mode is Mode.LOAD_UP and order.energy_wh is not None and order.end is not None
        return (ADVANCED, *ladder) if wants and hinted and not self._no_advanced else ladder

    async def _send(self, order: Order, basic: Basic) -> Answer:
        if basic is ADVANCED:
            minutes = max(int((order.left_s(self._host.clock.now()) or 0) // 60), 1)
            body = energy.load_up(min(minutes, 0xFFFF), order.energy_wh or 0.0)
            reply = await self._host.dialogue.request(put(Do.LOAD_UP, body))
            self._no_advanced = reply is None
            return Answer.REFUSED if reply is None else Answer.TAKEN
        answer = await self._host.dialogue.command(basic)
        for _ in range(self._patience.busy_tries):
            if answer is not Answer.BUSY:
                break
            await self._host.clock.sleep(self._patience.busy_s)
            answer = await self._host.dialogue.command(basic)
        return answer

    def _guidance_first(self, order: Order, now: datetime) -> bool:
        """A load up begins with guidance "good", and the command comes some time after (CTA-12)."""
        if order.mode is not Mode.LOAD_UP or self._patience.guidance_s <= 0:
            return False
        if self._guided is None or self._guided[0] != order.key:
            self._guided = (order.key, now + timedelta(seconds=self._patience.guidance_s))
            self._host.owe(commands.guidance(Guidance.GOOD))
        if now < self._guided[1]:
            self._hold = (_wish(order), self._guided[1])
            return True
        return False

    async def _end(self, standing: Standing) -> None:
        """Send End Shed, once: after doubt only to a device that still shows an event."""
        if self._doubt:
            answered, state = await self._host.ask_state()
            if not answered:
                self._wait_to_end(standing)
                return
            if standing.phase is not Phase.ACTIVE and state is not None and state not in IN_EVENT:
                await self._over(standing, "the device had ended it")
                return
        await self._keep(replace(standing, phase=Phase.ENDING))
        answer = await self._host.dialogue.command(commands.end())
        if answer in (Answer.DOUBT, Answer.UNSENT):
            self._doubt = self._doubt or answer is Answer.DOUBT
            self._wait_to_end(standing)
        else:
            await self._over(standing, "" if answer is Answer.TAKEN else f"End Shed was {answer.value}")

    def _wait_to_end(self, standing: Standing) -> None:
        self._wait(standing)
        self._tell(standing.key, OrderOutcome.NO_ANSWER, commands.end())

    def _wait(self, wanted: Order | Standing) -> None:
        self._hold = (_wish(wanted), self._host.clock.now() + timedelta(seconds=self._patience.again_s))

    async def _over(self, standing: Standing, detail: str) -> None:
        if self._guided is not None:
            self._guided = None
            self._host.owe(commands.guidance(Guidance.NEUTRAL))
        self._doubt, self._look_at, self._look_until = False, None, None
        self._repeats.pop(standing.key, None)
        await self._keep(None)
        self._tell(standing.key, OrderOutcome.ENDED, commands.end(), detail)

    # -- effect

    def _watch(self, order: Order, basic: Basic) -> None:
        """Look at the state from now until it shows the effect."""
        now = self._host.clock.now()
        self._look_at = now + timedelta(seconds=min(self._patience.look_s, self._patience.effect_s) / 5)
        self._look_until = now + timedelta(seconds=self._patience.effect_s)
        self._tell(_name(order), OrderOutcome.TAKEN, basic)

    async def _look(self) -> None:
        self._look_at = self._host.clock.now() + timedelta(seconds=self._patience.look_s)
        _, state = await self._host.ask_state()  # which comes to ``saw``
        now = self._host.clock.now()
        if self._look_until is None:
            self._look_at = None
        elif now >= self._look_until and self._standing is not None:
            self._done_looking(self._standing, OrderOutcome.NOT_FOLLOWED, state)

    def _judge(self, standing: Standing, found: Verdict, state: OperationalState, now: datetime) -> None:
        outcome = {
            Verdict.FOLLOWED: OrderOutcome.FOLLOWED,
            Verdict.OPTED_OUT: OrderOutcome.OVERRIDDEN,
            Verdict.NOT_FOLLOWING: OrderOutcome.NOT_FOLLOWED,
            Verdict.FAULT: OrderOutcome.FAULT,
        }.get(found)
        if outcome is not None:
            self._done_looking(standing, outcome, state)

    def _done_looking(self, standing: Standing, outcome: OrderOutcome, state: OperationalState | None) -> None:
        self._look_at = self._look_until = None
        detail = "no known state" if state is None else state.name.lower()
        self._tell(standing.key, outcome, Basic(op=standing.op, operand=standing.operand), detail)

    # -- notes

    def _note(self, order: Order, basic: Basic, now: datetime) -> Standing:
        return Standing(
            device=self._host.device,
            key=_name(order),
            op=basic.op,
            operand=basic.operand,
            since=now,
            ends=order.end,
            phase=Phase.SENDING,
        )

    async def _keep(self, standing: Standing | None) -> None:
        """Write what stands, then believe it."""
        if standing is None:
            await self._host.memory.forget(self._host.device)
        elif standing != self._standing:
            await self._host.memory.save(standing)
        self._standing = standing

    def _announce(self, now: datetime) -> bool:
        """Tell of the next order while none is in force; the device need not, and mostly does not, act on it."""
        order = next_start(self.orders or (), now)
        if order is None or _name(order) == self._announced or order.mode is Mode.POWER_LEVEL:
            return False
        left_s = (order.start - now).total_seconds()
        if left_s > self._patience.announce_s:
            return False
        self._announced = _name(order)
        self._host.owe(*commands.pending(_ANNOUNCED[order.mode], left_s))
        return True

    def _tell(self, key: str, outcome: OrderOutcome, basic: Basic | None = None, detail: str = "") -> None:
        share = None if basic is None else delivered_share(basic, self._model)
        sent = "" if basic is None else basic.op.name.lower()
        now = self._host.clock.now()
        self._host.tell(Delivery(key=key, outcome=outcome, at=now, sent=sent, share=share, detail=detail))


_ANNOUNCED = {
    Mode.SHED: Op.SHED,
    Mode.CRITICAL_PEAK: Op.CRITICAL_PEAK,
    Mode.GRID_EMERGENCY: Op.GRID_EMERGENCY,
    Mode.LOAD_UP: Op.LOAD_UP,
}


def _name(order: Order) -> str:
    """Return what makes an order another one for the device: its key, kind and strength."""
    strength = f"@{order.share:.4f}" if order.mode is Mode.POWER_LEVEL else ""
    return f"{order.key}/{order.mode.value}{strength}"


def _wish(wanted: Order | Standing) -> str:
    return _name(wanted) if isinstance(wanted, Order) else "end"


def _serves(standing: Standing, order: Order) -> bool:
    """Tell whether what stands is this order, with the end that it has now."""
    return standing.phase is Phase.ACTIVE and standing.key == _name(order) and standing.ends == order.end
