"""Several device families as one: a command goes to the family that the identity belongs to.

Rule: a device belongs to exactly one family, as the settings say; nothing else is decided here. What is named in no
other family is the first one's, which knows chargers that nobody enrolled.
"""

from collections.abc import Mapping

from bridge.target import ChargerStatus, CommandResult, LimitSchedule, LimitTarget


class Families:
    """A ``LimitTarget`` made of ``first`` and of those that the identities in ``others`` belong to."""

    def __init__(self, first: LimitTarget, others: Mapping[str, LimitTarget]) -> None:
        self._first, self._others = first, others

    def of(self, identity: str) -> LimitTarget:
        """Return the family of a device."""
        return self._others.get(identity, self._first)

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        """Install ``schedule``."""
        return await self.of(identity).set_limit(identity, schedule)

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        """Remove the schedule."""
        return await self.of(identity).clear_limit(identity, schedule_id)

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        """Take the device out of service, or back."""
        return await self.of(identity).set_available(identity, available)

    async def stop_session(self, identity: str) -> CommandResult:
        """End every running session."""
        return await self.of(identity).stop_session(identity)

    def status(self, identity: str) -> ChargerStatus | None:
        """Return what is known of one device."""
        return self.of(identity).status(identity)

    def chargers(self) -> tuple[ChargerStatus, ...]:
        """Return every device of every family, ordered by identity."""
        families = {id(each): each for each in (self._first, *self._others.values())}
        return tuple(
            sorted((one for each in families.values() for one in each.chargers()), key=lambda one: one.identity)
        )
