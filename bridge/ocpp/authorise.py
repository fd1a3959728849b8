"""Who may charge at the central system's own chargers: everybody, a list, or whom another system says.

Rule: a limit never depends on it. An answer of the other system is remembered, so that its drivers can charge while it
is away; who was never heard of then gets what the settings say.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from runtime.logs import get_logger
from runtime.settings import SettingsError, SettingsPath

_log = get_logger(__name__)
_REMEMBERED = 10_000  # tokens: a city's drivers
_WORDS = frozenset({"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"})
ACCEPTED, INVALID = "Accepted", "Invalid"

Authorise = Callable[[str, str], Awaitable[str]]
"""(charger, token) to the standard's word: Accepted, Blocked, Expired, Invalid or ConcurrentTx."""


class AuthoriseSection(BaseModel):
    """The ``[ocpp.authorise]`` section: whose id tags and tokens are accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["accept_all", "list", "upstream"] = Field(
        default="accept_all", description="Everybody, the tokens of a file, or whom another system says"
    )
    file: SettingsPath | None = Field(default=None, description="list: one token a line, # begins a comment")
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description='upstream: POST {"chargerID", "idToken"} here; the answer is {"status": "Accepted"} or another',
    )
    token: SecretStr | None = Field(default=None, description="upstream: bearer token")
    timeout_s: float = Field(default=5.0, gt=0, le=30, description="upstream: wait for the answer, s")
    when_away: Literal["accept", "refuse"] = Field(
        default="accept", description="upstream: what strangers get while the other system does not answer"
    )

    @model_validator(mode="after")
    def _complete(self) -> "AuthoriseSection":
        if self.mode == "list" and self.file is None:
            raise ValueError("mode list needs file")
        if self.mode == "upstream" and self.url is None:
            raise ValueError("mode upstream needs url")
        return self


async def accept_all(charger: str, token: str) -> str:
    """Accept everybody."""
    return ACCEPTED


def read_list(path: Path) -> frozenset[str]:
    """Read a list of tokens; they count without regard to case, as idTag does (1.6). Raises ``SettingsError``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"ocpp.authorise.file: {path}: cannot be read ({error})") from error
    return frozenset(token.lower() for line in lines if (token := line.partition("#")[0].strip()))


def from_list(tokens: frozenset[str]) -> Authorise:
    """Accept the tokens of a list."""

    async def decide(charger: str, token: str) -> str:
        return ACCEPTED if token.lower() in tokens else INVALID

    return decide


class Upstream:
    """Asks another system, and remembers its last word on each token."""

    def __init__(self, section: AuthoriseSection, http: aiohttp.ClientSession) -> None:
        self._section, self._http = section, http
        self._said: OrderedDict[str, str] = OrderedDict()

    async def decide(self, charger: str, token: str) -> str:
        """Return the other system's word; without an answer its last one, else what the settings say."""
        section = self._section
        headers = {} if section.token is None else {"Authorization": f"Bearer {section.token.get_secret_value()}"}
        try:
            async with self._http.post(
                section.url or "",
                json={"chargerID": charger, "idToken": token},
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=section.timeout_s),
            ) as answer:
                answer.raise_for_status()
                word = str((await answer.json())["status"])
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            _log.warning("authorisation upstream does not answer", charger=charger, why=str(error))
            return self._said.get(token, ACCEPTED if section.when_away == "accept" else INVALID)
        word = word if word in _WORDS else INVALID
        self._said[token] = word
        self._said.move_to_end(token)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return word


class Gate:
    """The way that the settings chose. ``start`` before the first charger, ``stop`` after the last."""

    def __init__(self, section: AuthoriseSection) -> None:
        self._section = section
        self._http: aiohttp.ClientSession | None = None
        self._decide: Authorise = accept_all

    async def start(self) -> None:
        """Read the list, or make ready to ask. Raises ``SettingsError``."""
        if self._section.mode == "list" and self._section.file is not None:
            self._decide = from_list(read_list(self._section.file))
        if self._section.mode == "upstream":
            self._http = aiohttp.ClientSession()
            self._decide = Upstream(self._section, self._http).decide

    async def stop(self) -> None:
        """Close what was open."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def decide(self, charger: str, token: str) -> str:
        """Return the word for a token at a charger."""
        return await self._decide(charger, token)
