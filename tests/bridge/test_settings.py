"""The bridge's settings file: what it says, and how a mistake is told."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.allocate import Strategy
from bridge.location import Level, Location
from bridge.resources import Kind, Scenario
from bridge.settings import ENV_PREFIX, BridgeSettings, read_settings, resources, supervision
from bridge.watch import Thresholds
from runtime.settings import SettingsError, load

GOOD = """
[ven]
vtn_url = "http://127.0.0.1:8080"
allow_insecure_http = true
ven_name = "bridge"
[ocpp]
security_profile = 1
allow_insecure = true
[api]
token = "0123456789abcdef"
allow_insecure_http = true
[verify]
settle_s = 5
[[chargers]]
identity = "CP1"
resource_id = "evse-1"
phases = 1
max_a = 16
groups = ["feeder-7"]
password = "secret-of-the-charger"
[[chargers]]
identity = "CP2"
resource_id = "evse-2"
"""


def read(tmp_path: Path, text: str) -> BridgeSettings:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return read_settings(path)


def test_a_settings_file_becomes_the_values_of_the_core(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    first, second = resources(settings)
    assert (first.charger, first.resource_id, first.phases, first.max_a, first.groups) == (
        "CP1",
        "evse-1",
        1,
        16.0,
        ("feeder-7",),
    )
    assert (second.phases, second.max_a, second.test_enrolled) == (3, 32.0, False)
    assert settings.chargers[0].config.password == "secret-of-the-charger"
    assert settings.chargers[1].config.password is None
    assert supervision(settings).policy.settle_s == 5
    assert settings.telemetry.sampling.buffer_s == 7 * 86_400
    assert "secret" not in repr(settings)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(GOOD)
    settings = load(BridgeSettings, path, ENV_PREFIX, {f"{ENV_PREFIX}VERIFY__ENABLED": "false"})
    assert not supervision(settings).policy.enabled


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('token = "0123456789abcdef"', 'token = "short"', "api.token: must have at least 16 characters"),
        ("[verify]", "[verify]\ncolour = 1", "verify.colour: unknown key"),
        ("max_a = 16", "max_a = 5", "chargers.0.max_a: input should be greater than or equal to 6"),
        ('resource_id = "evse-2"', 'resource_id = "evse-1"', "chargers: resource_id 'evse-1' is given twice"),
        ('identity = "CP2"', 'identity = "CP1"', "chargers: identity 'CP1' is given twice"),
        ("security_profile = 1\n", "", "ocpp: security_profile 3 needs cert and key"),
        ('token = "0123456789abcdef"', 'token = "0123456789abcdef"\ncert = "a.pem"', "api: cert and key go together"),
        ('abcdef"\nallow_insecure_http = true', 'abcdef"', "api: needs cert and key"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, GOOD.replace(old, new))
    assert message in str(refusal.value)


GROUPED = (
    GOOD.replace(
        'resource_id = "evse-2"',
        """resource_id = "evse-2"
type = "water_heater"
site = "depot"
feeder = "f7"
scenario = "depot"
priority = 1
rated_a = 40
limit_a = 16
contracted_kw = 11
lines = [2, 3, 1]
""",
    )
    + """
[[sites]]
id = "depot"
max_a = 63
strategy = "priority"
[[groups]]
id = "feeder-7"
max_kw = 100
reserve_offline = false
[arbiter]
min_dwell_s = 5
strategy = "round_robin"
[override]
per_day = 2
classes = ["reliability"]
"""
)


def test_arb_16_sites_groups_and_typed_resources_become_values_of_the_core(tmp_path: Path) -> None:
    settings = read(tmp_path, GROUPED)
    first, second = resources(settings)
    assert (first.kind, first.lines, first.memberships) == (Kind.EVSE, (1,), ("feeder-7",))
    assert (second.kind, second.device_classes, second.lines) == (Kind.WATER_HEATER, ("Water_Heater",), (2, 3, 1))
    assert (second.memberships, second.scenario, second.rated_a) == (("depot", "f7"), Scenario.DEPOT, 40.0)
    core = supervision(settings)
    assert [(each.group_id, each.source.value, each.limit.words()) for each in core.groups] == [
        ("depot", "site", "63 A per phase"),
        ("feeder-7", "group", "100 kW"),
    ]
    assert core.groups[0].sharing.strategy is Strategy.PRIORITY
    assert not core.groups[1].sharing.reserve_offline
    assert (core.sharing.strategy, core.calm.min_dwell_s, core.budget.per_day) == (Strategy.ROUND_ROBIN, 5.0, 2)
    assert core.configured["evse-2"][0].limit_a == 16.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "depot"', 'id = "nowhere"', "no charger belongs to"),
        ('id = "feeder-7"', 'id = "depot"', "given twice"),
        ("max_kw = 100", "", "needs max_a or max_kw"),
        ("lines = [2, 3, 1]", "lines = [1, 2]", "3 different phases"),
        ("lines = [2, 3, 1]", "lines = [1, 2, 2]", "3 different phases"),
        ("rated_a = 40", "rated_a = 16", "below the installed maximum"),
        ('type = "water_heater"', 'type = "toaster"', "type"),
        ('strategy = "priority"', 'strategy = "luck"', "strategy"),
        ('classes = ["reliability"]', 'classes = ["x"]', "classes"),
    ],
)
def test_arb_16_a_mistake_in_sites_and_groups_is_told_by_its_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GROUPED
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, GROUPED.replace(old, new))


def test_map_09_a_limit_a_charger_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MAP-09"):
        read(tmp_path, GROUPED.replace('type = "water_heater"', "").replace("limit_a = 16", "limit_a = 3"))


def test_tel_11_tel_16_tel_17_where_a_charger_is_and_what_is_told_of_it(tmp_path: Path) -> None:
    text = GOOD + (
        'location = { premises = "1 High Street", primary = "Elm" }\nmeter_class = "MID B"\n'
        "provider_since = 2026-03-01T00:00:00Z\n"
        '[telemetry]\ndsr = true\n[telemetry.locations]\n"" = ["primary"]\n'
        '[alerts]\nwebhook = "https://ops.example/hook"\ntoken = "secret"\n[energy]\nrates = "rates.csv"\n'
    )
    made = read(tmp_path, text)
    charger = resources(made)[1]
    assert charger.location == Location(premises="1 High Street", primary="Elm")
    assert (charger.meter_class, charger.provider_since) == ("MID B", datetime(2026, 3, 1, tzinfo=UTC))
    offered = made.telemetry.sampling
    assert (offered.dsr, offered.locations) == (True, {"": (Level.PRIMARY,)})
    assert made.energy.rates == tmp_path / "rates.csv"
    assert made.alerts.thresholds == Thresholds()
