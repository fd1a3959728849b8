"""Events at CTA-2045 devices, from the VEN's store to the appliance and back: outcome, opts, prices, upstream."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.cta2045.commands import AppNak, Basic, Op
from bridge.cta2045.energy import LoadUp
from bridge.cta2045.intermediate import Do, Request
from bridge.points import Sampling
from bridge.program import Programme, Programmes
from bridge.simulators.cta_appliances import Evse
from bridge.store import BridgeStore
from bridge.telemetry import GOOD, STATUS, USAGE, Telemetry
from openadr.model import (
    LoadControlValue,
    OptReason,
    OptType,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    SignalType,
    SpecifierPayload,
    energy_real,
)
from openadr.times import Duration
from tests.bridge.cta2045.site import CtaSite, at, on_site
from tests.bridge.parts import AGGREGATOR, EMERGENCY, PROGRAMMES, TARIFF, capacity, dispatch, event, signal, simple


def test_ven_02_cta_18_a_charger_and_a_water_heater_follow_the_same_event(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(simple((600, 2)), start=at(60)))
        await site.wait(120)
        assert 15.5 < site.power_a("EV1") <= 16
        assert site.power_a("WH1") == 0
        assert site.heard("EV1") == ["POWER_LEVEL"]
        assert site.heard("WH1") == ["CRITICAL_PEAK"]
        assert site.outcome("EV1")[0] == "verified"
        assert site.outcome("WH1")[0] == "verified"
        await site.wait(600)
        assert site.heard("EV1") == ["POWER_LEVEL", "END_SHED"]
        assert site.heard("WH1") == ["CRITICAL_PEAK", "END_SHED"]
        assert site.power_a("EV1") == 32
        assert site.upstream.opts == []

    on_site(tmp_path, main)


def test_arb_16_a_power_for_both_together_is_shared_by_a_charger_and_a_tank(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(dispatch(SignalType.SETPOINT, (600, 6.0)), start=at(60), context=AGGREGATOR))
        await site.wait(45)
        for _ in range(12):
            await site.wait(10)
            assert 5500 < sum(each.appliance.power_w for each in site.devices.values()) <= 6000
        assert site.outcome("EV1")[0] == site.outcome("WH1")[0] == "verified"
        assert site.heard("EV1") == site.heard("WH1") == ["POWER_LEVEL"]

    on_site(tmp_path, main)


@pytest.mark.parametrize("naks", [False, True], ids=["acked, then 11 01", "App NAK 05"])
def test_cta_09_a_customers_override_is_an_opt_out_and_its_release_an_opt_in(tmp_path: Path, naks: bool) -> None:
    async def main(site: CtaSite) -> None:
        site.devices["EV1"].appliance.naks_when_overridden = naks
        if naks:
            site.devices["EV1"].appliance.press_override(asyncio.get_running_loop().time())  # it says so when asked
        site.send(event(simple((1800, 2)), start=at(60)))
        await site.wait(120)
        if not naks:
            assert site.outcome("EV1")[0] == "verified"
            site.press("EV1")
            await site.wait(5)
        assert site.outcome("EV1") == ("opted_out", "driver override: pressed at the device")
        assert site.outcome("WH1")[0] == "verified"
        told = [(each.resource_ids, each.opt_type, each.reason) for each in site.upstream.opts]
        assert told == [(("ev1",), OptType.OPT_OUT, OptReason.OVERRIDE_STATUS)]
        [(opt_id, schedule)] = site.upstream.schedules  # the button covers the event and the next 12 h
        assert (schedule.resource_ids, schedule.reason) == (("ev1",), OptReason.OVERRIDE_STATUS)
        assert schedule.windows[0].duration == Duration.of(timedelta(hours=12))
        assert site.power_a("EV1") == 32
        site.press("EV1", on=False)
        await site.wait(60)
        assert site.upstream.cancelled == [opt_id]
        assert site.outcome("EV1")[0] == "verified"
        assert site.upstream.opts[-1].opt_type is OptType.OPT_IN
        assert 15.5 < site.power_a("EV1") <= 16

    on_site(tmp_path, main)


def test_cta_09_an_override_covers_an_event_that_comes_later_and_ends_though_the_bridge_was_away(
    tmp_path: Path,
) -> None:
    async def main(site: CtaSite) -> None:
        site.press("EV1")
        await site.wait(5)
        site.send(event(simple((1200, 2)), start=at(120)))
        await site.wait(120)
        assert site.outcome("EV1")[0] == "opted_out"
        await site.kill()
        site.devices["EV1"].press_override(asyncio.get_running_loop().time(), False)  # while nobody listens
        await site.start()
        await site.wait(60)
        assert len(site.upstream.cancelled) == 1
        assert 15.5 < site.power_a("EV1") <= 16

    on_site(tmp_path, main)


@pytest.mark.parametrize(("at_s", "down_s"), [(100, 20), (100, 800), (100, 300), (661, 30)])
def test_cta_05_end_shed_goes_out_exactly_once_though_the_bridge_is_killed(
    tmp_path: Path, at_s: int, down_s: int
) -> None:
    """Killed in mid-event and back in it, back after it, back at its end, and killed when the end is due."""

    async def main(site: CtaSite) -> None:
        for each in site.devices.values():
            each.appliance.comm_timeout_s = 10_000  # they would keep the event for ever
        site.send(event(simple((600, 2)), start=at(60)))
        await site.wait(at_s - 30)
        await site.kill()
        await asyncio.sleep(down_s)
        await site.start()
        await site.wait(900)
        for name in site.devices:
            assert site.heard(name).count("END_SHED") == 1, site.heard(name)
            assert site.heard(name)[-1] == "END_SHED"
        assert site.power_a("EV1") == 32

    on_site(tmp_path, main)


def test_cta_11_a_stop_that_nobody_may_override_is_a_grid_emergency_and_one_that_may_be_is_not(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(capacity((300, 0.0)), start=at(60), context=EMERGENCY))
        site.send(event(simple((300, 3)), start=at(600), event_id="event-2"))
        await site.wait(100)
        assert site.heard("EV1") == site.heard("WH1") == ["GRID_EMERGENCY"]
        assert site.outcome("EV1")[0] == site.outcome("WH1")[0] == "verified"
        await site.wait(540)
        assert site.heard("EV1")[1:] == ["END_SHED", "POWER_LEVEL"]
        assert site.heard("WH1")[1:] == ["END_SHED", "CRITICAL_PEAK"]
        assert site.power_a("EV1") == 0

    on_site(tmp_path, main)


def test_cta_11_an_emergency_in_a_stop_of_the_same_amperes_is_said_as_one(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(simple((900, 3)), start=at(60)))
        await site.wait(90)
        site.send(event(capacity((300, 0.0)), start=at(150), context=EMERGENCY, event_id="event-2"))
        await site.wait(60)
        assert site.heard("EV1") == ["POWER_LEVEL", "GRID_EMERGENCY"]
        await site.wait(480)  # its release is drawn: 150 s after its end
        assert site.heard("EV1") == ["POWER_LEVEL", "GRID_EMERGENCY", "POWER_LEVEL"]  # the outer one, no end between

    on_site(tmp_path, main, devices=["EV1"])


def test_cta_12_more_load_is_guidance_first_and_then_load_up(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(dispatch(SignalType.LEVEL, (300, 5)), start=at(60), context=AGGREGATOR))
        await site.wait(40)
        assert site.heard("WH1") == ["GRID_GUIDANCE"]
        await site.wait(60)
        assert site.heard("WH1") == ["GRID_GUIDANCE", "LOAD_UP"]
        await site.wait(300)
        assert site.heard("WH1") == ["GRID_GUIDANCE", "LOAD_UP", "END_SHED", "GRID_GUIDANCE"]

    on_site(tmp_path, main)


def test_map_01_a_content_to_reach_is_an_advanced_load_up_of_the_energy(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        gain = signal("CHARGE_STATE", SignalType.DELTA, (600, 0.5), unit=energy_real(scale="k"))
        site.send(event(gain, start=at(60), context=AGGREGATOR))
        await site.wait(120)
        [asked] = [
            each.body for _, each in site.devices["WH1"].heard if isinstance(each, Request) and each.do is Do.LOAD_UP
        ]
        assert isinstance(asked, LoadUp)
        assert asked.energy_wh == 500
        assert site.power_a("WH1") == 18.75
        assert site.outcome("WH1")[0] == "applied"  # a wish for more load: there is no limit to verify
        assert site.heard("EV1") == []  # its car does not tell what it holds

    on_site(tmp_path, main)


def with_base_price() -> Programmes:
    def changed(each: Programme) -> Programme:
        return each.model_copy(update={"cta2045": each.cta2045.model_copy(update={"base_price": 0.25})})

    return Programmes({context: changed(each) for context, each in PROGRAMMES.by_context.items()})


def test_cta_13_prices_are_told_at_the_beginning_of_each_period(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        tariff = signal("ELECTRICITY_PRICE", SignalType.PRICE_MULTIPLIER, (300, 1.0), (300, 0.5))
        site.send(event(tariff, start=at(60), context=TARIFF))
        await site.wait(50)
        assert site.heard("WH1") == ["PRESENT_PRICE", "NEXT_PRICE", "PRICE_TIME_LEFT"]
        words = [each for _, each in site.devices["WH1"].heard if isinstance(each, Basic)]
        by_op = {each.op: each for each in words}
        assert (by_op[Op.PRESENT_PRICE].price, by_op[Op.NEXT_PRICE].price) == (1.0, 0.5078125)
        left = by_op[Op.PRICE_TIME_LEFT].duration_s
        assert left is not None
        assert 299 <= left <= 340
        await site.wait(300)
        assert site.devices["WH1"].appliance.price == 0.5078125  # the nearest there is a byte for
        await site.wait(300)
        assert site.devices["WH1"].appliance.price is None

    on_site(tmp_path, main, devices=["WH1"], programmes=with_base_price())


def test_cta_07_out_11_a_silent_vtn_is_told_and_an_event_under_way_goes_on(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        def told() -> list[int]:
            said = [each for _, each in site.devices["EV1"].heard if isinstance(each, Basic)]
            return [each.operand for each in said if each.op is Op.COMM_STATUS]

        site.upstream.last_contact = at(30)
        site.send(event(simple((300, 2)), start=at(60)))
        await site.wait(150)
        assert told()[-1] == 2  # poor: the VTN is silent, its event goes on here
        assert 15.5 < site.power_a("EV1") <= 16
        await site.wait(240)
        assert told()[-1] == 0  # lost
        site.upstream.last_contact = at(400)
        await site.wait(20)
        assert told()[-1] == 1

    on_site(tmp_path, main, devices=["EV1"])


def test_map_09_cta_10_the_least_current_of_a_charger_counts_as_meeting_the_limit(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(capacity((300, 0.1)), start=at(60)))  # 3.2 A, raised to 6 A
        await site.wait(120)
        assert 6.0 <= site.power_a("EV1") < 6.1
        state, reason = site.outcome("EV1")
        assert (state, "limit 6 A" in reason) == ("verified", True)
        delivered = site.notes.deliveries["EV1"]
        assert delivered.outcome.value == "followed"

    on_site(tmp_path, main, devices=["EV1"])


def test_cta_04_an_acknowledgement_without_effect_is_no_delivery(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        device = site.devices["EV1"]
        device.faults.pretends = True
        device.appliance.commodities = lambda: ()  # type: ignore[method-assign]  # nothing to read: its word must do
        site.send(event(simple((600, 2)), start=at(60)))
        await site.wait(120)
        assert site.outcome("EV1")[0] == "failed"
        assert "acknowledged without effect: power_level running_normal" in site.outcome("EV1")[1]
        assert [(each.opt_type, each.reason) for each in site.upstream.opts] == [
            (OptType.OPT_OUT, OptReason.NOT_PARTICIPATING)
        ]

    on_site(tmp_path, main, devices=["EV1"], EV1=_without_slots())


def _without_slots() -> Evse:
    class Mute(Evse):
        """An appliance whose readings a test may take away."""

    return Mute()


def test_cta_06_a_device_that_refuses_everything_is_opted_out(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        refused = dict.fromkeys((Op.POWER_LEVEL, Op.CRITICAL_PEAK, Op.SHED), AppNak.OPCODE1)
        site.devices["EV1"].faults.app_naks = refused
        site.send(event(simple((600, 2)), start=at(60)))
        await site.wait(60)
        assert site.outcome("EV1")[0] == "failed"
        assert site.outcome("EV1")[1].startswith("refused by the charger: refused")
        assert site.heard("EV1")[-1] == "SHED"

    on_site(tmp_path, main, devices=["EV1"])


def test_a_cable_pulled_in_mid_event_is_an_outage_and_the_event_is_sent_again(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(simple((900, 2)), start=at(60)))
        await site.wait(90)
        site.away.add("EV1")
        site.cables["EV1"].pull()
        site.devices["EV1"].appliance.end()  # the pulled module took the event with it
        await site.wait(60)
        assert site.outcome("EV1")[0] == "unresponsive"
        site.away.clear()
        await site.wait(60)
        assert site.outcome("EV1")[0] == "verified"
        assert 15.5 < site.power_a("EV1") <= 16

    on_site(tmp_path, main, devices=["EV1"])


def test_a_device_rebooted_in_mid_event_gets_its_event_back(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        site.send(event(simple((900, 2)), start=at(60)))
        await site.wait(90)
        site.devices["WH1"].power_cycle(asyncio.get_running_loop().time())
        await site.wait(120)
        assert site.power_a("WH1") == 0
        assert site.outcome("WH1")[0] == "verified"
        assert "END_SHED" not in site.heard("WH1")

    on_site(tmp_path, main, devices=["WH1"])


def test_tel_08_readings_carry_measured_or_estimated_and_the_status_the_override(tmp_path: Path) -> None:
    async def main(site: CtaSite) -> None:
        await site.wait(100)
        site.send(event(simple((600, 1)), start=at(140)))
        site.press("EV1")
        await site.wait(20)
        store = BridgeStore(site.engine)
        telemetry = Telemetry(
            resources=site.resources, samples=store, flush=site.supervisor.flush, sampling=Sampling(fastest_s=10)
        )

        async def report(specifier: str, *names: str) -> dict[str, tuple[object, str | None]]:
            request = ReportRequest(
                report_request_id="r1",
                specifier=ReportSpecifier(
                    report_specifier_id=specifier,
                    granularity=Duration(seconds=60),
                    report_back_duration=Duration(seconds=60),
                    payloads=tuple(SpecifierPayload(r_id=name, reading_type="x-notApplicable") for name in names),
                ),
            )
            rows = await telemetry.collect(request, at(90), at(150 if specifier == STATUS else 140))
            return {row.payloads[0].r_id: (row.payloads[0].value, row.payloads[0].data_quality) for row in rows}

        usage = await report(USAGE, "P-ev1", "P-wh1", "E-wh1")
        assert usage["P-ev1"] == (7680.0, GOOD)
        assert usage["P-wh1"] == (4500.0, "Quality Uncertain - Non Specific")  # by its rating
        assert usage["E-wh1"][1] == "Quality Uncertain - Non Specific"
        status = await report(STATUS, "S-ev1", "S-wh1")
        found = {name: value for name, (value, _) in status.items() if isinstance(value, ResourceStatus)}
        seen = {name: (each.online, each.manual_override) for name, each in found.items()}
        assert seen == {"S-ev1": (True, True), "S-wh1": (True, False)}
        states = {name: each.load_control_state for name, each in found.items()}
        held = LoadControlValue(current=1.0, minimum=-1.0, maximum=1.0, normal=0.0)
        assert states["S-wh1"] is not None
        assert states["S-wh1"].level_offset == held  # by its own operational state
        assert states["S-ev1"] is not None
        assert states["S-ev1"].level_offset == replace(held, current=0.0)

    on_site(tmp_path, main)
