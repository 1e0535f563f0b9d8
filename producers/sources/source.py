"""What a source hands over: one captured frame, not yet checked, and the protocol of all sources."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from steadyline.contracts.frame import ContentType
from steadyline.errors import PoisonMessage, Transient
from steadyline.picture import Pixels


@dataclass(frozen=True, slots=True)
class Encoded:
    """An already encoded picture: it passes through untouched; without ``check`` not even looked at."""

    data: bytes
    content_type: ContentType
    check: bool = True


Content = Encoded | Pixels | PoisonMessage


@dataclass(frozen=True, slots=True)
class Capture:
    """One captured frame: encoded, as pixels, or the reason why there is no picture to be had."""

    captured_at: datetime
    content: Content


class CameraLost(Transient):
    """The source gives no frames any more; ``why`` is one word of LOST. The caller backs off and goes on."""

    reason = "camera_lost"

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class FrameSource(Protocol):
    """A camera, or what stands for one. Keeps its place between two calls of ``captures``."""

    @property
    def expected_fps(self) -> float | None:
        """Captures a second that the source should give; None where nobody can know."""
        ...

    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        """Yield captures at the source's own pace until it is exhausted or ``stop`` is set.

        Raises CameraLost when the source goes away; called again, it connects anew.
        """
        ...
