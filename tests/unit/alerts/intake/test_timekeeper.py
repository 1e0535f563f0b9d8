"""Time passes for what has been read to its end, and for nothing else."""

from datetime import timedelta

from alerts.intake.progress import QUIET
from tests.support.alerts_bench import AlertsBench, IntakeProcess, a_score, score_message, turns

MINUTE = timedelta(minutes=1)


def opened(bench: AlertsBench) -> IntakeProcess:
    """Return a process that has taken the one score that opens an incident."""
    bench.publish(score_message(a_score(1, anomalous=True)))
    process = bench.process()
    turns(process, 4)
    return process


def changes(bench: AlertsBench) -> list[str]:
    return [change for _, _, change in bench.told()]


def test_what_time_alone_changes_is_written_once(bench: AlertsBench) -> None:
    process = opened(bench)
    process.keeper.turn()
    bench.clock.advance(2 * MINUTE)
    for _ in range(3):
        process.keeper.turn()
    assert changes(bench) == ["opened", "risen"]


def test_time_stands_still_for_what_waits_on_its_topic(bench: AlertsBench) -> None:
    """A process that was down takes what it has missed first: it may be what the rules wait for."""
    opened(bench).worker.close()
    bench.publish(score_message(a_score(2)))
    bench.clock.advance(2 * MINUTE)
    late = bench.process()
    late.keeper.turn()
    late.keeper.turn()
    assert changes(bench) == ["opened"]
    turns(late, 4)
    late.keeper.turn()
    assert changes(bench) == ["opened", "resolved"]


def test_time_passes_for_a_partition_that_came_and_has_nothing_more_to_say(bench: AlertsBench) -> None:
    opened(bench).worker.close()
    later = bench.process()
    bench.clock.advance(2 * MINUTE)
    turns(later, 2)
    later.keeper.turn()
    assert changes(bench) == ["opened"]
    bench.clock.advance(QUIET)
    later.keeper.turn()
    assert changes(bench) == ["opened", "risen"]


def test_time_passes_in_no_process_for_the_partitions_of_another(bench: AlertsBench) -> None:
    process = opened(bench)
    other = bench.process("b")
    bench.clock.advance(2 * MINUTE)
    turns(other, 2)
    turns(process, 2)
    bench.clock.advance(QUIET)
    owner, idle = (process, other) if _has_scores(process) else (other, process)
    idle.keeper.turn()
    assert changes(bench) == ["opened"]
    owner.keeper.turn()
    assert changes(bench) == ["opened", "risen"]


def test_an_outage_of_the_broker_stops_time(bench: AlertsBench) -> None:
    process = opened(bench)
    bench.broker.set_away(True)
    bench.clock.advance(2 * MINUTE)
    turns(process, 1)
    process.keeper.turn()
    bench.broker.set_away(False)
    process.keeper.turn()
    assert changes(bench) == ["opened"]


def _has_scores(process: IntakeProcess) -> bool:
    return any("scores" in place.topic and place.number == 0 for place in process.worker.assigned)
