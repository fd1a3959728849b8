"""Instants on their way to SQLite past the column type are what the column type would have made of them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from runtime.columns import Instant, sqlite_bare, sqlite_text, sqlite_texts

DIALECT = sqlite.dialect()
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001  hypothesis adds the zone
zones = st.sampled_from((UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=5, minutes=30))))


@given(st.datetimes(FIRST, LAST, timezones=zones))
def test_the_text_is_the_one_of_the_column_type(value: datetime) -> None:
    bind = Instant().dialect_impl(DIALECT).bind_processor(DIALECT)
    assert bind is not None
    assert sqlite_text(value) == bind(value)


def test_a_naive_value_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        sqlite_text(datetime(2026, 11, 21))  # noqa: DTZ001  that is the point


@given(st.lists(st.datetimes(FIRST, LAST, timezones=zones)))
def test_many_texts_are_the_ones_of_each(values: list[datetime]) -> None:
    assert sqlite_texts(values) == [sqlite_text(value) for value in values]


def test_bare_texts_are_those_of_their_instants() -> None:
    given_texts = ["2026-11-21T12:00:00Z", "0001-01-01T00:00:00Z"]
    assert sqlite_bare(given_texts) == sqlite_texts(map(datetime.fromisoformat, given_texts))
