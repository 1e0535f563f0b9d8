"""One frame on its way through the scorer."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from steadyline.contracts.frame import Frame
from steadyline.contracts.station import Station
from steadyline.grid import Grid
from steadyline.inference import Pixels
from steadyline.kafka.broker import Record
from steadyline.kafka.loop.stream_loop import Outputs
from steadyline.picture import PictureInfo
from steadyline.telemetry.tracing import ActiveSpan


@dataclass(slots=True, eq=False)
class FrameTask:
    """A frame, what has been made of it so far, and the promise that the loop waits for.

    ``prepared`` is (H, W, C) uint8 for a model that takes ``input`` (grid, channels). ``preprocess`` queues
    the task to be prepared: once at first, and again when the model in use has come to take another input, or
    the camera's ``station``, by which ``prepared`` was put right, has been calibrated anew.
    ``refusals`` counts how often the model has refused the frame although it was asked for it alone.
    """

    record: Record
    frame: Frame
    span: ActiveSpan
    preprocess: Callable[["FrameTask"], None]
    result: Future[Outputs] = field(default_factory=Future)
    info: PictureInfo | None = None
    input: tuple[Grid, str] | None = None
    prepared: Pixels | None = None
    station: Station | None = None
    refusals: int = 0

    @property
    def is_wanted(self) -> bool:
        """Return False once the loop has given the frame up, because its partition went to another worker."""
        return not self.result.cancelled()

    def finish(self, outputs: Outputs) -> None:
        """Keep the promise; harmless when nobody waits any more."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_result(outputs)
        self.span.end()

    def fail(self, error: BaseException) -> None:
        """Break the promise: a poison error sends the frame to the dead letters, any other ends the loop."""
        self.span.fail(getattr(error, "reason", type(error).__name__))
        if self.result.set_running_or_notify_cancel():
            self.result.set_exception(error)
        self.span.end()

    def attempt(self, step: Callable[[], None]) -> None:
        """Run one step on a pool's thread; any error breaks the promise, so that no promise stays open."""
        try:
            step()
        except Exception as error:  # a bug must end the loop, and only the promise leads there
            self.fail(error)
