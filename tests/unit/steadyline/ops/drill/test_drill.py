"""A drill says what held and what did not, and leaves the true event behind."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from steadyline.clock import ManualClock
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.frame import Frame
from steadyline.contracts.model_event import PRODUCT_WIDE, ModelEvent
from steadyline.contracts.topics import line_topics
from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.kafka.broker import Follower, Message, Partition, Record
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.ops.doctor.finding import Report
from steadyline.ops.drill.attacks import MARK, MOST_FLOOD, DrillRecord, DrillTarget, flood, poison
from steadyline.ops.drill.blinding import try_blinding
from steadyline.ops.drill.refusals import try_frames
from steadyline.picture import PictureLimits, decode, inspect
from tests.support.model_history import a_history
from tests.support.stream_scores import a_score

TOPICS = line_topics("t", 2)
WITHIN = timedelta(seconds=20)
AT = datetime(2026, 3, 1, tzinfo=UTC)
TARGET = DrillTarget("line-1", TOPICS, "c1", "cell", "0f0f", AT)
LIMITS = PictureLimits(max_bytes=1 << 20, max_pixels=1 << 20)


class TickingClock(ManualClock):
    """A clock on which every look takes a tenth of a second."""

    @override
    def monotonic(self) -> float:
        self.advance(timedelta(milliseconds=100))
        return super().monotonic()


class StandInLine(MemoryBroker):
    """A broker with a line on it that refuses what it is sent, or scores it, and judges one frame a turn.

    ``believes`` are the keys under which it believes a model event; ``swallows`` the records it loses.
    """

    def __init__(self, believes: Sequence[bytes] = (), swallows: str = "", scores_all: bool = False) -> None:
        super().__init__(ManualClock())
        self.create_topics(list(TOPICS))
        self._believes, self._swallows, self._scores_all = tuple(believes), swallows, scores_all
        self._frames_read, self._turns = 0, 0
        self.has_traffic = True

    @override
    def follower(
        self, client: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None
    ) -> Follower:
        return WithTurns(super().follower(client, topics, start), self)

    def write(self, message: Message) -> None:
        self.publisher("line").publish(message, lambda error: None)

    def turn(self) -> None:
        frames = list(self.reader("line").read(TOPICS.frames.name))
        for record in frames[self._frames_read :]:
            self._answer(record)
        self._frames_read = len(frames)
        events = list(self.reader("line").read(TOPICS.model_events.name))
        believed = [record for record in events if record.key in self._believes and record.value is not None]
        if believed and self.has_traffic:
            self._turns += 1
            live = ModelEvent.decode(believed[-1].value).live()
            assert live is not None
            threshold = live.calibrations[PRODUCT_WIDE].threshold
            score = a_score(self._turns).model_copy(update={"threshold": threshold})
            self.write(Message(TOPICS.scores.name, b"c1", score.encode()))

    def _answer(self, record: Record) -> None:
        tries = record.headers[0][1].decode()
        if self._swallows and self._swallows in tries:
            return
        if self._scores_all:
            try:
                frame = str(Frame.decode(record.value, record.headers).id)
            except PoisonMessage:
                return
            score = a_score(1).model_copy(update={"frame": frame})
            self.write(Message(TOPICS.scores.name, b"c1", score.encode()))
            return
        letter = DeadLetter(record.value, record.headers, "some_reason", "", "t", 0, 0, record.key)
        self.write(Message(TOPICS.dead_letters.name, record.key, record.value, letter.encode_headers()))


class WithTurns:
    """A follower before each poll of which the line has a turn."""

    def __init__(self, follower: Follower, line: StandInLine) -> None:
        self._follower, self._line = follower, line
        self.positions, self.is_at_end, self.close = follower.positions, follower.is_at_end, follower.close

    def poll(self, wait: timedelta) -> Sequence[Record]:
        self._line.turn()
        return self._follower.poll(timedelta(0))


def states(report: Report) -> dict[str, str]:
    return {finding.check: finding.state for finding in report.findings}


@pytest.mark.parametrize("attack", [poison, flood])
def test_a_line_that_refuses_everything_holds(attack: Callable[[DrillTarget], Iterator[DrillRecord]]) -> None:
    line = StandInLine()
    report = try_frames(line, TOPICS, attack(TARGET), TickingClock(), WITHIN)
    assert report.is_healthy
    assert states(report).pop("the line's own frames") == "skipped"
    assert {finding.state for finding in report.findings[:-1]} == {"ok"}
    assert [(finding.check, finding.found) for finding in report.findings[:-1]] == [
        (tries, f"{count} refused: some_reason" if count > 1 else "refused: some_reason")
        for tries, count in Counter(record.tries for record in attack(TARGET)).items()
    ]
    assert len(report.findings) < 20, "a person reads them"


def test_what_is_neither_refused_nor_scored_or_is_scored_did_not_hold() -> None:
    lost = try_frames(StandInLine(swallows="cut off"), TOPICS, poison(TARGET), TickingClock(), WITHIN)
    assert [check for check, state in states(lost).items() if state == "failed"] == [
        "a picture that is cut off"
    ]
    flooded = try_frames(
        StandInLine(swallows="0 20,000 headers"), TOPICS, flood(TARGET), TickingClock(), WITHIN
    )
    assert flooded.findings[0].found == "27 refused: some_reason, 3 neither refused nor scored in time"
    assert flooded.findings[0].state == "failed"
    scored = try_frames(StandInLine(scores_all=True), TOPICS, poison(TARGET), TickingClock(), WITHIN)
    found = {finding.check: finding.found for finding in scored.findings}
    assert found["bytes that are no picture"] == "scored, as if it were a frame of the line"


def test_every_record_is_marked_once_and_holds_nothing_that_can_be_decoded() -> None:
    records = [*poison(TARGET), *flood(TARGET)]
    assert (
        len({record.mark for record in records}) == len({record.frame for record in records}) == len(records)
    )
    for record in records:
        assert record.message.headers[0] == (MARK, record.mark.encode())
        with pytest.raises(PoisonMessage):
            decode(record.message.value or b"", inspect(record.message.value or b"", LIMITS), "gray")


def test_no_drill_alone_makes_a_line_stop_for_a_storm_of_dead_letters() -> None:
    assert len(list(flood(TARGET))) == MOST_FLOOD < StormLimit().messages * StormLimit().fraction
    assert len(list(poison(TARGET))) < StormLimit().messages * StormLimit().fraction


def with_a_model(line: StandInLine) -> Record:
    """Announce a model; return its record."""
    event = a_history(1)
    headers = event.headers("line-1", event.product, event.at)
    line.write(Message(TOPICS.model_events.name, b"cell", event.encode(), headers))
    return newest(line)[b"cell"]


def newest(line: StandInLine) -> dict[bytes, Record]:
    """Return key → newest record of the model events, as compaction leaves it."""
    records = line.reader("x").read(TOPICS.model_events.name)
    found = {record.key or b"": record for record in records}
    return {key: record for key, record in found.items() if record.value is not None}


@pytest.mark.parametrize(
    ("believes", "held"),
    [
        ((b"cell",), {"another": "ok", "own": "failed"}),
        ((b"cell", b"drill-cell"), {"another": "failed", "own": "failed"}),
    ],
)
def test_a_line_that_believes_a_forged_event_did_not_hold_and_has_its_true_one_again(
    believes: tuple[bytes, ...], held: dict[str, str]
) -> None:
    line = StandInLine(believes)
    true = with_a_model(line)
    report = try_blinding(line, TOPICS, "cell", TickingClock(), WITHIN)
    assert states(report) == {
        "an event of the product under another key": held["another"],
        "an event of the product under its own key": held["own"],
    }
    after = newest(line)
    assert list(after) == [b"cell"]
    assert (after[b"cell"].value, after[b"cell"].headers) == (true.value, true.headers)


def test_an_event_that_a_trainer_announced_meanwhile_stays() -> None:
    line = StandInLine((b"cell",))
    with_a_model(line)
    later = a_history(1, 2)

    class Announcing(TickingClock):
        @override
        def monotonic(self) -> float:
            if newest(line)[b"cell"].value != later.encode() and super().monotonic() > 3:
                line.write(Message(TOPICS.model_events.name, b"cell", later.encode()))
            return super().monotonic()

    try_blinding(line, TOPICS, "cell", Announcing(), WITHIN)
    assert newest(line)[b"cell"].value == later.encode()


def test_without_traffic_nothing_is_shown_and_without_a_model_there_is_nothing_to_forge() -> None:
    line = StandInLine((b"cell",))
    with pytest.raises(InvalidConfiguration, match="cell has no model yet"):
        try_blinding(line, TOPICS, "cell", TickingClock(), WITHIN)
    with_a_model(line)
    line.has_traffic = False
    report = try_blinding(line, TOPICS, "cell", TickingClock(), WITHIN)
    assert set(states(report).values()) == {"skipped"}
