"""Generated pages and schemas are current, and every link inside the documentation leads somewhere."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from bridge.ocpp.quirks import schema as quirks_schema
from bridge.program import schema as programme_schema
from bridge.settings import BridgeSettings
from runtime.settings import Settings, schema
from vtn.settings import VtnSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts)
]


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("name", ["settings.md", "signal-profile.md", "quirks.md", "interop.md"])
def test_generated_page_is_current(generator: dict[str, Any], name: str) -> None:
    page = generator["PAGES"][name]()
    assert (ROOT / "docs" / "reference" / name).read_text() == page, "run: make docs"


@pytest.mark.parametrize(("name", "settings"), [("vtn", VtnSettings), ("bridge", BridgeSettings)])
def test_settings_schema_is_current(name: str, settings: type[Settings]) -> None:
    assert (ROOT / "schemas" / f"{name}-settings.schema.json").read_text() == schema(settings), "run: make schemas"


def test_programme_schema_is_current() -> None:
    assert (ROOT / "schemas" / "programme.schema.json").read_text() == programme_schema(), "run: make schemas"


def test_quirk_schema_is_current() -> None:
    assert (ROOT / "schemas" / "quirks.schema.json").read_text() == quirks_schema(), "run: make schemas"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []
