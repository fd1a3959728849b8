"""Plain values written as TOML: what the settings files of the demonstration are made of.

Rule: nothing is read back here; the programs read what is written as any operator's file.
"""

from collections.abc import Mapping


def toml(value: object) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(header: str, values: Mapping[str, object]) -> str:
    """Write one TOML table."""
    return "\n".join((header, *(f"{key} = {toml(value)}" for key, value in values.items()), ""))
