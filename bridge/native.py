"""How a programme's signals are said to devices that take commands of their own instead of amperes (CTA-2045); pure.

Rule: a programme may choose, device type by device type; without a choice, what is rated in amperes (a charger, a
battery) is asked for a share of its rating, and what has only steps is asked for steps.
"""

from typing import Annotated

from pydantic import Field

from bridge.baserule import Strict
from bridge.resources import Kind

STEPPED = (Kind.WATER_HEATER, Kind.HEAT_PUMP)  # appliances whose power is not theirs to choose


class Native(Strict):
    """The ``[cta2045]`` table of a programme."""

    steps: tuple[Kind, ...] = Field(
        default=STEPPED, description="Kinds sent Shed, Critical Peak or Grid Emergency for levels, not Power Level"
    )
    base_price: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="What devices know as the usual price (1.0), per kWh; left out: absolute ones unsaid"
    )
