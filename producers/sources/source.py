"""The protocol of all sources, and one captured frame, which is not checked yet."""

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
    """An encoded picture that passes through unchanged; without ``check`` it is not even inspected."""

    data: bytes
    content_type: ContentType
    check: bool = True


Content = Encoded | Pixels | PoisonMessage


@dataclass(frozen=True, slots=True)
class Capture:
    """One captured frame: an encoded picture, pixels, or the reason why there is no picture.

    ``file`` names where it came from, when it came from a file of its own; ``part`` is the part that it
    shows, where the name of its file says so.
    """

    captured_at: datetime
    content: Content
    file: str | None = None
    part: str | None = None


class CameraLost(Transient):
    """The source gives no more frames; ``why`` is one word of LOST. The caller backs off and tries again."""

    reason = "camera_lost"

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class FrameSource(Protocol):
    """A camera, or what replaces one. It keeps its position between two calls of ``captures``."""

    @property
    def expected_fps(self) -> float | None:
        """The captures per second that the source should give; None when that cannot be known."""
        ...

    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        """Yield captures at the source's own pace until it is exhausted or ``stop`` is set.

        Raises CameraLost when the source goes away; the next call connects again.
        """
        ...
