"""Instants on their way to SQLite past the column type are what the column type would have made of them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite

from runtime.columns import Instant, Micros, sqlite_micros, sqlite_text

DIALECT: Dialect = sqlite.dialect()
POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
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


@pytest.mark.parametrize("dialect", [DIALECT, POSTGRESQL])
@given(value=st.datetimes(FIRST, LAST, timezones=zones))
def test_an_instant_kept_as_microseconds_comes_back_as_it_was(dialect: Dialect, value: datetime) -> None:
    kept = Micros().process_bind_param(value, dialect)
    assert type(kept) is (int if dialect is DIALECT else datetime)
    back = Micros().process_result_value(kept, dialect)
    assert back == value
    assert back is not None
    assert back.tzinfo is UTC


@given(st.lists(st.datetimes(FIRST, LAST, timezones=zones)))
def test_many_microseconds_are_the_ones_of_each_and_in_the_order_of_time(values: list[datetime]) -> None:
    assert sqlite_micros(values) == [Micros().process_bind_param(value, DIALECT) for value in values]
    assert sorted(sqlite_micros(values)) == sqlite_micros(sorted(values))


@pytest.mark.parametrize("dialect", [DIALECT, POSTGRESQL])
def test_microseconds_of_a_naive_value_are_refused_and_of_none_there_are_none(dialect: Dialect) -> None:
    with pytest.raises(TypeError, match="naive"):
        Micros().process_bind_param(datetime(2026, 11, 21), dialect)  # noqa: DTZ001  that is the point
    assert Micros().process_bind_param(None, dialect) is Micros().process_result_value(None, dialect) is None
