"""A whole camera on the in-memory broker: states, accounts, and nothing that ends it."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs
from typing_extensions import override

from producers.accounting import ledger as ledger_module
from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from producers.sources.source import CameraLost, Capture, Encoded, FrameSource
from steadyline.clock import SystemClock
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.errors import ContractBroken, EmptyPicture, InvalidConfiguration
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line
from steadyline.picture import encode_png
from steadyline.telemetry.health import ServiceHealth
from tests.support.eventually import eventually

CLOCK = SystemClock()
GOOD = encode_png(np.arange(256, dtype=np.uint8).reshape(16, 16))


class ScriptedSource(FrameSource):
    """Yields what it is given; an exception in the list is raised, and the next call goes on after it."""

    def __init__(self, script: Sequence[Capture | Exception]) -> None:
        self._script = list(script)

    @property
    @override
    def expected_fps(self) -> float | None:
        return None

    @override
    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        while self._script and not stop.is_set():
            item = self._script.pop(0)
            if isinstance(item, Exception):
                raise item
            yield item


def a_line(**camera: object) -> Line:
    section = {"id": "c1", "product": "part", "source": "synthetic:?fps=0&limit=20&size=16", **camera}
    return Line.model_validate({"line": "l", "products": {"part": {}}, "cameras": [section]})


def good() -> Capture:
    return Capture(CLOCK.now(), Encoded(GOOD, "image/png"))


class CameraBench:
    """Runs the producers of one line to their end and reads the topics."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.broker = MemoryBroker()
        self.settings = ProducersSettings(
            state=home / "state", status_seconds=0.05, reconnect_seconds=0.01, reconnect_longest_seconds=0.02
        )

    def run(self, line: Line, stop: threading.Event | None = None) -> None:
        self.broker.create_topics(list(line.kafka_topics()))
        dependencies = ProducersDependencies(line, self.home, self.settings, CLOCK)
        with build(dependencies, [], self.broker, ServiceHealth(CLOCK)) as producers:
            producers.run(stop or threading.Event())

    def statuses(self, line: Line) -> list[CameraStatus]:
        records = self.broker.reader("test").read(line.kafka_topics().camera_status.name)
        return [CameraStatus.decode(record.value) for record in records]

    def frames(self, line: Line) -> list[Frame]:
        records = self.broker.reader("test").read(line.kafka_topics().frames.name)
        return [Frame.decode(record.value, record.headers) for record in records]


@pytest.fixture
def bench(tmp_path: Path) -> CameraBench:
    return CameraBench(tmp_path)


def scripted(monkeypatch: pytest.MonkeyPatch, script: Sequence[Capture | Exception]) -> None:
    monkeypatch.setattr("producers.app.open_source", lambda *_: ScriptedSource(script))


def test_a_camera_runs_to_its_limit_and_closes_its_account(bench: CameraBench) -> None:
    line = a_line(when_behind="block")
    bench.run(line)
    final = bench.statuses(line)[-1]
    assert (final.state, final.reason, final.captured, final.published) == ("ended", "limit", 20, 20)
    assert [frame.id.sequence for frame in bench.frames(line)] == list(range(1, 21))
    assert not [path for path in (bench.home / "state" / "c1").iterdir() if path.is_dir()]


@pytest.mark.parametrize("policy", ["block", "spool"])
def test_frames_name_the_part_that_the_name_of_their_file_names(bench: CameraBench, policy: str) -> None:
    folder = bench.home / "drop"
    folder.mkdir()
    for name in ("SN-1_a.png", "SN-1_b.png", "SN-2_a.png", "sample.png"):
        (folder / name).write_bytes(GOOD)
    source = {"source": f"folder:{folder}?fps=1000", "part_pattern": "^(?P<part>[^_]+)_"}
    line = a_line(when_behind=policy, **source)
    bench.run(line)
    assert [frame.part for frame in bench.frames(line)] == ["SN-1", "SN-1", "SN-2", None]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "spool"])
