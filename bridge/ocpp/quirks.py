"""What is known of kinds of chargers: knobs by vendor, model, firmware and protocol, from quirk files and from probes.

Rule: pure. A knob that nobody set stays ``None`` and changes nothing. A quirk file overrules a probe, and the settings
of a single charger overrule both; of two rows of files that fit, the later one wins, knob by knob.
"""

import json
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Purpose = Literal["TxProfile", "TxDefaultProfile", "StationMax"]
PURPOSES: tuple[Purpose, ...] = ("TxProfile", "TxDefaultProfile", "StationMax")


class QuirkError(ValueError):
    """A quirk file cannot be used; the text names the file and the key."""


class Knobs(BaseModel):
    """How a kind of charger wants to be spoken to; every knob may be unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smart_charging: bool | None = Field(default=None, description="false: it takes no profiles and is not enrolled")
    purposes: tuple[Purpose, ...] | None = Field(
        default=None, min_length=1, description="The purposes that it takes; StationMax is the last rung"
    )
    default_connector: Literal[0, 1] | None = Field(
        default=None, description="Where a TxDefaultProfile goes: 0 the whole charger, 1 its connector"
    )
    unit: Literal["A", "W"] | None = Field(default=None, description="The unit of limits that it understands")
    kind: Literal["Absolute", "Relative"] | None = Field(
        default=None, description="Relative: one period at a time, without a start of its own, bounded by validTo"
    )
    stack_level: int | None = Field(default=None, ge=0, description="The only stack level that works")
    max_periods: int | None = Field(default=None, ge=1, description="Periods that one profile may have")
    decimals: Literal[0, 1] | None = Field(default=None, description="0: whole amperes or watts only")
    min_a: float | None = Field(
        default=None, ge=0, le=16, description="It makes more of a limit between 0 and this, A; 0 is sent instead"
    )
    zero: Literal["ok", "refused"] | None = Field(default=None, description="Whether it takes a limit of 0")
    resume: Literal["clear", "raise"] | None = Field(
        default=None, description="raise: it only charges on after a limit at its rating; then clear"
    )
    clear_by: Literal["id", "stack", "purpose", "all"] | None = Field(
        default=None, description="How profiles are removed; all also removes those of others"
    )
    number_phases: bool | None = Field(default=None, description="true: it wants numberPhases in each period")
    backdate_s: int | None = Field(
        default=None, ge=0, le=3600, description="A schedule due now starts so long ago, s, for its slow clock"
    )
    composite: bool | None = Field(default=None, description="false: its composite schedule says nothing")
    set_metering: bool | None = Field(default=None, description="false: its meter settings are left alone")
    meter_interval_s: int | None = Field(default=None, ge=1, description="The meter interval that works, s")
    measurands: str | None = Field(default=None, description="The measurands to set, as it spells them")
    writes_per_hour: int | None = Field(default=None, ge=1, description="Default profiles that its memory is spared to")


class Quirk(Knobs):
    """One ``[[quirks]]`` row: which chargers (globs without regard to case), the knobs, and why."""

    vendor: str = Field(min_length=1, description="Vendor of the BootNotification, a glob")
    model: str = Field(default="*", description="Model, a glob")
    firmware: str = Field(default="*", description="Firmware version, a glob")
    protocol: Literal["*", "ocpp1.6", "ocpp2.0.1"] = Field(default="*", description="Only with this version of OCPP")
    note: str = Field(min_length=1, description="What was seen, for the table in the documentation")
    seen_in: str = Field(default="", description="Where it was reported")


class QuirkFile(BaseModel):
    """A quirk file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quirks: tuple[Quirk, ...] = Field(description="The rows; of two that fit the later one wins, knob by knob")


class Kind(NamedTuple):
    """A kind of charger: what a BootNotification names, and the protocol; looked up several times with each limit."""

    vendor: str
    model: str
    firmware: str
    protocol: str


_KNOBS = tuple(Knobs.model_fields)


def parse(text: str, name: str) -> tuple[Quirk, ...]:
    """Read a quirk file. Raises ``QuirkError`` naming file and key."""
    try:
        return QuirkFile.model_validate(tomllib.loads(text)).quirks
    except tomllib.TOMLDecodeError as error:
        raise QuirkError(f"{name}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise QuirkError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def read_knobs(document: str) -> Knobs:
    """Read knobs kept as JSON; of those of another version of this software, what is still known."""
    values = json.loads(document)
    return Knobs(**{name: value for name, value in values.items() if name in _KNOBS})


def schema() -> str:
    """Return the JSON Schema of a quirk file as canonical text, for ``schemas/``."""
    return json.dumps(QuirkFile.model_json_schema(), indent=2, sort_keys=True) + "\n"


def fits(quirk: Quirk, kind: Kind) -> bool:
    """Tell whether a row is about a kind."""
    pairs = ((quirk.vendor, kind.vendor), (quirk.model, kind.model), (quirk.firmware, kind.firmware))
    return quirk.protocol in ("*", kind.protocol) and all(
        fnmatchcase(value.strip().lower(), glob.lower()) for glob, value in pairs
    )


def overlay(*layers: Knobs) -> Knobs:
    """Return the knobs of several layers; a later layer wins where it says something."""
    values: dict[str, Any] = {}
    for layer in layers:
        values |= {name: value for name in _KNOBS if (value := getattr(layer, name)) is not None}
    return Knobs(**values)


def knobs_of(kind: Kind, quirks: Iterable[Quirk], learnt: Knobs | None) -> Knobs:
    """Return what is known of a kind: what a probe learnt, overruled by the rows that fit."""
    return overlay(*((learnt,) if learnt is not None else ()), *(each for each in quirks if fits(each, kind)))


def said(knobs: Knobs) -> str:
    """Return the knobs that are set, as a file says them."""
    return ", ".join(f"{name} = {json.dumps(value)}" for name in _KNOBS if (value := getattr(knobs, name)) is not None)
