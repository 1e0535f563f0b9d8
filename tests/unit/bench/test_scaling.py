"""The simulation of a line: what must be so of any line, and what is known of simple ones."""

from dataclasses import astuple, replace

import pytest

from bench.scaling.costs import FrameCosts, read_costs
from bench.scaling.resource import Resource, SimulatedTime
from bench.scaling.simulator import LinePlan, LineSimulation, PlannedEvents
from bench.scaling.sizing import SizingAssumptions, largest_picture, size_line

COSTS = FrameCosts(producer_ms=1.0, broker_ms=0.5, scorer_ms=2.0, triton_ms=1.5)


def plan(**changed: float) -> LinePlan:
    usual = {"cameras": 8, "frames_per_second": 10.0, "partitions": 4, "scorers": 2}
    return LinePlan(**{**usual, **changed})  # type: ignore[arg-type]


def test_what_is_asked_of_a_resource_waits_for_a_free_server_in_its_order() -> None:
    time, done = SimulatedTime(), list[tuple[str, float]]()
    cores = Resource(time, 2)
    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0)):
        cores.use(seconds, lambda name=name: done.append((name, time.now)))  # type: ignore[misc]
    time.run(10)
    assert done == [("b", 1.0), ("c", 2.0), ("a", 3.0)]
    assert cores.busy_seconds == 5


def test_a_line_with_room_scores_every_frame_in_little_more_than_its_own_work() -> None:
    outcome = LineSimulation(plan(), COSTS).run(30)
    assert outcome.captured - outcome.scored <= 8
    own = (COSTS.producer_ms + COSTS.broker_ms + COSTS.scorer_ms + COSTS.request_ms(1, 8)) / 1000
    assert own <= min(outcome.latencies)
    assert sorted(outcome.latencies)[len(outcome.latencies) // 2] < own + 0.02


def test_a_line_without_room_falls_behind_for_as_long_as_it_runs() -> None:
    full = plan(cameras=24, shared_cores=1)
    short, long = (LineSimulation(full, COSTS).run(seconds) for seconds in (20, 40))
    assert long.latencies[-1] > short.latencies[-1] > 1
    assert long.busy["triton"] == pytest.approx(1.0, abs=0.05)


def test_batches_carry_more_than_single_requests_could() -> None:
    crowded = plan(cameras=100, scorers=1, scorer_cores=8)
    outcome = LineSimulation(crowded, FrameCosts(1, 0.5, 2, 0.9, request_share=0.9)).run(30)
    alone = FrameCosts(1, 0.5, 2, 0.9, request_share=0.9).request_ms(1, 8) / 1000
    assert alone * 1000 > 1, "one by one they would not fit into a second"
    assert max(outcome.latencies) < 1


def test_a_lost_scorer_holds_back_its_own_partitions_until_they_are_taken_over() -> None:
    usual = LineSimulation(plan(), COSTS).run(60)
    lost = LineSimulation(plan(), COSTS, PlannedEvents(lost_at=20, takeover_seconds=7)).run(60)
    assert max(usual.latencies) < 1
    assert 6.9 <= max(lost.latencies) < 9
    assert lost.captured - lost.scored <= 8, "none is lost"
    held = sum(latency > 1 for latency in lost.latencies)
    assert held == pytest.approx(8 * 10 * 7 / 2, rel=0.2)


def test_the_same_seed_gives_the_same_outcome() -> None:
    first, second, other = (LineSimulation(plan(), COSTS, seed=seed).run(20) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_sizes_grow_with_cameras_and_never_fall_below_a_safe_line() -> None:
    sized = [size_line(cameras, COSTS, SizingAssumptions()) for cameras in (10, 100, 1_000, 10_000)]
    assert sized[0].brokers == 3
    assert all(one.partitions >= one.scorers for one in sized)
    assert [one.scorers for one in sized] == sorted(one.scorers for one in sized)
    assert sized[-1].megabytes_per_second == 10_000


def test_the_largest_picture_on_kafka_is_that_of_the_part_that_is_full_first() -> None:
    assumed = SizingAssumptions(broker_bytes_per_second=60e6, broker_disk_bytes=4e12)
    found = largest_picture(100, 3, assumed)
    assert found.by_network == pytest.approx(3 * 60e6 / (100 * 5 * 3))
    assert found.by_disks == pytest.approx(3 * 4e12 / (100 * 5 * 3 * 86_400))
    assert found.first == "disks"
    assert largest_picture(100, 9, assumed).by_disks == pytest.approx(3 * found.by_disks)


def test_a_scorer_takes_no_frame_while_it_commits() -> None:
    """A lone frame waits for no transaction; beside others it waits for one that lasts as long as it does."""
    slow = replace(COSTS, scorer_commit_ms=5, broker_commit_ms=5, commit_ms=400)
    usual, waiting = (LineSimulation(plan(), costs).run(60) for costs in (COSTS, slow))
    assert max(usual.latencies) < 0.2
    half = sorted(waiting.latencies)[len(waiting.latencies) // 2]
    assert 0.1 < half < 0.4
    assert 0.35 < max(waiting.latencies) < 0.8
    assert waiting.captured - waiting.scored <= 40, "none is lost"


def test_strangers_on_the_same_cores_make_frames_wait() -> None:
    alone, crowded = (
        LineSimulation(plan(shared_cores=2, strangers_cores=cores), COSTS).run(60) for cores in (0.0, 1.4)
    )
    assert sum(crowded.latencies) > 1.1 * sum(alone.latencies)


def test_frames_wait_for_a_model_server_that_is_away_and_all_of_them_are_scored_once_it_is_back() -> None:
    day = LineSimulation(plan(), COSTS, PlannedEvents(away_at=20, away_seconds=6)).run(60)
    assert 5.9 <= max(day.latencies) < 8
    late = [at for at, latency in zip(day.at, day.latencies, strict=True) if latency > 1]
    assert 19.9 <= min(late) < max(late) < 27
    assert day.captured - day.scored <= 8


def test_costs_of_a_frame_and_of_a_transaction_are_told_apart_by_two_loads() -> None:
    def load(scorer: float, kafka: float, commits: float) -> dict[str, object]:
        spent = {"producers": 1.0, "kafka": kafka, "scorer": scorer, "triton": 1.5, "bench": 9.0}
        return {"cpu_ms_per_frame": spent, "transactions": {"per_frame": commits, "mean_ms": 11.0}}

    found = read_costs([load(2.6, 0.9, 0.1), load(8.0, 4.5, 1.0)])
    expected = FrameCosts(1.0, 0.5, 2.0, 1.5, scorer_commit_ms=6.0, broker_commit_ms=4.0, commit_ms=11.0)
    assert astuple(found) == pytest.approx(astuple(expected))
    assert found.answers_ms == pytest.approx(1.0)
    same = read_costs([load(2.6, 0.9, 0.1), load(2.6, 0.9, 0.1)])
    assert (same.scorer_ms, same.scorer_commit_ms) == (2.6, 0.0)
    with pytest.raises(KeyError):
        read_costs([{"cpu_ms_per_frame": {}}, {}])
