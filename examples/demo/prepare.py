"""Makes the demonstration's folder: certificates, settings files, all made anew for one run on free loopback ports.

Rule: everything the programs need is in the files written here; nothing is patched into them.
"""

import secrets
import shutil
import socket
from datetime import datetime
from pathlib import Path

from certs.demo import demo_pki
from examples.demo import behind, configs
from examples.demo.fleet import DemoCharger
from examples.demo.site import Site


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


def prepare(folder: Path, chargers: tuple[DemoCharger, ...], *, now: datetime, proxy: bool = False) -> Site:
    """Make the folder afresh and return where everything is. With ``proxy`` the chargers belong to a CPO's CSMS."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pki = demo_pki(folder / "pki", now=now, stations=[each.identity for each in chargers if not each.cta])
    vtn_port, vtn_api, ocpp_port, bridge_api, csms_port = free_ports(5)
    site = Site(
        folder=folder,
        ca=pki.trust_server,
        token=secrets.token_urlsafe(24),
        vtn_api=f"https://127.0.0.1:{vtn_api}",
        bridge_api=f"https://127.0.0.1:{bridge_api}",
        fingerprint=pki.ven.fingerprint,
        csms=behind.prepare(folder, pki, chargers, csms_port) if proxy else None,
    )
    site.vtn_config.write_text(configs.vtn(pki, site, vtn_port, vtn_api))
    programmes = [
        configs.compressed(folder, name) for name in ("aggregator-dispatch", "emergency-limit", "time-of-use")
    ]
    ports = configs.Ports(vtn=vtn_port, ocpp=ocpp_port, api=bridge_api)
    site.bridge_config.write_text(configs.bridge(pki, site, chargers, ports, programmes))
    site.fleet_config.write_text(configs.fleet(pki, site, chargers, ocpp_port))
    for file in (site.vtn_config, site.bridge_config, site.fleet_config):
        file.chmod(0o600)  # they hold the token
    return site
