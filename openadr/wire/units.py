"""Units (emix:itemBase): the table of all kinds the schema knows, and both directions of the codec.

Rule: the element's local name is ``ItemBase.kind``; a kind's fixed description and unit may be left out by the sender
and are filled in when read. The Green Button description is not a unit: 461.
"""

from dataclasses import dataclass

from lxml import etree

from openadr.errors import InvalidData, ReportNotSupported
from openadr.model import ItemBase
from openadr.wire.xml import Reader, Tag

SCALES = frozenset({"p", "n", "micro", "m", "c", "d", "k", "M", "G", "T", "none"})  # scale:siScaleCode
POWER = frozenset({"powerReal", "powerApparent", "powerReactive"})
ENERGY = frozenset({"energyReal", "energyApparent", "energyReactive"})
CURRENCY = frozenset({"currency", "currencyPerKW", "currencyPerKWh", "currencyPerThm"})
_CURRENCY_WORDS = frozenset({"currency", "currencyPerKW", "currencyPerKWh"})  # no own word for Thm


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One kind: its element and the texts the schema fixes; '' or an empty set where the text is free."""

    prefix: str
    description: str = ""
    units: frozenset[str] = frozenset()
    default_unit: str = ""


def _fixed(prefix: str, description: str, unit: str, *others: str) -> Unit:
    return Unit(prefix=prefix, description=description, units=frozenset({unit, *others}), default_unit=unit)


UNITS: dict[str, Unit] = {
    "powerReal": _fixed("power", "RealPower", "W", "J/s"),
    "powerApparent": _fixed("power", "ApparentPower", "VA"),
    "powerReactive": _fixed("power", "ReactivePower", "VAR"),
    "energyReal": _fixed("power", "RealEnergy", "Wh"),
    "energyApparent": _fixed("power", "ApparentEnergy", "VAh"),
    "energyReactive": _fixed("power", "ReactiveEnergy", "VARh"),
    "voltage": _fixed("power", "Voltage", "V"),
    "current": _fixed("oadr", "Current", "A"),
    "frequency": _fixed("oadr", "Frequency", "Hz"),
    "Therm": _fixed("oadr", "Therm", "thm"),
    "temperature": _fixed("oadr", "temperature", "celsius", "fahrenheit"),
    "pulseCount": _fixed("oadr", "pulse count", "count"),
    "currency": Unit(prefix="oadr", description="currency"),
    "currencyPerKW": Unit(prefix="oadr", description="currencyPerKW"),
    "currencyPerKWh": Unit(prefix="oadr", description="currencyPerKWh"),
    "currencyPerThm": Unit(prefix="oadr", description="currency"),
    "customUnit": Unit(prefix="oadr"),
}
_ELEMENTS = {kind: Tag(f"{unit.prefix}:{kind}") for kind, unit in UNITS.items()}
_DESCRIPTIONS = {prefix: Tag(f"{prefix}:itemDescription") for prefix in ("oadr", "power")}
_ITEM_UNITS = {prefix: Tag(f"{prefix}:itemUnits") for prefix in ("oadr", "power")}
_KINDS = {tag.clark: kind for kind, tag in _ELEMENTS.items()}
_SCALE = Tag("scale:siScaleCode")
_ATTRIBUTES, _HERTZ, _VOLTAGE, _AC = map(Tag, ("power:powerAttributes", "power:hertz", "power:voltage", "power:ac"))
_PULSE_FACTOR = Tag("oadr:pulseFactor")
_GREEN_BUTTON = Tag("oadr:oadrGBDataDescription").clark


def _bad(item: ItemBase) -> str:
    """Say what is wrong with a unit, '' if nothing: one row a rule."""
    unit = UNITS[item.kind]
    currency, power = item.kind in CURRENCY, item.kind in POWER
    allowed = _CURRENCY_WORDS if currency else {unit.description} if unit.description else {item.item_description}
    rules = (
        (item.item_description in {"", *allowed}, f"itemDescription must be one of {sorted(allowed)}"),
        (not unit.units or item.item_units in {"", *unit.units}, f"itemUnits must be one of {sorted(unit.units)}"),
        (not currency or _is_currency_code(item.item_units), "itemUnits must be an upper-case ISO 4217 code"),
        (item.si_scale_code in SCALES, f"siScaleCode must be one of {sorted(SCALES)}"),
        (not power or None not in (item.hertz, item.voltage, item.ac), "hertz, voltage and ac are mandatory"),
        (item.kind != "pulseCount" or item.pulse_factor is not None, "pulseFactor is mandatory"),
    )
    return next((complaint for fine, complaint in rules if not fine), "")


def _is_currency_code(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def check_item_base(item: ItemBase) -> None:
    """Check a unit against the schema's table. Raises ``InvalidData`` (454) naming what is wrong."""
    if item.kind not in UNITS:
        raise InvalidData(f"unknown unit {item.kind!r}", field="itemBase")
    complaint = _bad(item)
    if complaint:
        raise InvalidData(f"{item.kind}: {complaint}", field="itemBase")


def write_item_base(item: ItemBase | None) -> str:
    """Write a unit, or nothing. Raises ``InvalidData`` for what the schema would refuse."""
    if item is None:
        return ""
    check_item_base(item)
    unit = UNITS[item.kind]
    return _ELEMENTS[item.kind](
        _DESCRIPTIONS[unit.prefix].text(item.item_description or unit.description),
        _ITEM_UNITS[unit.prefix].text(item.item_units or unit.default_unit),
        _PULSE_FACTOR.number(item.pulse_factor) if item.kind == "pulseCount" else _SCALE.text(item.si_scale_code),
        _ATTRIBUTES(_HERTZ.decimal(item.hertz), _VOLTAGE.decimal(item.voltage), _AC.flag(item.ac))
        if item.kind in POWER
        else "",
    )


def read_item_base(parent: etree._Element) -> ItemBase | None:
    """Read the unit among the children of ``parent``, ``None`` if there is none.

    Raises ``ReportNotSupported`` for the Green Button description.
    """
    for child in parent:
        kind = _KINDS.get(child.tag)
        if kind is not None:
            return _read(kind, Reader(child))
        if child.tag == _GREEN_BUTTON:
            raise ReportNotSupported("Green Button data has no place here", field="oadrGBDataDescription")
    return None


def _read(kind: str, reader: Reader) -> ItemBase:
    unit = UNITS[kind]
    attributes = reader.maybe_inside(_ATTRIBUTES)
    description, units = _DESCRIPTIONS[unit.prefix], _ITEM_UNITS[unit.prefix]
    free = kind == "customUnit"
    return ItemBase(
        kind=kind,
        item_description=reader.text(description) if free else reader.token(description) or unit.description,
        item_units=reader.text(units) if free else reader.token(units) or unit.default_unit,
        si_scale_code=reader.token(_SCALE) or "none",
        hertz=attributes.number(_HERTZ) if attributes else None,
        voltage=attributes.number(_VOLTAGE) if attributes else None,
        ac=attributes.flag(_AC) if attributes else None,
        pulse_factor=reader.maybe_number(_PULSE_FACTOR),
    )
