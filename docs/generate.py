"""Write the generated reference pages (settings, conformance, signal profile). ``make docs`` runs it.

Rule: pages are made from the code that they describe; a test says when they are stale.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bridge.settings import ENV_PREFIX as BRIDGE_PREFIX
from bridge.settings import BridgeSettings
from docs import chargers, conformance, signal_profile
from vtn.settings import ENV_PREFIX as VTN_PREFIX
from vtn.settings import VtnSettings

REFERENCE = Path(__file__).parent / "reference"


def _type(part: dict[str, Any]) -> str:
    if "anyOf" in part:
        return " or ".join(_type(each) for each in part["anyOf"] if each.get("type") != "null")
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part.get("type") == "array":
        return f"list of {_type(part.get('items', {}))}"
    if "$ref" in part:
        return str(part["$ref"]).rsplit("/", 1)[-1]
    return str(part.get("format", part.get("type", "value"))).replace("file-path", "path")


def _default(part: dict[str, Any]) -> str:
    if "default" not in part:
        return "required"
    return "none" if part["default"] is None else f"`{part['default']}`"


def _rows(section: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, part in section["properties"].items():
        if _nested(part, definitions) is not None:
            continue
        name = _type(part)
        if name in definitions and "enum" in definitions[name]:
            name = _type(definitions[name])
        meaning = str(part.get("description", "")).replace("|", "\\|")
        rows.append(f"| `{key}` | {name} | {_default(part)} | {meaning} |")
    return rows


def _nested(part: dict[str, Any], definitions: dict[str, Any]) -> str | None:
    """Return the name of the section that a key holds, ``None`` if it holds a value."""
    for each in part.get("anyOf", [part]):
        name = None if each.get("type") == "array" else _target(each)
        if name is not None and "properties" in definitions.get(name, {}):
            return name
    return None


def _tables(brackets: str, name: str, definitions: dict[str, Any], meaning: str = "") -> list[str]:
    """Return the table of a section and, after it, those of the sections inside it."""
    section = definitions[name]
    lines = [f"### `{brackets}`", "", *([f"{meaning}.", ""] if meaning else []), *_rows(section, definitions), ""]
    for key, part in section["properties"].items():
        inner = _nested(part, definitions)
        if inner is not None:
            named = ".NAME" if "additionalProperties" in part else ""
            lines += _tables(
                f"[{brackets.strip('[]')}.{key}{named}]", inner, definitions, str(part.get("description", ""))
            )
        elif part.get("type") == "array" and "properties" in definitions.get(str(_target(part)), {}):
            inner = str(_target(part))
            listed = f"[[{brackets.strip('[]')}.{key}]]"
            lines += _tables(listed, inner, definitions, str(part.get("description", "")))
    return lines


def _target(part: dict[str, Any]) -> str | None:
    values = part.get("additionalProperties")
    each = values if isinstance(values, dict) else part.get("items", {})  # of a table of tables, of a list of them
    reference = part.get("$ref") or each.get("$ref")
    return None if reference is None else str(reference).rsplit("/", 1)[-1]


def settings_page(title: str, prefix: str, model: type[BaseModel]) -> list[str]:
    """Return the tables of one settings file, a section each."""
    schema = model.model_json_schema()
    definitions = schema["$defs"]
    lines = [f"## {title}", "", f"Environment: `{prefix}SECTION__KEY`.", ""]
    for key, part in schema["properties"].items():
        name = _target(part) or _nested(part, definitions)
        if name is None:
            continue
        brackets = f"[[{key}]]" if part.get("type") == "array" else f"[{key}]"
        lines += _tables(brackets, name, definitions)
    return lines


def settings() -> str:
    """Return ``settings.md``."""
    head = [
        "# Settings",
        "",
        "Made by `make docs` from the settings models. One TOML file a process; every value can be overridden by the",
        "environment, lists as JSON. Paths count from the file. Unknown keys are refused by name. The JSON Schemas are",
        "in [`schemas/`](../../schemas).",
        "",
    ]
    pages = settings_page("`oadr-vtn`", VTN_PREFIX, VtnSettings) + settings_page(
        "`oadr-bridge`", BRIDGE_PREFIX, BridgeSettings
    )
    return "\n".join([*head, *pages]).rstrip() + "\n"


PAGES = {"settings.md": settings, **conformance.PAGES, **signal_profile.PAGES, **chargers.PAGES}


def main() -> int:
    """Write every page."""
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main())
