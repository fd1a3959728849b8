"""The table of rules, the names of the tests and the pages made from both agree."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kinds import Standing, Status
from tests.conformance.rules import RANGES, RULES, UNASSIGNED
from tests.conformance.scan import ROOT, Proof, numbers_in, parties_of, proving, scan


@pytest.fixture(scope="module")
def proofs() -> tuple[Proof, ...]:
    return scan()


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("name", ["conformance.md", "pics.md"])
def test_page_is_current(generator: dict[str, Any], name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text() == generator["PAGES"][name](), "run: make docs"


def test_every_assigned_rule_is_there_once_in_order() -> None:
    assigned = [number for first, last in RANGES for number in range(first, last + 1) if number not in UNASSIGNED]
    assert [rule.number for rule in RULES] == assigned


def test_every_party_that_is_bound_has_a_standing() -> None:
    for rule in RULES:
        assert rule.party in "TNB"
        assert (rule.vtn is not None) == (rule.party in "TB"), rule.number
        assert (rule.ven is not None) == (rule.party in "NB"), rule.number


def test_what_is_not_met_has_a_reason() -> None:
    standings: list[Standing] = [each for rule in RULES for each in (rule.vtn, rule.ven) if each is not None]
    assert all(each.reason for each in standings if each.status is not Status.MET)
    assert not [rule.text for rule in RULES if "|" in rule.text or not rule.text.endswith(".")]


@pytest.mark.parametrize("party", ["T", "N"])
def test_every_rule_that_is_met_has_a_test_that_names_it(proofs: tuple[Proof, ...], party: str) -> None:
    unproven = []
    for rule in RULES:
        standing = rule.vtn if party == "T" else rule.ven
        if standing is not None and standing.status is Status.MET and not proving(proofs, rule.number, party):
            unproven.append(rule.number)
    assert unproven == []


def test_no_test_names_an_unassigned_rule(proofs: tuple[Proof, ...]) -> None:
    assigned = {rule.number for rule in RULES}
    assert [each.name for each in proofs if not assigned.issuperset(each.rules)] == []


def test_a_rule_with_a_test_that_is_expected_to_fail_is_not_called_met(proofs: tuple[Proof, ...]) -> None:
    wrong = [
        (rule.number, party)
        for rule in RULES
        for party, standing in (("T", rule.vtn), ("N", rule.ven))
        if standing is not None and standing.status is Status.MET
        if any(each.expected_to_fail and party in each.parties and rule.number in each.rules for each in proofs)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("test_rule_050_every_payload_is_complete", (50,)),
        ("test_rule_305_311_312_contents_of_metadata", (305, 311, 312)),
        ("test_rule_015_order_and_rule_027_reply_limit", (15, 27)),
        ("test_property_order_follows_rule_015", (15,)),
        ("test_rule_1234_is_no_number_of_three", ()),
        ("test_evt_06_a_cancel_cuts", ()),
    ],
)
def test_numbers_are_read_from_names(name: str, numbers: tuple[int, ...]) -> None:
    assert numbers_in(name) == numbers


@pytest.mark.parametrize(
    ("path", "parties"),
    [("vtn/test_chain.py", "T"), ("ven/test_opts.py", "N"), ("bridge/ocpp/test_wire.py", "N"), ("openadr/x.py", "TN")],
)
def test_directories_tell_for_whom_a_test_speaks(path: str, parties: str) -> None:
    assert parties_of(Path(path)) == parties


def test_a_scan_reads_names_and_marks_without_importing(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "vtn"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text(
        "import nothing_of_this_name\n"
        "@pytest.mark.xfail(reason='x')\nasync def test_rule_002_later() -> None: ...\n"
        "def test_rule_003_004_now() -> None: ...\n"
        "def other_rule_005() -> None: ...\n"
    )
    found = scan(tmp_path)
    assert [(each.path, each.rules, each.expected_to_fail) for each in found] == [
        ("tests/vtn/test_a.py", (2,), True),
        ("tests/vtn/test_a.py", (3, 4), False),
    ]
    assert proving(found, 2, "T") == ()
    assert [each.name for each in proving(found, 4, "T")] == ["test_rule_003_004_now"]
    assert proving(found, 4, "N") == ()
