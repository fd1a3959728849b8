"""What is in flight can be awaited and given up, also what was overtaken."""

import asyncio

from bridge.inflight import InFlight


class Answers:
    """Somebody who answers when told to; notes what was done, and for which of a name's tasks it was too late."""

    def __init__(self) -> None:
        self.flying: InFlight[str] = InFlight()
        self.asked: dict[str, asyncio.Event] = {}
        self.done: list[str] = []
        self.overtaken: list[str] = []
        self.given_up: list[str] = []

    def send(self, name: str, what: str) -> None:
        self.asked[what] = asyncio.Event()
        self.flying.start(name, what, self._carry_out(name, what), label=f"{what} for {name}")

    async def _carry_out(self, name: str, what: str) -> None:
        try:
            await self.asked[what].wait()
            (self.overtaken if self.flying.overtaken(name) else self.done).append(what)
        except asyncio.CancelledError:
            self.given_up.append(what)
            raise
        finally:
            self.flying.land(name)


async def test_a_name_is_in_flight_until_its_task_lands() -> None:
    at = Answers()
    assert (len(at.flying), "CP1" in at.flying, at.flying.get("CP1")) == (0, False, None)
    at.send("CP1", "a")
    at.send("CP2", "b")
    assert (len(at.flying), "CP1" in at.flying, at.flying.get("CP1"), at.flying.get("CP2")) == (2, True, "a", "b")
    at.asked["a"].set()
    at.asked["b"].set()
    await at.flying.settle()
    assert (len(at.flying), at.flying.get("CP1"), sorted(at.done)) == (0, None, ["a", "b"])


async def test_the_newest_of_a_name_counts_whichever_ends_first() -> None:
    at = Answers()
    at.send("CP1", "late")
    at.send("CP1", "newer")
    assert (len(at.flying), at.flying.get("CP1")) == (1, "newer")
    at.asked["late"].set()
    while not at.overtaken:
        await asyncio.sleep(0)
    assert at.flying.get("CP1") == "newer"  # the older one has landed, and nothing was freed by it
    at.asked["newer"].set()
    await at.flying.settle()
    assert (at.done, at.overtaken, len(at.flying)) == (["newer"], ["late"], 0)

    at.send("CP1", "late")
    at.send("CP1", "newer")
    at.asked["newer"].set()
    while "CP1" in at.flying:
        await asyncio.sleep(0)
    at.asked["late"].set()
    await at.flying.settle()
    assert (at.done, at.overtaken) == (["newer", "newer"], ["late", "late"])


async def test_settling_waits_for_what_is_started_meanwhile_and_for_what_failed() -> None:
    at = Answers()

    async def fail() -> None:
        at.flying.land("CP1")
        at.send("CP2", "next")
        at.asked["next"].set()
        raise RuntimeError("a fault on our side")

    at.flying.start("CP1", "first", fail(), label="first")
    await at.flying.settle()
    assert (at.done, len(at.flying)) == (["next"], 0)


async def test_what_is_given_up_has_ended_when_close_returns_the_overtaken_too() -> None:
    at = Answers()
    at.send("CP1", "late")
    at.send("CP1", "newer")
    at.send("CP2", "b")
    await asyncio.sleep(0)
    await at.flying.close()
    assert (sorted(at.given_up), len(at.flying)) == (["b", "late", "newer"], 0)
    await at.flying.close()


async def test_outside_its_tasks_nobody_can_free_a_name() -> None:
    at = Answers()
    at.send("CP1", "a")
    at.flying.land("CP1")
    assert at.flying.get("CP1") == "a"
    await at.flying.close()
