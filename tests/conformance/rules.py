"""The conformance rules of OpenADR 2.0b: every assigned number, restated in a line, with how we stand to it.

Rule: the restatements are ours, the numbers are the standard's. ``docs/reference/conformance.md`` is made from this
table and from the names of the tests; ``test_table.py`` holds both together.
"""

from tests.conformance.kinds import Rule
from tests.conformance.rules_event import EVENT_RULES
from tests.conformance.rules_party import PARTY_RULES
from tests.conformance.rules_report import OPT_AND_REPORT_RULES

RULES: tuple[Rule, ...] = (*EVENT_RULES, *OPT_AND_REPORT_RULES, *PARTY_RULES)

RANGES = ((1, 70), (100, 116), (200, 211), (300, 346), (400, 407), (500, 517))
"""Where the standard's numbers lie: events of 2.0a, events of 2.0b, opts, reports, registration, general."""

UNASSIGNED = frozenset(
    {11, 24, 26, 28, 34, 39, 44, 49, 54, 55, 310, 320, 323, 326, 332, 503, 504, 505, 513},
)
"""Numbers inside the ranges that the standard leaves free. 69 is printed there without its number."""
