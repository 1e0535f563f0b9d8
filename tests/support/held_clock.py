"""A clock that whoever asks for the time must wait for, so that a test knows what is under way."""

import threading

from typing_extensions import override

from steadyline.clock import SystemClock


class HeldClock(SystemClock):
    """The system's clock, which gives the monotonic time once ``go_on`` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    @override
    def monotonic(self) -> float:
        assert self.go_on.wait(60)
        return super().monotonic()