def test_every_policy_closes_its_account(bench: CameraBench, policy: str) -> None:
    line = a_line(when_behind=policy)
    bench.run(line)
    final = bench.statuses(line)[-1]
    assert final.captured == final.published + sum(final.dropped.values()) == 20
    assert final.published == len(bench.frames(line))


def test_nothing_a_camera_sends_ends_it(bench: CameraBench, monkeypatch: pytest.MonkeyPatch) -> None:
    odd: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.zeros((0, 7), np.uint8)
    script: list[Capture | Exception] = [
        good(),
        Capture(CLOCK.now(), EmptyPicture("nothing")),
        CameraLost("timeout", "silence"),
        Capture(CLOCK.now(), odd),
        good(),
        ZeroDivisionError("a bug of a camera library"),
        Capture(CLOCK.now(), Encoded(b"\xff\xd8\xffgarbage", "image/jpeg")),
        good(),
    ]
    scripted(monkeypatch, script)
    line = a_line(when_behind="block")
    bench.run(line)
    final = bench.statuses(line)[-1]
    assert final.reason == "end_of_source"
    assert final.captured == 6
    assert final.published == 3
    assert final.dropped == {"empty_picture": 1, "internal_error": 1, "undecodable_picture": 1}


def test_a_lost_camera_is_down_until_it_gives_a_frame(
    bench: CameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [CameraLost("refused", "nobody there")] * 40 + [good()])
    line = a_line()
    bench.run(line)
    seen = [(status.state, status.reason) for status in bench.statuses(line)]
    assert ("down", "refused") in seen
    assert seen[-1] == ("ended", "end_of_source")


