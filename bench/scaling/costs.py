"""What one frame costs each part of a line, as the bench of the line has measured it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FrameCosts:
    """CPU milliseconds a frame at a load where transactions and requests are full enough to be shared.

    ``request_share`` is the part of Triton's cost that a request has whatever its size, as if it were of one
    frame: batches make it cheaper by the frame.
    """

    producer_ms: float
    broker_ms: float
    scorer_ms: float
    triton_ms: float
    request_share: float = 0.3

    def request_ms(self, frames: int, usual: int) -> float:
        """Return the milliseconds of one request of ``frames``, where requests of ``usual`` were measured."""
        fixed = self.triton_ms * usual * self.request_share
        return fixed + self.triton_ms * (1 - self.request_share) * frames


def read_costs(figure: Mapping[str, Any]) -> FrameCosts:
    """Read costs from one load of the bench's section on latency; raises KeyError where it has none."""
    spent = figure["cpu_ms_per_frame"]
    return FrameCosts(spent["producers"], spent["kafka"], spent["scorer"], spent["triton"])
