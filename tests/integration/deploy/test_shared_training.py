"""Several pods on one training: the Job as the chart renders it, each pod a process with torchrun's words."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steadyline.servers import LocalStack, StackPaths
from steadyline.service import EXIT_UNAVAILABLE
from tests.support.chart import chart_of
from tests.support.eventually import eventually
from tests.support.pod_processes import SIGKILLED, TOLD_TO_END, require_namespaces
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.shared_training import ENDED_WITHIN, TrainingDay
from trainer.adversarial.training import CHECKPOINT_EVERY
from trainer.control.launch import TrainingEnd

pytestmark = pytest.mark.servers

ALONE = 'trainer.jobs={"enabled":true}'
TWO_PODS = 'trainer.jobs={"enabled":true,"pods":2}'
STEPS = 4
# What the trainer tells of a killed pod, of one that was told to end, and of one that has lost another.
KILLED = f"Error (exit status {SIGKILLED} by SIGKILL)"
EVICTED = f"Error (exit status {TOLD_TO_END})"
LOST = f"Error (exit status {EXIT_UNAVAILABLE})"
# Summing in another order moves a loss by up to 1e-4 within a few steps (tests/training/test_distributed.py).
RELATIVE = 1e-3
# Of the length of a weight; where a gradient is nearly zero the optimizer steps by its sign, and the memory
# of normals is made with the weights. Seen: 0.012 and 0.046. A number that starts at zero has no length yet.
APART = {"network": 0.05, "memory": 0.1}
AT_ZERO = 1e-3


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of this file alone, for the bank."""
    require(("redis",))
    require_namespaces()
    home = new_home()
    with LocalStack(StackPaths.of_checkout(home, ROOT), ("redis",)) as running:
        yield running.addresses.redis_url
    remove(home)


@pytest.fixture
def day(tmp_path: Path, redis_url: str) -> TrainingDay:
    """The day of a trainer whose trainings have two pods."""
    return TrainingDay(tmp_path / "two", chart_of("trial", TWO_PODS), redis_url)


def test_two_pods_make_the_one_package_of_a_process_alone(
    day: TrainingDay, tmp_path: Path, redis_url: str
) -> None:
    alone = TrainingDay(tmp_path / "alone", chart_of("trial", ALONE), redis_url)
    expected, weights = alone.package(alone.trained(STEPS))
    card, shared = day.package(day.trained(STEPS, first_is_late=True))
    assert sorted(day.store.list("models")) == sorted(alone.store.list("models"))
    assert card.figures["last_loss"] == pytest.approx(expected.figures["last_loss"], rel=RELATIVE)
    assert shared.keys() == weights.keys()
    for name, weight in weights.items():
        within = AT_ZERO + APART[name.partition(".")[0]] * np.linalg.norm(weight)
        assert np.linalg.norm(shared[name] - weight) <= within, name


def test_a_lost_process_ends_its_training_and_the_next_job_goes_on_from_the_checkpoint(
    day: TrainingDay,
) -> None:
    spec = day.order(CHECKPOINT_EVERY + STEPS)
    with day.launched(spec) as (training, pods):
        eventually((day.folder / "checkpoint.json").exists, ENDED_WITHIN, "a checkpoint")
        pods.pods[1].kill_worker()
        end = day.ended(training, pods)
    assert end == TrainingEnd(f"{KILLED}; {LOST}"), "without a reason the trainer starts it again"
    assert day.jobs.outcome(spec) is None

    with day.launched(spec) as (training, pods):
        assert day.first_step(spec) == CHECKPOINT_EVERY + 1
        pods.pods[0].tell_to_end()
        assert day.ended(training, pods) == TrainingEnd(f"{EVICTED}; {LOST}")

    with day.launched(spec) as (training, pods):
        assert day.ended(training, pods).is_success, pods.tails()
    card, _ = day.package(day.result(spec))
    assert card.figures["steps"] == CHECKPOINT_EVERY + STEPS
