"""Whether this VEN takes part in an event, and with which responseCode it says so; pure.

Rule: 462 for a market context that is not enrolled or a target that is not ours, 460 for a signal without a meaning,
454 for a value out of range, each with optOut (R48, VEN-11). It opts in if any targeted resource takes part; what
single resources do is told by oadrCreateOpt.
"""

from collections.abc import Callable
from datetime import datetime

from bridge.plan import takes_part
from bridge.program import Programmes
from bridge.resources import Resource, in_class, select
from openadr.errors import DeploymentError, OadrError, ResponseCode, TargetMismatch
from openadr.model import Event, OptType
from ven.model import Assessment


class Assessor:
    """The bridge's answer to the VEN; ``ven_id`` returns our venID, ``None`` before registration."""

    def __init__(
        self, programmes: Programmes, resources: tuple[Resource, ...], ven_id: Callable[[], str | None]
    ) -> None:
        self._programmes, self._resources, self._ven_id = programmes, resources, ven_id

    def __call__(self, event: Event, now: datetime) -> Assessment:
        """Return the decision on ``event``."""
        try:
            self._programmes.of_event(event).check(event)
            targeted = self._targeted(event)
        except OadrError as error:
            return Assessment(response_code=error.code, opt_type=OptType.OPT_OUT, description=error.description)
        if not any(takes_part(event, resource) for resource in targeted):
            return Assessment(
                response_code=ResponseCode.OK,
                opt_type=OptType.OPT_OUT,
                description="a test event, and no targeted resource is enrolled for tests",
            )
        return Assessment(response_code=ResponseCode.OK, opt_type=OptType.OPT_IN)

    def _targeted(self, event: Event) -> tuple[Resource, ...]:
        targeted = select(self._resources, event.target, self._ven_id())
        if not targeted:
            raise TargetMismatch("the target names none of our resources, groups or venID", field="eiTarget")
        able = tuple(r for r in targeted if any(in_class(r, signal.target) for signal in event.signals))
        if not able:
            raise DeploymentError("no targeted resource is of the signals' device class", field="endDeviceAsset")
        return able
