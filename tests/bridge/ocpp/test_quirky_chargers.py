"""Chargers with each trait met in the field, probed and then limited: the meter shows the limit, or the answer is no.

Each trait is one of the simulator's behaviours; the generated page ``interop.md`` takes its rows from ``CASES``.
"""

from dataclasses import dataclass
from typing import Literal

import pytest

from bridge.ocpp.knowledge import Knowledge
from bridge.ocpp.quirks import Kind, Knobs, Quirk
from bridge.ocpp.settings import ChargerConfig
from bridge.simulators.charge_point import SimulatedChargePoint
from bridge.target import CommandOutcome
from tests.bridge.ocpp.harness import Bench, bench, charging, metered, raw, running, settled, simulated

FULL_W = 32 * 3 * 230.0
HALF_W = 16.5 * 3 * 230.0
VERSIONS = ("1.6", "2.0.1")


NOTHING = Knobs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trait, what the probe must learn of it, and what limits of 16.5 A and 0 then come to (W, or the refusal)."""

    behaviour: str
    trait: str
    learns: Knobs = NOTHING
    half: float | CommandOutcome = HALF_W
    stop: float | CommandOutcome = 0.0
    units: frozenset[str] = frozenset({"A", "W"})
    truth: str = "the limit holds by meter"
    both: bool = False  # where the versions differ; else one of the two is enough


CASES = (
    Case(behaviour="obeys", trait="none: as the standard says", learns=Knobs(zero="ok", composite=True), both=True),
    Case(
        behaviour="obeys",
        trait="limits in watts only",
        learns=Knobs(unit="W"),
        units=frozenset({"W"}),
    ),
    Case(behaviour="obeys", trait="limits in amperes only", learns=Knobs(unit="A"), units=frozenset({"A"})),
    Case(behaviour="default_only", trait="takes TxDefaultProfile only"),
    Case(behaviour="default_from_next_session", trait="a TxDefaultProfile rules from the next session on"),
    Case(
        both=True,
        behaviour="station_max_only",
        trait="takes the station's maximum only",
        learns=Knobs(purposes=("StationMax",)),
    ),
    Case(behaviour="session_only", trait="takes TxProfile only"),
    Case(behaviour="stack_level_zero", trait="takes stack level 0 only", learns=Knobs(stack_level=0)),
    Case(
        behaviour="default_on_connector",
        trait="takes a TxDefaultProfile on connector 1 only",
        learns=Knobs(default_connector=1),
    ),
    Case(behaviour="relative_only", trait="takes Relative profiles only", learns=Knobs(kind="Relative")),
    Case(behaviour="wants_number_phases", trait="wants numberPhases", learns=Knobs(number_phases=True)),
    Case(
        behaviour="whole_limits",
        trait="takes whole amperes only",
        learns=Knobs(decimals=0),
        half=16.0 * 3 * 230.0,
    ),
    Case(
        behaviour="zero_refused",
        trait="takes no limit of 0",
        learns=Knobs(zero="refused"),
        stop=CommandOutcome.NOT_SUPPORTED,
        truth="limits hold; 0 is answered not supported",
    ),
    Case(behaviour="two_periods", trait="takes two periods a profile", learns=Knobs(max_periods=2)),
    Case(behaviour="lying_composite", trait="its composite schedule is constant", learns=Knobs(composite=False)),
    Case(
        behaviour="clears_by_stack", trait="does not know its profiles by id", learns=Knobs(clear_by="stack"), both=True
    ),
    Case(
        behaviour="no_smart_charging",
        trait="has no smart charging",
        learns=Knobs(smart_charging=False),
        half=CommandOutcome.NOT_SUPPORTED,
        stop=CommandOutcome.NOT_SUPPORTED,
        truth="not enrolled: every limit is answered not supported",
    ),
    Case(
        behaviour="refuses",
        trait="answers Rejected to everything",
        half=CommandOutcome.REJECTED,
        stop=CommandOutcome.REJECTED,
        truth="every limit is answered rejected",
    ),
    Case(
        behaviour="ignores",
        trait="accepts and ignores",
        half=FULL_W,
        stop=FULL_W,
        truth="accepted, and the meter disproves it: the outcome is failed",
    ),
)


def _id(case: Case) -> str:
    return f"{case.behaviour}-{'-'.join(sorted(case.units))}" if len(case.units) == 1 else case.behaviour


async def _limited(at: Bench, point: SimulatedChargePoint, limit_a: float, wanted: float | CommandOutcome) -> None:
    before = await metered(at, point)
    result = await at.central.set_limit("CP-1", at.schedule(limit_a))
    if isinstance(wanted, CommandOutcome):
        assert result.outcome is wanted, result.detail
        assert await metered(at, point) == before
    else:
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert await metered(at, point) == pytest.approx(wanted, abs=1.0)


RUNS = [
    pytest.param(case, version, id=f"{_id(case)}-{version}")
    for index, case in enumerate(CASES)
    for version in (VERSIONS if case.both else VERSIONS[index % 2 :][:1])
]


@pytest.mark.parametrize(("case", "version"), RUNS)
async def test_ocp_08_ocp_06_a_probed_charger_ends_in_the_right_power_or_a_truthful_no(
    case: Case, version: str
) -> None:
    async with bench(ChargerConfig(identity="CP-1"), probe=True) as at:
        point = simulated(at, version=version, behaviour=case.behaviour, units=case.units, plug_in_after_s=30)
        async with running(point):
            await at.fleet.heard("connected", "CP-1")
            assert point.hardware.charger.profiles == {}  # the probe left nothing
            (learnt, *_) = [*at.central.knowledge.learnt.values(), Knobs()]
            for name, value in case.learns:
                assert value is None or getattr(learnt, name) == value, name
            status = at.central.status("CP-1")
            assert status is not None
            assert status.enrolled is (learnt.smart_charging is not False)
            await settled(lambda: at.clock.sleepers >= 2)
            at.clock.advance(30)
            await charging(at, point)
            assert await metered(at, point) == pytest.approx(FULL_W, abs=1.0)
            await _limited(at, point, 16.5, case.half)
            await _limited(at, point, 0.0, case.stop)
            assert (await at.central.clear_limit("CP-1", 7)).outcome is CommandOutcome.ACCEPTED
            assert await metered(at, point) == pytest.approx(FULL_W, abs=1.0)


@pytest.mark.parametrize(
    ("behaviour", "knobs", "limit_a", "wanted_w"),
    [
        ("latches_at_zero", Knobs(resume="raise"), 0.0, 0.0),
        ("six_for_less", Knobs(min_a=6.0), 4.0, 0.0),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
async def test_ocp_08_what_no_probe_can_learn_comes_from_the_quirk_file(
    behaviour: str, knobs: Knobs, limit_a: float, wanted_w: float, version: str
) -> None:
    quirk = Quirk(vendor="simulated", note="as in the test", **knobs.model_dump())
    async with bench(ChargerConfig(identity="CP-1"), knowledge=Knowledge([quirk])) as at:
        point = simulated(at, version=version, behaviour=behaviour)
        async with running(point):
            await charging(at, point)
            await _limited(at, point, limit_a, wanted_w)
            await at.central.clear_limit("CP-1", 7)
            assert await metered(at, point) == pytest.approx(FULL_W, abs=1.0)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("fallback", "wanted_w"), [("availability", FULL_W), ("stop", 0.0)])
async def test_ocp_08_ocp_12_only_by_opt_in_a_charger_without_limits_is_taken_out_of_service_and_comes_back(
    fallback: Literal["availability", "stop"], wanted_w: float, version: str
) -> None:
    config = ChargerConfig(identity="CP-1", fallback=fallback)
    quirk = Quirk(vendor="*", note="as in the test", smart_charging=False)
    async with bench(config, knowledge=Knowledge([quirk])) as at:
        point = simulated(at, version=version, behaviour="no_smart_charging")
        async with running(point):
            await charging(at, point)
            status = at.central.status("CP-1")
            assert status is not None
            assert status.enrolled
            result = await at.central.set_limit("CP-1", at.schedule(16.0))
            assert result.outcome is CommandOutcome.NOT_SUPPORTED  # it can be off, not less
            result = await at.central.set_limit("CP-1", at.schedule(0.0, length_s=600))
            assert result.outcome is CommandOutcome.ACCEPTED
            assert not point.hardware.charger.in_service
            assert await metered(at, point) == pytest.approx(wanted_w, abs=1.0)
            at.clock.advance(700)
            await settled(lambda: point.hardware.charger.in_service)
            assert at.central.in_force("CP-1") is None


async def test_ocp_08_a_kind_is_probed_once_and_what_it_takes_counts_for_the_next_of_its_kind() -> None:
    chargers = [ChargerConfig(identity=f"CP-{i}") for i in (1, 2)]
    kept: list[tuple[Kind, Knobs]] = []

    async def keep(kind: Kind, knobs: Knobs) -> None:
        kept.append((kind, knobs))

    async with bench(*chargers, probe=True, knowledge=Knowledge(keep=keep)) as at:
        first = simulated(at, behaviour="whole_limits", plug_in_after_s=900)
        async with running(first):
            await at.fleet.heard("connected", "CP-1")
            assert [knobs.decimals for _, knobs in kept] == [0]
            second = simulated(at, "CP-2", behaviour="whole_limits")
            async with running(second):
                await charging(at, second)
                result = await at.central.set_limit("CP-2", at.schedule(10.9))
                assert result.outcome is CommandOutcome.ACCEPTED
                assert await metered(at, second) == pytest.approx(10.0 * 3 * 230.0, abs=1.0)
    assert len(kept) == 1


async def test_ocp_08_a_charger_that_goes_away_while_it_is_probed_teaches_nothing() -> None:
    async with bench(ChargerConfig(identity="CP-1"), probe=True) as at, raw(at) as charger:
        await charger.boot()
        await charger.asked("GetCompositeSchedule")
        await charger.socket.close()
        await settled(lambda: at.value("ocpp_connected", version="ocpp1.6") == 0)
        assert at.central.knowledge.learnt == {}
