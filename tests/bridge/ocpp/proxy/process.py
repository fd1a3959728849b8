"""A central system and its proxy as a process of their own, to be killed: ``python -m ... DATABASE CSMS PORT``."""

import asyncio
import sys

from prometheus_client import CollectorRegistry

from bridge.ocpp.central import CentralSystem
from bridge.ocpp.proxy import Proxy
from bridge.ocpp.settings import ChargerConfig
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from runtime.clock import SystemClock, system_draw
from runtime.database import create_engine, upgrade
from tests.bridge.ocpp.harness import Fleet, make_settings
from tests.bridge.ocpp.proxy.harness import section


async def main(database: str, csms: str, port: int) -> None:
    engine, clock, registry = create_engine(database), SystemClock(), CollectorRegistry()
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    settings = make_settings(port=port)
    proxies = (section(csms, backoff_s=0.2, backoff_max_s=0.4, answer_timeout_s=1.0, offline_authorize="accept"),)
    proxy = Proxy(
        proxies=proxies, ocpp=settings, store=BridgeStore(engine), clock=clock, draw=system_draw, registry=registry
    )
    central = CentralSystem(
        settings=settings,
        chargers=(ChargerConfig(identity="CP-1"),),
        events=Fleet(),
        clock=clock,
        registry=registry,
        proxy=proxy,
    )
    await central.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
