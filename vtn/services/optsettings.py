"""What a programme says of opt schedules, and whether a schedule may be (R200 to R210). Pure.

Rule: a schedule of a market context without programme, or of none, is bound by the standard only.
"""

from openadr.errors import ComplianceError, InvalidData, NotAllowed, TargetMismatch
from openadr.messages import CreateOpt
from openadr.model import Availability, EiTarget
from openadr.signals import DEVICE_CLASSES
from vtn.services.availability import window_end
from vtn.store.programmes import OptRules

MOST_WINDOWS = 500  # of one schedule: half-hours of ten days


def check_schedule(message: CreateOpt, rules: OptRules | None) -> None:
    """Refuse a schedule that the standard or its programme does not allow. Raises ``OadrError``."""
    windows = message.vavailability
    if not windows:
        raise ComplianceError("vavailability without available", field="vavailability")
    if any(each.duration.seconds < 0 or each.duration.months < 0 for each in windows):
        raise ComplianceError("vavailability: negative duration", field="duration")
    if len(windows) > MOST_WINDOWS:
        raise InvalidData(f"vavailability: at most {MOST_WINDOWS} windows are taken", field="vavailability")
    _check_calendar(windows)
    check_device_class(message.device_class)
    if rules is None:
        return
    if message.opt_type not in rules.schedule_types:
        raise NotAllowed(f"the programme takes no {message.opt_type} schedules (R201)", field="optType")
    if not rules.overlaps and overlap(windows):
        raise InvalidData("vavailability: windows overlap, which the programme forbids (R201)", field="vavailability")


def _check_calendar(windows: tuple[Availability, ...]) -> None:
    try:
        for each in windows:
            window_end(each)
    except (OverflowError, ValueError):
        raise InvalidData("vavailability: a window ends beyond the calendar", field="vavailability") from None


def overlap(windows: tuple[Availability, ...]) -> bool:
    """True if two windows share an instant."""
    ordered = sorted(windows, key=lambda each: each.dtstart)
    ends = [window_end(each) for each in ordered]
    return any(end is None or end > following.dtstart for end, following in zip(ends, ordered[1:], strict=False))


def check_device_class(given: EiTarget | None) -> None:
    """Refuse an oadrDeviceClass that is more than device classes of the list (R209); an empty one is absent (R46)."""
    if given is None or given == EiTarget():
        return
    if given != EiTarget(end_device_assets=given.end_device_assets):
        raise ComplianceError("oadrDeviceClass: only endDeviceAsset is allowed (R209)", field="oadrDeviceClass")
    unknown = [name for name in given.end_device_assets if name not in DEVICE_CLASSES and not name.startswith("x-")]
    if unknown:
        text = f"oadrDeviceClass: {unknown[0][:80]!r} is not in the list of device classes (R209)"
        raise TargetMismatch(text, field="oadrDeviceClass")
