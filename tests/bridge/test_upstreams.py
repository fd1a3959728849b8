"""A bridge with two VTNs: leads and enrolment, the lowest limit, opts and reports to whom they are about, restarts."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.app import Bridge, build
from bridge.settings import BridgeSettings
from openadr.messages import CancelOpt, CreatedEvent, CreateOpt, CreatePartyRegistration, EventResponse, RegisterReport
from openadr.model import EiTarget, OptReason, OptType
from runtime.clock import FakeClock
from runtime.database import create_engine
from runtime.settings import SettingsError, load
from tests.bridge.parts import T0, event, simple
from tests.ven.fake_vtn import FakeVtn

CHARGERS = (
    ("CP1", "evse-1", "", ()),
    ("CP2", "evse-2", "aggregator", ()),
    ("CP3", "evse-3", "", ("aggregator",)),
)


def settings(path: Path, network: str, aggregator: str) -> BridgeSettings:
    """Return settings with the network operator in [ven] and an aggregator beside it."""
    ven = '{vtn}\nallow_insecure_http = true\nven_name = "Bridge"\npoll_jitter = 0\n'
    text = "[ven]\n" + ven.format(vtn=f'vtn_url = "{network}"')
    text += '[[vtns]]\nname = "aggregator"\n' + ven.format(vtn=f'vtn_url = "{aggregator}"')
    text += "[ocpp]\nport = 0\nsecurity_profile = 1\nallow_insecure = true\n[api]\nport = 0\n"
    text += 'token = "0123456789abcdef"\nallow_insecure_http = true\n'
    text += f'[database]\nurl = "sqlite+aiosqlite:///{path / "bridge.db"}"\n'
    for identity, name, lead, also in CHARGERS:
        text += f'[[chargers]]\nidentity = "{identity}"\nresource_id = "{name}"\nvtn = "{lead}"\n'
        text += f"also_vtns = {json.dumps(also)}\n"
    (path / "bridge.toml").write_text(text)
    return load(BridgeSettings, path / "bridge.toml", "OADR_BRIDGE__")


class Pair:
    """Two VTNs and the bridge between them and three chargers that never connect."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, FakeClock(T0)
        self.network, self.aggregator = FakeVtn(None), FakeVtn(None)
        self.bridge: Bridge | None = None

    async def start(self) -> Bridge:
        made = settings(self.path, self.network.url, self.aggregator.url)
        self.bridge = await build(
            made, engine=create_engine(made.database.url), clock=self.clock, draw=lambda: 0.5, base=self.path
        )
        return self.bridge

    async def turn(self) -> Bridge:
        """Let both VENs do what is due, and the supervisor follow."""
        assert self.bridge is not None
        for _ in range(2):
            for link in self.bridge.up.links:
                await link.ven.poll_once()
            await self.bridge.supervisor.reconcile(self.clock.now())
        return self.bridge

    async def kill(self) -> None:
        """End the bridge as kill -9 does: nothing is written any more."""
        assert self.bridge is not None
        for link in self.bridge.up.links:
            await link.ven.close()
        await self.bridge.engine.dispose()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(tmp_path)
    for vtn in (made.network, made.aggregator):
        vtn.clock = made.clock.now
        await vtn.start()
    await made.start()
    yield made
    await made.kill()
    for vtn in (made.network, made.aggregator):
        await vtn.stop()


def limits(bridge: Bridge) -> list[float | None]:
    return [bridge.supervisor.effective(name, T0).limit_a for _, name, _, _ in CHARGERS]


async def test_ven_04_each_vtn_limits_what_it_leads_or_is_enrolled_with_and_the_lowest_counts(pair: Pair) -> None:
    pair.network.events = (event(simple((3600, 1)), event_id="evt"),)
    pair.aggregator.events = (event(simple((3600, 2)), event_id="evt"),)
    bridge = await pair.turn()
    assert limits(bridge) == [24.0, 16.0, 16.0]
    assert bridge.supervisor.effective("evse-3", T0).event_id == "aggregator/evt"
    assert [each.opt_type for each in answers(pair.network)] == [OptType.OPT_IN]
    assert [each.event_id for each in answers(pair.aggregator)] == ["evt"]


def answers(vtn: FakeVtn) -> list[EventResponse]:
    return [each for message in vtn.got(CreatedEvent) for each in message.event_responses]


async def test_ven_04_a_vtn_is_told_only_of_its_own_resources(pair: Pair) -> None:
    await pair.turn()
    assert resources(pair.network) == {"evse-1", "evse-3"}
    assert resources(pair.aggregator) == {"evse-2", "evse-3"}
    target = EiTarget(resource_ids=("evse-2",))
    pair.network.events = (event(simple((3600, 3)), event_id="not-yours", target=target),)
    bridge = await pair.turn()
    assert limits(bridge) == [None, None, None]


