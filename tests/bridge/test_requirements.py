"""Which test shows which requirement on the way from signal to limit to proof; ``python -m`` prints the table.

Rule: a test that shows a requirement carries its id in its name (``test_map_06_...``, also several:
``test_out_07_rnd_10_...``). An id without such a test stands in ``OPEN`` with the reason, and leaves it with its test.
"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FAMILIES = {"VEN": 13, "MAP": 19, "ARB": 20, "RND": 13, "OUT": 11, "TEL": 18}
_NAME = re.compile(r"def (test_\w+)")
_ID = re.compile(r"(?<![a-z])(ven|map|arb|rnd|out|tel)((?:_\d\d)+)(?![0-9])")

OPEN = {
    "VEN-03": "one process is VEN and OCPP centre; a VTN downstream of a VEN is not built",
    "VEN-05": "dial-out and back-off are tested with the VEN's rules",
    "VEN-12": "the user's target is not known: no departure time, no energy asked for",
    "VEN-13": "fatigue limits and service floors are not built; the override budget is ARB-06",
    "MAP-11": "limits apply at the device; the site's own meter is not read",
    "MAP-14": "no equipment here exports; refusal of DRM 5 to 8 is VEN-11",
    "MAP-15": "no smart-meter adapter",
    "MAP-16": "a table in the documents, no code",
    "MAP-18": "one vehicle model; quirk profiles are not built",
    "MAP-19": "capability profiles of regulations are not built",
    "ARB-12": "authority is the VTN's and the programme's; authority per command is not built",
    "ARB-13": "a limit set by somebody else is seen by read-back and meter, under the OCPP tests",
    "ARB-14": "stacking checks are not built",
    "ARB-15": "no head-end adapter",
    "ARB-18": "charging modes are not built",
    "ARB-19": "consent is not built",
    "ARB-20": "the source of each limit is ARB-09; a register of owners is not built",
    "RND-04": "windows per event and programme; per resource is not built",
    "RND-05": "chargers here do not randomise: the bridge is the one layer that does",
    "RND-06": "an override skips the delay (VEN-08); default schedules of others are not ours",
    "RND-11": "the frequency guard is not built",
    "RND-12": "no firmware or mass resets from here",
    "RND-13": "PAS profiles are not built",
    "OUT-06": "what a charger does by itself is the charger's",
    "OUT-11": "link state upstream is oadrOnline (TEL-03)",
    "TEL-02": "mains frequency is not measured",
    "TEL-04": "its six categories are spread over TEL-01, TEL-03 and the operator API",
    "TEL-06": "bounded by change of provider: not built",
    "TEL-11": "locations are not kept",
    "TEL-13": "curtailable power by feeder is not built",
    "TEL-14": "availability is not valued",
    "TEL-15": "status cards are not built; the operator API has the facts",
    "TEL-16": "cost and carbon are not kept",
    "TEL-17": "no alert bus",
    "TEL-18": "key figures are not built",
}


def every() -> tuple[str, ...]:
    """Return every id of the families."""
    return tuple(f"{family}-{number:02}" for family, count in FAMILIES.items() for number in range(1, count + 1))


def shown() -> dict[str, list[str]]:
    """Return the tests that carry an id, by id."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in _NAME.findall(path.read_text()):
            for family, numbers in _ID.findall(name):
                for number in numbers.strip("_").split("_"):
                    found.setdefault(f"{family.upper()}-{number}", []).append(f"{path.relative_to(TESTS)}::{name}")
    return found


def test_every_requirement_has_a_test_or_a_reason() -> None:
    found = shown()
    assert [name for name in every() if name not in found and name not in OPEN] == []
    assert [name for name in OPEN if name in found or name not in every()] == []


if __name__ == "__main__":
    tests = shown()
    for each in every():
        print(f"{each}  {', '.join(tests.get(each, ['(open) ' + OPEN.get(each, 'no test and no reason')]))}")
