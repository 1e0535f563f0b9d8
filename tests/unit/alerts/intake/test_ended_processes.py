"""A record on which process after process of alerts ends costs itself and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from alerts.incidents.incident import Incident
from alerts.incidents.observation import Observation, ScoreSeen
from steadyline.kafka.broker import Partition
from steadyline.kafka.loop.crash_guard import ENDED, InHandNote
from tests.support.alerts_bench import (
    POLICY,
    STOP,
    TOPICS,
    AlertsBench,
    IntakeProcess,
    OpenAndShut,
    SeenState,
    SeenStep,
    a_score,
    score_message,
    turns,
)

SCORES = Partition(TOPICS.scores.name, 0)
MOST_PROCESSES = 4 * ENDED
FRAMES = 12


class RulesEndedIt(BaseException):
    """Nothing of the process runs any more."""


class DeadlyRules(OpenAndShut):
    """Rules that end the process at certain frames, or after so many observations for no fault of theirs."""

    def __init__(self, *frames: str, after: int | None = None) -> None:
        self.frames, self.left = frames, after

    @override
    def observe(
        self, state: SeenState | None, open_incidents: Sequence[Incident], observation: Observation
    ) -> SeenStep:
        assert isinstance(observation, ScoreSeen)
        if observation.score.frame in self.frames or self.left == 0:
            raise RulesEndedIt
        if self.left is not None:
            self.left -= 1
        return super().observe(state, open_incidents, observation)


def lives(bench: AlertsBench, count: int = 40) -> bool:
    """Run one process; return False when it ended before its time."""
    process = bench.process()
    try:
        turns(process, count)
        bench.clock.advance(bench.policy.commit_every)
        turns(process, count)
    except RulesEndedIt:
        return False
    process.worker.close()
    return True


def end_until_one_lives(bench: AlertsBench) -> int:
    """Return how many processes ended before one did not."""
    ended = 0
    while not lives(bench):
        ended += 1
        assert ended <= 2 * MOST_PROCESSES
    return ended


def frames(camera: int, but: Collection[str] = ()) -> list[str]:
    every = [f"east-{camera}/7/{n}" for n in range(1, FRAMES + 1)]
    return [frame for frame in every if frame not in but]


def send(bench: AlertsBench) -> None:
    for camera in range(2):
        scores = [a_score(n, f"east-{camera}") for n in range(1, FRAMES + 1)]
        bench.publish(*(score_message(score, camera) for score in scores))


@pytest.mark.parametrize("places", [{1}, {5}, {12}, {5, 6}, {1, 12}], ids=str)
def test_what_ends_processes_is_dead_lettered_alone(bench: AlertsBench, places: set[int]) -> None:
    bad = {f"east-0/7/{n}" for n in places}
    bench.rules = DeadlyRules(*bad)
    send(bench)
    assert end_until_one_lives(bench) >= 2 * ENDED
    assert [reason for reason, _ in bench.letters()] == ["ended_processes"] * len(bad)
    assert bench.seen() == {"scores/east-0": frames(0, bad), "scores/east-1": frames(1)}


def test_it_is_found_behind_records_of_which_the_group_was_not_told_yet(bench: AlertsBench) -> None:
    bench.policy = replace(POLICY, commit_every=timedelta(hours=1))
    bench.rules = DeadlyRules("east-0/7/9")
    send(bench)
    end_until_one_lives(bench)
    assert [reason for reason, _ in bench.letters()] == ["ended_processes"]
    assert bench.seen() == {"scores/east-0": frames(0, {"east-0/7/9"}), "scores/east-1": frames(1)}


@pytest.mark.parametrize("after", [0, 1, 5])
def test_processes_that_end_for_another_reason_cost_no_record(bench: AlertsBench, after: int) -> None:
    send(bench)
    for _ in range(2 * ENDED - 1):
        bench.rules = DeadlyRules(after=after)
        lives(bench)
    bench.rules = DeadlyRules()
    assert lives(bench)
    assert bench.letters() == []
    assert bench.seen() == {f"scores/east-{n}": frames(n) for n in range(2)}


def test_processes_that_are_killed_while_the_database_is_away_cost_no_record(bench: AlertsBench) -> None:
    send(bench)
    for n in range(4 * ENDED):
        process = bench.process()
        process.ingest.is_away = True
        turns(process, 4)
        assert n < ENDED or InHandNote.decode(process.worker.note(SCORES)).count <= ENDED
    assert lives(bench)
    assert bench.letters() == []
    assert bench.seen() == {f"scores/east-{n}": frames(n) for n in range(2)}


def test_a_process_that_ends_in_order_counts_for_nothing(bench: AlertsBench) -> None:
    send(bench)
    process: IntakeProcess = bench.process()
    process.ingest.is_away = True
    turns(process, 2)
    assert InHandNote.decode(process.worker.note(SCORES)).count == 1
    process.ingest.is_away = False
    STOP.set()
    try:
        process.loop.run(STOP)
    finally:
        STOP.clear()
    assert process.worker.note(SCORES) == ""