def resources(vtn: FakeVtn) -> set[str]:
    return {
        name
        for message in vtn.got(RegisterReport)
        for report in message.reports
        for row in report.descriptions
        if row.report_data_source is not None
        for name in row.report_data_source.resource_ids
    }


async def test_ven_04_opts_go_to_the_vtn_of_the_event_and_schedules_to_all_of_the_resource(pair: Pair) -> None:
    pair.aggregator.events = (event(simple((3600, 2)), event_id="evt"),)
    bridge = await pair.turn()
    pair.clock.advance(90)
    await pair.turn()
    [opt] = pair.aggregator.got(CreateOpt)
    assert opt.qualified_event_id is not None
    assert (opt.qualified_event_id.event_id, opt.opt_reason) == ("evt", OptReason.OUTAGE_RUN_STATUS.value)
    assert opt.target.resource_ids == ("evse-2", "evse-3")
    assert pair.network.got(CreateOpt) == []
    made = await bridge.supervisor.opt_ahead("evse-3", source="suspension", start=T0, end=None, reason="rebuilding")
    await pair.turn()
    [told] = pair.network.got(CreateOpt)
    [also] = [each for each in pair.aggregator.got(CreateOpt) if each.vavailability]
    assert told.target.resource_ids == also.target.resource_ids == ("evse-3",)
    await bridge.supervisor.end_override(made.override_id)
    await pair.turn()
    assert [each.opt_id for each in pair.network.got(CancelOpt)] == [told.opt_id]
    assert [each.opt_id for each in pair.aggregator.got(CancelOpt)] == [also.opt_id]


async def test_ven_04_out_04_after_a_kill_both_are_taken_up_where_they_were(pair: Pair) -> None:
    pair.network.events = (event(simple((3600, 1)), event_id="evt"),)
    pair.aggregator.events = (event(simple((3600, 2)), event_id="evt"),)
    before = limits(await pair.turn())
    await pair.kill()
    again = await pair.start()
    await again.supervisor.reconcile(pair.clock.now())
    assert limits(again) == before
    await pair.turn()
    assert [len(vtn.got(CreatePartyRegistration)) for vtn in (pair.network, pair.aggregator)] == [1, 1]


async def test_ven_04_each_vtn_has_figures_of_its_own(pair: Pair) -> None:
    bridge = await pair.turn()
    await pair.aggregator.stop()
    pair.clock.advance(60)
    await pair.turn()

    def figure(name: str, vtn: str, **labels: str) -> float | None:
        return bridge.registry.get_sample_value(name, {"vtn": vtn, **labels})

    assert [figure("oadr_ven_registered", vtn) for vtn in ("", "aggregator")] == [1.0, 1.0]
    heard = "oadr_ven_last_contact_timestamp_seconds"
    assert figure(heard, "") == pair.clock.now().timestamp()
    assert figure(heard, "aggregator") == pair.clock.now().timestamp() - 60
    failures = [figure("oadr_ven_failures_total", vtn, failure="unreachable") for vtn in ("", "aggregator")]
    assert failures == [None, 1.0]


async def test_out_03_one_silent_vtn_is_no_silence_of_the_other(pair: Pair) -> None:
    pair.network.events = (event(simple((0, 1)), event_id="evt", open_ended=True),)
    pair.aggregator.events = (event(simple((0, 2)), event_id="evt", open_ended=True),)
    bridge = await pair.turn()
    await pair.aggregator.stop()
    for _ in range(80):
        pair.clock.advance(60)
        await bridge.up.main.ven.poll_once()
        await bridge.supervisor.reconcile(pair.clock.now())
    now = pair.clock.now()
    assert [bridge.supervisor.effective(name, now).limit_a for _, name, _, _ in CHARGERS] == [24.0, None, 24.0]


@pytest.mark.parametrize(("lead", "fault"), [("nobody", "which is none of"), ("", "")])
def test_ven_04_a_lead_that_is_not_there_is_refused(tmp_path: Path, lead: str, fault: str) -> None:
    made = settings(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:10")
    assert [each.name for each in made.vtns] == ["aggregator"]
    path = tmp_path / "bridge.toml"
    path.write_text(path.read_text().replace('vtn = "aggregator"', f'vtn = "{lead}"'))
    if fault:
        with pytest.raises(SettingsError, match=fault):
            load(BridgeSettings, path, "OADR_BRIDGE__")
    else:
        path.write_text(path.read_text() + '[[vtns]]\nname = "aggregator"\nvtn_url = "https://x"\nven_name = "B"\n')
        with pytest.raises(SettingsError):
            load(BridgeSettings, path, "OADR_BRIDGE__")
