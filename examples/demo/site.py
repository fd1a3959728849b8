"""The demonstration's folder: certificates, settings files and logs, all made anew for one run on free loopback ports.

Rule: everything the programs need is in the files written here; nothing is patched into them.
"""

import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from certs.demo import DemoPki, demo_pki
from examples.demo.fleet import SITE, SITE_A, DemoCharger

VEN_ID = "VEN-demo"
MARKET_CONTEXT = "http://gateway.example/programmes/dno-curtailment"
EMERGENCY = "http://gateway.example/programmes/emergency-limit"
DISPATCH = "http://gateway.example/programmes/aggregator-dispatch"
TARIFF = "http://gateway.example/programmes/time-of-use"
PROGRAMMES = Path(__file__).resolve().parents[2] / "bridge" / "programmes"
RELEASE_S = 2  # random release in compressed time; as shipped it is minutes
METER_S = 1  # the chargers' meter interval in compressed time
SETTLE_S = 4  # the cars ramp 8 A a second; then one more meter value


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is: ``vtn_api`` and ``bridge_api`` are base addresses, ``token`` opens both."""

    folder: Path
    ca: Path
    token: str
    vtn_api: str
    bridge_api: str
    fingerprint: str

    @property
    def vtn_config(self) -> Path:
        """The VTN's settings file."""
        return self.folder / "vtn.toml"

    @property
    def bridge_config(self) -> Path:
        """The bridge's settings file."""
        return self.folder / "bridge.toml"

    @property
    def fleet_config(self) -> Path:
        """The simulated fleet."""
        return self.folder / "fleet.toml"


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def toml(value: object) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(header: str, values: Mapping[str, object]) -> str:
    """Write one TOML table."""
    return "\n".join((header, *(f"{key} = {toml(value)}" for key, value in values.items()), ""))


def prepare(folder: Path, chargers: tuple[DemoCharger, ...], *, now: datetime) -> Site:
    """Make the folder afresh and return where everything is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pki = demo_pki(folder / "pki", now=now, stations=[charger.identity for charger in chargers])
    vtn_port, vtn_api, ocpp_port, bridge_api = free_ports(4)
    site = Site(
        folder=folder,
        ca=pki.trust_server,
        token=secrets.token_urlsafe(24),
        vtn_api=f"https://127.0.0.1:{vtn_api}",
        bridge_api=f"https://127.0.0.1:{bridge_api}",
        fingerprint=pki.ven.fingerprint,
    )
    site.vtn_config.write_text(_vtn(pki, site, vtn_port, vtn_api))
    programmes = [_compressed(folder, name) for name in ("aggregator-dispatch", "emergency-limit", "time-of-use")]
    site.bridge_config.write_text(_bridge(pki, site, chargers, (vtn_port, ocpp_port, bridge_api), programmes))
    site.fleet_config.write_text(_fleet(pki, site, chargers, ocpp_port))
    for file in (site.vtn_config, site.bridge_config, site.fleet_config):
        file.chmod(0o600)  # they hold the token
    return site


def _compressed(folder: Path, name: str) -> str:
    """Write a shipped programme with a release window in compressed time; return its file's name."""
    shipped = (PROGRAMMES / f"{name}.toml").read_text()
    text = re.sub(r"release_window_s = \d+", f"release_window_s = {RELEASE_S}", shipped)
    (folder / f"{name}.toml").write_text(text.replace('version = "1"', 'version = "1-demo"'))
    return f"{name}.toml"


def _vtn(pki: DemoPki, site: Site, port: int, api_port: int) -> str:
    chains = ", ".join(f"{{ cert = {toml(pair.chain[0])}, key = {toml(pair.chain[1])} }}" for pair in pki.vtn)
    operator_cert, operator_key = pki.operator.chain
    return "\n".join(
        (
            table("[server]", {"host": "127.0.0.1", "port": port, "client_ca": pki.trust_openadr})
            + f"certificates = [{chains}]\n",
            table("[vtn]", {"vtn_id": "VTN-demo", "poll_freq_s": 1, "event_retry_s": 5, "queue_retry_s": 5}),
            table("[operator]", {"port": api_port, "token": site.token, "cert": operator_cert, "key": operator_key}),
            table("[database]", {"url": f"sqlite+aiosqlite:///{site.folder}/vtn.sqlite3"}),
            table("[reports]", {"granularity_s": 2, "back_s": 4}),
        )
    )


def _bridge(
    pki: DemoPki,
    site: Site,
    chargers: tuple[DemoCharger, ...],
    ports: tuple[int, int, int],
    programmes: list[str],
) -> str:
    vtn_port, ocpp_port, api_port = ports
    ven_cert, ven_key = pki.ven.chain
    central_cert, central_key = pki.central.chain
    operator_cert, operator_key = pki.operator.chain
    ven = {
        "vtn_url": f"https://127.0.0.1:{vtn_port}",
        "ca": pki.trust_openadr,
        "cert": ven_cert,
        "key": ven_key,
        "ven_name": "demo bridge",
        "ven_id": VEN_ID,
        "backoff_max_s": 2,
        "reregister_s": 1,
    }
    ocpp = {
        "port": ocpp_port,
        "cert": central_cert,
        "key": central_key,
        "client_ca": pki.trust_ocpp,
        "meter_interval_s": METER_S,
        "call_timeout_s": 5,
    }
    verify = {"settle_s": SETTLE_S, "retries": 1, "offline_after_s": 6, "after_s": 6, "before_s": 6}
    arbiter = {"min_dwell_s": 0, "writes_per_hour": 1000, "cut_verify_s": 3}
    dispatch = {"tick_s": 0.5, "backoff_s": 1, "backoff_max_s": 4, "expiry_grace_s": 5}
    return "\n".join(
        (
            table("[ven]", ven),
            table("[ocpp]", ocpp),
            table("[api]", {"port": api_port, "token": site.token, "cert": operator_cert, "key": operator_key}),
            table("[database]", {"url": f"sqlite+aiosqlite:///{site.folder}/bridge.sqlite3"}),
            table("[verify]", verify),
            table("[dispatch]", dispatch),
            table("[arbiter]", arbiter),
            table("[programme]", {"files": [*programmes, "dno-curtailment"]}),
            table("[telemetry]", {"fastest_s": 1, "flush_s": 1}),
            table("[[sites]]", {"id": SITE, "max_a": SITE_A}),
            *(
                table(
                    "[[chargers]]",
                    {
                        "identity": charger.identity,
                        "resource_id": charger.resource_id,
                        "phases": charger.phases,
                        "max_a": charger.max_a,
                        "groups": charger.groups,
                        **({} if charger.site is None else {"site": charger.site}),
                        **({"lines": charger.lines} if charger.lines else {}),
                    },
                )
                for charger in chargers
            ),
        )
    )


def _fleet(pki: DemoPki, site: Site, chargers: tuple[DemoCharger, ...], port: int) -> str:
    return "\n".join(
        (
            table("", {"url": f"wss://127.0.0.1:{port}/ocpp", "ca": pki.trust_server}),
            table("[api]", {"url": site.bridge_api, "token": site.token, "ca": pki.trust_server}),
            *(
                table(
                    "[[chargers]]",
                    {
                        "identity": charger.identity,
                        "version": charger.version,
                        "phases": charger.phases,
                        "max_a": charger.max_a,
                        "behaviour": charger.behaviour,
                        "cert": pki.stations[charger.identity].chain[0],
                        "key": pki.stations[charger.identity].chain[1],
                        **charger.script,
                    },
                )
                for charger in chargers
            ),
        )
    )
