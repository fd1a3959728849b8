"""What a row of the conformance table is: a rule, whom it binds, and how this VTN and this VEN stand to it.

Rule: a status other than ``met`` says why; what is not said is ``met`` and needs a test that names the rule.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a party stands to a rule."""

    MET = "met"
    PARTLY = "partly"
    NOT_MET = "not met"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Standing:
    """A status with its reason, or for ``met`` a remark."""

    status: Status = Status.MET
    reason: str = ""


MET = Standing()


def met(remark: str) -> Standing:
    """Met, with something a reader should know."""
    return Standing(Status.MET, remark)


def partly(reason: str) -> Standing:
    """A part of the rule is not carried out."""
    return Standing(Status.PARTLY, reason)


def not_met(reason: str) -> Standing:
    """The rule binds this party, and it does not do it."""
    return Standing(Status.NOT_MET, reason)


def na(reason: str) -> Standing:
    """The rule speaks of what this party does not do and need not do."""
    return Standing(Status.NOT_APPLICABLE, reason)


@dataclass(frozen=True, slots=True)
class Rule:
    """One conformance rule; ``vtn`` or ``ven`` is ``None`` where it does not bind that party."""

    number: int
    party: str  # T: VTN, N: VEN, B: both
    text: str  # in our own words
    vtn: Standing | None
    ven: Standing | None


def rule(number: int, party: str, text: str, vtn: Standing = MET, ven: Standing = MET) -> Rule:
    """Return a row; the standing of a party that is not bound is left out."""
    return Rule(number, party, text, vtn if party in "TB" else None, ven if party in "NB" else None)
