"""The random delay that a charger's own firmware adds to what it is told, as its settings say; pure.

Rule (RND-05): a charger that delays by itself is the one layer that does. The keys are vendors', for 1.6 has none; a
charger that knows none of them is taken not to delay, unless the settings of the bridge say that it does.
"""

from collections.abc import Mapping

KEYS_16 = ("RandomisedDelayDuration",)  # s; met in the field on British chargers
VARIABLES_201 = (("SmartChargingCtrlr", "RandomisedDelay"),)
MOST_S = 1800  # the British regulations' capable maximum: a greater figure is another unit


def own_delay_s(values: Mapping[str, str]) -> int | None:
    """Return the longest delay in s among what a charger said of itself, ``None`` if it said nothing of it."""
    for name in (*KEYS_16, *(variable for _, variable in VARIABLES_201)):
        try:
            seconds = int(float(values[name]))
        except (KeyError, ValueError, OverflowError):
            continue
        if 0 <= seconds <= MOST_S:
            return seconds
    return None
