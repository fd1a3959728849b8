"""The CPO's CSMS of the demonstration with ``--proxy``: where it is, how the bridge dials it, what it must have seen.

Rule: the CSMS is a program of its own that knows nothing of the bridge; what it counted is asked over its own port.
"""

import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from certs.demo import DemoPki
from examples.demo.fleet import CONSTRAINED, CPO_LIMITS_A, NEVER_S, DemoCharger, Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Csms:
    """Its port, certificate, and the folder with one password a charger."""

    port: int
    ca: Path
    cert: Path
    key: Path
    passwords: Path

    @property
    def url(self) -> str:
        """Where chargers dial it."""
        return f"wss://127.0.0.1:{self.port}/cpo"

    def settings(self) -> dict[str, object]:
        """Return the bridge's ``[[proxies]]`` table."""
        return {
            "chargers": ["*"],
            "csms_url": self.url,
            "ca": self.ca,
            "auth": "replace",
            "password_file": self.passwords / "{identity}",
            "backoff_s": 0.5,
            "backoff_max_s": 4,
        }

    def arguments(self, meter_interval_s: int) -> tuple[str, ...]:
        """Return its command line."""
        limits = [word for name, amperes in CPO_LIMITS_A.items() for word in ("--limit", f"{name}={amperes}")]
        fixed = {"--port": self.port, "--cert": self.cert, "--key": self.key, "--passwords": self.passwords}
        return (
            *(word for name, value in fixed.items() for word in (name, str(value))),
            "--meter-interval",
            str(meter_interval_s),
            *limits,
        )


def prepare(folder: Path, pki: DemoPki, chargers: tuple[DemoCharger, ...], port: int) -> Csms:
    """Make the passwords and return where the CSMS will be."""
    passwords = folder / "passwords"
    passwords.mkdir()
    for charger in dialling(chargers):
        file = passwords / charger.identity
        file.write_text(secrets.token_urlsafe(16))
        file.chmod(0o600)
    cert, key = pki.central.chain
    return Csms(port=port, ca=pki.trust_server, cert=cert, key=key, passwords=passwords)


def expected(charger: DemoCharger, act: str, csms: Csms | None) -> Expected:
    """Return what a charger must come to: where its CPO lets it have less than the event, that is named."""
    half_a = charger.max_a / 2  # SIMPLE level 2
    stricter = csms is not None and act in ("simple", "short") and CPO_LIMITS_A.get(charger.identity, half_a) < half_a
    return CONSTRAINED if stricter else charger.outcome(act)


def dialling(chargers: tuple[DemoCharger, ...]) -> list[DemoCharger]:
    """Return those that speak OCPP; the others are on serial lines of the bridge."""
    return [charger for charger in chargers if not charger.cta]


async def summary(http: aiohttp.ClientSession, csms: Csms) -> Mapping[str, Any]:
    """Ask the CSMS what it has seen."""
    tls = ssl.create_default_context(cafile=str(csms.ca))
    async with http.get(f"https://127.0.0.1:{csms.port}/summary", ssl=tls) as answer:
        found: dict[str, Any] = await answer.json(content_type=None)
        return found


def sentence(seen: Mapping[str, Any]) -> str:
    """Return what the CSMS has seen in words."""
    return (
        f"the CPO's CSMS saw {seen['chargers']} chargers, {seen['sessions']} sessions, {seen['samples']} meter values, "
        f"{seen['toldTwice']} messages twice, and {seen['limitNotices']} notices of our limits (2.0.1)"
    )


def faults(seen: Mapping[str, Any], chargers: tuple[DemoCharger, ...]) -> list[str]:
    """Return what is not as it must be."""
    found, dialled = [], dialling(chargers)
    cars = sum(each.car_after_s < NEVER_S for each in dialled)
    if seen["chargers"] != len(dialled):
        found.append(f"{seen['chargers']} chargers, {len(dialled)} belong to it")
    if not cars - 1 <= seen["sessions"] <= cars:  # one comes late
        found.append(f"{seen['sessions']} sessions, {cars} cars charge")
    if seen["toldTwice"]:
        found.append(f"{seen['toldTwice']} messages of transactions came twice")
    if not seen["limitNotices"]:
        found.append("no 2.0.1 charger told of a limit")
    return found
