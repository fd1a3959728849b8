"""The short way of signed polls over real TLS: answered in order once the nonce is written, refused the long way."""

import asyncio
from datetime import timedelta

import pytest

from openadr.errors import Replayed
from openadr.messages import DistributeEvent, Message, Poll, RequestEvent, Response
from openadr.wire import encode
from tests.vtn.server import Running
from tests.vtn.signing import SigningVen
from tests.vtn.test_chain import publish
from tests.vtn.test_clients import POLL, Line, head, line
from tests.vtn.test_lane import long_ways, server_of
from tests.vtn.test_signatures import kept, settled
from vtn.signed import open_signed

EVENT = POLL.replace("OadrPoll", "EiEvent")


@pytest.fixture
async def ven(vtn: Running) -> SigningVen:
    """A VEN that signs, settled; whatever heads its client has are forgotten."""
    await vtn.enrolled("r1", "r2")
    signing = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a")
    await settled(signing)
    server_of(vtn).heads.clear()
    return signing


def whole(body: bytes, path: str = POLL) -> bytes:
    return head(len(body), path) + body


async def reply(client: Line, ven: SigningVen) -> Message:
    status, body = await client.answer()
    assert status == 200, body
    return ven.verified(body).message


async def test_rule_514_a_signed_poll_with_a_known_head_goes_the_short_way_and_its_nonce_is_kept(
    vtn: Running, ven: SigningVen
) -> None:
    seen, before = long_ways(vtn), await kept(vtn)
    async with line(vtn) as client:
        for _ in range(4):
            client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
            assert isinstance(await reply(client, ven), Response)
    assert seen() == 1
    assert await kept(vtn) == before + 4


async def test_rule_514_sec_06_the_same_bytes_are_refused_on_the_short_way_too(vtn: Running, ven: SigningVen) -> None:
    body = ven.signed(Poll(ven_id="ven-a"))
    late = ven.signed(Poll(ven_id="ven-a"), at=vtn.clock.now() - timedelta(seconds=61))
    foreign = ven.signed(Poll(ven_id="ven-b"))
    assert len({len(body), len(late), len(foreign)}) == 1
    async with line(vtn) as client:
        for expected in (200, 403, 403):
            client.send(whole(body))
            assert (await client.answer())[0] == expected
        for wrong, status in ((late, 403), (body.replace(b"ven-a", b"ven-c"), 403), (foreign, 200)):
            client.send(whole(wrong))
            assert (await client.answer())[0] == status
        client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
        assert isinstance(await reply(client, ven), Response)


async def test_rule_514_an_event_for_a_signed_poll_comes_by_the_long_way_and_once(
    vtn: Running, ven: SigningVen
) -> None:
    async with line(vtn) as client:
        for _ in range(2):
            client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
            assert isinstance(await reply(client, ven), Response)
        event_id = await publish(vtn)
        body = ven.signed(Poll(ven_id="ven-a"))
        client.send(whole(body))
        found = await reply(client, ven)
        assert isinstance(found, DistributeEvent)
        assert [each.descriptor.event_id for each in found.events] == [event_id]
        client.send(whole(body))
        assert (await client.answer())[0] == 403
        client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
        assert isinstance(await reply(client, ven), Response)


async def test_what_comes_before_the_answer_is_answered_after_it_in_order(vtn: Running, ven: SigningVen) -> None:
    async with line(vtn) as client:
        client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
        assert isinstance(await reply(client, ven), Response)
        for cut in (1, 300, 4000):
            polls = [whole(ven.signed(Poll(ven_id="ven-a"))) for _ in range(2)]
            events = whole(ven.signed(RequestEvent(request_id="req-1", ven_id="ven-a")), EVENT)
            client.send(polls[0])
            await client.writer.drain()
            rest = events + polls[1]
            client.send(rest[:cut])
            await client.writer.drain()
            await asyncio.sleep(0)
            client.send(rest[cut:])
            kinds = [type(await reply(client, ven)) for _ in range(3)]
            assert kinds == [Response, DistributeEvent, Response]


async def test_a_ven_that_does_not_wait_for_its_answer_holds_up_nobody(vtn: Running, ven: SigningVen) -> None:
    before = await kept(vtn)
    async with line(vtn) as client:
        client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
        assert isinstance(await reply(client, ven), Response)
        client.send(whole(ven.signed(Poll(ven_id="ven-a"))))
        await client.writer.drain()
    assert isinstance(await ven.poll(), Response)
    assert await kept(vtn) >= before + 2


async def test_an_unsigned_poll_of_a_ven_that_signs_is_refused_as_ever(vtn: Running, ven: SigningVen) -> None:
    body = encode(Poll(ven_id="ven-a"))
    async with line(vtn) as client:
        for _ in range(3):
            client.send(whole(body))
            assert (await client.answer())[0] == 403


async def test_rule_514_what_was_opened_before_is_opened_again_once_its_time_may_be_over(ven: SigningVen) -> None:
    now, window = ven.vtn.clock.now(), timedelta(seconds=60)
    data, signer = ven.signed(Poll(ven_id="ven-a")), ven.signer.certificate_der
    signatures = ven.vtn.app.endpoints.signatures
    opened = open_signed(data, signer, now, window, max_bytes=10_000, sha1=False)
    signatures.keep(data, signer, now, opened)
    assert await signatures.open(data, signer, now) is opened
    assert await signatures.open(data, signer, now) is not opened
    signatures.keep(data, signer, now, opened)
    with pytest.raises(Replayed):
        await signatures.open(data, signer, now + timedelta(seconds=61))
