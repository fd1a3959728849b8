"""IEEE 2030.5 as CSIP-AUS uses it, in the terms of this bridge: demand response modes and percentage offsets; pure.

Rule (MAP-16): a translation table, no stack. A fixed power in percent of the rating is a mode by the bands of table 3.1
(AS/NZS 4755.2): below zero import, from zero on export. Zero itself is DRM 5, no export: no import is never written as
zero, but just below it (decision 7). What holds while no event is active, the *default control*, is the comms-loss
policy and the ``limit_a`` of the settings here (OUT-03).
"""

from bridge.rules import NO_DRM

DISCONNECT = 0  # opModConnect false
STEP = 0.01  # percent: the resolution of opModFixedW

BANDS: tuple[tuple[int, float, float], ...] = (
    (4, -100.00, -90.01),
    (3, -90.00, -60.01),
    (2, -60.00, -30.01),
    (1, -30.00, -0.01),
    (5, 0.00, 30.99),
    (6, 31.00, 60.99),
    (7, 61.00, 90.99),
    (8, 91.00, 100.00),
)
"""(mode, lowest, highest) fixed power in percent, both ends belonging to the band."""

_ENCODED = {1: -0.01, 2: -50.00, 3: -75.00, 4: -100.00, 5: 0.00, 6: 50.00, 7: 75.00, 8: 100.00}


def decoded(fixed_w_percent: float | None, *, connect: bool = True) -> float:
    """Return the mode that a control asks for, ``NO_DRM`` without one. Raises ``ValueError`` for more than 100 %."""
    if not connect:
        return DISCONNECT
    if fixed_w_percent is None:
        return NO_DRM
    hundredths = round(fixed_w_percent / STEP)
    for mode, low, high in BANDS:
        if round(low / STEP) <= hundredths <= round(high / STEP):
            return mode
    raise ValueError(f"opModFixedW {fixed_w_percent:g} % is outside -100.00 to 100.00")


def encoded(mode: int) -> tuple[float | None, bool]:
    """Return fixed power in percent and opModConnect for a mode; inside its band, DRM 1 never at zero."""
    if mode == DISCONNECT:
        return None, False
    if mode not in _ENCODED:
        raise ValueError(f"DRM {mode} is no demand response mode: 0 to 8")
    return _ENCODED[mode], True


def percent_offset(load_adjustment: float, *, load_shift_forward: bool) -> float:
    """Return a loadAdjustmentPercentageOffset as OpenADR's x-loadControlPercentOffset: below 0 is less load.

    It is a reduction, and an increase where ``load_shift_forward`` is set.
    """
    return load_adjustment if load_shift_forward else 0.0 - load_adjustment
