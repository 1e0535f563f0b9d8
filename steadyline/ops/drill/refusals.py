"""Writes a drill's records and watches what the line makes of them: dead letters, scores, or nothing."""

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import PoisonMessage
from steadyline.kafka.broker import Broker, Record
from steadyline.ops.doctor.finding import Report
from steadyline.ops.drill.attacks import MARK, DrillRecord

CLIENT = "steadyline-drill"
POLL = timedelta(milliseconds=200)
REFUSED = "refused:"
REMEDY = (
    "is a scorer running, and ready? /readyz names what it waits for: frames that it holds keep back what "
    "comes behind them. `steadyline dlq list` shows what was refused later"
)


@dataclass(slots=True)
class DrillOutcome:
    """Mark → why its record was refused; and the frames that were scored since the drill began."""

    refused: dict[str, str] = field(default_factory=dict)
    scored: list[str] = field(default_factory=list)

    def note(self, record: Record, topics: Topics) -> None:
        """Take note of a dead letter or of a score."""
        try:
            if record.partition.topic == topics.scores.name:
                self.scored.append(Score.decode(record.value).frame)
                return
            mark = next((value for name, value in record.headers if name == MARK), b"").decode()
            self.refused[mark] = DeadLetter.decode(record.value, record.headers, record.key).reason
        except (PoisonMessage, UnicodeDecodeError):
            return  # not of the drill, and the doctor's business


def try_frames(
    broker: Broker, topics: Topics, records: Iterable[DrillRecord], clock: Clock, within: timedelta
) -> Report:
    """Write the records, wait until each is refused or time is over, and return what held."""
    outcome, sent = DrillOutcome(), []
    outputs = [topics.dead_letters.name, topics.scores.name]
    follower = broker.follower(CLIENT, outputs, broker.end_offsets(outputs))
    with closing(follower), closing(broker.publisher(CLIENT)) as publisher:
        follower.poll(timedelta(0))
        for record in records:

            def done(error: Exception | None, mark: str = record.mark) -> None:
                if error is not None:
                    outcome.refused[mark] = f"the broker does not take it: {error}"

            publisher.publish(record.message, done)
            publisher.flush(within)
            sent.append(record)
        end = clock.monotonic() + within.total_seconds()
        while clock.monotonic() < end and not {record.mark for record in sent} <= outcome.refused.keys():
            for answer in follower.poll(POLL):
                outcome.note(answer, topics)
    return _judged(sent, outcome)


def _judged(sent: list[DrillRecord], outcome: DrillOutcome) -> Report:
    """Return one finding for each thing that was tried, however many records tried it."""
    report, scored = Report(), set(outcome.scored)
    for tries in dict.fromkeys(record.tries for record in sent):
        tried = [record for record in sent if record.tries == tries]
        fates = Counter(_fate(record, outcome, scored) for record in tried)
        report.judge(
            tries,
            all(fate.startswith(REFUSED) for fate in fates),
            ", ".join(f"{count} {fate}" if len(tried) > 1 else fate for fate, count in fates.items()),
            REMEDY,
        )
    others = len(scored - {record.frame for record in sent})
    if others:
        report.ok("the line's own frames", f"{others} were scored meanwhile")
    else:
        report.skipped(
            "the line's own frames", "none came meanwhile, so it is not shown that they get through"
        )
    return report


def _fate(record: DrillRecord, outcome: DrillOutcome, scored: set[str]) -> str:
    if record.frame in scored:
        return "scored, as if it were a frame of the line"
    reason = outcome.refused.get(record.mark)
    return f"{REFUSED} {reason}" if reason else "neither refused nor scored in time"
