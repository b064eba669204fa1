"""The role of a board that takes an update and has no memory for its own role beside it."""

import asyncio

from firmware import net

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Have an address; the rest is up to update.py, which resets the board in the end."""
    while True:
        await net.wait_for_address(settings)
        await asyncio.sleep(1)
