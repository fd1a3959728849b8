"""Which tests prove which rule: read from the names of the test functions, without running anything.

Rule: ``rule_050`` or ``rule_019_048`` anywhere in the name of a test function names the rules. A test under
``tests/vtn`` speaks for the VTN, one under ``tests/ven`` or ``tests/bridge`` for the VEN, elsewhere the file's name may
say so (``test_vtn_...``); any other speaks for both, which are built of the same parts. A test that is expected to fail
proves nothing.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NUMBERS = re.compile(r"rule_(\d{3}(?:_\d{3})*)(?![0-9])")
_PARTIES = {"vtn": "T", "ven": "N", "bridge": "N"}
_FILES = {"test_vtn_": "T", "test_ven_": "N"}


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A test function that names rules; ``path`` counts from the repository."""

    path: str
    name: str
    rules: tuple[int, ...]
    parties: str  # of "T" and "N"
    expected_to_fail: bool


def numbers_in(name: str) -> tuple[int, ...]:
    """Return the rule numbers in the name of a test, each once."""
    found = (int(number) for group in _NUMBERS.findall(name) for number in group.split("_"))
    return tuple(dict.fromkeys(found))


def parties_of(path: Path) -> str:
    """Return for whom the tests of a file speak; ``path`` counts from ``tests``."""
    for part in path.parts:
        if part in _PARTIES:
            return _PARTIES[part]
    return next((party for start, party in _FILES.items() if path.name.startswith(start)), "TN")


def scan(root: Path = ROOT) -> tuple[Proof, ...]:
    """Return every test of the tree that names a rule, by file and in the order of names."""
    tests = root / "tests"
    return tuple(sorted(proof for path in tests.rglob("*.py") for proof in _proofs(path, path.relative_to(tests))))


def _proofs(path: Path, inside: Path) -> Iterator[Proof]:
    source = path.read_text()
    if "rule_" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            rules = numbers_in(node.name)
            if rules:
                failing = any("xfail" in ast.unparse(each) for each in node.decorator_list)
                yield Proof(f"tests/{inside.as_posix()}", node.name, rules, parties_of(inside), failing)


def proving(proofs: tuple[Proof, ...], number: int, party: str) -> tuple[Proof, ...]:
    """Return the tests that prove a rule for a party, "T" or "N"."""
    return tuple(
        each for each in proofs if number in each.rules and party in each.parties and not each.expected_to_fail
    )
