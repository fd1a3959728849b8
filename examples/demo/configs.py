"""The settings files of the three programs of the demonstration, as an operator would write them.

Rule: figures that are minutes in the field are seconds here, and nothing else differs.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from certs.demo import DemoPki
from examples.demo import devices
from examples.demo.fleet import SITE, SITE_A, DemoCharger
from examples.demo.site import METER_S, VEN_ID, Site
from examples.demo.toml import table, toml

PROGRAMMES = Path(__file__).resolve().parents[2] / "bridge" / "programmes"
RELEASE_S = 2  # random release in compressed time; as shipped it is minutes
SETTLE_S = 4  # the cars ramp 8 A a second; then one more meter value


def compressed(folder: Path, name: str) -> str:
    """Write a shipped programme with a release window in compressed time; return its file's name."""
    shipped = (PROGRAMMES / f"{name}.toml").read_text()
    text = re.sub(r"release_window_s = \d+", f"release_window_s = {RELEASE_S}", shipped)
    (folder / f"{name}.toml").write_text(text.replace('version = "1"', 'version = "1-demo"'))
    return f"{name}.toml"


def vtn(pki: DemoPki, site: Site, port: int, api_port: int) -> str:
    """Return the VTN's settings."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the VTN listens and where the bridge does."""

    vtn: int
    ocpp: int
    api: int


def bridge(pki: DemoPki, site: Site, chargers: tuple[DemoCharger, ...], ports: Ports, programmes: list[str]) -> str:
    """Return the bridge's settings."""
    return "\n".join(
        (
            *_links(pki, site, ports),
            *_pace(),
            table("[database]", {"url": f"sqlite+aiosqlite:///{site.folder}/bridge.sqlite3"}),
            table("[programme]", {"files": [*programmes, "dno-curtailment"]}),
            table("[[sites]]", {"id": SITE, "max_a": SITE_A}),
            *((table("[[proxies]]", site.csms.settings()),) if site.csms is not None else ()),
            *(table(header, values) for header, values in devices.settings(site.folder, chargers)),
            *(table("[[chargers]]", _charger(charger)) for charger in chargers if not charger.cta),
        )
    )


def _links(pki: DemoPki, site: Site, ports: Ports) -> tuple[str, ...]:
    """Return whom the bridge speaks to, and by which certificates."""
    ven_cert, ven_key = pki.ven.chain
    central_cert, central_key = pki.central.chain
    operator_cert, operator_key = pki.operator.chain
    ven = {
        "vtn_url": f"https://127.0.0.1:{ports.vtn}",
        "ca": pki.trust_openadr,
        "cert": ven_cert,
        "key": ven_key,
        "ven_name": "demo bridge",
        "ven_id": VEN_ID,
        "backoff_max_s": 2,
        "reregister_s": 1,
    }
    ocpp = {
        "port": ports.ocpp,
        "cert": central_cert,
        "key": central_key,
        "client_ca": pki.trust_ocpp,
        "meter_interval_s": METER_S,
        "call_timeout_s": 5,
        "probe": False,  # the stories of some chargers begin with the first limit that they get
    }
    api = {"port": ports.api, "token": site.token, "cert": operator_cert, "key": operator_key}
    return table("[ven]", ven), table("[ocpp]", ocpp), table("[api]", api)


def _pace() -> tuple[str, ...]:
    """Return the figures that are minutes in the field."""
    return (
        table("[verify]", {"settle_s": SETTLE_S, "retries": 1, "offline_after_s": 6, "after_s": 6, "before_s": 6}),
        table("[dispatch]", {"tick_s": 0.5, "backoff_s": 1, "backoff_max_s": 4, "expiry_grace_s": 5}),
        table("[arbiter]", {"min_dwell_s": 0, "writes_per_hour": 1000, "cut_verify_s": 3}),
        table("[telemetry]", {"fastest_s": 1, "flush_s": 1}),
    )


def _charger(charger: DemoCharger) -> dict[str, object]:
    return {
        "identity": charger.identity,
        "resource_id": charger.resource_id,
        "phases": charger.phases,
        "max_a": charger.max_a,
        "groups": charger.groups,
        **({} if charger.site is None else {"site": charger.site}),
        **({"lines": charger.lines} if charger.lines else {}),
    }


def fleet(pki: DemoPki, site: Site, chargers: tuple[DemoCharger, ...], port: int) -> str:
    """Return the simulated chargers."""
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
                if not charger.cta
            ),
        )
    )
