"""VENs in the console: registrations, candidates, and what an operator does about them, in a real browser."""

import base64
import os
from pathlib import Path

import pytest

from openadr.messages import CancelPartyRegistration, CreateOpt, EiResponse, RegisteredReport, RegisterReport
from openadr.model import Availability, EiTarget, OptType
from openadr.times import Duration
from runtime.clock import SystemClock
from tests.vtn.operator.test_console_browser import Desk, desk
from tests.vtn.server import VenSide
from vtn.store.rows import Candidate

__all__ = ["desk"]

pytestmark = pytest.mark.process


async def picture(desk: Desk, name: str) -> None:
    """Keep what the browser shows, where somebody wants to look at it."""
    folder = os.environ.get("OADR_SCREENSHOTS")
    if folder:
        shot = await desk.screen.command("GET", "/screenshot")
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(shot))


async def registered(ven: VenSide) -> None:
    await ven.register()
    offer = await ven.poll()
    assert isinstance(offer, RegisterReport)
    await ven.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id="ven-a"))


async def test_a_registration_is_cancelled_and_a_ven_suspended_and_resumed(desk: Desk) -> None:
    screen = desk.screen
    await registered(desk.ven)
    await desk.sign_in()
    await screen.click("nav a[href='#/vens']")
    await screen.shows("main tbody tr", "online")
    await screen.click("[data-act=reregister]")
    await screen.shows("dialog h2", "Ask ven-a to register again?")
    await screen.click("#act-confirm")
    await screen.until("the dialog closes", "return document.querySelector('dialog') === null")
    await screen.click("[data-act=deregister]")
    await screen.shows("dialog", "It may register again")
    await picture(desk, "cancel-registration")
    await screen.click("#act-confirm")
    await screen.shows("main tbody tr", "being cancelled")
    assert isinstance(await desk.ven.poll(), CancelPartyRegistration)
    await screen.click("[data-act=suspend]")
    await screen.type("#act-reason", "stolen")
    await screen.click("#act-confirm")
    await screen.shows("main tbody tr", "suspended")
    await screen.shows("main tbody tr", "stolen")
    await screen.click("[data-act=resume]")
    await screen.click("#act-confirm")
    await screen.shows("main tbody tr", "being cancelled")
    assert await screen.console_errors() == []


async def test_a_candidate_is_approved_and_another_rejected(desk: Desk) -> None:
    screen = desk.screen
    now = SystemClock().now()
    fingerprint = "B0:B1:B2:B3:B4:B5:B6:B7:B8:B9"
    async with desk.app.store.write() as tx:
        for mark, name in ((fingerprint, "ven-b"), (fingerprint.replace("B", "C"), "<i>evil</i>")):
            await tx.candidates.add(
                Candidate(
                    fingerprint=mark,
                    first_seen=now,
                    last_seen=now,
                    subject_cn=name,
                    issuer_cn="OpenADR Issuing CA",
                    ven_name="Roof station",
                )
            )
    await desk.sign_in()
    await screen.click("nav a[href='#/vens']")
    await screen.shows("#candidates-title", "Waiting for approval 2")
    await screen.shows(".candidates", "<i>evil</i>")
    await picture(desk, "vens")
    await screen.click(".candidates tr:last-child [data-act=reject]")
    await screen.click("#act-confirm")
    await screen.shows("#candidates-title", "Waiting for approval 1")
    await screen.click("[data-act=approve]")
    await screen.shows("dialog code", fingerprint)
    await screen.type("#act-venID", "ven-a")
    await screen.click("#act-confirm")
    await screen.shows("#act-fault", "enrolled already")
    await screen.type("#act-venID", "ven-b")
    await screen.type("#act-resources", "r8, r9")
    await picture(desk, "approve")
    await screen.click("#act-confirm")
    await screen.until("nobody waits", "return document.querySelector('.candidates') === null")
    await screen.shows("main tbody", "ven-b")
    status, ven = await desk.operator.call("GET", "/api/v1/vens/ven-b")
    assert (status, ven["fingerprint"], [each["resourceID"] for each in ven["resources"]]) == (
        200,
        fingerprint,
        ["r8", "r9"],
    )
    (refused,) = await screen.console_errors()
    assert "409" in refused


async def test_who_is_out_by_schedule_is_seen_at_the_event(desk: Desk) -> None:
    screen, ven = desk.screen, desk.ven
    await registered(ven)
    now = SystemClock().now().replace(microsecond=0)
    out = CreateOpt(
        opt_id="opt-1",
        opt_type=OptType.OPT_OUT,
        opt_reason="mustRun",
        ven_id="ven-a",
        created_date_time=now,
        request_id="req-o",
        vavailability=(Availability(dtstart=now, duration=Duration(seconds=86_400)),),
        target=EiTarget(ven_ids=("ven-a",), resource_ids=("r1",)),
    )
    await ven.send(out)
    await desk.sign_in()
    await desk.fill("0.5")
    await desk.confirm()
    await screen.shows(".detail .absent", "would not take part (mustRun)")
    assert await screen.js("return document.querySelectorAll('.detail .absent').length") == 1
    await picture(desk, "event")
    await screen.click("nav a[href='#/opts']")
    await screen.shows("main tbody tr", "in force")
    assert await screen.console_errors() == []
