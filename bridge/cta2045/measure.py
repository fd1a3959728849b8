"""Measures what a model makes of Shed and Critical Peak: the commissioning of a device that is in no table.

Rule: it commands the device, so it is never part of a probe; the device must draw what it can while it runs. Whatever
happens on the way, the last thing that the device hears is End Shed.
"""

import ssl
from collections.abc import Sequence

from bridge.cta2045 import commands
from bridge.cta2045.commands import Basic, Comm, Op
from bridge.cta2045.dialogue import Dialogue, Facts
from bridge.cta2045.ladder import Answer
from bridge.cta2045.probe import Say, find, visit
from bridge.cta2045.timing import Timing
from bridge.cta2045.values import CommodityCode, device_name
from runtime.clock import Clock, Draw

LONG_S = 900.0  # a command that is never ended lasts so long at most; over 10 min it is no spinning reserve to a device
LEAST_W = 100.0  # below it a device draws nothing that could be reduced

_STEPS = ((Op.SHED, "shed_pct"), (Op.CRITICAL_PEAK, "critical_peak_pct"))


async def measure(
    text: str,
    say: Say,
    *,
    clock: Clock,
    draw: Draw,
    settle_s: float,
    tls: ssl.SSLContext | None = None,
    timing: Timing | None = None,
) -> bool:
    """Measure the device on the port ``text``; say its entry of ``[cta.models]``. Raises ``ValueError``."""

    async def ask(dialogue: Dialogue, _said: Sequence[str]) -> bool:
        facts = await find(dialogue, say)
        if facts is None:
            return False
        await dialogue.command(commands.comm_status(Comm.GOOD))
        full_w = await _power_w(dialogue)
        if full_w is None or full_w < LEAST_W:
            found = "it does not tell its power" if full_w is None else f"it draws {full_w:.0f} W"
            say(f"{found}: nothing can be measured; let it draw what it can, and try again")
            return False
        say(f"# it draws {full_w:.0f} W; waits {settle_s:g} s after each command")
        say(f'[cta.models."{_name(facts)}"]')
        try:
            for line in await _steps(dialogue, clock, full_w, settle_s):
                say(line)
        finally:
            await dialogue.command(commands.end())
        return True

    return await visit(text, say, ask, clock=clock, draw=draw, tls=tls, timing=timing)


async def _steps(dialogue: Dialogue, clock: Clock, full_w: float, settle_s: float) -> list[str]:
    lines = []
    for op, key in _STEPS:
        left_w = await _after(dialogue, commands.event(op, LONG_S), clock, settle_s)
        if left_w is None:
            lines.append(f"# {key}: {op.name.lower()} is refused or cannot be measured")
        else:
            lines.append(f"{key} = {min(round(100 * left_w / full_w), 100)}")
        await dialogue.command(commands.end())
        await clock.sleep(settle_s)
    taken = await dialogue.command(commands.power_level(1.0)) is Answer.TAKEN
    return [*lines, f"power_level = {str(taken).lower()}"]


async def _after(dialogue: Dialogue, command: Basic, clock: Clock, settle_s: float) -> float | None:
    """Return the power some time after a command, ``None`` if it is not taken or nothing is told."""
    if await dialogue.command(command) is not Answer.TAKEN:
        return None
    await clock.sleep(settle_s)
    return await _power_w(dialogue)


async def _power_w(dialogue: Dialogue) -> float | None:
    readings = await dialogue.commodities() or ()
    return next((float(each.rate) for each in readings if each.kind is CommodityCode.CONSUMED), None)


def _name(facts: Facts) -> str:
    """Return the name that the table is looked up by."""
    info = facts.info
    return "MODEL" if info is None else info.model or device_name(info.device_type)
