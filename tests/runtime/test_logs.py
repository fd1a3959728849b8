"""Logs: one JSON line an event, the reference id on each, secrets masked, libraries on the same way out."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from runtime.logs import bound_reference, configure, current_reference, get_logger, new_reference, write_often


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Logging as a process has it, written to a text; afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_level_time_and_logger(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    get_logger("room").info("event stored", event_id="E1")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"], line["event_id"]) == ("event stored", "info", "room", "E1")
    assert line["at"].endswith("Z")
    assert "ref" not in line


def test_the_reference_is_on_every_line_of_the_exchange(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    with bound_reference() as reference:
        get_logger("room").info("one")
        logging.getLogger("library").warning("two")
        assert current_reference() == reference
    get_logger("room").info("three")
    assert [line.get("ref") for line in lines(out)] == [reference, reference, None]


async def test_tasks_have_references_of_their_own() -> None:
    async def exchange() -> tuple[str, str]:
        made = new_reference()
        await asyncio.sleep(0)
        return made, current_reference()

    pairs = await asyncio.gather(*(exchange() for _ in range(5)))
    assert all(made == bound for made, bound in pairs)
    assert len({made for made, _ in pairs}) == 5


def test_a_given_reference_is_bound_and_restored() -> None:
    with bound_reference("ref-outer"):
        with bound_reference("ref-inner") as inner:
            assert inner == current_reference() == "ref-inner"
        assert current_reference() == "ref-outer"


@pytest.mark.parametrize(
    "fields",
    [
        {"token": "hunter2"},
        {"Authorization": "Basic hunter2"},
        {"settings": {"operator": {"password": "hunter2"}}},
        {"url": "postgresql://user:hunter2@host/db"},
        {"header": "Bearer hunter2"},
        {"header": "BEARER\thunter2"},
        {"header": "Authorization: Basic  hunter2"},
        {"urls": ["https://host/", "https://user:hunter2@host/"]},
        {"error": ValueError("x"), "passwords": ["hunter2", {"inner": "hunter2"}]},
    ],
)
def test_secrets_are_masked(out: io.StringIO, fields: dict[str, Any]) -> None:
    configure("info", json=True, stream=out)
    get_logger("room").info("something", **fields)
    assert "hunter2" not in out.getvalue()
    assert "***" in out.getvalue()


def test_what_is_no_secret_stays(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    get_logger("room").info("x", token="", has_password=True, url="https://host/path", count=3)
    assert lines(out)[0].items() >= {"token": "", "has_password": True, "url": "https://host/path", "count": 3}.items()


def test_line_feeds_in_values_cannot_forge_a_line(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    get_logger("room").info("x", name='a"}\n{"event": "forged"}')
    assert [line["event"] for line in lines(out)] == ["x"]


def test_errors_carry_their_trace_in_the_same_line(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    try:
        raise ValueError("broken")
    except ValueError as error:
        get_logger("room").error("failed", exc_info=error)
    (line,) = lines(out)
    assert line["exception"][0]["exc_value"] == "broken"


def test_traces_do_not_show_local_variables(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    key_material = "hunter2"
    try:
        raise ValueError(f"broken {len(key_material)}")
    except ValueError as error:
        get_logger("room").error("failed", exc_info=error)
    assert "hunter2" not in out.getvalue()


def test_lower_levels_are_left_out(out: io.StringIO) -> None:
    configure("warning", json=True, stream=out)
    get_logger("room").info("no")
    logging.getLogger("library").info("no")
    get_logger("room").warning("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


def test_console_lines_are_for_people(out: io.StringIO) -> None:
    configure("debug", json=False, stream=out)
    with bound_reference("ref-1"):
        get_logger("room").debug("event stored", event_id="E1")
    assert "event stored" in out.getvalue()
    assert "ref=ref-1" in out.getvalue()


def test_a_logger_follows_a_later_configuration(out: io.StringIO) -> None:
    logger = get_logger("room")
    first = io.StringIO()
    configure("info", json=True, stream=first)
    logger.info("one")
    configure("warning", json=True, stream=out)
    logger.info("two")
    logger.warning("three")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(out)] == ["three"]


def test_what_has_no_json_form_is_written_as_text(out: io.StringIO) -> None:
    configure("info", json=True, stream=out)
    get_logger("room").info("x", error=ValueError("broken"), number=float("nan"))
    assert '"error": "broken"' in out.getvalue()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="log level"):
        configure("loud")


def often(facts: dict[str, object]) -> None:
    """Write a line in two groups."""
    first, *rest = facts.items()
    write_often("room", "answered", (first,), tuple(rest))


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_line_that_is_written_often_is_the_same_as_any_other(out: io.StringIO, level: str) -> None:
    facts: dict[str, object] = {"code": 200, "ven_id": 'VEN "ä"', "token": "t-1", "url": "https://u:p@h", "none": None}
    configure(level, json=True, stream=out)
    for reference in ("", "ref-1"):
        with bound_reference(reference):
            get_logger("room").info("answered", **facts)
            often(facts)
            often(facts)
    written = lines(out)
    assert len(written) == (6 if level == "info" else 0)
    for plain, *same in (written[:3], written[3:]) if written else ():
        for line in same:
            assert list(line) == list(plain)
            assert {**line, "at": ""} == {**plain, "at": ""}
            assert line["token"] == "***"


def test_a_line_that_is_written_often_takes_the_common_way_where_lines_look_different(out: io.StringIO) -> None:
    configure("info", json=False, stream=out)
    often({"code": 200, "ven_id": "VEN-1"})
    assert "VEN-1" in out.getvalue()
    configure("info", json=True, stream=out)
    with capture_logs() as logs:
        often({"code": 200, "ven_id": "VEN-1"})
    assert logs == [{"code": 200, "ven_id": "VEN-1", "event": "answered", "log_level": "info", "_logger": "room"}]
