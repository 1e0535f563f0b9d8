"""Every reader of every topic is fed what a stranger may write: none hangs, grows or ends, no frame is lost.

FUZZ_SEED and FUZZ_COUNT say which records and how many a topic; FUZZ_OUT is a file for the table.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.score import Score
from steadyline.demo.observe import Observer
from steadyline.kafka.broker import Message
from steadyline.kafka.dead_letters.letter import read_letter
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.sighting import Epoch
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.line_under_test import LineUnderTest
from tests.support.measured import MemoryWatch, steadyline_command
from tests.support.models import Contrast, a_plain_picture
from tests.support.raw_kafka import RawProducer
from tests.support.scorer_line import CAMERAS, ScorerLine
from tests.support.service_process import ServiceProcess
from tests.support.wire_fuzz import WireFuzz

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1500)]

SEED = int(os.environ.get("FUZZ_SEED", "1"))
COUNT = int(os.environ.get("FUZZ_COUNT", "120"))
OUT = os.environ.get("FUZZ_OUT")
DEADLINE = 60.0 + COUNT / 10  # seconds for all of one consumer's records
MOST_AT_REST, MOST_AT_PEAK = 150.0, 500.0  # MiB above what a process used before

SCORER_TOPICS = ("frames", "scores", "camera_status", "model_events", "dead_letters")
TRAINER_TOPICS = ("scores", "model_events", "model_commands")


@dataclass
class Table:
    """What the run shows, as Markdown."""

    rows: list[str] = field(default_factory=list)

    def add(self, title: str, columns: str, rows: list[list[object]]) -> None:
        names = columns.split(" | ")
        lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
        self.rows += ["", f"{title}", "", f"| {columns} |", f"|{'---|' * len(names)}", *lines]

    def write(self) -> None:
        text = "\n".join(self.rows).strip() + "\n"
        print(text)
        if OUT:
            Path(OUT).write_text(text, encoding="utf-8")


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    """A line whose cameras replay a folder without end."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        (pictures / f"{number}.png").write_bytes(encode_png(a_plain_picture(32)))
    source = f"folder:{pictures}?fps=4&loop=true"
    made = ScorerLine(tmp_path, addresses, source, when_behind="block")
    yield made
    made.close()


@pytest.fixture
def trained_line(tmp_path: Path, addresses: Addresses) -> Iterator[LineUnderTest]:
    """A line with a trainer and no model."""
    home = tmp_path / "trained"
    home.mkdir()
    made = LineUnderTest(home, addresses)
    made.write_line(
        f"line: cells-1\ntopics: {{prefix: {made.name}, partitions: 2}}\nstore: file://./store\n"
        f"products: {{cell: {{}}}}\ncameras:\n  - {{id: east-1, product: cell, source: 'folder:.'}}\n"
    )
    made.create_topics()
    yield made
    made.close()


def frames_of(floor: ScorerLine, epochs: dict[str, int]) -> list[Message]:
    """Return frames that would be scored, and frames far ahead in the open epoch of each camera."""
    now = datetime.now(UTC)
    identities = [FrameId(camera, 1_600_000_000_000_000_000, 1) for camera in CAMERAS]
    identities += [FrameId(camera, epoch, 2**62) for camera, epoch in epochs.items()]
    found = []
    for identity in identities:
        frame = Frame(identity, "test", floor.product, now, "image/png", encode_png(a_plain_picture(32)))
        found.append(Message(floor.topics.frames.name, frame.key, frame.picture, frame.headers()))
    return found


def orders_of(line: LineUnderTest) -> list[Message]:
    """Return orders to the trainer."""
    found = []
    for action in ("promote", "rollback", "retrain"):
        order = ModelCommand(product="cell", action=action, version=1, who="x", at=datetime.now(UTC))
        headers = order.headers(line.line.line, "cell", order.at)
        found.append(Message(line.topics.model_commands.name, b"cell", order.encode(), headers))
    return found


def open_epochs(floor: ScorerLine) -> dict[str, int]:
    """Return each camera's epoch, once every camera has told of one; before strangers write."""
    newest = {status.camera: status.epoch for status in floor.statuses()}
    return newest if len(newest) == len(CAMERAS) else {}


