"""The causes of alerts about cameras, frames and processes, made for real."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench.watching.cause import Cause, named
from bench.watching.frozen import frozen
from bench.watching.full_pipe import FullPipe
from bench.watching.line import CAMERAS, SCORERS, SIDE, STARTED_WITHIN, ObservedLine
from steadyline.kafka.broker import Message
from steadyline.picture import encode_jpeg

FLOOD = 2000
BROKEN_FILES = 10
PUBLISHED = "producers_frames_published_total"
PUBLISHED_ANEW = f"min({PUBLISHED}) > 20 and min(resets({PUBLISHED}[1m])) > 0"


@contextmanager
def unplugged(line: ObservedLine) -> Iterator[None]:
    """Rename the folder of a camera."""
    folder = line.pictures(CAMERAS[1])
    away = folder.with_suffix(".away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextmanager
def _broken_files(line: ObservedLine) -> Iterator[None]:
    files = [line.pictures(CAMERAS[1]) / f"broken-{number}.jpg" for number in range(BROKEN_FILES)]
    for file in files:
        file.write_bytes(b"no picture")
    try:
        yield
    finally:
        for file in files:
            file.unlink()


@contextmanager
def _another_part(line: ObservedLine) -> Iterator[None]:
    """Let both cameras show noise, in the place of each of their pictures."""
    files = [file for camera in CAMERAS for file in sorted(line.pictures(camera).iterdir())]
    kept = [file.read_bytes() for file in files]
    draw = np.random.default_rng(17)
    try:
        for file in files:
            _replace(file, encode_jpeg(draw.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)))
        yield
    finally:
        for file, data in zip(files, kept, strict=True):
            _replace(file, data)


def _replace(file: Path, data: bytes) -> None:
    beside = file.parent.with_suffix(".new")
    beside.write_bytes(data)
    beside.replace(file)


@contextmanager
def _flood(line: ObservedLine) -> Iterator[None]:
    """Write frames that are none: first among the good ones, then more than all of these."""
    publish_nonsense(line, line.topics.frames.name)
    yield


def publish_nonsense(line: ObservedLine, topic: str) -> None:
    """Write records to a topic, of each camera in turn, that hold nothing that belongs there."""
    with closing(line.broker.publisher("stranger")) as publisher:
        for number in range(FLOOD):
            message = Message(topic, CAMERAS[number % 2].encode(), b"nonsense", ())
            publisher.publish(message, lambda error: None)
        publisher.flush(timedelta(seconds=30))


@contextmanager
def _nobody_reads_the_log(line: ObservedLine) -> Iterator[None]:
    """Fill the pipe that the producers log to, then give them something to log, and frames that wait.

    Whoever logs hangs: the capture of the camera that is lost, and the main loop that says so. Nobody tells
    any more how many frames of the other camera wait, and without a broker they become more.
    """
    with FullPipe(line.log_file("producers")) as pipe:
        line.restart("producers")
        try:
            line.until(PUBLISHED_ANEW, STARTED_WITHIN)
            pipe.fill()
            with unplugged(line), frozen(line, "kafka"):
                yield
        finally:
            line.kill("producers")
    line.start("producers")


@contextmanager
def _both_scorers_killed(line: ObservedLine) -> Iterator[None]:
    for name in SCORERS:
        line.kill(name)
    try:
        yield
    finally:
        for name in SCORERS:
            line.start(name)


FRAME_CAUSES = (
    Cause("the folder of a camera is renamed", unplugged, named("CameraDown")),
    Cause(
        f"{BROKEN_FILES} files that are no pictures in the folder of a camera",
        _broken_files,
        named("FramesDropped", "FramesNotInspected", "FramesNotInspectedForLong"),
    ),
    Cause(
        "the cameras show noise instead of parts",
        _another_part,
        named("TooManyAlarms", "TooManyAlarmsForLong"),
    ),
    Cause(
        f"{FLOOD} records that are no frames on the topic of frames",
        _flood,
        named("DeadLetters", "DeadLetterStorm"),
    ),
    Cause(
        "kill -9 of both scorers",
        _both_scorers_killed,
        named("ProcessDown", "ServiceMissing", "NoScores"),
    ),
    Cause(
        "the producers' log goes into a full pipe, a camera is lost and the broker is stopped",
        _nobody_reads_the_log,
        named("ProcessHangs", "FramesMissing"),
        within=180.0,
    ),
)
