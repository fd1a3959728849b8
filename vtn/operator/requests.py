"""What an operator may send, as pydantic models in the standard's names, and how it becomes a draft or a query.

Rule: models check form; what needs the database or the signal table is checked by the services.
"""

from pydantic import Field

from vtn.operator.fields import Model

_LIMIT = Field(100, ge=1, le=1000)


class Page(Model):
    """How much of a list: ``cursor`` is the ``next`` of the page before."""

    limit: int = _LIMIT
    cursor: str | None = Field(None, max_length=1000)
