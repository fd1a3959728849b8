"""What the bridge keeps for customers, on every kind of database: needs, plug-ins, states of charge, the past."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.asks import Content, Reference
from bridge.needs import DriverNeed
from bridge.service import Past
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore, Changes
from bridge.verify import OutcomeState
from runtime.database import upgrade
from tests.bridge.parts import T0, at
from tests.bridge.store.test_contract import OUTCOME


@pytest.fixture
async def store(engine: AsyncEngine) -> BridgeStore:
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    return BridgeStore(engine)


NEED = DriverNeed(resource_id="evse-1", departure=at(3600), asked_at=T0, energy_wh=12_000.0, meter_wh=5.0)


async def test_ven_12_13_tel_10_what_is_kept_for_customers_is_read_back(store: BridgeStore) -> None:
    """One database for all of it: making one takes longer than these."""
    await _needs(store)
    await _plug_ins(store)
    await _contents(store)
    await _past(store)


async def _needs(store: BridgeStore) -> None:
    other = DriverNeed(resource_id="evse-2", departure=at(60), asked_at=T0, target_soc=0.8, must_run=True, source="car")
    await store.write(Changes(needs=(NEED, other)))
    assert sorted(await store.needs(), key=lambda each: each.resource_id) == [NEED, other]
    changed = replace(NEED, session="tx-1")
    await store.write(Changes(needs=(changed,), needs_gone=("evse-2",)))
    assert await store.needs() == (changed,)


async def _plug_ins(store: BridgeStore) -> None:
    rows = (("CP1", "tx-1", at(0)), ("CP1", "tx-2", at(100)), ("CP2", "tx-1", at(50)))
    await store.write(Changes(plug_ins=rows))
    assert await store.plug_ins(T0) == {"CP1": {"tx-1": at(0), "tx-2": at(100)}, "CP2": {"tx-1": at(50)}}
    assert await store.plug_ins(at(60)) == {"CP1": {"tx-2": at(100)}}
    await store.forget(at(60))
    assert await store.plug_ins(T0) == {"CP1": {"tx-2": at(100)}}


async def _contents(store: BridgeStore) -> None:
    await store.write(Changes(content_told=(("evse-1", T0), ("evse-2", T0))))
    await store.write(Changes(content_told=(("evse-1", at(5)),)))
    assert await store.content_told() == frozenset({"evse-1", "evse-2"})
    content = Content(content_wh=1.0, full_wh=2.0, at=at(3), session="tx-1")
    known = Reference(event_id="e", resource_id="evse-1", at=T0, power_w=None, window_s=300.0, content=content)
    await store.write(Changes(references=(known,)))
    assert await store.references(["e"]) == {("e", "evse-1"): known}


async def _past(store: BridgeStore) -> None:
    felt = replace(
        OUTCOME,
        event_id="e-1",
        effective_start=T0,
        limit_a=8.0,
        applied_at=T0,
        effective_end=at(600),
        state=OutcomeState.VERIFIED,
    )
    left = replace(felt, event_id="e-2", state=OutcomeState.OPTED_OUT)
    free = replace(felt, event_id="e-3", limit_a=None)
    never = replace(felt, event_id="e-4", applied_at=None)
    old = replace(felt, event_id="e-5", effective_end=at(-600))
    await store.write(Changes(outcomes=(felt, left, free, never, old)))
    past = Past(event_id="e-1", start=felt.effective_start, end=at(600), limit_a=8.0)
    assert await store.past({felt.charger: "evse-1"}, T0) == {"evse-1": (past,)}
    assert await store.past({}, T0) == {}
