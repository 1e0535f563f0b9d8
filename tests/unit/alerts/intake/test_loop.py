"""The intake goes on where the database stands, whoever had the partition, whatever is away."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from steadyline.contracts.model_event import ModelEvent
from steadyline.kafka.broker import Partition
from steadyline.kafka.memory.log import CommitFault
from steadyline.kafka.model_events import EventSeal
from steadyline.signing import Signer, TrustedKeys
from tests.support.alerts_bench import (
    POLICY,
    READ,
    START,
    STOP,
    TOPICS,
    AlertsBench,
    a_score,
    a_status,
    bad_message,
    event_message,
    score_message,
    status_message,
    turns,
)

SCORES = Partition(TOPICS.scores.name, 0)


def frames(first: int, last: int, camera: str = "east-1") -> list[str]:
    return [f"{camera}/7/{n}" for n in range(first, last + 1)]


def send(bench: AlertsBench, first: int, last: int, camera: str = "east-1", partition: int = 0) -> None:
    bench.publish(*(score_message(a_score(n, camera), partition) for n in range(first, last + 1)))


def committed(bench: AlertsBench) -> Mapping[Partition, int]:
    return bench.broker.committed_offsets("t.alerts")


def test_a_group_that_has_committed_more_than_the_database_is_moved_back(bench: AlertsBench) -> None:
    send(bench, 1, 10)
    ahead = bench.broker.worker("t.alerts", "other", READ)
    ahead.poll(timedelta(0))
    assert ahead.commit([], {SCORES: 8})
    ahead.close()
    turns(bench.process())
    assert bench.seen() == {"scores/east-1": frames(1, 10)}
    assert committed(bench)[SCORES] == 10


def test_what_has_expired_is_no_reason_to_go_back(bench: AlertsBench) -> None:
    send(bench, 1, 6)
    turns(bench.process())
    send(bench, 7, 12)
    bench.broker.expire(SCORES, 8)
    turns(bench.process())
    assert bench.seen() == {"scores/east-1": [*frames(1, 6), *frames(9, 12)]}


def test_a_topic_made_anew_is_read_from_its_beginning_and_opens_no_incident_twice(bench: AlertsBench) -> None:
    inputs = [score_message(a_score(n, anomalous=n == 2)) for n in range(1, 5)]
    for _ in range(2):
        bench.publish(*inputs)
        process = bench.process()
        turns(process)
        process.worker.close()
        bench.broker.delete_topic(TOPICS.scores.name)
        bench.broker.create_topics(list(TOPICS))
    assert bench.seen() == {"scores/east-1": frames(1, 4) * 2}
    assert [change for _, _, change in bench.told()] == ["opened", "resolved"]


def test_a_partition_that_comes_from_another_process_goes_on_with_its_rule_states(bench: AlertsBench) -> None:
    """Two processes share the partitions; one ends without a word, and what it had is read by the other."""
    first, second = bench.process("a"), bench.process("b")
    for number in range(3):
        send(bench, 1, 9, f"east-{number}", number)
    turns(first, 6)
    turns(second, 6)
    assert first.worker.assigned.isdisjoint(second.worker.assigned)
    send(bench, 10, 30, "east-0", 0)
    turns(first, 2)  # some of it is in hand, some in the database, and then nothing of it runs any more
    first.worker.close()
    for number in range(1, 3):
        send(bench, 10, 30, f"east-{number}", number)
    turns(second)
    assert bench.seen() == {f"scores/east-{n}": frames(1, 30, f"east-{n}") for n in range(3)}


def test_a_process_that_no_longer_has_a_partition_writes_nothing_of_it_any_more(bench: AlertsBench) -> None:
    send(bench, 1, 4)
    frozen = bench.process("a")
    turns(frozen, 3)
    send(bench, 5, 9)
    turns(bench.process("a"))
    frozen.ingest.write(frozen.ingest.first)  # it wakes up, and writes once more what it had in hand
    assert bench.seen() == {"scores/east-1": frames(1, 9)}


@pytest.mark.parametrize("faults", [("aborted", "aborted"), ("broken_before",), ("broken_after",)])
def test_letters_are_written_once_whatever_becomes_of_the_first_transaction(
    bench: AlertsBench, faults: tuple[CommitFault, ...]
) -> None:
    bench.publish(score_message(a_score(1)), bad_message(b"bad"), score_message(a_score(2)))
    bench.broker.fail_commits(*faults)
    turns(bench.process())
    assert bench.letters() == [("malformed_headers", b"bad")]
    assert bench.seen() == {"scores/east-1": frames(1, 2)}


def test_an_outage_of_the_broker_is_waited_out(bench: AlertsBench) -> None:
    send(bench, 1, 3)
    process = bench.process()
    turns(process, 2)
    bench.broker.set_away(True)
    turns(process, 3)
    assert process.loop.broker_outage is not None
    bench.broker.set_away(False)
    send(bench, 4, 6)
    turns(process)
    assert process.loop.broker_outage is None
    assert bench.seen() == {"scores/east-1": frames(1, 6)}


def test_a_stop_writes_and_commits_what_is_in_hand(bench: AlertsBench) -> None:
    bench.policy = replace(POLICY, commit_every=timedelta(hours=1))
    send(bench, 1, 3)
    process = bench.process()
    turns(process, 2)  # the first records of a partition are told to the group at once
    send(bench, 4, 5)
    turns(process, 2)
    assert committed(bench)[SCORES] == 3
    STOP.set()
    try:
        process.loop.run(STOP)
    finally:
        STOP.clear()
    assert committed(bench)[SCORES] == 5


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (score_message(a_score(1), line="other"), "foreign_line"),
        (score_message(a_score(1, frame="east-2/7/1")), "malformed_message"),
        (score_message(a_score(1, frame="east-1\x00/7/1")), "malformed_headers"),
        # A run that is yet to begin: all frames of the camera's real runs would be late beside it.
        (score_message(a_score(1, frame=f"east-1/{(1 << 63) - 1}/1")), "malformed_message"),
        (
            status_message(a_status("east-1", 1).model_copy(update={"epoch": (1 << 63) - 1})),
            "malformed_message",
        ),
        (score_message(a_score(1, score=float("inf"))), "malformed_message"),
        (score_message(a_score(1, captured_at="0001-01-01T00:00:00+14:00")), "malformed_message"),
        (replace(score_message(a_score(1)), key=b"east-2"), "malformed_headers"),
        (replace(score_message(a_score(1)), value=b"{}"), "malformed_message"),
        (replace(status_message(a_status("east-1", 1)), key=b"east-1/8"), "malformed_headers"),
    ],
)
def test_what_neither_rules_nor_database_could_bear_is_refused(
    message: object, reason: str, bench: AlertsBench
) -> None:
    bench.publish(message, score_message(a_score(2)))  # type: ignore[arg-type]
    turns(bench.process(), 6)
    assert [found for found, _ in bench.letters()] == [reason]
    assert bench.seen() == {"scores/east-1": frames(2, 2)}


def test_a_trace_that_is_none_harms_no_score(bench: AlertsBench) -> None:
    message = score_message(a_score(1, anomalous=True))
    headers = tuple((k, b"x" * 400 if k == "traceparent" else v) for k, v in message.headers)
    bench.publish(replace(message, headers=headers))
    turns(bench.process(), 4)
    assert [item.traceparent for item in bench.incidents()] == [None]


def test_what_a_removed_camera_has_said_is_passed_over_in_silence(bench: AlertsBench) -> None:
    bench.publish(score_message(a_score(1, "west-1")), status_message(a_status("west-1", 1)))
    turns(bench.process(), 6)
    assert (bench.seen(), bench.letters()) == ({}, [])
    assert bench.offsets() == {SCORES: 1, Partition(TOPICS.camera_status.name, 0): 1}


def an_event(sequence: int, token: int = 1) -> ModelEvent:
    return ModelEvent(
        product="cell",
        at=START,
        live_version=None,
        models=[],
        changes=[],
        sequence=sequence,
        fencing_token=token,
    )


def test_model_events_are_believed_as_other_readers_do_also_by_a_process_that_comes_later(
    bench: AlertsBench,
) -> None:
    """A trainer that has lost its lease is not believed, whoever reads its event, and a stranger never."""
    signer = Signer.new()
    bench.seal = EventSeal("test", TrustedKeys.parse(signer.public_pem()), signer)
    bench.publish(event_message(an_event(2, token=5), bench.seal))
    turns(bench.process("a"), 4)
    bench.publish(
        event_message(an_event(3, token=4), bench.seal),  # without its lease
        event_message(an_event(1, token=5), bench.seal),  # it was on the topic before
        event_message(an_event(9, token=9), EventSeal("test")),
        event_message(an_event(4, token=5), bench.seal),
    )
    turns(bench.process("a"), 8)
    assert bench.seen() == {"model/cell": ["event 2", "event 4"]}
    assert [reason for reason, _ in bench.letters()] == ["outdated", "outdated", "unsigned"]
