"""The life of a process: order of start and stop, crashes, signals, parts that do not stop."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from openadr.tls import TlsError
from runtime.database import DatabaseError
from runtime.lifecycle import Part, Ready, held, run, run_process, task
from runtime.logs import configure

PROGRAM = """
import asyncio, sys
from runtime.lifecycle import held, run, run_process
from runtime.logs import configure

configure()

async def start():
    print("started", type(asyncio.get_running_loop()).__module__, flush=True)

async def stop():
    print("stopped", flush=True)

sys.exit(run_process(lambda: run([held("listener", start, stop)])))
"""


class Diary:
    """Parts that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def part(self, name: str) -> Part:
        async def start() -> None:
            self.lines.append(f"+{name}")

        async def stop() -> None:
            self.lines.append(f"-{name}")

        return held(name, start, stop)


async def test_parts_start_in_order_and_stop_in_the_reverse_order() -> None:
    diary, stop = Diary(), asyncio.Event()

    async def ask_to_stop() -> None:
        diary.lines.append("+last")
        stop.set()
        await asyncio.Event().wait()

    code = await run([diary.part("a"), diary.part("b"), task("last", ask_to_stop)], stop=stop)
    assert (code, diary.lines) == (0, ["+a", "+b", "+last", "-b", "-a"])


async def test_the_next_part_waits_until_the_one_before_is_ready() -> None:
    diary, stop, door = Diary(), asyncio.Event(), asyncio.Event()

    async def slow(ready: Ready) -> None:
        diary.lines.append("slow begins")
        await door.wait()
        ready()
        await asyncio.Event().wait()

    running = asyncio.create_task(run([Part(name="slow", main=slow), diary.part("next")], stop=stop))
    for _ in range(10):
        await asyncio.sleep(0)
    assert diary.lines == ["slow begins"]
    door.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert diary.lines == ["slow begins", "+next"]
    stop.set()
    assert await running == 0


def _crash() -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize("end", [_crash, lambda: None], ids=["raises", "returns"])
async def test_a_part_that_ends_by_itself_stops_all_with_code_1(end: Callable[[], None]) -> None:
    diary = Diary()

    async def short() -> None:
        await asyncio.sleep(0)
        end()

    code = await run([diary.part("a"), task("short", short), diary.part("b")], stop=asyncio.Event())
    assert code == 1
    assert diary.lines[0] == "+a"
    assert diary.lines[-1] == "-a"


async def test_a_part_that_fails_to_start_stops_those_before_it() -> None:
    diary = Diary()

    async def broken(_ready: Ready) -> None:
        raise OSError("address already in use")

    code = await run([diary.part("a"), Part(name="b", main=broken), diary.part("c")], stop=asyncio.Event())
    assert (code, diary.lines) == (1, ["+a", "-a"])


async def test_being_asked_to_stop_while_starting_is_no_failure() -> None:
    diary, stop = Diary(), asyncio.Event()

    async def never_ready(_ready: Ready) -> None:
        stop.set()
        await asyncio.Event().wait()

    code = await run([diary.part("a"), Part(name="b", main=never_ready), diary.part("c")], stop=stop)
    assert (code, diary.lines) == (0, ["+a", "-a"])


async def test_a_part_that_fails_while_stopping_does_not_keep_the_others() -> None:
    diary, stop = Diary(), asyncio.Event()
    stop.set()

    async def fail() -> None:
        raise RuntimeError("cannot stop")

    async def nothing() -> None:
        return None

    code = await run([diary.part("a"), held("bad", nothing, fail)], stop=stop)
    assert code == 0
    assert diary.lines[-1:] in ([], ["-a"])


async def test_a_part_that_does_not_stop_is_left_behind() -> None:
    diary, stop, door = Diary(), asyncio.Event(), asyncio.Event()

    async def stubborn(ready: Ready) -> None:
        ready()
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            await door.wait()

    code = await run([diary.part("a"), Part(name="stubborn", main=stubborn)], stop=stop, stop_timeout_s=0.05)
    assert (code, diary.lines) == (0, ["+a", "-a"])
    door.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_ask_to_stop(number: signal.Signals) -> None:
    diary = Diary()

    async def send() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    assert await run([diary.part("a"), task("send", send)]) == 0
    assert diary.lines == ["+a", "-a"]


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_process_cleanly(number: signal.Signals) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started uvloop\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(98, "address already in use"), "[Errno 98] address already in use"),
        (TlsError("vtn.pem: cannot be read"), "vtn.pem: cannot be read"),
        (OperationalError("SELECT 1", {}, Exception("unable to open database file")), "unable to open database file"),
    ],
)
async def test_what_an_operator_can_mend_is_one_line_and_no_trace(
    error: Exception, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", json=True)

    async def fail() -> None:
        raise error

    async def nothing() -> None:
        return None

    assert await run([held("listener", fail, nothing)], stop=asyncio.Event()) == 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "cannot start"]
    assert (line["part"], line["reason"]) == ("listener", reason)
    assert "exception" not in line


def test_a_process_that_cannot_be_put_together_says_why_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", json=True)

    async def build() -> int:
        raise DatabaseError("the database's folder cannot be made")

    assert run_process(build) == 1
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["reason"]) == ("cannot start", "the database's folder cannot be made")
