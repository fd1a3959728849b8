"""Whether this VEN takes part in an event, and with which responseCode it says so; pure.

Rule: 462 for a market context that is not enrolled or a target that is not ours, 460 for a signal without a meaning,
454 for a value out of range, 469 for what none of the targeted resources can do (export by charge-only equipment, an
unknown state of charge), each with optOut and the reason (R48, R112, VEN-11). It opts in if any targeted resource
takes part; what single resources do is told by oadrCreateOpt.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from bridge.plan import NONE_MEASURED, about_content, refusal
from bridge.program import Programmes
from bridge.resources import Resource, in_class, select
from openadr.errors import DeploymentError, OadrError, ResponseCode, TargetMismatch
from openadr.model import Event, OptType
from ven.model import Assessment


def _none_measured() -> frozenset[str]:
    return NONE_MEASURED


class Assessor:
    """The bridge's answer to the VEN; ``ven_id`` returns our venID, ``None`` before registration.

    ``measured`` returns the resources whose state of charge is known now.
    """

    def __init__(
        self,
        programmes: Programmes,
        resources: tuple[Resource, ...],
        ven_id: Callable[[], str | None],
        measured: Callable[[], frozenset[str]] = _none_measured,
    ) -> None:
        self._programmes, self._resources, self._ven_id, self._measured = programmes, resources, ven_id, measured

    def use(self, programmes: Programmes) -> None:
        """Take over programmes that were read anew."""
        self._programmes = programmes

    def enrol(self, resources: Mapping[str, Resource]) -> None:
        """Take over what has changed at the resources: agreements (ARB-19)."""
        self._resources = tuple(resources.get(each.resource_id, each) for each in self._resources)

    def __call__(self, event: Event, now: datetime) -> Assessment:
        """Return the decision on ``event``."""
        try:
            programme = self._programmes.of_event(event)
            programme.check(event)
            targeted = self._targeted(event)
        except OadrError as error:
            return Assessment(response_code=error.code, opt_type=OptType.OPT_OUT, description=error.description)
        measured = self._measured() if about_content(event) else NONE_MEASURED
        refusals = [refusal(event, programme, resource, measured) for resource in targeted]
        told = [each for each in refusals if each is not None]
        if len(told) == len(refusals):
            worst = max(told, key=lambda each: each.code)
            return Assessment(response_code=worst.code, opt_type=OptType.OPT_OUT, description=worst.reason)
        return Assessment(response_code=ResponseCode.OK, opt_type=OptType.OPT_IN)

    def _targeted(self, event: Event) -> tuple[Resource, ...]:
        targeted = select(self._resources, event.target, self._ven_id())
        if not targeted:
            raise TargetMismatch("the target names none of our resources, groups or venID", field="eiTarget")
        able = tuple(r for r in targeted if any(in_class(r, signal.target) for signal in event.signals))
        if not able:
            raise DeploymentError("no targeted resource is of the signals' device class", field="endDeviceAsset")
        return able
