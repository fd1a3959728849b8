"""Sending a frame on a websocket of aiohttp, also on a line that takes nothing more.

Rule: who gives up sending ends nobody else's sending; a frame that was given to the socket is on its way, or lost with
the socket.
"""

import asyncio
from collections.abc import Awaitable, Callable

Send = Callable[[str], Awaitable[None]]
"""Sends one text message to the other side."""


async def hand_over(send: Send, text: str) -> None:
    """Send one frame. Raises ``OSError`` if the connection is closed.

    On a full line all senders of a socket wait for one future of aiohttp. The deadline of one cancels it, and with it
    those after it, whom nobody has cancelled: their frames are in the buffer behind the first.
    """
    try:
        await send(text)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
