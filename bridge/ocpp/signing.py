"""Signs the certificates that charging stations ask for (SignCertificate, A02) with the authority of ``oadr-certs``.

Rule: a station gets a certificate for its own identity and its operator's name only, whatever its request says; the
private key never leaves the station. The old certificate goes on working until the new one is used.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from certs.authority import Authority, AuthorityError, ProfileError
from runtime.clock import Clock

STATION_KINDS = (None, "ChargingStationCertificate")  # 2.0.1 also knows V2G certificates, which are not ours to sign


class NotSigned(Exception):
    """A request is not signed; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs with the authority in ``directory``, for the operator ``organisation``."""

    directory: Path
    organisation: str
    clock: Clock

    async def sign(self, identity: str, csr: str) -> str:
        """Return the chain (PEM: station, issuing CA). Raises ``NotSigned``."""
        try:
            authority = Authority.open(self.directory)
            return await asyncio.to_thread(
                authority.sign_station,
                csr.encode(),
                identity=identity,
                organisation=self.organisation,
                now=self.clock.now(),
            )
        except (AuthorityError, ProfileError, OSError) as error:
            raise NotSigned(str(error)) from error
