"""The thread of a SQLite connection outlives whoever asked it, without a word."""

import asyncio
from pathlib import Path

from runtime.sqlite import Connection

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"


def test_a_statement_that_ends_after_its_event_loop_disturbs_nobody(tmp_path: Path) -> None:
    connections = []

    async def ask_and_go() -> None:
        connection = Connection(str(tmp_path / "a.sqlite3"))
        await connection
        connections.append(connection)
        task = asyncio.create_task(connection.run(LONG, ()))
        await asyncio.sleep(0)
        task.cancel()
        connection.stop()

    with asyncio.Runner() as runner:
        runner.run(ask_and_go())
    (connection,) = connections
    connection._thread.join(60)
    assert not connection._thread.is_alive()


def test_errors_and_results_come_back_in_order(tmp_path: Path) -> None:
    async def talk() -> list[object]:
        connection = Connection(str(tmp_path / "a.sqlite3"))
        await connection
        asked = [connection.run(text, ()) for text in ("SELECT 1", "SELECT nothing", "SELECT 2")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await connection.close()
        return [each[3][0] if isinstance(each, tuple) else type(each).__name__ for each in found]

    with asyncio.Runner() as runner:
        assert runner.run(talk()) == [(1,), "OperationalError", (2,)]