def fates(floor: ScorerLine, fuzz: WireFuzz) -> tuple[Counter[tuple[int, int]], Counter[str]]:
    """Return how often each place of the frames topic has a score or a letter, and the letters by reason."""
    found: Counter[tuple[int, int]] = Counter()
    reasons: Counter[str] = Counter()
    for record in floor.read_topic(floor.topics.scores.name):
        if (record.partition.topic, record.partition.number, record.offset) not in fuzz.landed:
            score = Score.decode(record.value)
            found[score.source_partition, score.source_offset] += 1
    for record in floor.read_topic(floor.topics.dead_letters.name):
        if (record.partition.topic, record.partition.number, record.offset) not in fuzz.landed:
            letter = read_letter(record)
            assert letter.source is not None
            found[letter.source] += 1
            reasons[letter.reason] += 1
    return found, reasons


def assert_each_record_has_one_fate(floor: ScorerLine, fuzz: WireFuzz) -> tuple[int, Counter[str]]:
    """Wait until the group has committed every frame; then each offset has one score or one letter."""
    ends = floor.broker.end_offsets([floor.topics.frames.name])
    group = f"{floor.line.topics.prefix}.scorer"

    def lag() -> int:
        committed = floor.broker.committed_offsets(group)
        return sum(end - committed.get(place, 0) for place, end in ends.items())

    eventually(lambda: lag() == 0, DEADLINE, "every frame committed")
    found, reasons = fates(floor, fuzz)
    places = {(place.number, offset) for place, end in ends.items() for offset in range(end)}
    assert {place: count for place, count in found.items() if count != 1} == {}
    assert places - found.keys() == set()
    return len(places), reasons


def assert_alive(*services: ServiceProcess) -> None:
    for service in services:
        assert service.is_alive, service.tail()
        assert service.is_live(), service.tail()


def tools(line: list[str], letter: str, frame: str) -> dict[str, list[str]]:
    """Return the commands for operators that read what strangers write."""
    return {
        "audit --json": ["audit", *line, "--json"],
        "audit": ["audit", *line],
        "trace": ["trace", frame, *line],
        "dlq list": ["dlq", "list", *line, "--limit", "5000"],
        "dlq list --json": ["dlq", "list", *line, "--json", "--save", "saved"],
        "dlq replay --dry-run": ["dlq", "replay", "--all", "--dry-run", *line],
        "dlq replay": ["dlq", "replay", letter, *line],
        "doctor": ["doctor", *line],
    }


def run_tools(floor: ScorerLine, frame: str) -> list[list[object]]:
    """Run each; it ends in time with an answer that a terminal shows as it is, and never as a bug."""
    letters = floor.read_topic(floor.topics.dead_letters.name)
    place = next(str(letter.place) for letter in map(read_letter, letters) if letter.source)
    rows: list[list[object]] = []
    for name, arguments in tools(["--line", str(floor.line_file)], place, frame).items():
        done = steadyline_command(arguments, floor.environment(), str(floor.home), DEADLINE)
        assert done.status in (0, 1), (name, done.errors[-3000:])
        assert "Traceback" not in done.errors, (name, done.errors[-3000:])
        odd = {character for character in done.output if not (character.isprintable() or character == "\n")}
        assert odd == set(), name
        assert done.peak < MOST_AT_PEAK, name
        rows.append([f"`steadyline {name}`", f"{done.seconds:.1f}", "", f"{done.peak:.0f}", ""])
    return rows


def start_trainer(line: LineUnderTest) -> ServiceProcess:
    """Start the trainer of a line and wait until it has read the topics."""
    trainer = line.start_service("trainer", environment={"TRAINER_WORK": str(line.home / "work")})
    trainer.until_ready(DEADLINE)
    return trainer


