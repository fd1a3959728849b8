"""Two VTNs in one process, each with its own VENs, authority, database and clock: neither notices the other."""

import asyncio
from pathlib import Path

from openadr.errors import ResponseCode
from openadr.messages import DistributeEvent, Poll, Response
from openadr.wire import decode, encode
from runtime.clock import FakeClock, SystemClock
from tests.vtn.server import Running, make_pki, running
from tests.vtn.test_chain import answers, publish, ready
from tests.vtn.test_endpoints import POLL, code_of
from tests.vtn.world import START


async def test_two_applications_in_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    first_pki, second_pki = (make_pki(tmp_path / name, SystemClock()) for name in ("first", "second"))
    urls = [f"sqlite+aiosqlite:///{tmp_path}/{name}.sqlite3" for name in ("first", "second")]
    async with running(first_pki, urls[0], FakeClock(START)) as first:
        ven_a = await ready(first)
        async with running(second_pki, urls[1], FakeClock(START)) as second:
            ven_b = await ready(second)  # the same venID, another VEN
            event_id = await publish(first)
            assert isinstance(await ven_b.poll(), Response)
            payload = await ven_a.poll()
            assert isinstance(payload, DistributeEvent)
            assert [each.descriptor.event_id for each in payload.events] == [event_id]
            crossed = await ven_b.send(answers(payload))
            assert code_of(crossed) == ResponseCode.INVALID_ID
            second.clock.advance(7_200)  # there the event would be over; here it is still to come
            assert code_of(await ven_a.send(answers(payload))) == 200
            _, seen = await first.operator.call("GET", f"/api/v1/events/{event_id}")
            assert seen["vens"][0]["optType"] == "optIn"
            assert (await second.operator.call("GET", f"/api/v1/events/{event_id}"))[0] == 404
            replies = await asyncio.gather(*(ven.poll() for ven in (ven_a, ven_b) * 20))
            assert {type(reply) for reply in replies[::2]} == {Response}
            assert DistributeEvent not in {type(reply) for reply in replies[1::2]}
            texts = [await metrics(each) for each in (first, second)]
            assert ['code="200",message="CreatedEvent"' in text for text in texts] == [True, False]
        # the second has stopped: the first goes on
        assert isinstance(await ven_a.poll(), Response)
        again = await publish(first)
        payload = await ven_a.poll()
        assert isinstance(payload, DistributeEvent)
        assert again in {each.descriptor.event_id for each in payload.events}


async def metrics(vtn: Running) -> str:
    headers = {"Authorization": f"Bearer {vtn.operator.token}"}
    async with vtn.session.get(f"{vtn.operator.url}/metrics", headers=headers) as answer:
        return await answer.text()


async def test_a_certificate_of_one_is_worth_nothing_at_the_other(tmp_path: Path) -> None:
    pki = make_pki(tmp_path / "shared", SystemClock())  # one authority: TLS lets both in
    async with (
        running(pki, f"sqlite+aiosqlite:///{tmp_path}/first.sqlite3") as first,
        running(pki, f"sqlite+aiosqlite:///{tmp_path}/second.sqlite3") as second,
    ):
        await ready(first)
        stranger = second.ven(pki.ven_a, "ven-a")
        for _ in range(2):  # the second time from memory, if there is one
            status, _, body = await stranger.post(POLL, encode(Poll(ven_id="ven-a")))
            reply = decode(body)
            assert (status, code_of(reply)) == (200, ResponseCode.NOT_REGISTERED)
