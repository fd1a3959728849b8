"""Pages of a list in the operator API: how many rows, and where the page before ended.

Rule: a cursor is opaque to the caller and names the last row seen, so rows added meanwhile neither repeat nor skip.
"""

import base64
from datetime import datetime

import msgspec

from runtime.http import Problem

DEFAULT_PAGE = 1000  # rows a page: an event of a thousand chargers
LARGEST_PAGE = 10_000  # a few MB of JSON

Key = tuple[datetime, str, str]  # a row's place: when it begins, of which event, for which resource


def page_limit(text: str | None) -> int:
    """Return the rows that the query's ``limit`` asks for. Raises ``Problem`` 400."""
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= LARGEST_PAGE):
        raise Problem(400, f"limit: a whole number from 1 to {LARGEST_PAGE}", title="Invalid query")
    return int(text)


def parse_cursor(text: str | None) -> Key | None:
    """Return the row that the query's ``cursor`` names. Raises ``Problem`` 400."""
    if text is None:
        return None
    try:
        key: Key = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Key)
        if key[0].tzinfo is not None:
            return key
    except (ValueError, msgspec.DecodeError):
        pass
    raise Problem(400, "cursor: not one that this API gave", title="Invalid query")


def cursor_of(key: Key) -> str:
    """Return the cursor of the page after the row at ``key``."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()
