"""The programme files shipped with the bridge, and the reader of these and of an operator's own files.

Rule: the only place that opens a programme file; what it says is decided in ``bridge.program``. A shipped file is named
without a path and suffix (``dno-curtailment``), an own one by its path.
"""

from collections.abc import Iterable
from pathlib import Path

from bridge.program import ProgrammeError, Programmes, parse

SHIPPED = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Return the names of the shipped programmes."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load(files: Iterable[str], base: Path | None = None) -> Programmes:
    """Read programmes by shipped name or path (relative to ``base``). Raises ``ProgrammeError`` naming the file."""
    return Programmes.of(parse(_read(name, base), name) for name in files)


def path_of(name: str, base: Path | None = None) -> Path:
    """Return the file that a name means."""
    return SHIPPED / f"{name}.toml" if name in names() else (base or Path()) / name


def _read(name: str, base: Path | None) -> str:
    try:
        return path_of(name, base).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProgrammeError(f"{name}: cannot be read ({error}); shipped are {', '.join(names())}") from error
