"""The bridge's answer to an event: the response codes of R48 and who takes part."""

import pytest

from bridge.assess import Assessor
from openadr.model import EiTarget, Event, OptType, SignalType
from tests.bridge.parts import EMERGENCY, PROGRAMMES, T0, VEN_ID, capacity, event, resource, signal, simple

HEATERS = EiTarget(end_device_assets=("Water_Heater",))


@pytest.mark.parametrize(
    ("given", "code", "opt"),
    [
        (event(simple((60, 2))), 200, OptType.OPT_IN),
        (event(capacity((60, 0.5)), context=EMERGENCY), 200, OptType.OPT_IN),
        (event(simple((60, 2)), context="http://other.example"), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(ven_ids=("ven-other",))), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(resource_ids=("evse-9",))), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(group_ids=("feeder-7",))), 200, OptType.OPT_IN),
        (event(signal("LOAD_DISPATCH", SignalType.SETPOINT, (60, 5.0))), 460, OptType.OPT_OUT),
        (event(simple((60, 7))), 454, OptType.OPT_OUT),
        (event(capacity((60, 1.5))), 454, OptType.OPT_OUT),
        (event(signal("SIMPLE", SignalType.LEVEL, (60, 2), target=HEATERS)), 469, OptType.OPT_OUT),
        (event(simple((60, 2)), test="true"), 200, OptType.OPT_OUT),
        (event(simple((60, 2)), test="true", target=EiTarget(resource_ids=("evse-2",))), 200, OptType.OPT_IN),
    ],
)
def test_rule_048_every_event_gets_its_code_and_opt(given: Event, code: int, opt: OptType) -> None:
    assess = Assessor(PROGRAMMES, (resource(1), resource(2, test_enrolled=True)), lambda: VEN_ID)
    if given.descriptor.is_test and not given.target.resource_ids:
        assess = Assessor(PROGRAMMES, (resource(1),), lambda: VEN_ID)
    found = assess(given, T0)
    assert (found.response_code, found.opt_type) == (code, opt)
    assert (found.description is None) == (opt is OptType.OPT_IN)
