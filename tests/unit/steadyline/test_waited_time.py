"""The limit counts what is waited for, and nothing of what this machine takes itself."""

import asyncio
import time

import pytest

from steadyline.waited_time import within_waited_time


async def _busy(seconds: float) -> str:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass
    return await asyncio.to_thread(lambda: "done")  # what was asked answers at once


def test_what_is_never_answered_ends_in_time_and_is_abandoned() -> None:
    abandoned = []

    async def asked() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            abandoned.append(True)

    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.3 s"):
        asyncio.run(within_waited_time(asked(), 0.3))
    assert time.monotonic() - began >= 0.3
    assert abandoned == [True]


def test_a_machine_that_is_busy_itself_takes_nothing_from_who_is_asked() -> None:
    assert asyncio.run(within_waited_time(_busy(1.0), 0.3)) == "done"


def test_an_error_comes_as_it_is() -> None:
    async def refused() -> None:
        raise PermissionError("no role for nobody")

    with pytest.raises(PermissionError, match="no role for nobody"):
        asyncio.run(within_waited_time(refused(), 1.0))
