"""On whose authority a charger is limited: who asks, and on what basis; pure.

Rule (ARB-12): every command carries its basis: a contract, an emergency, or the customer's own wish. A network operator
has no contract with a customer by itself: its programmes are for emergencies, or for those who have agreed.
"""

from enum import StrEnum


class Authority(StrEnum):
    """The basis of a limit."""

    CONTRACT = "contract"  # an agreement with the customer, with a flexibility service or a tariff
    EMERGENCY = "emergency"  # protection of the network: needs no agreement
    CUSTOMER = "customer"  # the customer's own wish, or that of the owner of the installation


class Issuer(StrEnum):
    """Who stands behind a programme's events (EVT-01)."""

    DSO = "dso"  # distribution network operator
    ESO = "eso"  # system operator
    AGGREGATOR = "aggregator"
    SUPPLIER = "supplier"
    HOME_MANAGER = "home_manager"


EMERGENCY_ISSUERS = frozenset({Issuer.DSO, Issuer.ESO})
"""Who may command without an agreement: whoever is answerable for a network."""
