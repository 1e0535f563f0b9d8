"""What a run says: each step with its seconds, and one error that ends it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from steadyline.terminal import PlainConsole, styled

WIDTH = 46


class CheckFailed(Exception):
    """Something that was to be so is not; one line, and lines that show it."""

    def __init__(self, what: str, *shown: str) -> None:
        super().__init__(what)
        self.shown = shown


def say(text: str) -> None:
    """Print a line of progress."""
    PlainConsole().print(text, soft_wrap=True)


class StepReport:
    """The steps of one run, printed as they end."""

    def __init__(self) -> None:
        self._console = PlainConsole()
        self._started = time.monotonic()
        self._steps = 0

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a block; what it appends to the list is printed behind its name. A failure names the step."""
        notes: list[str] = []
        started = time.monotonic()
        try:
            yield notes
        except CheckFailed as error:
            self._console.print(styled(("failed ", "bold red"), f"{name}: {error}"), soft_wrap=True)
            for line in error.shown:
                self._console.print(f"    {line}", soft_wrap=True)
            raise
        self._steps += 1
        seconds = f"{time.monotonic() - started:6.1f} s"
        told = styled(("ok ", "bold green"), f"{name:<{WIDTH}}{seconds}  {'; '.join(notes)}".rstrip())
        self._console.print(told, soft_wrap=True)

    def end(self) -> None:
        """Print the sum."""
        seconds = time.monotonic() - self._started
        self._console.print(f"{self._steps} steps in {seconds:.1f} s: everything was as it should be")
