"""The way peers talk to a test: one JSON object a line, marked with ``@`` on stdout because libraries print banners."""

import asyncio
import json
import sys
from typing import Any

_tasks: set["asyncio.Task[None]"] = set()  # the loop keeps only weak references to tasks


def say(**facts: Any) -> None:
    """Write one line to the test."""
    print("@" + json.dumps(facts, default=str), flush=True)


async def commands() -> "asyncio.Queue[dict[str, Any]]":
    """Return a queue fed with the JSON objects that the test writes to our stdin."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def pump() -> None:
        while line := await reader.readline():
            queue.put_nowait(json.loads(line))

    task = asyncio.create_task(pump())
    _tasks.add(task)
    task.add_done_callback(lambda _: queue.put_nowait({"command": "stop"}))
    return queue