def test_an_account_with_too_many_gaps_goes_on_in_a_new_epoch(
    bench: CameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MAX_RANGES", 3)
    scripted(monkeypatch, [good(), Capture(CLOCK.now(), EmptyPicture("nothing"))] * 5)
    line = a_line(when_behind="block")
    bench.run(line)
    finals = {status.epoch: status for status in bench.statuses(line)}
    assert [(final.captured, final.published, final.reason) for final in finals.values()] == [
        (6, 3, "rotated"),
        (4, 2, "end_of_source"),
    ]
    assert all(final.state == "ended" for final in finals.values())


def test_a_stopped_camera_flushes_and_says_that_it_was_stopped(bench: CameraBench) -> None:
    line = a_line(source="synthetic:?fps=500&size=16")
    stop = threading.Event()
    running = threading.Thread(target=bench.run, args=(line, stop))
    running.start()
    eventually(lambda: len(bench.frames(line)) > 5)
    stop.set()
    running.join(20)
    final = bench.statuses(line)[-1]
    assert (final.state, final.reason, final.pending) == ("ended", "stopped", 0)


def test_what_a_stop_without_a_broker_leaves_is_closed_by_the_next_run(bench: CameraBench) -> None:
    line = a_line(when_behind="block")
    bench.settings = bench.settings.model_copy(update={"stop_seconds": 0.2})
    bench.broker.create_topics(list(line.kafka_topics()))
    bench.broker.set_away(True)
    dependencies = ProducersDependencies(line, bench.home, bench.settings, CLOCK)
    with build(dependencies, [], bench.broker, ServiceHealth(CLOCK)) as producers:
        stop = threading.Event()
        stop.set()
        producers.run(stop)
    bench.broker.set_away(False)
    bench.settings = bench.settings.model_copy(update={"stop_seconds": 10.0})
    bench.run(line)
    finals = {status.epoch: status for status in bench.statuses(line)}
    assert len(finals) == 2
    assert all(final.state == "ended" and final.pending == 0 for final in finals.values())


def captured_files(home: Path) -> list[int]:
    files = (home / "state" / "c1").glob("*/captured")
    return [int.from_bytes(path.read_bytes()[:8], "little") for path in files]


def spooled_line(bench: CameraBench) -> Line:
    """Return a line whose producers have ended with twenty frames spooled, because the broker was away."""
    line = a_line(when_behind="spool")
    bench.settings = bench.settings.model_copy(update={"stop_seconds": 1.0})
    bench.broker.create_topics(list(line.kafka_topics()))
    bench.broker.set_away(True)
    dependencies = ProducersDependencies(line, bench.home, bench.settings, CLOCK)
    stop = threading.Event()
    with build(dependencies, [], bench.broker, ServiceHealth(CLOCK)) as producers:
        running = threading.Thread(target=producers.run, args=(stop,))
        running.start()
        eventually(lambda: captured_files(bench.home) == [20])
        stop.set()
        running.join(20)
    bench.broker.set_away(False)
    return line


def test_a_spool_left_by_another_policy_is_still_sent(bench: CameraBench) -> None:
    line = spooled_line(bench)
    bench.run(a_line(when_behind="block"))
    frames = bench.frames(line)
    assert len(frames) == 40
    assert [f.id.sequence for f in frames] == [*range(1, 21), *range(1, 21)]


def test_forged_frames_on_the_topic_change_nothing_of_what_a_killed_run_left(bench: CameraBench) -> None:
    line = spooled_line(bench)
    (epoch,) = (int(path.name) for path in (bench.home / "state" / "c1").iterdir() if path.name.isdigit())
    forger = bench.broker.publisher("forger")
    for sequence in (*range(1, 41), 1 << 40, 1 << 62, (1 << 63) - 1):
        frame = Frame(FrameId("c1", epoch, sequence), "l", "cell", CLOCK.now(), "image/png", GOOD)
        message = Message(line.kafka_topics().frames.name, b"c1", frame.picture, frame.headers())
        forger.publish(message, lambda _error: None)
    bench.run(line)
    sent = [frame.id.sequence for frame in bench.frames(line) if frame.id.epoch == epoch]
    assert sent[43:] == [*range(1, 21)]
    final = next(status for status in reversed(bench.statuses(line)) if status.epoch == epoch)
    assert (final.state, final.captured, final.published, final.dropped) == ("ended", 20, 20, {})


def test_an_unknown_camera_is_named(bench: CameraBench) -> None:
    dependencies = ProducersDependencies(a_line(), bench.home, bench.settings, CLOCK)
    with (
        pytest.raises(InvalidConfiguration, match="no camera c9; the line has c1"),
        build(dependencies, ["c9"], bench.broker, ServiceHealth(CLOCK)),
    ):
        pass


def test_what_ends_one_sending_thread_ends_the_producers_at_once(bench: CameraBench) -> None:
    line = a_line(source="synthetic:?fps=20&size=16")
    dependencies = ProducersDependencies(line, bench.home, bench.settings, CLOCK)
    stop, began = threading.Event(), CLOCK.monotonic()
    with (
        build(dependencies, [], bench.broker, ServiceHealth(CLOCK)) as producers,
        pytest.raises(ContractBroken, match="topic"),
    ):
        producers.run(stop)
    assert stop.is_set()
    assert CLOCK.monotonic() - began < bench.settings.stop_seconds


def test_a_folder_names_the_file_of_a_dropped_frame_and_says_once_what_it_assumes(
    tmp_path: Path, bench: CameraBench
) -> None:
    """Two pictures of 16 bits, and one that is none."""
    folder = tmp_path / "drop"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((8, 8), 4096, np.uint16)).save(folder / name)
    (folder / "c.png").write_bytes(b"no picture")
    with capture_logs() as lines:
        bench.run(a_line(source=f"folder:{folder}?fps=1000"))
    (dropped,) = (line for line in lines if line["event"] == "frame_dropped")
    assert (dropped["file"], dropped["reason"]) == ("c.png", "unsupported_format")
    (assumed,) = (line for line in lines if line["event"] == "picture_assumed")
    assert "16 bits" in assumed["assumed"]
