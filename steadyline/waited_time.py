"""A limit on the time for which a coroutine waits for somebody else, whatever this machine itself takes."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_TICK_SECONDS = 0.1


async def within_waited_time(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what a coroutine returns; raises TimeoutError once it has waited for ``seconds``.

    Time goes by in ticks of the event loop, and a tick that comes late counts as a tick. A machine that is
    busy, or slow to read what the coroutine needs, so takes nothing from those who are to answer.
    """
    task, waited = asyncio.ensure_future(call), 0.0
    try:
        while not task.done():
            if waited >= seconds:
                raise TimeoutError(f"no answer within {seconds:.3g} s")
            began = time.monotonic()
            await asyncio.wait({task}, timeout=_TICK_SECONDS)
            waited += min(time.monotonic() - began, _TICK_SECONDS)
        return task.result()
    finally:
        task.cancel()