@dataclass
class Fuzzed:
    """A running line of cameras and a running line of a trainer, and what is written to them."""

    floor: ScorerLine
    trained: LineUnderTest
    began: int = field(default_factory=time.time_ns)
    watch: MemoryWatch = field(default_factory=MemoryWatch)

    def start(self) -> None:
        """Start every reader and wait until each has begun."""
        floor = self.floor
        floor.put_in_service()
        self.scorer, self.producers = floor.start("a"), floor.start_producers()
        self.scorer.until_ready()
        self.trainer = start_trainer(self.trained)
        epochs = eventually(lambda: open_epochs(floor), 60, "an epoch of each camera")
        self.observer = Observer(floor.broker, floor.topics, f"{floor.name}.scorer")
        for name in ("scorer", "trainer", "producers"):
            self.watch.watch(name, getattr(self, name).pid)
        self.fuzz = WireFuzz(floor.topics, SCORER_TOPICS, SEED, frames_of(floor, epochs))
        self.trainer_fuzz = WireFuzz(self.trained.topics, TRAINER_TOPICS, SEED, orders_of(self.trained))

    def write(self) -> None:
        """Write everything; the producers are killed half way, and read what they do not remember."""
        with RawProducer(self.floor.addresses.kafka_bootstrap) as raw:
            for part in (COUNT // 2, COUNT - COUNT // 2):
                self.fuzz.write(raw, part)
                self.trainer_fuzz.write(raw, part)
                if self.producers.poll() is None and "producers again" not in self.watch.before:
                    self.producers.kill()
                    self.producers = self.floor.start_producers()
                    self.watch.watch("producers again", self.producers.pid)
        self.floor.announce(1, Contrast(gain=1))  # a stranger may have said that another version is live

    def is_honest(self, epoch: Epoch) -> bool:
        """True for an epoch of the producers; the stranger's are of other years."""
        return epoch.camera in CAMERAS and self.began <= epoch.number <= time.time_ns()

    def memory(self) -> list[list[object]]:
        """Check what each reader uses, and return it in rows of MiB."""
        at_rest = {name: self.watch.now(name) for name in self.watch.before}
        self.watch.close()
        rows: list[list[object]] = []
        for name, before in self.watch.before.items():
            peak = self.watch.peak[name]
            rows.append([name, "", f"{before:.0f}", f"{peak:.0f}", f"{at_rest[name]:.0f}"])
            assert peak < before + MOST_AT_PEAK, rows
            assert at_rest[name] < before + MOST_AT_REST, rows
        return rows

    def restart(self) -> None:
        """End scorer and trainer; new ones read every topic from the beginning, and go on."""
        assert self.scorer.stop() == EXIT_OK
        fresh = self.floor.start("b")
        fresh.until_ready(DEADLINE)
        assert_each_record_has_one_fate(self.floor, self.fuzz)
        assert fresh.stop() == EXIT_OK
        self.trainer.kill()
        assert start_trainer(self.trained).stop() == EXIT_OK


def test_nothing_on_the_wire_stops_a_reader_or_costs_a_frame(
    floor: ScorerLine, trained_line: LineUnderTest
) -> None:
    began = time.monotonic()
    run = Fuzzed(floor, trained_line)
    run.start()
    run.write()
    run.producers.until_said("account_taken_over", DEADLINE, count=len(CAMERAS))
    assert_alive(run.scorer, run.trainer, run.producers)
    assert run.producers.stop(DEADLINE) == EXIT_OK
    frames, reasons = assert_each_record_has_one_fate(floor, run.fuzz)
    assert_alive(run.scorer, run.trainer)

    accounts = gather(floor.broker, floor.topics, Scope(f"{floor.name}.scorer")).accounts()
    honest = [account for account in accounts if run.is_honest(account.epoch)]
    assert [account for account in honest if not account.is_intact] == []
    assert Counter(account.epoch.camera for account in honest) == dict.fromkeys(CAMERAS, 2)
    assert {account.state for account in honest} == {"ended"}

    rows = run.memory()
    rows += run_tools(floor, f"{honest[0].epoch.camera}/{honest[0].epoch.number}/1")
    assert run.observer.seen.scores, "the table of the demonstration has seen no score"
    run.observer.close()
    run.restart()

    table = Table(
        [f"Seed {SEED}, {COUNT} records a topic, {frames} frames, {time.monotonic() - began:.0f} s."]
    )
    for name, one in (("scorer", run.fuzz), ("trainer", run.trainer_fuzz)):
        counts: list[list[object]] = [
            [topic.split(".", 1)[1], sent, one.refused[topic]] for topic, sent in one.sent.items()
        ]
        table.add(f"Written to the line of the {name}", "topic | records | refused by the broker", counts)
    letters: list[list[object]] = [[f"`{reason}`", count] for reason, count in reasons.most_common()]
    table.add("Dead letters", "reason | letters", letters)
    table.add("Readers", "reader | seconds | MiB before | MiB at most | MiB after", rows)
    table.write()
