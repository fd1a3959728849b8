"""Where HTTP push may go: the address a VEN gives is somebody else's wish to have this VTN open connections.

Rule: an address is refused at registration if its text already shows that it is not allowed; what its host name stands
for is checked again at every connection, because names change. Being enrolled is not enough to have the VTN knock on
the doors of its own network.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from openadr.errors import ComplianceError, DeploymentError

FIELD = "oadrTransportAddress"
PUBLIC, ANY = "public", "any"
MAX_LENGTH = 1000  # characters of an address
_TUNNELS = tuple(ipaddress.ip_network(each) for each in ("64:ff9b::/96", "2002::/16"))  # lead to IPv4, private or not
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRule:
    """Which hosts may be pushed to.

    ``hosts`` are names (``ven7.example``, ``*.ven.example``) trusted whatever they stand for; any other host must stand
    for addresses in ``networks`` only, or for public ones if ``public``. ``anywhere`` allows everything.
    """

    hosts: tuple[str, ...] = ()
    networks: tuple[_Network, ...] = ()
    public: bool = True
    anywhere: bool = False
    insecure: bool = False  # plain HTTP too

    def check(self, address: str | None) -> str:
        """Return the base of a VEN's push URLs. Raises ``ComplianceError`` or ``DeploymentError``."""
        if not address:
            raise ComplianceError(f"{FIELD} is mandatory for HTTP push (R402)", field=FIELD)
        if len(address) > MAX_LENGTH or not address.isascii() or not address.isprintable() or " " in address:
            raise ComplianceError(f"{FIELD}: not a URL of at most {MAX_LENGTH} characters", field=FIELD)
        host = self._host(address)
        literal = _literal(host)
        if literal is not None:
            allowed = self.permits(host, str(literal))
        else:
            allowed = self._named(host) or self.anywhere or self.public or bool(self.networks)
        if not allowed:
            raise DeploymentError(f"{FIELD}: this VTN is not allowed to push to {host} ([push] allow)", field=FIELD)
        return address.rstrip("/")

    def _host(self, address: str) -> str:
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ComplianceError(f"{FIELD}: not a URL", field=FIELD) from None
        if parts.scheme not in ("https", "http") or not host or port == 0:
            raise ComplianceError(f"{FIELD}: an https:// address is needed", field=FIELD)
        if parts.scheme == "http" and not self.insecure:
            raise DeploymentError(f"{FIELD}: only https:// is accepted here", field=FIELD)
        if parts.username is not None or parts.query or parts.fragment:
            raise ComplianceError(f"{FIELD}: a base address has no user, query or fragment", field=FIELD)
        if _literal(host) is None and host.replace(".", "").isdigit():
            raise ComplianceError(f"{FIELD}: not an address", field=FIELD)  # 127.1 and the like
        return host

    def permits(self, host: str, address: str) -> bool:
        """True if a connection to ``address``, which ``host`` stands for, is allowed."""
        found = _literal(address)
        if self.anywhere or self._named(host):
            return True
        if found is None:
            return False
        return (self.public and _is_public(found)) or any(found in each for each in self.networks)

    def _named(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in self.hosts)


def address_rule(allow: tuple[str, ...], *, insecure: bool = False) -> AddressRule:
    """Make the rule of ``public``, ``any``, networks and host names. Raises ``ValueError`` naming the word at fault."""
    hosts, networks = [], []
    for each in allow:
        if each in (PUBLIC, ANY):
            continue
        try:
            networks.append(ipaddress.ip_network(each))
        except ValueError:
            if "/" in each or not each.removeprefix("*.").replace("-", "").replace(".", "").isalnum():
                raise ValueError(f"{each!r} is neither public, any, a network nor a host name") from None
            hosts.append(each.lower().rstrip("."))
    return AddressRule(
        hosts=tuple(hosts),
        networks=tuple(networks),
        public=PUBLIC in allow,
        anywhere=ANY in allow,
        insecure=insecure,
    )


def _literal(text: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _is_public(address: _Address) -> bool:
    tunnelled = any(address in each for each in _TUNNELS)
    return address.is_global and not address.is_multicast and not tunnelled
