"""Everything that a demonstration on one machine needs: a VTN, a bridge, stations, and the servers they talk to.

Rule: a development PKI; its keys lie unencrypted beside each other and must not leave the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from certs.authority import Authority, Issued, KeyType, Profile, Role

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPki:
    """Where the parts of the demonstration find their certificates. ``vtn`` is the EC and the RSA pair."""

    vtn: tuple[Issued, Issued]
    ven: Issued
    central: Issued
    operator: Issued
    stations: dict[str, Issued]
    trust_openadr: Path
    trust_ocpp: Path
    trust_server: Path


def demo_pki(
    directory: Path,
    *,
    now: datetime,
    ven: str = "bridge",
    stations: Sequence[str] = (),
    cpo: str = "Demo CPO",
    names: Sequence[str] = LOCAL_NAMES,
) -> DemoPki:
    """Make an authority in ``directory`` and all certificates; raises ``AuthorityError`` if there is one already."""
    authority = Authority.create(directory, now=now, owner="Demo", rsa=True)
    return DemoPki(
        vtn=(
            authority.issue(Profile.OPENADR_VTN, "vtn", names, now=now),
            authority.issue(Profile.OPENADR_VTN, "vtn", names, now=now, key_type=KeyType.RSA),
        ),
        ven=authority.issue(Profile.OPENADR_VEN, ven, now=now),
        central=authority.issue(Profile.SERVER, "central", names, now=now),
        operator=authority.issue(Profile.SERVER, "operator", names, now=now),
        stations={
            identity: authority.issue(Profile.OCPP_STATION, identity, now=now, organisation=cpo)
            for identity in stations
        },
        trust_openadr=authority.trust(Role.OPENADR),
        trust_ocpp=authority.trust(Role.OCPP),
        trust_server=authority.trust(Role.SERVER),
    )
