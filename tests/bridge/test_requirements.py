"""Which test shows which requirement on the way from signal to limit to proof; ``python -m`` prints the table.

Rule: a test that shows a requirement carries its id in its name (``test_map_06_...``, also several:
``test_out_07_rnd_10_...``). An id without such a test stands in ``OPEN`` with the reason, and leaves it with its test.
"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FAMILIES = {"VEN": 13, "MAP": 19, "ARB": 20, "RND": 13, "OUT": 11, "TEL": 18, "CTA": 18}
_NAME = re.compile(r"def (test_\w+)")
_ID = re.compile(r"(?<![a-z])(ven|map|arb|rnd|out|tel|cta)((?:_\d\d)+)(?![0-9])")

OPEN: dict[str, str] = {}


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
