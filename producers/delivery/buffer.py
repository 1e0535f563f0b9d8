"""Buffer frames between capture and broker, within bounds; a policy decides when the buffer is full."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from typing_extensions import override

from steadyline.contracts.frame import Frame, FrameId

Drop = Callable[[FrameId, str], None]
MemoryPolicy = Literal["block", "drop_oldest", "drop_newest"]

_STOP_CHECK_SECONDS = 0.1


class Buffer(Protocol):
    """Frames in order of capture; one thread puts frames, another takes them."""

    def put(self, frame: Frame, stop: threading.Event) -> None:
        """Take over a captured frame; the frames that the policy gives up are dropped with its reason."""
        ...

    def take(self, wait: timedelta) -> Frame | None:
        """Return the next frame, or None when none comes within ``wait``."""
        ...

    def settle(self, frame: FrameId) -> None:
        """Release a taken frame that was published or dropped; any thread may call this in any order."""
        ...

    def close(self, reason: str) -> None:
        """End the buffer's use: drop, for ``reason``, all frames that cannot outlive the process."""
        ...

    @property
    def size_bytes(self) -> int:
        """The number of bytes kept."""
        ...

    @property
    def is_blocked(self) -> bool:
        """True while ``put`` waits for room."""
        ...


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """Most frames and bytes that are kept; one frame always fits, however large it is."""

    frames: int
    bytes: int


class MemoryBuffer(Buffer):
    """``block`` waits for room, ``drop_oldest`` gives up the oldest frame, ``drop_newest`` the new one."""

    def __init__(self, policy: MemoryPolicy, limits: BufferLimits, drop: Drop) -> None:
        self._policy = policy
        self._limits = limits
        self._drop = drop
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._blocked = False

    @override
    def put(self, frame: Frame, stop: threading.Event) -> None:
        with self._changed:
            given_up, reason = self._make_room(frame, stop)
            if frame not in given_up:
                self._frames.append(frame)
                self._bytes += len(frame.picture)
                self._changed.notify_all()
        for lost in given_up:
            self._drop(lost.id, reason)

    @override
    def take(self, wait: timedelta) -> Frame | None:
        with self._changed:
            if not self._frames:
                self._changed.wait(wait.total_seconds())
            return self._pop() if self._frames else None

    @override
    def settle(self, frame: FrameId) -> None:
        pass

    @override
    def close(self, reason: str) -> None:
        with self._changed:
            left = [self._pop() for _ in range(len(self._frames))]
        for frame in left:
            self._drop(frame.id, reason)

    @property
    @override
    def size_bytes(self) -> int:
        return self._bytes

    @property
    @override
    def is_blocked(self) -> bool:
        return self._blocked

    def _make_room(self, frame: Frame, stop: threading.Event) -> tuple[list[Frame], str]:
        """Return the frames to give up, and the reason."""
        if self._policy == "drop_newest":
            return ([frame] if self._is_full(frame) else []), "drop_newest"
        given_up = []
        while self._is_full(frame):
            if self._policy == "drop_oldest":
                given_up.append(self._pop())
                continue
            if stop.is_set():
                self._blocked = False
                return [frame], "stopped"
            self._blocked = True
            self._changed.wait(_STOP_CHECK_SECONDS)
        self._blocked = False
        return given_up, "drop_oldest"

    def _is_full(self, frame: Frame) -> bool:
        more = self._bytes + len(frame.picture) > self._limits.bytes
        return bool(self._frames) and (more or len(self._frames) >= self._limits.frames)

    def _pop(self) -> Frame:
        frame = self._frames.popleft()
        self._bytes -= len(frame.picture)
        self._changed.notify_all()
        return frame
