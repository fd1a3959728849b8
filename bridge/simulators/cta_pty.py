"""A simulated CTA-2045 device on a pseudo terminal: what a serial adapter with a device on it looks like to software.

Rule: a shell: bytes, seconds and the pty; the device decides. ``unplug`` takes the port away as a pulled adapter does,
``plug`` brings it back under the same name.
"""

import asyncio
import os
import signal
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bridge.cta2045.bodies import Info
from bridge.cta2045.values import Capability
from bridge.simulators.cta_appliances import Appliance, Evse, WaterHeater
from bridge.simulators.cta_device import SUPPORTED, Faults, Out, SimulatedDevice
from runtime.clock import Draw

_READ = 4096  # bytes at once


class PtyDevice:
    """Runs ``device`` on a pty whose name is linked at ``link``."""

    def __init__(self, device: SimulatedDevice, link: Path) -> None:
        self.device = device
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._master = self._slave = -1
        self._timer: asyncio.TimerHandle | None = None

    def plug(self) -> None:
        """Open the port. Raises ``FileExistsError`` if something that is no link is there."""
        if self._link.exists() and not self._link.is_symlink():
            raise FileExistsError(f"{self._link}: exists and is no link")
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        fresh = self._link.with_name(self._link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._link)
        self._loop.add_reader(self._master, self._readable)
        self._tick()

    def unplug(self) -> None:
        """Take the port away, in the middle of whatever happens."""
        if self._timer is not None:
            self._timer.cancel()
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1
            self._link.unlink(missing_ok=True)

    @property
    def now(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    def do(self, outs: Sequence[Out]) -> None:
        """Write what the device has to say, and wait for the next thing due."""
        for delay, data in outs:
            if delay > 0:
                self._loop.call_later(delay, self._write, data)
            else:
                self._write(data)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self.device.due(self.now), self._tick)

    def _tick(self) -> None:
        self.do(self.device.tick(self.now))

    def _readable(self) -> None:
        with suppress(OSError):  # nobody has the other end open
            self.do(self.device.receive(os.read(self._master, _READ), self.now))

    def _write(self, data: bytes) -> None:
        if self._master >= 0:
            with suppress(BlockingIOError):  # nobody reads: a real line loses it too
                os.write(self._master, data)


def make(kind: str, draw: Draw, *, version: str = "B", faults: Faults | None = None) -> SimulatedDevice:
    """Return a device by its type: ``evse`` or ``water-heater``. Raises ``ValueError`` for another."""
    capability = Capability(0) if version == "A" else Capability.ADVANCED_LOAD_UP | Capability.CONTINUOUS_POWER
    appliance: Appliance
    match kind:
        case "evse":
            appliance, code, model = Evse(), 0x1102, "SIM-EVSE"
        case "water-heater":
            appliance, code, model = WaterHeater(), 0x0002, "SIM-WH"
        case _:
            raise ValueError(f"type {kind!r}: simulated are evse and water-heater")
    return SimulatedDevice(
        appliance,
        info=Info(version=version, vendor=0xFFFF, device_type=code, capability=capability, model=model, serial="1"),
        draw=draw,
        faults=faults,
        payload=5 if version == "A" else 7,
        supports=SUPPORTED,
        finds=True,
    )


async def run(device: SimulatedDevice, link: Path, override_after_s: float | None = None) -> None:
    """Run ``device`` until cancelled. SIGUSR1 is the customer's override button: on, off, on."""
    port = PtyDevice(device, link)
    loop = asyncio.get_running_loop()

    def press() -> None:
        port.do(device.press_override(port.now, not device.appliance.overridden))

    device.appliance.now = port.now
    port.plug()
    loop.add_signal_handler(signal.SIGUSR1, press)
    if override_after_s is not None:
        loop.call_later(override_after_s, press)
    try:
        await asyncio.Event().wait()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        port.unplug()
