"""The CTA-2045 devices of the demonstration: their ports, what the bridge is told of them, the programs they run as.

Rule: each is a process of its own on a pseudo terminal, as a device on a serial line would be; SIGUSR1 is its
customer's override button.
"""

from collections.abc import Iterable
from pathlib import Path

from examples.demo.fleet import DemoCharger

VOLTAGE = 240  # of the simulated appliances
POLL_S = 1  # state and readings in compressed time; as shipped it is a minute


def port_of(folder: Path, device: DemoCharger) -> Path:
    """Return the name of a device's serial line."""
    return folder / f"port-{device.identity}"


def argv(folder: Path, device: DemoCharger) -> tuple[str, ...]:
    """Return the command line of a device."""
    return ("bridge", "simulate-cta", "--type", device.cta, "--link", str(port_of(folder, device)))


def settings(folder: Path, chargers: Iterable[DemoCharger]) -> list[tuple[str, dict[str, object]]]:
    """Return the tables of the bridge's settings: header and values."""
    tables: list[tuple[str, dict[str, object]]] = [("[cta]", {"poll_s": POLL_S, "effect_s": 10, "guidance_s": 2})]
    tables += [('[cta.models."SIM-EVSE"]', {"shed_pct": 50, "critical_peak_pct": 25})]
    for each in chargers:
        if each.cta:
            tables.append(
                (
                    "[[cta_devices]]",
                    {
                        "identity": each.identity,
                        "resource_id": each.resource_id,
                        "type": each.cta.replace("-", "_"),
                        "port": port_of(folder, each),
                        "max_a": each.max_a,
                        "voltage": VOLTAGE,
                        "groups": each.groups,
                    },
                )
            )
    return tables
