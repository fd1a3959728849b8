"""JSON documents of the store: frozen dataclasses of ``openadr`` to text and back, and the insert that replaces.

Rule: what was written by an older version still reads; fields are only ever added with defaults.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.messages import ROOTS, Message
from vtn.store.eventrows import Assignment

T = TypeVar("T")


def dump(value: object) -> str:
    """Return the JSON text of a value."""
    return msgspec.json.encode(value).decode()


def load(text: str, kind: type[T]) -> T:
    """Read a value of ``kind`` back."""
    return msgspec.json.decode(text, type=kind)


def root_of(kind: type[Message]) -> str:
    """Return the element name of messages of a kind, for example ``oadrCreateReport``."""
    return f"oadr{kind.__name__}"


def load_message(root: str, text: str) -> Message:
    """Read a message of the payload root ``root`` back."""
    return load(text, ROOTS[root])


async def upsert(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> None:
    """Insert ``rows``; where ``keys`` exist already, replace the other columns given."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if changed:
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))
    else:
        await connection.execute(statement.on_conflict_do_nothing(index_elements=keys), list(rows))


class Touched:
    """The VENs a transaction changes something for: what this process remembers of them is stale after the commit."""

    def __init__(self) -> None:
        self.ven_ids: set[str] = set()
        self.news: set[str] = set()  # VENs with something new to fetch, or to be pushed to them
        self.gifts: dict[str, tuple[Assignment, ...]] = {}  # new events, all that changes for their VENs but for others
        self._others: set[str] = set()  # VENs for which something else changes
        self.announce = False  # other processes must hear of it at once, not when they next read

    def here(self, ven_id: str) -> None:
        """Note a change that other processes may notice later."""
        self.ven_ids.add(ven_id)
        self._others.add(ven_id)

    def everywhere(self, ven_id: str) -> None:
        """Note something new for the VEN to fetch, whichever process it asks."""
        self.here(ven_id)
        self.news.add(ven_id)
        self.announce = True

    def gift(self, assignment: Assignment) -> None:
        """Note a new event of a VEN, which is there for it to fetch, whichever process it asks."""
        ven_id = assignment.state.ven_id
        self.ven_ids.add(ven_id)
        self.news.add(ven_id)
        self.gifts[ven_id] = (*self.gifts.get(ven_id, ()), assignment)
        self.announce = True

    @property
    def only_gifts(self) -> dict[str, tuple[Assignment, ...]]:
        """The new events of VENs for which nothing else changes, by venID."""
        return {ven_id: new for ven_id, new in self.gifts.items() if ven_id not in self._others}

    def add(self, other: "Touched") -> None:
        """Note all that ``other`` notes."""
        self.ven_ids |= other.ven_ids
        self.news |= other.news
        self.announce |= other.announce
        self._others |= other._others
        for ven_id, new in other.gifts.items():
            self.gifts[ven_id] = (*self.gifts.get(ven_id, ()), *new)
