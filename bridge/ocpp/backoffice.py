"""What the central system does for chargers beside limits: remember kinds, keep reports, decide on tokens, sign.

Rule: what is to be kept is on disk before the charger is answered; without a store (tests) nothing is kept.
"""

from collections.abc import Sequence

from bridge.ocpp.authorise import Gate
from bridge.ocpp.knowledge import Knowledge, load
from bridge.ocpp.link import Services
from bridge.ocpp.quirks import Kind, Knobs, read_knobs
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.signing import Signer
from bridge.ocpp.station import Noticed
from bridge.store import BridgeStore, Changes, ChargerKind, ChargerNotice
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)


class BackOffice:
    """The services of all links."""

    def __init__(
        self, settings: OcppSettings, clock: Clock, store: BridgeStore | None, knowledge: Knowledge | None
    ) -> None:
        self._clock, self._store = clock, store
        self._gate = Gate(settings.authorise)
        self.knowledge = knowledge if knowledge is not None else Knowledge(load(settings.quirk_files), self._keep_kind)
        signer = None
        if settings.authority is not None:
            signer = Signer(directory=settings.authority, organisation=settings.cpo_name or "", clock=clock)
        self.services = Services(
            keep=self._keep_notices, authorise=self._gate.decide, sign=None if signer is None else signer.sign
        )

    async def start(self) -> None:
        """Take up what was learnt before, and make ready to decide. Raises ``SettingsError``."""
        rows = await self._store.charger_kinds() if self._store is not None else ()
        self.knowledge.take_up(
            {
                Kind(vendor=row.vendor, model=row.model, firmware=row.firmware, protocol=row.protocol): read_knobs(
                    row.knobs
                )
                for row in rows
            }
        )
        await self._gate.start()

    async def stop(self) -> None:
        """Close what was open."""
        await self._gate.stop()

    async def _keep_kind(self, kind: Kind, knobs: Knobs) -> None:
        if self._store is not None:
            row = ChargerKind(
                vendor=kind.vendor,
                model=kind.model,
                firmware=kind.firmware,
                protocol=kind.protocol,
                knobs=knobs.model_dump_json(exclude_none=True),
                at=self._clock.now(),
            )
            await self._store.write(Changes(charger_kinds=(row,)))

    async def _keep_notices(self, charger: str, notices: Sequence[Noticed]) -> None:
        """Keep what a charger reported, before it is answered."""
        for each in notices:
            level = _log.warning if each.kind == "security" else _log.info
            level("charger reports", charger=charger, kind=each.kind, name=each.name, detail=each.detail)
        if notices and self._store is not None:
            rows = tuple(
                ChargerNotice(charger=charger, at=each.at, kind=each.kind, name=each.name, detail=each.detail)
                for each in notices
            )
            await self._store.write(Changes(charger_notices=rows))
