"""Quirk files and what follows from them: which rows fit, which layer wins, what a fault says."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from bridge.__main__ import app
from bridge.ocpp.knowledge import Knowledge, load
from bridge.ocpp.quirks import (
    Kind,
    Knobs,
    Quirk,
    QuirkError,
    fits,
    knobs_of,
    overlay,
    parse,
    read_knobs,
    said,
    schema,
)
from bridge.ocpp.settings import ChargerConfig
from bridge.store import BridgeStore
from tests.bridge.ocpp.harness import bench, running, simulated

KIND = Kind(vendor="ABB", model="Terra AC W22", firmware="1.8.21", protocol="ocpp1.6")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vendor": "abb*"}, True),
        ({"vendor": "AB"}, False),
        ({"model": "*terra ac*"}, True),
        ({"model": "*DC*"}, False),
        ({"firmware": "1.8.*"}, True),
        ({"firmware": "2.*"}, False),
        ({"protocol": "ocpp1.6"}, True),
        ({"protocol": "ocpp2.0.1"}, False),
    ],
)
def test_a_row_fits_by_globs_without_regard_to_case(changes: dict[str, str], expected: bool) -> None:
    quirk = Quirk.model_validate({"vendor": "*", "note": "n"} | changes)
    assert fits(quirk, KIND) is expected


def test_a_later_row_and_any_file_overrule_a_probe_knob_by_knob() -> None:
    rows = [
        Quirk(vendor="ABB*", note="n", stack_level=0, decimals=0),
        Quirk(vendor="ABB*", note="n", stack_level=3),
        Quirk(vendor="Other", note="n", unit="W"),
    ]
    found = knobs_of(KIND, rows, Knobs(stack_level=7, zero="refused", decimals=1))
    assert found == Knobs(stack_level=3, decimals=0, zero="refused")
    assert knobs_of(KIND, [], None) == Knobs()
    assert overlay() == Knobs()
    assert said(found) == 'stack_level = 3, decimals = 0, zero = "refused"'
    assert said(Knobs(smart_charging=False, purposes=("StationMax",))) == (
        'smart_charging = false, purposes = ["StationMax"]'
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("quirks = 5", "mine.toml: quirks: "),
        ('[[quirks]]\nvendor = "A"', "mine.toml: quirks.0.note: Field required"),
        ('[[quirks]]\nvendor = "A"\nnote = "n"\ncolour = 1', "mine.toml: quirks.0.colour: "),
        ('[[quirks]]\nvendor = "A"\nnote = "n"\nunit = "kW"', "mine.toml: quirks.0.unit: "),
        ("[[quirks", "mine.toml: "),
    ],
)
def test_a_fault_names_file_and_key(text: str, says: str) -> None:
    with pytest.raises(QuirkError) as caught:
        parse(text, "mine.toml")
    assert str(caught.value).startswith(says)


def test_the_shipped_file_has_the_known_vendors() -> None:
    knowledge = Knowledge(load())
    assert knowledge.of(KIND).stack_level == 0
    assert knowledge.of(Kind(vendor="Wallbox", model="Pulsar", firmware="6.1", protocol="ocpp1.6")).kind == "Relative"
    fox = Kind(vendor="FoxESS", model="L11", firmware="1", protocol="ocpp2.0.1")
    assert knowledge.of(fox).smart_charging is False
    assert '"title": "QuirkFile"' in schema()


def test_an_own_file_comes_after_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[quirks]]\nvendor = "ABB*"\nnote = "ours is newer"\nstack_level = 2\n')
    assert Knowledge(load([own])).of(KIND).stack_level == 2
    with pytest.raises(QuirkError, match=r"nowhere\.toml: cannot be read"):
        load([tmp_path / "nowhere.toml"])
    runner = CliRunner()
    checked = runner.invoke(app, ["check-quirks", str(own)])
    assert (checked.exit_code, checked.output) == (0, "ABB* * * *: stack_level = 2\n")
    own.write_text("[[quirks")
    assert runner.invoke(app, ["check-quirks", str(own)]).exit_code == 2
    assert runner.invoke(app, ["quirks-schema"]).output == schema()


def test_knobs_of_another_version_of_the_software_are_read_as_far_as_they_are_known() -> None:
    assert read_knobs('{"zero": "ok", "levitates": true}') == Knobs(zero="ok")


async def test_ocp_08_what_a_probe_learnt_outlives_a_restart(bridge_db: AsyncEngine) -> None:
    config, store = ChargerConfig(identity="CP-1"), BridgeStore(bridge_db)
    how: dict[str, Any] = {"behaviour": "stack_level_zero", "plug_in_after_s": 900}
    async with bench(config, store=store, probe=True) as at, running(simulated(at, **how)):
        await at.fleet.heard("connected", "CP-1")
    async with bench(config, store=store, probe=True) as at, running(point := simulated(at, **how)):
        await at.fleet.heard("connected", "CP-1")
        knobs, probed = at.central.knobs("CP-1")
        assert (knobs.stack_level, probed) == (0, True)
        assert not point.hardware.profile_arrived.is_set()  # it was not probed again
