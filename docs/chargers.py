"""The pages about chargers: ``quirks.md`` from the shipped quirk file, ``interop.md`` from the tests that were run.

Rule: nothing is claimed here: a row of the matrix is a case of a test or a peer's test by its name.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.ocpp.knowledge import load
from bridge.ocpp.quirks import Knobs, said
from tests.bridge.ocpp.test_quirky_chargers import CASES, VERSIONS

_ROOT = Path(__file__).resolve().parents[1]
_PEERS = {
    "tests/interop/test_ocpp_rpc.py": "npm package `ocpp-rpc`, strict mode",
}


def quirks() -> str:
    """Return ``quirks.md``."""
    lines = [
        "# Quirks of chargers",
        "",
        "Made by `make docs` from [`bridge/ocpp/quirks.toml`](../../bridge/ocpp/quirks.toml). Most rows are public",
        "reports that were not reproduced here; *tried* says so where it was. How to add your own:",
        "[OCPP chargers](../howto/ocpp-chargers.md). The [schema](../../schemas/quirks.schema.json) is checked by",
        "`oadr-bridge check-quirks FILE`.",
        "",
        "## Knobs",
        "",
        "| knob | meaning |",
        "|---|---|",
        *(f"| `{name}` | {field.description} |" for name, field in Knobs.model_fields.items()),
        "",
        "## Shipped rows",
        "",
        "| vendor | model | firmware | protocol | knobs | seen | where |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {_cell(each.vendor)} | {_cell(each.model)} | {_cell(each.firmware)} | {_cell(each.protocol)} "
            f"| `{said(each)}` | {each.note} | {each.seen_in} |"
            for each in load()
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(glob: str) -> str:
    return "any" if glob == "*" else f"`{glob}`"


def interop() -> str:
    """Return ``interop.md``."""
    lines = [
        "# Interoperability of chargers",
        "",
        "Made by `make docs` from the tests. No row says that a certain product works: they say what the central",
        "system does with a charger of each trait, and which other implementations it talks to in every test run.",
        "",
        "## Traits, each with a simulated charger",
        "",
        "Every charger is probed, then limited to 16.5 A and to 0, and let go; its meter, or the answer, decides",
        "([test](../../tests/bridge/ocpp/test_quirky_chargers.py)).",
        "",
        "| trait | learnt by the probe | result | OCPP |",
        "|---|---|---|---|",
        *(
            f"| {case.trait} | {f'`{said(case.learns)}`' if said(case.learns) else 'nothing needed'} | {case.truth} "
            f"| {', '.join(VERSIONS if case.both else VERSIONS[index % 2 :][:1])} |"
            for index, case in enumerate(CASES)
        ),
        "",
        "## Independent implementations",
        "",
        "The simulated chargers above speak through `ChargePoint` of the Python library `ocpp`, which checks what it",
        "is sent against its own schemas.",
        "",
        *_peers(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _peers() -> Iterator[str]:
    for name, peer in _PEERS.items():
        path = _ROOT / name
        if not path.exists():
            continue
        yield from (f"{peer} ([test](../../{name})):", "")
        for found in re.findall(r"^(?:async )?def test_(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield f"- {found.replace('_', ' ')}"
        yield ""


PAGES: dict[str, Any] = {"quirks.md": quirks, "interop.md": interop}
