"""A full queue does what the camera's policy says, and every frame given up is dropped with its reason."""

import threading
from datetime import UTC, datetime, timedelta

from producers.delivery.buffer import BufferLimits, MemoryBuffer, MemoryPolicy
from steadyline.contracts.frame import Frame, FrameId

SOON = timedelta(0)


def a_frame(sequence: int, size: int = 10) -> Frame:
    identity = FrameId("c1", 5, sequence)
    return Frame(identity, "l", "p", datetime(2026, 1, 1, tzinfo=UTC), "image/png", b"x" * size)


class DroppedFromBuffer(list[tuple[int, str]]):
    def note(self, frame: FrameId, reason: str) -> None:
        self.append((frame.sequence, reason))


def a_buffer(
    policy: MemoryPolicy, frames: int = 2, size: int = 1000
) -> tuple[MemoryBuffer, DroppedFromBuffer]:
    dropped = DroppedFromBuffer()
    return MemoryBuffer(policy, BufferLimits(frames, size), dropped.note), dropped


def drain(buffer: MemoryBuffer) -> list[int]:
    taken = []
    while (frame := buffer.take(SOON)) is not None:
        taken.append(frame.id.sequence)
    return taken


def test_drop_oldest_keeps_the_newest_frames_in_order() -> None:
    buffer, dropped = a_buffer("drop_oldest")
    for sequence in range(1, 6):
        buffer.put(a_frame(sequence), threading.Event())
    assert dropped == [(1, "drop_oldest"), (2, "drop_oldest"), (3, "drop_oldest")]
    assert drain(buffer) == [4, 5]
    assert buffer.size_bytes == 0


def test_drop_newest_keeps_the_oldest_frames_in_order() -> None:
    buffer, dropped = a_buffer("drop_newest")
    for sequence in range(1, 5):
        buffer.put(a_frame(sequence), threading.Event())
    assert dropped == [(3, "drop_newest"), (4, "drop_newest")]
    assert drain(buffer) == [1, 2]


def test_bytes_are_bounded_as_well_as_frames() -> None:
    buffer, dropped = a_buffer("drop_oldest", frames=100, size=25)
    for sequence in range(1, 5):
        buffer.put(a_frame(sequence), threading.Event())
    assert [sequence for sequence, _ in dropped] == [1, 2]
    assert drain(buffer) == [3, 4]


def test_one_frame_larger_than_the_bound_still_passes() -> None:
    buffer, dropped = a_buffer("drop_newest", size=5)
    buffer.put(a_frame(1), threading.Event())
    assert drain(buffer) == [1]
    assert dropped == []


def test_block_waits_until_there_is_room() -> None:
    buffer, dropped = a_buffer("block", frames=1)
    buffer.put(a_frame(1), threading.Event())
    second = threading.Thread(target=buffer.put, args=(a_frame(2), threading.Event()))
    second.start()
    while not buffer.is_blocked:
        second.join(0.01)
    assert drain(buffer)[0] == 1
    second.join(5)
    assert not buffer.is_blocked
    assert drain(buffer) in ([2], [])
    assert dropped == []


def test_a_blocked_frame_is_dropped_when_the_producer_stops() -> None:
    buffer, dropped = a_buffer("block", frames=1)
    buffer.put(a_frame(1), threading.Event())
    stopped = threading.Event()
    stopped.set()
    buffer.put(a_frame(2), stopped)
    assert dropped == [(2, "stopped")]
    assert not buffer.is_blocked
