"""Errors, model and messages: what the small methods promise."""

import inspect
from datetime import UTC, datetime

import pytest

from openadr import errors, messages
from openadr.errors import Fault, OadrError, ResponseCode, WireError
from openadr.messages import ROOTS, EiResponse
from openadr.model import ActivePeriod, EiTarget, EventDescriptor, EventStatus, energy_real, power_real
from openadr.times import Duration

NOW = datetime(2026, 11, 21, tzinfo=UTC)

OADR_ERRORS = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, OadrError)]
WIRE_ERRORS = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, WireError)]


@pytest.mark.parametrize("kind", OADR_ERRORS)
def test_every_application_error_has_a_4xx_code_and_keeps_its_text(kind: type[OadrError]) -> None:
    error = kind("what was wrong", field="venID")
    assert 450 <= error.code <= 469
    assert (error.description, error.field, str(error)) == ("what was wrong", "venID", "what was wrong")
    assert error.fault is Fault.PEER
    assert kind("x").field == ""


def test_every_assigned_code_but_ok_has_an_error() -> None:
    assert {error.code for error in OADR_ERRORS} == set(ResponseCode) - {ResponseCode.OK}


@pytest.mark.parametrize("kind", WIRE_ERRORS)
def test_every_wire_error_has_an_http_status(kind: type[WireError]) -> None:
    assert kind("bad").http_status in (403, 406, 413)
    assert kind("bad").description == "bad"


@pytest.mark.parametrize(("code", "ok"), [(200, True), (299, True), (199, False), (300, False), (452, False)])
def test_any_2xx_is_success(code: int, ok: bool) -> None:
    assert EiResponse(response_code=code).ok is ok


def test_the_roots_are_the_23_payloads_by_element_name() -> None:
    assert len(ROOTS) == 23
    assert ROOTS["oadrPoll"] is messages.Poll
    assert all(name == f"oadr{kind.__name__}" for name, kind in ROOTS.items())


@pytest.mark.parametrize(
    ("target", "everything"),
    [
        (EiTarget(), True),
        (EiTarget(ven_ids=("a",)), True),
        (EiTarget(resource_ids=("r",)), False),
        (EiTarget(ven_ids=("a",), group_ids=("g",)), False),
    ],
)
def test_rule_022_a_target_without_criteria_names_everything(target: EiTarget, everything: bool) -> None:
    assert target.names_all is everything


@pytest.mark.parametrize(
    ("text", "is_test"), [(None, False), ("", False), ("false", False), ("False", True), ("true", True), ("0", True)]
)
def test_rule_006_everything_but_false_is_a_test(text: str | None, is_test: bool) -> None:
    descriptor = EventDescriptor(
        event_id="e",
        modification_number=0,
        market_context="http://x",
        created_date_time=NOW,
        event_status=EventStatus.FAR,
        test_event=text,
    )
    assert descriptor.is_test is is_test


def test_rule_047_an_open_ended_period_has_no_end() -> None:
    assert ActivePeriod(dtstart=NOW, duration=Duration()).end is None
    assert ActivePeriod(dtstart=NOW, duration=Duration(seconds=86_400)).end == datetime(2026, 11, 22, tzinfo=UTC)


def test_the_usual_units() -> None:
    assert (power_real(scale="k").item_units, power_real().voltage) == ("W", 230.0)
    assert energy_real(scale="M").si_scale_code == "M"
