"""Settings: one TOML file a process, overridable by environment, checked at start with messages that name the key.

Rule: a room declares its settings as ``Settings`` with ``Section`` members and calls ``load``; unknown keys are
refused, in the file and in the environment. Relative paths count from the settings file's folder. Only ``load`` reads
files and environment.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_DELIMITER = "__"
_DRIVERS = frozenset({"sqlite+aiosqlite", "postgresql+asyncpg"})
_folder: ContextVar[Path | None] = ContextVar("settings_folder", default=None)


class SettingsError(Exception):
    """The settings cannot be used; the text has one line a fault, each ``section.key: reason``."""


def _anchor(path: Path) -> Path:
    folder = _folder.get()
    path = path.expanduser()
    return path if folder is None or path.is_absolute() else folder / path


def _anchor_url(text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError(
            "not a database URL; use sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/NAME"
        ) from None
    if url.drivername not in _DRIVERS:
        raise ValueError(f"unknown driver {url.drivername}; use {' or '.join(sorted(_DRIVERS))}")
    if url.drivername != "sqlite+aiosqlite" or url.database in (None, "", ":memory:"):
        return text
    return url.set(database=str(_anchor(Path(str(url.database))))).render_as_string(hide_password=False)


SettingsPath = Annotated[Path, AfterValidator(_anchor)]
"""A file or folder; relative ones count from the settings file's folder."""

DatabaseUrl = Annotated[str, AfterValidator(_anchor_url)]
"""``sqlite+aiosqlite:///FILE`` (relative as ``SettingsPath``) or ``postgresql+asyncpg://USER:PASSWORD@HOST/NAME``."""


class Section(BaseModel):
    """A table of the settings file: frozen, unknown keys refused. Use ``SecretStr`` for secrets."""

    # Defaults are checked again when a file is loaded, so that their relative paths count from its folder too.
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, revalidate_instances="always"
    )


class Settings(BaseSettings):
    """Base of a process's settings; build it directly in tests, or with ``load`` in a process."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor only, so that a test is never coloured by the environment."""
        return (init_settings,)


S = TypeVar("S", bound=Settings)


class _Environment(EnvSettingsSource):
    """The environment as nested values; ``environ`` is given, names count without regard to case."""

    def __init__(self, cls: type[Settings], env_prefix: str, environ: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in environ.items()}
        super().__init__(cls, case_sensitive=False, env_prefix=env_prefix, env_nested_delimiter=_DELIMITER)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return dict(self._given)

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError as error:
            start = f"{self.env_prefix}{field_name}".lower()
            names = ", ".join(name.upper() for name in self._given if name.startswith(start))
            raise SettingsError(f"{field_name}: the environment value is not JSON ({names}): {error}") from None


def load(cls: type[S], path: Path | None, env_prefix: str, environ: Mapping[str, str] | None = None) -> S:
    """Read ``path`` (``None``: no file), lay ``env_prefix`` + ``SECTION__KEY`` variables over it, check, return.

    Lists and tables in the environment are JSON. Raises ``SettingsError`` naming every key at fault.
    """
    values = {} if path is None else _read(path)
    environ = os.environ if environ is None else environ
    with _anchored(path):
        try:
            overrides = _Environment(cls, env_prefix, environ)()
        except SourceError as error:
            raise SettingsError(f"environment {env_prefix}*: {error}") from None
        _refuse_unknown(cls, env_prefix, environ)
        try:
            return cls(**_overlay(values, overrides))
        except ValidationError as error:
            raise SettingsError("\n".join(_line(item) for item in error.errors())) from None


def schema(cls: type[Settings]) -> str:
    """Return the JSON Schema of the settings file as canonical text, for ``schemas/``."""
    return json.dumps(cls.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None


@contextmanager
def _anchored(path: Path | None) -> Iterator[None]:
    token = _folder.set(None if path is None else path.resolve().parent)
    try:
        yield
    finally:
        _folder.reset(token)


def _overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``top`` over ``base``: tables are merged, everything else is replaced whole."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _refuse_unknown(cls: type[Settings], env_prefix: str, environ: Mapping[str, str]) -> None:
    sections = {name.lower() for name in cls.model_fields}
    prefix = env_prefix.lower()
    for name in environ:
        if name.lower().startswith(prefix) and name.lower()[len(prefix) :].split(_DELIMITER)[0] not in sections:
            raise SettingsError(f"environment {name}: no such section")


def _line(item: ErrorDetails) -> str:
    """Write one fault without the offending value, which may be a secret."""
    key = ".".join(str(part) for part in item["loc"]) or "settings"
    match item["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "missing":
            return f"{key}: required, but not given"
        case "value_error":
            return f"{key}: {item['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{key}: {item['msg'][:1].lower()}{item['msg'][1:]}"
